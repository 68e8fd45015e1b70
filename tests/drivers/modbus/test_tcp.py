"""The Modbus TCP link against a server of raw bytes that can misbehave in every way."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.clock import monotonic
from drivers.modbus import LinkError
from drivers.modbus.tcp import ModbusTcpLink, TcpConnection

pytestmark = pytest.mark.real_time

REQUEST = bytes.fromhex("03 0000 0001")
REPLY = bytes.fromhex("03 02 0007")
Answer = Callable[[bytes], bytes | None]  # one request frame to what is sent; None closes


def good(frame: bytes) -> bytes:
    return frame[:4] + (1 + len(REPLY)).to_bytes(2, "big") + frame[6:7] + REPLY


class RawServer:
    """Listens on a free loopback port and answers each frame as ``answer`` says."""

    def __init__(self) -> None:
        self.answer: Answer = good
        self.frames: list[bytes] = []
        self.connections = 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self.drop()
        await self._server.wait_closed()
        await asyncio.sleep(0)

    def drop(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while head := await reader.readexactly(6):
                frame = head + await reader.readexactly(int.from_bytes(head[4:6], "big"))
                self.frames.append(frame)
                reply = self.answer(frame)
                if reply is None:
                    return
                writer.write(reply)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self._writers.discard(writer)
            writer.transport.abort()


@pytest.fixture
async def server() -> AsyncIterator[RawServer]:
    raw = RawServer()
    await raw.start()
    yield raw
    await raw.stop()


@pytest.fixture
async def link(server: RawServer) -> AsyncIterator[ModbusTcpLink]:
    tcp = ModbusTcpLink(
        "127.0.0.1", server.port, unit_id=9, timeout_s=20
    )  # a busy machine is no failure
    yield tcp
    await tcp.close()
    await asyncio.sleep(0)
    assert not [t for t in asyncio.all_tasks() if "ModbusTcpLink" in repr(t)]


async def test_a_frame_is_what_the_specification_says(
    server: RawServer, link: ModbusTcpLink
) -> None:
    assert await link.exchange([REQUEST, REQUEST]) == [REPLY, REPLY]
    assert server.frames == [
        bytes.fromhex("0001 0000 0006 09 03 0000 0001"),
        bytes.fromhex("0002 0000 0006 09 03 0000 0001"),
    ]
    await link.exchange([REQUEST], unit=247)
    assert server.frames[-1] == bytes.fromhex("0003 0000 0006 F7 03 0000 0001")
    assert server.connections == 1


async def test_a_reply_may_come_in_pieces(server: RawServer, link: ModbusTcpLink) -> None:
    writers: list[bytes] = []

    def first_half(frame: bytes) -> bytes:
        whole = good(frame)
        writers.append(whole)
        asyncio.get_running_loop().call_later(0.01, send_rest, whole)
        return whole[:5]

    def send_rest(whole: bytes) -> None:
        for writer in server._writers:  # pyright: ignore[reportPrivateUsage]
            writer.write(whole[5:])

    server.answer = first_half
    assert await link.exchange([REQUEST]) == [REPLY]


def _with_tid(tid: bytes) -> Answer:
    return lambda frame: tid + good(frame)[2:]


def _wrong() -> list[tuple[Answer, str]]:
    return [
        (_with_tid(b"\0\0"), r"transaction 0 in reply to \{what\}, not 1"),
        (_with_tid(b"\0\2"), r"transaction 2 in reply to \{what\}, not 1"),
        (lambda f: good(f)[:6] + b"\x08" + REPLY, r"unit 8 in reply to \{what\}, not 9"),
        (lambda f: f[:2] + b"\0\1" + good(f)[4:], "no Modbus frame but 00 01 00 01"),
        (lambda f: f[:4] + b"\0\2" + good(f)[6:], "no Modbus frame"),
        (lambda f: f[:4] + b"\xff\xff" + good(f)[6:], "no Modbus frame"),
        (lambda _: b"HTTP/1.1 400 Bad Request\r\n", "no Modbus frame but 48 54 54 50"),
        (lambda f: good(f)[:-1], r"no reply to \{what\} within 0\.2 s"),
        (lambda _: b"", r"no reply to \{what\} within 0\.2 s"),
        (lambda _: None, "the device closed the connection"),
    ]


@pytest.mark.parametrize(
    ("answer", "message"),
    _wrong(),
    ids=["tid 0", "tid 2", "unit", "protocol", "short", "long", "http", "torn", "silent", "close"],
)
async def test_every_wrong_frame_is_refused_and_the_next_exchange_is_clean(
    server: RawServer, link: ModbusTcpLink, answer: Answer, message: str
) -> None:
    server.answer = answer
    limit = 0.2 if "within" in message else None  # only silence has to wait for its end
    with pytest.raises(LinkError, match=message):
        await link.exchange([REQUEST], timeout_s=limit)
    server.answer = good
    link.reset()  # without waiting for the next try
    assert await link.exchange([REQUEST]) == [REPLY]
    assert server.connections == 2


HEAD = bytes.fromhex("0001 0000")


@settings(max_examples=300, deadline=None)
@given(
    pieces=st.lists(
        st.binary(max_size=20)
        | st.binary(max_size=12).map(lambda b: HEAD + b)
        | st.binary(min_size=2, max_size=9).map(
            lambda b: HEAD + (len(b) + 1).to_bytes(2, "big") + b"\x09" + b
        ),
        max_size=6,
    )
)
async def test_no_bytes_make_it_crash_and_only_a_whole_frame_is_a_reply(
    pieces: list[bytes],
) -> None:
    """Anything may come in any pieces; a reply is unit 9's answer to transaction 1 or none."""

    class Pipe(asyncio.Transport):
        def write(self, data: bytes | bytearray | memoryview) -> None:
            sent.append(bytes(data))

        def abort(self) -> None:
            closed.append(True)

    sent: list[bytes] = []
    closed: list[bool] = []
    connection = TcpConnection()
    connection.connection_made(Pipe())
    asking = asyncio.ensure_future(connection.transact(1, 9, REQUEST))
    await asyncio.sleep(0)
    for piece in pieces:
        connection.data_received(piece)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert sent == [HEAD + b"\0\6\x09" + REQUEST]
    if asking.done() and asking.exception() is None:
        reply = asking.result()
        frame = HEAD + (len(reply) + 1).to_bytes(2, "big") + b"\x09" + reply
        assert b"".join(pieces).startswith(frame)
    elif asking.done():
        assert isinstance(asking.exception(), LinkError)
        assert closed
    asking.cancel()


