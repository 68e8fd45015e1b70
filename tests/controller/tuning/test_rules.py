"""Rules and margins against the published figures of S. Skogestad, J. Process Control 13 (2003)."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.loops.pid import Tuning
from controller.tuning.identify import UltimatePoint
from controller.tuning.margins import margins
from controller.tuning.predict import predict
from controller.tuning.process import Process
from controller.tuning.proposal import advise
from controller.tuning.rules import first_order, simc, tyreus_luyben, ziegler_nichols

FINE = 1e-3  # s: a scan that is next to continuous for dead times of a second


@pytest.mark.parametrize(
    ("process", "ms", "gain_margin", "phase_margin", "delay_margin"),
    [  # its table 1: SIMC with tau_c = dead time
        (Process.lag(1.0, 1.0, 1.0), 1.59, 3.14, 61.4, 2.14),
        (Process(1.0, 0.0, 1.0), 1.70, 2.96, 46.9, 1.59),
    ],
)
def test_the_margins_of_simc_are_those_of_its_table(
    process: Process, ms: float, gain_margin: float, phase_margin: float, delay_margin: float
) -> None:
    p = simc(process, FINE)
    found = margins(process, Tuning(p.kp, p.ti_s), FINE)
    assert found.stable
    assert found.robust == (found.ms <= 1.7)
    assert found.ms == pytest.approx(ms, abs=0.006)
    assert found.gain_margin == pytest.approx(gain_margin, abs=0.01)
    assert found.phase_margin == pytest.approx(phase_margin, abs=0.1)
    assert found.delay_margin_s == pytest.approx(delay_margin, abs=0.01)


@pytest.mark.parametrize(
    ("process", "lags", "kp", "ti_s", "ms"),
    [  # its examples: E1, E2 as it is reduced there, E4, and the lag with delay of its fig. 3
        (Process.lag(1.0, 1.0, 0.0, 0.2), (), 5.5, 0.8, 1.56),
        (Process.lag(1.0, 1.0, 0.0, 0.2), (0.04, 0.008), 3.72, 1.1, None),
        (Process.lag(1.0, 20.0, 1.0), (), 10.0, 8.0, None),
    ],
)
def test_the_settings_of_its_examples(
    process: Process, lags: tuple[float, ...], kp: float, ti_s: float, ms: float | None
) -> None:
    p = simc(first_order(process, *lags), 1e-9)
    assert (p.kp, p.ti_s) == (pytest.approx(kp, rel=2e-3), pytest.approx(ti_s, rel=2e-3))
    if ms is not None:
        assert margins(process, Tuning(p.kp, p.ti_s), FINE).ms == pytest.approx(ms, abs=0.006)


def test_an_integrator_takes_every_lag_as_dead_time() -> None:
    """Its example E6: two lags of 0.83 and one of 0.028 make 1.69 of dead time."""
    reduced = first_order(Process(1.0, 0.0, 0.0, 0.83), 0.83, 0.028)
    assert reduced.dead_s == pytest.approx(1.69, abs=0.003)
    p = simc(reduced, 1e-9)
    assert (p.kp, p.ti_s) == (pytest.approx(0.296, abs=0.001), pytest.approx(13.5, abs=0.05))


def test_tyreus_luyben_and_ziegler_nichols_are_as_printed() -> None:
    point = UltimatePoint(3.2, 10.0)
    assert (tyreus_luyben(point).kp, tyreus_luyben(point).ti_s) == (1.0, 22.0)
    z = ziegler_nichols(point)
    assert (z.kp, z.ti_s) == (pytest.approx(1.44), pytest.approx(10 / 1.2))


def test_filter_and_scan_count_as_dead_time() -> None:
    process = Process.lag(1.0, 100.0, 10.0)
    plain, filtered = simc(process, 1e-9), simc(process, 1e-9, filter_s=4.0)
    assert filtered.kp == pytest.approx((100.0 + 2.0) / (2 * 12.0))
    assert simc(process, 4.0).kp == pytest.approx(100.0 / (2 * 12.0))
    assert filtered.kp < plain.kp


def test_a_negative_process_gets_a_negative_gain() -> None:
    process = Process.lag(-2.0, 10.0, 1.0)
    p = simc(process, FINE)
    assert p.kp < 0
    assert margins(process, Tuning(p.kp, p.ti_s), FINE).ms < 1.7
    with pytest.raises(ValueError, match="moves the measurement the other way"):
        advise(process, Tuning(1.0, 10.0), 1.0)


TUNINGS = st.builds(
    Tuning,
    kp=st.floats(0.02, 40.0),
    ti_s=st.floats(2.0, 500.0),
    td_s=st.one_of(st.just(0.0), st.floats(0.5, 20.0)),
    filter_s=st.one_of(st.just(0.0), st.floats(0.5, 20.0)),
)
PROCESSES = st.builds(
    Process,
    slope=st.floats(0.01, 1.0),
    pole=st.one_of(st.just(0.0), st.floats(0.002, 0.2)),
    dead_s=st.floats(0.0, 30.0),
    lag2_s=st.one_of(st.just(0.0), st.floats(0.5, 30.0)),
)


@settings(max_examples=25)
@given(PROCESSES, TUNINGS)
def test_the_margins_say_whether_our_own_pid_holds_the_process(p: Process, t: Tuning) -> None:
    found = margins(p, t, 1.0)
    if found.stable and found.ms > 6:
        return  # so near the limit that a finite run shows neither
    late = predict(p, t, 1.0, 6000.0, setpoint=1.0)
    end, middle = abs(late.measured[-500:] - 1.0).max(), abs(late.measured[1500:3000] - 1.0).max()
    if found.stable:
        assert end < 0.1
    else:
        assert end > 1e-3
        assert end >= 0.5 * middle  # it does not die away


def test_a_gain_at_the_margin_oscillates_for_ever_and_beyond_it_grows() -> None:
    process, t = Process.lag(1.0, 60.0, 10.0), Tuning(2.0, 60.0)
    limit = margins(process, t, 1.0).gain_margin
    assert margins(process, Tuning(2.0 * limit * 0.99, 60.0), 1.0).stable
    assert not margins(process, Tuning(2.0 * limit * 1.01, 60.0), 1.0).stable
    wave = predict(process, Tuning(2.0 * limit, 60.0), 1.0, 4000.0, setpoint=1.0).measured
    early, late = abs(wave[500:1500] - 1).max(), abs(wave[3000:] - 1).max()
    assert late == pytest.approx(early, rel=0.05)


def test_a_dead_time_at_the_margin_oscillates_for_ever() -> None:
    process, t = Process.lag(1.0, 60.0, 10.0), Tuning(2.5, 60.0, filter_s=3.0)
    extra = margins(process, t, 1.0).delay_margin_s
    assert margins(Process.lag(1.0, 60.0, 10.0 + 0.98 * extra), t, 1.0).stable
    assert not margins(Process.lag(1.0, 60.0, 10.0 + 1.02 * extra), t, 1.0).stable


@settings(max_examples=25)
@given(PROCESSES, st.floats(0.0, 30.0))
def test_what_is_proposed_is_robust_on_its_model(p: Process, filter_s: float) -> None:
    advice = advise(p, Tuning(1.0, 100.0, filter_s=filter_s), 1.0)
    assert advice.proposed.margins.stable
    assert advice.proposed.margins.ms <= 1.7
    assert advice.proposed.margins.gain_margin >= 2.0
    assert advice.proposed.tuning.filter_s == filter_s


def test_the_prediction_says_what_a_load_of_an_integrator_ends_in() -> None:
    """A PI removes it: the output ends at minus the load, and IAE is ti / kp times it."""
    process = Process(0.01, 0.0, 5.0)
    p = simc(process, 1.0)
    found = predict(process, Tuning(p.kp, p.ti_s), 1.0, 3000.0, load=3.0)
    assert found.output[-1] == pytest.approx(-3.0, abs=1e-3)
    assert abs(found.measured[-1]) < 1e-3
    assert found.iae == pytest.approx(3.0 * p.ti_s / p.kp, rel=0.1)
    held = predict(process, Tuning(p.kp, p.ti_s), 1.0, 500.0, setpoint=1.0, room=(-1.0, 0.5))
    assert held.output.max() == 0.5
    assert math.isfinite(held.iae)


def test_notes_warn_of_what_a_person_should_know() -> None:
    process = Process.lag(1.0, 100.0, 10.0)
    now = Tuning(100.0, 100.0, td_s=5.0, deadband=0.1)
    notes = " / ".join(advise(process, now, 1.0, tau_c_s=2.0).notes)
    assert "not robust: Ms" in notes
    assert "today's tuning is unstable" in notes
    assert "derivative of 5 s goes" in notes
    assert "the deadband of 0.1 stays" in notes
    assert "the gain changes 0.0" in notes
    with pytest.raises(ValueError, match="tau_c: -1 is not allowed"):
        simc(process, 1.0, tau_c_s=-1.0)
