"""Modbus TCP: request PDU to reply PDU over a socket.

pymodbus frames and unframes. The connection is our own, because pymodbus takes a reply with
transaction 0 as good, waits (retries + 1) * timeout and never connects again after a first failure.
"""

from pymodbus.framer import FramerSocket
from pymodbus.pdu import DecodePDU

from drivers.clock import monotonic
from drivers.modbus.bus import Bus, BusLink, socket_bus
from drivers.modbus.connection import Connection

_MOST_LATE = 64  # replies that are still expected to come too late; the oldest are forgotten


class TcpConnection(Connection):
    """One TCP or TLS connection; frames with transaction, protocol, length and unit.

    A frame that is no reply to the request ends the connection. A reply that comes after its
    request was given up is known by its transaction, which no later request on this connection
    has, and let fall.
    """

    def __init__(self, gap_s: float = 0.0) -> None:
        super().__init__(gap_s)
        self._framer = FramerSocket(DecodePDU(False))
        self._tid = 0
        self._unit = 0
        self._zero = False

    def data_received(self, data: bytes) -> None:
        if self._gap_s:
            self.heard = monotonic()
        self._buffer += data
        while len(self._buffer) >= 8 and not self.failure:
            size = int.from_bytes(self._buffer[4:6], "big")
            if self._buffer[2:4] != b"\0\0" or not 3 <= size <= 254:
                self._end(f"no Modbus frame but {self._buffer[:8].hex(' ')} in reply to {{what}}")
                return
            if len(self._buffer) < 6 + size:
                return
            _, unit, tid, pdu = self._framer.decode(self._buffer[: 6 + size])
            self._buffer = self._buffer[6 + size :]
            self._take(unit, tid, pdu)

    def forget(self) -> bool:
        if self._zero:
            return False  # any late reply with transaction 0 would look like the next one's
        self.late[self._tid] = self._unit
        if len(self.late) > _MOST_LATE:
            del self.late[next(iter(self.late))]
        return True

    def _take(self, unit: int, tid: int, pdu: bytes) -> None:
        if tid in self.late and self.late[tid] == unit:
            del self.late[tid]
        elif self._reply is None or self._reply.done():
            self._end("the device answered what had not been asked")
        elif tid != self._tid and (tid or not self._zero):  # 0 could be the answer to anything
            self._end(f"transaction {tid} in reply to {{what}}, not {self._tid}")
        elif unit != self._unit:
            self._end(f"unit {unit} in reply to {{what}}, not {self._unit}")
        else:
            self._reply.set_result(pdu)

    def _frame(self, tid: int, unit: int, pdu: bytes, zero: bool) -> bytes:
        self._tid, self._unit, self._zero = tid, unit, zero
        return self._framer.encode(pdu, unit, tid)


def tcp_bus(host: str, port: int, gap_s: float = 0.0) -> Bus:
    """Return the line to a Modbus TCP device, or to a gateway with several behind it.

    Args:
        host: name or address.
        port: TCP port.
        gap_s: wall s of silence between a reply and the next request.
    """
    return socket_bus(host, port, lambda: TcpConnection(gap_s))


class ModbusTcpLink(BusLink):
    """A Modbus TCP device that is alone behind its address.

    Args:
        host: name or address.
        port: TCP port.
        unit_id: the device's unit behind that address.
        timeout_s: wall s that one exchange, connecting included, may take.
        transaction_zero: take replies with transaction 0 too.
    """

    def __init__(
        self,
        host: str,
        port: int,
        unit_id: int = 1,
        timeout_s: float = 0.5,
        *,
        transaction_zero: bool = False,
    ) -> None:
        super().__init__(tcp_bus(host, port), unit_id, timeout_s, transaction_zero=transaction_zero)
