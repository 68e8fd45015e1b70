"""A device as the scan sees it: how old its values are, can it be written, when it beats."""

import asyncio
import math
from collections.abc import Sequence

import pytest

from controller.devices.devices import Device, LateError, build, wire
from controller.plant import load_plant
from controller.plant_file.device_settings import TagSettings
from controller.plant_file.registers import register
from drivers.driver import DeviceError, Driver, Identity
from drivers.modbus import ModbusDriver
from drivers.opcua import OpcUaDriver
from drivers.opcua.link import OpcUaLink
from drivers.point import Quality, Sample, Tag
from sim.clock import SimClock, run_virtual

PLANT = load_plant("sim/plants/ecoli_5l.toml")
IO, GAS = PLANT.settings.device["R1-io"], PLANT.settings.device["R1-gas"]
PH = PLANT.tags["R1.ph"]


class Far(Driver):
    """The far end: it answers, is silent, hangs or is not armed, as the test says."""

    def __init__(self) -> None:
        self.name, self.address = "R1-io", "far:1"
        self.tags: Sequence[Tag] = (PH,)
        self.silent = False
        self.delay = 0.0
        self.armed = True
        self.beats: list[int] = []
        self.asked = 0
        self.closed = False

    async def _answer(self) -> None:
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.silent:
            raise DeviceError("R1-io at far:1: no reply")

    async def identify(self) -> Identity:
        await self._answer()
        return Identity("far end")

    async def read(self) -> dict[str, Sample]:
        self.asked += 1
        await self._answer()
        return {PH.name: Sample(PH, 0.0, 7.0, Quality.GOOD)}

    async def write(self, values: dict[str, float]) -> dict[str, Sample]:
        await self._answer()
        return {n: Sample(PLANT.tags[n], 0.0, v, Quality.GOOD) for n, v in values.items()}

    async def heartbeat(self, count: int) -> bool:
        await self._answer()
        self.beats.append(count)
        return self.armed

    async def advance(self, plant_time: float) -> None:
        raise DeviceError("no simulator")

    async def close(self) -> None:
        self.closed = True


def device(far: Far, *, scan_s: float = 1.0, immediate: bool = True, now: float = 0.0) -> Device:
    return Device("R1-io", IO, far, scan_s, immediate=immediate, timer=lambda: now)


@pytest.mark.parametrize(
    ("scan_s", "uncertain_s", "bad_s"), [(1.0, 3.0, 5.0), (0.5, 1.5, 5.0), (2.0, 6.0, 10.0)]
)
def test_values_age_by_scans_and_never_go_bad_within_five_seconds(
    scan_s: float, uncertain_s: float, bad_s: float
) -> None:
    async def age() -> None:
        far = Far()
        one = device(far, scan_s=scan_s)
        await one.read(100.0, 0.0)

        def seen(at: float) -> Sample:
            return one.samples(100.0 + at)[PH.name]

        assert seen(uncertain_s).quality is Quality.GOOD
        assert seen(uncertain_s + 0.01) == Sample(PH, 0.0, 7.0, Quality.UNCERTAIN)
        assert seen(bad_s).quality is Quality.UNCERTAIN
        assert seen(bad_s + 0.01).quality is Quality.BAD
        assert math.isnan(seen(bad_s + 0.01).value)
        await one.read(200.0, 0.0)
        assert one.samples(200.0)[PH.name].quality is Quality.GOOD

    run_virtual(age())


def test_what_was_bad_does_not_become_uncertain_by_age() -> None:
    async def age() -> None:
        far = Far()
        one = device(far)
        await one.read(0.0, 0.0)
        bad = Sample(PH, 0.0, math.nan, Quality.BAD)
        one._samples = {PH.name: bad}  # pyright: ignore[reportPrivateUsage]
        assert one.samples(4.0)[PH.name].quality is Quality.BAD

    run_virtual(age())


def test_it_says_whether_it_answers_and_why_not() -> None:
    async def life() -> None:
        far = Far()
        one = device(far)
        await one.read(0.0, 0.0)
        assert one.answering
        far.silent = True
        await one.read(1.0, 0.0)
        assert (one.answering, one.error) == (False, "R1-io at far:1: no reply")
        await one.read(2.0, 0.0)
        assert not one.writable
        far.silent = False
        await one.read(3.0, 0.0)
        assert (one.answering, one.error) == (True, "")

    run_virtual(life())


