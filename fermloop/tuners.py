"""``fermloop loops`` and ``tune``: the arguments."""

from pathlib import Path
from typing import Annotated

import typer

from fermloop.options import WITHOUT, Json

app = typer.Typer()


@app.command(
    "loops", short_help="How healthy each loop is, from stored data.", rich_help_panel=WITHOUT
)
def loops(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="PLANT.toml|STORE", help="The plant file, or a store (a file or its folder)."
        ),
    ],
    loop: Annotated[
        list[str] | None, typer.Option("--loop", metavar="LOOP", help="Only this one: R1.do.")
    ] = None,
    hours: Annotated[
        float, typer.Option(min=0.1, max=10_000, help="The newest so many hours of data.")
    ] = 24.0,
    plant: Annotated[
        Path | None,
        typer.Option("--plant", metavar="PLANT.toml", help="With a store: its bands and probes."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Report for each PID loop what the stored data say of it, and what to do.

    Share of the time in automatic, in band and at a limit; IAE; travel of the output;
    oscillation index (0 to 1, from 0.5 on too much) with period and height; stiction index (above
    0.6 a sticking valve is suspected); bad data. Reads only; may be used while the plant runs.

    Example: fermloop loops plant.toml --hours 8
    """
    from fermloop.commands import loops as command

    command.run(source, loop or [], hours, plant, as_json)
