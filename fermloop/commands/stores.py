"""Which store a command means."""

from pathlib import Path

from fermloop.commands.remote import find
from fermloop.failure import USAGE, FailureError
from historian.reader import SqliteReader


def store_of(plant: Path | None, store: Path | None) -> Path:
    """Return the path of the store that is meant.

    Args:
        plant: the plant file whose store it is.
        store: the store itself. Where neither is given, the one in this folder's ``data``, or
            that of the only plant that runs.

    Raises:
        FailureError: both are given, or there is no such store.
        ConfigError: the plant file is wrong.
    """
    if plant is not None and store is not None:
        raise FailureError("--plant, --store: one of them", USAGE)
    if store is not None:
        found = store
    elif plant is not None:
        from controller.plant import load_plant

        found = load_plant(plant).store
    else:
        here = Path("data/store.sqlite")
        found = here if here.exists() else find(None).with_name("store.sqlite")
    if not found.exists():
        raise FailureError(f"{found}: no store here; name it with --plant or --store", USAGE)
    return found


def opened(plant: Path | None, store: Path | None) -> SqliteReader:
    """Return a reader of the store that is meant; raises as ``store_of``."""
    return SqliteReader(store_of(plant, store))
