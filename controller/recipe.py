"""The recipe runner: phases, setpoints, feed and doses of one batch, scan by scan.

Pure but for its state: time, samples and estimates in, what to ask of the loops out. It is
open-loop in its feed, so it is also what the optimiser falls back to and is measured against.
"""

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from controller.facts import PlantFacts
from controller.feeding import Constant
from controller.feeding import as_state as feed_state
from controller.feeding import from_state as feed_from_state
from controller.phase import DoseRun, Feed, Until, law_of, planned_end
from controller.recipe_file import (
    Dose,
    ModeName,
    Recipe,
    RecipeError,
    check,
    load_recipe,
    parse_recipe,
)
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

HOUR_S = 3600.0
PROFILE_S = 300.0  # how finely a feed profile is told to the optimiser
AHEAD_H = 24.0  # how far, where nobody knows when the batch ends


class State(StrEnum):
    """What a recipe is doing."""

    IDLE = "IDLE"
    RUNNING = "RUNNING"
    HELD = "HELD"
    ABORTED = "ABORTED"
    DONE = "DONE"


class RecipeOutput(NamedTuple):
    """What the recipe asks for in this scan.

    Attributes:
        setpoints: to write now, by loop, in the loop's unit; only those that change. The feed
            loop is never among them.
        modes: to request now, by loop; only those that change.
        feed_ml_per_h: what the recipe alone would feed now; while HELD, where it stopped;
            ``None``: no batch.
        doses: setpoint of every loop that the recipe doses through, in its unit; 0 when it does
            not.
        induced: from now on the organism makes product.
        events: phases, holds, doses.
    """

    setpoints: Mapping[str, float]
    modes: Mapping[str, ModeName]
    feed_ml_per_h: float | None
    doses: Mapping[str, float]
    induced: bool
    events: Sequence[Event]


