"""A plant's controller: the scan with everything around it."""

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from controller.acting.acting import Acting
from controller.acting.look import look
from controller.acting.snapshot import reactor_json
from controller.acting.tuner import Tuner
from controller.alarms.alarms import Alarms
from controller.alarms.table import definitions, rules
from controller.devices.devices import Device
from controller.loops.loops import Loop
from controller.pace import PlantClock
from controller.planning.planning import Planner
from controller.plant import Plant
from controller.plant_tags import PlantTags
from controller.reactor import Reactor
from controller.restart import Memory
from controller.scan import Scan
from controller.scan_group import Around
from controller.system_alarms import SystemAlarms
from controller.texts.audit import change
from drivers.clock import Clock, wall
from drivers.point import Sample
from historian.events import Event, Kind
from historian.store import Historian


class Controller(Acting):
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
        self.planner = planner
        self._ahead = set[str]()
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
        paced = isinstance(clock, PlantClock)
        around = Around(
            plant,
            clock,
            store,
            self._system,
            rules(plant, self.alarms, loops, {d.name: d for d in devices}),
            judged=self._judged,
            beat=beat,
            keep=memory.keep if memory is not None and paced else None,
            settle=self._settle if paced else None,
        )
        forwards = plant.settings.influx.enabled
        self._status = plant.data_dir / "forwarder.json" if forwards else None
        self._plant_tags = PlantTags(store, status=self._status)
        self.scan = Scan(around, devices, reactors, self._staggered)
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
        if self._staggered():
            site = "" if simulated else self.plant.settings.site
            self._plant_tags = PlantTags(self.store, self.devices, self._status, site)
        for reactor in self.reactors.values():
            reactor.derived.simulated = simulated

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
        if self.memory is not None:  # who dies before its second scan has lived nevertheless
            self.memory.keep(now, self.reactors.values(), at_once=True)
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

    def _staggered(self) -> bool:
        return isinstance(self.clock, PlantClock) and not self.clock.lock_step

    async def _settle(self, now: float) -> None:
        """In lock-step, wait (bounded by the planner's own deadline) for the plans that are due."""
        if self._staggered():
            return
        for reactor in self.reactors.values():
            advisor = reactor.advisor
            while advisor is not None and not advisor.settled(now):  # noqa: ASYNC110 (polled)
                await asyncio.sleep(0.002)

    # -- what is so ----------------------------------------------------------------------------

    def state(self) -> Mapping[str, object]:
        """Return everything that the console and the command line show."""
        now, own = self.clock.now(), self._own_samples()
        shown = {n: reactor_json(r, now, own[n]) for n, r in self.reactors.items()}
        return self._state(now, shown)

    async def state_in_turns(self) -> Mapping[str, object]:
        """Return ``state``, reactor by reactor: that of a hundred holds up no scan for long."""
        now, own = self.clock.now(), self._own_samples()
        shown: dict[str, object] = {}
        for name, reactor in self.reactors.items():
            shown[name] = reactor_json(reactor, now, own[name])
            await asyncio.sleep(0)
        return self._state(now, shown)

    def _own_samples(self) -> dict[str, dict[str, Sample]]:
        """Return what was seen last, by reactor and tag."""
        own: dict[str, dict[str, Sample]] = {name: {} for name in self.reactors}
        for name, sample in self.scan.samples.items():
            own[sample.tag.reactor][name] = sample
        return own

    def _state(self, now: float, reactors: Mapping[str, object]) -> Mapping[str, object]:
        counts = self.scan.counts
        return {
            "site": self.plant.settings.site,
            "plant": str(self.plant.path),
            "time": now,
            "speed": getattr(self.clock, "speed", 1.0),
            "simulated": any(d.identity.simulated for d in self.devices),
            "scan_s": self.scan.scan_s,
            "scans": counts.scans,
            "scans_missed": counts.missed,
            **self._sample_counts(),
            "pid": os.getpid(),
            "devices": {d.name: _device_json(d) for d in self.devices},
            "reactors": reactors,
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

    def end(self, why: str) -> None:
        """End the scan in order because the system asks for it: a signal."""
        self.scan.stopping = True
        site = self.plant.settings.site
        self.store.record(
            change(self.clock.now(), "system", site, "controller", "running", "stopping", why)
        )

    def _judged(self) -> None:
        self._keep_alarms()
        self._plant_tags.step(self.clock.now(), wall())

    def _told(self, event: Event) -> None:
        """Take an event of a reactor: what its recipe is alarmed about is an alarm."""
        if event.kind is not Kind.ALARM or not self._system.recipe(event):
            self.store.record(event)


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
