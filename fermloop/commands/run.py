"""``fermloop run``: the supervisor with controller, console and forwarder against a real plant.

Nothing here may reach the simulator; an import contract in pyproject.toml keeps it so.
"""

import asyncio
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from controller.devices.third_party import require_third_party
from controller.plant import Plant, load_plant
from controller.plant_file.settings import influx_token
from controller.registry import AlreadyRunningError, held, holder
from controller.supervisor import Child, Supervisor
from fermloop.commands.watch import Watch
from fermloop.failure import USAGE, FailureError

BEAT_S = 3.0  # wall; a controller silent for longer, or for 2.5 scans, is frozen
BACKOFF_S = 1.0  # wall; however often the controller dies, it scans again within 5 s
GRACE_S = 10.0  # wall s from SIGTERM to SIGKILL of the controller, and two time-outs of a device
PLAIN_S = 600.0  # wall s between two lines of state where nobody sits at a terminal


def run(plant_file: Path, recipe_file: Path | None, optimiser: str) -> None:
    """Check everything, then run until Ctrl-C, SIGTERM or ``fermloop stop``."""
    plant = checked(plant_file, recipe_file)
    children = processes(plant, recipe_file, optimiser)
    out = Console(stderr=True, highlight=False)
    watch = Watch(plant.socket, out, PLAIN_S, "run")
    watch.say(f"{plant.settings.site}: starting {', '.join(child.name for child in children)}")
    code = asyncio.run(_supervise(children, watch))
    if code:
        raise FailureError([], code)


async def _supervise(children: list[Child], watch: Watch) -> int:
    return await watch.over(Supervisor(children, watch.say))


def checked(plant_file: Path, recipe_file: Path | None, *, console: bool = True) -> Plant:
    """Return the plant if it could be run now; no device is touched.

    Raises:
        ConfigError: the plant file or the recipe is wrong, a line a mistake.
        FailureError: a port is busy or this plant is running already.
    """
    from fermloop.commands.check import recipe_for

    plant = load_plant(plant_file)
    if recipe_file is not None:
        recipe_for(plant, recipe_file)
    require_third_party(plant)
    if plant.settings.influx.enabled:
        influx_token(plant.settings.influx)
    if held(plant.socket):
        raise AlreadyRunningError(plant.socket, holder(plant.socket))
    if console:
        address = plant.settings.console.address
        if error := busy(address):
            raise FailureError(
                f"{plant_file.name}: console.address: {address} is not allowed; {error}", USAGE
            )
    return plant


def _forwarder(plant: Plant) -> list[str]:
    """Return the forwarder's module and arguments; the token itself is never among them."""
    s, data = plant.settings.influx, plant.data_dir.absolute()
    token = ("--token-env", s.token_env) if s.token_file is None else ("--token-file", s.token_file)
    pairs = (
        ("--store", plant.store.absolute()),
        ("--site", plant.settings.site),
        ("--url", s.url),
        ("--org", s.org),
        ("--bucket", s.bucket),
        token,
        ("--cursor", data / "cursor.json"),
        ("--status", data / "forwarder.json"),
    )
    return ["historian.influx", *(str(part) for pair in pairs for part in pair)]


def busy(address: str) -> str:
    """Return why nothing can listen at ``HOST:PORT``, or nothing if it is free."""
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, int(port)))
            trial.listen()
        except (OSError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) else "no such port"
            return f"{reason or error}; a free port of this machine is required"
    return ""


def host_and_port(address: str) -> str:
    """Return ``HOST:PORT`` of a device's address, with or without ``opc.tcp://`` and a path."""
    return address.removeprefix("opc.tcp://").partition("/")[0]


def free_address(address: str) -> str:
    """Return the same host with a port that is free now."""
    host = address.rpartition(":")[0]
    with socket.create_server((host.strip("[]"), 0)) as trial:
        return f"{host}:{trial.getsockname()[1]}"


def processes(
    plant: Plant,
    recipe_file: Path | None,
    optimiser: str,
    *,
    console: bool = True,
    log: Path | None = None,
    after: Callable[[], bool] | None = None,
) -> list[Child]:
    """Return the processes of a plant in order of start; they end in the opposite order.

    The forwarder is first and so ends last: it sends what the controller stored at the end.

    Args:
        plant: the checked plant.
        recipe_file: the recipe to start, if any.
        optimiser: ``off``, ``shadow`` or ``on``.
        console: with the web console.
        log: file for what they say; inherited if ``None``.
        after: the controller is not started before this returns True.
    """
    python = (sys.executable, "-m")
    file = str(plant.path.absolute())
    children: list[Child] = []
    if plant.settings.influx.enabled:
        children.append(Child("forwarder", [*python, *_forwarder(plant)], log=log))
    if (after_h := plant.settings.store.seal_after_h) is not None:
        where = ("--store", str(plant.store.absolute()), "--after-h", str(after_h))
        children.append(Child("keeper", [*python, "historian.keeper", *where], log=log))
    # its end writes every actuator's safe value and waits for the confirmation
    grace = GRACE_S + 2.0 * max(device.timeout_s for device in plant.settings.device.values())
    argv = [*python, "controller", file, "--optimiser", optimiser]
    if recipe_file is not None:
        argv += ["--recipe", str(recipe_file.absolute())]
    children.append(
        Child(
            "controller",
            argv,
            log=log,
            critical=True,
            after=after,
            beat_s=max(BEAT_S, 2.5 * plant.settings.scan_s),
            grace_s=grace,
            backoff_s=BACKOFF_S,
        )
    )
    if console:
        where = ("--socket", str(plant.socket), "--store", str(plant.store))
        address = ("--address", plant.settings.console.address)
        site = ("--site", plant.settings.site)
        argv = [*python, "dashboards.console", *where, *address, *site]
        shown = plant.settings.console
        if shown.certificate is not None and shown.key is not None:
            argv += ["--certificate", shown.certificate, "--key", shown.key]
        children.append(Child("console", argv, log=log))
    return children
