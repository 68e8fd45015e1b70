"""``fermloop check`` and ``profiles``, which read files and touch no device: their arguments."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from fermloop.options import WITHOUT, Json, PlantFile

app = typer.Typer()


@app.command(
    short_help="Check a plant file and a recipe; touches nothing.", rich_help_panel=WITHOUT
)
def check(
    plant: PlantFile,
    recipe: Annotated[
        Path | None, typer.Argument(metavar="RECIPE.toml", help="A recipe for this plant.")
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Show what each device is asked in a scan instead.")
    ] = False,
    interlocks: Annotated[
        bool, typer.Option("--interlocks", help="Show every interlock and limit instead.")
    ] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="With --interlocks: as tables for a document.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check a plant file, and a recipe against it, without touching a device.

    Each mistake is one line: file, key, value and what is allowed; the exit code is then 2.
    --plan shows the read plan of every device: each request with function code, first address
    (from 0 and from 1), count, unused registers and tags. --interlocks shows what stands between
    a loop and its actuators: interlocks, ranges, rates, doses, safe values, bypasses.
    """
    from fermloop.commands import check as command
    from fermloop.commands.simulated import require_simulation

    instead = None
    if plan:
        from fermloop.commands import check_plan

        instead = partial(check_plan.show, as_json=as_json)
    elif interlocks:
        from fermloop.commands import check_interlocks

        instead = partial(check_interlocks.show, as_json=as_json, as_markdown=markdown)
    command.run(plant, recipe, as_json, instead, (require_simulation,))


@app.command(
    short_help="Devices whose registers are known, and their source.", rich_help_panel=WITHOUT
)
def profiles(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="One of them, or a file's path: shown as a whole."),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the device profiles: register maps of real devices that a plant file can use.

    With a name, everything that one says: device, documents it was taken from, what was tested,
    signals, and lines ready to be pasted into a plant file.

    Example: fermloop profiles vaisala_gmp25x
    """
    from fermloop.commands import profiles as command

    command.run(name, as_json)
