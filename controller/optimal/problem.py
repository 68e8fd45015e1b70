"""An optimal-control problem as somebody states it, checked and turned into CasADi functions."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import casadi
import numpy as np
from numpy.typing import NDArray

from models.model import Functions, ModelError, Variable
from models.symbolic import SYMBOLS, no_float_of_a_symbol

ca: Any = casadi  # its stubs leave most results untyped
Floats = NDArray[np.float64]
EndValue = Callable[[Any, Sequence[Any], Sequence[Any], Functions], Any]  # (t, x, p, fn)
PathValue = Callable[[Any, Sequence[Any], Sequence[Any], Sequence[Any], Functions], Any]
Limit = tuple[PathValue, float, float]  # (t, x, u, p, fn), low, high


@dataclass(frozen=True)
class Limits:
    """Expressions that must stay between bounds.

    Attributes:
        function: CasADi ``(t, x, u) -> (k, 1)``.
        low: shape (k,).
        high: shape (k,).
    """

    function: Any
    low: Floats
    high: Floats

    @property
    def size(self) -> Floats:
        """By what a violation is divided: the larger bound of each, or 1 where both are 0."""
        bounds = np.stack([self.low, self.high])
        largest = np.where(np.isfinite(bounds), np.abs(bounds), 0.0).max(axis=0, initial=0.0)
        return np.where(largest > 0.0, largest, 1.0)

    def broken(self, t: float, x: Floats, u: Floats) -> float:
        """Return the greatest violation at one point, relative; 0 where there is none."""
        if not self.low.size:
            return 0.0
        value = np.asarray(self.function(t, x, u)).ravel()
        return float((np.maximum(self.low - value, value - self.high) / self.size).max(initial=0.0))


@dataclass(frozen=True)
class Problem:
    """The problem: dynamics, what is maximised, limits, all as CasADi functions of numbers.

    Attributes:
        states: of the model.
        inputs: of the model; their bounds are finite.
        start: state at time 0, shape (n,).
        end_time: least and greatest final time, in the model's unit; equal where it is given.
        intervals: of the piecewise constant inputs, all of one length.
        rhs: ``(t, x, u) -> dx/dt``.
        gain: ``(t, x, u) -> 1``, integrated over time.
        prize: ``(t, x) -> 1``, of the end.
        path: limits at every time, the bounds of the states among them.
        end: limits at the final time, with the last interval's inputs.
    """

    states: tuple[Variable, ...]
    inputs: tuple[Variable, ...]
    start: Floats
    end_time: tuple[float, float]
    intervals: int
    rhs: Any
    gain: Any
    prize: Any
    path: Limits
    end: Limits

    @property
    def low(self) -> Floats:
        """Least inputs, shape (m,)."""
        return np.array([v.low for v in self.inputs], dtype=float)

    @property
    def high(self) -> Floats:
        """Greatest inputs, shape (m,)."""
        return np.array([v.high for v in self.inputs], dtype=float)


def stated(
    model: Any,
    start: Sequence[float] | Mapping[str, float],
    end_time: float | tuple[float, float],
    intervals: int,
    maximise_end: EndValue | None,
    maximise_path: PathValue | None,
    path_limits: Sequence[Limit],
    end_limits: Sequence[Limit],
    parameters: Sequence[float] | Mapping[str, float] | None,
) -> Problem:
    """Return the problem, or say all that is wrong with it.

    Raises:
        ValueError: a line a fault: where, what, and what is allowed.
        ModelError: the equations cannot be used on symbols.
    """
    states, inputs = tuple(model.states), tuple(model.inputs)
    known = tuple(getattr(model, "parameters", ()))
    faults: list[str] = []
    x0 = _numbers("start", states, start, faults)
    defaults = {v.name: v.default for v in known}
    given = parameters if isinstance(parameters, Sequence) else {**defaults, **(parameters or {})}
    p0 = _numbers("parameters", known, given, faults)
    ends = end_time if isinstance(end_time, tuple) else (end_time, end_time)
    if not 0.0 < ends[0] <= ends[1] < math.inf:
        faults.append(f"end_time: {end_time} is not allowed; 0 < least <= greatest is")
    if intervals < 1:
        faults.append(f"intervals: {intervals} is not allowed; at least 1 is")
    if maximise_end is None and maximise_path is None:
        faults.append("maximise_end, maximise_path: one of them is required")
    if not inputs:
        faults.append("inputs: the model has none; there is nothing to choose")
    for v in inputs:
        if not -math.inf < v.low < v.high < math.inf:
            faults.append(
                f"input {v.name}: {v.low:g} to {v.high:g} is not allowed; two finite bounds are"
            )
    for where, limits in (("path_limits", path_limits), ("end_limits", end_limits)):
        for k, (_, low, high) in enumerate(limits):
            if not low <= high:
                faults.append(f"{where}[{k}]: {low:g} to {high:g} is not allowed; low <= high is")
    if faults:
        raise ValueError("\n".join(faults))
    t = ca.SX.sym("t")
    x, u = (ca.SX.sym(n, len(v)) for n, v in (("x", states), ("u", inputs)))
    xs, us, ps = list(ca.vertsplit(x)), list(ca.vertsplit(u)), p0.tolist()

    def function(name: str, values: Sequence[Any], arguments: Sequence[Any] = (t, x, u)) -> Any:
        return ca.Function(name, list(arguments), [ca.vertcat(*values) if values else ca.SX(0, 1)])

    def limited(name: str, limits: Sequence[Limit]) -> Limits:
        values = [
            _said(f"{name} limit {k}", e, t, xs, us, ps) for k, (e, _, _) in enumerate(limits)
        ]
        low, high = (np.array([b[i] for b in limits], dtype=float) for i in (1, 2))
        return Limits(function(name, values), low, high)

    slope = _said("rhs", model.rhs, t, xs, us, ps)
    if len(slope := list(slope)) != len(states):
        raise ModelError(f"{type(model).__name__}.rhs: {len(slope)} values, not {len(states)}")
    own = [
        (_State(k), v.low, v.high)
        for k, v in enumerate(states)
        if math.isfinite(v.low) or math.isfinite(v.high)
    ]
    gain = 0.0 if maximise_path is None else _said("maximise_path", maximise_path, t, xs, us, ps)
    prize = 0.0 if maximise_end is None else _said("maximise_end", maximise_end, t, xs, ps)
    return Problem(
        states=states,
        inputs=inputs,
        start=x0,
        end_time=(float(ends[0]), float(ends[1])),
        intervals=intervals,
        rhs=function("rhs", slope),
        gain=function("gain", [gain]),
        prize=function("prize", [prize], (t, x)),
        path=limited("path", [*own, *path_limits]),
        end=limited("end", end_limits),
    )


@dataclass(frozen=True)
class _State:
    """The expression of a bound: one of the states."""

    index: int

    def __call__(self, t: Any, x: Sequence[Any], u: Any, p: Any, fn: Functions) -> Any:
        return x[self.index]


def _numbers(
    where: str,
    variables: Sequence[Variable],
    given: Sequence[float] | Mapping[str, float],
    faults: list[str],
) -> Floats:
    """Return one finite number a variable, in their order; add to ``faults`` what is wrong."""
    names = [v.name for v in variables]
    if isinstance(given, Mapping):
        if set(given) != set(names):
            odd = ", ".join(sorted(set(given) ^ set(names)))
            faults.append(f"{where}: {odd}: missing or unknown; {', '.join(names)} are required")
            return np.zeros(len(names))
        given = [given[n] for n in names]
    found = np.asarray(given, dtype=float)
    if found.shape != (len(names),) or not np.isfinite(found).all():
        faults.append(f"{where}: {given} is not allowed; finite {', '.join(names) or 'none'} are")
        return np.zeros(len(names))
    return found


def _said(name: str, expression: Callable[..., Any], *arguments: Any) -> Any:
    """Return what an expression says on symbols.

    Raises:
        ModelError: it calls ``math`` on a symbol or branches on one.
    """
    try:
        with no_float_of_a_symbol():
            return expression(*arguments, SYMBOLS)
    except TypeError as error:
        raise ModelError(f"{name}: {error}; only + - * / ** and fn's functions are known") from None
