"""The registers of a simulated Modbus device, computed when asked for and acted on when written."""

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import call

from drivers.modbus.cells import FORMAT, READ_CODE, Cell, Info, Table
from drivers.modbus.registers import Register, factors
from drivers.point import Tag
from sim.motion import DeviceWatchdog, SimulatedPlant

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, DEVICE_FAILURE = 1, 2, 3, 4
KEPT = 256  # layouts of requests that are remembered: a scanning client must not pile them up
VENDOR, PRODUCT, REVISION = "fermloop", "simulator", "1"


class Refused(Exception):  # noqa: N818 (the device's word for it)
    """The device answers with a Modbus exception.

    Args:
        code: of the Modbus specification: 2 illegal data address, 3 illegal data value.
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code}")
        self.code = code


# which number, multiplier, divisor, offset, limits of the type; of a float there are none
_Scaled = tuple[int, float, float, float, float, float]


# an actuator, where its registers are in the data of a write, and where its value goes
_Moved = tuple[Register, slice, Callable[[float], None]]


class Window:
    """How the words of one read request are made: numbers in a struct, the rest laid over them.

    Args:
        head: of the reply, before the words.
        parts: what is in them.
        readers: as of ``RegisterImage``.
        contents: as of ``RegisterImage``.
        start: the first register.
        count: how many.
    """

    def __init__(
        self,
        head: bytes,
        parts: Sequence[Register | Cell],
        readers: Mapping[str, Callable[[], float]],
        contents: Mapping[Cell, Callable[[], bytes]],
        start: int,
        count: int,
    ) -> None:
        at = first = min([start, *(p.address for p in parts)])
        formats: list[str] = []
        self._orders: list[tuple[int, tuple[int, ...]]] = []
        self._readers: list[Callable[[], float]] = []
        self._whole: list[_Scaled] = []  # whole numbers
        self._floats: list[_Scaled] = []  # the others that are not shown as they are
        self._laid: list[tuple[int, Callable[[], bytes]]] = []
        for p in parts:
            where = 2 * (p.address - first)
            if isinstance(p, Cell):
                self._laid.append((where, contents[p]))
            elif not p.simple:
                self._laid.append((where, partial(_encoded, p, readers[p.tag.name])))
            else:
                formats.append(f"{2 * (p.address - at)}x{FORMAT[p.type]}")
                if p.cell.order is not None:
                    self._orders.append((where, p.cell.order))
                limits = None if "float" in p.type else p.cell.limits
                if limits or (p.scale, p.offset) != (1.0, 0.0):
                    scaled = self._whole if limits else self._floats
                    low, high = limits or (-math.inf, math.inf)
                    scaled.append((len(self._readers), *factors(p.scale), p.offset, low, high))
                self._readers.append(readers[p.tag.name])
                at = p.end
        end = max([start + count, *(p.end for p in parts)])
        self._struct = struct.Struct(">" + "".join(formats) + f"{2 * (end - at)}x")
        self._cut = slice(2 * (start - first), 2 * (start - first + count))
        self.head = head

    def words(self) -> bytes:
        numbers = list(map(call, self._readers))
        for k, multiplier, divisor, offset, low, high in self._whole:
            number = (numbers[k] - offset) * divisor / multiplier
            if not low <= number <= high:  # NaN, a broken wire, shows as the greatest count
                number = low if number < low else high
            numbers[k] = round(number)
        for k, multiplier, divisor, offset, _, _ in self._floats:
            numbers[k] = (numbers[k] - offset) * divisor / multiplier
        data = self._struct.pack(*numbers)
        if self._orders or self._laid:
            turned = bytearray(data)
            for at, order in self._orders:
                turned[at : at + len(order)] = bytes([data[at + i] for i in order])
            for at, content in self._laid:  # several may have bits of one register
                for i, byte in enumerate(content(), at):
                    turned[i] |= byte
            data = bytes(turned)
        return data[self._cut]


def _encoded(register: Register, reader: Callable[[], float]) -> bytes:
    """Return the words of a value, of the nearest count or, where it is NaN, of the greatest."""
    value, (low, high) = reader(), register.cell.limits
    if not math.isnan(value):
        return register.encode(value)
    return register.cell.pack(int(max(low, high)))


class RegisterImage:
    """The four tables of one Modbus unit.

    Registers between the first and the last of a table that hold nothing read 0; reading beyond
    them, and writing anything that is no actuator, is exception 2. A value outside an actuator's
    range is exception 3, and then nothing of the request is written.

    Args:
        registers: where its tags live.
        readers: what each shows, by tag name, in the tag's unit.
        writers: where an actuator's value goes, by tag name.
        contents: what else is there, as bytes on the wire.
    """

    def __init__(
        self,
        registers: Sequence[Register],
        readers: Mapping[str, Callable[[], float]],
        writers: Mapping[str, Callable[[float], None]],
        contents: Mapping[Cell, Callable[[], bytes]] | None = None,
    ) -> None:
        self._readers = readers
        self._writers = writers
        self._contents = contents or {}
        self._by_table: dict[Table, list[Register | Cell]] = {}
        for p in sorted([*registers, *self._contents], key=lambda p: p.address):
            self._by_table.setdefault(p.table, []).append(p)
        self.asked: dict[bytes, Window] = {}  # by request, of those whose layout is remembered
        self._windows: dict[tuple[Table, int, int], Window] = {}
        self.told: dict[bytes, list[_Moved]] = {}  # by how a write of registers begins, likewise
        self._moved: dict[tuple[Table, int, int], list[_Moved]] = {}

    def span(self, table: Table) -> tuple[int, int]:
        """Return the first address of a table and the first behind it; 0 and 0 if there is none."""
        parts = self._by_table.get(table)
        return (parts[0].address, max(p.end for p in parts)) if parts else (0, 0)

    def words(self, table: Table, start: int, count: int) -> bytes:
        """Return ``count`` registers as on the wire.

        Raises:
            Refused: some of them are outside the table.
        """
        return self.window(table, start, count).words()

    def window(self, table: Table, start: int, count: int) -> Window:
        """Return what makes the words of ``count`` registers, again and again.

        Raises:
            Refused: some of them are outside the table.
        """
        window = self._windows.get((table, start, count))
        if window is None:
            parts = self._inside(table, start, count)
            if len(self._windows) >= KEPT:
                self._windows.clear()
                self.asked.clear()
            head = bytes((READ_CODE[table], 2 * count))
            window = Window(head, parts, self._readers, self._contents, start, count)
            self._windows[table, start, count] = window
        return window

    def bits(self, table: Table, start: int, count: int) -> list[bool]:
        """Return ``count`` coils or discrete inputs.

        Raises:
            Refused: some of them are outside the table.
        """
        found = [False] * count
        for p in self._inside(table, start, count):
            if isinstance(p, Cell):
                found[p.address - start] |= self._contents[p]() != b"\0"
            else:
                found[p.address - start] = self._readers[p.tag.name]() >= 0.5
        return found

    def write_words(self, start: int, data: bytes) -> None:
        """Write holding registers.

        Raises:
            Refused: an address holds no actuator, a number is written in part or out of range.
        """
        self.move(self.writable("holding", start, len(data) // 2), data)

    def move(self, moved: Sequence[_Moved], data: bytes) -> None:
        """Write what ``writable`` has found; ``data`` are the registers' words, a byte a coil.

        Raises:
            Refused: a number is out of range.
        """
        values: list[tuple[Callable[[float], None], float]] = []
        for register, where, write in moved:
            value = register.value(data[where])
            if value != value:
                raise Refused(ILLEGAL_VALUE)
            values.append((write, value))
        for write, value in values:
            write(value)

    def write_bits(self, start: int, bits: Sequence[bool]) -> None:
        """Write coils.

        Raises:
            Refused: an address holds no actuator.
        """
        self.move(self.writable("coil", start, len(bits)), bytes(bits))

    def _inside(self, table: Table, start: int, count: int) -> list[Register | Cell]:
        parts = self._by_table.get(table, [])
        if count < 1 or not parts:
            raise Refused(ILLEGAL_ADDRESS)
        first, end = self.span(table)
        if start < first or start + count > end:
            raise Refused(ILLEGAL_ADDRESS)
        return [p for p in parts if p.address < start + count and p.end > start]

    def writable(self, table: Table, start: int, count: int) -> list[_Moved]:
        """Return what a write moves.

        Raises:
            Refused: an address holds no actuator, or a number is written in part.
        """
        known = self._moved.get((table, start, count))
        if known is not None:
            return known
        parts = self._inside(table, start, count)
        found = [p for p in parts if isinstance(p, Register) and p.tag.name in self._writers]
        whole = all(start <= r.address and r.end <= start + count for r in found)
        if not whole or len(found) < len(parts) or sum(r.count for r in found) != count:
            raise Refused(ILLEGAL_ADDRESS)
        if len(self._moved) >= KEPT:
            self._moved.clear()
            self.told.clear()
        size = 1 if table == "coil" else 2
        self._moved[table, start, count] = made = [
            (
                r,
                slice(size * (r.address - start), size * (r.end - start)),
                self._writers[r.tag.name],
            )
            for r in found
        ]
        return made


def device_image(
    registers: Sequence[Register],
    plant: SimulatedPlant,
    watchdog: DeviceWatchdog | None = None,
    holding: int = 0,
    armed_input: int | None = None,
    infos: Sequence[Info] = (),
) -> RegisterImage:
    """Return the registers of a device whose tags belong to the vessels of ``plant``.

    Args:
        registers: the device's tags.
        plant: where the values come from.
        watchdog: what feeds on register ``holding``, if the device has one.
        holding: the watchdog's register.
        armed_input: the input register that is 1 while it is armed.
        infos: what the device says of itself: what it must be, where that is said.
    """
    readers: dict[str, Callable[[], float]] = {}
    writers: dict[str, Callable[[float], None]] = {}
    for r in registers:
        vessel = plant.vessel(r.tag)
        readers[r.tag.name] = vessel.reader(r.tag.name)
        if r.tag.safe is not None:
            write = vessel.writer(r.tag.name)
            writers[r.tag.name] = write if watchdog is None else partial(_told, write, watchdog)
    extra: list[Register] = []
    if watchdog is not None:
        extra.append(Register(Tag("watchdog", "1", 0, 0xFFFF, 0), "holding", holding))
        readers["watchdog"] = lambda: watchdog.count
        writers["watchdog"] = watchdog.feed
        if armed_input is not None:
            extra.append(Register(Tag("armed", "1", 0, 1), "input", armed_input))
            readers["armed"] = lambda: watchdog.armed
    contents: dict[Cell, Callable[[], bytes]] = {}
    for cell in dict.fromkeys(r.status.cell for r in registers if r.status):
        contents[cell] = partial(_status, [r for r in registers if _cell(r) == cell], readers)
    for info in infos:
        if not any(_meet(info.cell, other) for other in (*registers, *extra, *contents)):
            contents[info.cell] = partial(_said, info)
    return RegisterImage([*registers, *extra], readers, writers, contents)


def _cell(register: Register) -> Cell | None:
    return register.status and register.status.cell


def _meet(a: Cell, b: Register | Cell) -> bool:
    return a.table == b.table and a.address < b.end and b.address < a.end


def _status(registers: Sequence[Register], readers: Mapping[str, Callable[[], float]]) -> bytes:
    """Return the status that ``registers`` share: good unless one of their instruments is NaN."""
    status = registers[0].status
    assert status is not None
    if not any(math.isnan(readers[r.tag.name]()) for r in registers):
        return status.cell.pack(status.good[0])
    known = (*status.good, *status.uncertain)
    most = int(status.cell.limits[1])
    return status.cell.pack(next((n for n in range(most + 1) if n not in known), 0))


def _said(info: Info) -> bytes:
    if info.equals is not None:
        return info.cell.pack(info.equals)
    text = "simulated"[: 2 * info.cell.length]
    return info.cell.pack(text if info.cell.type == "string" else 0)


def pace_image(
    plant: SimulatedPlant, advance: Callable[[float], None] | None = None
) -> RegisterImage:
    """Return the registers of unit 247: speed, plant time, in lock-step the target, and paused.

    Args:
        plant: whose pace it is.
        advance: what a write of the target does; ``plant.advance`` if not given.
    """
    registers = [
        Register(Tag("speed", "1", 0, 1e9), "holding", 0, "float64"),
        Register(Tag("time", "s", -1e12, 1e12), "holding", 4, "float64"),
        Register(Tag("target", "s", -1e12, 1e12, 0), "holding", 8, "float64"),
        Register(Tag("paused", "1", 0, 1), "holding", 12),
    ]
    readers = {
        "speed": lambda: plant.speed,
        "time": lambda: plant.time,
        "target": lambda: plant.time,
        "paused": lambda: plant.paused,
    }
    return RegisterImage(
        registers, readers, {} if plant.speed else {"target": advance or plant.advance}
    )


def _told(write: Callable[[float], None], watchdog: DeviceWatchdog, value: float) -> None:
    write(value)
    watchdog.touched()
