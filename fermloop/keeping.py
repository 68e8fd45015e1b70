"""``fermloop backup``, ``restore`` and ``store``, which keep what happened: their arguments."""

from pathlib import Path
from typing import Annotated

import typer

from fermloop.options import WITHOUT, Json, StoreFile, Which

app = typer.Typer()
store_app = typer.Typer(no_args_is_help=True, help="The local store of a plant: what happened.")
app.add_typer(
    store_app,
    name="store",
    short_help="Seal batches; check and salvage a store.",
    rich_help_panel=WITHOUT,
)


@store_app.command(short_help="Put finished batches into Parquet files.")
def seal(
    batch: Annotated[
        list[str] | None,
        typer.Argument(metavar="[BATCH]...", help="Their ids; all that are finished if not given."),
    ] = None,
    plant: Which = None,
    store: StoreFile = None,
    as_json: Json = False,
) -> None:
    """Write the rows of finished batches to sealed/BATCH beside the store, compared value by value.

    Their rows then leave the store by and by, while the plant runs or when it starts; trends and
    exports do not notice. seal_after_h in [store] of the plant file does it by itself.

    Example: fermloop store seal R1-20260101-0000 --plant plant.toml
    """
    from fermloop.commands import store as command

    command.seal_all(batch or [], plant, store, as_json)


@store_app.command(short_help="Read all of a store and say what is wrong with it.")
def check(plant: Which = None, store: StoreFile = None, as_json: Json = False) -> None:
    """Read every row, event and link of the audit trail, while the plant runs too.

    Exit code 1: something is damaged; each stretch that is lost is a line.

    Example: fermloop store check --plant plant.toml
    """
    from fermloop.commands import store as command

    command.tell_faults(plant, store, as_json)


@store_app.command(short_help="Make a new store of what a damaged one still holds.")
def salvage(plant: Which = None, store: StoreFile = None, as_json: Json = False) -> None:
    """Copy what can be read into a new store; what is lost is said, and a gap record there.

    The plant must not run. The damaged store stays beside the new one.

    Example: fermloop store salvage --plant plant.toml
    """
    from fermloop.commands import store as command

    command.make_anew(plant, store, as_json)


@app.command(
    short_help="Back the store up while the plant runs, and check it.", rich_help_panel=WITHOUT
)
def backup(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where the backup, a folder itself, goes.")
    ],
    plant: Which = None,
    store: StoreFile = None,
    check: Annotated[
        bool, typer.Option("--check", help="Make none: check FOLDER, a backup, instead.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a backup of a plant's store as of one moment; the plant goes on meanwhile.

    It is checked before it counts: every file by its checksum, the store by SQLite's own check,
    the audit trail by its hash chain. Exit code 1: no backup was made, or it is not good.

    Example: fermloop backup /mnt/nas/R1 --plant plant.toml
    """
    from fermloop.commands import backup as command

    if check:
        command.verify(folder, as_json)
    else:
        command.make(folder, plant, store, as_json)


@app.command(short_help="Put a backup in the place of a store.", rich_help_panel=WITHOUT)
def restore(
    folder: Annotated[Path, typer.Argument(metavar="BACKUP", help="A folder of fermloop backup.")],
    plant: Which = None,
    store: StoreFile = None,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="FOLDER", help="Into a new folder; the plant may run."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check a backup and put it in the place of the plant's store, which stays beside it.

    The plant must not run, unless it goes --to another folder. What is wrong with a backup is
    said, and then nothing is changed.

    Example: fermloop restore /mnt/nas/R1/backup-20260101-000000Z --plant plant.toml
    """
    from fermloop.commands import backup as command

    command.bring_back(folder, plant, store, to, as_json)
