"""Interlocks: while a measurement is outside its window, actuators are forced to fixed values.

Pure, and stateless but for timers and latches. It imports nothing of ours but ``drivers.point``, so
that no PID, recipe, optimiser or command can reach around it. It does not replace hard-wired
protection.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from drivers.point import Quality, Sample, Tag


@dataclass(frozen=True, slots=True)
class Interlock:
    """A window for one measurement, and what is forced while the measurement is outside.

    Attributes:
        name: ``R1.low_do``.
        tag: the measurement.
        above: trips above this, in the tag's unit; ``None``: never.
        below: trips below this, in the tag's unit; ``None``: never.
        for_s: how long the measurement must be outside before it trips, s.
        clear_s: how long it must be inside again, with a GOOD reading, before it clears, s.
        force: value of each actuator while tripped, in its unit, by tag name.
        on_bad: ``trip`` after ``bad_s`` without a usable reading, or ``hold`` what it was; a timer
            that already runs towards a trip runs on.
        bad_s: s; there is no such grace before the first usable reading.
        latch: stays tripped until somebody resets it.
    """

    name: str
    tag: Tag
    above: float | None = None
    below: float | None = None
    for_s: float = 0.0
    clear_s: float = 0.0
    force: Mapping[str, float] = field(default_factory=dict[str, float])
    on_bad: Literal["trip", "hold"] = "trip"
    bad_s: float = 30.0
    latch: bool = False

    def __post_init__(self) -> None:
        low, high = self.window
        if not low < high or (self.above is None and self.below is None):
            raise ValueError(
                f"{self.name}: below {self.below} and above {self.above} are not allowed; "
                f"one of them, or below < above, in {self.tag.unit}"
            )
        if not (0 <= self.for_s < math.inf and 0 <= self.clear_s < math.inf and self.bad_s >= 0):
            raise ValueError(f"{self.name}: for_s, clear_s and bad_s must be 0 s or more")
        if not self.force or not all(map(math.isfinite, self.force.values())):
            raise ValueError(f"{self.name}: force must give at least one actuator a finite value")

    @property
    def window(self) -> tuple[float, float]:
        """Where the measurement may be, ends included, in the tag's unit."""
        return (
            -math.inf if self.below is None else self.below,
            math.inf if self.above is None else self.above,
        )

    @property
    def text(self) -> str:
        """What it does, for people: ``R1.do below 12 % for 20 s: R1.feed = 0``."""
        limits = (("below", self.below), ("above", self.above))
        window = " or ".join(f"{word} {at:g}" for word, at in limits if at is not None)
        held = f" for {self.for_s:g} s" if self.for_s else ""
        return f"{self.tag.name} {window}{_shown(self.tag.unit)}{held}: {self.forces}"

    @property
    def forces(self) -> str:
        """What it forces, for people: ``R1.feed = 0, R1.heater = 0``."""
        return ", ".join(f"{name} = {value:g}" for name, value in self.force.items())


class InterlockEvent(NamedTuple):
    """An interlock tripped or cleared.

    Attributes:
        time: s since 1970 UTC.
        name: the interlock's.
        tripped: or cleared.
        order: its place among those tripped, 1 for the first out; 0 when it cleared.
        value: what was measured, in the measurement's unit; NaN if it was BAD.
        text: one sentence for people.
    """

    time: float
    name: str
    tripped: bool
    order: int
    value: float
    text: str


class Forced(NamedTuple):
    """What an actuator is held at, and by which interlock."""

    value: float
    name: str
    text: str


class _Watch:
    """One interlock's timers and latch."""

    __slots__ = (
        "bad_since",
        "good_since",
        "high",
        "lock",
        "low",
        "outside_since",
        "quiet",
        "tripped",
        "why",
    )

    def __init__(self, lock: Interlock) -> None:
        self.lock = lock
        self.low, self.high = lock.window
        self.tripped = False
        self.why = lock.text
        self.outside_since = math.inf  # inf: it is not outside
        self.good_since = math.inf  # inf: it is not inside with a GOOD reading
        self.bad_since = -math.inf  # -inf: no usable reading yet; inf: the last one was usable
        self.quiet = False  # inside, not tripped, no timer runs: nothing to do

    def see(self, now: float, quality: Quality, value: float) -> None:
        """Run the timers for one scan."""
        if quality is Quality.BAD:
            # A BAD reading proves nothing: it stops no timer that runs towards a trip, and
            # starts again the one towards clearing.
            self.quiet = False
            self.good_since = math.inf
            if self.bad_since == math.inf:
                self.bad_since = now
        else:
            self.bad_since = math.inf
            if self.low <= value <= self.high:
                self.outside_since = math.inf
                if quality is not Quality.GOOD:
                    self.good_since = math.inf
                elif self.good_since == math.inf:
                    self.good_since = now
            else:  # NaN too is in no window
                self.good_since = math.inf
                self.outside_since = min(self.outside_since, now)
            self.quiet = not self.tripped and self.outside_since == math.inf

    def due(self) -> float:
        """Return when it trips if nothing changes, s since 1970; ``inf``: never."""
        lock = self.lock
        window = self.outside_since + lock.for_s
        silence = self.bad_since + lock.bad_s if lock.on_bad == "trip" else math.inf
        self.why = lock.text
        if silence < window:
            silent = f" for {lock.bad_s:g} s" if math.isfinite(silence) else ""
            self.why = f"{lock.tag.name} BAD{silent}: {lock.forces}"
        return min(window, silence)

    def clears(self, now: float) -> bool:
        """Whether the window has been kept for long enough."""
        return now - self.good_since >= self.lock.clear_s


