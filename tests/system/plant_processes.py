"""One test's plant: its own files, ports and folder, real servers and real processes."""

import asyncio
import contextlib
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Literal

import httpx

from controller.plant import Plant, load_plant
from controller.priority import scan_first
from drivers.clock import monotonic, wall
from drivers.point import Sample
from fermloop.commands.live import plain
from fermloop.commands.simulated import vessels
from historian.reader import EventRow, SqliteReader
from sim.server import PlantServer
from sim.vessel import Vessel

ROOT = Path(__file__).parents[2]
PLANT, RECIPE = ROOT / "sim/plants/ecoli_5l.toml", ROOT / "sim/recipes/ecoli.toml"
PATIENCE_S = 60.0  # wall; what is waited for takes a second or a few on a machine that is not busy
LOOK_S = 0.02  # wall, between two looks at the world

State = Mapping[str, Any]
Action = Callable[[], Awaitable[None]]

# Below the ports that the kernel gives to clients: nobody takes one while its server is away, and
# no client can connect to itself there.
_ports = itertools.count(12_000 + os.getpid() % 1_500 * 12)

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
feed = { kind = "constant", ml_per_h = 12.0 }
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
    """

    def __init__(self, folder: Path, changes: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        path = folder / "plant.toml"
        path.write_text(plant_text(folder, changes), encoding="utf-8")
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
        answer = await self._client.post(path, json={**body, "who": "test"})
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


class Wires:
    """The simulated plant of a site on real sockets in this process; its servers can be broken."""

    def __init__(self, server: PlantServer, made: Mapping[str, Vessel]) -> None:
        self.server = server
        self.vessel = made["R1"]
        self.close = server.close
        self.open = server.open


@asynccontextmanager
async def wires(
    of: Site, speed: float, seed: int = 1, biomass_g_per_l: float = 8.0
) -> AsyncGenerator[Wires]:
    """Serve the plant of a site, with a culture dense enough to need every loop."""
    made = vessels(of.plant, seed, wall() - 1e5)
    made["R1"].set_state(X=biomass_g_per_l)
    async with PlantServer(of.plant.settings.device, made, speed) as server:
        with undisturbed():
            yield Wires(server, made)


@contextmanager
def undisturbed() -> Generator[None]:
    """Let the plant in this process wait for nobody, as ``fermloop simulate`` does, if permitted.

    A real device does not stand still because this machine is busy with something else.
    """
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    scan_first()
    try:
        yield
    finally:
        with contextlib.suppress(PermissionError):
            os.sched_setscheduler(0, *before)


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


def stop(
    process: subprocess.Popen[bytes], number: int = signal.SIGTERM, within_s: float = 30
) -> int:
    """Send a signal, wait for the end and return the exit code."""
    process.send_signal(number)
    return process.wait(within_s)


class Wire:
    """A TCP connection between controller and device that is listened to and that can freeze.

    Args:
        listen: port for the controller.
        target: port of the device.
    """

    def __init__(self, listen: int, target: int) -> None:
        self._listen, self._target = listen, target
        self._flows = asyncio.Event()
        self._flows.set()
        self._ends: set[asyncio.StreamWriter] = set()
        self.asked = b""  # every byte that went from the controller to the device

    async def __aenter__(self) -> "Wire":
        self._server = await asyncio.start_server(self._join, "127.0.0.1", self._listen)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        self._flows.set()
        for end in self._ends:
            end.close()
        await self._server.wait_closed()

    async def freeze(self) -> None:
        """Let no byte through from now on; new connections are taken all the same."""
        self._flows.clear()

    async def thaw(self) -> None:
        """Let through what was held up, and everything from now on."""
        self._flows.set()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._ends.add(writer)
        try:
            await self._flows.wait()
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
            self._ends.add(back)
            await asyncio.gather(
                self._pump(reader, back, self._listen_in), self._pump(there, writer)
            )
        except OSError:
            writer.close()

    def _listen_in(self, data: bytes) -> None:
        self.asked += data

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        note: Callable[[bytes], None] = lambda _: None,
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                await self._flows.wait()
                note(data)
                writer.write(data)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def wire_to(plant: Site, device: str) -> AsyncGenerator[Wire]:
    """Put a wire before a device of a plant that is served; the plant file then names the wire."""
    address = plant.plant.settings.device[device].address
    there, here = re.findall(r"\d+", address)[-1], str(free_port())
    text = plant.plant.path.read_text(encoding="utf-8")
    plant.plant.path.write_text(text.replace(address, address.replace(there, here)))
    async with Wire(int(here), int(there)) as wire:
        yield wire


@asynccontextmanager
async def breakable(
    plant: Site, real: Wires, device: str, way: Literal["killed", "frozen"]
) -> AsyncGenerator[tuple[Action, Action]]:
    """Give what breaks a device and what mends it; the vessel behind it goes on meanwhile."""
    if way == "killed":
        yield lambda: real.close(device), lambda: real.open(device)
        return
    async with wire_to(plant, device) as wire:
        yield wire.freeze, wire.thaw
