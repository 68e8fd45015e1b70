"""Experiments on a loop, fed scan by scan: relay feedback and a step there and back.

An experiment says what the output should be and keeps what was measured. It touches nothing: who
runs it writes the output and tells it to ``abort`` when anything else has to decide.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import median


class State(StrEnum):
    """Where an experiment is."""

    BASELINE = "baseline"  # nothing is moved; the noise is measured
    RUNNING = "running"
    DONE = "done"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True)
class Limits:
    """What an experiment may do to the plant.

    Attributes:
        output_low: least output, u.
        output_high: greatest output, u.
        deviation: how far the measurement may go from where it began, y.
        longest_s: s until it gives up.
        baseline_s: s of watching before anything moves.
    """

    output_low: float
    output_high: float
    deviation: float
    longest_s: float
    baseline_s: float

    def __post_init__(self) -> None:
        for name in ("deviation", "longest_s", "baseline_s"):
            value: float = getattr(self, name)
            if not 0.0 < value < math.inf:
                raise ValueError(f"{name}: {value:g} is not allowed; it must be > 0")


@dataclass(slots=True)
class Record:
    """What happened: measurement of each scan and the output from that scan on."""

    times: list[float] = field(default_factory=list[float])  # s
    measured: list[float] = field(default_factory=list[float])  # y
    outputs: list[float] = field(default_factory=list[float])  # u


class Experiment(ABC):
    """What both experiments share: a baseline, limits, a record and an end.

    Args:
        output: where the output is, u; it goes back there in the end.
        move: how far it moves the output, u.
        limits: what it may do.

    Raises:
        ValueError: the move does not fit between the output's limits.
    """

    kind = ""  # relay or step

    def __init__(self, output: float, move: float, limits: Limits) -> None:
        if not 0.0 < abs(move) < math.inf:
            raise ValueError(f"move: {move:g} is not allowed; it must be finite and not 0")
        self.start = output
        self.move = move
        self.limits = limits
        self.state = State.BASELINE
        self.reason = ""  # why it was aborted
        self.text = "watching"  # what it does now, for a person
        self.record = Record()
        self.level = math.nan  # of the measurement at the beginning, y
        self.noise = math.nan  # standard deviation about it, y
        self._require(output)

    @property
    def over(self) -> bool:
        """Whether it has nothing more to do."""
        return self.state in (State.DONE, State.ABORTED)

    def abort(self, reason: str) -> None:
        """End it; from now on it wants the output that it began with."""
        if not self.over:
            self.state, self.reason, self.text = State.ABORTED, reason, reason

    def step(self, time: float, measured: float) -> float:
        """Return the output from this scan on; ``time`` in s, ``measured`` in y."""
        if self.over:
            return self.start
        if not math.isfinite(measured):
            self.abort("the measurement is not a number")
            return self.start
        record = self.record
        record.times.append(time)
        record.measured.append(measured)
        wanted = self._next(time, measured)
        if self.over:
            wanted = self.start
        record.outputs.append(wanted)
        return wanted

    def _next(self, time: float, measured: float) -> float:
        elapsed = time - self.record.times[0]
        if self.state is State.BASELINE:
            if elapsed >= self.limits.baseline_s and len(self.record.times) >= 10:
                self._finish_baseline(time)
            else:
                return self.start
        elif abs(measured - self.level) > self.limits.deviation:
            self.abort(
                f"the measurement went {measured - self.level:+.3g} away, "
                f"{self.limits.deviation:.3g} are allowed; make the move smaller"
            )
        elif elapsed > self.limits.longest_s:
            self._time_out()
        if self.over:
            return self.start
        return self._move_output(time, measured)

    def _finish_baseline(self, time: float) -> None:
        times, values = self.record.times, self.record.measured
        n = len(values)
        mid, mean = sum(times) / n, sum(values) / n
        spread = sum((t - mid) ** 2 for t in times)
        slope = sum((t - mid) * (v - mean) for t, v in zip(times, values, strict=True)) / spread
        rest = [v - mean - slope * (t - mid) for t, v in zip(times, values, strict=True)]
        self.noise = math.sqrt(sum(r * r for r in rest) / max(1, n - 2))
        self.level = mean
        drift = abs(slope) * self.limits.baseline_s
        if drift > 0.25 * self.limits.deviation:
            self.abort(
                f"the measurement is not steady: it drifts by {drift:.3g} in "
                f"{self.limits.baseline_s:g} s"
            )
        elif 4.0 * self.noise > self.limits.deviation:
            self.abort(
                f"the noise ({self.noise:.3g}) leaves no room within the allowed "
                f"{self.limits.deviation:.3g}"
            )
        else:
            self.state = State.RUNNING
            self._begin(time)

    @abstractmethod
    def _require(self, output: float) -> None:
        """Refuse to begin at an output that leaves no room."""

    @abstractmethod
    def _begin(self, time: float) -> None:
        """Begin: the baseline is known."""

    @abstractmethod
    def _move_output(self, time: float, measured: float) -> float:
        """Return where the output goes now."""

    @abstractmethod
    def _time_out(self) -> None:
        """End because it takes too long."""


@dataclass(frozen=True, slots=True)
class Cycle:
    """One full oscillation: s above, s below, and half of its height, y."""

    up_s: float
    down_s: float
    amplitude: float

    @property
    def period_s(self) -> float:
        return self.up_s + self.down_s


class Relay(Experiment):
    """Relay feedback: the output jumps between two values and the loop oscillates at its limit.

    Source: K. J. Åström, T. Hägglund, Automatica 20 (1984) 645-651; a hysteresis against noise, and
    a bias that makes both halves equal under a load.

    Args:
        output: where the output is, u.
        amplitude: d, u; negative where a larger output lowers the measurement.
        limits: what it may do.
        hysteresis: y; ``None``: three times the noise of the baseline.
        cycles: equal ones that are wanted.
    """

    kind = "relay"

    def __init__(
        self,
        output: float,
        amplitude: float,
        limits: Limits,
        hysteresis: float | None = None,
        cycles: int = 4,
    ) -> None:
        super().__init__(output, amplitude, limits)
        if cycles < 2:
            raise ValueError(f"cycles: {cycles} is not allowed; it must be >= 2")
        self.hysteresis = math.nan if hysteresis is None else hysteresis
        self.wanted_cycles = cycles
        self.cycles: list[Cycle] = []  # since the bias was last moved
        self.bias = 0.0
        self._high = True  # whether it pushes the measurement up
        self._since = math.nan
        self._up_s = math.nan
        self._extremes = (math.inf, -math.inf)
        self._counted = False  # the first half oscillation is none

    @property
    def equal_cycles(self) -> list[Cycle]:
        """The last ones, as many as are wanted."""
        return self.cycles[-self.wanted_cycles :]

    def _require(self, output: float) -> None:
        reach = abs(self.move)
        low, high = self.limits.output_low, self.limits.output_high
        if not low <= output - reach <= output + reach <= high:
            raise ValueError(
                f"amplitude: {reach:g} is not allowed; {output:.3g} ± {reach:g} is outside "
                f"{low:g} to {high:g}"
            )

    def _begin(self, time: float) -> None:
        if math.isnan(self.hysteresis):
            self.hysteresis = 3.0 * self.noise
        self._since = time
        self.text = "first half oscillation"

    def _move_output(self, time: float, measured: float) -> float:
        low, high = self._extremes
        self._extremes = (min(low, measured), max(high, measured))
        away = measured - self.level
        if self._high and away > self.hysteresis:
            self._up_s, self._since, self._high = time - self._since, time, False
        elif not self._high and away < -self.hysteresis:
            self._close_cycle(time)
            self._since, self._high = time, True
        return self.start + self.bias + (self.move if self._high else -self.move)

    def _close_cycle(self, time: float) -> None:
        low, high = self._extremes
        cycle = Cycle(self._up_s, time - self._since, (high - low) / 2)
        self._extremes = (math.inf, -math.inf)
        if not self._counted:
            self._counted = True
            return
        self.cycles.append(cycle)
        self.text = f"oscillation {len(self.cycles)}, period {cycle.period_s:.4g} s"
        if self._balanced(cycle) and self._equal():
            self.state, self.text = State.DONE, f"{len(self.cycles)} oscillations"

    def _balanced(self, cycle: Cycle) -> bool:
        """Move the bias where the halves are unequal, and count anew."""
        skew = (cycle.up_s - cycle.down_s) / cycle.period_s
        if abs(skew) <= 0.2 or len(self.cycles) < 2:
            return abs(skew) <= 0.2
        low, high = self.limits.output_low, self.limits.output_high
        reach = abs(self.move)
        bias = self.bias + self.move * skew
        room = min(max(bias, low + reach - self.start), high - reach - self.start)
        if abs(room - self.bias) < 1e-3 * reach:
            return True  # no room left: unequal halves have to do
        self.bias = room
        self.cycles.clear()
        self._counted = False
        return False

    def _equal(self) -> bool:
        last = self.equal_cycles
        if len(last) < self.wanted_cycles:
            return False
        for values in ([c.period_s for c in last], [c.amplitude for c in last]):
            middle = median(values)
            if max(abs(v - middle) for v in values) > 0.15 * middle:
                return False
        return True

    def _time_out(self) -> None:
        if not self._counted and not self.cycles:
            self.abort(
                f"the measurement did not answer to ± {abs(self.move):g} within "
                f"{self.limits.longest_s:g} s; make the move larger"
            )
        else:
            self.abort(
                f"no even oscillation within {self.limits.longest_s:g} s ({len(self.cycles)} seen)"
            )


class StepTest(Experiment):
    """A step of the output, and back when the measurement has answered; both ways are recorded.

    It turns back when the measurement has settled, has gone 60 % of what is allowed, or half the
    time is over, and ends when it has been back as long as it was away.

    Args:
        output: where the output is, u.
        size: of the step, u, up or down.
        limits: what it may do.
    """

    kind = "step"
    ENOUGH = 0.6  # share of the allowed deviation at which it turns back

    def __init__(self, output: float, size: float, limits: Limits) -> None:
        super().__init__(output, size, limits)
        self._stepped = math.nan
        self._turned = math.nan
        self._sums = [0.0]  # of the measurement since the step, so that a mean costs nothing

    def _require(self, output: float) -> None:
        low, high = self.limits.output_low, self.limits.output_high
        if not low <= output + self.move <= high:
            raise ValueError(
                f"size: {self.move:g} is not allowed; {output + self.move:.3g} is outside "
                f"{low:g} to {high:g}"
            )

    def _begin(self, time: float) -> None:
        self._stepped = time
        self.text = f"step of {self.move:+g}"

    def _move_output(self, time: float, measured: float) -> float:
        away_s = time - self._stepped
        if math.isnan(self._turned):
            self._sums.append(self._sums[-1] + measured)
            allowed_s = (self.limits.longest_s - self.limits.baseline_s) / 2
            enough = abs(measured - self.level) >= self.ENOUGH * self.limits.deviation
            if enough or away_s >= allowed_s or self._settled():
                self._turned = time
                self.text = f"back after {away_s:.4g} s"
                return self.start
            return self.start + self.move
        if time - self._turned >= self._turned - self._stepped:
            self.state, self.text = State.DONE, "there and back"
        return self.start

    def _settled(self) -> bool:
        """Whether the last third of the answer adds next to nothing to what was before."""
        sums, n = self._sums, len(self._sums) - 1
        third = n // 3
        if third < 20:
            return False
        middle = (sums[2 * third] - sums[third]) / third
        last = (sums[n] - sums[n - third]) / third
        moved = abs(last - self.level)
        clear = moved > 15.0 * self.noise
        return clear and abs(last - middle) < 0.03 * moved + self.noise / math.sqrt(third)

    def _time_out(self) -> None:
        self.state, self.text = State.DONE, "out of time"
