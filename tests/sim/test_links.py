"""The vessel behind the drivers' links, and the registers it shows."""

import gc
import math
import struct
import tomllib
import weakref
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from controller.devices.devices import build
from controller.plant_file.device_settings import DeviceSettings
from drivers.driver import DeviceError, Driver
from drivers.modbus import ModbusDriver, Watchdog
from drivers.modbus.registers import Register
from drivers.opcua import Node, OpcUaDriver
from drivers.point import Quality, Tag
from sim.clock import SimClock, run_virtual
from sim.image import Refused, RegisterImage, device_image
from sim.links import VesselOpcUaLink, answer, modbus_link, vessel_link
from sim.motion import Device, DeviceWatchdog, SimulatedPlant

PLANT = Path(__file__).parents[2] / "sim" / "plants" / "ecoli_5l.toml"


class Tank(Device):
    """A tank whose level rises by its pump's flow: 1 L/s at most, safe is 0."""

    def __init__(self, time: float = 0.0) -> None:
        self.time = time
        self.level = 10.0
        self.wanted = {"R1.pump": 0.0, "R1.valve": 0.0}
        self.broken = False
        self.made_safe: list[float] = []

    def advance(self, time: float) -> None:
        if time > self.time:
            self.level += self.wanted["R1.pump"] * (time - self.time)
            self.time = time

    def read(self, name: str) -> float:
        if name in self.wanted:
            return self.wanted[name]
        return math.nan if self.broken else self.level

    def write(self, name: str, value: float) -> None:
        self.wanted[name] = value

    def actual(self, name: str) -> float:
        return self.wanted[name]

    def to_safe(self) -> None:
        self.made_safe.append(self.time)
        self.wanted = dict.fromkeys(self.wanted, 0.0)


LEVEL = Tag("R1.level", "L", 0, 600)
PUMP = Tag("R1.pump", "L/s", 0, 1, 0)
VALVE = Tag("R1.valve", "1", 0, 1, 0)
REGISTERS = [
    Register(LEVEL, "input", 0, "int16", 0.1),
    Register(LEVEL.__class__("R1.level_f", "L", 0, 600), "input", 3, "float32", words="little"),
    Register(PUMP, "holding", 2, "float32"),
    Register(VALVE, "coil", 5, "bit"),
]


def image_of(tank: Tank, watchdog: DeviceWatchdog | None = None) -> RegisterImage:
    return device_image(REGISTERS, SimulatedPlant({"R1": tank}), watchdog, 10, 8)


def ask(image: RegisterImage, request: str) -> str:
    return answer(image, bytes.fromhex(request)).hex(" ")


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        ("04 0000 0001", "04 02 00 64"),  # 10.0 L in tenths
        ("04 0000 0005", "04 0a 00 64 00 00 00 00 00 00 41 20"),  # a gap, then 10.0 word-swapped
        ("04 0003 0001", "04 02 00 00"),  # half a float is what it is
        ("04 0004 0001", "04 02 41 20"),
        ("04 0005 0001", "84 02"),
        ("04 0001 0005", "84 02"),
        ("04 0000 0000", "84 03"),
        ("04 0000 007E", "84 03"),
        ("04 FFFF 0002", "84 02"),
        ("04 0000", "84 03"),
        ("03 0002 0002", "03 04 00 00 00 00"),
        ("03 0000 0002", "83 02"),
        ("01 0005 0001", "01 01 00"),
        ("01 0004 0002", "81 02"),
        ("02 0000 0001", "82 02"),
        ("10 0002 0002 04 3F00 0000", "10 00 02 00 02"),
        ("10 0002 0001 02 3F00", "90 02"),  # half a float is never written
        ("10 0002 0002 04 4000 0000", "90 03"),  # 2 L/s is out of range
        ("10 0002 0002 04 7FC0 0000", "90 03"),  # NaN
        ("10 0002 0002 02 3F00 0000", "90 03"),  # the byte count lies
        ("10 0002 0002 04 3F00", "90 03"),
        ("10 0000 0002 04 0000 0000", "90 02"),
        ("06 0002 3F00", "86 02"),
        ("0F 0005 0001 01 01", "0f 00 05 00 01"),
        ("0F 0005 0002 01 03", "8f 02"),
        ("05 0005 FF00", "05 00 05 ff 00"),
        ("05 0005 1234", "85 03"),
        ("08 0000 0000", "88 01"),
        ("17 0000 0001", "97 03"),
        ("17 0002 0002 0002 0002 04 3F00 0000", "17 04 3f 00 00 00"),  # written, then read
        ("17 0002 0002 0002 0002 04 4000 0000", "97 03"),
        ("17 0000 0001 0002 0002 04 3F00 0000", "97 02"),
        ("14 07 06 0001 0000 0001", "94 01"),
    ],
)
def test_the_simulated_device_answers_like_a_modbus_device(request_: str, reply: str) -> None:
    assert ask(image_of(Tank()), request_) == reply


