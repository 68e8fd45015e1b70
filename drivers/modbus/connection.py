"""A connection to a Modbus line: at most one request under way, one reply or failure to it."""

import asyncio
import math
from abc import ABC, abstractmethod
from typing import cast

from drivers.clock import monotonic
from drivers.modbus import LinkError

_GLANCE_S = 0.01  # wall s between two looks at whether the line is free


class Connection(asyncio.Protocol, ABC):
    """What all wires have in common; how frames look is each wire's own.

    Args:
        gap_s: wall s of silence before a request.

    Attributes:
        stays: it is never closed for a reply that did not come: nothing would be gained.
        failure: why it has ended; empty while it is well.
        closed_by_device: it ended without our doing.
        heard: when the last byte came, monotonic wall s.
        free_at: before this nothing may be sent, for a reply may still be on its way.
        late: units that still owe the reply to a transaction nobody waits for any more.
    """

    stays = False

    def __init__(self, gap_s: float = 0.0) -> None:
        self.failure = ""
        self.closed_by_device = False
        self.heard = -math.inf
        self.free_at = -math.inf
        self.late: dict[int, int] = {}
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._gap_s = gap_s
        self._buffer = b""
        self._reply: asyncio.Future[bytes] | None = None
        self._transport: asyncio.Transport | None = None

    async def transact(self, tid: int, unit: int, pdu: bytes, zero: bool = False) -> bytes:
        """Send one PDU and return the reply to it.

        Args:
            tid: its transaction, where the wire has such.
            unit: who is asked.
            pdu: function code and data.
            zero: take a reply with transaction 0.

        Raises:
            LinkError: the connection has ended, or what came is no reply to this.
        """
        if self._gap_s:
            await self._silence()
        if self.failure or self._transport is None:
            raise LinkError(self.failure)
        frame = self._frame(tid, unit, pdu, zero)
        self._reply = asyncio.get_running_loop().create_future()
        self._transport.write(frame)
        return await self._reply

    def forget(self) -> bool:
        """Wait no more for the reply; return whether a late one could not be taken for another."""
        return False

    def abort(self) -> None:
        """Close at once."""
        self.failure = self.failure or "the connection was dropped"
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.lost.done():
            self.closed_by_device = not self.failure
            self._end(self._why(exc))
            self.lost.set_result(None)

    @abstractmethod
    def _frame(self, tid: int, unit: int, pdu: bytes, zero: bool) -> bytes:
        """Return the frame around a PDU and remember what its reply must look like."""

    def _why(self, exc: Exception | None) -> str:
        return "the device closed the connection"

    def _refuse(self, text: str) -> None:
        """Fail the request; ``{what}`` in ``text`` stands for what had been asked."""
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(LinkError(text))

    def _end(self, text: str) -> None:
        """Fail the request and the connection with it."""
        self.failure = self.failure or text
        self._refuse(self.failure)
        self.abort()

    async def _silence(self) -> None:
        """Return when nothing has come for ``gap_s``."""
        # more may come meanwhile
        while (wait := max(self.heard + self._gap_s, self.free_at) - monotonic()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(wait, _GLANCE_S))
