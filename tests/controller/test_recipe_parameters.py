"""A recipe's parameters: chosen within their limits, standing wherever they are referred to."""

from typing import Any

import pytest

from controller.recipes.check import check
from controller.recipes.file import RecipeError, parse_recipe
from controller.recipes.recipe import RecipeRunner
from tests.controller.recipes import FACTS, mutant

MU = {"value": 0.18, "unit": "1/h", "low": 0.05, "high": 0.3}
FULL = {"value": 14, "unit": "h", "low": 10, "high": 16}


def table(**changes: Any) -> dict[str, Any]:
    return mutant(
        parameters={"mu": dict(MU), "until_h": dict(FULL)},
        phase__1__feeds__feed__mu="$mu",
        phase__1__until={"any": [{"batch_h": "$until_h"}, {"measured": "do", "below": 5}]},
        **changes,
    )


def test_a_parameter_stands_where_it_is_referred_to() -> None:
    recipe = parse_recipe(table(), "r.toml")
    feed = recipe.phase[1]
    assert feed.feeds["feed"].mu == 0.18
    assert feed.until is not None
    assert feed.until.any is not None
    assert feed.until.any[0].batch_h == 14


def test_whoever_starts_chooses_within_the_limits() -> None:
    recipe = parse_recipe(table(), "r.toml", {"mu": 0.3})
    assert recipe.phase[1].feeds["feed"].mu == 0.3
    assert recipe.parameters["mu"].value == 0.3
    again = parse_recipe(recipe.table, "r.toml")  # as after a restart
    assert again == recipe
    later = parse_recipe(recipe.table, "r.toml", {"until_h": 15})
    assert (later.parameters["mu"].value, later.parameters["until_h"].value) == (0.3, 15)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"mu": 0.31}, "r.toml: parameters.mu: 0.31 is not allowed; 0.05 to 0.3 1/h"),
        ({"mu": float("nan")}, "r.toml: parameters.mu: nan is not allowed; 0.05 to 0.3 1/h"),
        ({"my": 0.2}, "r.toml: parameters.my: no such parameter; mu, until_h"),
    ],
)
def test_other_values_are_refused(values: dict[str, float], line: str) -> None:
    with pytest.raises(RecipeError) as raised:
        parse_recipe(table(), "r.toml", values)
    assert raised.value.lines == [line]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"phase__0__min_h": "$nu"},
            "r.toml: phase.0.min_h: $nu is no parameter of the recipe; mu, until_h",
        ),
        (
            {"parameters__cap": {"value": 1, "low": 0, "high": 2}},
            "r.toml: parameters.cap: nothing refers to it; write $cap where it is to stand",
        ),
        (
            {"parameters__mu__value": 0.4},
            "r.toml: parameters.mu: value: 0.4 is not allowed; 0.05 to 0.3 1/h",
        ),
        ({"parameters__mu__low": None}, "r.toml: parameters.mu.low: missing; low (the least"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused(changes: dict[str, Any], line: str) -> None:
    whole = table()
    for path, value in changes.items():
        *parents, last = path.split("__")
        at: Any = whole
        for part in parents:
            at = at[int(part)] if part.isdigit() else at[part]
        at[last] = value
        if value is None:
            del at[last]
    with pytest.raises(RecipeError) as raised:
        parse_recipe(whole, "r.toml")
    assert any(each.startswith(line) for each in raised.value.lines)


def test_a_value_that_the_plant_cannot_bear_is_refused_where_it_stands() -> None:
    wide = {"value": 600, "unit": "mL/h", "low": 0, "high": 1000}
    whole = mutant(parameters={"cap": wide}, phase__1__feeds__feed__cap="$cap")
    lines = check(parse_recipe(whole, "r.toml"), FACTS)
    assert lines == ["r.toml: phase.1 (feed).feeds.feed.cap: 600 is not allowed; 0 to 150 mL/h"]


def test_the_chosen_values_survive_a_restart() -> None:
    runner = RecipeRunner(parse_recipe(table(), "r.toml", {"mu": 0.25}), FACTS)
    runner.start(0.0)
    back = RecipeRunner.from_state(FACTS, runner.as_state(), 10.0)
    assert back.recipe.parameters["mu"].value == 0.25
    assert back.recipe.phase[1].feeds["feed"].mu == 0.25
