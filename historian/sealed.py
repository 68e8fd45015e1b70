"""Sealed batches: their rows in Parquet beside the store, read as if they were still in it.

``sealed/BATCH/`` beside the store holds ``rows.parquet``, ``record.json`` and ``manifest.json``
with checksums. The store's writer drops rows from the store that a manifest says are here. A
reader joins both again: the rows of a batch that are no longer in the store come from the file.
"""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from historian.schema import Column, lineage, quoted, row_table

FOLDER, ROWS, RECORD, MANIFEST = "sealed", "rows.parquet", "record.json", "manifest.json"
_JOINED = "sealed row"  # the temporary table of rows from files
_PAGE = 5000  # rows from Parquet to SQLite at a time


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a sealed batch holds.

    Attributes:
        batch: its id.
        reactor: ``R1``.
        store: identity of the store that it was sealed from.
        software: what sealed it.
        made: s since 1970 UTC.
        rows: how many.
        first: least number of a row.
        last: greatest number of a row.
        start: least time of a row, s since 1970 UTC.
        end: greatest time of a row.
        suffixes: tags without the reactor, in the order of their digits in ``quality``.
        files: bytes and SHA-256 of each file, by name.
    """

    batch: str
    reactor: str
    store: str
    software: str
    made: float
    rows: int
    first: int
    last: int
    start: float
    end: float
    suffixes: tuple[str, ...]
    files: dict[str, dict[str, Any]]

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return sum(int(file["bytes"]) for file in self.files.values())


class Window(NamedTuple):
    """Which rows are wanted: by time (s since 1970 UTC, both ends) or by number, after ``seq``."""

    start: float = -float("inf")
    end: float = float("inf")
    seq: int = 0
    limit: int = 1 << 62


def manifests(store: Path) -> list[tuple[Path, Manifest]]:
    """Return folder and manifest of every batch sealed beside a store, in order of their rows.

    One that cannot be read is passed over: its rows are still in the store, or were restored.
    """
    found: list[tuple[Path, Manifest]] = []
    for path in (store.parent / FOLDER).glob(f"[!.]*/{MANIFEST}"):
        try:
            told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            told["suffixes"] = tuple(told["suffixes"])
            found.append((path.parent, Manifest(**told)))
        except (OSError, ValueError, TypeError, KeyError):
            continue
    return sorted(found, key=lambda pair: (pair[1].reactor, pair[1].first))


class Sealed:
    """The sealed batches of one store, for a reader.

    Args:
        store: its path.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self._seen = -1  # when the folder was changed last, ns
        self._known: list[tuple[Path, Manifest]] = []

    def source(
        self, db: sqlite3.Connection, reactor: str, some: Sequence[Column], window: Window
    ) -> str:
        """Return what to select ``seq, time, quality`` and some columns of a reactor's rows from.

        That is the table itself, or, where rows of the window are in files only, both.

        Args:
            db: the reader's connection, in a transaction.
            reactor: whose rows.
            some: the columns that are wanted.
            window: the rows that are wanted; others may come as well.
        """
        of = lineage(db.execute("SELECT id FROM identity").fetchone()[0])
        files = [
            (folder, manifest, upto)
            for folder, manifest in self._manifests()
            if (manifest.reactor, lineage(manifest.store)) == (reactor, of)
            and manifest.last > window.seq
            and manifest.end >= window.start
            and manifest.start <= window.end
            and (upto := first_left(db, manifest)) > max(manifest.first, window.seq + 1)
        ]
        if not files:
            return row_table(reactor)
        names = ", ".join(quoted(c.col) for c in some)
        db.execute(f"DROP TABLE IF EXISTS temp.{quoted(_JOINED)}")
        reals = "".join(f", {quoted(c.col)} REAL" for c in some)
        table = f"temp.{quoted(_JOINED)}"
        db.execute(f"CREATE TABLE {table} (seq INTEGER, time REAL, quality TEXT{reals})")
        left = window.limit
        for folder, manifest, upto in files:
            if left > 0:
                left -= _load(db, table, folder / ROWS, manifest, some, window, upto, left)
        return (
            f"(SELECT seq, time, quality, {names} FROM main.{row_table(reactor)}"
            f" UNION ALL SELECT seq, time, quality, {names} FROM {table})"
        )

    def _manifests(self) -> list[tuple[Path, Manifest]]:
        try:
            changed = (self._store.parent / FOLDER).stat().st_mtime_ns
        except OSError:
            return []
        if changed != self._seen:
            self._seen, self._known = changed, manifests(self._store)
        return self._known


def first_left(db: sqlite3.Connection, manifest: Manifest) -> int:
    """Return the first row of a sealed batch that the store still has; past its last: none."""
    found = db.execute(
        f"SELECT min(seq) FROM main.{row_table(manifest.reactor)} WHERE seq BETWEEN ? AND ?",
        (manifest.first, manifest.last),
    ).fetchone()[0]
    return manifest.last + 1 if found is None else int(found)


def _load(
    db: sqlite3.Connection,
    table: str,
    path: Path,
    manifest: Manifest,
    some: Sequence[Column],
    window: Window,
    upto: int,
    limit: int,
) -> int:
    """Copy the rows of a window out of a file into a temporary table; return how many."""
    pc: Any = import_module("pyarrow.compute")  # it has no types; imported where needed
    pq: Any = import_module("pyarrow.parquet")

    there = [c for c in some if c.suffix in manifest.suffixes]
    wanted = (pc.field("seq") > window.seq) & (pc.field("seq") < upto)
    wanted &= (pc.field("time") >= window.start) & (pc.field("time") <= window.end)
    names = ["seq", "time", "quality", *(c.suffix for c in there)]
    found = pq.read_table(path, columns=names, filters=wanted)
    found = found.slice(0, min(limit, found.num_rows))
    columns = ", ".join(["seq", "time", "quality", *(quoted(c.col) for c in there)])
    marks = ", ".join("?" * len(names))
    for batch in found.to_batches(max_chunksize=_PAGE):
        lists = [batch.column(i).to_pylist() for i in range(len(names))]
        rows = zip(*lists, strict=True)
        db.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)
    return int(found.num_rows)
