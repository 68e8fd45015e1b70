"""The scan's own time: on time beside a slow device, honest about what it skipped."""

import asyncio
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import pytest

from controller.alarms.alarms import Alarms
from controller.alarms.table import definitions
from controller.devices.devices import Device
from controller.plant_file.device_settings import WatchdogSettings
from controller.scan_group import LONGEST_STEP_S, TOGETHER, Around, ScanGroup
from controller.system_alarms import SystemAlarms
from drivers.driver import Driver, Identity
from drivers.point import Quality, RangeError, Sample, Tag
from historian.events import Kind
from historian.sqlite import SqliteStore
from historian.store import NullHistorian
from sim.clock import SimClock, run_virtual
from tests.loop.rig import GROWN, Rig, plant_file
from tests.system.many_devices import write_plant


class Slow(Driver):
    """A device that takes its time: ``delay`` s for each answer, to any question."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.name, self.address = driver.name, driver.address
        self.tags: Sequence[Tag] = driver.tags
        self.delay = 0.0
        self.asked = 0

    async def _wait(self) -> None:
        self.asked += 1
        if self.delay:
            await asyncio.sleep(self.delay)

    async def identify(self) -> Identity:
        return await self.driver.identify()

    async def read(self) -> dict[str, Sample]:
        await self._wait()
        return await self.driver.read()

    async def write(self, values: dict[str, float]) -> dict[str, Sample]:
        await self._wait()
        return await self.driver.write(values)

    async def heartbeat(self, count: int) -> bool:
        await self._wait()
        return await self.driver.heartbeat(count)

    async def advance(self, plant_time: float) -> None:
        await self.driver.advance(plant_time)

    async def close(self) -> None:
        await self.driver.close()


@pytest.fixture
def make(tmp_path: Path) -> Generator[Callable[..., Rig]]:
    with ExitStack() as stack:

        def rig(**more: Any) -> Rig:
            return stack.enter_context(Rig(plant_file(tmp_path, GROWN), **more))

        yield rig


def slow(make: Callable[..., Rig], device: str) -> tuple[Rig, Slow]:
    """Return a running rig with a device that can be made slow."""
    found: list[Slow] = []

    def around(driver: Driver) -> Driver:
        found.append(Slow(driver))
        return found[0]

    rig = make(drivers={device: around})
    rig.connect()
    rig.run(10)
    return rig, found[0]


@pytest.mark.parametrize("device", ["R1-io", "R1-gas"])
def test_a_device_that_hangs_costs_one_budget_and_then_nothing(
    make: Callable[..., Rig], device: str
) -> None:
    rig, hung = slow(make, device)
    other = "R1-gas" if device == "R1-io" else "R1-io"
    hung.delay = 1e6
    late: list[float] = []
    for now in rig.scans(30):
        late.append(now % 1.0)
        fresh = rig.samples["R1.offgas_o2" if other == "R1-gas" else "R1.temperature"]
        assert fresh.quality is Quality.GOOD
    assert max(late) <= 0.56  # half a scan, once; the scans begin at 0.05
    assert sum(t > 0.06 for t in late) == 1
    assert rig.controller.scan.counts.missed == 0
    stale = rig.samples["R1.temperature" if other == "R1-gas" else "R1.offgas_o2"]
    assert stale.quality is Quality.BAD


def test_a_device_that_answers_late_is_used_when_it_answers(make: Callable[..., Rig]) -> None:
    rig, late = slow(make, "R1-gas")
    late.delay = 2.5
    rig.run(60)
    assert rig.samples["R1.offgas_o2"].quality is not Quality.BAD
    assert rig.controller.scan.counts.missed == 0
    assert rig.alarms() == {}
    late.delay = 0.0
    rig.run(5)
    assert rig.samples["R1.offgas_o2"].time == rig.clock.now()


def test_a_hanging_write_delays_neither_the_scan_nor_the_other_device(
    make: Callable[..., Rig],
) -> None:
    rig, hung = slow(make, "R1-gas")
    read = hung.driver.read
    hung.read = read  # it reads, but never takes a write
    hung.delay = 1e6
    control = rig.controller
    for loop, value in (("air", 4.0), ("temperature", 30.0)):
        control.set_mode(f"R1.{loop}", "MANUAL", "a test", "ana")
        control.set_output(f"R1.{loop}", value, "a test", "ana")
    times = [now % 1.0 for now in rig.scans(20)]
    assert rig.held()["R1.heater"] == 30
    assert rig.held()["R1.air"] == 1
    assert sum(t > 0.06 for t in times) == 1
    assert rig.loop("air").output == 1  # the loop follows what the device holds


def test_a_value_that_the_driver_refuses_is_an_alarm_and_no_end_of_the_scan(
    make: Callable[..., Rig],
) -> None:
    rig, picky = slow(make, "R1-gas")

    async def refuse(values: dict[str, float]) -> dict[str, Sample]:
        raise RangeError(f"{', '.join(values)}: no such step; 0 or 1")

    picky.write = refuse
    rig.controller.set_mode("R1.air", "MANUAL", "a test", "ana")
    rig.controller.set_output("R1.air", 4.0, "a test", "ana")
    rig.run(5)
    assert "R1.air: no such step; 0 or 1" in rig.alarms()["R1-gas.write"]
    assert rig.held()["R1.air"] == 1
    assert rig.samples["R1.air_flow"].time == rig.clock.now()


def test_without_budget_tasks_the_same_plant_gives_the_same_numbers(
    make: Callable[..., Rig], tmp_path: Path
) -> None:
    direct, tasks = make(), make(drivers={})
    for rig in (direct, tasks):
        rig.begin()
        rig.run(200)
    assert tasks.held() == direct.held()
    assert tasks.vessel.truth == direct.vessel.truth


def test_a_scan_that_was_held_up_is_skipped_counted_and_its_step_is_bounded(
    make: Callable[..., Rig],
) -> None:
    rig = make()
    rig.begin()
    rig.run(10)
    steps: list[float] = []
    reactor = rig.controller.reactors["R1"]
    step = reactor.step

    def note(now: float, dt: float, samples: Any) -> dict[str, float]:
        steps.append(dt)
        return step(now, dt, samples)

    reactor.step = note
    scan = rig.controller.scan
    rig.do(rig.clock.sleep_until(rig.clock.now() + 20.0))  # the machine was asleep
    rig.run(30)
    assert scan.counts.missed == 19
    assert max(steps) == LONGEST_STEP_S
    assert steps[1:] == [1.0] * (len(steps) - 1)
    assert scan.counts.scans == 10 + len(steps)


def test_lateness_and_missed_scans_are_stored_with_the_reactor(
    make: Callable[..., Rig], tmp_path: Path
) -> None:
    with SqliteStore(tmp_path / "store.sqlite") as store:
        rig = make(store=store).connect()
        rig.run(10)
        rig.do(rig.clock.sleep_until(rig.clock.now() + 5.25))  # 1 s to the next scan: 4.25 late
        rig.run(3)
        store.flush()
        late = store.read(Tag("R1.scan.lateness", "ms", 0, 1e6), 0, 1e10)
        missed = store.read(Tag("R1.scan.missed", "1", 0, 1e6), 0, 1e10)
    assert [s.value for s in missed] == [0.0] * 11 + [4.0] * (len(missed) - 11)
    assert late[10].value == pytest.approx(4250)
    assert [s.value for s in (*late[:10], *late[11:])] == pytest.approx([0.0] * (len(late) - 1))


def test_an_output_of_nothing_is_written_as_nothing(make: Callable[..., Rig]) -> None:
    rig = make().connect()
    control = rig.controller
    control.set_mode("R1.feed", "MANUAL", "a test", "ana")
    for value in (1.0, 0.015, 0.0):  # the last step is less than one ten-thousandth of the span
        control.set_output("R1.feed", value, "a test", "ana")
        rig.run(2)
    assert rig.held()["R1.feed"] == 0


def test_only_what_changes_is_written(make: Callable[..., Rig]) -> None:
    rig = make().connect()
    rig.run(10)
    beats = len(rig.wires["R1-io"].writes)
    gas = len(rig.wires["R1-gas"].writes)
    rig.run(10)
    assert len(rig.wires["R1-io"].writes) == beats + 10  # heartbeats
    assert len(rig.wires["R1-gas"].writes) == gas


def test_what_a_device_changes_by_itself_is_told_and_taken_over(make: Callable[..., Rig]) -> None:
    rig = make().connect()
    rig.controller.set_mode("R1.air", "MANUAL", "a test", "ana")
    rig.controller.set_output("R1.air", 3.0, "a test", "ana")
    rig.run(20)
    rig.vessel.write("R1.air", 2.0)  # somebody at the device itself
    rig.run(5)
    assert rig.told(Kind.NOTE)[-1:] == ["R1.air holds 2 L/min, not 3; continuing from it"]
    assert rig.held()["R1.air"] == 2


def test_it_beats_once_a_scan_and_while_it_waits_for_a_device(make: Callable[..., Rig]) -> None:
    beats: list[None] = []
    rig = make()
    rig.controller.scan.around.beat = lambda: beats.append(None)
    rig.wires["R1-gas"].answering = False
    with pytest.raises(TimeoutError):
        rig.do(asyncio.wait_for(rig.controller.connect(), 10.0))
    assert len(beats) == pytest.approx(20, abs=2)
    rig.wires["R1-gas"].answering = True
    rig.connect()
    beats.clear()
    rig.run(10)
    assert len(beats) == 10


class Asked(Driver):
    """Answers in 1 ms with what it held a moment ago, and notes when it was asked."""

    def __init__(self, clock: SimClock) -> None:
        self.tags: Sequence[Tag] = ()
        self.name = self.address = "far"
        self.clock = clock
        self.reads: list[float] = []
        self.beats: list[float] = []

    async def read(self) -> dict[str, Sample]:
        self.reads.append(self.clock.now())
        await asyncio.sleep(0.001)
        return {}

    async def write(self, values: dict[str, float]) -> dict[str, Sample]:
        return {}

    async def close(self) -> None: ...

    async def heartbeat(self, count: int) -> bool:
        self.beats.append(self.clock.now())
        await asyncio.sleep(0.001)
        return True


@pytest.mark.parametrize(
    ("count", "scan_s", "last"), [(2, 1.0, 0.0), (8, 1.0, 0.0), (30, 1.0, 0.048), (30, 0.1, 0.015)]
)
def test_many_devices_are_asked_a_few_at_a_time_and_their_watchdogs_fed_at_once(
    tmp_path: Path, count: int, scan_s: float, last: float
) -> None:
    plant = write_plant(tmp_path, range(5020, 5020 + count), scan_s=scan_s)
    dog = WatchdogSettings.model_validate({"holding": 100})

    async def scan() -> None:
        clock = SimClock(0.0)
        devices = [
            Device(n, s.model_copy(update={"watchdog": dog}), Asked(clock), scan_s, timer=clock.now)
            for n, s in plant.settings.device.items()
        ]
        for device in devices:
            device.answering = True
        alarms = Alarms(definitions(plant), lambda _: None)
        system = SystemAlarms(alarms, devices, (), lambda _: None)
        around = Around(plant, clock, NullHistorian(), system, {})
        await ScanGroup(around, devices, ()).once(0.0)
        far = [cast(Asked, d.driver) for d in devices]
        at = [f.reads[0] for f in far]
        assert at == sorted(at)
        assert at[-1] == pytest.approx(last)
        assert max(Counter(at).values()) <= TOGETHER
        assert {f.beats[0] for f in far} == {at[-1] + 0.001}

    run_virtual(scan())
