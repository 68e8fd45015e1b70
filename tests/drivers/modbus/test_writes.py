"""Writes by each choice of function codes: exchanges worked by hand from the specification."""

from collections.abc import Sequence

import pytest

from drivers.clock import SystemClock
from drivers.driver import DeviceError
from drivers.modbus import Fence, Link, ModbusDriver, Register, Watchdog
from drivers.modbus.writes import How
from drivers.point import Tag
from sim.image import RegisterImage
from sim.links import answer

STIRRER = Register(Tag("R1.stirrer", "{r}/min", 0, 1000, 300), "holding", 0)
HEATER = Register(Tag("R1.heater", "%", 0, 100, 0), "holding", 1, scale=0.01)
VALVE = Register(Tag("R1.valve", "1", 0, 1, 0), "coil", 7, "bit")
ACID = Register(Tag("R1.acid", "mL/min", 0, 5, 0), "holding", 4, "float32", words="little")


class Bench(Link):
    """A device on the bench whose every request is noted."""

    address = "bench"

    def __init__(self, registers: Sequence[Register]) -> None:
        self.fence = Fence()
        self.asked: list[str] = []
        self.held = {r.tag.name: 0.0 for r in registers} | {"watchdog": 0.0}
        self.spoil: dict[int, bytes] = {}
        dog = Register(Tag("watchdog", "1", 0, 0xFFFF, 0), "holding", 10)
        self._image = RegisterImage(
            [*registers, dog],
            {n: lambda n=n: self.held[n] for n in self.held},
            {n: lambda v, n=n: self.held.update({n: v}) for n in self.held},
        )

    async def exchange(
        self,
        requests: Sequence[bytes],
        *,
        unit: int | None = None,
        timeout_s: float | None = None,
    ) -> list[bytes]:
        self.fence.check(requests, unit)
        self.asked += [r.hex(" ", -2).upper() for r in requests]
        return [self.spoil.get(r[0]) or answer(self._image, r) for r in requests]

    def reset(self) -> None:
        """There is no connection."""

    async def close(self) -> None:
        """There is no connection."""


def driver(how: How, *registers: Register) -> tuple[ModbusDriver, Bench]:
    bench = Bench(registers)
    made = ModbusDriver("R1-io", registers, bench, SystemClock(), Watchdog(10), writes=how)
    return made, bench


async def test_functions_15_and_16_write_runs_and_read_them_back() -> None:
    io, bench = driver("multiple", STIRRER, HEATER, VALVE, ACID)
    held = await io.write({"R1.stirrer": 500, "R1.heater": 12.5, "R1.valve": 1, "R1.acid": 1.0})
    assert [bytes.fromhex(a) for a in bench.asked] == [
        bytes.fromhex(h)
        for h in (
            "0F 0007 0001 01 01",
            "10 0000 0002 04 01F4 04E2",
            "10 0004 0002 04 0000 3F80",
            "01 0007 0001",
            "03 0000 0006",
        )
    ]
    assert [held[n].value for n in ("R1.stirrer", "R1.heater", "R1.valve", "R1.acid")] == [
        500,
        12.5,
        1,
        1.0,
    ]


async def test_functions_5_and_6_write_one_at_a_time() -> None:
    io, bench = driver("single", STIRRER, HEATER, VALVE)
    await io.write({"R1.stirrer": 500, "R1.heater": 12.5, "R1.valve": 1})
    await io.write({"R1.valve": 0})
    await io.heartbeat(3)
    assert [bytes.fromhex(a) for a in bench.asked] == [
        bytes.fromhex(h)
        for h in (
            "05 0007 FF00",
            "06 0000 01F4",
            "06 0001 04E2",
            "01 0007 0001",
            "03 0000 0002",
            "05 0007 0000",
            "01 0007 0001",
            "06 000A 0003",
        )
    ]


async def test_function_23_writes_and_reads_back_in_one_request() -> None:
    io, bench = driver("read_write", STIRRER, HEATER, VALVE, ACID)
    held = await io.write({"R1.heater": 12.5, "R1.valve": 1, "R1.acid": 1.0})
    await io.heartbeat(3)
    assert [bytes.fromhex(a) for a in bench.asked] == [
        bytes.fromhex(h)
        for h in (
            "0F 0007 0001 01 01",  # function 23 knows no coils
            "17 0001 0001 0001 0001 02 04E2",
            "17 0004 0002 0004 0002 04 0000 3F80",
            "01 0007 0001",
            "17 000A 0001 000A 0001 02 0003",
        )
    ]
    assert {n: s.value for n, s in held.items()} == {
        "R1.heater": 12.5,
        "R1.valve": 1,
        "R1.acid": 1.0,
    }


@pytest.mark.parametrize(
    ("how", "code", "reply", "message"),
    [
        ("single", 6, "06 0001 04E3", "5 bytes 06 00 01 04 e3 in reply to a write"),
        ("single", 6, "86 02", r"exception 2 \(illegal data address\) to a write of 1 registers"),
        ("read_write", 23, "17 02 04E3", "R1.heater reads back 12.51 % after 12.5 was written"),
        ("read_write", 23, "17 04 04E2 0000", "6 bytes 17 04 .* not 4"),
        ("read_write", 23, "17 02 04", "3 bytes"),
        ("read_write", 23, "97 01", r"exception 1 \(illegal function\) to a write"),
        ("read_write", 23, "03 02 04E2", "function code 3 in reply to .*, not 23"),
    ],
)
async def test_a_reply_that_does_not_confirm_is_an_error(
    how: How, code: int, reply: str, message: str
) -> None:
    io, bench = driver(how, STIRRER, HEATER)
    bench.spoil[code] = bytes.fromhex(reply)
    with pytest.raises(DeviceError, match=message):
        await io.write({"R1.heater": 12.5})


def test_one_register_at_a_time_is_refused_where_it_would_tear_a_number() -> None:
    with pytest.raises(ValueError, match="writes = single: holding 4: 2 registers"):
        driver("single", STIRRER, ACID)
