"""``fermloop batch``: one batch on virtual time, with its progress and its report."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from controller.devices.third_party import require_virtual
from controller.planning.advisor import AdvisorMode
from controller.plant import load_plant
from drivers.clock import monotonic
from fermloop.commands import report
from fermloop.commands.check import recipe_for
from fermloop.commands.closed_loop import run_batch
from fermloop.commands.folder import fresh
from fermloop.commands.simulated import simulation
from historian.sqlite import SqliteStore


def run(
    plant_file: Path,
    recipe_file: Path,
    hours: float,
    seed: int,
    optimiser: str,
    report_file: Path | None,
    as_json: bool,
) -> None:
    """Run the batch; print a summary, or the report itself with ``as_json``."""
    plant = load_plant(plant_file)
    recipe = recipe_for(plant, recipe_file)
    report.require_writable(report_file)
    require_virtual(plant)
    simulation(plant)
    reactor = next(iter(plant.settings.reactor))
    folder = fresh(plant.data_dir, "batch")
    began = monotonic()
    with (
        SqliteStore(folder / "store.sqlite", wait_when_full=True) as store,
        progress_bar(hours) as progress,
    ):
        outcome = run_batch(
            plant,
            recipe,
            recipe_file,
            hours=hours,
            seed=seed,
            optimiser=cast("AdvisorMode", str(optimiser)),
            store=store,
            progress=progress,
        )
        store.flush()
        stored = {"samples_stored": store.stored, "samples_lost": store.lost}
    took = monotonic() - began
    result = report.assemble(
        outcome.truth.get(reactor, {}),
        outcome.control | stored,
        reactor=reactor,
        hours=hours,
        seed=seed,
        optimiser=str(optimiser),
    )
    report.write(result, report_file or folder / "report.json")
    if as_json:
        print(report.text(result))
        return
    for line in report.summary(result):
        print(line)
    print(f"data      {folder}")
    print(f"took      {took:.1f} s, {hours * 3600 / took:.0f} times as fast as the plant")


@contextmanager
def progress_bar(hours: float) -> Generator[Callable[[float], None]]:
    """Give a function that shows batch hours done: a bar on a terminal, nothing where piped."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), TextColumn("{task.completed:.1f} of {task.total:g} h"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task("batch", total=hours)
        yield lambda done: bar.update(task, completed=done)
