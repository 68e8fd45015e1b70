"""The economic optimiser as a reactor asks it: with the soft sensor's estimate."""

import math
from collections.abc import Mapping
from dataclasses import replace

from controller.planning.economic.foresight import Foresight
from controller.planning.economic.optimiser import Economic
from controller.planning.economic.sensed import belief
from controller.planning.economic.settings import EconomicSettings
from controller.planning.outlook import Outlook, Question
from controller.planning.plan import Plan, Situation, column
from controller.sensing.estimate import Estimate

STALE_S = 600.0  # without a reading of oxygen, after which nothing is planned


class Estimated:
    """Plans and foresees in what the main feed's pump says of itself; the model has true flows.

    Args:
        settings: what it may move, prices and limits.
    """

    def __init__(self, settings: EconomicSettings) -> None:
        self.economic = Economic(settings)
        self.foresight = Foresight(self.economic.rollout)
        self._main = self.economic.problem.model.organism.feeds[0].name

    def warm_up(self) -> None:
        """Build the solver now."""
        self.economic.warm_up()

    def plan(self, estimate: Estimate, situation: Situation) -> Plan:
        """Return a plan; what is wrong is its status."""
        if wrong := self._wrong(estimate):
            return Plan("bad_input", situation.now, reason=wrong)
        believed = belief(estimate, self.economic.settings.learned, induced=situation.induced)
        factor = estimate.feed_factor
        asked = replace(self._true(situation, factor), stock_l=self._stock(estimate))
        found = self.economic.plan(believed, asked)
        return self._scaled(found, 1.0 / factor)

    def foresee(self, estimate: Estimate, question: Question) -> Outlook:
        """Return what comes of every course asked for."""
        if wrong := self._wrong(estimate):
            return Outlook("bad_input", question.start, reason=wrong)
        induced = question.courses[0].induced_at
        believed = belief(
            estimate,
            self.economic.settings.learned,
            induced=induced is not None and induced <= question.start,
        )
        return self.foresight.run(believed, question, estimate.feed_factor, self._stock(estimate))

    def _wrong(self, estimate: Estimate) -> str:
        organism = self.economic.settings.organism
        if estimate.organism != organism:
            return f"the estimate is of {estimate.organism}, the plan's model of {organism}"
        if not estimate.finite:
            return "the estimate has a number that is not finite"
        if estimate.stale_s > STALE_S:
            return f"the estimate is {estimate.stale_s:.0f} s old"
        return ""

    def _stock(self, estimate: Estimate) -> float | None:
        """Return what the main feed's tank can give yet, L; ``None`` where nobody knows."""
        economic = self.economic
        empty = economic.settings.tank_empty_kg
        if empty is None or not math.isfinite(estimate.feed_left_kg):
            return None
        return max(estimate.feed_left_kg - empty, 0.0) / economic.feed_kg_per_l

    def _true(self, situation: Situation, factor: float) -> Situation:
        def scaled(values: Mapping[str, float]) -> dict[str, float]:
            return {n: v * factor if n == self._main else v for n, v in values.items()}

        profiles = {
            n: tuple((t, v * factor) for t, v in line) if n == self._main else line
            for n, line in situation.profiles.items()
        }
        previous = situation.previous
        return replace(
            situation,
            applied=scaled(situation.applied),
            profiles=profiles,
            previous=None if previous is None else self._scaled(previous, factor),
        )

    def _scaled(self, plan: Plan, factor: float) -> Plan:
        if column(self._main) not in plan.names:
            return plan
        place = plan.names.index(column(self._main))
        rows = tuple(
            tuple(v * factor if k == place else v for k, v in enumerate(row))
            for row in plan.setpoints
        )
        return replace(plan, setpoints=rows)
