"""One instrument fails, the device goes on (RELIABILITY §1, "When something is lost")."""

import math

import pytest

from controller.loops.loops import Mode
from drivers.point import Quality
from tests.loop.rig import Rig

NAN, ABSURD = math.nan, 1e6


@pytest.mark.parametrize("shown", [NAN, math.inf, -math.inf, ABSURD, 14.5])
def test_a_bad_ph_stops_both_pumps_in_the_same_scan(steady: Rig, shown: float) -> None:
    assert steady.held()["R1.base"] > 0
    steady.faults.shows["R1.ph"] = shown
    steady.run(1)
    assert steady.samples["R1.ph"].quality is Quality.BAD
    assert (steady.held()["R1.base"], steady.held()["R1.acid"]) == (0, 0)
    ph = steady.loop("ph")
    assert (ph.target, ph.actual, ph.reason) == (Mode.AUTO, Mode.MANUAL, "R1.ph is BAD")
    assert steady.held()["R1.feed"] == 20  # the feed needs no pH
    for _ in steady.scans(60):
        assert (steady.held()["R1.base"], steady.held()["R1.acid"]) == (0, 0)


def test_the_first_good_ph_resumes_from_nothing(steady: Rig) -> None:
    steady.faults.shows["R1.ph"] = NAN
    steady.run(20)
    del steady.faults.shows["R1.ph"]
    steady.run(1)
    assert steady.loop("ph").actual is Mode.AUTO
    assert steady.held()["R1.base"] <= 0.01 * 5  # 1 % of the pump
    steady.run(900)
    assert steady.vessel.truth["ph"] == pytest.approx(7.0, abs=0.06)


def test_without_do_the_feed_stops_and_air_and_agitation_hold(steady: Rig) -> None:
    before = steady.held()
    steady.faults.shows["R1.do"] = NAN
    steady.run(1)
    after = steady.held()
    assert after["R1.feed"] == 0
    assert steady.loop("feed").reason == "R1.do is BAD"
    for _ in steady.scans(120):
        after = steady.held()
        assert after["R1.stirrer"] == pytest.approx(before["R1.stirrer"], abs=1)
        assert after["R1.air"] == pytest.approx(before["R1.air"], abs=0.01)
    assert steady.loop("agitation").reason == "nothing leads it in CASCADE"
    shown = steady.state()["reactors"]["R1"]["loops"]["agitation"]
    assert shown["reason_zh"] == "串级方式下没有上位给定"
    del steady.faults.shows["R1.do"]
    steady.run(1)
    assert steady.held()["R1.stirrer"] == pytest.approx(before["R1.stirrer"], abs=15)
    assert steady.held()["R1.feed"] == 0
    assert steady.loop("feed").reason == "R1.do BAD for 30 s: R1.feed = 0"  # the interlock
    steady.run(600)  # a share a minute, by its `cut`
    assert steady.held()["R1.feed"] == 20
    assert steady.loop("agitation").actual is Mode.CASCADE


def test_a_bad_temperature_holds_for_half_a_minute_and_then_heats_and_cools_no_more(
    steady: Rig,
) -> None:
    steady.faults.shows["R1.temperature"] = NAN
    before = steady.held()["R1.cooling"]
    assert before > 0
    for _ in steady.scans(31):
        assert steady.held()["R1.cooling"] == pytest.approx(before, abs=0.02)
        assert steady.held()["R1.feed"] == 0
    steady.run(2)
    assert (steady.held()["R1.cooling"], steady.held()["R1.heater"]) == (0, 0)
    del steady.faults.shows["R1.temperature"]
    steady.run(1)
    assert steady.held()["R1.cooling"] + steady.held()["R1.heater"] <= 1.0
    steady.run(900)
    assert steady.vessel.truth["temperature_cel"] == pytest.approx(37.0, abs=0.2)
    assert steady.held()["R1.feed"] == 20


def test_a_bad_tachometer_stops_the_feed_and_after_its_grace_the_heater(steady: Rig) -> None:
    steady.vessel.write("R1.heater", 0.0)
    steady.faults.shows["R1.agitation"] = NAN
    steady.run(1)
    assert steady.held()["R1.feed"] == 0
    steady.run(35)
    lock = steady.state()["reactors"]["R1"]["interlocks"]["no_agitation"]
    assert lock["tripped"]
    assert lock["text"].startswith("R1.agitation BAD for 30 s: R1.")
    assert lock["text_zh"].startswith("R1.agitation 坏值，持续 30 s：R1.")
    assert steady.held()["R1.heater"] == 0


def test_a_bad_balance_leaves_the_feed_to_the_dose_limit(steady: Rig) -> None:
    steady.faults.shows["R1.weight"] = NAN
    steady.run(600)
    assert steady.held()["R1.feed"] == 20


def test_a_spike_of_one_scan_moves_nothing_but_the_dose_that_it_stops(steady: Rig) -> None:
    before = steady.held()
    for tag in ("R1.ph", "R1.do", "R1.temperature"):
        steady.faults.shows[tag] = 1e3
    steady.run(1)
    steady.faults.shows.clear()
    assert steady.held()["R1.base"] == 0
    steady.run(1)
    after = steady.held()
    for name in ("R1.stirrer", "R1.air", "R1.heater", "R1.cooling"):
        tag = steady.plant.tags[name]
        assert abs(after[name] - before[name]) <= 0.015 * (tag.high - tag.low), name
    steady.run(60)
    assert steady.held()["R1.feed"] == 20
    steady.run(600)
    assert steady.vessel.truth["ph"] == pytest.approx(7.0, abs=0.06)
