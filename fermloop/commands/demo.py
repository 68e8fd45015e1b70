"""``fermloop demo``: the simulated plant on real sockets, and what ``run`` starts, against it."""

import asyncio
import json
import re
import secrets
import socket
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from rich.console import Console

from controller.acting.authority import Role
from controller.plant import Plant, load_plant
from controller.supervisor import Child, Supervisor
from fermloop.commands import report
from fermloop.commands.check import recipe_for
from fermloop.commands.folder import fresh
from fermloop.commands.run import busy, free_address, host_and_port, processes
from fermloop.commands.simulated import require_served
from fermloop.commands.watch import Watch
from fermloop.failure import WORLD, FailureError
from fermloop.identity import users_of

PLANT, RECIPE = "plants/ecoli_5l.toml", "recipes/ecoli.toml"
REACTOR = "R1"
READY, TRUTH = "simulator.ready", "truth.json"
PLAIN_S = 10.0  # wall s between two status lines where piped
USER = "demo"
SYLLABLES = ("bdfghklmnprstvz", "aeiou")  # what is easily read and typed; 37 bits in six
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
    out = Console(highlight=False)
    with ExitStack() as claims:
        plant = derived(sim / PLANT, folder, claims)
        require_served(plant, "fermloop demo")
        recipe_for(plant, sim / RECIPE)
        if not headless:
            out.print(f"console: http://{plant.settings.console.address}/")
            out.print(f"log in:  {USER}, password {guest(folder)}")
        out.print(f"data:    {folder}", soft_wrap=True)
        watch = Watch(plant.socket, out, PLAIN_S, "demo")
        code = asyncio.run(_run(plant, asked, sim / RECIPE, watch))
    if code:
        raise FailureError([*_tail(folder / "log.txt"), "the demo failed; its log ends so"], WORLD)
    result = finished(plant, asked, watch.hours)
    report.write(result, report_file or folder / "demo.json")
    for line in report.summary(result):
        out.print(line)


def derived(source: Path, folder: Path, claims: ExitStack) -> Plant:
    """Return the demo's plant, kept in ``folder``: its own data folder, and ports that are free.

    Args:
        source: the plant file to start from.
        folder: gets the plant file, and is its data folder.
        claims: while it is open no other demo takes these ports, though nobody listens there yet.
    """
    text = source.read_text(encoding="utf-8")
    text = re.sub(
        r'(?m)^data_dir = "[^"]*"', lambda _: f"data_dir = {json.dumps(str(folder))}", text
    )
    taken: set[str] = set()
    for address in re.findall(r'(?m)^address = "([^"]+)"', text):
        hostport = host_and_port(address)
        if hostport in taken or busy(hostport) or not _claimed(hostport, claims):
            free = free_address(hostport)
            text = text.replace(f'"{address}"', f'"{address.replace(hostport, free)}"')
            hostport = free
        taken.add(hostport)
    path = folder / "plant.toml"
    path.write_text(text, encoding="utf-8")
    return load_plant(path)


def guest(folder: Path) -> str:
    """Make the demo's only user and return his password; both end with the demo's folder."""
    password = "-".join(
        "".join(secrets.choice(letters) for letters in SYLLABLES * 2) for _ in range(3)
    )
    users_of(folder).add(USER, Role.ENGINEER, password)
    return password


def _claimed(hostport: str, claims: ExitStack) -> bool:
    """Return whether this demo may have a free port: the kernel gives each name to one only."""
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0fermloop demo at {hostport}")  # abstract: no file, gone with the process
    except OSError:
        claim.close()
        return False
    claims.enter_context(claim)
    return True


async def _run(plant: Plant, asked: Asked, recipe_file: Path, watch: Watch) -> int:
    log = plant.data_dir / "log.txt"
    rest = processes(
        plant,
        recipe_file,
        asked.optimiser,
        console=not asked.headless,
        log=log,
        after=(plant.data_dir / READY).exists,
    )
    supervisor = Supervisor([simulator(plant, asked, log), *rest], watch.say)
    return await watch.over(supervisor, asked.hours)


def simulator(plant: Plant, asked: Asked, log: Path) -> Child:
    """Return the process that serves the plant; without it the demo is over."""
    folder = plant.data_dir
    argv = [sys.executable, "-m", "fermloop", "simulate", str(plant.path)]
    argv += ["--speed", f"{asked.speed:g}" if asked.speed else "max", "--seed", str(asked.seed)]
    argv += ["--report", str(folder / TRUTH), "--ready", str(folder / READY)]
    if asked.speed != 1:  # plant time passes before the batch starts too
        argv += ["--hours", f"{asked.hours + 1.0:g}"]
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


def _tail(log: Path) -> list[str]:
    try:
        return log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL:]
    except OSError:
        return []
