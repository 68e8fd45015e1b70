"""Probes and drives with a fault: each stands before the one that it spoils.

A fault of the reading is the last thing that happens to it, after noise and digits; one of what the
sensor feels (a bubble, a fouled membrane) comes before the lag. Removed, the part is as before.
"""

import math
from collections.abc import Callable
from typing import Any, Protocol, TypeVar


class Probe(Protocol):
    """What turns a truth into a reading, see ``sim.instruments.Instrument``."""

    def show(self, truth: float, age: float, dt: float, normal: float, /) -> float:
        """Return the reading at the end of a step of ``dt`` s."""
        ...


class Mover(Protocol):
    """What turns a wanted value into what happens, see ``sim.instruments.Drive``."""

    rests_at: float

    def move(self, wanted: float, age: float, dt: float, /) -> float:
        """Return the mean of what really happens over ``dt`` s."""
        ...


T = TypeVar("T")
Reading = Callable[[float, float], float]  # of a reading and the age of the vessel, s
Feeling = Callable[[float, float, float], float]  # of a truth, the age and the length of a step


class FaultyReading:
    """A probe whose reading is changed after everything else."""

    def __init__(self, inner: Probe, change: Reading) -> None:
        self.inner = inner
        self._change = change

    def show(self, truth: float, age: float, dt: float, normal: float, /) -> float:
        return self._change(self.inner.show(truth, age, dt, normal), age)


class FaultyFeeling:
    """A probe that feels something other than the truth, before its lag."""

    def __init__(self, inner: Probe, change: Feeling) -> None:
        self.inner = inner
        self._change = change

    def show(self, truth: float, age: float, dt: float, normal: float, /) -> float:
        return self.inner.show(self._change(truth, age, dt), age, dt, normal)


class FaultyDrive:
    """A drive that gets another value than the wanted one, or does something else with it.

    Args:
        inner: the drive; it goes on, so that it is where it would be when the fault ends.
        gives: what really happens, of what the drive does and of the age, s.
        wants: what reaches the drive, of what is wanted.
    """

    def __init__(
        self,
        inner: Mover,
        gives: Callable[[float, float], float] = lambda flow, _: flow,
        wants: Callable[[float], float] = lambda wanted: wanted,
    ) -> None:
        self.inner = inner
        self.rests_at = math.nan
        self._gives = gives
        self._wants = wants

    def move(self, wanted: float, age: float, dt: float, /) -> float:
        flow = self._gives(self.inner.move(self._wants(wanted), age, dt), age)
        self.inner.rests_at = math.nan  # it gives something else when the fault ends
        return flow


class StuckDrive:
    """A drive that stays where it is."""

    def __init__(self, inner: Mover, at: float) -> None:
        self.inner = inner
        self.rests_at = self.inner.rests_at = math.nan
        self._at = at

    def move(self, wanted: float, age: float, dt: float, /) -> float:
        return self._at


def insert(parts: Any, name: str | int, fit: Callable[[T], T]) -> Callable[[], None]:
    """Put ``fit(part)`` in the place of ``parts[name]``; return what takes it away again."""
    mine: Any = fit(parts[name])
    parts[name] = mine

    def remove() -> None:
        outer: Any = parts[name]
        if outer is mine:
            parts[name] = mine.inner
            return
        while outer.inner is not mine:  # others have been put before it since
            outer = outer.inner
        outer.inner = mine.inner

    return remove


def lag(seconds: float, start: float) -> Callable[[float, float], float]:
    """Return a first-order lag: of its input and the length of a step, s."""
    value = start

    def follow(aim: float, dt: float) -> float:
        nonlocal value
        value += (aim - value) * -math.expm1(-dt / seconds)
        return value

    return follow


def stiction(band: float, start: float) -> Callable[[float], float]:
    """Return a valve's stiction: a change of less than ``band`` does not move it."""
    at = start

    def wants(wanted: float) -> float:
        nonlocal at
        if abs(wanted - at) > band:
            at = wanted
        return at

    return wants


def slugs(share: float, start: float, every_s: float = 60.0) -> Callable[[float, float], float]:
    """Return air in a line: for ``share`` of each ``every_s`` nothing comes."""

    def gives(flow: float, age: float) -> float:
        return 0.0 if (age - start) % every_s < share * every_s else flow

    return gives
