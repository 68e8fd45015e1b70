"""RTU frames on a pty and through a gateway, against far ends that misbehave in every way."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.modbus import LinkError
from drivers.modbus.bus import Bus, BusLink
from drivers.modbus.rtu import RtuConnection, SerialLine, rtu_tcp_bus, serial_bus
from tests.drivers.modbus.far_ends import Answer, FarEnd, NoFence, rtu, serial_far_end, tcp_far_end

pytestmark = pytest.mark.real_time

READ = bytes.fromhex("03 0000 0002")
DATA = bytes.fromhex("03 04 0007 0008")
LINE = SerialLine(9600, "N")
UNIT = 9


@pytest.fixture(params=["serial", "tcp"])
async def end(request: pytest.FixtureRequest) -> AsyncIterator[FarEnd]:
    async with serial_far_end() if request.param == "serial" else tcp_far_end() as far:
        far.answer = lambda _: rtu(UNIT, DATA)
        yield far


@pytest.fixture
async def link(end: FarEnd) -> AsyncIterator[BusLink]:
    found = BusLink(bus_to(end), UNIT, timeout_s=20)  # a busy machine is no failure
    yield found
    await found.close()
    await asyncio.sleep(0)


def bus_to(end: FarEnd, line: SerialLine = LINE, gap_s: float = 0.0) -> Bus:
    host, _, port = end.address.rpartition(":")
    return rtu_tcp_bus(host, int(port), gap_s) if host else serial_bus(end.address, line, gap_s)


async def test_a_frame_is_what_the_specification_says(end: FarEnd, link: BusLink) -> None:
    assert await link.exchange([READ, READ]) == [DATA, DATA]
    assert end.heard == [bytes.fromhex("09 03 0000 0002 C543")] * 2
    end.answer = lambda _: rtu(17, DATA)
    await link.exchange([READ], unit=17)
    assert end.heard[-1][0] == 17


def test_the_checksum_is_that_of_the_specification() -> None:
    """MODBUS over Serial Line V1.02, appendix B: 02 07 has the checksum 41 12, low byte first."""
    assert rtu(2, "07") == bytes.fromhex("02 07 41 12")


@pytest.mark.parametrize(
    ("line", "silence_ms"),
    [
        (SerialLine(9600, "E"), 4.01),
        (SerialLine(9600, "N"), 3.65),
        (SerialLine(19200, "E"), 2.005),
        (SerialLine(38400, "E"), 1.75),
        (SerialLine(115200, "N"), 1.75),
    ],
)
def test_frames_are_3_5_characters_apart(line: SerialLine, silence_ms: float) -> None:
    assert 1000 * line.silence_s == pytest.approx(silence_ms, rel=2e-3)


async def test_a_reply_may_come_in_pieces(end: FarEnd, link: BusLink) -> None:
    whole = rtu(UNIT, DATA)
    for at in range(1, len(whole)):

        def torn(_: bytes, at: int = at) -> bytes:
            end.later(0.005, whole[at:])
            return whole[:at]

        end.answer = torn
        assert await link.exchange([READ]) == [DATA]


async def test_exceptions_and_every_function_code_come_through(end: FarEnd, link: BusLink) -> None:
    link.fence = NoFence()
    for request, reply in [
        ("03 0000 0002", "83 02"),
        ("01 0000 000A", "01 02 FF03"),
        ("02 0000 0001", "02 01 01"),
        ("04 0000 0001", "04 02 ABCD"),
        ("05 0001 FF00", "05 0001 FF00"),
        ("06 0001 1234", "06 0001 1234"),
        ("0F 0001 0002 01 03", "0F 0001 0002"),
        ("10 0001 0001 02 0007", "10 0001 0001"),
        ("17 0000 0001 0001 0001 02 0007", "17 02 0007"),
        ("2B 0E 01 00", "2B 0E 01 01 00 00 01 00 03 616263"),
        ("2B 0E 01 00", "AB 01"),
    ]:
        end.answer = lambda _, r=reply: rtu(UNIT, r)
        assert await link.exchange([bytes.fromhex(request)]) == [bytes.fromhex(reply)]


def _wrong() -> list[tuple[str, Answer, str]]:
    good = rtu(UNIT, DATA)
    return [
        ("bit", lambda _: good[:-3] + b"\x09" + good[-2:], r"wrong checksum in the reply to"),
        ("crc", lambda _: good[:-1] + b"\0", r"wrong checksum in the reply to \{what\}"),
        ("unit", lambda _: rtu(8, DATA), r"unit 8 in reply to \{what\}, not 9"),
        ("code", lambda _: rtu(UNIT, "04 04 0007 0008"), r"function code 4 in reply to"),
        ("fewer", lambda _: rtu(UNIT, "03 02 0007"), r"2 bytes of data in reply to \{what\}, not"),
        ("more", lambda _: rtu(UNIT, "03 06 0007 0008 0009"), r"6 bytes of data in reply"),
        ("twice", lambda _: good + good, r"9 bytes too many in reply to"),
        ("echo", lambda f: f, r"\{what\} came back itself; .* needs echo = true"),
        ("torn", lambda _: good[:-1], r"no reply to \{what\} within 0\.2 s"),
        ("silent", lambda _: b"", r"no reply to \{what\} within 0\.2 s"),
    ]


@pytest.mark.parametrize(("name", "answer", "message"), _wrong(), ids=[w[0] for w in _wrong()])
async def test_every_wrong_frame_is_refused_and_the_next_exchange_is_clean(
    end: FarEnd, link: BusLink, name: str, answer: Answer, message: str
) -> None:
    good = end.answer
    end.answer = answer
    with pytest.raises(LinkError, match=message):
        await link.exchange([READ], timeout_s=0.2 if "within" in message else None)
    end.answer = good
    link.reset()  # without waiting for the next try
    assert await link.exchange([READ]) == [DATA]


async def test_noise_shorter_than_a_frame_behind_a_reply_does_no_harm(
    end: FarEnd, link: BusLink
) -> None:
    end.answer = lambda _: rtu(UNIT, DATA) + b"\0"
    assert await link.exchange([READ, READ]) == [DATA, DATA]


async def test_what_comes_unasked_is_let_fall_before_the_next_request(
    end: FarEnd, link: BusLink
) -> None:
    await link.exchange([READ])
    end.send(rtu(UNIT, "03 04 0BAD 0BAD"))
    end.send(b"\x55" * 300)
    assert await link.exchange([READ, READ]) == [DATA, DATA]


async def test_the_late_reply_of_an_earlier_request_is_not_taken_for_the_next(
    end: FarEnd, link: BusLink
) -> None:
    end.answer = lambda _: end.later(0.3, rtu(UNIT, "03 04 0BAD 0BAD")) or b""
    with pytest.raises(LinkError, match="no reply"):
        await link.exchange([READ], timeout_s=0.25)
    assert link.rest.at > asyncio.get_running_loop().time() + 0.05  # it rests: 1.5 * 0.25 s in all
    end.answer = lambda _: rtu(UNIT, DATA)
    await asyncio.sleep(link.rest.at - asyncio.get_running_loop().time())
    assert await link.exchange([READ]) == [DATA]


async def test_requests_keep_the_configured_gap(end: FarEnd) -> None:
    link = BusLink(bus_to(end, gap_s=0.05), UNIT, timeout_s=20)
    await link.exchange([READ] * 4)
    between = [b - a for a, b in zip(end.times, end.times[1:], strict=False)]
    assert min(between) >= 0.05
    await link.close()


async def test_a_serial_line_is_silent_for_3_5_characters_before_a_request() -> None:
    async with serial_far_end() as end:
        end.answer = lambda _: rtu(UNIT, DATA)
        link = BusLink(serial_bus(end.address, SerialLine(1200, "E")), UNIT, timeout_s=20)
        await link.exchange([READ] * 3)
        between = [b - a for a, b in zip(end.times, end.times[1:], strict=False)]
        assert min(between) >= 3.5 * 11 / 1200
        await link.close()


async def test_an_adapter_that_gives_back_what_is_sent_is_named_in_the_plant_file() -> None:
    async with serial_far_end() as end:
        link = BusLink(serial_bus(end.address, SerialLine(9600, echo=True)), UNIT, timeout_s=20)
        link.fence = NoFence()
        write = bytes.fromhex("06 0001 1234")  # its reply is the request again
        end.answer = lambda f: f + rtu(UNIT, write)
        assert await link.exchange([write]) == [write]
        end.answer = lambda f: f + rtu(UNIT, DATA)
        assert await link.exchange([READ, READ]) == [DATA, DATA]
        end.answer = lambda f: f  # the echo alone is no confirmation
        with pytest.raises(LinkError, match="no reply"):
            await link.exchange([write], timeout_s=0.2)
        link.reset()
        end.answer = lambda _: rtu(UNIT, DATA)
        with pytest.raises(LinkError, match=r"no echo of \{what\}"):
            await link.exchange([READ])
        await link.close()


async def test_a_port_that_cannot_be_opened_is_named_and_tried_again() -> None:
    link = BusLink(serial_bus("/dev/fermloop-none", LINE), UNIT)
    with pytest.raises(LinkError, match=r"^no such file or directory$"):
        await link.exchange([READ])
    with pytest.raises(LinkError, match=r"no such file or directory; next try in 0\.0\d s"):
        await link.exchange([READ])
    async with serial_far_end() as end:
        first = BusLink(serial_bus(end.address, LINE), UNIT, timeout_s=20)
        end.answer = lambda _: rtu(UNIT, DATA)
        await first.exchange([READ])
        second = BusLink(serial_bus(end.address, LINE), UNIT, timeout_s=20)
        with pytest.raises(LinkError, match="it is in use already"):
            await second.exchange([READ])
        await first.close()
        second.reset()
        assert await second.exchange([READ]) == [DATA]
        await second.close()


async def test_an_adapter_that_is_pulled_out_fails_the_request_and_comes_back(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    port = tmp_path_factory.mktemp("dev") / "ttyUSB0"
    async with serial_far_end() as end:
        port.symlink_to(end.address)
        end.answer = lambda _: rtu(UNIT, DATA)
        link = BusLink(serial_bus(str(port), LINE), UNIT, timeout_s=20)
        await link.exchange([READ])
    port.unlink()
    with pytest.raises(LinkError, match="no such file or directory"):
        await link.exchange([READ])
    async with serial_far_end() as end:
        port.symlink_to(end.address)
        end.answer = lambda _: rtu(UNIT, DATA)
        link.reset()
        assert await link.exchange([READ]) == [DATA]
        await link.close()


async def test_everybody_at_once_is_never_asked(end: FarEnd) -> None:
    link = BusLink(bus_to(end), 0, timeout_s=20)
    with pytest.raises(ValueError, match="unit 0 is everybody"):
        await link.exchange([READ])
    await link.close()
    assert end.heard == []


async def test_a_cancelled_request_leaves_the_line_to_its_reply(end: FarEnd, link: BusLink) -> None:
    end.answer = lambda _: end.later(0.05, rtu(UNIT, "03 04 0BAD 0BAD")) or b""
    task = asyncio.create_task(link.exchange([READ]))
    while not end.heard:  # noqa: ASYNC110 (until the request is on its way)
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    end.answer = lambda _: rtu(UNIT, DATA)
    assert await link.exchange([READ]) == [DATA]


class Pipe(asyncio.Transport):
    def write(self, data: bytes | bytearray | memoryview) -> None: ...
    def abort(self) -> None: ...


GOOD = rtu(UNIT, DATA)


@settings(max_examples=300, deadline=None)
@given(
    pieces=st.lists(
        st.binary(max_size=20)
        | st.binary(max_size=12).map(lambda b: bytes((UNIT, 3, 4)) + b)
        | st.binary(min_size=1, max_size=9).map(lambda b: rtu(UNIT, b))
        | st.integers(0, len(GOOD)).map(lambda n: GOOD[:n])
        | st.just(GOOD),
        max_size=6,
    ),
    pdu=st.sampled_from([READ, bytes.fromhex("2B 0E 01 00"), bytes.fromhex("17 0000 0002 00")]),
)
async def test_no_bytes_make_it_crash_and_only_a_right_frame_is_a_reply(
    pieces: list[bytes], pdu: bytes
) -> None:
    connection = RtuConnection()
    connection.connection_made(Pipe())
    asking = asyncio.ensure_future(connection.transact(1, UNIT, pdu))
    for _ in range(4):
        await asyncio.sleep(0)
    for piece in pieces:
        connection.data_received(piece)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    if asking.done() and asking.exception() is None:
        reply = asking.result()
        assert rtu(UNIT, reply) in b"".join(pieces)
        assert reply[0] & 0x7F == pdu[0]
        assert pdu != READ or reply[0] & 0x80 or len(reply) == len(DATA)
    elif asking.done():
        assert isinstance(asking.exception(), LinkError)
    asking.cancel()
