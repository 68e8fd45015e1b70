"""Modbus TCP: request PDU to reply PDU over a socket. The one production file with pymodbus.

pymodbus frames and unframes. The connection is our own, because pymodbus takes a reply with
transaction 0 as good, waits (retries + 1) * timeout and never connects again after a first failure.
"""

import asyncio
import os
from collections.abc import Sequence
from typing import cast

from pymodbus.framer import FramerSocket
from pymodbus.pdu import DecodePDU

from drivers.clock import monotonic
from drivers.modbus import LinkError

_FIRST_DELAY = 0.05  # wall s between two tries, doubling
_LAST_DELAY = 1.0


class Connection(asyncio.Protocol):
    """One TCP connection with at most one request under way."""

    def __init__(self) -> None:
        self._framer = FramerSocket(DecodePDU(False))
        self._buffer = b""
        self._tid = 0
        self._unit = 0
        self._reply: asyncio.Future[bytes] | None = None
        self._transport: asyncio.Transport | None = None
        self.failure = ""
        self.closed_by_device = False
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed_by_device = not self.failure
        self._fail("the device closed the connection")
        if not self.lost.done():
            self.lost.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= 8 and not self.failure:
            size = int.from_bytes(self._buffer[4:6], "big")
            if self._buffer[2:4] != b"\0\0" or not 3 <= size <= 254:
                self._fail(f"no Modbus frame but {self._buffer[:8].hex(' ')} in reply to {{what}}")
                return
            used, unit, tid, pdu = self._framer.decode(self._buffer)
            if not used:
                return
            self._buffer = self._buffer[used:]
            self._take(unit, tid, pdu)

    def _take(self, unit: int, tid: int, pdu: bytes) -> None:
        if self._reply is None or self._reply.done():
            self._fail("the device answered what had not been asked")
        elif tid != self._tid:  # also 0: it could be the answer to anything
            self._fail(f"transaction {tid} in reply to {{what}}, not {self._tid}")
        elif unit != self._unit:
            self._fail(f"unit {unit} in reply to {{what}}, not {self._unit}")
        else:
            self._reply.set_result(pdu)

    def _fail(self, text: str) -> None:
        self.failure = self.failure or text
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(LinkError(self.failure))
        self.abort()

    def abort(self) -> None:
        self.failure = self.failure or "the connection was dropped"
        if self._transport is not None:
            self._transport.abort()

    async def transact(self, tid: int, unit: int, pdu: bytes) -> bytes:
        """Send one PDU as transaction ``tid`` and return the reply to it."""
        if self.failure or self._transport is None:
            raise LinkError(self.failure)
        self._tid = tid
        self._unit = unit
        self._reply = asyncio.get_running_loop().create_future()
        self._transport.write(self._framer.encode(pdu, unit, tid))
        return await self._reply


class ModbusTcpLink:
    """A Modbus TCP device, connected when first used and again after every failure.

    Every failure drops the connection, so that no late reply can be taken for another's. The next
    try follows at once if the device had closed an idle connection, else after 0.05 s, doubling up
    to 1 s; in between an exchange fails without waiting.

    Args:
        host: name or address.
        port: TCP port.
        unit_id: the device's unit behind that address.
        timeout_s: wall s that one exchange, connecting included, may take.
    """

    def __init__(self, host: str, port: int, unit_id: int = 1, timeout_s: float = 0.5) -> None:
        if not timeout_s > 0:
            raise ValueError(f"timeout_s: {timeout_s:g} is not allowed; it must be > 0")
        self.address = f"{host}:{port}"
        self._host, self._port = host, port
        self._unit = unit_id
        self._timeout_s = timeout_s
        self._lock = asyncio.Lock()
        self._connection: Connection | None = None
        self._connected = False
        self._tid = 0
        self._delay = 0.0
        self._retry_at = 0.0
        self._why = ""

    async def exchange(
        self,
        requests: Sequence[bytes],
        *,
        unit: int | None = None,
        timeout_s: float | None = None,
    ) -> list[bytes]:
        limit = timeout_s or self._timeout_s
        wait = self._retry_at - monotonic()
        if self._connection is None and wait > 0:
            raise LinkError(f"{self._why}; next try in {wait:.2f} s")
        replies: list[bytes] = []
        try:
            async with asyncio.timeout(limit), self._lock:
                await self._attempt(requests, self._unit if unit is None else unit, replies)
        except TimeoutError:
            silent = self._connected
            asked = "no reply to {what}" if silent else "no connection"
            raise self._failed(f"{asked} within {limit:g} s", len(replies), silent) from None
        except OSError as error:
            reason = os.strerror(error.errno).lower() if error.errno else str(error)
            raise self._failed(reason) from None
        except LinkError as error:
            raise self._failed(str(error), len(replies)) from None
        self._delay = 0.0
        return replies

    def reset(self) -> None:
        self._drop()
        self._retry_at = 0.0

    async def close(self) -> None:
        connection = self._connection
        self.reset()
        if connection is not None:
            await asyncio.wait({connection.lost})

    async def _attempt(self, requests: Sequence[bytes], unit: int, replies: list[bytes]) -> None:
        """Exchange on the connection there is, or on a new one; drop it if anything goes wrong."""
        used = self._connection
        try:
            try:
                await self._transact(requests, unit, replies)
            except LinkError:
                if used is None or not used.closed_by_device:
                    raise
                # It closed an idle connection, or has restarted: once more, on a new one. All our
                # requests may be repeated: they read, or they write absolute values.
                self._drop()
                replies.clear()
                await self._transact(requests, unit, replies)
        except BaseException:  # cancelled too: a reply may still be on its way
            self._drop()
            raise

    async def _transact(self, requests: Sequence[bytes], unit: int, replies: list[bytes]) -> None:
        if self._connection is None:
            self._connected = False
            loop = asyncio.get_running_loop()
            _, self._connection = await loop.create_connection(Connection, self._host, self._port)
        self._connected = True
        for request in requests:
            self._tid = self._tid % 0xFFFF + 1  # goes on from connection to connection, never 0
            reply = await self._connection.transact(self._tid, unit, request)
            replies.append(reply)

    def _failed(self, text: str, index: int = 0, silent: bool = False) -> LinkError:
        self._delay = min(max(2 * self._delay, _FIRST_DELAY), _LAST_DELAY)
        self._retry_at = monotonic() + self._delay
        self._why = text
        return LinkError(text, index, silent=silent)

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.abort()
            self._connection = None
