"""One step of a Kalman filter on a model, as a CasADi function to be compiled.

Two of them with the same arguments and results: ``sigma_step`` by points, ``slope_step`` by slopes.
``(x, P, u, p, h, q, z, r, gate, free) -> (x, P, innovation, spread, told)``, with n states, m
outputs:

* ``q`` (n): variance that each state gains per unit of model time, beside the propagated one; it
  comes on top of the prediction, so the readings of the next step are the first to tell of it;
* ``z`` (m): what was measured of ``model.output``;
* ``r`` (m): variance of each measurement;
* ``gate`` (m): greatest squared innovation in units of its variance that is taken in; 0
  leaves the measurement out;
* ``free`` (n): 1 for a state that measurements may move, 0 for one that is frozen: its doubt still
  counts, as in Schmidt's filter, but it stays where it is;
* ``innovation`` (m) and ``spread`` (m): difference and its variance, as gated;
* ``told`` (n): information on each state in what was taken in, in units of one over its variance,
  whether it was free to move or not.

Measurements are taken one after another, so that each can be gated by itself. The update is
Joseph's form, which holds for any gain: a covariance cannot lose its sign.
"""

from collections.abc import Sequence
from typing import Any

from models.model import Model
from models.symbolic import Traced, ca, rosenbrock, trace

SPREAD = 3.0**0.5  # of the points, in standard deviations


def sigma_step(model: Model, substeps: int = 1, name: str = "") -> Any:
    """Return a CasADi function that predicts over ``h`` and takes in the measurements.

    Stirling interpolation of second order: the mean and 2 n points on the axes of the covariance
    take the model's Rosenbrock step and are looked at; means and covariances come from first and
    second differences. Where uptake ends within a standard deviation of substrate or acetate the
    points see it, and a slope does not. Covariances are sums of squares and cannot lose their
    sign. Points are put inside the states' bounds.

    Args:
        model: its outputs are the measurements.
        substeps: of the prediction.
        name: of the function; ``fl_MODEL_sigma`` if not given.

    Source: M. Norgaard, N. K. Poulsen, O. Ravn, Automatica 36 (2000) 1627-1638 (DD2).
    """
    traced = trace(model)
    n, m = traced.x.shape[0], traced.output.shape[0]
    move = _moved(model, traced, substeps)
    factor = _factor(n)
    condition = _conditioned(model, n, m)
    x, big_p = ca.MX.sym("x", n), ca.MX.sym("P", n, n)
    u, p = ca.MX.sym("u", traced.u.shape[0]), ca.MX.sym("p", traced.p.shape[0])
    h, q = ca.MX.sym("h"), ca.MX.sym("q", n)
    z, r, gate = ca.MX.sym("z", m), ca.MX.sym("r", m), ca.MX.sym("gate", m)
    free = ca.MX.sym("free", n)

    root = SPREAD * factor(big_p)
    middle = ca.repmat(x, 1, n)
    points = ca.horzcat(x, middle + root, middle - root)
    moved = move.map(2 * n + 1)(points, u, p, h)
    centre = moved[:, 0]
    plus, minus = moved[:, 1 : n + 1], moved[:, n + 1 :]
    first = (plus - minus) / (2.0 * SPREAD)
    second = plus + minus - 2.0 * ca.repmat(centre, 1, n)
    mean = centre + ca.sum2(second) / (2.0 * SPREAD**2)
    bend = (SPREAD**2 - 1.0) / (4.0 * SPREAD**4)
    joint = first @ first.T + bend * (second @ second.T)
    found = condition(mean, joint, q * h, z, r, gate, free)
    return ca.Function(
        name or f"fl_{traced.name}_sigma", [x, big_p, u, p, h, q, z, r, gate, free], [*found]
    )


def slope_step(model: Model, substeps: int = 1, name: str = "") -> Any:
    """Return the step of an extended Kalman filter: covariances by the exact slopes of the step.

    Args:
        model: its outputs are the measurements.
        substeps: of the prediction.
        name: of the function; ``fl_MODEL_slope`` if not given.

    Source: D. Simon, Optimal State Estimation (Wiley, 2006), 13.2.
    """
    traced = trace(model)
    n, m = traced.x.shape[0], traced.output.shape[0]
    move = _moved(model, traced, substeps)
    x, u, p, h = traced.x, traced.u, traced.p, ca.SX.sym("h")
    slopes = ca.Function("slopes", [x, u, p, h], [move(x, u, p, h), _slopes(traced, substeps, h)])
    condition = _conditioned(model, n, m)
    mean, big_p = ca.MX.sym("x", n), ca.MX.sym("P", n, n)
    given = [ca.MX.sym("u", u.shape[0]), ca.MX.sym("p", p.shape[0]), ca.MX.sym("h")]
    q, free = ca.MX.sym("q", n), ca.MX.sym("free", n)
    z, r, gate = ca.MX.sym("z", m), ca.MX.sym("r", m), ca.MX.sym("gate", m)
    inside = ca.Function("inside", [x], [_inside(x, model)])(mean)
    moved, slope = slopes(inside, *given)
    found = condition(moved, slope @ big_p @ slope.T, q * given[2], z, r, gate, free)
    return ca.Function(
        name or f"fl_{traced.name}_slope", [mean, big_p, *given, q, z, r, gate, free], [*found]
    )


