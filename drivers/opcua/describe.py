"""A variable's properties EngineeringUnits, EURange and InstrumentRange, as units.py wants them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds

from drivers.opcua.units import Description, ucum

PROPERTIES = ("EngineeringUnits", "EURange", "InstrumentRange")
_AT_ONCE = 40  # nodes in one request: what small servers allow


async def describe(client: Client, ids: Sequence[ua.NodeId]) -> list[Description]:
    """Return what the server says of each node; nothing where it refuses or has nothing."""
    found: list[Description] = []
    for first in range(0, len(ids), _AT_ONCE):
        part = ids[first : first + _AT_ONCE]
        properties = await _properties(client, part)
        asked = [(i, name, n) for i, p in enumerate(properties) for name, n in p.items()]
        values: list[dict[str, Any]] = [{} for _ in part]
        if asked:
            parameters = ua.ReadParameters()
            parameters.NodesToRead = [ua.ReadValueId(n, AttributeIds.Value) for _, _, n in asked]
            results = await client.uaclient.read(parameters)
            for (i, name, _), result in zip(asked, results, strict=True):
                values[i][name] = good_value(result)
        found += [description(v) for v in values]
    return found


async def browse_forward(
    client: Client, ids: Sequence[ua.NodeId], reference: int, classes: int
) -> list[list[Any]]:
    """Return what each node refers to by ``reference`` or a kind of it, continued to the end."""
    parameters = ua.BrowseParameters()
    parameters.NodesToBrowse = [
        ua.BrowseDescription(
            NodeId=i,
            BrowseDirection=ua.BrowseDirection.Forward,
            ReferenceTypeId=ua.NodeId(cast(ua.Int32, reference)),
            IncludeSubtypes=True,
            NodeClassMask=cast(ua.UInt32, classes),
            ResultMask=cast(ua.UInt32, ua.BrowseResultMask.All),
        )
        for i in ids
    ]
    found: list[list[Any]] = []
    results: list[Any] = list(await client.uaclient.browse(parameters))
    for result in results:
        references = cast(list[Any], list(result.References or ()))
        point = result.ContinuationPoint
        while point:
            next_part = ua.BrowseNextParameters(False, [point])
            further: Any = (await client.uaclient.browse_next(next_part))[0]
            references += further.References or ()
            point = further.ContinuationPoint
        found.append(references)
    if len(found) != len(ids):
        raise ua.UaError(f"{len(found)} results in reply to a browse of {len(ids)} nodes")
    return found


async def _properties(client: Client, ids: Sequence[ua.NodeId]) -> list[dict[str, ua.NodeId]]:
    everything = await browse_forward(client, ids, ObjectIds.HasProperty, ua.NodeClass.Variable)
    return [
        {name: r.NodeId for r in references if (name := r.BrowseName.Name or "") in PROPERTIES}
        for references in everything
    ]


def good_value(given: ua.DataValue) -> Any:
    """Return the value of an attribute, ``None`` if it is not good."""
    if given.Value is None or (given.StatusCode is not None and given.StatusCode.value >> 30):
        return None
    return given.Value.Value


def description(values: Mapping[str, Any]) -> Description:
    """Return the properties' values, by name, as far as they are what they should be."""
    unit = code = None
    given: Any = values.get("EngineeringUnits")
    if isinstance(given, ua.EUInformation):
        given = cast(Any, given)
        name = (given.DisplayName and given.DisplayName.Text) or None
        code = ucum(given.NamespaceUri, given.UnitId, name)
        unit = name or code
    return Description(
        unit, code, _range(values.get("EURange")), _range(values.get("InstrumentRange"))
    )


def _range(given: Any) -> tuple[float, float] | None:
    if not isinstance(given, ua.Range):  # an ExtensionObject that nobody knows
        return None
    span = cast(Any, given)
    low, high = float(span.Low), float(span.High)
    return (low, high) if math.isfinite(low) and math.isfinite(high) and low < high else None
