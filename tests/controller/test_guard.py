import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.protection.conditions import Condition, Window
from controller.protection.guard import ActuatorRule, Checked, Guard, Limited
from controller.protection.interlock import Interlock
from controller.protection.interlocks import Interlocks
from drivers.point import RangeError, Tag, sample

FEED = Tag("R1.feed", "mL/h", 0, 200, safe=0)
ACID = Tag("R1.acid", "mL/min", 0, 5, safe=0)
STIRRER = Tag("R1.stirrer", "{r}/min", 0, 1000, safe=300)
DO = Tag("R1.do", "%", -5, 200)
BELOW_12 = Condition((Window(DO, below=12.0),))
LOW_DO = Interlock("R1.low_do", BELOW_12, force={"R1.feed": 0.0})
RULES = (ActuatorRule(FEED), ActuatorRule(ACID), ActuatorRule(STIRRER))
GOOD = {"R1.do": sample(DO, 0, 30.0)}
LOW = {"R1.do": sample(DO, 0, 5.0)}


def guard(*rules: ActuatorRule, locks: tuple[Interlock, ...] = (), start: float = 0.0) -> Guard:
    one = Guard(rules or RULES, Interlocks(locks))
    one.begin(start, GOOD)
    return one


def scan(one: Guard, tag: Tag, value: float, now: float) -> Checked:
    one.begin(now, GOOD)
    return one.check(tag, value, now)


def test_what_is_allowed_passes_unchanged() -> None:
    assert guard().check(FEED, 45.0, 0.0) == Checked(45.0, "", Limited.NO)


@pytest.mark.parametrize(("wanted", "value"), [(250.0, 200.0), (-1.0, 0.0), (1e300, 200.0)])
def test_a_candidate_outside_the_range_is_clamped_and_the_reason_told(
    wanted: float, value: float
) -> None:
    checked = guard().check(FEED, wanted, 0.0)
    assert checked == Checked(value, "range 0 to 200 mL/h", Limited.RANGE)


@pytest.mark.parametrize(
    "candidate", [math.nan, math.inf, -math.inf, None, "45", True, [1.0], 10**400, 1j]
)
def test_what_is_no_number_becomes_the_safe_value_at_once(candidate: Any) -> None:
    one = guard(ActuatorRule(STIRRER, rate_per_s=20.0))
    one.adopt(STIRRER, 800.0)
    scan(one, STIRRER, 800.0, 0.0)
    checked = scan(one, STIRRER, candidate, 1.0)
    assert checked == Checked(300.0, "asked for no number; safe value", Limited.NOT_FINITE)


def test_an_integer_is_a_number() -> None:
    checked = guard().check(FEED, 45, 0.0)
    assert checked.value == 45.0
    assert type(checked.value) is float


def test_a_rate_limit_counts_from_what_was_applied_last() -> None:
    one = guard(ActuatorRule(STIRRER, rate_per_s=20.0))
    one.adopt(STIRRER, 400.0)
    assert scan(one, STIRRER, 400.0, 0.0).value == 400.0
    up = scan(one, STIRRER, 900.0, 1.0)
    assert up == Checked(420.0, "at most 20 {r}/min per s", Limited.RATE)
    assert scan(one, STIRRER, 900.0, 1.5).value == 430.0
    assert scan(one, STIRRER, 100.0, 2.5).value == 410.0
    assert scan(one, STIRRER, 415.0, 3.5) == Checked(415.0, "", Limited.NO)


def test_before_anything_is_known_a_rate_limited_actuator_starts_from_its_safe_value() -> None:
    one = guard(ActuatorRule(STIRRER, rate_per_s=20.0))
    assert scan(one, STIRRER, 900.0, 0.0).value == 300.0
    assert scan(one, STIRRER, 900.0, 1.0).value == 320.0


def test_a_long_pause_does_not_allow_a_large_step() -> None:
    one = guard(ActuatorRule(STIRRER, rate_per_s=20.0))
    scan(one, STIRRER, 300.0, 0.0)
    assert scan(one, STIRRER, 1000.0, 600.0).value == 400.0  # 5 s of credit


