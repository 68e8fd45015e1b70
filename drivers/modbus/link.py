"""The seam between tags and wire: request PDUs in, reply PDUs out."""

from collections.abc import Sequence
from typing import Protocol

from drivers.modbus.fence import Fence, LinkError

__all__ = ["Link", "LinkError"]


class Link(Protocol):
    """The seam between tags and wire: request PDUs in, reply PDUs out (function code and data).

    Attributes:
        address: where the device is, for people.
        fence: what may leave. The link asks it before it sends (``Fence.check``) and tells it of
            each new connection (``Fence.renewed``). A new link's fence lets nothing but reads out;
            the driver puts its own there.
    """

    address: str
    fence: Fence

    async def exchange(
        self,
        requests: Sequence[bytes],
        *,
        unit: int | None = None,
        timeout_s: float | None = None,
    ) -> list[bytes]:
        """Send each request and return the reply to each, all within the link's timeout.

        The link checks the frame around a PDU (transaction, protocol, length, unit), the driver
        what is in it.

        Raises:
            LinkError: not every request was answered, and the connection is gone; or one of them
                may not leave, and none was sent.
        """
        ...

    def reset(self) -> None:
        """Drop the connection, so that the next exchange makes a new one."""
        ...

    async def close(self) -> None: ...

    def warnings(self) -> Sequence[str]:
        """Return what people should know of the wire: a certificate that ends."""
        return ()
