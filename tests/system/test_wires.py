"""Both drivers against the simulated plant on real sockets."""

import asyncio
import socket
import tomllib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_asyncio
from asyncua.client.client import Client
from pymodbus.client import AsyncModbusTcpClient

from controller.devices.devices import build, wire
from controller.plant_file.device_settings import DeviceSettings, TagSettings
from drivers.clock import SystemClock, monotonic
from drivers.driver import DeviceError, Driver, Identity
from drivers.point import Quality
from sim.clock import SimClock, run_virtual
from sim.links import vessel_link
from sim.listen import ListenError
from sim.motion import Device
from sim.server import PlantServer
from sim.vessel import Vessel

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.real_time]

PLANT = Path(__file__).parents[2] / "sim" / "plants" / "ecoli_5l.toml"
START = 1_767_225_600.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


def tables(**changes: object) -> dict[str, DeviceSettings]:
    """Return the devices of the demo's plant at free ports, with patient timeouts."""
    found: dict[str, DeviceSettings] = {}
    for name, table in tomllib.loads(PLANT.read_text("utf-8"))["device"].items():
        port = free_port()
        address = f"127.0.0.1:{port}"
        if table["driver"] == "opcua":
            address = f"opc.tcp://127.0.0.1:{port}/fermloop"
        table |= {"address": address, "timeout_s": 10, **changes}
        found[name] = DeviceSettings.model_validate(table)
    return found


def vessel(seed: int = 1) -> Vessel:
    safe = {
        t["name"]: t["safe"]
        for d in tomllib.loads(PLANT.read_text("utf-8"))["device"].values()
        for t in d["tags"]
        if "safe" in t
    }
    return Vessel("ecoli", "5l", seed, "R1", START, safe=safe)


class Wired:
    """A served plant and a driver for each of its devices."""

    def __init__(
        self, settings: Mapping[str, DeviceSettings], vessels: Mapping[str, Device], speed: float
    ) -> None:
        self.server = PlantServer(settings, vessels, speed)
        self.clock = SystemClock()
        self.drivers: dict[str, Driver] = {
            name: build(name, s, wire(s), self.clock) for name, s in settings.items()
        }

    async def __aenter__(self) -> "Wired":
        await self.server.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        for driver in self.drivers.values():
            await driver.close()
        await self.server.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lock_step() -> AsyncIterator[Wired]:
    """The demo's plant in lock-step; every test leaves it further on in its time."""
    async with Wired(tables(), {"R1": vessel()}, 0.0) as wired:
        yield wired


async def scans(drivers: Mapping[str, Driver], start: float, count: int) -> list[float]:
    """Read, write and advance ``count`` times; return all that was read."""
    io, gas = drivers["R1-io"], drivers["R1-gas"]
    seen: list[float] = []
    for k in range(count):
        samples = {**await io.read(), **await gas.read()}
        assert {s.quality for s in samples.values()} == {Quality.GOOD}
        seen += [samples[n].value for n in sorted(samples)]
        await io.heartbeat(k + 1)
        held = await io.write(
            {
                "R1.stirrer": 300 + k,
                "R1.heater": k % 100 + 0.25,
                "R1.cooling": 0.0,
                "R1.base": 0.1 * (k % 7),
                "R1.feed": 3.3 * (k % 5),
                "R1.antifoam": 0.5,
            }
        )
        held |= await gas.write({"R1.air": 1 + 0.1 * (k % 30)})
        assert held["R1.stirrer"].value == 300 + k
        seen += [s.value for s in held.values()]
        await io.advance(start + k + 1)
    return seen


async def test_the_wire_gives_the_very_numbers_of_virtual_time(lock_step: Wired) -> None:
    """The same vessel, the same scans: over sockets, and behind the links in virtual time."""
    for driver in lock_step.drivers.values():
        assert await driver.identify() == Identity("fermloop simulator", 0.0, START)
    over_the_wire = await scans(lock_step.drivers, START, 60)
    assert lock_step.server.plant.time == START + 60

    async def virtual() -> list[float]:
        clock = SimClock(START)
        vessels = {"R1": vessel()}

        def linked(name: str, settings: DeviceSettings) -> Driver:
            driver = build(name, settings, vessel_link(settings, vessels, clock), clock)

            driver.advance = clock.run_until  # type: ignore[method-assign] (it moves the vessel)
            return driver

        return await scans({n: linked(n, s) for n, s in tables().items()}, START, 60)

    in_virtual_time = await asyncio.to_thread(run_virtual, virtual())
    assert over_the_wire == in_virtual_time


