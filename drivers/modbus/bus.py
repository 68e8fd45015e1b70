"""A Modbus line: one connection, a turn for each device on it, and when to try again."""

import asyncio
import errno
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from drivers.clock import monotonic
from drivers.modbus import Fence, LinkError
from drivers.modbus.connection import Connection

_FIRST_DELAY = 0.05  # wall s between two tries, doubling
_LAST_DELAY = 0.9  # so that a plant scanned once a second tries in every scan
_SHARE = 1.5  # a silent device rests until its share of the line is 1 / 1.5
_QUIET_S = 0.1  # a silent device is asked again when nobody has used the line for so long
_PATIENCE_S = 0.5  # or when it has waited so long for that


class Backoff:
    """When to try again after a failure: soon, then later and later."""

    def __init__(self) -> None:
        self.at = 0.0
        self.delay = 0.0
        self.why = ""

    def require(self) -> None:
        """Raise ``LinkError`` with the reason of the failure if it is too soon."""
        wait = self.at - monotonic()
        if wait > 0:
            raise LinkError(f"{self.why}; next try in {wait:.2f} s")

    def failed(self, why: str, began: float, rest_s: float = 0.0) -> None:
        """Wait longer, counted from the beginning of what failed; at least ``rest_s``."""
        self.delay = min(max(2 * self.delay, _FIRST_DELAY), _LAST_DELAY)
        self.at = max(began + max(self.delay, rest_s), monotonic() + _FIRST_DELAY)
        self.why = why


@dataclass(slots=True)
class _Turn:
    """One exchange on its way: what it wants, and how far it has come."""

    link: "BusLink"
    requests: Sequence[bytes]
    unit: int | None
    limit: float
    stage: Literal["waiting", "connecting", "asking"] = "waiting"
    began: float = 0.0
    replies: list[bytes] = field(default_factory=list[bytes])


