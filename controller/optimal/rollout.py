"""What inputs make of a problem: a quick look for guesses, and the exact one for the result."""

import itertools
from functools import cached_property
from typing import Any

import casadi
import numpy as np
from scipy.integrate import solve_ivp

from controller.optimal.collocation import DEGREE, POINTS, Trajectory
from controller.optimal.problem import Floats, Problem

ca: Any = casadi  # its stubs leave most results untyped

SUBSTEPS = 2  # between two collocation points
PENALTY = 10.0  # a guess that is beyond a limit by its whole size counts this much worse
LOOKS = 8  # at the path limits, in each interval
ABSURD = 1e8  # times a state's usual size


class Rollout:
    """Integrates a problem at the collocation points of a mesh, stiff as it may be, in little time.

    Args:
        problem: whose dynamics.
        intervals: of the inputs.
        elements: in each.
    """

    def __init__(self, problem: Problem, intervals: int, elements: int) -> None:
        self.problem, self.intervals, self.elements = problem, intervals, elements
        count = intervals * elements
        gaps = np.tile(np.repeat(np.diff(POINTS) / SUBSTEPS, SUBSTEPS), count) / count
        self._gaps = gaps  # shares of the final time
        self._at = np.concatenate([[0.0], np.cumsum(gaps)[:-1]])
        self._of = np.repeat(np.arange(intervals), elements * DEGREE * SUBSTEPS)

    def __call__(self, inputs: Floats, end_time: float, status: str = "guess") -> Trajectory:
        """Return the trajectory of ``inputs``, shape (k, m)."""
        p = self.problem
        made = self._all(
            p.start, (self._at * end_time)[None], (self._gaps * end_time)[None], inputs[self._of].T
        )
        states = np.asarray(made[0]).T[SUBSTEPS - 1 :: SUBSTEPS]
        gains, broken = np.asarray(made[1]).ravel(), np.asarray(made[2]).ravel()
        goal = float(p.prize(end_time, states[-1])) + float(gains.sum())
        shape = (self.intervals * self.elements, DEGREE, len(p.states))
        worst = max(float(broken.max(initial=0.0)), p.end.broken(end_time, states[-1], inputs[-1]))
        if not (np.isfinite(states).all() and np.isfinite(goal) and np.isfinite(worst)):
            return Trajectory(end_time, inputs, states.reshape(shape), -np.inf, "not finite")
        goal -= PENALTY * abs(goal) * worst
        return Trajectory(end_time, inputs, states.reshape(shape), goal, status)

    @cached_property
    def _all(self) -> Any:
        """``(x0, t, h, u) -> states, gains, violations`` after every substep.

        One step is the linearly implicit Euler method: of first order, but it damps what is stiff.
        """
        p, n = self.problem, len(self.problem.states)
        x, u = ca.SX.sym("x", n), ca.SX.sym("u", len(p.inputs))
        t, h = ca.SX.sym("t"), ca.SX.sym("h")
        slope = p.rhs(t, x, u)
        after = x + ca.solve(ca.SX.eye(n) - h * ca.jacobian(slope, x), h * slope)
        low, high = (ca.DM(b) for b in (p.path.low, p.path.high))
        value = p.path.function(t + h, after, u)
        over = ca.fmax(ca.fmax(low - value, value - high) / ca.DM(p.path.size), 0.0)
        worst = ca.mmax(over) if p.path.low.size else ca.SX(0.0)
        parts = [after, h * p.gain(t + h, after, u), worst]
        step = ca.Function("step", [x, t, h, u], parts)
        return step.mapaccum(len(self._gaps))


def resimulate(problem: Problem, found: Trajectory) -> tuple[Floats, Floats, float, float]:
    """Integrate with SciPy at a relative tolerance of 1e-9 what ``found`` has as inputs.

    Returns:
        times, shape (k + 1,); states there, shape (k + 1, n); the objective; the greatest
        violation of a limit, relative, at ``LOOKS`` moments of each interval and at the end.
    """
    k, n = len(found.inputs), len(problem.states)
    times = np.linspace(0.0, found.end_time, k + 1)
    size = np.maximum(np.abs(found.states).reshape(-1, n).max(axis=0), np.abs(problem.start))
    tolerance = np.append(
        1e-9 * np.where(size > 0.0, size, 1.0), 1e-9 * abs(found.objective) + 1e-15
    )
    at = np.append(problem.start, 0.0)
    states, worst = [problem.start], 0.0
    for u, (begin, end) in zip(found.inputs, itertools.pairwise(times), strict=True):

        def slope(t: float, y: Floats, u: Floats = u) -> Floats:
            return np.append(
                np.asarray(problem.rhs(t, y[:-1], u)).ravel(), float(problem.gain(t, y[:-1], u))
            )

        looks: Floats = np.linspace(float(begin), float(end), LOOKS + 1)
        part = solve_ivp(slope, (begin, end), at, "LSODA", looks, rtol=1e-9, atol=tolerance)
        if part.status != 0:
            return times, np.array(states), float("nan"), float("inf")
        worst = max(
            worst,
            *(problem.path.broken(t, y[:-1], u) for t, y in zip(part.t, part.y.T, strict=True)),
        )
        at = part.y[:, -1]
        states.append(at[:-1])
    worst = max(worst, problem.end.broken(found.end_time, at[:-1], found.inputs[-1]))
    goal = float(problem.prize(found.end_time, at[:-1])) + float(at[-1])
    return times, np.array(states), goal, worst
