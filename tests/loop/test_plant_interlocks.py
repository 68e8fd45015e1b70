"""The interlocks of a large plant as its vessel sees them (RELIABILITY §1), one after another."""

from collections.abc import Generator
from itertools import pairwise
from pathlib import Path

import pytest

from controller.plant import load_plant
from historian.events import Kind
from tests.loop.rig import ROOT, Rig

WHO = ("a test", "ana")


@pytest.fixture
def large(tmp_path: Path) -> Generator[Rig]:
    """Return E. coli in 100 m3 a minute after its batch began."""
    plant = load_plant(ROOT / "sim/plants/ecoli_100m3.toml", data_dir=tmp_path)
    with Rig(plant) as rig:
        rig.begin(ROOT / "sim/recipes/ecoli_100m3.toml")
        rig.run(60)
        yield rig


def by_hand(rig: Rig, loop: str, value: float) -> None:
    rig.controller.set_mode(f"R1.{loop}", "MANUAL", *WHO)
    rig.controller.set_output(f"R1.{loop}", value, *WHO)


def tripped(rig: Rig) -> set[str]:
    locks = rig.state()["reactors"]["R1"]["interlocks"]
    return {name for name, lock in locks.items() if lock["tripped"]}


def test_foam_takes_gas_and_stirrer_to_their_least_within_two_scans(large: Rig) -> None:
    by_hand(large, "agitation", 90.0)
    by_hand(large, "air", 2000.0)
    large.run(120)
    large.faults.shows["R1.foam"] = 96.0
    large.run(2)
    held = large.held()
    assert held["R1.air"] == 900.0  # the least, not nothing
    assert held["R1.stirrer"] == 40.0


def test_overpressure_stops_the_gas_and_opens_the_exhaust_whatever_else_trips(large: Rig) -> None:
    by_hand(large, "oxygen", 500.0)
    large.faults.shows["R1.head_pressure"] = 2.9
    large.run(30)
    assert {"overpressure", "high_pressure", "loss_of_air"} <= tripped(large)
    held = large.held()
    assert (held["R1.air"], held["R1.oxygen"], held["R1.pressure"]) == (
        0.0,
        0.0,
        pytest.approx(1.3),
    )
    large.faults.shows["R1.head_pressure"] = 2.6
    large.run(20)
    assert 0.0 < large.held()["R1.air"] <= 900.0  # it comes back by its ramp, to the least


def test_an_overloaded_motor_goes_slower(large: Rig) -> None:
    by_hand(large, "agitation", 105.0)
    large.run(180)
    large.faults.shows["R1.power"] = 310.0
    large.run(11)
    assert large.held()["R1.stirrer"] == 80.0


def test_oxygen_closes_without_do_without_air_and_without_agitation(large: Rig) -> None:
    for tag, value, scans in (
        ("R1.do", 999.0, 7),  # BAD: nobody sees it
        ("R1.air_flow", 100.0, 7),
        ("R1.agitation", 10.0, 12),
    ):
        by_hand(large, "oxygen", 500.0)
        large.run(60)  # by its ramp
        assert large.held()["R1.oxygen"] == 500.0
        large.faults.shows[tag] = value
        large.run(scans)
        assert large.held()["R1.oxygen"] == 0.0, tag
        del large.faults.shows[tag]
        large.run(90)
        assert large.held()["R1.oxygen"] == 0.0  # a hand's value is not taken up by itself


def test_a_stirrer_that_tripped_waits_for_a_person_and_then_for_the_air(large: Rig) -> None:
    faults = large.vessel.faults
    faults.inject("stirrer.stopped")
    faults.inject("air.zero")
    large.run(120)
    assert large.held()["R1.stirrer"] == 0.0
    assert large.held()["R1.feed"] == 0.0
    assert large.told(Kind.PHASE, "R1.stirrer_stopped waits for a person")
    assert large.state()["reactors"]["R1"]["batch"]["state"] == "HELD"  # no phase ends meanwhile
    assert not large.told(Kind.ALARM, "does not start")  # what may not start asks nobody
    assert large.told(Kind.NOTE, "does not start")
    faults.clear("stirrer.stopped")
    large.run(60)
    assert large.held()["R1.stirrer"] == 0.0  # it is latched
    large.controller.reset_interlock("R1.stirrer_stopped", "drive checked", "ana")
    large.run(60)
    assert large.held()["R1.stirrer"] == 0.0  # no restart before air
    assert "does not start" in large.loop("agitation").reason
    faults.clear("air.zero")
    large.run(120)
    assert large.held()["R1.stirrer"] >= 40.0
    assert not {"stirrer_stopped", "no_restart", "loss_of_air"} & tripped(large)
    assert large.told(Kind.AUDIT, "R1.stirrer_stopped latch: tripped → reset")


def test_steam_and_cooling_water_are_never_open_together(large: Rig) -> None:
    both: list[tuple[float, float]] = []
    large.vessel.watch(
        lambda: both.append((large.vessel.actual("R1.heater"), large.vessel.actual("R1.cooling")))
    )
    shown = 37.0
    for aim in (30.0, 38.5, 30.0, 38.5):
        while shown != aim:  # by no more than its step, or it would be a spike
            shown = max(min(aim, shown + 0.9), shown - 0.9)
            large.faults.shows["R1.temperature"] = shown
            large.run(1)
        large.run(110)
    assert max(heat for heat, _ in both) > 5.0
    assert max(cool for _, cool in both) > 5.0
    assert not [pair for pair in both if min(pair) > 0.1]
    assert not [(a, b) for a, b in pairwise(both) if a[0] > 0.1 and b[1] > 0.1]
