"""Timed bypass of an interlock (RELIABILITY §1): limited, told, ends by itself, hides nothing."""

import json
import math
from typing import Any

import pytest

from controller.protection.conditions import Condition, Window
from controller.protection.interlock import Interlock
from controller.protection.interlocks import Interlocks
from drivers.point import RangeError, Sample, Tag, sample

DO = Tag("R1.do", "%", -5, 200)
WHO = ("li", "the probe is calibrated")


def locks(**changes: Any) -> Interlocks:
    settings: dict[str, Any] = {"force": {"R1.feed": 0.0}, "bypass_max_s": 3600.0} | changes
    one = Interlocks([Interlock("R1.low_do", Condition((Window(DO, below=12.0),)), **settings)])
    one.evaluate(0.0, reading(0, 30.0))
    return one


def reading(time: float, value: float) -> dict[str, Sample]:
    return {"R1.do": sample(DO, time, value)}


def test_while_bypassed_it_demands_nothing_and_tells_all_the_same() -> None:
    one = locks()
    one.bypass("R1.low_do", 1.0, 600.0, *WHO)
    (trip,) = one.evaluate(2.0, reading(2, 5.0))
    assert (trip.what, trip.order, trip.value) == ("tripped", 1, 5.0)
    assert trip.text == "R1.do below 12 %: R1.feed = 0 (bypassed: not done)"
    assert one.demands == {}
    status = one.status()["R1.low_do"]
    assert (status.tripped, status.order) == (True, 1)
    assert status.bypass == (1.0, 601.0, *WHO)
    (clear,) = one.evaluate(3.0, reading(3, 30.0))
    assert clear.what == "cleared"


def test_one_that_is_tripped_lets_go_when_it_is_bypassed() -> None:
    one = locks()
    one.evaluate(1.0, reading(1, 5.0))
    assert one.demands
    one.bypass("R1.low_do", 1.0, 600.0, *WHO)
    assert one.demands == {}


def test_it_ends_by_itself_and_acts_in_the_same_scan() -> None:
    one = locks()
    one.bypass("R1.low_do", 1.0, 600.0, *WHO)
    one.evaluate(2.0, reading(2, 5.0))
    assert one.evaluate(600.9, reading(600, 5.0)) == []
    (ended,) = one.evaluate(601.0, reading(601, 5.0))
    assert (ended.what, ended.order) == ("bypass ended", 1)
    assert ended.text == ("the bypass by li is over after 10 min: R1.do below 12 %: R1.feed = 0")
    assert one.demands["R1.feed"].high == 0.0
    assert one.status()["R1.low_do"].bypass is None
    assert one.evaluate(602.0, reading(602, 5.0)) == []


def test_it_ends_in_a_quiet_scan_too() -> None:
    one = locks()
    one.bypass("R1.low_do", 1.0, 60.0, *WHO)
    (ended,) = one.evaluate(61.0, reading(61, 30.0))
    assert (ended.what, ended.order) == ("bypass ended", 0)


def test_a_person_may_end_it() -> None:
    one = locks()
    one.evaluate(1.0, reading(1, 5.0))
    one.bypass("R1.low_do", 1.0, 600.0, *WHO)
    assert one.end_bypass("R1.low_do").who == "li"
    assert one.demands["R1.feed"].high == 0.0
    with pytest.raises(ValueError, match="it is not bypassed; nothing to end"):
        one.end_bypass("R1.low_do")


@pytest.mark.parametrize("seconds", [0.0, -1.0, 3600.1, math.inf, math.nan])
def test_a_time_outside_its_limit_is_refused(seconds: float) -> None:
    one = locks()
    with pytest.raises(RangeError, match=r"^R1\.low_do: a bypass of .* min is not allowed; more"):
        one.bypass("R1.low_do", 1.0, seconds, *WHO)
    assert one.status()["R1.low_do"].bypass is None


def test_without_a_reason_twice_or_where_it_never_may_be_it_is_refused() -> None:
    with pytest.raises(ValueError, match=r"it may never be bypassed \(bypass_max_min = 0\)"):
        locks(bypass_max_s=0.0).bypass("R1.low_do", 1.0, 60.0, *WHO)
    one = locks()
    with pytest.raises(ValueError, match="a bypass needs a reason"):
        one.bypass("R1.low_do", 1.0, 60.0, "li", " ")
    one.bypass("R1.low_do", 1.0, 60.0, *WHO)
    with pytest.raises(ValueError, match="it is bypassed already, by li; end it first"):
        one.bypass("R1.low_do", 2.0, 3600.0, *WHO)  # nobody makes it longer
    with pytest.raises(ValueError, match=r"foam: no such interlock; R1\.low_do"):
        one.bypass("foam", 1.0, 60.0, *WHO)


def test_a_latch_is_reset_under_its_bypass() -> None:
    one = locks(latch=True)
    one.evaluate(1.0, reading(1, 5.0))
    one.bypass("R1.low_do", 1.0, 600.0, *WHO)
    one.evaluate(2.0, reading(2, 30.0))
    assert one.status()["R1.low_do"].latched
    one.reset("R1.low_do", 3.0)
    one.end_bypass("R1.low_do")
    assert one.demands == {}


def restarted(one: Interlocks, now: float, **changes: Any) -> Interlocks:
    again = locks(**changes)
    again.restore(json.loads(json.dumps(one.as_state(), allow_nan=False)), now)
    return again


def test_it_survives_a_restart_with_its_original_end() -> None:
    one = locks()
    one.bypass("R1.low_do", 1.0, 600.0, *WHO)
    one.evaluate(101.0, reading(101, 5.0))
    again = restarted(one, 301.0)
    assert again.status()["R1.low_do"].bypass == (1.0, 601.0, *WHO)
    again.evaluate(302.0, reading(302, 5.0))
    assert again.demands == {}
    again.evaluate(601.0, reading(601, 5.0))
    assert again.demands
    assert [e.what for e in restarted(one, 700.0).evaluate(700.0, reading(700, 30.0))] == [
        "bypass ended"
    ]


def test_it_is_never_longer_after_a_restart() -> None:
    one = locks()
    one.bypass("R1.low_do", 1000.0, 600.0, *WHO)
    one.evaluate(1500.0, reading(1500, 30.0))  # 100 s are left
    behind = restarted(one, 900.0).status()["R1.low_do"].bypass  # the clock was set back
    assert behind is not None
    assert behind.until == 1000.0
    shorter = restarted(one, 1501.0, bypass_max_s=550.0).status()["R1.low_do"].bypass
    assert shorter is not None
    assert shorter.until == 1550.0
    assert restarted(one, 1501.0, bypass_max_s=0.0).status()["R1.low_do"].bypass is None


@pytest.mark.parametrize(
    "wrong", [{"until": math.nan}, {"left_s": "x"}, {"left_s": None}, {"until": math.inf}]
)
def test_a_damaged_bypass_is_refused_and_nothing_is_taken(wrong: dict[str, Any]) -> None:
    kept = {"since": 1.0, "until": 601.0, "left_s": 500.0, "who": "li", "reason": "so"} | wrong
    one = locks(latch=True)
    if wrong.get("until") == math.inf:
        kept["left_s"] = math.inf
    with pytest.raises((ValueError, TypeError)):
        one.restore({"latched": ["R1.low_do"], "bypassed": {"R1.low_do": kept}}, 101.0)
    assert one.tripped == ()
    assert one.status()["R1.low_do"].bypass is None
