"""Modes, split range and cascade: nothing bumps, nothing winds up, lost signals stop dosing."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.assemble import build_loops
from controller.loops.loops import Loop, Mode, Output, PidLoop, RefusedError, Station
from controller.plant import load_plant
from controller.plant_file.loop_settings import OutputSettings
from controller.protection.guard import Checked, Limited
from drivers.point import Quality, RangeError, Sample, Tag

PLANT = load_plant("sim/plants/ecoli_5l.toml")


def reading(name: str, value: float, quality: Quality = Quality.GOOD) -> dict[str, Sample]:
    return {name: Sample(PLANT.tags[name], 0.0, value, quality)}


@pytest.fixture
def loops() -> dict[str, Loop]:
    return build_loops("R1", PLANT)


@pytest.fixture
def temperature(loops: dict[str, Loop]) -> PidLoop:
    loop = loops["temperature"]
    assert isinstance(loop, PidLoop)
    return loop


@pytest.fixture
def ph(loops: dict[str, Loop]) -> PidLoop:
    loop = loops["ph"]
    assert isinstance(loop, PidLoop)
    return loop


@pytest.fixture
def feed(loops: dict[str, Loop]) -> Station:
    loop = loops["feed"]
    assert isinstance(loop, Station)
    return loop


def present() -> dict[str, Sample]:
    """Return a GOOD reading of everything that the feed asks for."""
    names = ("R1.air_flow", "R1.do", "R1.temperature", "R1.agitation")
    return {n: s for name in names for n, s in reading(name, 30.0).items()}


def test_a_loop_starts_off_with_its_actuators_at_their_safe_values(temperature: PidLoop) -> None:
    temperature.step(reading("R1.temperature", 20.0), 1.0, 0.0)
    assert [(t.name, v) for t, v in temperature.wanted()] == [("R1.heater", 0), ("R1.cooling", 0)]


def test_cold_heats_and_warm_cools(temperature: PidLoop) -> None:
    temperature.set_mode(Mode.AUTO)
    for second in range(400):
        temperature.step(reading("R1.temperature", 36.0), 1.0, float(second))
    (_, heater), (_, cooling) = temperature.wanted()
    assert heater > 20
    assert cooling == 0
    for second in range(800):
        temperature.step(reading("R1.temperature", 38.0), 1.0, float(second))
    (_, heater), (_, cooling) = temperature.wanted()
    assert heater == 0
    assert cooling > 20


def test_a_bad_ph_stops_both_pumps_in_the_same_scan(ph: PidLoop) -> None:
    ph.set_mode(Mode.AUTO)
    for second in range(20):
        ph.step(reading("R1.ph", 6.5), 1.0, float(second))
    assert ph.wanted()[0][1] > 0
    ph.step(reading("R1.ph", math.nan, Quality.BAD), 1.0, 20.0)
    assert [v for _, v in ph.wanted()] == [0, 0]
    assert (ph.target, ph.actual) == (Mode.AUTO, Mode.MANUAL)
    assert ph.reason == "R1.ph is BAD"


def test_a_bad_temperature_holds_for_30_s_and_then_falls_back(temperature: PidLoop) -> None:
    temperature.set_mode(Mode.AUTO)
    temperature.step(reading("R1.temperature", 36.0), 1.0, 0.0)
    held = temperature.wanted()[0][1]
    bad = reading("R1.temperature", math.nan, Quality.BAD)
    for second in range(1, 32):
        temperature.step(bad, 1.0, float(second))
        assert temperature.wanted()[0][1] == held
    temperature.step(bad, 1.0, 32.0)
    assert temperature.wanted()[0][1] == 0


def test_the_first_good_reading_resumes_without_a_bump(temperature: PidLoop) -> None:
    temperature.set_mode(Mode.AUTO)
    temperature.step(reading("R1.temperature", 36.5), 1.0, 0.0)
    before = temperature.output
    temperature.step(reading("R1.temperature", math.nan, Quality.BAD), 1.0, 1.0)
    temperature.step(reading("R1.temperature", 36.5), 1.0, 2.0)
    assert temperature.output == pytest.approx(before, abs=0.1)
    assert temperature.actual is Mode.AUTO


@given(
    pv=st.floats(20, 45),
    by_hand=st.floats(-100, 100),
    setpoint=st.floats(20, 42),
)
def test_manual_to_auto_never_moves_the_output(pv: float, by_hand: float, setpoint: float) -> None:
    loop = build_loops("R1", PLANT)["temperature"]
    assert isinstance(loop, PidLoop)
    loop.set_mode(Mode.MANUAL)
    loop.step(reading("R1.temperature", pv), 1.0, 0.0)
    loop.set_output(by_hand)
    loop.set_setpoint(setpoint)
    loop.step(reading("R1.temperature", pv), 1.0, 1.0)
    loop.set_mode(Mode.AUTO)
    loop.step(reading("R1.temperature", pv), 1.0, 2.0)
    integral = 30.0 / 400.0 * (setpoint - pv)  # one scan of integral action is no bump
    assert loop.output == pytest.approx(min(max(by_hand + integral, -100), 100), abs=0.2)


def test_an_actuator_held_by_an_interlock_does_not_wind_the_loop_up(temperature: PidLoop) -> None:
    temperature.set_mode(Mode.AUTO)
    cold = reading("R1.temperature", 36.8)
    for second in range(2000):
        temperature.step(cold, 1.0, float(second))
        temperature.wanted()
        temperature.applied([Checked(0.0, "interlock", Limited.INTERLOCK), Checked(0.0)])
    assert temperature.output == 0
    assert (temperature.reason, temperature.actual) == ("interlock", Mode.LO)
    warm = reading("R1.temperature", 37.01)
    temperature.step(warm, 1.0, 2000.0)
    assert temperature.output < 0.1


def test_do_leads_agitation_then_air(loops: dict[str, Loop]) -> None:
    do, agitation, air = loops["do"], loops["agitation"], loops["air"]
    assert isinstance(do, PidLoop)
    assert isinstance(agitation, Station)
    assert isinstance(air, Station)
    agitation.set_mode(Mode.CASCADE)
    air.set_mode(Mode.CASCADE)
    do.set_mode(Mode.AUTO)
    starved = reading("R1.do", 5.0)
    for second in range(900):
        do.step(starved, 1.0, float(second))
        agitation.applied(Checked(agitation.step({}, 1.0)))
        air.applied(Checked(air.step({}, 1.0)))
        if agitation.output < 900:
            assert air.output < 1.01
    assert agitation.output == 1000
    assert air.output == pytest.approx(6.0)
    rich = reading("R1.do", 60.0)  # no wind-up: it turns at once
    do.step(rich, 1.0, 900.0)
    assert do.output < 100


def test_do_tracks_a_hand_on_the_stirrer_and_returns_without_a_bump(
    loops: dict[str, Loop],
) -> None:
    do, agitation, air = loops["do"], loops["agitation"], loops["air"]
    assert isinstance(do, PidLoop)
    assert isinstance(agitation, Station)
    do.set_mode(Mode.AUTO)
    agitation.set_mode(Mode.MANUAL)
    air.set_mode(Mode.AUTO)
    agitation.set_output(600.0)
    for second in range(60):
        do.step(reading("R1.do", 20.0), 1.0, float(second))
        agitation.applied(Checked(agitation.step({}, 1.0)))
    assert do.reason == "tracking: R1.agitation is in MANUAL"
    agitation.set_mode(Mode.CASCADE)
    do.step(reading("R1.do", 20.0), 1.0, 60.0)
    assert agitation.step({}, 1.0) == pytest.approx(600.0, rel=0.02)


def test_a_bad_do_leaves_the_stirrer_at_its_last_setpoint(loops: dict[str, Loop]) -> None:
    do, agitation = loops["do"], loops["agitation"]
    assert isinstance(do, PidLoop)
    assert isinstance(agitation, Station)
    agitation.set_mode(Mode.CASCADE)
    do.set_mode(Mode.AUTO)
    for second in range(60):
        do.step(reading("R1.do", 10.0), 1.0, float(second))
        agitation.applied(Checked(agitation.step({}, 1.0)))
    held = agitation.output
    assert held > 310
    do.step(reading("R1.do", math.nan, Quality.BAD), 1.0, 60.0)
    assert agitation.step({}, 1.0) == pytest.approx(held, abs=1.0)
    assert agitation.actual is Mode.AUTO


def test_the_feed_goes_to_its_fallback_and_stops_when_more_is_unknown(feed: Station) -> None:
    feed.set_mode(Mode.CASCADE)
    feed.remote = 40.0
    samples = present()
    for _ in range(100):
        feed.applied(Checked(feed.step(samples, 1.0)))
    assert feed.output == 40
    samples["R1.air_flow"] = samples["R1.air_flow"]._replace(quality=Quality.BAD)
    for _ in range(100):
        feed.applied(Checked(feed.step(samples, 1.0)))
    assert feed.output == 5
    assert feed.reason == "fall-back: R1.air_flow is BAD"
    samples["R1.do"] = samples["R1.do"]._replace(quality=Quality.BAD)
    assert feed.step(samples, 1.0) == 0
    assert feed.reason == "R1.do is BAD"


def test_a_fallback_never_feeds_more_than_was_asked_for(feed: Station) -> None:
    feed.set_mode(Mode.CASCADE)
    feed.remote, feed.hold = 1.0, "the recipe is held"
    for _ in range(20):
        feed.applied(Checked(feed.step(present(), 1.0)))
    assert feed.output == 1.0


def test_the_optimiser_leads_until_it_sheds_and_the_reason_is_shown(feed: Station) -> None:
    feed.set_mode(Mode.OPTIMISER)
    feed.remote, feed.leader = 20.0, Mode.OPTIMISER
    feed.step(present(), 1.0)
    assert feed.actual is Mode.OPTIMISER
    feed.leader, feed.why = Mode.CASCADE, "2 deadlines missed"
    feed.step(present(), 1.0)
    assert (feed.target, feed.actual) == (Mode.OPTIMISER, Mode.CASCADE)
    assert feed.reason == "2 deadlines missed"


def test_what_a_person_asks_for_is_refused_not_clipped(temperature: PidLoop, feed: Station) -> None:
    with pytest.raises(RangeError, match=r"R1\.temperature: setpoint 50 is outside 20 to 42 Cel"):
        temperature.set_setpoint(50.0)
    with pytest.raises(RangeError, match="nan"):
        temperature.set_setpoint(math.nan)
    with pytest.raises(RefusedError, match="its output is set in MANUAL, not in OFF"):
        feed.set_output(3.0)
    with pytest.raises(RefusedError, match="mode CASCADE is not allowed; OFF, MANUAL, AUTO"):
        temperature.set_mode(Mode.CASCADE)
    assert temperature.setpoint == 37


@given(
    low=st.floats(0.1, 10),
    span=st.floats(0.1, 100),
    op=st.floats(0, 100),
    kind=st.sampled_from(["linear", "equal_percentage"]),
)
def test_an_output_and_its_inverse_agree(low: float, span: float, op: float, kind: str) -> None:
    settings = OutputSettings.model_validate({"loop": "x", "characteristic": kind})
    out = Output(settings, low, low + span)
    assert out.inverse(out.value(op)) == pytest.approx(op, abs=1e-6)
    assert low <= out.value(op) <= low + span


def test_a_station_ramps_and_a_safe_value_comes_at_once() -> None:
    loops = build_loops("R1", PLANT)
    air = loops["air"]
    assert isinstance(air, Station)
    assert air.tag == Tag("R1.air", "L/min", 0, 10, safe=1)
    air.set_mode(Mode.AUTO)
    air.set_setpoint(6.0)
    air.applied(Checked(air.step({}, 1.0)))
    assert air.output == pytest.approx(1.2)
    air.set_mode(Mode.OFF)
    assert air.step({}, 1.0) == 1.0