def test_a_write_moves_the_tank_and_reads_back() -> None:
    tank = Tank()
    image = image_of(tank)
    ask(image, "10 0002 0002 04 3F00 0000")
    ask(image, "05 0005 FF00")
    assert tank.wanted == {"R1.pump": 0.5, "R1.valve": 1.0}
    assert ask(image, "03 0002 0002") == "03 04 3f 00 00 00"
    assert ask(image, "01 0005 0001") == "01 01 01"


@pytest.mark.parametrize(
    ("level", "word"), [(math.nan, "7f ff"), (1e9, "7f ff"), (-1e9, "80 00"), (-0.04, "00 00")]
)
def test_what_no_count_can_say_shows_as_an_end_of_the_scale(level: float, word: str) -> None:
    tank = Tank()
    tank.level = level
    assert ask(image_of(tank), "04 0000 0001") == f"04 02 {word}"


def test_nothing_is_written_of_a_request_with_one_value_out_of_range() -> None:
    written: list[float] = []
    a, b = (Register(Tag(n, "1", 0, 9, 0), "holding", i) for i, n in enumerate(("R1.a", "R1.b")))
    image = RegisterImage([a, b], {}, {"R1.a": written.append, "R1.b": written.append})
    with pytest.raises(Refused, match="exception 3"):
        image.write_words(0, bytes.fromhex("0005 000A"))
    assert written == []


def test_a_tag_without_a_vessel_is_refused_by_name() -> None:
    r = Register(Tag("R9.level", "L", 0, 1), "input", 0)
    with pytest.raises(ValueError, match=r"R9\.level: no simulated vessel R9; there are R1"):
        device_image([r], SimulatedPlant({"R1": Tank()}))


def virtual(test: Callable[[SimClock, Tank, ModbusDriver], Awaitable[None]]) -> None:
    """Run ``test`` with a tank behind a Modbus driver that has a watchdog of 3 s."""

    async def main() -> None:
        clock = SimClock(100.0)
        tank = Tank(100.0)
        plant = SimulatedPlant({"R1": tank}, clock)
        watchdog = Watchdog(10, 8)
        link = modbus_link(plant, REGISTERS, watchdog, within_s=3.0)
        await test(clock, tank, ModbusDriver("R1-io", REGISTERS, link, clock, watchdog=watchdog))

    run_virtual(main())


def test_the_vessel_goes_with_the_clock() -> None:
    async def test(clock: SimClock, tank: Tank, driver: ModbusDriver) -> None:
        await driver.write({"R1.pump": 0.5})
        await clock.run_until(102.0)
        assert {s.value for n, s in (await driver.read()).items() if "level" in n} == {11.0}
        assert tank.time == 102.0
        identity = await driver.identify()
        assert (identity.simulated, identity.speed, identity.plant_time) == (True, 1.0, 102.0)

    virtual(test)


def test_without_a_heartbeat_the_device_makes_itself_safe_in_time() -> None:
    async def test(clock: SimClock, tank: Tank, driver: ModbusDriver) -> None:
        assert await driver.heartbeat(1) is True
        await driver.write({"R1.pump": 1.0})
        for count in range(2, 7):
            await clock.run_until(100.0 + count)
            assert await driver.heartbeat(count) is True
        await clock.run_until(116.0)  # the last beat was at 106
        samples = await driver.read()
        assert tank.made_safe == [109.0]  # not when somebody looked
        assert samples["R1.level"].value == pytest.approx(19.0)  # 10 + 9 s of 1 L/s
        assert samples["R1.pump"].value == 0.0
        assert await driver.heartbeat(7) is False  # what the last read said
        await driver.read()
        assert await driver.heartbeat(8) is True

    virtual(test)


def test_a_register_that_stays_the_same_is_no_heartbeat() -> None:
    async def test(clock: SimClock, tank: Tank, driver: ModbusDriver) -> None:
        await driver.heartbeat(5)
        for second in range(1, 6):
            await clock.run_until(100.0 + second)
            if second != 3:
                await driver.heartbeat(5)
        assert tank.made_safe == [103.0]

    virtual(test)


def test_an_output_written_by_one_who_never_feeds_does_not_stay_on() -> None:
    async def test(clock: SimClock, tank: Tank, driver: ModbusDriver) -> None:
        await driver.write({"R1.pump": 1.0})
        await clock.run_until(150.0)
        assert (await driver.read())["R1.pump"].value == 0.0
        assert tank.made_safe == [103.0]

    virtual(test)


