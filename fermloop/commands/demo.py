"""``fermloop demo``: the simulated plant on real sockets, and what ``run`` starts, against it."""

import asyncio
import contextlib
import json
import re
import sys
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.live import Live
from rich.text import Text

from controller.plant import Plant, load_plant
from controller.supervisor import Child, Supervisor
from drivers.clock import monotonic
from fermloop.commands import live, report
from fermloop.commands.check import recipe_for
from fermloop.commands.folder import fresh
from fermloop.commands.run import busy, free_address, host_and_port, processes
from fermloop.failure import WORLD, FailureError

PLANT, RECIPE = "plants/ecoli_5l.toml", "recipes/ecoli.toml"
REACTOR = "R1"
READY, TRUTH = "simulator.ready", "truth.json"
LOOK_S = 1.0  # wall s between two status lines on a terminal
PLAIN_S = 10.0  # and where piped
TAIL = 15  # lines of the log that a failure shows


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asked for; ``speed`` 0 is lock-step."""

    speed: float
    hours: float
    seed: int
    optimiser: str
    headless: bool


def run(
    speed: float, hours: float, seed: int, optimiser: str, headless: bool, report_file: Path | None
) -> None:
    """Run the demo until ``hours`` of batch time or Ctrl-C; print a summary and keep the report."""
    asked = Asked(speed, hours, seed, str(optimiser), headless)
    sim = Path(str(files("sim")))
    report.require_writable(report_file)
    folder = fresh(Path("data"), "demo")
    plant = derived(sim / PLANT, folder)
    recipe_for(plant, sim / RECIPE)
    out = Console(highlight=False)
    if not headless:
        out.print(f"console: http://{plant.settings.console.address}/")
    out.print(f"data:    {folder}", soft_wrap=True)
    show = Show(plant, asked, out)
    code = asyncio.run(show.run(sim / RECIPE))
    if code:
        raise FailureError([*_tail(folder / "log.txt"), "the demo failed; its log ends so"], WORLD)
    result = finished(plant, asked, show.hours)
    report.write(result, report_file or folder / "demo.json")
    for line in report.summary(result):
        out.print(line)


def derived(source: Path, folder: Path) -> Plant:
    """Return the demo's plant, kept in ``folder``: its own data folder, and ports that are free."""
    text = source.read_text(encoding="utf-8")
    text = re.sub(
        r'(?m)^data_dir = "[^"]*"', lambda _: f"data_dir = {json.dumps(str(folder))}", text
    )
    taken: set[str] = set()
    for address in re.findall(r'(?m)^address = "([^"]+)"', text):
        hostport = host_and_port(address)
        if hostport in taken or busy(hostport):
            free = free_address(hostport)
            text = text.replace(f'"{address}"', f'"{address.replace(hostport, free)}"')
            hostport = free
        taken.add(hostport)
    path = folder / "plant.toml"
    path.write_text(text, encoding="utf-8")
    return load_plant(path)


