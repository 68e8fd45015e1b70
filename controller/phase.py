"""What a phase is made of while it runs: its end, its feed and its dose."""

import math
from collections.abc import Mapping

from controller.facts import ML_PER_H, PlantFacts
from controller.feeding import Constant, Exponential, Table
from controller.recipe_file import Condition, Dose, FeedLaw, Phase
from drivers.point import Quality, Sample

HOUR_S = 3600.0
Feed = Constant | Table | Exponential


class Until:
    """A condition with its timer."""

    __slots__ = ("_all", "_condition", "_key", "_parts", "_since")

    def __init__(self, condition: Condition, facts: PlantFacts) -> None:
        self._condition = condition
        self._parts = [Until(part, facts) for part in condition.any or condition.all or ()]
        self._all = condition.all is not None
        key = condition.measured or ""
        self._key = facts.measured.get(key, key)
        self._since = math.inf  # since when it has held, s since 1970; inf: it does not

    def met(
        self,
        now: float,
        batch_s: float,
        phase_s: float,
        measured: Mapping[str, Sample],
        estimates: Mapping[str, float],
    ) -> bool:
        """Whether the phase may end. A BAD or missing value proves nothing."""
        c = self._condition
        if c.batch_h is not None:
            return batch_s >= c.batch_h * HOUR_S
        if c.phase_h is not None:
            return phase_s >= c.phase_h * HOUR_S
        if self._parts:  # each is asked, so that each timer runs
            met = [p.met(now, batch_s, phase_s, measured, estimates) for p in self._parts]
            return all(met) if self._all else any(met)
        if c.estimate is not None:
            value = estimates.get(c.estimate, math.nan)
        else:
            found = measured.get(self._key)
            bad = found is None or found.quality is Quality.BAD
            value = math.nan if found is None or bad else found.value
        # NaN is neither above nor below
        if (c.above is not None and value > c.above) or (c.below is not None and value < c.below):
            self._since = min(self._since, now)
            return now - self._since >= c.for_s
        self._since = math.inf
        return False

    def restart(self) -> None:
        """Forget the timers: nobody looked for a while."""
        self._since = math.inf
        for part in self._parts:
            part.restart()


class DoseRun:
    """A volume on its way through a loop.

    Attributes:
        loop: its name.
        ml: how much is wanted, mL.
        given: how much has gone, mL.
        flow: mL/h asked for since the last step.
        stuck_s: how long nearly nothing has come of it, s.
    """

    __slots__ = ("flow", "given", "loop", "ml", "most", "stuck_s", "unit")

    def __init__(self, dose: Dose, facts: PlantFacts, given: float = 0.0) -> None:
        self.loop, self.ml = dose.loop, 1e3 * dose.volume_l
        self.unit = ML_PER_H[facts.loops[dose.loop].unit]  # mL/h of one of the loop's units
        self.most = dose.flow * self.unit  # mL/h
        self.given = given
        self.flow = 0.0
        self.stuck_s = 0.0

    @property
    def complete(self) -> bool:
        """Whether all of it has gone."""
        return self.ml - self.given <= 1e-6 * self.ml

    @property
    def so_far(self) -> str:
        """How much of it has gone, for people: ``4 of 10 mL``."""
        return f"{self.given / self._shown[0]:.3g} of {self.wanted}"

    @property
    def wanted(self) -> str:
        """How much it is, for people: ``10 mL``."""
        size, unit = self._shown
        return f"{self.ml / size:g} {unit}"

    @property
    def _shown(self) -> tuple[float, str]:
        return (1.0, "mL") if self.ml < 1e3 else (1e3, "L")

    def pass_time(self, dt: float, applied: float | None) -> None:
        """Count what went in ``dt`` s; ``applied`` is in the loop's unit, if it is known."""
        flow = self.flow
        if flow > 0.0 and applied is not None:
            flow = max(0.0, applied * self.unit)
            self.stuck_s = self.stuck_s + dt if flow < 0.01 * self.flow else 0.0
        self.given += flow * dt / HOUR_S

    def next(self, dt: float) -> float:
        """Return the setpoint of its loop for a step of ``dt`` s, so that it ends exactly."""
        self.flow = min(self.most, (self.ml - self.given) * HOUR_S / dt)
        return self.flow / self.unit


def planned_end(until: Condition, begins: float | None) -> float | None:
    """Return the batch age at which time alone would meet ``until``, in h."""
    if until.batch_h is not None:
        return until.batch_h
    if until.phase_h is not None:
        return None if begins is None else begins + until.phase_h
    known = [
        age
        for part in until.any or until.all or ()
        if (age := planned_end(part, begins)) is not None
    ]
    if not known:
        return None
    return min(known) if until.any is not None else max(known)


def law_of(
    name: str, phase: Phase, flow: float, facts: PlantFacts, estimates: Mapping[str, float]
) -> Feed | None:
    """Return the feed that begins with ``phase``, in mL/h; ``None``: the one before goes on.

    Args:
        name: of the loop.
        phase: what the recipe says, in the loop's unit.
        flow: of the feed before, mL/h; a feed that holds takes it over.
        facts: nominal numbers of the plant.
        estimates: of now; what a feed starts from is taken once.
    """
    law = phase.feeds.get(name)
    unit = feed_unit(name, facts)
    if law is None:
        setpoint = phase.setpoints.get(name)
        return None if setpoint is None else Constant(setpoint * unit)
    if law.kind == "hold":
        return Constant(flow)
    if law.kind == "constant":
        return Constant((law.flow or 0.0) * unit)
    if law.kind == "profile":
        hours, flows = zip(*(law.table or ((0.0, 0.0),)), strict=True)
        return Table(hours, tuple(flow * unit for flow in flows))
    return _exponential(law, (law.cap or 0.0) * unit, facts, estimates)


def feed_unit(name: str, facts: PlantFacts) -> float:
    """Return mL/h of one of the unit of the loop ``name``; 1 where it is no liquid flow."""
    loop = facts.loops.get(name)
    return 1.0 if loop is None else ML_PER_H.get(loop.unit, 1.0)


def _exponential(
    law: FeedLaw, cap: float, facts: PlantFacts, estimates: Mapping[str, float]
) -> Exponential:
    biomass = law.biomass_g_per_l or facts.biomass_g_per_l
    volume = law.volume_l or facts.volume_l or 0.0
    if law.start_from == "estimate":
        known = estimates.get("biomass_g_per_l", math.nan)
        biomass = known if 0.0 < known <= 200.0 else biomass  # NaN is in no range
        known = estimates.get("volume_l", math.nan)
        volume = known if 0.0 < known < 1e6 else volume
    growth, upkeep = law.yield_g_per_g, law.maintenance_g_per_g_h
    return Exponential(
        mu_per_h=law.mu or 0.0,
        biomass_g_per_l=biomass,
        volume_l=volume,
        cap_ml_per_h=cap,
        feed_substrate_g_per_l=law.feed_substrate_g_per_l or facts.feed_substrate_g_per_l or 0.0,
        yield_g_per_g=facts.yield_g_per_g if growth is None else growth,
        maintenance_g_per_g_h=facts.maintenance_g_per_g_h if upkeep is None else upkeep,
    )
