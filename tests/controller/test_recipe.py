"""A recipe's phases from start to end: conditions, setpoints, ramps; hold, resume and abort."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.recipes.recipe import RecipeRunner, State
from drivers.point import Quality
from historian.events import Kind
from tests.controller.recipes import EXPONENTIAL, FACTS, NOTHING, Batch, do, ecoli, recipe


def test_the_demo_recipe_runs_through_its_phases() -> None:
    batch = Batch(ecoli())
    assert batch.out.modes["agitation"] == "CASCADE"
    assert batch.out.setpoints == {"temperature": 37.0, "ph": 7.0, "do": 30.0}
    assert batch.out.feeds["feed"] == 0.0
    batch.run(3 * 3600 - 1, estimates={"substrate_g_per_l": 0.1})
    assert batch.runner.phase == "batch"  # min_h
    batch.run(1, estimates={"substrate_g_per_l": 0.1})
    assert (batch.runner.phase, batch.runner.phase_index) == ("feed", 1)
    assert batch.out.feeds["feed"] == pytest.approx(11.788, abs=1e-3)
    batch.run(3600)
    assert batch.out.feeds["feed"] == pytest.approx(11.788 * math.exp(0.18), abs=1e-3)
    batch.run(10 * 3600 - 1)
    assert (batch.runner.phase, batch.out.induced) == ("feed", False)
    assert batch.out.feeds["feed"] == 45.0
    batch.run(1)
    assert (batch.runner.phase, batch.out.induced) == ("induce", True)
    batch.run(3600)
    assert batch.given["inducer"] / 60.0 == pytest.approx(10.0)  # mL/min, once a second
    assert batch.out.feeds["feed"] == 45.0
    batch.run(9 * 3600)
    assert batch.runner.state is State.COMPLETE
    assert batch.out.feeds["feed"] == 0.0
    assert batch.texts == [
        "recipe ecoli: phase batch (1 of 4) began",
        "recipe ecoli: phase feed (2 of 4) began",
        "recipe ecoli: phase induce (3 of 4) began",
        "recipe ecoli: 10 mL were given through inducer",
        "recipe ecoli: phase harvest (4 of 4) began",
        "recipe ecoli: complete after 24.00 h",
    ]
    batch.run(10)
    assert batch.runner.age_h(batch.now) == pytest.approx(24.0)


def test_setpoints_and_modes_are_asked_for_once() -> None:
    batch = Batch(
        recipe(
            {"until": {"phase_h": 1}, "loops": {"do": "AUTO"}, "setpoints": {"do": 40.0}},
            {"until": {"phase_h": 1}, "setpoints": {"do": 20.0}},
            {},
            start={"setpoints": {"do": 30.0, "ph": 7.0}, "loops": {"ph": "AUTO"}},
        )
    )
    assert batch.out.setpoints == {"do": 40.0, "ph": 7.0}
    assert batch.out.modes == {"do": "AUTO", "ph": "AUTO"}
    for _ in range(3599):
        batch.step()
        assert (batch.out.setpoints, batch.out.modes) == ({}, {})
    assert batch.step().setpoints == {"do": 20.0}


def test_a_measured_condition_must_last_and_bad_readings_prove_nothing() -> None:
    until = {"measured": "do", "above": 60.0, "for_s": 10}
    batch = Batch(recipe({"until": until}, {}))
    batch.run(9, measured=do(70))
    batch.run(1, measured=do(60))
    batch.run(9, measured=do(70))
    batch.run(20, measured=do(70, Quality.BAD))
    batch.run(10, measured=do(70))
    batch.run(20)
    batch.run(10, measured=do(70))
    assert batch.runner.phase == "p0"
    batch.run(1, measured=do(70))
    assert batch.runner.phase == "p1"


@pytest.mark.parametrize("value", [math.nan, math.inf, None])
def test_an_estimate_that_is_not_known_ends_no_phase(value: float | None) -> None:
    batch = Batch(recipe({"until": {"estimate": "substrate_g_per_l", "below": 0.5}}, {}))
    batch.run(100, estimates={} if value is None else {"substrate_g_per_l": value})
    assert batch.runner.phase == "p0"
    batch.run(1, estimates={"substrate_g_per_l": 0.4})
    assert batch.runner.phase == "p1"


def test_any_needs_one_and_all_needs_each() -> None:
    lasting = {"measured": "R1.do", "above": 60.0, "for_s": 5}
    batch = Batch(
        recipe(
            {"until": {"any": [lasting, {"batch_h": 1}]}},
            {"until": {"all": [lasting, {"phase_h": 0.01}]}},
            {},
        )
    )
    batch.run(6, measured=do(70))
    assert batch.runner.phase == "p1"
    batch.run(34, measured=do(70))
    assert batch.runner.phase == "p1"
    batch.run(2, measured=do(70))
    assert batch.runner.state is State.COMPLETE


def test_a_ramp_starts_where_the_recipe_had_the_setpoint_and_ends_at_its_target() -> None:
    batch = Batch(
        recipe(
            {"until": {"phase_h": 1}},
            {"ramps": {"temperature": {"to": 30.0, "ramp_per_h": 14.0}}, "until": {"phase_h": 2}},
            {},
            start={"setpoints": {"temperature": 37.0}},
        )
    )
    first = batch.run(3600).setpoints["temperature"]
    assert first == pytest.approx(37.0 - 14.0 / 3600)
    assert batch.run(899).setpoints["temperature"] == pytest.approx(33.5)
    assert batch.run(900).setpoints["temperature"] == pytest.approx(30.0)
    assert batch.run(2).setpoints == {}


def test_a_ramp_ends_when_somebody_else_takes_the_setpoint() -> None:
    ramps = {"temperature": {"to": 30.0, "ramp_per_h": 1.0}}
    batch = Batch(
        recipe(
            {"ramps": ramps, "until": {"phase_h": 2}}, {}, start={"setpoints": {"temperature": 37}}
        )
    )
    assert batch.run(1).setpoints
    batch.runner.release("temperature")
    assert batch.run(1).setpoints == {}


# -- hold, resume, abort -----------------------------------------------------------------------


def test_time_held_counts_for_the_batch_and_not_for_the_phase() -> None:
    batch = Batch(
        recipe(
            {"feeds": {"feed": EXPONENTIAL | {"biomass_g_per_l": 5.0}}, "until": {"phase_h": 1}}, {}
        )
    )
    before = batch.run(1800).feeds["feed"]
    batch.runner.hold(batch.now, "sampling")
    assert (batch.runner.state, batch.runner.message) == (State.HELD, "sampling")
    assert batch.run(3600).feeds["feed"] == before
    batch.runner.resume(batch.now)
    assert batch.runner.age_h(batch.now) == pytest.approx(1.5)
    assert batch.runner.phase_age_h(batch.now) == pytest.approx(0.5)
    batch.run(1799)
    assert batch.runner.state is State.RUNNING
    batch.run(1)
    assert batch.runner.state is State.COMPLETE
    assert batch.texts[1:3] == [
        "recipe test: held in phase p0: sampling",
        "recipe test: resumed in phase p0",
    ]


def test_a_phase_ends_by_batch_age_even_after_a_hold() -> None:
    batch = Batch(recipe({"until": {"batch_h": 1}}, {}))
    batch.run(1800)
    batch.runner.hold(batch.now, "sampling")
    batch.run(3600)
    batch.runner.resume(batch.now)
    batch.run(1)
    assert batch.runner.state is State.COMPLETE


def test_a_resumed_recipe_asks_again_for_its_setpoints_and_modes() -> None:
    start = {"setpoints": {"do": 30.0}, "loops": {"do": "AUTO", "feed": "CASCADE"}}
    batch = Batch(recipe({"until": {"phase_h": 1}}, {}, start=start))
    batch.run(10)
    batch.runner.hold(batch.now, "safe stop")
    assert batch.run(10).modes == {}
    batch.runner.resume(batch.now)
    assert batch.step().modes == {"do": "AUTO", "feed": "CASCADE"}
    assert batch.out.setpoints == {"do": 30.0}
    assert (batch.step().setpoints, batch.out.modes) == ({}, {})


def test_a_condition_that_lasted_before_a_hold_must_last_again() -> None:
    until = {"measured": "do", "above": 60.0, "for_s": 100}
    batch = Batch(recipe({"until": until}, {}))
    batch.run(90, measured=do(70))
    batch.runner.hold(batch.now, "sampling")
    batch.run(60, measured=do(70))
    batch.runner.resume(batch.now)
    batch.run(100, measured=do(70))
    assert batch.runner.phase == "p0"
    batch.run(1, measured=do(70))
    assert batch.runner.phase == "p1"


def test_a_phase_that_lasts_too_long_is_held_and_may_be_resumed() -> None:
    until = {"estimate": "substrate_g_per_l", "below": 0.5}
    batch = Batch(recipe({"until": until, "max_h": 1}, {}))
    batch.run(3600, estimates={"substrate_g_per_l": 3.0})
    assert batch.runner.state is State.HELD
    assert batch.runner.message == (
        "phase p0 has lasted 1 h, its max_h, and has not ended; resume it to let it go on, or abort"
    )
    assert batch.out.events[0].kind is Kind.ALARM
    batch.runner.resume(batch.now)
    batch.run(3600, estimates={"substrate_g_per_l": 3.0})
    assert batch.runner.state is State.RUNNING
    batch.run(1, estimates={"substrate_g_per_l": 0.3})
    assert batch.runner.state is State.COMPLETE


def test_an_aborted_batch_neither_feeds_nor_doses() -> None:
    batch = Batch(
        recipe({"feeds": {"feed": {"kind": "constant", "flow": 20}}, "until": {"batch_h": 9}})
    )
    batch.run(10)
    batch.runner.abort(batch.now, "contaminated")
    assert batch.step().feeds["feed"] == 0.0
    assert (batch.runner.state, batch.runner.message) == (State.ABORTED, "contaminated")
    assert batch.texts[-1] == "recipe test: aborted in phase p0: contaminated"
    assert not batch.runner.feeding


def test_a_command_that_does_not_fit_the_state_is_refused_and_says_which_would() -> None:
    runner = RecipeRunner(recipe({"until": {"batch_h": 1}}), FACTS)
    assert runner.step(0.0, NOTHING, {}).feeds == {}
    with pytest.raises(ValueError, match=r"^R1: hold is not allowed while the recipe is IDLE; it"):
        runner.hold(0.0, "why not")
    with pytest.raises(ValueError, match="resume is not allowed"):
        runner.resume(0.0)
    with pytest.raises(ValueError, match="abort is not allowed"):
        runner.abort(0.0, "why not")
    runner.start(0.0)
    with pytest.raises(ValueError, match="it must be IDLE, ABORTED, COMPLETE"):
        runner.start(0.0)


def test_a_finished_recipe_can_be_started_again() -> None:
    batch = Batch(recipe({"until": {"phase_h": 0.01}, "induces": True}, {}))
    batch.run(100)
    assert batch.runner.state is State.COMPLETE
    assert batch.runner.induced
    batch.runner.start(batch.now)
    assert batch.runner.age_h(batch.now) == 0.0
    assert not batch.runner.induced
    assert batch.step().induced
    assert batch.runner.phase == "p0"


# -- whatever happens --------------------------------------------------------------------------


# -- whatever happens --------------------------------------------------------------------------

SCRIPT = st.lists(
    st.tuples(
        st.sampled_from(["step", "step", "step", "hold", "resume", "abort", "restart", "start"]),
        st.floats(0.0, 4000.0),
        st.floats(allow_nan=True, allow_infinity=True),
    ),
    max_size=40,
)


@given(script=SCRIPT)
def test_whatever_happens_every_number_is_finite_and_in_range(
    script: list[tuple[str, float, float]],
) -> None:
    feed = EXPONENTIAL | {"start_from": "estimate", "mu": 1.5}
    what = recipe(
        {"until": {"estimate": "substrate_g_per_l", "below": 0.5}, "max_h": 3},
        {
            "feeds": {"feed": feed},
            "doses": [{"loop": "inducer", "volume_l": 30e-3, "flow": 1.0}],
            "ramps": {"do": {"to": 20.0, "ramp_per_h": 5.0}},
            "until": {"any": [{"phase_h": 5}, {"measured": "do", "above": 50, "for_s": 60}]},
        },
        {"setpoints": {"feed": 0.0}},
        start={"setpoints": {"do": 30.0}},
    )
    batch = Batch(what)
    for action, dt, value in script:
        try:
            if action == "restart":
                batch.restarted(dt)
            elif action == "hold":
                batch.runner.hold(batch.now, "so")
            elif action == "resume":
                batch.runner.resume(batch.now)
            elif action == "abort":
                batch.runner.abort(batch.now, "so")
            elif action == "start":
                batch.runner.start(batch.now)
        except ValueError as refused:
            assert "is not allowed while the recipe is" in str(refused)  # noqa: PT017
        out = batch.step(
            dt, do(value), {"substrate_g_per_l": value, "biomass_g_per_l": value, "volume_l": value}
        )
        assert 0.0 <= out.feeds["feed"] <= 100.0
        assert 0.0 <= out.doses["inducer"] <= 1.0
        assert all(20.0 <= setpoint <= 30.0 for setpoint in out.setpoints.values())
        assert batch.runner.age_h(batch.now) >= 0.0
        pairs = batch.runner.feed_profile(batch.now)
        assert all(0.0 <= feed <= 100.0 for _, feed in pairs)
