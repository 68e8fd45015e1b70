"""What a scan of a batch in virtual time does: bytecodes and calls of Python, by where they are.

    .venv/bin/python tests/bench/count_bytecodes.py [SECOND] [SCANS]

Counts SCANS (200 by default) from SECOND (1800) on, of E. coli in 5 L through the drivers' code at
1 s scans. Times depend on how busy a machine is, counts do not: a change that takes 1 % of a scan
away is seen here at once. What C does beneath them (compiled models, dictionaries) is not counted.
"""

import sys
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script, from anywhere

from controller.plant import load_plant
from controller.recipes.recipe import load_recipe
from controller.scan_group import ScanGroup
from fermloop.commands.closed_loop import run_batch

ROOT = Path(__file__).resolve().parents[2]
SHOWN = 25  # functions


class Count:
    """Bytecodes and calls by code, of the scans from ``first`` to ``last``."""

    def __init__(self, first: int, last: int) -> None:
        self.first, self.last = first, last
        self.bytecodes: Counter[CodeType] = Counter()
        self.calls: Counter[CodeType] = Counter()

    def called(self, frame: FrameType, _event: str, _arg: object) -> Any:
        """Take note of a call, and look at each of its bytecodes."""
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        self.calls[frame.f_code] += 1
        return self.step

    def step(self, frame: FrameType, event: str, _arg: object) -> Any:
        """Take note of a bytecode."""
        if event == "opcode":
            self.bytecodes[frame.f_code] += 1
        return self.step


def run(count: Count) -> None:
    """Run the batch."""
    once, number = ScanGroup.once, 0

    async def counted(self: ScanGroup, now: float) -> None:
        nonlocal number
        sys.settrace(count.called if count.first <= number < count.last else None)
        number += 1
        await once(self, now)
        sys.settrace(None)

    plant, path = load_plant(ROOT / "sim/plants/ecoli_5l.toml"), ROOT / "sim/recipes/ecoli.toml"
    ScanGroup.once = counted
    try:
        run_batch(plant, load_recipe(path), path, hours=count.last / 3600.0, seed=1)
    finally:
        ScanGroup.once = once


def main() -> None:
    """Print both in a scan, by folder and of the greatest functions."""
    first = int(sys.argv[1]) if len(sys.argv) > 1 else 1800
    scans = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    count = Count(first, first + scans)
    run(count)
    folders: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    for code, n in count.bytecodes.items():
        file = Path(code.co_filename)
        place = file.relative_to(ROOT).parent if file.is_relative_to(ROOT) else "elsewhere"
        folders[str(place)] += n
        calls[str(place)] += count.calls[code]
    print(f"{folders.total() / scans:.0f} bytecodes in {calls.total() / scans:.0f} calls a scan")
    for place, n in folders.most_common():
        print(f"  {place:<42} {n / scans:>6.0f} {calls[place] / scans:>6.1f}")
    for code, n in count.bytecodes.most_common(SHOWN):
        print(f"  {code.co_qualname:<42} {n / scans:>6.0f} {count.calls[code] / scans:>6.1f}")


if __name__ == "__main__":
    main()