class RecipeRunner:
    """Runs one recipe in one reactor.

    It asks and never insists: setpoints and modes are given when a phase begins or the recipe is
    resumed (a ramp: every scan), so what an operator changes in between stays.

    Args:
        recipe: what to run; `check` it first.
        facts: where to run it.

    Attributes:
        recipe: what it runs.
        state: what it is doing.
        message: why it is HELD or ABORTED; empty otherwise.
    """

    def __init__(self, recipe: Recipe, facts: PlantFacts) -> None:
        self.recipe = recipe
        self.state = State.IDLE
        self.message = ""
        self._facts = facts
        self._doses_at_rest = {p.dose.loop: 0.0 for p in recipe.phase if p.dose is not None}
        self._events: list[Event] = []
        self._clear(0.0)

    def _clear(self, now: float) -> None:
        """Be at the beginning of a batch."""
        self._now = self._started = now
        self._ended = math.nan
        self._dt = 1.0  # the last step, s
        self._index = 0
        self._entered = False
        self._phase_s = 0.0  # in this phase, without time HELD
        self._stretched = False  # somebody let this phase go on beyond its max_h
        self._until: Until | None = None
        self._law: Feed = Constant(0.0)
        self._law_s = 0.0  # since the law began, without time HELD
        self._setpoints: dict[str, float] = {}
        self._modes: dict[str, ModeName] = {}
        self._ramps: dict[str, tuple[float, float]] = {}  # target, the loop's unit per s
        self._doses: list[DoseRun] = []
        self._induced_h: float | None = None
        self._estimates: Mapping[str, float] = {}
        self._new_setpoints: dict[str, float] = {}
        self._new_modes: dict[str, ModeName] = {}

    # -- what people and the optimiser ask -----------------------------------------------------

    @property
    def phase(self) -> str:
        """Name of the phase."""
        return self.recipe.phase[self._index].name

    @property
    def phase_index(self) -> int:
        """Number of the phase, from 0."""
        return self._index

    @property
    def induced(self) -> bool:
        """Whether the product has been induced."""
        return self._induced_h is not None

    @property
    def feeding(self) -> bool:
        """Whether the recipe feeds by now."""
        return self._law.flow(self._law_s) > 0.0

    def age_h(self, now: float) -> float:
        """Return h since the start of the batch, HELD or not; at its end it stops."""
        if self.state is State.IDLE:
            return 0.0
        end = now if math.isnan(self._ended) else self._ended
        return max(0.0, end - self._started) / HOUR_S

    def phase_age_h(self, now: float) -> float:
        """Return h in this phase, without time HELD."""
        running = max(0.0, now - self._now) if self.state is State.RUNNING else 0.0
        return (self._phase_s + running) / HOUR_S

    @property
    def planned_end_h(self) -> float | None:
        """Batch age at which the last phase that ends will end, h; ``None``: nobody knows."""
        last = len(self.recipe.phase) - 1
        while last > 0 and self.recipe.phase[last].until is None:
            last -= 1
        return self._planned_end(last)

    @property
    def planned_induction_h(self) -> float | None:
        """Batch age at which induction happened or will happen, h; ``None``: nobody knows."""
        if self._induced_h is not None:
            return self._induced_h
        for i, phase in enumerate(self.recipe.phase):
            if phase.induces:
                return 0.0 if i == 0 else self._planned_end(i - 1)
        return None

    def feed_profile(self, now: float) -> tuple[tuple[float, float], ...]:
        """Return what the recipe alone would feed from ``now`` to the planned end.

        Pairs of s since 1970 and mL/h, rising in time. Phases whose beginning nobody knows yet
        are not foreseen: the present feed goes on until then.
        """
        ahead = 0.0 if self.state is State.HELD else max(0.0, now - self._now)
        law, law_s = self._law, self._law_s + ahead
        age = self.age_h(now)
        end = self.planned_end_h
        end = age + AHEAD_H if end is None else max(end, age)
        pairs: list[tuple[float, float]] = []
        t = age
        for i in range(self._index, len(self.recipe.phase)):
            stop = self._planned_end(i)
            stop = end if stop is None else min(max(stop, t), end)
            while t < stop:
                pairs.append((now + (t - age) * HOUR_S, law.flow(law_s)))
                step = min(PROFILE_S / HOUR_S, stop - t)
                t, law_s = t + step, law_s + step * HOUR_S
            if t >= end or i + 1 == len(self.recipe.phase):
                break
            following = law_of(
                self.recipe.phase[i + 1], law.flow(law_s), self._facts, self._estimates
            )
            if following is not None:
                law, law_s = following, 0.0
        pairs.append((now + (t - age) * HOUR_S, law.flow(law_s)))
        return tuple(pairs)

    # -- commands ------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """Begin a batch.

        Raises:
            ValueError: one is running or HELD.
        """
        self._only("start", State.IDLE, State.ABORTED, State.DONE)
        self._clear(now)
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
        self._report_unfinished(now, "are not given: the batch was aborted")
        self.state, self.message = State.ABORTED, reason
        self._end(now)
        self._law, self._law_s = Constant(0.0), 0.0
        self._tell(now, Kind.PHASE, f"aborted in phase {self.phase}: {reason}")

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
        if self.state is State.RUNNING:
            self._estimates = estimates
            self._count(now, applied or {})
            if not self._entered:
                self._begin(now)
                self._enter(now, 0)
            else:
                self._move_on(now, measured, estimates)
            if self.state is State.RUNNING and self._ramps:
                self._ramp()
            if self.state is State.RUNNING and self._doses:
                doses = self._dose()
        feed = None if self.state is State.IDLE else self._law.flow(self._law_s)
        setpoints, modes, events = self._new_setpoints, self._new_modes, self._events
        if setpoints:
            self._new_setpoints = {}
        if modes:
            self._new_modes = {}
        if events:
            self._events = []
        return RecipeOutput(setpoints, modes, feed, doses, self._induced_h is not None, events)

    def _count(self, now: float, applied: Mapping[str, float]) -> None:
        """Let the time since the last step pass."""
        dt = max(0.0, now - self._now)
        self._now = now
        if not self._entered or dt == 0.0:
            return
        self._dt = dt
        self._phase_s += dt
        self._law_s += dt
        for dose in self._doses:
            dose.pass_time(dt, applied.get(dose.loop))

    def _move_on(
        self, now: float, measured: Mapping[str, Sample], estimates: Mapping[str, float]
    ) -> None:
        """End the phase, or the batch, if it is time; hold it if it has lasted too long."""
        phase = self.recipe.phase[self._index]
        if self._until is None:
            if not self._doses and not self._ramps and self._phase_s >= phase.min_h * HOUR_S:
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
        flow = self._law.flow(self._law_s)
        self._index, self._phase_s, self._stretched = index, 0.0, False
        self._until = None if phase.until is None else Until(phase.until, self._facts)
        self._take(phase.setpoints, phase.loops)
        for loop, ramp in phase.ramps.items():
            self._ramps[loop] = (ramp.to, ramp.ramp_per_h / HOUR_S)
        law = law_of(phase, flow, self._facts, self._estimates)
        if law is not None:
            self._law, self._law_s = law, 0.0
        if phase.dose is not None:
            self._doses.append(DoseRun(phase.dose, self._facts))
        if phase.induces and self._induced_h is None:
            self._induced_h = self.age_h(now)
        number = f"{index + 1} of {len(self.recipe.phase)}"
        data: dict[str, object] = {"phase": phase.name, "index": index, "batch_h": self.age_h(now)}
        if law is not None:
            data["feed"] = feed_state(law)
        self._tell(now, Kind.PHASE, f"phase {phase.name} ({number}) began", data)
        if phase.until is None and phase.min_h == 0.0 and not self._doses and not self._ramps:
            self._finish(now)

    def _take(self, setpoints: Mapping[str, float], modes: Mapping[str, ModeName]) -> None:
        """Ask for setpoints and modes, once."""
        for loop, value in setpoints.items():
            if loop == self._facts.feed_loop:
                self._law, self._law_s = Constant(value), 0.0
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

    def _dose(self) -> Mapping[str, float]:
        """Return the setpoints of the dosing loops; through each loop one dose after the other."""
        wanted = dict(self._doses_at_rest)
        left: list[DoseRun] = []
        busy: set[str] = set()
        for dose in self._doses:
            if dose.complete:
                text = f"{dose.ml:g} mL were given through {dose.loop}"
                self._tell(self._now, Kind.NOTE, text, {"loop": dose.loop, "ml": dose.given})
                continue
            left.append(dose)
            if dose.loop not in busy:
                wanted[dose.loop] = dose.next(self._dt)
                busy.add(dose.loop)
        self._doses = left
        return wanted

    # -- ends ----------------------------------------------------------------------------------

    def _held(self, now: float, reason: str, kind: Kind) -> None:
        self.state, self.message = State.HELD, reason
        for dose in self._doses:
            dose.flow = 0.0
        self._tell(now, kind, f"held in phase {self.phase}: {reason}")

    def _finish(self, now: float) -> None:
        self._report_unfinished(now, "are not given: the batch is over")
        self.state = State.DONE
        self._end(now)
        self._tell(now, Kind.PHASE, f"done after {self.age_h(now):.2f} h")

    def _end(self, now: float) -> None:
        self._ended = now
        self._doses, self._ramps = [], {}

    def _report_unfinished(self, now: float, why: str) -> None:
        """Tell of every dose that will not be completed, and forget it."""
        for dose in self._doses:
            if dose.complete:
                continue
            given = f"{dose.given:.3g} of {dose.ml:g} mL were given through {dose.loop}"
            text = f"{given}; the rest {why}"
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

    def _planned_end(self, index: int) -> float | None:
        """Return the batch age at which phase ``index`` ends as far as time decides it, in h."""
        if index < self._index or (index == self._index and self.state is State.DONE):
            return None if index < self._index else self.age_h(self._now)
        until = self.recipe.phase[index].until
        if until is None:
            return None
        begins = self._planned_start(index)
        return planned_end(until, begins)

    def _planned_start(self, index: int) -> float | None:
        """Return the batch age at which ``index`` begins, without the time HELD in it, in h."""
        if index == self._index:
            return self.age_h(self._now) - self._phase_s / HOUR_S
        return self._planned_end(index - 1)

    # -- restart -------------------------------------------------------------------------------

    def as_state(self) -> dict[str, Any]:
        """Return everything as JSON, the recipe too."""
        return {
            "recipe": self.recipe.model_dump(mode="json", exclude_unset=True),
            "file": self.recipe.file,
            "state": self.state.value,
            "message": self.message,
            "started": self._started,
            "ended": None if math.isnan(self._ended) else self._ended,
            "index": self._index,
            "entered": self._entered,
            "phase_s": self._phase_s,
            "stretched": self._stretched,
            "feed": feed_state(self._law),
            "feed_s": self._law_s,
            "setpoints": dict(self._setpoints),
            "modes": dict(self._modes),
            "ramps": {loop: list(ramp) for loop, ramp in self._ramps.items()},
            "doses": [[d.loop, d.ml, d.ml_per_min, d.given] for d in self._doses],
            "induced_h": self._induced_h,
        }

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
        return runner

    def _restore(self, state: Mapping[str, Any], now: float) -> None:
        self._clear(float(state["started"]))
        self._now = now
        self._ended = math.nan if state["ended"] is None else float(state["ended"])
        self._index, self._entered = int(state["index"]), bool(state["entered"])
        phase = self.recipe.phase[self._index]
        if self._entered and phase.until is not None:
            self._until = Until(phase.until, self._facts)
        self._phase_s, self._stretched = float(state["phase_s"]), bool(state["stretched"])
        self._law, self._law_s = feed_from_state(state["feed"]), float(state["feed_s"])
        self._setpoints, self._modes = dict(state["setpoints"]), dict(state["modes"])
        self._ramps = {
            loop: (float(to), float(rate)) for loop, (to, rate) in state["ramps"].items()
        }
        self._induced_h = None if state["induced_h"] is None else float(state["induced_h"])
        self.state, self.message = State(state["state"]), str(state["message"])
        for loop, ml, ml_per_min, given in state["doses"]:
            wanted = Dose(loop=loop, ml=ml, ml_per_min=ml_per_min)
            dose = DoseRun(wanted, self._facts)
            dose.given = float(given)
            self._doses.append(dose)
        if self.state is State.RUNNING:
            self._held(
                now, "the controller was restarted; resume when the vessel is right", Kind.ALARM
            )
        self._report_unfinished(now, "are not given by itself after a restart")
