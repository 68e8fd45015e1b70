"""``fermloop simulate``: the plant of a plant file on its own addresses, without hardware."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

from controller import registry
from controller.acting.command_socket import CommandSocket, application
from controller.plant import Plant, load_plant
from controller.priority import scan_first
from drivers.clock import wall
from fermloop.commands import report
from fermloop.commands.run import busy, host_and_port
from fermloop.commands.simulated import laboratories, require_served, truths, vessels, wires
from fermloop.failure import USAGE, FailureError
from sim.control import Control, routes
from sim.laboratory import files
from sim.listen import ListenError
from sim.motion import Simulated
from sim.server import PlantServer

HOURS = 240.0  # plant h that a faster plant may run
EVERY_S = 10.0  # wall s between two lines of values
SHOWN = ("temperature", "ph", "do", "agitation", "weight")


def run(
    plant_file: Path,
    speed: float,
    seed: int,
    report_file: Path | None,
    ready_file: Path | None,
    hours: float | None,
    samples: Path | None = None,
    *,
    clean: bool = False,
) -> None:
    """Serve until SIGTERM or Ctrl-C; then write what the plant really did.

    Args:
        plant_file: whose devices are served.
        speed: plant seconds per wall second; 0 is lock-step.
        seed: draws the simulated plant.
        report_file: gets the true figures of each reactor, as JSON.
        ready_file: is made when every device can be reached.
        hours: how long it may run faster than real time, plant h: it starts that far in the past,
            so that no stamp lies in the future; as ``HOURS`` says if not given.
        samples: folder that gets the laboratory's results as they are entered; without it nobody
            takes samples but where the plant file says so, and their results are lost.
        clean: begin as a recipe that inoculates finds the vessels.
    """
    plant = load_plant(plant_file)
    report.require_writable(report_file)
    require_served(plant, "fermloop simulate")
    past = 3600.0 * (hours if hours is not None else 0.0 if speed == 1 else HOURS)
    made = vessels(plant, seed, wall() - past, plant.settings.reactor if clean else ())
    records = truths(plant, made)
    if samples is not None:
        try:
            samples.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FailureError(f"--samples {samples}: {error.strerror}", USAGE) from None
        laboratories(plant, made, files(samples), every=True)
    else:
        laboratories(plant, made, lambda _, rows: None)
    _require_free(plant)
    # asyncua warns of what insecure = true in the plant file already says
    logging.getLogger("asyncua").setLevel(logging.ERROR)
    try:
        asyncio.run(_serve(plant, made, speed, seed, ready_file))
    except ListenError as error:
        raise FailureError(f"{plant_file.name}: {error}", USAGE) from None
    if report_file is not None:
        report.write({name: truth.as_report() for name, truth in records.items()}, report_file)


def _require_free(plant: Plant) -> None:
    """Refuse every busy address at once, before anything is served."""
    lines: list[str] = []
    for name, device in plant.settings.device.items():
        if device.driver == "modbus_rtu":
            continue  # a port that is made when it is served
        if why := busy(host_and_port(device.address)):
            key = f"{plant.path.name}: device.{name}.address"
            lines.append(f"{key}: {device.address} is not allowed; {why}")
    if lines:
        raise FailureError(lines, USAGE)


async def _serve(
    plant: Plant, made: Mapping[str, Simulated], speed: float, seed: int, ready_file: Path | None
) -> None:
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, over.set)
    async with (
        PlantServer(
            plant.settings.device, made, speed, plant.data_dir / "simulator", wires(made)
        ) as server,
        _told(Control(server, made, seed), plant.path),
    ):
        # a real device does not pause for a collection or because the machine has other work
        gc.collect()
        gc.freeze()
        if speed:
            scan_first()
        _announce(plant, speed, ready_file)
        while not over.is_set():
            if sys.stdout.isatty():
                print("\n".join(_values(name, vessel) for name, vessel in made.items()))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), EVERY_S)


@contextlib.asynccontextmanager
async def _told(control: Control, plant_file: Path) -> AsyncGenerator[None]:
    """Obey ``fermloop sim``, on a socket of this process's own."""
    path = registry.folder() / f"simulator-{os.getpid()}.sock"
    try:
        async with CommandSocket(application(routes(control)), path, plant_file, "simulator"):
            yield
    finally:
        await control.close()
        path.with_suffix(".lock").unlink(missing_ok=True)  # no other process has this path


def _announce(plant: Plant, speed: float, ready_file: Path | None) -> None:
    for name, device in plant.settings.device.items():
        print(f"{name}: {device.driver} at {device.address}")
    how = f"{speed:g} times real time" if speed else "in lock-step with its controller"
    print(f"{plant.settings.site}: simulated, {how}; Ctrl-C ends it", flush=True)
    if ready_file is not None:
        ready_file.touch()


def _values(name: str, vessel: Simulated) -> str:
    age = vessel.truth["age_h"]
    readings = vessel.panel.shown
    usual = [t for k in SHOWN if (t := f"{name}.{k}") in readings]
    tags = usual or list(readings)[: len(SHOWN)]
    shown = "  ".join(f"{t.partition('.')[2]} {readings[t]:.4g}" for t in tags)
    return f"{name} {age:8.3f} h  {shown}"
