"""What readings tell of what is learned: what is shown well, and what is left alone.

A factor that nothing excites must neither forget what it knows nor pretend to learn. Left to
itself its spread would go back to that of all strains (it leaks), without a way back it would
grow for ever (it winds up), and an innovation that belongs to something else would move it through
an old correlation. So it is frozen: it stays, its doubt still counts, and nothing moves it until
readings say something of it again.
"""

import math
from collections.abc import Sequence
from typing import Final

WINDOW_H: Final = 6.0  # over which what is told is averaged: longer than between two samples
JUDGED_H: Final = 1.0  # before that nothing is frozen
LITTLE: Final = 0.5  # what is told in the time of forgetting, in what was known before: frozen
ENOUGH: Final = 1.0  # ... freed again


class Excitation:
    """How much is told of each of some quantities.

    Args:
        prior: variance of each before anything was seen.
        hours: in which each forgets.
    """

    __slots__ = ("_hours", "_prior", "_since", "_young", "frozen", "rates")

    def __init__(self, prior: Sequence[float], hours: Sequence[float]) -> None:
        self._prior, self._hours = list(prior), list(hours)
        self.rates = [0.0] * len(self._prior)  # information an hour
        self.frozen = [False] * len(self._prior)
        self._since = 0.0
        self._young = _share(0.0)  # how full the window is, by what it forgets

    def copy(self) -> "Excitation":
        """Return another of the same state."""
        other = Excitation(self._prior, self._hours)
        other.rates, other.frozen = list(self.rates), list(self.frozen)
        other._since, other._young = self._since, self._young
        return other

    def pass_by(self, hours: float) -> None:
        """Let time pass and judge again what is frozen."""
        keep = math.exp(-hours / WINDOW_H)
        self._since += hours
        self._young = _share(self._since)
        for i in range(len(self.rates)):
            self.rates[i] *= keep
            if self._since < JUDGED_H:
                continue
            told = self._told(i)
            self.frozen[i] = told < (ENOUGH if self.frozen[i] else LITTLE)

    def tell(self, i: int, information: float) -> None:
        """Count what was told of a quantity, in one over its variance."""
        self.rates[i] += information / WINDOW_H

    def shown(self, i: int) -> float:
        """Return how much smaller readings keep its variance than it would be without, 0 to 1.

        That of a quantity which wanders about what is usual and is told of at this rate.
        """
        told = self._told(i)
        return 1.0 - (math.sqrt(1.0 + 2.0 * told) - 1.0) / told if told > 1e-6 else 0.0

    def _told(self, i: int) -> float:
        """Return what is told in the time of forgetting, in what was known before."""
        return self._prior[i] * self.rates[i] / self._young * self._hours[i]


def _share(hours: float) -> float:
    return 1.0 - math.exp(-max(hours, 1e-3) / WINDOW_H)
