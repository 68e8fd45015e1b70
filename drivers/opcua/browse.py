"""What a server offers: its variables with type, unit, value and access, for people.

    link = OpcUaLink("opc.tcp://10.0.0.13:4840", timeout_s=5.0, insecure=True)  # or security=...
    try:
        async for found in browse(link):
            print(found.node, found.type, found.value, found.unit)
    finally:
        await link.close()

Nothing is written. A node of the standard's own server object is left out.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIdNames, ObjectIds  # pyright: ignore[reportUnknownVariableType] (a dict)

from drivers.opcua.asking import identifier, named
from drivers.opcua.describe import PROPERTIES, browse_forward, description, good_value
from drivers.opcua.link import OpcUaLink
from drivers.opcua.quality import status_name
from drivers.opcua.units import Description

LIMIT = 10_000  # nodes that are looked at, as a rule
_AT_ONCE = 40  # nodes in one request: what small servers allow
_ASK_S = 20.0  # wall s for one request
_ATTRIBUTES = (
    AttributeIds.Value,
    AttributeIds.DataType,
    AttributeIds.UserAccessLevel,
    AttributeIds.Description,
)
_READ, _WRITE = 0, 1  # bits of an access level


@dataclass(frozen=True, slots=True)
class Found:
    """A variable of a server.

    Attributes:
        node: ``nsu=URI;s=NAME``, as a plant file wants it.
        name: its browse name.
        path: the names from the Objects folder down to it, with slashes.
        type: ``Double``, ``Int32``, ``Boolean``, ``String`` ...; ``Double[]`` for an array.
        value: as the server gave it; ``None`` if it could not be read.
        status: ``Good`` or the name of another status code.
        described: unit and ranges as the server gives them; ``described.ucum`` is the plant file's
            unit.
        description: the server's words about it; may be empty.
        readable: we may read it.
        writable: we may write it.
    """

    node: str
    name: str
    path: str
    type: str
    value: Any
    status: str
    described: Description
    description: str
    readable: bool
    writable: bool

    @property
    def numeric(self) -> bool:
        """Whether it can be a tag: a number or a bit, no array and no text."""
        return self.type in _NUMERIC


_NUMERIC = {"Boolean", "SByte", "Byte", "Int16", "UInt16", "Int32", "UInt32", "Int64", "UInt64"} | {
    "Float",
    "Double",
}


@dataclass(slots=True)
class _Place:
    id: ua.NodeId
    name: str
    path: str
    variable: bool
    properties: dict[str, ua.NodeId] = field(default_factory=dict[str, ua.NodeId])


class TooManyError(Exception):
    """The server has more nodes than were asked for; those found so far have been given."""


async def browse(
    link: OpcUaLink,
    root: str = f"ns=0;i={ObjectIds.ObjectsFolder}",
    limit: int = LIMIT,
    depth: int | None = None,
) -> AsyncIterator[Found]:
    """Yield the variables below ``root``, level by level.

    Args:
        link: where; its timeout counts for connecting, one request may take 20 s.
        root: where to begin; ``nsu=URI;s=NAME`` or ``ns=0;i=NUMBER``.
        limit: how many nodes are looked at, at most.
        depth: how many levels below ``root``; ``None``: all.

    Raises:
        TooManyError: there are more than ``limit``; raised when those were given.
        LinkError: the server does not answer, refuses us or is not to be trusted.
    """
    start = await link.use(_ASK_S, lambda c: _resolve(c, link, root))
    level = [_Place(start, "", "", variable=False)]
    seen = {start}
    steps = 0
    while level and len(seen) <= limit and steps != depth:
        steps += 1
        below: list[_Place] = []
        for part in _parts(level):
            below += await link.use(_ASK_S, lambda c, p=part: _children(c, p, seen))
        for part in _parts([p for p in level if p.variable]):
            for found in await link.use(_ASK_S, lambda c, p=part: _look(c, link, p)):
                yield found
        level = below
    for part in _parts([p for p in level if p.variable]):
        # its properties hang below it too; what else does is of no interest
        await link.use(_ASK_S, lambda c, p=part: _children(c, p, set(seen)))
        for found in await link.use(_ASK_S, lambda c, p=part: _look(c, link, p)):
            yield found
    if level and steps != depth:
        raise TooManyError(f"more than {limit} nodes are there")


def _parts(places: Sequence[_Place]) -> list[Sequence[_Place]]:
    return [places[i : i + _AT_ONCE] for i in range(0, len(places), _AT_ONCE)]


async def _resolve(client: Client, link: OpcUaLink, node: str) -> ua.NodeId:
    known = identifier(node, link.namespaces)
    if known is None:
        raise ua.UaError(f"the server has no namespace of {node}")
    return known


async def _children(client: Client, places: Sequence[_Place], seen: set[ua.NodeId]) -> list[_Place]:
    """Return what hangs below ``places`` and was not seen; a variable's properties go to it."""
    ids = [p.id for p in places]
    classes = ua.NodeClass.Object | ua.NodeClass.Variable
    everything = await browse_forward(client, ids, ObjectIds.HierarchicalReferences, classes)
    found: list[_Place] = []
    for place, references in zip(places, everything, strict=True):
        found += [p for r in references if (p := _place(place, r, seen)) is not None]
    return found


