"""Both filters against the textbook's on a linear model, where all three are the same."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from models.kalman import sigma_step, slope_step
from models.model import Functions, Variable
from models.symbolic import Compiled, compiled

Floats = NDArray[np.float64]
A = np.array([[-0.5, 0.2], [0.0, -0.1]])
C = np.array([[1.0, 0.0], [1.0, 2.0]])


class Linear:
    """Two states, of which only sums are seen."""

    name = "linear"
    time_unit: Literal["h", "s"] = "h"
    states = (Variable("a", "1", low=-1e9, high=1e9), Variable("b", "1", low=-1e9, high=1e9))
    inputs = (Variable("u", "1"),)
    parameters = (Variable("k", "1", 1.0),)
    outputs = (Variable("y", "1"), Variable("z", "1"))

    def rhs(
        self, t: Any, x: Sequence[Any], u: Sequence[Any], p: Sequence[Any], fn: Functions
    ) -> Sequence[Any]:
        a, b = x
        return A[0, 0] * a + A[0, 1] * b + p[0] * u[0], A[1, 1] * b

    def output(
        self, t: Any, x: Sequence[Any], u: Sequence[Any], p: Sequence[Any], fn: Functions
    ) -> Sequence[Any]:
        return C[0, 0] * x[0], C[1, 0] * x[0] + C[1, 1] * x[1]


STEPS = {"ukf": sigma_step, "ekf": slope_step}


def step(method: str) -> Compiled:
    function = STEPS[method](Linear(), name=f"fl_linear_{method}")
    made = compiled([function], None)[function.name()]
    values = ([1.0, 2.0], [0.5, 0.1, 0.1, 0.3], [0.0], [1.0], [0.1], [0.0, 0.0], [1.2, 5.5])
    more = ([0.1, 0.2], [9.0, 9.0], [1.0, 1.0])
    for buffer, given in zip(made.arguments, (*values, *more), strict=True):
        for i, value in enumerate(given):
            buffer[i] = value
    return made


def textbook(moved: Floats, free: Floats, count: int) -> tuple[Floats, Floats]:
    """Return mean and covariance of Kalman's filter, states that are not free in Schmidt's way."""
    f = np.linalg.matrix_power(np.eye(2) + A * 1e-5, 10_000)  # exp(A h)
    p = f @ np.array([[0.5, 0.1], [0.1, 0.3]]) @ f.T
    x = moved
    for c, z, r in zip(C[:count], (1.2, 5.5), (0.1, 0.2), strict=False):
        gain = free * (p @ c) / (c @ p @ c + r)
        left = np.eye(2) - np.outer(gain, c)
        x = x + gain * (z - c @ x)
        p = left @ p @ left.T + np.outer(gain, gain) * r
    return x, p


@pytest.mark.parametrize("method", STEPS)
@pytest.mark.parametrize("free", [(1.0, 1.0), (1.0, 0.0)])
def test_a_linear_model_gets_what_the_textbook_says(method: str, free: tuple[float, float]) -> None:
    made = step(method)
    for i, value in enumerate(free):
        made.arguments[9][i] = value
    if 0.0 in free:  # measurements of one step know of each other whether a state moves or not
        made.arguments[8][1] = 0.0
    made()
    moved = np.linalg.matrix_power(np.eye(2) + A * 1e-5, 10_000) @ np.array([1.0, 2.0])
    x, p = textbook(moved, np.array(free), 1 if 0.0 in free else 2)
    assert np.array(made.results[0]) == pytest.approx(x, rel=1e-3)
    assert np.array(made.results[1]).reshape(2, 2) == pytest.approx(p, rel=2e-3)


@pytest.mark.parametrize("method", STEPS)
def test_what_is_outside_its_gate_moves_nothing_and_tells_nothing(method: str) -> None:
    made = step(method)
    for i in range(2):
        made.arguments[6][i] = 1e3
    made()
    assert all(abs(i) > 100.0 for i in made.results[2])
    assert list(made.results[4]) == [0.0, 0.0]


@pytest.mark.parametrize("method", STEPS)
def test_what_is_frozen_is_told_as_much_as_what_is_free(method: str) -> None:
    made = step(method)
    made.arguments[8][1] = 0.0  # one measurement: with two the first would change the second
    made()
    free = list(made.results[4])
    made.arguments[9][1] = 0.0
    made()
    assert list(made.results[4]) == pytest.approx(free)
    assert all(value > 0.0 for value in free)
