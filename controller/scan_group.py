"""One scan: read devices, let their reactors decide, write, confirm, record; then wait.

One scan is one moment of plant time. It never waits for the store, the console, InfluxDB or a plan.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from controller.alarms.notices import Notices
from controller.alarms.rules import Rules
from controller.devices.devices import Device, LateError
from controller.plant import Plant
from controller.reactor import Reactor
from controller.system_alarms import SystemAlarms
from drivers.clock import Clock
from drivers.driver import DeviceError
from drivers.point import RangeError, Sample
from historian.store import Historian

LEAST_BUDGET_S = 0.05  # wall s that a device may take for its answer before the scan goes on
TOGETHER = 8  # devices that are asked at the same moment; the next as many a little later
SPACING_S = 0.016  # wall s between them
SPREAD = 0.2  # of a scan: when the last of very many devices is asked
LONGEST_STEP_S = 5.0  # a PID is never given a longer step, whatever held the scan up

Moves = list[tuple[Reactor, dict[str, float]]]  # what reactors want of one device's actuators


@dataclass(slots=True)
class Counts:
    """What the report counts."""

    scans: int = 0
    missed: int = 0


@dataclass(slots=True)
class Around:
    """What all scans of a plant have around them.

    Attributes:
        plant: the checked plant file.
        clock: plant time.
        store: where rows and events go.
        system: told what is wrong with devices, reactors and the scan.
        rules: judge the samples, by reactor.
        judged: called when both have been asked.
        beat: called once a scan; the supervisor listens.
        keep: takes reactors as the scan before this one has left them.
        settle: in lock-step, waits until the plans that are due have come.
        connected: every required device has answered and its watchdog is armed.
        stopping: no scan begins any more.
    """

    plant: Plant
    clock: Clock
    store: Historian
    system: SystemAlarms
    rules: Mapping[str, Rules]
    judged: Callable[[], None] = lambda: None
    beat: Callable[[], None] = lambda: None
    keep: Callable[[float, Sequence[Reactor]], None] | None = None
    settle: Callable[[float], Awaitable[None]] | None = None
    connected: bool = False
    stopping: bool = False


class ScanGroup:
    """The scan of some devices and of all the reactors that these serve.

    Args:
        around: what it shares with the others of its plant.
        devices: whose tags all belong to ``reactors``.
        reactors: none has a tag in another device.
        offset_s: by how much it begins later than the first, plant s.

    Attributes:
        samples: what was seen last, by tag.
    """

    def __init__(
        self,
        around: Around,
        devices: Sequence[Device],
        reactors: Sequence[Reactor],
        offset_s: float = 0.0,
    ) -> None:
        self.around = around
        self.devices = tuple(devices)
        self.reactors = tuple(reactors)
        self.counts = Counts()
        self.samples: Mapping[str, Sample] = {}
        self._scan_s = around.plant.settings.scan_s
        self._offset_s = offset_s
        self._notices = Notices(around.store.record)
        self._last = self._due = math.nan  # plant time of the last scan and of the next
        self._device = {t: d for d in devices for t in d.actuators}
        self._least = {n: 1e-4 * (t.high - t.low) for n, t in around.plant.tags.items()}
        self._immediate = all(d.immediate for d in devices)
        self._budget: float | None = None

    async def run(self, until: float = math.inf) -> None:
        """Scan until plant time ``until`` or ``stopping``; skip scans that it is late for."""
        around, clock, period = self.around, self.around.clock, self._scan_s
        if math.isnan(self._due):
            self._due = clock.now() + self._offset_s
        while not around.stopping and self._due <= until:
            await clock.sleep_until(self._due)
            if around.stopping and clock.now() <= self._last:
                return  # the simulated plant stands: this moment has been scanned
            await self.once(clock.now())
            self._due += period
            behind = clock.now() - self._due
            if behind >= period:
                skipped = int(behind // period)
                if self._due + skipped * period <= self._last:
                    skipped += 1  # that moment has been scanned, late
                self.counts.missed += skipped
                self._due += skipped * period

    async def once(self, now: float) -> None:
        """Do one scan at plant time ``now``."""
        around = self.around
        dt = self._scan_s if math.isnan(self._last) else now - self._last
        dt = min(max(dt, 1e-3), LONGEST_STEP_S)
        self._last = now
        self.counts.scans += 1
        await self._read(now)
        samples: dict[str, Sample] = {}
        for device in self.devices:
            samples.update(device.samples(now))
        for reactor in self.reactors:
            reactor.plausible.step(samples)
            samples.update(reactor.gas.step(now, samples))
        self.samples = samples
        unreachable = self._unreachable()
        if around.keep is not None and self.counts.scans > 1:
            around.keep(now, self.reactors)
        if around.settle is not None:
            await around.settle(now)
        due: dict[Device, Moves] = {}
        for reactor in self.reactors:
            reactor.unreachable = unreachable
            values = reactor.step(now, dt, samples)
            for device, outputs in self._due_writes(reactor, values).items():
                due.setdefault(device, []).append((reactor, outputs))
        if self._immediate:  # none makes us wait: no task is needed
            for device, moves in due.items():
                await self._write(device, moves, now)
            for device in self.devices:
                if device.guarded or not device.armed:
                    await heartbeat(around, now, None, device)
        else:  # all at once, for none waits for another
            await asyncio.gather(*(self._write(d, moves, now) for d, moves in due.items()))
            hungry = [d for d in self.devices if d.guarded or not d.armed]
            await asyncio.gather(*(heartbeat(around, now, self._budget, d) for d in hungry))
        late = now - self._due if now > self._due else 0.0  # NaN: nobody waits for it
        for reactor in self.reactors:
            reactor.derived.late_s, reactor.derived.missed = late, self.counts.missed
        self._judge(now, samples)
        # the controller's own samples are made when the store takes them, if it does
        own = chain.from_iterable(reactor.record(now) for reactor in self.reactors)
        around.store.append(chain(samples.values(), own))
        around.beat()

    def _judge(self, now: float, samples: Mapping[str, Sample]) -> None:
        """Look for alarms; last, so that none delays a write."""
        around = self.around
        around.system.step(now, self.reactors, samples)
        around.system.missed(self, now, self.counts.missed)
        for reactor in self.reactors:
            rules = around.rules[reactor.name]
            rules.step(now, reactor.judged(now, samples))
            reactor.plausible.disputed = rules.disputed
        around.judged()

    async def _read(self, now: float) -> None:
        if self._immediate:
            for device in self.devices:
                await device.read(now, 0.0)
        else:
            speed: float = getattr(self.around.clock, "speed", 1.0)
            # in lock-step the plant stands still meanwhile: only the device's own timeout counts
            self._budget = max(LEAST_BUDGET_S, 0.5 * self._scan_s / speed) if speed else None
            scan_s = self._scan_s / speed if speed else 0.0
            groups = max(-(-len(self.devices) // TOGETHER), 1)
            spacing = min(SPACING_S, SPREAD * scan_s / groups)
            await asyncio.gather(
                *(self._ask(d, now, i // TOGETHER * spacing) for i, d in enumerate(self.devices))
            )
        for device in self.devices:
            self._notices.take(device.name, device.warnings, now)
            self.around.system.device(device, now)

    async def _ask(self, device: Device, now: float, offset: float) -> None:
        """Read one device, ``offset`` wall s after the first, so that many make no burst.

        All have until the same moment, but nobody waits for one that did not answer when it was
        last asked: what it answers after all is seen in the next scan.
        """
        if offset:
            await asyncio.sleep(offset)
        budget = self._budget
        if budget is not None:
            budget = max(LEAST_BUDGET_S, budget - offset) if device.answering else LEAST_BUDGET_S
        await device.read(now, budget)

    def _unreachable(self) -> Mapping[str, str]:
        """Return the actuators that cannot be moved now, with why; what they hold stays."""
        found: dict[str, str] = {}
        for device in self.devices:
            if device.writable:
                continue
            why = f"{device.name} does not answer"
            if device.answering:
                why = f"{device.name} {'answers late' if device.armed else 'is not armed'}"
            found |= dict.fromkeys(device.actuators, why)
            if not device.answering and device.safe_by_now:
                for reactor in self.reactors:
                    reactor.presume_safe(device.actuators)
        return found

    def _due_writes(
        self, reactor: Reactor, values: Mapping[str, float]
    ) -> dict[Device, dict[str, float]]:
        """Return what differs from what the devices hold."""
        held = reactor.held.get
        due: dict[Device, dict[str, float]] = {}
        for name, value in values.items():
            if value == held(name):
                continue  # as most of them
            off = value - held(name, math.inf)
            if abs(off) > self._least[name] or (off and value == 0.0):  # nothing is nothing
                due.setdefault(self._device[name], {})[name] = value
        return due

    async def _write(self, device: Device, moves: Moves, now: float) -> None:
        """Write to one device what its reactors want, and take what it confirms."""
        for reactor, outputs in moves:
            if not device.writable:
                return
            try:
                reactor.confirmed(await device.write(outputs, self._budget))
                self.around.system.write(device, False, now)
            except LateError:
                reactor.unconfirmed(outputs)
            except (DeviceError, RangeError) as error:  # what it cannot take must not end the scan
                reactor.unconfirmed(outputs)
                self.around.system.write(device, True, now, str(error))


async def heartbeat(
    around: Around,
    now: float,
    budget: float | None,
    device: Device,
    *,
    at_once: bool = False,
) -> None:
    """Feed the watchdog of a device that owes no answer, if it is due or ``at_once``."""
    if not device.answering or device.busy:
        return
    try:
        await device.beat(budget, at_once=at_once)
    except LateError:
        return
    except DeviceError as error:
        device.armed, device.error = False, str(error)
    around.system.watchdog(device, not device.armed and around.connected, now)
