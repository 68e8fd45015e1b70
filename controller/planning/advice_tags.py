"""What is stored of the optimiser: its mode, what a plan is worth, what binds it, its evidence."""

import math

from controller.planning.advice import OTHER, binding_code
from controller.planning.advisor import LEVELS, Advisor
from drivers.point import Quality, Sample, Tag

_WIDE = 1e9


class AdviceTags:
    """Turns an advisor's state into samples, one list a scan.

    Modes are stored as 0 off, 1 shadow, 2 advisory, 3 on; limits as codes of ``advice.BINDINGS``.
    The time of a solve is that of the last good plan; plans, missed deadlines and sheds are counted
    from the controller's start.

    Args:
        reactor: ``R1``.
    """

    def __init__(self, reactor: str) -> None:
        def tag(name: str, unit: str, low: float, high: float) -> Tag:
            return Tag(f"{reactor}.optimiser.{name}", unit, low, high)

        self.tags = [
            tag("mode", "1", 0, len(LEVELS) - 1),
            tag("gain", "g", -_WIDE, _WIDE),
            tag("gain_low", "g", -_WIDE, _WIDE),
            tag("gain_high", "g", -_WIDE, _WIDE),
            tag("binding", "1", 0, OTHER),
            tag("shadow_h", "h", 0, _WIDE),
            tag("coverage", "%", 0, 100),
            tag("guardrail", "%", 0, 100),
            tag("solve", "s", 0, _WIDE),
            tag("plans", "1", 0, _WIDE),
            tag("late", "1", 0, _WIDE),
            tag("sheds", "1", 0, _WIDE),
        ]

    def samples(self, now: float, advisor: Advisor) -> list[Sample]:
        """Return this scan's samples; what is not known is BAD."""
        gain = (math.nan,) * 3 if advisor.gain is None else advisor.gain[0]
        plan, covered, shedding = advisor.plan, advisor.evidence.coverage, advisor.shedding
        values = (
            float(LEVELS.index(advisor.mode)),
            *(gain[1], gain[0], gain[2]),
            math.nan if plan is None else float(binding_code(plan.binding)),
            advisor.evidence.hours["shadow"],
            math.nan if covered is None else 100.0 * covered,
            100.0 * advisor.guardrail.share if advisor.mode == "on" else math.nan,
            # wall time, which a seed does not give again
            math.nan if plan is None or advisor.lock_step else plan.solve_s,
            *map(float, (shedding.plans, shedding.late, shedding.sheds)),
        )
        return [
            Sample(tag, now, value, Quality.BAD if math.isnan(value) else Quality.GOOD)
            for tag, value in zip(self.tags, values, strict=True)
        ]
