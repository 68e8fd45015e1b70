"""Gain schedule: what kp is multiplied with where the process answers more or less than usual."""

import math
from collections.abc import Mapping, Sequence

from controller.plant_file.curve import Curve
from controller.plant_file.loop_settings import GainSettings
from drivers.point import BAD, Sample


class GainSchedule:
    """The product of factors, each of which follows a filtered tag by straight lines.

    The ends of its table are the limits of a factor. While its tag is BAD it stays where it is,
    and until there was a reading it is 1.

    Args:
        settings: the loop's ``gain`` of the plant file.
    """

    __slots__ = ("_factors", "_terms", "_x")

    def __init__(self, settings: Sequence[GainSettings]) -> None:
        # to call a bound method is quicker than to call an object
        self._terms = [(s.tag, Curve(s.table).__call__, s.filter_s) for s in settings]
        self._x = [math.nan] * len(self._terms)  # the filtered tags; NaN until the first reading
        self._factors = [1.0] * len(self._terms)

    def step(self, samples: Mapping[str, Sample], dt: float) -> float:
        """Return what kp is multiplied with in this scan; ``dt`` in s."""
        for i, (tag, curve, filter_s) in enumerate(self._terms):
            sample = samples.get(tag)
            if sample is None or sample.quality is BAD:
                continue
            x, last = sample.value, self._x[i]
            if filter_s > 0.0 and last == last:
                x = last + (x - last) * dt / (filter_s + dt)
            self._x[i] = x
            self._factors[i] = curve(x)
        return math.prod(self._factors)
