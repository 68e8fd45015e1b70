"""``optimal_control``: any model, any problem of inputs over time, by direct collocation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from controller.optimal.collocation import DEGREE, Collocation, Trajectory
from controller.optimal.guesses import profiles
from controller.optimal.problem import EndValue, Floats, Limit, PathValue, Problem, stated
from controller.optimal.rollout import Rollout, resimulate
from drivers.clock import monotonic

COARSE = 20  # intervals of the first look
ELEMENTS = 60  # of the states, at least, all intervals together
GUESSES = 240  # profiles that are looked at
LOOKED_INTO = 6  # of them, each as far from the others as the best allow
PATIENCE_S = 30.0  # after which no further start is tried
EXACT = 1e-5  # how far the objective may be from the re-simulated one, and a limit be broken
FINER = 2  # times the elements are doubled for that


@dataclass(frozen=True)
class Solution:
    """Inputs over time, and what they make.

    Attributes:
        inputs: shape (k, m), each row for one of k intervals of the same length.
        times: shape (k + 1,), in the model's unit.
        states: re-simulated at ``times``, shape (k + 1, n).
        objective: what the solver says.
        objective_resimulated: what SciPy's integration of ``inputs`` says, at rtol 1e-9.
        violation: the greatest, of any limit or bound, re-simulated, as a share of the larger
            bound (of 1 where both bounds are 0).
        status: ``solved``, or why the best that was found may not be the best there is.
        seconds: that it took.
    """

    inputs: Floats
    times: Floats
    states: Floats
    objective: float
    objective_resimulated: float
    violation: float
    status: str
    seconds: float


def optimal_control(
    model: Any,
    start: Sequence[float] | Mapping[str, float],
    *,
    end_time: float | tuple[float, float],
    intervals: int,
    maximise_end: EndValue | None = None,
    maximise_path: PathValue | None = None,
    path_limits: Sequence[Limit] = (),
    end_limits: Sequence[Limit] = (),
    parameters: Sequence[float] | Mapping[str, float] | None = None,
    starts: int = 1,
) -> Solution:
    """Return the inputs, constant in each interval, that make the most of a model.

    Maximises ``maximise_end`` plus the integral of ``maximise_path``. Many shapes of inputs are
    tried on a coarse mesh, the best are solved there, and the best of these on the mesh asked for.

    Args:
        model: states, inputs, parameters (each with name, low, high; parameters a default), and
            ``rhs(t, x, u, p, fn)``. Bounds of states and inputs are kept; those of inputs finite.
        start: the states at time 0, in order or by name.
        end_time: in the model's unit; a tuple is the range in which it is chosen too.
        intervals: k.
        maximise_end: ``(t, x, p, fn)``, of the end.
        maximise_path: ``(t, x, u, p, fn)``, integrated over time.
        path_limits: ``(expression(t, x, u, p, fn), low, high)``, at every time.
        end_limits: likewise, of the end.
        parameters: all in order, or some by name; the model's own defaults otherwise.
        starts: how many of the coarse optima are followed to the end.

    Raises:
        ValueError: the problem is not stated as it must be; a line a fault.
        ModelError: the equations branch on a symbol, or call something else than ``fn``.
    """
    began = monotonic()
    problem = stated(
        model, start, end_time, intervals, maximise_end, maximise_path, path_limits, end_limits,
        parameters,
    )  # fmt: skip
    if starts < 1:
        raise ValueError(f"starts: {starts} is not allowed; at least 1 is")
    elements = -(-ELEMENTS // intervals)
    coarse = _coarse(problem, began, starts)
    best: tuple[float, Solution] | None = None
    for guess in coarse[:starts]:
        solution = _fine(problem, guess, elements, began)
        worth = _worth(solution.objective_resimulated, solution.violation, solution.status)
        if best is None or worth > best[0]:
            best = worth, solution
        if monotonic() - began > PATIENCE_S:
            break
    if best is None:
        raise ValueError("start: from it no inputs give finite states")
    return best[1]


def _worth(objective: float, violation: float, status: str) -> float:
    """Return by what two solutions are compared: one that keeps the limits is better."""
    if not np.isfinite(objective):
        return -np.inf
    beyond = max(violation - EXACT, 0.0) + 0.01 * (status != "solved")
    return objective - 10.0 * abs(objective) * beyond


def _coarse(problem: Problem, began: float, starts: int) -> list[Trajectory]:
    """Return different optima on a coarse mesh, the best first."""
    intervals = min(problem.intervals, COARSE)
    elements = -(-ELEMENTS // 2 // intervals)
    rollout = Rollout(problem, intervals, elements)
    seen = [rollout(*profile) for profile in profiles(problem, intervals, GUESSES)]
    seen = sorted((t for t in seen if np.isfinite(t.objective)), key=lambda t: -t.objective)
    mesh = Collocation(problem, intervals, elements, _scale(problem, seen[:20]))
    found: list[Trajectory] = []
    for guess in _apart(problem, seen, LOOKED_INTO + 2 * (starts - 1)):
        found.append(mesh.solve(guess))
        if monotonic() - began > PATIENCE_S / 2:
            break
    found.sort(key=lambda t: -_worth(t.objective, 0.0, t.status))
    return _unlike(problem, found)


def _apart(problem: Problem, seen: Sequence[Trajectory], count: int) -> list[Trajectory]:
    """Return the best guess and others, each good and unlike those before it."""
    chosen: list[Trajectory] = []
    for least in (0.3, 0.15, 0.05, 0.0):
        for guess in seen:
            if len(chosen) == count:
                return chosen
            if all(_distance(problem, guess, other) > least for other in chosen):
                chosen.append(guess)
    return chosen


def _unlike(problem: Problem, found: Sequence[Trajectory]) -> list[Trajectory]:
    """Return the solutions without those that are one that came before."""
    kept: list[Trajectory] = []
    for one in found:
        if all(_distance(problem, one, other) > 1e-3 for other in kept):
            kept.append(one)
    return kept


def _distance(problem: Problem, a: Trajectory, b: Trajectory) -> float:
    """Return the mean difference of two profiles, as a share of the range of the inputs."""
    off = np.abs(a.inputs - b.inputs) / (problem.high - problem.low)
    return float(off.mean()) + abs(a.end_time - b.end_time) / problem.end_time[1]


def _scale(problem: Problem, seen: Sequence[Trajectory]) -> Floats:
    """Return a usual size of each state."""
    n = len(problem.states)
    size = np.abs(problem.start)
    if seen:
        tops = [np.abs(t.states).reshape(-1, n).max(axis=0) for t in seen]
        size = np.maximum(size, np.median(tops, axis=0))
    return np.where(size > 1e-12, size, 1.0)


def _fine(problem: Problem, guess: Trajectory, elements: int, began: float) -> Solution:
    """Solve on the mesh asked for, on finer elements until the re-simulation agrees."""
    found, best, worth = guess, None, -np.inf
    for k in range(FINER + 1):
        mesh = Collocation(problem, problem.intervals, elements * 2**k, _scale(problem, [found]))
        found = mesh.solve(_moved(problem, found, mesh))
        solution = _checked(problem, found, began)
        objective, violation = solution.objective_resimulated, solution.violation
        if best is None or _worth(objective, violation, found.status) > worth:
            best, worth = solution, _worth(objective, violation, found.status)
        exact = abs(objective - found.objective) <= EXACT * max(abs(objective), 1e-9)
        late = monotonic() - began > PATIENCE_S
        if (exact and violation <= EXACT) or late or found.status != "solved":
            break
    assert best is not None  # FINER is not negative
    return best


def _checked(problem: Problem, found: Trajectory, began: float) -> Solution:
    """Return a trajectory with what its inputs really make."""
    times, states, objective, violation = resimulate(problem, found)
    return Solution(
        inputs=found.inputs,
        times=times,
        states=states,
        objective=found.objective,
        objective_resimulated=objective,
        violation=violation,
        status=found.status,
        seconds=monotonic() - began,
    )


def _moved(problem: Problem, known: Trajectory, mesh: Collocation) -> Trajectory:
    """Return a trajectory on another mesh: inputs as they are there, states in between."""
    n, end = len(problem.states), known.end_time
    count = len(known.states)
    own = Collocation(problem, len(known.inputs), count // len(known.inputs), mesh.scale)
    at = np.concatenate([[0.0], own.times(end).ravel()])
    states = np.concatenate([problem.start[None], known.states.reshape(-1, n)])
    wanted = mesh.times(end)
    moved = np.stack([np.interp(wanted.ravel(), at, states[:, i]) for i in range(n)], axis=1)
    middles = (np.arange(mesh.intervals) + 0.5) / mesh.intervals * len(known.inputs)
    inputs = known.inputs[middles.astype(int)]
    shape = (mesh.count, DEGREE, n)
    return Trajectory(end, inputs, moved.reshape(shape), known.objective, known.status)
