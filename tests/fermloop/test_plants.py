"""Every plant file that is shipped runs its recipe without leaving its limits."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from controller.plant import load_plant
from fermloop.commands.check import recipe_for
from fermloop.commands.closed_loop import run_batch

SIM = Path(__file__).parents[2] / "sim"


class Pair(NamedTuple):
    """A plant, its recipe, and for how long and with what scan a normal and a long test run."""

    plant: str
    recipe: str
    short_h: float
    coarse_s: float
    whole_h: float
    whole_s: float = 1.0


PAIRS = (
    Pair("ecoli_5l", "ecoli", 5.5, 5.0, 24.0),  # its short batches are in test_batch.py
    Pair("ecoli_100m3", "ecoli_100m3", 7.5, 5.0, 28.0),
    Pair("yeast_300l", "yeast", 6.0, 5.0, 20.0),
    Pair("penicillin_100m3", "penicillin", 15.0, 10.0, 230.0, 5.0),
)


def run(pair: Pair, folder: Path, hours: float, seed: int, scan_s: float = 1.0) -> dict[str, Any]:
    """Return what is true of a batch, with the loops and trips that the controller saw."""
    text = (SIM / "plants" / f"{pair.plant}.toml").read_text(encoding="utf-8")
    text = text.replace("scan_s = 1.0", f"scan_s = {scan_s}")
    text = text.replace("within_s = 3.0", f"within_s = {3 * scan_s}")
    if scan_s > 5.0:
        text = text.replace("[simulation.R1]", f"[simulation.R1]\nstep_s = {scan_s}")
    file = folder / f"{pair.plant}.toml"
    file.write_text(text, encoding="utf-8")
    plant, recipe_file = load_plant(file), SIM / "recipes" / f"{pair.recipe}.toml"
    recipe = recipe_for(plant, recipe_file)
    outcome = run_batch(plant, recipe, recipe_file, hours=hours, seed=seed)
    seen = outcome.control["reactors"]["R1"]
    points = {"trajectory": outcome.trajectory["R1"]}
    return {
        **outcome.truth["R1"],
        **points,
        "loops": seen["loops"],
        "trips": seen["interlock_trips"],
    }


def within_limits(seen: dict[str, Any], hours: float) -> bool:
    """Whether it kept the limits that the search of the recipes had."""
    by_product = seen["by_product_above_limit_min"] or 0.0
    return (
        seen["do_below_limit_min"] <= 0.01 * 60.0 * hours
        and by_product <= 0.05 * 60.0 * hours
        and seen["volume_above_limit_min"] == 0.0
        and seen["trips"] == 0
    )


@pytest.mark.parametrize("pair", PAIRS[1:], ids=lambda pair: pair.plant)
def test_a_batch_begins_to_feed_within_its_limits(pair: Pair, tmp_path: Path) -> None:
    seen = run(pair, tmp_path, pair.short_h, 1, pair.coarse_s)
    assert within_limits(seen, pair.short_h), seen
    assert seen["trajectory"]["feed_l_per_h"][-1] > 0.0
    assert seen["loops"]["temperature"]["in_band"] > 0.9
    assert seen["loops"]["ph"]["in_band"] > 0.7


def test_all_plants_can_be_served_at_once() -> None:
    taken: dict[str, str] = {}
    for pair in PAIRS:
        text = (SIM / "plants" / f"{pair.plant}.toml").read_text(encoding="utf-8")
        for port in set(re.findall(r'(?m)^address = ".*127\.0\.0\.1:(\d+)', text)):
            assert taken.setdefault(port, pair.plant) == pair.plant, port


@pytest.mark.long
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.plant)
def test_a_whole_batch_keeps_its_limits_and_makes_its_product(pair: Pair, tmp_path: Path) -> None:
    """The figures of sim/README.md; seeds that no search used."""
    least_g = {"ecoli_5l": 11.0, "ecoli_100m3": 400e3, "yeast_300l": 9000.0}
    for seed in (1, 2):
        seen = run(pair, tmp_path, pair.whole_h, seed, pair.whole_s)
        shown = {key: value for key, value in seen.items() if key != "trajectory"}
        print(f"\n{pair.plant} seed {seed}: {shown}")
        assert within_limits(seen, pair.whole_h), shown
        assert seen["product_g"] > least_g.get(pair.plant, 2.0e6)
        if pair.plant == "penicillin_100m3":
            assert 0.3 < seen["harvested_product_g"] / seen["product_g"] < 0.7