def test_it_is_written_only_while_it_answers_is_armed_and_owes_nothing() -> None:
    async def life() -> None:
        far = Far()
        clock = SimClock()
        one = Device("R1-io", IO, far, 1.0, timer=clock.now)
        await one.read(0.0, 0.5)
        assert not one.writable  # nobody knows whether its watchdog is armed
        await one.beat()
        assert one.writable
        far.delay = 10.0
        await one.read(1.0, 0.5)
        assert (one.busy, one.writable) == (True, False)
        await asyncio.sleep(20.0)
        await one.read(21.0, 0.5)
        assert (one.busy, one.writable) == (False, True)
        with pytest.raises(LateError, match=r"R1-io: a write is not confirmed after 0\.5 s"):
            await one.write({"R1.heater": 1.0}, 0.5)
        assert one.busy
        await asyncio.sleep(20.0)
        assert one.writable
        far.armed = False
        await one.beat(at_once=True)
        assert not one.writable
        far.delay = 1e6
        await one.read(30.0, 0.5)
        await one.close()
        assert far.closed

    run_virtual(life())


def test_a_silent_read_is_waited_for_once() -> None:
    async def life() -> list[float]:
        far = Far()
        clock = SimClock()
        one = Device("R1-io", IO, far, 1.0, timer=clock.now)
        far.delay = 100.0
        took: list[float] = []
        for _ in range(3):
            began = clock.now()
            await one.read(began, 0.5)
            took.append(clock.now() - began)
        assert far.asked == 1
        await one.close()
        return took

    assert run_virtual(life()) == [0.5, 0.0, 0.0]


def test_the_watchdog_is_fed_with_another_number_each_time_and_when_it_is_due() -> None:
    async def life() -> Far:
        far = Far()
        now = 0.0
        one = Device("R1-io", IO, far, 1.0, immediate=True, timer=lambda: now)
        for step in range(21):
            now = 0.25 * step
            await one.beat()
        return far

    assert run_virtual(life()).beats == [1, 2, 3, 4, 5, 6]  # once a scan


def test_an_unarmed_watchdog_is_fed_at_every_occasion() -> None:
    async def life() -> Far:
        far = Far()
        far.armed = False
        one = device(far)
        for _ in range(4):
            await one.beat()
        return far

    assert run_virtual(life()).beats == [1, 2, 3, 4]


def test_after_its_time_a_silent_device_is_taken_to_have_made_itself_safe() -> None:
    async def life() -> None:
        far = Far()
        now = 0.0
        one = Device("R1-io", IO, far, 1.0, immediate=True, timer=lambda: now)
        await one.beat()
        now = 3.5
        assert not one.safe_by_now
        now = 4.1  # within_s and one beat
        assert one.safe_by_now
        gas = Device("R1-gas", GAS, far, 1.0, immediate=True, timer=lambda: now)
        now = 1e6
        assert not gas.safe_by_now  # it has no watchdog: it holds what it has
        await gas.beat()
        assert gas.armed

    run_virtual(life())


def test_each_driver_of_the_plant_file_is_built_and_reads_its_own_tags() -> None:
    async def look() -> None:
        clock = SimClock()
        io = build("R1-io", IO, wire(IO), clock)
        gas_link = wire(GAS)
        gas = build("R1-gas", GAS, gas_link, clock)
        assert isinstance(io, ModbusDriver)
        assert isinstance(gas, OpcUaDriver)
        assert isinstance(gas_link, OpcUaLink)
        assert {t.name for t in io.tags} | {t.name for t in gas.tags} == set(PLANT.tags)
        assert (io.address, gas.address) == (IO.address, GAS.address)

    run_virtual(look())


def test_a_register_is_what_the_plant_file_says() -> None:
    found = register(
        TagSettings.model_validate(
            {
                "name": "R1.x",
                "unit": "kg",
                "low": -1,
                "high": 100,
                "input": 7,
                "type": "int32",
                "scale": 0.001,
                "offset": -1.0,
                "words": "little",
            }
        )
    )
    assert (found.table, found.address, found.type, found.words) == ("input", 7, "int32", "little")
    assert (found.scale, found.offset, found.count) == (0.001, -1.0, 2)
    bit = register(
        TagSettings.model_validate(
            {"name": "R1.valve", "unit": "1", "low": 0, "high": 1, "coil": 3, "safe": 0}
        )
    )
    assert (bit.table, bit.type, bit.tag.safe) == ("coil", "bit", 0)
