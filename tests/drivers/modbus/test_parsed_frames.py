"""Whatever bytes come, parsers and decoders say what an independent reading of them says.

The long run parses 10^6 frames, the normal one 20 000; the same ones every time.
"""

import math
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random

import pytest

from drivers.clock import SystemClock
from drivers.driver import DeviceError
from drivers.modbus import Info, ModbusDriver
from drivers.point import Quality
from tests.drivers.modbus.decoding import Answer, Bench, Device, infos, told
from tests.drivers.modbus.parsing import TID, UNIT, Verdict, rtu, tcp
from tests.drivers.mutations import (
    COMMON,
    Mutation,
    crc,
    flipped,
    mbap_exception,
    mbap_lies,
    rtu_exception,
    rtu_lies,
)

REQUEST = bytes.fromhex("03 0000 0003")
REQUESTS = [bytes.fromhex(r) for r in (
    "01 0000 000A", "02 0000 0008", "03 0000 0003", "04 0000 0003", "05 0001 FF00", "06 0001 1234",
    "0F 0001 0002 01 03", "10 0001 0001 02 0007", "17 0000 0002 0001 0001 02 0007",
)]  # fmt: skip
TCP_MUTATIONS = [*COMMON, mbap_lies, mbap_lies, mbap_exception]
RTU_MUTATIONS = [*COMMON, rtu_lies, rtu_lies, rtu_exception]

few_and_many = pytest.mark.parametrize(
    "share", [0.02, pytest.param(1.0, marks=pytest.mark.long)], ids=["few", "many"]
)


def mbap(tid: int, unit: int, pdu: bytes) -> bytes:
    return struct.pack(">HHHB", tid, 0, len(pdu) + 1, unit) + pdu


def checked(frame: bytes) -> bytes:
    return frame + crc(frame)


def spoiled(random: Random, frame: bytes, mutations: Sequence[Mutation]) -> bytes:
    """Return what one or two mutations make of a frame."""
    for _ in range(random.choice((1, 1, 2))):
        pieces = random.choice(mutations)(random, frame.ljust(12, b"\0"))
        frame = b"".join(p for p in pieces if isinstance(p, bytes))
    return frame


def in_pieces(random: Random, data: bytes) -> Sequence[bytes]:
    """Return ``data`` as a wire may bring it."""
    cuts = sorted(random.randrange(len(data) + 1) for _ in range(random.choice((0, 0, 1, 3))))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if b > a]


@few_and_many
async def test_a_tcp_stream_holds_a_reply_or_none(share: float) -> None:
    """400 000 streams, a third of them with an answer that comes too late before."""
    random = Random(1)
    found: Counter[Verdict] = Counter()
    for _ in range(int(400_000 * share)):
        late: dict[int, int] = {}
        answer = mbap(TID, UNIT, b"\x03\x06" + random.randbytes(6))
        if random.random() < 0.3:
            late[1] = random.choice((UNIT, 10))
            answer = mbap(1, late[1], b"\x03\x06" + random.randbytes(6)) + answer
        stream = spoiled(random, answer, TCP_MUTATIONS)
        found[await tcp(REQUEST, in_pieces(random, stream), late)] += 1
    assert min(found["reply"], found["refused"]) > 80_000 * share


def rtu_answer(random: Random, request: bytes) -> bytes:
    """Return a right answer to a request, as a frame without its checksum."""
    code, count = request[0], int.from_bytes(request[3:5], "big")
    if code in (5, 6, 15, 16):
        return bytes((UNIT,)) + request[:5]
    size = (count + 7) // 8 if code < 3 else 2 * count
    return bytes((UNIT, code, size)) + random.randbytes(size)


