"""A stuck sensor (RELIABILITY §2): doubtful within 5 minutes, an alarm, the optimiser off."""

from collections.abc import Callable
from pathlib import Path

import pytest

from controller.loops.loop import Mode
from controller.plant import load_plant
from drivers.point import Quality
from tests.loop.rig import QUICK, ROOT, Oracle, Rig, bump


def test_each_stuck_sensor_is_uncertain_within_5_minutes_and_has_an_alarm(steady: Rig) -> None:
    faults, found = steady.vessel.faults, 0
    watched = steady.controller.reactors["R1"].plausible.tags
    for tag in watched:
        name = tag.partition(".")[2]
        assert f"{tag}.stuck" not in steady.alarms()
        faults.inject(f"{name}.stuck")
        scans = next(
            k for k, _ in enumerate(steady.scans(300)) if f"{tag}.stuck" in steady.alarms()
        )
        assert scans <= 125
        assert steady.samples[tag].quality is Quality.UNCERTAIN
        assert steady.alarms()[f"{tag}.stuck"] == "stuck? no noise for 120 s"
        found += 1
        faults.clear(f"{name}.stuck")
        steady.run(3)
        assert steady.samples[tag].quality is Quality.GOOD
    assert found == len(watched) >= 8


def led(make: Callable[..., Rig], fed: Path) -> Rig:
    """A reactor whose feed the optimiser leads."""
    rig = make(QUICK, planner=Oracle)
    rig.vessel.set_state(X=8.0)
    rig.begin(fed, "on")
    rig.run(1000)
    assert rig.loop("feed").actual is Mode.OPTIMISER
    return rig


def test_a_stuck_probe_puts_the_optimiser_off_and_the_loop_goes_on(
    make: Callable[..., Rig], fed: Path
) -> None:
    rig = led(make, fed)
    rig.vessel.faults.inject("do.stuck")
    rig.run(125)
    optimiser = rig.state()["reactors"]["R1"]["optimiser"]
    assert optimiser["reason"] == "R1.do is stuck"
    rig.run(120)  # two periods of the last plan
    assert rig.loop("feed").actual is Mode.CASCADE
    assert rig.loop("do").actual is Mode.AUTO


def test_a_measurement_that_a_second_value_contradicts_puts_the_optimiser_off_until_it_agrees(
    make: Callable[..., Rig], fed: Path
) -> None:
    rig = led(make, fed)
    rig.vessel.faults.inject("air_flow.offset", size=2.0)  # its alarm waits for 60 s
    rig.run(50)
    assert rig.state()["reactors"]["R1"]["optimiser"]["reason"] == ""
    rig.run(15)
    assert "R1.air.residual" in rig.alarms()
    optimiser = rig.state()["reactors"]["R1"]["optimiser"]
    assert optimiser["state"] == "shed"
    assert optimiser["reason"].startswith("R1.air_flow disagrees")
    assert optimiser["reason_zh"].startswith("R1.air_flow 与另一来源")
    rig.run(600)  # good plans would be there
    assert rig.loop("feed").actual is Mode.CASCADE
    assert rig.state()["reactors"]["R1"]["optimiser"]["sheds"] == 1
    rig.vessel.faults.clear("air_flow.offset")
    rig.run(300)
    assert "R1.air.residual" not in rig.alarms()
    assert rig.loop("feed").actual is Mode.OPTIMISER


@pytest.mark.parametrize("name", ["ecoli_5l", "yeast_300l", "penicillin_100m3"])
def test_a_spike_inside_the_range_moves_no_actuator(name: str, tmp_path: Path) -> None:
    plant = load_plant(ROOT / f"sim/plants/{name}.toml", data_dir=tmp_path)
    recipe = name.partition("_")[0]
    with Rig(plant) as rig:
        rig.begin(ROOT / f"sim/recipes/{recipe}.toml")
        rig.run(300)
        for tag, spike in (("do", 40.0), ("ph", 0.9), ("temperature", -4.0)):
            shown = rig.samples[f"R1.{tag}"].value + spike
            rig.run(30)
            before = rig.held()
            rig.faults.shows[f"R1.{tag}"] = shown
            for k, _ in enumerate(rig.scans(3)):
                sample = rig.samples[f"R1.{tag}"]
                assert sample.quality is Quality.UNCERTAIN, (tag, k)
                assert abs(sample.value - shown) > 0.5 * abs(spike)
            rig.faults.shows.clear()
            assert bump(rig, before, rig.held()) <= 0.01, tag
            rig.run(1)
            assert rig.samples[f"R1.{tag}"].quality is Quality.GOOD
