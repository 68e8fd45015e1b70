"""What is wrong with a Modbus device's registers: types, masks, states, quality and info."""

import math
from collections.abc import Iterator
from typing import cast, get_args

from controller.plant_file.device_settings import Coding, DeviceSettings, InfoSettings, TagSettings
from controller.plant_file.registers import cell, limits, register, span
from drivers.modbus.cells import EXACT, Cell, Type

PLACES = (
    "exactly one of input, holding, coil, discrete (0-based) or "
    "input_number, holding_number, coil_number, discrete_number (1-based) is required"
)
WHOLE_PLACES = ("input", "holding", "input_number", "holding_number")
NUMBERS = [t for t in get_args(Type) if t != "string"]
# What only a Modbus device has: each of these with another driver would be without effect.
MODBUS_ONLY = ("type", "words", "bytes", "mask", "length", "quality", "scale", "offset")

# By table and address, or "node" and its id: who lives there, its mask or 0, its first address.
Taken = dict[tuple[str, int | str], list[tuple[str, int, int]]]


def wrong_register(
    where: str, device: DeviceSettings, t: TagSettings, taken: Taken
) -> Iterator[str]:
    """Yield what is wrong with where a Modbus tag lives; ``taken`` remembers who lives where."""
    if len(t.places) != 1 or t.node is not None:
        yield f"{where}: {PLACES}"
        return
    if t.type == "string":
        yield f"{where}.type: string is not allowed for a tag; strings go with info"
        return
    if t.type is None and t.table in ("input", "holding"):
        yield f"{where}.type: missing; one of {', '.join(NUMBERS[1:])} is required"
        return
    yield from _noise(where, t)
    if t.scale == 0:
        yield f"{where}.scale: 0 is not allowed; unit per count, not 0"
        return
    wrong = [*_coding(where, t), *_actuator(where, device, t), *_states(where, t)]
    if t.quality is not None:
        wrong += _quality(f"{where}.quality", t)
    wrong = wrong or [*_fits(where, t), *_whole(where, device, cell(t))]
    if t.quality is not None and not wrong:
        wrong += _whole(f"{where}.quality", device, cell(t.quality))
    yield from wrong
    if not wrong:
        yield from _remaining(where, t)
        yield from _apart(where, device, t, taken)


def _noise(where: str, t: TagSettings) -> Iterator[str]:
    if t.step is not None and (t.noise is None or t.step < 5.0 * t.noise):
        yield f"{where}.step: {t.step:g} is not allowed; 5 times noise or more, and noise with it"
    if t.noise is None:
        return
    if t.safe is not None or t.states:
        yield f"{where}.noise: goes only with a measurement"
    least = 0.0 if t.type in (None, "float32", "float64") else 0.5 * abs(t.scale)
    if t.noise < least:
        yield (
            f"{where}.noise: {t.noise:g} is not allowed; at least {least:g}, half a count: "
            "what is less does not move it"
        )


def wrong_reads(key: str, device: DeviceSettings) -> Iterator[str]:
    """Yield what is wrong with the ranges that are read only as a whole."""
    most, seen = device.read.max_registers, list[Cell]()
    for i, whole in enumerate(device.read.whole):
        where = f"{key}.read.whole.{i}"
        if [table in ("input", "holding") for table, _ in whole.places] != [True]:
            yield f"{where}: exactly one of {', '.join(WHOLE_PLACES)} is required"
            continue
        try:
            there = span(whole)
        except ValueError as error:
            yield f"{where}: {error}"
            continue
        if whole.count > most:
            yield f"{where}.count: {whole.count} is not allowed; read.max_registers = {most}"
        if any(w.table == there.table and w.meets(there.address, there.end) for w in seen):
            yield f"{where}: {there.address} to {there.end - 1} has registers of another range"
        seen.append(there)


def wrong_infos(key: str, device: DeviceSettings) -> Iterator[str]:
    """Yield what is wrong with what a Modbus device says of itself."""
    seen: set[str] = set()
    for i, info in enumerate(device.info):
        where = f"{key}.info.{i} ({info.name})"
        if info.name in seen:
            yield f"{where}: duplicate name; {info.name} is defined already"
        seen.add(info.name)
        if len(info.places) != 1 or info.node is not None:
            yield f"{where}: {PLACES}"
            continue
        if info.type is None and info.table in ("input", "holding"):
            yield f"{where}.type: missing; one of {', '.join(get_args(Type)[1:])} is required"
            continue
        wrong = list(_coding(where, info))
        yield from wrong or [*_whole(where, device, cell(info)), *_equals(where, info)]


def _coding(where: str, c: Coding) -> Iterator[str]:
    """Yield what of place, type, mask and length does not fit the others; the place is given."""
    table, kind = c.places[0][0], c.type or "uint16"
    bit = table in ("coil", "discrete")
    if bit:
        kind = c.type or "bit"
    if (kind == "bit") != bit:
        yield f"{where}.type: {kind} is not allowed in {table}; bit goes with coil and discrete"
    elif kind == "string" and c.length is None:
        yield f"{where}.length: missing; registers of the string are required"
    elif kind != "string" and c.length is not None:
        yield f"{where}.length: {c.length} is not allowed with {kind}; it goes with string"
    elif c.mask is not None and "int" not in kind:
        yield f"{where}.mask: {c.mask:#x} is not allowed with {kind}; it goes with integers"
    else:
        try:
            cell(c)
        except ValueError as error:
            yield f"{where}: {error}"


