"""Probes lag, delay, drift and round as their numbers say; drives ramp, lag and stop."""

import math

import pytest

from sim.instruments import Drive, Instrument


def test_a_lag_is_exact_for_any_step() -> None:
    fine, coarse = Instrument(20.0, 0.0), Instrument(20.0, 0.0)
    slow = [fine.show(1.0, 0.1 * k, 0.1, 0.0) for k in range(200)][-1]
    quick = [coarse.show(1.0, float(k), 1.0, 0.0) for k in range(20)][-1]
    assert slow == pytest.approx(1.0 - math.exp(-1.0), rel=1e-9)
    assert quick == pytest.approx(slow, rel=1e-9)


def test_a_sample_line_shows_the_past() -> None:
    probe = Instrument(0.0, 0.0, delay_s=5.0, start=20.0)
    shown = [probe.show(20.0 if k < 3 else 21.0, float(k), 1.0, 0.0) for k in range(20)]
    assert shown[:8] == [20.0] * 8
    assert shown[8:] == [21.0] * 12


def test_calibration_drift_noise_and_last_digit_add_up() -> None:
    probe = Instrument(0.0, 0.5, gain=1.1, offset=1.0, drift=2.0, digit=0.01)
    assert probe.show(10.0, 43200.0, 1.0, 0.333) == pytest.approx(11.0 + 1.0 + 1.0 + 0.17)


def test_a_stirrer_takes_its_time() -> None:
    drive = Drive(1000.0, ramp=50.0)
    moved = [drive.move(120.0, 0.0, 1.0) for _ in range(4)]
    assert moved == [25.0, 75.0, 110.0, 120.0]
    assert drive.value == 120.0


def test_a_pump_gives_its_calibration_no_more_than_it_can_and_stops_below_its_least() -> None:
    pump = Drive(5.0, lag_s=1.0, gain=1.03, least=0.005)
    for wanted, given in ((9.0, 5.0 * 1.03), (0.004, 0.0), (3.0, 3.0 * 1.03), (-3.0, 0.0)):
        flow = [pump.move(wanted, 0.0, 1.0) for _ in range(60)][-1]
        assert flow == pytest.approx(given)


def test_the_mean_over_a_step_is_the_dose_that_was_given() -> None:
    fine, coarse = Drive(5.0, lag_s=1.0), Drive(5.0, lag_s=1.0)
    a = sum(fine.move(2.0, 0.0, 0.001) * 0.001 for _ in range(3000))
    b = sum(coarse.move(2.0, 0.0, 1.0) for _ in range(3))
    assert a == pytest.approx(b, rel=1e-3)


def test_tubing_wears() -> None:
    pump = Drive(200.0, wear=0.05)
    assert pump.move(100.0, 86400.0, 1.0) == pytest.approx(95.0)


def test_a_valve_that_sticks_moves_only_for_a_change_that_counts_and_always_closes() -> None:
    valve = Drive(100.0, dead=0.5)
    wanted = (10.0, 10.4, 9.6, 10.6, 0.3, 0.0)
    assert [valve.move(w, 0.0, 1.0) for w in wanted] == [10.0, 10.0, 10.0, 10.6, 0.3, 0.0]


def test_what_has_a_least_runs_at_its_low_or_stands_and_what_has_none_never_stands() -> None:
    stirrer, head = Drive(110.0, low=40.0, least=20.0), Drive(2.5, low=1.2)
    assert [stirrer.move(w, 0.0, 1.0) for w in (30.0, 60.0, 20.0)] == [40.0, 60.0, 0.0]
    assert [head.move(w, 0.0, 1.0) for w in (0.0, 1.8, 9.0)] == [1.2, 1.8, 2.5]
