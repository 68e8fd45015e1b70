"""100 devices of 30 tags, each read once a second by one controller, and how late it is.

    .venv/bin/python tests/bench/bench_devices.py [SECONDS] [RESULTS.jsonl]

The real controller (scan, drivers, loops that write, local store) runs in this process; the
devices are pymodbus servers in a second one. In a third a bare loop does nothing but sleep until
the same moments, under the same priority: what makes it late is the machine. What was seen is
kept in RESULTS every minute; interrupted, the same command measures the minutes that are missing,
and the figures are those of all of them. It ends with 1 if a limit of the issue is exceeded.
"""

import asyncio
import gc
import json
import math
import multiprocessing
import os
import resource
import sys
import tempfile
import threading
from array import array
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script, from anywhere

from controller.controller import Controller
from controller.plant import Plant, load_plant
from controller.priority import scan_first
from controller.scan import SPACING_S, SPREAD, TOGETHER
from drivers.clock import monotonic, wall
from drivers.point import Quality
from fermloop.campaign.results import Results, Row
from historian.sqlite import SqliteStore
from tests.system.many_devices import controller_of, served, write_plant
from tests.system.plant_processes import free_port

DEVICES, TAGS = 100, 30
MOST_CPU, MOST_LATE_S = 0.5, 0.05
PART_S = 60.0
OFFSETS = [i // TOGETHER * min(SPACING_S, SPREAD / -(-DEVICES // TOGETHER)) for i in range(DEVICES)]


def figures_of(late_ms: Sequence[float]) -> dict[str, float]:
    """Return quantiles and the greatest, ms."""
    found = sorted(late_ms)
    at = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
    return {k: round(found[math.ceil(q * len(found)) - 1], 2) for k, q in at.items()}


class Lateness:
    """By how much things were late since somebody asked."""

    def __init__(self) -> None:
        self.all = array("d")

    def taken(self) -> list[float]:
        """Return all of it, ms, and begin anew."""
        found, self.all = self.all, array("d")
        return [round(1e3 * late, 2) for late in found]


def serve(path: Path, pipe: Connection) -> None:
    """Be the devices, and tell whoever asks the CPU time so far."""

    async def main() -> None:
        async with served(load_plant(path)):
            scan_first()
            gc.collect()
            gc.freeze()
            pipe.send(None)
            before = _cpu()
            while True:
                await asyncio.to_thread(pipe.recv)
                pipe.send(_cpu() - before)

    asyncio.run(main())


def sleep_only(pipe: Connection) -> None:
    """Wake at the same moments as the scan asks its devices, and tell how late that was."""

    def answer() -> None:
        while True:
            pipe.recv()
            pipe.send(late.taken())

    async def main() -> None:
        due, moments = monotonic() + 1.0, sorted(set(OFFSETS))
        while True:
            for offset in moments:
                await asyncio.sleep(due + offset - monotonic())
                late.all.append(monotonic() - due - offset)
            due += 1.0

    late = Lateness()
    threading.Thread(target=answer, daemon=True).start()
    scan_first()
    gc.freeze()
    asyncio.run(main())


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Far(NamedTuple):
    """The processes beside the controller's, each with the pipe that it answers on."""

    devices: tuple[SpawnProcess, Connection]
    bare: tuple[SpawnProcess, Connection]

    def asked(self) -> Row:
        """Return what they know of the part that ends."""
        for _, pipe in self:
            pipe.send(None)
        return {"far_end_cpu_s": self.devices[1].recv(), "bare_ms": self.bare[1].recv()}


class Watch:
    """Counts what the scan does, after each scan."""

    def __init__(self, control: Controller) -> None:
        self.scans, self.values = Lateness(), Lateness()
        self.not_good = 0
        self._scan = control.scan
        self._once = control.scan.once
        self._began, self._cpu = monotonic(), _cpu()
        self._counted = 0, 0
        control.scan.once = self.once

    async def once(self, now: float) -> None:
        due: float = self._scan._due  # pyright: ignore[reportPrivateUsage]
        self.scans.all.append(now - due)
        await self._once(now)
        for device, offset in zip(self._scan.devices, OFFSETS, strict=True):
            sample = device.samples(now)[device.settings.tags[0].name]
            self.values.all.append(sample.time - due - offset)
            self.not_good += sample.quality is not Quality.GOOD or sample.time < now

    def part(self) -> Row:
        """Return what was seen since the last part."""
        now, cpu = monotonic(), _cpu()
        row = {
            "seconds": now - self._began,
            "cpu_s": cpu - self._cpu,
            "scan_late_ms": self.scans.taken(),
            "value_late_ms": self.values.taken(),  # from the moment it was to be asked
            "scans": self._scan.counts.scans - self._counted[0],
            "scans_missed": self._scan.counts.missed - self._counted[1],
            "values_not_of_their_scan": self.not_good,
            "resident_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "load": os.getloadavg()[0],
        }
        self._began, self._cpu, self.not_good = now, cpu, 0
        self._counted = self._scan.counts.scans, self._scan.counts.missed
        return row


async def run(plant: Plant, parts: Sequence[int], part_s: float, kept: Results, far: Far) -> None:
    """Control the plant for so many parts and keep what was seen in each."""
    scan_first()
    store = SqliteStore(plant.store)
    async with controller_of(plant, store) as control:
        for reactor in control.reactors.values():
            for loop in reactor.loops:
                control.set_mode(f"{reactor.name}.{loop}", "AUTO", "bench", "bench")
        scan_first()  # the store's thread too
        gc.collect()
        gc.freeze()
        watch = Watch(control)
        task = asyncio.create_task(control.run())
        for part in parts:
            await asyncio.sleep(part_s)
            asked = await asyncio.to_thread(far.asked)
            row = {"part": part, "began_s": wall() - part_s, **watch.part(), **asked}
            kept.append(row | {"samples_lost": store.lost, "samples_stored": store.stored})
        control.scan.stopping = True
        await task
    store.close()


def figures(parts: Sequence[Row]) -> dict[str, Any]:
    """Return what all parts together have shown."""

    def total(key: str) -> float:
        return sum(part[key] for part in parts)

    def pooled(key: str) -> dict[str, float]:
        return figures_of([late for part in parts for late in part[key]])

    return {
        "parts": len(parts),
        "seconds": round(total("seconds"), 1),
        "cpu_share": round(total("cpu_s") / total("seconds"), 4),
        **{key: pooled(key) for key in ("scan_late_ms", "value_late_ms", "bare_ms")},
        **{k: total(k) for k in ("scans", "scans_missed", "values_not_of_their_scan")},
        **{k: max(p[k] for p in parts) for k in ("resident_mb", "load", "samples_lost")},
    }


def _start(target: Any, *args: Any) -> tuple[SpawnProcess, Connection]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=target, args=(*args, theirs), daemon=True
    )
    process.start()
    return process, ours


