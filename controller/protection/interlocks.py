"""Interlocks: while a condition holds, actuators are forced, limited or may not start.

Pure, and stateless but for timers, latches and bypasses. It imports nothing of ours but
``drivers.point`` and what an interlock is, so that no PID, recipe, optimiser or command can reach
around it. It does not replace hard-wired protection.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from controller.protection.conditions import names
from controller.protection.interlock import Bypass, Demand, Interlock, InterlockEvent, Status
from controller.texts.said import said
from drivers.point import BAD, RangeError, Sample


class _Watch:
    """One interlock's timers and latch."""

    __slots__ = (
        "bad_since",
        "bypass",
        "first",
        "good_since",
        "lock",
        "outside_since",
        "quiet",
        "tripped",
        "why",
    )

    def __init__(self, lock: Interlock) -> None:
        self.lock = lock
        windows = lock.condition.windows
        # A measurement that, inside its window, keeps it from holding: a quiet scan costs little.
        self.first = (windows[0].tag.name, windows[0].low, windows[0].high)
        if len(windows) > 1 and not lock.condition.every:
            self.first = ("", math.nan, math.nan)
        self.tripped = False
        self.bypass: Bypass | None = None
        self.why = lock.text
        self.outside_since = math.inf  # inf: it is not outside
        self.good_since = math.inf  # inf: it is not inside with a GOOD reading
        self.bad_since = -math.inf  # -inf: no usable reading yet; inf: the last one was usable
        self.quiet = False  # inside, not tripped, no timer runs: nothing to do

    def see(self, now: float, samples: Mapping[str, Sample]) -> None:
        """Run the timers for one scan."""
        outside, sure = self.lock.condition.holds(samples)
        if outside is None:
            # A BAD reading proves nothing: it stops no timer that runs towards a trip, and
            # starts again the one towards clearing.
            self.quiet = False
            self.good_since = math.inf
            if self.bad_since == math.inf:
                self.bad_since = now
            return
        self.bad_since = math.inf
        if outside:
            self.good_since = math.inf
            self.outside_since = min(self.outside_since, now)
        else:
            self.outside_since = math.inf
            if not sure:
                self.good_since = math.inf
            elif self.good_since == math.inf:
                self.good_since = now
        self.quiet = not self.tripped and self.outside_since == math.inf

    def due(self) -> tuple[float, bool]:
        """Return when it trips if nothing changes, s since 1970, and whether for want of readings.

        ``inf``: never.
        """
        lock = self.lock
        window = self.outside_since + lock.for_s
        silence = self.bad_since + lock.bad_s if lock.on_bad == "trip" else math.inf
        return min(window, silence), silence < window

    def trip(self, samples: Mapping[str, Sample], *, silent: bool) -> None:
        """Trip, and note why."""
        lock = self.lock
        self.tripped, self.why = True, lock.text
        if silent:
            when = said("bad", tags=lock.condition.bad(samples))
            if math.isfinite(self.bad_since):
                when = said("lasting", what=when, s=lock.bad_s)
            self.why = said("interlock", when=when, does=lock.does)

    def clears(self, now: float) -> bool:
        """Whether the window has been kept for long enough."""
        return now - self.good_since >= self.lock.clear_s


