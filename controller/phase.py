"""What a phase gives while it runs: its feeds and its doses."""

import math
from collections.abc import Mapping

from controller.facts import ML_PER_H, PlantFacts
from controller.feeding import Constant, Exponential, Table
from controller.recipe_file import Dose, FeedLaw, Phase
from drivers.point import Quality, Sample

HOUR_S = 3600.0
Feed = Constant | Table | Exponential


class DoseRun:
    """A volume on its way through a loop.

    Attributes:
        loop: its name.
        ml: how much is wanted, mL; with a weight to reach, the most.
        given: how much has gone, mL.
        flow: mL/h asked for since the last step.
        stuck_s: how long nearly nothing has come of it, s.
        there: the weight is reached.
    """

    __slots__ = (
        "_weight",
        "dose",
        "flow",
        "given",
        "loop",
        "ml",
        "most",
        "stuck_s",
        "there",
        "unit",
    )

    def __init__(self, dose: Dose, facts: PlantFacts, given: float = 0.0) -> None:
        self.dose = dose
        self.loop, self.ml = dose.loop, 1e3 * dose.volume_l
        self.unit = ML_PER_H[facts.loops[dose.loop].unit]  # mL/h of one of the loop's units
        self.most = dose.flow * self.unit  # mL/h
        self.given = given
        self.flow = 0.0
        self.stuck_s = 0.0
        self.there = False
        self._weight = facts.measured.get("weight", "")

    @property
    def weighs(self) -> bool:
        """Whether a weight ends it."""
        return self.dose.fills_to_kg is not None or self.dose.draws_to_kg is not None

    @property
    def complete(self) -> bool:
        """Whether all of it has gone."""
        return self.there if self.weighs else self.spent

    @property
    def spent(self) -> bool:
        """Whether as much has gone as may."""
        return self.ml - self.given <= 1e-6 * self.ml

    @property
    def so_far(self) -> str:
        """How much of it has gone, for people: ``4 of 10 mL``."""
        size, unit = (1.0, "mL") if self.ml < 1e3 else (1e3, "L")
        most = "at most " if self.weighs else ""
        return f"{self.given / size:.3g} of {most}{self.ml / size:g} {unit}"

    @property
    def wanted(self) -> str:
        """How much it is, or was where a weight ended it, for people: ``10 mL``."""
        ml = self.given if self.weighs else self.ml
        return f"{ml:.6g} mL" if ml < 1e3 else f"{ml / 1e3:.6g} L"

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

    def weigh(self, measured: Mapping[str, Sample]) -> bool:
        """Look at the scales; return whether they can be believed, where they have to be."""
        if not self.weighs:
            return True
        sample = measured.get(self._weight)
        if sample is None or sample.quality is not Quality.GOOD:
            return False
        to, down = self.dose.fills_to_kg, self.dose.draws_to_kg
        self.there = sample.value >= to if to is not None else sample.value <= (down or 0.0)
        return True


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
