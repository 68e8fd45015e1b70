"""A plant's controller: the scan with everything around it, and what people may ask of it."""

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from controller.advisor import AdvisorMode
from controller.alarm import State
from controller.alarm_table import definitions, derived, rules
from controller.alarms import Alarms
from controller.audit import change, refusal
from controller.devices import Device
from controller.look import look
from controller.loops import Loop, Mode, PidLoop, RefusedError
from controller.pace import PlantClock
from controller.pid import Tuning
from controller.planning import Planner
from controller.plant import Plant
from controller.reactor import Reactor
from controller.recipe import Recipe, load_recipe
from controller.restart import Memory
from controller.scan import Scan
from controller.snapshot import reactor_json
from controller.system_alarms import SystemAlarms
from controller.tuner import Method, Session, Tuner, Wish
from drivers.clock import Clock
from drivers.point import RangeError, Sample
from historian.events import Event, Kind
from historian.store import Historian

OPTIMISER_MODES = ("off", "shadow", "on")


class Controller:
    """Everything that runs a plant, on any clock and any devices.

    Args:
        plant: the checked plant file.
        devices: every device of it.
        clock: plant time.
        store: where rows and events go.
        planner: who makes plans; ``None`` where no reactor has an optimiser.
        memory: what a restart needs; ``None`` in virtual time.
        beat: called once a scan.
    """

    def __init__(
        self,
        plant: Plant,
        devices: Sequence[Device],
        clock: Clock,
        store: Historian,
        planner: Planner | None,
        *,
        memory: Memory | None = None,
        lock_step: bool = False,
        beat: Any = lambda: None,
    ) -> None:
        self.plant = plant
        self.clock = clock
        self.store = store
        self.devices = tuple(devices)
        self.memory = memory
        self.alarms = Alarms(definitions(plant), store.record)
        self.reactors = {
            name: Reactor(name, plant, self._told, planner, lock_step=lock_step)
            for name in plant.settings.reactor
        }
        reactors = tuple(self.reactors.values())
        self._loops: dict[str, tuple[Reactor, Loop]] = {
            loop.name: (r, loop) for r in reactors for loop in r.loops.values()
        }
        loops = {name: loop for name, (_, loop) in self._loops.items()}
        self._system = SystemAlarms(self.alarms, devices, reactors, store.record)
        self.scan = Scan(
            plant,
            devices,
            reactors,
            clock,
            store,
            self._system,
            rules(plant, self.alarms, loops, {d.name: d for d in devices}),
            derived=derived(plant.settings),
            judged=self._keep_alarms,
            beat=beat,
            settle=self._settle if isinstance(clock, PlantClock) else None,
        )
        self.tuner = Tuner(self._alarms_of, plant.device_of, self._experiment_over)

    # -- life ----------------------------------------------------------------------------------

    async def connect(self) -> None:
        """Reach every device, take its pace and what it holds."""
        if self.memory is not None:
            for line in self.alarms.restore(self.memory.recall_alarms()):
                self.note(line)
            self._system.begin(self.clock.now())
        await self.scan.connect()
        if isinstance(self.clock, PlantClock):
            for reactor in self.reactors.values():
                if reactor.advisor is not None:
                    reactor.advisor.lock_step = self.clock.lock_step
        simulated = any(d.identity.simulated for d in self.devices)
        for reactor in self.reactors.values():
            reactor.derived.simulated = simulated

    def begin(self, recipe: Recipe, path: str, optimiser: AdvisorMode, reactor: str = "") -> None:
        """Start a batch in ``reactor``, or in the only one.

        Raises:
            RefusedError: a batch is running, or the reactor is not named where there are several.
        """
        chosen = self._reactor(reactor)
        now = self.clock.now()
        day = datetime.fromtimestamp(now, UTC).strftime("%Y%m%d-%H%M")
        chosen.now = now
        chosen.start(recipe, path, now, optimiser)
        chosen.batch_id = f"{chosen.name}-{day}"
        text = f"batch {chosen.batch_id} started: recipe {recipe.name}"
        self.store.record(Event(now, "recipe", Kind.PHASE, chosen.name, text))

    def note(self, text: str) -> None:
        """Put a line about the controller itself into the record."""
        site = self.plant.settings.site
        self.store.record(Event(self.clock.now(), "system", Kind.NOTE, site, text))

    def restore(self) -> bool:
        """Take up what a dead controller left; return whether a batch is under way."""
        now = self.clock.now()
        for name, reactor in self.reactors.items():
            state = None if self.memory is None else self.memory.recall(name)
            if state is None:
                continue
            try:
                text, waits = reactor.restore(state, now), reactor.waits
            except ValueError as error:  # nothing of it has been taken
                text, waits = f"{name}: begins anew; what was kept is damaged: {error}", True
            self.store.record(Event(now, "system", Kind.NOTE, name, text))
            self.alarms.set(f"{name}.restart", False, now)  # this is another one
            self.alarms.set(f"{name}.restart", waits, now, why=text)
            if reactor.stopped:
                self.alarms.set(f"{name}.stopped", True, now)
        return any(reactor.under_way for reactor in self.reactors.values())

    async def run(self, until: float = float("inf")) -> None:
        """Scan until plant time ``until`` or until somebody stops it."""
        await self.scan.run(until)

    async def shut(self, *, safe: bool) -> None:
        """Make the plant safe if asked, and let go of the devices."""
        if safe:
            await self.scan.make_safe()
        for device in self.devices:
            await device.close()

    def store_alarm(self, text: str, on: bool) -> None:
        """Raise or clear the alarm that samples are being lost or cannot be committed."""
        self.alarms.set("store", on, self.clock.now(), error=text)

    async def _settle(self, now: float) -> None:
        """In lock-step, wait (bounded by the planner's own deadline) for the plans that are due."""
        if self.memory is not None and self.scan.counts.scans > 1:  # of the scan before this one
            self.memory.keep(now, self.reactors.values())
        if not (isinstance(self.clock, PlantClock) and self.clock.lock_step):
            return
        for reactor in self.reactors.values():
            advisor = reactor.advisor
            while advisor is not None and not advisor.settled(now):  # noqa: ASYNC110 (polled)
                await asyncio.sleep(0.002)

    # -- what is so ----------------------------------------------------------------------------

    def state(self) -> Mapping[str, object]:
        """Return everything that the console and the command line show."""
        now = self.clock.now()
        samples = self.scan.samples
        return {
            "site": self.plant.settings.site,
            "plant": str(self.plant.path),
            "time": now,
            "speed": getattr(self.clock, "speed", 1.0),
            "simulated": any(d.identity.simulated for d in self.devices),
            "scan_s": self.scan.scan_s,
            "scans": self.scan.counts.scans,
            "scans_missed": self.scan.counts.missed,
            **self._sample_counts(),
            "pid": os.getpid(),
            "devices": {d.name: _device_json(d) for d in self.devices},
            "reactors": {
                n: reactor_json(r, now, _own(samples, n)) for n, r in self.reactors.items()
            },
            "alarms": [a.as_json() for a in self.alarms.sorted()],
        }

    def looks(self) -> Mapping[str, object]:
        """Return what every device said last, for ``fermloop probe``."""
        now = self.clock.now()
        devices = {d.name: look(d, now) for d in self.devices}
        return {"pid": os.getpid(), "time": now, "devices": devices}

    def report(self) -> dict[str, Any]:
        """Return what the controller knows of the run, for ``fermloop … --report``."""
        return {
            "scans": self.scan.counts.scans,
            "scans_missed": self.scan.counts.missed,
            **self._sample_counts(),
            "reactors": {n: r.report() for n, r in self.reactors.items()},
        }

    def _sample_counts(self) -> dict[str, int]:
        forwarded = 0
        status = self.plant.data_dir / "forwarder.json"
        if self.plant.settings.influx.enabled and status.exists():
            try:
                forwarded = int(json.loads(status.read_text())["forwarded"])
            except (OSError, ValueError, KeyError):
                forwarded = 0  # it is being replaced; the next look has it
        return {
            "samples_stored": getattr(self.store, "stored", 0),
            "samples_forwarded": forwarded,
            "samples_lost": getattr(self.store, "lost", 0),
        }

    def events(self, after: int, limit: int) -> list[dict[str, object]]:
        """Return committed events after the id ``after``."""
        from historian.sqlite import SqliteReader

        if not self.plant.store.exists():
            return []
        with SqliteReader(self.plant.store) as reader:
            return [dict(e) for e in reader.events(after, limit)]

    # -- what people ask -----------------------------------------------------------------------

    def set_mode(self, loop: str, mode: str, reason: str, who: str) -> str:
        """Set a loop's target mode."""
        reactor, chosen = self._loop(loop)
        _require_reason(chosen, reason)
        old = chosen.target.name
        if reactor.stopped and mode != Mode.OFF.name:
            raise RefusedError(_still_stopped(reactor))
        if mode == Mode.OPTIMISER.name and (
            reactor.advisor is None or reactor.advisor.mode != "on"
        ):
            raise RefusedError(f"{loop}: the optimiser of {reactor.name} is not on")
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
            raise RefusedError(
                f"{loop}: its setpoint comes from elsewhere in {chosen.target.name}; "
                "set its mode to AUTO first"
            )
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

    def recipe(self, reactor: str, action: str, recipe_path: str, reason: str, who: str) -> str:
        """Start, hold, resume or abort the recipe of a reactor."""
        chosen = self._reactor(reactor)
        now = self.clock.now()
        if chosen.stopped and action in ("start", "resume"):
            raise RefusedError(_still_stopped(chosen))
        old = chosen.runner.state if chosen.runner is not None else "IDLE"
        if action == "start":
            path = recipe_path or chosen.recipe_path
            if not path:
                raise RefusedError(f"{chosen.name}: no recipe yet; name one with --recipe")
            mode = chosen.advisor.mode if chosen.advisor is not None else "off"
            self.begin(load_recipe(Path(path)), path, mode, chosen.name)
        else:
            chosen.command_recipe(action, now, reason or f"by {who}")
        self._seen(chosen)
        state = chosen.runner.state if chosen.runner is not None else "IDLE"
        return self._changed(who, chosen.name, f"recipe {action}", old, state, reason)

    def optimiser(self, reactor: str, mode: str, reason: str, who: str) -> str:
        """Switch the optimiser off, to shadow or on."""
        chosen = self._reactor(reactor)
        if mode not in OPTIMISER_MODES:
            raise RefusedError(f"optimiser: {mode} is not allowed; {', '.join(OPTIMISER_MODES)}")
        if chosen.stopped and mode != "off":
            raise RefusedError(_still_stopped(chosen))
        if mode == "on" and chosen.runner is not None and chosen.runner.state == "HELD":
            raise RefusedError(f"{reactor}: the recipe is HELD; resume it first")
        old = chosen.advisor.mode if chosen.advisor is not None else "off"
        chosen.now = self.clock.now()
        chosen.set_optimiser(mode)  # pyright: ignore[reportArgumentType]
        return self._changed(who, chosen.name, "optimiser", old, mode, reason)

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
            raise RefusedError(f"{loop}: no experiment is under way")
        session.stop(f"ended by {who}")
        return self._changed(who, loop, "experiment", "under way", "ended", reason)

    def tuning(self, loop: str) -> Mapping[str, object]:
        """Return how the last experiment on a loop stands, with its record when it is over."""
        self._loop(loop)
        session = self.tuner.sessions.get(loop)
        if session is None:
            raise LookupError(f"{loop}: no experiment since the controller began")
        return session.report(whole=session.over)

    def retune(self, loop: str, kp: float, ti_s: float, td_s: float, reason: str, who: str) -> str:
        """Change a loop's tuning without a bump; restarts keep it."""
        _, chosen = self._loop(loop)
        if not isinstance(chosen, PidLoop):
            raise RefusedError(f"{loop}: has no PID to be tuned")
        if chosen.trial is not None:
            raise RefusedError(f"{loop}: an experiment is under way")
        if kp <= 0:
            raise RangeError(f"{loop}: kp {kp:g} is not allowed; it must be > 0")
        old = chosen.pid.tuning
        try:
            new = replace(old, kp=kp, ti_s=ti_s, td_s=td_s)
        except ValueError as error:
            raise RangeError(f"{loop}: {error}") from None
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
        return f"{name}: acknowledged: {', '.join(a.definition.id for a in done)}"

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
        return f"safe stop: {', '.join(one.name for one in chosen)}"

    def release(self, reactor: str, reason: str, who: str) -> str:
        """End a safe stop; the loops stay OFF until somebody moves them or resumes the recipe."""
        chosen = self._reactor(reactor)
        if not chosen.stopped:
            raise RefusedError(f"{chosen.name}: there is no safe stop to be released")
        chosen.stopped = False
        self.alarms.set(f"{chosen.name}.stopped", False, self.clock.now())
        return self._changed(who, chosen.name, "safe stop", "stopped", "released", reason)

    def stop(self, reason: str, who: str) -> str:
        """End the scan in order; whoever runs it then writes the safe values."""
        self.scan.stopping = True
        site = self.plant.settings.site
        return self._changed(who, site, "controller", "running", "stopping", reason)

    def end(self, why: str) -> None:
        """End the scan in order because the system asks for it: a signal."""
        self.scan.stopping = True
        site = self.plant.settings.site
        self.store.record(
            change(self.clock.now(), "system", site, "controller", "running", "stopping", why)
        )

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

    def _told(self, event: Event) -> None:
        """Take an event of a reactor: what its recipe is alarmed about is an alarm."""
        if event.kind is not Kind.ALARM or not self._system.recipe(event):
            self.store.record(event)

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
            raise LookupError(f"{name}: no such loop; {', '.join(self._loops)}")
        return found

    def _interlock(self, name: str) -> Reactor:
        """Return the reactor whose interlock it is."""
        known: list[str] = []
        for reactor in self.reactors.values():
            own = [lock.name for lock in reactor.guard.interlocks.locks]
            if name in own:
                return reactor
            known += own
        raise LookupError(f"{name}: no such interlock; {', '.join(known) or 'none'}")

    def _reactor(self, name: str) -> Reactor:
        if not name and len(self.reactors) == 1:
            return next(iter(self.reactors.values()))
        if name not in self.reactors:
            raise LookupError(f"{name}: no such reactor; {', '.join(self.reactors)}")
        return self.reactors[name]


