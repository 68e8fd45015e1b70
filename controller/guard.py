"""The Guard: the last check of every value before it is written, whoever computed it.

Candidate, finite and type, range, rate, interlocks, dose in any hour, value. It imports nothing of
ours but ``drivers.point`` and the interlocks. It never raises for a bad candidate: a controller
gets a safe value and is told so; what a person asks for is refused before it comes here.
"""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import Any, NamedTuple

from controller.interlocks import InterlockEvent, Interlocks
from drivers.point import Sample, Tag

HOUR_S = 3600.0
ML_PER_S = {"mL/s": 1.0, "mL/min": 1 / 60, "mL/h": 1 / 3600, "L/min": 1000 / 60, "L/h": 1 / 3.6}
CREDIT_S = 5.0  # a longer pause does not allow a larger step
FRESH_S = 5.0  # interlocks evaluated longer ago than this are not trusted
GRAIN_S = 60.0  # how finely doses are remembered over a restart


class Limited(IntEnum):
    """What decided a value in place of who asked for it."""

    NO = 0
    NOT_FINITE = 1
    RANGE = 2
    RATE = 3
    INTERLOCK = 4
    DOSE = 5


class Checked(NamedTuple):
    """What may be written.

    Attributes:
        value: in the actuator's unit; always finite and in its range.
        reason: what limited it, for people; empty when it is what was asked for.
        limited: the same for a program.
    """

    value: float
    reason: str
    limited: Limited


@dataclass(frozen=True, slots=True)
class ActuatorRule:
    """What an actuator may be told.

    Attributes:
        tag: the actuator; its range and its safe value.
        rate_per_s: greatest change, the tag's unit per s; ``None``: any.
        max_ml_per_h: greatest dose in any hour, mL; ``None``: any.
    """

    tag: Tag
    rate_per_s: float | None = None
    max_ml_per_h: float | None = None

    def __post_init__(self) -> None:
        name = self.tag.name
        if self.tag.safe is None:
            raise ValueError(f"{name}: it has no safe value; an actuator must have one")
        if self.rate_per_s is not None and not 0 < self.rate_per_s < math.inf:
            raise ValueError(f"{name}: rate_per_s {self.rate_per_s} is not allowed; it must be > 0")
        if self.max_ml_per_h is None:
            return
        if not 0 < self.max_ml_per_h < math.inf:
            raise ValueError(
                f"{name}: max_ml_per_h {self.max_ml_per_h} is not allowed; it (mL) must be > 0"
            )
        if self.tag.unit not in ML_PER_S:
            raise ValueError(
                f"{name}: a dose limit needs a flow in {', '.join(ML_PER_S)}, not {self.tag.unit}"
            )


