import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from controller.loops.pid import LARGEST, Pid, Tuning

NUMBERS = st.floats(-1e6, 1e6)
ANYTHING = st.floats(allow_nan=True, allow_infinity=True)
GAINS = st.floats(0.01, 100.0)
TIMES = st.floats(1.0, 10_000.0)


def test_output_is_gain_times_error_plus_its_integral() -> None:
    pid = Pid(kp=2.0, ti_s=10.0)
    # error 1: P = 2, and each second adds 2 / 10
    assert pid.update(37.0, 36.0, 1.0) == pytest.approx(2.2)
    assert pid.update(37.0, 36.0, 1.0) == pytest.approx(2.4)
    assert pid.update(37.0, 36.0, 5.0) == pytest.approx(3.4)
    assert pid.terms == pytest.approx((2.0, 1.4, 0.0))


def test_a_step_shorter_than_simple_pids_sample_time_is_not_answered_from_a_cache() -> None:
    pid = Pid(kp=1.0, ti_s=1.0)
    first = pid.update(1.0, 0.0, 0.005)
    assert pid.update(5.0, 0.0, 0.005) != first


def test_setpoint_step_does_not_kick_the_derivative() -> None:
    pid = Pid(kp=1.0, td_s=10.0)
    pid.update(1.0, 0.0, 1.0)
    assert pid.update(2.0, 0.0, 1.0) == pytest.approx(2.0)


def test_derivative_follows_a_ramp_through_its_filter() -> None:
    pid = Pid(kp=1.0, td_s=8.0)  # its filter: 1 s
    for second in range(30):
        pid.update(0.0, 0.5 * second, 1.0)
    assert pid.terms[2] == pytest.approx(-8.0 * 0.5, rel=1e-6)


def test_one_noisy_reading_moves_the_filtered_derivative_less_than_the_bare_one() -> None:
    bare, filtered = Pid(1.0, td_s=10.0, derivative_filter_s=0.0), Pid(1.0, td_s=10.0)
    for pid in (bare, filtered):
        pid.update(0.0, 0.0, 1.0)
    assert bare.update(0.0, 1.0, 1.0) == pytest.approx(-11.0)
    assert filtered.update(0.0, 1.0, 1.0) == pytest.approx(-1.0 - 10.0 / 2.25)


def test_measurement_filter_is_first_order() -> None:
    pid = Pid(kp=1.0, filter_s=4.0)
    pid.update(0.0, 0.0, 1.0)
    assert pid.update(0.0, 10.0, 1.0) == pytest.approx(-2.0)  # 1 / (4 + 1) of the step
    assert pid.update(0.0, 10.0, 1.0) == pytest.approx(-3.6)


def test_nothing_moves_inside_the_deadband_and_only_the_rest_counts_outside() -> None:
    pid = Pid(kp=10.0, ti_s=10.0, deadband=0.02)
    pid.track(7.0, 7.0, 5.0)
    for measured in (7.015, 6.985, 7.02, 6.98):
        assert pid.update(7.0, measured, 1.0) == pytest.approx(5.0)
    assert pid.update(7.0, 6.93, 1.0) == pytest.approx(5.0 + 10 * 0.05 + 0.05)


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf, 1e300])
def test_a_broken_argument_is_refused_and_changes_nothing(broken: float) -> None:
    pid, twin = Pid(2.0, 50.0, 5.0, filter_s=3.0), Pid(2.0, 50.0, 5.0, filter_s=3.0)
    for each in (pid, twin):
        each.update(37.0, 36.0, 1.0)
    for arguments in ((broken, 36.0, 1.0), (37.0, broken, 1.0), (37.0, 36.0, broken)):
        with pytest.raises(ValueError, match="cannot update with setpoint="):
            pid.update(*arguments)
    for arguments in ((broken, 36.0, 1.0), (37.0, broken, 1.0), (37.0, 36.0, broken)):
        with pytest.raises(ValueError, match="cannot track with setpoint="):
            pid.track(*arguments)
    assert pid.update(37.0, 36.2, 1.0) == twin.update(37.0, 36.2, 1.0)


@pytest.mark.parametrize("dt", [0.0, -1.0, 1e-9])
def test_a_step_that_is_no_step_is_refused(dt: float) -> None:
    with pytest.raises(ValueError, match=r"cannot update with setpoint=37\.0, measured=36\.0, dt="):
        Pid(1.0).update(37.0, 36.0, dt)


def test_the_refusal_says_what_was_given() -> None:
    with pytest.raises(ValueError, match=r"^cannot update with setpoint=37\.0, measured=nan, dt=5"):
        Pid(1.0).update(37.0, math.nan, 5.0)