async def test_either_device_moves_the_plant_for_both(lock_step: Wired) -> None:
    io, gas = lock_step.drivers.values()
    await io.identify()
    time = (await gas.identify()).plant_time
    assert time is not None
    await gas.advance(time + 5)
    assert (await io.identify()).plant_time == time + 5
    await io.advance(time + 6)
    await io.advance(time + 2)  # the past is reached already
    assert (await gas.identify()).plant_time == time + 6


async def test_other_clients_read_the_same_plant(lock_step: Wired) -> None:
    """Pymodbus' and asyncua's own clients, as a stranger would point them at the simulator."""
    drivers = lock_step.drivers
    await drivers["R1-io"].write({"R1.acid": 1.5})
    await drivers["R1-gas"].write({"R1.oxygen": 0.75})
    host, _, port = drivers["R1-io"].address.partition(":")
    modbus = AsyncModbusTcpClient(host, port=int(port), timeout=10)
    assert await modbus.connect()
    acid = (await modbus.read_holding_registers(4, count=2, device_id=1)).registers
    kind = modbus.DATATYPE.FLOAT32
    assert modbus.convert_from_registers(acid, kind) == 1.5
    refused = await modbus.read_holding_registers(5000, count=1, device_id=1)
    assert refused.exception_code == 2
    refused = await modbus.write_register(4, 1, device_id=1)  # half a float
    assert refused.exception_code == 2
    too_fast = await modbus.write_register(0, 1001, device_id=1)
    assert too_fast.exception_code == 3
    who = await modbus.read_device_information(device_id=1)
    assert cast(Any, who).information[0] == b"fermloop"
    modbus.close()
    async with Client(drivers["R1-gas"].address, timeout=10) as opcua:
        index = await opcua.get_namespace_index("urn:fermloop:plant")
        node = opcua.get_node(f"ns={index};s=R1.oxygen")
        assert await node.read_value() == 0.75
        with pytest.raises(Exception, match="BadOutOfRange"):
            await node.write_value(5.1)
        with pytest.raises(Exception, match="BadUserAccessDenied"):
            await opcua.get_node(f"ns={index};s=R1.weight").write_value(1.0)
        assert await node.read_value() == 0.75


def io_only(**changes: object) -> dict[str, DeviceSettings]:
    return {"R1-io": tables(**changes)["R1-io"]}


async def test_a_port_that_is_taken_is_named_and_nothing_stays_open() -> None:
    settings = io_only() | {"R2-io": io_only()["R1-io"]}
    port = int(settings["R2-io"].address.partition(":")[2])
    with socket.create_server(("127.0.0.1", port)):
        server = PlantServer(settings, {"R1": vessel()})
        with pytest.raises(ListenError) as error:
            await server.start()
    assert str(error.value) == (f"R2-io: cannot listen on 127.0.0.1:{port}: address already in use")
    first = int(settings["R1-io"].address.partition(":")[2])
    socket.create_server(("127.0.0.1", first)).close()


async def test_a_tag_without_a_vessel_is_refused_before_any_port_opens() -> None:
    with pytest.raises(ValueError, match=r"R1\.\w+: no simulated vessel R1; there are R2"):
        PlantServer(tables(), {"R2": vessel()})


async def test_the_plant_keeps_the_pace_it_names() -> None:
    async with Wired(io_only(), {"R1": vessel()}, 600.0) as wired:
        (io,) = wired.drivers.values()
        began, first = monotonic(), await io.identify()
        assert (first.speed, first.simulated) == (600.0, True)
        assert first.plant_time is not None
        while monotonic() - began < 0.5:
            await io.read()
        later = await io.identify()
        took = monotonic() - began
        assert later.plant_time is not None
        assert 60 < later.plant_time - first.plant_time < (took + 0.2) * 600
        with pytest.raises(DeviceError, match="is no simulator in lock-step"):
            await io.advance(later.plant_time + 1)


async def until(wanted: float, driver: Driver, name: str) -> None:
    """Read until ``name`` is ``wanted``."""
    async with asyncio.timeout(30):
        while (await driver.read())[name].value != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_without_a_heartbeat_the_device_makes_itself_safe_on_wall_seconds() -> None:
    watchdog = {"holding": 100, "within_s": 1.0, "armed_input": 100}
    reactor = vessel()
    async with Wired(io_only(watchdog=watchdog), {"R1": reactor}, 1.0) as wired:
        (io,) = wired.drivers.values()
        assert await io.heartbeat(1)  # nothing was read yet, so it asks
        await io.write({"R1.feed": 50.0, "R1.stirrer": 600.0})
        reactor.write("R1.air", 5.0)  # not this device's, but the same vessel's
        await until(0.0, io, "R1.feed")
        assert (await io.read())["R1.stirrer"].value == 300.0
        assert reactor.actual("R1.air") == 1.0
        assert not await io.heartbeat(2)  # what the last read said
        await io.read()
        assert await io.heartbeat(3)


