"""One subscription: the server sends what changed, or that nothing did, without being asked.

asyncua sends the publish requests and acknowledges. Whether what it delivers is whole and in time
is judged here, and by whoever asks for ``silence``.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.status_codes import StatusCodes

from drivers.clock import monotonic
from drivers.opcua.node import DataValue

_LIFETIME_S = 60.0  # how long the server keeps it although we are silent
_PERIODS, _LATE_S = 3, 2.0  # of silence, after which it is dead
_KEEP_ALIVE = 1  # publications without news, after which it says that it lives
# These say that a node is not there or not ours to read: BAD, as a read would say.
_NO_NODE = {
    StatusCodes.BadNodeIdUnknown,
    StatusCodes.BadNodeIdInvalid,
    StatusCodes.BadNotReadable,
    StatusCodes.BadUserAccessDenied,
    StatusCodes.BadAttributeIdInvalid,
}


class RefusedError(Exception):
    """The server does not do this; values must be read instead."""


class Subscription:
    """What a server sends of some nodes.

    Attributes:
        values: the last of each node; an unknown one keeps its Bad status.
        spoke_at: monotonic s when the server last sent anything.
        fresh_at: the same, or when the values were read.
        server_time: what its clock said when it spoke, s since 1970 UTC.
        lost: why it delivers no more; empty while it does.
        period_s: at least how often it speaks, as the server granted it.
    """

    def __init__(self, values: Sequence[DataValue]) -> None:
        self.values = list(values)
        self.spoke_at = self.fresh_at = monotonic()
        self.server_time: float | None = None
        self.lost = ""
        self.period_s = 0.0
        self._id = 0
        self._sequence: int | None = None

    async def begin(
        self,
        client: Client,
        ids: Sequence[ua.NodeId | None],
        interval_s: float,
        timed: set[int],
        at_once: int,
    ) -> None:
        """Ask the server for it.

        Args:
            client: connected.
            ids: of the nodes; ``None`` where the server has no such namespace.
            interval_s: wall s between two publications.
            timed: which of them are also sent when only their source time changes.
            at_once: nodes in one request.

        Raises:
            RefusedError: the server does not grant it.
        """
        wanted = ua.CreateSubscriptionParameters(
            RequestedPublishingInterval=ua.Double(interval_s * 1000),
            RequestedLifetimeCount=ua.UInt32(max(10, round(_LIFETIME_S / interval_s))),
            RequestedMaxKeepAliveCount=ua.UInt32(_KEEP_ALIVE),
            MaxNotificationsPerPublish=ua.UInt32(0),
            PublishingEnabled=True,
            Priority=ua.Byte(0),
        )
        try:
            granted: Any = await client.uaclient.create_subscription(wanted, self._take)
            self._id = int(granted.SubscriptionId)
            self.period_s = (
                granted.RevisedPublishingInterval / 1000 * granted.RevisedMaxKeepAliveCount
            )
            known = [(i, n) for i, n in enumerate(ids) if n is not None]
            items = [_item(i, n, interval_s, i in timed) for i, n in known]
            for first in range(0, len(items), at_once):
                await self._monitor(client, items[first : first + at_once])
        except ua.UaStatusCodeError as error:
            raise RefusedError(str(error).partition("(")[0].strip()) from None

    async def _monitor(self, client: Client, items: list[Any]) -> None:
        parameters = ua.CreateMonitoredItemsParameters()
        parameters.SubscriptionId = ua.UInt32(self._id)
        parameters.TimestampsToReturn = ua.TimestampsToReturn.Source
        parameters.ItemsToCreate = items
        results: list[Any] = list(await client.uaclient.create_monitored_items(parameters))
        for item, result in zip(items, results, strict=True):
            status = int(result.StatusCode.value)
            if status in _NO_NODE:
                handle = int(item.RequestedParameters.ClientHandle)
                self.values[handle] = DataValue(None, status)
            elif status >> 30:
                raise ua.UaStatusCodeError(status)

    async def end(self, client: Client) -> None:
        """Give it back; a server that has lost it already does not mind."""
        try:
            await client.uaclient.delete_subscriptions([self._id])
        except ua.UaStatusCodeError:
            return

    def silence(self) -> float:
        """Return how long ago the values were sure, wall s."""
        return monotonic() - self.fresh_at

    @property
    def dead(self) -> bool:
        """Whether the server ended it, or has not spoken for three of its own periods."""
        silent = monotonic() - self.spoke_at > _PERIODS * self.period_s + _LATE_S
        return bool(self.lost) or silent

    def renew(self, values: Sequence[DataValue]) -> None:
        """Take values that were read: as good as sent."""
        self.values = list(values)
        self.fresh_at = monotonic()

    def _take(self, result: Any) -> None:
        """Take one publication: data, or nothing but that the server lives."""
        message: Any = result.NotificationMessage
        number = int(message.SequenceNumber)
        news: list[Any] = list(message.NotificationData or ())
        if news:  # a keep-alive has a number too, but of the message to come
            if self._sequence is not None and number != self._sequence % 0xFFFFFFFF + 1:
                self.lost = f"message {number} came after {self._sequence}"
            self._sequence = number
        self.spoke_at = self.fresh_at = monotonic()
        self.server_time = stamp(message.PublishTime) or self.server_time
        for part in news:
            if isinstance(part, ua.DataChangeNotification):
                for item in list(cast(Any, part).MonitoredItems or ()):
                    self._item(int(item.ClientHandle), item.Value)
            elif isinstance(part, ua.StatusChangeNotification):
                status = cast(Any, part).Status
                self.lost = f"the server ended it: {status.name}"

    def _item(self, handle: int, given: ua.DataValue) -> None:
        if handle < len(self.values):
            self.values[handle] = data_value(given)


def data_value(given: ua.DataValue) -> DataValue:
    """Return a DataValue as the driver knows it."""
    code, value = given.StatusCode, given.Value
    return DataValue(
        None if value is None else value.Value,
        0 if code is None else code.value,
        stamp(given.SourceTimestamp),
    )


def stamp(time: datetime | None) -> float | None:
    """Return a DateTime as s since 1970 UTC; ``None`` if it is null, which on the wire is 1601."""
    if time is None:
        return None
    seconds = time.replace(tzinfo=UTC).timestamp()
    return seconds if seconds > 0 else None


def _item(handle: int, node: ua.NodeId, interval_s: float, timed: bool) -> Any:
    asked: Any = ua.MonitoringParameters(
        ClientHandle=cast(Any, handle),
        SamplingInterval=cast(Any, interval_s * 1000),
        QueueSize=cast(Any, 1),
        DiscardOldest=cast(Any, True),
    )
    if timed:
        trigger = ua.DataChangeTrigger.StatusValueTimestamp
        asked.Filter = ua.DataChangeFilter(Trigger=trigger)
    return ua.MonitoredItemCreateRequest(
        ItemToMonitor=ua.ReadValueId(node, AttributeIds.Value),
        MonitoringMode=ua.MonitoringMode.Reporting,
        RequestedParameters=asked,
    )
