"""Where tags live in a Modbus device: bytes on the wire and values in a tag's unit. No I/O.

Source: MODBUS Application Protocol Specification V1.1b3 (modbus.org), sections 4.2 and 6.
"""

import math
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Literal, cast

from drivers.point import Quality, RangeError, Sample, Tag

Table = Literal["coil", "discrete", "input", "holding"]
Type = Literal[
    "bit", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64", "string"
]
WordOrder = Literal["big", "little"]

READ_CODE: dict[Table, int] = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}
WRITE_CODE: dict[Table, int] = {"coil": 15, "holding": 16}
MAX_GAP = 16  # unused registers that are read along rather than asked around

_MOST: dict[Table, int] = {"coil": 1968, "discrete": 2000, "holding": 123, "input": 125}
_FORMAT: dict[Type, str] = {
    "bit": "?",
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "uint64": "Q",
    "float32": "f",
    "float64": "d",
}
_COUNTS: dict[Type, tuple[float, float]] = {
    "bit": (0, 1),
    "int16": (-0x8000, 0x7FFF),
    "uint16": (0, 0xFFFF),
    "int32": (-0x80000000, 0x7FFFFFFF),
    "uint32": (0, 0xFFFFFFFF),
    "int64": (-(2**63), 2**63 - 1),
    "uint64": (0, 2**64 - 1),
    "float32": (-3.4e38, 3.4e38),
    "float64": (-1.7e308, 1.7e308),
}
_NOUN: dict[Table, str] = {
    "coil": "coils",
    "discrete": "discrete inputs",
    "holding": "registers",
    "input": "input registers",
}
_GOOD = Quality.GOOD
# What a NamedTuple's own constructor calls, at half the price.
_sample = cast("Callable[[type[Sample], tuple[Tag, float, float, Quality]], Sample]", tuple.__new__)  # pyright: ignore[reportUnknownMemberType]


