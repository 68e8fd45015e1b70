"""How punctual the controller is, and what it costs: the figures of "real time".

    .venv/bin/python tests/bench/bench_realtime.py many [SECONDS] [RESULTS.jsonl]
    .venv/bin/python tests/bench/bench_realtime.py fast [SECONDS] [RESULTS.jsonl]

``many``: 100 reactors of 30 tags each, scanned once a second, a batch with its loops, interlocks,
alarms and estimator running in every one, and asked for its state once a second, as the console
does. ``fast``: one such reactor at 10 Hz, beside stress-ng.

The controller is the real process with its store, and what it stored of its own punctuality
(``R1.scan.lateness``, ``R1.scan.missed``) is what is judged. The vessels are simulated behind real
Modbus servers in a second process, whose time is not counted. In a third a bare loop does nothing
but sleep until as many moments, under the same priority: what makes it late is the machine. What
was seen is kept in RESULTS every minute; interrupted, the same command measures the minutes that
are missing. It ends with 1 if a limit is exceeded; how late ``fast`` is counts where the machine
permits priority only.
"""

import asyncio
import gc
import json
import math
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
from array import array
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script, from anywhere

from controller.priority import scan_first
from drivers.clock import monotonic
from fermloop.campaign.results import Results, Row
from tests.system.plant_processes import PLANT, Site, free_port

TAGS = 30
PART_S = 60.0
MORE = (  # what no loop needs but people look at: name, unit and range
    ("power", "W", 0, 500),
    ("foam", "%", 0, 100),
    ("head_pressure", "bar", 0, 4),
    ("coolant_temperature", "Cel", 0, 50),
    ("acid_flow", "mL/min", -1, 10),
    ("base_flow", "mL/min", -1, 10),
    ("antifoam_flow", "mL/min", -1, 10),
    ("inducer_flow", "mL/min", -1, 10),
    ("feed_flow", "mL/h", -10, 400),
)
STRESS = ("--cpu", "4", "--io", "1", "--vm", "1", "--vm-bytes", "256M")


class Case(NamedTuple):
    """What is measured, and its limits.

    Attributes:
        reactors: each with its own device.
        scan_s: s.
        stressed: with stress-ng beside it.
        quantile: which lateness is judged.
        most_late_ms: its limit.
        most_cpu: share of a core.
    """

    reactors: int
    scan_s: float
    stressed: bool
    quantile: str
    most_late_ms: float
    most_cpu: float


CASES = {
    "many": Case(100, 1.0, False, "p99.9", 50.0, 0.5),
    "fast": Case(1, 0.1, True, "p99", 10.0, 0.5),
}


def plant_text(folder: Path, case: Case) -> str:
    """Return a plant file of reactors like the demo's, each with one Modbus device."""
    text = PLANT.read_text(encoding="utf-8")
    io, rest = text[text.index("[device.R1-io]") :].split("[device.R1-gas]")
    gas, rest = rest.split("]\n\n", 1)
    rest = re.sub(r"(?ms)^\[reactor\.R1\.optimiser\].*?\n\n", "", rest)
    held, place = 16, 20

    def moved(tag: re.Match[str]) -> str:
        nonlocal held, place
        if "safe" in tag[0]:
            held += 2
            return f'holding = {held - 2}, type = "float32"'
        place += 2
        return f'input = {place - 2}, type = "float32"'

    tags = re.sub(r'node = "[^"]*"', "PLACE", gas[gas.index("tags = [") + len("tags = [\n") :])
    tags = "\n".join(re.sub("PLACE.*", lambda m: moved(m) + m[0][5:], t) for t in tags.splitlines())
    more = "".join(
        f'  {{ name = "R1.{name}", unit = "{unit}", low = {low}, high = {high}, '
        f'input = {place + 2 * i}, type = "float32" }},\n'
        for i, (name, unit, low, high) in enumerate(MORE)
    )
    reactor = io.rstrip().removesuffix("]") + tags + "\n" + more + "]\n\n" + rest
    parts = [f'site = "bench"\ndata_dir = {json.dumps(str(folder / "data"))}\n']
    parts.append(f"scan_s = {case.scan_s}\n\n")
    for k in range(1, case.reactors + 1):
        own = re.sub(r"\bR1\b", f"R{k}", reactor)
        parts.append(own.replace("127.0.0.1:5020", f"127.0.0.1:{free_port()}"))
    return "\n".join(parts)


# -- the other processes ---------------------------------------------------------------------------


def sleep_only(moments: int, pipe: Connection) -> None:
    """Wake at ``moments`` evenly spread over each second; tell how late that was, ms."""

    async def main() -> None:
        late, due, n = array("d"), monotonic() + 1.0, 0
        while True:
            await asyncio.sleep(due + n / moments - monotonic())
            late.append(1e3 * (monotonic() - due - n / moments))
            n += 1
            if pipe.poll():
                pipe.recv()
                pipe.send(list(late))
                del late[:]

    scan_first()
    gc.freeze()
    asyncio.run(main())


