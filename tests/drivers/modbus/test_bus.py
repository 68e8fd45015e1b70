"""Several devices on one line: a turn each, and one that is silent does its neighbours no harm."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from drivers.clock import monotonic
from drivers.modbus import LinkError
from drivers.modbus.bus import Bus, BusLink
from drivers.modbus.rtu import SerialLine, rtu_tcp_bus, serial_bus
from drivers.modbus.tcp import tcp_bus
from tests.drivers.modbus.far_ends import FarEnd, rtu, serial_far_end, tcp_far_end

pytestmark = pytest.mark.real_time

READ = bytes.fromhex("03 0000 0001")


def data(unit: int) -> bytes:
    """Return the reply of a unit whose register holds its own number."""
    return bytes((3, 2, 0, unit))


class Gateway:
    """A line of units 1 to 9 behind ``end``, of which some are silent."""

    def __init__(self, end: FarEnd, bus: Bus, framed: Callable[[bytes, int, bytes], bytes]) -> None:
        self.end, self.bus, self.framed = end, bus, framed
        self.silent: set[int] = set()
        self.asked: list[int] = []
        self.at = 6 if framed is mbap else 0  # of the unit in a frame
        self.end.answer = self._answer

    def _answer(self, frame: bytes) -> bytes:
        unit = frame[self.at]
        self.asked.append(unit)
        return b"" if unit in self.silent else self.reply(frame)

    def reply(self, frame: bytes) -> bytes:
        unit = frame[self.at]
        return self.framed(frame, unit, data(unit))

    def links(self, *units: int, timeout_s: float = 20) -> list[BusLink]:
        return [BusLink(self.bus, u, timeout_s) for u in units]


def mbap(request: bytes, unit: int, pdu: bytes) -> bytes:
    return request[:4] + (1 + len(pdu)).to_bytes(2, "big") + bytes((unit,)) + pdu


def over_rtu(request: bytes, unit: int, pdu: bytes) -> bytes:
    return rtu(unit, pdu)


@pytest.fixture(params=["tcp", "rtu_over_tcp", "serial"])
async def gateway(request: pytest.FixtureRequest) -> AsyncIterator[Gateway]:
    if request.param == "serial":
        async with serial_far_end() as end:
            yield Gateway(end, serial_bus(end.address, SerialLine(115200)), over_rtu)
        return
    async with tcp_far_end() as end:
        host, _, port = end.address.rpartition(":")
        if request.param == "tcp":
            yield Gateway(end, tcp_bus(host, int(port)), mbap)
        else:
            yield Gateway(end, rtu_tcp_bus(host, int(port)), over_rtu)


@pytest.fixture
async def tcp() -> AsyncIterator[Gateway]:
    async with tcp_far_end() as end:
        host, _, port = end.address.rpartition(":")
        yield Gateway(end, tcp_bus(host, int(port)), mbap)


async def close(*links: BusLink) -> None:
    for link in links:
        await link.close()
    await asyncio.sleep(0)


async def test_units_take_turns_in_the_order_they_came(gateway: Gateway) -> None:
    links = gateway.links(1, 2, 3, 4)
    await links[0].exchange([READ])
    gateway.asked.clear()
    replies = await asyncio.gather(*(k.exchange([READ, READ]) for k in links * 2))
    assert replies == [[data(u)] * 2 for u in (1, 2, 3, 4)] * 2
    assert gateway.asked == [u for u in (1, 2, 3, 4) * 2 for _ in range(2)]
    assert gateway.end.connections <= 1
    await close(*links)


async def test_waiting_for_a_turn_is_not_counted_as_silence(gateway: Gateway) -> None:
    """Four units of 0.3 s each: the last waits longer than its own limit, and answers."""
    links = gateway.links(1, 2, 3, 4, timeout_s=0.8)
    gateway.end.answer = lambda f: gateway.end.later(0.3, gateway.reply(f)) or b""
    replies = await asyncio.gather(*(k.exchange([READ]) for k in links))
    assert replies == [[data(u)] for u in (1, 2, 3, 4)]
    await close(*links)


async def test_a_silent_unit_takes_its_share_of_the_line_and_no_connection(
    gateway: Gateway,
) -> None:
    """Scans of 0.1 s for 1 s, one of three units silent: the others never fail."""
    gateway.silent = {2}
    one, dead, three = gateway.links(1, 2, 3, timeout_s=0.2)
    await asyncio.gather(one.exchange([READ], timeout_s=20), three.exchange([READ], timeout_s=20))
    began, failures = monotonic(), 0
    scans = 0
    while monotonic() - began < 1.0:
        scans += 1
        replies = await asyncio.gather(
            one.exchange([READ], timeout_s=20),
            three.exchange([READ], timeout_s=20),
            dead.exchange([READ]),
            return_exceptions=True,
        )
        assert replies[:2] == [[data(1)], [data(3)]]
        assert isinstance(replies[2], LinkError)
        failures += "next try in" not in str(replies[2])
        await asyncio.sleep(0.1)
    took = monotonic() - began
    assert gateway.asked.count(2) == failures <= took / 0.3 + 1  # rests half as long as it took
    assert gateway.asked.count(1) == gateway.asked.count(3) == scans + 1
    assert gateway.end.connections <= 1
    await close(one, dead, three)


async def test_a_silent_unit_is_asked_after_its_neighbours(gateway: Gateway) -> None:
    gateway.silent = {2}
    links = gateway.links(1, 2, 3)
    with pytest.raises(LinkError, match="no reply"):
        await links[1].exchange([READ], timeout_s=0.1)
    links[1].rest.at = 0.0
    gateway.silent.clear()
    gateway.asked.clear()
    dead, *_ = await asyncio.gather(
        links[1].exchange([READ]), links[0].exchange([READ]), links[2].exchange([READ])
    )
    assert dead == [data(2)]
    assert gateway.asked == [1, 3, 2]
    await close(*links)


async def test_a_returned_unit_is_one_among_equals_again(gateway: Gateway) -> None:
    gateway.silent = {2}
    one, two = gateway.links(1, 2, timeout_s=0.1)
    await one.exchange([READ], timeout_s=20)
    with pytest.raises(LinkError, match="no reply"):
        await two.exchange([READ])
    gateway.silent.clear()
    came = monotonic()
    while two.silent:
        try:
            assert await two.exchange([READ], timeout_s=20) == [data(2)]
        except LinkError:
            await asyncio.sleep(0.05)
    assert monotonic() - came < 2.0
    assert (two.silent, two.rest.delay) == (False, 0.0)
    await close(one, two)


async def test_a_late_reply_is_let_fall_while_a_neighbour_is_asked(gateway: Gateway) -> None:
    one, two = gateway.links(1, 2)
    await one.exchange([READ])
    late: list[bytes] = []
    gateway.end.answer = lambda f: late.append(gateway.reply(f)) or b""
    with pytest.raises(LinkError, match="no reply"):
        await two.exchange([READ], timeout_s=0.1)
    gateway.end.answer = lambda f: late.pop() + gateway.reply(f)  # at the worst moment
    assert await one.exchange([READ]) == [data(1)]
    gateway.end.answer = gateway.reply
    two.rest.at = 0.0
    assert await two.exchange([READ]) == [data(2)]
    assert gateway.end.connections <= 1
    await close(one, two)


async def test_a_late_reply_never_answers_a_later_question_to_the_same_unit(tcp: Gateway) -> None:
    one, two = tcp.links(1, 2)
    await one.exchange([READ])
    late: list[bytes] = []
    tcp.end.answer = lambda f: late.append(mbap(f, 2, b"\x03\x02\x0b\xad")) or b""
    with pytest.raises(LinkError, match="no reply"):
        await two.exchange([READ], timeout_s=0.05)
    two.rest.at = 0.0
    tcp.end.answer = lambda f: late.pop() + tcp.reply(f)
    assert await two.exchange([READ]) == [data(2)]
    assert tcp.end.connections == 1
    twice = tcp.reply
    tcp.end.answer = lambda f: twice(f) + twice(f)  # the second copy is nobody's
    assert await two.exchange([READ]) == [data(2)]
    tcp.end.answer = tcp.reply
    assert await two.exchange([READ]) == [data(2)]
    assert tcp.end.connections == 2
    await close(one, two)


async def test_a_line_whose_answering_units_all_fall_silent_is_connected_again(
    tcp: Gateway,
) -> None:
    links = tcp.links(1, 2, 3)
    await asyncio.gather(*(k.exchange([READ]) for k in links))
    tcp.silent = {1, 2, 3}
    for link, connections in zip(links, (1, 1, 2), strict=True):
        with pytest.raises(LinkError, match="no reply"):
            await link.exchange([READ], timeout_s=0.1)
        assert tcp.end.connections == connections  # the second that falls silent is the line's end
    await close(*links)


async def test_transaction_0_is_taken_from_the_unit_that_is_known_for_it_only(tcp: Gateway) -> None:
    zero = BusLink(tcp.bus, 1, 20, transaction_zero=True)
    right = BusLink(tcp.bus, 2, 20)
    tcp.end.answer = lambda f: b"\0\0" + tcp.reply(f)[2:]
    assert await zero.exchange([READ]) == [data(1)]
    with pytest.raises(LinkError, match=r"transaction 0 in reply to \{what\}, not 2"):
        await right.exchange([READ])
    tcp.end.answer = lambda f: b"\x0b\xad" + tcp.reply(f)[2:]
    with pytest.raises(LinkError, match=r"transaction 2989 in reply to \{what\}, not 3"):
        await zero.exchange([READ])
    tcp.end.answer = lambda f: b"\0\0" + mbap(f, 3, data(3))[2:]
    zero.rest.at = 0.0
    with pytest.raises(LinkError, match=r"unit 3 in reply to \{what\}, not 1"):
        await zero.exchange([READ])
    await close(zero, right)


async def test_a_late_reply_with_transaction_0_cannot_be_told_so_the_connection_goes(
    tcp: Gateway,
) -> None:
    zero, right = BusLink(tcp.bus, 1, 20, transaction_zero=True), BusLink(tcp.bus, 2, 20)
    await right.exchange([READ])
    tcp.silent = {1}
    with pytest.raises(LinkError, match="no reply"):
        await zero.exchange([READ], timeout_s=0.1)
    assert await right.exchange([READ]) == [data(2)]
    assert tcp.end.connections == 2
    await close(zero, right)


async def test_closing_one_device_leaves_the_line_to_the_others(tcp: Gateway) -> None:
    one, two = tcp.links(1, 2)
    await asyncio.gather(one.exchange([READ]), two.exchange([READ]))
    await one.close()
    assert await two.exchange([READ]) == [data(2)]
    assert tcp.end.connections == 1
    await two.close()
    assert await one.exchange([READ]) == [data(1)]
    await close(one)


async def test_a_line_that_cannot_be_reached_costs_one_try_for_all_of_it() -> None:
    async with tcp_far_end() as end:
        port = int(end.address.rpartition(":")[2])
    one, two = Gateway(end, tcp_bus("127.0.0.1", port), mbap).links(1, 2)
    with pytest.raises(LinkError, match=r"^connection refused$"):
        await one.exchange([READ])
    with pytest.raises(LinkError, match=r"^connection refused; next try in 0\.0\d s$"):
        await two.exchange([READ])
