"""Registers of every kind, and what a reply holds for them, read in the plainest way."""

import math
import struct
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Literal, NamedTuple

from drivers.clock import SystemClock
from drivers.driver import DeviceError
from drivers.modbus import Cell, Info, ModbusDriver, Register, Status
from drivers.modbus.cells import EXACT, Order, Type
from drivers.modbus.driver import Link
from drivers.modbus.fence import Fence
from drivers.point import Quality, Sample, Tag

INTEGERS: dict[Type, int] = {
    "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "int64": 8, "uint64": 8,
}  # fmt: skip
FLOATS: dict[Type, str] = {"float32": ">f", "float64": ">d"}
ORDERS: tuple[Order, Order] = ("big", "little")
Spoil = Callable[[bytes], bytes]


class Answer(NamedTuple):
    """A reply to a read, and what was asked."""

    code: int
    start: int
    size: int
    reply: bytes

    def holds(self, cell: Cell) -> bool:
        """Return whether this reply has all of it."""
        code = 2 if cell.type == "bit" else 4
        return self.code == code and self.start <= cell.address < cell.end <= self.start + self.size

    def data(self, cell: Cell) -> bytes:
        """Return its bytes in big order."""
        at = cell.address - self.start
        if cell.type == "bit":
            return bytes((self.reply[2 + at // 8] >> at % 8 & 1,))
        data = self.reply[2 + 2 * at : 2 + 2 * (at + cell.count)]
        words = [data[i : i + 2] for i in range(0, len(data), 2)]
        if cell.byte_order == "little":
            words = [w[::-1] for w in words]
        return b"".join(reversed(words) if cell.words == "little" else words)


class Device(Link):
    """A device at the level of PDUs that answers out of its memory, spoiled as the test says.

    Attributes:
        words: input registers, two bytes each.
        bits: discrete inputs, one byte each.
        spoil: what becomes of each reply.
        answers: all that was answered since the test last looked.
    """

    def __init__(self) -> None:
        self.address = "far:1"
        self.fence = Fence()
        self.words = self.bits = b""
        self.spoil: Spoil = bytes
        self.answers: list[Answer] = []

    async def exchange(
        self,
        requests: Sequence[bytes],
        *,
        unit: int | None = None,
        timeout_s: float | None = None,
    ) -> list[bytes]:
        return [self._answer(r) for r in requests]

    def reset(self) -> None: ...

    async def close(self) -> None: ...

    def data(self, cell: Cell) -> bytes:
        """Return what the device last answered of it, in big order."""
        return next(a for a in reversed(self.answers) if a.holds(cell)).data(cell)

    def _answer(self, request: bytes) -> bytes:
        if request[0] == 0x2B:
            return b"\xab\x01"
        code, start, count = struct.unpack(">BHH", request)
        data = self.words[2 * start : 2 * (start + count)]
        if code == 2:
            bits = self.bits[start : start + count]
            number = sum((bit & 1) << i for i, bit in enumerate(bits))
            data = number.to_bytes((count + 7) // 8, "little")
        reply = self.spoil(bytes((code, len(data))) + data)
        self.answers.append(Answer(code, start, count, reply))
        return reply


class Bench:
    """Some registers of any kind, behind the real driver.

    Attributes:
        device: what the driver reads.
        table: the registers.
        seen: how often each quality came.
    """

    def __init__(self, random: Random) -> None:
        self.device = Device()
        self.seen: Counter[Quality] = Counter()
        self.table: list[Register] = []
        self._at = self._bit = 0
        for _ in range(random.randint(1, 6)):
            self._add(random)
        self.driver = ModbusDriver("far", self.table, self.device, SystemClock())

    @property
    def sizes(self) -> tuple[int, int]:
        """How many bytes of words and how many bits there are."""
        return 2 * self._at, self._bit

    async def check(self) -> Literal["read", "refused"]:
        """Read, and return whether that gave samples.

        Raises:
            AssertionError: they are not what an independent reading says.
        """
        self.device.answers.clear()
        try:
            samples = await self.driver.read()
        except DeviceError:
            return "refused"
        assert samples.keys() == {r.tag.name for r in self.table}
        for r in self.table:
            _check(r, samples[r.tag.name], self.device)
            self.seen[samples[r.tag.name].quality] += 1
        return "read"

    def _add(self, random: Random) -> None:
        """Add a register, or several that share one by masks."""
        kinds: list[Type] = [*INTEGERS, *FLOATS, "bit"]
        kind = random.choice(kinds)
        if kind == "bit":
            self._bit += random.choice((0, 0, 1, 30))
            tag = Tag(f"R1.t{len(self.table)}", "1", 0, 1)
            self._take(Register(tag, "discrete", self._bit, "bit", status=self._status(random)))
            return
        cell = Cell("input", self._gap(random), kind, random.choice(ORDERS), random.choice(ORDERS))
        self._at = cell.end
        masks: list[int | None] = [None]
        if kind in INTEGERS and random.random() < 0.3:
            every = (1 << 8 * INTEGERS[kind]) - 1
            mask = random.randint(1, every)
            masks = [mask, *((every & ~mask,) if random.random() < 0.5 and mask < every else ())]
        for mask in masks:
            self._take(_register(random, cell, mask, len(self.table), self._status(random)))

    def _take(self, register: Register) -> None:
        self.table.append(register)
        if register.type == "bit":
            self._bit = max(self._bit, register.end)

    def _gap(self, random: Random) -> int:
        self._at += random.choice((0, 0, 1, 4, 40))
        return self._at

    def _status(self, random: Random) -> Status | None:
        """Return a cell of its own, most often none."""
        if random.random() < 0.7:
            return None
        if random.random() < 0.3:
            self._bit += 1
            return Status(Cell("discrete", self._bit - 1, "bit"), (random.randint(0, 1),))
        kind: Type = random.choice(("uint16", "int16", "uint32"))
        mask = random.choice((None, 1, 3, 0xC000, 0x0FF0))
        at = self._gap(random)
        cell = Cell("input", at, kind, random.choice(ORDERS), random.choice(ORDERS), mask)
        self._at = cell.end
        return Status(cell, (0, 2), random.choice(((1,), (1,), ())))


def _register(
    random: Random, cell: Cell, mask: int | None, number: int, status: Status | None
) -> Register:
    """Return a tag in that place, with any scale and a range that some contents exceed."""
    scale, offset = random.choice((1.0, 0.1, 0.01, -0.5, 3.0)), random.choice((0.0, -40.0))
    place = Cell("input", cell.address, cell.type, cell.words, cell.byte_order, mask)
    most = min(random.choice((1.0, 100.0, 30_000.0, 2.0**62)), place.limits[1])
    if most > EXACT:
        most *= 0.99  # no float is just what fits
    if most > 30_000 and cell.type not in ("int64", "uint64"):
        most = 30_000.0
    states: Mapping[int, str] = {}
    if cell.type in INTEGERS and random.random() < 0.2:
        scale, offset = 1.0, 0.0
        states = {random.randint(0, min(int(most), 9)): "some" for _ in range(4)}
    low, high = sorted((offset, most * scale + offset))
    tag = Tag(f"R1.t{number}", "1", low, high, states=states)
    order: tuple[Order, Order] = cell.words, cell.byte_order
    return Register(tag, "input", cell.address, cell.type, scale, offset, *order, mask, status)


def number_in(cell: Cell, data: bytes) -> float:
    """Return the number that bytes in big order are, an int for an integer."""
    if cell.type in FLOATS:
        return struct.unpack(FLOATS[cell.type], data)[0]
    signed = cell.type.startswith("int") and cell.mask is None
    number = int.from_bytes(data, "big", signed=signed)
    if cell.mask is None:
        return number
    return (number & cell.mask) // (cell.mask & -cell.mask)


def text_in(data: bytes) -> str:
    """Return the text that bytes in order are."""
    text = ""
    for byte in data:
        if not byte:
            break
        text += chr(byte) if chr(byte).isprintable() else ""
    return text.strip(" \xa0")


def _trust(r: Register, device: Device) -> Quality:
    """Return how good the register's value may be by its status."""
    if r.status is None:
        return Quality.GOOD
    number = number_in(r.status.cell, device.data(r.status.cell))
    if number in r.status.good:
        return Quality.GOOD
    return Quality.UNCERTAIN if number in r.status.uncertain else Quality.BAD


def _check(r: Register, s: Sample, device: Device) -> None:
    """Raise unless the sample is what the device answered."""
    number = number_in(r.cell, device.data(r.cell))
    trust = _trust(r, device)
    true = number * r.scale + r.offset
    near = 1e-9 * abs(true) + 1e-6 * (r.tag.high - r.tag.low)
    what = f"{r} {device.answers}: {s}"
    if isinstance(number, int) and int(float(number)) != number:
        trust = min(trust, Quality.UNCERTAIN)
    if r.tag.states:
        inside = possible = number in r.tag.states
    else:
        inside = r.tag.low + near < true < r.tag.high - near
        possible = r.tag.low - near <= true <= r.tag.high + near
    if s.quality is Quality.BAD:
        assert math.isnan(s.value), what
        assert trust is Quality.BAD or not inside, what
    else:
        assert s.quality is trust, what
        assert s.value in r.tag, what
        assert possible, what
        assert abs(s.value - true) <= near, what


def infos(random: Random, device: Device) -> tuple[list[Info], dict[str, bool]]:
    """Return what a device may be asked after each connection, and which of it is wrong there."""
    found: list[Info] = []
    wrong: dict[str, bool] = {}
    at = 0
    for i in range(random.randint(1, 4)):
        kinds: list[Type] = [*INTEGERS, *FLOATS, "string", "string"]
        kind = random.choice(kinds)
        orders = random.choice(ORDERS), random.choice(ORDERS)
        mask = random.choice((None, 0xFF, 0xF00)) if kind in INTEGERS else None
        length = random.randint(1, 16) if kind == "string" else 0
        cell = Cell("input", at, kind, *orders, mask, length)
        at = cell.end
        right = told(cell, Answer(4, 0, 1000, b"\4\0" + device.words))
        equals: str | float | None = None
        if random.random() < 0.3 and (isinstance(right, str) or math.isfinite(right)):
            equals = right
            if random.random() < 0.2:
                equals = "other" if isinstance(right, str) else 1.0 if right != 1 else 2.0
        wrong[f"info{i}"] = equals is not None and equals != right
        found.append(Info(f"info{i}", cell, equals))
    return found, wrong


def told(cell: Cell, answer: Answer) -> str | float:
    """Return what a text or a number in a reply is."""
    data = answer.data(cell)
    return text_in(data) if cell.type == "string" else number_in(cell, data)
