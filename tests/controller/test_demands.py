"""Interlocks of several measurements, and what they demand: limits, no start, never both open."""

import ast
import math
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.protection.conditions import Condition, Window
from controller.protection.guard import ActuatorRule, Guard, Limited
from controller.protection.interlock import Interlock
from controller.protection.interlocks import Interlocks
from drivers.point import Quality, Sample, Tag, sample

AIR_FLOW = Tag("R1.air_flow", "L/min", -1, 12)
AGITATION = Tag("R1.agitation", "{r}/min", 0, 1600)
STIRRER = Tag("R1.stirrer", "{r}/min", 0, 1000, safe=300)
AIR = Tag("R1.air", "L/min", 0, 10, safe=1)
FEED = Tag("R1.feed", "mL/h", 0, 200, safe=0)
STEAM = Tag("R1.steam", "%", 0, 100, safe=0)
WATER = Tag("R1.water", "%", 0, 100, safe=0)
NO_AIR = Window(AIR_FLOW, below=0.5)
AIR_ASKED = Window(AIR, above=0.8)
STANDS = Window(AGITATION, below=20)
ROOM = Path(__file__).parents[2] / "controller"


def seen(**values: float | None) -> dict[str, Sample]:
    """Return samples of R1; ``None`` is BAD."""
    tags = {t.name: t for t in (AIR_FLOW, AGITATION, STIRRER, AIR, FEED, STEAM, WATER)}
    return {
        (name := f"R1.{key}"): sample(
            tags[name], 0.0, 0.0 if value is None else value,
            Quality.BAD if value is None else Quality.GOOD,
        )
        for key, value in values.items()
    }  # fmt: skip


def guard(*locks: Interlock, rules: tuple[ActuatorRule, ...] = ()) -> Guard:
    everything = [ActuatorRule(t) for t in (STIRRER, AIR, FEED)]
    return Guard(rules or everything, Interlocks(locks))


def test_the_last_check_can_import_nothing_that_could_reach_around_it() -> None:
    checks = ("conditions", "interlock", "interlocks", "dose", "guard")
    texts = ("said", "said_texts", "said_advice", "said_record")
    own = {f"protection.{name}" for name in checks} | {f"texts.{name}" for name in texts}
    rooms = ("controller.protection", "controller.texts")
    for name in own:
        source = (ROOM / name.replace(".", "/")).with_suffix(".py").read_text()
        for node in ast.walk(ast.parse(source)):
            found: list[str] = []
            if isinstance(node, ast.ImportFrom):
                module = node.module or ""
                whole = module in rooms  # what is imported is a module
                found = [f"{module}.{a.name}" if whole else module for a in node.names]
            found += [a.name for a in node.names] if isinstance(node, ast.Import) else []
            for module in found:
                top, _, rest = module.partition(".")
                if top in ("fermloop", "dashboards", "sim", "historian", "models", "drivers"):
                    assert module == "drivers.point", f"{name} imports {module}"
                assert top != "controller" or rest in own, f"{name} imports {module}"


# -- several measurements ----------------------------------------------------------------------

U = Quality.UNCERTAIN
CASES = [  # air flow, air asked; any outside, all outside: holds and surely
    ((0.0, 0.0), (True, True), (False, True)),
    ((0.0, 2.0), (True, True), (True, True)),
    ((2.0, 0.0), (False, True), (False, True)),
    ((2.0, 2.0), (True, True), (False, True)),
    ((None, 2.0), (True, True), (None, False)),
    ((None, 0.0), (None, False), (False, True)),
    ((0.0, None), (True, True), (None, False)),
    ((2.0, None), (None, False), (False, True)),
    ((None, None), (None, False), (None, False)),
]


@pytest.mark.parametrize(("values", "any_", "all_"), CASES)
def test_a_bad_reading_decides_only_where_the_others_do_not(
    values: tuple[float | None, float | None], any_: Any, all_: Any
) -> None:
    samples = seen(air_flow=values[0], air=values[1])
    assert Condition((NO_AIR, AIR_ASKED)).holds(samples) == any_
    assert Condition((NO_AIR, AIR_ASKED), every=True).holds(samples) == all_


