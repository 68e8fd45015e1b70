"""The driver against a device at the level of PDUs: what is asked, what is believed."""

import struct
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.driver import DeviceError, Identity
from drivers.modbus import Fence, Link, LinkError, ModbusDriver, Watchdog
from drivers.modbus.registers import Register
from drivers.point import Quality, RangeError, Tag


class At:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time

    async def sleep_until(self, deadline: float) -> None:
        self.time = max(self.time, deadline)


class Plc(Link):
    """A device with 16-bit registers that answers FC3, FC4 and FC16, and can be told to err."""

    address = "10.0.0.12:502"

    def __init__(self) -> None:
        self.holding = {a: 0 for a in range(20)}
        self.input = {a: 0 for a in range(20)}
        self.asked: list[bytes] = []
        self.replies: dict[int, bytes] = {}  # by function code: said instead of the truth
        self.error: LinkError | None = None
        self.resets = 0
        self.fence = Fence()

    async def exchange(
        self,
        requests: Sequence[bytes],
        *,
        unit: int | None = None,
        timeout_s: float | None = None,
    ) -> list[bytes]:
        self.fence.check(requests, unit)
        if self.error is not None:
            raise self.error
        self.asked += requests
        return [self.replies.get(r[0]) or self.answer(r, unit) for r in requests]

    def answer(self, request: bytes, unit: int | None) -> bytes:
        code = request[0]
        if code not in (3, 4, 16) or unit is not None:
            return bytes((code | 0x80, 1))
        start, count = struct.unpack_from(">HH", request, 1)
        table = self.input if code == 4 else self.holding
        if any(a not in table for a in range(start, start + count)):
            return bytes((code | 0x80, 2))
        if code == 16:
            words = struct.unpack_from(f">{count}H", request, 6)
            table.update(zip(range(start, start + count), words, strict=True))
            return request[:5]
        words = [table[a] for a in range(start, start + count)]
        return bytes((code, 2 * count)) + struct.pack(f">{count}H", *words)

    def reset(self) -> None:
        self.resets += 1

    async def close(self) -> None:
        """Nothing is open."""


TEMPERATURE = Register(Tag("R1.temperature", "Cel", 0, 150), "input", 0, "int16", 0.01)
STIRRER = Register(Tag("R1.stirrer", "{r}/min", 0, 1000, 300), "holding", 0)
HEATER = Register(Tag("R1.heater", "%", 0, 100, 0), "holding", 1, scale=0.01)
ACID = Register(Tag("R1.acid", "mL/min", 0, 5, 0), "holding", 4, "float32")


@pytest.fixture
def plc() -> Plc:
    return Plc()


@pytest.fixture
def clock() -> At:
    return At()


@pytest.fixture
def driver(plc: Plc, clock: At) -> ModbusDriver:
    return ModbusDriver("R1-io", [TEMPERATURE, STIRRER, HEATER, ACID], plc, clock)


async def test_one_request_a_table_reads_everything(driver: ModbusDriver, plc: Plc) -> None:
    plc.input[0] = 3712
    plc.holding |= {0: 500, 1: 1234, 4: 0x3F80}
    samples = await driver.read()
    assert plc.asked == [bytes.fromhex("03 0000 0006"), bytes.fromhex("04 0000 0001")]
    assert {n: s.value for n, s in samples.items()} == {
        "R1.temperature": 37.12,
        "R1.stirrer": 500,
        "R1.heater": 12.34,
        "R1.acid": 1.0,
    }
    assert {(s.time, s.quality) for s in samples.values()} == {(1000.0, Quality.GOOD)}


async def test_a_write_takes_one_request_a_run_and_one_readback(
    driver: ModbusDriver, plc: Plc
) -> None:
    held = await driver.write({"R1.acid": 0.1, "R1.heater": 33.333, "R1.stirrer": 450})
    assert plc.asked == [
        bytes.fromhex("10 0000 0002 04 01C2 0D05"),
        bytes.fromhex("10 0004 0002 04 3DCC CCCD"),
        bytes.fromhex("03 0000 0006"),
    ]
    assert held["R1.heater"].value == 33.33  # what the device holds, not what was asked for
    assert held["R1.acid"].value == pytest.approx(0.1)
    assert held["R1.stirrer"].value == 450


