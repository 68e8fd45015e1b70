"""``fermloop store seal`` and ``check``: batches into Parquet, and what is wrong with a store."""

import json
from dataclasses import asdict
from pathlib import Path

from fermloop.commands.stores import store_of
from fermloop.failure import USAGE, FailureError
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
