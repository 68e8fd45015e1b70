"""Another version of a recipe that is running: what may change, and what that does."""

import math
from typing import Any

import pytest

from controller.recipes.edit import changes
from controller.recipes.file import RecipeError, parse_recipe
from controller.recipes.recipe import State
from tests.controller.recipes import Batch, ecoli, mutant


def feeding(hours: float = 2.0) -> Batch:
    batch = Batch(ecoli())
    batch.run(round(3 * 3600 + hours * 3600), estimates={"substrate_g_per_l": 0.1})
    assert batch.runner.phase == "feed"
    return batch


def edit(batch: Batch, **changed: Any) -> None:
    batch.runner.edit(parse_recipe(mutant(**changed), "r.toml"), batch.now, "acetate rising")


def test_what_comes_later_may_change_and_the_version_is_told() -> None:
    batch = feeding()
    edit(batch, phase__2__until__batch_h=20.0, phase__3__setpoints__temperature=25.0)
    out = batch.step()
    assert batch.runner.version == 2
    (event,) = out.events
    assert event.text == "recipe ecoli: goes on by version 2: acetate rising"
    assert event.data["version"] == 2
    assert batch.runner.planned_end_h == 20.0
    batch.run(16 * 3600)
    assert batch.runner.state is State.COMPLETE
    assert batch.runner.age_h(batch.now) == pytest.approx(20.0, abs=0.01)


def test_a_changed_growth_rate_takes_over_from_the_flow_as_it_is() -> None:
    batch = feeding()
    before = batch.out.feeds["feed"]
    edit(batch, phase__1__feeds__feed__mu=0.12)
    after = batch.step().feeds["feed"]
    uptake = (0.12 / 0.51 + 0.04) / (0.18 / 0.51 + 0.04)
    assert after == pytest.approx(before * uptake, rel=1e-3)  # for the biomass grown until now
    batch.run(3600)
    assert batch.out.feeds["feed"] == pytest.approx(after * math.exp(0.12), rel=1e-3)


def test_a_changed_setpoint_of_this_phase_is_asked_for_once() -> None:
    batch = feeding()
    edit(batch, phase__1__setpoints={"do": 45.0}, phase__1__loops={"do": "MANUAL"})
    out = batch.step()
    assert (out.setpoints, out.modes) == ({"do": 45.0}, {"do": "MANUAL"})
    assert batch.step().setpoints == {}


def test_a_changed_end_of_this_phase_holds_at_once() -> None:
    batch = feeding()
    edit(batch, phase__1__until={"phase_h": 1.0})
    batch.step()
    batch.step()
    assert batch.runner.phase == "induce"


def test_while_it_is_held_it_may_change_too() -> None:
    batch = feeding()
    batch.runner.hold(batch.now, "sampling")
    edit(batch, phase__1__setpoints={"do": 45.0})
    assert batch.step().setpoints == {}
    assert batch.runner.state is State.HELD
    batch.runner.resume(batch.now)
    assert batch.step().setpoints["do"] == 45.0


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"phase__0__min_h": 2.0}, "r.toml: phase.0 (batch): it is over; not allowed to change"),
        ({"phase__0__name": "old"}, "r.toml: phase.0: batch has begun; it must stay where it was"),
        (
            {"phase__1__induces": True},
            "r.toml: phase.1 (feed).induces: not allowed to change once it has begun",
        ),
        (
            {"phase__1__doses": [{"loop": "inducer", "volume_l": 0.01, "flow": 1}]},
            "r.toml: phase.1 (feed).doses: not allowed to change once it has begun",
        ),
        (
            {"start__setpoints__ph": 6.8},
            "r.toml: start: not allowed to change while a batch runs by the recipe",
        ),
        ({"name": "other"}, "r.toml: name: not allowed to change while a batch runs by the recip"),
        (
            {"phase__2__setpoints": {"do": 500}},
            "r.toml: phase.2 (induce).setpoints.do: 500 is not allowed; 10 to 80 %",
        ),
    ],
)
def test_what_is_over_or_does_not_fit_the_plant_is_refused(
    changed: dict[str, Any], line: str
) -> None:
    batch = feeding()
    before = batch.runner.as_state()
    with pytest.raises(RecipeError) as raised:
        edit(batch, **changed)
    assert any(each.startswith(line) for each in raised.value.lines)
    assert batch.runner.as_state() == before


def test_phases_that_have_begun_cannot_be_cut_off() -> None:
    batch = feeding()
    whole = mutant()
    whole["phase"] = whole["phase"][:1] + whole["phase"][2:]
    with pytest.raises(RecipeError, match=r"phase\.1: feed has begun"):
        batch.runner.edit(parse_recipe(whole, "r.toml"), batch.now, "")


def test_a_version_is_kept_over_a_restart() -> None:
    batch = feeding()
    edit(batch, phase__2__until__batch_h=20.0)
    batch.restarted()
    assert batch.runner.version == 2
    assert batch.runner.planned_end_h == 20.0


def test_what_has_changed_is_told_by_key_with_old_and_new() -> None:
    new = mutant(phase__1__until__batch_h=15.0, phase__3__setpoints__ph=6.5)
    del new["phase"][0]["max_h"]
    assert changes(mutant(), new) == [
        ("phase.batch.max_h", 12.0, None),
        ("phase.feed.until.batch_h", 14.0, 15.0),
        ("phase.harvest.setpoints.ph", None, 6.5),
    ]
    assert changes(mutant(), mutant()) == []
