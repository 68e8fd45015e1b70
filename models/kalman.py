"""One step of an extended Kalman filter on a model, as a CasADi function to be compiled."""

from collections.abc import Sequence
from typing import Any

from models.model import Model
from models.symbolic import ca, rosenbrock, trace


def filter_step(model: Model, substeps: int = 1, name: str = "") -> Any:
    """Return a CasADi function that predicts over ``h`` and takes in the measurements.

    ``(x, P, u, p, h, q, z, r, gate) -> (x, P, innovation, spread)``, with n states, m outputs:

    * ``q`` (n): variance that each state gains per unit of model time, beside the propagated one;
    * ``z`` (m): what was measured of ``model.output``;
    * ``r`` (m): variance of each measurement; measurements are taken one after another;
    * ``gate`` (m): greatest squared innovation in units of its variance that is taken in; 0
      leaves the measurement out, a huge number always takes it;
    * ``innovation`` (m) and ``spread`` (m): difference and its variance, as gated.

    The prediction is the model's Rosenbrock step with the exact Jacobian of that very step, so
    that stiff substrate neither explodes nor leaves the covariance behind. The update is in
    Joseph's form. Afterwards states are put inside their bounds; a covariance row is kept.

    Args:
        model: its outputs are the measurements.
        substeps: of the prediction.
        name: of the function; ``fl_MODEL_filter`` if not given.
    """
    traced = trace(model)
    n, m = traced.x.shape[0], traced.output.shape[0]
    step = rosenbrock(traced, substeps, f"fl_{traced.name}_filter_step")
    x, u, p, h = traced.x, traced.u, traced.p, ca.SX.sym("h")
    big_p, q = ca.SX.sym("P", n, n), ca.SX.sym("q", n)
    z, r, gate = ca.SX.sym("z", m), ca.SX.sym("r", m), ca.SX.sym("gate", m)

    after = step(x, u, p, h)
    slope = ca.Function("slope", [x, u, p, h], [after, ca.jacobian(after, x)])
    mean, transition = slope(x, u, p, h)
    covariance = transition @ big_p @ transition.T + ca.diag(q * h)

    seen = ca.substitute(traced.output, traced.t, 0.0)
    innovations: list[Any] = []
    spreads: list[Any] = []
    for i in range(m):
        look = ca.Function("look", [x, u, p], [seen[i], ca.jacobian(seen[i], x)])
        value, row = look(mean, u, p)
        column = covariance @ row.T
        innovation = z[i] - value
        spread = (row @ column)[0, 0] + r[i]
        taken = ca.if_else(innovation * innovation <= gate[i] * spread, 1.0, 0.0)
        taken = taken * ca.if_else(gate[i] > 0, 1.0, 0.0)
        gain = taken * column / spread
        mean = mean + gain * innovation
        joseph = ca.SX.eye(n) - gain @ row
        covariance = joseph @ covariance @ joseph.T + gain @ gain.T * r[i]
        innovations.append(innovation)
        spreads.append(spread)
    bounded = _inside(mean, model)
    covariance = 0.5 * (covariance + covariance.T)
    return ca.Function(
        name or f"fl_{traced.name}_filter",
        [x, big_p, u, p, h, q, z, r, gate],
        [bounded, ca.densify(covariance), ca.vertcat(*innovations), ca.vertcat(*spreads)],
    )


def _inside(mean: Any, model: Model) -> Any:
    values: Sequence[Any] = ca.vertsplit(mean)
    return ca.vertcat(
        *(
            ca.fmin(ca.fmax(value, state.low), state.high)
            for value, state in zip(values, model.states, strict=True)
        )
    )
