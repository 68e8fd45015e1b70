"""Whether a recipe fits its plant, checked before anything runs."""

from typing import Any

import pytest

from controller.assemble import build_loops
from controller.plant import load_plant
from controller.recipes.check import check
from controller.recipes.facts import LoopFacts, PlantFacts, facts_of
from controller.recipes.file import load_recipe, parse_recipe
from tests.controller.recipes import DEMO, EXPONENTIAL, FACTS, LARGE, LOCAL, ecoli, mutant, recipe


def test_the_demo_recipe_fits_the_demo_plant() -> None:
    plant = load_plant(DEMO.parents[1] / "plants" / "ecoli_5l.toml")
    facts = facts_of("R1", plant, build_loops("R1", plant))
    demo = load_recipe(DEMO)
    assert check(demo, facts) == []
    assert "feed" in demo.phase[1].feeds
    assert facts.loops["feed"].unit == "mL/h"
    assert "OPTIMISER" in facts.loops["do"].modes
    assert facts.measured["do"] == "R1.do"
    assert "R1.stirrer" not in facts.tags  # a recipe waits for measurements, not for actuators
    model = plant.settings.reactor["R1"].model
    assert model is not None
    assert facts.volume_l == model.volume_l
    assert facts.biomass_g_per_l > model.biomass_g_per_l


def test_a_recipe_that_fits_has_nothing_said_against_it() -> None:
    assert check(ecoli(), FACTS) == []


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"organism": "yeast"}, "organism: yeast is not allowed; R1 is modelled as ecoli"),
        ({"organism": ""}, "organism: missing; R1 is modelled as ecoli"),
        (
            {"start__loops__foam": "AUTO"},
            "start.loops.foam: foam is not allowed; a loop of R1: temperature, ph, do",
        ),
        (
            {"start__loops__ph": "CASCADE"},
            "start.loops.ph: CASCADE is not allowed; AUTO, MANUAL, OFF",
        ),
        ({"start__setpoints__do": 90}, "start.setpoints.do: 90 is not allowed; 10 to 80 %"),
        (
            {"phase__1__feeds__feed__cap": 160},
            "phase.1 (feed).feeds.feed.cap: 160 is not allowed; 0 to 150 mL/h",
        ),
        (
            {"phase__2__feeds__feed": {"kind": "profile", "table": [[0, 10], [1, 200]]}},
            "phase.2 (induce).feeds.feed.table.1: 200 is not allowed; 0 to 150 mL/h",
        ),
        (
            {"phase__2__feeds__feed": {"kind": "constant", "flow": 151}},
            "phase.2 (induce).feeds.feed.flow: 151 is not allowed; 0 to 150 mL/h",
        ),
        (
            {"phase__1__setpoints": {"feed": 3}},
            "phase.1 (feed).feeds.feed: not allowed beside setpoints.feed; one of them",
        ),
        (
            {"phase__2__doses__0__loop": "do"},
            "phase.2 (induce).doses.0.loop: do in % does not dose; one of feed, inducer, vitamin",
        ),
        (
            {"phase__2__doses__0__loop": "foam"},
            "phase.2 (induce).doses.0.loop: foam is not allowed; a loop of R1: temperature",
        ),
        (
            {"phase__2__doses__0__flow": 6},
            "phase.2 (induce).doses.0.flow: 6 is not allowed; 0 to 5 mL/min",
        ),
        (
            {"phase__0__until__estimate": "sugar"},
            "phase.0 (batch).until.estimate: sugar is not allowed; acetate_g_per_l, biomass",
        ),
        (
            {"phase__1__until": {"any": [{"measured": "R1.foam", "above": 1}]}},
            "phase.1 (feed).until.any.0.measured: R1.foam is not allowed; R1.do, R1.temp",
        ),
        (
            {"phase__1__until": {"measured": "do", "above": 300}},
            "phase.1 (feed).until.above: 300 is not allowed; R1.do is -5 to 200 %",
        ),
        (
            {"phase__1__ramps": {"temperature": {"to": 50, "ramp_per_h": 1}}},
            "phase.1 (feed).ramps.temperature.to: 50 is not allowed; 20 to 42 Cel",
        ),
        (
            {"phase__1__ramps": {"feed": {"to": 50, "ramp_per_h": 1}}},
            "phase.1 (feed).ramps.feed: not allowed; a feed law (feeds) moves feed",
        ),
    ],
)
def test_what_does_not_fit_the_plant_is_named_in_one_line(
    changes: dict[str, Any], line: str
) -> None:
    found = check(parse_recipe(mutant(**changes), "r.toml"), FACTS)
    assert [each for each in found if each.startswith(f"r.toml: {line}")], found


def test_a_reactor_without_feed_or_model_says_so() -> None:
    bare = PlantFacts("R2", loops={"do": LoopFacts("%", 10, 80, LOCAL)})
    found = check(ecoli(), bare)
    assert "ecoli.toml: phase.1 (feed).feeds.feed: feed is not allowed; a loop of R2: do" in found
    assert any("R2 has no model to estimate" in line for line in found)


def test_without_a_model_a_recipe_says_what_its_feed_starts_from() -> None:
    what = recipe({"feeds": {"feed": EXPONENTIAL | {"biomass_g_per_l": 2.0}}})
    at = "r.toml: phase.0 (p0).feeds.feed"
    assert check(what, LARGE) == [
        f"{at}.volume_l: missing; volume_l (L) is required where the plant has no model",
        f"{at}.feed_substrate_g_per_l: missing; feed_substrate_g_per_l (g/L) is required where "
        "the plant has no model",
    ]
