"""Real asyncua servers on loopback, to be had through a proxy too."""

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asyncua import ua
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.server import Server
from asyncua.server.user_managers import UserManager

from drivers.opcua import Node
from drivers.point import Tag
from tests.drivers.proxy import CUT, Fault, Frame, Piece, Proxy

URI = "urn:test:plant"
KINDS = {"d": ua.VariantType.Double, "f": ua.VariantType.Float, "i": ua.VariantType.Int32}


def node(name: str, *, safe: float | None = None) -> Node:
    return Node(Tag(f"R1.{name}", "1", -100, 100, safe), f"nsu={URI};s={name}")


def double(value: float, status: int = 0) -> ua.DataValue:
    return ua.DataValue(ua.Variant(value, ua.VariantType.Double), ua.StatusCode(ua.UInt32(status)))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


def through(proxy: Proxy) -> str:
    """Return the URL of a ``Plant`` behind a proxy."""
    return f"opc.tcp://127.0.0.1:{proxy.port}/plant"


def saying(rubbish: bytes) -> Fault:
    """Return a fault that answers with ``rubbish`` and closes."""

    def fault(frame: Frame) -> Sequence[Piece]:
        return (frame.data,) if frame.to_device else (rubbish, 0.05, CUT)

    return fault


class Users(UserManager):
    """Lets in whoever gives a known name with its password, or shows a known certificate."""

    def __init__(self, passwords: dict[str, str]) -> None:
        self._passwords = passwords
        self.certificates: set[bytes] = set()

    def get_user(
        self, iserver: object, username: Any = None, password: Any = None, certificate: Any = None
    ) -> User | None:
        if certificate in self.certificates or (
            username and self._passwords.get(username) == password
        ):
            return User(role=UserRole.Admin)
        return None


class Plant:
    """An asyncua server that can be started, stopped and started with other namespaces.

    Args:
        policies: what it offers; nothing but no security if not given.
        pair: its certificate and key, files.
        uri: what it says that its application URI is.
        users: by name, with their passwords; anybody may come in if not given.
        port: a free one if not given.
        more: how many further Doubles it has: v0, v1, ...
    """

    def __init__(
        self,
        *policies: ua.SecurityPolicyType,
        pair: tuple[Path, Path] | None = None,
        uri: str = "urn:test:server",
        users: dict[str, str] | None = None,
        port: int | None = None,
        more: int = 0,
    ) -> None:
        self.policies = policies or (ua.SecurityPolicyType.NoSecurity,)
        self.pair, self.uri = pair, uri
        self.users = None if users is None else Users(users)
        self.port = port or free_port()
        self.more = more
        self.url = f"opc.tcp://127.0.0.1:{self.port}/plant"
        self.server: Server | None = None

    async def start(self, *before: str) -> None:
        server = Server(user_manager=self.users)
        await server.init()
        server.set_endpoint(self.url)
        await server.set_application_uri(self.uri)
        server.set_security_policy(list(self.policies))
        if self.pair is not None:
            await server.load_certificate(self.pair[0])
            await server.load_private_key(self.pair[1])
        for other in before:
            await server.register_namespace(other)
        index = await server.register_namespace(URI)
        doubles = {f"v{k}": ua.VariantType.Double for k in range(self.more)}
        for name, kind in (KINDS | doubles).items():
            variable = await server.nodes.objects.add_variable(
                ua.NodeId.from_string(f"ns={index};s={name}"), f"{index}:{name}", 1, kind
            )
            await variable.set_writable()
        await server.start()
        self.server = server

    async def stop(self) -> None:
        server, self.server = self.server, None
        if server is not None:
            await server.stop()

    async def describe(self, name: str, **properties: Any) -> None:
        """Give a variable EngineeringUnits, EURange, InstrumentRange."""
        assert self.server is not None
        index = await self.server.get_namespace_index(URI)
        variable = self.server.get_node(f"ns={index};s={name}")
        for key, value in properties.items():
            await variable.add_property(0, key, value)

    async def put(self, name: str, value: ua.DataValue) -> None:
        assert self.server is not None
        index = await self.server.get_namespace_index(URI)
        await self.server.get_node(f"ns={index};s={name}").write_value(value)
