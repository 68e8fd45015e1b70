"""What the plant file says of Modbus registers, as the driver needs it. Opens nothing."""

from typing import Any

from controller.plant_file.device_settings import (
    Coding,
    DeviceSettings,
    InfoSettings,
    TagSettings,
    WholeSettings,
)
from drivers.clock import Clock
from drivers.modbus import (
    Cell,
    Info,
    Limits,
    ModbusDriver,
    Read,
    ReadPlan,
    Register,
    Status,
    Watchdog,
)


def register(t: TagSettings) -> Register:
    """Return where a Modbus tag lives.

    Raises:
        ValueError: it cannot be there, or its range does not fit.
    """
    there = cell(t)
    return Register(
        t.tag(),
        there.table,
        there.address,
        there.type,
        scale=t.scale,
        offset=t.offset,
        words=t.words,
        byte_order=t.bytes,
        mask=t.mask,
        status=t.quality and Status(cell(t.quality), t.quality.good, t.quality.uncertain),
    )


def about(i: InfoSettings) -> Info:
    """Return where a Modbus device says something of itself, and what that must be."""
    return Info(i.name, cell(i), i.equals)


def cell(c: Coding) -> Cell:
    """Return where something lives and how it is coded; a type not given is uint16 or bit.

    Raises:
        ValueError: these do not fit each other.
    """
    table, address = c.places[0]
    kind = c.type or ("bit" if table in ("coil", "discrete") else "uint16")
    return Cell(table, address, kind, c.words, c.bytes, c.mask, c.length or 0)


def limits(settings: DeviceSettings) -> Limits:
    """Return what one read request may move."""
    read = settings.read
    whole = tuple(span(w) for w in read.whole)
    return Limits(read.max_registers, read.max_bits, read.max_gap, whole)


def span(w: WholeSettings) -> Cell:
    """Return the registers that are read as a whole.

    Raises:
        ValueError: they go beyond the last register, or are none.
    """
    table, address = w.places[0]
    if table in ("coil", "discrete"):
        raise ValueError(f"whole is for registers, not for {table}")
    return Cell(table, address, "string", length=w.count)


def read_plan(settings: DeviceSettings) -> tuple[Read, ...]:
    """Return the requests of one read of a Modbus device."""
    dog = settings.watchdog
    armed = {} if dog is None or dog.armed_input is None else {"armed": dog.armed_input}
    others = {name: Cell("input", address) for name, address in armed.items()}
    return ReadPlan([register(t) for t in settings.tags], limits(settings), others).reads


def modbus_driver(name: str, settings: DeviceSettings, link: Any, clock: Clock) -> ModbusDriver:
    """Return the driver of a Modbus device over ``link``."""
    dog = settings.watchdog
    return ModbusDriver(
        name,
        [register(t) for t in settings.tags],
        link,
        clock,
        dog and Watchdog(dog.holding, dog.armed_input),
        infos=[about(i) for i in settings.info],
        limits=limits(settings),
        writes=settings.writes,
    )
