"""What a hostile or careless third-party driver may do, and what becomes of it at the door."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.clock import SystemClock, monotonic
from drivers.door import MAX_AGE_S, Door
from drivers.driver import DeviceError, Driver, Identity, Setup
from drivers.point import Quality, RangeError, Sample, Tag
from sim.clock import SimClock, run_virtual

pytestmark = pytest.mark.real_time

WEIGHT = Tag("R1.weight", "kg", 0, 10)
PUMP = Tag("R1.pump", "%", 0, 100, safe=0)
NOW = 1_000.0


class Theirs(Driver):
    """A driver whose every method does what the test says."""

    def __init__(self, setup: Setup) -> None:
        self.name, self.address, self.tags = setup.name, setup.address, setup.tags
        self.reads: Callable[[], Awaitable[Any]] = self.fine
        self.writes: Callable[[dict[str, float]], Any] = self.held
        self.clock = setup.clock
        self.written: list[dict[str, float]] = []
        self.said: Any = Identity("Acme  balance\n7")
        self.told: Any = ("not calibrated",)
        self.seen: Any = {"R1.weight": "ST,+3.00", "R1.other": "?"}

    async def fine(self) -> dict[str, Sample]:
        now = self.clock.now()
        return {
            "R1.weight": Sample(WEIGHT, now, 3.0, Quality.GOOD),
            "R1.pump": Sample(PUMP, now, 40.0, Quality.GOOD),
        }

    def held(self, values: dict[str, float]) -> dict[str, Sample]:
        now = self.clock.now()
        return {n: Sample(PUMP, now, v, Quality.GOOD) for n, v in values.items()}

    async def identify(self) -> Identity:
        return self.said

    async def read(self) -> dict[str, Sample]:
        return await self.reads()

    async def write(self, values: dict[str, float]) -> dict[str, Sample]:
        self.written.append(values)
        return self.writes(values)

    async def close(self) -> None:
        if self.told is None:
            raise RuntimeError("already closed")

    def raw(self) -> Mapping[str, str]:
        return self.seen

    def warnings(self) -> Sequence[str]:
        return self.told


def pair(clock: Any = None, timeout_s: float = 0.5) -> tuple[Theirs, Door]:
    setup = Setup("R1-bal", "COM3", (WEIGHT, PUMP), timeout_s, clock or SystemClock())
    theirs = Theirs(setup)
    return theirs, Door(theirs, setup)


class StrangeDict(dict[str, Any]):
    def get(self, key: object, default: Any = None) -> Any:
        raise RuntimeError("no")

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("no")


class NoFloat(int):
    def __float__(self) -> float:
        raise ArithmeticError("not today")


def reading(given: object) -> tuple[Mapping[str, Sample], Sequence[str]]:
    """Return what comes through the door, and its warnings, where a read gives ``given``."""

    async def look() -> tuple[Mapping[str, Sample], Sequence[str]]:
        theirs, door = pair(SimClock(NOW))

        async def gives() -> object:
            return given

        theirs.reads = gives
        theirs.told = ()
        return await door.read(), door.warnings()

    return run_virtual(look())


def weight(**changes: Any) -> dict[str, Any]:
    """Return a read in which the sample of the weight differs from a good one."""
    plain: dict[str, Any] = {"tag": WEIGHT, "time": NOW, "value": 3.0, "quality": Quality.GOOD}
    return {
        "R1.weight": Sample(**(plain | changes)),
        "R1.pump": Sample(PUMP, NOW, 40.0, Quality.GOOD),
    }


def test_a_good_driver_passes_unchanged() -> None:
    found, said = reading(weight())
    assert found == weight()
    assert said == ()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"value": math.nan}, "R1.weight has nan for a value and is not BAD"),
        ({"value": "3.0"}, "R1.weight has str for a value"),
        ({"value": None}, "R1.weight has NoneType for a value"),
        ({"value": 3 + 0j}, "R1.weight has complex for a value"),
        ({"value": 10**400}, "R1.weight cannot be looked at: OverflowError: int too large"),
        ({"value": NoFloat(3)}, "R1.weight cannot be looked at: ArithmeticError: not today"),
        ({"quality": 2}, "R1.weight has int for a quality"),
        ({"quality": "GOOD"}, "R1.weight has str for a quality"),
        ({"time": NOW + 3600}, "R1.weight has a time 3600.0 s in the future"),
        ({"time": math.inf}, "R1.weight has inf for a time"),
        ({"time": math.nan}, "R1.weight has nan for a time"),
        ({"time": None}, "R1.weight has NoneType for a time"),
        ({"time": NOW - MAX_AGE_S - 1}, "R1.weight is 6.0 s old; 5 s is allowed"),
        ({"tag": Tag("R1.weight", "g", 0, 10)}, "R1.weight has another tag in its sample"),
        ({"tag": PUMP}, "R1.weight has another tag in its sample"),
        ({"tag": "R1.weight"}, "R1.weight has another tag in its sample"),
    ],
)
def test_a_sample_that_is_not_as_it_must_be_is_bad_and_said(
    changes: dict[str, Any], says: str
) -> None:
    found, said = reading(weight(**changes))
    got = found["R1.weight"]
    assert (got.tag, got.time, got.quality) == (WEIGHT, NOW, Quality.BAD)
    assert math.isnan(got.value)
    assert found["R1.pump"].value == 40.0  # one rotten sample spoils no other
    assert len(said) == 1
    assert said[0].startswith(f"R1-bal: {says}")


@pytest.mark.parametrize("value", [-0.1, 10.1, math.inf, -math.inf])
def test_a_value_out_of_range_is_bad(value: float) -> None:
    got = reading(weight(value=value))[0]["R1.weight"]
    assert got.quality is Quality.BAD
    assert math.isnan(got.value)


def test_a_bad_sample_carries_no_number() -> None:
    got = reading(weight(quality=Quality.BAD, value=3.0))[0]["R1.weight"]
    assert got.quality is Quality.BAD
    assert math.isnan(got.value)


def test_uncertain_stays_uncertain_and_an_integer_becomes_a_float() -> None:
    got = reading(weight(quality=Quality.UNCERTAIN, value=3))[0]["R1.weight"]
    assert (got.quality, got.value, type(got.value)) == (Quality.UNCERTAIN, 3.0, float)


@pytest.mark.parametrize("off", [-4.0, 0.5])
def test_a_stamp_is_within_the_call(off: float) -> None:
    got = reading(weight(time=NOW + off))[0]["R1.weight"]
    assert (got.time, got.value, got.quality) == (NOW, 3.0, Quality.GOOD)


def test_a_tag_that_is_missing_is_bad_and_one_too_many_is_dropped() -> None:
    more = {"R1.weight": 3.0, "R1.colour": Sample(WEIGHT, NOW, 1.0, Quality.GOOD)}
    found, said = reading(more)
    assert {n: s.quality for n, s in found.items()} == dict.fromkeys(
        ("R1.weight", "R1.pump"), Quality.BAD
    )
    assert said == (
        "R1-bal: R1.weight is 3, not a Sample",
        "R1-bal: R1.pump is missing",
        "R1-bal: R1.colour is no tag of it",
    )


def test_a_dict_of_their_own_runs_none_of_their_code() -> None:
    found, _ = reading(StrangeDict(weight()))
    assert found["R1.weight"].value == 3.0


@pytest.mark.parametrize("given", [None, 7, [], "R1.weight", object()])
def test_what_is_no_dict_is_a_device_error(given: object) -> None:
    with pytest.raises(DeviceError, match=r"^R1-bal at COM3: read gave no dict of a Sample"):
        reading(given)


_NUMBERS = st.one_of(
    st.floats(), st.integers(), st.none(), st.text(), st.booleans(), st.complex_numbers()
)


@given(value=_NUMBERS, time=_NUMBERS, quality=st.one_of(st.sampled_from(Quality), _NUMBERS))
def test_no_rubbish_comes_in_as_good(value: Any, time: Any, quality: Any) -> None:
    found, _ = reading(weight(value=value, time=time, quality=quality))
    assert list(found) == ["R1.weight", "R1.pump"]
    got = found["R1.weight"]
    assert (got.tag, got.time) == (WEIGHT, NOW)
    assert type(got.value) is float
    if got.quality is Quality.BAD:
        assert math.isnan(got.value)
    else:
        assert got.value in WEIGHT
        assert got.quality is quality
        assert abs(time - NOW) <= MAX_AGE_S


# -- errors and time ---------------------------------------------------------------------------


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise ValueError("and another")


async def in_a_group() -> None:
    async def fails() -> None:
        raise OSError("no route")

    async with asyncio.TaskGroup() as group:
        group.create_task(fails())


def raises(error: BaseException) -> Callable[[], Awaitable[Any]]:
    async def fail() -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("reads", "says"),
    [
        (raises(DeviceError("no answer")), "R1-bal at COM3: no answer"),
        (raises(DeviceError("R1-bal at COM3: silent")), "R1-bal at COM3: silent"),
        (raises(KeyError("kg")), "R1-bal at COM3: read raised KeyError: 'kg'"),
        (raises(UnspeakableError()), "R1-bal at COM3: read raised UnspeakableError"),
        (raises(SystemExit(3)), "R1-bal at COM3: read raised RuntimeError: SystemExit: 3"),
        (raises(GeneratorExit()), "R1-bal at COM3: read raised GeneratorExit"),
        (raises(asyncio.CancelledError()), "R1-bal at COM3: read cancelled itself"),
        (raises(RangeError("what?")), "R1-bal at COM3: read raised RangeError: what?"),
        (raises(RuntimeError("line 1\n" + "x" * 999)), "R1-bal at COM3: read raised RuntimeError"),
        (in_a_group, "R1-bal at COM3: read raised OSError: no route"),
    ],
)
async def test_every_error_becomes_a_device_error(
    reads: Callable[[], Awaitable[Any]], says: str
) -> None:
    theirs, door = pair()
    theirs.reads = reads
    with pytest.raises(DeviceError) as caught:
        await door.read()
    assert str(caught.value).startswith(says)
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)
    theirs.reads = theirs.fine
    assert (await door.read())["R1.weight"].value == 3.0


async def test_a_surprise_is_logged_once_with_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    theirs, door = pair()
    theirs.reads = raises(KeyError("kg"))
    for _ in range(3):
        with pytest.raises(DeviceError):
            await door.read()
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[0] is KeyError


async def test_a_read_that_never_returns_ends_by_the_timeout() -> None:
    theirs, door = pair(timeout_s=0.2)
    theirs.reads = asyncio.Event().wait
    began = monotonic()
    with pytest.raises(DeviceError, match=r"R1-bal at COM3: read did not end within 0\.2 s"):
        await door.read()
    assert 0.2 <= monotonic() - began < 1.0
    theirs.reads = theirs.fine
    assert len(await door.read()) == 2


async def test_a_read_that_ignores_its_cancellation_is_waited_for_no_longer() -> None:
    theirs, door = pair(timeout_s=0.1)
    free = asyncio.Event()

    async def stubborn() -> None:
        while not free.is_set():
            try:
                await free.wait()
            except asyncio.CancelledError:
                continue

    theirs.reads = stubborn
    with pytest.raises(DeviceError, match=r"did not end within 0\.1 s"):
        await door.read()
    tasks = len(asyncio.all_tasks())
    for _ in range(3):
        with pytest.raises(DeviceError, match="an earlier call does not end, though"):
            await door.read()
    assert len(asyncio.all_tasks()) == tasks  # they do not pile up
    free.set()
    theirs.reads = theirs.fine
    assert len(await door.read()) == 2


async def test_a_cancelled_read_leaves_nothing_behind() -> None:
    theirs, door = pair(timeout_s=5.0)
    ended = asyncio.Event()

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    theirs.reads = waits
    before = len(asyncio.all_tasks())
    reading = asyncio.create_task(door.read())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert ended.is_set()
    assert len(asyncio.all_tasks()) == before
    theirs.reads = theirs.fine
    assert len(await door.read()) == 2


def test_in_virtual_time_its_sleep_and_its_timeout_are_virtual() -> None:
    async def look() -> tuple[float, float]:
        clock = SimClock(NOW)
        theirs, door = pair(clock, timeout_s=10.0)

        async def slow() -> dict[str, Sample]:
            await asyncio.sleep(4.0)
            return await theirs.fine()

        theirs.reads = slow
        stamp = (await door.read())["R1.weight"].time
        theirs.reads = asyncio.Event().wait
        with pytest.raises(DeviceError):
            await door.read()
        return stamp, clock.now()

    assert run_virtual(look()) == (NOW + 4.0, pytest.approx(NOW + 4.0 + 11.0))


# -- the rest ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"R1.weight": 3.0}, "R1.weight: no actuator of R1-bal; those are R1.pump"),
        ({"R1.acid": 3.0}, "R1.acid: no actuator of R1-bal"),
        ({"R1.pump": 101.0}, "R1.pump: 101 is outside 0 to 100 %"),
        ({"R1.pump": math.nan}, "R1.pump: nan is outside"),
        ({"R1.pump": 5.0, "R1.weight": 3.0}, "R1.weight: no actuator"),
    ],
)
async def test_what_must_not_be_written_never_reaches_it(
    values: dict[str, float], says: str
) -> None:
    theirs, door = pair()
    with pytest.raises(RangeError, match=says):
        await door.write(values)
    assert theirs.written == []


async def test_a_write_gives_what_the_device_holds() -> None:
    theirs, door = pair()
    theirs.writes = lambda values: theirs.held({"R1.pump": 49.9})
    assert (await door.write({"R1.pump": 50.0}))["R1.pump"].value == 49.9
    assert theirs.written == [{"R1.pump": 50.0}]


@pytest.mark.parametrize(
    ("gives", "says"),
    [
        (None, "R1.pump: 50 % is not confirmed: is missing"),
        ({}, "R1.pump: 50 % is not confirmed: is missing"),
        (40.0, "R1.pump reads back 40 % after 50 was written"),
        (math.nan, "R1.pump: 50 % is not confirmed: has nan for a value"),
        ("old", "R1.pump: 50 % is not confirmed: its sample is from before the write"),
        ("bad", "R1.pump: 50 % is not confirmed: BAD"),
    ],
)
async def test_a_write_that_is_not_confirmed_has_failed(gives: Any, says: str) -> None:
    theirs, door = pair()

    def answer(_: dict[str, float]) -> Any:
        good = theirs.held({"R1.pump": 50.0})["R1.pump"]
        if isinstance(gives, float):
            return {"R1.pump": good._replace(value=gives)}
        if gives == "old":
            return {"R1.pump": good._replace(time=good.time - 1.0)}
        if gives == "bad":
            return {"R1.pump": good._replace(quality=Quality.BAD)}
        return gives

    theirs.writes = answer
    with pytest.raises(DeviceError, match=says):
        await door.write({"R1.pump": 50.0})


async def test_an_error_of_range_from_the_driver_is_a_failed_write() -> None:
    theirs, door = pair()

    def refuse(_: dict[str, float]) -> Any:
        raise RangeError("I would rather not")

    theirs.writes = refuse
    with pytest.raises(DeviceError, match="write raised RangeError: I would rather not"):
        await door.write({"R1.pump": 50.0})


async def test_an_identity_is_a_name_and_nothing_else() -> None:
    theirs, door = pair()
    assert await door.identify() == Identity("Acme balance 7")
    theirs.said = Identity("Acme", info={"serial": "A\n1"})
    assert await door.identify() == Identity("Acme", info={"serial": "A 1"})
    theirs.said = Identity("Acme", info=cast("Any", 7))
    assert await door.identify() == Identity("Acme")
    for said in (Identity("x", 60.0), Identity("x", 1.0, 5.0), Identity("x", 0.0, 5.0)):
        theirs.said = said
        with pytest.raises(DeviceError, match="only fermloop's own may"):
            await door.identify()
    theirs.said = "Acme"
    with pytest.raises(DeviceError, match="identify gave str, not an Identity"):
        await door.identify()


async def test_texts_for_people_cannot_hurt(caplog: pytest.LogCaptureFixture) -> None:
    theirs, door = pair()
    assert door.raw() == {"R1.weight": "ST,+3.00"}
    assert door.warnings() == ("not calibrated",)
    theirs.seen, theirs.told = 7, None
    assert door.raw() == {}
    (said,) = door.warnings()
    assert said.startswith("R1-bal: warnings fails: TypeError: 'NoneType' object")
    with caplog.at_level(logging.WARNING):
        await door.close()
    assert "R1-bal at COM3: close raised RuntimeError: already closed" in caplog.text
