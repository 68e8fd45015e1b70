"""Modbus RTU on a serial line or through a TCP gateway: frames with unit and checksum.

A frame has no transaction number, so what a late reply could be taken for is kept small: whatever
comes while nobody has asked is let fall, a device that did not answer rests before it is asked
again, and a reply must come from the unit that was asked, with its function, its length and a right
checksum. Unit 0, which would reach every device at once, is never used.

Source: MODBUS over Serial Line, Specification and Implementation Guide V1.02 (modbus.org).
"""

import asyncio
import os
import struct
import termios
from dataclasses import dataclass
from typing import Any, cast

from pymodbus.exceptions import ModbusException
from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU
from pymodbus.transport.serialtransport import SerialTransport

from drivers.clock import monotonic
from drivers.modbus import LinkError
from drivers.modbus.bus import Bus, socket_bus
from drivers.modbus.connection import Connection

_LONGEST = 256  # bytes of a frame
_SHORTEST = 4
_READS = frozenset((1, 2, 3, 4, 23))
_ECHOES = frozenset((5, 6))  # their reply is the request again


@dataclass(frozen=True, slots=True)
class SerialLine:
    """How a serial line is set.

    Attributes:
        baudrate: bit/s.
        parity: N, E or O.
        stop_bits: 1 or 2.
        data_bits: 7 or 8.
        echo: a two-wire adapter gives back what is sent.
    """

    baudrate: int = 19200
    parity: str = "E"
    stop_bits: int = 1
    data_bits: int = 8
    echo: bool = False

    @property
    def silence_s(self) -> float:
        """The silence between two frames: 3.5 characters, but 1.75 ms above 19200 bit/s."""
        if self.baudrate > 19200:
            return 0.00175
        bits = 1 + self.data_bits + (self.parity != "N") + self.stop_bits
        return 3.5 * bits / self.baudrate


class RtuConnection(Connection):
    """RTU frames, one request at a time. A frame that is no reply fails its request only.

    Args:
        gap_s: wall s of silence before a request.
        echo: what is sent comes back first, and is taken off.
    """

    def __init__(self, gap_s: float = 0.0, *, echo: bool = False) -> None:
        super().__init__(gap_s)
        self._framer = FramerRTU(DecodePDU(False))
        self._echo = echo
        self._returning = b""  # what is still to come back
        self._sent = b""
        self._unit = 0
        self._code = 0
        self._size: int | None = None  # of the data in a read's reply
        self._owing: set[int] = set()  # units that did not answer in time

    async def transact(self, tid: int, unit: int, pdu: bytes, zero: bool = False) -> bytes:
        if unit == 0:
            raise ValueError("unit 0 is everybody on a serial line; 1 to 247 are allowed")
        for _ in range(2):  # asyncio reads what has come already: it answers nothing of this
            await asyncio.sleep(0)
        await self._silence()
        return await super().transact(tid, unit, pdu, zero)

    def forget(self) -> bool:
        self._owing.add(self._unit)
        return True

    def data_received(self, data: bytes) -> None:
        self.heard = monotonic()
        if self._reply is None or self._reply.done():
            self._buffer = b""
            self.free_at = 0.0  # that was it
            return
        self._buffer += data
        if self._returned() and self._buffer:
            self._look()

    def _frame(self, tid: int, unit: int, pdu: bytes, zero: bool) -> bytes:
        self._buffer = b""
        self._unit, self._code = unit, pdu[0]
        self._size = None
        if self._code in _READS and len(pdu) >= 5:
            count = int.from_bytes(pdu[3:5], "big")
            self._size = 2 * count if self._code > 2 else (count + 7) // 8
        self._sent = self._framer.encode(pdu, unit, 0)
        self._returning = self._sent if self._echo else b""
        return self._sent

    def _returned(self) -> bool:
        """Take the echo off the buffer; return whether all of it has come."""
        size = min(len(self._buffer), len(self._returning))
        if self._buffer[:size] != self._returning[:size]:
            self._refuse("no echo of {what}; echo = true under serial is wrong, or the line is")
            return False
        self._buffer, self._returning = self._buffer[size:], self._returning[size:]
        return not self._returning

    def _look(self) -> None:
        """Set the reply, or refuse what has come, or wait for more."""
        data = self._buffer
        if data[0] != self._unit:
            self._strange()
        elif len(data) > 1 and data[1] & 0x7F != self._code:
            self._refuse(f"function code {data[1]} in reply to {{what}}, not {self._code}")
        elif len(data) > 2 and data[1] in _READS and self._size not in (None, data[2]):
            self._refuse(f"{data[2]} bytes of data in reply to {{what}}, not {self._size}")
        else:
            pdu = self._decode()
            if pdu is None:
                return
            extra = len(data) - len(pdu) - 3
            if extra >= _SHORTEST:  # less is noise of the line's turning round
                self._refuse(f"{extra} bytes too many in reply to {{what}}")
            elif self._reply is not None and not self._reply.done():
                self._owing.discard(self._unit)
                self._reply.set_result(pdu)

    def _strange(self) -> None:
        """Let the late reply of a neighbour fall, and refuse any other unit."""
        unit = self._buffer[0]
        if unit not in self._owing:
            self._refuse(f"unit {unit} in reply to {{what}}, not {self._unit}")
            return
        pdu = self._decode()
        if pdu is not None:
            self._owing.discard(unit)
            self._buffer = self._buffer[len(pdu) + 3 :]
            if self._buffer:
                self._look()

    def _decode(self) -> bytes | None:
        """Return the PDU of the frame that the buffer begins with; ``None``: refused, or wait."""
        data = self._buffer
        if len(data) < _SHORTEST:
            return None
        try:
            used, unit, _, pdu = self._framer.decode(data)
        except (ModbusException, IndexError, ValueError, struct.error):
            used, unit, pdu = len(data), 0, b""
        if not used:
            if len(data) > _LONGEST:
                self._refuse("a frame without end in reply to {what}")
            return None
        if not pdu or unit != data[0] or not data.startswith(pdu, 1):
            self._refuse("wrong checksum in the reply to {what}")
            return None
        return pdu

    def _refuse(self, text: str) -> None:
        size = min(len(self._buffer), len(self._sent))
        same = self._buffer[:size] == self._sent[:size]
        if same and size >= _SHORTEST and not self._echo and self._code not in _ECHOES:
            text = "{what} came back itself; an adapter that does so needs echo = true"
        self._buffer = b""
        super()._refuse(text)


