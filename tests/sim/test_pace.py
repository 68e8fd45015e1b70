"""Plant time on real sockets: it stands, goes on, steps and changes its speed without a jump."""

import pytest

from sim.pace import Pace

START = 1_000_000.0


class Timer:
    """A wall clock that a test moves."""

    def __init__(self) -> None:
        self.now = 500.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def timer() -> Timer:
    return Timer()


def test_it_goes_at_its_speed(timer: Timer) -> None:
    pace = Pace(60.0, START, timer)
    timer.now += 2.0
    assert (pace.now(), pace.standing, pace.endless) == (START + 120.0, False, True)


def test_paused_it_stands_and_goes_on_from_there(timer: Timer) -> None:
    pace = Pace(60.0, START, timer)
    timer.now += 1.0
    pace.pause()
    timer.now += 1000.0
    assert (pace.now(), pace.standing) == (START + 60.0, True)
    pace.pause()  # again: nothing changes
    pace.resume()
    timer.now += 0.5
    assert (pace.now(), pace.standing) == (START + 90.0, False)


def test_a_step_ends_at_its_very_second(timer: Timer) -> None:
    pace = Pace(7.0, START, timer)
    pace.pause()
    pace.step(600.0)
    timer.now += 50.0
    assert (pace.now(), pace.standing) == (START + 350.0, False)
    timer.now += 50.0
    assert (pace.now(), pace.standing, pace.endless) == (START + 600.0, True, False)
    timer.now += 50.0
    pace.step(1.0)
    timer.now += 50.0
    assert pace.now() == START + 601.0


def test_another_speed_begins_where_the_last_one_ended(timer: Timer) -> None:
    pace = Pace(1.0, START, timer)
    timer.now += 10.0
    pace.change(100.0)
    assert pace.now() == START + 10.0
    timer.now += 1.0
    assert pace.now() == START + 110.0
    pace.pause()
    pace.change(0.5)  # a plant that stands, stands on
    timer.now += 10.0
    assert (pace.now(), pace.standing) == (START + 110.0, True)
    pace.resume()
    timer.now += 10.0
    assert pace.now() == START + 115.0


def test_a_device_that_stands_does_not_age(timer: Timer) -> None:
    """Its watchdog counts wall seconds, but none of a pause."""
    pace = Pace(60.0, START, timer)
    timer.now += 2.0
    pace.pause()
    timer.now += 100.0
    pace.change(10.0)
    pace.resume()
    timer.now += 3.0
    assert pace.lived() == pytest.approx(5.0)
