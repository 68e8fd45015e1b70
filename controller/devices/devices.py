"""Devices as the scan sees them: read in time or aged, written, confirmed, watchdogs fed."""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from controller.consistency.devices import own
from controller.devices.lines import Lines
from controller.devices.opcua_devices import opcua_driver, opcua_link
from controller.plant_file.device_settings import DeviceSettings
from controller.plant_file.registers import modbus_driver
from drivers.clock import Clock, monotonic
from drivers.driver import DeviceError, Driver, Identity
from drivers.point import BAD, UNCERTAIN, Sample

T = TypeVar("T")

UNCERTAIN_SCANS = 3  # a value older than this is UNCERTAIN
BAD_SCANS = 5  # and older than this, or than BAD_S if that is longer, BAD
BAD_S = 5.0
BEAT_S = 0.5  # at least how often a watchdog is fed, wall s
LATENCIES = 200  # of how many reads the latency is remembered


class LateError(DeviceError):
    """What was asked has not come in time; it goes on, and what comes of it is seen later."""


class Device:
    """One device: its driver, its last samples and how old they are.

    Args:
        name: as in the plant file.
        settings: its table.
        driver: how it is touched.
        scan_s: plant seconds between scans.
        immediate: the driver never waits (virtual time), so no task is needed.
        timer: what the watchdog is fed by; wall seconds, plant seconds in virtual time.
    """

    def __init__(
        self,
        name: str,
        settings: DeviceSettings,
        driver: Driver,
        scan_s: float,
        *,
        immediate: bool = False,
        timer: Callable[[], float] = monotonic,
    ) -> None:
        self.name = name
        self.settings = settings
        self.driver = driver
        self.identity = Identity()
        self.error = ""
        self.last_good = -math.inf
        self.armed = False
        self.answering = False
        self.immediate = immediate
        self.reads = self.failures = 0
        self.latencies: deque[float] = deque(maxlen=LATENCIES)  # of good reads, wall s
        self.guarded = settings.watchdog is not None  # it is armed by feeding it only
        self._insecure = settings.insecure
        self.actuators = {t.name for t in settings.tags if t.safe is not None}
        self._slowest_s: float | None = None
        self._samples: dict[str, Sample] = {}
        self._uncertain_s = UNCERTAIN_SCANS * scan_s
        self._bad_s = max(BAD_S, BAD_SCANS * scan_s)
        self._timer = timer
        self._beat_s = BEAT_S if timer is monotonic else scan_s
        self._beat_at = -math.inf
        self._beats = 0
        self._reading: asyncio.Task[dict[str, Sample]] | None = None
        self._late: asyncio.Task[Any] | None = None  # a write or a beat that took too long

    def take_slowest_s(self) -> float | None:
        """Return the longest good read since the last call, wall s; ``None``: there was none."""
        slowest, self._slowest_s = self._slowest_s, None
        return slowest

    @property
    def busy(self) -> bool:
        """Whether it still owes an answer; what is asked now would wait behind it."""
        return self._reading is not None or self._late is not None

    @property
    def writable(self) -> bool:
        """Whether what is written now would arrive and stay: it answers in time and is armed."""
        idle = self._reading is None and self._late is None
        return self.answering and self.armed and idle

    @property
    def safe_by_now(self) -> bool:
        """Whether its watchdog must have moved its actuators to their safe values by now."""
        dog = self.settings.watchdog
        return dog is not None and self._timer() - self._beat_at > dog.within_s + self._beat_s

    @property
    def warnings(self) -> Sequence[str]:
        """What stays on screen while it is so; no alarm."""
        said = self.driver.warnings()
        if self._insecure:
            return ("no encryption and no authentication (insecure = true)", *said)
        return said

    async def connect(self) -> None:
        """Ask the device what it is and read it once; writes nothing.

        Raises:
            DeviceError: it does not answer.
        """
        self.identity = await self.driver.identify()
        self._samples = await self._timed()

    async def read(self, now: float, budget: float | None) -> None:
        """Read once, waiting at most ``budget`` wall seconds; a slow device delays nobody else.

        It is waited for once: while its answer is overdue, later scans only look whether it came.
        """
        if self.immediate:
            try:
                self._take(await self.driver.read(), now)
            except DeviceError as error:
                self._fail(error)
            return
        if self._reading is None:
            self._reading = asyncio.create_task(self._timed(), name=f"read {self.name}")
        else:
            budget = 0.0
        await asyncio.wait({self._reading}, timeout=budget)
        if not self._reading.done():
            return
        task, self._reading = self._reading, None
        try:
            self._take(task.result(), now)
        except DeviceError as error:
            self._fail(error)

    async def _timed(self) -> dict[str, Sample]:
        self.reads += 1
        began = monotonic()
        try:
            samples = await self.driver.read()
        except DeviceError:
            self.failures += 1
            raise
        took = monotonic() - began
        self.latencies.append(took)
        self._slowest_s = max(took, self._slowest_s or 0.0)
        return samples

    def samples(self, now: float) -> Mapping[str, Sample]:
        """Return the last samples: as they are, UNCERTAIN or BAD by their age at ``now``."""
        age = now - self.last_good
        if age <= self._uncertain_s:
            return self._samples
        if age <= self._bad_s:
            worst = UNCERTAIN
            return {n: s._replace(quality=min(s.quality, worst)) for n, s in self._samples.items()}
        return {n: s._replace(value=math.nan, quality=BAD) for n, s in self._samples.items()}

    async def write(
        self, values: dict[str, float], budget: float | None = None
    ) -> dict[str, Sample]:
        """Write actuators and return what the device confirmed within ``budget`` wall seconds.

        Raises:
            LateError: it is not confirmed yet.
            DeviceError: it was not confirmed; what the device holds is unknown until it is read.
        """
        work = self.driver.write(values)
        held = await (work if self.immediate else self._in_time(work, budget, "a write"))
        self._samples.update(held)
        return held

    async def beat(self, budget: float | None = None, *, at_once: bool = False) -> None:
        """Feed the watchdog when it is due, not armed, or ``at_once``.

        Raises:
            LateError: it has not been taken within ``budget`` wall seconds, yet.
            DeviceError: the device did not take it.
        """
        if not self.guarded:
            self.armed = True
            return
        time = self._timer()
        if self.armed and time - self._beat_at < self._beat_s and not at_once:
            return
        self._beats = (self._beats + 1) & 0xFFFF
        work = self._feed(time)
        await (work if self.immediate else self._in_time(work, budget, "a heartbeat"))

    async def _feed(self, time: float) -> None:
        self.armed = await self.driver.heartbeat(self._beats)
        self._beat_at = time

    async def close(self) -> None:
        """End what is under way and close the connection."""
        for task in filter(None, (self._reading, self._late)):
            task.cancel()
            await asyncio.wait({task})
        self._reading = None
        await self.driver.close()

    async def _in_time(self, work: Coroutine[Any, Any, T], budget: float | None, what: str) -> T:
        """Return what ``work`` gives; after ``budget`` s it goes on alone and counts as failed."""
        if budget is None:
            return await work
        task = asyncio.create_task(work, name=f"{what} to {self.name}")
        await asyncio.wait({task}, timeout=budget)
        if task.done():
            return task.result()
        self._late = task
        task.add_done_callback(self._ended)
        raise LateError(f"{self.name}: {what} is not confirmed after {budget:.2g} s")

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._late = None
        if not task.cancelled():
            task.exception()  # told when it is tried again

    def _take(self, samples: dict[str, Sample], now: float) -> None:
        self._samples = samples
        self.last_good = now
        if not self.answering:
            self.answering, self.error = True, ""

    def _fail(self, error: DeviceError) -> None:
        self.answering, self.armed, self.error = False, False, str(error)


def build(name: str, settings: DeviceSettings, link: Any, clock: Clock) -> Driver:
    """Return the driver of a device of the plant file over ``link``."""
    if not own(settings):
        from controller.devices.third_party import make

        return make(name, settings, clock)
    if settings.driver == "opcua":
        return opcua_driver(name, settings, link, clock)
    return modbus_driver(name, settings, link, clock)


def wire(settings: DeviceSettings, lines: Lines | None = None) -> Any:
    """Return the real link of a device: the one place that opens a plant's sockets and ports.

    Args:
        settings: the device's table.
        lines: of the plant; without, the device is alone on its line.

    Raises:
        ConfigError: a certificate, key or secret cannot be used.
    """
    if not own(settings):
        return None  # its driver has its own
    if settings.driver == "opcua":
        return opcua_link(settings)
    return (lines or Lines()).link(settings)
