"""How much feed really flows, from the pump's figure and the bottle's balance."""

import math
from collections.abc import Sequence
from copy import copy

FACTOR_SD = 0.05  # pumps are calibrated to 1-5 %
FACTOR_PACE = 0.01  # per square root of an hour: tubing wears
CREEP = 0.25  # of its noise per square root of an hour: hoses and drops
CHI2_999 = 10.8
REFUSED_MAX = 6  # readings in a row, after which the bottle has been changed or touched
OFF_H = 2.0  # for which a pump gives more or less than its calibration: until it is told to move


class FeedMeter:
    """A Kalman filter of mass in the bottle, and of the pump: a factor and a flow beside that.

    The factor is calibration and wear. The flow is what a valve or a drive of a coarse step is off
    by until it moves. Below its turn-down a pump stands still, whatever it is told.

    A jump of the balance (a new bottle, a hand on the bench) is refused at first and then taken
    as a new start; the factor stays.

    Args:
        kg_per_l: density of the feed.
        noise_kg: 1 sigma of the balance.
        coarse_l_per_h: flow by which the pump is off whatever it is told, 1 sigma.
        least_l_per_h: its turn-down.

    Attributes:
        factor: true flow over the pump's figure, by its calibration.
        fed_l: what has flowed.
    """

    def __init__(
        self,
        kg_per_l: float = 1.19,
        noise_kg: float = 0.002,
        coarse_l_per_h: float = 0.0,
        least_l_per_h: float = 0.0,
    ) -> None:
        self._density, self._noise = kg_per_l, noise_kg
        self._least = 1e3 * least_l_per_h  # mL/h
        self._coarse = (coarse_l_per_h * kg_per_l) ** 2  # variance, (kg/h)2
        self.factor = 1.0
        self.fed_l = 0.0
        self._mass = math.nan  # kg in the bottle
        self._off = 0.0  # kg/h beside what the factor says
        self._p: list[float] = [0.0, 0.0, FACTOR_SD**2]  # variances: mass, mass with factor, factor
        self._q: list[float] = [0.0, 0.0, self._coarse]  # off: with mass, with factor, its own
        self._refused = 0

    @property
    def left_kg(self) -> float:
        """What is believed to be on the balance; NaN before the first reading."""
        return self._mass

    def update(self, weight: float | None, pump_ml_per_h: float, hours: float) -> float:
        """Return the flow of the last ``hours``, mL/h.

        Args:
            weight: kg on the balance; ``None`` where it is not known.
            pump_ml_per_h: what the pump was told, mean of the last ``hours``.
            hours: since the last call.
        """
        if pump_ml_per_h <= self._least:
            pump_ml_per_h = 0.0
        told = pump_ml_per_h * hours / 1e3 * self._density  # kg, by the pump's own figure
        mm, mf, ff = self._p
        mo, fo, oo = self._q
        ff = min(ff + FACTOR_PACE**2 * hours, FACTOR_SD**2) if told > 0 else ff
        runs = hours if told > 0 else 0.0
        mm += told * (told * ff - 2.0 * mf) + runs * (runs * oo - 2.0 * mo + 2.0 * told * fo)
        mm += (CREEP * self._noise) ** 2 * hours
        mf, mo = mf - told * ff - runs * fo, mo - told * fo - runs * oo
        given = max(told * self.factor + self._off * runs, 0.0)
        self._mass -= given
        keep = math.exp(-hours / OFF_H)
        self._off *= keep
        self._p = [mm, mf, ff]
        self._q = [mo * keep, fo * keep, self._coarse + (oo - self._coarse) * keep * keep]
        if weight is not None:
            self._weigh(weight)
        self.fed_l += given / self._density
        if hours <= 0.0 or told <= 0.0:
            return pump_ml_per_h * self.factor
        return max(pump_ml_per_h * self.factor + self._off / self._density * 1e3, 0.0)

    def _weigh(self, weight: float) -> None:
        mm, mf, ff = self._p
        mo, fo, oo = self._q
        noise = self._noise**2
        if math.isnan(self._mass) or self._refused >= REFUSED_MAX:
            self._mass, self._refused = weight, 0
            self._p, self._q = [noise, 0.0, ff], [0.0, 0.0, oo]
            return
        innovation, spread = weight - self._mass, mm + noise
        if innovation * innovation > CHI2_999 * spread:
            self._refused += 1
            return
        self._refused = 0
        gain_m, gain_f, gain_o = mm / spread, mf / spread, mo / spread
        self._mass += gain_m * innovation
        self.factor = min(max(self.factor + gain_f * innovation, 0.7), 1.3)
        self._off += gain_o * innovation
        self._p = [mm * (1.0 - gain_m), mf * (1.0 - gain_m), ff - gain_f * mf]
        self._q = [mo * (1.0 - gain_m), fo - gain_f * mo, oo - gain_o * mo]

    def copy(self) -> "FeedMeter":
        """Return another of the same state."""
        other = copy(self)
        other._p, other._q = list(self._p), list(self._q)
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
        self._off, self._q = 0.0, [0.0, 0.0, self._coarse]