@pytest.mark.parametrize(
    ("key", "arguments"),
    [
        ("kp", {"kp": 0.0}),
        ("kp", {"kp": math.nan}),
        ("ti_s", {"kp": 1.0, "ti_s": 0.0}),
        ("ti_s", {"kp": 1.0, "ti_s": math.nan}),
        ("td_s", {"kp": 1.0, "td_s": -1.0}),
        ("deadband", {"kp": 1.0, "deadband": math.nan}),
        ("filter_s", {"kp": 1.0, "filter_s": math.inf}),
        ("derivative_filter_s", {"kp": 1.0, "derivative_filter_s": -1.0}),
    ],
)
def test_a_tuning_that_cannot_work_is_refused_by_key(key: str, arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=rf"^{key}: .* is not allowed"):
        Tuning(**arguments)


def test_the_case_that_bumps_with_output_limits_in_simple_pid_does_not_bump_here() -> None:
    pid = Pid(kp=13.5, ti_s=1e6)
    pid.track(37.0, 40.0, 80.0)  # with limits 0..100 simple-pid gave 39.5
    assert pid.update(37.0, 40.0, 1.0) == pytest.approx(80.0, abs=0.1)


@given(
    kp=GAINS, ti_s=TIMES, td_s=st.floats(0, 100), deadband=st.floats(0, 1),
    filter_s=st.floats(0, 60), setpoint=st.floats(0, 100), measured=st.floats(0, 100),
    applied=st.floats(0, 100),
)  # fmt: skip
def test_taking_over_moves_by_one_scan_of_integral_and_no_more(
    kp: float, ti_s: float, td_s: float, deadband: float, filter_s: float,
    setpoint: float, measured: float, applied: float,
) -> None:  # fmt: skip
    pid = Pid(kp, ti_s, td_s, deadband, filter_s)
    pid.update(setpoint / 2, measured / 3, 1.0)
    pid.track(setpoint, measured, applied)
    pid.track(setpoint, measured, applied)  # a hand holds it for two scans
    integral = kp / ti_s * max(0.0, abs(setpoint - measured) - deadband)
    bump = abs(pid.update(setpoint, measured, 1.0) - applied)
    assert bump <= integral + 0.1  # 0.1 % of a span of 100


@given(
    kp=GAINS, ti_s=TIMES, new_kp=GAINS, new_ti_s=TIMES, td_s=st.floats(0, 60),
    new_td_s=st.floats(0, 60), deadband=st.floats(0, 2), error=st.floats(-20, 20),
    step=st.floats(-0.5, 0.5),
)  # fmt: skip
def test_a_new_tuning_does_not_bump(
    kp: float, ti_s: float, new_kp: float, new_ti_s: float, td_s: float, new_td_s: float,
    deadband: float, error: float, step: float,
) -> None:  # fmt: skip
    pid = Pid(kp, ti_s, td_s)
    pid.track(50.0, 50.0 - error, 40.0)
    pid.update(50.0, 50.0 - error, 1.0)
    before = pid.update(50.0, 50.0 - error + step, 1.0)
    pid.retune(new_kp, new_ti_s, new_td_s, deadband)
    p, i, d = pid.terms
    proportional = new_kp * math.copysign(max(0.0, abs(error - step) - deadband), error - step)
    assert i + d + proportional == pytest.approx(before, abs=0.1, rel=1e-6)
    assert math.isfinite(p)


def test_a_refused_tuning_changes_nothing() -> None:
    pid = Pid(2.0, 100.0)
    with pytest.raises(ValueError, match="kp: 0 is not allowed"):
        pid.retune(0.0, 100.0)
    assert pid.tuning == Tuning(2.0, 100.0)
    assert pid.update(1.0, 0.0, 1.0) == pytest.approx(2.02)


@given(
    kp=GAINS, ti_s=TIMES, td_s=st.floats(0, 10), filter_s=st.floats(0, 0.5),
    error=st.floats(0.5, 50), scans=st.integers(1, 400), high=st.booleans(),
)  # fmt: skip
def test_the_output_leaves_its_limit_within_two_scans_after_the_error_turns(
    kp: float, ti_s: float, td_s: float, filter_s: float, error: float, scans: int, high: bool
) -> None:
    pid = Pid(kp, ti_s, td_s, filter_s=filter_s)
    sign = 1.0 if high else -1.0
    limit = 100.0 if high else 0.0

    def scan(measured: float) -> float:
        wanted = pid.update(50.0, measured, 1.0)
        applied = min(100.0, max(0.0, wanted))
        if applied != wanted:
            pid.limit(applied)
        return applied

    pid.track(50.0, 50.0, limit)
    for _ in range(scans):
        assert scan(50.0 - sign * error) == pytest.approx(limit)
    released = [scan(50.0 + sign * error) for _ in range(2)]
    assert abs(released[-1] - limit) > 0


