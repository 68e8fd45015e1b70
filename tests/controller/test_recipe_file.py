"""What a recipe file may say, and how each mistake in it is named."""

import math
from pathlib import Path
from typing import Any

import pytest

from controller.recipes.file import RecipeError, load_recipe, parse_recipe
from tests.controller.recipes import DEMO, mutant


def test_the_demo_recipe_can_be_read() -> None:
    demo = load_recipe(DEMO)
    assert [phase.name for phase in demo.phase] == ["batch", "feed", "induce", "harvest"]
    assert demo.file == "ecoli.toml"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("name = ", "r.toml: not valid TOML: Invalid value (at end of document)"),
        ('name = "x"', "r.toml: phase: missing; phase is required"),
        (
            'colour = "red"',
            "r.toml: colour: no such key; name, organism, parameters, start, phase are allowed",
        ),
    ],
)
def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path, text: str, line: str) -> None:
    file = tmp_path / "r.toml"
    file.write_text(text)
    with pytest.raises(RecipeError) as raised:
        load_recipe(file)
    assert line in raised.value.lines
    assert all(each.startswith("r.toml: ") for each in raised.value.lines)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"none\.toml: No such file or directory"):
        load_recipe(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"phase__1__feeds__feed__mu": 5},
            "phase.1.feeds.feed.mu: 5 is not allowed; mu (wanted growth rate",
        ),
        (
            {"phase__1__feeds__feed__mu": None},
            "phase.1.feeds.feed: mu is required with kind = exponential",
        ),
        ({"phase__1__feeds__feed__mu": math.nan}, "phase.1.feeds.feed.mu: nan is not allowed"),
        ({"phase__1__feeds__feed__kind": "pulse"}, "phase.1.feeds.feed.kind: pulse is not allowed"),
        ({"phase__1__feeds__feed__speed": 1}, "phase.1.feeds.feed.speed: no such key; kind, flow"),
        (
            {"phase__1__feeds__feed__biomass_g_per_l": None},
            "phase.1.feeds.feed: biomass_g_per_l (g/L) is required with start_from = recipe",
        ),
        (
            {"phase__2__feeds__feed__mu": 0.1},
            "phase.2.feeds.feed: mu does not go with kind = hold; no other key",
        ),
        ({"phase__0__max_h": -1}, "phase.0.max_h: -1 is not allowed; max_h (h; after it"),
        ({"phase__0__until__batch_h": 3}, "phase.0.until: exactly one of batch_h, phase_h"),
        ({"phase__0__until__above": 3}, "phase.0.until: estimate needs either above or below"),
        ({"phase__1__until__for_s": 3}, "phase.1.until: above, below and for_s do not go with"),
        ({"phase__1__until": {"any": []}}, "phase.1.until.any: list is not allowed; any (one is"),
        (
            {"phase__2__doses__0__volume_l": 0},
            "phase.2.doses.0.volume_l: 0 is not allowed; volume_l (L, > 0)",
        ),
        ({"start__loops__do": "LOUD"}, "start.loops.do: LOUD is not allowed"),
        ({"phase__0__max_h": 2}, "phase.0 (batch).max_h: 2 is not allowed; at least min_h, 3 h"),
        ({"phase__1__name": "batch"}, "phase.1 (batch).name: batch is not allowed; each phase"),
        ({"phase__1__until": None}, "phase.1 (feed).until: missing; only the last phase may"),
        (
            {"phase__2__until__batch_h": 9},
            "phase.2 (induce).until.batch_h: 9 is not allowed; later than 14 h",
        ),
        (
            {"phase__1__ramps": {"air": {"to": 3, "ramp_per_h": 1}}},
            "phase.1 (feed).ramps.air: no setpoint to ramp from; give one in start or before",
        ),
    ],
)
def test_a_mistake_in_the_recipe_is_named_in_one_line(changes: dict[str, Any], line: str) -> None:
    with pytest.raises(RecipeError) as raised:
        parse_recipe(mutant(**changes), "r.toml")
    assert any(each.startswith(f"r.toml: {line}") for each in raised.value.lines), (
        raised.value.lines
    )
    assert all("\n" not in each for each in raised.value.lines)


def test_all_mistakes_are_named_at_once() -> None:
    with pytest.raises(RecipeError) as raised:
        parse_recipe(
            mutant(phase__1__feeds__feed__mu=5, phase__2__doses__0__volume_l=0, name=""), "r.toml"
        )
    assert len(raised.value.lines) == 3