class Interlocks:
    """All interlocks of a reactor or a plant.

    Where two force the same actuator to different values, the one that was given first wins.

    Attributes:
        forced: what each actuator is held at now, by tag name.
    """

    def __init__(self, interlocks: Sequence[Interlock]) -> None:
        names = [lock.name for lock in interlocks]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"{', '.join(sorted(twice))}: an interlock's name must be used once")
        self.forced: Mapping[str, Forced] = {}
        self._watches = [_Watch(lock) for lock in interlocks]
        self._named = {watch.lock.name: watch for watch in self._watches}
        self._pairs = [(watch, watch.lock.tag.name) for watch in self._watches]
        self._order: list[str] = []

    @property
    def locks(self) -> tuple[Interlock, ...]:
        """All of them, in the order given."""
        return tuple(watch.lock for watch in self._watches)

    @property
    def tripped(self) -> tuple[str, ...]:
        """Names of those tripped now, the first out first."""
        return tuple(self._order)

    def status(self) -> dict[str, tuple[bool, str]]:
        """Return whether each is tripped, and why or when it would be, by name."""
        return {
            watch.lock.name: (watch.tripped, watch.why if watch.tripped else watch.lock.text)
            for watch in self._watches
        }

    def evaluate(self, now: float, samples: Mapping[str, Sample]) -> Sequence[InterlockEvent]:
        """Run one scan; a tag that is missing from ``samples`` is BAD.

        Args:
            now: s since 1970 UTC; never smaller than before.
            samples: by tag name.

        Returns:
            Those that tripped, the first out first, then those that cleared.
        """
        moved = False
        for watch, tag in self._pairs:
            found = samples.get(tag)
            if found is None:
                quality, value = Quality.BAD, math.nan
            else:
                quality, value = found.quality, found.value
                if watch.quiet and quality is not Quality.BAD and watch.low <= value <= watch.high:
                    continue
            watch.see(now, quality, value)
            moved = moved or (not watch.quiet)
        return self._settle(now, samples) if moved else ()

    def reset(self, name: str, now: float) -> InterlockEvent:
        """Clear a latched interlock whose measurement is inside its window again.

        Raises:
            ValueError: there is none of this name, it is not tripped, or it still has its reason.
        """
        watch = self._named.get(name)
        if watch is None:
            known = ", ".join(self._named) or "none"
            raise ValueError(f"{name}: no such interlock; {known}")
        if not watch.tripped:
            raise ValueError(f"{name}: it is not tripped; nothing to reset")
        if not watch.clears(now):
            raise ValueError(f"{name}: it cannot be reset while its reason lasts: {watch.why}")
        event = self._clear(watch, now, math.nan)
        self._force()
        return event

    def as_state(self) -> list[str]:
        """Return the latched ones that are tripped, the first out first, for a restart."""
        return [name for name in self._order if self._named[name].lock.latch]

    def restore(self, latched: Sequence[str]) -> None:
        """Trip again what ``as_state`` named; a name that is no longer in the plant is left out."""
        for name in latched:
            watch = self._named.get(name)
            if watch is not None and watch.lock.latch and not watch.tripped:
                watch.tripped, watch.quiet = True, False
                self._order.append(name)
        self._force()

    def _settle(self, now: float, samples: Mapping[str, Sample]) -> Sequence[InterlockEvent]:
        """Trip and clear what is due."""
        due: list[tuple[float, _Watch]] = []
        cleared: list[_Watch] = []
        for watch in self._watches:
            if watch.quiet:
                continue
            if watch.tripped:
                if not watch.lock.latch and watch.clears(now):
                    cleared.append(watch)
            elif (at := watch.due()) <= now:
                due.append((at, watch))
        if not due and not cleared:
            return ()
        events: list[InterlockEvent] = []
        due.sort(key=lambda pair: pair[0])  # stable: within a moment, as in the plant file
        for _, watch in due:
            watch.tripped = True
            self._order.append(watch.lock.name)
            value = _value(samples, watch)
            order = len(self._order)
            events.append(InterlockEvent(now, watch.lock.name, True, order, value, watch.why))
        events += [self._clear(watch, now, _value(samples, watch)) for watch in cleared]
        self._force()
        return events

    def _clear(self, watch: _Watch, now: float, value: float) -> InterlockEvent:
        watch.tripped = False
        self._order.remove(watch.lock.name)
        return InterlockEvent(now, watch.lock.name, False, 0, value, f"cleared: {watch.lock.text}")

    def _force(self) -> None:
        forced: dict[str, Forced] = {}
        for watch in self._watches:
            if watch.tripped:
                for name, value in watch.lock.force.items():
                    forced.setdefault(name, Forced(value, watch.lock.name, watch.why))
        self.forced = forced


def _value(samples: Mapping[str, Sample], watch: _Watch) -> float:
    found = samples.get(watch.lock.tag.name)
    return math.nan if found is None else found.value


def _shown(unit: str) -> str:
    """Return a UCUM code as people write it, with a space: `` °C``, `` r/min``, nothing for pH."""
    plain = unit.strip("[]").replace("{", "").replace("}", "")
    return {"pH": "", "1": "", "Cel": " °C"}.get(plain, f" {plain}")