def told(t: Tuning) -> str:
    """Return a tuning in the words of the plant file."""
    found = f"kp {t.kp:.4g}, ti_s {t.ti_s:.4g}, td_s {t.td_s:g}, filter_s {t.filter_s:g}"
    return found if not t.deadband else f"{found}, deadband {t.deadband:g}"


def _require_reason(loop: Loop, reason: str) -> None:
    if loop.settings.critical and not reason:
        raise RefusedError(f"{loop.name}: is critical; a reason is required")


def _require_unmoved(loop: str, what: str, expected: float | None, now: float) -> None:
    """Refuse a change that was decided on another value than is there now."""
    if expected is not None and abs(expected - now) > 1e-6 * max(1.0, abs(now)):
        raise RefusedError(f"{loop}: its {what} is {now:g} now, not {expected:g}; look again")


def _still_stopped(reactor: Reactor) -> str:
    return f"{reactor.name}: safe stop; release it first"


def _own(samples: Mapping[str, Sample], reactor: str) -> dict[str, Sample]:
    return {n: s for n, s in samples.items() if s.tag.reactor == reactor}


def _device_json(device: Device) -> dict[str, object]:
    good = device.last_good
    return {
        "answering": device.answering,
        "address": device.settings.address,
        "error": device.error,
        "last_good": good if good > 0 else None,
        "simulated": device.identity.simulated,
        "insecure": device.settings.insecure,
        "warnings": list(device.warnings),
        "armed": device.armed,
        "required": device.settings.required,
    }
