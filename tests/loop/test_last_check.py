"""Interlocks and dose limits as the vessel sees them: above every mode, recipe and plan."""

import pytest

from historian.events import Kind
from tests.loop.rig import Rig

WHO = ("a test", "ana")
LIQUIDS = ("R1.feed", "R1.acid", "R1.base", "R1.antifoam", "R1.inducer")


def by_hand(rig: Rig, loop: str, value: float) -> None:
    rig.controller.set_mode(f"R1.{loop}", "MANUAL", *WHO)
    rig.controller.set_output(f"R1.{loop}", value, *WHO)


def tripped(rig: Rig) -> list[str]:
    locks = rig.state()["reactors"]["R1"]["interlocks"]
    return [name for name, lock in locks.items() if lock["tripped"]]


def test_low_do_stops_the_feed_after_its_time_and_lets_it_back_after_another(steady: Rig) -> None:
    steady.faults.shows["R1.do"] = 11.9
    steady.run(20)
    assert steady.held()["R1.feed"] == 20
    steady.run(1)
    assert steady.held()["R1.feed"] == 0
    assert tripped(steady) == ["low_do"]
    steady.faults.shows["R1.do"] = 30.0
    steady.run(60)
    assert steady.held()["R1.feed"] == 0
    steady.run(1)
    assert steady.held()["R1.feed"] == pytest.approx(0.05)  # by its `cut`: 0.15 of 20 a minute
    assert steady.told(Kind.ALARM, "R1.feed = 0") == [
        "R1.do below 12 % for 20 s: R1.feed = 0",
        "over after 61 s: R1.do below 12 % for 20 s: R1.feed = 0",
    ]


def test_high_volume_stops_every_liquid_in_every_mode(steady: Rig) -> None:
    by_hand(steady, "feed", 50.0)
    by_hand(steady, "antifoam", 1.0)
    by_hand(steady, "inducer", 1.0)
    steady.faults.shows["R1.ph"] = 6.8  # base is wanted
    steady.run(3)
    assert all(steady.held()[n] > 0 for n in LIQUIDS if n != "R1.acid")
    steady.faults.shows["R1.weight"] = 4.41
    steady.run(6)
    assert [steady.held()[n] for n in LIQUIDS] == [0] * 5
    steady.faults.shows["R1.weight"] = 4.0
    steady.run(60)
    # what a hand had asked for before is not taken up by itself
    assert [steady.held()[n] for n in ("R1.feed", "R1.antifoam", "R1.inducer")] == [0, 0, 0]
    assert steady.held()["R1.base"] > 0


def test_high_temperature_stops_the_heater_even_by_hand(steady: Rig) -> None:
    by_hand(steady, "temperature", 60.0)
    steady.run(2)
    assert steady.held()["R1.heater"] == 60
    steady.faults.shows["R1.temperature"] = 40.1
    steady.run(5)
    assert steady.held()["R1.heater"] == 60
    steady.run(1)
    assert steady.held()["R1.heater"] == 0
    assert steady.loop("temperature").reason == "R1.temperature above 40 °C for 5 s: R1.heater = 0"


@pytest.mark.parametrize(("shown", "pump"), [(8.1, "R1.acid"), (5.9, "R1.base")])
def test_outside_its_window_ph_is_not_dosed(steady: Rig, shown: float, pump: str) -> None:
    steady.faults.shows["R1.ph"] = shown
    steady.run(2)
    assert steady.held()[pump] > 0
    steady.run(1)
    assert (steady.held()["R1.acid"], steady.held()["R1.base"]) == (0, 0)


def test_without_agitation_nothing_is_fed_heated_or_enriched(steady: Rig) -> None:
    by_hand(steady, "oxygen", 2.0)
    by_hand(steady, "temperature", 50.0)
    steady.run(2)
    steady.faults.shows["R1.agitation"] = 100.0
    steady.run(6)
    held = steady.held()
    assert (held["R1.feed"], held["R1.heater"], held["R1.oxygen"]) == (0, 0, 0)
    assert held["R1.air"] > 0


def test_the_first_out_is_told_first(steady: Rig) -> None:
    steady.faults.shows["R1.ph"] = 8.5
    steady.run(4)
    steady.faults.shows["R1.temperature"] = 41.0
    steady.run(7)
    told = [e.subject for e in steady.journal.events if e.kind is Kind.ALARM and " = 0" in e.text]
    assert told == ["R1.ph_window", "R1.high_temperature"]
    locks = steady.state()["reactors"]["R1"]["interlocks"]
    assert [locks[name.partition(".")[2]]["order"] for name in told] == [1, 2]


