"""What watches the conditions of a recipe while a phase lasts.

Each kind of condition is a small class with a timer or a sum of its own. A BAD or missing value
proves nothing, in any of them.
"""

import math
from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

from controller.recipes.condition import Condition, Spike
from controller.recipes.facts import PlantFacts
from drivers.point import BAD, GOOD, Sample

HOUR_S = 3600.0
F0_CEL, F0_Z = 121.1, 10.0  # saturated steam: each 10 Cel more kills ten times as fast
GAP_S = 15.0  # a look after a longer time than this is the first of a new row


class Seen(NamedTuple):
    """What a condition may look at in a scan.

    Attributes:
        now: s since 1970 UTC.
        batch_s: since inoculation, s.
        phase_s: in this phase without time HELD, s.
        measured: samples by tag name.
        estimates: by name; missing or not finite where nobody knows.
        given: all doses of the phase have been given.
    """

    now: float
    batch_s: float
    phase_s: float
    measured: Mapping[str, Sample]
    estimates: Mapping[str, float]
    given: bool

    def good(self, tag: str) -> float:
        """Return a GOOD measurement, else NaN."""
        sample = self.measured.get(tag)
        return math.nan if sample is None or sample.quality is not GOOD else sample.value


class Until:
    """A condition while it is watched; this one is of a time."""

    question = ""  # what a person is asked now, empty: nothing

    def __init__(self, condition: Condition) -> None:
        self._condition = condition
        self._of_batch = condition.batch_h is not None
        self._after_s = (condition.batch_h or condition.phase_h or 0.0) * HOUR_S

    def met(self, seen: Seen) -> bool:
        """Whether it is so now."""
        return (seen.batch_s if self._of_batch else seen.phase_s) >= self._after_s

    def restart(self) -> None:
        """Forget the timers: nobody looked for a while."""

    def confirm(self) -> None:
        """Take a person's yes to ``question``."""

    def as_state(self) -> Any:
        """Return as JSON what a restart must not forget."""
        return None

    def restore(self, state: Any) -> None:
        """Take what ``as_state`` returned."""


class Limit(Until):
    """A measurement or an estimate beyond a limit for some time."""

    def __init__(self, condition: Condition, facts: PlantFacts) -> None:
        super().__init__(condition)
        self._key = facts.measured.get(condition.measured or "", condition.measured or "")
        self._estimate, self._for_s = condition.estimate, condition.for_s
        # NaN is neither above nor below
        self._above = math.inf if condition.above is None else condition.above
        self._below = -math.inf if condition.below is None else condition.below
        self._since = math.inf  # since when it has held, s since 1970; inf: it does not

    def met(self, seen: Seen) -> bool:
        if self._estimate is not None:
            value = seen.estimates.get(self._estimate, math.nan)
        else:
            found = seen.measured.get(self._key)
            bad = found is None or found.quality is BAD
            value = math.nan if found is None or bad else found.value
        if value > self._above or value < self._below:
            self._since = min(self._since, seen.now)
            return seen.now - self._since >= self._for_s
        self._since = math.inf
        return False

    def restart(self) -> None:
        self._since = math.inf


class Lethality(Until):
    """F0: the minutes at 121.1 Cel that kill as many spores as the temperatures so far did.

    ``F0 = sum 10 ** ((T - 121.1) / z) dt``, z = 10 Cel. What nobody measured kills nothing, and
    neither does the time HELD or away.

    Source: PDA Technical Report 1 (2007), moist heat.
    """

    def __init__(self, condition: Condition, facts: PlantFacts) -> None:
        super().__init__(condition)
        self._key = facts.measured.get(condition.measured or "", condition.measured or "")
        self._last = -math.inf
        self.f0 = 0.0  # min

    def met(self, seen: Seen) -> bool:
        dt, self._last = seen.now - self._last, seen.now
        value = seen.good(self._key)
        if value <= 150.0 and 0.0 < dt <= GAP_S:
            self.f0 += dt / 60.0 * 10.0 ** ((value - F0_CEL) / F0_Z)
        return self.f0 >= (self._condition.f0_min or 0.0)

    def restart(self) -> None:
        self._last = -math.inf

    def as_state(self) -> Any:
        return self.f0

    def restore(self, state: Any) -> None:
        self.f0 = float(state)


