"""100 devices of 30 tags, each read once a second by one controller, and how late it is.

    .venv/bin/python tests/bench/bench_devices.py [SECONDS] [RESULTS.jsonl]

The real controller (scan, drivers, loops that write, local store) runs in this process; the
devices are pymodbus servers in a second one. In a third a bare loop does nothing but sleep until
the same moments, under the same priority: what makes it late is the machine. A line of figures
is appended to RESULTS every minute. It ends with 1 if a limit of the issue is exceeded.
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
import time
from array import array
from collections.abc import Mapping
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script, from anywhere

from controller.controller import Controller
from controller.plant import Plant, load_plant
from controller.priority import scan_first
from controller.scan import SPACING_S, SPREAD, TOGETHER
from drivers.clock import monotonic, wall
from drivers.point import Quality
from historian.sqlite import SqliteStore
from tests.system.many_devices import controller_of, served, write_plant
from tests.system.plant_processes import free_port

DEVICES, TAGS = 100, 30
MOST_CPU, MOST_LATE_S = 0.5, 0.05
REPORT_S = 60.0
OFFSETS = [i // TOGETHER * min(SPACING_S, SPREAD / -(-DEVICES // TOGETHER)) for i in range(DEVICES)]


class Lateness:
    """Seconds by which things were late."""

    def __init__(self) -> None:
        self.all = array("d")

    def figures(self) -> dict[str, float]:
        """Return quantiles and the greatest, ms."""
        found = sorted(self.all)
        at = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
        ms = {k: 1e3 * found[min(math.ceil(q * len(found)), len(found)) - 1] for k, q in at.items()}
        return {k: round(v, 2) for k, v in (ms | {"max": 1e3 * found[-1]}).items()}


def serve(path: Path, pipe: Connection) -> None:
    """Be the devices until somebody speaks, then tell the CPU time."""

    async def main() -> None:
        async with served(load_plant(path)):
            scan_first()
            gc.collect()
            gc.freeze()
            pipe.send(None)
            before = _cpu()
            await asyncio.to_thread(pipe.recv)
            pipe.send(_cpu() - before)

    asyncio.run(main())


def sleep_only(pipe: Connection) -> None:
    """Wake at the same moments as the scan asks its devices, and tell how late that was."""
    stop = threading.Event()
    threading.Thread(target=lambda: (pipe.recv(), stop.set()), daemon=True).start()

    async def main() -> None:
        due, moments = monotonic() + 1.0, sorted(set(OFFSETS))
        while not stop.is_set():
            for offset in moments:
                await asyncio.sleep(due + offset - monotonic())
                late.all.append(monotonic() - due - offset)
            due += 1.0

    late = Lateness()
    scan_first()
    gc.freeze()
    asyncio.run(main())
    pipe.send(late.figures())


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Watch:
    """Counts what the scan does, after each scan."""

    def __init__(self, control: Controller) -> None:
        self.scans, self.values = Lateness(), Lateness()
        self.not_good = 0
        self._scan = control.scan
        self._once = control.scan.once
        self._began, self._cpu = monotonic(), _cpu()
        control.scan.once = self.once

    async def once(self, now: float) -> None:
        due: float = self._scan._due  # pyright: ignore[reportPrivateUsage]
        self.scans.all.append(now - due)
        await self._once(now)
        for device, offset in zip(self._scan.devices, OFFSETS, strict=True):
            sample = device.samples(now)[device.settings.tags[0].name]
            self.values.all.append(sample.time - due - offset)
            self.not_good += sample.quality is not Quality.GOOD or sample.time < now

    def figures(self) -> dict[str, Any]:
        took = monotonic() - self._began
        return {
            "seconds": round(took, 1),
            "cpu_share": round((_cpu() - self._cpu) / took, 4),
            "scan_late_ms": self.scans.figures(),
            "value_late_ms": self.values.figures(),  # from the moment it was to be asked
            "scans": self._scan.counts.scans,
            "scans_missed": self._scan.counts.missed,
            "values_not_of_their_scan": self.not_good,
            "resident_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "load": os.getloadavg()[0],
        }


async def run(plant: Plant, seconds: float, results: Path | None) -> dict[str, Any]:
    """Control the plant for so long and return the figures."""
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
        end = monotonic() + seconds
        while (left := end - monotonic()) > 0:
            await asyncio.sleep(min(REPORT_S, left))
            if results is not None:
                _append(results, watch.figures())
        control.scan.stopping = True
        await task
    store.close()
    figures = watch.figures()
    return figures | {"samples_lost": store.lost, "samples_stored": store.stored}


def _append(results: Path, figures: Mapping[str, Any]) -> None:
    with results.open("a", encoding="utf-8") as out:
        out.write(json.dumps(figures) + "\n")


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
    results = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    began = time.strftime("%H:%M:%S", time.gmtime(wall()))
    with tempfile.TemporaryDirectory() as folder:
        plant = write_plant(Path(folder), [free_port() for _ in range(DEVICES)])
        assert len(plant.tags) == DEVICES * TAGS
        devices, far = _start(serve, plant.path)
        far.recv()
        control, bare = _start(sleep_only)
        figures = asyncio.run(run(plant, seconds, results))
        figures["began_utc"] = began
        for name, pipe, process in (("bare_ms", bare, control), ("far_end_cpu_s", far, devices)):
            pipe.send(None)
            figures[name] = pipe.recv()
            process.join()
    print(json.dumps(figures, indent=1))
    if results is not None:
        _append(results, figures)
    late = max(figures["scan_late_ms"]["p99.9"], figures["value_late_ms"]["p99.9"]) / 1e3
    return int(figures["cpu_share"] > MOST_CPU or late > MOST_LATE_S or figures["scans_missed"] > 0)


if __name__ == "__main__":
    sys.exit(main())
