"""The same batch on a night in which nothing happens: what a night's product is measured by."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from controller.assemble import optimiser_settings
from controller.planning.planning import InProcessPlanner
from controller.plant import Plant, load_plant
from sim.clock import SimClock
from sim.vessel import Vessel
from tests.loop.rig import Rig


def planner_of(plant: Plant) -> Callable[[SimClock], InProcessPlanner]:
    """Return what makes the plant's own optimiser, which answers at once."""
    return lambda clock: InProcessPlanner(optimiser_settings(plant), clock, latency_s=0.0)


def undisturbed(
    plant: Path,
    recipe: Path,
    hours: float,
    start: Callable[[Vessel], None],
    seed: int,
    *,
    led: bool = False,
) -> float:
    """Return the product, g.

    Args:
        plant: its file.
        recipe: its file.
        hours: age at which the batch is over.
        start: makes the vessel what it is at the start.
        seed: draws the vessel.
        led: whether the optimiser leads.
    """
    with tempfile.TemporaryDirectory() as folder:
        known = load_plant(plant, data_dir=Path(folder))
        with Rig(known, seed=seed, planner=planner_of(known) if led else None) as rig:
            start(rig.vessel)
            truth = rig.truth()
            rig.begin(recipe, "on" if led else "off")
            rig.hours(hours)
            return truth.as_report()["product_g"]
