"""The feeds of a recipe: what each law starts from, and what follows it."""

import math
from collections.abc import Mapping
from typing import Any

import pytest

from controller.recipes.check import check
from controller.recipes.recipe import RecipeRunner, State
from tests.controller.recipes import EXPONENTIAL, FACTS, LARGE, NOTHING, Batch, recipe


def test_a_phase_that_says_nothing_of_its_feed_goes_on_as_before() -> None:
    grow = {"kind": "exponential", "mu": 0.2, "cap": 100, "biomass_g_per_l": 5}
    batch = Batch(
        recipe(
            {"feeds": {"feed": grow}, "until": {"phase_h": 1}},
            {"until": {"phase_h": 1}},
            {"feeds": {"feed": {"kind": "hold"}}, "until": {"phase_h": 1}},
            {
                "feeds": {"feed": {"kind": "profile", "table": [[0, 10], [1, 20]]}},
                "until": {"phase_h": 1},
            },
            {"setpoints": {"feed": 3.0}, "until": {"phase_h": 1}},
            {"feeds": {"feed": {"kind": "constant", "flow": 7.0}}},
        )
    )
    begin = batch.out.feeds["feed"]
    assert batch.run(5400).feeds["feed"] == pytest.approx(begin * math.exp(0.3))
    held = batch.run(1800).feeds["feed"]
    assert held == pytest.approx(begin * math.exp(0.4))
    assert batch.run(3599).feeds["feed"] == held
    assert batch.run(1801).feeds["feed"] == pytest.approx(15.0)
    assert batch.run(1800).feeds["feed"] == 3.0
    assert batch.run(3600).feeds["feed"] == 7.0
    assert batch.runner.state is State.COMPLETE


def started(feed: Mapping[str, Any], estimates: Mapping[str, float]) -> float:
    runner = RecipeRunner(recipe({"feeds": {"feed": EXPONENTIAL | dict(feed)}}), FACTS)
    runner.start(0.0)
    return runner.step(0.0, NOTHING, estimates).feeds["feed"]


def by_hand(biomass: float, volume: float) -> float:
    return (0.1 / 0.51 + 0.04) * biomass * volume / 500.0 * 1000.0


def test_an_open_loop_recipe_does_not_look_at_the_estimate() -> None:
    estimates = {"biomass_g_per_l": 20.0, "volume_l": 4.0}
    assert started({"biomass_g_per_l": 6.0}, estimates) == pytest.approx(by_hand(6.0, 3.0))
    own = {"biomass_g_per_l": 6.0, "volume_l": 2.0}
    assert started(own, estimates) == pytest.approx(by_hand(6.0, 2.0))


def test_a_recipe_may_start_from_the_estimate() -> None:
    estimates = {"biomass_g_per_l": 20.0, "volume_l": 4.0}
    assert started({"start_from": "estimate"}, estimates) == pytest.approx(by_hand(20.0, 4.0))


@pytest.mark.parametrize("broken", [math.nan, math.inf, -1.0, 0.0, 1e9])
def test_without_a_usable_estimate_it_starts_from_what_is_usual(broken: float) -> None:
    estimates = {"biomass_g_per_l": broken, "volume_l": broken}
    assert started({"start_from": "estimate"}, estimates) == pytest.approx(by_hand(5.4, 3.0))
    usual = {"start_from": "estimate", "biomass_g_per_l": 7.0}
    assert started(usual, {}) == pytest.approx(by_hand(7.0, 3.0))


def test_what_a_feed_started_from_is_taken_once() -> None:
    batch = Batch(
        recipe(
            {"feeds": {"feed": EXPONENTIAL | {"start_from": "estimate"}}, "until": {"batch_h": 9}}
        )
    )
    first = batch.out.feeds["feed"]
    later = batch.run(3600, estimates={"biomass_g_per_l": 50.0, "volume_l": 9.0}).feeds["feed"]
    assert later == pytest.approx(first * math.exp(0.1))


def test_each_feed_goes_by_its_own_law_in_the_unit_of_its_loop() -> None:
    grow = EXPONENTIAL | {"biomass_g_per_l": 2.0, "volume_l": 50e3, "feed_substrate_g_per_l": 500.0}
    what = recipe(
        {
            "feeds": {
                "feed": grow,
                "oil": {"kind": "profile", "table": [[0.0, 10.0], [2.0, 30.0]]},
            },
            "until": {"phase_h": 1},
        },
        {"feeds": {"feed": {"kind": "hold"}}, "until": {"phase_h": 1}},
        {"setpoints": {"feed": 0.0, "oil": 0.0}},
    )
    assert check(what, LARGE) == []
    batch = Batch(what, LARGE)
    first = by_hand(2.0, 50e3) / 1000.0  # L/h
    assert batch.out.feeds == pytest.approx({"feed": first, "oil": 10.0})
    assert batch.run(3599).feeds["oil"] == pytest.approx(20.0, abs=0.01)
    assert batch.run(1800).feeds == pytest.approx(
        {"feed": first * math.exp(0.1), "oil": 25.0}, abs=0.01
    )
    assert batch.run(1801).feeds == {"feed": 0.0, "oil": 0.0}
    assert batch.runner.state is State.COMPLETE
