"""Every law that a recipe may feed by: how it is made of what a phase says, and kept for a restart.

Profiles follow time alone (``controller.feeding``); the others look at the vessel
(``controller.feedback``).
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from controller.plant_file.units import ML_PER_H
from controller.recipes.facts import PlantFacts
from controller.recipes.feed_growth import Growth, Pi
from controller.recipes.feed_pulses import Probing, Stat
from controller.recipes.feed_settings import FeedLaw
from controller.recipes.feedback import Feedback
from controller.recipes.feeding import Constant, Exponential, Table
from controller.recipes.feeding import as_state as profile_state
from controller.recipes.feeding import from_state as profile_of
from controller.recipes.file import Phase

HANDOVER = 5e-4  # of the range of its loop a second: a feed law goes from what was fed to its own


@dataclass(frozen=True, slots=True)
class Eased:
    """A profile that takes over from a law that looked at the vessel, and goes slowly to its own.

    Attributes:
        profile: where it goes.
        offset: what is left of the way when it begins, mL/h.
        ramp: mL/h a second.
    """

    profile: Constant | Table | Exponential
    offset: float
    ramp: float

    def flow(self, t_s: float) -> float:
        """Return the feed in mL/h at ``t_s`` s since its start."""
        left = max(0.0, abs(self.offset) - self.ramp * max(0.0, t_s))
        return max(0.0, self.profile.flow(t_s) + math.copysign(left, self.offset))


Feed = Constant | Table | Exponential | Eased | Growth | Stat | Probing
LAWS: Mapping[str, type[Growth | Stat | Probing]] = {
    law.kind: law for law in (Growth, Pi, Stat, Probing)
}


def as_state(law: Feed) -> dict[str, Any]:
    """Return a feed as JSON, for a restart and for the record."""
    if isinstance(law, Feedback):
        numbers = {k: None if v != v else v for k, v in asdict(law).items()}
        return {"kind": law.kind, **numbers}
    if isinstance(law, Eased):
        return {**asdict(law), "kind": "eased", "profile": profile_state(law.profile)}
    return profile_state(law)


def from_state(state: Mapping[str, Any]) -> Feed:
    """Return the feed that ``as_state`` described.

    Raises:
        ValueError: the state is damaged.
    """
    kind = str(state.get("kind"))
    numbers: dict[str, Any] = {k: v for k, v in state.items() if k != "kind"}
    try:
        if kind == "eased":
            return Eased(profile_of(numbers.pop("profile")), **numbers)
        if kind not in LAWS:
            return profile_of(state)
        known: dict[str, Any] = {k: math.nan if v is None else v for k, v in numbers.items()}
        return LAWS[kind](**known)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"feed law: damaged state: {error!r}") from None


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
    if law.kind == "stat" or law.kind == "probing":
        return _pulsing(name, law, facts)
    nominal = _exponential(law, (law.cap or 0.0) * unit, facts, estimates)
    if not law.looks:
        return nominal
    return _corrected(law, nominal, ramp_of(name, facts), tag_of(law, facts))


def ramp_of(name: str, facts: PlantFacts) -> float:
    """Return how fast a feed law goes from what was fed before to its own, mL/h a second."""
    loop = facts.loops.get(name)
    return math.inf if loop is None else HANDOVER * loop.high * feed_unit(name, facts)


def tag_of(law: FeedLaw, facts: PlantFacts) -> str:
    """Return the tag that a feed law looks at."""
    name = law.measured or ""
    return facts.measured.get(name, name)


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


def _corrected(law: FeedLaw, nominal: Exponential, ramp: float, tag: str) -> Growth:
    """Return an exponential feed that looks at the vessel."""
    base: dict[str, Any] = {
        "cap": nominal.cap_ml_per_h,
        "ramp": ramp,
        "mu_per_h": nominal.mu_per_h,
        "mass_g": nominal.biomass_g_per_l * nominal.volume_l,
        "feed_substrate_g_per_l": nominal.feed_substrate_g_per_l,
        "yield_g_per_g": nominal.yield_g_per_g,
        "maintenance_g_per_g_h": nominal.maintenance_g_per_g_h,
        "band": law.band,
    }
    if law.kind == "exponential":
        return Growth(gain=law.gain, **base)
    return Pi(
        measured=tag,
        setpoint=law.setpoint or 0.0,
        kp=law.kp or 0.0,
        ti_s=law.ti_s or math.inf,
        filter_s=law.filter_s,
        **base,
    )


def _pulsing(name: str, law: FeedLaw, facts: PlantFacts) -> Stat | Probing:
    """Return a feed that goes by pulses."""
    unit, ramp = feed_unit(name, facts), ramp_of(name, facts)
    flow, on_s, pause_s = (law.flow or 0.0) * unit, law.on_s or 0.0, law.pause_s or 0.0
    if law.kind == "stat":
        return Stat(
            measured=tag_of(law, facts),
            cap=flow,
            ramp=ramp,
            above=law.above or 0.0,
            pulse=flow,
            on_s=on_s,
            pause_s=pause_s,
            filter_s=law.filter_s,
        )
    return Probing(
        measured=tag_of(law, facts),
        cap=(law.cap or 0.0) * unit,
        ramp=ramp,
        level=flow,
        least=flow,
        answer=law.answer or 0.0,
        below=math.nan if law.below is None else law.below,
        on_s=on_s,
        pause_s=pause_s,
        size=law.size,
        change=law.step,
        filter_s=law.filter_s,
    )
