"""One test's plant: its own files, ports and folder, real servers and real processes."""

import asyncio
import itertools
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx

from controller.plant import Plant, load_plant
from drivers.clock import monotonic
from drivers.point import Sample
from fermloop.commands.live import plain
from historian.event_rows import EventRow
from historian.reader import SqliteReader

ROOT = Path(__file__).parents[2]
PLANT, RECIPE = ROOT / "sim/plants/ecoli_5l.toml", ROOT / "sim/recipes/ecoli.toml"
PATIENCE_S = 60.0  # wall; what is waited for takes a second or a few on a machine that is not busy
LOOK_S = 0.02  # wall, between two looks at the world

State = Mapping[str, Any]

# Below the ports that the kernel gives to clients: nobody takes one while its server is away, and
# no client can connect to itself there. Processes that were started together begin far apart.
_ports = itertools.count(12_000 + os.getpid() * 769 % 18_000)

# Feeds and doses from the first minute, so that there is something to lose.
FEEDING = """
name = "feeding"
organism = "ecoli"

[start]
loops = { temperature = "AUTO", ph = "AUTO", do = "AUTO", agitation = "CASCADE", air = "CASCADE", \
feed = "CASCADE", inducer = "CASCADE", antifoam = "AUTO", oxygen = "AUTO" }
setpoints = { temperature = 37.0, ph = 7.3, do = 30.0 }

[[phase]]
name = "feed"
feeds.feed = { kind = "constant", flow = 12.0 }
until = { batch_h = 10.0 }

[[phase]]
name = "harvest"
setpoints = { feed = 0.0 }
"""


def free_port() -> int:
    """Return a port that nobody uses and that no client is given by chance."""
    for port in _ports:
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
    raise AssertionError("no free port")


def plant_text(folder: Path, changes: Mapping[str, str] | None = None) -> str:
    """Return the demo's plant file with its own folder and ports, and with ``changes``.

    Args:
        folder: its ``data_dir``.
        changes: replacement by regular expression; each must match exactly once.
    """
    text = PLANT.read_text(encoding="utf-8")
    own = {
        'data_dir = "data"': f"data_dir = {json.dumps(str(folder / 'data'))}",
        r"127\.0\.0\.1:5020": f"127.0.0.1:{free_port()}",
        r"127\.0\.0\.1:4840": f"127.0.0.1:{free_port()}",
        r"127\.0\.0\.1:8080": f"127.0.0.1:{free_port()}",
    }
    for pattern, new in (own | dict(changes or {})).items():
        text, count = re.subn(f"(?m){pattern}", lambda _, new=new: new, text)
        assert count == 1, f"{pattern!r} matches {count} times"
    return text