def _slopes(traced: Traced, substeps: int, h: Any) -> Any:
    """Return how states and outputs after the step change with the states before it."""
    x, u, p = traced.x, traced.u, traced.p
    step = ca.Function("whole", [x, u, p, h], [rosenbrock(traced, substeps, "inner")(x, u, p, h)])
    seen = ca.substitute(traced.output, traced.t, 0.0)
    look = ca.Function("looked", [x, u, p], [ca.jacobian(seen, x)])
    by_step = ca.jacobian(step(x, u, p, h), x)
    return ca.vertcat(by_step, look(step(x, u, p, h), u, p) @ by_step)


def _moved(model: Model, traced: Traced, substeps: int) -> Any:
    """Return ``(x, u, p, h) -> (x, y)`` after the step, stacked; ``x`` is put inside first."""
    x, u, p, h = traced.x, traced.u, traced.p, ca.SX.sym("h")
    after = rosenbrock(traced, substeps, "inner")(_inside(x, model), u, p, h)
    after = _inside(after, model)
    seen = ca.Function("look", [x, u, p], [ca.substitute(traced.output, traced.t, 0.0)])
    return ca.Function("moved", [x, u, p, h], [ca.vertcat(after, seen(after, u, p))])


def _factor(n: int) -> Any:
    """Return ``P -> L`` with ``L L' = P``, also of a covariance that has lost a direction."""
    p = ca.SX.sym("P", n, n)
    rows: list[list[Any]] = [[ca.SX(0.0)] * n for _ in range(n)]
    for j in range(n):
        left = p[j, j] - sum((rows[j][k] ** 2 for k in range(j)), ca.SX(0.0))
        least = 1e-9 * p[j, j] + 1e-16
        rows[j][j] = ca.sqrt(ca.fmax(left, least))
        for i in range(j + 1, n):
            dot = sum((rows[i][k] * rows[j][k] for k in range(j)), ca.SX(0.0))
            rows[i][j] = (p[i, j] - dot) / rows[j][j]
    return ca.Function("factor", [p], [ca.vertcat(*(ca.horzcat(*row) for row in rows))])


def _conditioned(model: Model, n: int, m: int) -> Any:
    """Return the update: states and measurements are jointly normal, and some are now known."""
    mean, joint = ca.SX.sym("mean", n + m), ca.SX.sym("joint", n + m, n + m)
    gained = ca.SX.sym("gained", n)
    z, r, gate = ca.SX.sym("z", m), ca.SX.sym("r", m), ca.SX.sym("gate", m)
    free = ca.SX.sym("free", n)
    inputs = [mean, joint, gained, z, r, gate, free]
    added, may = ca.vertcat(gained, ca.SX.zeros(m)), ca.vertcat(free, ca.SX.ones(m))
    state, spread = mean, joint + ca.diag(added)
    innovations: list[Any] = []
    spreads: list[Any] = []
    told = ca.SX.zeros(n)
    for i in range(m):
        column = spread[:, n + i]
        innovation, variance = z[i] - state[n + i], spread[n + i, n + i] + r[i]
        taken = ca.if_else(innovation * innovation <= gate[i] * variance, 1.0, 0.0)
        taken = taken * ca.if_else(gate[i] > 0, 1.0, 0.0)
        own, shared = ca.diag(spread)[:n] + 1e-30, column[:n] * column[:n]
        told = told + taken * shared / (
            own * ca.fmax(own * variance - shared, 1e-6 * own * variance)
        )
        gain = may * (taken * column / variance)
        state = state + gain * innovation
        cross = gain @ column.T
        spread = spread - cross - cross.T + gain @ gain.T * variance
        innovations.append(innovation)
        spreads.append(variance)
    covariance = 0.5 * (spread[:n, :n] + spread[:n, :n].T)
    bounded = _inside(state[:n], model)
    return ca.Function(
        "conditioned",
        inputs,
        [
            *(bounded, ca.densify(covariance)),
            *(ca.vertcat(*innovations), ca.vertcat(*spreads), told),
        ],
    )


def _inside(mean: Any, model: Model) -> Any:
    values: Sequence[Any] = ca.vertsplit(mean)
    return ca.vertcat(
        *(
            ca.fmin(ca.fmax(value, state.low), state.high)
            for value, state in zip(values, model.states, strict=True)
        )
    )
