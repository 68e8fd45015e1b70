"""Health of loops whose trouble is known: our own PID on a process with a valve that may stick."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from controller.loops.health import Health, Trace, health
from controller.loops.pid import Pid
from controller.tuning.process import Plant, Process
from controller.tuning.rules import simc

PROCESS = Process.lag(2.0, 100.0, 10.0)  # u in %, as a heater
CALM = simc(PROCESS, 1.0)
ULTIMATE = PROCESS.ultimate()


def record(
    hours: float = 3.0,
    *,
    process: Process = PROCESS,
    kp: float = CALM.kp,
    ti_s: float = CALM.ti_s,
    sticks: float = 0.0,
    noise: float = 0.05,
    load: Callable[[int], float] = lambda _: 0.0,
    band: float = 0.5,
    seed: int = 1,
) -> Trace:
    """Return what is stored of a loop in AUTO at 37; its load wanders as a batch's does."""
    random = np.random.default_rng(seed)
    n, y, position, wander = round(hours * 3600), 0.0, 50.0, 0.0
    pid, plant = Pid(kp, ti_s), Plant(process.sampled(1.0))
    pid.track(37.0, 37.0, 50.0)
    measured, output = np.zeros(n), np.zeros(n)
    for k in range(n):
        wander = 0.995 * wander + 0.05 * float(random.standard_normal())
        measured[k] = 37.0 + y + noise * float(random.standard_normal())
        wanted = pid.update(37.0, float(measured[k]), 1.0)
        output[k] = min(max(wanted, 0.0), 100.0)
        if output[k] != wanted:
            pid.limit(float(output[k]))
        if abs(output[k] - position) >= sticks:
            position = float(output[k])
        y = plant.step(position - 50.0 + wander + load(k))
    return Trace(
        1e9 + np.arange(n, dtype=np.float64),
        measured,
        np.full(n, 37.0),
        output,
        np.full(n, 2.0),
        0.0,
        100.0,
        band,
    )


def test_a_good_loop_is_called_good() -> None:
    found = health(record())
    assert found.verdict == "good"
    assert found.good
    assert found.in_band > 0.97
    assert found.oscillating == 0.0
    assert found.judged_h == pytest.approx(3.0, abs=0.01)
    assert found.modes == {"AUTO": 1.0}
    assert found.bad == found.saturated == 0.0


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("process", [PROCESS, Process(0.01, 0.0, 15.0)])
def test_a_sticking_valve_is_suspected(process: Process, seed: int) -> None:
    p = simc(process, 1.0)
    found = health(record(process=process, kp=p.kp / 2, ti_s=p.ti_s, sticks=3.0, seed=seed))
    assert found.stiction > 0.75
    assert "as a sticking valve" in found.verdict


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_tuning_that_is_too_tight_is_no_sticking_valve(seed: int) -> None:
    gain, period_s = ULTIMATE
    found = health(record(kp=0.9 * gain, ti_s=3 * period_s, seed=seed, band=0.2))
    assert found.oscillating == 1.0
    assert found.oscillation.index > 0.8
    assert found.oscillation.period_s == pytest.approx(period_s * 1.1, rel=0.15)
    assert found.stiction < 0.6
    assert "tune" in found.verdict


def test_a_disturbance_from_outside_is_a_smooth_oscillation_of_its_period() -> None:
    found = health(record(load=lambda k: 4.0 * math.sin(2 * math.pi * k / 400)))
    assert found.oscillation.period_s == pytest.approx(400.0, rel=0.02)
    assert "if it goes on in MANUAL it comes from outside" in found.verdict


def test_an_output_at_its_limit_is_no_matter_of_tuning() -> None:
    found = health(record(load=lambda k: -60.0 if k > 4000 else 0.0))
    assert found.saturated > 0.4
    assert "output at its upper limit" in found.verdict
    assert "it can give no more, and no tuning helps there" in found.verdict
    assert found.beyond > 0.9


def test_a_slow_loop_is_told_from_an_oscillating_one() -> None:
    steps = np.random.default_rng(4).normal(0.0, 2.0, 40)
    found = health(record(kp=CALM.kp / 20, ti_s=400.0, load=lambda k: float(steps[k // 600])))
    assert found.in_band < 0.9
    assert found.oscillating == 0.0
    assert "as a sticking valve or sudden loads make it" in found.verdict
    found = health(record(kp=CALM.kp / 5, seed=12))
    assert "too slow, or disturbed by more than it can take" in found.verdict


def test_noise_that_reaches_the_actuator_is_seen_in_its_travel() -> None:
    found = health(record(noise=0.3, band=2.0))
    assert found.travel > 2000.0
    assert found.reversals > 100.0
    assert "strokes an hour" in found.verdict


def test_hands_bad_data_and_little_data_are_said_first() -> None:
    trace = record(1.0)
    n = len(trace.times)
    hand = replace(trace, mode=np.where(np.arange(n) < 2300, 1.0, 2.0))
    found = health(hand)
    assert found.modes["MANUAL"] == pytest.approx(2300 / n)
    assert found.verdict.startswith("in automatic only 36.1 % of the time: ask why")
    assert health(replace(trace, mode=np.ones(n))).verdict == "not in automatic: nothing to judge"
    gone = np.where(np.arange(n) % 10 == 0, math.nan, trace.measured)
    found = health(replace(trace, measured=gone))
    assert found.bad == pytest.approx(0.1)
    assert found.verdict.startswith("measurement BAD 10 % of the time")
    assert health(record(0.1)).verdict == "too little data: 6 min; 20 min are required"
    empty = np.zeros(0)
    none = Trace(empty, empty, empty, empty, empty, 0.0, 100.0)
    assert health(none).verdict == "too little data: 0 min; 20 min are required"


def test_figures_are_those_known_by_hand() -> None:
    n = 3600
    times = np.arange(n, dtype=np.float64)
    error = np.where(times < 900, 1.0, 0.1)
    output = np.where((times // 60) % 2 == 0, 20.0, 30.0)
    trace = Trace(times, 5.0 - error, np.full(n, 5.0), output, np.full(n, 2.0), 0.0, 50.0, band=0.2)
    found = health(trace)
    assert found.in_band == pytest.approx(0.75)
    assert found.iae == pytest.approx(0.25 * 1.0 + 0.75 * 0.1)
    assert found.error == pytest.approx(0.325)
    assert found.travel == pytest.approx(59 * 20.0, rel=1e-3)  # 59 moves of 20 % of span
    assert found.reversals == pytest.approx(58, abs=0.1)


def test_a_gap_ends_a_stretch_and_counts_for_nothing() -> None:
    trace = record(1.0)
    late = np.where(np.arange(3600) < 1800, trace.times, trace.times + 36_000.0)
    found = health(replace(trace, times=late))
    assert found.hours == pytest.approx(11.0, abs=0.01)
    assert found.judged_h == pytest.approx(1.0, abs=0.01)
    assert found.iae == pytest.approx(health(trace).iae, rel=0.01)


def test_without_a_band_nothing_is_said_of_it() -> None:
    found: Health = health(record(1.0, band=math.nan))
    assert math.isnan(found.in_band)
    assert found.verdict == "good"
