"""What was done in a batch, and what was seen of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.model import Model

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Series:
    """One quantity as it was measured in a batch.

    Attributes:
        name: of a state or an output of the model, in its unit; or what people call it, where
            ``of`` says which they are.
        hours: when each value was true, h since the start of the batch, shape (n,); for a late
            laboratory result when the sample was taken.
        values: what was measured, shape (n,).
        sd: standard deviation of each, in the same unit, shape (n,).
        dense: an instrument's, whose errors last from one value to the next; their number then
            says less than it seems.
        of: states or outputs that it is the sum of, if not the one of its name: dry weight is
            that of all cells.
    """

    name: str
    hours: Floats
    values: Floats
    sd: Floats
    dense: bool = False
    of: Sequence[str] = ()

    @property
    def parts(self) -> Sequence[str]:
        """The states or outputs that it is the sum of."""
        return self.of or (self.name,)

    def __post_init__(self) -> None:
        shapes = {self.hours.shape, self.values.shape, self.sd.shape}
        if len(shapes) != 1 or self.hours.ndim != 1:
            raise ValueError(f"{self.name}: hours, values and sd must be as long as each other")
        if not all(np.isfinite(a).all() for a in (self.hours, self.values, self.sd)):
            raise ValueError(f"{self.name}: every hour, value and sd must be finite")
        if not (self.sd > 0.0).all():
            raise ValueError(f"{self.name}: every sd must be above 0")


@dataclass(frozen=True)
class Experiment:
    """One batch: what flowed in and was held, and what was measured of it.

    Attributes:
        name: for people, the batch's id.
        step_h: length of each row of ``inputs``, h.
        inputs: what the model's inputs were, held in each step, shape (k, m).
        start: states at the start, by name, in their units; the others begin at their defaults.
        series: what was measured.
    """

    name: str
    step_h: float
    inputs: Floats
    start: Mapping[str, float] = field(default_factory=dict[str, float])
    series: Sequence[Series] = ()

    @property
    def hours(self) -> float:
        """How long it was."""
        return self.step_h * len(self.inputs)

    def check(self, model: Model) -> None:
        """Refuse what the model has no place for.

        Raises:
            ValueError: a line a fault; it names the batch.
        """
        wrong: list[str] = []
        if self.inputs.ndim != 2 or self.inputs.shape[1] != len(model.inputs):
            names = ", ".join(v.name for v in model.inputs)
            wrong.append(f"inputs have the shape {self.inputs.shape}; a column each for {names}")
        elif not np.isfinite(self.inputs).all():
            bad = ~np.isfinite(self.inputs)
            column = int(np.argmax(bad.any(axis=0)))
            row = int(np.argmax(bad[:, column]))
            name = model.inputs[column].name
            wrong.append(f"input {name} is missing at {row * self.step_h:.2f} h")
        states = {v.name for v in model.states}
        seen = states | {v.name for v in model.outputs}
        wrong += [f"start: {n} is no state" for n in self.start if n not in states]
        wrong += [
            f"{part} is no state or output"
            for s in self.series
            for part in s.parts
            if part not in seen
        ]
        wrong += [
            f"{s.name}: values from {s.hours.min():g} to {s.hours.max():g} h; the batch has "
            f"{self.hours:g} h"
            for s in self.series
            if len(s.hours) and not (s.hours.min() >= 0.0 and s.hours.max() <= self.hours + 1e-9)
        ]
        if wrong:
            raise ValueError("\n".join(f"{self.name}: {line}" for line in wrong))
