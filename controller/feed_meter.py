"""How much feed really flows, from the pump's figure and the bottle's balance."""

import math
from collections.abc import Sequence
from copy import copy

FACTOR_SD = 0.05  # pumps are calibrated to 1-5 %
FACTOR_PACE = 0.01  # per square root of an hour: tubing wears
CREEP = 0.25  # of its noise per square root of an hour: hoses and drops
CHI2_999 = 10.8
REFUSED_MAX = 6  # readings in a row, after which the bottle has been changed or touched


class FeedMeter:
    """A Kalman filter of two states: mass in the bottle, and true flow over the pump's figure.

    A jump of the balance (a new bottle, a hand on the bench) is refused at first and then taken
    as a new start; the factor stays.

    Args:
        kg_per_l: density of the feed.
        noise_kg: 1 sigma of the balance.
    """

    def __init__(self, kg_per_l: float = 1.19, noise_kg: float = 0.002) -> None:
        self._density, self._noise = kg_per_l, noise_kg
        self.factor = 1.0
        self.fed_l = 0.0
        self._mass = math.nan  # kg in the bottle
        self._p = [0.0, 0.0, FACTOR_SD**2]  # variances: mass, mass with factor, factor
        self._refused = 0

    def update(self, weight: float | None, pump_ml_per_h: float, hours: float) -> float:
        """Return the flow of the last ``hours``, mL/h.

        Args:
            weight: kg on the balance; ``None`` where it is not known.
            pump_ml_per_h: what the pump was told, mean of the last ``hours``.
            hours: since the last call.
        """
        told = pump_ml_per_h * hours / 1e3 * self._density  # kg, by the pump's own figure
        mm, mf, ff = self._p
        ff = min(ff + FACTOR_PACE**2 * hours, FACTOR_SD**2) if told > 0 else ff
        mm, mf = mm - 2.0 * told * mf + told * told * ff, mf - told * ff
        mm += (CREEP * self._noise) ** 2 * hours
        self._mass -= told * self.factor
        self._p = [mm, mf, ff]
        if weight is not None:
            self._weigh(weight)
        self.fed_l += told * self.factor / self._density
        return pump_ml_per_h * self.factor

    def _weigh(self, weight: float) -> None:
        mm, mf, ff = self._p
        noise = self._noise**2
        if math.isnan(self._mass) or self._refused >= REFUSED_MAX:
            self._mass, self._p, self._refused = weight, [noise, 0.0, ff], 0
            return
        innovation, spread = weight - self._mass, mm + noise
        if innovation * innovation > CHI2_999 * spread:
            self._refused += 1
            return
        self._refused = 0
        gain_m, gain_f = mm / spread, mf / spread
        self._mass += gain_m * innovation
        self.factor = min(max(self.factor + gain_f * innovation, 0.7), 1.3)
        self._p = [mm * (1.0 - gain_m), mf * (1.0 - gain_m), ff - gain_f * mf]

    def copy(self) -> "FeedMeter":
        """Return another of the same state."""
        other = copy(self)
        other._p = list(self._p)
        return other

    def as_tuple(self) -> tuple[float, ...]:
        """Return its state as numbers."""
        mass = self._mass if math.isfinite(self._mass) else -1e9
        return (self.factor, self.fed_l, mass, *self._p)

    def resume(self, state: Sequence[float]) -> None:
        """Continue from ``as_tuple()``; the bottle is weighed anew."""
        self.factor, self.fed_l = state[0], state[1]
        self._mass = math.nan
        self._p = [0.0, 0.0, state[5]]
