"""Exponential feeds that look at the vessel: biomass feedback, and a PI on ethanol or RQ."""

import math
from dataclasses import dataclass
from typing import ClassVar

from controller.recipes.feedback import HOUR_S, Feedback, Seen, filtered

FOLLOW_S = 600.0  # in which the believed biomass goes to the estimated one


@dataclass(slots=True, kw_only=True)
class Growth(Feedback):
    """An exponential feed that knows what was fed, corrected by the estimated biomass.

    ``F = ((mu - mu_0) / Y_xs + q_m) M / S_f * (R / M) ** gain``: M is the believed biomass, mu_0
    its growth on what is left of the batch (acetate), R what M would be had it grown with mu while
    this law fed, and by the sugar that it got while not. Gain 0 follows the estimate with all its
    errors; 1 follows the balance, and a wrong estimate moves it no further than the band; above 1
    growth that is too slow or too fast is made up for.
    Without an estimate M grows by the sugar that was really fed: a feed that was cut
    or stopped goes on from what the cells got, not from the clock.

    Attributes:
        mu_per_h: wanted specific growth rate, 1/h.
        mass_g: M, biomass in the vessel, g.
        feed_substrate_g_per_l: S_f, g/L.
        yield_g_per_g: Y_xs.
        maintenance_g_per_g_h: q_m.
        gain: of the feedback.
        band: how far feedback may move the flow, as a logarithm.
        behind: ln(R / M).
        besides: mu_0, 1/h.
        told_s: its age at the last step, s.

    Source: PROCESS 4; Jenzsch, Gnoth, Beck, Kleinschmidt, Simutis & Luebbert, J. Biotechnol. 127
    (2006) 84-94, for following a biomass profile (recalled).
    """

    mu_per_h: float
    mass_g: float
    feed_substrate_g_per_l: float
    yield_g_per_g: float
    maintenance_g_per_g_h: float
    gain: float = 1.0
    band: float = 0.5
    behind: float = 0.0
    besides: float = 0.0
    told_s: float = 0.0
    kind: ClassVar[str] = "growth"
    looks: ClassVar[bool] = False

    def flow(self, t_s: float) -> float:
        now = self.asked if self.begun else self._own()
        ahead = max(0.0, t_s - self.told_s) / HOUR_S
        return now if ahead == 0.0 else min(now * math.exp(self.mu_per_h * ahead), self.cap)

    @property
    def _trim(self) -> float:
        return min(max(self.gain * self.behind, -self.band), self.band)

    def _own(self) -> float:
        mu = self.mu_per_h - self.besides
        uptake = mu / self.yield_g_per_g + self.maintenance_g_per_g_h  # g/g/h
        base = uptake * self.mass_g / self.feed_substrate_g_per_l * 1e3
        return base * math.exp(self._trim)

    def _follow(self, seen: Seen) -> None:
        if not self.begun and seen.culture.biomass_g > 0.0:
            self.mass_g = seen.culture.biomass_g
        expected, grown = self._grow(seen, math.exp(-self._trim))
        self._fall_behind(expected - grown)

    def _advance(self, seen: Seen, cut: bool) -> None:
        expected, grown = self._grow(seen, math.exp(-self._trim))
        wanted = self.mu_per_h * seen.dt / HOUR_S
        if seen.culture.leftover or (cut and expected < wanted):
            wanted = expected  # by what was fed, or left: nothing to make up for
        self._fall_behind(wanted - grown)

    def _fall_behind(self, by: float) -> None:
        edge = self.band / max(self.gain, 1e-9)
        self.behind = min(max(self.behind + by, -edge), edge)

    def _grow(self, seen: Seen, used: float) -> tuple[float, float]:
        """Let the believed biomass grow; return by how much by the balance, and in all.

        Both as logarithms; the rest is what the estimate corrects.
        ``used``: share of the sugar that makes what the yield says.
        """
        self.told_s = seen.t_s
        before, culture, hours = self.mass_g, seen.culture, seen.dt / HOUR_S
        sugar = used * seen.given / 1e3 * self.feed_substrate_g_per_l  # g/h
        known, besides = culture.biomass_g > 0.0, 0.0  # NaN is not
        if known and culture.leftover:  # an estimate is taken as a whole: its growth, its biomass
            besides = culture.mu_per_h - self._fed(sugar, culture.biomass_g)
            besides = min(max(besides, 0.0), self.mu_per_h)
        self.besides += (besides - self.besides) * min(seen.dt / FOLLOW_S, 1.0)
        mass = before * (1.0 + (self._fed(sugar, before) + self.besides) * hours)
        expected = math.log(max(mass / before, 0.5))
        if known and not culture.leftover:
            mass += (culture.biomass_g - mass) * min(seen.dt / FOLLOW_S, 1.0)
        self.mass_g = max(mass, 0.5 * before)
        return expected, math.log(self.mass_g / before)

    def _fed(self, sugar: float, mass: float) -> float:
        """Return how fast ``mass`` grows on ``sugar`` (g/h), 1/h."""
        return self.yield_g_per_g * (sugar / mass - self.maintenance_g_per_g_h)


@dataclass(slots=True, kw_only=True)
class Pi(Growth):
    """An exponential feed with a PI on what shows that it is too much: ethanol, RQ.

    The exponential outruns growth, which an integral alone could not (the vessel's unstable pole is
    mu), and the PI finds how much of it the cells can respire. It moves the logarithm of the flow,
    so that its gain is right from the first gram to the last.

    Attributes:
        setpoint: of what it looks at.
        kp: ln of the flow per unit of what it looks at; < 0 where more feed brings it down.
        ti_s: s.
        filter_s: of what it looks at, s.
        value: filtered; NaN: not seen yet.
        integral: ln of the flow.

    Source: PROCESS 1b, 4; Valentinotti, Srinivasan, Holmberg, Bonvin, Cannizzaro, Rhiel & von
    Stockar, Control Eng. Pract. 11 (2003) 665-674, for ethanol control (recalled).
    """

    setpoint: float
    kp: float
    ti_s: float
    filter_s: float = 0.0
    value: float = math.nan
    integral: float = 0.0
    kind: ClassVar[str] = "pi"
    looks: ClassVar[bool] = True

    @property
    def _trim(self) -> float:
        error = self.setpoint - self.value
        wanted = self.integral + (self.kp * error if error == error else 0.0)
        return min(max(wanted, -self.band), self.band)

    def _advance(self, seen: Seen, cut: bool) -> None:
        self._grow(seen, 1.0)
        self._watch(seen)
        error = self.kp * (self.setpoint - self.value)
        # on its way from what was fed before it learns nothing of its own flow
        if not (self.offset or (cut and error > 0.0)):
            wanted = self.integral + error * seen.dt / self.ti_s
            self.integral = min(max(wanted, -self.band), self.band)

    def _follow(self, seen: Seen) -> None:
        """Keep what it has learned: a fall-back says nothing of what the cells can respire."""
        self._grow(seen, 1.0)
        self._watch(seen)

    def _watch(self, seen: Seen) -> None:
        """Filter what it looks at, from the setpoint on: the first reading alone moves nothing."""
        before = self.setpoint if math.isnan(self.value) else self.value
        self.value = filtered(before, seen, self.filter_s)
