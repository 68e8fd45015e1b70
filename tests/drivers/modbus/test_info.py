"""The right device, rightly read: what it must say before it is believed or written, over TCP."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable

import pytest

from controller.devices.devices import Device, build, wire
from controller.plant_file.device_settings import DeviceSettings
from drivers.clock import SystemClock
from drivers.driver import DeviceError
from drivers.modbus.cells import Order
from drivers.point import Quality
from sim.image import RegisterImage
from sim.links import answer
from tests.drivers.modbus.test_cells import ORDERS

pytestmark = pytest.mark.real_time


class Outlet:
    """A TCP port into which one device or another is plugged."""

    def __init__(self) -> None:
        self.device: RegisterImage | None = None
        self.asked: list[bytes] = []
        self.port = 0
        self._writers: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while head := await reader.readexactly(7):
                pdu = await reader.readexactly(int.from_bytes(head[4:6], "big") - 1)
                self.asked.append(pdu)
                reply = answer(self.device, pdu)
                if pdu[0] == 0x2B:
                    reply = b"\xab\x01"  # a real device that does not know the question
                size = (1 + len(reply)).to_bytes(2, "big")
                writer.write(head[:4] + size + head[6:7] + reply)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    def plug(self, device: RegisterImage) -> None:
        """Pull the plug of the one and plug in the other."""
        self.device = device
        for writer in self._writers:
            writer.transport.abort()

    @property
    def writes(self) -> list[bytes]:
        return [p for p in self.asked if p[0] in (5, 6, 15, 16, 22, 23)]


@pytest.fixture
async def outlet() -> AsyncIterator[Outlet]:
    found = Outlet()
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    yield found
    server.close()
    found.plug(RegisterImage([], {}, {}))
    await server.wait_closed()
    await asyncio.sleep(0)


def table(port: int, words: Order = "big", byte_order: Order = "big") -> DeviceSettings:
    order = {"words": words, "bytes": byte_order}
    return DeviceSettings.model_validate(
        {
            "driver": "modbus_tcp",
            "address": f"127.0.0.1:{port}",
            "timeout_s": 10,  # a busy machine is no failure
            "info": [
                {"name": "serial", "holding": 100, "type": "string", "length": 2, "equals": "A1"},
                {"name": "check", "input": 4, "type": "float32", "equals": 1.5, **order},
                {"name": "firmware", "input": 6, "type": "uint16"},
            ],
            "tags": [
                {"name": "R1.ph", "unit": "[pH]", "low": 0, "high": 14, "input": 0}
                | {"type": "float32", **order},
                {"name": "R1.base", "unit": "mL/min", "low": 0, "high": 5, "safe": 0}
                | {"holding": 0, "type": "float32", **order},
            ],
        }
    )


def device(
    serial: str = "A1", words: Order = "big", byte_order: Order = "big", ph: float = 7.0
) -> RegisterImage:
    """Return the registers of a device that writes its numbers in that order."""
    from controller.plant_file.registers import about, register
    from drivers.modbus import Cell

    settings = table(1, words, byte_order)
    registers = [register(t) for t in settings.tags]
    held = {"R1.base": 0.0}
    contents: dict[Cell, Callable[[], bytes]] = {}
    for info, content in zip(map(about, settings.info), (serial, 1.5, 214), strict=True):
        contents[info.cell] = lambda cell=info.cell, content=content: cell.pack(content)
    return RegisterImage(
        registers,
        {"R1.ph": lambda: ph, "R1.base": lambda: held["R1.base"]},
        {"R1.base": lambda value: held.update({"R1.base": value})},
        contents,
    )


async def test_a_device_says_what_it_is_and_is_not_asked_again(outlet: Outlet) -> None:
    outlet.plug(device())
    settings = table(outlet.port)
    driver = build("R1-io", settings, wire(settings), SystemClock())
    assert (await driver.identify()).info == {"serial": "A1", "check": "1.5", "firmware": "214"}
    outlet.asked.clear()
    for _ in range(3):
        assert (await driver.read())["R1.ph"].value == 7.0
    assert (await driver.write({"R1.base": 0.5}))["R1.base"].value == 0.5
    assert len(outlet.asked) == 3 * 2 + 2  # no more than without info
    assert driver.raw() == {"R1.ph": "40E0 0000", "R1.base": "0000 0000"}
    await driver.close()


async def test_another_device_is_refused_by_name(outlet: Outlet) -> None:
    outlet.plug(device("B7"))
    settings = table(outlet.port)
    driver = build("R1-io", settings, wire(settings), SystemClock())
    for act in (driver.identify, driver.read, lambda: driver.write({"R1.base": 1.0})):
        with pytest.raises(
            DeviceError, match=r"^R1-io at 127.*: serial is B7 \(4237 0000\), not A1: another dev"
        ):
            await act()
    assert outlet.writes == []
    await driver.close()


async def test_a_device_exchanged_in_mid_run_is_neither_believed_nor_written(
    outlet: Outlet,
) -> None:
    mine, other = device(ph=7.0), device("B7", ph=3.0)
    outlet.plug(mine)
    settings = table(outlet.port)
    driver = build("R1-io", settings, wire(settings), SystemClock())
    await driver.read()
    await driver.write({"R1.base": 1.0})
    before = len(outlet.writes)
    for act in (driver.read, lambda: driver.write({"R1.base": 2.0})):
        outlet.plug(other)
        with pytest.raises(DeviceError, match=r"serial is B7|not sent"):
            await act()
        with pytest.raises(DeviceError, match="serial is B7"):
            await act()  # and it stays so
    assert len(outlet.writes) == before
    outlet.plug(mine)
    assert (await driver.read())["R1.ph"].value == 7.0
    outlet.plug(mine)  # a mere interruption
    with pytest.raises(DeviceError, match="has not shown yet that it is the right one"):
        await driver.write({"R1.base": 3.0})  # the wire was cut since it was last looked at
    await driver.read()
    assert (await driver.write({"R1.base": 3.0}))["R1.base"].value == 3.0
    await driver.close()


@pytest.mark.parametrize("said", ORDERS)
@pytest.mark.parametrize("written", ORDERS)
async def test_a_wrong_word_order_never_reaches_auto(
    outlet: Outlet, said: tuple[Order, Order], written: tuple[Order, Order]
) -> None:
    """Without GOOD samples and a writable device there is no AUTO: of 12 wrong pairs, 0 get there.

    pH 7 in the wrong order of words is 2.3e-41, which is in the range of pH.
    """
    outlet.plug(device("A1", *written))
    settings = table(outlet.port, *said)
    driver = build("R1-io", settings, wire(settings), SystemClock())
    seen = Device("R1-io", settings, driver, 1.0)
    if said == written:
        await seen.connect()
        await seen.read(1.0, 10.0)
        await seen.beat()
        assert seen.writable
        assert seen.samples(1.0)["R1.ph"].value == 7.0
    else:
        with pytest.raises(DeviceError, match=r"check is .*, not 1\.5: another device, or"):
            await seen.connect()
        await seen.read(1.0, 10.0)
        assert not seen.writable
        assert all(
            s.quality is Quality.BAD and math.isnan(s.value) for s in seen.samples(1.0).values()
        )
        assert outlet.writes == []
    await seen.close()


def test_info_is_for_people_only_where_nothing_is_demanded() -> None:
    settings = table(1)
    given = settings.model_dump(exclude_unset=True)
    for info in given["info"]:
        info.pop("equals", None)
    link = wire(DeviceSettings.model_validate(given))
    build("R1-io", DeviceSettings.model_validate(given), link, SystemClock())
    assert link.fence.open
    link = wire(settings)
    build("R1-io", settings, link, SystemClock())
    assert not link.fence.open
