"""Innovations over time: an instrument that keeps disagreeing with all the others is named."""

import math
from collections.abc import Sequence
from typing import Final

WINDOW_S: Final = 1800.0
LEAST: Final = 20  # innovations before anybody is named
BIAS: Final = 1.5  # mean innovation, in its standard deviations, that names an instrument
NIS: Final = 4.0  # mean squared innovation likewise; 1 is what it should be
CUT: Final = 5.0  # standard deviations; one wild reading names nobody


class Innovations:
    """Averages of the innovations of each measurement.

    Args:
        names: of the instruments.
    """

    __slots__ = ("_count", "bias", "names", "nis")

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.bias = [0.0] * len(self.names)
        self.nis = [1.0] * len(self.names)
        self._count = [0] * len(self.names)

    def copy(self) -> "Innovations":
        """Return others of the same state."""
        other = Innovations(self.names)
        other.bias, other.nis = list(self.bias), list(self.nis)
        other._count = list(self._count)
        return other

    def take(self, i: int, innovation: float, variance: float, seconds: float) -> None:
        """Take the innovation of measurement ``i``, ``seconds`` after the last."""
        size = min(max(innovation / math.sqrt(variance), -CUT), CUT)
        share = min(seconds / WINDOW_S, 1.0)
        self.bias[i] += (size - self.bias[i]) * share
        self.nis[i] += (size * size - self.nis[i]) * share
        self._count[i] += 1

    @property
    def suspects(self) -> tuple[str, ...]:
        """Instruments that have been off for longer than noise is."""
        return tuple(
            name
            for i, name in enumerate(self.names)
            if self._count[i] >= LEAST and (abs(self.bias[i]) > BIAS or self.nis[i] > NIS)
        )
