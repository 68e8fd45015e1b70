"""Reads the store from any thread or process, beside its writer."""

import json
import math
import sqlite3
import threading
from collections.abc import Generator, Iterable, Sequence, Set
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from drivers.point import Quality, Sample, Tag
from historian.audit import Verdict, heads_path, read_heads, verify
from historian.batch import BatchRecord, rebuild
from historian.batches import Batch, BatchList
from historian.event_rows import EventRow, events, of_kinds
from historian.events import Kind
from historian.minutes import Minute, finished
from historian.schema import (
    MISSING,
    Column,
    column_of,
    columns,
    open_reader,
    quoted,
    row_table,
)
from historian.sealed import Sealed, Window
from historian.trends import Axis, Series, axis, series


class Rows(NamedTuple):
    """Rows of one reactor, as they are stored.

    Attributes:
        suffixes: tag names without the reactor, one a value.
        rows: ``(seq, time, quality, value, value, ...)``; a value is ``None`` where BAD or not
            sampled; ``quality`` is ``None`` when all are GOOD, else a digit of ``Quality`` for
            each suffix, ``-`` (or nothing, beyond its end) for one that was not sampled.
    """

    suffixes: tuple[str, ...]
    rows: list[tuple[Any, ...]]


class SqliteReader:
    """Reads the store read-only; never makes the writer wait.

    It opens the file when first used, so it may be made before the store is. Every method raises
    ``StoreError`` while there is none. May be used by several threads.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None
        self._batches = BatchList()
        self._sealed = Sealed(self.path)

    def close(self) -> None:
        """Close the file; the reader may be used again."""
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None
                self._batches = BatchList()

    def __enter__(self) -> "SqliteReader":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def snapshot(self) -> AbstractContextManager[sqlite3.Connection]:
        """Give a connection in a read transaction: columns and rows of one moment."""
        return self._snapshot()

    @contextmanager
    def table(
        self, reactor: str, start: float = -math.inf, end: float = math.inf
    ) -> Generator[tuple[sqlite3.Connection, str, list[Column]]]:
        """Give a snapshot, what to select a reactor's rows from, and its columns.

        That has ``seq``, ``time``, ``quality`` and every column, of sealed batches too, at least
        from ``start`` to ``end`` (s since 1970 UTC). A reactor without rows has no columns.
        """
        with self._snapshot() as db:
            found = columns(db, reactor)
            source = self._sealed.source(db, reactor, found, Window(start, end)) if found else ""
            yield db, source, found

    def store_id(self) -> str:
        """Return the identity of this store: another one when the file was made anew."""
        with self._snapshot() as db:
            return str(db.execute("SELECT id FROM identity").fetchone()[0])

    def reactors(self) -> list[str]:
        """Return the names of the reactors that have rows."""
        with self._snapshot() as db:
            return [row[0] for row in db.execute("SELECT name FROM reactor ORDER BY name")]

    def tags(self) -> dict[str, Tag]:
        """Return every tag ever stored, with its newest unit and range, by name."""
        with self._snapshot() as db:
            found = db.execute("SELECT name, unit, low, high FROM tag ORDER BY reactor, place")
            return {row[0]: Tag(*row) for row in found}

    def newest(self, reactor: str) -> tuple[int, float]:
        """Return number and time (s since 1970 UTC) of the newest row; ``0, 0.0`` without rows."""
        with self._snapshot() as db:
            if not columns(db, reactor):
                return 0, 0.0
            found = db.execute(
                f"SELECT seq, time FROM {row_table(reactor)} ORDER BY seq DESC LIMIT 1"
            ).fetchone()
            return found or (0, 0.0)

    def time_of(self, reactor: str, seq: int) -> float | None:
        """Return the time of row ``seq``, or of the last before it; ``None`` if there is none."""
        with self._snapshot() as db:
            found = columns(db, reactor)
            if not found:
                return None
            source = self._sealed.source(db, reactor, found[:1], Window(seq=seq - 1, limit=1))
            sql = f"SELECT time FROM {source} WHERE seq <= ? ORDER BY seq DESC LIMIT 1"
            row = db.execute(sql, (seq,)).fetchone()
            return row[0] if row else None

    def last(self, reactor: str) -> dict[str, Sample]:
        """Return the samples of the newest row, by tag name."""
        with self._snapshot() as db:
            found = columns(db, reactor)
            if not found:
                return {}
            names = ", ".join(quoted(c.col) for c in found)
            row = db.execute(
                f"SELECT time, quality, {names} FROM {row_table(reactor)} ORDER BY seq DESC LIMIT 1"
            ).fetchone()
        if row is None:
            return {}
        time, quality, *values = row
        samples = (
            _sample(_tag(c), time, value, _digit(quality, c.place))
            for c, value in zip(found, values, strict=True)
        )
        return {s.tag.name: s for s in samples if s is not None}

    def rows(self, reactor: str, after_seq: int, limit: int) -> Rows:
        """Return at most ``limit`` rows with a greater ``seq`` than ``after_seq``, in order."""
        with self._snapshot() as db:
            found = columns(db, reactor)
            if not found:
                return Rows((), [])
            names = ", ".join(quoted(c.col) for c in found)
            window = Window(seq=after_seq, limit=limit)
            rows = db.execute(
                f"SELECT seq, time, quality, {names}"
                f" FROM {self._sealed.source(db, reactor, found, window)}"
                " WHERE seq > ? ORDER BY seq LIMIT ?",
                (after_seq, limit),
            ).fetchall()
        return Rows(tuple(c.suffix for c in found), rows)

    def minutes(self, reactor: str, wanted: Set[int]) -> tuple[list[Minute], set[int]]:
        """Return the tags of those minutes that are over, and which of ``wanted`` are not."""
        with self._snapshot() as db:
            return finished(db, reactor, wanted)

    def read(self, tag: Tag, start: float, end: float) -> list[Sample]:
        """Return the samples of ``tag`` with ``start <= time <= end``, oldest first."""
        with self._snapshot() as db:
            column = column_of(db, tag.name)
            if column is None:
                return []
            rows = db.execute(
                f"SELECT time, {quoted(column.col)}, substr(quality, ?, 1)"
                f" FROM {self._sealed.source(db, tag.reactor, [column], Window(start, end))}"
                " WHERE time >= ? AND time <= ? ORDER BY time, seq",
                (column.place + 1, start, end),
            ).fetchall()
        samples = (_sample(tag, time, value, digit) for time, value, digit in rows)
        return [s for s in samples if s is not None]

    def series(self, names: Iterable[str], start: float, end: float, buckets: int) -> Series:
        """Return least, greatest and mean value of each tag in each bucket of time.

        Buckets lie on whole multiples of their width, so a trend does not flicker as it moves on;
        there are at most ``buckets + 1``. Wider than 30 s they are whole minutes or hours, made of
        rollups.
        A bucket in which nothing good was measured is a gap; a tag sampled more slowly than the
        rows is held for at most a minute. An unknown tag is one long gap.

        Args:
            names: tag names, ``R1.do``.
            start: s since 1970 UTC.
            end: s since 1970 UTC, after ``start``.
            buckets: how many the caller can show, at least 1.

        Raises:
            ValueError: ``start`` is not before ``end`` or ``buckets`` is below 1.
        """
        with self._snapshot() as db:
            return series(db, names, axis(start, end, buckets), self._sealed)

    def series_along(self, names: Iterable[str], along: Axis) -> Series:
        """Return ``series`` on an axis of one's own, such as the age of a batch."""
        with self._snapshot() as db:
            return series(db, names, along, self._sealed)

    def events(
        self, after_id: int = 0, limit: int = 1000, kinds: Sequence[Kind] | None = None
    ) -> list[EventRow]:
        """Return at most ``limit`` events with a greater id, oldest first; ``None``: all kinds."""
        where, arguments = of_kinds(kinds)
        return self._events(
            f"WHERE id > ?{where} ORDER BY id LIMIT ?", (after_id, *arguments, limit)
        )

    def audit(self, limit: int = 100, who: str = "", subject: str = "") -> list[EventRow]:
        """Return the newest links of the audit trail, newest first.

        Args:
            limit: how many at most.
            who: only what this person did; empty: everybody, recipe and optimiser too.
            subject: only of this reactor with its loops, or of this loop; empty: all.
        """
        return self._events(
            "WHERE kind = ? AND (? = '' OR source = 'operator:' || ?)"
            " AND (? = '' OR subject = ? OR substr(subject, 1, length(?) + 1) = ? || '.')"
            " ORDER BY id DESC LIMIT ?",
            (Kind.AUDIT.value, who, who, *[subject] * 4, limit),
        )

    def latest_events(
        self, limit: int = 100, kinds: Sequence[Kind] | None = None
    ) -> list[EventRow]:
        """Return the newest events, oldest first; ``None``: all kinds."""
        where, arguments = of_kinds(kinds)
        found = self._events(f"WHERE id > 0{where} ORDER BY id DESC LIMIT ?", (*arguments, limit))
        return found[::-1]

    def batches(self, reactor: str = "") -> list[Batch]:
        """Return every batch of a reactor, or of all, oldest first."""
        return [b for b in self._known_batches() if reactor in ("", b.reactor)]

    def batch(self, id_: str) -> BatchRecord:
        """Return the record of a batch, rebuilt from what is in the store.

        Raises:
            LookupError: there is no such batch; the message names the newest ones.
        """
        known = self._known_batches()
        with self._snapshot() as db:
            return rebuild(db, known, id_)

    def _known_batches(self) -> list[Batch]:
        with self._snapshot() as db:
            self._batches.update(db)
            return list(self._batches.batches)

    def verify(self, known: str = "", *, closed: bool = False) -> Verdict:
        """Check the audit trail against itself and every exported head; see ``historian.audit``.

        Args:
            known: a head that somebody noted, or its beginning.
            closed: no controller writes now.
        """
        path = heads_path(self.path)  # read before the store, which may grow meanwhile
        heads = list(read_heads(path)) if path.exists() else []
        with self._snapshot() as db:
            return verify(db, heads, known, closed=closed)

    def newest_head(self) -> tuple[int, float, str]:
        """Return number, time (s since 1970 UTC) and hash of the audit trail's newest link."""
        with self._snapshot() as db:
            return db.execute(
                "SELECT audit.seq, event.time, hash FROM audit JOIN event ON event.id = audit.event"
                " ORDER BY audit.seq DESC LIMIT 1"
            ).fetchone() or (0, 0.0, "")

    def state(self, key: str) -> Any:
        """Return what the controller last put under ``key``; ``None`` if nothing."""
        with self._snapshot() as db:
            row = db.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
        return None if row is None else json.loads(row[0])

    def _events(self, where: str, arguments: tuple[object, ...]) -> list[EventRow]:
        with self._snapshot() as db:
            return events(db, where, arguments)

    @contextmanager
    def _snapshot(self) -> Generator[sqlite3.Connection]:
        """Give a connection in a read transaction: columns and rows of one moment."""
        with self._lock:
            if self._db is None:
                self._db = open_reader(self.path)
            self._db.execute("BEGIN")
            try:
                yield self._db
            finally:
                self._db.execute("COMMIT")


def _tag(column: Column) -> Tag:
    return Tag(column.name, column.unit, column.low, column.high)


def _digit(quality: str | None, place: int) -> str | None:
    return None if quality is None else quality[place : place + 1]


def _sample(tag: Tag, time: float, value: float | None, digit: str | None) -> Sample | None:
    """Return the sample of one cell, ``None`` where the tag was not sampled."""
    if value is not None:
        return Sample(tag, time, value, Quality(int(digit)) if digit else Quality.GOOD)
    if not digit or digit == MISSING:
        return None
    return Sample(tag, time, math.nan, Quality.BAD)
