"""What people may ask of a controller: each request is refused whole, or done and audited."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from controller.acting.advising import Advising
from controller.acting.tuner import Method, Session, Tuner, Wish
from controller.alarms.alarm import State
from controller.alarms.alarms import Alarms
from controller.loops.loops import Loop, Mode, PidLoop, RefusedError
from controller.loops.pid import Tuning
from controller.planning.advisor import AdvisorMode
from controller.plant import Plant
from controller.reactor import Reactor
from controller.recipes.edit import changes
from controller.recipes.recipe import Recipe, load_recipe, parse_recipe
from controller.recipes.shelf import folders, shelf
from controller.restart import Memory
from controller.scan import Scan
from controller.sensing.laboratory import Entry
from controller.sensing.laboratory_files import LaboratoryFolder
from controller.texts.audit import change, refusal
from controller.texts.said import said, word
from drivers.clock import Clock
from drivers.point import RangeError
from historian.events import Event, Kind
from historian.store import Historian


class Acting(Advising):
    """The requests of a `Controller`; it says who runs, this says what may be asked."""

    plant: Plant
    clock: Clock
    store: Historian
    alarms: Alarms
    memory: Memory | None
    reactors: dict[str, Reactor]
    scan: Scan
    tuner: Tuner
    _loops: dict[str, tuple[Reactor, Loop]]

    def begin(self, recipe: Recipe, path: str, optimiser: AdvisorMode, reactor: str = "") -> None:
        """Start a batch in ``reactor``, or in the only one.

        Raises:
            RefusedError: a batch is running, or the reactor is not named where there are several.
        """
        chosen = self._reactor(reactor)
        now = self.clock.now()
        chosen.now = now
        optimiser = self._permitted(chosen, optimiser)
        chosen.start(recipe, path, now, optimiser)
        day = datetime.fromtimestamp(now, UTC)
        number = f"{chosen.name}-{day:%Y%m%d-%H%M}"
        chosen.batch_id = number if number != chosen.batch_id else f"{number}{day:%S}"
        text = said("batch_started", batch=chosen.batch_id, recipe=recipe.name)
        data = {
            "batch": chosen.batch_id,
            "state": chosen.batch().state,
            "version": 1,
            "recipe_file": path,
            "recipe": recipe.table,
            "optimiser": optimiser,
            "plant_file": {"name": self.plant.path.name, "text": self.plant.text},
            "software": f"fermloop {version('fermloop')}",
        }
        model = chosen.settings.model
        if model is not None and model.strain:  # of a file beside the plant file, that may change
            data["strain"] = dict(model.strain)
        self.store.record(Event(now, "recipe", Kind.PHASE, chosen.name, text, data))

    def set_mode(self, loop: str, mode: str, reason: str, who: str) -> str:
        """Set a loop's target mode."""
        reactor, chosen = self._loop(loop)
        _require_reason(chosen, reason)
        old = chosen.target.name
        if reactor.stopped and mode != Mode.OFF.name:
            raise RefusedError(said("stopped", reactor=reactor.name))
        if mode == Mode.OPTIMISER.name and (
            reactor.advisor is None or reactor.advisor.mode != "on"
        ):
            raise RefusedError(said("optimiser_off", loop=loop, reactor=reactor.name))
        chosen.set_mode(Mode[mode])
        reactor.waiting.pop(loop, None)  # a person has decided
        self._seen(reactor)
        return self._changed(who, loop, "mode", old, mode, reason)

    def set_setpoint(
        self, loop: str, value: float, reason: str, who: str, old: float | None = None
    ) -> str:
        """Set a loop's local setpoint."""
        reactor, chosen = self._loop(loop)
        _require_reason(chosen, reason)
        if chosen.target not in (Mode.AUTO, Mode.MANUAL, Mode.OFF):
            raise RefusedError(said("setpoint_elsewhere", loop=loop, mode=word(chosen.target.name)))
        before = chosen.local
        _require_unmoved(loop, "setpoint", old, before)
        chosen.set_setpoint(value)
        if reactor.runner is not None:
            reactor.runner.release(loop.partition(".")[2])
        return self._changed(who, loop, "setpoint", before, value, reason, chosen.unit)

    def set_output(
        self, loop: str, value: float, reason: str, who: str, old: float | None = None
    ) -> str:
        """Set the output of a loop in MANUAL."""
        _, chosen = self._loop(loop)
        _require_reason(chosen, reason)
        before = chosen.output if chosen.hand is None else chosen.hand
        _require_unmoved(loop, "output", old, before)
        chosen.set_output(value)
        unit = "%" if isinstance(chosen, PidLoop) else chosen.unit
        return self._changed(who, loop, "output", before, value, reason, unit)

    def recipe(
        self,
        reactor: str,
        action: str,
        recipe_path: str,
        reason: str,
        who: str,
        parameters: Mapping[str, float] | None = None,
        phase: str = "",
    ) -> str:
        """Start, hold, resume, step or abort the recipe of a reactor, or answer what it asks."""
        chosen = self._reactor(reactor)
        now = self.clock.now()
        if chosen.stopped and action in ("start", "resume"):
            raise RefusedError(said("stopped", reactor=chosen.name))
        if action == "start":
            return self._start(chosen, recipe_path, parameters or {}, reason, who)
        if recipe_path or parameters:
            raise RefusedError(said("no_choice", reactor=chosen.name, action=action))
        runner = chosen.batch()
        if phase and phase != runner.phase:
            raise RefusedError(said("moved_on", reactor=chosen.name, phase=runner.phase))
        old = runner.phase if action == "step" else str(runner.state)
        if action == "confirm":
            old = runner.question
            runner.confirm(now, who)
            return self._changed(who, chosen.name, "recipe confirm", old, "confirmed", reason)
        if action == "step" and not reason:
            raise RefusedError(said("step_reason", reactor=chosen.name))
        chosen.command_recipe(action, now, reason or f"by {who}")
        self._seen(chosen)
        new = runner.phase if action == "step" else str(runner.state)
        return self._changed(who, chosen.name, f"recipe {action}", old, new, reason)

    def _start(
        self, chosen: Reactor, path: str, parameters: Mapping[str, float], reason: str, who: str
    ) -> str:
        """Start a batch as somebody asks for it."""
        old = "IDLE" if chosen.runner is None else chosen.runner.state
        path = path or chosen.recipe_path
        if not path:
            raise RefusedError(said("no_recipe", reactor=chosen.name))
        mode = chosen.advisor.mode if chosen.advisor is not None else "off"
        self.begin(load_recipe(Path(path), parameters), path, mode, chosen.name)
        self._seen(chosen)
        return self._changed(who, chosen.name, "recipe start", old, chosen.batch().state, reason)

    def recipes(self, reactor: str) -> list[dict[str, Any]]:
        """Return the recipes that a reactor could be started with; reads files."""
        chosen = self._reactor(reactor)
        return shelf(folders(self.plant.path, chosen.recipe_path), chosen.facts)

    def edit_recipe(
        self, reactor: str, recipe_path: str, parameters: Mapping[str, float], reason: str, who: str
    ) -> str:
        """Let a batch go on by another version of its recipe; each change is audited."""
        chosen = self._reactor(reactor)
        if not reason:
            raise RefusedError(said("edit_reason", reactor=chosen.name))
        runner = chosen.batch()
        old = runner.recipe
        if recipe_path:
            new = load_recipe(Path(recipe_path), parameters)
        else:
            new = parse_recipe(old.table, old.file, parameters)
        found = changes(old.table, new.table)
        if not found:
            raise RefusedError(said("same_recipe", reactor=chosen.name))
        runner.edit(new, self.clock.now(), reason)
        for key, before, after in found:
            self._changed(who, chosen.name, f"recipe {key}", before, after, reason)
        return self._changed(
            who, chosen.name, "recipe version", runner.version - 1, runner.version, reason
        )

    def tune(
        self,
        loop: str,
        method: Method,
        size: float | None,
        deviation: float | None,
        longest_s: float,
        reason: str,
        who: str,
    ) -> str:
        """Begin an experiment on a loop, to find its tuning."""
        reactor, chosen = self._loop(loop)
        wish = Wish(method, size, deviation, longest_s)
        session = self.tuner.begin(reactor, chosen, wish, who)
        return self._changed(who, loop, "experiment", "none", session.asked, reason)

    def end_tuning(self, loop: str, reason: str, who: str) -> str:
        """End the experiment on a loop."""
        self._loop(loop)
        session = self.tuner.sessions.get(loop)
        if session is None or session.over:
            raise RefusedError(said("no_experiment", loop=loop))
        session.stop(f"ended by {who}")
        return self._changed(who, loop, "experiment", "under way", "ended", reason)

    def tuning(self, loop: str) -> Mapping[str, object]:
        """Return how the last experiment on a loop stands, with its record when it is over."""
        self._loop(loop)
        session = self.tuner.sessions.get(loop)
        if session is None:
            raise LookupError(said("no_experiment_yet", loop=loop))
        return session.report(whole=session.over)

    def retune(
        self,
        loop: str,
        kp: float,
        ti_s: float | None,
        td_s: float | None,
        reason: str,
        who: str,
        filter_s: float | None = None,
    ) -> str:
        """Change a loop's tuning without a bump; what is ``None`` stays. Restarts keep it."""
        _, chosen = self._loop(loop)
        if not isinstance(chosen, PidLoop):
            raise RefusedError(said("no_pid", loop=loop))
        if chosen.trial is not None:
            raise RefusedError(said("in_experiment", loop=loop))
        if kp <= 0:
            raise RangeError(said("kp_range", loop=loop, value=kp))
        old = chosen.pid.tuning
        given = {"ti_s": ti_s, "td_s": td_s, "filter_s": filter_s}
        try:
            new = replace(old, kp=kp, **{k: v for k, v in given.items() if v is not None})
        except ValueError as error:
            raise RangeError(said("tuning_range", loop=loop, error=error)) from None
        chosen.retune(new)
        return self._changed(who, loop, "tuning", told(old), told(new), reason)

    def bypass_interlock(self, name: str, minutes: float, reason: str, who: str) -> str:
        """Let an interlock demand nothing for so many minutes."""
        locks, now = self._interlock(name).guard.interlocks, self.clock.now()
        locks.bypass(name, now, 60.0 * minutes, who, reason)
        return self._changed(who, name, "bypass", "none", f"{minutes:g} min", reason)

    def end_bypass(self, name: str, reason: str, who: str) -> str:
        """End the bypass of an interlock before its time."""
        ended = self._interlock(name).guard.interlocks.end_bypass(name)
        left = f"{(ended.until - self.clock.now()) / 60.0:.0f} min left"
        return self._changed(who, name, "bypass", left, "ended", reason)

    def reset_interlock(self, name: str, reason: str, who: str) -> str:
        """Clear a latched interlock whose reason is gone."""
        self._interlock(name).reset_interlock(name, self.clock.now())
        return self._changed(who, name, "latch", "tripped", "reset", reason)

    def acknowledge(self, name: str, comment: str, who: str) -> str:
        """Acknowledge an alarm by its id, or all of a reactor."""
        now = self.clock.now()
        states = {n: a.state for n, a in self.alarms.listed.items()}
        done = self.alarms.acknowledge(name, now, who, comment)
        for alarm in done:
            id_ = alarm.definition.id
            self._changed(who, id_, "alarm", states[id_], State.ACKNOWLEDGED, comment)
        self._keep_alarms()
        return said("acknowledged", name=name, alarms=[a.definition.id for a in done])

    def sample(self, reactor: str, entry: Entry, reason: str, who: str) -> str:
        """Enter a result of the laboratory; one that corrects another says why."""
        chosen = self._reactor(reactor)
        if chosen.settings.laboratory is None:
            raise RefusedError(said("no_laboratory", reactor=chosen.name))
        if entry.corrects and not reason:
            raise RefusedError(said("correction_reason", number=entry.corrects))
        now = self.clock.now()
        result = chosen.enter_result(entry, now, who)
        subject = f"{chosen.name}.{result.analyte}"
        values = {"subject": subject, "new": result.value, "unit": result.unit}
        text, old = said("result_entered", **values, number=result.number), None
        if entry.corrects:
            old = chosen.sensing.laboratory[entry.corrects].value
            text = said("result_corrected", **values, number=entry.corrects, old=old)
        source = who if who.startswith("file:") else f"operator:{who}"
        event = change(now, source, subject, "sample", old, result.value, reason, result.unit)
        self.store.record(
            replace(event, text=text, data={**event.data, "result": result.as_state()})
        )
        return text

    def laboratory_folders(self) -> list[LaboratoryFolder]:
        """Return the folders whose files are entered; a relative one is in the data directory."""
        return [
            LaboratoryFolder(
                self.plant.data_dir / lab.folder,
                name,
                lambda entry, reason, who, name=name: self.sample(name, entry, reason, who),
                lambda where, row, why, name=name: self.refused(
                    name, "sample", {"who": f"file:{where}", **row}, why
                ),
            )
            for name, r in self.reactors.items()
            if (lab := r.settings.laboratory) is not None and lab.folder
        ]

    def safe_stop(self, reactor: str, reason: str, who: str) -> str:
        """Bring a reactor, or all where it is empty, to its safe values until it is released."""
        chosen = [self._reactor(reactor)] if reactor else list(self.reactors.values())
        now = self.clock.now()
        for one in chosen:
            old = "stopped" if one.stopped else "running"
            one.now = now
            one.stop_until_released()
            self.alarms.set(f"{one.name}.stopped", True, now)
            self._changed(who, one.name, "safe stop", old, "stopped", reason)
        return said("safe_stop", reactors=[one.name for one in chosen])

    def release(self, reactor: str, reason: str, who: str) -> str:
        """End a safe stop; the loops stay OFF until somebody moves them or resumes the recipe."""
        chosen = self._reactor(reactor)
        if not chosen.stopped:
            raise RefusedError(said("not_stopped", reactor=chosen.name))
        chosen.stopped = False
        self.alarms.set(f"{chosen.name}.stopped", False, self.clock.now())
        return self._changed(who, chosen.name, "safe stop", "stopped", "released", reason)

    def stop(self, reason: str, who: str) -> str:
        """End the scan in order; whoever runs it then writes the safe values."""
        self.scan.stopping = True
        site = self.plant.settings.site
        return self._changed(who, site, "controller", "running", "stopping", reason)

    def user(self, name: str, what: str, old: str, new: str, reason: str, who: str) -> str:
        """Record what happened to a user or his session."""
        return self._changed(who, name, f"user {what}", old, new, reason)

    def refused(self, subject: str, what: str, asked: Mapping[str, object], error: str) -> None:
        """Record that a person asked for what was refused."""
        subject = subject or self.plant.settings.site
        self.store.record(refusal(self.clock.now(), subject, what, asked, error))

    def _alarms_of(self, reactor: str, devices: frozenset[str]) -> str:
        """Return the first active alarm of a reactor or of these devices, empty without."""
        for alarm in self.alarms.active.values():
            if alarm.definition.reactor == reactor or alarm.definition.source in devices:
                return alarm.text
        return ""

    def _experiment_over(self, session: Session) -> None:
        """Put the end of an experiment into the record."""
        name, now = session.loop.name, self.clock.now()
        text = f"experiment on {name}: {session.experiment.text}"
        self.store.record(Event(now, "system", Kind.NOTE, name, text))

    def _seen(self, reactor: Reactor) -> None:
        """End the alarm of a restart when nothing waits for a person any more."""
        if not reactor.waits:
            self.alarms.set(f"{reactor.name}.restart", False, self.clock.now())

    def _keep_alarms(self) -> None:
        """Keep the alarms over a restart, if they have changed."""
        if self.alarms.changed and self.memory is not None:
            self.memory.keep_alarms(self.alarms.as_state())
        self.alarms.changed = False

    def _changed(
        self, who: str, subject: str, what: str, old: object, new: object, why: str, unit: str = ""
    ) -> str:
        now = self.clock.now()
        event = change(now, f"operator:{who}", subject, what, old, new, why, unit)
        self.store.record(event)
        return event.text

    def _loop(self, name: str) -> tuple[Reactor, Loop]:
        found = self._loops.get(name)
        if found is None:
            raise LookupError(said("no_loop", name=name, known=list(self._loops)))
        return found

    def _interlock(self, name: str) -> Reactor:
        """Return the reactor whose interlock it is."""
        known: list[str] = []
        for reactor in self.reactors.values():
            own = [lock.name for lock in reactor.guard.interlocks.locks]
            if name in own:
                return reactor
            known += own
        raise LookupError(said("no_interlock", name=name, known=known or "none"))

    def _reactor(self, name: str) -> Reactor:
        if not name and len(self.reactors) == 1:
            return next(iter(self.reactors.values()))
        if name not in self.reactors:
            raise LookupError(said("no_reactor", name=name, known=list(self.reactors)))
        return self.reactors[name]


def told(t: Tuning) -> str:
    """Return a tuning in the words of the plant file."""
    found = f"kp {t.kp:.4g}, ti_s {t.ti_s:.4g}, td_s {t.td_s:g}, filter_s {t.filter_s:g}"
    return found if not t.deadband else f"{found}, deadband {t.deadband:g}"


def _require_reason(loop: Loop, reason: str) -> None:
    if loop.settings.critical and not reason:
        raise RefusedError(said("critical", loop=loop.name))


def _require_unmoved(loop: str, what: str, expected: float | None, now: float) -> None:
    """Refuse a change that was decided on another value than is there now."""
    if expected is not None and abs(expected - now) > 1e-6 * max(1.0, abs(now)):
        raise RefusedError(
            said("moved", loop=loop, what=said(f"moved.{what}"), now=now, expected=expected)
        )
