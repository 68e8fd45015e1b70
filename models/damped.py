"""The damped step of a plan's check: a substrate that is eaten at once does not ring in it."""

from models.model import Model
from models.symbolic import Compiled, ca, compiled, trace


def damped_step(model: Model, name: str) -> Compiled:
    """Return ``(x, u, p, h) -> (x, y)`` of a model, compiled; the outputs are those after it.

    The linearly implicit Euler method, no state below 0. At steps of minutes a method of second
    order leaves substrate ringing around nothing, and oxygen uptake with it. This one is of first
    order: half a per cent of the biomass of a batch.
    """
    traced = trace(model)
    x, u, p, h = traced.x, traced.u, traced.p, ca.SX.sym("h")
    slope = ca.substitute(traced.rhs, traced.t, 0.0)
    matrix = ca.SX.eye(x.shape[0]) - h * ca.jacobian(slope, x)
    after = ca.fmax(x + ca.solve(matrix, h * slope), 0.0)
    results = [after, traced.output_function()(after, u, p)]
    return compiled([ca.Function(name, [x, u, p, h], results)])[name]
