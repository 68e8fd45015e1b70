"""What can leave through a link: reads and the writes of the plant file, whatever is tried."""

import asyncio
import random
import struct
from collections.abc import AsyncIterator

import pytest

from drivers.modbus import Fence, LinkError, Register
from drivers.modbus.tcp import ModbusTcpLink
from drivers.point import Tag

REGISTERS = [
    Register(Tag("R1.temperature", "Cel", 0, 150), "holding", 3, "int16", 0.01),
    Register(Tag("R1.stirrer", "{r}/min", 0, 1000, 300), "holding", 0),
    Register(Tag("R1.heater", "%", 0, 100, 0), "holding", 1, scale=0.01),
    Register(Tag("R1.acid", "mL/min", 0, 5, 0), "holding", 4, "float32"),
    Register(Tag("R1.valve", "1", 0, 1, 0), "coil", 7, "bit"),
    Register(Tag("R1.vent", "1", 0, 1, 0), "coil", 8, "bit"),
]
WATCHDOG = 10


class Listener:
    """Takes every request, keeps it and answers something."""

    def __init__(self) -> None:
        self.pdus: list[bytes] = []
        self.port = 0
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        try:
            while head := await reader.readexactly(7):
                size = int.from_bytes(head[4:6], "big") - 1
                self.pdus.append(await reader.readexactly(size))
                writer.write(head[:4] + b"\0\6" + head[6:7] + bytes(5))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.transport.abort()


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    heard = Listener()
    server = await asyncio.start_server(heard.serve, "127.0.0.1", 0)
    heard.port = server.sockets[0].getsockname()[1]
    yield heard
    server.close()
    for writer in heard.writers:
        writer.transport.abort()
    await server.wait_closed()
    await asyncio.sleep(0)


COILS = {
    bytes.fromhex(pdu)
    for pdu in (
        *("05 0007 0000", "05 0007 FF00", "05 0008 0000", "05 0008 FF00"),
        *("0F 0007 0001 01 00", "0F 0007 0001 01 01", "0F 0008 0001 01 00", "0F 0008 0001 01 01"),
        *(f"0F 0007 0002 01 0{n}" for n in range(4)),
    )
}


def may_leave(pdu: bytes) -> bool:
    """Say from the table above, by hand, whether a request is one of those that may leave."""
    code = pdu[0]
    if code in (1, 2, 3, 4):
        return len(pdu) == 5
    if code == 0x2B:
        return len(pdu) == 4 and pdu[1] == 0x0E
    if code not in (6, 16, 23):
        return pdu in COILS
    at = 5 if code == 23 else 1
    start = int.from_bytes(pdu[at : at + 2], "big")
    values = pdu[3:] if code == 6 else pdu[at + 5 :]
    words = len(values) // 2
    if len(values) % 2 or not words or (code == 6 and words > 1):
        return False
    if code != 6 and pdu[at + 2 : at + 5] != struct.pack(">HB", words, 2 * words):
        return False
    if (start, words) == (WATCHDOG, 1):
        return True
    if (start, words) == (4, 2):
        return 0 <= struct.unpack(">f", values)[0] <= 5
    number = struct.unpack(f">{words}H", values)
    if (start, words) == (0, 2):
        return number[0] <= 1000 and number[1] <= 10000
    return words == 1 and number[0] <= {0: 1000, 1: 10000}.get(start, -1)


