"""Neighbouring registers moved by one request: what the request is and what its reply holds."""

import math
import struct
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any

from drivers.modbus.cells import FORMAT, READ_CODE, WRITE_CODE, Cell, Table
from drivers.modbus.registers import Register, factors
from drivers.point import BAD, GOOD, Sample, quick

READ_WRITE = 23  # writes registers, then reads them, in one request

_NOUN: dict[Table, str] = {
    "coil": "coils",
    "discrete": "discrete inputs",
    "holding": "registers",
    "input": "input registers",
}


class Block:
    """What one request moves.

    Args:
        parts: of one table, by rising address; gaps are read along.
        whole: the range that they lie in and that is read as a whole.
    """

    def __init__(self, parts: Sequence[Register | Cell], whole: Cell | None = None) -> None:
        self.table: Table = parts[0].table
        self.start = (whole or parts[0]).address
        self.count = (whole.end if whole else max(p.end for p in parts)) - self.start
        self.registers = tuple(p for p in parts if isinstance(p, Register))
        self.names = tuple(r.tag.name for r in self.registers)
        used = {a for p in parts for a in range(p.address, p.end)}
        self.unused = self.count - len(used)
        self.bits = self.table in ("coil", "discrete")
        code = READ_CODE[self.table]
        size = (self.count + 7) // 8 if self.bits else 2 * self.count
        self.size = size
        self.request = struct.pack(">BHH", code, self.start, self.count)
        self.head = bytes((code, size & 0xFF))
        self._span = struct.pack(">HHB", self.start, self.count, size & 0xFF)
        self._write_head = bytes((WRITE_CODE.get(self.table, 0),)) + self._span
        self.length = 2 + size
        simple = [r for r in self.registers if r.simple]
        self._others = [r for r in self.registers if not r.simple]
        self._points = [
            (r.tag.name, r.tag, *factors(r.scale), r.offset, r.tag.low, r.tag.high) for r in simple
        ]
        self._by_name = {r.tag.name: r for r in self.registers}
        self._bits = [r.address - self.start for r in simple]
        self._struct = struct.Struct(">2x" + "".join(self._formats(simple)))
        self._order = self._permutation(simple)
        self._plain = not self.bits and self._order is None

    def __str__(self) -> str:
        return f"{self.count} {_NOUN[self.table]} from {self.start}"

    def samples(self, reply: bytes, time: float, into: dict[str, Sample]) -> None:
        """Decode a checked read reply into one sample a register, stamped ``time``.

        What ``Register.status`` would say of them is not looked at.
        """
        numbers = self._struct.unpack(reply) if self._plain else self._numbers(reply)
        # as many numbers as points by the struct's format; to have zip count costs as much as two
        for (name, tag, multiplier, divisor, offset, low, high), number in zip(  # noqa: B905
            self._points, numbers
        ):
            value = number * multiplier / divisor + offset
            if low <= value <= high:
                into[name] = quick(Sample, (tag, time, value, GOOD))
            else:
                into[name] = self._outside(name, value, time)
        for register in self._others:
            into[register.tag.name] = register.sample(self.part(reply, register), time)

    def write_request(self, encoded: Iterable[bytes], code: int = 0) -> bytes:
        """Return the request that writes what ``Register.encode`` gave, one a register; no gaps.

        Args:
            encoded: the registers' bytes, in their order.
            code: 5 or 6 for a single coil or register, 23 to read it back at once; 0 for 15 or 16.
        """
        data = b"".join(encoded)
        if code == 5:
            return struct.pack(">BHH", code, self.start, 0xFF00 if data[0] else 0)
        if code == 6:
            return struct.pack(">BH", code, self.start) + data
        if self.bits:
            number = sum(bit << i for i, bit in enumerate(data))
            data = number.to_bytes(self.size, "little")
        if code == READ_WRITE:
            return struct.pack(">BHH", code, self.start, self.count) + self._span + data
        return self._write_head + data

    def part(self, reply: bytes, cell: Register | Cell) -> bytes:
        """Return the bytes of one register out of a checked read reply; a bit as one byte."""
        at = cell.address - self.start
        if self.bits:
            return bytes((reply[2 + at // 8] >> at % 8 & 1,))
        return reply[2 + 2 * at : 2 + 2 * (at + cell.count)]

    def holds(self, cell: Register | Cell) -> bool:
        """Return whether all of ``cell`` is in it."""
        inside = self.start <= cell.address and cell.end <= self.start + self.count
        return inside and cell.table == self.table

    def _numbers(self, reply: bytes) -> Iterable[Any]:
        if self.bits:
            bits = int.from_bytes(reply[2:], "little")
            return [bits >> at & 1 for at in self._bits]
        if self._order is not None:
            reply = bytes(self._order(reply))
        return self._struct.unpack(reply)

    def _formats(self, simple: Sequence[Register]) -> Iterable[str]:
        if self.bits:
            return
        at = self.start
        for r in simple:
            yield f"{2 * (r.address - at)}x" if r.address > at else ""  # 0x would cost time
            yield FORMAT[r.type]
            at = r.end
        if (rest := self.start + self.count - at) > 0:
            yield f"{2 * rest}x"

    def _permutation(self, simple: Sequence[Register]) -> Any:
        """Return what puts the bytes of a reply into big order; ``None`` if they all are."""
        order = list(range(self.length))
        for r in simple:
            if r.cell.order is not None:
                at = 2 + 2 * (r.address - self.start)
                order[at : at + 2 * r.count] = [at + i for i in r.cell.order]
        return None if order == list(range(self.length)) else itemgetter(*order)

    def _outside(self, name: str, value: float, time: float) -> Sample:
        register = self._by_name[name]
        value = register.settle(value)
        quality = BAD if math.isnan(value) else GOOD
        return Sample(register.tag, time, value, quality)