class SpikeWatch(Until):
    """A filtered measurement that goes so far from its least, or greatest, of the last seconds.

    Only GOOD readings count. A short dropout is bridged; what comes after a longer one begins
    anew, so a probe that is changed or comes back elsewhere is no spike.
    """

    def __init__(self, condition: Condition, spike: Spike, facts: PlantFacts) -> None:
        super().__init__(condition)
        self._key = facts.measured.get(spike.measured, spike.measured)
        self._sign = 1.0 if spike.rise is not None else -1.0  # a fall is a rise of the negative
        self._by = spike.rise or spike.fall or 0.0
        self._within, self._filter = spike.within_s, spike.filter_s
        arms = spike.armed_below if spike.rise is not None else spike.armed_above
        self._arms = math.inf if arms is None else self._sign * arms
        self._armed = False
        self._least: deque[tuple[float, float]] = deque()  # times and values, both rising
        self._last = -math.inf
        self._value = math.nan  # filtered

    def met(self, seen: Seen) -> bool:
        value = self._sign * seen.good(self._key)
        if math.isnan(value):
            return False
        now = seen.now
        dt, self._last = now - self._last, now
        if dt > max(GAP_S, self._filter):
            self._least.clear()
            self._value = value
        elif dt > 0.0:
            self._value += (value - self._value) * -math.expm1(-dt / max(self._filter, 1e-9))
        self._armed = self._armed or self._value < self._arms
        if not self._armed:
            return False
        while self._least and self._least[-1][1] >= self._value:
            self._least.pop()
        self._least.append((now, self._value))
        while self._least[0][0] < now - self._within:
            self._least.popleft()
        return self._value - self._least[0][1] > self._by

    def restart(self) -> None:
        self._last = -math.inf

    def as_state(self) -> Any:
        return self._armed

    def restore(self, state: Any) -> None:
        self._armed = bool(state)


class Given(Until):
    """All doses of the phase."""

    def met(self, seen: Seen) -> bool:
        return seen.given


class Asked(Until):
    """A person's confirmation; once given it holds for the phase."""

    def __init__(self, condition: Condition) -> None:
        super().__init__(condition)
        self.question = condition.confirm or ""

    def met(self, seen: Seen) -> bool:
        return not self.question

    def confirm(self) -> None:
        self.question = ""

    def as_state(self) -> Any:
        return not self.question

    def restore(self, state: Any) -> None:
        if state:
            self.confirm()


class Several(Until):
    """Several conditions; a person is asked when nothing else is missing."""

    def __init__(self, condition: Condition, facts: PlantFacts) -> None:
        super().__init__(condition)
        self._all = condition.all is not None
        self._parts = [until_of(part, facts) for part in condition.any or condition.all or ()]
        self._asking: Until | None = None

    def met(self, seen: Seen) -> bool:
        met = [part.met(seen) for part in self._parts]  # each is asked, so that each timer runs
        open_ = [part for part, yes in zip(self._parts, met, strict=True) if not yes]
        asking = [part for part in open_ if part.question]
        waits_for_more = self._all and len(asking) < len(open_)
        self._asking = None if waits_for_more or not asking else asking[0]
        self.question = "" if self._asking is None else self._asking.question
        return all(met) if self._all else any(met)

    def restart(self) -> None:
        for part in self._parts:
            part.restart()

    def confirm(self) -> None:
        if self._asking is not None:
            self._asking.confirm()
        self._asking, self.question = None, ""

    def as_state(self) -> Any:
        return [part.as_state() for part in self._parts]

    def restore(self, state: Any) -> None:
        for part, kept in zip(self._parts, state, strict=True):
            part.restore(kept)


def until_of(condition: Condition, facts: PlantFacts) -> Until:
    """Return what watches a condition."""
    c = condition
    if c.any is not None or c.all is not None:
        return Several(c, facts)
    if c.spike is not None:
        return SpikeWatch(c, c.spike, facts)
    if c.confirm is not None:
        return Asked(c)
    if c.doses is not None:
        return Given(c)
    if c.f0_min is not None:
        return Lethality(c, facts)
    if c.measured is not None or c.estimate is not None:
        return Limit(c, facts)
    return Until(c)
