"""Time is passed in; only this file and ``sim/clock.py`` ask the machine for it."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Plant time: what scans, stale limits and holds are counted in."""

    def now(self) -> float:
        """Return s since 1970 UTC; never steps back."""
        ...

    async def sleep_until(self, deadline: float) -> None:
        """Return when ``now()`` has reached ``deadline``; at once if it already has."""
        ...


class SystemClock:
    """Wall time at the start plus monotonic time since, so that an NTP step cannot reach a PID.

    Args:
        speed: plant seconds per wall second; other than 1 only against our simulator.
        start: plant time at the start, s since 1970 UTC; the wall clock's if not given. An
            accelerated run starts in the past, so that its stamps never lie in the future.
    """

    def __init__(self, speed: float = 1.0, start: float | None = None) -> None:
        if not speed > 0:
            raise ValueError(f"speed: {speed:g} is not allowed; it must be > 0")
        self.speed = speed
        self._start = time.time() if start is None else start
        self._zero = time.monotonic()

    def now(self) -> float:
        return self._start + (time.monotonic() - self._zero) * self.speed

    async def sleep_until(self, deadline: float) -> None:
        wait = (deadline - self.now()) / self.speed
        while wait > 0:
            await asyncio.sleep(wait)
            wait = (deadline - self.now()) / self.speed


def wall() -> float:
    """Return the wall clock, s since 1970 UTC: for a name or a start, never for a loop."""
    return time.time()


def monotonic() -> float:
    """Return monotonic wall seconds: for I/O timeouts and for measuring how long something took."""
    return time.monotonic()


def sleep(seconds: float) -> None:
    """Do nothing for so many wall seconds: for a command that waits for another process."""
    time.sleep(seconds)
