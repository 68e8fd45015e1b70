"""A batch as the model would have run it, quick enough to be run ten thousand times."""

from collections.abc import Mapping, Sequence

import numpy as np

from models.fitting.experiment import Experiment, Floats
from models.fn import ARRAYS
from models.loop import Loop
from models.model import Model
from models.symbolic import rosenbrock


class Simulation:
    """The model in C, with what was done in a batch as its inputs.

    Args:
        model: equations, with ``rhs`` and ``output``.
        substeps: steps of the integration in each row of a batch's inputs.
    """

    def __init__(self, model: Model, substeps: int = 6) -> None:
        self.model = model
        self._loop = Loop(rosenbrock(model, substeps, f"fl_fit_{substeps}_step"))
        self._states = {v.name: k for k, v in enumerate(model.states)}
        self._outputs = {v.name: k for k, v in enumerate(model.outputs)}
        self._parameters = {v.name: k for k, v in enumerate(model.parameters)}

    def numbers(self, changed: Mapping[str, float]) -> Floats:
        """Return the model's parameters, defaults but for those named."""
        p = np.array([v.default for v in self.model.parameters])
        for name, value in changed.items():
            if name in self._parameters:
                p[self._parameters[name]] = value
        return p

    def states(self, batch: Experiment, changed: Mapping[str, float]) -> Floats:
        """Return the states at the edges of the steps, shape (k + 1, states).

        Args:
            batch: what was done.
            changed: parameters and states at the start that are not what model and batch say.
        """
        start = {**batch.start, **changed}
        x = np.array([start.get(v.name, v.default) for v in self.model.states])
        path = self._loop(x, batch.inputs, self.numbers(changed), batch.step_h)
        return np.vstack([x, path])

    def seen(
        self,
        batch: Experiment,
        path: Floats,
        changed: Mapping[str, float],
        names: Sequence[str],
        hours: Floats,
    ) -> Floats:
        """Return what would have been measured of the sum of states or outputs at some hours."""
        edges = np.arange(len(path)) * batch.step_h
        if len(names) > 1:
            parts = [self.seen(batch, path, changed, (name,), hours) for name in names]
            return np.sum(parts, axis=0)
        name = names[0]
        if name in self._states:
            return np.interp(hours, edges, path[:, self._states[name]])
        at: list[Floats] = [np.interp(hours, edges, column) for column in path.T]
        # an output at an edge is that of the step which ends there
        rows = np.clip(np.ceil(hours / batch.step_h - 1e-9).astype(int) - 1, 0, None)
        rows = np.minimum(rows, len(batch.inputs) - 1)
        held: Sequence[Floats] = list(batch.inputs[rows].T)
        p = list(self.numbers(changed))
        found = self.model.output(hours, at, held, p, ARRAYS)[self._outputs[name]]
        return np.broadcast_to(np.asarray(found, dtype=np.float64), hours.shape)
