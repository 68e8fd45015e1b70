"""What faults of the wire do to the connections of a simulated OPC UA server."""

import asyncio
from collections.abc import Callable
from functools import partial

from asyncua.server.binary_server_asyncio import OPCUAProtocol

from sim.wire import Wire


class Connections(list[OPCUAProtocol]):
    """The connections of one server, in place of its own list of them.

    Where the wire is cut nothing that is sent to the server is read before it is whole again;
    where it refuses, connections are reset as they come.
    """

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire
        wire.watchers.append(self._look)

    def append(self, connection: OPCUAProtocol, /) -> None:
        """Take a new connection."""
        super().append(connection)
        connection.data_received = partial(self._received, connection.data_received)
        self._apply(connection)

    def _received(self, take: Callable[[bytes], None], data: bytes) -> None:
        if delay := self._wire.delay_s:
            asyncio.get_running_loop().call_later(delay, take, data)
        else:
            take(data)

    def _look(self) -> None:
        for connection in list(self):
            self._apply(connection)

    def _apply(self, connection: OPCUAProtocol) -> None:
        transport = connection.transport
        if transport is None or transport.is_closing():
            return
        if self._wire.refused:
            transport.abort()
        elif self._wire.cut:
            transport.pause_reading()
        elif not transport.is_reading():
            transport.resume_reading()