async def test_the_failed_request_is_named(server: RawServer, link: ModbusTcpLink) -> None:
    server.answer = lambda f: good(f) if f[1] < 3 else b""
    with pytest.raises(LinkError) as error:
        await link.exchange([REQUEST] * 4, timeout_s=0.5)
    assert error.value.index == 2


async def test_a_late_reply_is_never_taken_for_anothers(
    server: RawServer, link: ModbusTcpLink
) -> None:
    late: list[bytes] = []
    server.answer = lambda f: late.append(good(f)) or b""
    with pytest.raises(LinkError, match="no reply"):
        await link.exchange([REQUEST], timeout_s=0.5)
    server.answer = lambda f: late[0] + good(f)  # the old transaction first, on any connection
    link.reset()
    with pytest.raises(LinkError, match=r"transaction 1 in reply to \{what\}, not 2"):
        await link.exchange([REQUEST])


async def test_a_silent_device_costs_one_timeout_and_then_nothing(
    server: RawServer, link: ModbusTcpLink
) -> None:
    server.answer = lambda _: b""
    began = monotonic()
    with pytest.raises(LinkError, match=r"within 0\.5 s"):
        await link.exchange([REQUEST] * 5, timeout_s=0.5)
    assert monotonic() - began < 2  # not 5 * 0.5 s
    link.rest.at += 60  # however slow this machine is
    for _ in range(100):
        with pytest.raises(LinkError, match=r"within 0\.5 s; next try in 60\.\d\d s|59"):
            await link.exchange([REQUEST])
    assert len(server.frames) == 1


async def test_the_wait_between_tries_doubles_up_to_0_9_s(server: RawServer) -> None:
    await server.stop()
    link = ModbusTcpLink("127.0.0.1", server.port, timeout_s=20)
    waits: list[float] = []
    for _ in range(7):
        link.reset()  # as if it had passed
        with pytest.raises(LinkError, match=r"connection refused$"):
            await link.exchange([REQUEST])
        waits.append(link._bus._line.delay)  # pyright: ignore[reportPrivateUsage]
    assert waits == [0.05, 0.1, 0.2, 0.4, 0.8, 0.9, 0.9]
    await server.start()  # the fixture stops it again


async def test_it_connects_after_a_first_failure_and_after_later_ones(server: RawServer) -> None:
    await server.stop()
    link = ModbusTcpLink("127.0.0.1", server.port, timeout_s=20)
    with pytest.raises(LinkError, match="connection refused"):
        await link.exchange([REQUEST])
    await server.start()
    for _ in range(3):
        link.reset()
        assert await link.exchange([REQUEST]) == [REPLY]
        await server.stop()
        link.reset()
        with pytest.raises(LinkError, match="connection refused"):
            await link.exchange([REQUEST])
        await server.start()
    await link.close()


async def test_a_restarted_server_costs_not_even_one_exchange(
    server: RawServer, link: ModbusTcpLink
) -> None:
    await link.exchange([REQUEST])
    await server.stop()
    await server.start()
    assert await link.exchange([REQUEST, REQUEST]) == [REPLY, REPLY]
    assert server.connections == 2


async def test_a_device_that_closes_on_every_request_is_asked_twice_and_no_more(
    server: RawServer, link: ModbusTcpLink
) -> None:
    await link.exchange([REQUEST])
    server.answer = lambda _: None
    with pytest.raises(LinkError, match="closed the connection"):
        await link.exchange([REQUEST])
    assert len(server.frames) == 3


async def test_cancelling_leaves_no_broken_state(server: RawServer, link: ModbusTcpLink) -> None:
    server.answer = lambda _: b""
    task = asyncio.create_task(link.exchange([REQUEST]))
    while not server.frames:  # noqa: ASYNC110 (until the request is on its way)
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    server.answer = good
    assert await link.exchange([REQUEST]) == [REPLY]


async def test_exchanges_at_once_take_turns(server: RawServer, link: ModbusTcpLink) -> None:
    replies = await asyncio.gather(*(link.exchange([REQUEST]) for _ in range(10)))
    assert replies == [[REPLY]] * 10
    assert server.connections == 1
    assert [f[1] for f in server.frames] == list(range(1, 11))


async def test_transactions_never_become_0(server: RawServer, link: ModbusTcpLink) -> None:
    await link.exchange([REQUEST])
    link._bus._tid = 0xFFFF  # pyright: ignore[reportPrivateUsage]
    await link.exchange([REQUEST])
    assert server.frames[-1][:2] == b"\0\1"


async def test_it_may_be_used_again_after_close(link: ModbusTcpLink) -> None:
    for _ in range(3):
        assert await link.exchange([REQUEST]) == [REPLY]
        await link.close()


def test_a_timeout_of_0_is_refused() -> None:
    with pytest.raises(ValueError, match="must be > 0"):
        ModbusTcpLink("127.0.0.1", 502, timeout_s=0)
