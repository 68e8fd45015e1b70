"""A sensor that stands still is told from a quantity that does."""

import math
from pathlib import Path

import numpy as np
import pytest

from controller.plant import load_plant
from controller.plausible import Known, Plausible, build_plausible
from drivers.point import Quality, Sample, Tag
from fermloop.commands.simulated import vessels
from sim.vessel import Vessel

DO = Tag("R1.do", "%", -5.0, 200.0)
PLANTS = ("ecoli_5l", "yeast_300l", "ecoli_100m3", "penicillin_100m3")


class Bench:
    """One probe, a reading a second."""

    def __init__(self, noise: float = 0.3, step: float = math.inf) -> None:
        self.still = Plausible([Known("R1.do", noise, 120, step)])
        self.now = 0.0
        self.seen = math.nan

    def see(self, value: float, quality: Quality = Quality.GOOD, *, new: bool = True) -> Quality:
        self.now += new
        samples = {"R1.do": Sample(DO, self.now, value, quality)}
        self.still.step(samples)
        self.seen = samples["R1.do"].value
        return samples["R1.do"].quality


def test_a_reading_without_noise_is_uncertain_until_it_moves() -> None:
    bench = Bench()
    seen = [bench.see(30.0) for _ in range(121)]
    assert seen == [Quality.GOOD] * 120 + [Quality.UNCERTAIN]
    assert bench.still.stuck == {"R1.do"}
    assert bench.see(30.05) is Quality.UNCERTAIN  # a sixth of its noise
    assert bench.see(30.3) is Quality.GOOD
    assert bench.still.stuck == frozenset()


def test_what_was_not_read_anew_or_not_well_proves_nothing() -> None:
    bench = Bench()
    for _ in range(500):
        bench.see(30.0, new=False)
    for _ in range(500):
        assert bench.see(math.nan, Quality.BAD) is Quality.BAD
        assert bench.see(30.0, Quality.UNCERTAIN) is Quality.UNCERTAIN
    assert not bench.still.stuck
    for _ in range(121):
        bench.see(30.0)
    assert bench.see(30.0, new=False) is Quality.UNCERTAIN  # and stays so
    assert bench.still.stuck


def test_a_spike_is_held_for_three_readings_and_then_bad_until_it_is_over() -> None:
    bench = Bench(step=15.0)
    for k in range(10):
        assert bench.see(30.0 + 0.1 * k) is Quality.GOOD
    for wild in (90.0, 60.0, 95.0):
        assert bench.see(wild) is Quality.UNCERTAIN
        assert bench.seen == 30.9
    for wild in (60.0, 90.0, 60.0, 90.0, 60.0, 90.0, 60.0):
        assert bench.see(wild) is Quality.BAD
        assert math.isnan(bench.seen)
    assert bench.see(31.0) is Quality.GOOD
    assert bench.seen == 31.0


def test_a_new_level_is_believed_when_six_readings_agree() -> None:
    bench = Bench(step=15.0)
    bench.see(30.0)
    seen = [bench.see(80.0 + 0.1 * k) for k in range(7)]
    assert seen == [Quality.UNCERTAIN] * 3 + [Quality.BAD] * 2 + [Quality.GOOD] * 2
    bench.see(math.nan, Quality.BAD)
    bench.now += 10.0
    assert bench.see(30.0) is Quality.GOOD  # after a gap nobody knows better


@pytest.mark.parametrize("digit", [0.0, 1.0, 2.0])
@pytest.mark.parametrize(
    "hours", [5, pytest.param(1000, marks=pytest.mark.long)], ids=lambda hours: f"{hours}h"
)
def test_a_steady_quantity_between_two_digits_is_not_stuck(digit: float, hours: int) -> None:
    """The worst that is allowed: a last digit twice the noise, the truth in its middle."""
    bench, rng = Bench(noise=1.0), np.random.default_rng(7)
    for _ in range(hours):
        readings = 30.0 + rng.standard_normal(3600)
        if digit:
            readings = np.round(readings / digit) * digit
        for value in readings.tolist():
            bench.see(value)
            assert not bench.still.stuck


@pytest.mark.parametrize("name", PLANTS)
def test_the_shipped_plants_say_the_noise_of_what_their_loops_use(name: str) -> None:
    watched = set(build_plausible("R1", load_plant(f"sim/plants/{name}.toml")).tags)
    assert {"R1.temperature", "R1.ph", "R1.do", "R1.weight", "R1.air_flow"} <= watched


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("scale = 0.01, noise = 0.02", "scale = 0.1, noise = 0.02", "at least 0.05, half a count"),
        ("scale = 0.01, noise = 0.02", "scale = 0.01", "5 times noise or more"),
        ('safe = 300', 'safe = 300, noise = 1', "noise: goes only with a measurement"),
    ],
)  # fmt: skip
def test_a_noise_that_would_prove_nothing_is_refused(
    old: str, new: str, told: str, tmp_path: Path
) -> None:
    text = Path("sim/plants/ecoli_5l.toml").read_text()
    assert old in text
    (tmp_path / "plant.toml").write_text(text.replace(old, new, 1))
    with pytest.raises(ValueError, match=told):
        load_plant(tmp_path / "plant.toml")


@pytest.mark.long
@pytest.mark.parametrize("name", PLANTS)
def test_1000_healthy_hours_have_no_stuck_sensor_and_all_stuck_ones_are_found(name: str) -> None:
    """250 h of each plant with nothing alive in it, so steady as no batch is; then each sensor."""
    plant = load_plant(f"sim/plants/{name}.toml")
    vessel = vessels(plant, 5, 0.0)["R1"]
    assert isinstance(vessel, Vessel)
    vessel.set_state(X=1e-6)
    still = build_plausible("R1", plant)
    tags = {n: plant.tags[n] for n in still.tags}
    readers = {n: vessel.reader(n) for n in tags}

    def look() -> None:
        vessel.advance(vessel.time + 1.0)
        still.step({n: Sample(t, vessel.time, readers[n](), Quality.GOOD) for n, t in tags.items()})

    for _ in range(250 * 3600):
        look()
        assert not still.stuck
    for tag in tags:
        fault = f"{tag.partition('.')[2]}.stuck"
        vessel.faults.inject(fault)
        for _ in range(300):
            look()
        assert still.stuck == {tag}
        vessel.faults.clear(fault)
        look()
        look()
