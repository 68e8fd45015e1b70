"""When the optimiser is asked, when its answer counts, and what an operator's switch does."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from controller.planning.advisor import STALE_S, Advisor
from controller.planning.outlook import Outlook, Question
from controller.planning.plan import Plan, Situation
from controller.plant_file.settings import OptimiserSettings
from controller.sensing.estimate import N_STATES
from controller.sensing.estimator import Estimate

PERIOD, LATENCY = 300.0, 30.0
SETTINGS = OptimiserSettings.model_validate({"period_s": PERIOD, "latency_s": LATENCY})
ESTIMATE = Estimate(0.0, (1.0,) * N_STATES, (0.0,) * N_STATES**2)


def plan(made: float, feed: float = 20.0) -> Plan:
    return Plan("good", made, (made, made + 7200.0), ((feed, 30.0), (feed, 30.0)))


class Far:
    """The far end: the answer comes ``takes`` s after it was asked; ``inf``: never."""

    def __init__(self) -> None:
        self.now = 0.0
        self.takes = 5.0
        self.asked: list[float] = []
        self.cancelled = 0
        self.answer: Callable[[float], Plan] = plan
        self._waiting: float | None = None

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    def request(self, reactor: str, estimate: Estimate, situation: Situation) -> None:
        self.asked.append(self.now)
        self._waiting = self.now

    def poll(self, reactor: str) -> Plan | None:
        if self._waiting is None or self.now < self._waiting + self.takes:
            return None
        asked, self._waiting = self._waiting, None
        return self.answer(asked)

    def foresee(self, key: str, reactor: str, estimate: Estimate, question: Question) -> None:
        """Foresees nothing."""

    def foreseen(self, key: str) -> Outlook | None:
        return None

    def cancel(self, key: str) -> None:
        self.cancelled += 1
        self._waiting = None


class Seat:
    """An advisor that is stepped second by second."""

    def __init__(self, *, lock_step: bool = True) -> None:
        self.far = Far()
        self.advisor = Advisor("R1", SETTINGS, self.far, lock_step=lock_step)
        self.advisor.set_mode("on", 0.0)
        self.now = -1.0
        self.estimate: Estimate | None = ESTIMATE
        self.situation: Situation | None = Situation(0.0, 1.0, 24.0)
        self.bad = ""

    def run(self, seconds: int) -> Plan | None:
        followed = None
        for _ in range(seconds):
            self.now += 1.0
            self.far.now = self.now
            followed = self.advisor.step(self.now, self.estimate, self.ask, self.bad)
        return followed

    def ask(self, previous: Plan | None) -> Situation | None:
        return self.situation


def test_it_asks_every_period_and_counts_the_answer_at_the_latency_exactly() -> None:
    seat = Seat()
    seat.run(2 * 300 + 30)
    assert seat.far.asked == [0.0, 300.0, 600.0]
    assert seat.advisor.shedding.plans == 2
    assert seat.run(1) is not None  # the third, 30 s after it was asked for
    assert seat.advisor.shedding.plans == 3


def test_in_real_time_an_answer_counts_when_it_is_there() -> None:
    seat = Seat(lock_step=False)
    seat.run(6)
    assert seat.advisor.shedding.plans == 1
    assert seat.run(600) is not None


def test_an_answer_after_the_latency_is_missed_and_never_taken() -> None:
    seat = Seat(lock_step=False)
    seat.far.takes = LATENCY + 1
    seat.run(40)
    assert (seat.advisor.shedding.late, seat.advisor.shedding.plans) == (1, 0)
    assert seat.far.cancelled == 2  # at the start and now
    seat.run(265)
    assert seat.far.asked == [0.0, 300.0]


def test_lock_step_waits_for_a_plan_that_is_due_and_for_no_other() -> None:
    seat = Seat()
    seat.far.takes = math.inf
    seat.run(1)
    assert seat.advisor.settled(29.0)
    assert not seat.advisor.settled(30.0)
    seat.far.takes = 0.0
    assert seat.advisor.settled(30.0)
    seat.run(30)
    assert seat.advisor.shedding.plans == 1


def test_nothing_is_asked_without_an_estimate_or_a_situation() -> None:
    seat = Seat()
    seat.estimate = None
    seat.run(10)
    seat.estimate, seat.situation = ESTIMATE, None
    seat.run(10)
    assert seat.far.asked == []
    seat.situation = Situation(0.0, 1.0, 24.0)
    seat.run(1)
    assert seat.far.asked == [20.0]


def test_a_bad_input_or_a_stale_estimate_asks_nothing_and_sheds() -> None:
    seat = Seat()
    assert seat.run(700) is not None
    seat.bad = "R1.do is BAD"
    seat.run(300)
    assert (seat.advisor.shedding.state, seat.advisor.shedding.reason) == ("shed", "R1.do is BAD")
    asked = len(seat.far.asked)
    seat.run(400)
    assert len(seat.far.asked) == asked
    seat.bad = ""
    seat.estimate = replace(ESTIMATE, stale_s=STALE_S + 1)
    seat.run(400)
    assert len(seat.far.asked) == asked
    assert seat.advisor.shedding.reason == "the estimate is 121 s old"


def test_in_shadow_a_plan_is_kept_to_be_seen_and_not_followed() -> None:
    seat = Seat()
    seat.advisor.set_mode("shadow", 0.0)
    assert seat.run(1000) is None
    shown = seat.advisor.as_json(seat.now)
    assert (shown["mode"], shown["state"], shown["plans"]) == ("shadow", "good", 4)
    assert shown["plan"]["feed_ml_per_h"] == (20.0, 20.0)
    assert shown["next_in_s"] == pytest.approx(1200.0 - seat.now)


def test_off_forgets_everything_and_asks_nothing() -> None:
    seat = Seat()
    seat.run(700)
    seat.advisor.set_mode("off", seat.now)
    assert seat.run(700) is None
    assert len(seat.far.asked) == 3
    shown = seat.advisor.as_json(seat.now)
    assert (shown["mode"], shown["state"], shown["plan"], shown["next_in_s"]) == (
        "off",
        "off",
        None,
        None,
    )
    assert seat.advisor.news() == ""


def test_news_come_once_each() -> None:
    seat = Seat()
    seat.run(1)
    assert seat.advisor.news() == "waiting"
    assert seat.advisor.news() == ""
    seat.run(631)
    assert seat.advisor.news() == "good"
    seat.bad = "R1.do is BAD"
    seat.run(1)
    assert (seat.advisor.news(), seat.advisor.news()) == ("shed: R1.do is BAD", "")


def test_at_rest_it_waits_without_a_shed_and_begins_again_with_three_plans() -> None:
    seat = Seat()
    seat.run(700)
    assert seat.advisor.shedding.engaged
    seat.advisor.rest("the recipe is HELD")
    shedding = seat.advisor.shedding
    assert (shedding.state, shedding.reason, shedding.sheds) == ("waiting", "the recipe is HELD", 0)
    assert seat.run(1) is None
    assert seat.run(1000) is not None
    assert shedding.sheds == 0


def test_rest_does_not_end_a_latch() -> None:
    seat = Seat()
    for _ in range(3):
        seat.run(1000)
        seat.bad = "R1.do is BAD"
        seat.run(1)
        seat.bad = ""
    assert seat.advisor.shedding.state == "latched"
    seat.advisor.rest("the recipe is HELD")
    assert seat.advisor.shedding.state == "latched"
    seat.advisor.set_mode("on", seat.now)
    assert seat.advisor.shedding.state == "waiting"
