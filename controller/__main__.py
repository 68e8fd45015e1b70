"""The controller's own process: ``python -m controller PLANT.toml [--recipe …] [--optimiser …]``.

Started and watched by the supervisor; ends with it. Exit code 2: the plant file, the recipe or the
data directory cannot be used; starting again would not help.
"""

import argparse
import asyncio
import gc
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from controller.acting.api import CommandServer
from controller.assemble import optimiser_settings
from controller.controller import Controller
from controller.devices.devices import Device, build, wire
from controller.devices.lines import Lines
from controller.devices.third_party import require_third_party
from controller.pace import PlantClock
from controller.planning.evidence import LEVELS
from controller.planning.pool import WorkerPool
from controller.plant import Plant, load_plant
from controller.plant_file.config import ConfigError
from controller.priority import scan_first, take_turns
from controller.recipes.recipe import Recipe, load_recipe
from controller.registry import SocketError
from controller.restart import Memory
from controller.supervisor import REASON, Heartbeat, die_with_parent
from controller.versions import started
from drivers.driver import DeviceError
from historian.sqlite import SqliteStore, StoreError
from historian.upkeep import Keep

FROZEN_S = 5.0  # wall; a plan takes a tenth of it
RESERVE_MB = 8.0  # of the store, for the day on which the disk is full

_log = logging.getLogger("fermloop.controller")


def main() -> int:
    """Run until told to stop; return the exit code."""
    parser = argparse.ArgumentParser(prog="controller")
    parser.add_argument("plant", type=Path)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--recipe", type=Path)
    parser.add_argument("--optimiser", choices=LEVELS, default="off")
    asked = parser.parse_args()
    die_with_parent()
    scan_first()  # after a crash every second counts, while it starts too
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("asyncua").setLevel(logging.WARNING)  # it tells each step of a connection
    try:
        plant = load_plant(asked.plant, data_dir=asked.data_dir)
        recipe = load_recipe(asked.recipe) if asked.recipe else None
        require_third_party(plant)
        if recipe is not None and len(plant.settings.reactor) > 1:
            names = ", ".join(plant.settings.reactor)
            line = f"--recipe: {asked.recipe} is not allowed; there are several reactors ({names}),"
            raise ConfigError(
                [f"{line} start it with: fermloop recipe start REACTOR --recipe FILE"]
            )
        asyncio.run(run(plant, recipe, asked.recipe, asked.optimiser))
    except (ConfigError, SocketError, StoreError) as error:
        for line in getattr(error, "lines", None) or [str(error)]:
            print(line, file=sys.stderr)
        return 2
    except DeviceError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


async def run(plant: Plant, recipe: Recipe | None, path: Path | None, optimiser: str) -> None:
    """Run the plant until somebody stops it, then make it safe."""
    plant.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    loop = asyncio.get_running_loop()

    def store_alarm(text: str, on: bool) -> None:  # from the writer's thread too
        loop.call_soon_threadsafe(controller.store_alarm, text, on)

    gap_s = max(10.0, 5.0 * plant.settings.scan_s)
    keep = Keep(plant.settings.store.keep_days, plant.settings.store.keep_gb)
    store = SqliteStore(
        plant.store, gap_s=gap_s, keep=keep, reserve_mb=RESERVE_MB, on_alarm=store_alarm
    )
    if not scan_first():
        _log.info("no real-time priority here: on a busy machine a scan may be late")
    heartbeat = Heartbeat()

    def wait_on() -> bool:
        heartbeat.beat()
        return not controller.scan.stopping

    clock = PlantClock(wait_on, lambda line: controller.note(line))
    lines = Lines()
    devices = [
        Device(name, s, build(name, s, wire(s, lines), clock), plant.settings.scan_s)
        for name, s in plant.settings.device.items()
    ]
    optimisers = optimiser_settings(plant)
    pool = WorkerPool(optimisers) if optimisers else None
    controller = Controller(
        plant, devices, clock, store, pool, memory=Memory(store), beat=heartbeat.beat
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, controller.end, f"signal {signal.Signals(number).name}")
    try:
        async with CommandServer(controller, plant.socket, plant.path):
            if pool is not None:
                await pool.start()
            async with heartbeat.beating():  # a slow device is no frozen controller
                await controller.connect()
            if clock.lock_step:
                take_turns()
            if pool is not None:
                pool.deadline_s = plan_deadline_s(plant, clock.speed)
            if not controller.scan.stopping:
                store.record(started(clock.now(), plant.settings.site, devices))
                if why := os.environ.get(REASON):
                    controller.note(f"the controller was restarted: {why}")
                begin(controller, recipe, path, optimiser)
                gc.collect()
                gc.freeze()  # what is here now stays; a full collection must not stop a scan
                async with entering(controller):
                    await controller.run()
            async with heartbeat.beating():
                await controller.shut(safe=True)
                store.flush()
            report = plant.data_dir / "report.json"
            report.write_text(json.dumps(controller.report(), indent=1))
    finally:
        if pool is not None:
            await pool.close()
        store.close()


@asynccontextmanager
async def entering(controller: Controller) -> AsyncGenerator[None]:
    """Enter what comes into the laboratories' folders meanwhile."""
    watching = [
        asyncio.create_task(folder.watch(), name=f"laboratory of {folder.reactor}")
        for folder in controller.laboratory_folders()
    ]
    try:
        yield
    finally:
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)


def plan_deadline_s(plant: Plant, speed: float) -> float:
    """Return after how many wall seconds a worker without an answer is taken for frozen.

    In real time that is the plan's own latency. A faster plant misses such a plan earlier; its
    worker is not killed for that, for a new one would need longer than the next plan.
    """
    latency = max(r.optimiser.latency_s for r in plant.settings.reactor.values() if r.optimiser)
    return max(latency / speed, FROZEN_S) if speed else latency


def begin(controller: Controller, recipe: Recipe | None, path: Path | None, mode: str) -> None:
    """Take up what a dead controller left, or start the recipe that was asked for."""
    if controller.restore():
        return
    if recipe is not None and path is not None:
        controller.begin(recipe, str(path.resolve()), mode)  # pyright: ignore[reportArgumentType]


if __name__ == "__main__":
    sys.exit(main())
