"""Feed-forward: moves an output with what disturbs the loop, before the measurement sees it."""

import math
from collections.abc import Mapping

from controller.plant_file.loop_settings import FeedforwardSettings
from drivers.point import GOOD, Sample


class Feedforward:
    """One term: a filtered tag times a gain, or its logarithm times a gain.

    Only its changes matter: when a loop begins, its integral takes the rest. While the tag is not
    GOOD the term stays where it is, so a dying analyser moves nothing.

    Args:
        settings: its table of the plant file.
    """

    __slots__ = ("_filter_s", "_gain", "_least", "_tag", "_x", "value")

    def __init__(self, settings: FeedforwardSettings) -> None:
        self._tag, self._filter_s = settings.tag, settings.filter_s
        self._gain, self._least = settings.gain, settings.least
        self.value = 0.0  # % of the loop's output
        self._x: float = math.nan  # the filtered tag; NaN until the first GOOD one

    def step(self, samples: Mapping[str, Sample], dt: float) -> float:
        """Return what it adds to the output, %; ``dt`` in s."""
        sample = samples.get(self._tag)
        if sample is None or sample.quality is not GOOD:
            return self.value
        x = sample.value
        if self._x == self._x:  # not the first
            x = self._x + (x - self._x) * dt / (self._filter_s + dt)
        self._x = x
        least = self._least
        self.value = self._gain * (x if least is None else math.log(max(x, least) / least))
        return self.value
