"""The plan of the plant file's economy leads whatever loops it names, and only while fed."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from controller.loops.loops import Mode
from controller.planning.plan import Plan, Situation
from controller.plant import load_plant
from tests.loop.rig import ROOT, Oracle, Rig

WHO = ("a test", "ana")
NAMES = ("feed_ml_per_h", "oil_ml_per_h", "pressure_bar")


def rig_of(name: str, period: str, folder: Path) -> Rig:
    """A shipped plant whose optimiser asks every minute and gets its answer ten seconds later."""
    text = (ROOT / f"sim/plants/{name}.toml").read_text()
    assert f"period_s = {period}" in text
    path = folder / f"{name}.toml"
    quick = text.replace(f"period_s = {period}", "period_s = 60.0")
    path.write_text(quick.replace("latency_s = 60.0", "latency_s = 10.0"))
    return Rig(load_plant(path, data_dir=folder), planner=Oracle)


def plan(situation: Situation) -> Plan:
    now = situation.now
    row = (20e3, 9e3, 1.9)  # mL/h, mL/h, bar
    return Plan("good", now, (now, now + 3600.0), (row, row), objective=1.0, names=NAMES)


@pytest.fixture
def led(tmp_path: Path) -> Generator[Rig]:
    """Penicillin, led by plans of feed, oil and pressure."""
    with rig_of("penicillin_100m3", "1800.0", tmp_path) as rig:
        assert isinstance(rig.planner, Oracle)
        rig.planner.answer = plan
        rig.begin(ROOT / "sim/recipes/penicillin.toml", "on")
        rig.run(200)
        yield rig


def optimiser(rig: Rig) -> dict[str, Any]:
    return rig.state()["reactors"]["R1"]["optimiser"]


def test_every_loop_that_the_plan_names_follows_it_and_no_other(led: Rig) -> None:
    modes = {name: led.loop(name).actual for name in ("feed", "oil", "pressure", "paa", "do")}
    assert modes == {
        "feed": Mode.OPTIMISER,
        "oil": Mode.OPTIMISER,
        "pressure": Mode.OPTIMISER,
        "paa": Mode.CASCADE,  # it may be moved, but this plan does not
        "do": Mode.AUTO,
    }
    held = led.held()
    assert (held["R1.feed"], held["R1.oil"]) == pytest.approx((20.0, 9.0))
    assert held["R1.pressure"] == pytest.approx(1.9, abs=1e-4)
    assert optimiser(led)["plan"]["pressure_bar"] == (1.9, 1.9)


def test_it_is_asked_with_what_is_set_and_what_the_recipe_would_do(led: Rig) -> None:
    assert isinstance(led.planner, Oracle)
    asked = led.planner.asked[-1]
    assert asked.applied["feed"] == pytest.approx(20.0)  # L/h
    assert (asked.applied["do"], asked.applied["temperature"]) == (56.24, 25.0)
    assert asked.end_h == pytest.approx(230.0, abs=0.01)
    sugar, pressure = asked.profiles["feed"], asked.profiles["pressure"]
    assert sugar[0][1] == pytest.approx(8.0, abs=0.1)
    assert pressure[-1][1] == 1.9
    given = [flow for _, flow in asked.profiles["harvest"]]
    assert (max(given), given.count(4000.0)) == (4000.0, 2 * 7)  # from 100 h on every 20 h


def test_a_feed_that_an_interlock_holds_is_asked_about_as_it_was_set(led: Rig) -> None:
    assert isinstance(led.planner, Oracle)
    led.vessel.faults.inject("temperature.offset", 600.0, 4.0)  # it seems too warm: an interlock
    led.run(100)
    assert led.loop("feed").actual is Mode.LO
    assert led.held()["R1.feed"] < 20.0
    assert led.planner.asked[-1].applied["feed"] == pytest.approx(20.0)


def test_switched_off_every_loop_is_the_recipes_again(led: Rig) -> None:
    led.controller.optimiser("R1", "off", *WHO)
    led.run(90)
    assert led.loop("oil").actual is Mode.CASCADE
    assert (led.loop("pressure").actual, led.held()["R1.pressure"]) == (
        Mode.AUTO,
        pytest.approx(1.7, abs=0.01),
    )
    assert led.held()["R1.feed"] == pytest.approx(8.05, abs=0.1)


def test_before_the_recipe_feeds_nothing_is_asked(tmp_path: Path) -> None:
    with rig_of("yeast_300l", "300.0", tmp_path) as rig:
        rig.begin(ROOT / "sim/recipes/yeast.toml", "on")
        rig.run(200)
        assert isinstance(rig.planner, Oracle)
        assert rig.planner.asked == []
        assert (optimiser(rig)["state"], optimiser(rig)["reason"]) == (
            "waiting",
            "the recipe does not feed",
        )