class _Dose:
    """What went through one pump within the hour: points (s, mL since the first), linear between.

    Exact: a new point is kept wherever the flow changes, and nothing is rounded until a restart.
    """

    __slots__ = ("_bend", "_points", "flow", "ml_per_s", "most", "time", "volume")

    def __init__(self, most: float, ml_per_s: float) -> None:
        self.most = most  # mL in any hour
        self.ml_per_s = ml_per_s  # of one of the tag's units
        self.flow = 0.0  # mL/s since `time`
        self.time = math.nan  # up to when it has been counted; NaN: not begun
        self.volume = 0.0  # mL at `time`
        self._bend = -1.0  # mL/s between the last two points
        self._points: deque[tuple[float, float]] = deque()

    def count(self, now: float) -> None:
        """Add what went through since the last count."""
        dt = now - self.time
        if dt <= 0.0:
            return
        points = self._points
        if dt != dt:  # the first time
            points.append((now, self.volume))
        else:
            self.volume += self.flow * dt
            if self.flow == self._bend:
                points[-1] = (now, self.volume)
            else:
                points.append((now, self.volume))
                self._bend = self.flow
        self.time = now
        old = now - HOUR_S
        while len(points) > 2 and points[1][0] <= old:
            points.popleft()

    def since(self, time: float) -> float:
        """Return what went through since ``time``, in mL, up to the last count."""
        points = self._points
        if not points or time <= points[0][0]:
            return self.volume - (points[0][1] if points else self.volume)
        if time >= self.time:
            return 0.0
        i = 1
        while points[i][0] < time:
            i += 1
        (t0, v0), (t1, v1) = points[i - 1], points[i]
        return self.volume - v0 - (v1 - v0) * (time - t0) / (t1 - t0)

    def allowed(self, flow: float, now: float, ahead: float) -> float:
        """Return ``flow`` or as much of it (mL/s) as the hour ``ahead`` s from now can take."""
        wanted = flow * ahead
        # Since the oldest point is longer than an hour: if that leaves enough, it is enough.
        if self.volume - self._points[0][1] + wanted <= self.most:
            return flow
        left = self.most - self.since(now + ahead - HOUR_S)
        # a constant flow of exactly the limit is not cut by rounding
        return flow if wanted <= left + 1e-9 * wanted else max(0.0, left) / ahead

    def as_state(self) -> dict[str, Any]:
        """Return it as JSON; points closer than `GRAIN_S` are joined, their volume is kept."""
        points = list(self._points)
        kept = points[:1]
        for point, after in pairwise(points[1:]):
            if after[0] - kept[-1][0] >= GRAIN_S:
                kept.append(point)
        kept += points[-1:] if len(points) > 1 else []
        return {"ml_per_s": self.flow, "points": [[t, v - points[0][1]] for t, v in kept]}

    def restore(self, state: Mapping[str, Any], now: float, ran_on_s: float) -> None:
        """Continue from ``as_state``; see `Guard.from_state`."""
        points = [(float(t), float(v)) for t, v in state["points"]]
        flow = float(state["ml_per_s"])
        if not all(math.isfinite(n) for point in [*points, (flow, 0.0)] for n in point):
            raise ValueError("not finite")
        rises = all(a[0] < b[0] and a[1] <= b[1] for a, b in pairwise(points))
        if flow < 0 or not rises:
            raise ValueError("not rising")
        if not points:
            return
        late = max(0.0, points[-1][0] - now)  # a clock that was set back: no outage, same doses
        self._points = deque((t - late, v) for t, v in points)
        self.time, self.volume = self._points[-1]
        self.flow = flow
        self.count(min(now, self.time + ran_on_s))
        self.flow = 0.0
        self.count(now)


class _Seat:
    """One actuator: its rule and what it holds."""

    __slots__ = ("dose", "high", "last", "low", "rate", "rule", "safe", "texts", "time")

    def __init__(self, rule: ActuatorRule) -> None:
        tag = rule.tag
        self.rule = rule
        self.low, self.high, self.safe = tag.low, tag.high, tag.safe or 0.0
        self.rate = math.inf if rule.rate_per_s is None else rule.rate_per_s
        self.last = self.safe  # what it holds
        self.time = math.inf  # when that was decided, s since 1970; inf: never
        self.dose = None
        if rule.max_ml_per_h is not None:
            self.dose = _Dose(rule.max_ml_per_h, ML_PER_S[tag.unit])
        self.texts = {
            Limited.NO: "",
            Limited.NOT_FINITE: "asked for no number; safe value",
            Limited.RANGE: f"range {tag.low:g} to {tag.high:g} {tag.unit}",
            Limited.RATE: f"at most {self.rate:g} {tag.unit} per s",
            Limited.INTERLOCK: "interlocks were not evaluated; safe value",
            Limited.DOSE: f"at most {rule.max_ml_per_h or 0:g} mL in an hour",
        }