class Show:
    """Runs the processes and tells people how it goes.

    Args:
        plant: the demo's plant.
        asked: what the command line asked for.
        out: where people read.
    """

    def __init__(self, plant: Plant, asked: Asked, out: Console) -> None:
        self._plant = plant
        self._asked = asked
        self._out = out
        self._began = monotonic()
        self._ending = False
        self.hours = 0.0  # the batch age seen last

    async def run(self, recipe_file: Path) -> int:
        """Return the exit code when all has ended."""
        folder = self._plant.data_dir
        log = folder / "log.txt"
        children = [
            simulator(self._plant, self._asked, log),
            *processes(
                self._plant,
                recipe_file,
                self._asked.optimiser,
                console=not self._asked.headless,
                log=log,
                after=(folder / READY).exists,
            ),
        ]
        supervisor = Supervisor(children, self._say)
        watching = asyncio.create_task(self._watch(supervisor))
        code = await supervisor.run()
        watching.cancel()
        await asyncio.wait({watching})
        if not watching.cancelled() and (error := watching.exception()):
            raise error
        return code

    async def _watch(self, supervisor: Supervisor) -> None:
        """Show the state until the batch is as old as asked, then end everything.

        The controller is told itself, before the console is, whose browsers may take a second:
        the plant does not stand still meanwhile.
        """
        transport = httpx.AsyncHTTPTransport(uds=str(self._plant.socket))
        try:
            async with httpx.AsyncClient(transport=transport, base_url="http://demo") as client:
                with Live(console=self._out, auto_refresh=False, transient=True) as screen:
                    await self._follow(screen, self._states(client))
                self._ending = True
                with contextlib.suppress(httpx.HTTPError):  # then it is ended with the others
                    await client.post("/stop", json={"who": "demo"}, timeout=LOOK_S)
        finally:
            supervisor.stop()

    async def _follow(self, screen: Live, states: AsyncGenerator[live.State]) -> None:
        shown, live_yet = -PLAIN_S, False
        async for state in states:
            now = monotonic()
            self.hours = max(self.hours, _age(state))
            if self._out.is_terminal:
                screen.update(Text(self._line(state), overflow="ellipsis"), refresh=True)
            elif now - shown >= PLAIN_S or (_live(state) and not live_yet):
                shown, live_yet = now, live_yet or _live(state)
                self._out.print(self._line(state), soft_wrap=True)
            if self.hours >= self._asked.hours:
                return

    def _say(self, line: str) -> None:
        if not self._ending:  # that processes end is then what was asked for
            self._out.print(line, soft_wrap=True)

    def _line(self, state: live.State) -> str:
        if not state:
            return f"starting … {monotonic() - self._began:.0f} s"
        return live.line(state, REACTOR)

    async def _states(self, client: httpx.AsyncClient) -> AsyncGenerator[live.State]:
        """Yield the controller's state, each second and more often as the end comes near.

        An empty one means that the controller does not answer (yet).
        """
        before, age = monotonic(), 0.0
        while True:
            try:
                state: live.State = (await client.get("/state", timeout=LOOK_S)).json()
            except (httpx.HTTPError, ValueError):
                state = {}
            yield state
            now = monotonic()
            pace = (_age(state) - age) / max(now - before, 1e-3)  # batch h per wall s
            before, age = now, _age(state)
            left = (self._asked.hours - age) / pace if pace > 0 else LOOK_S
            await asyncio.sleep(min(LOOK_S if state else 0.1, max(left / 2, 0.005)))


def simulator(plant: Plant, asked: Asked, log: Path) -> Child:
    """Return the process that serves the plant; without it the demo is over."""
    folder = plant.data_dir
    argv = [sys.executable, "-m", "fermloop", "simulate", str(plant.path)]
    argv += ["--speed", f"{asked.speed:g}" if asked.speed else "max", "--seed", str(asked.seed)]
    argv += ["--report", str(folder / TRUTH), "--ready", str(folder / READY)]
    argv += ["--hours", f"{asked.hours + 1.0:g}"]  # plant time passes before the batch starts too
    return Child("simulator", argv, log=log, critical=True, restart=False)


def finished(plant: Plant, asked: Asked, hours: float) -> dict[str, Any]:
    """Return the report of a demo whose processes have ended.

    Raises:
        FailureError: the simulator or the controller left none.
    """
    try:
        truth = json.loads((plant.data_dir / TRUTH).read_text(encoding="utf-8"))
        control = json.loads((plant.data_dir / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        lines = [*_tail(plant.data_dir / "log.txt"), f"the demo left no report: {error}"]
        raise FailureError(lines) from None
    return report.assemble(
        truth[REACTOR],
        control,
        reactor=REACTOR,
        hours=hours,
        seed=asked.seed,
        optimiser=asked.optimiser,
    )


def _live(state: live.State) -> bool:
    """Return whether the controller has measured something."""
    reactors: live.State = state.get("reactors") or {}
    reactor: live.State = reactors.get(REACTOR) or {}
    loops: Mapping[str, live.State] = reactor.get("loops") or {}
    return any(loop.get("pv") is not None for loop in loops.values())


def _age(state: live.State) -> float:
    """Return the batch age, h; 0 while there is none."""
    reactors: live.State = state.get("reactors") or {}
    reactor: live.State = reactors.get(REACTOR) or {}
    batch: live.State = reactor.get("batch") or {}
    return float(batch.get("age_h") or 0.0)


def _tail(log: Path) -> list[str]:
    try:
        return log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL:]
    except OSError:
        return []
