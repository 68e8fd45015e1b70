"""The sampled process is the continuous one behind a zero-order hold."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from controller.tuning.process import Plant, Process

PROCESSES = st.builds(
    Process,
    slope=st.floats(0.01, 10.0),
    pole=st.one_of(st.just(0.0), st.floats(1e-3, 3.0)),
    dead_s=st.floats(0.0, 7.3),
    lag2_s=st.one_of(st.just(0.0), st.floats(0.05, 30.0)),
)


@settings(max_examples=25)
@given(PROCESSES)
def test_a_step_of_the_sampled_process_lies_on_the_step_of_the_continuous_one(p: Process) -> None:
    def rhs(_: float, x: np.ndarray) -> list[float]:
        second = (x[0] - x[1]) / p.lag2_s if p.lag2_s else 0.0
        return [p.slope - p.pole * x[0], second]

    times = np.arange(0.0, 20.0, 1.0)
    seen = np.maximum(times - p.dead_s, 0.0)
    exact: Any = solve_ivp(
        rhs, (0.0, 20.0), [0.0, 0.0], t_eval=np.unique(seen), rtol=1e-9, atol=1e-12
    )
    at: NDArray[np.float64] = exact.t
    states: NDArray[np.float64] = exact.y
    wanted = np.asarray(np.interp(seen, at, states[1 if p.lag2_s else 0]), np.float64)
    plant = Plant(p.sampled(1.0))
    stepped = np.array([0.0] + [plant.step(1.0) for _ in times[1:]])
    filtered = p.sampled(1.0).outputs(np.ones(20))
    np.testing.assert_allclose(stepped, wanted, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(filtered, wanted, rtol=1e-6, atol=1e-9)


def test_fast_sampling_has_the_response_of_the_continuous_process() -> None:
    p = Process.lag(2.0, 30.0, 4.0, 5.0)
    omega = np.geomspace(1e-3, 1.0, 20)
    hold = np.exp(-0.5j * omega * 0.01)
    np.testing.assert_allclose(p.sampled(0.01).response(omega), p.response(omega) * hold, rtol=1e-3)


def test_a_lag_and_an_integrator_have_the_ultimate_points_known_by_hand() -> None:
    gain, period = Process(1.0, 0.0, 1.0).ultimate()  # e^-s / s
    assert (gain, period) == (pytest.approx(np.pi / 2), pytest.approx(4.0))
    p = Process.lag(1.0, 1.0, 1.0)  # -180° at the root of w = -tan w
    gain, period = p.ultimate()
    assert 2 * np.pi / period == pytest.approx(2.0287578, rel=1e-6)
    assert gain == pytest.approx(np.hypot(1.0, 2.0287578), rel=1e-6)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((0.0,), "slope: 0 is not allowed"),
        ((float("nan"),), "slope: nan is not allowed"),
        ((1.0, -1.0), "pole: -1 is not allowed; it must be >= 0"),
        ((1.0, 0.0, float("inf")), "dead_s: inf is not allowed"),
    ],
)
def test_what_is_no_process_is_refused(values: tuple[float, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Process(*values)
