"""The last resort of a loop that can do no more: the feed that it cannot keep up with is cut."""

import math
from collections.abc import Mapping

from controller.loops.loop import Loop
from controller.plant_file.loop_settings import CutSettings
from controller.texts.said import said
from drivers.point import Sample


class Cut:
    """Cuts a feed while another loop is at its end, and lets it come back slowly.

    It never waits for an operator: oxygen that cannot be held is a feed that is too much. Nor is
    more fed while there is too little oxygen, whatever the reason: cells that come out of a
    standstill would take what has just come back.

    Args:
        settings: its table of the plant file.
        loop: the loop that must keep up.

    Attributes:
        why: the last step left less than was wanted.
        returning: it only comes back from what something above had it at; oxygen keeps up.
    """

    __slots__ = (
        "_back", "_blocked_s", "_cap", "_cut", "_no_rise", "_settings", "loop", "returning", "why",
    )  # fmt: skip

    def __init__(self, settings: CutSettings, loop: Loop) -> None:
        self.loop = loop
        self._settings = settings
        self._blocked_s = 0.0
        self._cap = math.inf  # in the feed's unit; inf: nothing is cut
        self.why, self.returning = "", False
        self._cut = said("cut", loop=loop.name)
        self._no_rise = said("no_rise", loop=loop.name, limit=settings.no_rise_below)
        self._back = said("back_slowly", loop=loop.name)

    def overruled(self, fed: float) -> None:
        """Take note that something above has the feed at ``fed``: it comes back slowly."""
        self._cap, self.returning = min(self._cap, fed), True

    def step(self, wanted: float, fed: float, samples: Mapping[str, Sample], dt: float) -> float:
        """Return what may be fed of ``wanted`` beside what is ``fed`` now, both in its unit."""
        s, low = self._settings, False
        if s.no_rise_below is not None:
            sample = samples.get(self.loop.settings.measured or "")
            low = sample is None or not sample.value >= s.no_rise_below
        blocked = self.loop.blocked > 0
        self.why = self._no_rise if low else self._cut if blocked else self._back
        if low and wanted > fed:
            self._cap, self.returning = min(self._cap, fed), False
        if blocked:
            self._blocked_s += dt
            if self._blocked_s > s.after_s:
                self.why, self.returning = self._cut, False
                self._cap = min(self._cap, wanted) * (1.0 - s.cut_per_min * dt / 60.0)
        else:
            self._blocked_s = 0.0
            if not low:  # inf stays inf
                self._cap += wanted * s.back_per_min * dt / 60.0
            if self._cap >= wanted:
                self._cap, self.returning = math.inf, False
        return min(wanted, self._cap)