async def test_drivers_outlive_a_plant_that_is_killed_and_started_again() -> None:
    settings = io_only()
    reactor = vessel()
    async with Wired(settings, {"R1": reactor}, 1.0) as wired:
        (io,) = wired.drivers.values()
        await io.write({"R1.feed": 20.0})
        for _ in range(3):
            await wired.server.stop()
            with pytest.raises(DeviceError, match=r"R1-io at 127\.0\.0\.1:\d+: connection refused"):
                await io.read()
            wired.server = PlantServer(settings, {"R1": reactor}, 1.0)
            await wired.server.start()
            async with asyncio.timeout(30):
                while True:
                    try:
                        assert (await io.read())["R1.feed"].value == 20.0
                        break
                    except DeviceError:
                        await asyncio.sleep(0.01)


async def for_ever(driver: Driver) -> None:
    while True:
        await driver.read()


async def test_a_plant_whose_numbers_fail_falls_silent_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = io_only()
    reactor = vessel()
    server = PlantServer(settings, {"R1": reactor}, 1.0)
    driver = build("R1-io", settings["R1-io"], wire(settings["R1-io"]), SystemClock())
    await server.start()
    await driver.read()
    reactor._x[0] = float("nan")  # pyright: ignore[reportPrivateUsage]
    async with asyncio.timeout(30):
        with pytest.raises(DeviceError):
            await for_ever(driver)
    with pytest.raises(FloatingPointError):
        await server.stop()
    assert "the simulated plant has failed" in caplog.text
    await driver.close()


async def test_one_device_can_be_cut_off_while_the_plant_goes_on() -> None:
    async with Wired(io_only(), {"R1": vessel()}, 600.0) as wired:
        (io,) = wired.drivers.values()
        before = (await io.identify()).plant_time
        assert before is not None
        await wired.server.close("R1-io")
        with pytest.raises(DeviceError, match="connection refused"):
            await io.read()
        await wired.server.open("R1-io")
        async with asyncio.timeout(30):
            while True:
                try:
                    after = (await io.identify()).plant_time
                    break
                except DeviceError:
                    await asyncio.sleep(0.01)
        assert after is not None
        assert after > before


class Panel(Device):
    """A device of bits: two lamps that show two switches."""

    time = 0.0

    def __init__(self) -> None:
        self.lamps = {"R1.lamp0": 0.0, "R1.lamp17": 0.0}

    def advance(self, time: float) -> None:
        self.time = max(self.time, time)

    def read(self, name: str) -> float:
        return self.lamps[name.replace("switch", "lamp")]

    def write(self, name: str, value: float) -> None:
        self.lamps[name] = value

    def actual(self, name: str) -> float:
        return self.lamps[name]

    def to_safe(self) -> None:
        self.lamps = dict.fromkeys(self.lamps, 0.0)


async def test_coils_and_discrete_inputs_over_the_wire() -> None:
    tags = tuple(
        TagSettings.model_validate({"name": f"R1.{n}{a}", "unit": "1", "low": 0, "high": 1} | more)
        for a in (0, 17)
        for n, more in (
            ("lamp", {"coil": a, "type": "bit", "safe": 0}),
            ("switch", {"discrete": a, "type": "bit"}),
        )
    )
    address = f"127.0.0.1:{free_port()}"
    settings = DeviceSettings.model_validate(
        {"driver": "modbus_tcp", "address": address, "unit_id": 3, "timeout_s": 10, "tags": tags}
    )
    async with Wired({"panel": settings}, {"R1": Panel()}, 0.0) as wired:
        (panel,) = wired.drivers.values()
        assert (await panel.write({"R1.lamp17": 1.0}))["R1.lamp17"].value == 1.0
        assert {n: s.value for n, s in (await panel.read()).items()} == {
            "R1.lamp0": 0.0,
            "R1.lamp17": 1.0,
            "R1.switch0": 0.0,
            "R1.switch17": 1.0,
        }
        await panel.write({"R1.lamp17": 0.0, "R1.lamp0": 1.0})
        assert [s.value for s in (await panel.read()).values()] == [1, 0, 1, 0]
