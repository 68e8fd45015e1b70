"""A run's own folder for its store, log and report."""

from datetime import UTC, datetime
from pathlib import Path

from drivers.clock import wall
from fermloop.failure import FailureError


def fresh(parent: Path, kind: str) -> Path:
    """Make and return ``parent/KIND-DATE-TIME``, mode 0700, with a number where it exists already.

    Raises:
        FailureError: it cannot be made.
    """
    day = datetime.fromtimestamp(wall(), UTC).strftime("%Y%m%d-%H%M%S")
    number = 1
    while True:
        folder = parent.absolute() / (f"{kind}-{day}" + (f"-{number}" if number > 1 else ""))
        try:
            folder.mkdir(mode=0o700, parents=True)
        except FileExistsError:
            number += 1
        except OSError as error:
            raise FailureError(f"{folder}: cannot be made: {error.strerror}") from None
        else:
            return folder
