"""``fermloop export``: a batch as a table."""

from collections.abc import Sequence
from pathlib import Path

from fermloop.commands.stores import opened
from fermloop.failure import USAGE, FailureError
from historian.export import table, write
from historian.schema import StoreError


def run(
    batch: str,
    form: str,
    out: Path | None,
    tags: Sequence[str],
    plant: Path | None,
    store: Path | None,
) -> None:
    """Write the file and say what is in it."""
    path = out or Path(f"{batch}.{form}")
    with opened(plant, store) as reader:
        try:
            what = table(reader, batch, tags)
            rows = write(what, path, form)
        except LookupError as error:
            raise FailureError(str(error.args[0]), USAGE) from None
        except (FileExistsError, FileNotFoundError, StoreError) as error:
            raise FailureError(str(error), USAGE) from None
        except OSError as error:
            raise FailureError(f"{path}: {error.strerror}") from None
    print(f"{path}: {rows} rows of {len(what.tags)} tags")
