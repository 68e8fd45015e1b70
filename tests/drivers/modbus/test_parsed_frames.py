"""Whatever bytes come, parsers and decoders say what an independent reading of them says.

The long run parses 10^6 frames, the normal one 20 000; the same ones every time.
"""

import asyncio
import math
import struct
from collections.abc import Callable, Sequence
from random import Random

import pytest

from drivers.clock import SystemClock
from drivers.driver import DeviceError
from drivers.modbus import LinkError, ModbusDriver, Register
from drivers.modbus.cells import Order, Type
from drivers.modbus.driver import Link
from drivers.modbus.fence import Fence
from drivers.modbus.tcp import TcpConnection
from drivers.point import Quality, Tag
from tests.drivers.mutations import COMMON, flipped, mbap_exception, mbap_lies

REQUEST = bytes.fromhex("03 0000 0003")
UNIT = 9
MUTATIONS = [*COMMON, mbap_lies, mbap_lies, mbap_exception]

few_and_many = pytest.mark.parametrize(
    "share", [0.02, pytest.param(1.0, marks=pytest.mark.long)], ids=["few", "many"]
)


class Pipe(asyncio.Transport):
    """The far end of a connection: takes what is sent and knows when it was given up."""

    def __init__(self) -> None:
        self.given_up = False

    def write(self, data: bytes | bytearray | memoryview) -> None: ...

    def abort(self) -> None:
        self.given_up = True


def mbap(tid: int, unit: int, pdu: bytes) -> bytes:
    return struct.pack(">HHHB", tid, 0, len(pdu) + 1, unit) + pdu


def spoiled(random: Random, frame: bytes) -> bytes:
    """Return what one or two mutations make of a frame."""
    for _ in range(random.choice((1, 1, 2))):
        pieces = random.choice(MUTATIONS)(random, frame.ljust(12, b"\0"))
        frame = b"".join(p for p in pieces if isinstance(p, bytes))
    return frame


def first_reply(stream: bytes, tid: int, late: dict[int, int]) -> bytes | bool:
    """Return the PDU that answers transaction ``tid``; False: no answer yet; True: refused.

    Args:
        stream: all that came.
        tid: the transaction that is waited for.
        late: units by transaction, of answers that nobody waits for any more.
    """
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
        return stream[7 : 6 + size] if (got, stream[6]) == (tid, UNIT) else True
    return False


def in_pieces(random: Random, data: bytes) -> Sequence[bytes]:
    """Return ``data`` as TCP may bring it."""
    cuts = sorted(random.randrange(len(data) + 1) for _ in range(random.choice((0, 0, 1, 3))))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if b > a]


@few_and_many
async def test_a_stream_holds_a_reply_or_none(share: float) -> None:
    """Modbus TCP: 400 000 streams, a third of them with an answer that comes too late before."""
    random = Random(1)
    accepted = refused = 0
    for _ in range(int(400_000 * share)):
        connection, pipe = TcpConnection(), Pipe()
        connection.connection_made(pipe)
        late: dict[int, int] = {}
        answer = mbap(2, UNIT, b"\x03\x06" + random.randbytes(6))
        if random.random() < 0.3:
            unit = random.choice((UNIT, 10))
            given_up = asyncio.ensure_future(connection.transact(1, unit, REQUEST))
            await asyncio.sleep(0)
            given_up.cancel()
            assert connection.forget()
            late[1] = unit
            answer = mbap(1, unit, b"\x03\x06" + random.randbytes(6)) + answer
        asking = asyncio.ensure_future(connection.transact(2, UNIT, REQUEST))
        await asyncio.sleep(0)
        stream = spoiled(random, answer)
        for piece in in_pieces(random, stream):
            connection.data_received(piece)
        await asyncio.sleep(0)
        due = first_reply(stream, 2, late)
        if isinstance(due, bytes):
            assert asking.result() == due, stream.hex(" ")
            accepted += 1
        elif due:
            assert isinstance(asking.exception(), LinkError), stream.hex(" ")
            assert pipe.given_up
            refused += 1
        else:
            assert not asking.done(), stream.hex(" ")
            asking.cancel()
    assert min(accepted, refused) > 80_000 * share


KINDS: dict[Type, str] = {
    "int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "int64": "q", "uint64": "Q",
    "float32": "f", "float64": "d",
}  # fmt: skip


