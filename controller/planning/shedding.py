"""When the optimiser's plans are followed and when they are dropped (RELIABILITY §1)."""

from collections import deque
from typing import Literal

from controller.planning.plan import Plan

State = Literal["waiting", "good", "late", "infeasible", "shed", "latched", "dead"]

MISSED_TO_SHED = 2  # deadlines in a row
GOOD_TO_RETURN = 3  # plans in a row
HOLD_PERIODS = 2.0  # how long the last accepted trajectory outlives the last good plan
SHEDS_TO_LATCH = 3  # within LATCH_S
LATCH_S = 3600.0


class Shedding:
    """Follows good plans, sheds to the recipe, comes back slowly and gives up when it flaps.

    It sheds at once for a plan that is infeasible or not finite and for a required input that is
    BAD or stale, and after two missed deadlines in a row. The last accepted trajectory then holds
    until two periods after it was accepted; from then on ``active`` is ``None``, which means the
    recipe's profile. Three good plans in a row, with every input good, bring it back. Each plan
    starts from the feed that is applied when it is asked for, so taking it over is bumpless. Three
    sheds in an hour latch it until a person says ``reset``.

    A caller passes plant time; nothing here asks a clock. The answer depends only on the calls.

    Args:
        period_s: plant seconds between two plans.
    """

    def __init__(self, period_s: float = 300.0) -> None:
        if not period_s > 0:
            raise ValueError(f"period_s: {period_s:g} is not allowed; it must be > 0")
        self.period_s = period_s
        self.plans = 0
        self.sheds = 0
        self.late = 0
        self.reset()

    def reset(self) -> None:
        """Start anew, also from latched: an operator's switch to ``on``. Counters stay."""
        self.state: State = "waiting"
        self.reason = ""
        self.good_in_a_row = 0
        self._missed_in_a_row = 0
        self._bad_input = ""
        self._engaged = False
        self._accepted_at = 0.0
        self._active: Plan | None = None
        self._sheds_at: deque[float] = deque(maxlen=SHEDS_TO_LATCH)

    def rest(self, why: str) -> None:
        """Let go without a shed: there is nothing to lead. Sheds of the last hour are kept."""
        self.good_in_a_row = self._missed_in_a_row = 0
        self._engaged, self._active = False, None
        if self.state != "latched":
            self.state, self.reason = "waiting", why

    @property
    def active(self) -> Plan | None:
        """The plan to follow, as of the last call that carried a time; ``None``: the recipe."""
        return self._active

    @property
    def engaged(self) -> bool:
        """Whether the optimiser is in charge; False while an old trajectory only still holds."""
        return self._engaged

    def tick(self, now: float) -> Plan | None:
        """Let time pass, once a scan, and return the plan to follow or ``None`` for the recipe."""
        if self._active is not None and now - self._accepted_at > HOLD_PERIODS * self.period_s:
            if self._engaged:  # nobody even reported a miss: the planner itself is silent
                self._shed("no plan for two periods", now, "shed")
            self._active = None
        return self._active

    def on_plan(self, plan: Plan, now: float) -> None:
        """Judge a plan that arrived; ``late`` and ``dead`` are the planner's reports of a miss."""
        if plan.status in ("late", "dead"):
            self.on_missed(now, plan.reason, dead=plan.status == "dead")
            return
        self.plans += 1
        self._missed_in_a_row = 0
        if not plan.good:
            why = plan.reason or ("not finite" if plan.status == "good" else plan.status)
            self._fall(f"plan refused: {why}", now, "infeasible")
        elif self.state != "latched" and not self._bad_input:
            self.good_in_a_row += 1
            if self._engaged or self.good_in_a_row >= GOOD_TO_RETURN:
                self._accept(plan, now)
        self.tick(now)

    def on_missed(self, now: float, reason: str = "", *, dead: bool = False) -> None:
        """Count a missed deadline; two in a row shed."""
        self.late += 1
        self.good_in_a_row = 0
        self._missed_in_a_row += 1
        text = reason or "the plan is late"
        state: State = "dead" if dead else "late"
        if self._missed_in_a_row >= MISSED_TO_SHED and self._engaged:
            self._shed(f"{self._missed_in_a_row} deadlines missed: {text}", now, state)
        elif self.state != "latched":
            self.state, self.reason = state, text
        self.tick(now)

    def on_bad_input(self, reason: str, now: float) -> None:
        """Shed because a required input is BAD or the estimate is stale; may be said each scan."""
        if self._bad_input != reason:
            self._bad_input = reason
            self._fall(reason, now, "shed")
        self.tick(now)

    def on_input_good(self) -> None:
        """Say that every required input is good again; plans count from here on."""
        if self._bad_input:
            self._bad_input = ""
            self.good_in_a_row = 0

    def _accept(self, plan: Plan, now: float) -> None:
        self._active, self._accepted_at = plan, now
        self._engaged = True
        self.state, self.reason = "good", ""

    def _fall(self, reason: str, now: float, state: State) -> None:
        self.good_in_a_row = 0
        if self._engaged:
            self._shed(reason, now, state)
        elif self.state != "latched":
            waiting = self.state == "waiting" and state == "shed"  # there was nothing to shed
            self.state, self.reason = "waiting" if waiting else state, reason

    def _shed(self, reason: str, now: float, state: State) -> None:
        self._engaged = False
        self.good_in_a_row = 0
        self.sheds += 1
        self._sheds_at.append(now)
        if len(self._sheds_at) == SHEDS_TO_LATCH and now - self._sheds_at[0] <= LATCH_S:
            self.state = "latched"
            self.reason = f"{SHEDS_TO_LATCH} sheds within an hour, the last: {reason}"
        else:
            self.state, self.reason = state, reason
