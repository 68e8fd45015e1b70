"""What is written in a Modbus device and where: numbers, bits and texts in registers. No I/O.

Source: MODBUS Application Protocol Specification V1.1b3 (modbus.org), sections 4.2 and 6. The order
of the words of a longer number is not in it; nor do all devices keep its order of bytes.
"""

import struct
from dataclasses import dataclass, field
from typing import Any, Literal

from drivers.point import Quality

Table = Literal["coil", "discrete", "input", "holding"]
Type = Literal[
    "bit", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64", "string"
]
Order = Literal["big", "little"]

READ_CODE: dict[Table, int] = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}
WRITE_CODE: dict[Table, int] = {"coil": 15, "holding": 16}
FORMAT: dict[Type, str] = {
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
EXACT = 2**53  # every whole number up to here has its own float
_LIMITS: dict[Type, tuple[float, float]] = {
    "bit": (0, 1),
    "int16": (-0x8000, 0x7FFF),
    "uint16": (0, 0xFFFF),
    "int32": (-0x80000000, 0x7FFFFFFF),
    "uint32": (0, 0xFFFFFFFF),
    "int64": (-(2**63), 2**63 - 1),
    "uint64": (0, 2**64 - 1),
    "float32": (-3.4028234663852886e38, 3.4028234663852886e38),
    "float64": (-1.7976931348623157e308, 1.7976931348623157e308),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """Neighbouring registers, or a bit, that hold one number or one text.

    Attributes:
        table: which of the four tables.
        address: 0-based, as on the wire.
        type: how it is coded; coils and discrete inputs are ``bit`` and only they.
        words: order of the 16-bit words; ``big`` has the most significant (or first) first.
        byte_order: order of the two bytes of each word; ``big`` is the specification's.
        mask: the bits of an integer that are meant; the number is what they hold, from 0.
        length: registers of a string.

        count: how many registers (or bits) it takes.
        end: the first address behind it.
        limits: least and greatest number it can hold; of a string nothing.

    Raises:
        ValueError: these do not fit each other.
    """

    table: Table
    address: int
    type: Type = "uint16"
    words: Order = "big"
    byte_order: Order = "big"
    mask: int | None = None
    length: int = 0
    count: int = field(init=False, repr=False, compare=False)
    end: int = field(init=False, repr=False, compare=False)
    limits: tuple[float, float] = field(init=False, repr=False, compare=False)
    order: tuple[int, ...] | None = field(init=False, repr=False, compare=False)
    _struct: struct.Struct = field(init=False, repr=False, compare=False)
    _shift: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if (self.type == "bit") != (self.table in ("coil", "discrete")):
            raise ValueError(f"a {self.table} cannot hold a {self.type}")
        if (self.type == "string") != (self.length > 0):
            raise ValueError("a string needs a length in registers, and nothing else has one")
        freeze = object.__setattr__
        form = FORMAT.get(self.type, f"{2 * self.length}s")
        if self.mask is not None and "int" in self.type:
            form = form.upper()  # bits have no sign
        freeze(self, "_struct", struct.Struct(f">{form}"))
        freeze(self, "count", max(self._struct.size // 2, 1))
        freeze(self, "end", self.address + self.count)
        if not 0 <= self.address <= 0x10000 - self.count:
            raise ValueError(f"address {self.address} is outside 0 to 65535")
        freeze(self, "limits", _LIMITS.get(self.type, (0, 0)))
        freeze(self, "_shift", 0)
        if self.mask is not None:
            self._take(self.mask)
        freeze(self, "order", _order(self.count, self.words, self.byte_order, self.type))

    def _take(self, mask: int) -> None:
        if "int" not in self.type:
            raise ValueError(f"mask goes with integers, not with {self.type}")
        if not 0 < mask < 1 << 16 * self.count:
            raise ValueError(
                f"mask {mask:#x} is not allowed; {self.type} has {16 * self.count} bits"
            )
        shift = (mask & -mask).bit_length() - 1
        object.__setattr__(self, "_shift", shift)
        object.__setattr__(self, "limits", (0, mask >> shift))

    def meets(self, start: int, end: int) -> bool:
        """Return whether it has something of ``start`` up to but not with ``end``."""
        return self.address < end and start < self.end

    def number(self, data: bytes) -> Any:
        """Return the number, an int or a float, of the bytes on the wire; a bit is one byte."""
        if self.order is not None:
            data = self._turn(data)
        (number,) = self._struct.unpack(data)
        if self.mask is not None:
            return (number & self.mask) >> self._shift
        return number

    def text(self, data: bytes) -> str:
        """Return the text of the bytes on the wire: up to the first NUL, without what ends it."""
        text = self._turn(data).split(b"\0", 1)[0].decode("latin-1")
        return "".join(c for c in text if c.isprintable()).strip()

    def pack(self, content: Any) -> bytes:
        """Return the bytes on the wire of a number within ``limits``, or of a text.

        With ``mask`` all other bits are 0.

        Raises:
            ValueError: the text is too long or has characters beyond Latin-1.
        """
        if self.type == "string":
            content = str(content).encode("latin-1")
            if len(content) > 2 * self.length:
                raise ValueError(f"{len(content)} characters; {2 * self.length} are allowed")
        elif self.mask is not None:
            content = content << self._shift & self.mask
        data = self._struct.pack(content)
        return data if self.order is None else self._turn(data)

    def _turn(self, data: bytes) -> bytes:
        return data if self.order is None else bytes([data[i] for i in self.order])


def _order(count: int, words: Order, byte_order: Order, type: Type) -> tuple[int, ...] | None:
    """Return where each byte is taken from, for one way and the other; ``None`` for no change."""
    if type == "bit":
        return None
    starts = range(2 * count - 2, -1, -2) if words == "little" else range(0, 2 * count, 2)
    pair = (1, 0) if byte_order == "little" else (0, 1)
    order = tuple(start + k for start in starts for k in pair)
    return None if order == tuple(range(2 * count)) else order


@dataclass(frozen=True, slots=True)
class Status:
    """Where a device says how far a tag may be trusted.

    Attributes:
        cell: an integer or a bit.
        good: what it holds while the tag is GOOD.
        uncertain: and while it is UNCERTAIN; anything else is BAD.
    """

    cell: Cell
    good: tuple[int, ...]
    uncertain: tuple[int, ...] = ()

    def quality(self, data: bytes) -> Quality:
        """Return the quality that the bytes on the wire say."""
        number = self.cell.number(data)
        if number in self.good:
            return Quality.GOOD
        return Quality.UNCERTAIN if number in self.uncertain else Quality.BAD


@dataclass(frozen=True, slots=True)
class Info:
    """Something that is read after each connection: a serial number, a constant to check by.

    Attributes:
        name: for people.
        cell: where it is.
        equals: what it must be; ``None`` if it is only shown.
    """

    name: str
    cell: Cell
    equals: str | float | None = None

    def shown(self, data: bytes) -> str:
        """Return what the bytes on the wire hold, for people."""
        if self.cell.type == "string":
            return self.cell.text(data)
        number = self.cell.number(data)
        return (
            f"{number:.{7 if self.cell.type == 'float32' else 15}g}"
            if (isinstance(number, float))
            else str(int(number))
        )

    def wrong(self, data: bytes) -> bool:
        """Return whether it is something else than it must be."""
        if self.equals is None:
            return False
        if isinstance(self.equals, str):
            return self.cell.text(data) != self.equals
        if "float" not in self.cell.type:
            return self.cell.number(data) != self.equals
        return self.cell.pack(self.equals) != data  # 0.1 as near as the type comes to it