def _place(parent: _Place, reference: Any, seen: set[ua.NodeId]) -> _Place | None:
    known: ua.NodeId = reference.NodeId
    name: str = reference.BrowseName.Name or ""
    variable = reference.NodeClass == ua.NodeClass.Variable
    if variable and reference.ReferenceTypeId.Identifier == ObjectIds.HasProperty:
        if parent.variable:
            parent.properties[name] = known
        return None
    standard = known.NamespaceIndex == 0 and known.Identifier == ObjectIds.Server
    if known in seen or standard:
        return None
    seen.add(known)
    return _Place(known, name, f"{parent.path}/{name}".strip("/"), variable)


async def _look(client: Client, link: OpcUaLink, places: Sequence[_Place]) -> list[Found]:
    """Return the variables at ``places`` with all that is known of them, in one request."""
    asked: list[tuple[ua.NodeId, AttributeIds]] = []
    for place in places:
        asked += [(place.id, a) for a in _ATTRIBUTES]
        asked += [(n, AttributeIds.Value) for n in map(place.properties.get, PROPERTIES) if n]
    parameters = ua.ReadParameters()
    parameters.NodesToRead = [ua.ReadValueId(n, a) for n, a in asked]
    results = iter(await client.uaclient.read(parameters))
    return [_found(place, results, link.namespaces) for place in places]


def _found(place: _Place, results: Iterator[ua.DataValue], namespaces: Sequence[str]) -> Found:
    value, kind, access, words = (next(results) for _ in _ATTRIBUTES)
    properties = {n: good_value(next(results)) for n in PROPERTIES if n in place.properties}
    status = value.StatusCode.value if value.StatusCode is not None else 0
    level = good_value(access) or 0
    text = good_value(words)
    return Found(
        node=named(place.id, namespaces),
        name=place.name,
        path=place.path,
        type=_type(value.Value, good_value(kind)),
        value=None if value.Value is None else value.Value.Value,
        status=status_name(status),
        described=description(properties),
        description=(text.Text or "") if isinstance(text, ua.LocalizedText) else "",
        readable=bool(level >> _READ & 1),
        writable=bool(level >> _WRITE & 1),
    )


def _type(value: ua.Variant | None, kind: Any) -> str:
    """Return the name of the type of a value, or of its node's data type where there is none."""
    if value is not None and value.VariantType is not ua.VariantType.Null:
        return value.VariantType.name + ("[]" if value.is_array else "")
    if isinstance(kind, ua.NodeId) and not kind.NamespaceIndex:
        return cast(dict[Any, str], ObjectIdNames).get(kind.Identifier, "unknown")
    return "unknown"