@pytest.mark.parametrize("value", [-0.001, 1000.1, float("nan"), float("inf")])
async def test_a_value_out_of_range_writes_nothing(
    driver: ModbusDriver, plc: Plc, value: float
) -> None:
    with pytest.raises(RangeError, match=r"R1\.stirrer: .* is outside 0 to 1000 \{r\}/min"):
        await driver.write({"R1.heater": 10, "R1.stirrer": value})
    assert plc.asked == []


@pytest.mark.parametrize("name", ["R1.temperature", "R2.heater"])
async def test_what_is_no_actuator_is_never_written(
    driver: ModbusDriver, plc: Plc, name: str
) -> None:
    with pytest.raises(RangeError, match=f"{name}: no actuator of R1-io; those are R1.stirrer"):
        await driver.write({"R1.heater": 1, name: 1})
    assert plc.asked == []


async def test_a_readback_that_differs_is_an_error(driver: ModbusDriver, plc: Plc) -> None:
    plc.replies[16] = bytes.fromhex("10 0001 0001")  # it says yes and does nothing
    with pytest.raises(DeviceError, match=r"R1\.heater reads back 0 % after 50 was written"):
        await driver.write({"R1.heater": 50})


async def test_a_device_with_holes_is_read_around_them(driver: ModbusDriver, plc: Plc) -> None:
    del plc.holding[2], plc.holding[3]
    assert len(await driver.read()) == 4
    assert plc.asked[2:] == [bytes.fromhex(h) for h in ("0300000002", "0300040002", "0400000001")]
    plc.asked.clear()
    await driver.read()
    assert len(plc.asked) == 3  # it is remembered
    assert (await driver.write({"R1.stirrer": 7, "R1.acid": 1}))["R1.acid"].value == 1


async def test_a_write_finds_the_holes_too(driver: ModbusDriver, plc: Plc) -> None:
    del plc.holding[2], plc.holding[3]
    held = await driver.write({"R1.stirrer": 7, "R1.acid": 1})
    assert [s.value for s in held.values()] == [7, 1]


@pytest.mark.parametrize(
    ("reply", "message", "resets"),
    [
        ("83 02", r"exception 2 \(illegal data address\) to 6 registers from 0", 0),
        ("83 06", r"exception 6 \(device busy\) to 6 registers", 0),
        ("83 63", r"exception 99 \(unknown\) to 6 registers", 0),
        ("04 0C 0000 0000 0000 0000 0000 0000", "function code 4 in reply to .*, not 3", 1),
        ("84 02", "function code 132 in reply to .*, not 3", 1),
        ("03 0A 0000 0000 0000 0000 0000", "12 bytes 03 0a .* in reply to .*, not 14", 1),
        ("03 0E 0000 0000 0000 0000 0000 0000 0000", "16 bytes", 1),
        ("03 0C 0000 0000 0000 0000 0000", "12 bytes", 1),  # count right, registers missing
        ("03 0B 0000 0000 0000 0000 0000 00", "13 bytes", 1),  # odd
        ("03 0A 0000 0000 0000 0000 0000 0000", "14 bytes 03 0a", 1),  # count wrong
        ("03", "1 bytes 03", 1),
        ("83", "function code 131", 1),
        ("", "function code nothing", 1),
    ],
)
async def test_every_malformed_reply_to_a_read_is_refused(
    driver: ModbusDriver, plc: Plc, reply: str, message: str, resets: int
) -> None:
    plc.replies[3] = bytes.fromhex(reply) or b""
    if not reply:
        plc.answer = lambda request, unit: b""  # type: ignore[method-assign]
    if reply == "83 02":
        driver = ModbusDriver("R1-io", [STIRRER, *_row(1, 5)], plc, At())
    with pytest.raises(DeviceError, match=rf"^R1-io at 10\.0\.0\.12:502: .*{message}"):
        await driver.read()
    assert plc.resets == resets


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(reply=st.binary(max_size=40) | st.binary(max_size=14).map(lambda b: b"\x03\x0c" + b))
async def test_whatever_a_device_says_is_a_whole_answer_or_an_error(reply: bytes) -> None:
    """A reply is believed only if function code, byte count and length all fit the request."""
    plc = Plc()
    plc.replies[3] = reply or b"?"
    driver = ModbusDriver("R1-io", [STIRRER, HEATER, ACID], plc, At())
    try:
        samples = await driver.read()
    except DeviceError:
        return
    assert reply[:2] == b"\x03\x0c"
    assert len(reply) == 14
    assert all(s.quality is Quality.BAD or s.value in s.tag for s in samples.values())


