"""Where a loop's output goes: the stretch of it that moves one actuator or one other loop."""

import math

from controller.plant_file.loop_settings import OutputSettings


class Output:
    """Maps a stretch of a loop's output (%) onto an actuator's or another loop's range.

    Attributes:
        start: output at the low end of the range; ``end`` at its high end.
        least: the smaller of the two; ``most`` the larger.
        rising: 1 where more output is more of the value, else -1.
    """

    def __init__(self, settings: OutputSettings, low: float, high: float) -> None:
        self.start, self.end = settings.start, settings.end
        self.least, self.most = min(self.start, self.end), max(self.start, self.end)
        self.rising = 1 if self.end > self.start else -1
        self.low, self.high = low, high
        self._span, self._width = self.end - self.start, high - low
        # Equal percentage: each % of output changes the value by the same share, so that a loop
        # whose process gain falls as 1 / value (kLa against stirrer speed) sees a constant gain.
        self._ratio = (
            math.log(high / low) if settings.characteristic == "equal_percentage" else None
        )

    def value(self, output: float) -> float:
        """Return the value at ``output``, at an end of the range outside the stretch."""
        share = (output - self.start) / self._span
        if share <= 0.0:
            return self.low
        if share >= 1.0:
            return self.high
        if self._ratio is not None:
            return self.low * math.exp(self._ratio * share)
        return self.low + share * self._width

    def inverse(self, value: float) -> float:
        """Return the output that gives ``value``."""
        value = self.low if value < self.low else self.high if value > self.high else value
        if self._ratio is not None:
            share = math.log(value / self.low) / self._ratio
        else:
            share = (value - self.low) / self._width
        return self.start + share * self._span

    def inside(self, output: float) -> bool:
        """Whether this stretch is the one that moves at ``output``."""
        return self.least <= output <= self.most

    def beyond(self, output: float, direction: int) -> bool:
        """Whether something of this stretch is left from ``output`` in ``direction`` (1, -1)."""
        return self.most > output if direction > 0 else self.least < output
