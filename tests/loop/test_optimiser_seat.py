"""The optimiser leads setpoints, never outputs, and sheds as RELIABILITY §1 says."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controller.loops.loops import Mode
from controller.planning.plan import Plan
from historian.events import Kind
from tests.loop.rig import QUICK, Oracle, Rig, plan

PERIOD, LATENCY = 60, 10  # s
WHO = ("a test", "ana")


@pytest.fixture
def led(make: Callable[..., Rig], fed: Path) -> Rig:
    """Return a batch that has run for ten minutes with the optimiser on, and engaged."""
    rig = make(QUICK, planner=Oracle)
    rig.vessel.set_state(X=8.0)
    rig.begin(fed, "on")
    rig.run(600)
    return rig


def oracle(rig: Rig) -> Oracle:
    assert isinstance(rig.planner, Oracle)
    return rig.planner


def optimiser(rig: Rig) -> dict[str, Any]:
    return rig.state()["reactors"]["R1"]["optimiser"]


def test_the_recipe_leads_until_three_plans_in_a_row_were_good(
    make: Callable[..., Rig], fed: Path
) -> None:
    rig = make(QUICK, planner=Oracle)
    rig.vessel.set_state(X=8.0)
    rig.begin(fed, "on")
    rig.run(2 * PERIOD + LATENCY)  # the first is asked for in the first scan
    feed, do = rig.loop("feed"), rig.loop("do")
    assert (feed.target, feed.actual, feed.reason) == (
        Mode.OPTIMISER,
        Mode.CASCADE,
        "no plan yet",
    )
    assert (do.target, do.actual, do.setpoint) == (Mode.OPTIMISER, Mode.AUTO, 30)
    assert rig.held()["R1.feed"] == 20
    assert optimiser(rig)["state"] == "waiting"
    rig.run(1)
    assert (feed.actual, do.actual, do.setpoint) == (Mode.OPTIMISER, Mode.OPTIMISER, 40)
    assert (feed.reason, do.reason) == ("", "")
    assert optimiser(rig)["state"] == "good"
    assert rig.told(Kind.ADVICE)[-1] == "R1: optimiser good"


def test_a_plan_takes_effect_after_its_latency_and_not_before(led: Rig) -> None:
    oracle(led).answer = lambda s: plan(s.now, feed=40.0)
    asked = len(oracle(led).asked)
    while len(oracle(led).asked) == asked:
        led.run(1)
    led.run(LATENCY - 1)
    assert led.held()["R1.feed"] == 26
    led.run(1)
    assert led.held()["R1.feed"] == 27  # by its ramp


def test_a_plan_moves_setpoints_by_their_ramps_and_no_output_jumps(
    make: Callable[..., Rig], fed: Path
) -> None:
    rig = make(QUICK, planner=Oracle)
    rig.vessel.set_state(X=8.0)
    rig.begin(fed, "on")
    rig.run(2 * PERIOD + LATENCY - 1)
    before = rig.held()
    for _ in rig.scans(4):
        after = rig.held()
        assert abs(after["R1.stirrer"] - before["R1.stirrer"]) <= 20
        assert abs(after["R1.feed"] - before["R1.feed"]) <= 1
        before = after
    assert rig.loop("do").actual is Mode.OPTIMISER


def test_what_is_asked_starts_from_the_feed_that_is_applied(led: Rig) -> None:
    situation = oracle(led).asked[-1]
    assert situation.applied["feed"] == pytest.approx(0.026)  # L/h
    assert situation.previous is not None
    assert situation.end_h == 6.0
    assert situation.profiles["feed"][0] == (situation.now, 0.02)
    given = [
        (t - situation.now) / 3600.0 for t, flow in situation.profiles["inducer"] if flow > 0.0
    ]
    assert situation.batch_h + given[0] == pytest.approx(2.0, abs=0.01)


def test_an_infeasible_plan_sheds_at_once_and_the_last_one_holds_two_periods(led: Rig) -> None:
    oracle(led).answer = lambda s: plan(s.now, status="infeasible")
    while optimiser(led)["state"] != "infeasible":
        led.run(1)
    assert led.held()["R1.feed"] == 26
    assert optimiser(led)["sheds"] == 1
    led.run(PERIOD + 1)  # two periods after the last good one
    assert led.loop("feed").actual is Mode.CASCADE
    assert led.loop("do").setpoint == 30
    assert led.loop("feed").reason == "plan refused: so it is"
    assert "R1: optimiser infeasible: plan refused: so it is" in led.told(Kind.ADVICE)
    led.run(30)
    assert led.held()["R1.feed"] == 20
    oracle(led).answer = lambda s: plan(s.now)
    led.run(3 * PERIOD)
    assert led.loop("feed").actual is Mode.OPTIMISER


@pytest.mark.parametrize(
    "broken",
    [
        plan(0.0, feed=math.nan),
        plan(0.0, do=math.inf),
        Plan("good", 0.0),
        Plan("good", 0.0, (1.0, 0.0), ((20.0, 30.0), (20.0, 30.0))),
        plan(0.0, status="failed"),
        plan(0.0, status="bad_input"),
    ],
)
def test_a_plan_that_is_no_plan_is_never_followed(led: Rig, broken: Plan) -> None:
    oracle(led).answer = lambda s: broken
    for _ in led.scans(3 * PERIOD):
        assert led.held()["R1.feed"] in [26.0 - k for k in range(7)]
    assert led.loop("feed").actual is Mode.CASCADE
    assert optimiser(led)["sheds"] == 1


def test_one_silence_is_forgiven_and_the_second_sheds(led: Rig) -> None:
    oracle(led).answer = lambda s: None
    while optimiser(led)["late"] == 0:
        led.run(1)
    assert (optimiser(led)["state"], led.loop("feed").actual) == ("late", Mode.OPTIMISER)
    led.run(PERIOD)
    assert optimiser(led)["sheds"] == 1
    assert optimiser(led)["reason"] == "2 deadlines missed: the plan is late"
    led.run(PERIOD)
    assert led.loop("feed").actual is Mode.CASCADE
    assert led.controller.report()["reactors"]["R1"]["optimiser_late"] == 3


def test_a_plan_beyond_the_loops_limits_is_cut_to_them(led: Rig) -> None:
    oracle(led).answer = lambda s: plan(s.now, feed=500.0, do=500.0)
    led.run(400)
    assert led.loop("do").setpoint == 80
    assert led.held()["R1.feed"] <= 150


def test_without_off_gas_it_sheds_and_the_feed_falls_back(led: Rig) -> None:
    led.wires["R1-gas"].answering = False
    led.run(6)
    assert optimiser(led)["state"] == "shed"
    assert optimiser(led)["reason"].endswith("is BAD")
    assert led.held()["R1.feed"] == 5
    led.run(300)
    assert led.loop("do").setpoint == 30
    led.wires["R1-gas"].answering = True
    led.run(2)
    assert led.loop("feed").actual is Mode.CASCADE
    led.run(4 * PERIOD)
    assert led.loop("feed").actual is Mode.OPTIMISER
    assert optimiser(led)["sheds"] == 1


def test_three_sheds_in_an_hour_latch_it_until_a_person_switches_it_on(led: Rig) -> None:
    for _ in range(3):
        led.wires["R1-gas"].answering = False
        led.run(10)
        led.wires["R1-gas"].answering = True
        led.run(4 * PERIOD)
    assert optimiser(led)["state"] == "latched"
    assert optimiser(led)["reason"].startswith("3 sheds within an hour, the last: ")
    assert led.loop("feed").reason == optimiser(led)["reason"]
    led.run(10 * PERIOD)
    assert led.loop("feed").actual is Mode.CASCADE
    led.controller.optimiser("R1", "on", *WHO)
    led.run(4 * PERIOD)
    assert led.loop("feed").actual is Mode.OPTIMISER


def test_in_shadow_it_plans_and_moves_nothing(make: Callable[..., Rig], fed: Path) -> None:
    rig = make(QUICK, planner=Oracle)
    rig.vessel.set_state(X=8.0)
    rig.begin(fed, "shadow")
    rig.run(600)
    assert optimiser(rig)["plans"] == 10
    assert optimiser(rig)["plan"]["feed_ml_per_h"] == (26.0, 26.0)
    assert (rig.held()["R1.feed"], rig.loop("do").setpoint) == (20, 30)
    assert rig.loop("feed").target is Mode.CASCADE


def test_switched_off_the_recipe_leads_at_once(led: Rig) -> None:
    led.controller.optimiser("R1", "off", *WHO)
    led.run(1)
    assert (led.loop("feed").actual, led.loop("do").actual) == (Mode.CASCADE, Mode.AUTO)
    led.run(30)
    assert (led.held()["R1.feed"], led.loop("do").setpoint) == (20, 30)
    asked = len(oracle(led).asked)
    led.run(200)
    assert len(oracle(led).asked) == asked


def test_a_person_takes_the_feed_and_the_plan_waits_outside(led: Rig) -> None:
    led.controller.set_mode("R1.feed", "MANUAL", *WHO)
    led.controller.set_output("R1.feed", 12.0, *WHO)
    led.run(200)
    assert led.held()["R1.feed"] == 12
    assert led.loop("do").actual is Mode.OPTIMISER
    led.controller.set_mode("R1.feed", "OPTIMISER", *WHO)
    led.run(30)
    assert led.held()["R1.feed"] == 26


def test_a_held_recipe_follows_no_plan(led: Rig) -> None:
    led.controller.recipe("R1", "hold", "", *WHO)
    led.run(1)
    assert led.held()["R1.feed"] == 5
    assert led.loop("feed").reason == "fall-back: the recipe is held"
    assert led.loop("do").setpoint == 30
    led.run(PERIOD)
    led.controller.recipe("R1", "resume", "", *WHO)
    led.run(5 * PERIOD)
    assert led.loop("feed").actual is Mode.OPTIMISER


def test_an_interlock_is_above_the_plan(led: Rig) -> None:
    led.faults.shows["R1.do"] = 5.0
    led.run(25)
    assert led.held()["R1.feed"] == 0
    assert (led.loop("feed").target, led.loop("feed").actual) == (Mode.OPTIMISER, Mode.LO)
    assert led.loop("feed").reason.startswith("R1.do below 12 %")


def test_an_idle_reactor_with_the_optimiser_on_stays_idle(make: Callable[..., Rig]) -> None:
    rig = make(QUICK, planner=Oracle).connect()
    rig.controller.promote("R1", "on", *WHO, override=True)
    rig.controller.optimiser("R1", "on", *WHO)
    rig.run(120)
    assert {loop.target for loop in rig.controller.reactors["R1"].loops.values()} == {Mode.OFF}
    assert oracle(rig).asked == []


def test_after_the_batch_nothing_is_asked_and_nothing_is_shed(
    make: Callable[..., Rig], tmp_path: Path, fed: Path
) -> None:
    short = tmp_path / "short.toml"
    text = fed.read_text()
    short.write_text(text.replace("2.0 }", "0.1 }").replace("6.0 }", "0.25 }"))
    rig = make(QUICK, planner=Oracle)
    rig.vessel.set_state(X=8.0)
    rig.begin(short, "on")
    rig.run(850)
    assert rig.loop("feed").actual is Mode.OPTIMISER
    rig.run(700)
    assert rig.state()["reactors"]["R1"]["batch"]["state"] == "COMPLETE"
    assert optimiser(rig)["sheds"] == 0
    assert rig.held()["R1.feed"] == 0