def test_an_interlock_beats_range_rate_and_controller() -> None:
    one = guard(ActuatorRule(FEED, rate_per_s=1.0), locks=(LOW_DO,))
    one.adopt(FEED, 100.0)
    assert scan(one, FEED, 100.0, 0.0).value == 100.0
    (event,) = one.begin(1.0, LOW)
    assert event.what == "tripped"
    forced = one.check(FEED, 100.0, 1.0)
    assert forced == Checked(0.0, "R1.do below 12 %: R1.feed = 0", Limited.INTERLOCK)
    assert one.check(FEED, 0.0, 1.0).limited is Limited.INTERLOCK  # it is forced all the same
    one.begin(2.0, GOOD)
    assert one.check(FEED, 100.0, 2.0) == Checked(1.0, "at most 1 mL/h per s", Limited.RATE)


def test_interlocks_that_nobody_evaluates_stop_everything() -> None:
    one = Guard(RULES, Interlocks(()))
    assert one.check(FEED, 45.0, 0.0).value == 0.0
    one.begin(1.0, GOOD)
    assert one.check(FEED, 45.0, 1.0).value == 45.0
    late = one.check(FEED, 45.0, 7.0)
    assert late.value == 0.0
    assert late.reason == "interlocks were not evaluated; safe value"


def test_an_unknown_actuator_is_a_mistake_in_the_program_and_named() -> None:
    with pytest.raises(ValueError, match=r"^R1\.do: no actuator of this guard; R1\.feed, R1\.acid"):
        guard().check(DO, 1.0, 0.0)
    with pytest.raises(ValueError, match=r"^R1\.feed: cannot adopt nan"):
        guard().adopt(FEED, math.nan)


