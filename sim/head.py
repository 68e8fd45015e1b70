"""The head space as a place that gas must fill: its pressure rises by what is blown in, or not.

The head's own controller opens the exhaust to let out what is too much. Shut, it keeps what is
there but for a leak, and what is drawn off below makes room above.
"""

import math
from collections.abc import Sequence
from typing import Final

from models.bioreactor import Bioreactor
from models.foam import LEAST_SPACE
from models.vessels import GAS_L_PER_MIN, LIQUID_L_PER_H
from sim.faulty import Mover

ROOM_BAR: Final = 1.013
# of the overpressure in an hour: a vessel that holds 1 bar may lose 0.02 in half of it (ours)
LEAK_PER_H: Final = 0.04
NORMAL: Final = 1.01325 / 273.15  # bar L/K of a normal litre


class HeadPressure:
    """A head's pressure controller that can close its exhaust but cannot make gas.

    Args:
        inner: what the controller aims at, by lag and range of its valve.
        model: of the vessel.
        u: its inputs as they are, in the model's order: gas that comes, broth that is drawn off.
        x: its states: the space above the broth.
    """

    def __init__(
        self, inner: Mover, model: Bioreactor, u: Sequence[float], x: Sequence[float]
    ) -> None:
        self.inner = inner
        self.rests_at = math.nan
        self._u, self._x = u, x
        self._total = model.vessel.total_volume_l
        states = [v.name for v in model.states]
        inputs = [v.name for v in model.inputs]
        self._volume, self._broth = states.index("V"), states.index("T")
        self._air, self._oxygen, self._harvest = map(inputs.index, ("air", "oxygen", "harvest"))
        units = [v.unit for v in model.inputs]
        self._gas = GAS_L_PER_MIN[units[self._air]] / 60.0 * NORMAL  # bar L/(s.K) of 1
        self._litres = LIQUID_L_PER_H[units[self._harvest]] / 3600.0  # L/s of 1
        self._bar = u[inputs.index("pressure")]

    def move(self, wanted: float, age: float, dt: float, /) -> float:
        """Return the pressure of the head space over a step of ``dt`` s, bar absolute."""
        aim = self.inner.move(wanted, age, dt)
        self._bar = min(aim, self._bar + self._rise() * dt)
        return self._bar

    def _rise(self) -> float:
        """Return how the pressure rises while the exhaust is shut, bar/s."""
        u, x, bar = self._u, self._x, self._bar
        space = max(self._total - x[self._volume], LEAST_SPACE * self._total)
        gas = self._gas * (u[self._air] + u[self._oxygen]) * (x[self._broth] + 273.15)
        leak = LEAK_PER_H / 3600.0 * (bar - ROOM_BAR)
        return (gas - bar * u[self._harvest] * self._litres) / space - leak
