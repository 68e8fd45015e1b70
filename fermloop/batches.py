"""``fermloop batch`` with ``list`` and ``show``, and ``campaign``: their arguments."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

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
    StoreFile,
    Which,
)


class RunIfNotNamed(TyperGroup):
    """A group whose first command is meant where none is named: ``fermloop batch PLANT.toml``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the first command before arguments that name none."""
        if args and args[0] not in {*self.commands, *ctx.help_option_names}:
            args = [next(iter(self.commands)), *args]
        return super().parse_args(ctx, args)


app = typer.Typer()
of_one = typer.Typer(
    cls=RunIfNotNamed,
    no_args_is_help=True,
    help=(
        "One batch on virtual time, or the record of a batch that was.\n\n"
        "fermloop batch PLANT.toml --recipe RECIPE.toml runs one: see fermloop batch run --help."
    ),
)
app.add_typer(
    of_one,
    name="batch",
    short_help="One batch on virtual time; the records of batches.",
    rich_help_panel=WITHOUT,
)


@of_one.command(short_help="Run one batch on virtual time, with a report.")
def run(
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


@of_one.command("list", short_help="Every batch in the store, oldest first.")
def list_(
    reactor: Annotated[
        str, typer.Option("--reactor", metavar="REACTOR", help="Only of this one.")
    ] = "",
    plant: Which = None,
    store: StoreFile = None,
    as_json: Json = False,
) -> None:
    """Show a line a batch: id, start, recipe, state, and its age at the end.

    Example: fermloop batch list --plant plant.toml
    """
    from fermloop.commands import batch_record as command

    command.list_all(plant, store, reactor, as_json)


@of_one.command(short_help="The whole record of a batch.")
def show(
    batch: Annotated[str, typer.Argument(metavar="BATCH", help="Its id: R1-20260101-0000.")],
    plant: Which = None,
    store: StoreFile = None,
    as_json: Json = False,
) -> None:
    """Show the record of a batch, rebuilt from the store alone.

    Recipe and its versions, parameters, plant file, software, phases, every change with who and
    why, alarms, laboratory, advice and gaps. --json has all of it, the files too.

    Example: fermloop batch show R1-20260101-0000 --plant plant.toml --json
    """
    from fermloop.commands import batch_record as command

    command.show(batch, plant, store, as_json)


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
