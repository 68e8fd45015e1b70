"""Orthogonal collocation at Radau points: an optimal-control problem as one for IPOPT.

Source: L. T. Biegler, Nonlinear Programming (SIAM, 2010), chapter 10.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import casadi
import numpy as np

from controller.optimal.problem import Floats, Problem

ca: Any = casadi  # its stubs leave most results untyped

DEGREE = 3
POINTS: Floats = np.array(
    [0.0, *ca.collocation_points(DEGREE, "radau")]
)  # in an element, from 0 to 1
MOST_ITERATIONS = 400


@dataclass(frozen=True)
class Trajectory:
    """Inputs and the states that they make.

    Attributes:
        end_time: in the model's unit.
        inputs: shape (k, m), one row an interval.
        states: shape (elements, DEGREE, n), at the collocation points; the start is not there.
        objective: what is maximised.
        status: what the solver, or whoever made it, says; ``solved``.
    """

    end_time: float
    inputs: Floats
    states: Floats
    objective: float
    status: str


class Collocation:
    """A problem on a mesh: ``intervals`` of the inputs, each of ``elements`` of the states.

    Args:
        problem: what is to be solved.
        intervals: of the inputs; those of the problem, or fewer for a first look.
        elements: in each.
        scale: a usual size of each state, shape (n,); none is 0.
    """

    def __init__(self, problem: Problem, intervals: int, elements: int, scale: Floats) -> None:
        self.problem, self.intervals, self.elements = problem, intervals, elements
        self.scale = scale
        self._of = np.repeat(np.arange(intervals), elements)  # the interval of each element
        self._span = problem.high - problem.low

    @property
    def count(self) -> int:
        """All elements."""
        return self.intervals * self.elements

    def times(self, end_time: float) -> Floats:
        """Return the time of each collocation point, shape (elements, DEGREE)."""
        return end_time / self.count * (np.arange(self.count)[:, None] + POINTS[None, 1:])

    def solve(self, guess: Trajectory) -> Trajectory:
        """Return what IPOPT makes of ``guess``, which is of this mesh; its status is its word."""
        p = self.problem
        low_t, high_t = p.end_time
        unit = high_t
        x = np.clip(guess.states, self._low, self._high) / self.scale
        u = (np.clip(guess.inputs, p.low, p.high) - p.low) / self._span
        begin = np.concatenate([x.ravel(), u.ravel(), [guess.end_time / unit]])
        ones = np.ones((self.count, DEGREE, 1))
        x_low, x_high = ((ones * b / self.scale).ravel() for b in (self._low, self._high))
        size = abs(guess.objective) or 1.0
        result = self._solver(
            x0=begin,
            p=size,
            lbx=np.concatenate([x_low, np.zeros(u.size), [low_t / unit]]),
            ubx=np.concatenate([x_high, np.ones(u.size), [high_t / unit]]),
            lbg=self._bounds[0],
            ubg=self._bounds[1],
        )
        found = np.asarray(result["x"]).ravel()
        stats = self._solver.stats()
        return Trajectory(
            end_time=float(found[-1]) * unit,
            inputs=p.low + self._span * found[x.size : -1].reshape(u.shape),
            states=found[: x.size].reshape(x.shape) * self.scale,
            objective=-float(result["f"]) * size,
            status="solved" if stats["success"] else str(stats["return_status"]),
        )

    @property
    def _low(self) -> Floats:
        return np.array([v.low for v in self.problem.states], dtype=float)

    @property
    def _high(self) -> Floats:
        return np.array([v.high for v in self.problem.states], dtype=float)

    @cached_property
    def _bounds(self) -> tuple[Floats, Floats]:
        """The bounds of the constraints, in the order of ``_solver``."""
        p, n = self.problem, len(self.problem.states)
        zeros = np.zeros(self.count * DEGREE * n)
        own = slice(len(p.path.low) - self._further, None)
        looks = self.count * (DEGREE + 1)
        lows = [np.tile(p.path.low[own] / p.path.size[own], looks)]
        highs = [np.tile(p.path.high[own] / p.path.size[own], looks)]
        lows.append(p.end.low / p.end.size)
        highs.append(p.end.high / p.end.size)
        return np.concatenate([zeros, *lows]), np.concatenate([zeros, *highs])

    @property
    def _further(self) -> int:
        """How many path limits there are that are no plain bound of a state."""
        bounded = sum(np.isfinite(v.low) or np.isfinite(v.high) for v in self.problem.states)
        return len(self.problem.path.low) - bounded

    @cached_property
    def _element(self) -> Any:
        """``(t, h, x0, x (n DEGREE), u) -> defects, gain, limits``, of one element, unscaled u."""
        p, n = self.problem, len(self.problem.states)
        t, h = ca.SX.sym("t"), ca.SX.sym("h")
        start, rest = ca.SX.sym("x0", n), ca.SX.sym("x", n * DEGREE)
        u = ca.SX.sym("u", len(p.inputs))
        scale = ca.DM(self.scale)
        at = [start, *ca.vertsplit(rest, n)]
        slopes, _, weights = ca.collocation_coeff(list(POINTS[1:]))
        defects: list[Any] = []
        limits: list[Any] = []
        gain: Any = 0.0
        for j in range(DEGREE + 1):
            moment, x = t + h * POINTS[j], at[j] * scale
            if self._further:  # at the beginning too: the inputs are others from then on
                own = p.path.function(moment, x, u)[-self._further :]
                limits.append(own / ca.DM(p.path.size[-self._further :]))
            if j > 0:
                slope = sum(slopes[i, j - 1] * at[i] for i in range(DEGREE + 1))
                defects.append(h * p.rhs(moment, x, u) / scale - slope)
                gain += h * weights[j - 1] * p.gain(moment, x, u)
        parts = [ca.vertcat(*defects), gain, ca.vertcat(*limits) if limits else ca.SX(0, 1)]
        return ca.Function("element", [t, h, start, rest, u], parts)

    @cached_property
    def _solver(self) -> Any:
        p, n, count = self.problem, len(self.problem.states), self.count
        xs = ca.MX.sym("x", n * DEGREE, count)
        us = ca.MX.sym("u", len(p.inputs), self.intervals)
        end, size = ca.MX.sym("T"), ca.MX.sym("size")
        final = end * p.end_time[1]
        h = final / count
        inputs = ca.repmat(ca.DM(p.low), 1, self.intervals) + ca.mtimes(
            ca.diag(ca.DM(self._span)), us
        )
        starts = ca.horzcat(ca.DM(p.start / self.scale), xs[-n:, :-1])
        defects, gain, limits = self._element.map(count)(
            h * ca.DM(np.arange(count)).T,
            ca.repmat(h, 1, count),
            starts,
            xs,
            inputs[:, self._of.tolist()],
        )
        last, u = xs[-n:, -1] * ca.DM(self.scale), inputs[:, -1]
        goal = p.prize(final, last) + ca.sum2(gain)
        ends = p.end.function(final, last, u) / ca.DM(p.end.size)
        problem = {
            "x": ca.vertcat(ca.vec(xs), ca.vec(us), end),
            "p": size,
            "f": -goal / size,
            "g": ca.vertcat(ca.vec(defects), ca.vec(limits), ends),
        }
        options = {
            "print_time": False,
            "error_on_fail": False,
            "ipopt": {
                "print_level": 0,
                "sb": "yes",
                "tol": 1e-8,
                "max_iter": MOST_ITERATIONS,
                "mu_strategy": "adaptive",
            },
        }
        return ca.nlpsol("optimal", "ipopt", problem, options)
