"""Feeds that look at the vessel: what every law of them has.

Pure but for their state; flows are in mL/h. Whatever a law wants, it begins from what is really
fed, and goes from there to its own at a limited rate. While somebody else moves the feed, or what
it looks at is BAD, it follows what is fed; where the feed is cut, nothing in it winds up.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from controller.sensing.culture import UNKNOWN, Culture

HOUR_S = 3600.0
CUT = 0.005  # share of the wanted flow that may be missing
CUT_S = 30.0  # for so long, before it counts as cut: pumps and ramps need their time


class Seen(NamedTuple):
    """What a law is told in a scan.

    Attributes:
        dt: s since the last scan.
        given: what was really fed since then, mL/h.
        away: somebody else moves the feed: a hand, an interlock, the optimiser, a fall-back.
        value: of what it looks at; NaN: BAD or missing.
        culture: the cells, as estimated.
        t_s: s since the law began, without time HELD.
    """

    dt: float
    given: float
    away: bool = False
    value: float = math.nan
    culture: Culture = UNKNOWN
    t_s: float = 0.0


@dataclass(slots=True, kw_only=True)
class Feedback(ABC):
    """A feed that looks at the vessel.

    Attributes:
        measured: tag of what it looks at; empty: the estimate alone.
        cap: never more than this, mL/h.
        ramp: how fast it goes from what was fed before to its own, mL/h a second.
        asked: what it asks for now, mL/h.
        begun: it has been told what is fed.
        offset: what is left of the way to its own, mL/h.
        short_s: how long less has been fed than it asked for, s.
    """

    measured: str = ""
    cap: float
    ramp: float
    asked: float = 0.0
    begun: bool = False
    offset: float = 0.0
    short_s: float = 0.0
    kind: ClassVar[str]
    looks: ClassVar[bool] = True  # it cannot do without what it looks at

    def flow(self, t_s: float) -> float:
        """Return the feed in mL/h, as far as anybody can foresee it."""
        return self.asked

    @property
    def steady(self) -> float:
        """What it feeds without its pulses, mL/h: a phase that holds the feed holds this."""
        return self.asked

    @property
    def mute(self) -> str:
        """Why it cannot feed by what it looks at, though that is not BAD; or empty."""
        return ""

    def step(self, seen: Seen) -> None:
        """Let a scan pass; ``asked`` is then what to feed."""
        lost = self.looks and not math.isfinite(seen.value)
        apart = seen.away or lost or bool(self.mute) or not self.begun
        short = not apart and seen.given < self.asked * (1.0 - CUT)
        self.short_s = self.short_s + seen.dt if short else 0.0
        if apart:
            self._follow(seen)
        else:
            self._advance(seen, self.short_s > CUT_S)
        own = min(max(self._own(), 0.0), self.cap)
        if apart:
            self.offset = seen.given - own
            self.begun = True
        else:
            way = self.ramp * seen.dt
            self.offset -= min(max(self.offset, -way), way)
        self.asked = max(0.0, own + self.offset)

    @abstractmethod
    def _own(self) -> float:
        """Return what it would feed, mL/h, without the way from what was fed before."""

    @abstractmethod
    def _advance(self, seen: Seen, cut: bool) -> None:
        """Take a scan in which it moves the feed; ``cut``: less was fed than it asked for."""

    @abstractmethod
    def _follow(self, seen: Seen) -> None:
        """Take a scan in which it does not: be ready to go on from what is fed."""


def filtered(before: float, seen: Seen, filter_s: float) -> float:
    """Return what is looked at behind a first-order filter; what is BAD changes nothing."""
    if not math.isfinite(seen.value):
        return before
    if math.isnan(before):
        return seen.value
    return before + (seen.value - before) * seen.dt / max(filter_s + seen.dt, 1e-9)