class Answering(Link):
    """A device at the level of PDUs that answers whatever the test says."""

    def __init__(self) -> None:
        self.address = "far:1"
        self.fence = Fence()
        self.answer: Callable[[bytes], bytes] = lambda _: b""

    async def exchange(
        self,
        requests: Sequence[bytes],
        *,
        unit: int | None = None,
        timeout_s: float | None = None,
    ) -> list[bytes]:
        return [self.answer(r) for r in requests]

    def reset(self) -> None: ...

    async def close(self) -> None: ...


def registers(random: Random) -> list[Register]:
    """Return a few input registers of any kind, some with a range that most contents exceed."""
    found: list[Register] = []
    at = 0
    for i in range(random.randint(1, 6)):
        kind = random.choice(list(KINDS))
        words: Order = random.choice(("big", "little"))
        scale, offset = random.choice((1.0, 0.1, 0.01, -0.5, 3.0)), random.choice((0.0, -40.0))
        most = 100.0 if random.random() < 0.5 else 30_000.0
        low, high = sorted((offset, most * scale + offset))
        tag = Tag(f"R1.t{i}", "1", low, high)
        at += random.choice((0, 0, 1, 4))
        found.append(Register(tag, "input", at, kind, scale=scale, offset=offset, words=words))
        at = found[-1].end
    return found


def read_alone(r: Register, data: bytes) -> float:
    """Return what the words of one register mean, in the plainest way."""
    words = [data[i : i + 2] for i in range(0, len(data), 2)]
    if r.words == "little":
        words.reverse()
    (number,) = struct.unpack(f">{KINDS[r.type]}", b"".join(words))
    return number * r.scale + r.offset


@few_and_many
async def test_a_reply_is_decoded_or_refused(share: float) -> None:
    """400 000 replies through the driver: right ones with any content, and spoiled ones."""
    random = Random(2)
    good = refused = 0
    for _ in range(int(4_000 * share)):
        table = registers(random)
        device = Answering()
        driver = ModbusDriver("far", table, device, SystemClock())
        for _ in range(100):
            size = 2 * table[-1].end
            data = random.choice((random.randbytes(size), bytes(size), _near_range(random, table)))
            whole = bytes((4, size)) + data
            spoil = random.random() < 0.4
            reply = _spoiled_pdu(random, whole) if spoil else whole
            device.answer = _cut_out(reply, len(whole), table)
            try:
                samples = await driver.read()
            except DeviceError:
                samples = {}
                refused += 1
            assert samples or spoil
            good += bool(samples)
            for r in table if samples else ():
                s = samples[r.tag.name]
                true = read_alone(r, reply[2 + 2 * r.address : 2 + 2 * r.end])
                near = 1e-9 * abs(true) + 1e-6 * (r.tag.high - r.tag.low)
                if s.quality is Quality.GOOD:
                    assert s.value in r.tag
                    assert abs(s.value - true) <= near
                else:
                    assert math.isnan(s.value)
                    assert not (r.tag.low + near < true < r.tag.high - near)
    assert min(good, refused) > 50_000 * share


def _near_range(random: Random, table: Sequence[Register]) -> bytes:
    data = bytearray(2 * table[-1].end)
    for r in table:
        value = random.choice((r.tag.low, r.tag.high, random.uniform(r.tag.low, r.tag.high)))
        data[2 * r.address : 2 * r.end] = r.encode(value)
    return bytes(data)


def _spoiled_pdu(random: Random, whole: bytes) -> bytes:
    """Return a reply that is wrong in a way a driver can see, or only in its data."""
    how = random.randrange(6)
    if how == 0:
        return flipped(random, whole[:2], random.choice((1, 2))) + whole[2:]
    if how == 1:
        return whole[: random.randrange(len(whole))]
    if how == 2:
        return whole + random.randbytes(random.randint(1, 4))
    if how == 3:
        return bytes((whole[0] | 0x80, random.randrange(256)))
    if how == 4:
        return random.randbytes(random.randint(0, 252))
    return whole[:2] + flipped(random, whole[2:], random.choice((1, 2, 5)))


def _cut_out(reply: bytes, whole: int, table: Sequence[Register]) -> Callable[[bytes], bytes]:
    """Answer one request for all registers with ``reply``, and smaller ones with a part of it."""

    def answer(request: bytes) -> bytes:
        start, count = struct.unpack(">HH", request[1:])
        if count == table[-1].end or len(reply) != whole or reply[:1] != request[:1]:
            return reply
        return bytes((4, 2 * count)) + reply[2 + 2 * start : 2 + 2 * (start + count)]

    return answer
