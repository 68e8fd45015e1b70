"""What a server shows to everybody before anybody logs in: its policies and its certificate."""

import asyncio
from dataclasses import dataclass
from typing import Any

from asyncua import ua
from asyncua.client.client import Client
from cryptography import x509

from drivers.driver import DeviceError
from drivers.opcua.certificates import parse


@dataclass(frozen=True, slots=True)
class Offer:
    """One endpoint of a server.

    Attributes:
        policy: ``None``, ``Basic256Sha256`` ...
        mode: ``None_``, ``Sign`` or ``SignAndEncrypt``.
        application_uri: as the server says of itself.
        certificate: the server's; ``None`` if it shows none.
    """

    policy: str
    mode: str
    application_uri: str
    certificate: x509.Certificate | None


async def offers(url: str, timeout_s: float = 5.0) -> list[Offer]:
    """Return what a server offers. Nothing secret is sent, nothing is trusted.

    Raises:
        DeviceError: it does not answer.
    """
    client = Client(url, timeout=timeout_s)
    try:
        async with asyncio.timeout(timeout_s):
            endpoints: list[Any] = list(await client.connect_and_get_server_endpoints())
    except (OSError, TimeoutError, ua.UaError) as error:
        why = str(error) or f"no answer within {timeout_s:g} s"
        raise DeviceError(f"{url}: {why}") from None
    return [
        Offer(
            e.SecurityPolicyUri.rpartition("#")[2],
            e.SecurityMode.name,
            e.Server.ApplicationUri or "",
            _first(e.ServerCertificate),
        )
        for e in endpoints
    ]


def _first(data: bytes | None) -> x509.Certificate | None:
    try:
        return parse(data or b"")[0]
    except ValueError:
        return None
