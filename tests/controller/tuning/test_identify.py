"""Experiments find known processes, stop where they must, and refuse what tells nothing."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.loops.pid import Tuning
from controller.tuning.experiment import Cycle, Experiment, Limits, Record, Relay, State, StepTest
from controller.tuning.identify import UltimatePoint, UnidentifiedError, fit, ultimate_point
from controller.tuning.margins import margins
from controller.tuning.process import Process
from controller.tuning.proposal import advise
from tests.controller.tuning.plants import run

HEATING = Process.lag(2.0, 100.0, 10.0)
HEATING_OFF = Process.lag(1e-4, 100.0, 10.0)


def point_of(done: Relay) -> UltimatePoint:
    return ultimate_point(done.equal_cycles, done.move, done.hysteresis)


def limits(deviation: float = 5.0, longest_s: float = 5000.0) -> Limits:
    return Limits(0.0, 100.0, deviation, longest_s, 60.0)


def relay(amplitude: float = 10.0, **more: float) -> Relay:
    return Relay(40.0, amplitude, limits(**more))


def step(size: float = 10.0, **more: float) -> StepTest:
    return StepTest(40.0, size, limits(**more))


def test_a_relay_finds_the_ultimate_point_within_the_error_of_its_describing_function() -> None:
    """Sampled at a hundredth of its dead time, and so near the continuous theory.

    For a lag with dead time the oscillation is known exactly: height d k (1 - e^(-L/T)).
    """
    slow, fast = Process.lag(1.0, 200.0, 100.0), Process.lag(1.0, 2000.0, 100.0)
    for process in (slow, fast):
        gain, period = process.ultimate()
        done = run(Relay(40.0, 10.0, limits(50.0, 40_000.0)), process)
        assert isinstance(done, Relay)
        found = point_of(done)
        assert found.period_s == pytest.approx(period, rel=0.08)
        assert 0.75 * gain < found.gain < 1.1 * gain
        height = 10.0 * (1 - math.exp(-100.0 / process.lag_s))
        assert done.cycles[-1].amplitude == pytest.approx(height, rel=0.02)


@pytest.mark.parametrize("noise", [0.0, 0.05])
@pytest.mark.parametrize("experiment", [relay, step])
@pytest.mark.parametrize(
    "process", [HEATING, Process.lag(0.5, 300.0, 20.0, 20.0), Process(0.01, 0.0, 15.0)]
)
def test_both_experiments_find_lags_and_integrators(
    process: Process, experiment: type[Experiment], noise: float
) -> None:
    done = run(experiment(), process, noise=noise)  # pyright: ignore[reportCallIssue] (made above)
    found = fit(done.record)
    assert found.process.slope == pytest.approx(process.slope, rel=0.1)
    late = found.process.dead_s + found.process.lag2_s
    assert late == pytest.approx(process.dead_s + process.lag2_s, abs=4.0)
    assert found.process.integrating == process.integrating
    assert found.explained > 0.9
    assert found.residual == pytest.approx(noise, rel=0.15, abs=1e-6)
    left = found.modelled(done.record) - np.asarray(done.record.measured)
    assert float(np.std(left)) == pytest.approx(found.residual, rel=0.05, abs=1e-6)


def test_a_probe_that_is_known_is_no_dead_time() -> None:
    process = Process.lag(1.0, 200.0, 5.0, 40.0)
    done = run(step(), process, noise=0.02)
    found = fit(done.record, probe_s=40.0).process
    assert found.lag2_s == 40.0
    assert found.dead_s == pytest.approx(5.0, abs=1.5)
    assert found.lag_s == pytest.approx(200.0, rel=0.1)


def test_a_load_makes_the_halves_unequal_and_the_bias_makes_them_equal_again() -> None:
    process = Process(0.01, 0.0, 15.0)
    done = run(relay(), process, load=4.0)
    assert isinstance(done, Relay)
    assert done.bias == pytest.approx(-4.0, abs=1.0)
    last = done.cycles[-1]
    assert last.up_s == pytest.approx(last.down_s, rel=0.4)
    assert point_of(done).period_s == pytest.approx(process.ultimate()[1], rel=0.1)
    assert fit(done.record).process.slope == pytest.approx(0.01, rel=0.3)


@settings(max_examples=12)
@given(
    lag_s=st.floats(20.0, 600.0),
    share=st.floats(0.03, 1.0),
    gain=st.floats(0.05, 5.0),
    seed=st.integers(0, 100),
)
def test_simc_on_what_was_found_is_robust_on_the_true_plant(
    lag_s: float, share: float, gain: float, seed: int
) -> None:
    dead_s = max(2.0, share * lag_s)
    true = Process.lag(gain, lag_s, dead_s)
    allowed = 15.0 * gain  # the step alone makes 10
    experiment = StepTest(40.0, 10.0, limits(allowed, 12.0 * (lag_s + dead_s)))
    done = run(experiment, true, noise=0.01 * gain, seed=seed)
    found = fit(done.record)
    proposed = advise(found.process, Tuning(math.copysign(1.0, gain), 100.0), 1.0).proposed
    assert margins(true, proposed.tuning, 1.0).ms <= 1.7


def test_the_output_ends_where_it_began_and_stays_within_its_move() -> None:
    for experiment in (relay(), step(-10.0)):
        done = run(experiment, HEATING, noise=0.05)
        assert done.state is State.DONE
        assert done.step(1e6, 10.0) == 40.0
        outputs = np.asarray(done.record.outputs)
        assert outputs.min() >= 30.0
        assert outputs.max() <= 50.0
        assert abs(np.asarray(done.record.measured) - 10.0).max() <= 5.5


def test_a_step_turns_back_when_it_has_settled() -> None:
    done = run(StepTest(40.0, 1.0, limits(5.0, 20_000.0)), HEATING, noise=0.02)
    away = sum(u != 40.0 for u in done.record.outputs)
    assert 300 < away < 1000  # 3 to 10 lags


@pytest.mark.parametrize(
    ("experiment", "process", "noise", "reason"),
    [
        (relay(20.0, deviation=2.0), Process.lag(9.0, 50.0, 30.0), 0.0, r"went \+.* 2 are allowed"),
        (Relay(40.0, 1.0, limits(), 0.5), HEATING_OFF, 0.0, "did not answer to ± 1 within 5000 s"),
        (relay(), HEATING, 2.0, r"the noise .* leaves no room"),
        (step(20.0, deviation=2.0), Process.lag(9.0, 9.0, 30.0), 0.0, r"make the move smaller"),
        (relay(longest_s=150.0), HEATING, 0.0, "no even oscillation within 150 s"),
    ],
)
def test_it_gives_up_and_says_why(
    experiment: Experiment, process: Process, noise: float, reason: str
) -> None:
    done = run(experiment, process, noise=noise)
    assert done.state is State.ABORTED
    assert done.step(1e6, 10.0) == 40.0
    assert re.search(reason, done.reason), done.reason


def test_a_measurement_that_drifts_or_is_none_stops_it_before_anything_moves() -> None:
    drifting = relay()
    for k in range(100):
        assert drifting.step(float(k), 10.0 + 0.05 * k) == 40.0
    assert drifting.state is State.ABORTED
    assert "not steady: it drifts by 3" in drifting.reason
    broken = step()
    assert broken.step(0.0, math.nan) == 40.0
    assert broken.reason == "the measurement is not a number"
    broken.abort("later")
    assert broken.reason == "the measurement is not a number"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Relay(5.0, 10.0, limits()), "amplitude: 10 is not allowed; 5 ± 10 is outside 0"),
        (lambda: StepTest(95.0, 10.0, limits()), "size: 10 is not allowed; 105 is outside 0 to"),
        (lambda: StepTest(50.0, 0.0, limits()), "move: 0 is not allowed"),
        (lambda: Relay(50.0, 5.0, limits(), cycles=1), "cycles: 1 is not allowed"),
        (lambda: limits(0.0), "deviation: 0 is not allowed"),
    ],
)
def test_an_experiment_that_cannot_be_is_refused(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # pyright: ignore[reportCallIssue] (made above)


def noisy(moves: float) -> Record:
    random = np.random.default_rng(3)
    u = [40.0] * 100 + [40.0 + moves] * 300 + [40.0] * 300
    y = [10.0 + float(v) for v in np.cumsum(random.standard_normal(700))]
    return Record([float(t) for t in range(700)], y, u)


def test_data_that_tell_nothing_are_refused_with_the_reason() -> None:
    with pytest.raises(UnidentifiedError, match=r"only \d+ % of what the measurement did follows"):
        fit(noisy(10.0))
    with pytest.raises(UnidentifiedError, match="the output was not moved"):
        fit(noisy(0.0))
    with pytest.raises(UnidentifiedError, match="10 scans are too few"):
        fit(Record([float(k) for k in range(10)], [1.0] * 10, [2.0] * 10))
    record = run(step(), HEATING).record
    del record.times[50:60], record.measured[50:60], record.outputs[50:60]
    with pytest.raises(UnidentifiedError, match="scans are missing"):
        fit(record)
    with pytest.raises(UnidentifiedError, match="no oscillation was seen"):
        point_of(relay())
    within = [Cycle(10.0, 10.0, 0.2)] * 4
    with pytest.raises(UnidentifiedError, match=r"is within the hysteresis \(0.2\)"):
        ultimate_point(within, 5.0, 0.2)
