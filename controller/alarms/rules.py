"""The rules that judge samples and loops: limits, deviation, rate, staleness, quality, residual.

A BAD sample, or one that is not there, neither begins nor ends what is judged from its value: the
alarm of its quality speaks. A delay that runs goes on over it.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

from controller.alarms.alarm import Alarm
from controller.alarms.alarms import Alarms
from controller.loops.loop import AUTO, Loop
from drivers.point import BAD, GOOD, UNCERTAIN, Sample

MINUTE_S = 60.0
SETTLED = 3.0  # spans after which the filter of a rate has forgotten where it began
SURE = 2.5  # standard deviations of an estimate by which a reading must be off it to be accused
USUAL = 0.4  # share of a residual's limit by which two values differ without any doubt
MOVED = 0.5  # share of a deviation's limit by which a setpoint must move to begin another approach


class Answering(Protocol):
    """What a tag comes from."""

    answering: bool


class Rule(Protocol):
    """Something judged each scan."""

    def see(self, now: float, samples: Mapping[str, Sample]) -> None:
        """Judge one scan; ``now`` in s since 1970 UTC."""
        ...


class Limit:
    """A value above (or below) a limit, until it is inside by a dead band.

    Args:
        alarm: what it begins and ends.
        above: else below.
        limit: in the tag's unit.
        deadband: in the tag's unit; asked for only while the alarm is active, so that neither of
            its delays is cut short by it.
    """

    __slots__ = ("above", "alarm", "inside", "limit")

    def __init__(self, alarm: Alarm, limit: float, deadband: float, *, above: bool) -> None:
        self.alarm = alarm
        self.above = above
        self.limit = limit
        self.inside = limit - deadband if above else limit + deadband

    def outside(self, value: float) -> bool:
        """Return whether the condition is so."""
        edge = self.inside if self.alarm.active else self.limit
        return value > edge if self.above else value < edge


class TagWatch:
    """Everything judged from one tag alone: its limits, its quality and its age.

    Args:
        tag: its name.
        alarms: told of what is so.
        limits: of its value.
        quality: begins while the value is BAD, or UNCERTAIN too.
        uncertain: whether UNCERTAIN is enough for that.
        stale: begins when there was no new value for ``stale_s``.
        stale_s: s.
        device: while it does not answer its own alarm speaks, and not these two.
    """

    __slots__ = (
        "_alarms",
        "_device",
        "_limits",
        "_quality",
        "_stale",
        "_uncertain",
        "high",
        "low",
        "quiet",
        "stale_s",
        "tag",
    )

    def __init__(
        self,
        tag: str,
        alarms: Alarms,
        limits: Sequence[Limit] = (),
        *,
        quality: Alarm | None = None,
        uncertain: bool = False,
        stale: Alarm | None = None,
        stale_s: float = math.inf,
        device: Answering | None = None,
    ) -> None:
        self.tag = tag
        self.stale_s = stale_s
        self.low = max((rule.limit for rule in limits if not rule.above), default=-math.inf)
        self.high = min((rule.limit for rule in limits if rule.above), default=math.inf)
        self.quiet = False  # nothing is active and no delay runs: a look at the value is enough
        self._alarms = alarms
        self._limits = tuple(limits)
        self._quality, self._uncertain = quality, uncertain
        self._stale = stale
        self._device = device

    def see(self, now: float, sample: Sample | None) -> None:
        """Judge one scan."""
        judge = self._alarms.judge
        quality = BAD if sample is None else sample.quality
        silent = self._device is not None and not self._device.answering
        if self._quality is not None:
            wrong = quality < (GOOD if self._uncertain else UNCERTAIN)
            judge(self._quality, wrong and not silent, now)
        if self._stale is not None:
            age = math.inf if sample is None else now - sample.time
            judge(self._stale, age > self.stale_s and not silent, now, age)
        if sample is not None and quality is not BAD:
            for rule in self._limits:
                judge(rule.alarm, rule.outside(sample.value), now, sample.value)
        alarms = [a for a in (self._quality, self._stale) if a is not None]
        alarms += [rule.alarm for rule in self._limits]
        self.quiet = not any(a.active or a.differs is not None for a in alarms)


class Deviation:
    """A loop's measurement away from its setpoint.

    Judged in AUTO and above only, and not while the measurement is on its way to a setpoint that
    has moved (or from the moment the loop was switched to AUTO) until it has arrived; after
    ``settle_s`` it should have.

    Args:
        alarm: what it begins and ends.
        alarms: told of what is so.
        loop: it has a measurement.
        limit: in the measured unit.
        deadband: in the measured unit.
        settle_s: s.
    """

    __slots__ = (
        "_alarm",
        "_alarms",
        "_deadband",
        "_limit",
        "_loop",
        "_moved_at",
        "_setpoint",
        "_settle_s",
        "_tag",
    )

    def __init__(
        self,
        alarm: Alarm,
        alarms: Alarms,
        loop: Loop,
        limit: float,
        deadband: float,
        settle_s: float,
    ) -> None:
        self._alarm = alarm
        self._alarms = alarms
        self._loop = loop
        self._limit = limit
        self._deadband = deadband
        self._settle_s = settle_s
        self._tag = loop.settings.measured or ""
        self._setpoint = math.nan  # that is approached; NaN: not in AUTO
        self._moved_at = math.inf  # when it moved there; -inf: the measurement has arrived

    def see(self, now: float, samples: Mapping[str, Sample]) -> None:
        """Judge one scan."""
        loop, alarm = self._loop, self._alarm
        sample = samples.get(self._tag)
        if sample is None or not sample.quality:
            return  # before the mode: without its measurement a loop leaves AUTO
        if loop.actual < AUTO:  # with IMAN and LO it is still asked to be there
            self._setpoint = math.nan
            if alarm.active or alarm.differs is not None:
                self._alarms.judge(alarm, False, now)
            return
        setpoint = loop.setpoint
        if not abs(setpoint - self._setpoint) <= MOVED * self._limit:
            if not alarm.active:  # else it goes on being away, whatever is asked for now
                self._moved_at, alarm.differs = now, None
            self._setpoint = setpoint
        away = abs(sample.value - setpoint)
        if away <= self._limit:
            self._moved_at = -math.inf
        if alarm.active:
            self._alarms.judge(alarm, away > self._limit - self._deadband, now, away)
        elif away > self._limit:
            if now - self._moved_at >= self._settle_s:
                self._alarms.judge(alarm, True, now, away, {"setpoint": setpoint})
        elif alarm.differs is not None:
            self._alarms.judge(alarm, False, now, away)


class Rate:
    """A value that rises or falls too fast: its distance from itself behind a first-order filter.

    On a steady ramp the filter follows ``span_s`` behind, so the distance is the slope times that.

    Args:
        tag: its name.
        alarms: told of what is so.
        rule: of the slope, the tag's unit a minute.
        sign: 1 for a rise, -1 for a fall.
        span_s: time constant of the filter, s.
    """

    __slots__ = ("_alarms", "_filtered", "_rule", "_sign", "_span_s", "_start", "_tag", "_time")

    def __init__(self, tag: str, alarms: Alarms, rule: Limit, sign: float, span_s: float) -> None:
        self._tag = tag
        self._alarms = alarms
        self._rule = rule
        self._sign = sign
        self._span_s = span_s
        self._filtered = 0.0
        self._start = self._time = math.nan  # of the filter; NaN: no value yet

    def see(self, now: float, samples: Mapping[str, Sample]) -> None:
        """Judge one scan."""
        sample = samples.get(self._tag)
        if sample is None or not sample.quality:
            self._start = math.nan  # what happened meanwhile nobody knows: begin anew
            return
        value = sample.value
        if self._start != self._start:
            self._start, self._filtered = now, value
        else:
            dt = now - self._time
            self._filtered += (value - self._filtered) * dt / (self._span_s + dt)
        self._time = now
        if now - self._start < SETTLED * self._span_s:
            return
        slope = self._sign * (value - self._filtered) / self._span_s * MINUTE_S
        rule = self._rule
        outside = rule.outside(slope)
        if outside != rule.alarm.active or rule.alarm.differs is not None:
            self._alarms.judge(rule.alarm, outside, now, slope)


class Residual:
    """Two values that should be the same: a reading and a second one, a command or an estimate.

    An estimate that is not sure itself accuses nobody: the alarm begins beyond the limit and beyond
    ``SURE`` standard deviations of it. What is in doubt (``doubt``) goes by the limit alone.

    Args:
        alarms: told of what is so.
        rule: of how far they are apart, in the tag's unit.
        tag: the measurement's name.
        against: the other's name.
        scale: of the other, to the tag's unit.
        latch: the tag stays disputed until a person has acknowledged the alarm. Two values that
            agree again prove little: both may be wrong, or the second may have learnt from the
            first.
    """

    __slots__ = (
        "_against",
        "_alarms",
        "_away",
        "_limit",
        "_scale",
        "_sd",
        "_time",
        "alarm",
        "latch",
        "tag",
    )

    def __init__(
        self, alarms: Alarms, rule: Limit, tag: str, against: str, scale: float, *, latch: bool
    ) -> None:
        self._alarms = alarms
        self._limit = rule
        self.alarm = rule.alarm
        self.tag = tag
        self._against, self._sd = against, spread_of(against)
        self._scale = scale
        self.latch = latch
        self._away = 0.0
        self._time: float = -math.inf  # of the second value that this is of

    @property
    def disputes(self) -> bool:
        """Whether the tag is not to be relied on."""
        return self.alarm.active or (self.latch and not self.alarm.acknowledged)

    @property
    def doubt(self) -> float:
        """How far the tag is not to be relied on, 0 to 1: 1 from the limit on, without a delay."""
        if self.disputes:
            return 1.0
        doubt = (self._away / self._limit.limit - USUAL) / (1.0 - USUAL)
        return 0.0 if doubt < 0.0 else 1.0 if doubt > 1.0 else doubt

    def see(self, now: float, samples: Mapping[str, Sample]) -> None:
        """Judge one scan."""
        one, other = samples.get(self.tag), samples.get(self._against)
        if one is None or other is None or one.quality is BAD or other.quality is BAD:
            return
        if other.time != self._time:  # of an older estimate a value that moves is away anyway
            self._away, self._time = abs(one.value - self._scale * other.value), other.time
        away, rule, alarm = self._away, self._limit, self.alarm
        if away <= rule.limit and not alarm.active and alarm.differs is None:
            return  # as nearly always
        outside = rule.outside(away)
        if outside and not alarm.active and (sd := samples.get(self._sd)) is not None:
            outside = away > SURE * abs(self._scale) * sd.value
        if outside != alarm.active or alarm.differs is not None:
            self._alarms.judge(alarm, outside, now, away)


def spread_of(against: str) -> str:
    """Return the tag of an estimate's standard deviation; what is none has none."""
    return f"{against}.sd" if ".est." in against else ""


class Rules:
    """All rules of a reactor.

    Args:
        watches: one a tag.
        others: what needs more than one tag's sample.
    """

    def __init__(self, watches: Sequence[TagWatch], others: Sequence[Rule]) -> None:
        self._watches = tuple(watches)
        self._others = tuple(others)
        self._residuals = tuple(
            (rule.tag, rule.alarm, rule.latch) for rule in others if isinstance(rule, Residual)
        )

    @property
    def disputed(self) -> frozenset[str]:
        """Names of the tags that a second value contradicts, by their ``residual`` alarms."""
        found: list[str] = []
        for tag, alarm, latch in self._residuals:
            if alarm.active or (latch and not alarm.acknowledged):
                found.append(tag)
        return frozenset(found)

    def step(self, now: float, samples: Mapping[str, Sample]) -> None:
        """Judge one scan; a tag that is missing from ``samples`` is BAD."""
        for watch in self._watches:
            sample = samples.get(watch.tag)
            if (
                watch.quiet
                and sample is not None
                and sample.quality is GOOD
                and watch.low <= sample.value <= watch.high
                and now - sample.time <= watch.stale_s
            ):
                continue  # as nearly always
            watch.see(now, sample)
        for rule in self._others:
            rule.see(now, samples)