def test_a_cut_wire_is_a_device_error_and_the_watchdog_still_acts() -> None:
    async def main() -> None:
        clock = SimClock(0.0)
        tank = Tank()
        plant = SimulatedPlant({"R1": tank}, clock)
        watchdog = Watchdog(10, 8)
        link = modbus_link(plant, REGISTERS, watchdog)
        io = ModbusDriver("R1-io", REGISTERS, link, clock, watchdog=watchdog)
        gas = OpcUaDriver("R1-gas", [node], VesselOpcUaLink(plant, [node]), clock)
        await io.heartbeat(1)
        await io.write({"R1.pump": 1.0})
        mend = link.wire.begin("cut")
        await clock.run_until(10.0)
        with pytest.raises(DeviceError, match="no reply to 1 coils from 5: the wire is cut"):
            await io.read()
        assert (await gas.read())["R1.level"].value == 13.0  # seen through the other device
        mend()
        assert (await io.read())["R1.pump"].value == 0.0

    node = Node(LEVEL, "nsu=urn:t;s=level")
    run_virtual(main())


def test_links_to_the_same_vessels_share_a_plant_and_let_it_go() -> None:
    async def main() -> None:
        devices = tomllib.loads(PLANT.read_text("utf-8"))["device"]
        gas = DeviceSettings(**devices["R1-gas"])
        vessels = {"R1": Tank()}
        links = [vessel_link(gas, vessels, SimClock()) for _ in range(2)]
        plants = {id(link._plant) for link in links}  # pyright: ignore[reportPrivateUsage]
        assert len(plants) == 1
        forgotten = weakref.ref(vessels["R1"])
        del links, vessels
        gc.collect()
        assert forgotten() is None  # a search runs thousands of batches in one process

    run_virtual(main())


def test_in_lock_step_the_vessel_waits_to_be_told() -> None:
    async def main() -> None:
        clock = SimClock(0.0)
        tank = Tank()
        plant = SimulatedPlant({"R1": tank})
        io = ModbusDriver("R1-io", REGISTERS, modbus_link(plant, REGISTERS), clock)
        gas = OpcUaDriver("R1-gas", [node], VesselOpcUaLink(plant, [node]), clock)
        assert (await io.identify()).speed == 0
        assert (await gas.identify()).speed == 0
        await io.write({"R1.pump": 1.0})
        await clock.run_until(50.0)
        assert (await io.read())["R1.level"].value == 10.0
        await io.advance(7.5)
        assert (await gas.read())["R1.level"].value == 17.5
        await gas.advance(8.0)
        assert (await gas.identify()).plant_time == 8.0

    node = Node(LEVEL, "nsu=urn:t;s=level")
    run_virtual(main())


async def test_opcua_statuses_are_a_servers() -> None:
    tank = Tank()
    level, pump = Node(LEVEL, "nsu=urn:t;s=level"), Node(PUMP, "nsu=urn:t;s=pump")
    link = VesselOpcUaLink(SimulatedPlant({"R1": tank}), [level, pump])
    tank.broken = True
    (broken, unknown) = await link.read([level.node, "nsu=urn:t;s=x"])
    assert (broken.status, unknown.status) == (0x808C0000, 0x80340000)
    written = await link.write([pump.node, pump.node, level.node, "nsu=urn:t;s=x"], [1, 2, 3, 4])
    assert written == [0, 0x803C0000, 0x803B0000, 0x80340000]
    assert tank.wanted["R1.pump"] == 1


def test_the_whole_plant_file_through_its_drivers() -> None:
    """Every tag of the demo's plant is read, every actuator written, through frames and nodes."""

    class Still(Tank):
        def read(self, name: str) -> float:
            return self.wanted.get(name, 5.25)

        def actual(self, name: str) -> float:
            return self.wanted.get(name, 0.0)

    async def main() -> None:
        clock = SimClock(0.0)
        vessels = {"R1": Still()}
        devices = tomllib.loads(PLANT.read_text("utf-8"))["device"]
        for name, table in devices.items():
            settings = DeviceSettings(**table)
            driver: Driver = build(name, settings, vessel_link(settings, vessels, clock), clock)
            assert (await driver.identify()).simulated
            half = {t.name: t.high / 2 for t in driver.tags if t.safe is not None}
            held = await driver.write(half)
            assert {n: s.value for n, s in held.items()} == half
            samples = await driver.read()
            assert set(samples) == {t.name for t in driver.tags}
            assert {s.quality for s in samples.values()} == {Quality.GOOD}
            for n in samples.keys() - half.keys():
                assert samples[n].value == pytest.approx(5.25, abs=0.5)  # r/min in whole counts

    run_virtual(main())


def test_a_watchdog_unit_247_speaks_float64() -> None:
    async def test(clock: SimClock, tank: Tank, driver: ModbusDriver) -> None:
        link = driver._link  # pyright: ignore[reportPrivateUsage]
        link.fence.lock_step = True  # as if it had said so
        replies = await link.exchange(
            [bytes.fromhex("03 0000 000C"), bytes.fromhex("10 0008 0004 08 4059 0000 0000 0000")],
            unit=247,
        )
        assert struct.unpack(">2x3d", replies[0]) == (1.0, 100.0, 100.0)
        assert replies[1] == b"\x90\x02"  # it goes with the clock: there is no target to write
        (reply,) = await link.exchange([bytes.fromhex("03 0000 0001")], unit=5)
        assert reply == b"\x83\x0b"

    virtual(test)