def cpu_s(pid: int) -> float:
    """Return the processor time of a process and its threads so far, s."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Bare:
    """The bare loop in its process."""

    def __init__(self, moments: int) -> None:
        self._pipe, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        self.process = context.Process(target=sleep_only, args=(moments, theirs), daemon=True)
        self.process.start()

    def asked(self) -> list[float]:
        """Return by how much it was late since it was last asked, ms."""
        self._pipe.send(None)
        return [round(late, 2) for late in self._pipe.recv()]


# -- the measurement -------------------------------------------------------------------------------


@asynccontextmanager
async def running(site: Site) -> AsyncGenerator[int]:
    """Run the controller with a batch in every reactor; give its process id."""
    controller = site.start("controller", site.plant.path)
    await site.until("it scans", lambda s: s["scans"] > 0)
    start = {"action": "start", "recipe": str(site.recipe), "reason": "bench"}
    for reactor in site.plant.settings.reactor:
        await site.ask(f"/recipe/{reactor}", start)
    await site.until("it is stored", lambda s: s["samples_stored"] > 0)
    await asyncio.sleep(5.0)  # the start of 100 batches is not what is measured
    yield controller.pid
    controller.terminate()
    controller.wait(60.0)


def stored(site: Site, key: str, since: float) -> list[float]:
    """Return what the store has of one of the controller's own tags of all reactors."""
    found: list[float] = []
    with site.store() as reader:
        tags = reader.tags()
        for name in site.plant.settings.reactor:
            samples = reader.read(tags[f"{name}.scan.{key}"], since, 1e12)
            found += [s.value for s in samples] if key == "lateness" else [samples[-1].value]
    return found


@contextmanager
def stress() -> Generator[None]:
    """Keep every core of the machine busy."""
    process = subprocess.Popen(["stress-ng", *STRESS], stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


async def measure(folder: Path, case: Case, parts: Sequence[int], s: float, kept: Results) -> None:
    """Run everything for so many parts of ``s`` seconds and keep what was seen in each."""
    site = Site(folder, text=plant_text(folder, case))
    assert len(site.plant.tags) == case.reactors * TAGS
    with ExitStack() as stack:
        bare = Bare(round(case.reactors / case.scan_s))
        stack.callback(bare.process.kill)
        devices = site.start_simulator(1).pid
        if case.stressed:
            stack.enter_context(stress())
        try:
            async with running(site) as pid:
                for part in parts:
                    row = await one(site, pid, devices, bare, s)
                    kept.append({"part": part, **row})
        finally:
            await site.close()


async def one(site: Site, pid: int, devices: int, bare: Bare, seconds: float) -> Row:
    """Return what was seen in a part."""
    missed, since = sum(stored(site, "missed", 0.0)), (await site.state())["time"]
    bare.asked()
    began, cpu, far = monotonic(), cpu_s(pid), cpu_s(devices)
    while monotonic() < began + seconds:
        await site.state()  # as the console does
        await asyncio.sleep(1.0)
    row: Row = {
        "seconds": monotonic() - began,
        "cpu_s": cpu_s(pid) - cpu,
        "devices_cpu_s": cpu_s(devices) - far,
        "bare_ms": bare.asked(),
        "load": os.getloadavg()[0],
        "resident_mb": resident_mb(pid),
    }
    await asyncio.sleep(2.0)  # until the last second is committed
    state = await site.state()
    return row | {
        "late_ms": [round(late, 2) for late in stored(site, "lateness", since)],
        "missed": sum(stored(site, "missed", 0.0)) - missed,
        "lost": state["samples_lost"],
        "stored": state["samples_stored"],
        "priority": "no real-time priority" not in site.said(),
    }


def resident_mb(pid: int) -> int:
    """Return the memory of a process, MB."""
    (line,) = re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(line) // 1024


def quantiles(late_ms: Sequence[float]) -> dict[str, float]:
    """Return quantiles and the greatest, ms."""
    found = sorted(late_ms)
    at = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
    return {k: round(found[math.ceil(q * len(found)) - 1], 2) for k, q in at.items()}


def figures(parts: Sequence[Row]) -> dict[str, Any]:
    """Return what all parts together have shown."""
    seconds = sum(part["seconds"] for part in parts)
    return {
        "parts": len(parts),
        "seconds": round(seconds, 1),
        "scans": sum(len(part["late_ms"]) for part in parts),
        "missed": sum(part["missed"] for part in parts),
        **{
            f"{who}_share": round(sum(part[f"{who}_s"] for part in parts) / seconds, 4)
            for who in ("cpu", "devices_cpu")
        },
        **{k: quantiles([x for part in parts for x in part[k]]) for k in ("late_ms", "bare_ms")},
        **{k: max(part[k] for part in parts) for k in ("resident_mb", "load", "lost")},
        "priority": all(part["priority"] for part in parts),
    }


def main() -> int:
    """Run it, print the figures and return whether a limit was exceeded."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in CASES:
        print(__doc__, file=sys.stderr)
        return 2
    case, seconds = CASES[name], float(sys.argv[2]) if len(sys.argv) > 2 else PART_S
    parts = range(math.ceil(seconds / PART_S))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(sys.argv[3]) if len(sys.argv) > 3 else Path(folder) / "results.jsonl"
        with Results(path, lambda row: row["part"]) as kept:
            missing = [part for part in parts if part not in kept.rows]
            if missing:
                asyncio.run(measure(Path(folder), case, missing, min(seconds, PART_S), kept))
            found = figures([kept.rows[part] for part in parts])
    print(json.dumps(found, indent=1))
    late = found["late_ms"][case.quantile] > case.most_late_ms
    if case.stressed and not found["priority"]:
        late = False
    return int(late or found["cpu_share"] > case.most_cpu or found["missed"] + found["lost"] > 0)


if __name__ == "__main__":
    sys.exit(main())