class Site:
    """A plant file with its folder, and the processes that were started for it.

    Args:
        folder: the test's own.
        changes: to the demo's plant file, as ``plant_text`` takes them.
        text: another plant file, whole.
    """

    def __init__(
        self, folder: Path, changes: Mapping[str, str] | None = None, text: str = ""
    ) -> None:
        self.folder = folder
        path = folder / "plant.toml"
        path.write_text(text or plant_text(folder, changes), encoding="utf-8")
        self.plant: Plant = load_plant(path)
        self.recipe = folder / "feeding.toml"
        self.recipe.write_text(FEEDING, encoding="utf-8")
        self.log = folder / "log.txt"
        self.environment = {
            **os.environ,
            "XDG_RUNTIME_DIR": str(folder),
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "200",
        }
        self.processes: list[subprocess.Popen[bytes]] = []
        transport = httpx.AsyncHTTPTransport(uds=str(self.plant.socket))
        self._client = httpx.AsyncClient(transport=transport, base_url="http://plant", timeout=10)

    # -- processes -----------------------------------------------------------------------------

    def start(self, *words: str | Path) -> subprocess.Popen[bytes]:
        """Start ``python -m`` with these words; what it says goes to the log."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *map(str, words)],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.processes.append(process)
        return process

    def start_controller(self, optimiser: str = "off") -> subprocess.Popen[bytes]:
        """Start the controller's process alone, on the feeding recipe."""
        words = ("controller", self.plant.path, "--recipe", self.recipe)
        return self.start(*words, "--optimiser", optimiser)

    def start_site(self, optimiser: str = "off") -> subprocess.Popen[bytes]:
        """Start ``fermloop run``: the supervisor with everything of the plant."""
        words = ("fermloop", "run", self.plant.path, "--recipe", self.recipe)
        return self.start(*words, "--optimiser", optimiser)

    def start_simulator(self, speed: float | str, seed: int = 1) -> subprocess.Popen[bytes]:
        """Start ``fermloop simulate``."""
        words = ("fermloop", "simulate", self.plant.path, "--speed", str(speed))
        return self.start(*words, "--seed", str(seed))

    async def run(self, *words: str | Path) -> tuple[int, str, str]:
        """Run ``fermloop`` with these words to its end; return exit code, stdout and stderr."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "fermloop", *map(str, words)),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, err = await process.communicate()
        return process.returncode or 0, out.decode(), err.decode()

    async def close(self) -> None:
        """Kill what still runs."""
        await self._client.aclose()
        for process in self.processes:
            process.kill()
            process.wait()

    # -- what the controller says --------------------------------------------------------------

    async def state(self) -> State:
        """Return the controller's state; an empty one while it does not answer."""
        try:
            return (await self._client.get("/state")).json()
        except (httpx.TransportError, ValueError):
            return {}

    async def ask(self, path: str, body: Mapping[str, object]) -> str:
        """Return what the controller answers to a command."""
        answer = await self._client.post(path, json={**body, "who": "test", "role": "engineer"})
        assert answer.status_code == 200, answer.text
        return answer.json()["text"]

    async def until(
        self, what: str, true: Callable[[State], object], within_s: float = PATIENCE_S
    ) -> State:
        """Return the first state for which ``true``; the world has ``within_s`` wall seconds."""
        state: State = {}

        async def look() -> bool:
            nonlocal state
            state = await self.state()
            return bool(state) and bool(true(state))

        await self.wait(what, look, within_s, lambda: "\n".join(plain(state)) if state else "")
        return state

    async def wait(
        self,
        what: str,
        true: Callable[[], Any],
        within_s: float = PATIENCE_S,
        seen: Callable[[], object] = lambda: "",
    ) -> None:
        """Return when ``true()``, called or awaited, holds; fail after ``within_s`` wall s."""
        end = monotonic() + within_s
        while True:
            found = true()
            if await found if asyncio.iscoroutine(found) else found:
                return
            if monotonic() > end:
                tail = "\n".join(self.said().splitlines()[-25:])
                raise AssertionError(f"not within {within_s:g} s: {what}\n{seen()}\n{tail}")
            await asyncio.sleep(LOOK_S)

    def said(self) -> str:
        """Return what the processes printed."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    # -- what the store holds ------------------------------------------------------------------

    @contextmanager
    def store(self) -> Generator[SqliteReader]:
        """Give a reader of the store."""
        with SqliteReader(self.plant.store) as reader:
            yield reader

    def events(self) -> list[EventRow]:
        """Return every committed event, oldest first."""
        with self.store() as reader:
            return reader.events(0, 100_000)

    def rows(self) -> list[tuple[Any, ...]]:
        """Return every committed row of the reactor: number, time, quality, values."""
        with self.store() as reader:
            return reader.rows("R1", 0, 10_000_000).rows

    def told(self, text: str) -> list[EventRow]:
        """Return the events whose text has ``text`` in it."""
        return [e for e in self.events() if text in e["text"]]

    def samples(self, tag: str, start: float = 0.0, end: float = 1e12) -> list[Sample]:
        """Return the committed samples of a tag, oldest first."""
        with self.store() as reader:
            return reader.read(reader.tags()[tag], start, end)


@asynccontextmanager
async def site(folder: Path, changes: Mapping[str, str] | None = None) -> AsyncGenerator[Site]:
    """Give a plant of its own and kill its processes at the end."""
    made = Site(folder, changes)
    try:
        yield made
    finally:
        await made.close()


def children(pid: int) -> dict[int, str]:
    """Return the processes that ``pid`` started, with their command lines."""
    found: dict[int, str] = {}
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            line = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            found[int(child)] = line.strip()
    return found


def alive(pid: int) -> bool:
    """Return whether a process runs; one that is dead and not yet waited for does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"
