"""What a link says to asyncua and hears of it: ids, requests, types, refusals, ends."""

import asyncio
import re
from collections.abc import Sequence
from typing import Any, cast

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds

from drivers.opcua.describe import good_value
from drivers.opcua.quality import status_name

_NODE = re.compile(r"nsu=(.*);([sigb]=.*)")
_FLOATS = (ua.VariantType.Double, ua.VariantType.Float)
_HINTS = {  # what to do about a server's refusal
    "BadCertificateUntrusted": ": the server does not trust our certificate; trust it there",
    "BadSecurityChecksFailed": ": the server does not trust our certificate; trust it there",
    "BadCertificateUriInvalid": ": our certificate has another application URI than we say",
    "BadCertificateTimeInvalid": ": our certificate is not valid now by the server's clock",
    "BadUserAccessDenied": ": user or password is wrong, or may not do this (login)",
    "BadIdentityTokenRejected": ": the server does not take this kind of log-in (login)",
    "BadIdentityTokenInvalid": ": the server does not take this kind of log-in (login)",
}


async def end(client: Client) -> None:
    """End what asyncua left running of a client whose socket has gone."""
    await end_publishing(client)
    try:
        await client.close_session()  # there is no socket left, so this only ends its tasks
    except (OSError, TimeoutError, ua.UaError):
        return


async def end_publishing(client: Client) -> None:
    """End the task that asyncua leaves behind where the socket has gone or is going."""
    task = client.uaclient._publish_task  # pyright: ignore[reportPrivateUsage] (it has no other name)
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def identifier(node: str, namespaces: Sequence[str]) -> ua.NodeId | None:
    """Return the id of ``nsu=URI;s=NAME`` on a server; ``None`` if it has no such namespace."""
    match = _NODE.fullmatch(node)
    if match is None:
        return ua.NodeId.from_string(node)
    if match[1] not in namespaces:
        return None
    return ua.NodeId.from_string(f"ns={namespaces.index(match[1])};{match[2]}")


def named(node: ua.NodeId, namespaces: Sequence[str]) -> str:
    """Return an id of a server as ``nsu=URI;s=NAME``, whatever the index is tomorrow."""
    if not node.NamespaceIndex:
        return f"ns=0;{node.to_string()}"
    name = node.to_string().partition(";")[2]
    return f"nsu={namespaces[node.NamespaceIndex]};{name}"


def reading(nodes: list[ua.ReadValueId]) -> ua.ReadParameters:
    """Return a request for nodes with their source time."""
    parameters = ua.ReadParameters()
    parameters.TimestampsToReturn = ua.TimestampsToReturn.Source
    parameters.NodesToRead = nodes
    return parameters


async def standard(client: Client, *ids: int) -> list[Any]:
    """Return values of the standard's own nodes; ``None`` for one that the server has not."""
    nodes = [ua.NodeId(cast(ua.Int32, i)) for i in ids]
    asked = reading([ua.ReadValueId(n, AttributeIds.Value) for n in nodes])
    return [good_value(v) for v in await client.uaclient.read(asked)]


def variant(value: float, kind: ua.VariantType | None) -> Any:
    """Return a number in the type of its node."""
    if kind is None or kind in _FLOATS:
        return ua.Variant(value, kind or ua.VariantType.Double)
    if kind is ua.VariantType.Boolean:
        return ua.Variant(bool(value), kind)
    return ua.Variant(round(value), kind)


def reason(error: Exception) -> str:
    """Return what went wrong as people say it; ``{what}`` stands for what was asked."""
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, ConnectionError):
        return "the device closed the connection"
    if isinstance(error, ua.UaStatusCodeError):
        name = status_name(error.code)
        hint = _HINTS.get(name, "")
        return f"{name} (0x{error.code:08X}) in reply to {{what}}{hint}"
    return str(error) or type(error).__name__
