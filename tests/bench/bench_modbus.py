"""Polls of one Modbus TCP device: our driver beside a bare pymodbus client, same blocks, same run.

Run by name: ``pytest tests/bench/bench_modbus.py -m bench -s``. libmodbus is the device, in a
process of its own. Ours decodes every register into a sample with quality; the bare client stops at
words. Rounds take turns, so that both see the same machine. The assertion is the goal.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from time import process_time

import pytest
from pymodbus.client import AsyncModbusTcpClient

from drivers.clock import SystemClock, monotonic
from drivers.modbus import ModbusDriver, Register
from drivers.modbus.tcp import ModbusTcpLink
from drivers.point import Tag
from tests.drivers.modbus.libmodbus_server import UNIT
from tests.system.plant_processes import free_port

pytestmark = pytest.mark.bench

ROUNDS, POLLS = 15, 300
SERVER = Path(__file__).parents[1] / "drivers" / "modbus" / "libmodbus_server.py"
TAGS = [
    *(Register(Tag(f"R1.in{k}", "1", 0, 65535), "input", k) for k in range(15)),
    *(Register(Tag(f"R1.out{k}", "1", 0, 65535, safe=0), "holding", k) for k in range(10)),
    *(Register(Tag(f"R1.bit{k}", "1", 0, 1), "discrete", k, "bit") for k in range(5)),
]


async def timed(poll: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Return wall and CPU microseconds a poll."""
    wall, cpu = monotonic(), process_time()
    for _ in range(POLLS):
        await poll()
    wall, cpu = monotonic() - wall, process_time() - cpu
    return 1e6 * wall / POLLS, 1e6 * cpu / POLLS


async def test_our_polls_are_as_many_as_those_of_a_bare_client() -> None:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, SERVER, "tcp", str(port), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    await process.stdout.readline()
    figures: dict[str, list[tuple[float, float]]] = {"ours": [], "pymodbus": []}
    try:
        for _ in range(ROUNDS):  # libmodbus serves one client at a time
            ours = ModbusDriver(
                "R1", TAGS, ModbusTcpLink("127.0.0.1", port, UNIT, 5), SystemClock()
            )
            await ours.read()
            figures["ours"].append(await timed(ours.read))
            await ours.close()
            bare = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=5)
            assert await bare.connect()

            async def poll(client: AsyncModbusTcpClient = bare) -> None:
                words = (
                    await client.read_input_registers(0, count=15, device_id=UNIT),
                    await client.read_holding_registers(0, count=10, device_id=UNIT),
                    await client.read_discrete_inputs(0, count=5, device_id=UNIT),
                )
                assert not any(w.isError() for w in words)

            await poll()
            figures["pymodbus"].append(await timed(poll))
            bare.close()
    finally:
        process.kill()
        await process.wait()
    wall = {who: median(w for w, _ in rounds) for who, rounds in figures.items()}
    cpu = {who: median(c for _, c in rounds) for who, rounds in figures.items()}
    for who in figures:
        print(f"\n{who}: {1e6 / wall[who]:.0f} polls/s, {cpu[who]:.0f} us CPU a poll", end="")
    print(f"\nours / pymodbus: {wall['pymodbus'] / wall['ours']:.2f} of its polls/s")
    assert wall["pymodbus"] / wall["ours"] >= 0.9