def main() -> int:
    """Run it, print the figures and return whether a limit was exceeded."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    parts = range(math.ceil(seconds / PART_S))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(folder) / "results.jsonl"
        with Results(path, lambda row: row["part"]) as kept:
            missing = [part for part in parts if part not in kept.rows]
            if missing:
                measure(Path(folder), missing, min(seconds, PART_S), kept)
            found = figures([kept.rows[part] for part in parts])
    print(json.dumps(found, indent=1))
    late = max(found["scan_late_ms"]["p99.9"], found["value_late_ms"]["p99.9"]) / 1e3
    return int(found["cpu_share"] > MOST_CPU or late > MOST_LATE_S or found["scans_missed"] > 0)


def measure(folder: Path, parts: Sequence[int], part_s: float, kept: Results) -> None:
    """Start devices and bare loop, run the controller for these parts, and end them."""
    plant = write_plant(folder, [free_port() for _ in range(DEVICES)])
    assert len(plant.tags) == DEVICES * TAGS
    far = Far(_start(serve, plant.path), _start(sleep_only))
    far.devices[1].recv()
    try:
        asyncio.run(run(plant, parts, part_s, kept, far))
    finally:
        for process, _ in far:
            process.kill()
            process.join()


if __name__ == "__main__":
    sys.exit(main())