@few_and_many
async def test_an_rtu_line_holds_a_reply_or_none(share: float) -> None:
    """300 000 streams, of each function; with neighbours that owe an answer and with an echo."""
    random = Random(5)
    found: Counter[Verdict] = Counter()
    for _ in range(int(300_000 * share)):
        request = random.choice(REQUESTS)
        frame = rtu_answer(random, request)
        if random.random() < 0.2:  # wrong, under a right checksum
            frame = spoiled(random, frame, RTU_MUTATIONS)
        stream = checked(frame)
        if random.random() < 0.6:
            stream = spoiled(random, stream, RTU_MUTATIONS)
        owing = random.choice(((), (), (), (10,), (10, 11)))
        if owing and random.random() < 0.8:
            late = (
                bytes((random.choice((10, 11)),)) + rtu_answer(random, random.choice(REQUESTS))[1:]
            )
            stream = checked(late) + stream
        echo = random.random() < 0.2
        if echo:
            back = checked(bytes((UNIT,)) + request)
            stream = (
                spoiled(random, back, RTU_MUTATIONS) if random.random() < 0.2 else back
            ) + stream
        found[await rtu(request, in_pieces(random, stream), owing, echo=echo)] += 1
    assert min(found.values()) > 20_000 * share
    assert len(found) == 3


@few_and_many
async def test_a_reply_is_decoded_or_refused(share: float) -> None:
    """400 000 reads of any registers through the driver: any content, right and spoiled replies."""
    random = Random(2)
    found: Counter[str] = Counter()
    seen: Counter[Quality] = Counter()
    for _ in range(int(4_000 * share)):
        bench = Bench(random)
        device = bench.device
        words, bits = bench.sizes
        for _ in range(100):
            device.words = random.choice(
                (random.randbytes(words), bytes(words), _near(random, bench))
            )
            device.bits = random.randbytes(bits)
            spoil = random.random() < 0.4
            device.spoil = (lambda r: spoiled_pdu(random, r)) if spoil else bytes
            outcome = await bench.check()
            assert spoil or outcome == "read"
            found[outcome] += 1
        seen += bench.seen
    assert min(seen[quality] for quality in Quality) > 10_000 * share, seen
    assert min(found["read"], found["refused"]) > 50_000 * share


def _near(random: Random, bench: Bench) -> bytes:
    """Return words that hold values in range and at its bounds; a status is most often no worse."""
    data = bytearray(bench.sizes[0])
    for r in bench.table:
        if r.type != "bit" and r.mask is None:
            value = random.choice((r.tag.low, r.tag.high, random.uniform(r.tag.low, r.tag.high)))
            data[2 * r.address : 2 * r.end] = r.encode(value)
        if r.status is not None and r.status.cell.type != "bit":
            cell = r.status.cell
            number = min(random.choice((1, 1, 1, 2, 3)), int(cell.limits[1]))
            data[2 * cell.address : 2 * cell.end] = cell.pack(number)
    return bytes(data)


def spoiled_pdu(random: Random, whole: bytes) -> bytes:
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


@few_and_many
async def test_what_a_device_says_of_itself_is_shown_or_refused(share: float) -> None:
    """50 000 answers: texts, numbers, and some that must be another."""
    random = Random(6)
    found: Counter[str] = Counter()
    for _ in range(int(50_000 * share)):
        device = Device()
        text = b"".join(random.choice((b"A", b"7", b" ", b"\0", b"\xb5", b"\n")) for _ in range(80))
        device.words = random.choice((random.randbytes(160), bytes(160), text * 2))
        asked, wrong = infos(random, device)
        driver = ModbusDriver("far", (), device, SystemClock(), infos=asked)
        if random.random() < 0.2:
            device.spoil = lambda r: spoiled_pdu(random, r)
        try:
            shown = (await driver.identify()).info
        except DeviceError:
            assert any(wrong.values()) or device.spoil is not bytes
            found["refused"] += 1
        else:
            _compare(asked, shown, device)
            found["shown"] += 1
    assert min(found["shown"], found["refused"]) > 5_000 * share


def _compare(asked: Sequence[Info], shown: Mapping[str, str], device: Device) -> None:
    for info in asked:
        answer: Answer = next(a for a in device.answers if a.holds(info.cell))
        true, said = told(info.cell, answer), shown[info.name]
        assert info.equals is None or true == info.equals
        if isinstance(true, str):
            assert said == true
        elif isinstance(true, int):
            assert int(said) == true
        else:
            assert float(said) == pytest.approx(true, rel=1e-6) or math.isnan(true)