def test_an_uncertain_reading_counts_but_clears_nothing() -> None:
    samples = seen(air_flow=2.0, air=0.0)
    samples["R1.air_flow"] = samples["R1.air_flow"]._replace(quality=U)
    assert Condition((NO_AIR, AIR_ASKED)).holds(samples) == (False, False)
    assert Condition((NO_AIR, AIR_ASKED), every=True).holds(samples) == (False, True)  # by air
    samples["R1.air"] = samples["R1.air"]._replace(quality=U)
    assert Condition((NO_AIR, AIR_ASKED), every=True).holds(samples) == (False, False)


def test_loss_of_air_is_air_that_is_asked_for_and_does_not_come() -> None:
    lost = Interlock(
        "R1.loss_of_air", Condition((NO_AIR, AIR_ASKED), every=True), for_s=5.0,
        force={"R1.feed": 0.0},
    )  # fmt: skip
    assert lost.text == (
        "R1.air_flow below 0.5 L/min and R1.air above 0.8 L/min for 5 s: R1.feed = 0"
    )
    locks = Interlocks([lost])
    assert locks.evaluate(0.0, seen(air_flow=0.0, air=0.0)) == []
    for t in range(1, 6):
        assert locks.evaluate(float(t), seen(air_flow=0.0, air=2.0)) == []
    (trip,) = locks.evaluate(6.0, seen(air_flow=0.1, air=2.0))
    assert (trip.what, trip.value) == ("tripped", 0.1)
    (clear,) = locks.evaluate(7.0, seen(air_flow=0.0, air=0.0))
    assert clear.what == "cleared"


def test_with_several_bad_ones_it_says_which() -> None:
    locks = Interlocks(
        [Interlock("a", Condition((NO_AIR, STANDS)), bad_s=2.0, force={"R1.feed": 0})]
    )
    locks.evaluate(0.0, seen(air_flow=2.0, agitation=300.0))
    locks.evaluate(1.0, seen(air_flow=2.0, agitation=None))
    (trip,) = locks.evaluate(3.0, seen(air_flow=2.0, agitation=None))
    assert trip.text == "R1.agitation BAD for 2 s: R1.feed = 0"
    with pytest.raises(ValueError, match="at least one measurement"):
        Condition(())


# -- limits ------------------------------------------------------------------------------------


def test_it_steps_down_or_keeps_a_least_and_leaves_the_rest_to_the_loop() -> None:
    step_down = Interlock(
        "R1.low_do", Condition((NO_AIR,)), at_most={"R1.feed": 50.0}, at_least={"R1.stirrer": 400.0}
    )
    assert step_down.does == ["R1.feed ≤ 50", "R1.stirrer ≥ 400"]
    one = guard(step_down)
    one.begin(0.0, seen(air_flow=0.0))
    assert one.check(FEED, 80.0, 0.0) == (50.0, step_down.text, Limited.INTERLOCK)
    assert one.check(FEED, 30.0, 0.0) == (30.0, "", Limited.NO)
    assert one.check(STIRRER, 300.0, 0.0) == (400.0, step_down.text, Limited.INTERLOCK)
    assert one.check(STIRRER, 500.0, 0.0).limited is Limited.NO
    assert one.check(STIRRER, math.nan, 0.0).value == 400.0  # even its safe value is too little
    one.check(FEED, 80.0, 6.0)
    assert one.check(FEED, 80.0, 6.0).value == 0.0  # nobody evaluates: safe


def test_of_two_that_contradict_the_first_wins_and_the_other_is_followed_as_far_as_it_can() -> None:
    most = Interlock("a", Condition((NO_AIR,)), at_most={"R1.feed": 50.0})
    stop = Interlock("b", Condition((NO_AIR,)), force={"R1.feed": 0.0})
    least = Interlock("c", Condition((NO_AIR,)), at_least={"R1.feed": 20.0})
    for locks, value in (
        ((most, stop), 0.0), ((stop, most), 0.0), ((stop, least), 0.0), ((least, stop), 20.0),
        ((most, least), 50.0), ((least, most, stop), 20.0),
    ):  # fmt: skip
        one = guard(*locks)
        one.begin(0.0, seen(air_flow=0.0))
        assert one.check(FEED, 80.0, 0.0).value == value, locks


# -- no start ----------------------------------------------------------------------------------


def no_restart() -> Interlock:
    return Interlock("R1.no_air", Condition((NO_AIR,)), no_start=("R1.stirrer",), on_bad="trip")


