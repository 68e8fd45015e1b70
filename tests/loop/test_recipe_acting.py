"""People and a recipe that runs: it asks and is answered, is stepped, and edited in versions."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controller.loops.loops import RefusedError
from controller.recipes.file import RecipeError
from historian.events import Kind
from tests.loop.rig import FED, GROWN, Rig

Make = Callable[..., Rig]
ASKING = (
    FED.replace('organism = "ecoli"', 'organism = "ecoli"\n\n[parameters]\nflow = FLOW', 1)
    .replace("FLOW", '{ value = 20, unit = "mL/h", low = 5, high = 40 }')
    .partition("[[phase]]")[0]
    + """
[[phase]]
name = "inoculate"
until = { confirm = "is the seed in?" }

[[phase]]
name = "feed"
feeds.feed = { kind = "constant", flow = "$flow" }
until = { phase_h = 5 }
"""
)


@pytest.fixture
def asking(grown: Rig, tmp_path: Path) -> Rig:
    """Return a rig whose batch asks a person."""
    file = tmp_path / "asking.toml"
    file.write_text(ASKING)
    grown.begin(file)
    grown.run(10)
    return grown


def batch(rig: Rig) -> Any:
    return rig.state()["reactors"]["R1"]["batch"]


def act(rig: Rig, action: str, reason: str = "", phase: str = "") -> str:
    return rig.controller.recipe("R1", action, "", reason, "ana", phase=phase)


def told(rig: Rig) -> list[tuple[str, object, object, object]]:
    return [
        (e.text, e.data["old"], e.data["new"], e.data["why"])
        for e in rig.journal.events
        if e.kind is Kind.AUDIT and e.source == "operator:ana"
    ]


def test_a_batch_asks_and_goes_on_when_it_is_answered(asking: Rig) -> None:
    assert batch(asking)["question"] == "is the seed in?"
    with pytest.raises(RefusedError, match="it is in phase inoculate now; look again"):
        act(asking, "confirm", phase="feed")
    act(asking, "confirm", "10 %", phase="inoculate")
    asking.run(5)
    assert batch(asking)["phase"] == "feed"
    assert batch(asking)["question"] == ""
    assert told(asking) == [
        ("R1 recipe confirm: is the seed in? → confirmed", "is the seed in?", "confirmed", "10 %")
    ]
    with pytest.raises(ValueError, match="asks for no confirmation now"):
        act(asking, "confirm")


def test_a_step_needs_a_reason_and_is_audited(asking: Rig) -> None:
    with pytest.raises(RefusedError, match="a step leaves a phase early; a reason is required"):
        act(asking, "step")
    act(asking, "step", "seed is in, screen was dark")
    assert batch(asking)["phase"] == "feed"
    assert told(asking) == [
        (
            "R1 recipe step: inoculate → feed",
            "inoculate",
            "feed",
            "seed is in, screen was dark",
        )
    ]


def test_an_edit_is_a_version_with_each_change_audited(asking: Rig, tmp_path: Path) -> None:
    act(asking, "confirm")
    asking.run(60)
    assert asking.held()["R1.feed"] == 20
    control = asking.controller
    control.edit_recipe("R1", "", {"flow": 12.0}, "acetate rising", "ana")
    asking.run(60)
    assert asking.held()["R1.feed"] == 12
    assert batch(asking)["version"] == 2
    assert batch(asking)["parameters"]["flow"]["value"] == 12.0
    assert told(asking)[1:] == [
        ("R1 recipe parameters.flow.value: 20 → 12", 20, 12.0, "acetate rising"),
        ("R1 recipe version: 1 → 2", 1, 2, "acetate rising"),
    ]
    file = tmp_path / "next.toml"
    file.write_text(ASKING.replace("phase_h = 5", "phase_h = 3"))
    control.edit_recipe("R1", str(file), {"flow": 12.0}, "shorter", "ana")
    assert told(asking)[3:] == [
        ("R1 recipe phase.feed.until.phase_h: 5 → 3", 5, 3, "shorter"),
        ("R1 recipe version: 2 → 3", 2, 3, "shorter"),
    ]
    asking.run(1)
    kept: list[Any] = [e.data for e in asking.journal.events if "version" in e.data]
    assert [data["version"] for data in kept] == [1, 2, 3]
    assert kept[-1]["recipe"]["phase"][1]["until"] == {"phase_h": 3}


def test_an_edit_that_is_refused_changes_nothing(asking: Rig, tmp_path: Path) -> None:
    control = asking.controller
    with pytest.raises(RefusedError, match="a reason is required to edit a running recipe"):
        control.edit_recipe("R1", "", {"flow": 12.0}, "", "ana")
    with pytest.raises(RecipeError, match=r"parameters\.flow: 50 is not allowed; 5 to 40 mL/h"):
        control.edit_recipe("R1", "", {"flow": 50.0}, "more", "ana")
    with pytest.raises(RefusedError, match="this is the recipe that the batch runs by"):
        control.edit_recipe("R1", "", {}, "nothing", "ana")
    assert batch(asking)["version"] == 1
    assert told(asking) == []


def test_a_batch_is_started_with_parameters_within_their_limits(
    make: Make, grown: Rig, tmp_path: Path
) -> None:
    file = tmp_path / "asking.toml"
    file.write_text(ASKING)
    grown.connect()
    with pytest.raises(RecipeError, match=r"parameters\.flow: 4 is not allowed; 5 to 40 mL/h"):
        grown.controller.recipe("R1", "start", str(file), "", "ana", {"flow": 4.0})
    grown.controller.recipe("R1", "start", str(file), "", "ana", {"flow": 6.0})
    assert batch(grown)["parameters"]["flow"] == {
        "value": 6.0,
        "unit": "mL/h",
        "low": 5.0,
        "high": 40.0,
    }


def test_after_a_restart_it_asks_again_when_it_is_resumed(make: Make, asking: Rig) -> None:
    asking.die(20.0)
    rig = make(GROWN, vessels_of=asking)
    rig.connect()
    rig.controller.restore()
    rig.run(5)
    assert batch(rig)["state"] == "HELD"
    assert batch(rig)["question"] == ""
    act(rig, "resume")
    rig.run(2)
    assert batch(rig)["question"] == "is the seed in?"
