import math

import pytest

from controller.planning.plan import Plan, Situation
from controller.planning.shedding import Shedding

PERIOD = 300.0


def plan(made: float = 0.0, feed: float = 20.0) -> Plan:
    return Plan("good", made, (made, made + 3600.0), ((feed, 30.0), (feed + 10.0, 30.0)))


def engaged() -> tuple[Shedding, float]:
    shedding = Shedding(PERIOD)
    for i in range(3):
        shedding.on_plan(plan(i * PERIOD), i * PERIOD)
    assert shedding.state == "good"
    return shedding, 2 * PERIOD


def test_three_good_plans_engage_and_two_do_not() -> None:
    shedding = Shedding(PERIOD)
    shedding.on_plan(plan(), 0.0)
    shedding.on_plan(plan(300.0), 300.0)
    assert (shedding.active, shedding.state) == (None, "waiting")
    third = plan(600.0)
    shedding.on_plan(third, 600.0)
    assert (shedding.active, shedding.state, shedding.plans) == (third, "good", 3)


def test_one_missed_deadline_keeps_the_trajectory_and_the_second_sheds() -> None:
    shedding, now = engaged()
    shedding.on_missed(now + PERIOD)
    assert (shedding.state, shedding.engaged, shedding.sheds) == ("late", True, 0)
    shedding.on_missed(now + 2 * PERIOD)
    assert (shedding.engaged, shedding.sheds, shedding.late) == (False, 1, 2)
    assert "2 deadlines missed" in shedding.reason
    assert shedding.active is not None
    assert shedding.tick(now + 2 * PERIOD + 1) is None


def test_a_good_plan_between_two_misses_forgives_the_first() -> None:
    shedding, now = engaged()
    shedding.on_missed(now + 300)
    shedding.on_plan(plan(now + 600), now + 600)
    shedding.on_missed(now + 900)
    assert shedding.sheds == 0
    assert shedding.engaged


def test_an_infeasible_plan_sheds_at_once_and_the_old_trajectory_holds_two_periods() -> None:
    shedding, now = engaged()
    old = shedding.active
    shedding.on_plan(Plan("infeasible", now + 300, reason="volume"), now + 300)
    assert (shedding.state, shedding.engaged, shedding.sheds) == ("infeasible", False, 1)
    assert shedding.reason == "plan refused: volume"
    assert shedding.tick(now + 2 * PERIOD) is old
    assert shedding.tick(now + 2 * PERIOD + 1) is None


def test_a_good_plan_with_a_number_that_is_not_finite_is_refused() -> None:
    shedding, now = engaged()
    shedding.on_plan(Plan("good", now, (now,), ((math.nan, 30.0),)), now + 300)
    assert (shedding.engaged, shedding.reason) == (False, "plan refused: not finite")


def test_bad_input_said_every_scan_sheds_once_and_three_good_plans_bring_it_back() -> None:
    shedding, now = engaged()
    for i in range(100):
        shedding.on_bad_input("R1.do is BAD", now + i)
    assert (shedding.sheds, shedding.state, shedding.reason) == (1, "shed", "R1.do is BAD")
    shedding.on_plan(plan(now + 300), now + 300)  # made while the input was bad: does not count
    assert shedding.good_in_a_row == 0
    shedding.on_input_good()
    for i in range(3):
        assert not shedding.engaged
        shedding.on_plan(plan(now + 600 + i * PERIOD), now + 600 + i * PERIOD)
    assert (shedding.engaged, shedding.state) == (True, "good")


def test_three_sheds_in_an_hour_latch_until_a_person_resets() -> None:
    shedding = Shedding(PERIOD)
    now = 0.0
    for _ in range(3):
        for _ in range(3):
            now += PERIOD
            shedding.on_plan(plan(now), now)
        now += 60
        shedding.on_bad_input("stale", now)
        shedding.on_input_good()
    assert shedding.state == "latched"
    for _ in range(5):
        now += PERIOD
        shedding.on_plan(plan(now), now)
    assert (shedding.state, shedding.active, shedding.engaged) == ("latched", None, False)
    shedding.reset()
    for _ in range(3):
        now += PERIOD
        shedding.on_plan(plan(now), now)
    assert (shedding.state, shedding.sheds) == ("good", 3)


def test_three_sheds_in_more_than_an_hour_do_not_latch() -> None:
    shedding = Shedding(PERIOD)
    now = 0.0
    for _ in range(4):
        for _ in range(3):
            now += PERIOD
            shedding.on_plan(plan(now), now)
        shedding.on_bad_input("stale", now)
        shedding.on_input_good()
        now += 2000
    assert (shedding.state, shedding.sheds) == ("shed", 4)


def test_a_planner_that_says_nothing_at_all_is_noticed() -> None:
    shedding, now = engaged()
    assert shedding.tick(now + 2 * PERIOD) is not None
    assert shedding.tick(now + 2 * PERIOD + 1) is None
    assert (shedding.sheds, shedding.reason) == (1, "no plan for two periods")


def test_a_dead_worker_is_a_miss_that_says_dead() -> None:
    shedding, now = engaged()
    shedding.on_plan(Plan("dead", now, reason="worker 7 died"), now + 300)
    assert (shedding.state, shedding.reason, shedding.late) == ("dead", "worker 7 died", 1)


def test_a_plan_is_read_between_its_times_and_held_outside() -> None:
    one = plan(1000.0)
    assert [one.at(t) for t in (0.0, 1000.0, 2800.0, 4600.0, 9999.0)] == [20, 20, 25, 30, 30]
    with pytest.raises(ValueError, match="no trajectory"):
        Plan("failed", 0.0).at(0.0)


def test_plans_and_situations_survive_json() -> None:
    one = plan(5.0)
    assert Plan.from_json(one.as_json()) == Plan.from_json(Plan.from_json(one.as_json()).as_json())
    assert Plan.from_json(one.as_json()).setpoints == one.setpoints
    profiles = {"feed": ((1.0, 2.0), (3.0, 4.0))}
    situation = Situation(1.0, 2.0, 24.0, True, one, {"do": 30.0}, profiles, 1.5)
    assert Situation.from_json(situation.as_json()) == situation


@pytest.mark.parametrize(
    "plain",
    [
        {},
        {"status": "fine"},
        {"status": "good", "times": ["a"]},
        {"status": "good", "setpoints": 3},
    ],
)
def test_garbage_is_no_plan(plain: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"plan|status"):
        Plan.from_json(plain)
