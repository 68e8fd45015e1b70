"""The optimiser's seat in a reactor: asks for plans, judges them, and says what to follow now."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from controller.plan import Plan, Situation
from controller.planning import Planner
from controller.settings import OptimiserSettings
from controller.shedding import Shedding

if TYPE_CHECKING:
    from controller.estimator import Estimate

AdvisorMode = Literal["off", "shadow", "on"]
STALE_S = 120.0  # an estimate without any good measurement for longer is not planned on


class Advisor:
    """Asks every period, takes the plan after its latency, and sheds as RELIABILITY §1 says.

    Args:
        reactor: whose.
        settings: its table of the plant file.
        planner: who makes the plans.
        lock_step: plant time waits for the wall, so the answer is taken at the latency exactly
            and a seed gives one result; otherwise as soon as it is there.
    """

    def __init__(
        self, reactor: str, settings: OptimiserSettings, planner: Planner, *, lock_step: bool
    ) -> None:
        self.reactor = reactor
        self.settings = settings
        self.mode: AdvisorMode = "off"
        self.shedding = Shedding(settings.period_s)
        self.plan: Plan | None = None  # the last good one, also in shadow
        self.lock_step = lock_step
        self._planner = planner
        self._asked_at: float | None = None
        self._arrived: Plan | None = None
        self._next = 0.0
        self._said = ""

    def set_mode(self, mode: AdvisorMode, now: float) -> None:
        """Switch off, to shadow or on; ``on`` also ends a latch."""
        self.mode = mode
        self.shedding.reset()
        self._planner.cancel(self.reactor)
        self._asked_at = self._arrived = None
        self._next = now
        if mode == "off":
            self.plan = None

    def rest(self, why: str) -> None:
        """Plan nothing for now: no recipe is running."""
        if self.mode != "off":
            self.shedding.rest(why)
            if self._asked_at is not None:
                self._planner.cancel(self.reactor)
                self._asked_at = self._arrived = None

    def settled(self, now: float) -> bool:
        """Whether no plan is due at ``now`` that has not come; lock-step waits for it."""
        if not self.due(now):
            return True
        if self._arrived is None:
            self._arrived = self._planner.poll(self.reactor)
        return self._arrived is not None

    def due(self, now: float) -> bool:
        """Whether the plan asked for takes effect at ``now``."""
        return self._asked_at is not None and now >= self._asked_at + self.settings.latency_s

    def step(
        self,
        now: float,
        estimate: "Estimate | None",
        situation: Callable[[Plan | None], Situation | None],
        bad_input: str,
    ) -> Plan | None:
        """Return the plan to follow at ``now``, or ``None`` for the recipe's profile.

        Args:
            now: s.
            estimate: the last one.
            situation: what to ask, given the last good plan; ``None`` while nothing is to plan.
            bad_input: a required measurement that is BAD, or an empty string.
        """
        if self.mode == "off":
            return None
        self._collect(now)
        if estimate is not None and not bad_input and estimate.stale_s > STALE_S:
            bad_input = f"the estimate is {estimate.stale_s:.0f} s old"
        if bad_input:
            self.shedding.on_bad_input(bad_input, now)
        else:
            self.shedding.on_input_good()
            if now >= self._next and self._asked_at is None and estimate is not None:
                asked = situation(self.plan)
                if asked is not None:
                    self._planner.request(self.reactor, estimate, asked)
                    self._asked_at = now
                    self._next = now + self.settings.period_s
        followed = self.shedding.tick(now)
        return followed if self.mode == "on" else None

    def _collect(self, now: float) -> None:
        """Take a plan that is there, or count a missed deadline."""
        if self._asked_at is None or (self.lock_step and not self.due(now)):
            return
        plan = self._arrived or self._planner.poll(self.reactor)
        if plan is not None:
            self._asked_at = self._arrived = None
            if plan.good:
                self.plan = plan
            self.shedding.on_plan(plan, now)
        elif self.due(now):
            self._planner.cancel(self.reactor)
            self._asked_at = None
            self.shedding.on_missed(now)

    def news(self) -> str:
        """Return what changed since the last call, once, for the event log."""
        s = self.shedding
        says = f"{s.state}: {s.reason}" if s.reason else s.state
        if self.mode == "off" or says == self._said:
            return ""
        self._said = says
        return says

    def as_json(self, now: float) -> Mapping[str, Any]:
        """Return what the console and the command line show."""
        s = self.shedding
        waits = self.mode != "off" and self._next > now
        return {
            "mode": self.mode,
            "state": "off" if self.mode == "off" else s.state,
            "reason": s.reason,
            "plans": s.plans,
            "sheds": s.sheds,
            "late": s.late,
            "next_in_s": self._next - now if waits else None,
            "good_in_a_row": s.good_in_a_row,
            "plan": None if self.plan is None else _plan(self.plan),
        }


def _plan(plan: Plan) -> dict[str, Any]:
    feed, do = zip(*plan.setpoints, strict=True)
    return {
        "made": plan.made,
        "time": plan.times,
        "feed_ml_per_h": feed,
        "do_percent": do,
        **plan.predicted,
        "active": plan.active,
    }
