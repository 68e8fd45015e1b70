"""``fermloop export``, ``import`` and ``report``: their arguments."""

from pathlib import Path
from typing import Annotated

import typer

from fermloop.options import WITHOUT, Json, StoreFile, Which

app = typer.Typer()

BatchId = Annotated[str, typer.Argument(metavar="BATCH", help="Its id: R1-20260101-0000.")]


def form(text: str) -> str:
    """Return a format that there is."""
    from historian.export import FORMATS

    if text not in FORMATS:
        raise typer.BadParameter(f"{text} is not allowed; {', '.join(FORMATS)} are")
    return text


@app.command(short_help="A batch as CSV, Parquet or XLSX.", rich_help_panel=WITHOUT)
def export(
    batch: BatchId,
    format: Annotated[
        str, typer.Option("--format", parser=form, metavar="FORMAT", help="csv, parquet or xlsx.")
    ] = "csv",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="BATCH.FORMAT if not given.")
    ] = None,
    tags: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="TAG", help="Only this one, R1.do; may be repeated."),
    ] = None,
    plant: Which = None,
    store: StoreFile = None,
) -> None:
    """Write the samples of a batch as a table, one row a scan, also while it runs.

    Columns: local time, age of the batch in h, s since 1970 UTC, and for each tag its value, with
    the unit in the header, and beside it its quality where it is not GOOD: BAD has no value. XLSX
    has sheets with the events and the laboratory's results too. The file is written whole or not
    at all; one that is there is not replaced.

    Example: fermloop export R1-20260101-0000 --format xlsx --plant plant.toml
    """
    from fermloop.commands import export as command

    command.run(batch, format, out, tags or [], plant, store)


def language(text: str) -> str:
    """Return what the page shows first."""
    if text not in ("both", "zh", "en"):
        raise typer.BadParameter(f"{text} is not allowed; both, zh, en are")
    return text


@app.command(short_help="The report of a batch, to be printed and signed.", rich_help_panel=WITHOUT)
def report(
    batch: BatchId,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="BATCH.html if not given.")
    ] = None,
    show: Annotated[
        str,
        typer.Option("--language", parser=language, metavar="LANGUAGE", help="both, zh or en."),
    ] = "both",
    references: Annotated[
        list[str] | None,
        typer.Option(
            "--reference",
            metavar="BATCH",
            help="A good batch to be compared with; may be repeated. If none is given: the newest "
            "complete ones of the same recipe.",
        ),
    ] = None,
    plant: Which = None,
    store: StoreFile = None,
) -> None:
    """Write the report of a batch as one HTML page, in Chinese and English; PDF by the browser.

    Recipe and versions, key figures with energy and CO2e per kg, phases, trends, loops, distance to
    good batches, deviations, alarms and their health, changes with their reasons, laboratory,
    optimiser, signatures; rebuilt from the store alone. Says whether the audit trail is untouched.
    A page that is there is replaced.

    Example: fermloop report R1-20260101-0000 --plant plant.toml
    """
    from fermloop.commands import batch_report as command

    command.run(batch, out, show, references or [], plant, store)


@app.command(
    "import", short_help="A batch of the past from CSV or Parquet.", rich_help_panel=WITHOUT
)
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or Parquet.")],
    mapping: Annotated[
        Path, typer.Option("--map", metavar="MAP.toml", help="Which column is which tag and unit.")
    ],
    plant: Which = None,
    store: StoreFile = None,
    dry: Annotated[
        bool, typer.Option("--dry-run", help="Check everything and report; write nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Import a batch of the past into a plant's store, or into one of its own (--store NEW.sqlite).

    The mapping file names tag and unit of each column; units are converted, a value outside of its
    tag's range is BAD, and a column that mostly is outside is refused: its unit is wrong. A batch
    over another one is refused. Everything is written in one piece or not at all; the plant must
    not run meanwhile.

    Example: fermloop import old.csv --map old.toml --store history.sqlite --dry-run
    """
    from fermloop.commands import import_batch as command

    command.run(file, mapping, plant, store, dry, as_json)
