"""``fermloop batch`` and ``campaign``: their arguments."""

from pathlib import Path
from typing import Annotated

import typer

from fermloop.campaign.seeds import parse
from fermloop.options import (
    WITHOUT,
    Hours,
    Json,
    Optimiser,
    OptimiserMode,
    PlantFile,
    Report,
    Seed,
)

app = typer.Typer()


@app.command(short_help="One batch on virtual time, with a report.", rich_help_panel=WITHOUT)
def batch(
    plant: PlantFile,
    recipe: Annotated[Path, typer.Option("--recipe", metavar="RECIPE.toml", help="The recipe.")],
    hours: Hours = 24.0,
    seed: Seed = 1,
    optimiser: OptimiserMode = Optimiser.OFF,
    report: Report = None,
    as_json: Json = False,
) -> None:
    """Run one batch against the simulated plant on virtual time: a day takes about a minute.

    The same controller and drivers as on a real plant, in one process, without sockets. The same
    seed gives the same result.

    Example: fermloop batch plant.toml --recipe recipe.toml --seed 1 --report r.json
    """
    from fermloop.commands import batch as command

    command.run(plant, recipe, hours, seed, optimiser, report, as_json)


@app.command(short_help="Many batches on many simulated plants.", rich_help_panel=WITHOUT)
def campaign(
    plant: PlantFile,
    recipe: Annotated[
        list[Path],
        typer.Option("--recipe", metavar="RECIPE.toml", help="A recipe; may be repeated."),
    ],
    seeds: Annotated[
        str,
        typer.Option(
            metavar="A:B,...",
            help="Simulated plants to draw: from A up to but not B, single numbers, or both.",
        ),
    ],
    report: Annotated[
        Path,
        typer.Option("--report", metavar="FOLDER", help="Results; the same command goes on there."),
    ],
    hours: Hours = 24.0,
    optimiser: OptimiserMode = Optimiser.OFF,
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=1024, help="Processes on this machine; one a core if not given."),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Run on the Dask cluster with this scheduler: tcp://HOST:8786. "
            "Needs pip install 'fermloop[dask]'.",
        ),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Throw away the results that FOLDER has.")
    ] = False,
    accept: Annotated[
        bool,
        typer.Option("--accept", help="Judge the recipes by their [accept] limits, for a CI."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Run many batches on virtual time, each recipe on the same simulated plants.

    Each result is kept in FOLDER as it comes: after Ctrl-C, a crash or a reboot the same command
    goes on where it stopped, and more seeds or recipes may be added. A batch that fails stops no
    other. Exit codes: 0 all done, 1 a batch failed, 2 wrong command line, plant file or recipe,
    130 Ctrl-C.

    Example: fermloop campaign plant.toml --recipe a.toml --recipe b.toml --seeds 0:300
    --report out
    """
    from fermloop.commands import campaign as command

    try:
        drawn = parse(seeds)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--seeds") from None
    where = command.Where(workers, scheduler)
    command.run(plant, recipe, drawn, report, hours, optimiser, where, fresh, as_json, accept)
