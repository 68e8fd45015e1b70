"""What a plan begins with: the vessel as it is believed to be, and how far that may be wrong."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Belief:
    """The states of ``models.control`` and the factors of what is learned.

    Attributes:
        time: s since 1970 UTC.
        states: by the model's name, in its unit; what is missing is at its default.
        factors: by the parameter's name; what is missing is 1.
        names: of the columns of ``parts``.
        parts: one standard deviation in independent directions, row by row: states in their
            unit, factors as logarithms. Their squares add up to the covariance.
    """

    time: float
    states: Mapping[str, float]
    factors: Mapping[str, float]
    names: tuple[str, ...] = ()
    parts: tuple[tuple[float, ...], ...] = ()

    @classmethod
    def sure(
        cls,
        time: float,
        states: Mapping[str, float],
        factors: Mapping[str, float],
        sd: Mapping[str, float] | None = None,
    ) -> "Belief":
        """Return a belief whose errors are independent, of the sizes ``sd``."""
        names = tuple(sd or {})
        rows = np.diag([(sd or {})[n] for n in names])
        return cls(time, states, factors, names, tuple(map(tuple, rows.tolist())))

    @property
    def finite(self) -> bool:
        """Whether every number in it is."""
        every = (*self.states.values(), *self.factors.values(), self.time)
        return all(map(math.isfinite, every)) and all(
            math.isfinite(v) for row in self.parts for v in row
        )

    def vessel(
        self, states: Sequence[str], learned: Sequence[str], weights: Sequence[float] = ()
    ) -> tuple[Floats, Floats]:
        """Return states and factors of the vessel that stands ``weights`` along the parts.

        Args:
            states: names and, with them, the order.
            learned: likewise.
            weights: standard deviations along each part; nothing is the likely vessel.
        """
        off = np.zeros(len(self.names))
        for weight, row in zip(weights, self.parts, strict=False):
            off = off + weight * np.array(row)
        by = dict(zip(self.names, off.tolist(), strict=True))
        x = [max(self.states[n] + by.get(n, 0.0), 0.0) for n in states]
        f = [self.factors.get(n, 1.0) * math.exp(by.get(n, 0.0)) for n in learned]
        return np.array(x), np.array(f)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON can carry it."""
        return {
            "time": self.time,
            "states": dict(self.states),
            "factors": dict(self.factors),
            "names": list(self.names),
            "parts": [list(row) for row in self.parts],
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "Belief":
        """Return the belief that ``as_json`` wrote.

        Raises:
            ValueError: it is none.
        """
        try:
            names = tuple(str(n) for n in plain["names"])
            parts = tuple(tuple(float(v) for v in row) for row in plain["parts"])
            if any(len(row) != len(names) for row in parts):
                raise ValueError("a belief's parts have a number for each name")
            return cls(
                float(plain["time"]),
                {str(k): float(v) for k, v in plain["states"].items()},
                {str(k): float(v) for k, v in plain["factors"].items()},
                names,
                parts,
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a belief: {type(error).__name__} {error}") from error
