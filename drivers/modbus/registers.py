"""Tags in registers: which value in a tag's unit which bytes on the wire are. No I/O."""

import math
import struct
from dataclasses import dataclass, field

from drivers.modbus.cells import EXACT, FORMAT, WRITE_CODE, Cell, Order, Status, Table, Type
from drivers.point import Quality, RangeError, Sample, Tag


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
        byte_order: order of the two bytes of each word; ``big`` is the specification's.
        mask: the bits of an integer that are meant; other tags may have the others.
        status: where the device says how far the tag may be trusted.

        cell: what of this is not the tag's: table, address, type, orders, mask.
        count: how many registers (or bits) it takes.
        end: the first address behind it.
        simple: any number in the tag's range is GOOD as it stands: not masked, no states, 64 bits
            only as float64.

    Raises:
        ValueError: these do not fit each other, or the tag's range does not fit the type.
    """

    tag: Tag
    table: Table
    address: int
    type: Type = "uint16"
    scale: float = 1.0
    offset: float = 0.0
    words: Order = "big"
    byte_order: Order = "big"
    mask: int | None = None
    status: Status | None = None
    cell: Cell = field(init=False, repr=False, compare=False)
    count: int = field(init=False, repr=False, compare=False)
    end: int = field(init=False, repr=False, compare=False)
    simple: bool = field(init=False, repr=False, compare=False)
    _factors: tuple[float, float] = field(init=False, repr=False, compare=False)
    _whole: tuple[float, float] | None = field(init=False, repr=False, compare=False)  # its limits
    _plain: struct.Struct | None = field(init=False, repr=False, compare=False)  # no other order

    def __post_init__(self) -> None:
        name, freeze = self.tag.name, object.__setattr__
        if self.type == "string":
            raise ValueError(f"{name}: a tag is a number, not a string")
        try:
            cell = Cell(self.table, self.address, self.type, self.words, self.byte_order, self.mask)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        freeze(self, "cell", cell)
        freeze(self, "count", cell.count)
        freeze(self, "end", cell.end)
        plain = self.mask is None and not self.tag.states and self.type not in ("int64", "uint64")
        freeze(self, "simple", plain)
        if self.scale == 0 or not math.isfinite(self.scale + self.offset):
            raise ValueError(f"{name}: scale {self.scale:g} is not allowed; finite and not 0")
        freeze(self, "_factors", factors(self.scale))
        freeze(self, "_whole", None if "float" in self.type else cell.limits)
        as_it_is = self.mask is None and cell.order is None and self.type != "bit"
        freeze(self, "_plain", struct.Struct(">" + FORMAT[self.type]) if as_it_is else None)
        if self.tag.states and (self.scale, self.offset) != (1, 0):
            raise ValueError(f"{name}: what has states has neither scale nor offset")
        self._fit()
        if self.tag.safe is not None:
            self._writable()

    def _fit(self) -> None:
        """Raise unless the tag's range fits the type."""
        least, most = self.cell.limits
        for bound in (self.tag.low, self.tag.high):
            if self.type == "bit" and bound not in (0, 1):
                raise ValueError(f"{self.tag.name}: the range of a bit is 0 to 1")
            if not least - 0.5 <= (bound - self.offset) / self.scale <= most + 0.5:
                bits = "" if self.mask is None else f" mask {self.mask:#x}"
                raise ValueError(
                    f"{self.tag.name}: {bound:g} {self.tag.unit} does not fit "
                    f"{self.type}{bits} of {self.scale:g}"
                )

    def _writable(self) -> None:
        """Raise unless an actuator can be here."""
        name = self.tag.name
        if self.table not in WRITE_CODE:
            raise ValueError(f"{name}: has a safe value, but a {self.table} cannot be written")
        if self.mask is not None:
            raise ValueError(f"{name}: has a safe value, but a register is never written in part")
        if self.tag.states:
            wanted = range(math.ceil(self.tag.low), math.floor(self.tag.high) + 1)
            for number in wanted:
                if number not in self.tag.states:
                    raise ValueError(f"{name}: has a safe value, but {number} is no state")
        counts = [(v - self.offset) / self.scale for v in (self.tag.low, self.tag.high)]
        if "int" in self.type and max(map(abs, counts)) > EXACT:
            raise ValueError(f"{name}: has a safe value, but more than 2^53 counts")

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
        if self._whole is None:
            return number
        least, most = self._whole
        return round(least if number < least else most if number > most else number)

    def encode(self, value: float) -> bytes:
        """Return the bytes of ``value`` as on the wire; a bit as one byte."""
        number = self.number(value)
        return self.cell.pack(number) if self._plain is None else self._plain.pack(number)

    def decode(self, data: bytes) -> float:
        """Return the value in the tag's unit of the bytes on the wire."""
        multiplier, divisor = self._factors
        return self.cell.number(data) * multiplier / divisor + self.offset

    def value(self, data: bytes) -> float:
        """Return the value in the tag's unit of the bytes on the wire; NaN where it is none."""
        multiplier, divisor = self._factors
        number = self.cell.number(data) if self._plain is None else self._plain.unpack(data)[0]
        value = number * multiplier / divisor + self.offset
        tag = self.tag
        if tag.low <= value <= tag.high and not tag.states:
            return value
        return self.settle(value)

    def settle(self, value: float) -> float:
        """Return a decoded value that the register's own resolution put just outside as the bound.

        0.1 in a float32 reads as 0.10000000149, which is no reason to call a reading BAD; NaN for
        a value that is really outside or no state.
        """
        tag = self.tag
        if value in tag:
            return value
        if (tag.states and tag.safe is None) or not math.isfinite(value):
            return math.nan
        for bound in (tag.low, tag.high):
            near = self.decode(self.encode(bound))
            if min(near, bound) <= value <= max(near, bound):
                return bound
        return math.nan

    def sample(self, data: bytes, time: float) -> Sample:
        """Return what the bytes on the wire mean, whatever ``status`` says of it.

        A whole number beyond 2^53 that no float is equal to is rounded, and UNCERTAIN.
        """
        value = self.value(data)
        if math.isnan(value):
            return Sample(self.tag, time, value, Quality.BAD)
        number = self.cell.number(data)
        rounded = isinstance(number, int) and int(float(number)) != number
        return Sample(self.tag, time, value, Quality.UNCERTAIN if rounded else Quality.GOOD)


def factors(scale: float) -> tuple[float, float]:
    """Return multiplier and divisor of a scale: 57 * 0.01 is not 0.57, but 57 / 100 is."""
    inverse = 1 / scale
    return (1.0, inverse) if inverse.is_integer() else (scale, 1.0)
