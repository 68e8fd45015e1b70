"""A wire between a real driver and a real server that can do to a frame all that wires do.

The proxy knows where a frame of Modbus TCP, RTU over TCP or OPC UA ends and gives each whole frame
to a *fault*, which says what goes on in its place: the frame, another one, two, a pause, nothing,
the end of the connection. The whole wire can freeze, be cut, and be taken away.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from enum import Enum
from typing import NamedTuple


class Cut(Enum):
    """In the place of a frame: both connections are reset here."""

    CUT = "cut"


CUT = Cut.CUT
Piece = bytes | float | Cut  # bytes to send, seconds to wait, or the end


class Frame(NamedTuple):
    """One whole frame on its way.

    Attributes:
        data: its bytes.
        to_device: whether it asks or answers.
        connection: counts the connections that the proxy has taken, from 1.
    """

    data: bytes
    to_device: bool
    connection: int


Fault = Callable[[Frame], Sequence[Piece]]


class Framing(NamedTuple):
    """How long the frame is that begins a stream, to the device and back; 0: not known yet."""

    to_device: Callable[[bytes], int]
    back: Callable[[bytes], int]


def _mbap(data: bytes) -> int:
    return 6 + int.from_bytes(data[4:6], "big") if len(data) >= 6 else 0


def _chunk(data: bytes) -> int:
    return max(int.from_bytes(data[4:8], "little"), 8) if len(data) >= 8 else 0


def _rtu_request(data: bytes) -> int:
    if len(data) < 7:
        return 0
    return {15: 9 + data[6], 16: 9 + data[6], 43: 7}.get(data[1], 8)


def _rtu_reply(data: bytes) -> int:
    if len(data) < 3:
        return 0
    if data[1] & 0x80:
        return 5
    return 5 + data[2] if data[1] in (1, 2, 3, 4, 23) else 8


RAW = Framing(len, len)
MODBUS_TCP = Framing(_mbap, _mbap)
RTU = Framing(_rtu_request, _rtu_reply)  # what a healthy client and a healthy server send
OPCUA = Framing(_chunk, _chunk)


def untouched(frame: Frame) -> Sequence[Piece]:
    """Let a frame through: the fault of a wire that has none."""
    return (frame.data,)


class Proxy:
    """Listens on a loopback port and passes frames between whoever connects and a server.

    Args:
        target: the server's port on the loopback.
        framing: where frames end; ``RAW`` passes what comes.
        listen: port to listen on; 0 for any free one.
        fault: what is done to each frame; may be changed at any time.

    Attributes:
        port: where it listens.
        connections: how many it has taken.
    """

    def __init__(
        self,
        target: int,
        framing: Framing = RAW,
        *,
        listen: int = 0,
        fault: Fault = untouched,
    ) -> None:
        self.port = listen
        self.fault = fault
        self.connections = 0
        self._target, self._framing = target, framing
        self._flows = asyncio.Event()
        self._flows.set()
        self._server: asyncio.Server | None = None
        self._joined: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Proxy":
        await self.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def open(self) -> None:
        """Take connections."""
        self._server = await asyncio.start_server(self._join, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Refuse connections from now on and cut those there are; return when all are gone."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            await self.cut()
            await server.wait_closed()

    async def cut(self) -> None:
        """Reset every connection; new ones are taken."""
        for task in self._joined:
            task.cancel()
        if self._joined:
            await asyncio.wait(self._joined)

    async def freeze(self) -> None:
        """Let no byte through from now on; new connections are taken all the same."""
        self._flows.clear()

    async def thaw(self) -> None:
        """Let through what was held up, and everything from now on."""
        self._flows.set()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._joined.add(task)
        self.connections += 1
        number = self.connections
        ends = [writer]
        cut = True
        try:
            await self._flows.wait()
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
            ends.append(back)
            pumps = [
                asyncio.ensure_future(self._pump(reader, back, True, number)),
                asyncio.ensure_future(self._pump(there, writer, False, number)),
            ]
            try:
                done, _ = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
                cut = any(pump.result() for pump in done)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.wait(pumps)
        except (OSError, asyncio.CancelledError):  # the server is away, or we are cut
            return
        finally:
            self._joined.discard(task)
            for end in ends:
                end.transport.abort() if cut else end.close()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        to_device: bool,
        number: int,
    ) -> bool:
        """Pass frames until one side closes; return whether the wire was cut instead."""
        end_of = self._framing.to_device if to_device else self._framing.back
        rest = b""
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                rest += data
                while rest and 0 < (size := end_of(rest)) <= len(rest):
                    frame, rest = rest[:size], rest[size:]
                    for piece in self.fault(Frame(frame, to_device, number)):
                        if isinstance(piece, Cut):
                            return True
                        if isinstance(piece, float | int):
                            await asyncio.sleep(piece)
                        elif piece:
                            await self._flows.wait()
                            writer.write(piece)
        return False
