"""An OPC UA device as tags: DataValues in, samples with their quality out, writes read back."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn

from drivers.clock import Clock
from drivers.driver import DeviceError, Driver, Identity
from drivers.opcua.node import DataValue, Info, Link, LinkError, Node
from drivers.opcua.quality import LAST_USABLE_S, by_age, fading, quality, status_name
from drivers.opcua.units import contradiction, doubts
from drivers.point import BAD, GOOD, UNCERTAIN, RangeError, Sample, Tag, quick

__all__ = ["SIMULATOR", "DataValue", "Info", "Link", "LinkError", "Node", "OpcUaDriver"]

SIMULATOR = "urn:fermloop:simulator"  # namespace of the nodes that only a simulated server has
SPEED, PLANT_TIME = f"nsu={SIMULATOR};s=speed", f"nsu={SIMULATOR};s=plant_time"
PAUSED, ADVANCE = f"nsu={SIMULATOR};s=paused", f"nsu={SIMULATOR};s=advance"
MAX_SKEW_S = 5.0

_ADVANCE_S = 30.0  # wall s that the simulated plant may take for one advance
_FLOAT32 = 2e-7  # a Float node gives back what was written to this part


class OpcUaDriver(Driver):
    """A device behind an OPC UA link.

    Args:
        name: as in the plant file.
        nodes: where its tags live; only those of actuators are ever written.
        link: the wire.
        clock: stamps the samples.
        subscribe_s: wall s between two publications; ``None``: everything is read in each scan.
        max_skew_s: s that the server's clock may differ from ours, and a stamp lie in its future.
        info: what is read after each connection, and what it must be.

    Raises:
        ValueError: two tags share a node.
    """

    def __init__(
        self,
        name: str,
        nodes: Sequence[Node],
        link: Link,
        clock: Clock,
        *,
        subscribe_s: float | None = None,
        max_skew_s: float = MAX_SKEW_S,
        info: Sequence[Info] = (),
    ) -> None:
        self.name = name
        self.address = link.address
        self.tags: Sequence[Tag] = tuple(n.tag for n in nodes)
        self._link = link
        self._clock = clock
        self._subscribe_s = subscribe_s
        self._max_skew_s = max_skew_s
        self._info = tuple(info)
        self._actuators = {n.tag.name: n for n in nodes if n.tag.safe is not None}
        self._ids = tuple(n.node for n in nodes)
        self._points = [(n.tag.name, n.tag, n.tag.low, n.tag.high) for n in nodes]
        self._max_age = {n.tag.name: n.max_age_s for n in nodes if n.max_age_s is not None}
        self._timed = frozenset(n.node for n in nodes if n.max_age_s is not None)
        taken: dict[str, str] = {}
        for n in nodes:
            if n.node in taken:
                raise ValueError(f"{n.tag.name}: {n.node} is already taken by {taken[n.node]}")
            taken[n.node] = n.tag.name
        self._last_good: float | None = None
        self._stamp = -math.inf
        self._speed = 1.0
        self._simulated = False
        self._known = 0  # of which connection unit, range and info are known
        self._wrong: dict[str, str] = {}  # tags whose unit the server contradicts, and how
        self._doubts: list[str] = []
        self._told: dict[str, str] = {}
        self._faded: dict[str, float] = {}
        self._raw: Sequence[DataValue] = ()
        self._skew: float | None = None

    async def identify(self) -> Identity:
        try:
            identity = await self._pace()
            await self._meet()
        except LinkError as error:
            self._fail(str(error), "the server's identification")
        return replace(identity, info=dict(self._told))

    async def pace(self) -> Identity:
        try:
            return await self._pace()
        except LinkError as error:
            self._fail(str(error), "the simulator's pace")

    async def _pace(self) -> Identity:
        speed, plant_time, paused = await self._link.read((SPEED, PLANT_TIME, PAUSED))
        self._simulated = not (speed.status or plant_time.status)
        if not self._simulated:  # no such nodes: a real device
            self._speed = 1.0
            return Identity()
        pace = (speed.value, plant_time.value)
        if not all(isinstance(v, int | float) and 0 <= v < math.inf for v in pace):
            self._fail(f"no simulator's pace: speed {pace[0]!r}, plant time {pace[1]!r}")
        self._speed = float(speed.value)
        stands = not paused.status and bool(paused.value)
        return Identity("fermloop simulator", self._speed, float(plant_time.value), paused=stands)

    async def read(self) -> dict[str, Sample]:
        age = 0.0
        try:
            if self._subscribe_s is None:
                values = await self._link.read(self._ids)
            else:
                values, age = await self._link.watch(self._ids, self._subscribe_s, self._timed)
            now = self._clock.now()
            if self._link.connections != self._known:
                await self._meet()
        except LinkError as error:
            self._fail(str(error), f"{len(self._ids)} nodes")
        self._raw = values
        if self._last_good is not None and now < self._last_good:
            self._stamp = -math.inf  # the clock itself stepped: from now on it is a simulator's
        self._last_good = now
        # two clocks were looked at, one after the other; stamps must not step back for that
        time = now - age * self._speed
        self._stamp = time = time if time > self._stamp else self._stamp
        latest, server = self._latest(now)
        strict = bool(self._wrong or self._max_age or self._faded)
        found: dict[str, Sample] = {}
        for (name, tag, low, high), given in zip(self._points, values, strict=True):
            value, stamp = given.value, given.source_time
            # A float first: only then is the comparison sure to be one between numbers.
            if (
                value.__class__ is float
                and not given.status
                and low <= value <= high
                and (stamp is None or stamp <= latest)
                and not strict
            ):
                found[name] = quick(Sample, (tag, time, value, GOOD))
            else:
                found[name] = self._odd(tag, time, given, latest, server)
        return found

    async def write(self, values: dict[str, float]) -> dict[str, Sample]:
        for name, value in values.items():
            if name not in self._actuators:
                allowed = ", ".join(self._actuators) or "none"
                raise RangeError(f"{name}: no actuator of {self.name}; those are {allowed}")
            self._actuators[name].tag.require(value)
        ids = tuple(self._actuators[name].node for name in values)
        what = f"a write of {', '.join(values)}"
        try:
            await self._link.open()
            await self._meet()
            for name in values:
                if name in self._wrong:
                    self._fail(f"{name} is not written: {self._wrong[name]}")
            statuses = await self._link.write(ids, list(values.values()))
            for name, status in zip(values, statuses, strict=True):
                if status >> 30:
                    self._fail(
                        f"status 0x{status:08X} to a write of {name} ({status_name(status)})"
                    )
            held = await self._link.read(ids)
        except LinkError as error:
            self._fail(str(error), what)
        now = self._clock.now()
        samples: dict[str, Sample] = {}
        for (name, wanted), given in zip(values.items(), held, strict=True):
            tag = self._actuators[name].tag
            samples[name] = _plain(tag, now, given)
            if not abs(samples[name].value - wanted) <= _FLOAT32 * max(abs(wanted), 1.0):
                self._fail(
                    f"{name} reads back {given.value} {tag.unit} with status "
                    f"0x{given.status:08X} after {wanted:g} was written"
                )
        return samples

    async def advance(self, plant_time: float) -> None:
        if not self._simulated or self._speed != 0:
            raise DeviceError(f"{self.name} at {self.address}: is no simulator in lock-step")
        try:
            status = await self._link.call(ADVANCE, plant_time, _ADVANCE_S)
        except LinkError as error:
            self._fail(str(error), "an advance of the simulated plant")
        if status >> 30:
            self._fail(f"status 0x{status:08X} to an advance of the simulated plant")

    async def close(self) -> None:
        await self._link.close()

    def raw(self) -> Mapping[str, str]:
        return {
            p[0]: f"{given.value} {status_name(given.status)}"
            for p, given in zip(self._points, self._raw, strict=False)
        }

    def warnings(self) -> Sequence[str]:
        found = [*self._link.warnings()]
        if self._skew is not None and abs(self._skew) > self._max_skew_s:
            side = "ahead of" if self._skew > 0 else "behind"
            found.append(
                f"the server's clock is {abs(self._skew):.0f} s {side} ours; let both follow one "
                f"time server (max_skew_s is {self._max_skew_s:g})"
            )
        if self._wrong:
            found += [f"{n}: {text}; it is BAD until they agree" for n, text in self._wrong.items()]
        return (*found, *self._doubts)

    async def _meet(self) -> None:
        """After each connection: is it the right device, and does it measure what we think?

        Raises:
            DeviceError: it is another device.
            LinkError: it does not answer.
        """
        number = self._link.connections
        if number == self._known:
            return
        if self._info:
            values = await self._link.read([i.node for i in self._info])
            for info, given in zip(self._info, values, strict=True):
                if (why := info.refused(given)) is not None:
                    self._fail(why)
            self._told = {
                i.name: str(v.value)
                for i, v in zip(self._info, values, strict=True)
                if not v.status
            }
        described = await self._link.describe(self._ids)
        self._wrong, self._doubts = {}, []
        for (name, tag, low, high), told in zip(self._points, described, strict=True):
            if (why := contradiction(tag.unit, told)) is not None:
                self._wrong[name] = why
            self._doubts += [f"{name}: {d}" for d in doubts(tag.unit, low, high, told)]
        if number == self._link.connections:  # and not renewed meanwhile
            self._known = number

    def _latest(self, now: float) -> tuple[float, float | None]:
        """Return after which stamp a value lies in the future, and the server's own time."""
        if self._simulated:  # plant time and wall time are two things there
            return math.inf, None
        server = self._link.server_time()
        self._skew = None if server is None else server - now
        return (now if server is None else server) + self._max_skew_s, server

    def _odd(
        self, tag: Tag, time: float, given: DataValue, latest: float, server: float | None
    ) -> Sample:
        """Return the sample of a value that is not simply a good float in range, in time."""
        name, stamp, status = tag.name, given.source_time, given.status
        worst = GOOD
        if name in self._wrong:
            worst = BAD
        elif stamp is not None and stamp > latest:
            worst = UNCERTAIN
        allowed = self._max_age.get(name)
        if allowed is not None and not self._simulated:
            old = UNCERTAIN if stamp is None else by_age((server or time) - stamp, allowed)
            worst = min(worst, old)
        if not fading(status):
            self._faded.pop(name, None)
        elif time - self._faded.setdefault(name, time) > LAST_USABLE_S:
            worst = BAD
        found = _plain(tag, time, given)
        if worst is BAD:
            return Sample(tag, time, math.nan, BAD)
        return found if found.quality <= worst else found._replace(quality=worst)

    def _fail(self, text: str, what: str = "") -> NoReturn:
        ago = ""
        if self._last_good is not None:
            ago = f" (last good {self._clock.now() - self._last_good:.1f} s ago)"
        text = text.replace("{what}", what)
        raise DeviceError(f"{self.name} at {self.address}: {text}{ago}")


def _plain(tag: Tag, time: float, given: DataValue) -> Sample:
    """Return the sample of a value by its status, type and range alone."""
    found = quality(given.status, actuator=tag.safe is not None)
    value: Any = given.value
    number = float(value) if isinstance(value, int | float) else math.nan
    if number not in tag:  # a Float may stand outside by its own resolution
        for bound in (tag.low, tag.high):
            if abs(number - bound) <= _FLOAT32 * max(abs(bound), 1.0):
                number = bound
    if found is BAD or number not in tag:
        return Sample(tag, time, math.nan, BAD)
    return Sample(tag, time, number, found)
