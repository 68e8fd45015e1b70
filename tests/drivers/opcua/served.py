"""Real asyncua servers on loopback, and a proxy that freezes, cuts and talks rubbish."""

import asyncio
import socket
from typing import Any

from asyncua import ua
from asyncua.server.server import Server

from drivers.opcua import Node
from drivers.point import Tag

URI = "urn:test:plant"
KINDS = {"d": ua.VariantType.Double, "f": ua.VariantType.Float, "i": ua.VariantType.Int32}


def node(name: str, *, safe: float | None = None) -> Node:
    return Node(Tag(f"R1.{name}", "1", -100, 100, safe), f"nsu={URI};s={name}")


def double(value: float, status: int = 0) -> ua.DataValue:
    return ua.DataValue(ua.Variant(value, ua.VariantType.Double), ua.StatusCode(ua.UInt32(status)))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


class Plant:
    """An asyncua server that can be started, stopped and started with other namespaces."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"opc.tcp://127.0.0.1:{self.port}/plant"
        self.server: Server | None = None

    async def start(self, *before: str) -> None:
        server = Server()
        await server.init()
        server.set_endpoint(self.url)
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        for other in before:
            await server.register_namespace(other)
        index = await server.register_namespace(URI)
        for name, kind in KINDS.items():
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


class Proxy:
    """Stands before a server: passes on, keeps (as a frozen process does) or says rubbish."""

    def __init__(self, port: int) -> None:
        self.behind = port
        self.port = 0
        self.running = asyncio.Event()
        self.running.set()
        self.rubbish = b""
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Proxy":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()
        await asyncio.sleep(0)

    @property
    def url(self) -> str:
        return f"opc.tcp://127.0.0.1:{self.port}/plant"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        there: asyncio.StreamWriter | None = None
        try:
            if self.rubbish:
                await reader.read(100)
                writer.write(self.rubbish)
                await writer.drain()
                return
            back, there = await asyncio.open_connection("127.0.0.1", self.behind)
            await asyncio.gather(self._pass(reader, there), self._pass(back, writer))
        except OSError:
            return
        finally:
            for end in (there, writer):
                if end is not None:
                    end.transport.abort()
            await asyncio.sleep(0)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self.running.wait()
            writer.write(data)
        raise ConnectionError("one end has closed")
