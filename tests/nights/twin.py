"""The same batch on a night in which nothing happens: what a night's product is measured by."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from controller.plant import load_plant
from sim.vessel import Vessel
from tests.loop.rig import Rig


def undisturbed(
    plant: Path, recipe: Path, hours: float, start: Callable[[Vessel], None], seed: int
) -> float:
    """Return the product, g.

    Args:
        plant: its file.
        recipe: its file.
        hours: age at which the batch is over.
        start: makes the vessel what it is at the start.
        seed: draws the vessel.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        Rig(load_plant(plant, data_dir=Path(folder)), seed=seed) as rig,
    ):
        start(rig.vessel)
        truth = rig.truth()
        rig.begin(recipe)
        rig.hours(hours)
        return truth.as_report()["product_g"]
