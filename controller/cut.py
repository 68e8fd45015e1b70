"""The last resort of a loop that can do no more: the feed that it cannot keep up with is cut."""

import math

from controller.loop import Loop
from controller.loop_settings import CutSettings


class Cut:
    """Cuts a feed while another loop is at its end, and lets it come back slowly.

    It never waits for an operator: oxygen that cannot be held is a feed that is too much.

    Args:
        settings: its table of the plant file.
        loop: the loop that must keep up.
    """

    __slots__ = ("_blocked_s", "_cap", "_settings", "loop")

    def __init__(self, settings: CutSettings, loop: Loop) -> None:
        self.loop = loop
        self._settings = settings
        self._blocked_s = 0.0
        self._cap = math.inf  # in the feed's unit; inf: nothing is cut

    def step(self, wanted: float, dt: float) -> float:
        """Return what may be fed of ``wanted``, in its unit; ``dt`` in s."""
        s = self._settings
        if self.loop.blocked > 0:
            self._blocked_s += dt
            if self._blocked_s > s.after_s:
                self._cap = min(self._cap, wanted) * (1.0 - s.cut_per_min * dt / 60.0)
        else:
            self._blocked_s = 0.0
            self._cap += wanted * s.back_per_min * dt / 60.0
            if self._cap >= wanted:
                self._cap = math.inf
        return min(wanted, self._cap)
