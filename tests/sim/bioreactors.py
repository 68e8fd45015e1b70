"""The vessels of a plant file that has organisms in all of them."""

from collections.abc import Collection

from controller.plant import Plant
from fermloop.commands.simulated import vessels
from sim.vessel import Vessel


def bioreactors(
    plant: Plant, seed: int, start: float, clean: Collection[str] = ()
) -> dict[str, Vessel]:
    """Return the simulated vessels by reactor."""
    made = vessels(plant, seed, start, clean)
    found = {name: vessel for name, vessel in made.items() if isinstance(vessel, Vessel)}
    assert len(found) == len(made)
    return found
