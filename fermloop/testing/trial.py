"""One rule on one bench: how the driver is called, and how a failure is said."""

import asyncio
import contextlib
import math
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from drivers.clock import Clock, SystemClock, monotonic, wall
from drivers.driver import DeviceError, Driver
from drivers.point import Quality, RangeError, Sample, Tag
from drivers.third_party import words

Switch = Callable[[], Awaitable[None]]

NEAR = 0.01  # of a tag's range: so far may what is read be from what the device shows
SLACK_S = 0.5  # wall; a busy machine
_LIMIT_S = 60.0  # wall; a rule that takes longer hangs
_PAST_S = 3600.0  # so far behind the wall clock runs the bench's: a driver must use the one given


class BrokenRuleError(AssertionError):
    """The driver breaks a rule; the text names the rule, what was seen and what is required."""


@dataclass(frozen=True, slots=True)
class Bench:
    """A device on the bench, and what may be done to it. Each rule gets a fresh one.

    Attributes:
        make: returns a new driver of the device, with this clock for its samples.
        cut: takes the device away: nothing answers at its address. Needed by every driver that
            does not say ``virtual_time = True``.
        mend: brings the device back, after ``cut`` or ``freeze``.
        freeze: makes the device silent; connections stay.
        spoil: breaks a sensor, as the device itself would tell it, and returns its tag's name.
        shows: what the device really shows and holds now, by tag name, in the tag's unit.
        timeout_s: what the driver was told; wall s.
        age_s: how old a sample may be where the device sends by itself; else 0.
        back_s: wall s after ``mend`` within which it must be read again.
        clock: what ``make`` is given; an hour behind the clock on the wall if not said.
    """

    make: Callable[[Clock], Driver]
    cut: Switch | None = None
    mend: Switch | None = None
    freeze: Switch | None = None
    spoil: Callable[[], Awaitable[str]] | None = None
    shows: Callable[[], Mapping[str, float]] | None = None
    timeout_s: float = 0.5
    age_s: float = 0.0
    back_s: float = 2.0
    clock: Clock = field(default_factory=lambda: SystemClock(start=wall() - _PAST_S))


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule with its name, what it says, and how it is checked."""

    name: str
    text: str
    checked: Callable[["Trial"], Coroutine[Any, Any, None]]

    def __str__(self) -> str:
        return self.name

    async def holds(self, bench: Bench) -> None:
        """Check the rule on an open bench, in the running event loop.

        Raises:
            BrokenRuleError: the driver breaks it.
        """
        trial = Trial(self, bench)
        try:
            async with asyncio.timeout(_LIMIT_S):
                await self.checked(trial)
        except TimeoutError:
            raise trial.broken(f"it hangs: nothing ended within {_LIMIT_S:g} s") from None
        except AssertionError:
            raise
        except Exception as error:
            raise trial.broken(f"it raised {words(error)}") from error


class Trial:
    """One rule and one bench: how the driver is called, and how a failure is said."""

    def __init__(self, rule: Rule, bench: Bench) -> None:
        self.rule = rule
        self.bench = bench
        self.clock = bench.clock
        self.limit_s = bench.timeout_s * 1.1 + SLACK_S

    def broken(self, text: str) -> BrokenRuleError:
        """Return the failure as a sentence that names the rule."""
        return BrokenRuleError(f"{self.rule.name}: {text}; the rule: {self.rule.text}")

    def require(self, holds: bool, text: str) -> None:
        """Raise ``text`` as a failure unless it ``holds``."""
        if not holds:
            raise self.broken(text)

    @asynccontextmanager
    async def driver(self) -> AsyncGenerator[Driver]:
        """Give a new driver and close it in the end."""
        made = self.bench.make(self.clock)
        try:
            yield made
        except BaseException:  # which tells more than that it cannot be closed either
            with contextlib.suppress(Exception):
                await self.ends("close", made.close())
            raise
        await self.ends("close", made.close())

    @property
    def switches(self) -> tuple[Switch, Switch] | None:
        """What takes the device away and brings it back; ``None`` where there is no wire."""
        bench = self.bench
        if bench.cut is not None and bench.mend is not None:
            return bench.cut, bench.mend
        self.require(
            type(bench.make(self.clock)).virtual_time,
            "the bench has no cut and mend, so it cannot be judged",
        )
        return None

    async def ends(self, what: str, work: Coroutine[Any, Any, Any]) -> Any:
        """Return what ``work`` gives; it must end in time, and may fail with DeviceError only."""
        task = asyncio.create_task(work)
        await asyncio.wait({task}, timeout=self.limit_s)
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=SLACK_S)
            raise self.broken(
                f"{what} did not end within its timeout of {self.bench.timeout_s:g} s"
            )
        try:
            return task.result()
        except (DeviceError, RangeError):
            raise
        except asyncio.CancelledError:
            raise self.broken(f"{what} cancelled itself") from None
        except Exception as error:
            raise self.broken(f"{what} raised {words(error)}, not a DeviceError") from error

    async def read(self, driver: Driver) -> dict[str, Sample]:
        """Return one read, which must succeed."""
        try:
            return self.whole(driver, await self.ends("read", driver.read()))
        except DeviceError as error:
            raise self.broken(f"read raised {error}") from error

    async def read_again(self, driver: Driver, after: str) -> dict[str, Sample]:
        """Return the first read that succeeds; it must within ``back_s``."""
        until = monotonic() + self.bench.back_s
        while True:
            try:
                return self.whole(driver, await self.ends("read", driver.read()))
            except DeviceError as error:
                if monotonic() > until:
                    why = f"{self.bench.back_s:g} s after {after} read still raises {error}"
                    raise self.broken(why) from error
            await asyncio.sleep(0.02)

    async def fails(self, what: str, work: Coroutine[Any, Any, object]) -> None:
        """Require a DeviceError in time."""
        try:
            found = await self.ends(what, work)
        except DeviceError:
            return
        raise self.broken(f"{what} gave {found!r:.80} while the device was away")

    async def refused(self, driver: Driver, values: dict[str, float]) -> None:
        """Require a RangeError."""
        try:
            await self.ends("write", driver.write(values))
        except RangeError:
            return
        except DeviceError as error:
            raise self.broken(f"a write of {values} raised DeviceError ({error})") from error
        raise self.broken(f"a write of {values} was not refused")

    def whole(self, driver: Driver, found: object) -> dict[str, Sample]:
        """Return what a read gave if it is a sample of each tag by name."""
        if not isinstance(found, dict):
            raise self.broken(f"read gave {type(found).__name__}, not a dict")
        given = cast("dict[str, Sample]", found)
        names = {t.name for t in driver.tags}
        for name in sorted(names ^ given.keys(), key=str):
            what = "is missing from" if name in names else "is no tag of it but in"
            raise self.broken(f"{name} {what} what read gave")
        for tag in driver.tags:
            self.sample(tag, given[tag.name])
        return given

    def sample(self, tag: Tag, given: object) -> None:
        """Require a sample of that tag with a number, a time and a quality."""
        if not isinstance(given, Sample):
            raise self.broken(f"{tag.name} is a {type(given).__name__}, not a Sample")
        self.require(given.tag == tag, f"{tag.name} comes with the tag {given.tag}, not {tag}")
        number = isinstance(given.value, float | int) and isinstance(given.time, float | int)  # pyright: ignore[reportUnnecessaryIsInstance]
        self.require(number, f"{tag.name} has no number: {given.value!r} at {given.time!r}")
        quality = isinstance(given.quality, Quality)  # pyright: ignore[reportUnnecessaryIsInstance]
        self.require(quality, f"{tag.name} has {given.quality!r} for a quality")

    def agrees(self, found: Mapping[str, Sample], after: str) -> None:
        """Require that what was read is what the device shows."""
        if self.bench.shows is None:
            return
        for name, value in self.bench.shows().items():
            s = found[name]
            near = abs(s.value - value) <= NEAR * (s.tag.high - s.tag.low)
            self.require(near, f"{name} reads {s.value:g} after {after}; it is {value:g}")

    def moved(self, driver: Driver) -> dict[str, float]:
        """Return each actuator a tenth of its range from its safe value."""
        found: dict[str, float] = {}
        for tag in driver.tags:
            if tag.safe is not None:
                tenth = (tag.high - tag.low) / 10
                found[tag.name] = tag.safe + (tenth if tag.safe + tenth in tag else -tenth)
        return found


async def notices(trial: Trial, driver: Driver) -> None:
    """Read until it says that the device is away; it must as soon as its timeout is over."""
    until = monotonic() + trial.limit_s
    while True:
        try:
            await trial.ends("read", driver.read())
        except DeviceError:
            return
        late = f"{trial.limit_s:.2g} s after the device went away it is still read"
        trial.require(monotonic() < until, late)
        await asyncio.sleep(0.02)


async def held_by(trial: Trial, driver: Driver) -> dict[str, float]:
    """Return what every actuator holds: as the device shows it, or else as it is read."""
    names = [t.name for t in driver.tags if t.safe is not None]
    if trial.bench.shows is not None:
        shown = trial.bench.shows()
        if all(n in shown for n in names):
            return {n: shown[n] for n in names}
    found = await trial.read(driver)
    return {n: found[n].value for n in names}


def is_near(driver: Driver, name: str, one: float, other: float) -> bool:
    """Return whether two values of a tag are the same to 1 % of its range, or both unknown."""
    tag = next(t for t in driver.tags if t.name == name)
    both_unknown = math.isnan(one) and math.isnan(other)
    return both_unknown or abs(one - other) <= NEAR * (tag.high - tag.low)


def safe_values(driver: Driver) -> dict[str, float]:
    """Return the safe value of every actuator."""
    return {t.name: t.safe for t in driver.tags if t.safe is not None}


def open_sockets() -> int:
    """Return how many sockets this process has open; 0 where the system does not tell."""
    count = 0
    try:
        for fd in os.listdir("/proc/self/fd"):
            try:
                count += os.readlink(f"/proc/self/fd/{fd}").startswith("socket:")
            except OSError:
                continue  # closed meanwhile
    except OSError:
        return 0
    return count
