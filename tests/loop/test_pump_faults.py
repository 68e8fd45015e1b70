"""A pump that gives another flow (RELIABILITY §2): an alarm in 15 min, and never too full."""

from pathlib import Path

import pytest

from controller.plant import load_plant
from tests.loop.rig import ROOT, Rig

ALARM = "R1.feed_pump.delivery"
WITHIN_S = 900
WHO = ("a test", "ana")


@pytest.mark.parametrize(
    ("fault", "size"), [("empty", None), ("blocked", 100.0), ("worn", 20.0), ("worn", -20.0)]
)
def test_a_pump_that_gives_another_flow_has_an_alarm_within_15_minutes(
    steady: Rig, fault: str, size: float | None
) -> None:
    steady.run(600)
    assert steady.alarms() == {}
    steady.vessel.faults.inject(f"feed.{fault}", None, size)
    scans = 0
    while ALARM not in steady.alarms():
        steady.run(10)
        scans += 10
        assert scans <= WITHIN_S
    assert "away from what R1.feed was told" in steady.alarms()[ALARM]
    steady.vessel.faults.clear()
    steady.run(1200)
    assert ALARM not in steady.alarms()


def test_another_bottle_is_no_fault_of_the_pump(steady: Rig) -> None:
    steady.run(900)
    before = steady.vessel.read("R1.feed_weight")
    steady.faults.shows["R1.feed_weight"] = before + 1.0
    steady.run(300)
    del steady.faults.shows["R1.feed_weight"]  # and the old one is put back
    for _ in range(20):
        steady.run(60)
        assert ALARM not in steady.alarms()


def test_a_pump_that_gives_half_as_much_again_does_not_fill_the_vessel(steady: Rig) -> None:
    steady.vessel.set_state(V=4.2, M=4.3)
    steady.vessel.faults.inject("feed.worn", None, -50.0)
    steady.controller.set_mode("R1.feed", "MANUAL", *WHO)
    steady.controller.set_output("R1.feed", 60.0, *WHO)
    most = steady.vessel.model.vessel.working_volume_l
    for _ in range(40):
        steady.run(60)
        assert steady.vessel.truth["volume_l"] <= 0.95 * most
    assert steady.held()["R1.feed"] == 0.0  # the balance of the vessel stopped it


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "recipe", "hours"),
    [("yeast_300l", "yeast", 14.0), ("ecoli_100m3", "ecoli_100m3", 14.0)],
)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_batch_of_the_large_plants_has_its_alarm_and_no_false_one(
    name: str, recipe: str, hours: float, seed: int, tmp_path: Path
) -> None:
    plant = load_plant(ROOT / f"sim/plants/{name}.toml", data_dir=tmp_path)
    with Rig(plant, seed=seed) as rig:
        rig.begin(ROOT / f"sim/recipes/{recipe}.toml")
        for _ in range(round(hours * 6)):
            rig.run(600)
            assert ALARM not in rig.alarms()
        rig.vessel.faults.inject("feed.worn", None, 20.0)
        rig.run(WITHIN_S)
        assert ALARM in rig.alarms()
