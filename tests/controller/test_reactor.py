"""One vessel's scan without devices: what comes out is real whatever comes in."""

import math
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.loops.loops import Mode
from controller.plant import load_plant
from controller.reactor import Reactor
from controller.recipes.recipe import load_recipe
from drivers.point import Quality, Sample
from historian.events import Event

PLANT = load_plant("sim/plants/ecoli_5l.toml")
RECIPE = load_recipe("sim/recipes/ecoli.toml")
TYPICAL = {
    "R1.temperature": 37.0,
    "R1.jacket_temperature": 36.0,
    "R1.ph": 7.0,
    "R1.do": 30.0,
    "R1.agitation": 500.0,
    "R1.offgas_o2": 20.0,
    "R1.offgas_co2": 1.0,
    "R1.air_flow": 2.0,
    "R1.oxygen_flow": 0.0,
    "R1.weight": 3.1,
    "R1.feed_weight": 2.0,
}
SAFE = {n: t.safe for n, t in PLANT.tags.items() if t.safe is not None}


def samples(now: float, values: Mapping[str, float]) -> dict[str, Sample]:
    return {n: Sample(PLANT.tags[n], now, v, Quality.GOOD) for n, v in values.items()}


def reactor(*, running: bool = True) -> Reactor:
    one = Reactor("R1", PLANT, told.append, None, lock_step=False)
    if running:
        one.start(RECIPE, "ecoli.toml", 0.0, "off")
    return one


told: list[Event] = []


@pytest.fixture(autouse=True)
def _nothing_told() -> None:  # pyright: ignore[reportUnusedFunction]
    told.clear()


readings = st.dictionaries(
    st.sampled_from([*TYPICAL, *SAFE]),
    st.tuples(st.sampled_from(["low", "high", "middle", "BAD", "UNCERTAIN", "missing"])),
    max_size=8,
)


@settings(max_examples=150, deadline=None)
@given(
    scans=st.lists(st.tuples(readings, st.floats(1e-3, 5.0)), min_size=1, max_size=8),
    modes=st.dictionaries(
        st.sampled_from(["temperature", "ph", "do", "agitation", "air", "feed", "oxygen"]),
        st.sampled_from(["OFF", "MANUAL", "AUTO"]),
    ),
)
def test_every_actuator_gets_a_real_value_in_its_range_in_every_scan(
    scans: list[tuple[dict[str, tuple[str]], float]], modes: dict[str, str]
) -> None:
    one, now = reactor(), 0.0
    for readings, dt in scans:
        now += dt
        seen = samples(now, TYPICAL | SAFE)
        for name, (what,) in readings.items():
            tag = PLANT.tags[name]
            if what == "missing":
                del seen[name]
            elif what == "BAD":
                seen[name] = Sample(tag, now, math.nan, Quality.BAD)
            elif what == "UNCERTAIN":
                seen[name] = seen[name]._replace(quality=Quality.UNCERTAIN)
            else:
                value = {"low": tag.low, "high": tag.high, "middle": (tag.low + tag.high) / 2}[what]
                seen[name] = Sample(tag, now, value, Quality.GOOD)
        values = one.step(now, dt, seen)
        assert values.keys() == SAFE.keys()
        for name, value in values.items():
            assert value in PLANT.tags[name], name
        for name, mode in modes.items():
            one.loops[name].set_mode(Mode[mode])
        for sample in one.record(now):
            assert sample.quality is Quality.BAD or math.isfinite(sample.value), sample.tag.name


def test_what_cannot_be_reached_stays_and_its_loops_follow_it() -> None:
    one = reactor()
    one.unreachable = dict.fromkeys(SAFE, "R1-io does not answer")
    warm = TYPICAL | {"R1.temperature": 34.0}
    values: dict[str, float] = {}
    for second in range(300):
        values = one.step(float(second), 1.0, samples(float(second), warm | SAFE))
    assert values == SAFE
    assert one.loops["temperature"].output == 0
    assert one.loops["temperature"].reason == "R1-io does not answer"


def test_an_unconfirmed_write_is_taken_for_what_the_device_next_says() -> None:
    one = reactor(running=False)
    one.step(0.0, 1.0, samples(0.0, TYPICAL | SAFE))
    one.loops["air"].set_mode(Mode.MANUAL)
    one.loops["air"].set_output(5.0)
    one.step(1.0, 1.0, samples(1.0, TYPICAL | SAFE))
    one.unconfirmed(["R1.air"])
    one.step(2.0, 1.0, samples(2.0, TYPICAL | SAFE))
    assert one.held["R1.air"] == 1.0
    assert one.loops["air"].output == pytest.approx(1.2)  # from there, by its ramp
    assert told == []


def test_liquids_are_counted_by_what_was_held_not_by_what_was_wanted() -> None:
    one = reactor()
    one.step(0.0, 1.0, samples(0.0, TYPICAL | SAFE))
    one.confirmed({"R1.feed": Sample(PLANT.tags["R1.feed"], 0.0, 36.0, Quality.GOOD)})
    for second in range(1, 102):
        one.step(float(second), 1.0, samples(float(second), TYPICAL | SAFE | {"R1.feed": 36.0}))
    assert one.sensing.fed_ml == pytest.approx(1.0, abs=0.11)  # 10 mL/h... 36 mL/h for 100 s


def test_before_a_batch_no_liquid_counts_for_it() -> None:
    one = reactor(running=False)
    for second in range(100):
        one.step(float(second), 1.0, samples(float(second), TYPICAL | SAFE | {"R1.feed": 36.0}))
    one.start(RECIPE, "ecoli.toml", 100.0, "off")
    one.step(100.0, 1.0, samples(100.0, TYPICAL | SAFE))
    assert one.sensing.fed_ml < 0.02


def test_the_first_hour_is_not_judged_and_a_new_batch_is_judged_anew() -> None:
    one = reactor()
    cold = TYPICAL | {"R1.temperature": 30.0} | SAFE
    one.step(3599.0, 1.0, samples(3599.0, cold))
    assert one.report()["loops"]["temperature"]["in_band"] is None
    one.step(3600.0, 1.0, samples(3600.0, cold))
    assert one.report()["loops"]["temperature"] == {
        "in_band": 0.0,
        "iae": pytest.approx(7.0 / 3600.0),
    }
    one.command_recipe("abort", 3601.0, "spoilt")
    one.start(RECIPE, "ecoli.toml", 3602.0, "off")
    assert one.report()["loops"]["temperature"]["in_band"] is None
