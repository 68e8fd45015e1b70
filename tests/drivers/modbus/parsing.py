"""A parser of frames beside an independent reading of the same bytes: they must say the same."""

import asyncio
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from drivers.modbus import LinkError
from drivers.modbus.connection import Connection
from drivers.modbus.rtu import RtuConnection
from drivers.modbus.tcp import TcpConnection
from tests.drivers.mutations import crc

Verdict = Literal["reply", "refused", "waiting"]

UNIT = 9  # who is asked
TID = 2  # in the transaction
READS = (1, 2, 3, 4, 23)
ECHOES = (5, 6, 15, 16)


class Pipe(asyncio.Transport):
    """The far end of a connection: takes what is sent and knows when it was given up."""

    def __init__(self) -> None:
        self.given_up = False
        self.sent = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent = bytes(data)

    def abort(self) -> None:
        self.given_up = True


async def tcp(request: bytes, pieces: Iterable[bytes], late: Mapping[int, int]) -> Verdict:
    """Ask in Modbus TCP, let ``pieces`` come, and return what was made of them.

    Args:
        request: PDU.
        pieces: what comes, as it comes.
        late: units by transaction, of answers that nobody waits for any more.

    Raises:
        AssertionError: it is not what an independent reading says.
    """
    connection, pipe = TcpConnection(), Pipe()
    connection.connection_made(pipe)
    for tid, unit in late.items():
        await _give_up(connection, tid, unit, request)
    asking = await _ask(connection, TID, UNIT, request)
    stream = b""
    for piece in pieces:
        connection.data_received(piece)
        stream += piece
    verdict = await _judge(asking, first_tcp_reply(stream, late), stream)
    assert verdict != "refused" or pipe.given_up, stream.hex(" ")
    return verdict


async def rtu(
    request: bytes, pieces: Iterable[bytes], owing: Sequence[int] = (), *, echo: bool = False
) -> Verdict:
    """Ask in RTU, let ``pieces`` come, and return what was made of them.

    Args:
        request: PDU.
        pieces: what comes, as it comes.
        owing: units that did not answer before, and still may.
        echo: what is sent comes back first.

    Raises:
        AssertionError: it is not what an independent reading says.
    """
    connection, pipe = RtuConnection(echo=echo), Pipe()
    connection.connection_made(pipe)
    for unit in owing:
        await _give_up(connection, 1, unit, request)
    asking = await _ask(connection, TID, UNIT, request)
    asked = bytes((UNIT,)) + request
    assert pipe.sent == asked + crc(asked)
    stream, due = b"", False
    for piece in pieces:
        connection.data_received(piece)
        stream += piece
        if due is False:  # what comes behind an answer answers nothing
            due = first_rtu_reply(stream, request, owing, pipe.sent if echo else b"")
    return await _judge(asking, due, stream)


async def _ask(connection: Connection, tid: int, unit: int, pdu: bytes) -> asyncio.Task[bytes]:
    asking = asyncio.ensure_future(connection.transact(tid, unit, pdu))
    for _ in range(3 if isinstance(connection, RtuConnection) else 1):
        await asyncio.sleep(0)
    return asking


async def _give_up(connection: Connection, tid: int, unit: int, pdu: bytes) -> None:
    (await _ask(connection, tid, unit, pdu)).cancel()
    assert connection.forget()


async def _judge(asking: asyncio.Task[bytes], due: bytes | bool | None, stream: bytes) -> Verdict:
    """Compare with what is due; ``None``: anything but a reply."""
    await asyncio.sleep(0)
    if not asking.done():
        assert due is False or due is None, stream.hex(" ")
        asking.cancel()
        return "waiting"
    error = asking.exception()
    if error is None:
        assert asking.result() == due, stream.hex(" ")
        return "reply"
    assert isinstance(error, LinkError), stream.hex(" ")
    assert due is True or due is None, stream.hex(" ")
    return "refused"


def first_tcp_reply(stream: bytes, late: Mapping[int, int]) -> bytes | bool:
    """Return the PDU that answers; False: no answer yet; True: refused."""
    late = dict(late)
    while len(stream) >= 8:
        got, protocol, size = struct.unpack(">HHH", stream[:6])
        if protocol or not 3 <= size <= 254:
            return True
        if len(stream) < 6 + size:
            return False
        if got in late and late[got] == stream[6]:
            del late[got]
            stream = stream[6 + size :]
            continue
        return stream[7 : 6 + size] if (got, stream[6]) == (TID, UNIT) else True
    return False


def first_rtu_reply(
    stream: bytes, request: bytes, owing: Iterable[int], echo: bytes = b""
) -> bytes | bool | None:
    """Return the PDU that answers; False: no answer yet; True: refused; ``None``: no answer."""
    both = min(len(stream), len(echo))
    if stream[:both] != echo[:both]:
        return True
    stream, owing = stream[len(echo) :], set(owing)
    while stream:
        unit, code = stream[0], stream[1] if len(stream) > 1 else None
        if unit == UNIT:
            if code is not None and code & 0x7F != request[0]:
                return True
            if code in READS and len(stream) > 2 and stream[2] != _read_size(request):
                return True
        elif unit not in owing:
            return True
        size = _rtu_size(stream)
        if size is None:
            return None
        if len(stream) < max(size, 4):
            return len(stream) > 256
        frame, stream = stream[:size], stream[size:]
        if crc(frame[:-2]) != frame[-2:]:
            return True
        if unit == UNIT:
            return frame[1:-2] if len(stream) < 4 else True
        owing.remove(unit)
    return False


def _rtu_size(stream: bytes) -> int | None:
    """Return how long the frame is; 4 while that is not known; ``None`` if it never will be."""
    if len(stream) < 4:
        return 4
    code = stream[1]
    if code & 0x80:
        return 5
    if code in READS:
        return 5 + stream[2]
    return 8 if code in ECHOES else None


def _read_size(request: bytes) -> int:
    count = int.from_bytes(request[3:5], "big")
    return (count + 7) // 8 if request[0] < 3 else 2 * count
