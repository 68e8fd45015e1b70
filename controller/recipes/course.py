"""What a batch does when a phase begins, while it lasts and when it ends.

The runner (`controller.recipe`) decides when.
"""

from collections.abc import Mapping

from controller.recipes.facts import PlantFacts
from controller.recipes.feed_laws import as_state as feed_state
from controller.recipes.feed_laws import law_of
from controller.recipes.file import ModeName, Recipe
from controller.recipes.phase import DoseRun
from controller.recipes.progress import ABORTED, COMPLETE, HELD, HOUR_S, RUNNING
from controller.recipes.prospect import Prospect
from controller.texts.said import said
from drivers.point import Sample
from historian.events import Event, Kind

STUCK_S = 60.0  # a dose that does not move for this long is an alarm


class Course(Prospect):
    """Takes a recipe into its phases and through their setpoints, ramps, feeds and doses.

    Args:
        recipe: what to run.
        facts: where to run it.
    """

    def __init__(self, recipe: Recipe, facts: PlantFacts) -> None:
        super().__init__(recipe, facts)
        self._doses_at_rest = {d.loop: 0.0 for p in recipe.phase for d in p.doses}
        self._new_setpoints: dict[str, float] = {}
        self._new_modes: dict[str, ModeName] = {}
        self._events: list[Event] = []

    def _count(self, now: float, applied: Mapping[str, float]) -> None:
        """Let the time since the last step pass."""
        dt = now - self._now
        self._now = now
        if not self._entered or dt <= 0.0:
            return
        running = self.state is RUNNING
        if running:
            self._dt = dt
            self._phase_s += dt
            self._feeds.pass_time(dt)
        for dose in self._doses:  # what was asked for before a hold ran until this scan
            moved = dose.stuck_s < STUCK_S
            dose.pass_time(dt, applied.get(dose.loop))
            dose.flow = dose.flow if running else 0.0
            if moved and dose.stuck_s >= STUCK_S:
                text = f"nothing goes through {dose.loop}: {dose.so_far} so far"
                self._tell(now, Kind.ALARM, text, {"loop": dose.loop, "given_ml": dose.given})

    @property
    def _given(self) -> bool:
        """Whether all doses of the phase have been given."""
        return not (self._doses or self._dropped or self._comes)

    @property
    def _idle(self) -> bool:
        """Whether nothing of the phase is under way or still to come."""
        return not (self._doses or self._ramps or self._comes)

    @property
    def _comes(self) -> bool:
        """Whether a dose of the phase is still to come."""
        return bool(self._due) and any(due is not None for due in self._due)

    def _begin(self, now: float) -> None:
        """Take what holds from the start of the batch."""
        start = self.recipe.start
        self._take(start.setpoints, start.loops)
        self._entered = True

    def _enter(self, now: float, index: int) -> None:
        """Begin a phase."""
        phase = self.recipe.phase[index]
        self._index, self._phase_s, self._stretched = index, 0.0, False
        self._dropped = False
        self._watch(phase)
        self._take(phase.setpoints, phase.loops)
        for loop, ramp in phase.ramps.items():
            self._ramps[loop] = (ramp.to, ramp.ramp_per_h / HOUR_S)
        begun: dict[str, object] = {}
        for loop in self._feeds.laws:
            law = law_of(loop, phase, self._feeds.steady(loop), self._facts, self._estimates)
            if law is not None:
                self._feeds.begin(loop, law)
                begun[loop] = feed_state(law)
        self._due = [dose.at_h for dose in phase.doses]
        self._fall_due()
        zero = self.recipe.inoculates
        if zero is not None and index > zero and not self.inoculated:
            self._zero = now
            self._tell(now, Kind.PHASE, said("inoculated"), {"inoculated": True})
        if phase.induces and self._induced_h is None:
            self._induced_h = self.age_h(now)
        data: dict[str, object] = {"phase": phase.name, "index": index, "batch_h": self.age_h(now)}
        if begun:
            data["feeds"] = begun
        began = said("phase_began", phase=phase.name, n=index + 1, all=len(self.recipe.phase))
        self._tell(now, Kind.PHASE, began, data)
        if phase.until is None and phase.min_h == 0.0 and self._idle:
            self._finish(now)

    def _take(self, setpoints: Mapping[str, float], modes: Mapping[str, ModeName]) -> None:
        """Ask for setpoints and modes, once."""
        for loop, value in setpoints.items():
            if loop in self._feeds:
                self._feeds.constant(loop, value)
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

    def _fall_due(self) -> None:
        """Begin the doses of this phase whose time has come."""
        hours = self._phase_s / HOUR_S
        for k, dose in enumerate(self.recipe.phase[self._index].doses):
            due = self._due[k]
            if due is not None and hours >= due - 1e-9:
                self._doses.append(DoseRun(dose, self._facts))
                self._due[k] = None if dose.every_h is None else due + dose.every_h

    def _dose(self, measured: Mapping[str, Sample]) -> Mapping[str, float]:
        """Return the setpoints of the dosing loops; through each loop one dose after the other."""
        wanted = dict(self._doses_at_rest)
        left: list[DoseRun] = []
        busy: set[str] = set()
        for dose in self._doses:
            seen = dose.weigh(measured)
            if dose.complete:
                text = said("dose_given", wanted=dose.wanted, loop=dose.loop)
                self._tell(self._now, Kind.NOTE, text, {"loop": dose.loop, "ml": dose.given})
                continue
            if dose.spent:  # the weight is not reached, and nobody knows where it went
                self._dropped = True
                text = said("dose_short", given=dose.so_far, loop=dose.loop)
                self._tell(self._now, Kind.ALARM, text, {"loop": dose.loop, "given_ml": dose.given})
                continue
            left.append(dose)
            dose.flow = 0.0
            if dose.loop not in busy:
                wanted[dose.loop] = dose.next(self._dt) if seen else 0.0
                busy.add(dose.loop)
        self._doses = left
        return wanted

    # -- ends ----------------------------------------------------------------------------------

    def _held(self, now: float, reason: str, kind: Kind) -> None:
        """Let phase time stand still and doses stop."""
        self.state, self.message = HELD, reason
        self._turned(now, kind, said("phase_held", phase=self.phase, why=reason))

    def _finish(self, now: float) -> None:
        """End the batch: it is done."""
        self._report_unfinished(now, said("rest.over"))
        self.state = COMPLETE
        self._end(now)
        self._turned(now, Kind.PHASE, said("batch_complete", age=f"{self.age_h(now):.2f}"))

    def _end(self, now: float) -> None:
        """Leave nothing under way."""
        self._ended = now
        self._doses, self._due, self._ramps = [], [], {}

    def _abort(self, now: float, reason: str, kind: Kind) -> None:
        """End the batch for good: no feed, no dose."""
        self._report_unfinished(now, said("rest.aborted"))
        self.state, self.message = ABORTED, reason
        self._end(now)
        self._feeds.clear()
        self._turned(now, kind, said("batch_aborted", phase=self.phase, why=reason))

    def _report_unfinished(self, now: float, why: str, *, weighed: bool = True) -> None:
        """Tell of every dose that will not be completed, and forget it.

        Args:
            now: s since 1970 UTC.
            why: it will not.
            weighed: those too that a weight ends.
        """
        for dose in self._doses:
            if dose.complete or (dose.weighs and not weighed):
                continue
            self._dropped = True
            text = said("dose_unfinished", given=dose.so_far, loop=dose.loop, why=why)
            self._tell(now, Kind.ALARM, text, {"loop": dose.loop, "given_ml": dose.given})
        self._doses = [] if weighed else [dose for dose in self._doses if dose.weighs]

    # -- another version -----------------------------------------------------------------------

    def _edit(self, recipe: Recipe) -> None:
        """Take another version of the recipe; what has changed of this phase holds from now on."""
        old, new = self.recipe.phase[self._index], recipe.phase[self._index]
        self.recipe, self.version = recipe, self.version + 1
        self._doses_at_rest = {d.loop: 0.0 for p in recipe.phase for d in p.doses}
        self._feeds.add(recipe)
        if not self._entered:
            return
        self._bound(new)
        setpoints = {n: v for n, v in new.setpoints.items() if old.setpoints.get(n) != v}
        self._take(setpoints, {n: m for n, m in new.loops.items() if old.loops.get(n) != m})
        for loop, ramp in new.ramps.items():
            if old.ramps.get(loop) != ramp:
                self._ramps[loop] = (ramp.to, ramp.ramp_per_h / HOUR_S)
        for loop in new.feeds:
            if old.feeds.get(loop) != new.feeds[loop]:
                steady = self._feeds.steady(loop)
                law = law_of(loop, new, steady, self._facts, self._estimates)
                if law is not None:
                    self._feeds.change(loop, law)
        if (old.until, old.hold_if, old.abort_if) != (new.until, new.hold_if, new.abort_if):
            self._watch(new)

    def _turned(self, now: float, kind: Kind, text: str) -> None:
        """Tell that the batch is in another state; what is alarming is in its record as well."""
        if kind is Kind.ALARM:
            self._tell(now, kind, text)
        self._tell(now, Kind.PHASE, text, {"state": self.state})

    def _tell(
        self, now: float, kind: Kind, text: str, data: Mapping[str, object] | None = None
    ) -> None:
        who = said("of_recipe", recipe=self.recipe.name, text=text)
        self._events.append(Event(now, "recipe", kind, self._facts.reactor, who, data or {}))
