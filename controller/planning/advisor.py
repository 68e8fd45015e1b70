"""The optimiser's seat in a reactor: asks for plans, judges them, and says what to follow now.

Off, shadow (plans and what they would have done are recorded), advisory (suggests; an operator
decides), on (leads by itself, within guardrails). How far up it may go is granted by an engineer
on the evidence of the levels below; down it goes at once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from controller.planning.advice import Advice, Suggestion
from controller.planning.ahead import Ahead
from controller.planning.evidence import LEVELS, AdvisorMode, Evidence, Now
from controller.planning.guardrail import Guardrail
from controller.planning.outlook import Course, Outlook, Question
from controller.planning.plan import FLOWS, SETPOINTS, Plan, Situation, column
from controller.planning.planning import Planner
from controller.planning.shedding import HOLD_PERIODS, Shedding
from controller.plant_file.settings import OptimiserSettings
from controller.run_to_run import Region
from controller.texts.said import Said, in_chinese, said, word

if TYPE_CHECKING:
    from controller.sensing.estimator import Estimate

__all__ = ["LEVELS", "STALE_S", "Advisor", "AdvisorMode"]

STALE_S = 120.0  # an estimate without any good measurement for longer is not planned on
FEED, DO = SETPOINTS
ML_PER_L = 1e3
SHOWN = 12  # decisions that the console is sent every second


class Advisor:
    """Asks every period, takes the plan after its latency, and sheds as RELIABILITY §1 says.

    Args:
        reactor: whose.
        settings: its table of the plant file.
        planner: who makes the plans.
        lock_step: plant time waits for the wall, so the answer is taken at the latency exactly
            and a seed gives one result; otherwise as soon as it is there.
        stamp: names model and settings, see ``Evidence``.
        region: around what batches have tried, see ``Guardrail``.

    Attributes:
        mode: what it does.
        granted: the highest mode that it may be switched to.
        gain: product at the end more by the last plan looked at than on the present course, g,
            low, middle and high, and that of the present course; ``None`` before the first.
    """

    def __init__(
        self,
        reactor: str,
        settings: OptimiserSettings,
        planner: Planner,
        *,
        lock_step: bool,
        stamp: str = "",
        region: Region | None = None,
    ) -> None:
        self.reactor = reactor
        self.settings = settings
        self.mode: AdvisorMode = "off"
        self.granted: AdvisorMode = "shadow"
        self.shedding = Shedding(settings.period_s)
        self.evidence = Evidence(settings.promotion, stamp)
        self.advice = Advice(settings.advice_hold_h * 3600.0, HOLD_PERIODS * settings.period_s)
        self.guardrail = Guardrail(settings.guardrail, region)
        self.plan: Plan | None = None  # the last good one, also in shadow
        self.gain: tuple[tuple[float, float, float], float] | None = None
        self.lock_step = lock_step
        self._planner = planner
        self._ahead = Ahead(reactor, planner, settings.latency_s, lock_step=lock_step)
        self._asked_at: float | None = None
        self._arrived: Plan | None = None
        self._next = self._look = self._now = 0.0
        self._seen: Now | None = None
        self._said = ""
        self._told: list[tuple[Said, Mapping[str, object]]] = []

    # -- what a person switches ----------------------------------------------------------------

    def set_mode(self, mode: AdvisorMode, now: float) -> None:
        """Switch to one of ``LEVELS``; ``on`` also ends a latch."""
        if self.advice.open is not None or self.advice.accepted is not None:
            self.advice.drop(now, said("advice.mode", mode=word(mode)))
        self.mode = mode
        self.shedding.reset()
        self.guardrail.reset()
        self._ahead.cancel()
        self._planner.cancel(self.reactor)
        self._asked_at = self._arrived = None
        self._next = self._look = now
        if mode == "off":
            self.plan = self.gain = None

    def grant(self, mode: AdvisorMode) -> None:
        """Let it be switched up to ``mode`` from now on."""
        self.granted = mode

    def may(self, mode: AdvisorMode) -> bool:
        """Whether it may be switched to ``mode``."""
        return LEVELS.index(mode) <= LEVELS.index(self.granted)

    def decided(self, what: str) -> None:
        """Take note of a decision; the next suggestion comes a while later."""
        self.evidence.decide(what)
        self._look = self._now + self.settings.advice_every_s

    def begin(self) -> None:
        """A batch begins: nothing has been suggested in it."""
        self.advice.forget()
        self.gain = None

    @property
    def leads(self) -> bool:
        """Whether feed and oxygen are its to set: by itself, or as somebody has accepted."""
        return self.mode == "on" or self.advice.accepted is not None

    # -- scan by scan --------------------------------------------------------------------------

    def rest(self, why: str) -> None:
        """Plan nothing for now: no recipe is running."""
        if self.mode == "off":
            return
        self.shedding.rest(why)
        if self.advice.open is not None or self.advice.accepted is not None:
            self.advice.drop(self._now, said("advice.batch"))
        self._ahead.cancel()
        if self._asked_at is not None:
            self._planner.cancel(self.reactor)
            self._asked_at = self._arrived = None

    def settled(self, now: float) -> bool:
        """Whether nothing is due at ``now`` that has not come; lock-step waits for it."""
        if self.due(now) and self._arrived is None:
            self._arrived = self._planner.poll(self.reactor)
            if self._arrived is None:
                return False
        return self._ahead.settled(now)

    def due(self, now: float) -> bool:
        """Whether the plan asked for takes effect at ``now``."""
        return self._asked_at is not None and now >= self._asked_at + self.settings.latency_s

    def step(
        self,
        now: float,
        estimate: "Estimate | None",
        situation: Callable[[Plan | None], Situation | None],
        bad_input: str,
        seen: Now | None = None,
    ) -> Plan | None:
        """Return the plan to follow at ``now``, or ``None`` for the recipe's profile.

        Args:
            now: s.
            estimate: the last one.
            situation: what to ask, given the last good plan; ``None`` while nothing is to plan.
            bad_input: a required measurement that is BAD, or an empty string.
            seen: what evidence and advice need; without it there is none.
        """
        if self.mode == "off":
            return None
        self._now = now
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
        if seen is not None:
            self._observe(seen, good=not bad_input)
        if self.mode == "on":
            return followed
        shed = "" if self.shedding.engaged else self.shedding.reason
        if why := self.advice.ended(now, shed):
            self._told.append((why, {"advice": "lapsed"}))
        return self.advice.follow(now, shed)

    def _observe(self, seen: Now, *, good: bool) -> None:
        """Gather evidence, and look now and then at what the plan is worth."""
        self._seen, evidence, plan = seen, self.evidence, self.plan
        self._ahead.lock_step = self.lock_step
        self._ahead.collect(seen.time)
        seen.good = good
        evidence.note(seen)
        if (due := evidence.due(seen)) is not None:
            self._ahead.ask("forecast", seen.time, *due, self._came)
        if plan is None or not self.shedding.engaged:
            return
        aside = None if self.leads else plan.at(seen.time) - seen.feed_ml_per_h
        evidence.lived(self.mode, seen.dt, aside)
        if seen.time >= self._look and good and not self._ahead.waits_for("advice"):
            self._ask_worth(seen, plan)

    def _ask_worth(self, seen: Now, plan: Plan) -> None:
        """Have the plan run ahead beside the present course."""
        present, estimate = seen.present(), seen.estimate
        if present is None or estimate is None or plan.times[-1] <= estimate.time:
            return
        self._look = seen.time + self.settings.advice_every_s
        planned = under(plan, present, plan.names)
        question = Question(estimate.time, plan.times[-1], (present, planned))
        self._ahead.ask(
            "advice", seen.time, estimate, question, lambda outlook: self._worth(plan, outlook)
        )

    def _worth(self, plan: Plan, outlook: Outlook) -> None:
        """Take what a plan is worth, and suggest it if it changes anything."""
        seen = self._seen
        if outlook.status != "good" or seen is None:
            return
        product = outlook.courses[0].bands["product_g"].middle[-1]
        self.gain = (outlook.courses[1].gain_g, product)
        if self.mode == "on" or not self.shedding.engaged:
            return
        now = seen.time
        suggestion = Suggestion(
            self.advice.number(),
            now,
            plan,
            (seen.feed_ml_per_h, plan.at(now), plan.at(now + 1800.0)),
            (seen.do_setpoint, plan.at(now, DO) if DO in plan.names else seen.do_setpoint),
            outlook.courses[1].gain_g,
            product,
            _spared(outlook),
        )
        if not suggestion.worth:
            return
        self._told.append((suggestion.text, {"advice": self.mode, **suggestion.as_json()}))
        if self.mode == "advisory":
            self.advice.offer(suggestion)

    def _came(self, outlook: Outlook) -> None:
        if self._seen is not None:
            self.evidence.came(outlook, self._seen)

    def _collect(self, now: float) -> None:
        """Take a plan that is there, or count a missed deadline."""
        if self._asked_at is None or (self.lock_step and not self.due(now)):
            return
        plan = self._arrived or self._planner.poll(self.reactor)
        if plan is not None:
            self._asked_at = self._arrived = None
            if plan.good:
                self.plan = plan
            self.evidence.judged(good=plan.good)
            self.shedding.on_plan(plan, now)
        elif self.due(now):
            self._planner.cancel(self.reactor)
            self._asked_at = None
            self.shedding.on_missed(now)

    # -- what others see -----------------------------------------------------------------------

    def news(self) -> str:
        """Return what changed since the last call, once, for the event log."""
        s = self.shedding
        says = f"{s.state}: {s.reason}" if s.reason else s.state
        if self.mode == "off" or says == self._said:
            return ""
        self._said = says
        return says

    def told(self) -> list[tuple[Said, Mapping[str, object]]]:
        """Return what was suggested or has lapsed since the last call, with its data."""
        told, self._told = self._told, []
        return told

    def as_json(self, now: float) -> Mapping[str, Any]:
        """Return what the console and the command line show."""
        s = self.shedding
        waits = self.mode != "off" and self._next > now
        advice = self.advice.as_json()
        return {
            "mode": self.mode,
            "granted": self.granted,
            "state": "off" if self.mode == "off" else s.state,
            "reason": s.reason,
            **in_chinese(s.reason, "reason"),
            "plans": s.plans,
            "sheds": s.sheds,
            "late": s.late,
            "next_in_s": self._next - now if waits else None,
            "good_in_a_row": s.good_in_a_row,
            "plan": None if self.plan is None else _plan(self.plan),
            "gain_g": None if self.gain is None else self.gain[0],
            "evidence": self.evidence.as_json(),
            "advice": {**advice, "decisions": advice["decisions"][-SHOWN:]},
            "guardrail": self.guardrail.as_json(),
        }

    def as_state(self) -> dict[str, Any]:
        """Return what a restart needs beside the mode, as JSON."""
        return {
            "granted": self.granted,
            "evidence": self.evidence.as_state(),
            "advice": self.advice.as_state(),
        }

    def restore(self, state: Mapping[str, Any]) -> Callable[[], str]:
        """Read what ``as_state`` wrote; what is returned takes it, and says what counts no more.

        Raises:
            KeyError, TypeError, ValueError: it is damaged; nothing has changed.
        """
        granted = LEVELS[LEVELS.index(state["granted"])]
        take_advice = self.advice.restore(state["advice"])
        take_evidence = self.evidence.restore(state["evidence"])

        def take() -> str:
            take_advice()
            same = take_evidence()
            self.granted = granted if same else "shadow"
            if same:
                return ""
            return "model or optimiser were changed: what it has shown counts no more"

        return take


def _spared(outlook: Outlook) -> str:
    """Return the first limit that the present course may cross and the plan does not."""
    present, planned = outlook.courses
    crossed = {c.limit for c in planned.crossings}
    return next((c.limit for c in present.crossings if c.limit not in crossed), "")


def under(plan: Plan, present: Course, led: Sequence[str]) -> Course:
    """Return the course that the columns ``led`` of a plan make of the present one."""
    set_: dict[str, Any] = {}
    inputs = dict(present.inputs)
    for name in led:
        if name in (FEED, DO):
            set_[name] = plan.line(name)
        elif name == column("temperature"):
            inputs["temperature"] = plan.line(name)
            set_["temperature"] = None
        else:
            flows = name.endswith(FLOWS)
            loop = name.removesuffix(FLOWS) if flows else name.rpartition("_")[0]
            per = ML_PER_L if flows else 1.0
            inputs[loop] = tuple((t, v / per) for t, v in plan.line(name))
    return replace(present, **set_, inputs=inputs)


def _plan(plan: Plan) -> dict[str, Any]:
    columns = zip(*plan.setpoints, strict=True)
    return {
        "made": plan.made,
        "time": plan.times,
        **dict(zip(plan.names, columns, strict=True)),
        **plan.predicted,
        "active": plan.active,
        "binding": plan.binding,
    }
