"""The far end of a serial line or of a TCP gateway: bytes of a test's own making."""

import asyncio
import contextlib
import os
import tty
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU

from drivers.modbus import Fence

Answer = Callable[[bytes], bytes]  # what has come to what is sent
_FRAMER = FramerRTU(DecodePDU(True))


def rtu(unit: int, pdu: bytes | str) -> bytes:
    """Return an RTU frame; the checksum is pymodbus' and checked against the manual's once."""
    return _FRAMER.encode(bytes.fromhex(pdu) if isinstance(pdu, str) else pdu, unit, 0)


class NoFence(Fence):
    """Lets everything out: these tests are about frames."""

    def check(self, requests: Sequence[bytes], unit: int | None = None) -> None:
        return


class FarEnd:
    """Hears requests and answers each as ``answer`` says; counts connections on TCP."""

    def __init__(self) -> None:
        self.answer: Answer = lambda _: b""
        self.heard: list[bytes] = []
        self.times: list[float] = []
        self.connections = 0
        self.address = ""
        self._send: Callable[[bytes], Any] = lambda _: None

    def take(self, data: bytes) -> None:
        """Take one request; every test's requests come in one piece."""
        self.heard.append(data)
        self.times.append(asyncio.get_running_loop().time())
        if reply := self.answer(data):
            self.send(reply)

    def send(self, data: bytes) -> None:
        """Send bytes, asked or not."""
        self._send(data)

    def later(self, delay_s: float, data: bytes) -> None:
        """Send bytes after ``delay_s``."""
        asyncio.get_running_loop().call_later(delay_s, self.send, data)


@asynccontextmanager
async def serial_far_end() -> AsyncGenerator[FarEnd]:
    """A pty; its other end is at ``address``."""
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    end = FarEnd()
    end.address = os.ttyname(slave)
    end._send = lambda data: os.write(master, data)  # pyright: ignore[reportPrivateUsage]
    loop = asyncio.get_running_loop()
    loop.add_reader(master, lambda: end.take(os.read(master, 4096)))
    try:
        yield end
    finally:
        loop.remove_reader(master)
        os.close(master)
        with contextlib.suppress(OSError):
            os.close(slave)


class _Served(asyncio.Protocol):
    def __init__(self, end: FarEnd, ends: list[asyncio.Transport]) -> None:
        self._end, self._ends = end, ends

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._ends.append(transport)
        self._end.connections += 1
        self._end._send = transport.write  # pyright: ignore[reportPrivateUsage]

    def data_received(self, data: bytes) -> None:
        self._end.take(data)


@asynccontextmanager
async def tcp_far_end(port: int = 0) -> AsyncGenerator[FarEnd]:
    """A listening socket at ``address``."""
    end = FarEnd()
    ends: list[asyncio.Transport] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Served(end, ends), "127.0.0.1", port)
    end.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield end
    finally:
        server.close()
        for transport in ends:
            transport.abort()
        await server.wait_closed()
        await asyncio.sleep(0)
