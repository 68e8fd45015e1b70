"""The Guard: the last check of every value before it is written, whoever computed it.

Candidate, finite and type, range, rate, interlocks and exclusions, dose in any hour, value. It
imports nothing of ours but ``drivers.point`` and the interlocks. It never raises for a bad
candidate: a controller gets a safe value and is told so; what a person asks for is refused before
it comes here.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

from controller.protection.dose import HOUR_S, ML_PER_S, Dose
from controller.protection.interlock import InterlockEvent
from controller.protection.interlocks import Interlocks
from controller.texts.said import said
from drivers.point import BAD, Sample, Tag, quick

CREDIT_S = 5.0  # a longer pause does not allow a larger step
FRESH_S = 5.0  # interlocks evaluated longer ago than this are not trusted
AT_REST = 1e-3  # of its range: an actuator that holds no more is closed, or stands still


class Limited(IntEnum):
    """What decided a value in place of who asked for it."""

    NO = 0
    NOT_FINITE = 1
    RANGE = 2
    RATE = 3
    INTERLOCK = 4
    DOSE = 5
    UNREACHABLE = 6  # never said by the Guard itself: the device takes nothing now


NO, NOT_FINITE, RANGE, RATE, INTERLOCK, DOSE, UNREACHABLE = (
    Limited  # by name, as in ``drivers.point``
)


class Checked(NamedTuple):
    """What may be written.

    Attributes:
        value: in the actuator's unit; always finite and in its range.
        reason: what limited it, for people; empty when it is what was asked for.
        limited: the same for a program.
    """

    value: float
    reason: str = ""
    limited: Limited = NO


@dataclass(frozen=True, slots=True)
class ActuatorRule:
    """What an actuator may be told.

    Attributes:
        tag: the actuator; its range and its safe value.
        rate_per_s: greatest change, the tag's unit per s; ``None``: any.
        max_ml_per_h: greatest dose in any hour, mL; ``None``: any.
        excludes: actuators that are never open together with it, by tag name: steam and cooling
            water. Each opens only when the others are seen closed.
    """

    tag: Tag
    rate_per_s: float | None = None
    max_ml_per_h: float | None = None
    excludes: tuple[str, ...] = ()

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


class _Seat:
    """One actuator: its rule and what it holds."""

    __slots__ = (
        "dose", "excludes", "high", "last", "low", "open", "passed", "rate", "rest", "rule", "safe",
        "same", "texts", "time",
    )  # fmt: skip

    def __init__(self, rule: ActuatorRule) -> None:
        tag = rule.tag
        self.rule = rule
        self.low, self.high, self.safe = tag.low, tag.high, tag.safe or 0.0
        self.rest = tag.low + AT_REST * (tag.high - tag.low)
        self.excludes: Sequence[_Seat] = ()
        self.open = False  # its readback says so; looked at only where it excludes others
        self.rate = rule.rate_per_s
        self.last = self.safe  # what it holds
        self.time = math.inf  # when that was decided, s since 1970; inf: never
        self.passed = Checked(self.safe)  # what a check of ``same`` gives in a quiet scan
        self.same = math.nan  # what may be asked for again without another look; NaN: nothing
        self.dose = None
        if rule.max_ml_per_h is not None:
            self.dose = Dose(rule.max_ml_per_h, ML_PER_S[tag.unit])
        self.texts = {
            NO: "",
            NOT_FINITE: said("not_finite"),
            RANGE: said("range", low=tag.low, high=tag.high, unit=tag.unit),
            RATE: said("rate", rate=self.rate or 0, unit=tag.unit),
            INTERLOCK: said("not_evaluated"),
            DOSE: said("dose", ml=rule.max_ml_per_h or 0),
        }

    def nearest(self, value: float) -> tuple[float, Limited]:
        """Return what there is in place of a value outside the range, and why."""
        if not math.isfinite(value):
            return self.safe, NOT_FINITE
        return (self.low if value < self.low else self.high), RANGE


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
            for name in lock.actuators:
                self._known(lock.name, name)
            for name, low, high in lock.limits:
                self._seats[name].rule.tag.require(low if math.isfinite(low) else high)
        for name, seat in self._seats.items():
            for other in seat.rule.excludes:
                if other == name or name not in self._known(name, other).rule.excludes:
                    raise ValueError(f"{name}: {other} must exclude it too, and be another")
            seat.excludes = [self._seats[other] for other in seat.rule.excludes]
        self._excluding = [seat for seat in self._seats.values() if seat.excludes]

    def begin(self, now: float, samples: Mapping[str, Sample]) -> Sequence[InterlockEvent]:
        """Evaluate the interlocks for this scan and return those that tripped or cleared.

        Args:
            now: s since 1970 UTC.
            samples: by tag name; a missing one is BAD.
        """
        self._begun = now
        for seat in self._excluding:
            found = samples.get(seat.rule.tag.name)
            if found is not None and found.quality is not BAD:
                seat.open = found.value > seat.rest
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
        name = tag.name
        seat = self._seats.get(name)
        if seat is None:
            raise ValueError(f"{name}: no actuator of this guard; {', '.join(self._seats)}")
        if value.__class__ is not float:
            value = _number(value)
        demands = self.interlocks.demands
        if value == seat.same and now == self._begun and not demands:
            seat.time = now  # it is asked for what it holds, as nearly always
            return seat.passed
        limited, reason = NO, ""
        if value != seat.last or now != self._begun or demands or seat.excludes:
            value, limited, reason = self._limited(seat, name, value, now)
        dose = seat.dose
        if dose is not None and (value > 0.0 or dose.flow > 0.0):
            dose.count(now)
            if value > 0.0:
                flow = value * dose.ml_per_s
                most = dose.allowed(flow, now, self._scan_s)
                if most < flow:
                    value = max(most / dose.ml_per_s, seat.low)
                    limited, reason, flow = DOSE, None, value * dose.ml_per_s
                dose.flow = flow
            else:
                dose.flow = 0.0
        seat.last, seat.time = value, now
        if reason is None:
            reason = seat.texts[limited]
        seat.passed = checked = quick(Checked, (value, reason, limited))
        stands = dose is None or dose.flow == 0.0  # else there is a dose to count in each scan
        seat.same = value if limited is NO and stands and not seat.excludes else math.nan
        return checked

    def _limited(
        self, seat: _Seat, name: str, value: float, now: float
    ) -> tuple[float, Limited, str | None]:
        """Return what range, rate, interlocks and exclusions leave of a value, and who decided.

        A reason that is ``None`` is the seat's own text.
        """
        limited, reason = NO, None
        if not seat.low <= value <= seat.high:  # NaN is in no range
            value, limited = seat.nearest(value)
        if seat.rate is not None and limited is not NOT_FINITE:
            dt = now - seat.time
            step = seat.rate * (CREDIT_S if dt > CREDIT_S else dt if dt > 0.0 else 0.0)
            if value > seat.last + step:
                value, limited = seat.last + step, RATE
            elif value < seat.last - step:
                value, limited = seat.last - step, RATE
        if now - self._begun > FRESH_S:
            value, limited = seat.safe, INTERLOCK
        demand = self.interlocks.demands.get(name)
        if demand is not None:
            if value > demand.high or demand.low == demand.high:
                value, limited, reason = demand.high, INTERLOCK, demand.why_high
            elif value < demand.low:
                value, limited, reason = demand.low, INTERLOCK, demand.why_low
        opens = value > seat.rest and (seat.excludes or seat.last <= seat.rest)
        if opens and (why := self._closed(seat, name)):
            value, limited, reason = seat.low, INTERLOCK, why
        return value, limited, reason

    def _closed(self, seat: _Seat, name: str) -> str:
        """Return why an actuator must not open now, or an empty string."""
        if seat.last <= seat.rest and (why := self.interlocks.no_start.get(name)):
            return why
        for other in seat.excludes:
            tag = other.rule.tag.name
            if other.last > other.rest or other.open:
                return said("is_open", tag=tag)
            demand = self.interlocks.demands.get(tag)
            if demand is not None and demand.low > other.rest:
                return said("must_open", tag=tag)
        return ""

    def _known(self, where: str, name: str) -> _Seat:
        if name not in self._seats:
            known = ", ".join(self._seats)
            raise ValueError(f"{where}: {name} is no actuator of this guard; {known}")
        return self._seats[name]

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
        seat.same = math.nan
        dose = seat.dose
        if dose is not None:
            if seat.time < math.inf:
                dose.count(seat.time)  # what stands still is not counted in each scan
            dose.flow = max(dose.flow, value * dose.ml_per_s)

    def dosed_ml(self, tag: Tag, now: float) -> float:
        """Return what went through an actuator with a dose limit in the hour before ``now``, mL."""
        dose = self._seats[tag.name].dose
        if dose is None:
            raise ValueError(f"{tag.name}: it has no dose limit, so its dose is not counted")
        dose.count(now)
        return dose.since(now - HOUR_S)

    def as_state(self) -> dict[str, Any]:
        """Return doses, latches and bypasses as JSON, for a restart."""
        doses = {n: s.dose.as_state() for n, s in self._seats.items() if s.dose is not None}
        return {"doses": doses, **self.interlocks.as_state()}

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
        """Return a guard that remembers the doses, latches and bypasses of ``as_state``.

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
            interlocks.restore(state, now)
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