def _row(start: int, count: int) -> list[Register]:
    return [Register(Tag(f"R1.x{a}", "1", 0, 9), "holding", a) for a in range(start, start + count)]


@pytest.mark.parametrize(
    "reply",
    ["10 0000 0001", "10 0001 0002", "10 0001 00", "10 0001 0001 00", "06 0001 0001", "90 04"],
)
async def test_every_malformed_reply_to_a_write_is_refused(
    driver: ModbusDriver, plc: Plc, reply: str
) -> None:
    plc.replies[16] = bytes.fromhex(reply)
    with pytest.raises(DeviceError, match=r"a write of 1 registers from 1"):
        await driver.write({"R1.heater": 0})


async def test_silence_names_what_was_asked_and_when_it_last_answered(
    driver: ModbusDriver, plc: Plc, clock: At
) -> None:
    plc.error = LinkError("no reply to {what} within 0.5 s", index=1)
    with pytest.raises(DeviceError) as first:
        await driver.read()
    assert str(first.value) == (
        "R1-io at 10.0.0.12:502: no reply to 1 input registers from 0 within 0.5 s"
    )
    plc.error = None
    await driver.read()
    clock.time += 12.3
    plc.error = LinkError("no reply to {what} within 0.5 s")
    with pytest.raises(DeviceError) as later:
        await driver.read()
    assert str(later.value) == (
        "R1-io at 10.0.0.12:502: no reply to 6 registers from 0 within 0.5 s (last good 12.3 s ago)"
    )
    plc.error = None
    assert len(await driver.read()) == 4


async def test_the_heartbeat_is_one_request_and_armed_comes_with_the_read(
    plc: Plc, clock: At
) -> None:
    driver = ModbusDriver("R1-io", [TEMPERATURE, STIRRER], plc, clock, watchdog=Watchdog(10, 2))
    assert await driver.heartbeat(0x12345) is False  # nothing read yet: it has to ask
    assert plc.asked == [
        bytes.fromhex("10 000A 0001 02 2345"),
        bytes.fromhex("03 0000 0001"),
        bytes.fromhex("04 0000 0003"),
    ]
    plc.input[2] = 1
    assert set(await driver.read()) == {"R1.temperature", "R1.stirrer"}
    plc.asked.clear()
    assert await driver.heartbeat(2) is True
    assert plc.asked == [bytes.fromhex("10 000A 0001 02 0002")]
    plc.replies[3] = b"\x83\x04"
    with pytest.raises(DeviceError):
        await driver.read()
    plc.replies.clear()
    plc.input[2] = 0
    assert await driver.heartbeat(3) is False  # what was armed before a failure is not known


async def test_a_watchdog_without_a_flag_is_taken_as_armed(plc: Plc, clock: At) -> None:
    assert await ModbusDriver("a", [STIRRER], plc, clock, Watchdog(10)).heartbeat(1)
    plc.asked.clear()
    assert await ModbusDriver("b", [STIRRER], plc, clock).heartbeat(1)
    assert plc.asked == []


def test_a_tag_on_the_watchdogs_register_is_refused(plc: Plc, clock: At) -> None:
    with pytest.raises(ValueError, match="holding 1 is already taken"):
        ModbusDriver("R1-io", [HEATER], plc, clock, watchdog=Watchdog(1))


async def test_a_device_that_does_not_know_fc43_is_real(driver: ModbusDriver, plc: Plc) -> None:
    assert await driver.identify() == Identity("", 1.0, None)
    assert plc.asked == [bytes.fromhex("2B 0E 01 00")]
    with pytest.raises(DeviceError, match="is no simulator in lock-step"):
        await driver.advance(1.0)


async def test_a_device_that_is_silent_on_fc43_but_answers_reads_is_real(
    driver: ModbusDriver, plc: Plc, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = plc.answer

    def mute(request: bytes, unit: int | None) -> bytes:
        if request[0] == 0x2B:
            raise LinkError("no reply to {what} within 0.5 s", silent=True)
        return answer(request, unit)

    monkeypatch.setattr(plc, "answer", mute)
    assert await driver.identify() == Identity()


async def test_no_connection_is_never_taken_for_a_real_device(
    driver: ModbusDriver, plc: Plc
) -> None:
    """A simulator taken for a plant in real time would be controlled at the wrong speed."""
    plc.error = LinkError("connection refused; next try in 0.05 s")
    with pytest.raises(DeviceError, match="connection refused"):
        await driver.identify()


async def test_a_simulator_that_misses_one_question_is_still_known(
    driver: ModbusDriver, plc: Plc, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, asked = plc.answer, 0

    def busy(request: bytes, unit: int | None) -> bytes:
        nonlocal asked
        if request[0] == 0x2B:
            asked += 1
            if asked == 1:
                raise LinkError("no reply to {what} within 0.5 s", silent=True)
            return bytes.fromhex("2B 0E 01 01 00 00 02 00 08") + b"fermloop\x01\x09simulator"
        if unit == 247:
            return b"\x03\x1a" + struct.pack(">2d8xH", 60.0, 5.0, 0)
        return answer(request, unit)

    monkeypatch.setattr(plc, "answer", busy)
    assert await driver.identify() == Identity("fermloop simulator", 60.0, 5.0)


async def test_a_device_says_who_it_is(driver: ModbusDriver, plc: Plc) -> None:
    # The example of section 6.21: vendor, product code, revision.
    plc.replies[0x2B] = (
        bytes.fromhex("2B 0E 01 01 00 00 03 00 16") + b"Company identification"
        + bytes.fromhex("01 0D") + b"Product code "
        + bytes.fromhex("02 05") + b"V2.11"
    )  # fmt: skip
    identity = await driver.identify()
    assert (identity.name, identity.simulated) == ("Company identification Product code", False)


@pytest.mark.parametrize("size", [0, 1, 6, 7, 8, 9, 15, 27])
async def test_a_torn_identification_is_nobodys(driver: ModbusDriver, plc: Plc, size: int) -> None:
    whole = bytes.fromhex("2B 0E 01 01 00 00 02 00 08") + b"fermloop\x01\x09simulator"
    plc.replies[0x2B] = whole[:size] or b"\xab\x01"
    assert not (await driver.identify()).simulated


async def test_the_simulator_gives_its_pace_and_is_told_to_advance(
    driver: ModbusDriver, plc: Plc, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int | None, bytes]] = []

    def unit_247(request: bytes, unit: int | None) -> bytes:
        told.append((unit, request))
        if request[0] == 0x2B:
            return bytes.fromhex("2B 0E 01 01 00 00 02 00 08") + b"fermloop\x01\x09simulator"
        if request[0] == 3:
            return b"\x03\x1a" + struct.pack(">2d8xH", 0.0, 1.79e9, 0)
        return request[:5]

    monkeypatch.setattr(plc, "answer", unit_247)
    assert await driver.identify() == Identity("fermloop simulator", 0.0, 1.79e9)
    await driver.advance(1.79e9 + 1)
    assert told[1:] == [
        (247, bytes.fromhex("03 0000 000d")),
        (247, bytes.fromhex("10 0008 0004 08") + struct.pack(">d", 1.79e9 + 1)),
    ]