class SerialConnection(RtuConnection):
    """A serial port. It stays open when a device does not answer: nothing would be gained."""

    stays = True

    def abort(self) -> None:
        transport = self._transport
        super().abort()
        self._transport = None
        if transport is not None:  # pymodbus' transport does not tell of an end by our doing
            asyncio.get_running_loop().call_soon(self.connection_lost, None)

    def _why(self, exc: Exception | None) -> str:
        return "the serial port was lost"


def serial_bus(port: str, line: SerialLine, gap_s: float = 0.0) -> Bus:
    """Return the line at a serial port of this machine.

    Args:
        port: ``/dev/ttyUSB0``, say; nobody else may use it meanwhile.
        line: how it is set.
        gap_s: wall s of silence between a reply and the next request, if more than the frame's.
    """

    async def dial() -> Connection:
        connection = SerialConnection(max(gap_s, line.silence_s), echo=line.echo)
        try:
            transport = _open(port, line, connection)
        except (ValueError, termios.error) as error:
            why = error.args[-1] if error.args else error
            raise LinkError(f"the serial port cannot be set so: {why}") from None
        transport.setup()
        connection.connection_made(transport)  # rather than in the loop's next turn
        return connection

    return Bus(port, dial)


def _open(port: str, line: SerialLine, connection: SerialConnection) -> Any:
    """Return pymodbus' transport on a serial port."""
    parity, data_bits = line.parity, line.data_bits
    if os.path.realpath(port).startswith("/dev/pts/"):  # a pseudo terminal refuses to have them
        parity, data_bits = "N", 8
    loop = asyncio.get_running_loop()
    return cast(Any, SerialTransport)(
        loop, connection, port, line.baudrate, data_bits, parity, line.stop_bits, 0
    )


def rtu_tcp_bus(host: str, port: int, gap_s: float = 0.0) -> Bus:
    """Return the line behind a gateway that passes RTU frames on as they are.

    Args:
        host: name or address.
        port: TCP port.
        gap_s: wall s of silence between a reply and the next request.
    """
    return socket_bus(host, port, lambda: RtuConnection(gap_s))
