"""The simulated plant on every Modbus wire, with several units on one line."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from controller.devices.devices import build, wire
from controller.devices.lines import Lines
from controller.plant_file.device_settings import DeviceSettings
from drivers.clock import SystemClock, monotonic
from drivers.driver import DeviceError, Driver, Identity
from drivers.point import Quality
from sim.listen import ListenError
from sim.server import PlantServer
from tests.drivers.modbus.certificates import Authority
from tests.system.plant_processes import free_port
from tests.system.test_wires import START, tables, vessel

pytestmark = pytest.mark.real_time

WIRES = ("modbus_tcp", "modbus_tls", "modbus_rtu_over_tcp", "modbus_rtu")


def on(wire: str, folder: Path) -> dict[str, Any]:
    """Return the keys of a device on a wire of its own."""
    keys: dict[str, Any] = {"driver": wire, "address": f"127.0.0.1:{free_port()}"}
    if wire == "modbus_rtu":
        keys |= {"address": str(folder / "ttyR1"), "serial": {"baudrate": 115200}}
    if wire == "modbus_tls":
        authority = Authority(folder)
        authority.issue("server")
        certificate, key = authority.issue("client")
        ca = str(authority.path)
        keys["tls"] = {
            "ca": ca,
            "certificate": certificate,
            "key": key,
            "server_name": "localhost",
        }
    return keys


def two_units(wire: str, folder: Path, timeout_s: float = 10) -> dict[str, DeviceSettings]:
    """Return the demo's Modbus device as two units on one line: sensors, and actuators."""
    table = tables()["R1-io"].model_dump(exclude_unset=True)
    keys = on(wire, folder) | {"timeout_s": timeout_s}
    found: dict[str, DeviceSettings] = {}
    for unit, name in enumerate(("R1-sensors", "R1-actuators"), start=1):
        tags = [t for t in table["tags"] if ("safe" in t) == (unit == 2)]
        found[name] = DeviceSettings.model_validate(keys | {"unit_id": unit, "tags": tags})
    return found


def wired(settings: dict[str, DeviceSettings]) -> dict[str, Driver]:
    """Return a driver for each device, as the controller does."""
    lines = Lines()
    clock = SystemClock()
    return {n: build(n, s, wire(s, lines), clock) for n, s in settings.items()}


@pytest.fixture(params=WIRES)
def wire_name(request: pytest.FixtureRequest) -> str:
    return request.param


class Served:
    """Two units on one line, served in lock-step, and a driver for each."""

    def __init__(self, settings: dict[str, DeviceSettings]) -> None:
        self.settings = settings
        self.server = PlantServer(settings, {"R1": vessel()}, 0.0)
        self.drivers = wired(settings)

    async def __aenter__(self) -> "Served":
        await self.server.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        for driver in self.drivers.values():
            await driver.close()
        await self.server.stop()
        await asyncio.sleep(0)


@pytest.fixture
async def served(wire_name: str, tmp_path: Path) -> AsyncIterator[Served]:
    async with Served(two_units(wire_name, tmp_path)) as both:
        yield both


async def test_two_units_on_every_wire_are_read_written_and_moved_on(served: Served) -> None:
    sensors, actuators = served.drivers.values()
    assert await sensors.identify() == Identity("fermloop simulator", 0.0, START)
    assert await actuators.identify() == Identity("fermloop simulator", 0.0, START)
    seen, set_to = await asyncio.gather(sensors.read(), actuators.read())
    assert "R1.ph" in seen
    assert "R1.stirrer" in set_to
    assert {s.quality for s in (seen | set_to).values()} == {Quality.GOOD}
    held = await actuators.write({"R1.stirrer": 444.0, "R1.acid": 1.25})
    assert (held["R1.stirrer"].value, held["R1.acid"].value) == (444.0, 1.25)
    await actuators.advance(START + 3600)
    assert (await sensors.identify()).plant_time == START + 3600
    later = (await sensors.read())["R1.ph"].value
    assert later != seen["R1.ph"].value


async def until_read(driver: Driver) -> float:
    """Return after how many seconds ``driver``, read ten times a second, gives a value again."""
    began = monotonic()
    while True:
        try:
            await driver.read()
            return monotonic() - began
        except DeviceError:
            await asyncio.sleep(0.1)


async def fail_for(driver: Driver, seconds: float) -> None:
    """Read ``driver`` ten times a second in vain, so that it waits as long as it ever does."""
    end = monotonic() + seconds
    while monotonic() < end:
        with pytest.raises(DeviceError):
            await driver.read()
        await asyncio.sleep(0.1)


async def lose_and_return(settings: dict[str, DeviceSettings], whole: bool) -> None:
    async with Served(settings) as both:
        sensors, actuators = both.drivers.values()
        await sensors.read()
        await actuators.read()
        await both.server.close("R1-sensors")
        if whole:
            await both.server.close("R1-actuators")
        await fail_for(sensors, 2.0)
        await both.server.open("R1-sensors")
        assert await until_read(sensors) <= 2.0
        if whole:
            await both.server.open("R1-actuators")
        assert await until_read(actuators) <= 2.0


@pytest.mark.parametrize("whole", [True, False], ids=["the line", "one unit"])
async def test_the_first_value_of_a_returned_device_takes_two_seconds_at_most(
    tmp_path: Path, whole: bool
) -> None:
    """The line refuses connections, or the port is gone; or one unit of it is silent."""
    wires = ("modbus_tcp", "modbus_rtu_over_tcp", "modbus_rtu")
    settings = [two_units(wire, tmp_path, timeout_s=0.5) for wire in wires]
    await asyncio.gather(*(lose_and_return(s, whole) for s in settings))


async def test_what_the_simulator_cannot_serve_it_refuses_by_name(tmp_path: Path) -> None:
    real = tmp_path / "ttyUSB0"
    real.touch()
    settings = two_units("modbus_rtu", tmp_path)
    settings = {
        n: s.model_copy(update={"address": str(real), "driver": "modbus_rtu"})
        for n, s in settings.items()
    }
    server = PlantServer(settings, {"R1": vessel()})
    with pytest.raises(ListenError) as error:
        await server.start()
    assert str(error.value) == (
        f"R1-sensors: cannot serve at {real}: it exists; the simulator makes a port of its own "
        "and touches no real one"
    )
    assert real.exists()
    settings = two_units("modbus_tls", tmp_path)
    (tmp_path / "server.key").unlink()
    server = PlantServer(settings, {"R1": vessel()})
    with pytest.raises(
        ListenError, match=r"R1-sensors: cannot serve modbus_tls with .*server\.pem"
    ):
        await server.start()
    other = settings["R1-sensors"].model_copy(update={"driver": "x:Y"})
    with pytest.raises(ListenError, match="R1-x: x:Y cannot be simulated"):
        PlantServer({"R1-x": other}, {"R1": vessel()})
