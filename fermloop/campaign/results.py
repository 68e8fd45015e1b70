"""Results of a long run as JSON lines: each is safe on the disk before the next is asked for.

What a long run needs to go on where it was interrupted. A row has a key; of two rows with one key
the later holds. Only one process at a time writes a file.
"""

import fcntl
import json
import os
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any, Self

from fermloop.failure import USAGE, FailureError

Row = dict[str, Any]


class Results:
    """The rows of a file, and the way to append to it.

    A last line that a crash has torn is cut off, so its row is run again. Use it with ``with``.

    Attributes:
        rows: by key, those of the file and those appended since.

    Args:
        path: the file; it and its folder are made where missing.
        key: what tells one row from another.
        fresh: throw away what is there.

    Raises:
        FailureError: it cannot be read or written, another process writes it, or a line that is
            not the last is damaged.
    """

    def __init__(self, path: Path, key: Callable[[Row], Hashable], fresh: bool = False) -> None:
        self.path = path
        self._key = key
        self.rows: dict[Hashable, Row] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b")
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if fresh:
                    self._file.truncate(0)
                self._read()
            except BaseException:
                self._file.close()
                raise
        except BlockingIOError:
            raise FailureError(f"{path}: another process is writing to it", USAGE) from None
        except OSError as error:
            raise FailureError(f"{path}: cannot be used: {error.strerror}", USAGE) from None

    def _read(self) -> None:
        self._file.seek(0)
        good = 0
        for number, line in enumerate(self._file, 1):
            row = _row(line)
            if row is None:
                if self._file.read(1):
                    raise FailureError(
                        f"{self.path}:{number}: is damaged; take the line out or begin anew", USAGE
                    )
                self._file.truncate(good)
                break
            good += len(line)
            self.rows[self._key(row)] = row

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a row; it is on the disk when this returns.

        Raises:
            FailureError: it cannot be written.
        """
        line = json.dumps(row, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        try:
            self._file.write(line.encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise FailureError(f"{self.path}: cannot be written: {error.strerror}") from None
        kept = dict(row)
        self.rows[self._key(kept)] = kept

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _row(line: bytes) -> Row | None:
    """Return a whole line as a row, ``None`` if it is torn."""
    if not line.endswith(b"\n"):
        return None
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None  # pyright: ignore[reportUnknownVariableType]
