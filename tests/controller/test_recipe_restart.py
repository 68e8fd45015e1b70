"""A recipe after a restart of the controller: held where it was, nothing given twice."""

import math
from typing import Any

import pytest

from controller.recipes.facts import PlantFacts
from controller.recipes.file import RecipeError
from controller.recipes.recipe import RecipeRunner, State
from historian.events import Kind
from tests.controller.recipes import EXPONENTIAL, FACTS, Batch, dosing, ecoli, recipe


def test_after_a_restart_it_is_held_where_it_was() -> None:
    batch = Batch(ecoli())
    batch.run(4 * 3600, estimates={"substrate_g_per_l": 0.1})
    before = batch.out.feeds["feed"]
    out = batch.restarted(30.0)
    runner = batch.runner
    assert (runner.state, runner.phase) == (State.HELD, "feed")
    assert out.feeds["feed"] == before
    assert out.events[0].kind is Kind.PHASE
    assert "the controller was restarted" in runner.message
    assert runner.phase_age_h(batch.now) == pytest.approx(1.0)
    assert runner.age_h(batch.now) == pytest.approx(4.0 + 30 / 3600)
    runner.resume(batch.now)
    resumed = batch.step()
    assert resumed.setpoints == {"temperature": 37.0, "ph": 7.0, "do": 30.0}
    assert resumed.feeds["feed"] == pytest.approx(before * math.exp(0.18 / 3600))
    batch.run(10 * 3600)
    assert batch.runner.phase == "induce"


def test_a_half_given_dose_is_not_continued_after_a_restart_but_told() -> None:
    batch = Batch(dosing(10.0, 2.0))
    batch.run(120)
    out = batch.restarted()
    assert out.doses == {"inducer": 0.0}
    assert batch.texts[-1] == (
        "recipe test: 4 of 10 mL through inducer were given; "
        "the rest is not given by itself after a restart"
    )
    batch.runner.resume(batch.now)
    assert batch.run(600).doses == {"inducer": 0.0}


def test_a_given_dose_is_not_replayed_after_a_restart() -> None:
    batch = Batch(dosing(10.0, 2.0))
    batch.run(400)
    batch.restarted()
    batch.runner.resume(batch.now)
    batch.run(600)
    assert batch.given["inducer"] / 60.0 == pytest.approx(10.0)


@pytest.mark.parametrize("end", ["COMPLETE", "ABORTED", "HELD", "IDLE"])
def test_what_does_not_run_stays_what_it_is_over_a_restart(end: str) -> None:
    batch = Batch(recipe({"until": {"phase_h": 0.01}, "induces": True}, {}))
    batch.run(10)
    if end == "COMPLETE":
        batch.run(100)
    elif end == "ABORTED":
        batch.runner.abort(batch.now, "foam")
    elif end == "HELD":
        batch.runner.hold(batch.now, "sampling")
    else:
        batch.runner = RecipeRunner(batch.runner.recipe, FACTS)
    message, age = batch.runner.message, batch.runner.age_h(batch.now)
    batch.step(0.0)
    assert batch.restarted(0.0).events == []
    assert (batch.runner.state, batch.runner.message) == (State(end), message)
    assert batch.runner.age_h(batch.now) == age


def test_a_ramp_goes_on_after_a_restart_once_it_is_resumed() -> None:
    ramps = {"temperature": {"to": 30.0, "ramp_per_h": 7.0}}
    batch = Batch(
        recipe(
            {"ramps": ramps, "until": {"phase_h": 2}}, {}, start={"setpoints": {"temperature": 37}}
        )
    )
    batch.run(1800)
    assert batch.restarted().setpoints == {}
    batch.runner.resume(batch.now)
    assert batch.step().setpoints["temperature"] == pytest.approx(33.5, abs=0.01)
    assert batch.run(1790).setpoints["temperature"] == pytest.approx(30.0, abs=0.02)
    assert batch.run(20).setpoints == {}


def test_a_restarted_runner_goes_on_exactly_as_one_that_was_held() -> None:
    grow = EXPONENTIAL | {"start_from": "estimate"}
    what = recipe(
        {"until": {"phase_h": 0.1}}, {"feeds": {"feed": grow}, "until": {"phase_h": 1}}, {}
    )
    one, other = Batch(what), Batch(what)
    for batch in (one, other):
        batch.run(1000, estimates={"biomass_g_per_l": 9.0, "volume_l": 2.5})
    one.runner.hold(one.now, "power dip")
    one.step(10.0)
    other.restarted(10.0)
    for batch in (one, other):
        batch.runner.resume(batch.now)
    for _ in range(100):
        assert one.step().feeds["feed"] == other.step().feeds["feed"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("started", None),
        ("index", 7),
        ("state", "ASLEEP"),
        ("feeds", {"feed": [{"kind": "magic"}, 0.0]}),
        ("doses", [["inducer"]]),
        ("doses", [["foam", 1.0, 0.5]]),
        ("due", [1.0, 2.0]),
        ("ramps", {"do": [1.0]}),
        ("recipe", {"name": "x"}),
        ("recipe", None),
    ],
)
def test_a_damaged_state_is_refused(key: str, value: Any) -> None:
    state = Batch(ecoli()).runner.as_state() | {key: value}
    with pytest.raises(ValueError, match=r"."):
        RecipeRunner.from_state(FACTS, state, 0.0)


def test_a_recipe_that_no_longer_fits_the_plant_is_refused_at_restart() -> None:
    state = Batch(ecoli()).runner.as_state()
    with pytest.raises(RecipeError, match="feed is not allowed; a loop of R2"):
        RecipeRunner.from_state(PlantFacts("R2"), state, 0.0)
