"""The recipe runner: phases, setpoints, feeds and doses of one batch, scan by scan.

Pure but for its state: time, samples and estimates in, what to ask of the loops out. It is
open-loop in its feeds, so it is also what the optimiser falls back to and is measured against.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from controller.facts import PlantFacts
from controller.feeding import Constant
from controller.feeding import as_state as feed_state
from controller.phase import DoseRun, Feed, Until, law_of
from controller.progress import HOUR_S, Progress, State
from controller.recipe_check import check
from controller.recipe_file import ModeName, Recipe, RecipeError, load_recipe, parse_recipe
from drivers.point import Sample
from historian.events import Event, Kind

__all__ = [
    "Recipe",
    "RecipeError",
    "RecipeOutput",
    "RecipeRunner",
    "State",
    "check",
    "load_recipe",
    "parse_recipe",
]

STUCK_S = 60.0  # a dose that does not move for this long is an alarm


class RecipeOutput(NamedTuple):
    """What the recipe asks for in this scan.

    Attributes:
        setpoints: to write now, by loop, in the loop's unit; only those that change. Feeds are
            never among them.
        modes: to request now, by loop; only those that change.
        feeds: what the recipe alone would feed now, by loop, in its unit; while HELD, where it
            stopped; empty: no batch.
        doses: setpoint of every loop that the recipe doses through, in its unit; 0 when it does
            not.
        induced: from now on the organism makes product.
        events: phases, holds, doses.
    """

    setpoints: Mapping[str, float]
    modes: Mapping[str, ModeName]
    feeds: Mapping[str, float]
    doses: Mapping[str, float]
    induced: bool
    events: Sequence[Event]


class RecipeRunner(Progress):
    """Runs one recipe in one reactor.

    It asks and never insists: setpoints and modes are given when a phase begins or the recipe is
    resumed (a ramp: every scan), so what an operator changes in between stays.

    Args:
        recipe: what to run; `check` it first.
        facts: where to run it.
    """

    def __init__(self, recipe: Recipe, facts: PlantFacts) -> None:
        super().__init__(recipe, facts)
        self._doses_at_rest = {d.loop: 0.0 for p in recipe.phase for d in p.doses}
        self._new_setpoints: dict[str, float] = {}
        self._new_modes: dict[str, ModeName] = {}
        self._events: list[Event] = []

    # -- commands ------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """Begin a batch.

        Raises:
            ValueError: one is running or HELD.
        """
        self._only("start", State.IDLE, State.ABORTED, State.DONE)
        self._clear(now)
        self._new_setpoints, self._new_modes = {}, {}
        self.state, self.message = State.RUNNING, ""

    def hold(self, now: float, reason: str) -> None:
        """Stop where it is: phase time stands still, doses stop, the feed is the plant's.

        Raises:
            ValueError: it is not running.
        """
        self._only("hold", State.RUNNING)
        self._count(now, {})
        self._held(now, reason, Kind.PHASE)

    def resume(self, now: float) -> None:
        """Go on where it was held, with the recipe's setpoints and modes.

        Where a phase was held because it lasted too long, it may now last as long as it takes.

        Raises:
            ValueError: it is not held.
        """
        self._only("resume", State.HELD)
        self.state, self.message, self._now = State.RUNNING, "", now
        self._stretched = self._stretched or self._overdue()
        if self._until is not None:
            self._until.restart()
        self._new_setpoints.update(self._setpoints)
        self._new_modes.update(self._modes)
        self._tell(now, Kind.PHASE, f"resumed in phase {self.phase}")

    def abort(self, now: float, reason: str) -> None:
        """End the batch for good: no feed, no dose. The loops keep what they have.

        Raises:
            ValueError: no batch is running or HELD.
        """
        self._only("abort", State.RUNNING, State.HELD)
        if self.state is State.RUNNING:
            self._count(now, {})
        self._report_unfinished(now, "is not given: the batch was aborted")
        self.state, self.message = State.ABORTED, reason
        self._end(now)
        for loop in self._laws:
            self._feed_by(loop, Constant(0.0))
        self._tell(now, Kind.PHASE, f"aborted in phase {self.phase}: {reason}")

    @property
    def ramping(self) -> bool:
        """Whether a setpoint is being ramped."""
        return bool(self._ramps)

    def release(self, loop: str) -> None:
        """Let go of a setpoint that somebody else has taken: its ramp ends."""
        self._ramps.pop(loop, None)

    # -- one scan ------------------------------------------------------------------------------

    def step(
        self,
        now: float,
        measured: Mapping[str, Sample],
        estimates: Mapping[str, float],
        applied: Mapping[str, float] | None = None,
    ) -> RecipeOutput:
        """Return what the recipe asks for.

        Args:
            now: s since 1970 UTC.
            measured: samples by tag name.
            estimates: by name; missing or not finite where nobody knows.
            applied: what the dosing loops really gave since the last step, in their units, where
                it may differ from what was asked for; a dose goes on until it is complete.
        """
        doses: Mapping[str, float] = self._doses_at_rest
        self._count(now, applied or {})
        if self.state is State.RUNNING:
            self._estimates = estimates
            if not self._entered:
                self._begin(now)
                self._enter(now, 0)
            else:
                self._move_on(now, measured, estimates)
            if self.state is State.RUNNING and self._ramps:
                self._ramp()
            if self.state is State.RUNNING and self._due:
                self._fall_due()
            if self.state is State.RUNNING and self._doses:
                doses = self._dose()
        feeds: dict[str, float] = {}
        if self.state is not State.IDLE:
            feeds = {loop: self._flow(loop) / unit for loop, unit in self._units.items()}
        setpoints, modes, events = self._new_setpoints, self._new_modes, self._events
        if setpoints:
            self._new_setpoints = {}
        if modes:
            self._new_modes = {}
        if events:
            self._events = []
        return RecipeOutput(setpoints, modes, feeds, doses, self._induced_h is not None, events)

    def _count(self, now: float, applied: Mapping[str, float]) -> None:
        """Let the time since the last step pass."""
        dt = max(0.0, now - self._now)
        self._now = now
        if not self._entered or dt == 0.0:
            return
        running = self.state is State.RUNNING
        if running:
            self._dt = dt
            self._phase_s += dt
            for loop in self._law_s:
                self._law_s[loop] += dt
        for dose in self._doses:  # what was asked for before a hold ran until this scan
            moved = dose.stuck_s < STUCK_S
            dose.pass_time(dt, applied.get(dose.loop))
            dose.flow = dose.flow if running else 0.0
            if moved and dose.stuck_s >= STUCK_S:
                text = f"nothing goes through {dose.loop}: {dose.so_far} so far"
                self._tell(now, Kind.ALARM, text, {"loop": dose.loop, "given_ml": dose.given})

    def _move_on(
        self, now: float, measured: Mapping[str, Sample], estimates: Mapping[str, float]
    ) -> None:
        """End the phase, or the batch, if it is time; hold it if it has lasted too long."""
        phase = self.recipe.phase[self._index]
        if self._until is None:
            if self._idle and self._phase_s >= phase.min_h * HOUR_S:
                self._finish(now)
            return
        batch_s = now - self._started
        met = self._until.met(now, batch_s, self._phase_s, measured, estimates)
        if met and self._phase_s >= phase.min_h * HOUR_S:
            if self._index + 1 < len(self.recipe.phase):
                self._enter(now, self._index + 1)
            else:
                self._finish(now)
        elif self._overdue() and not self._stretched:
            reason = (
                f"phase {phase.name} has lasted {phase.max_h:g} h, its max_h, and has not ended; "
                "resume it to let it go on, or abort"
            )
            self._held(now, reason, Kind.ALARM)

    @property
    def _idle(self) -> bool:
        """Whether nothing of the phase is under way or still to come."""
        return not (self._doses or self._ramps or any(due is not None for due in self._due))

    def _overdue(self) -> bool:
        most = self.recipe.phase[self._index].max_h
        return most is not None and self._phase_s >= most * HOUR_S

    def _begin(self, now: float) -> None:
        """Take what holds from the start of the batch."""
        start = self.recipe.start
        self._take(start.setpoints, start.loops)
        self._entered = True

    def _enter(self, now: float, index: int) -> None:
        """Begin a phase."""
        phase = self.recipe.phase[index]
        self._index, self._phase_s, self._stretched = index, 0.0, False
        self._until = None if phase.until is None else Until(phase.until, self._facts)
        self._take(phase.setpoints, phase.loops)
        for loop, ramp in phase.ramps.items():
            self._ramps[loop] = (ramp.to, ramp.ramp_per_h / HOUR_S)
        begun: dict[str, object] = {}
        for loop in self._laws:
            law = law_of(loop, phase, self._flow(loop), self._facts, self._estimates)
            if law is not None:
                self._feed_by(loop, law)
                begun[loop] = feed_state(law)
        self._due = [dose.at_h for dose in phase.doses]
        self._fall_due()
        if phase.induces and self._induced_h is None:
            self._induced_h = self.age_h(now)
        number = f"{index + 1} of {len(self.recipe.phase)}"
        data: dict[str, object] = {"phase": phase.name, "index": index, "batch_h": self.age_h(now)}
        if begun:
            data["feeds"] = begun
        self._tell(now, Kind.PHASE, f"phase {phase.name} ({number}) began", data)
        if phase.until is None and phase.min_h == 0.0 and self._idle:
            self._finish(now)

    def _take(self, setpoints: Mapping[str, float], modes: Mapping[str, ModeName]) -> None:
        """Ask for setpoints and modes, once."""
        for loop, value in setpoints.items():
            if loop in self._units:
                self._feed_by(loop, Constant(value * self._units[loop]))
                continue
            self._ramps.pop(loop, None)
            self._setpoints[loop] = self._new_setpoints[loop] = value
        for loop, mode in modes.items():
            self._modes[loop] = self._new_modes[loop] = mode

    def _ramp(self) -> None:
        """Move every ramped setpoint by one step."""
        for loop, (target, rate) in list(self._ramps.items()):
            value, step = self._setpoints[loop], rate * self._dt
            value = min(max(target, value - step), value + step)
            self._setpoints[loop] = self._new_setpoints[loop] = value
            if value == target:
                del self._ramps[loop]

    def _feed_by(self, loop: str, law: Feed) -> None:
        """Move a feed by ``law`` from now on."""
        self._laws[loop], self._law_s[loop] = law, 0.0

    def _fall_due(self) -> None:
        """Begin the doses of this phase whose time has come."""
        hours = self._phase_s / HOUR_S
        for k, dose in enumerate(self.recipe.phase[self._index].doses):
            due = self._due[k]
            if due is not None and hours >= due - 1e-9:
                self._doses.append(DoseRun(dose, self._facts))
                self._due[k] = None if dose.every_h is None else due + dose.every_h

    def _dose(self) -> Mapping[str, float]:
        """Return the setpoints of the dosing loops; through each loop one dose after the other."""
        wanted = dict(self._doses_at_rest)
        left: list[DoseRun] = []
        busy: set[str] = set()
        for dose in self._doses:
            if dose.complete:
                text = f"{dose.wanted} were given through {dose.loop}"
                self._tell(self._now, Kind.NOTE, text, {"loop": dose.loop, "ml": dose.given})
                continue
            left.append(dose)
            dose.flow = 0.0
            if dose.loop not in busy:
                wanted[dose.loop] = dose.next(self._dt)
                busy.add(dose.loop)
        self._doses = left
        return wanted

    # -- ends ----------------------------------------------------------------------------------

    def _held(self, now: float, reason: str, kind: Kind) -> None:
        self.state, self.message = State.HELD, reason
        self._tell(now, kind, f"held in phase {self.phase}: {reason}")

    def _finish(self, now: float) -> None:
        self._report_unfinished(now, "is not given: the batch is over")
        self.state = State.DONE
        self._end(now)
        self._tell(now, Kind.PHASE, f"done after {self.age_h(now):.2f} h")

    def _end(self, now: float) -> None:
        self._ended = now
        self._doses, self._due, self._ramps = [], [], {}

    def _report_unfinished(self, now: float, why: str) -> None:
        """Tell of every dose that will not be completed, and forget it."""
        for dose in self._doses:
            if dose.complete:
                continue
            text = f"{dose.so_far} through {dose.loop} were given; the rest {why}"
            self._tell(now, Kind.ALARM, text, {"loop": dose.loop, "given_ml": dose.given})
        self._doses = []

    def _only(self, action: str, *states: State) -> None:
        if self.state not in states:
            allowed = ", ".join(states)
            raise ValueError(
                f"{self._facts.reactor}: {action} is not allowed while the recipe is "
                f"{self.state}; it must be {allowed}"
            )

    def _tell(
        self, now: float, kind: Kind, text: str, data: Mapping[str, object] | None = None
    ) -> None:
        who = f"recipe {self.recipe.name}: {text}"
        self._events.append(Event(now, "recipe", kind, self._facts.reactor, who, data or {}))

    # -- restart -------------------------------------------------------------------------------

    @classmethod
    def from_state(cls, facts: PlantFacts, state: Mapping[str, Any], now: float) -> "RecipeRunner":
        """Return a runner that is where ``as_state`` was, HELD if it was running.

        A dose that was under way is not continued: what was given is told in an event.

        Raises:
            ValueError: the state is damaged or its recipe does not fit the plant any more.
        """
        try:
            recipe = parse_recipe(state["recipe"], str(state["file"]))
            if lines := check(recipe, facts):
                raise RecipeError(lines)
            runner = cls(recipe, facts)
            runner._restore(state, now)
        except (KeyError, TypeError, IndexError) as error:
            raise ValueError(f"{facts.reactor}: recipe state: damaged: {error!r}") from None
        if runner.state is State.RUNNING:
            why = "the controller was restarted; resume when the vessel is right"
            runner._held(now, why, Kind.PHASE)  # its alarm is that of the restart
        runner._report_unfinished(now, "is not given by itself after a restart")
        return runner