def test_no_hour_gets_more_than_its_dose_whoever_asks(steady: Rig) -> None:
    given: list[float] = []
    steady.vessel.watch(lambda: given.append(steady.vessel.actual("R1.base") / 60.0))
    steady.faults.shows["R1.ph"] = 7.0
    by_hand(steady, "ph", 100.0)  # 5 mL/min
    before = steady.controller.reactors["R1"].guard.dosed_ml(
        steady.plant.tags["R1.base"], steady.clock.now()
    )
    steady.run(1800)
    assert steady.held()["R1.base"] == 0
    assert sum(given) + before == pytest.approx(90.0, abs=0.2)
    told = steady.told(Kind.ALARM, "mL in an hour")
    assert told[0] == "at most 90 mL in an hour is reached"
    assert sum("over after" in text for text in told) == len(told) // 2 <= 1
    steady.run(3600)
    assert sum(given) + before <= 180


def test_a_feed_above_its_dose_limit_is_cut_to_it(steady: Rig) -> None:
    by_hand(steady, "feed", 200.0)
    steady.faults.shows["R1.do"] = 30.0
    fed: list[float] = []
    steady.vessel.watch(lambda: fed.append(steady.vessel.actual("R1.feed") / 3600.0))
    steady.run(3600)
    assert sum(fed) <= 160.1


def test_a_loop_behind_an_interlock_does_not_wind_up(steady: Rig) -> None:
    steady.faults.shows["R1.temperature"] = 35.0
    steady.faults.shows["R1.agitation"] = 100.0  # the heater is forced to 0
    steady.run(900)
    assert steady.held()["R1.heater"] == 0
    del steady.faults.shows["R1.agitation"]
    steady.run(2)
    assert steady.held()["R1.heater"] < 5
    assert steady.loop("temperature").output == pytest.approx(steady.held()["R1.heater"])


def test_a_pump_that_takes_no_value_is_alarmed_and_the_loop_follows_it(steady: Rig) -> None:
    steady.faults.stuck.add("R1.cooling")
    before = steady.held()["R1.cooling"]
    steady.faults.shows["R1.temperature"] = 38.0
    steady.run(300)
    assert steady.held()["R1.cooling"] == before
    (text,) = (t for t in steady.alarms().values() if t.startswith("write not confirmed"))
    assert text.startswith("write not confirmed: R1-io at virtual: R1.cooling reads back ")
    assert steady.loop("temperature").output > -40  # it has not wound up behind it
    assert len(steady.told(Kind.ALARM, "write not confirmed")) == 1
    steady.faults.stuck.clear()
    steady.run(1)
    assert steady.held()["R1.cooling"] - before < 40
    steady.run(5)
    assert not [t for t in steady.alarms().values() if t.startswith("write not confirmed")]
    assert steady.told(Kind.ALARM, ": write not confirmed")[0].startswith("over after 30")


def test_a_valve_behind_opc_ua_that_takes_no_value_is_alarmed_and_taken_up_again(
    steady: Rig,
) -> None:
    steady.controller.set_mode("R1.air", "AUTO", *WHO)
    steady.faults.stuck.add("R1.air")
    steady.controller.set_setpoint("R1.air", 4.0, *WHO)
    steady.run(60)
    assert steady.held()["R1.air"] == pytest.approx(1.0)
    assert list(steady.alarms()) == ["R1-gas.write"]
    assert steady.loop("air").output <= 1.21  # what it holds, and one scan's ramp
    steady.faults.stuck.clear()
    before = steady.held()["R1.air"]
    for _ in steady.scans(20):
        assert steady.held()["R1.air"] - before <= 0.2 + 1e-9
        before = steady.held()["R1.air"]
    assert before == 4.0
    assert steady.alarms() == {}


def test_a_hands_request_outlives_a_write_that_was_not_confirmed_once(steady: Rig) -> None:
    steady.controller.set_mode("R1.agitation", "MANUAL", *WHO)
    steady.controller.set_output("R1.agitation", 600.0, *WHO)
    steady.run(2)
    steady.faults.stuck.add("R1.stirrer")
    steady.run(1)
    steady.faults.stuck.clear()
    steady.run(60)
    assert steady.held()["R1.stirrer"] == 600