class Interlocks:
    """All interlocks of a reactor or a plant.

    Where two contradict each other about an actuator, the one that was given first wins.

    Attributes:
        demands: where each actuator must be now, by tag name.
        no_start: the text of the interlock that lets an actuator not start now, by tag name.
    """

    def __init__(self, interlocks: Sequence[Interlock]) -> None:
        named = [lock.name for lock in interlocks]
        if twice := {name for name in named if named.count(name) > 1}:
            raise ValueError(f"{names(sorted(twice))}: an interlock's name must be used once")
        self.demands: Mapping[str, Demand] = {}
        self.no_start: Mapping[str, str] = {}
        self._watches = [_Watch(lock) for lock in interlocks]
        self._named = {watch.lock.name: watch for watch in self._watches}
        self._order: list[str] = []
        self._bypassed = False
        self._now = -math.inf

    @property
    def locks(self) -> tuple[Interlock, ...]:
        """All of them, in the order given."""
        return tuple(watch.lock for watch in self._watches)

    @property
    def tripped(self) -> tuple[str, ...]:
        """Names of those tripped now, the first out first."""
        return tuple(self._order)

    def status(self) -> dict[str, Status]:
        """Return how each stands, by name."""
        order = {name: place for place, name in enumerate(self._order, 1)}
        return {
            (lock := watch.lock).name: Status(
                watch.tripped,
                order.get(lock.name, 0),
                watch.why if watch.tripped else lock.text,
                watch.tripped and lock.latch,
                watch.bypass,
                lock.bypass_max_s,
            )
            for watch in self._watches
        }

    def evaluate(self, now: float, samples: Mapping[str, Sample]) -> Sequence[InterlockEvent]:
        """Run one scan; a tag that is missing from ``samples`` is BAD.

        Args:
            now: s since 1970 UTC; never smaller than before.
            samples: by tag name.

        Returns:
            Bypasses that ended, then those that tripped, the first out first, then those that
            cleared.
        """
        self._now = now
        ended = self._expire(now) if self._bypassed else []
        moved = False
        for watch in self._watches:
            if watch.quiet:
                tag, low, high = watch.first
                found = samples.get(tag)
                if found is not None and found.quality is not BAD and low <= found.value <= high:
                    continue
            watch.see(now, samples)
            moved = moved or not watch.quiet
        return [*ended, *self._settle(now, samples)] if moved else ended

    # -- what people may do --------------------------------------------------------------------

    def reset(self, name: str, now: float) -> InterlockEvent:
        """Clear a latched interlock whose measurement is inside its window again.

        Raises:
            ValueError: there is none of this name, it is not tripped, or it still has its reason.
        """
        watch = self._find(name)
        if not watch.tripped:
            raise ValueError(said("not_tripped", name=name))
        if not watch.clears(now):
            raise ValueError(said("reason_lasts", name=name, why=watch.why))
        event = self._clear(watch, now, math.nan)
        self._demand()
        return event

    def bypass(self, name: str, now: float, for_s: float, who: str, reason: str) -> Bypass:
        """Let an interlock demand nothing for ``for_s`` s; it goes on watching and telling.

        Raises:
            RangeError: ``for_s`` is not above 0 or longer than its greatest.
            ValueError: there is none of this name, it may never be bypassed or is already, or
                there is no reason.
        """
        watch = self._find(name)
        most = watch.lock.bypass_max_s
        if most == 0.0:
            raise ValueError(said("never_bypassed", name=name))
        if watch.bypass is not None:
            raise ValueError(said("bypassed_already", name=name, who=watch.bypass.who))
        if not 0.0 < for_s <= most:
            raise RangeError(said("bypass_range", name=name, minutes=for_s / 60, most=most / 60))
        if not reason.strip():
            raise ValueError(said("bypass_reason", name=name))
        watch.bypass = Bypass(now, now + for_s, who, reason.strip())
        self._demand()
        return watch.bypass

    def end_bypass(self, name: str) -> Bypass:
        """End a bypass before its time; what is tripped demands again, in this scan.

        Raises:
            ValueError: there is none of this name, or it is not bypassed.
        """
        watch = self._find(name)
        ended = watch.bypass
        if ended is None:
            raise ValueError(said("not_bypassed", name=name))
        watch.bypass = None
        self._demand()
        return ended

    # -- restart -------------------------------------------------------------------------------

    def as_state(self) -> dict[str, Any]:
        """Return latches, the first out first, and bypasses as JSON, for a restart."""
        return {
            "latched": [name for name in self._order if self._named[name].lock.latch],
            "bypassed": {
                watch.lock.name: {
                    **watch.bypass._asdict(),
                    "left_s": watch.bypass.until - self._now,
                }
                for watch in self._watches
                if watch.bypass is not None and math.isfinite(self._now)
            },
        }

    def restore(self, state: Mapping[str, Any], now: float) -> None:
        """Take latches and bypasses as they were; a name that the plant lost is left out.

        A bypass ends when it would have, and never lasts longer: not when the clock was set back,
        and not longer than the plant file now allows.

        Raises:
            KeyError, TypeError, ValueError: the state is damaged.
        """
        latched = [str(name) for name in state["latched"]]
        bypassed: dict[str, Bypass] = {}
        for name, kept in dict(state.get("bypassed", {})).items():
            until = min(float(kept["until"]), now + float(kept["left_s"]))
            bypassed[name] = Bypass(
                float(kept["since"]), until, str(kept["who"]), str(kept["reason"])
            )
            if not math.isfinite(until + bypassed[name].since):
                raise ValueError(f"{name}: a bypass without an end")
        for name in latched:
            watch = self._named.get(name)
            if watch is not None and watch.lock.latch and not watch.tripped:
                watch.tripped, watch.quiet = True, False
                self._order.append(name)
        for name, bypass in bypassed.items():
            watch = self._named.get(name)
            if watch is not None and watch.lock.bypass_max_s > 0.0:
                until = min(bypass.until, bypass.since + watch.lock.bypass_max_s)
                watch.bypass = bypass._replace(until=until)
        self._demand()

    # -- inside --------------------------------------------------------------------------------

    def _find(self, name: str) -> _Watch:
        watch = self._named.get(name)
        if watch is None:
            raise ValueError(said("no_interlock", name=name, known=names(self._named) or "none"))
        return watch

    def _settle(self, now: float, samples: Mapping[str, Sample]) -> list[InterlockEvent]:
        """Trip and clear what is due."""
        due: list[tuple[float, _Watch, bool]] = []
        cleared: list[_Watch] = []
        for watch in self._watches:
            if watch.quiet:
                continue
            if watch.tripped:
                if not watch.lock.latch and watch.clears(now):
                    cleared.append(watch)
                continue
            at, silent = watch.due()
            if at <= now:
                due.append((at, watch, silent))
        if not due and not cleared:
            return []
        events: list[InterlockEvent] = []
        due.sort(key=lambda each: each[0])  # stable: within a moment, as in the plant file
        for _, watch, silent in due:
            watch.trip(samples, silent=silent)
            name = watch.lock.name
            self._order.append(name)
            text = watch.why if watch.bypass is None else said("not_done", why=watch.why)
            order, value = len(self._order), _measured(samples, watch)
            events.append(InterlockEvent(now, name, "tripped", order, value, text))
        events += [self._clear(watch, now, _measured(samples, watch)) for watch in cleared]
        self._demand()
        return events

    def _clear(self, watch: _Watch, now: float, value: float) -> InterlockEvent:
        watch.tripped = False
        lock = watch.lock
        self._order.remove(lock.name)
        return InterlockEvent(
            now, lock.name, "cleared", 0, value, said("interlock_cleared", text=lock.text)
        )

    def _expire(self, now: float) -> list[InterlockEvent]:
        """End the bypasses whose time is over."""
        over = [w for w in self._watches if w.bypass is not None and now >= w.bypass.until]
        events: list[InterlockEvent] = []
        order = {name: place for place, name in enumerate(self._order, 1)}
        for watch in over:
            bypass, watch.bypass, name = watch.bypass, None, watch.lock.name
            who, minutes = (
                ("", 0.0) if bypass is None else (bypass.who, bypass.until - bypass.since)
            )
            text = said("bypass_over", who=who, min=minutes / 60, text=watch.lock.text)
            place = order.get(name, 0)
            events.append(InterlockEvent(now, name, "bypass ended", place, math.nan, text))
        if over:
            self._demand()
        return events

    def _demand(self) -> None:
        """Work out what those that are tripped and not bypassed demand together."""
        self._bypassed = any(watch.bypass is not None for watch in self._watches)
        demands: dict[str, Demand] = {}
        no_start: dict[str, str] = {}
        for watch in self._watches:
            if not watch.tripped or watch.bypass is not None:
                continue
            for name, low, high in watch.lock.limits:
                demands[name] = _both(demands.get(name), low, high, watch.why)
            for name in watch.lock.no_start:
                no_start.setdefault(name, watch.why)
        self.demands, self.no_start = demands, no_start


def _both(first: Demand | None, low: float, high: float, why: str) -> Demand:
    """Return what fulfils ``first`` and, as far as that allows, also ``low`` to ``high``."""
    if first is None:
        return Demand(low, high, why, why)
    low, high = min(max(low, first.low), first.high), max(min(high, first.high), first.low)
    return Demand(
        low,
        high,
        why if low > first.low else first.why_low,
        why if high < first.high else first.why_high,
    )


def _measured(samples: Mapping[str, Sample], watch: _Watch) -> float:
    """Return what was measured, outside its window where one is; NaN if it was BAD."""
    condition = watch.lock.condition
    window = next(iter(condition.outside(samples)), condition.windows[0])
    found = samples.get(window.tag.name)
    return math.nan if found is None else found.value
