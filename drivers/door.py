"""The door between a third-party driver and the controls.

Whatever is behind it, a call ends in time with a result that is whole, or with a ``DeviceError``;
no sample is GOOD that is not a finite number, in range, of the right tag and of now. Only code that
does not await cannot be helped here: it stops the whole event loop.
"""

import asyncio
import logging
import math
import numbers
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from drivers.driver import DeviceError, Driver, Identity, Setup
from drivers.point import Quality, RangeError, Sample, Tag, sample
from drivers.third_party import says, words

SLACK = 1.1  # of the timeout: the driver's own words about it, if any, are better than ours
GRACE_S = 0.1  # that a cancelled call may take to end
MAX_AGE_S = 5.0  # an older sample is BAD, unless the plant file says otherwise for the tag
SKEW_S = 1.0  # a sample may be so far in the future; it is stamped now
HELD = 0.01  # of a tag's range: a readback this far from what was written confirms it
_INSIST = 5  # times that what ignores its cancellation is cancelled again in the end
_SHOWN = 5  # complaints that are told at once

_log = logging.getLogger("fermloop.drivers")


class Door(Driver):
    """A third-party driver as the controller sees it.

    Args:
        driver: theirs.
        setup: what it was made from; its names, tags and timeout count, not the driver's.
        max_age_s: of a tag's sample, where it is not 5 s.
    """

    def __init__(
        self, driver: Driver, setup: Setup, max_age_s: Mapping[str, float] | None = None
    ) -> None:
        self.name = setup.name
        self.address = setup.address
        self.tags: Sequence[Tag] = setup.tags
        self._driver = driver
        self._clock = setup.clock
        self._limit_s = setup.timeout_s * SLACK
        self._max_age_s = dict(max_age_s or {})
        self._tags = {tag.name: tag for tag in setup.tags}
        self._overdue: set[asyncio.Task[Any]] = set()  # cancelled, and still not at its end
        self._odd: dict[str, str] = {}  # what was wrong with the last read, by tag
        self._told = ""

    async def identify(self) -> Identity:
        found = await self._call("identify", lambda: self._driver.identify())
        if not isinstance(found, Identity):
            raise self._error(f"identify gave {_kind(found)}, not an Identity")
        if found.simulated or found.speed != 1.0:
            raise self._error("it sets the pace of a simulator; only fermloop's own may")
        told = list((_copied(found.info) or {}).items())[:_SHOWN]
        return Identity(_line(found.name), info={_line(k): _line(v) for k, v in told})

    async def read(self) -> dict[str, Sample]:
        began = self._clock.now()
        got = _copied(await self._call("read", lambda: self._driver.read()))
        if got is None:
            raise self._error("read gave no dict of a Sample by tag name")
        now = self._clock.now()
        self._odd = {}
        found = {t.name: self._judged(t, got.get(t.name), began, now) for t in self.tags}
        for name in list(got)[: len(found) + _SHOWN]:
            if name not in found:
                self._odd[_line(name)] = "is no tag of it"
        self._told = ""
        return found

    async def write(self, values: dict[str, float]) -> dict[str, Sample]:
        for name, value in values.items():
            if name not in self._tags or self._tags[name].safe is None:
                allowed = ", ".join(n for n, t in self._tags.items() if t.safe is not None)
                raise RangeError(f"{name}: no actuator of {self.name}; those are {allowed}")
            self._tags[name].require(value)
        began = self._clock.now()
        got = _copied(await self._call("write", lambda: self._driver.write(dict(values))))
        now = self._clock.now()
        held: dict[str, Sample] = {}
        for name, wanted in values.items():
            tag = self._tags[name]
            given = None if got is None else got.get(name)
            held[name] = back = self._judged(tag, given, began, now)
            old = isinstance(given, Sample) and given.time < began
            if back.quality is Quality.BAD or old:
                why = "its sample is from before the write" if old else self._odd.get(name, "BAD")
                raise self._error(f"{name}: {wanted:g} {tag.unit} is not confirmed: {why}")
            if abs(back.value - wanted) > HELD * (tag.high - tag.low):
                raise self._error(
                    f"{name} reads back {back.value:g} {tag.unit} after {wanted:g} was written"
                )
        return held

    async def heartbeat(self, count: int) -> bool:
        armed = await self._call("heartbeat", lambda: self._driver.heartbeat(count))
        if not isinstance(armed, bool):
            raise self._error(f"heartbeat gave {_kind(armed)}, not True or False")
        return armed

    async def close(self) -> None:
        """Close it; what goes wrong with that is logged and hinders nobody."""
        try:
            await self._call("close", lambda: self._driver.close())
        except DeviceError as error:
            _log.warning("%s", error)
        for _ in range(_INSIST):  # whoever ends the event loop would wait for them for ever
            for task in self._overdue:
                task.cancel()
            if self._overdue:
                await asyncio.wait(self._overdue, timeout=GRACE_S)

    def raw(self) -> Mapping[str, str]:
        try:
            found: object = self._driver.raw()
        except (Exception, SystemExit):  # noqa: BLE001 (only people would have read it)
            return {}
        raw = _copied(found) or {}
        return {n: _line(raw[n]) for n in self._tags if n in raw}

    def warnings(self) -> Sequence[str]:
        """Return the driver's warnings, and what was not as it must be in the last read."""
        try:
            theirs = [_line(w) for w in list(self._driver.warnings())[:_SHOWN]]
        except (Exception, SystemExit) as error:  # noqa: BLE001
            theirs = [f"{self.name}: warnings fails: {words(error)}"]
        odd = list(self._odd.items())[:_SHOWN]
        return (*theirs, *(f"{self.name}: {name} {why}" for name, why in odd))

    def _judged(self, tag: Tag, given: object, began: float, now: float) -> Sample:
        """Return what is given for a tag as it may enter the program; note what is odd about it.

        It is stamped within the call, so that no stamp lies in the future or goes backwards.
        """
        try:
            odd, value, time = self._looked_at(tag, given, now)
        except Exception as error:  # noqa: BLE001 (whatever hides in what was given)
            odd, value, time = f"cannot be looked at: {words(error)}", math.nan, now
        if odd:
            self._odd[tag.name] = odd
            return Sample(tag, now, math.nan, Quality.BAD)
        quality = given.quality if isinstance(given, Sample) else Quality.BAD
        return sample(tag, min(max(time, began), now), value, quality)

    def _looked_at(self, tag: Tag, given: object, now: float) -> tuple[str, float, float]:
        """Return what is odd about a sample, its value and its time."""
        if given is None:
            return "is missing", math.nan, now
        if not isinstance(given, Sample):
            return f"is {_kind(given)}, not a Sample", math.nan, now
        theirs, stamp, number, quality = given
        if not isinstance(quality, Quality):  # pyright: ignore[reportUnnecessaryIsInstance]
            return f"has {_kind(quality)} for a quality", math.nan, now
        if type(theirs) is not Tag or theirs != tag:
            return "has another tag in its sample (name, unit or range)", math.nan, now
        time = _number(stamp)
        if not math.isfinite(time):
            return f"has {_kind(stamp)} for a time", math.nan, now
        if time > now + SKEW_S:
            return f"has a time {time - now:.1f} s in the future; setup.clock gives it", 0.0, now
        limit = self._max_age_s.get(tag.name, MAX_AGE_S)
        if now - time > limit:
            return f"is {now - time:.1f} s old; {limit:g} s is allowed", math.nan, now
        if quality is Quality.BAD:
            return "", math.nan, time
        value = _number(number)
        if value != value:
            return f"has {_kind(number)} for a value and is not BAD", math.nan, now
        return "", value, time

    async def _call(self, what: str, call: Callable[[], Coroutine[Any, Any, object]]) -> object:
        """Return what ``call`` gives in time; it runs in a task, so that nothing can hold us."""
        if self._overdue:
            await asyncio.wait(self._overdue, timeout=GRACE_S)
            if self._overdue:
                raise self._error("an earlier call does not end, though it was cancelled")
        task = asyncio.create_task(_contained(call), name=f"{what} of {self.name}")
        try:
            await asyncio.wait({task}, timeout=self._limit_s)
        finally:
            late = not task.done()
            if late:
                self._overdue.add(task)
                task.add_done_callback(self._ended)
                task.cancel()
                await asyncio.wait({task}, timeout=GRACE_S)
        if late:
            raise self._error(f"{what} did not end within {self._limit_s / SLACK:g} s")
        if task.cancelled():
            raise self._error(f"{what} cancelled itself")
        failed = task.exception()
        if failed is None:
            return task.result()
        if isinstance(failed, DeviceError):
            raise self._error(says(failed)) from failed
        error = self._error(f"{what} raised {words(failed)}")
        if str(error) != self._told:  # once; its author needs the traceback
            self._told = str(error)
            _log.warning("%s", error, exc_info=failed)
        raise error from failed

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._overdue.discard(task)
        if not task.cancelled():
            task.exception()

    def _error(self, text: str) -> DeviceError:
        where = f"{self.name} at {self.address}"
        return DeviceError(text if text.startswith(where) else f"{where}: {text}")


async def _contained(call: Callable[[], Coroutine[Any, Any, object]]) -> object:
    try:
        return await call()
    except SystemExit as error:  # it would end the event loop
        raise RuntimeError(words(error)) from error


def _copied(given: object) -> dict[object, object] | None:
    """Return a copy of a dict without running any code of its own, or ``None`` if it is none."""
    return dict(dict.items(given)) if isinstance(given, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType, reportUnknownArgumentType]


def _number(given: object) -> float:
    """Return a real number as a float; anything else is NaN."""
    return float(given) if isinstance(given, numbers.Real) else math.nan


def _kind(given: object) -> str:
    return f"{given:g}" if isinstance(given, float) else type(given).__name__


def _line(given: object) -> str:
    """Return a text of somebody else's in one line and not too long."""
    try:
        return " ".join(str(given).split())[:300]
    except Exception:  # noqa: BLE001
        return type(given).__name__