def _actuator(where: str, device: DeviceSettings, t: TagSettings) -> Iterator[str]:
    if t.safe is None:
        return
    if t.table in ("input", "discrete"):
        yield f"{where}.safe: an actuator must be a holding register or a coil, not {t.table}"
    if t.mask is not None:
        yield f"{where}.mask: is not allowed for an actuator; a register is never written in part"
    words = cell(t).count if t.type not in (None, "bit") and not t.length else 1
    if device.writes == "single" and words > 1:
        yield (
            f"{where}.type: {t.type} is not allowed for an actuator with writes = single; "
            "a function that writes one register would tear it"
        )


def _states(where: str, t: TagSettings) -> Iterator[str]:
    if not t.states:
        return
    if t.type in ("float32", "float64"):
        yield f"{where}.states: is not allowed with {t.type}; it goes with integers and bits"
    if (t.scale, t.offset) != (1, 0):
        yield f"{where}.states: is not allowed with scale or offset; states are the bare numbers"
    if t.safe is None:
        for state in sorted(t.states):
            if not t.low <= state <= t.high:
                bounds = f"{t.low:g} to {t.high:g}"
                yield f"{where}.states: {state} is not allowed; {bounds} is the tag's range"
    else:  # a loop moves it through its range
        wanted = range(math.ceil(t.low), math.floor(t.high) + 1)
        if len(wanted) > len(t.states) or any(n not in t.states for n in wanted):
            bounds = f"{t.low:g} to {t.high:g}"
            yield f"{where}.states: every whole number from {bounds} of an actuator needs a name"


def _quality(where: str, t: TagSettings) -> Iterator[str]:
    q = t.quality
    assert q is not None
    if len(q.places) != 1:
        yield f"{where}: {PLACES}"
        return
    if q.type in ("float32", "float64", "string"):
        yield f"{where}.type: {q.type} is not allowed; an integer or a bit"
        return
    wrong = list(_coding(where, q))
    yield from wrong
    if wrong:
        return
    low, high = cell(q).limits
    for key in ("good", "uncertain"):
        for number in cast("tuple[int, ...]", getattr(q, key)):
            if not low <= number <= high:
                yield f"{where}.{key}: {number} is not allowed; {low:g} to {high:g} can be there"
    for number in sorted({*q.good} & {*q.uncertain}):
        yield f"{where}.uncertain: {number} is not allowed; it is good already"


def _equals(where: str, info: InfoSettings) -> Iterator[str]:
    if info.equals is None:
        return
    there = cell(info)
    if (there.type == "string") != isinstance(info.equals, str):
        what = "a text" if there.type == "string" else "a number"
        yield f"{where}.equals: {info.equals!r} is not allowed; {what} goes with {there.type}"
    elif isinstance(info.equals, str):
        try:
            fits = there.text(there.pack(info.equals)) == info.equals
        except ValueError:
            fits = False
        if not fits:
            yield (
                f"{where}.equals: {info.equals!r} is not allowed; at most {2 * there.length} "
                "printable Latin-1 characters, no space at either end"
            )
    elif not there.limits[0] <= info.equals <= there.limits[1]:
        low, high = there.limits
        yield f"{where}.equals: {info.equals} is not allowed; {low:.20g} to {high:.20g}"
    elif "float" not in there.type and info.equals != int(info.equals):
        yield f"{where}.equals: {info.equals} is not allowed; {there.type} holds whole numbers"


def _fits(where: str, t: TagSettings) -> Iterator[str]:
    """Yield if the range of a tag does not fit the counts of its register."""
    there = cell(t)
    low, high = there.limits
    if there.type == "bit":
        if (t.low, t.high) != (0, 1):
            yield f"{where}: {t.low:g} to {t.high:g} is not allowed; the range of a bit is 0 to 1"
        return
    counts = [(v - t.offset) / t.scale for v in (t.low, t.high)]
    if min(counts) < low - 0.5 or max(counts) > high + 0.5:
        mask = "" if t.mask is None else f" and mask {t.mask:#x}"
        yield (
            f"{where}: {t.low:g} to {t.high:g} {t.unit} does not fit {there.type} "
            f"with scale {t.scale:g}{mask}; {low:.20g} to {high:.20g} counts are allowed"
        )
    elif t.safe is not None and "int" in there.type and max(map(abs, counts)) > EXACT:
        yield f"{where}: {max(map(abs, counts)):g} counts is not allowed for an actuator; 2^53"


def _remaining(where: str, t: TagSettings) -> Iterator[str]:
    """Yield what the register itself objects to; the range and the safe value are seen to."""
    try:
        t.tag()
    except ValueError:
        return
    try:
        register(t)
    except ValueError as error:
        yield f"{where}: {error}"


def _whole(where: str, device: DeviceSettings, there: Cell) -> Iterator[str]:
    most = device.read.max_bits if there.type == "bit" else device.read.max_registers
    if there.count > most:
        yield (
            f"{where}: {there.count} registers at once are needed; "
            f"read.max_registers = {most} allows too few"
        )
    if not any(wrong_reads("", device)):
        try:
            limits(device).around(there)
        except ValueError as error:
            yield f"{where}: {error}"


def _apart(where: str, device: DeviceSettings, t: TagSettings, taken: Taken) -> Iterator[str]:
    if device.watchdog is not None:
        address = device.watchdog.holding
        taken.setdefault(("holding", address), [("the watchdog", 0, address)])
    there = cell(t)
    for address in range(there.address, there.end):
        here = taken.setdefault((there.table, address), [])
        for name, mask, start in here:
            if not (t.mask and mask and start == there.address):
                yield f"{where}.{there.table}: {address} is not allowed; {name} lives there"
                return
            if t.mask & mask:
                yield f"{where}.mask: {t.mask:#x} is not allowed; {name} has bits of it"
                return
        here.append((t.name, t.mask or 0, there.address))
