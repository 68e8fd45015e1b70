"""One vessel: what its guard, estimator, recipe, optimiser and loops do in a scan, in that order.

Pure but for its state: samples in, actuator values out. It never touches a device or a clock.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from controller.alarms.table import derived
from controller.assemble import build_guard
from controller.loops.kpi import SETTLING_H, LoopKpi
from controller.loops.loop import AUTO, CASCADE, OFF, OPTIMISER
from controller.loops.loops import Mode, PidLoop, RefusedError, Station, kept_tuning
from controller.outputs import Outputs
from controller.planning.advice_tags import AdviceTags
from controller.planning.advisor import AdvisorMode
from controller.planning.plan_record import PlanRecord
from controller.planning.planning import Planner
from controller.planning.seat import Seat
from controller.planning.trail import Trail
from controller.plant import Plant
from controller.plausible import build_plausible
from controller.recipes.facts import facts_of
from controller.recipes.file import RecipeError
from controller.recipes.progress import ABORTED, COMPLETE, HELD, RUNNING
from controller.recipes.recipe import Recipe, RecipeRunner, check
from controller.sensing.innovation_tags import InnovationTags
from controller.sensing.laboratory import Entry, Result
from controller.sensing.sensing import Sensing, estimated
from controller.tags import Derived
from controller.texts.said import said, word
from drivers.point import Sample
from historian.events import Event

RESTART_S = 60.0  # an outage up to this is taken up by itself


class Reactor(Outputs):
    """The control of one vessel.

    Args:
        name: ``R1``.
        plant: the checked plant file.
        tell: takes every event.
        planner: who makes plans, or ``None`` where there is no optimiser.
        lock_step: plant time waits for the plans.
    """

    def __init__(
        self,
        name: str,
        plant: Plant,
        tell: Callable[[Event], None],
        planner: Planner | None,
        *,
        lock_step: bool,
    ) -> None:
        super().__init__(name, plant, tell)
        self._plant = plant
        self._trail = Trail(self.loops, tell)
        self.settings = plant.settings.reactor[name]
        self.gas = plant.gas[name]
        self.plausible = build_plausible(name, plant)
        self.facts = facts_of(name, plant, self.loops)
        self.derived = Derived(name, self.loops, estimated(self.settings), derived(plant.settings))
        self.runner: RecipeRunner | None = None
        self.batch_id = ""
        self.recipe_path = ""
        self.stopped = False  # by a person's safe stop, until a person releases it
        self.sensing = Sensing(name, self.settings, self.actuators, tell)
        self.seat: Seat | None = None
        if self.settings.optimiser is not None and planner is not None:
            self.seat = Seat(
                name,
                self.settings,
                self.settings.optimiser,
                self.loops,
                self.sensing,
                self.plausible,
                self._trail,
                tell,
                planner,
                lock_step=lock_step,
                region=plant.regions.get(name),
            )
        self.advisor = None if self.seat is None else self.seat.advisor
        self._advice_tags = None if self.seat is None else AdviceTags(name)
        self._innovation_tags = InnovationTags(name)
        self._plan_record = self._new_plan_record(tell)
        self.kpis = self._new_kpis()
        self._measured = {n: loop.settings.measured or "" for n, loop in self.loops.items()}
        self._feed = self._feed_tag()
        self._induced = False
        self._dosing: Mapping[str, float] = {}  # what the recipe asked of dosing loops last
        self._feeding: Sequence[str] = ()  # loops that the recipe feeds through
        self._started = -math.inf
        self.now = 0.0
        self.interlock_trips = 0  # since the batch began, or the controller after a restart

    def _new_plan_record(self, tell: Callable[[Event], None]) -> PlanRecord | None:
        if self.seat is None or self.settings.model is None:
            return None
        seats = {column: loop for loop, column in self.seat.led}
        return PlanRecord(self.name, seats, self.settings.model.organism, tell)

    # -- one scan ------------------------------------------------------------------------------

    def step(self, now: float, dt: float, samples: Mapping[str, Sample]) -> dict[str, float]:
        """Return the value of every actuator for this scan, in its own unit.

        Args:
            now: s since 1970 UTC.
            dt: s since the last scan.
            samples: every tag of the reactor, of this scan.
        """
        self.now = now
        self._adopt(samples)
        if tripped := self._interlocks(now, samples):
            self.interlock_trips += len(tripped)
            self._hold_for(tripped, now)
        self.sensing.count(dt, self.held)
        if self.runner is not None and self.runner.inoculated:
            self.sensing.update(now, samples, self._induced, self._feed)
        self._run_recipe(now, samples)
        if self.seat is not None:
            self.seat.step(now, dt, samples, self.runner, induced=self._induced)
        if self._plan_record is not None and self.advisor is not None:
            self._plan_record.look(now, self.advisor.plan)
        values = self._move(now, dt, samples)
        if self.runner is not None and now - self._started >= SETTLING_H * 3600.0:
            for name, kpi in self.kpis.items():
                sample = samples.get(self._measured[name])
                value = math.nan if sample is None else sample.value
                kpi.update(self.loops[name].setpoint, value, dt)
        return values

    def _hold_for(self, tripped: Sequence[str], now: float) -> None:
        """Hold the recipe for an interlock that waits for a person: it would go on without him."""
        status = self.guard.interlocks.status()
        latched = [n for n in tripped if status[n].latched and status[n].bypass is None]
        if latched and self.runner is not None and self.runner.state is RUNNING:
            self.runner.hold(now, f"{latched[0]} waits for a person; reset it, then resume")

    def _run_recipe(self, now: float, samples: Mapping[str, Sample]) -> None:
        """Let the recipe set modes, setpoints and the feed it wants."""
        runner = self.runner
        if runner is None:
            return
        loops = self.loops
        away: list[str] = []
        given: dict[str, float] = {}
        for name in self._dosing:
            given[name] = loops[name].output
        for name in self._feeding:
            given[name] = loops[name].output
            if loops[name].actual is not CASCADE:
                away.append(name)
        out = runner.step(now, samples, self.sensing.values, given, away, self.sensing.culture)
        if self._started == math.inf and runner.inoculated:
            self._inoculated(now)
        setpoints, modes, feeds, doses, self._induced, events, blind = out
        for event in events:
            self._tell(event)
        self._trail.recipe(now, runner, out)
        for name, mode in modes.items():
            loop = loops[name]
            wanted = Mode[mode]
            if loop.target is OPTIMISER and wanted in (AUTO, CASCADE):
                continue  # the optimiser's seat; the recipe's value is what it sheds to
            loop.set_mode(wanted)
        for name, value in setpoints.items():
            loops[name].set_setpoint(value)
        for name, flow in doses.items():
            loops[name].remote = flow
            self._dosing = doses
        state = runner.state
        over = state is COMPLETE or state is ABORTED  # then nobody watches a feed
        feeding: list[str] = []
        for name, flow in feeds.items():
            feed = loops.get(name)
            if isinstance(feed, Station):
                feed.remote, feed.leader = 0.0 if over else flow, CASCADE
                feed.hold = "the recipe is held" if state is HELD else blind.get(name, "")
            if feed is not None and not over:
                feeding.append(name)
        self._feeding = feeding

    # -- batch ---------------------------------------------------------------------------------

    def start(self, recipe: Recipe, path: str, now: float, optimiser: AdvisorMode) -> None:
        """Begin a batch.

        Raises:
            RefusedError: one is running.
        """
        if self.runner is not None and self.under_way:
            state = word(self.runner.state)
            raise RefusedError(
                said("under_way", reactor=self.name, batch=self.batch_id, state=state)
            )
        if lines := check(recipe, self.facts):
            raise RecipeError(lines)
        self.sensing.forget(now)
        if self.advisor is not None:
            self.advisor.begin()
        self.runner, self.recipe_path = RecipeRunner(recipe, self.facts), path
        self._dosing, self._feeding, self.waiting = {}, (), {}
        self._induced, self._started, self.kpis = False, math.inf, self._new_kpis()
        self.runner.start(now)
        if self.runner.inoculated:
            self._inoculated(now)
        self.set_optimiser(optimiser)

    def _inoculated(self, now: float) -> None:
        """Begin to estimate and to count: the organism is in the vessel."""
        self.sensing.inoculated()
        self._started, self.interlock_trips = now, 0

    def set_optimiser(self, mode: AdvisorMode) -> None:
        """Switch the optimiser; ``on`` puts its loops in OPTIMISER, otherwise the recipe leads.

        Where no batch is under way it moves no loop: the next batch begins with it.

        Raises:
            RefusedError: the plant file gives this reactor none.
        """
        if self.seat is None:
            if mode == "off":
                return
            raise RefusedError(said("no_optimiser", reactor=self.name))
        self.seat.switch(mode, self.now, under_way=self.under_way)

    def batch(self) -> RecipeRunner:
        """Return the recipe's runner.

        Raises:
            RefusedError: there is none.
        """
        if self.runner is None:
            raise RefusedError(said("no_batch", reactor=self.name))
        return self.runner

    def command_recipe(self, action: str, now: float, reason: str) -> None:
        """Hold, resume, step or abort the batch.

        Raises:
            RefusedError: there is none.
            ValueError: it is not in a state for that.
        """
        runner = self.batch()
        if action == "hold":
            runner.hold(now, reason)
        elif action == "resume":
            runner.resume(now)
            self._dosing = {}
            for loop in self.loops.values():
                loop.target = self.waiting.pop(loop.name, loop.target)
        elif action == "step":
            runner.advance(now, reason)
        else:
            runner.abort(now, reason)

    def safe_stop(self) -> None:
        """Ask every loop for its safe value, and hold the recipe."""
        if self.runner is not None and self.runner.state is RUNNING:
            self.runner.hold(self.now, "safe stop")
        for loop in self.loops.values():
            loop.target = OFF

    def stop_until_released(self) -> None:
        """Stop as a person wants it: the optimiser is off, and only a person ends it.

        The modes that the loops had come back when somebody resumes the recipe.
        """
        self.set_optimiser("off")
        for loop in self.loops.values():
            if loop.target is not OFF:
                self.waiting.setdefault(loop.name, loop.target)
        self.safe_stop()
        self.stopped = True

    # -- what others see -----------------------------------------------------------------------

    def enter_result(self, entry: Entry, now: float, who: str) -> Result:
        """Take a result of the laboratory in, see ``Sensing.enter``."""
        began = self._started if self.batch_id else math.inf
        growing = self.runner is not None and self.runner.inoculated
        result = self.sensing.enter(entry, now, self.batch_id, began, who, growing=growing)
        if self.advisor is not None and not result.corrects and not result.below_limit:
            cv = self.sensing.laboratory.analytes[result.analyte].cv
            evidence = self.advisor.evidence
            evidence.assayed(result.analyte, result.t_sampled, result.value, cv)
        return result

    def record(self, now: float) -> list[Sample]:
        """Return the controller's own samples of this scan."""
        runner = self.runner
        if runner is None:
            own = self.derived.samples(now, math.nan, -1, {})
        else:
            own = self.derived.samples(
                now, runner.age_h(now), runner.phase_index, self.sensing.intervals
            )
        if self._advice_tags is not None and self.advisor is not None:
            own += self._advice_tags.samples(now, self.advisor)
        return own + self._innovation_tags.samples(now, self.sensing)

    def judged(self, now: float, samples: Mapping[str, Sample]) -> Mapping[str, Sample]:
        """Return ``samples`` and those of the controller's own that an alarm looks at."""
        own = self.derived.judged(now, {} if self.runner is None else self.sensing.intervals)
        return {**samples, **own} if own else samples

    def report(self) -> dict[str, Any]:
        """Return how the batch went as the controller saw it; units in the keys."""
        shedding = None if self.advisor is None else self.advisor.shedding
        return {
            "recipe": "" if self.runner is None else self.runner.recipe.name,
            "optimiser": self._optimiser_mode,
            "loops": {name: kpi.report() for name, kpi in self.kpis.items()},
            "estimated": self.sensing.report(),
            "interlock_trips": self.interlock_trips,
            "optimiser_plans": 0 if shedding is None else shedding.plans,
            "optimiser_sheds": 0 if shedding is None else shedding.sheds,
            "optimiser_late": 0 if shedding is None else shedding.late,
        }

    # -- restart -------------------------------------------------------------------------------

    def as_state(self, now: float) -> dict[str, Any]:
        """Return what a restart needs, as JSON."""
        return {
            "time": now,
            "batch_id": self.batch_id,
            "started": self._started if math.isfinite(self._started) else None,
            "induced": self._induced,
            "loops": {name: loop.as_state() for name, loop in self.loops.items()},
            "guard": self.guard.as_state(),
            "recipe": None if self.runner is None else self.runner.as_state(),
            **self.sensing.as_state(),
            "optimiser": "off" if self.advisor is None else self.advisor.mode,
            "advisor": None if self.advisor is None else self.advisor.as_state(),
            "stopped": self.stopped,
            "waiting": {name: mode.name for name, mode in self.waiting.items()},
        }

    def restore(self, state: Mapping[str, Any], now: float) -> str:
        """Continue after a crash as RELIABILITY §1 says, and return one line that says so.

        Doses are never replayed: what doses starts at 0. The feed goes to its fall-back, the recipe
        is HELD and the optimiser in shadow until an operator resumes. The other loops go back to
        AUTO from what the devices hold, if the outage was short; else they wait, what doses in OFF
        and the rest in MANUAL.

        Raises:
            ValueError: the state is damaged; nothing of it has been taken.
        """
        try:
            return self._restore(state, now)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{self.name}: {error!r}") from None

    def _restore(self, state: Mapping[str, Any], now: float) -> str:
        outage = max(0.0, now - float(state["time"]))
        short = outage <= RESTART_S
        guard = build_guard(self.name, self._plant, state["guard"], now)
        runner = None
        if state["recipe"] is not None:
            runner = RecipeRunner.from_state(self.facts, state["recipe"], now)
        take_sensing = self.sensing.restore(state, now)
        loops = {n: (Mode[s["mode"]], float(s["setpoint"])) for n, s in state["loops"].items()}
        tunings = {n: kept_tuning(s) for n, s in state["loops"].items()}
        started = -math.inf if state["started"] is None else float(state["started"])
        if runner is not None and not runner.inoculated:
            started = math.inf
        induced = bool(state["induced"])
        stopped = bool(state.get("stopped", False))  # an older version kept neither
        waiting = {n: Mode[mode] for n, mode in state.get("waiting", {}).items()}
        advisor = None
        if self.advisor is not None and state.get("advisor"):  # an older version kept none
            advisor = self.advisor.restore(state["advisor"])
        # Everything could be read: now take it.
        take_sensing()
        lost = "" if advisor is None else advisor()
        self.now, self.guard, self.runner, self._started = now, guard, runner, started
        self.batch_id, self._induced = str(state["batch_id"]), induced
        for name, (mode, setpoint) in loops.items():
            if name not in self.loops:
                continue
            loop = self.loops[name]
            waits = not stopped and loop.name in waiting  # since an outage before this one
            mode = waiting[loop.name] if waits else mode
            self._restore_loop(loop, mode, setpoint, short=short and not waits)
        if stopped:
            self.stopped, self.waiting = True, waiting
        text = f"{self.name}: back after {outage:.0f} s"
        if self.waiting:
            text += f": waiting for an operator: {', '.join(self.waiting)}"
        else:
            text += ": loops back in their modes"
        kept = [
            loop.keep_tuning(*tuned)
            for name, tuned in tunings.items()
            if tuned is not None and isinstance(loop := self.loops.get(name), PidLoop)
        ]
        text = "; ".join([text, *kept, *([lost] if lost else [])])
        if runner is None or runner.state is not HELD:
            return f"{text}; no batch under way"
        if self.advisor is not None and state["optimiser"] != "off":
            self.advisor.set_mode("shadow", now)
        return (
            f"{text}; feed on its fall-back, recipe HELD in phase {runner.phase}, "
            f"optimiser {self._optimiser_mode}; resume the recipe when the vessel is right"
        )

    @property
    def under_way(self) -> bool:
        """Whether a batch is running or HELD."""
        return self.runner is not None and self.runner.state in (RUNNING, HELD)

    @property
    def waits(self) -> bool:
        """Whether something stands still until a person says so."""
        held = self.runner is not None and self.runner.state is HELD
        return held or bool(self.waiting)

    # -- helpers -------------------------------------------------------------------------------

    @property
    def _optimiser_mode(self) -> AdvisorMode:
        return "off" if self.advisor is None else self.advisor.mode

    def _new_kpis(self) -> dict[str, LoopKpi]:
        bands = {n: loop.settings.band for n, loop in self.loops.items()}
        return {n: LoopKpi(band) for n, band in bands.items() if band is not None}

    def _feed_tag(self) -> str | None:
        name = self.settings.optimiser.feed_loop if self.settings.optimiser else "feed"
        feed = self.loops.get(name)
        return feed.tag.name if isinstance(feed, Station) else None
