"""Simulated vessels moved together in plant time, with the watchdogs of the devices before them."""

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from drivers.clock import Clock
from drivers.point import Tag
from sim.pace import Pace

if TYPE_CHECKING:
    from sim.faults import Faults
    from sim.panel import Panel


class Device(Protocol):
    """What stands behind a wire: instruments to look at and actuators to move, in plant time."""

    time: float

    def advance(self, time: float) -> None:
        """Let plant time pass until ``time``, s since 1970 UTC, actuators held."""
        ...

    def read(self, name: str) -> float:
        """Return what a tag's instrument shows, or what is wanted of its actuator, in its unit."""
        ...

    def reader(self, name: str) -> Callable[[], float]:
        """Return what reads a tag as ``read`` does, again and again."""
        return partial(self.read, name)

    def write(self, name: str, value: float) -> None:
        """Want ``value`` of an actuator from now on, in the tag's unit."""
        ...

    def writer(self, name: str) -> Callable[[float], None]:
        """Return what writes an actuator as ``write`` does, again and again."""
        return partial(self.write, name)

    def actual(self, name: str) -> float:
        """Return what is wanted of an actuator, in the tag's unit."""
        ...

    def to_safe(self) -> None:
        """Move every actuator to its safe value."""
        ...


class Simulated(Device, Protocol):
    """A device as the simulator itself sees it, which no controller may: watched, spoiled, known.

    Attributes:
        prefix: of its tags.
        seed: what it was drawn from.
        about: what it is, for people: ``organism`` and ``vessel``, or ``model``.
        panel: its instruments.
        drives: by name: which input it moves, and the drive; a fault stands before it.
        faults: what is wrong with it and will be.
    """

    prefix: str
    seed: int
    about: Mapping[str, str]
    panel: "Panel"
    drives: dict[str, list[Any]]
    faults: "Faults"

    @property
    def age(self) -> float:
        """Plant s since its start."""
        ...

    @property
    def truth(self) -> Mapping[str, float]:
        """What really is, by name; ``age_h`` always."""
        ...

    def flow(self, name: str) -> float:
        """Return what a drive, named without prefix, really gave in the last step."""
        ...

    def by_hand(self, name: str, value: float) -> Callable[[], None]:
        """Let a hand at the panel of a drive decide; return what switches it back to remote."""
        ...

    def watch(self, look: Callable[[], None]) -> None:
        """Call ``look`` after each step, from now on."""
        ...


class DeviceWatchdog:
    """Makes vessels safe when nobody has changed its register for some time, as a PLC does.

    It starts unarmed, with the vessels as they are. A write by somebody who does not feed it starts
    the same time, so that no output can be left on alone.

    Args:
        within_s: how long the register may stay the same, in the seconds of ``now``.
        vessels: what becomes safe.
        now: plant seconds in virtual time, wall seconds on real sockets.
    """

    def __init__(
        self, within_s: float, vessels: Iterable[Device], now: Callable[[], float]
    ) -> None:
        self.within_s = within_s
        self.count = 0
        self.armed = False
        self.due = math.inf
        self._vessels = tuple(vessels)
        self._now = now

    def feed(self, count: float) -> None:
        """Take the register's new content; only a change counts."""
        if count != self.count or not self.armed:
            self.count = int(count)
            self.armed = True
            self.due = self._now() + self.within_s

    def touched(self) -> None:
        """Take note that an actuator was written."""
        if not self.armed:
            self.due = self._now() + self.within_s

    def check(self, now: float) -> None:
        """Make the vessels safe if the time is over."""
        if now >= self.due:
            self.due = math.inf
            self.armed = False
            for vessel in self._vessels:
                vessel.to_safe()


class SimulatedPlant:
    """All vessels of a plant at one plant time.

    Args:
        vessels: by reactor, the part of a tag's name before the dot.
        clock: plant time goes with it; without one it stands until ``advance`` (lock-step).
    """

    def __init__(self, vessels: Mapping[str, Device], clock: Clock | Pace | None = None) -> None:
        self.vessels = vessels
        self.time = max((v.time for v in vessels.values()), default=0.0)
        self._moved = tuple(vessels.values())
        self._clock = clock
        self._watchdogs: list[DeviceWatchdog] = []

    @property
    def speed(self) -> float:
        """Plant seconds per wall second while time passes; 0 in lock-step."""
        if isinstance(self._clock, Pace):
            return self._clock.speed
        return 0.0 if self._clock is None else 1.0

    @property
    def paused(self) -> bool:
        """Whether somebody has stopped plant time and the vessels are there; never in lock-step."""
        clock = self._clock
        return isinstance(clock, Pace) and clock.standing and self.time >= clock.now()

    def vessel(self, tag: Tag) -> Device:
        """Return the vessel of a tag.

        Raises:
            ValueError: the plant has none of that name.
        """
        if tag.reactor not in self.vessels:
            known = ", ".join(self.vessels) or "none"
            raise ValueError(f"{tag.name}: no simulated vessel {tag.reactor}; there are {known}")
        return self.vessels[tag.reactor]

    def watchdog(self, within_s: float, tags: Iterable[Tag]) -> DeviceWatchdog:
        """Return a watchdog in plant time over the vessels of ``tags``."""
        found = DeviceWatchdog(within_s, self.vessels_of(tags), lambda: self.time)
        self._watchdogs.append(found)
        return found

    def vessels_of(self, tags: Iterable[Tag]) -> list[Device]:
        """Return each vessel that has one of ``tags``."""
        return list({id(v): v for v in map(self.vessel, tags)}.values())

    def advance(self, time: float) -> None:
        """Let plant time pass until ``time``; a watchdog that runs out on the way acts in time."""
        if time <= self.time:
            return
        for watchdog in self._watchdogs:
            if watchdog.due <= time:
                self._act_in_time(time)
                break
        self._move(time)

    def _act_in_time(self, time: float) -> None:
        """Stop on the way to ``time`` wherever a watchdog runs out."""
        due = [watchdog for watchdog in self._watchdogs if watchdog.due <= time]
        for watchdog in sorted(due, key=lambda w: w.due):
            self._move(max(watchdog.due, self.time))
            watchdog.check(self.time)

    def catch_up(self) -> None:
        """Advance to the clock's time; stand still in lock-step."""
        if self._clock is not None and (now := self._clock.now()) > self.time:
            self.advance(now)

    def _move(self, time: float) -> None:
        for vessel in self._moved:
            vessel.advance(time)
        self.time = time
