"""An OPC UA device as tags: DataValues in, samples with their quality out, writes read back."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn, Protocol, cast

from drivers.clock import Clock
from drivers.driver import DeviceError, Driver, Identity
from drivers.point import Quality, RangeError, Sample, Tag

__all__ = ["SIMULATOR", "DataValue", "Link", "LinkError", "Node", "OpcUaDriver"]

SIMULATOR = "urn:fermloop:simulator"  # namespace of a simulated server's speed, plant_time, advance
SPEED, PLANT_TIME = f"nsu={SIMULATOR};s=speed", f"nsu={SIMULATOR};s=plant_time"
ADVANCE = f"nsu={SIMULATOR};s=advance"

_ADVANCE_S = 30.0  # wall s that the simulated plant may take for one advance
_FLOAT32 = 2e-7  # a Float node gives back what was written to this part
_BY_SEVERITY = (Quality.GOOD, Quality.UNCERTAIN, Quality.BAD, Quality.BAD)  # bits 31 and 30
# What a NamedTuple's own constructor calls, at half the price.
_sample = cast("Callable[[type[Sample], tuple[Tag, float, float, Quality]], Sample]", tuple.__new__)  # pyright: ignore[reportUnknownMemberType]


class LinkError(Exception):
    """The wire failed: no connection, no answer, a refusal of the whole request."""


class DataValue(NamedTuple):
    """A node's value as the server gave it.

    Attributes:
        value: a number; anything else is no measurement and becomes BAD.
        status: the OPC UA status code, 32 bits.
        source_time: s since 1970 UTC by the server's clock; ``None`` if it gave none.
    """

    value: Any
    status: int = 0
    source_time: float | None = None


class Link(Protocol):
    """The seam between tags and wire: node ids in, DataValues out, one request for all."""

    address: str

    async def read(self, nodes: Sequence[str]) -> Sequence[DataValue]:
        """Return the value of each node; one that does not exist has a Bad status.

        Raises:
            LinkError: no answer within the timeout; the connection is gone.
        """
        ...

    async def write(self, nodes: Sequence[str], values: Sequence[float]) -> Sequence[int]:
        """Write each value in its node's own type and return the status of each.

        Raises:
            LinkError: as ``read``.
        """
        ...

    async def call(self, method: str, argument: float, timeout_s: float) -> int:
        """Call a method of its parent object with one Double and return the status.

        Raises:
            LinkError: as ``read``.
        """
        ...

    def warnings(self) -> Sequence[str]:
        """Return what is doubtful about the connection."""
        return ()

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Node:
    """Where a tag lives.

    Attributes:
        tag: what it is; one with ``safe`` is written.
        node: ``nsu=URI;s=NAME``: the index of a namespace may change when a server restarts.

    Raises:
        ValueError: the node id names no namespace or no node.
    """

    tag: Tag
    node: str

    def __post_init__(self) -> None:
        namespace, _, name = self.node.partition(";")
        if namespace[:4] not in ("nsu=", "ns=0") or name[:2] not in ("s=", "i=", "g=", "b="):
            raise ValueError(
                f"{self.tag.name}: {self.node!r} is no node id such as nsu=urn:plant;s=NAME"
            )


class OpcUaDriver(Driver):
    """A device behind an OPC UA link.

    Args:
        name: as in the plant file.
        nodes: where its tags live; only those of actuators are ever written.
        link: the wire.
        clock: stamps the samples.

    Raises:
        ValueError: two tags share a node.
    """

    def __init__(self, name: str, nodes: Sequence[Node], link: Link, clock: Clock) -> None:
        self.name = name
        self.address = link.address
        self.tags: Sequence[Tag] = tuple(n.tag for n in nodes)
        self._link = link
        self._clock = clock
        self._actuators = {n.tag.name: n for n in nodes if n.tag.safe is not None}
        self._ids = tuple(n.node for n in nodes)
        self._points = [(n.tag.name, n.tag, n.tag.low, n.tag.high) for n in nodes]
        taken: dict[str, str] = {}
        for n in nodes:
            if n.node in taken:
                raise ValueError(f"{n.tag.name}: {n.node} is already taken by {taken[n.node]}")
            taken[n.node] = n.tag.name
        self._last_good: float | None = None
        self._lock_step = False

    async def identify(self) -> Identity:
        try:
            speed, plant_time = await self._link.read((SPEED, PLANT_TIME))
        except LinkError as error:
            self._fail(str(error), "the server's identification")
        if speed.status or plant_time.status:  # no such nodes: a real device
            self._lock_step = False
            return Identity()
        self._lock_step = speed.value == 0
        return Identity("fermloop simulator", float(speed.value), float(plant_time.value))

    async def read(self) -> dict[str, Sample]:
        try:
            values = await self._link.read(self._ids)
        except LinkError as error:
            self._fail(str(error), f"{len(self._ids)} nodes")
        self._last_good = now = self._clock.now()
        found: dict[str, Sample] = {}
        for (name, tag, low, high), (value, status, _) in zip(self._points, values, strict=True):
            # A float first: only then is the comparison sure to be one between numbers.
            if value.__class__ is float and not status >> 30 and low <= value <= high:
                found[name] = _sample(Sample, (tag, now, value, Quality.GOOD))
            else:
                found[name] = _odd(tag, now, value, status)
        return found

    async def write(self, values: dict[str, float]) -> dict[str, Sample]:
        for name, value in values.items():
            if name not in self._actuators:
                allowed = ", ".join(self._actuators) or "none"
                raise RangeError(f"{name}: no actuator of {self.name}; those are {allowed}")
            self._actuators[name].tag.require(value)
        ids = tuple(self._actuators[name].node for name in values)
        try:
            statuses = await self._link.write(ids, list(values.values()))
            for name, status in zip(values, statuses, strict=True):
                if status >> 30:
                    self._fail(f"status 0x{status:08X} to a write of {name}")
            held = await self._link.read(ids)
        except LinkError as error:
            self._fail(str(error), f"a write of {', '.join(values)}")
        now = self._clock.now()
        samples: dict[str, Sample] = {}
        for (name, wanted), (value, status, _) in zip(values.items(), held, strict=True):
            tag = self._actuators[name].tag
            samples[name] = _odd(tag, now, value, status)
            if not abs(samples[name].value - wanted) <= _FLOAT32 * max(abs(wanted), 1.0):
                self._fail(
                    f"{name} reads back {value} {tag.unit} with status 0x{status:08X} "
                    f"after {wanted:g} was written"
                )
        return samples

    async def advance(self, plant_time: float) -> None:
        if not self._lock_step:
            raise DeviceError(f"{self.name} at {self.address}: is no simulator in lock-step")
        try:
            status = await self._link.call(ADVANCE, plant_time, _ADVANCE_S)
        except LinkError as error:
            self._fail(str(error), "an advance of the simulated plant")
        if status >> 30:
            self._fail(f"status 0x{status:08X} to an advance of the simulated plant")

    def warnings(self) -> Sequence[str]:
        return self._link.warnings()

    async def close(self) -> None:
        await self._link.close()

    def _fail(self, text: str, what: str = "") -> NoReturn:
        ago = ""
        if self._last_good is not None:
            ago = f" (last good {self._clock.now() - self._last_good:.1f} s ago)"
        text = text.replace("{what}", what)
        raise DeviceError(f"{self.name} at {self.address}: {text}{ago}")


def _odd(tag: Tag, time: float, value: Any, status: int) -> Sample:
    """Return the sample of a value that is not simply a good float in range."""
    quality = _BY_SEVERITY[status >> 30 & 3]
    number = float(value) if isinstance(value, int | float) else math.nan
    if number not in tag:  # a Float may stand outside by its own resolution
        for bound in (tag.low, tag.high):
            if abs(number - bound) <= _FLOAT32 * max(abs(bound), 1.0):
                number = bound
    if quality is Quality.BAD or number not in tag:
        return Sample(tag, time, math.nan, Quality.BAD)
    return Sample(tag, time, number, quality)
