"""A curve through given points: how a gain or a limit follows something else."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise


class Curve:
    """Straight lines between points; the first and the last value go on outside them.

    Args:
        points: ``(x, y)``, x rising, at least one.

    Raises:
        ValueError: there is none, or x does not rise.
    """

    __slots__ = ("_x", "_y")

    def __init__(self, points: Sequence[tuple[float, float]]) -> None:
        self._x = [x for x, _ in points]
        self._y = [y for _, y in points]
        if not points or any(not b > a for a, b in pairwise(self._x)):
            raise ValueError(f"table: {self._x} is not allowed; it must rise, at least one point")

    def __call__(self, x: float) -> float:
        """Return y at ``x``."""
        i = bisect_right(self._x, x)
        if i == 0:
            return self._y[0]
        if i == len(self._x):
            return self._y[-1]
        x0, x1 = self._x[i - 1], self._x[i]
        y0, y1 = self._y[i - 1], self._y[i]
        return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
