"""OPC UA over TCP: node ids to DataValues, one connection, made again after every failure.

asyncua speaks the protocol. When to connect, how long to wait and when to give a connection up is
decided here: its own recovery blocks a request for up to a minute while it reconnects.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar, cast

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes

from drivers.clock import monotonic
from drivers.opcua.asking import (
    end,
    end_publishing,
    identifier,
    reading,
    reason,
    standard,
    variant,
)
from drivers.opcua.describe import describe
from drivers.opcua.node import DataValue, Link, LinkError
from drivers.opcua.security import Login, Security, log_in
from drivers.opcua.subscription import RefusedError, Subscription, data_value, stamp
from drivers.opcua.units import Description

T = TypeVar("T")

_CONNECT_S = 5.0  # wall s that connecting may take; calls meanwhile end within their own timeout
_AT_ONCE = 1000  # nodes in one request, less where the server allows less
_LIMITS = (
    ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead,
    ObjectIds.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall,
)
_CLOCK_S = 10.0  # wall s between two looks at the server's clock
_LATE_S = 2.0  # wall s that a publication may be late before we ask
_FIRST_DELAY = 0.05  # wall s between two tries, doubling
_LAST_DELAY = 0.5
_UNKNOWN = DataValue(None, StatusCodes.BadNodeIdUnknown)


class OpcUaLink(Link):
    """An OPC UA server, connected when first used and again after every failure.

    Connecting goes on in the background between calls, so a server that needs longer than
    ``timeout_s`` for it is reached all the same. The namespaces are asked for after every connect.
    After a failure the next try follows by itself in 0.05 s, doubling up to 0.5 s with each call;
    in between a call fails without waiting.

    Args:
        url: ``opc.tcp://HOST:PORT/PATH``.
        timeout_s: wall s that one call may take.
        security: how to sign and encrypt, and whom to trust.
        login: who we are; anonymous if not given.
        insecure: True instead of ``security``: neither signed nor encrypted, nobody is checked.

    Raises:
        ValueError: neither or both of ``security`` and ``insecure`` are given.
    """

    def __init__(
        self,
        url: str,
        timeout_s: float = 1.0,
        *,
        security: Security | None = None,
        login: Login | None = None,
        insecure: bool = False,
    ) -> None:
        if insecure == (security is not None):
            raise ValueError(f"{url}: either security or insecure = True is required")
        if not timeout_s > 0:
            raise ValueError(f"timeout_s: {timeout_s:g} is not allowed; it must be > 0")
        self.address = url
        self._timeout_s = timeout_s
        self._security = security
        self._login = login
        self._client: Client | None = None
        self._connecting: asyncio.Task[Client] | None = None
        self._dying: set[asyncio.Task[None]] = set()
        self._delay = 0.0
        self._retry_at = 0.0
        self._resting = False  # the next try has not begun
        self._why = ""
        self.namespaces: list[str] = []  # by index, asked for after every connect
        self._ids: dict[str, ua.NodeId | None] = {}
        self._reads: dict[tuple[str, ...], tuple[list[ua.ReadParameters], list[bool]]] = {}
        self._at_once = _AT_ONCE
        self._types: dict[str, ua.VariantType] = {}
        self.connections = 0
        self._server_time: tuple[float, float] | None = None  # what its clock said at which moment
        self._ask_time_at = 0.0
        self._subscription: Subscription | None = None
        self._refused = ""  # why there is none on this connection

    async def read(self, nodes: Sequence[str]) -> Sequence[DataValue]:
        return await self.use(self._timeout_s, lambda c: self._read(c, tuple(nodes)))

    async def open(self) -> None:
        await self.use(self._timeout_s, _nothing)

    async def watch(
        self, nodes: Sequence[str], interval_s: float, timed: frozenset[str]
    ) -> tuple[Sequence[DataValue], float]:
        asked = tuple(nodes)
        return await self.use(self._timeout_s, lambda c: self._watch(c, asked, interval_s, timed))

    async def describe(self, nodes: Sequence[str]) -> Sequence[Description]:
        return await self.use(self._timeout_s, lambda c: self._describe(c, nodes))

    async def write(self, nodes: Sequence[str], values: Sequence[float]) -> Sequence[int]:
        return await self.use(self._timeout_s, lambda c: self._write(c, nodes, values))

    async def call(self, method: str, argument: float, timeout_s: float) -> int:
        return await self.use(timeout_s, lambda c: self._call(c, method, argument))

    def warnings(self) -> Sequence[str]:
        """Return what is doubtful about the server's certificate, and what ends soon."""
        found = [*self._security.warnings] if self._security is not None else []
        if self._refused:
            found.append(f"the server refuses subscriptions ({self._refused}); it is read instead")
        return found

    def server_time(self) -> float | None:
        if self._server_time is None:
            return None
        time, at = self._server_time
        return time + monotonic() - at

    async def close(self) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
            self._connecting = None
        client, self._client = self._client, None
        if client is not None:
            try:
                async with asyncio.timeout(self._timeout_s):
                    await end_publishing(client)
                    await client.disconnect()
            except (OSError, TimeoutError, ua.UaError):
                self._bury(client)
        if self._dying:
            await asyncio.wait(self._dying)
        self._retry_at = 0.0

    async def use(self, limit: float, work: Callable[[Client], Awaitable[T]]) -> T:
        """Return what ``work`` gives on a connection; if it fails, the connection is given up.

        Raises:
            LinkError: no connection, or ``work`` failed or took longer than ``limit`` wall s.
        """
        if self._client is not None and not self._client.uaclient.has_transport:
            self._give_up()  # the server closed the connection since the last call
        try:
            async with asyncio.timeout(limit):
                result = await work(self._client or await self._connected())
        except TimeoutError:
            asked = "no reply to {what}" if self._client else "no connection"
            raise self._failed(f"{asked} within {limit:g} s") from None
        except LinkError:
            raise
        except asyncio.CancelledError:  # an answer may still be on its way
            self._give_up()
            raise
        except Exception as error:  # noqa: BLE001 (asyncua lets out whatever its parser met)
            raise self._failed(reason(error)) from None
        self._delay = 0.0
        return result

    async def _connected(self) -> Client:
        if self._connecting is None:
            self._connecting = self._try()
        task = self._connecting
        wait = self._retry_at - monotonic()
        if wait > 0 and self._resting:
            raise LinkError(f"{self._why}; next try in {wait:.2f} s")
        await asyncio.wait({task})  # our timeout ends the waiting, not the connecting
        if self._connecting is task:
            self._connecting = None
            self._client = task.result()
            self.connections += 1
        return task.result()

    def _try(self, after_s: float = 0.0) -> asyncio.Task[Client]:
        self._resting = after_s > 0
        return asyncio.create_task(self._connect(after_s), name=f"to {self.address}")

    async def _connect(self, after_s: float) -> Client:
        await asyncio.sleep(after_s)
        self._resting = False
        client = Client(self.address, timeout=_CONNECT_S, watchdog_intervall=86_400)
        client.session_timeout = 600_000  # ms; what servers grant as a rule, else asyncua complains
        log_in(client, self._login)
        try:
            async with asyncio.timeout(_CONNECT_S):
                if self._security is not None:
                    self._security.prepare(client, await client.connect_and_get_server_endpoints())
                await client.connect(auto_reconnect=False)
                self.namespaces = await client.get_namespace_array()
                limits = await standard(client, *_LIMITS)
        except BaseException:
            self._bury(client)
            raise
        self._at_once = min(int(n) for n in (*limits, _AT_ONCE) if n)
        self._ids.clear()  # an index may have changed with the server
        self._reads.clear()
        self._types.clear()
        self._subscription, self._refused = None, ""
        self._server_time, self._ask_time_at = None, 0.0
        return client

    async def _watch(
        self, client: Client, nodes: tuple[str, ...], interval_s: float, timed: frozenset[str]
    ) -> tuple[Sequence[DataValue], float]:
        """Return what the server sent, or read it where it did not: never what may be old."""
        sent = self._subscription
        if sent is not None and not sent.lost:
            silence = sent.silence()
            if silence <= min(3 * interval_s, interval_s + _LATE_S) + self._timeout_s:
                if sent.server_time is not None:
                    self._server_time = sent.server_time, sent.spoke_at
                elif monotonic() >= self._ask_time_at:  # it does not stamp what it sends
                    await self._ask_time(client)
                return sent.values, silence
        values = await self._read(client, nodes)
        if sent is not None and not sent.dead:
            sent.renew(values)  # it is only slower than we asked for
        elif not self._refused:
            await self._subscribe(client, nodes, values, interval_s, timed)
        return values, 0.0

    async def _subscribe(
        self,
        client: Client,
        nodes: tuple[str, ...],
        values: Sequence[DataValue],
        interval_s: float,
        timed: frozenset[str],
    ) -> None:
        before, self._subscription = self._subscription, None
        if before is not None:
            await before.end(client)
        made = Subscription(values)
        ids = [self._id(n) for n in nodes]
        try:
            changing = {i for i, n in enumerate(nodes) if n in timed}
            await made.begin(client, ids, interval_s, changing, self._at_once)
        except RefusedError as error:
            self._refused = str(error)
            await made.end(client)
            return
        self._subscription = made

    async def _describe(self, client: Client, nodes: Sequence[str]) -> list[Description]:
        ids = [self._id(n) for n in nodes]
        try:
            found = iter(await describe(client, [i for i in ids if i]))
        except ua.UaStatusCodeError:  # a server that cannot be browsed says nothing
            return [Description()] * len(nodes)
        return [next(found) if i else Description() for i in ids]

    async def _read(self, client: Client, nodes: tuple[str, ...]) -> list[DataValue]:
        asked = self._reads.get(nodes)
        if asked is None:
            if len(self._reads) >= 256:
                self._reads.clear()
            ids = [self._id(n) for n in nodes]
            wanted = [ua.ReadValueId(i, AttributeIds.Value) for i in ids if i]
            parts = range(0, len(wanted), self._at_once)
            requests = [reading(wanted[i : i + self._at_once]) for i in parts]
            asked = self._reads[nodes] = (requests, [i is not None for i in ids])
        requests, known = asked
        if requests and monotonic() >= self._ask_time_at:
            await self._ask_time(client)
        results: list[ua.DataValue] = []
        for parameters in requests:
            results += await client.uaclient.read(parameters)
        if len(results) != sum(known):
            raise ua.UaError(f"{len(results)} values in reply to {sum(known)} nodes")
        values = iter(results)
        return [
            self._value(node, next(values)) if exists else _UNKNOWN
            for node, exists in zip(nodes, known, strict=True)
        ]

    def _value(self, node: str, given: ua.DataValue) -> DataValue:
        if given.Value is not None:
            self._types[node] = given.Value.VariantType
        return data_value(given)

    async def _ask_time(self, client: Client) -> None:
        """Ask the server what time it is; one that does not say is not asked for a while."""
        began = monotonic()
        self._ask_time_at = began + _CLOCK_S
        (time,) = await standard(client, ObjectIds.Server_ServerStatus_CurrentTime)
        known = stamp(time) if isinstance(time, datetime) else None
        if known is not None:
            self._server_time = known, (began + monotonic()) / 2

    async def _write(
        self, client: Client, nodes: Sequence[str], values: Sequence[float]
    ) -> list[int]:
        if missing := tuple(n for n in nodes if n not in self._types):
            await self._read(client, missing)  # a value must be sent in its node's own type
        parameters = ua.WriteParameters()
        writes: list[ua.WriteValue] = []
        statuses: list[int] = []
        for node, value in zip(nodes, values, strict=True):
            known = self._id(node)
            statuses.append(0 if known else StatusCodes.BadNodeIdUnknown)
            if known:
                given = ua.DataValue(variant(value, self._types.get(node)))
                writes.append(ua.WriteValue(known, AttributeIds.Value, Value=given))
        if any(statuses):  # nothing is written of a request that cannot be written whole
            return statuses
        parameters.NodesToWrite = writes
        results = await client.uaclient.write(parameters)
        return [r.value for r in results]

    async def _call(self, client: Client, method: str, argument: float) -> int:
        known = self._id(method)
        if known is None:
            return StatusCodes.BadNodeIdUnknown
        request = ua.CallMethodRequest()
        request.ObjectId = ua.NodeId(cast(ua.Int32, ObjectIds.ObjectsFolder))
        request.MethodId = known
        request.InputArguments = [ua.Variant(argument, ua.VariantType.Double)]
        results = await client.uaclient.call([request])
        return cast(Any, results[0]).StatusCode.value

    def _id(self, node: str) -> ua.NodeId | None:
        """Return the id of ``node`` on this server; ``None`` if its namespace does not exist."""
        if node not in self._ids:
            self._ids[node] = identifier(node, self.namespaces)
        return self._ids[node]

    def _failed(self, text: str) -> LinkError:
        self._give_up()
        self._delay = min(max(2 * self._delay, _FIRST_DELAY), _LAST_DELAY)
        self._retry_at = monotonic() + self._delay
        self._why = text
        if self._connecting is None:
            self._connecting = self._try(self._delay)
        return LinkError(text)

    def _give_up(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            self._bury(client)

    def _bury(self, client: Client) -> None:
        """Cut the connection at once; let asyncua end its own tasks in the background."""
        protocol = client.uaclient.protocol
        if protocol is not None and protocol.transport is not None:
            protocol.transport.abort()
        client.disconnect_socket()
        task = asyncio.create_task(end(client), name="end of an OPC UA client")
        self._dying.add(task)
        task.add_done_callback(self._dying.discard)


async def _nothing(client: Client) -> None:
    """Need no more than the connection."""
