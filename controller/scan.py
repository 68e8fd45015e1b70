"""The scans of a plant: reach the devices, scan each group of reactors in turn, make it safe."""

import asyncio
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain

from controller.devices.devices import Device
from controller.pace import PlantClock
from controller.reactor import Reactor
from controller.scan_group import Around, Counts, ScanGroup, heartbeat
from drivers.driver import DeviceError
from drivers.point import Sample

RETRY_S = 0.5  # wall s between two attempts to reach a device at the start


class Scan:
    """All scans of a plant.

    Reactors that share a device are scanned together, all others for themselves: each at its own
    moment, spread evenly over the scan time, so that a slow device or reactor delays no other and
    a hundred of them make no burst. In lock-step and in virtual time one moment is one scan of all.

    Args:
        around: what the scans share.
        devices: every device.
        reactors: every reactor.
        staggered: says, once the devices have answered, whether groups have their own moments.
    """

    def __init__(
        self,
        around: Around,
        devices: Sequence[Device],
        reactors: Sequence[Reactor],
        staggered: Callable[[], bool] = lambda: False,
    ) -> None:
        self.around = around
        self.devices = tuple(devices)
        self.reactors = tuple(reactors)
        self.scan_s = around.plant.settings.scan_s
        self.groups: Sequence[ScanGroup] = ()
        self._staggered = staggered

    @property
    def samples(self) -> Mapping[str, Sample]:
        """What was seen last, by tag."""
        return dict(chain.from_iterable(group.samples.items() for group in self.groups))

    @property
    def counts(self) -> Counts:
        """Scans made and missed by all groups together."""
        counts = [group.counts for group in self.groups]
        return Counts(sum(c.scans for c in counts), sum(c.missed for c in counts))

    @property
    def stopping(self) -> bool:
        """Whether no scan begins any more."""
        return self.around.stopping

    @stopping.setter
    def stopping(self, value: bool) -> None:
        self.around.stopping = value

    async def connect(self) -> None:
        """Return when every required device has answered and its watchdog is armed.

        A device that does not answer is named at once and asked again for ever. Nothing is written
        anywhere, not even a heartbeat, before all have answered.
        """
        required: list[Device] = [d for d in self.devices if d.settings.required]
        waiting: list[Device] = list(required)
        while waiting and not self.around.stopping:
            await asyncio.gather(*(self._reach(d) for d in waiting))
            waiting = [d for d in waiting if not d.answering]
            if waiting:
                self.around.beat()
                await asyncio.sleep(RETRY_S)
        if isinstance(self.around.clock, PlantClock):
            self.around.clock.follow([d.driver for d in required], [d.identity for d in required])
        now = self.around.clock.now()
        for device in required:
            device.last_good = now
        while not self.around.stopping:
            for device in required:
                await heartbeat(self.around, now, None, device, at_once=True)
                await device.read(now, RETRY_S)
                self.around.system.device(device, self.around.clock.now())
            if all(d.armed for d in required):
                self.around.connected = True
                return
            self.around.beat()
            await asyncio.sleep(0.05)

    async def _reach(self, device: Device) -> None:
        try:
            await device.connect()
            device.answering, device.error = True, ""
        except DeviceError as error:
            device.answering, device.error = False, str(error)
        self.around.system.device(device, self.around.clock.now())

    async def run(self, until: float = math.inf) -> None:
        """Scan until plant time ``until`` or ``stopping``."""
        if not self.groups:
            self.groups = self._grouped()
        if len(self.groups) == 1:
            await self.groups[0].run(until)
            return
        async with asyncio.TaskGroup() as tasks:  # what ends one ends all
            for group in self.groups:
                tasks.create_task(group.run(until), name=f"scan {group.reactors[0].name}")

    def _grouped(self) -> list[ScanGroup]:
        """Return reactors and devices in groups, one evenly behind the other."""
        if not self._staggered():
            return [ScanGroup(self.around, self.devices, self.reactors)]
        served = [{t.reactor for t in d.driver.tags} for d in self.devices]
        found = [
            (
                [d for d in self.devices if any(t.reactor in of for t in d.driver.tags)],
                [r for r in self.reactors if r.name in of],
            )
            for of in linked([*({r.name} for r in self.reactors), *served])
        ]
        step = self.scan_s / max(len(found), 1)
        return [ScanGroup(self.around, d, r, i * step) for i, (d, r) in enumerate(found)]

    async def make_safe(self) -> None:
        """Write every actuator's safe value, past all loops, and wait for the confirmation.

        Nothing is written where not every required device has answered yet.
        """
        around = self.around
        for reactor in self.reactors:
            reactor.safe_stop()
            if not around.connected:
                continue
            local = reactor.switches.local
            safe = {
                n: t.safe
                for n, t in reactor.actuators.items()
                if t.safe is not None and n not in local
            }
            for device in self.devices:
                mine = {n: v for n, v in safe.items() if n in device.actuators}
                if not mine:
                    continue
                try:
                    reactor.confirmed(await device.write(mine))
                except DeviceError as error:
                    around.system.safe(device, around.clock.now(), str(error))
                    around.judged()


def linked(sets: Iterable[Collection[str]]) -> list[set[str]]:
    """Return the smallest sets, in order, that split none of ``sets``."""
    found: list[set[str]] = []
    for some in sets:
        touched = [one for one in found if not one.isdisjoint(some)]
        merged = set(some).union(*touched)
        if touched:
            found[found.index(touched[0])] = merged
            for one in touched[1:]:
                found.remove(one)
        else:
            found.append(merged)
    return found