@dataclass(frozen=True, slots=True)
class Register:
    """Where a tag lives: value in ``tag.unit`` = number in the registers * ``scale`` + ``offset``.

    Attributes:
        tag: what it is; one with ``safe`` is written, so it must be a holding register or a coil.
        table: which of the four tables.
        address: 0-based, as on the wire.
        type: how the number is coded; coils and discrete inputs are ``bit`` and only they.
        scale: unit per count, not 0.
        offset: unit.
        words: order of the 16-bit words of a longer number; ``big`` has the most significant first.

        count: how many registers (or bits) it takes.
        end: the first address behind it.

    Raises:
        ValueError: these do not fit each other, or the tag's range does not fit the type.
    """

    tag: Tag
    table: Table
    address: int
    type: Type = "uint16"
    scale: float = 1.0
    offset: float = 0.0
    words: WordOrder = "big"
    count: int = field(init=False, repr=False, compare=False)
    end: int = field(init=False, repr=False, compare=False)
    _struct: struct.Struct = field(init=False, repr=False, compare=False)
    _factors: tuple[float, float] = field(init=False, repr=False, compare=False)
    _limits: tuple[float, float] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        form = struct.Struct(f">{_FORMAT[self.type]}")
        freeze = object.__setattr__
        freeze(self, "_struct", form)
        freeze(self, "count", max(form.size // 2, 1))
        freeze(self, "end", self.address + self.count)
        freeze(self, "_limits", None if "float" in self.type else _COUNTS[self.type])
        name = self.tag.name
        if (self.type == "bit") != (self.table in ("coil", "discrete")):
            raise ValueError(f"{name}: a {self.table} cannot hold a {self.type}")
        if self.tag.safe is not None and self.table not in WRITE_CODE:
            raise ValueError(f"{name}: has a safe value, but a {self.table} cannot be written")
        if not 0 <= self.address <= 0x10000 - self.count:
            raise ValueError(f"{name}: address {self.address} is outside 0 to 65535")
        if self.scale == 0 or not math.isfinite(self.scale + self.offset):
            raise ValueError(f"{name}: scale {self.scale:g} is not allowed; finite and not 0")
        freeze(self, "_factors", factors(self.scale))
        least, most = _COUNTS[self.type]
        for bound in (self.tag.low, self.tag.high):
            if self.type == "bit" and bound not in (0, 1):
                raise ValueError(f"{name}: the range of a bit is 0 to 1")
            if not least <= (bound - self.offset) / self.scale <= most:
                raise ValueError(
                    f"{name}: {bound:g} {self.tag.unit} does not fit {self.type} of {self.scale:g}"
                )

    def number(self, value: float) -> float:
        """Return what the register holds for ``value`` in the tag's unit, limited to its type.

        Raises:
            RangeError: a bit is neither 0 nor 1.
        """
        if self.type == "bit":
            if value not in (0, 1):
                raise RangeError(f"{self.tag.name}: {value:g} is no bit; 0 or 1")
            return bool(value)
        multiplier, divisor = self._factors
        number = (value - self.offset) * divisor / multiplier
        if self._limits is None:
            return number
        least, most = self._limits
        return round(least if number < least else most if number > most else number)

    def encode(self, value: float) -> bytes:
        """Return the bytes of ``value`` as on the wire; a bit as one byte."""
        data = self._struct.pack(self.number(value))
        return _swap_words(data) if self.words == "little" else data

    def decode(self, data: bytes) -> float:
        """Return the value in the tag's unit of the bytes on the wire."""
        if self.words == "little":
            data = _swap_words(data)
        (number,) = self._struct.unpack(data)
        multiplier, divisor = self._factors
        return number * multiplier / divisor + self.offset

    def settle(self, value: float) -> float:
        """Return a decoded value that the register's own resolution put just outside as the bound.

        0.1 in a float32 reads as 0.10000000149, which is no reason to call a reading BAD; NaN for
        a value that is really outside.
        """
        tag = self.tag
        if value in tag:
            return value
        for bound in (tag.low, tag.high):
            near = self.decode(self.encode(bound))
            if min(near, bound) <= value <= max(near, bound):
                return bound
        return math.nan


def factors(scale: float) -> tuple[float, float]:
    """Return multiplier and divisor of a scale: 57 * 0.01 is not 0.57, but 57 / 100 is."""
    inverse = 1 / scale
    return (1.0, inverse) if inverse.is_integer() else (scale, 1.0)


def _swap_words(data: bytes) -> bytes:
    return b"".join(data[i : i + 2] for i in range(len(data) - 2, -1, -2)) if data[1:] else data


class Block:
    """Neighbouring registers of one table, moved by one request.

    Args:
        registers: of one table, by rising address, without overlap; gaps are read along.
    """

    def __init__(self, registers: Sequence[Register]) -> None:
        self.registers = tuple(registers)
        self.table: Table = registers[0].table
        self.start = registers[0].address
        self.count = registers[-1].end - self.start
        self.names = tuple(r.tag.name for r in registers)
        self.gapless = self.count == sum(r.count for r in registers)
        self.bits = self.table in ("coil", "discrete")
        code = READ_CODE[self.table]
        size = (self.count + 7) // 8 if self.bits else 2 * self.count
        self.request = struct.pack(">BHH", code, self.start, self.count)
        self.head = bytes((code, size & 0xFF))
        self.length = 2 + size
        self._write_head = b""
        if self.table in WRITE_CODE:
            self._write_head = struct.pack(
                ">BHHB", WRITE_CODE[self.table], self.start, self.count, size & 0xFF
            )
        self._points = [
            (r.tag.name, r.tag, *factors(r.scale), r.offset, r.tag.low, r.tag.high)
            for r in registers
        ]
        self._struct = struct.Struct(">2x" + "".join(self._formats()))
        self._order = self._permutation()

    def __str__(self) -> str:
        return f"{self.count} {_NOUN[self.table]} from {self.start}"

    def samples(self, reply: bytes, time: float, into: dict[str, Sample]) -> None:
        """Decode a checked read reply into one sample a register, stamped ``time``."""
        numbers = self._numbers(reply)
        for (name, tag, multiplier, divisor, offset, low, high), number in zip(
            self._points, numbers, strict=True
        ):
            value = number * multiplier / divisor + offset
            if low <= value <= high:
                into[name] = _sample(Sample, (tag, time, value, _GOOD))
            else:
                into[name] = self._outside(name, value, time)

    def write_request(self, encoded: Sequence[bytes]) -> bytes:
        """Return the request that writes what ``Register.encode`` gave, one a register; no gaps."""
        data = b"".join(encoded)
        if self.bits:
            number = sum(bit << i for i, bit in enumerate(data))
            data = number.to_bytes((self.count + 7) // 8, "little")
        return self._write_head + data

    def part(self, reply: bytes, register: Register) -> bytes:
        """Return the bytes of one register out of a checked read reply."""
        at = register.address - self.start
        if self.bits:
            return bytes((reply[2 + at // 8] >> at % 8 & 1,))
        return reply[2 + 2 * at : 2 + 2 * (at + register.count)]

    def _numbers(self, reply: bytes) -> Iterable[Any]:
        if self.bits:
            bits = int.from_bytes(reply[2:], "little")
            return [bits >> (r.address - self.start) & 1 for r in self.registers]
        if self._order is not None:
            reply = bytes(self._order(reply))
        return self._struct.unpack(reply)

    def _formats(self) -> Iterable[str]:
        at = self.start
        for r in self.registers:
            if not self.bits:
                yield f"{2 * (r.address - at)}x" if r.address > at else ""
                yield _FORMAT[r.type]
            at = r.end

    def _permutation(self) -> Any:
        """Return what puts the words of a reply into big order; ``None`` if they all are."""
        order = list(range(self.length))
        for r in self.registers:
            if r.words == "little" and r.count > 1:
                at = 2 + 2 * (r.address - self.start)
                size = 2 * r.count
                order[at : at + size] = _swap_words(bytes(range(size)))
                order[at : at + size] = [at + i for i in order[at : at + size]]
        return None if order == list(range(self.length)) else itemgetter(*order)

    def _outside(self, name: str, value: float, time: float) -> Sample:
        register = self.registers[self.names.index(name)]
        value = register.settle(value) if math.isfinite(value) else math.nan
        quality = Quality.BAD if math.isnan(value) else Quality.GOOD
        return Sample(register.tag, time, value, quality)


def blocks(registers: Iterable[Register], gap: int = MAX_GAP) -> list[Block]:
    """Return the fewest blocks that hold all ``registers`` with at most ``gap`` unused between two.

    Raises:
        ValueError: two registers overlap.
    """
    found: list[list[Register]] = []
    for r in sorted(registers, key=lambda r: (READ_CODE[r.table], r.address)):
        last = found[-1][-1] if found else None
        if last is not None and last.table == r.table and r.address < last.end:
            raise ValueError(
                f"{r.tag.name}: {r.table} {r.address} is already taken by {last.tag.name}"
            )
        if (
            last is not None
            and last.table == r.table
            and r.address - last.end <= gap
            and r.end - found[-1][0].address <= _MOST[r.table]
        ):
            found[-1].append(r)
        else:
            found.append([r])
    return [Block(group) for group in found]
