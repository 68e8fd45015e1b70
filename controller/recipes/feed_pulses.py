"""Feeds that go by pulses: DO-stat and pH-stat, and probing for the most that cells respire."""

import math
from dataclasses import dataclass
from typing import ClassVar

from controller.recipes.feedback import HOUR_S, Feedback, Seen, filtered

MEAN_S = 1800.0  # over which a pulsing feed is averaged
UNANSWERED = 5  # pulses in a row, after which no more is fed blindly


@dataclass(slots=True, kw_only=True)
class Stat(Feedback):
    """DO-stat and pH-stat: a pulse of feed whenever what it looks at shows that the sugar is gone.

    Starved cells respire less and so dissolved oxygen rises; they eat their acids and so pH rises.
    Each pulse has time to work before the next. Where pulses bring nothing down any more
    it is no hunger (a dead probe, dead cells, an empty bottle) and no more is fed.

    Attributes:
        above: it feeds while what it looks at is above this.
        pulse: of a pulse, mL/h.
        on_s: of a pulse, s.
        pause_s: between two pulses at least, s.
        filter_s: of what it looks at, s.
        value: filtered; NaN: not seen yet.
        since_s: s since a pulse began.
        unanswered: pulses since it was last below.
        mean: what it feeds on average, mL/h.
    """

    above: float
    pulse: float
    on_s: float
    pause_s: float
    filter_s: float = 0.0
    value: float = math.nan
    since_s: float = 1e9
    unanswered: int = 0
    mean: float = 0.0
    kind: ClassVar[str] = "stat"

    @property
    def steady(self) -> float:
        return self.mean

    @property
    def mute(self) -> str:
        return f"{UNANSWERED} pulses without an answer" if self.unanswered > UNANSWERED else ""

    def _own(self) -> float:
        return self.pulse if self.since_s < self.on_s else 0.0

    def _watch(self, seen: Seen) -> None:
        self.value = filtered(self.value, seen, self.filter_s)
        self.mean += (seen.given - self.mean) * min(seen.dt / MEAN_S, 1.0)
        self.since_s = min(self.since_s + seen.dt, 1e9)
        if self.value <= self.above:
            self.unanswered = 0

    def _advance(self, seen: Seen, cut: bool) -> None:
        self._watch(seen)
        if self.since_s >= self.on_s + self.pause_s and self.value > self.above:
            self.unanswered += 1
            if not self.mute:
                self.since_s = 0.0

    def _follow(self, seen: Seen) -> None:
        if not self.begun:
            self.mean = seen.given
        self.since_s = max(self.since_s, self.on_s)  # a pulse that was cut off is over
        self._watch(seen)


@dataclass(slots=True, kw_only=True)
class Probing(Feedback):
    """Finds the most that cells respire: short pulses of feed, and does dissolved oxygen answer?

    A pulse that is answered was eaten with oxygen: the feed goes up by a step. One that is not
    met cells that cannot respire more, and what they do not respire overflows: it goes down.

    Attributes:
        level: the feed between pulses, mL/h.
        least: of the level, mL/h: with less a pulse is too small to be answered.
        answer: least movement of what it looks at that is an answer, in its unit.
        below: where what it looks at is below this before a pulse, the feed goes down without one:
            oxygen that cannot be held is a limit too; NaN: there is none.
        on_s: of a pulse, s.
        pause_s: between two pulses, s.
        size: of a pulse, as a share of the level.
        change: of the level after a pulse, as a share of it.
        filter_s: of what it looks at, s.
        value: filtered; NaN: not seen yet.
        since_s: s since the last pulse began.
        before: what it looked at when the pulse began.
        moved: the most that it has moved since.

    Source: M. Akesson, P. Hagander, J. P. Axelsson, Biotechnol. Bioeng. 73 (2001) 223-230
    (recalled).
    """

    level: float
    least: float
    answer: float
    below: float = math.nan
    on_s: float
    pause_s: float
    size: float = 0.2
    change: float = 0.1
    filter_s: float = 0.0
    value: float = math.nan
    since_s: float = 0.0
    before: float = math.nan
    moved: float = 0.0
    kind: ClassVar[str] = "probing"

    @property
    def steady(self) -> float:
        return min(self.level, self.cap)

    def _own(self) -> float:
        level = min(self.level, self.cap)
        return level if math.isnan(self.before) else level * (1.0 + self.size)

    def _advance(self, seen: Seen, cut: bool) -> None:
        self.value = filtered(self.value, seen, self.filter_s)
        if cut:  # it is not what it asked for that the cells answer to
            self.level = max(min(self.level, seen.given), self.least)
            self._rest()
            return
        if self.offset:  # on its way to its level: an answer would be to that
            self._rest()
            return
        self.since_s += seen.dt
        if math.isnan(self.before):
            if self.since_s >= self.pause_s:
                self._begin_pulse()
            return
        self.moved = max(self.moved, abs(self.value - self.before))
        if self.since_s >= self.on_s:
            self._move(up=self.moved >= self.answer)

    def _begin_pulse(self) -> None:
        if self.value < self.below:
            self._move(up=False)
        else:
            self.before, self.moved, self.since_s = self.value, 0.0, 0.0

    def _move(self, *, up: bool) -> None:
        wanted = self.level * (1.0 + self.change if up else 1.0 - self.change)
        self.level = min(max(wanted, self.least), self.cap)
        self._rest()

    def _follow(self, seen: Seen) -> None:
        """Begin between two pulses; the longer nothing was fed, the lower."""
        if self.begun:
            left = self.level * math.exp(-seen.dt / HOUR_S)
            self.level = min(max(seen.given, left, self.least), self.cap)
        self.value = filtered(self.value, seen, self.filter_s)
        self._rest()

    def _rest(self) -> None:
        self.before, self.since_s = math.nan, 0.0