def test_a_spike_that_reaches_a_limit_leaves_nothing_behind() -> None:
    pid = Pid(kp=0.8, ti_s=90.0)
    pid.track(30.0, 30.0, 5.0)
    for measured in (60.0, 55.0, 58.0):  # gas bubbles on the DO probe for three scans
        assert pid.update(30.0, measured, 1.0) < 0
        pid.limit(0.0)
    assert pid.update(30.0, 30.0, 1.0) == pytest.approx(5.0)


@given(kp=GAINS, ti_s=TIMES, error=st.floats(-50, 50), rate=st.floats(0.1, 20))
def test_a_rate_limit_does_not_wind_up(kp: float, ti_s: float, error: float, rate: float) -> None:
    pid = Pid(kp, ti_s)
    applied = 50.0
    pid.track(50.0, 50.0, applied)
    for _ in range(100):
        wanted = pid.update(50.0, 50.0 - error, 1.0)
        applied = min(applied + rate, max(applied - rate, min(100.0, max(0.0, wanted))))
        if applied != wanted:
            pid.limit(applied)
        assert -1e-9 <= pid.terms[1] <= 100.0 + 1e-9


def test_a_limit_said_twice_takes_back_one_step_of_the_integral() -> None:
    pid = Pid(kp=2.0, ti_s=10.0)
    pid.track(50.0, 50.0, 80.0)
    pid.update(50.0, 30.0, 1.0)
    for _ in range(2):
        pid.limit(100.0)
        assert pid.terms[1] == pytest.approx(80.0)
    with pytest.raises(ValueError, match="cannot limit to applied=nan"):
        pid.limit(math.nan)


def test_after_an_interlock_it_starts_from_what_was_forced() -> None:
    pid = Pid(kp=2.0, ti_s=200.0)
    pid.track(30.0, 25.0, 60.0)
    for _ in range(600):  # ten minutes at zero, error 5 all the while
        pid.update(30.0, 25.0, 1.0)
        pid.track(30.0, 25.0, 0.0)
    assert pid.update(30.0, 25.0, 1.0) == pytest.approx(2.0 / 200.0 * 5.0)


class AnyUse(RuleBasedStateMachine):
    """Whatever is done to a PID, in whatever order, it gives a number."""

    @initialize(
        kp=st.floats(-1e3, 1e3).filter(lambda k: k != 0),
        ti_s=st.floats(1e-3, 1e9) | st.just(math.inf),
        td_s=st.floats(0, 1e4),
        deadband=st.floats(0, 100),
        filter_s=st.floats(0, 1e4),
    )
    def tuned(self, kp: float, ti_s: float, td_s: float, deadband: float, filter_s: float) -> None:
        self.pid = Pid(kp, ti_s, td_s, deadband, filter_s)
        self.output = 0.0

    @rule(
        setpoint=NUMBERS | ANYTHING, measured=NUMBERS | ANYTHING, dt=st.floats(0.1, 10) | ANYTHING
    )
    def update(self, setpoint: float, measured: float, dt: float) -> None:
        try:
            self.output = self.pid.update(setpoint, measured, dt)
        except ValueError:
            usable = abs(setpoint) + abs(measured) <= LARGEST and 1e-3 <= dt <= 1e6
            assert not usable

    @rule(setpoint=NUMBERS | ANYTHING, measured=NUMBERS | ANYTHING, applied=NUMBERS | ANYTHING)
    def track(self, setpoint: float, measured: float, applied: float) -> None:
        try:
            self.pid.track(setpoint, measured, applied)
        except ValueError:
            assert not abs(setpoint) + abs(measured) + abs(applied) <= LARGEST

    @rule(applied=NUMBERS | ANYTHING)
    def limit(self, applied: float) -> None:
        try:
            self.pid.limit(applied)
        except ValueError:
            assert not abs(applied) <= LARGEST

    @rule(kp=GAINS, ti_s=TIMES, td_s=st.floats(0, 100), deadband=st.floats(0, 1))
    def retune(self, kp: float, ti_s: float, td_s: float, deadband: float) -> None:
        self.pid.retune(kp, ti_s, td_s, deadband)

    @invariant()
    def every_number_is_finite(self) -> None:
        assert math.isfinite(self.output)
        assert all(map(math.isfinite, self.pid.terms))


TestAnyUse = AnyUse.TestCase
TestAnyUse.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
