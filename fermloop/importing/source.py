"""A file as columns of texts or numbers: CSV or Parquet."""

import csv
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from controller.plant_file.config import ConfigError
from fermloop.importing.mapping import MappingSettings


class Source(NamedTuple):
    """What is in a file.

    Attributes:
        name: of the file.
        columns: by name; each as long as the others.
        first_line: number of the line that the first row stands in, as an editor counts.
    """

    name: str
    columns: dict[str, Sequence[Any]]
    first_line: int

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(next(iter(self.columns.values()), ()))


def read(path: Path, mapping: MappingSettings) -> Source:
    """Return the columns of a file.

    Raises:
        ConfigError: it cannot be read, or is no table.
    """
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            return _parquet(path)
        return _csv(path, mapping)
    except OSError as error:
        raise ConfigError(
            [f"{path}: {error.strerror or error}; CSV or Parquet is required"]
        ) from None
    except (UnicodeDecodeError, LookupError) as error:
        raise ConfigError(
            [f"{path.name}: not {mapping.encoding}: {error}; set encoding, for example gb18030"]
        ) from None


def _csv(path: Path, mapping: MappingSettings) -> Source:
    with path.open(encoding=mapping.encoding, newline="") as file:
        rows = [row for row in csv.reader(file, delimiter=mapping.separator) if row]
    if len(rows) < 2:
        raise ConfigError([f"{path.name}: no rows; a line of names and one a sample are required"])
    names, body = [name.strip() for name in rows[0]], rows[1:]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ConfigError([f"{path.name}: line 1: {sorted(twice)[0]!r} is there twice"])
    wrong = next((i for i, row in enumerate(body, 2) if len(row) != len(names)), 0)
    if wrong:
        found = len(body[wrong - 2])
        raise ConfigError(
            [f"{path.name}: line {wrong}: {found} columns, {len(names)} names; see separator"]
        )
    return Source(path.name, dict(zip(names, zip(*body, strict=True), strict=True)), 2)


def _parquet(path: Path) -> Source:
    pq: Any = import_module("pyarrow.parquet")  # has no types
    try:
        table = pq.read_table(path)
    except ValueError as error:  # ArrowInvalid is one
        raise ConfigError([f"{path.name}: no Parquet: {error}"]) from None
    columns = {name: table[name].to_pylist() for name in table.column_names}
    if not table.num_rows:
        raise ConfigError([f"{path.name}: no rows"])
    return Source(path.name, columns, 1)
