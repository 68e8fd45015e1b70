"""``fermloop store seal`` and ``check``: batches into Parquet, and what is wrong with a store."""

import getpass
import json
from dataclasses import asdict
from pathlib import Path

from fermloop.commands.stores import store_of
from fermloop.failure import USAGE, FailureError
from historian.salvage import Findings, check, salvage
from historian.schema import StoreError
from historian.seal import SealError, due, seal


def seal_all(batches: list[str], plant: Path | None, store: Path | None, as_json: bool) -> None:
    """Seal these batches, or all that are finished and not sealed."""
    path = store_of(plant, store)
    try:
        for id_ in batches or due(path):
            manifest = seal(path, id_)
            line = f"{id_}  {manifest.rows} rows, {manifest.size / 1e6:.1f} MB, compared and good"
            print(json.dumps(asdict(manifest)) if as_json else line)
    except LookupError as error:
        raise FailureError(str(error.args[0]), USAGE) from None
    except (SealError, StoreError) as error:
        raise FailureError(str(error)) from None
    except OSError as error:
        raise FailureError(f"{path}: {error.strerror or error}") from None


def tell_faults(plant: Path | None, store: Path | None, as_json: bool) -> None:
    """Say what is wrong with a store."""
    path = store_of(plant, store)
    try:
        found = check(path)
    except StoreError as error:
        raise FailureError(str(error)) from None
    _tell(found, as_json)
    if not found.good:
        raise FailureError(f"{path}: damaged; fermloop store salvage makes a new one of the rest")


def make_anew(plant: Path | None, store: Path | None, as_json: bool) -> None:
    """Make a new store of what can be read, and say what is lost."""
    path = store_of(plant, store)
    try:
        found, old = salvage(path, getpass.getuser())
    except StoreError as error:
        raise FailureError(f"{error}; nothing was changed") from None
    except OSError as error:
        raise FailureError(f"{path}: {error.strerror or error}; nothing was changed") from None
    _tell(found, as_json)
    if not as_json:
        print(f"damaged   {old}")


def _tell(found: Findings, as_json: bool) -> None:
    if as_json:
        lost = [each._asdict() for each in found.lost]
        print(json.dumps({"read": found.read, "lost": lost, "faults": found.faults}))
        return
    for table, count in found.read.items():
        print(f"good      {table}: {count} rows")
    for lost in found.lost:
        print(f"lost      {lost}")
    for fault in found.faults:
        print(f"fault     {fault}")
