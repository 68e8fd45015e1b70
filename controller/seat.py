"""The optimiser's seat in a reactor: what it is asked, which loops it leads, and how far."""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from controller.advisor import Advisor, AdvisorMode
from controller.evidence import Now
from controller.loop import AUTO, CASCADE, LO, MANUAL, OFF, OPTIMISER
from controller.loops import Loop, PidLoop, RefusedError, Station
from controller.outlook import Course
from controller.plan import Plan, Situation
from controller.planning import Planner
from controller.plausible import Plausible
from controller.recipe import RecipeRunner, State
from controller.said import Said, said, word
from controller.sensing import Sensing
from controller.settings import ReactorSettings
from controller.trail import Trail
from controller.units import ML_PER_H
from drivers.point import BAD, UNCERTAIN, Sample
from historian.events import Event, Kind

if TYPE_CHECKING:
    from controller.settings import OptimiserSettings

HOUR_S = 3600.0
FEED, DO = "feed_ml_per_h", "do_percent"
NEAR_END_H = 0.02


class Seat:
    """Between a reactor's loops and its advisor.

    Args:
        name: of the reactor.
        settings: its table of the plant file, with an optimiser.
        optimiser: that.
        loops: of the reactor.
        sensing: what is believed of the vessel.
        plausible: which measurements are stuck.
        trail: tells of what is led.
        tell: takes every event.
        planner: who makes plans.
        lock_step: plant time waits for the plans.
    """

    def __init__(
        self,
        name: str,
        settings: ReactorSettings,
        optimiser: "OptimiserSettings",
        loops: Mapping[str, Loop],
        sensing: Sensing,
        plausible: Plausible,
        trail: Trail,
        tell: Callable[[Event], None],
        planner: Planner,
        *,
        lock_step: bool,
    ) -> None:
        self.advisor = Advisor(
            name, optimiser, planner, lock_step=lock_step, stamp=_stamp(settings, optimiser)
        )
        self._name, self._measured = name, settings.measured
        self._loops, self._sensing, self._plausible = loops, sensing, plausible
        self._trail, self._tell = trail, tell
        feed = loops[optimiser.feed_loop]
        self.feed = feed if isinstance(feed, Station) else None
        self.do = loops[optimiser.do_loop]
        self.led: list[tuple[Loop, str]] = [(feed, FEED), (self.do, DO)]
        guardrail = optimiser.guardrail
        self._per = ML_PER_H.get(feed.unit, 1.0)  # mL/h of one of the feed's unit
        self._width = {  # of the guardrail, in the loop's unit
            FEED: feed.settings.setpoint_high - feed.settings.setpoint_low
            if guardrail.feed_ml_per_h is None
            else guardrail.feed_ml_per_h / self._per,
            DO: self.do.settings.setpoint_high - self.do.settings.setpoint_low
            if guardrail.do_percent is None
            else guardrail.do_percent,
        }
        self._followed: Plan | None = None
        self.now = 0.0
        self._runner: RecipeRunner | None = None
        self._induced = False

    # -- one scan ------------------------------------------------------------------------------

    def step(
        self,
        now: float,
        dt: float,
        samples: Mapping[str, Sample],
        runner: RecipeRunner | None,
        *,
        induced: bool,
    ) -> None:
        """Let an accepted plan lead feed and dissolved oxygen; otherwise the recipe does."""
        self.now, self._runner, self._induced = now, runner, induced
        advisor, plan = self.advisor, None
        if advisor.mode == "off" and self._followed is None and not advisor.leads:
            self._unseat("")
            return
        led = advisor.leads
        if runner is not None and runner.state is State.RUNNING:
            bad, uncertain = self._inputs(samples)
            seen = self._seen(now, dt, samples)
            plan = advisor.step(now, self._sensing.estimate, self._situation, bad, seen)
            advisor.guardrail.judge(now, self._sensing.estimate, uncertain)
        else:
            advisor.rest(f"the recipe is {State.IDLE if runner is None else runner.state}")
        self._news(now)
        if led and not advisor.leads:
            self._give_back()
        self._trail.plan(now, plan, self.led, advisor.shedding.reason)
        self._followed = plan
        if plan is None:
            self._unseat(advisor.shedding.reason or "no plan yet")
            return
        for loop, column in self.led:
            self._lead(loop, column, plan.at(now, column))

    def _lead(self, loop: Loop, column: str, value: float) -> None:
        """Set one loop's setpoint, within the guardrails where nobody has looked at it."""
        if column == FEED:
            value /= self._per
        if self.advisor.mode == "on":
            own = loop.remote or 0.0 if column == FEED else loop.local
            value = self.advisor.guardrail.confine(own, value, self._width[column])
        loop.remote, loop.leader = value, OPTIMISER

    def _unseat(self, why: str) -> None:
        for loop, _ in self.led:
            if isinstance(loop, PidLoop):
                loop.remote = None
            loop.why = why or "no plan yet"

    def _news(self, now: float) -> None:
        """Tell what the optimiser suggests and how it stands."""
        if news := self.advisor.news():
            text = f"{self._name}: optimiser {news}"
            self._tell(Event(now, "optimiser", Kind.ADVICE, self._name, text))
        for line, data in self.advisor.told():
            both = {**data, "text_zh": f"{self._name}：{line.told('zh')}"}
            text = f"{self._name}: {line}"
            self._tell(Event(now, "optimiser", Kind.ADVICE, self._name, text, both))

    def _inputs(self, samples: Mapping[str, Sample]) -> tuple[str, str]:
        """Return what is BAD of what is required, and what is UNCERTAIN; empty where nothing is."""
        uncertain = ""
        for tag in self._measured.values():
            sample = samples.get(tag)
            if sample is None or sample.quality is BAD:  # UNCERTAIN ages the estimate
                return f"{tag} is {'missing' if sample is None else 'BAD'}", tag
            if tag in self._plausible.stuck:
                return f"{tag} is stuck", tag
            if sample.quality is UNCERTAIN:
                uncertain = uncertain or tag
        return "", uncertain

    def _seen(self, now: float, dt: float, samples: Mapping[str, Sample]) -> Now | None:
        runner, feed = self._runner, self.feed
        if runner is None or feed is None or not runner.inoculated:
            return None
        do = samples.get(self.do.settings.measured or "")
        return Now(
            time=now,
            dt=dt,
            estimate=self._sensing.estimate,
            feed_ml_per_h=feed.output * self._per,
            do_percent=self.do.setpoint if do is None or do.quality is BAD else do.value,
            induced_at=self._induced_at(runner),
            good=True,
            do_setpoint=self.do.setpoint,
            present=lambda: self.present() if runner.feeding else None,
        )

    # -- what it is asked ----------------------------------------------------------------------

    def _induced_at(self, runner: RecipeRunner) -> float | None:
        hour = runner.planned_induction_h
        return None if hour is None else self.now + (hour - runner.age_h(self.now)) * HOUR_S

    def _situation(self, previous: Plan | None) -> Situation | None:
        """Return what the optimiser is asked, or ``None`` while there is no batch to plan."""
        runner, feed = self._runner, self.feed
        if runner is None or feed is None or runner.state is not State.RUNNING:
            return None
        if not runner.inoculated:
            return None
        end = runner.planned_end_h
        if end is None or runner.age_h(self.now) >= end - NEAR_END_H:
            return None
        return Situation(
            now=self.now,
            batch_h=runner.age_h(self.now),
            end_h=end,
            induction_h=runner.planned_induction_h,
            induced=self._induced,
            feed_ml_per_h=feed.output * self._per,
            feeding=runner.feeding,
            previous=previous,
            recipe=runner.feed_profile(self.now),
        )

    def present(self) -> Course | None:
        """Return what is done to the vessel from now on if nobody changes anything.

        Whatever leads now goes on: a hand, a plan that is followed, or the recipe. Phases of the
        recipe whose beginning nobody knows are not foreseen.
        """
        runner, feed, plan = self._runner, self.feed, self._followed
        if runner is None or feed is None or not runner.inoculated:
            return None
        flow = runner.feed_profile(self.now)
        oxygen = ((self.now, self.do.setpoint),)
        if feed.target in (OFF, MANUAL) or feed.actual is LO:
            flow = ((self.now, feed.output * self._per),)
        elif plan is not None and feed.actual is OPTIMISER:
            flow = _line(plan, FEED)
        if plan is not None and self.do.actual is OPTIMISER:
            oxygen = _line(plan, DO)
        temperature = self._loops.get("temperature")
        warm = None if temperature is None else temperature.setpoint
        return Course(flow, oxygen, warm, self._induced_at(runner))

    @property
    def end(self) -> float | None:
        """When the batch is planned to end, s since 1970 UTC; ``None``: nobody knows."""
        runner = self._runner
        if runner is None or (hour := runner.planned_end_h) is None:
            return None
        return self.now + (hour - runner.age_h(self.now)) * HOUR_S

    # -- what people decide --------------------------------------------------------------------

    def switch(self, mode: AdvisorMode, now: float, *, under_way: bool) -> None:
        """Switch the optimiser; ``on`` puts its loops in OPTIMISER, otherwise the recipe leads.

        Where no batch is under way it moves no loop: the next batch begins with it.
        """
        self.advisor.set_mode(mode, now)
        self._give_back()
        if mode == "on" and under_way:
            for loop, _ in self.led:
                loop.target = OPTIMISER

    def accept(
        self, now: float, who: str, reason: str, feed: float | None, do: float | None
    ) -> Said:
        """Follow the suggestion that waits; ``feed`` in the loop's unit and ``do`` edit it.

        Raises:
            LookupError: none waits.
            RefusedError: a person has a loop that it would lead, or the recipe does not run.
        """
        runner = self._runner
        if runner is None or runner.state is not State.RUNNING:
            state = State.IDLE if runner is None else runner.state
            raise RefusedError(said("advice_held", reactor=self._name, state=word(state)))
        self.advisor.advice.waiting()
        for loop, _ in self.led:
            if loop.target in (OFF, MANUAL):
                mode = word(loop.target.name)
                raise RefusedError(said("advice_by_hand", loop=loop.name, mode=mode))
        flow = None if feed is None else feed * self._per
        suggestion = self.advisor.advice.accept(now, who, reason, flow, do)
        self.advisor.decided("accepted" if feed is None and do is None else "edited")
        for loop, _ in self.led:
            loop.target = OPTIMISER
        return suggestion.text

    def reject(self, now: float, who: str, reason: str) -> Said:
        """Drop the suggestion that waits.

        Raises:
            LookupError: none waits.
        """
        suggestion = self.advisor.advice.reject(now, who, reason)
        self.advisor.decided("rejected")
        return suggestion.text

    def _give_back(self) -> None:
        """Let the recipe lead again what the optimiser led."""
        for loop, _ in self.led:
            if loop.target is OPTIMISER:
                loop.target = CASCADE if isinstance(loop, Station) else AUTO


def _line(plan: Plan, name: str) -> tuple[tuple[float, float], ...]:
    column = plan.names.index(name)
    return tuple((t, row[column]) for t, row in zip(plan.times, plan.setpoints, strict=True))


def _stamp(settings: ReactorSettings, optimiser: "OptimiserSettings") -> str:
    """Return what names model and optimiser: with another one, nothing has been shown."""
    aside = {"promotion", "guardrail", "advice_every_s", "advice_hold_h"}
    model = None if settings.model is None else settings.model.model_dump(mode="json")
    table = [model, optimiser.model_dump(mode="json", exclude=aside)]
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()[:16]
