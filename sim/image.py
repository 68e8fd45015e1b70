"""The registers of a simulated Modbus device, computed when asked for and acted on when written."""

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from drivers.modbus.registers import Register, Table, factors
from drivers.point import Tag
from sim.motion import DeviceWatchdog, SimulatedPlant

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, DEVICE_FAILURE = 1, 2, 3, 4
VENDOR, PRODUCT, REVISION = "fermloop", "simulator", "1"

_LIMITS: dict[str, tuple[int, int]] = {
    "int16": (-0x8000, 0x7FFF),
    "uint16": (0, 0xFFFF),
    "int32": (-0x80000000, 0x7FFFFFFF),
    "uint32": (0, 0xFFFFFFFF),
}
_FORMATS = {
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "float32": "f",
    "float64": "d",
}


class Refused(Exception):  # noqa: N818 (the device's word for it)
    """The device answers with a Modbus exception.

    Args:
        code: of the Modbus specification: 2 illegal data address, 3 illegal data value.
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code}")
        self.code = code


class _Window:
    """How the words of one read request are made: readers, struct, the order and the cut."""

    def __init__(
        self,
        registers: Sequence[Register],
        readers: Mapping[str, Callable[[], float]],
        start: int,
        count: int,
    ) -> None:
        at = first = min([start, *(r.address for r in registers)])
        formats: list[str] = []
        swaps: list[tuple[int, int]] = []
        self._points: list[tuple[Any, ...]] = []
        for r in registers:
            formats.append(f"{2 * (r.address - at)}x{_FORMATS[r.type]}")
            if r.words == "little" and r.count > 1:
                swaps.append((2 * (r.address - first), 2 * r.count))
            limits = _LIMITS.get(r.type)
            self._points.append((readers[r.tag.name], *factors(r.scale), r.offset, limits))
            at = r.end
        end = max(at, start + count)
        self._struct = struct.Struct(">" + "".join(formats) + f"{2 * (end - at)}x")
        self._swaps = swaps
        self._cut = slice(2 * (start - first), 2 * (start - first + count))

    def words(self) -> bytes:
        numbers: list[float] = []
        for reader, multiplier, divisor, offset, limits in self._points:
            number = (reader() - offset) * divisor / multiplier
            if limits is not None:
                low, high = limits
                if not low <= number <= high:  # NaN, a broken wire, shows as the greatest count
                    number = low if number < low else high
                number = round(number)
            numbers.append(number)
        data = self._struct.pack(*numbers)
        if self._swaps:
            swapped = bytearray(data)
            for at, size in self._swaps:
                for i in range(0, size, 2):
                    swapped[at + i : at + i + 2] = data[at + size - i - 2 : at + size - i]
            data = bytes(swapped)
        return data[self._cut]


class RegisterImage:
    """The four tables of one Modbus unit.

    Registers between the first and the last of a table that hold nothing read 0; reading beyond
    them, and writing anything that is no actuator, is exception 2. A value outside an actuator's
    range is exception 3, and then nothing of the request is written.

    Args:
        registers: where its tags live.
        readers: what each shows, by tag name, in the tag's unit.
        writers: where an actuator's value goes, by tag name.
    """

    def __init__(
        self,
        registers: Sequence[Register],
        readers: Mapping[str, Callable[[], float]],
        writers: Mapping[str, Callable[[float], None]],
    ) -> None:
        self._readers = readers
        self._writers = writers
        self._by_table: dict[Table, list[Register]] = {}
        for r in sorted(registers, key=lambda r: r.address):
            self._by_table.setdefault(r.table, []).append(r)
        self._windows: dict[tuple[Table, int, int], _Window] = {}

    def size(self, table: Table) -> int:
        """Return the first address behind a table; 0 if there is none of it."""
        registers = self._by_table.get(table)
        return registers[-1].end if registers else 0

    def words(self, table: Table, start: int, count: int) -> bytes:
        """Return ``count`` registers as on the wire.

        Raises:
            Refused: some of them are outside the table.
        """
        window = self._windows.get((table, start, count))
        if window is None:
            registers = self._inside(table, start, count)
            if len(self._windows) >= 256:  # a scanning client must not pile them up
                self._windows.clear()
            window = _Window(registers, self._readers, start, count)
            self._windows[table, start, count] = window
        return window.words()

    def bits(self, table: Table, start: int, count: int) -> list[bool]:
        """Return ``count`` coils or discrete inputs.

        Raises:
            Refused: some of them are outside the table.
        """
        found = [False] * count
        for r in self._inside(table, start, count):
            found[r.address - start] = self._readers[r.tag.name]() >= 0.5
        return found

    def write_words(self, start: int, data: bytes) -> None:
        """Write holding registers.

        Raises:
            Refused: an address holds no actuator, a number is written in part or out of range.
        """
        registers = self._writable("holding", start, len(data) // 2)
        self._write(
            (r, r.decode(data[2 * (r.address - start) : 2 * (r.end - start)])) for r in registers
        )

    def write_bits(self, start: int, bits: Sequence[bool]) -> None:
        """Write coils.

        Raises:
            Refused: an address holds no actuator.
        """
        registers = self._writable("coil", start, len(bits))
        self._write((r, float(bits[r.address - start])) for r in registers)

    def _write(self, values: Any) -> None:
        settled = [(r.tag.name, r.settle(v)) for r, v in values]
        if any(math.isnan(v) for _, v in settled):
            raise Refused(ILLEGAL_VALUE)
        for name, value in settled:
            self._writers[name](value)

    def _inside(self, table: Table, start: int, count: int) -> list[Register]:
        registers = self._by_table.get(table, [])
        if count < 1 or not registers:
            raise Refused(ILLEGAL_ADDRESS)
        if start < registers[0].address or start + count > registers[-1].end:
            raise Refused(ILLEGAL_ADDRESS)
        return [r for r in registers if r.address < start + count and r.end > start]

    def _writable(self, table: Table, start: int, count: int) -> list[Register]:
        registers = self._inside(table, start, count)
        whole = all(start <= r.address and r.end <= start + count for r in registers)
        actuators = all(r.tag.name in self._writers for r in registers)
        if not whole or not actuators or sum(r.count for r in registers) != count:
            raise Refused(ILLEGAL_ADDRESS)
        return registers


def device_image(
    registers: Sequence[Register],
    plant: SimulatedPlant,
    watchdog: DeviceWatchdog | None = None,
    holding: int = 0,
    armed_input: int | None = None,
) -> RegisterImage:
    """Return the registers of a device whose tags belong to the vessels of ``plant``.

    Args:
        registers: the device's tags.
        plant: where the values come from.
        watchdog: what feeds on register ``holding``, if the device has one.
        holding: the watchdog's register.
        armed_input: the input register that is 1 while it is armed.
    """
    readers: dict[str, Callable[[], float]] = {}
    writers: dict[str, Callable[[float], None]] = {}
    for r in registers:
        vessel = plant.vessel(r.tag)
        readers[r.tag.name] = partial(vessel.read, r.tag.name)
        if r.tag.safe is not None:
            readers[r.tag.name] = partial(vessel.actual, r.tag.name)
            writers[r.tag.name] = partial(_write, vessel.write, r.tag.name, watchdog)
    extra: list[Register] = []
    if watchdog is not None:
        extra.append(Register(Tag("watchdog", "1", 0, 0xFFFF, 0), "holding", holding))
        readers["watchdog"] = lambda: watchdog.count
        writers["watchdog"] = watchdog.feed
        if armed_input is not None:
            extra.append(Register(Tag("armed", "1", 0, 1), "input", armed_input))
            readers["armed"] = lambda: watchdog.armed
    return RegisterImage([*registers, *extra], readers, writers)


def pace_image(
    plant: SimulatedPlant, advance: Callable[[float], None] | None = None
) -> RegisterImage:
    """Return the registers of unit 247: speed, plant time and, in lock-step, the target.

    Args:
        plant: whose pace it is.
        advance: what a write of the target does; ``plant.advance`` if not given.
    """
    registers = [
        Register(Tag("speed", "1", 0, 1e9), "holding", 0, "float64"),
        Register(Tag("time", "s", -1e12, 1e12), "holding", 4, "float64"),
        Register(Tag("target", "s", -1e12, 1e12, 0), "holding", 8, "float64"),
    ]
    readers = {
        "speed": lambda: plant.speed,
        "time": lambda: plant.time,
        "target": lambda: plant.time,
    }
    return RegisterImage(
        registers, readers, {} if plant.speed else {"target": advance or plant.advance}
    )


def _write(
    write: Callable[[str, float], None], name: str, watchdog: DeviceWatchdog | None, value: float
) -> None:
    write(name, value)
    if watchdog is not None:
        watchdog.touched()
