"""Feed laws on the simulated reactor: start, hand-over, fall-back, cut, and what each is for."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from controller.loops.loops import Mode
from controller.plant import load_plant
from tests.bench.bench_feeding import batch
from tests.loop.rig import FED, GROWN, ROOT, Rig, bump
from tests.loop.test_modes import mode, output

Make = Callable[..., Rig]
Law = Mapping[str, Any]

YEAST = ROOT / "sim/plants/yeast_300l.toml"
BUMP = 1e-3  # share of a span, of a transfer
BIOMASS: Law = {
    "kind": "exponential",
    "mu": 0.2,
    "cap": 80.0,
    "biomass_g_per_l": 8.0,
    "feedback": "biomass",
}
BY_DO: Law = {
    "kind": "pi",
    "mu": 0.2,
    "cap": 80.0,
    "biomass_g_per_l": 8.0,
    "measured": "do",
    "setpoint": 30.0,
    "kp": -0.001,
    "ti_s": 3600.0,
    "filter_s": 60.0,
}
DO_STAT: Law = {
    "kind": "stat",
    "measured": "do",
    "above": 36.0,
    "flow": 40.0,
    "on_s": 60.0,
    "pause_s": 60.0,
    "filter_s": 5.0,
}
PH_STAT: Law = DO_STAT | {
    **{"measured": "ph", "above": 7.05, "flow": 60.0, "pause_s": 120.0, "filter_s": 10.0}
}
PROBING: Law = {
    "kind": "probing",
    "measured": "do",
    "answer": 1.2,
    "below": 20.0,
    "flow": 8.0,
    "cap": 100.0,
    "on_s": 60.0,
    "pause_s": 240.0,
    "size": 0.4,
    "step": 0.15,
    "filter_s": 6.0,
}
# pH is held from below only: above it the feed is what brings it down
NO_ACID = {
    'outputs = [{ actuator = "R1.base", from = 0.2, to = 100 }, '
    '{ actuator = "R1.acid", from = -0.2, to = -100 }]': 'outputs = [{ actuator = "R1.base" }]',
    "[reactor.R1.loop.do]": '[reactor.R1.loop.acid]\noutputs = [{ actuator = "R1.acid" }]\n'
    "setpoint = 0\nsetpoint_low = 0\nsetpoint_high = 5\ndosing = true\n\n[reactor.R1.loop.do]",
}


def written(folder: Path, start: str, *laws: Law, hours: float = 40.0) -> Path:
    """Return a recipe with one phase of ``hours`` for each law."""
    text = start
    for i, law in enumerate(laws):
        keys = ", ".join(f"{k} = {json.dumps(v)}" for k, v in law.items())
        text += f'\n[[phase]]\nname = "p{i}"\nfeeds.feed = {{ {keys} }}\n'
        text += f"until = {{ phase_h = {hours} }}\n"
    path = folder / "laws.toml"
    path.write_text(text)
    return path


@pytest.fixture
def ecoli(make: Make, tmp_path: Path) -> Callable[..., Rig]:
    """Return what starts a batch of the demo's plant by some laws, with ``x`` g/L in it."""

    def started(
        *laws: Law, x: float = 8.0, hours: float = 40.0, changes: Any = None, seed: int = 1
    ) -> Rig:
        rig = make(GROWN | (changes or {}), seed=seed)
        rig.vessel.set_state(X=x, S=0.05, A=0.1)
        return rig.begin(written(tmp_path, FED.partition("[[phase]]")[0], *laws, hours=hours))

    return started