def test_an_interlock_on_an_unknown_actuator_or_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^lock: R1\.valve is no actuator of this guard"):
        guard(locks=(Interlock("lock", BELOW_12, force={"R1.valve": 0}),))
    with pytest.raises(RangeError, match=r"^R1\.feed: -1 is outside 0 to 200 mL/h"):
        guard(locks=(Interlock("lock", BELOW_12, force={"R1.feed": -1}),))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((DO,), "it has no safe value"),
        ((FEED, 0.0), "rate_per_s 0.0 is not allowed"),
        ((FEED, math.nan), "rate_per_s nan is not allowed"),
        ((FEED, None, -1.0), "max_ml_per_h -1.0 is not allowed"),
        ((STIRRER, None, 10.0), "a dose limit needs a flow in mL/s, mL/min, mL/h"),
    ],
)
def test_a_rule_that_cannot_work_is_refused(arguments: tuple[Any, ...], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ActuatorRule(*arguments)


def test_doses_are_counted_as_they_were_applied() -> None:
    one = guard(ActuatorRule(ACID, max_ml_per_h=60.0))
    scan(one, ACID, 3.0, 0.0)  # mL/min
    scan(one, ACID, 0.0, 60.0)
    assert one.dosed_ml(ACID, 60.0) == pytest.approx(3.0)
    scan(one, ACID, 1.5, 120.0)
    assert one.dosed_ml(ACID, 140.0) == pytest.approx(3.5)
    scan(one, ACID, 0.0, 140.0)
    assert one.dosed_ml(ACID, 3600.0) == pytest.approx(3.5)
    assert one.dosed_ml(ACID, 3630.0) == pytest.approx(2.0)  # half of the first is older
    assert one.dosed_ml(ACID, 3741.0) == pytest.approx(0.0)


def test_a_pump_stops_when_its_hour_is_full_and_runs_again_when_it_is_not() -> None:
    one = guard(ActuatorRule(ACID, max_ml_per_h=60.0))
    flows = [scan(one, ACID, 5.0, float(t)).value for t in range(3700)]
    # 5 mL/min fills 60 mL in 12 min
    assert flows[:720] == [5.0] * 720
    assert flows[720] == pytest.approx(0.0, abs=1e-6)
    assert max(flows[721:3599]) < 1e-6
    assert flows[3601] == pytest.approx(5.0, rel=1e-6)


def test_the_reason_says_the_limit() -> None:
    one = guard(ActuatorRule(ACID, max_ml_per_h=1.0))
    scan(one, ACID, 5.0, 0.0)
    stopped = scan(one, ACID, 5.0, 12.0)
    assert stopped.limited is Limited.DOSE
    assert stopped.reason == "at most 1 mL in an hour"


def test_a_constant_flow_of_exactly_the_limit_runs_for_ever() -> None:
    one = guard(ActuatorRule(FEED, max_ml_per_h=160.0))
    checks = [scan(one, FEED, 160.0, float(t)) for t in range(2 * 3600)]
    assert {c.limited for c in checks} == {Limited.NO}


def test_a_readback_that_is_larger_than_what_was_written_is_counted() -> None:
    one = guard(ActuatorRule(FEED, max_ml_per_h=160.0))
    scan(one, FEED, 0.0, 0.0)
    one.adopt(FEED, 120.0)  # the write failed: the pump ran on
    scan(one, FEED, 0.0, 60.0)
    assert one.dosed_ml(FEED, 120.0) == pytest.approx(2.0)


def test_a_readback_that_is_smaller_is_counted_from_now_on_only() -> None:
    one = guard(ActuatorRule(FEED, max_ml_per_h=160.0))
    scan(one, FEED, 120.0, 0.0)
    one.adopt(FEED, 0.0)  # the device made itself safe, nobody knows when
    scan(one, FEED, 0.0, 60.0)
    assert one.dosed_ml(FEED, 120.0) == pytest.approx(2.0)


def test_an_actuator_without_dose_limit_has_no_dose() -> None:
    with pytest.raises(ValueError, match=r"R1\.stirrer: it has no dose limit"):
        guard().dosed_ml(STIRRER, 0.0)


def saved(one: Guard) -> Any:
    return json.loads(json.dumps(one.as_state(), allow_nan=False))


def test_doses_survive_a_restart() -> None:
    rule = ActuatorRule(ACID, max_ml_per_h=60.0)
    one = guard(rule)
    for t in range(600):
        scan(one, ACID, 2.0 + 0.001 * t, float(t))
    scan(one, ACID, 0.0, 600.0)
    before = one.dosed_ml(ACID, 600.0)
    again = Guard.from_state([rule], Interlocks(()), saved(one), 630.0)
    assert again.dosed_ml(ACID, 630.0) == pytest.approx(before)
    assert again.dosed_ml(ACID, 3600.0 + 300.0) == pytest.approx(
        one.dosed_ml(ACID, 3600.0 + 300.0), rel=1e-3
    )


@pytest.mark.parametrize(
    ("ran_on_s", "ml"), [(math.inf, 120.0 * 1800 / 3600), (3.0, 0.1), (0.0, 0.0)]
)
def test_what_a_pump_may_have_given_during_the_outage_is_counted(
    ran_on_s: float, ml: float
) -> None:
    rule = ActuatorRule(FEED, max_ml_per_h=160.0)
    one = guard(rule)
    scan(one, FEED, 120.0, 0.0)
    scan(one, FEED, 120.0, 1.0)
    locks = Interlocks(())
    again = Guard.from_state([rule], locks, saved(one), 1801.0, ran_on_s=ran_on_s)
    assert again.dosed_ml(FEED, 1801.0) == pytest.approx(120.0 / 3600 + ml)


def test_a_clock_that_was_set_back_forgets_no_dose() -> None:
    rule = ActuatorRule(FEED, max_ml_per_h=160.0)
    one = guard(rule, start=7200.0)
    scan(one, FEED, 120.0, 7200.0)
    scan(one, FEED, 0.0, 8400.0)
    again = Guard.from_state([rule], Interlocks(()), saved(one), 1200.0)
    assert again.dosed_ml(FEED, 1200.0) == pytest.approx(40.0)
    assert again.dosed_ml(FEED, 1200.0 + 3000.0) == pytest.approx(20.0)


def test_the_state_of_an_hour_is_small() -> None:
    one = guard(ActuatorRule(FEED, max_ml_per_h=160.0))
    for t in range(4000):
        scan(one, FEED, 40.0 + 0.001 * t, float(t))
    assert len(json.dumps(one.as_state())) < 4000


def test_a_latched_interlock_survives_a_restart() -> None:
    lock = Interlock("R1.low_do", BELOW_12, force={"R1.feed": 0.0}, latch=True)
    one = guard(locks=(lock,))
    one.begin(1.0, LOW)
    again = Guard.from_state(RULES, Interlocks([lock]), saved(one), 10.0)
    again.begin(10.0, GOOD)
    assert again.check(FEED, 45.0, 10.0).limited is Limited.INTERLOCK


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"doses": 3, "latched": []},
        {"doses": {"R1.feed": {}}, "latched": []},
        {"doses": {"R1.feed": {"ml_per_s": "x", "points": []}}, "latched": []},
        {"doses": {"R1.feed": {"ml_per_s": -1.0, "points": [[0, 0]]}}, "latched": []},
        {"doses": {"R1.feed": {"ml_per_s": 0.0, "points": [[0, 0], [0, 1]]}}, "latched": []},
        {"doses": {"R1.feed": {"ml_per_s": 0.0, "points": [[0, 1], [5, 0]]}}, "latched": []},
        {"doses": {"R1.feed": {"ml_per_s": 0.0, "points": [[0, 0, 0]]}}, "latched": []},
        {"doses": {"R1.feed": {"ml_per_s": math.nan, "points": []}}, "latched": []},
    ],
)
def test_a_damaged_state_is_refused(state: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^guard state: .*damaged"):
        Guard.from_state([ActuatorRule(FEED, None, 160.0)], Interlocks(()), state, 0.0)


@given(value=st.floats(allow_nan=True, allow_infinity=True) | st.integers() | st.none())
def test_whatever_is_asked_for_the_answer_is_a_number_in_range(value: Any) -> None:
    rule = ActuatorRule(FEED, rate_per_s=1.0, max_ml_per_h=160.0)
    one = guard(rule)
    for t in range(3):
        checked = scan(one, FEED, value, float(t))
        assert math.isfinite(checked.value)
        assert checked.value in FEED
        assert (checked.reason == "") == (checked.limited is Limited.NO)


SCRIPT = st.lists(
    st.tuples(st.floats(0.5, 400.0), st.floats(0.0, 5.0)), min_size=1, max_size=60
)  # s to the next scan, mL/min wanted


@given(script=SCRIPT)
def test_doses_agree_with_a_plain_integral_of_what_was_applied(
    script: list[tuple[float, float]],
) -> None:
    one = guard(ActuatorRule(ACID, max_ml_per_h=60.0))
    now = 0.0
    applied: list[tuple[float, float, float]] = []
    for dt, wanted in script:
        applied.append((now, now + dt, scan(one, ACID, wanted, now).value))
        now += dt
        plain = sum(
            flow / 60.0 * max(0.0, min(end, now) - max(begin, now - 3600.0))
            for begin, end, flow in applied
        )
        assert one.dosed_ml(ACID, now) == pytest.approx(plain, abs=1e-6)


@given(script=st.lists(st.floats(0.0, 5.0), min_size=20, max_size=80))
def test_no_hour_ever_gets_more_than_its_dose(script: list[float]) -> None:
    rule = ActuatorRule(ACID, max_ml_per_h=30.0)
    one = Guard([rule], Interlocks(()), scan_s=60.0)
    for minute, wanted in enumerate([*script, *[5.0] * 80]):
        scan(one, ACID, wanted, minute * 60.0)
        assert one.dosed_ml(ACID, minute * 60.0) <= 30.0 + 1e-6
