"""What comes into a simulated vessel from beside it: medium, and the broth of a seed tank.

A line is a valve before a pressed tank: it gives what is wanted of it, within its range, until the
tank is empty. What it brings is mixed in at once; the charges draw pH after them within seconds.
"""

from collections.abc import Mapping, MutableSequence, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from models.bioreactor import Bioreactor
from models.heat import WATER_HEAT
from models.vessels import LIQUID_L_PER_H

if TYPE_CHECKING:
    from sim.vessel import Vessel

SEED: Final = "seed"
# unit and range of each line, by vessel; the bench's is filled and inoculated by hand
LINES: Final[Mapping[str, Mapping[str, tuple[str, float]]]] = {
    "300l": {"medium": ("L/h", 500.0), SEED: ("L/h", 200.0)},
    "100m3": {"medium": ("L/h", 60e3), SEED: ("L/h", 20e3)},
}
SOLVED: Final = ("O", "CO2", "HCO3", "NH3", "PO4", "strong", "antifoam")


@dataclass(slots=True)
class Tank:
    """What stands beside a vessel.

    Attributes:
        contents: the states of its broth or medium, as a vessel full of it would have them.
        left_l: how much of it there is, L.
    """

    contents: Sequence[float]
    left_l: float


class Lines:
    """The tanks beside a vessel and the lines between; they follow the vessel by themselves.

    Args:
        vessel: into which they lead.
        tanks: by the name of their line.
    """

    def __init__(self, vessel: "Vessel", tanks: Mapping[str, Tank]) -> None:
        self._vessel = vessel
        self.tanks = tanks
        self._last = vessel.time
        self._lines = [
            (vessel.reader(f"{vessel.prefix}.{name}"), LIQUID_L_PER_H[unit] / 3600.0, most, tank)
            for name, (unit, most) in LINES.get(vessel.model.vessel.name, {}).items()
            if (tank := tanks.get(name)) is not None
        ]
        vessel.watch(self.update)

    def update(self) -> None:
        """Let flow what is wanted for the time since the last call."""
        dt, self._last = self._vessel.time - self._last, self._vessel.time
        for wanted, litres, most, tank in self._lines:
            if flow := wanted():
                self._pour(tank, min(flow, most) * litres * dt)

    def leads(self, name: str) -> bool:
        """Whether there is a line from a tank; else a person pours it in."""
        return name in LINES.get(self._vessel.model.vessel.name, {})

    def inoculate(self) -> None:
        """Pour the seed in by hand, all of it."""
        seed = self.tanks[SEED]
        self._pour(seed, seed.left_l)

    def _pour(self, tank: Tank, litres: float) -> None:
        litres = min(litres, tank.left_l)
        if litres > 0.0:
            tank.left_l -= litres
            self._vessel.pour(litres, tank.contents)


def mixed(model: Bioreactor, x: MutableSequence[float], litres: float, c: Sequence[float]) -> None:
    """Add ``litres`` of what ``c`` are the states of to a vessel in the states ``x``.

    Nothing is made or lost, neither mass nor heat nor charge; each cell stays as it is.
    """
    at = {v.name: k for k, v in enumerate(model.states)}
    species = {v.name: v.unit.endswith("/L") for v in model.organism.species}
    cells, volume, mass, warmth = (at[n] for n in (model.organism.called["biomass"], "V", "M", "T"))
    before, after = x[volume], x[volume] + litres
    own, new = x[cells] * before, c[cells] * litres  # g of cells
    for name in (n for n, in_broth in species.items() if not in_broth):
        if own + new > 0.0:
            x[at[name]] = (x[at[name]] * own + c[at[name]] * new) / (own + new)
    for name in (*(n for n, in_broth in species.items() if in_broth), *SOLVED):
        x[at[name]] = (x[at[name]] * before + c[at[name]] * litres) / after
    kg = litres * c[mass] / c[volume]
    here, comes = WATER_HEAT * x[mass] + model.vessel.steel_kj_per_k, WATER_HEAT * kg  # kJ/K
    x[warmth] = (x[warmth] * here + c[warmth] * comes) / (here + comes)
    x[mass] += kg
    x[volume] = after