@pytest.fixture
def yeast(tmp_path: Path) -> Any:
    """Return what runs the 300 L plant by a law; yields truth and feed every ten minutes."""

    def run(law: Law, x: float, hours: float, seed: int) -> list[dict[str, float]]:
        start = (ROOT / "sim/recipes/yeast.toml").read_text().partition("[[phase]]")[0]
        whole: Law = {
            **{"volume_l": 120.0, "feed_substrate_g_per_l": 350.0, "yield_g_per_g": 0.49},
            **{"maintenance_g_per_g_h": 0.0, "kind": "pi", "cap": 18.0},
            **law,
        }
        path = written(tmp_path, start, whole)
        rows: list[dict[str, float]] = []
        table = "[reactor.R1.model]"  # the soft sensor is told of the cells that there are
        head, found, told = YEAST.read_text().partition(table)
        old = "biomass_g_per_l = 2.0\nsubstrate_g_per_l = 2.0"
        assert found
        assert old in told
        told = told.replace(old, f"biomass_g_per_l = {x}\nsubstrate_g_per_l = 0.02", 1)
        grown = tmp_path / YEAST.name
        grown.write_text(head + table + told)
        with Rig(load_plant(grown, data_dir=tmp_path), seed=seed) as rig:
            rig.vessel.set_state(X=x, S=0.02)
            rig.begin(path)
            for _ in range(round(hours * 6)):
                rig.run(600)
                rows.append({**rig.vessel.truth, "feed": rig.loop("feed").output})
        return rows

    return run


def worst(rig: Rig, scans: int) -> float:
    """Return the greatest move of the feed in a scan, as a share of its span."""
    before, most = rig.held(), 0.0
    for _ in rig.scans(scans):
        after = rig.held()
        most = max(most, bump(rig, {"R1.feed": before["R1.feed"]}, {"R1.feed": after["R1.feed"]}))
        before = after
    return most


@pytest.mark.parametrize("law", [BIOMASS, BY_DO, DO_STAT, PROBING], ids=lambda law: law["kind"])
def test_a_law_starts_hands_over_and_comes_back_without_a_bump(
    ecoli: Callable[..., Rig], law: Law
) -> None:
    rig = ecoli(law, {"kind": "constant", "flow": 12.0}, hours=0.1)
    feed = rig.loop("feed")
    quiet = law["kind"] != "stat"  # a stat's pulse is no hand-over: it is what it feeds by
    assert worst(rig, 150) <= BUMP or not quiet
    mode(rig, "feed", "MANUAL")
    output(rig, "feed", 15.0)
    rig.run(60)
    mode(rig, "feed", "CASCADE")
    before = rig.held()
    rig.run(1)
    assert bump(rig, before, before | {"R1.feed": rig.held()["R1.feed"]}) <= BUMP
    assert feed.actual is Mode.CASCADE
    assert worst(rig, 100) <= BUMP or not quiet
    rig.run(50)  # into the next phase, the last pulse too
    assert worst(rig, 60) <= BUMP
    assert feed.actual is Mode.CASCADE


@pytest.mark.parametrize("law", [BY_DO | {"measured": "R1.our"}, PH_STAT], ids=["pi", "stat"])
def test_a_law_that_cannot_see_feeds_the_fall_back_and_says_why(
    ecoli: Callable[..., Rig], law: Law
) -> None:
    rig = ecoli(law, {"kind": "constant", "flow": 12.0})
    lost, tag = ("R1.weight", "R1.our") if law["kind"] == "pi" else ("R1.ph", "R1.ph")
    rig.run(200)
    feed, before = rig.loop("feed"), rig.held()["R1.feed"]
    rig.faults.shows[lost] = float("nan")
    rig.run(30)
    assert feed.reason == f"fall-back: {tag} is BAD"
    assert rig.held()["R1.feed"] == pytest.approx(min(5.0, before), abs=1e-3)
    del rig.faults.shows[lost]
    assert worst(rig, 60) <= BUMP
    assert feed.actual is Mode.CASCADE


def test_a_feed_that_is_cut_comes_back_from_what_the_cells_got(ecoli: Callable[..., Rig]) -> None:
    shipped = "back_per_min = 0.15, no_rise_below = 23"
    rig = ecoli(BIOMASS, changes={shipped: "cut_per_min = 0.5, back_per_min = 0.3"})
    rig.run(360)
    full = rig.held()["R1.feed"]
    rig.faults.shows["R1.do"] = 13.0
    rig.run(540)
    assert rig.loop("feed").reason == "cut: R1.do can do no more"
    assert rig.held()["R1.feed"] < 0.6 * full
    del rig.faults.shows["R1.do"]
    assert worst(rig, 300) <= BUMP
    assert rig.held()["R1.feed"] == pytest.approx(full, rel=0.1)
    assert rig.loop("feed").reason == ""


