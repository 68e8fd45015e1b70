"""A vessel that a recipe fills and inoculates by weight, and what may come between."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.plant import load_plant
from tests.loop.rig import ROOT, Rig

RECIPE = ROOT / "sim/recipes/yeast_complete.toml"


@pytest.fixture
def filling(tmp_path: Path) -> Iterator[Rig]:
    """Return a clean vessel of 300 L that has been filled for three minutes."""
    plant = load_plant(ROOT / "sim/plants/yeast_300l.toml", data_dir=tmp_path)
    with Rig(plant, clean=["R1"]) as rig:
        rig.begin(RECIPE)
        rig.run(5)
        act(rig, "confirm")
        rig.run(180)
        assert rig.held()["R1.medium"] == 400.0
        yield rig


def act(rig: Rig, action: str) -> None:
    rig.controller.recipe("R1", action, "", "a test", "ana")


def batch(rig: Rig) -> Any:
    return rig.state()["reactors"]["R1"]["batch"]


def volume(rig: Rig) -> float:
    return rig.vessel.truth["volume_l"]


def test_a_hold_stops_the_flow_and_a_resume_fills_to_the_weight(filling: Rig) -> None:
    act(filling, "hold")
    filling.run(2)
    assert filling.held()["R1.medium"] == 0.0
    before = volume(filling)
    filling.run(300)
    assert volume(filling) == pytest.approx(before, abs=0.01)
    act(filling, "resume")
    filling.run(700)
    assert batch(filling)["phase"] == "prepare"
    assert filling.held()["R1.medium"] == 0.0
    assert volume(filling) == pytest.approx(108.0, abs=1.5)  # by scales that are not perfect


def test_scales_that_are_lost_stop_the_flow(filling: Rig) -> None:
    filling.wires["R1-scales"].answering = False
    filling.run(10)
    assert filling.held()["R1.medium"] == 0.0
    before = volume(filling)
    filling.run(120)
    assert volume(filling) == pytest.approx(before, abs=0.01)
    assert batch(filling)["phase"] == "fill"
    filling.wires["R1-scales"].answering = True
    filling.run(60)
    assert filling.held()["R1.medium"] == 400.0


def test_a_controller_that_dies_while_filling_overfills_nothing(filling: Rig) -> None:
    filling.die(60.0)
    with Rig(filling.plant, vessels_of=filling) as rig:
        rig.connect()
        rig.controller.restore()
        rig.run(5)
        assert (batch(rig)["state"], batch(rig)["phase"]) == ("HELD", "fill")
        before = volume(rig)
        rig.run(300)
        assert rig.held()["R1.medium"] == 0.0
        assert volume(rig) == pytest.approx(before, abs=0.01)
        act(rig, "resume")
        rig.run(900)
        assert batch(rig)["phase"] == "prepare"
        assert volume(rig) == pytest.approx(108.0, abs=1.5)
        assert batch(rig)["age_h"] == 0.0  # nothing is inoculated yet
