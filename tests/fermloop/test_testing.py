"""The kit for people who write drivers: good ones keep every rule, each bad one breaks its own."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pytest

import tests.fermloop.bad_drivers as bad
from drivers.clock import Clock, SystemClock
from drivers.driver import Driver, Setup
from drivers.point import Tag
from fermloop.testing import RULES, Bench, BrokenRuleError, Rule, broken, check
from tests.drivers.examples import FakeFeeder, example

pytestmark = pytest.mark.real_time

TAGS = (Tag("R1.weight", "kg", 0, 10), Tag("R1.pump", "%", 0, 100, safe=0))
TIMEOUT_S = 0.8
LETTERS = {"R1.weight": {"letter": "W"}, "R1.pump": {"letter": "P"}}
Feeder, Tank = example("Feeder"), example("Tank")
Make = Callable[[Setup], Driver]


def feeder_bench(make: Make = Feeder):
    @asynccontextmanager
    async def bench() -> AsyncGenerator[Bench]:
        async with FakeFeeder() as device:

            def made(clock: Clock) -> Driver:
                return make(Setup("R1-feeder", device.address, TAGS, TIMEOUT_S, clock, {}, LETTERS))

            yield Bench(
                made,
                device.cut,
                device.mend,
                device.freeze,
                device.spoil,
                device.shows,
                timeout_s=TIMEOUT_S,
                back_s=0.5,
            )

    return bench


def tank_bench(make: Make = Tank):
    @asynccontextmanager
    async def bench() -> AsyncGenerator[Bench]:
        yield Bench(lambda clock: make(Setup("R1-tank", "", TAGS, TIMEOUT_S, clock)))

    return bench


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_the_feeder_of_the_readme_keeps_every_rule(rule: Rule) -> None:
    check(rule, feeder_bench())


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_the_tank_of_the_readme_keeps_every_rule(rule: Rule) -> None:
    check(rule, tank_bench())


def test_a_good_driver_breaks_nothing() -> None:
    assert broken(tank_bench()) == []


# -- each rule, broken ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "make", "says"),
    [
        ("made", bad.ConnectsAtOnce, "it could not be made: ConnectionRefusedError"),
        (
            "made",
            bad.no_driver,
            "it has no identify, read, write, heartbeat",
        ),
        ("tags", bad.LosesATag, "R1.pump is missing from what read gave"),
        ("tags", bad.AnotherUnit, "R1.weight comes with the tag "),
        ("tags", bad.Misreads, "R1.weight reads 1.607 after a read; it is 3.214"),
        ("time", bad.OwnClock, "R1.weight is stamped 3.6e+03 s after a read ended"),
        ("time", bad.OldStamp, "R1.weight is stamped "),
        ("quality", bad.NanIsGood, "R1.weight is GOOD with nan, outside 0 to 10 kg"),
        (
            "quality",
            bad.KeepsTheLastValue,
            "R1.weight is GOOD with 3.214 though",
        ),
        ("quality", bad.BadWithANumber, "R1.weight is BAD and carries 3.2"),
        ("range", bad.Clips, "a write of {'R1.pump': 110.0} was not refused"),
        (
            "range",
            bad.WritesBeforeItLooks,
            "R1.pump went from 0 to 10 by a write of ",
        ),
        ("range", bad.BlamesTheWorld, "a write of {'nobody.knows': 1.0} raised DeviceError"),
        ("write", bad.Promises, "R1.pump: the device holds 0 after 10 was written"),
        ("write", bad.Whispers, "a write of ['R1.pump'] gave []"),
        (
            "reconnect",
            bad.NeverReturns,
            "0.5 s after the device came back read still raises gone",
        ),
        ("reconnect", bad.RaisesWhatComes, "read raised "),
        ("reconnect", bad.Remembers, "1.4 s after the device went away it is still read"),
        ("silence", bad.NoTimeout, "read did not end within its timeout of 0.8 s"),
        ("silence", bad.Blocks, "nothing else ran for the "),
        ("cancellation", bad.SwallowsCancellation, "R1.pump is missing from what read gave"),
        ("cancellation", bad.CannotBeCancelled, "a read that was cancelled did not end"),
        ("cancellation", bad.LeavesTheAnswer, "0.5 s after a cancelled read read still raises"),
        ("concurrency", bad.OneAtATime, "read raised busy; "),
        ("close", bad.ClosesOnce, "a second close raised RuntimeError: closed already"),
        ("close", bad.ClosedForEver, "read raised closed"),
        ("leaks", bad.LeavesATask, "after close there are left: watches the wire"),
        ("leaks", bad.LeavesASocket, "after close there are left: no task; 15 sockets"),
        ("words", bad.SaysAString, "warnings gave 'not calibrated', no sequence of texts"),
        ("words", bad.RawOfOthers, "raw has 'R2.weight', which is no tag of it"),
        ("words", bad.IsNobody, "identify gave 'Acme', not an Identity"),
        ("virtual", bad.WallTank, "R1.weight is stamped "),
        ("virtual", bad.WiredTank, "read raised VirtualTimeError: virtual time has no sockets"),
    ],
)
def test_a_driver_that_breaks_a_rule_is_told_which(rule: str, make: Make, says: str) -> None:
    bench = tank_bench(make) if rule == "virtual" else feeder_bench(make)
    with pytest.raises(BrokenRuleError) as caught:
        check(rule, bench)
    while bad.FORGOTTEN:
        bad.FORGOTTEN.pop().close()
    said = str(caught.value)
    assert said.startswith(f"{rule}: {says}"), said
    assert f"; the rule: {next(r.text for r in RULES if r.name == rule)}" in said


def test_every_rule_is_broken_above() -> None:
    (mark,) = test_a_driver_that_breaks_a_rule_is_told_which.pytestmark  # pyright: ignore[reportFunctionMemberAccess]
    assert {case[0] for case in mark.args[1]} == {r.name for r in RULES}


def test_a_driver_with_a_wire_needs_a_bench_that_can_cut_it() -> None:
    @asynccontextmanager
    async def bench() -> AsyncGenerator[Bench]:
        async with FakeFeeder() as device:
            setup = Setup("R1-feeder", device.address, TAGS, TIMEOUT_S, SystemClock(), {}, LETTERS)
            yield Bench(lambda clock: Feeder(setup))

    said = [line.partition(";")[0] for line in broken(bench)]
    assert "reconnect: the bench has no cut and mend, so it cannot be judged" in said