# -- what each is for: hours of a vessel -----------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("seed", [2, 14])  # where the open-loop feed is off by 13 and 25 %
def test_biomass_feedback_keeps_the_growth_rate_from_its_third_hour_on(seed: int) -> None:
    assert batch("ecoli/biomass", seed)["error"] <= 0.06


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2])
def test_a_do_stat_feeds_hungry_cells_and_they_do_not_overflow(
    ecoli: Callable[..., Rig], seed: int
) -> None:
    rig = ecoli(DO_STAT, seed=seed)
    rig.hours(2.0)
    truth = rig.vessel.truth
    assert truth["biomass_g_per_l"] > 1.2 * 8.0
    assert truth["acetate_g_per_l"] < 0.1
    assert truth["substrate_g_per_l"] < 0.3
    assert rig.controller.reactors["R1"].interlock_trips == 0


@pytest.mark.long
def test_a_ph_stat_feeds_when_ph_rises_for_want_of_sugar(ecoli: Callable[..., Rig]) -> None:
    rig = ecoli(PH_STAT, changes=NO_ACID)
    rig.run(600)
    assert rig.controller.reactors["R1"].sensing.fed_ml == 0.0  # there was sugar and acetate to eat
    rig.hours(3.0)
    assert rig.controller.reactors["R1"].sensing.fed_ml >= 3.0
    assert rig.vessel.truth["ph"] == pytest.approx(7.03, abs=0.07)
    assert rig.vessel.truth["acetate_g_per_l"] < 0.1


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2])
def test_probing_feeds_nearly_what_cells_respire_and_spares_the_acetate(
    ecoli: Callable[..., Rig], seed: int
) -> None:
    rig = ecoli(PROBING, x=3.0, seed=seed)
    rig.hours(3.0)
    found = rig.vessel.truth
    uptake = rig.held()["R1.feed"] * 0.5 / (found["biomass_g_per_l"] * found["volume_l"])  # g/g/h
    assert 0.4 < uptake < 1.0
    assert found["acetate_g_per_l"] < 0.1
    assert found["biomass_g_per_l"] > 2.2 * 3.0


@pytest.mark.long
def test_an_exponential_feed_above_what_cells_respire_does_not(ecoli: Callable[..., Rig]) -> None:
    """The rival of probing: it grows as fast, on three grams of acetate."""
    rig = ecoli({k: v for k, v in BIOMASS.items() if k != "feedback"} | {"mu": 0.55}, x=3.0)
    rig.hours(3.0)
    assert rig.vessel.truth["acetate_g_per_l"] > 2.0


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_ethanol_is_held_at_its_setpoint(yeast: Any, seed: int) -> None:
    law = {"measured": "ethanol", "setpoint": 0.5, "kp": 0.6, "ti_s": 3600.0, "filter_s": 120.0}
    rows = yeast(law | {"mu": 0.3, "biomass_g_per_l": 5.0}, x=8.0, hours=5.0, seed=seed)
    late = [row["ethanol_g_per_l"] for row in rows[15:]]
    assert all(0.2 < value < 0.85 for value in late), late
    assert rows[-1]["biomass_g_per_l"] > 2.5 * 8.0


@pytest.mark.long
def test_rq_keeps_yeast_near_what_it_respires(yeast: Any) -> None:
    law = {"measured": "R1.rq", "setpoint": 1.12, "kp": 0.6, "ti_s": 2400.0, "filter_s": 600.0}
    rows = yeast(law | {"mu": 0.25, "biomass_g_per_l": 18.0}, x=25.0, hours=4.0, seed=1)
    assert max(row["ethanol_g_per_l"] for row in rows) < 3.0
    assert rows[-1]["biomass_g_per_l"] > 1.7 * 25.0