class Guard:
    """The last check before a write, for all actuators of a reactor.

    Each scan: ``begin`` once, then ``check`` for each actuator, and write what it returned. Until
    told otherwise (``adopt``) an actuator is taken to hold its safe value at the start.

    Args:
        rules: one for each actuator.
        interlocks: what may force them.
        scan_s: how long a value will stand, s.
    """

    def __init__(
        self, rules: Sequence[ActuatorRule], interlocks: Interlocks, *, scan_s: float = 1.0
    ) -> None:
        self.interlocks = interlocks
        self._seats = {rule.tag.name: _Seat(rule) for rule in rules}
        self._scan_s = scan_s
        self._begun = -math.inf
        for lock in interlocks.locks:
            for name, value in lock.force.items():
                if name not in self._seats:
                    known = ", ".join(self._seats)
                    raise ValueError(f"{lock.name}: {name} is no actuator of this guard; {known}")
                self._seats[name].rule.tag.require(value)

    def begin(self, now: float, samples: Mapping[str, Sample]) -> Sequence[InterlockEvent]:
        """Evaluate the interlocks for this scan and return those that tripped or cleared.

        Args:
            now: s since 1970 UTC.
            samples: by tag name; a missing one is BAD.
        """
        self._begun = now
        return self.interlocks.evaluate(now, samples)

    def check(self, tag: Tag, value: float, now: float) -> Checked:
        """Return what may be written for ``value``, and take it as written.

        Args:
            tag: the actuator.
            value: what a controller wants, in the tag's unit; anything at all.
            now: s since 1970 UTC.

        Raises:
            ValueError: ``tag`` is no actuator of this guard.
        """
        seat = self._seats.get(tag.name)
        if seat is None:
            raise ValueError(f"{tag.name}: no actuator of this guard; {', '.join(self._seats)}")
        limited = Limited.NO
        reason = None
        if type(value) is not float:
            value = _number(value)
        if value - value != 0.0:  # NaN or infinite
            value, limited = seat.safe, Limited.NOT_FINITE
        else:
            if value < seat.low:
                value, limited = seat.low, Limited.RANGE
            elif value > seat.high:
                value, limited = seat.high, Limited.RANGE
            if seat.rate != math.inf:
                step = seat.rate * min(max(now - seat.time, 0.0), CREDIT_S)
                if value > seat.last + step:
                    value, limited = seat.last + step, Limited.RATE
                elif value < seat.last - step:
                    value, limited = seat.last - step, Limited.RATE
        forced = self.interlocks.forced.get(tag.name)
        if forced is not None:
            value, limited, reason = forced.value, Limited.INTERLOCK, forced.text
        elif now - self._begun > FRESH_S:
            value, limited = seat.safe, Limited.INTERLOCK
        dose = seat.dose
        if dose is not None:
            dose.count(now)
            flow = max(value, 0.0) * dose.ml_per_s
            most = dose.allowed(flow, now, self._scan_s)
            if most < flow:
                value = max(most / dose.ml_per_s, seat.low)
                limited, reason, flow = Limited.DOSE, None, value * dose.ml_per_s
            dose.flow = flow
        seat.last, seat.time = value, now
        return Checked(value, seat.texts[limited] if reason is None else reason, limited)

    def adopt(self, tag: Tag, value: float) -> None:
        """Take what the device really holds: a readback that is not what was written.

        Nobody knows since when, so the time since the last check is counted with the larger flow.

        Raises:
            ValueError: ``value`` is not finite or ``tag`` is no actuator of this guard.
        """
        seat = self._seats.get(tag.name)
        if seat is None or not math.isfinite(value):
            raise ValueError(f"{tag.name}: cannot adopt {value}; a finite value of an actuator")
        seat.last = min(max(value, seat.low), seat.high)
        if seat.dose is not None:
            seat.dose.flow = max(seat.dose.flow, value * seat.dose.ml_per_s)

    def dosed_ml(self, tag: Tag, now: float) -> float:
        """Return what went through an actuator with a dose limit in the hour before ``now``, mL."""
        dose = self._seats[tag.name].dose
        if dose is None:
            raise ValueError(f"{tag.name}: it has no dose limit, so its dose is not counted")
        dose.count(now)
        return dose.since(now - HOUR_S)

    def as_state(self) -> dict[str, Any]:
        """Return doses and latches as JSON, for a restart."""
        doses = {n: s.dose.as_state() for n, s in self._seats.items() if s.dose is not None}
        return {"doses": doses, "latched": self.interlocks.as_state()}

    @classmethod
    def from_state(
        cls,
        rules: Sequence[ActuatorRule],
        interlocks: Interlocks,
        state: Mapping[str, Any],
        now: float,
        *,
        scan_s: float = 1.0,
        ran_on_s: float = math.inf,
    ) -> "Guard":
        """Return a guard that remembers the doses and latches of ``as_state``.

        Args:
            rules: as for a new one; what the state knows of other actuators is forgotten.
            interlocks: as for a new one.
            state: what ``as_state`` returned.
            now: s since 1970 UTC.
            scan_s: as for a new one.
            ran_on_s: how long after the state was made a pump may have run on, s: the age of the
                state plus the device's watchdog. Without a watchdog it may have run until now,
                and is counted so.

        Raises:
            ValueError: the state is damaged; it names the actuator.
        """
        guard = cls(rules, interlocks, scan_s=scan_s)
        try:
            doses = dict(state["doses"])
            interlocks.restore([str(name) for name in state["latched"]])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"guard state: damaged: {error!r}") from None
        for name, seat in guard._seats.items():
            if seat.dose is None or name not in doses:
                continue
            try:
                seat.dose.restore(doses[name], now, ran_on_s)
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"guard state: {name}: damaged: {error!r}") from None
        return guard


def _number(value: object) -> float:
    """Return a candidate that is not plainly a float as one; NaN where it is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan
