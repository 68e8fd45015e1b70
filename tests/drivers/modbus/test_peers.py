"""The real driver and links against libmodbus, over TCP and on a serial line."""

import asyncio
import sys
import termios
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from drivers.clock import SystemClock
from drivers.driver import DeviceError, Identity
from drivers.modbus import LinkError, ModbusDriver, Register
from drivers.modbus.bus import Bus, BusLink
from drivers.modbus.rtu import SerialLine, serial_bus
from drivers.modbus.tcp import tcp_bus
from drivers.point import Tag
from sim.modbus_server import PseudoPort
from tests.drivers.modbus.far_ends import NoFence
from tests.drivers.modbus.libmodbus_server import UNIT
from tests.system.plant_processes import free_port

pytestmark = pytest.mark.real_time

SERVER = Path(__file__).with_name("libmodbus_server.py")


@dataclass
class Peer:
    """libmodbus as a server, and the line to it."""

    kind: str
    where: str
    bus: Bus

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[None]:
        if self.kind == "rtu":
            forget(self.where)
        process = await asyncio.create_subprocess_exec(
            sys.executable, SERVER, self.kind, self.where, stdout=asyncio.subprocess.PIPE
        )
        try:
            assert process.stdout is not None
            async with asyncio.timeout(20):
                assert await process.stdout.readline() == b"ready\n"
            yield
        finally:
            process.kill()
            await process.wait()


def forget(pty: str) -> None:
    """Drop what waits in a pseudo terminal: a real line keeps nothing that nobody heard."""
    with open(pty, "rb", buffering=0) as line:
        termios.tcflush(line, termios.TCIOFLUSH)


@pytest.fixture(params=["tcp", "rtu"])
async def peer(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Peer]:
    if request.param == "tcp":
        port = free_port()
        yield Peer("tcp", str(port), tcp_bus("127.0.0.1", port))
        return
    pty = PseudoPort("R1-io", str(tmp_path / "tty"))
    yield Peer("rtu", pty.far_end, serial_bus(str(tmp_path / "tty"), SerialLine(115200, "N")))
    pty.close()


REGISTERS = [
    Register(Tag("R1.a", "1", 0, 65535), "input", 3),
    Register(Tag("R1.b", "1", 0, 65535), "input", 99),
    Register(Tag("R1.c", "1", 0, 1), "discrete", 7, "bit"),
    Register(Tag("R1.lamp", "1", 0, 1, safe=0), "coil", 0, "bit"),
    Register(Tag("R1.low", "1", 0, 65535, safe=0), "holding", 10),
    Register(Tag("R1.flow", "L/min", -10, 10, safe=0), "holding", 11, "float32"),
]


async def test_libmodbus_is_read_and_written_by_the_driver(peer: Peer) -> None:
    # On a serial line it keeps silent where it should refuse Read Device Identification.
    link = BusLink(peer.bus, UNIT, 1.0 if peer.kind == "rtu" else 20)
    driver = ModbusDriver("R1-io", REGISTERS, link, SystemClock())
    async with peer.serving():
        assert await driver.identify() == Identity()
        seen = await driver.read()
        values = {n: s.value for n, s in seen.items() if n != "R1.flow"}
        assert values == {"R1.a": 1003, "R1.b": 1099, "R1.c": 1, "R1.lamp": 0, "R1.low": 10}
        held = await driver.write({"R1.lamp": 1.0, "R1.low": 4711, "R1.flow": -2.5})
        assert {n: s.value for n, s in held.items()} == {
            "R1.lamp": 1,
            "R1.low": 4711,
            "R1.flow": -2.5,
        }
        assert (await driver.read())["R1.flow"].value == -2.5
        beyond = Register(Tag("R1.none", "1", 0, 65535), "holding", 100)
        with pytest.raises(DeviceError, match=r"exception 2 \(illegal data address\)"):
            await ModbusDriver("R1-x", [beyond], link, SystemClock()).read()
    await driver.close()
    await asyncio.sleep(0)


async def test_every_function_code_that_we_use_is_understood(peer: Peer) -> None:
    link = BusLink(peer.bus, UNIT, 20)
    link.fence = NoFence()
    async with peer.serving():
        for request, reply in [
            ("01 0000 000A", "01 02 AA02"),
            ("02 0001 0003", "02 01 05"),
            ("03 0002 0002", "03 04 0002 0003"),
            ("04 0000 0001", "04 02 03E8"),
            ("05 0002 FF00", "05 0002 FF00"),
            ("06 0005 1234", "06 0005 1234"),
            ("0F 0000 0003 01 07", "0F 0000 0003"),
            ("10 0006 0002 04 0001 0002", "10 0006 0002"),
            ("17 0005 0003 0005 0001 02 5678", "17 06 5678 0001 0002"),
            ("03 0000 007D", "83 02"),
        ]:
            assert await link.exchange([bytes.fromhex(request)]) == [bytes.fromhex(reply)], request
    await link.close()
    await asyncio.sleep(0)


async def test_libmodbus_is_found_again_after_it_was_killed(peer: Peer) -> None:
    link = BusLink(peer.bus, UNIT, 20)
    read, reply = bytes.fromhex("03 0002 0001"), bytes.fromhex("03 02 0002")
    for _ in range(2):
        async with peer.serving():
            link.reset()
            assert await link.exchange([read]) == [reply]
        with pytest.raises(LinkError):
            await link.exchange([read], timeout_s=0.2)
    await link.close()
    await asyncio.sleep(0)


async def test_on_a_serial_line_another_unit_than_libmodbus_own_is_silent(tmp_path: Path) -> None:
    pty = PseudoPort("R1-io", str(tmp_path / "tty"))
    peer = Peer("rtu", pty.far_end, serial_bus(str(tmp_path / "tty"), SerialLine(115200, "N")))
    there, nobody = BusLink(peer.bus, UNIT, 20), BusLink(peer.bus, UNIT + 1, 0.8)
    read, reply = bytes.fromhex("03 0002 0001"), bytes.fromhex("03 02 0002")
    async with peer.serving():
        assert await there.exchange([read]) == [reply]
        # libmodbus takes the next frame within 0.5 s for the other unit's reply
        with pytest.raises(LinkError, match=r"no reply to \{what\} within 0\.8 s"):
            await nobody.exchange([read])
        assert await there.exchange([read, read]) == [reply, reply]
    await there.close()
    await nobody.close()
    await asyncio.sleep(0)
    pty.close()
