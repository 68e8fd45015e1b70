"""Probes, balances and drives between the true vessel and the tags.

A reading is the truth after lag, delay, saturation, gain, offset, drift, noise, the last digit and
sampling, in this order (PROCESS 3). A drive turns what is wanted into what happens. All time is
plant time.
"""

import math
from collections import deque

Line = deque[tuple[float, float]]  # what is on its way: when it arrives, by age in s, and what


class Instrument:
    """One measured quantity.

    Args:
        lag_s: time constant of the first-order lag, s; 0 for none.
        noise: standard deviation, in the tag's unit.
        gain: what one unit shows as.
        offset: added to every reading.
        drift: added per day.
        digit: the last digit that is shown.
        delay_s: dead time, s: a sample line.
        start: the truth before the first step.
        share: of the reading that is added to ``noise``.
        full: where a reading bends and ends, in the unit of the truth; 0 for nowhere.
        every_s: time from one reading to the next, s; 0 for one in every step. Between them the
            last one is shown, as of an analyser that visits one vessel after another.

    Attributes:
        plain: it only lags, waits, errs and rounds: no bend, no time between readings.
        lagged: where it is behind its lag.
        line: what is on its way through the dead time.
        arrived: what has come out of it last.
    """

    __slots__ = (
        "_due",
        "_one",
        "_shown",
        "arrived",
        "delay_s",
        "digit",
        "drift",
        "every_s",
        "full",
        "gain",
        "lag_s",
        "lagged",
        "line",
        "noise",
        "offset",
        "plain",
        "share",
    )

    def __init__(
        self,
        lag_s: float,
        noise: float,
        *,
        gain: float = 1.0,
        offset: float = 0.0,
        drift: float = 0.0,
        digit: float = 0.0,
        delay_s: float = 0.0,
        start: float = 0.0,
        share: float = 0.0,
        full: float = 0.0,
        every_s: float = 0.0,
    ) -> None:
        self.lag_s = lag_s
        self.noise = noise
        self.gain = gain
        self.offset = offset
        self.drift = drift / 86400.0
        self.digit = digit
        self.share = share
        self.full = full
        self.every_s = every_s
        self.delay_s = delay_s
        self.line: Line = deque()
        self.arrived = self.lagged = start
        self._one = follow(lag_s, 1.0)
        self.plain = not (full or every_s)
        self._due = 0.0
        self._shown = 0.0

    def show(self, truth: float, age: float, dt: float, normal: float) -> float:
        """Return the reading.

        Args:
            truth: at the end of the step.
            age: s since the vessel's start, for drift, delay and sampling.
            dt: length of the step, s.
            normal: a standard normal number for the noise.
        """
        was = self.lagged
        share = self._one if dt == 1.0 else follow(self.lag_s, dt)
        self.lagged = y = was + share * (truth - was)
        if self.delay_s:
            line = self.line
            line.append((age + self.delay_s, y))
            while line[0][0] <= age:
                self.arrived = line.popleft()[1]
            y = self.arrived
        if not self.plain:
            if self.every_s:
                if age < self._due:
                    return self._shown
                self._due += self.every_s * (1 + (age - self._due) // self.every_s)
            if self.full:
                y = -self.full * math.expm1(-y / self.full)
        y = self.gain * y + self.offset + self.drift * age
        y += (self.noise + self.share * abs(y) if self.share else self.noise) * normal
        if digit := self.digit:
            y = round(y / digit) * digit
        self._shown = y
        return y


def follow(lag_s: float, dt: float) -> float:
    """Return the share of the way to its input that a first-order lag goes in ``dt``."""
    return -math.expm1(-dt / lag_s) if lag_s > 0.0 else 1.0


class Drive:
    """One moved quantity: a stirrer, a valve, a pump, a flow controller.

    Args:
        high: what it can give at most.
        low: what it gives at least: always, or while it runs if it has a ``least``.
        lag_s: time constant, s.
        ramp: greatest change per s; 0 for no limit.
        gain: what really happens per unit wanted: a pump's calibration.
        step: resolution; what is wanted is rounded to it.
        least: below this it stands still.
        dead: what is wanted has to change by more to move it (stiction).
        wear: share of the gain that is lost per day: tubing.

    Attributes:
        rests_at: while just this is wanted nothing changes; NaN while something does.
    """

    __slots__ = (
        "_aim",
        "_one",
        "_wanted",
        "dead",
        "gain",
        "high",
        "lag_s",
        "least",
        "low",
        "ramp",
        "rests_at",
        "step",
        "value",
        "wear",
    )

    def __init__(
        self,
        high: float,
        *,
        low: float = 0.0,
        lag_s: float = 0.0,
        ramp: float = 0.0,
        gain: float = 1.0,
        step: float = 0.0,
        least: float = 0.0,
        dead: float = 0.0,
        wear: float = 0.0,
    ) -> None:
        self.high = high
        self.low = low
        self.lag_s = lag_s
        self.ramp = ramp
        self.gain = gain
        self.step = step
        self.least = least
        self.dead = dead
        self.wear = wear / 86400.0
        self.value = 0.0
        self.rests_at = math.nan
        self._wanted = math.nan  # what was wanted last
        self._aim = 0.0  # where that has it go, without gain and wear
        self._one = follow(lag_s, 1.0)

    def move(self, wanted: float, age: float, dt: float) -> float:
        """Return the mean of what really happens over ``dt`` s, and keep where it ends."""
        if wanted != self._wanted:
            self._wanted, self._aim = wanted, self._place(wanted)
        aim = self._aim * (self.gain - self.wear * age)
        was = self.value
        if aim == was:
            self.rests_at = math.nan if aim and self.wear else wanted
            return was
        self.rests_at = math.nan
        if self.ramp:
            most = self.ramp * dt
            self.value = now = max(was - most, min(was + most, aim))
            return 0.5 * (was + now)
        if self.lag_s <= 0.0:
            self.value = aim
            return aim
        share = self._one if dt == 1.0 else follow(self.lag_s, dt)
        self.value = now = was + share * (aim - was)
        if abs(now - aim) < 1e-9 * self.high:
            self.value = aim
        return aim + (was - aim) * share * self.lag_s / dt

    def _place(self, wanted: float) -> float:
        """Return where a drive goes of which something else is wanted now."""
        if wanted <= self.least:
            aim = 0.0 if self.least else self.low
        elif wanted < self.high:
            aim = wanted if wanted > self.low else self.low
        else:
            aim = self.high
        if self.step:
            aim = round(aim / self.step) * self.step
        if self.dead and aim and abs(aim - self._aim) <= self.dead:  # it always closes
            return self._aim
        return aim