def test_a_stirrer_that_stands_does_not_start_before_there_is_air() -> None:
    one = guard(no_restart())
    one.adopt(STIRRER, 0.0)
    one.begin(0.0, seen(air_flow=0.0))
    said = "R1.air_flow below 0.5 L/min: R1.stirrer does not start"
    assert one.check(STIRRER, 300.0, 0.0) == (0.0, said, Limited.INTERLOCK)
    assert one.check(STIRRER, math.nan, 0.0).value == 0.0  # not by its safe value either
    one.begin(1.0, seen(air_flow=2.0))
    assert one.check(STIRRER, 300.0, 1.0).value == 300.0


def test_one_that_turns_is_left_alone_and_once_stopped_stays_so() -> None:
    one = guard(no_restart())
    one.adopt(STIRRER, 300.0)
    one.begin(0.0, seen(air_flow=0.0))
    assert one.check(STIRRER, 350.0, 0.0) == (350.0, "", Limited.NO)
    assert one.check(STIRRER, 0.0, 0.0).value == 0.0
    assert one.check(STIRRER, 300.0, 0.0).value == 0.0


def test_where_nobody_has_ever_seen_the_air_nothing_starts() -> None:
    one = guard(no_restart())
    one.adopt(STIRRER, 0.0)
    one.begin(0.0, seen(air_flow=None))
    assert one.check(STIRRER, 300.0, 0.0).value == 0.0


# -- never both open ---------------------------------------------------------------------------

APART = (ActuatorRule(STEAM, excludes=("R1.water",)), ActuatorRule(WATER, excludes=("R1.steam",)))


def test_steam_opens_only_when_the_cooling_water_is_seen_closed() -> None:
    one = guard(rules=APART)
    one.adopt(WATER, 30.0)
    one.begin(0.0, seen(steam=0.0, water=30.0))
    assert one.check(WATER, 0.0, 0.0).value == 0.0
    assert one.check(STEAM, 20.0, 0.0) == (0.0, "R1.water is open", Limited.INTERLOCK)
    one.begin(1.0, seen(steam=0.0, water=30.0))  # it has not closed yet
    assert one.check(WATER, 0.0, 1.0).value == 0.0
    assert one.check(STEAM, 20.0, 1.0).value == 0.0
    one.begin(2.0, seen(steam=0.0, water=None))  # nobody knows: as it was seen last
    assert one.check(STEAM, 20.0, 2.0).value == 0.0
    one.begin(3.0, seen(steam=0.0, water=0.0))
    assert one.check(STEAM, 20.0, 3.0).value == 20.0
    assert one.check(WATER, 20.0, 3.0).value == 0.0


def test_two_that_are_open_both_close_and_an_interlock_opens_only_one() -> None:
    one = guard(rules=APART)
    one.adopt(WATER, 30.0)
    one.adopt(STEAM, 30.0)
    one.begin(0.0, seen(steam=30.0, water=30.0))
    assert (one.check(STEAM, 30.0, 0.0).value, one.check(WATER, 30.0, 0.0).value) == (0, 0)
    cool = Interlock("R1.hot", Condition((NO_AIR,)), force={"R1.water": 100.0})
    one = guard(cool, rules=APART)
    one.adopt(STEAM, 50.0)
    one.begin(0.0, seen(air_flow=0.0, steam=50.0, water=0.0))
    assert one.check(STEAM, 50.0, 0.0) == (0.0, "R1.water must open", Limited.INTERLOCK)
    assert one.check(WATER, 0.0, 0.0).value == 0.0
    one.begin(1.0, seen(air_flow=0.0, steam=0.0, water=0.0))
    assert one.check(STEAM, 50.0, 1.0).value == 0.0
    assert one.check(WATER, 0.0, 1.0).value == 100.0


@pytest.mark.parametrize("excludes", [("R1.foo",), ("R1.steam",), ("R1.water",)])
def test_an_exclusion_that_is_not_mutual_is_refused(excludes: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"^R1\.steam: "):
        guard(rules=(ActuatorRule(STEAM, excludes=excludes), ActuatorRule(WATER)))


# -- whatever comes ----------------------------------------------------------------------------

