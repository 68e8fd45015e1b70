"""The words between tags and wire: Node, DataValue, Link."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from drivers.opcua.units import Description
from drivers.point import Tag


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
    """The seam between tags and wire: node ids in, DataValues out, one request for all.

    Attributes:
        connections: how many were made; another number means perhaps another server.
    """

    address: str
    connections: int = 0

    async def open(self) -> None:
        """Connect if need be.

        Raises:
            LinkError: no connection within the timeout.
        """

    async def read(self, nodes: Sequence[str]) -> Sequence[DataValue]:
        """Return the value of each node; one that does not exist has a Bad status.

        Raises:
            LinkError: no answer within the timeout; the connection is gone.
        """
        ...

    async def watch(
        self, nodes: Sequence[str], interval_s: float, timed: frozenset[str]
    ) -> tuple[Sequence[DataValue], float]:
        """Return the values that the server last sent of itself, and how long ago it spoke, wall s.

        Args:
            nodes: always the same ones.
            interval_s: wall s between two publications.
            timed: those whose source time matters as much as their value.

        Raises:
            LinkError: as ``read``, which it is where the server cannot send or has been silent.
        """
        return await self.read(nodes), 0.0

    async def describe(self, nodes: Sequence[str]) -> Sequence[Description]:
        """Return unit and ranges of each node as far as the server gives them.

        Raises:
            LinkError: as ``read``.
        """
        return [Description()] * len(nodes)

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

    def server_time(self) -> float | None:
        """Return the server's own clock now, s since 1970 UTC; ``None`` if it was never asked."""
        return None

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
        max_age_s: s by the server's clock; a source time that is older is UNCERTAIN, twice as old
            BAD. None where a value that does not change may keep its old stamp.

    Raises:
        ValueError: the node id names no namespace or no node.
    """

    tag: Tag
    node: str
    max_age_s: float | None = None

    def __post_init__(self) -> None:
        _require_node_id(self.tag.name, self.node)


@dataclass(frozen=True, slots=True)
class Info:
    """A node that is read after each connection: serial number, firmware.

    Attributes:
        name: what it is.
        node: as in ``Node``.
        equals: what it must be; any other value refuses the device.
    """

    name: str
    node: str
    equals: str | float | None = None

    def __post_init__(self) -> None:
        _require_node_id(self.name, self.node)

    def refused(self, given: DataValue) -> str | None:
        """Return why the device is refused, or ``None``."""
        if self.equals is None:
            return None
        value = None if given.status >> 30 else given.value
        if isinstance(self.equals, str):
            same = str(value) == self.equals if value is not None else False
        else:
            same = value == self.equals
        return None if same else f"{self.name} is {value!r}, not {self.equals!r}; the right device?"


def _require_node_id(name: str, node: str) -> None:
    namespace, _, identifier = node.partition(";")
    if namespace[:4] not in ("nsu=", "ns=0") or identifier[:2] not in ("s=", "i=", "g=", "b="):
        raise ValueError(f"{name}: {node!r} is no node id such as nsu=urn:plant;s=NAME")
