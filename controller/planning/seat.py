"""The optimiser's seat in a reactor: what it is asked, which loops it leads, and how far."""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from controller.loops.loop import AUTO, CASCADE, LO, MANUAL, OFF, OPTIMISER
from controller.loops.loops import Loop, PidLoop, RefusedError, Station
from controller.planning.advisor import Advisor, AdvisorMode, under
from controller.planning.carried import Carried
from controller.planning.evidence import Now
from controller.planning.outlook import Course, Line
from controller.planning.plan import FLOWS, SETPOINTS, UNITS, Plan, Situation, column
from controller.planning.planning import Planner
from controller.planning.trail import Trail
from controller.plant_file.settings import ReactorSettings
from controller.plant_file.units import ML_PER_H
from controller.plausible import Plausible
from controller.recipes.recipe import RecipeRunner, State
from controller.run_to_run import Region
from controller.sensing.sensing import Sensing
from controller.texts.said import Said, said, word
from drivers.point import BAD, UNCERTAIN, Sample
from historian.events import Event, Kind
from models.vessels import GAS_L_PER_MIN, LIQUID_L_PER_H

if TYPE_CHECKING:
    from controller.plant_file.settings import OptimiserSettings

HOUR_S = 3600.0
FEED, DO = SETPOINTS
NEAR_END_H = 0.02
AGITATION, STIRRER = "agitation", "stirrer"  # the loop, and the input of a control model


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
        region: around what batches have tried, ``None``: nothing is known of it.
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
        region: Region | None = None,
    ) -> None:
        self.advisor = Advisor(
            name,
            optimiser,
            planner,
            lock_step=lock_step,
            stamp=_stamp(settings, optimiser),
            region=region,
        )
        self._name, self._measured = name, settings.measured
        self._loops, self._sensing, self._plausible = loops, sensing, plausible
        self._trail, self._tell = trail, tell
        feed = loops[optimiser.feed_loop]
        self.feed = feed if isinstance(feed, Station) else None
        self.do = loops[optimiser.do_loop]
        self._per = ML_PER_H.get(feed.unit, 1.0)  # mL/h of one of the feed's unit
        cooling = None if settings.economy is None else settings.economy.cooling
        self._carried = Carried(settings.measured["temperature"], cooling) if cooling else None
        self.led: list[tuple[Loop, str]] = [
            (loops[name], FEED if name == optimiser.feed_loop else column(name))
            for name in settings.planned
        ]
        self._width = {name: _width(loop, name, optimiser) for loop, name in self.led}
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
        if self._carried is not None:
            self._carried.step(dt, samples)
        if advisor.mode == "off" and self._followed is None and not advisor.leads:
            self._unseat("")
            return
        led = advisor.leads
        if runner is not None and runner.state is State.RUNNING and runner.feeding:
            bad, uncertain = self._inputs(samples)
            seen = self._seen(now, dt, samples)
            plan = advisor.step(now, self._sensing.estimate, self._situation, bad, seen)
            advisor.guardrail.judge(now, self._sensing.estimate, uncertain)
        else:
            state = State.IDLE if runner is None else runner.state
            waits = (
                "the recipe does not feed" if state is State.RUNNING else f"the recipe is {state}"
            )
            advisor.rest(waits)
        self._news(now)
        if led and not advisor.leads:
            self._give_back()
        self._trail.plan(now, plan, self.led, advisor.shedding.reason)
        self._followed = plan
        if plan is None:
            self._unseat(advisor.shedding.reason or "no plan yet")
            return
        for loop, name in self.led:
            if name in plan.names:
                self._lead(loop, name, plan.at(now, name))

    def _lead(self, loop: Loop, name: str, value: float) -> None:
        """Set one loop's setpoint, within the guardrails where nobody has looked at it."""
        fed = name.endswith(FLOWS)
        if fed:
            value /= ML_PER_H.get(loop.unit, 1.0)
        if self.advisor.mode == "on":
            own = loop.remote or 0.0 if fed else self._own(loop)
            guardrail = self.advisor.guardrail
            value = guardrail.confine(own, value, self._width[name])
            if self._runner is not None:
                key, hour = loop.name.partition(".")[2], self._runner.age_h(self.now)
                value = guardrail.tried(key, hour, own, value)
        loop.remote, loop.leader = value, OPTIMISER

    def _own(self, loop: Loop) -> float:
        """Return the setpoint that the recipe wants of what it does not feed through."""
        runner = self._runner
        wanted = None if runner is None else runner.setpoint(loop.name.partition(".")[2])
        return loop.local if wanted is None or isinstance(loop, PidLoop) else wanted

    def _unseat(self, why: str) -> None:
        self.advisor.guardrail.at_edge.clear()
        for loop, name in self.led:
            if isinstance(loop, PidLoop):
                loop.remote = None
            elif not name.endswith(FLOWS) and loop.target is OPTIMISER:
                loop.remote, loop.leader = self._own(loop), CASCADE
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
        """Return what is not to be planned on, and what is UNCERTAIN; empty where nothing is."""
        uncertain = ""
        for tag in self._measured.values():
            sample = samples.get(tag)
            if sample is None or sample.quality is BAD:  # UNCERTAIN ages the estimate
                return f"{tag} is {'missing' if sample is None else 'BAD'}", tag
            if tag in self._plausible.stuck:
                return f"{tag} is stuck", tag
            if tag in self._plausible.disputed:
                return said("is_disputed", tag=tag), tag
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
            present=self.present,
            inputs=self._applied,
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
        age = runner.age_h(self.now)
        end = age + (runner.fed_until(self.now) - self.now) / HOUR_S
        if runner.planned_end_h is None or age >= end - NEAR_END_H:
            return None
        return Situation(
            now=self.now,
            batch_h=age,
            end_h=end,
            induced=self._induced,
            previous=previous,
            applied=self._applied(),
            profiles=self._profiles(runner),
            carried=None if self._carried is None else self._carried.means,
        )

    def _applied(self) -> dict[str, float]:
        """Return what every loop is set to now, as an input of a control model has it.

        What an interlock holds, or has let go, counts as the plan that is followed has it, since
        it goes back to that: a plan that began at a feed of nothing would take hours.
        """
        found: dict[str, float] = {}
        for name, loop in self._loops.items():
            if isinstance(loop, Station):
                per = LIQUID_L_PER_H.get(loop.unit) or GAS_L_PER_MIN.get(loop.unit, 1.0)
                value = self._planned(loop) if _held(loop) else None
                value = loop.output if value is None else value
                found[STIRRER if name == AGITATION else name] = value * per
            elif name in UNITS:
                found[name] = loop.setpoint
        return found

    def _planned(self, loop: Loop) -> float | None:
        """Return what the plan that is followed wants of a loop now, in its unit."""
        name = next((name for other, name in self.led if other is loop), "")
        plan = self._followed
        if plan is None or loop.target is not OPTIMISER or name not in plan.names:
            return None
        per = ML_PER_H.get(loop.unit, 1.0) if name.endswith(FLOWS) else 1.0
        return plan.at(self.now, name) / per

    def _profiles(self, runner: RecipeRunner) -> dict[str, Line]:
        """Return what the recipe alone would set of each loop, likewise."""
        found: dict[str, Line] = {}
        for name, line in runner.profiles(self.now).items():
            per = LIQUID_L_PER_H.get(self._loops[name].unit, 1.0)
            found[name] = tuple((t, v * per) for t, v in line)
        return found

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
        temperature = self._loops.get("temperature")
        warm = None if temperature is None else temperature.setpoint
        inputs: dict[str, Line] = {n: ((self.now, v),) for n, v in self._applied().items()}
        inputs |= self._profiles(runner)
        course = Course(flow, oxygen, warm, self._induced_at(runner), inputs)
        if plan is None:
            return course
        led = [name for loop, name in self.led if loop.actual is OPTIMISER and name in plan.names]
        return under(plan, course, led)

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
            if loop.target is not OPTIMISER:
                continue
            if CASCADE in loop.modes and isinstance(loop, Station):
                loop.target = CASCADE
            else:
                loop.target, loop.local = AUTO, self._own(loop)


def _width(loop: Loop, name: str, optimiser: "OptimiserSettings") -> float:
    """Return the guardrail's width to either side, in the loop's unit."""
    own, s = optimiser.guardrail, loop.settings
    if name == FEED and own.feed_ml_per_h is not None:
        return own.feed_ml_per_h / ML_PER_H.get(loop.unit, 1.0)
    if name == DO and own.do_percent is not None:
        return own.do_percent
    return s.setpoint_high - s.setpoint_low


def _stamp(settings: ReactorSettings, optimiser: "OptimiserSettings") -> str:
    """Return what names model and optimiser: with another one, nothing has been shown."""
    aside = {"promotion", "guardrail", "advice_every_s", "advice_hold_h"}
    model = None if settings.model is None else settings.model.model_dump(mode="json")
    economy = None if settings.economy is None else settings.economy.model_dump(mode="json")
    table = [model, optimiser.model_dump(mode="json", exclude=aside), economy]
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()[:16]


def _held(loop: Station) -> bool:
    """Whether an interlock has a loop elsewhere than it was set, or it comes back from there."""
    return loop.actual is LO or (loop.cut is not None and loop.cut.returning)