def tries(code: int, random: random.Random) -> list[bytes]:
    """Return requests of one function code: noise, and what looks much like a write."""
    found = [bytes((code,)) + random.randbytes(random.randrange(24)) for _ in range(20)]
    for _ in range(40):
        start, words = (
            random.choice([0, 0, 1, 3, 4, 4, 7, 8, 9, 10, 11, 256]),
            random.choice([1, 2]),
        )
        value = random.choice(
            [
                struct.pack(">H", random.choice([0, 1, 3, 700, 1001, 9999, 10001, 65535])) * words,
                struct.pack(">f", random.choice([0.0, 0.1, 5.0, 5.1, -1.0, float("nan")])),
                random.randbytes(2 * words),
            ]
        )
        size = random.choice([len(value), len(value), 1, 0, 2 * words])
        span = struct.pack(">HHB", start, random.choice([words, len(value) // 2]), size)
        found.append(bytes((code,)) + span + value)
        found.append(bytes((code,)) + struct.pack(">HHHHB", 0, 2, start, words, size) + value)
        found.append(bytes((code,)) + struct.pack(">H", start) + value[:2])
        found.append(bytes((code,)) + struct.pack(">HHBB", start, words, 1, random.randrange(5)))
        found.append(bytes((code,)) + struct.pack(">HH", start, random.choice([0, 0xFF00, 1])))
    return found


async def test_no_other_request_passes_the_links_door(listener: Listener) -> None:
    link = ModbusTcpLink("127.0.0.1", listener.port, timeout_s=20)
    link.fence = Fence(REGISTERS, WATCHDOG)
    dice, asked, wanted = random.Random(20261122), 0, list[bytes]()
    for code in range(256):
        for pdu in tries(code, dice):
            asked += 1
            if may_leave(pdu):
                wanted.append(pdu)
                await link.exchange([pdu])
                continue
            with pytest.raises(LinkError, match=r"\{what\} was not sent: "):
                await link.exchange([pdu])
            unit = dice.randrange(256)
            if pdu[0] != 0x2B and not 1 <= pdu[0] <= 4:
                with pytest.raises(LinkError, match=f"unit {unit} is never written"):
                    await link.exchange([pdu], unit=unit)
    await link.close()
    assert listener.pdus == wanted
    assert asked > 50_000
    written = {pdu[0] for pdu in wanted}
    assert written == {1, 2, 3, 4, 5, 6, 15, 16, 23}  # each kind of write was tried and passed


async def test_a_new_link_only_reads(listener: Listener) -> None:
    link = ModbusTcpLink("127.0.0.1", listener.port, timeout_s=20)
    read = bytes.fromhex("03 0000 0001")
    with pytest.raises(LinkError, match="no actuator of the plant file begins at register 0"):
        await link.exchange([read, bytes.fromhex("10 0000 0001 02 0001")])
    assert listener.pdus == []  # not even the read before it
    await link.exchange([read])
    await link.close()
    assert listener.pdus == [read]


@pytest.mark.parametrize(
    ("pdu", "why"),
    [
        ("10 0000 0001 02 03E9", r"R1\.stirrer is outside 0 to 1000 \{r\}/min"),
        ("10 0004 0002 04 7FC0 0000", r"R1\.acid is outside 0 to 5 mL/min"),
        ("10 0004 0001 02 3F80", "no actuator of the plant file begins at register 4 and ends be"),
        ("06 0004 3F80", "register 4 and ends before 5"),
        ("10 0001 0002 04 0000 0000", "begins at register 2"),
        ("05 0006 FF00", "begins at coil 6"),
        ("0F 0007 0001 01 03", "0f 00 07 00 01 01 03 is no request"),  # a bit beyond its count
        ("16 0000 0000 0001", "16 00 00 00 00 00 01 is no request"),
        ("08 0001 0000", "08 00 01 00 00 is no request"),  # would restart the device
        ("2B 0D 0000", "2b 0d 00 00 is no request"),
        ("", "nothing is no request"),
    ],
)
def test_a_refusal_says_why(pdu: str, why: str) -> None:
    with pytest.raises(LinkError, match=why):
        Fence(REGISTERS, WATCHDOG).check([bytes.fromhex(pdu)])


def test_the_simulator_is_told_to_advance_only_when_it_is_one() -> None:
    fence = Fence(REGISTERS, WATCHDOG)
    advance = bytes.fromhex("10 0008 0004 08 41D9 5555 5555 5555")
    with pytest.raises(LinkError, match="unit 247 is never written"):
        fence.check([advance], 247)
    fence.lock_step = True
    fence.check([advance], 247)
    for unit, pdu in ((246, advance), (247, advance + b"\0"), (247, b"\x10\0\x09" + advance[3:])):
        with pytest.raises(LinkError, match=f"unit {unit} is never written"):
            fence.check([pdu], unit)


def test_a_guarded_fence_is_shut_until_the_device_was_looked_at() -> None:
    fence = Fence(REGISTERS, guarded=True)
    write, read = bytes.fromhex("06 0000 0001"), bytes.fromhex("03 0000 0001")
    fence.check([read])
    with pytest.raises(LinkError, match="has not shown yet that it is the right one"):
        fence.check([read, write])
    fence.open = True
    fence.check([read, write])
    fence.renewed()
    with pytest.raises(LinkError, match="has not shown yet"):
        fence.check([write])
