"""The kit for people who write drivers: the README's drivers keep every rule."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pytest

from drivers.clock import Clock
from drivers.driver import Driver, Setup
from drivers.point import Tag
from fermloop.testing import RULES, Bench, Rule, check
from tests.drivers.examples import FakeFeeder, example

TAGS = (Tag("R1.weight", "kg", 0, 10), Tag("R1.pump", "%", 0, 100, safe=0))
LETTERS = {"R1.weight": {"letter": "W"}, "R1.pump": {"letter": "P"}}
Feeder, Tank = example("Feeder"), example("Tank")
Make = Callable[[Setup], Driver]


def feeder_bench(make: Make = Feeder):
    @asynccontextmanager
    async def bench() -> AsyncGenerator[Bench]:
        async with FakeFeeder() as device:

            def made(clock: Clock) -> Driver:
                return make(Setup("R1-feeder", device.address, TAGS, 0.3, clock, {}, LETTERS))

            yield Bench(
                made,
                device.cut,
                device.mend,
                device.freeze,
                device.spoil,
                device.shows,
                timeout_s=0.3,
            )

    return bench


def tank_bench(make: Make = Tank):
    @asynccontextmanager
    async def bench() -> AsyncGenerator[Bench]:
        yield Bench(lambda clock: make(Setup("R1-tank", "", TAGS, 0.3, clock)))

    return bench


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_the_feeder_of_the_readme_keeps_every_rule(rule: Rule) -> None:
    check(rule, feeder_bench())


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_the_tank_of_the_readme_keeps_every_rule(rule: Rule) -> None:
    check(rule, tank_bench())
