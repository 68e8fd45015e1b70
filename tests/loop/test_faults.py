"""What the controller does about faults of the simulated plant: every one through the drivers."""

import pytest

from drivers.point import Quality
from tests.loop.rig import Rig


def test_a_ph_probe_that_drops_out_stops_dosing_in_the_same_scan(steady: Rig) -> None:
    faults = steady.vessel.faults
    faults.inject("ph.dropout", 120.0)
    steady.run(2)
    assert steady.samples["R1.ph"].quality is Quality.BAD
    held = steady.held()
    assert (held["R1.acid"], held["R1.base"]) == (0.0, 0.0)
    steady.run(180)
    assert steady.samples["R1.ph"].quality is Quality.GOOD
    assert abs(steady.vessel.state()["pH"] - 7.0) < 0.1
    assert [row["fault"] for row in faults.record] == ["ph.dropout"]


def test_an_empty_bottle_starves_the_culture_and_only_the_balance_says_so(steady: Rig) -> None:
    vessel = steady.vessel
    vessel.faults.inject("feed.empty")
    before = vessel.read("R1.feed_weight")
    steady.hours(0.5)
    assert steady.samples["R1.feed"].value > 5.0  # the pump turns
    assert vessel.flow("feed") == 0.0
    assert vessel.read("R1.feed_weight") == pytest.approx(before, abs=0.003)
    assert vessel.state()["S"] < 0.01
    assert vessel.truth["do_percent"] > 35.0  # the stirrer at its least, and still too much


def test_a_do_probe_stuck_above_its_setpoint_costs_the_culture_its_oxygen(steady: Rig) -> None:
    """Its loop goes on with what it shows; a person is told, and the optimiser would be off."""
    vessel = steady.vessel
    vessel.faults.inject("do.stuck", 900.0, 45.0)
    steady.hours(0.25)
    assert steady.samples["R1.do"].quality is Quality.UNCERTAIN
    assert "R1.do.stuck" in steady.alarms()
    assert vessel.truth["do_percent"] < 20.0
    steady.hours(0.25)
    assert vessel.truth["do_percent"] == pytest.approx(30.0, abs=8.0)


def test_a_network_cut_makes_the_device_safe_and_comes_back(steady: Rig) -> None:
    vessel = steady.vessel
    vessel.faults.inject("R1-io.cut", 30.0)
    steady.run(15)
    assert steady.samples["R1.temperature"].quality is Quality.BAD
    assert vessel.flow("feed") < 0.01  # its own watchdog
    assert vessel.flow("stirrer") == pytest.approx(300.0)
    steady.run(60)
    assert steady.samples["R1.temperature"].quality is Quality.GOOD
    assert vessel.faults.now() == []


def test_a_power_dip_ends_with_devices_that_answer_and_safe_outputs(steady: Rig) -> None:
    vessel = steady.vessel
    vessel.faults.inject("vessel.power", 5.0, 20.0)
    steady.run(5)
    assert vessel.flow("air") < 0.2
    assert vessel.flow("feed") < 0.5
    steady.run(10)
    assert steady.alarms()
    assert vessel.flow("stirrer") == pytest.approx(300.0)  # the device's own safe value
    steady.run(60)
    assert steady.samples["R1.temperature"].quality is Quality.GOOD
    assert steady.samples["R1.offgas_o2"].quality is Quality.GOOD
