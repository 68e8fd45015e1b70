"""The recipe runner: phases, setpoints, feeds and doses of one batch, scan by scan.

Pure but for its state: time, samples and estimates in, what to ask of the loops out. It is what
the optimiser falls back to and is measured against.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from controller.recipes.check import check
from controller.recipes.course import Course
from controller.recipes.edit import forbidden
from controller.recipes.facts import PlantFacts
from controller.recipes.file import ModeName, Recipe, RecipeError, load_recipe, parse_recipe
from controller.recipes.progress import ABORTED, COMPLETE, HELD, HOUR_S, IDLE, RUNNING, State
from controller.recipes.transition import Seen
from controller.sensing.culture import Culture
from controller.texts.said import said, word
from drivers.point import Sample, quick
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
        blind: feeds whose law cannot see what it goes by, and why, by loop: for their fall-back.
    """

    setpoints: Mapping[str, float]
    modes: Mapping[str, ModeName]
    feeds: Mapping[str, float]
    doses: Mapping[str, float]
    induced: bool
    events: Sequence[Event]
    blind: Mapping[str, str]


class RecipeRunner(Course):
    """Runs one recipe in one reactor.

    It asks and never insists: setpoints and modes are given when a phase begins or the recipe is
    resumed (a ramp: every scan), so what an operator changes in between stays.

    Args:
        recipe: what to run; `check` it first.
        facts: where to run it.
    """

    # -- commands ------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """Begin a batch.

        Raises:
            ValueError: one is running or HELD.
        """
        self._only("start", IDLE, ABORTED, COMPLETE)
        self._clear(now)
        self._new_setpoints, self._new_modes = {}, {}
        self.state, self.message = RUNNING, ""

    def hold(self, now: float, reason: str) -> None:
        """Stop where it is: phase time stands still, doses stop, the feed is the plant's.

        Raises:
            ValueError: it is not running.
        """
        self._only("hold", RUNNING)
        self._count(now, {})
        self._held(now, reason, Kind.PHASE)

    def resume(self, now: float) -> None:
        """Go on where it was held, with the recipe's setpoints and modes.

        Where a phase was held because it lasted too long, it may now last as long as it takes.

        Raises:
            ValueError: it is not held.
        """
        self._only("resume", HELD)
        self.state, self.message, self._now = RUNNING, "", now
        self._stretched = self._stretched or self._phase_s >= self._most_s
        for watched in (self._until, self._hold_if, self._abort_if):
            if watched is not None:
                watched.restart()
        self._new_setpoints.update(self._setpoints)
        self._new_modes.update(self._modes)
        self._turned(now, Kind.PHASE, said("phase_resumed", phase=self.phase))

    def abort(self, now: float, reason: str) -> None:
        """End the batch for good: no feed, no dose. The loops keep what they have.

        Raises:
            ValueError: no batch is running or HELD.
        """
        self._only("abort", RUNNING, HELD)
        if self.state is RUNNING:
            self._count(now, {})
        self._abort(now, reason, Kind.PHASE)

    def confirm(self, now: float, who: str) -> None:
        """Take a person's yes to `question`.

        Raises:
            ValueError: it is not running, or asks nothing.
        """
        self._only("confirm", RUNNING)
        if not self.question or self._until is None:
            raise ValueError(said("asks_nothing", reactor=self._facts.reactor, phase=self.phase))
        text = said("phase_confirmed", phase=self.phase, who=who, question=self.question)
        self._until.confirm()
        self._tell(now, Kind.PHASE, text)

    def advance(self, now: float, reason: str) -> None:
        """Leave this phase for the next, or end the batch with the last, whatever it waits for.

        Raises:
            ValueError: it is not running, or has not begun its first phase.
        """
        self._only("step", RUNNING)
        if not self._entered:
            raise ValueError(said("not_begun", reactor=self._facts.reactor))
        self._count(now, {})
        self._report_unfinished(now, said("rest.left", phase=self.phase))
        self._tell(now, Kind.PHASE, said("phase_left", phase=self.phase, why=reason))
        self._next(now)

    def edit(self, recipe: Recipe, now: float, reason: str) -> None:
        """Go on by another version of the recipe.

        What has changed of this phase holds from now on: setpoints and modes are asked for once
        more, conditions begin anew, and a feed law takes over from the flow as it is.

        Raises:
            ValueError: no batch is running or HELD.
            RecipeError: it changes what has been done, or does not fit the plant; a line each.
        """
        self._only("edit", RUNNING, HELD)
        lines = [f"{recipe.file}: {line}" for line in forbidden(self.recipe, recipe, self._index)]
        if lines := lines or check(recipe, self._facts):
            raise RecipeError(lines)
        if self.state is RUNNING:
            self._count(now, {})
        self._edit(recipe)
        if self.state is HELD:  # they are asked for when it is resumed
            self._new_setpoints, self._new_modes = {}, {}
        text = said("goes_on_by", version=self.version, why=reason)
        self._tell(now, Kind.PHASE, text, {"version": self.version, "recipe": recipe.table})

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
        away: Collection[str] = (),
        culture: Callable[[], Culture] = Culture,
    ) -> RecipeOutput:
        """Return what the recipe asks for.

        Args:
            now: s since 1970 UTC.
            measured: samples by tag name.
            estimates: by name; missing or not finite where nobody knows.
            applied: what the dosing loops and feeds really gave since the last step, in their
                units, where it may differ from what was asked for; a dose goes on until it is
                complete.
            away: feeds that somebody else moves now: a hand, an interlock, the optimiser.
            culture: gives the cells, as estimated, to a feed that looks at them.
        """
        doses: Mapping[str, float] = self._doses_at_rest
        applied, before = applied or {}, self._now
        self._feeds.given(applied)
        self._count(now, applied)
        if self.state is RUNNING:
            self._estimates = estimates
            if not self._entered:
                self._begin(now)
                self._enter(now, 0)
            else:
                age = self.age_h(now) * HOUR_S
                seen = (now, age, self._phase_s, measured, estimates, self._given)
                self._move_on(now, quick(Seen, seen))
            if self.state is RUNNING:
                if self._ramps:
                    self._ramp()
                if self._due:
                    self._fall_due()
                if self._doses:
                    doses = self._dose(measured)
        state, feeds = self.state, dict[str, float]()
        if self._feeds.looking and (state is RUNNING or state is HELD):
            others = away if state is RUNNING else self._feeds.laws
            self._feeds.see(max(0.0, now - before), measured, applied, others, culture())
        if state is not IDLE:
            feeds = self._feeds.ask()
        setpoints, modes, events = self._new_setpoints, self._new_modes, self._events
        if setpoints:
            self._new_setpoints = {}
        if modes:
            self._new_modes = {}
        if events:
            self._events = []
        induced, blind = self._induced_h is not None, self._feeds.blind
        return quick(RecipeOutput, (setpoints, modes, feeds, doses, induced, events, blind))

    def _move_on(self, now: float, seen: Seen) -> None:
        """End the phase, or the batch, if it is time; hold it if it has lasted too long."""
        if self._abort_if is not None and self._abort_if.met(seen):
            why = self.recipe.phase[self._index].abort_if
            self._report_unfinished(now, said("rest.aborted"))
            self._abort(now, str(why), Kind.ALARM)
            return
        if self._hold_if is not None and self._hold_if.met(seen):
            why = self.recipe.phase[self._index].hold_if
            self._held(now, said("hold_if", when=str(why)), Kind.ALARM)
            return
        if self._until is None:
            if self._idle and self._phase_s >= self._least_s:
                self._finish(now)
            return
        met = self._until.met(seen)
        if (question := self.question) != self._asked:
            self._asked = question
            if question:
                self._tell(now, Kind.PHASE, said("phase_asks", phase=self.phase, question=question))
        if met and self._phase_s >= self._least_s:
            self._next(now)
        elif self._phase_s >= self._most_s and not self._stretched:
            phase = self.recipe.phase[self._index]
            reason = said("phase_too_long", phase=phase.name, h=phase.max_h)
            self._held(now, reason, Kind.ALARM)

    def _next(self, now: float) -> None:
        """Begin the next phase, or end the batch with the last."""
        if self._index + 1 < len(self.recipe.phase):
            self._enter(now, self._index + 1)
        else:
            self._finish(now)

    def _only(self, action: str, *states: State) -> None:
        if self.state not in states:
            now = {"action": word(action), "state": word(self.state)}
            allowed = [word(state) for state in states]
            raise ValueError(
                said("recipe_state", reactor=self._facts.reactor, **now, allowed=allowed)
            )

    # -- restart -------------------------------------------------------------------------------

    @classmethod
    def from_state(cls, facts: PlantFacts, state: Mapping[str, Any], now: float) -> "RecipeRunner":
        """Return a runner that is where ``as_state`` was, HELD if it was running.

        A dose that was under way is not continued: what was given is told in an event. One that
        a weight ends goes on when a person resumes: the scales know how much is there.

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
        if runner.state is RUNNING:
            runner._held(now, said("restarted"), Kind.PHASE)  # its alarm is that of the restart
        runner._report_unfinished(now, said("rest.restart"), weighed=False)
        return runner