class Bus:
    """A line with one device or several, connected when first used and again after failures.

    Alone on its line, a device that fails costs the connection, so that no late reply can be
    taken for another's. With neighbours, a silent device costs the connection only where a late
    reply could not be told, or where more than one fell silent: then it is the line.

    A device that was silent is asked again when the others leave the line free, and it rests
    between two tries, the longer the more of them are silent.

    Args:
        address: of the line, for messages.
        dial: makes a connection; raises OSError or LinkError.
        warnings: what people should know of the line: a certificate that ends.
    """

    def __init__(
        self,
        address: str,
        dial: Callable[[], Awaitable[Connection]],
        warnings: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self.address = address
        self.warnings = warnings
        self._dial = dial
        self._turn = asyncio.Lock()  # its waiters are served in the order they came
        self._connection: Connection | None = None
        self._line = Backoff()  # of connecting
        self._links: set[BusLink] = set()
        self._open: set[BusLink] = set()
        self._mute: set[BusLink] = set()  # fell silent since the line last gave a reply
        self._renew = False
        self._used = 0.0
        self._tid = 0

    def join(self, link: "BusLink") -> None:
        """Have one more device on the line."""
        self._links.add(link)

    async def exchange(
        self, link: "BusLink", requests: Sequence[bytes], unit: int | None, limit: float
    ) -> list[bytes]:
        """Exchange in turn; ``limit`` counts from the turn where devices share the line."""
        self._require(link)
        self._open.add(link)
        turn = _Turn(link, requests, unit, limit)
        shared = len(self._links) > 1
        if shared and link.silent:
            await self._unwanted()
        try:
            async with asyncio.timeout(None if shared else limit) as timer, self._turn:
                if shared:
                    timer.reschedule(asyncio.get_running_loop().time() + limit)
                await self._attempt(turn)
        except TimeoutError:
            raise self._late(turn) from None
        except OSError as error:
            raise self._failed(turn, _reason(error)) from None
        except LinkError as error:
            if turn.stage == "waiting":
                raise
            raise self._failed(turn, str(error)) from None
        except asyncio.CancelledError:
            if turn.stage == "asking" and self._connection is not None:
                self._connection.free_at = turn.began + limit  # a reply may be on its way
            raise
        link.silent = False
        link.rest.delay = self._line.delay = 0.0
        if self._mute:
            self._mute.clear()
        return turn.replies

    def reset(self, link: "BusLink") -> None:
        """Make a new connection for the next exchange, and make it at once."""
        self._renew = self._renew or not link.silent  # a silent one's late reply is seen to
        link.rest.at = self._line.at = 0.0

    async def leave(self, link: "BusLink") -> None:
        """Close the connection if no other device uses it."""
        link.rest.at = self._line.at = 0.0
        self._open.discard(link)
        connection = self._connection
        if not self._open and connection is not None:
            self._drop()
            await asyncio.wait({connection.lost})

    def _require(self, link: "BusLink") -> None:
        link.rest.require()
        if self._connection is None:
            self._line.require()

    async def _unwanted(self) -> None:
        """Return when the others leave the line free, or soon after."""
        end = monotonic() + _PATIENCE_S
        while (now := monotonic()) < end:
            wait = self._used + _QUIET_S - now
            if wait <= 0 and not self._turn.locked():
                return
            await asyncio.sleep(max(wait, 0.01))

    async def _attempt(self, turn: _Turn) -> None:
        """Exchange on the connection there is, or on a new one; see to it if anything fails."""
        self._require(turn.link)  # somebody may have failed meanwhile
        turn.began = monotonic()
        used = self._connection
        if used is not None and (used.failure or (self._renew and not used.stays)):
            self._drop()  # it ended while idle, or must not be trusted
            used = None
        self._renew = False
        try:
            try:
                await self._transact(turn)
            except LinkError:
                if used is None or not used.closed_by_device:
                    raise
                # It closed an idle connection, or has restarted: once more, on a new one. All our
                # requests may be repeated: they read, or they write absolute values.
                self._drop()
                turn.replies.clear()
                await self._transact(turn)
        except BaseException:  # cancelled too: a reply may still be on its way
            self._let_go(turn)
            raise
        finally:
            self._used = monotonic()

    async def _transact(self, turn: _Turn) -> None:
        if self._connection is None:
            turn.stage = "connecting"
            self._connection = await self._dial()
            for link in self._links:
                link.fence.renewed()
            turn.link.fence.check(turn.requests, turn.unit)
        turn.stage = "asking"
        connection = self._connection
        zero = turn.link.transaction_zero
        unit = turn.link.unit if turn.unit is None else turn.unit
        for request in turn.requests:
            self._tid = self._tid % 0xFFFF + 1  # goes on from connection to connection, never 0
            while self._tid in connection.late:
                self._tid = self._tid % 0xFFFF + 1
            turn.replies.append(await connection.transact(self._tid, unit, request, zero))

    def _let_go(self, turn: _Turn) -> None:
        """Keep the connection for the neighbours if that is safe and it is not the line itself."""
        connection = self._connection
        if connection is None or turn.stage != "asking":
            return
        if not turn.link.silent:
            self._mute.add(turn.link)
        all_silent = all(k.silent or k is turn.link for k in self._open)
        alone = len(self._links) == 1 or len(self._mute) > 1 or all_silent
        if connection.failure or (alone and not connection.stays) or not connection.forget():
            self._drop()

    def _late(self, turn: _Turn) -> LinkError:
        if turn.stage == "waiting":
            return LinkError(f"another request was under way for {turn.limit:g} s")
        if turn.stage == "connecting":
            return self._failed(turn, f"no connection within {turn.limit:g} s")
        return self._failed(turn, f"no reply to {{what}} within {turn.limit:g} s", silent=True)

    def _failed(self, turn: _Turn, text: str, *, silent: bool = False) -> LinkError:
        if turn.stage == "connecting":
            self._line.failed(text, turn.began)
            return LinkError(text)
        turn.link.silent = silent
        rest_s = 0.0
        if silent:
            turn.link.fence.renewed()  # who answers next may be another, on the same connection
            others = sum(k.silent for k in self._links)
            rest_s = _SHARE * (monotonic() - turn.began) * others
        turn.link.rest.failed(text, turn.began, rest_s)
        return LinkError(text, len(turn.replies), silent=silent)

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.abort()
            self._connection = None
            self._mute.clear()


class BusLink:
    """A device's link through its line; every request of every Modbus device leaves here.

    Args:
        bus: the line.
        unit_id: the device's unit on it.
        timeout_s: wall s that one exchange may take, from its turn on.
        transaction_zero: take replies with transaction 0 too.

    Attributes:
        fence: what may leave; nothing but reads until a driver has put its own there.
        unit: as given.
        silent: it did not reply when it was last asked.
        rest: when it may be asked again.
    """

    def __init__(
        self,
        bus: Bus,
        unit_id: int = 1,
        timeout_s: float = 0.5,
        *,
        transaction_zero: bool = False,
    ) -> None:
        if not timeout_s > 0:
            raise ValueError(f"timeout_s: {timeout_s:g} is not allowed; it must be > 0")
        self.address = bus.address
        self.fence = Fence()
        self.transaction_zero = transaction_zero
        self.silent = False
        self.rest = Backoff()
        self._bus = bus
        self.unit = unit_id
        self._timeout_s = timeout_s
        bus.join(self)

    async def exchange(
        self,
        requests: Sequence[bytes],
        *,
        unit: int | None = None,
        timeout_s: float | None = None,
    ) -> list[bytes]:
        self.fence.check(requests, unit)
        return await self._bus.exchange(self, requests, unit, timeout_s or self._timeout_s)

    def warnings(self) -> Sequence[str]:
        """Return what people should know of the line: a certificate that ends."""
        return self._bus.warnings()

    def reset(self) -> None:
        self._bus.reset(self)

    async def close(self) -> None:
        await self._bus.leave(self)


def socket_bus(host: str, port: int, connection: Callable[[], Connection]) -> Bus:
    """Return the line behind a TCP socket.

    Args:
        host: name or address.
        port: TCP port.
        connection: makes the framing of each new connection.
    """

    async def dial() -> Connection:
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(connection, host, port))[1]

    return Bus(f"{host}:{port}", dial)


def _reason(error: OSError) -> str:
    """Return what the system says, without its numbers."""
    if error.errno in (errno.EAGAIN, errno.EBUSY):
        return "it is in use already"
    return os.strerror(error.errno).lower() if error.errno else str(error)