SENSORS = [Tag(f"R1.s{i}", "%", 0, 10) for i in range(3)]
ACTUATORS = [Tag(f"R1.a{i}", "%", 0, 8, safe=s) for i, s in enumerate((0, 2, 0))]
RULES = (
    ActuatorRule(ACTUATORS[0], excludes=("R1.a2",)),
    ActuatorRule(ACTUATORS[1]),
    ActuatorRule(ACTUATORS[2], excludes=("R1.a0",)),
)
ASKED: tuple[Any, ...] = (math.nan, math.inf, -math.inf, None, "4", 1e9, *range(9))


def any_lock(draw: Random, name: str) -> Interlock:
    """Return an interlock over the sensors and actuators, of whole numbers."""

    def levels() -> dict[str, float]:
        return {
            t.name: float(draw.randint(0, 8))
            for t in draw.sample(ACTUATORS, draw.choice((0, 1, 2)))
        }

    windows = [
        Window(draw.choice(SENSORS), **{draw.choice(("above", "below")): float(draw.randint(1, 9))})
        for _ in range(draw.randint(1, 3))
    ]
    force, most, least = levels(), levels(), levels()
    start = tuple(t.name for t in draw.sample(ACTUATORS, draw.choice((0, 0, 1))))
    return Interlock(
        name,
        Condition(tuple(windows), draw.random() < 0.5),
        force=force if force or most or least or start else {"R1.a0": 0.0},
        at_most=most,
        at_least=least,
        no_start=start,
        latch=draw.random() < 0.3,
        on_bad="trip" if draw.random() < 0.5 else "hold",
        bad_s=0.0,
        bypass_max_s=100.0,
    )


def closest(limits: list[tuple[float, float]]) -> set[float]:
    """Return the whole numbers that fulfil the limits best, an earlier one before all later."""
    left = {float(v) for v in range(9)}
    for low, high in limits:
        off = {v: max(low - v, v - high, 0.0) for v in left}
        left = {v for v in left if off[v] == min(off.values())}
    return left


def nothing_outside_a_demand_leaves_the_guard(draw: Random) -> None:
    locks = [any_lock(draw, f"i{k}") for k in range(draw.randint(1, 5))]
    one = Guard(RULES, Interlocks(locks))
    twin = Guard(RULES, Interlocks(draw.sample(locks, len(locks))))  # the same in another order
    held = {t.name: t.safe or 0.0 for t in ACTUATORS}
    bypassed = {x.name for x in locks if draw.random() < 0.2}
    for each in (one, twin):
        for name in bypassed:
            each.interlocks.bypass(name, 0.0, 50.0, "li", "so")
    for time in map(float, range(draw.randint(1, 6))):
        samples = {t.name: sample(t, time, held[t.name]) for t in ACTUATORS}
        for tag in SENSORS:
            quality = draw.choice(list(Quality))
            samples[tag.name] = sample(tag, time, float(draw.randint(0, 10)), quality)
        for each in (one, twin):
            each.begin(time, samples)
        assert set(one.interlocks.tripped) == set(twin.interlocks.tripped)
        tripped = set(one.interlocks.tripped) - bypassed
        acting = [x for x in locks if x.name in tripped]
        before = dict(held)
        for tag in ACTUATORS:
            name, value = tag.name, draw.choice(ASKED)
            got, same = one.check(tag, value, time).value, twin.check(tag, value, time).value
            assert math.isfinite(got)
            assert got in tag
            limits = [(low, high) for x in acting for n, low, high in x.limits if n == name]
            if before[name] == 0.0 and any(name in x.no_start for x in acting):
                assert got == 0.0
            elif got or name == "R1.a1":  # the others may have to stay closed
                assert got in closest(limits)
            if name == "R1.a1" and all(a <= d for a, _ in limits for _, d in limits):
                assert same == got  # whatever the order, where nothing contradicts
            held[name] = got
            twin.adopt(tag, got)
        for a, b in (("R1.a0", "R1.a2"), ("R1.a2", "R1.a0")):
            assert not (held[a] and (held[b] or before[b]))  # nor before it is seen closed


@settings(max_examples=100, deadline=None)
@given(draw=st.randoms(use_true_random=False))
def test_no_value_outside_a_demand_ever_leaves_the_guard(draw: Random) -> None:
    nothing_outside_a_demand_leaves_the_guard(draw)


@pytest.mark.long
def test_in_a_hundred_thousand_cases_neither() -> None:
    for seed in range(100_000):
        nothing_outside_a_demand_leaves_the_guard(Random(seed))
