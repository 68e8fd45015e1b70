"""What a recipe foresees for the optimiser: its end, its induction, its feed."""

from itertools import pairwise
from typing import Any

import pytest

from controller.recipes.feeding import Exponential
from controller.recipes.file import RecipeError
from tests.controller.recipes import HOUR, Batch, do, ecoli, recipe


def test_the_plan_of_the_demo_recipe() -> None:
    batch = Batch(ecoli())
    assert (batch.runner.planned_end_h, batch.runner.planned_induction_h) == (24.0, 14.0)
    assert not batch.runner.feeding
    batch.run(4 * 3600, estimates={"substrate_g_per_l": 0.1})
    assert batch.runner.feeding
    profile = batch.runner.feed_profile(batch.now)
    times = [time for time, _ in profile]
    assert times[0] == batch.now
    assert times[-1] == pytest.approx(24 * HOUR)
    assert all(0 < b - a <= 300.1 for a, b in pairwise(times))
    law = Exponential(0.18, 5.0, 3.0, 45.0)
    for time, flow in profile:
        assert flow == pytest.approx(law.flow(min(time, 14 * HOUR) - 3 * HOUR), rel=1e-6)


def test_a_plan_of_phase_times_moves_with_a_hold() -> None:
    batch = Batch(recipe({"until": {"phase_h": 1}}, {"until": {"phase_h": 2}, "induces": True}, {}))
    batch.run(1800)
    assert (batch.runner.planned_end_h, batch.runner.planned_induction_h) == (3.0, 1.0)
    batch.runner.hold(batch.now, "sampling")
    batch.run(3600)
    batch.runner.resume(batch.now)
    batch.run(1)
    assert batch.runner.planned_end_h == pytest.approx(4.0)
    assert batch.runner.planned_induction_h == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("until", "hours"),
    [
        ({"any": [{"batch_h": 9}, {"phase_h": 7}, {"measured": "do", "above": 60}]}, 7.0),
        ({"all": [{"batch_h": 9}, {"phase_h": 7}, {"measured": "do", "above": 60}]}, 9.0),
        ({"any": [{"measured": "do", "above": 60}]}, None),
        ({"measured": "do", "above": 60}, None),
    ],
)
def test_the_planned_end_of_a_mixed_condition(until: dict[str, Any], hours: float | None) -> None:
    batch = Batch(recipe({"until": until}, {}))
    assert batch.runner.planned_end_h == hours
    end, _ = batch.runner.feed_profile(0.0)[-1]
    assert end == (24.0 if hours is None else hours) * HOUR


def test_induction_that_happened_is_where_it_happened() -> None:
    until = {"measured": "do", "above": 60.0}
    batch = Batch(recipe({"until": until}, {"induces": True, "until": {"batch_h": 9}}, {}))
    assert batch.runner.planned_induction_h is None
    batch.run(1799)
    batch.run(1, measured=do(70))
    assert batch.runner.planned_induction_h == pytest.approx(0.5)
    assert batch.out.induced


def test_the_plan_of_a_recipe_that_inoculates_counts_from_there() -> None:
    batch = Batch(
        recipe(
            {"until": {"confirm": "sterile?"}},
            {"until": {"phase_h": 0.5}, "inoculates": True},
            {"until": {"batch_h": 2.0}, "feeds": {"feed": {"kind": "constant", "flow": 20.0}}},
            {"until": {"phase_h": 1.0}, "induces": True},
            {"until": {"confirm": "harvested?"}},
        )
    )
    runner = batch.runner
    batch.run(3600)
    assert (runner.inoculated, runner.age_h(batch.now)) == (False, 0.0)
    assert (runner.planned_end_h, runner.planned_induction_h) == (3.0, 2.0)
    runner.confirm(batch.now, "ana")
    batch.run(1801)
    assert (runner.inoculated, runner.phase) == (True, "p2")
    batch.run(1800)
    assert runner.age_h(batch.now) == pytest.approx(0.5, abs=0.001)
    assert (runner.planned_end_h, runner.planned_induction_h) == (3.0, 2.0)
    assert batch.out.feeds["feed"] == 20.0
    out = batch.restarted(60.0)
    assert out.feeds["feed"] == 20.0
    assert batch.runner.inoculated
    batch.runner.resume(batch.now)
    batch.run(3 * 3600)
    assert batch.runner.phase == "p4"
    assert batch.runner.planned_end_h is None  # people take as long as they take


@pytest.mark.parametrize(
    ("phases", "line"),
    [
        (
            [{"until": {"batch_h": 1}}, {"until": {"phase_h": 1}, "inoculates": True}, {}],
            "phase.0 (p0).until.batch_h: not allowed before the vessel is inoculated; phase_h",
        ),
        (
            [{"until": {"phase_h": 1}, "inoculates": True}] * 2,
            "phase: inoculates is not allowed more than once",
        ),
    ],
)
def test_a_plan_that_cannot_be_is_refused(phases: list[dict[str, object]], line: str) -> None:
    with pytest.raises(RecipeError) as raised:
        recipe(*phases)
    assert f"r.toml: {line}" in raised.value.lines
