"""``fermloop backup`` and ``restore``: copies of a store, made while it is written and checked."""

import getpass
import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from fermloop.commands.stores import store_of
from fermloop.failure import USAGE, FailureError
from historian.backup import BackupError, Manifest, back_up, check, restore
from historian.schema import StoreError


def make(folder: Path, plant: Path | None, store: Path | None, as_json: bool) -> None:
    """Make a backup in ``folder`` and say what is in it."""
    found = store_of(plant, store)
    try:
        place, manifest = back_up(found, folder)
    except (BackupError, StoreError) as error:
        raise FailureError(str(error)) from None
    except OSError as error:
        raise FailureError(f"{folder}: {error.strerror or error}; no backup was made") from None
    _tell(place, manifest, "backup", as_json)


def verify(folder: Path, as_json: bool) -> None:
    """Say whether a backup is whole and good."""
    try:
        manifest = check(folder)
    except BackupError as error:
        raise FailureError(str(error)) from None
    _tell(folder, manifest, "good", as_json)


def bring_back(
    folder: Path, plant: Path | None, store: Path | None, to: Path | None, as_json: bool
) -> None:
    """Put a backup in the place of a store, or into a folder of its own."""
    if sum(given is not None for given in (plant, store, to)) != 1:
        raise FailureError("--plant, --store, --to: one of them is required", USAGE)
    if to is not None:
        target = to / "store.sqlite"
        if target.exists():
            raise FailureError(f"--to: {target} is there already; a new folder is required", USAGE)
    elif store is not None:
        target = store
    else:
        from controller.plant import load_plant

        target = load_plant(plant).store  # pyright: ignore[reportArgumentType] (one of three)
    try:
        manifest, replaced = restore(folder, target, getpass.getuser())
    except BackupError as error:
        raise FailureError(f"{error}; nothing was changed") from None
    except StoreError as error:
        line = f"{error}; stop it first, or restore into another folder with --to"
        raise FailureError(line) from None
    except OSError as error:
        raise FailureError(f"{target}: {error.strerror or error}; nothing was changed") from None
    _tell(target, manifest, "restored", as_json)
    if replaced is not None and not as_json:
        print(f"replaced  {replaced}")


def _tell(place: Path, manifest: Manifest, what: str, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"path": str(place), **asdict(manifest)}))
        return
    size = sum(int(f["bytes"]) for f in manifest.files.values())
    rows = ", ".join(f"{name} {count}" for name, count in manifest.rows.items()) or "none"
    print(f"{what:<9} {place}")
    print(f"made      {_clock(manifest.made)}, newest row {_clock(manifest.newest)}")
    print(f"rows      {rows}")
    print(f"events    {manifest.events}, audit head {manifest.head[:16]}")
    print(f"size      {size / 1e6:.1f} MB in {len(manifest.files)} files, checksums and store good")


def _clock(time: float) -> str:
    return datetime.fromtimestamp(time).astimezone().strftime("%Y-%m-%d %H:%M:%S") if time else "–"
