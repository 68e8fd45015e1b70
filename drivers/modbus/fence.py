"""What may leave through a Modbus link: reads, and the writes that the plant file allows."""

import struct
from collections.abc import Iterable, Sequence

from drivers.modbus.cells import FORMAT
from drivers.modbus.registers import Register, factors
from drivers.point import Tag

SIMULATOR_UNIT = 247  # speed in holding 0-3, plant time 4-7, target 8-11: float64; paused in 12
ADVANCE = struct.pack(">BHHB", 16, 8, 4, 8)  # how the request begins that moves a simulated plant

_MULTIPLE, _SINGLE, _READ_WRITE = (15, 16), (5, 6), 23
_COILS, _READS = (5, 15), (1, 2, 3, 4)
_HEAD = 6  # bytes of a write before its values: code, start, count, size
KEPT = 256  # shapes of writes that are remembered


class LinkError(Exception):
    """The wire failed: no connection, no reply, a broken frame; or a request may not leave.

    Args:
        text: what happened; ``{what}`` in it stands for what had been asked.
        index: which of the requests it happened to.
        silent: there is a connection, but no reply came.
    """

    def __init__(self, text: str, index: int = 0, *, silent: bool = False) -> None:
        super().__init__(text)
        self.index = index
        self.silent = silent


class Fence:
    """The allow-list of a link, which asks it before anything is sent.

    Reads (function codes 1 to 4 and Read Device Identification) pass. A write passes if it moves
    whole actuators of the plant file, each to a value in its range, or the watchdog. No other
    request does, whatever its function code.

    Args:
        registers: the device's tags; those with ``safe`` may be written.
        watchdog: address of the watchdog's holding register.
        guarded: nothing is written on a new connection until ``open`` has been set: somebody else
            might be at its other end.

    Attributes:
        open: whether the device at the other end has been looked at; writes wait for it.
        lock_step: the device is our simulator and may be told to advance.
    """

    def __init__(
        self,
        registers: Iterable[Register] = (),
        watchdog: int | None = None,
        *,
        guarded: bool = False,
    ) -> None:
        writable = [r for r in registers if r.tag.safe is not None]
        if watchdog is not None:
            writable.append(Register(Tag("the watchdog", "1", 0, 0xFFFF, 0), "holding", watchdog))
        self._coils = {r.address: r for r in writable if r.table == "coil"}
        self._holding = {r.address: r for r in writable if r.table == "holding"}
        self._shapes: dict[bytes, _Shape] = {}  # of writes that have passed, by how they begin
        self._guarded = guarded
        self.open = not guarded
        self.lock_step = False

    def renewed(self) -> None:
        """Take note that a new connection was made, or that nobody knows what became of it."""
        self.open = not self._guarded

    def check(self, requests: Sequence[bytes], unit: int | None = None) -> None:
        """Return if all of ``requests`` may leave.

        Args:
            requests: request PDUs.
            unit: whom they are for; ``None`` is the link's own device, the only one ever written.

        Raises:
            LinkError: one may not; none of them must be sent.
        """
        known = self._shapes if self.open and unit is None else {}
        for index, pdu in enumerate(requests):
            if len(pdu) == 5 and pdu[0] in _READS:
                continue
            shape = known.get(pdu[:_HEAD])
            if shape is not None and shape.passes(pdu):
                continue
            if len(pdu) == 4 and pdu.startswith(b"\x2b\x0e"):
                continue
            why = self._refusal(pdu, unit)
            if why:
                raise LinkError(f"{{what}} was not sent: {why}", index)

    def _refusal(self, pdu: bytes, unit: int | None) -> str:
        """Return why something that is no read may not leave; empty if it may."""
        if unit is not None:
            told = unit == SIMULATOR_UNIT and pdu.startswith(ADVANCE) and len(pdu) == 14
            return "" if told and self.lock_step else f"unit {unit} is never written"
        if not self.open:
            return "the device has not shown yet that it is the right one"
        span = _span(pdu)
        if span is None:
            return f"{pdu[:8].hex(' ') or 'nothing'} is no request that this program makes"
        start, count, values = span
        coils = pdu[0] in _COILS
        known = self._coils if coils else self._holding
        moved: list[Register] = []
        at, end = start, start + count
        while at < end:
            register = known.get(at)
            if register is None or register.end > end:
                table = "coil" if coils else "register"
                return f"no actuator of the plant file begins at {table} {at} and ends before {end}"
            size = 1 if coils else 2
            data = values[size * (at - start) : size * (register.end - start)]
            value = register.value(data)
            if value != value:
                tag = register.tag
                return f"{tag.name} is outside {tag.low:g} to {tag.high:g} {tag.unit}"
            moved.append(register)
            at = register.end
        if pdu[0] == 16 and all(r.simple and r.cell.order is None for r in moved):
            if len(self._shapes) >= KEPT:  # every subset of many actuators must not pile up
                self._shapes.clear()
            self._shapes[pdu[:_HEAD]] = _Shape(moved)
        return ""


class _Shape:
    """A write of registers whose addresses have been looked at: only its values are left to be.

    Args:
        moved: what it moves, in its order and without gaps.
    """

    def __init__(self, moved: Sequence[Register]) -> None:
        self._struct = struct.Struct(f">{_HEAD}x" + "".join(FORMAT[r.type] for r in moved))
        self._points = [(*factors(r.scale), r.offset, r.tag.low, r.tag.high) for r in moved]

    def passes(self, pdu: bytes) -> bool:
        """Return whether a request that begins like it moves each to a value in its range.

        Where one is not plainly inside, and where the length is another, it does not.
        """
        if len(pdu) != self._struct.size:
            return False
        for number, (multiplier, divisor, offset, low, high) in zip(  # noqa: B905 (by the format)
            self._struct.unpack(pdu), self._points
        ):
            if not low <= number * multiplier / divisor + offset <= high:  # NaN is in no range
                return False
        return True


def _span(pdu: bytes) -> tuple[int, int, bytes] | None:
    """Return start, count and values (a byte a coil) of a well-formed write; ``None`` of others.

    Source: MODBUS Application Protocol Specification V1.1b3, sections 6.5, 6.6, 6.11, 6.12, 6.17.
    """
    code = pdu[0] if pdu else 0
    if code in _SINGLE and len(pdu) == 5:
        start, value = struct.unpack_from(">HH", pdu, 1)
        if code == 6:
            return start, 1, pdu[3:]
        return (start, 1, bytes((value != 0,))) if value in (0, 0xFF00) else None
    head = 9 if code == _READ_WRITE else 5  # code, [what is read], start, count
    if (code not in _MULTIPLE and code != _READ_WRITE) or len(pdu) <= head:
        return None
    start, count, size = struct.unpack_from(">HHB", pdu, head - 4)
    data = pdu[head + 1 :]
    if code == 15:
        if not 1 <= count <= 1968 or size != (count + 7) // 8 or len(data) != size:
            return None
        number = int.from_bytes(data, "little")
        if number >> count:
            return None
        return start, count, bytes(number >> i & 1 for i in range(count))
    most = 121 if code == _READ_WRITE else 123
    if not 1 <= count <= most or size != 2 * count or len(data) != size:
        return None
    return start, count, data
