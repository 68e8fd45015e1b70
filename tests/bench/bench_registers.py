"""How long 15 registers take from a reply's bytes to samples, and a write at the fence.

    .venv/bin/python tests/bench/bench_registers.py

The least of many rounds is given: the machine is busy with other things.
"""

import sys
import timeit
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script, from anywhere

from drivers.modbus import Cell, Fence, ReadPlan, Register, Status
from drivers.point import Tag


def tag(k: int, high: float = 100, safe: float | None = None) -> Tag:
    return Tag(f"R1.x{k}", "1", 0, high, safe)


def report(what: str, work: Callable[[], object]) -> None:
    rounds = timeit.repeat(work, number=3000, repeat=30)
    print(f"{what}: {1e6 * min(rounds) / 3000:.2f} us")


def decoding(what: str, registers: Sequence[Register]) -> None:
    plan = ReadPlan(registers)
    replies = [b.head + bytes(b.length - 2) for b in plan.blocks]
    report(f"15 registers, {what}", lambda: plan.samples(replies, 1.0))


if __name__ == "__main__":
    floats = [Register(tag(k), "input", 2 * k, "float32") for k in range(8)]
    decoding(
        "8 float32 and 7 int16",
        floats + [Register(tag(20 + k), "input", 20 + k, "int16", 0.01) for k in range(7)],
    )
    decoding(
        "float32 in little order of words and bytes",
        [
            Register(tag(k), "input", 2 * k, "float32", words="little", byte_order="little")
            for k in range(15)
        ],
    )
    decoding(
        "each with a status register",
        [
            Register(
                tag(k), "input", 3 * k, "float32", status=Status(Cell("input", 3 * k + 2), (0,))
            )
            for k in range(15)
        ],
    )
    decoding(
        "bits of one register by mask",
        [Register(tag(k, 1), "input", 0, mask=1 << k) for k in range(15)],
    )
    fence = Fence([Register(tag(k, 100, 0), "holding", k, scale=0.01) for k in range(6)])
    write = [bytes.fromhex("10 0000 0006 0C 0001 0002 0003 0004 0005 0006")]
    reads = [bytes.fromhex("03 0000 0006"), bytes.fromhex("04 0000 0006")]
    report("the fence, a write of 6 actuators", lambda: fence.check(write))
    report("the fence, 2 reads", lambda: fence.check(reads))
