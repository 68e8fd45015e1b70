"""``fermloop influx``: its arguments."""

from typing import Annotated

import typer

from fermloop.audits import since
from fermloop.options import Json, PlantFile, duration

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "The InfluxDB that a plant file names in [influx].\n\n"
        "Works with InfluxDB 1.x, 2.x and 3. The forwarder itself is started by fermloop run."
    ),
)


def retention(text: str) -> float:
    """Return ``90d`` in s; 0 for ``forever``."""
    if text == "forever":
        return 0.0
    if text.endswith("d") and text[:-1].isdigit() and int(text[:-1]) > 0:
        return int(text[:-1]) * 86_400.0
    seconds = duration(text)
    if seconds < 3600.0:
        raise typer.BadParameter(f"{text} is not allowed; 1h at least, such as 90d, or forever")
    return seconds


From = Annotated[
    float | None,
    typer.Option("--from", parser=since, metavar="TIME", help="2026-11-22T14:00, or 8h ago: 8h."),
]
To = Annotated[
    float | None, typer.Option("--to", parser=since, metavar="TIME", help="The same; now if not.")
]


@app.command(short_help="Make the bucket and say how long it keeps data.")
def init(
    plant: PlantFile,
    keep: Annotated[
        float | None,
        typer.Option("--keep", parser=retention, metavar="TIME", help="90d, 8760h, or forever."),
    ] = None,
) -> None:
    """Make the bucket (the database of 1.x and 3) if it is not there, and set its retention.

    May be repeated: what is there stays, only its retention is changed (not in InfluxDB 3).

    Example: fermloop influx init plant.toml --keep 365d
    """
    from fermloop.commands import influx as command

    command.init(plant, keep or 0.0)


@app.command(short_help="Hold the server against the store, tag by tag and hour by hour.")
def verify(plant: PlantFile, begin: From = None, end: To = None, as_json: Json = False) -> None:
    """Count the values of each tag in each hour on both sides and explain each difference.

    Also holds every audit head on the server against the store's audit trail. Without --from the
    last 24 hours. The exit code is 1 where a difference is not explained.

    Example: fermloop influx verify plant.toml --from 7d
    """
    from fermloop.commands import influx as command

    command.verify(plant, begin, end, as_json)


@app.command(short_help="Send a stretch of time to the server once more.")
def backfill(plant: PlantFile, begin: From, end: To = None) -> None:
    """Send rows, minutes and events of a stretch of time again, beside the running forwarder.

    What the server has already replaces itself: nothing is doubled, and it may be repeated.

    Example: fermloop influx backfill plant.toml --from 2026-11-20 --to 2026-11-21
    """
    from fermloop.commands import influx as command

    command.backfill(plant, begin, end)
