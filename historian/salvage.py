"""A damaged store: what of it can still be read, and a new store made of that.

SQLite keeps no checksum of a page, so what is damaged is what it cannot read, and what no store
of ours would hold: a row without a time, a text where a number belongs.
"""

import contextlib
import math
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from drivers.clock import wall
from historian.audit import heads_path, read_heads, verify
from historian.events import Event, Kind, gap
from historian.files import sync_folder
from historian.rollups import minute_of, roll
from historian.schema import (
    StoreError,
    columns,
    lock_writer,
    make_table,
    open_reader,
    open_writer,
    quoted,
)
from historian.sqlite import SqliteStore

_PAGE = 500
_PLAIN = ("tag", "reactor", "state", "identity", "rollup", "rollup_hour")


class Lost(NamedTuple):
    """Rows that cannot be read: numbers ``first`` to ``last``, between two times (s, UTC)."""

    table: str
    first: int
    last: int
    start: float
    end: float

    def __str__(self) -> str:
        return f"{self.table}: {self.first} to {self.last} are lost ({self._when(' to ')} UTC)"

    def in_chinese(self) -> str:
        return f"{self.table}：第 {self.first} 至 {self.last} 行丢失（{self._when(' 至 ')} UTC）"

    def _when(self, between: str) -> str:
        return between.join(
            f"{datetime.fromtimestamp(t, UTC):%Y-%m-%d %H:%M:%S}" if t else "?"
            for t in (self.start, self.end)
        )


@dataclass(slots=True)
class Findings:
    """What became of a store.

    Attributes:
        read: rows that are good, by table.
        lost: those that are not.
        faults: what else is wrong, a line each.
    """

    read: dict[str, int] = field(default_factory=dict[str, int])
    lost: list[Lost] = field(default_factory=list[Lost])
    faults: list[str] = field(default_factory=list[str])

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.faults)


def check(store: Path) -> Findings:
    """Read all of a store, beside its writer too, and return what is wrong with it.

    Raises:
        StoreError: nothing of it can be read.
    """
    found = Findings()
    with contextlib.closing(_opened(store)) as db:
        db.execute("BEGIN")
        with contextlib.suppress(sqlite3.Error):
            told = [row[0] for row in db.execute("PRAGMA integrity_check(20)")]
            found.faults += [line for line in told if line != "ok"]
        for table in _tables(db, found):
            for _ in _rows(db, table, found):
                pass
        found.faults += _audit_fault(db, store)
    return found


def salvage(store: Path, who: str) -> tuple[Findings, Path]:
    """Make a new store of what can be read of a damaged one, which stays beside it.

    What is lost is told in the new one, a GAP for each stretch, and who did this is audited.

    Returns:
        What was found, and where the damaged store is now.

    Raises:
        StoreError: it is being written, or nothing of it can be read; nothing was changed.
        OSError: the new one cannot be written; nothing was changed.
    """
    stamp = f"{datetime.fromtimestamp(wall(), UTC):%Y%m%d-%H%M%S}Z"
    fresh = store.with_name(f"{store.name}.salvaged-{stamp}")
    old = store.with_name(f"{store.name}.damaged-{stamp}")
    found = Findings()
    with contextlib.closing(lock_writer(store)):
        try:
            with contextlib.closing(_opened(store)) as db:
                db.execute("BEGIN")
                _copy(db, fresh, found)
            for suffix in ("-wal", "-shm"):  # must not meet another store
                log = store.with_name(store.name + suffix)
                if log.exists():
                    log.rename(old.with_name(old.name + suffix))
            os.link(store, old)
            fresh.replace(store)
            sync_folder(store.parent)
        finally:
            for path in store.parent.glob(f"{fresh.name}*"):
                path.unlink()
    with SqliteStore(store) as opened:
        for lost in found.lost:
            reactor = lost.table.removeprefix("row ")
            data = {**lost._asdict(), "why": "damaged"}
            opened.record(gap(wall(), reactor, str(lost), lost.in_chinese(), data))
        text = f"the store was damaged and made anew of what could be read; {len(found.lost)} gaps"
        told = {"what": "salvage", "old": str(old), "new": str(store), "why": ""}
        opened.record(Event(wall(), f"operator:{who}", Kind.AUDIT, "store", text, told))
    return found, old


def _opened(store: Path) -> sqlite3.Connection:
    try:
        return open_reader(store)
    except StoreError as error:
        raise StoreError(
            f"{error}; nothing of it can be read: restore a backup (fermloop restore)"
        ) from None


def _tables(db: sqlite3.Connection, found: Findings) -> list[str]:
    try:
        names = [row[0] for row in db.execute("SELECT name FROM reactor ORDER BY name")]
    except sqlite3.Error:
        like = "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'row %'"
        names = [row[0].removeprefix("row ") for row in db.execute(like)]
        found.faults.append("the list of reactors cannot be read")
    return ["event", "audit", *(f"row {name}" for name in names)]


def _rows(db: sqlite3.Connection, table: str, found: Findings) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the good rows of a table with a number, in pages; note those that cannot be read."""
    key = {"event": "id", "audit": "seq"}.get(table, "seq")
    sql = f"SELECT * FROM {quoted(table)} WHERE {key} >= ? ORDER BY {key} LIMIT ?"
    at, time = (0 if table == "audit" else 1), 0.0
    last = _last(db, table, key)
    found.read.setdefault(table, 0)
    while at <= last:
        if page := _sound_rows(db, sql, table, at):
            found.read[table] += len(page)
            time = 0.0 if table == "audit" else page[-1][1]
            yield page
            at = page[-1][0] + 1
            continue
        beyond = _beyond(db, sql, table, at, last)
        if beyond is None and _is_end(db, sql, at):
            return
        upto, end = (last, 0.0) if beyond is None else (beyond[0] - 1, beyond[1])
        found.lost.append(Lost(table, at, upto, time, 0.0 if table == "audit" else end))
        at = upto + 1


def _sound_rows(db: sqlite3.Connection, sql: str, table: str, at: int) -> list[tuple[Any, ...]]:
    """Return a page of rows, up to the first that cannot be read or that no store would hold."""
    rows: list[tuple[Any, ...]] = []
    with contextlib.suppress(sqlite3.Error):
        for row in db.execute(sql, (at, _PAGE)):
            if not _sound(table, row):
                break
            rows.append(row)
    return rows


def _is_end(db: sqlite3.Connection, sql: str, at: int) -> bool:
    """Whether there is nothing more, rather than something that cannot be read."""
    try:
        return db.execute(sql, (at, 1)).fetchone() is None
    except sqlite3.Error:
        return False


def _beyond(
    db: sqlite3.Connection, sql: str, table: str, at: int, last: int
) -> tuple[int, float] | None:
    """Return number and time of the first good row behind a fault: steps grow, then halve."""
    low, step = at, 1
    while low + step <= last and _good(db, sql, table, low + step) is None:
        low, step = low + step, step * 2
    high = min(low + step, last)
    if _good(db, sql, table, high) is None:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if _good(db, sql, table, middle) is None:
            low = middle
        else:
            high = middle
    return _good(db, sql, table, high)


def _good(db: sqlite3.Connection, sql: str, table: str, at: int) -> tuple[int, float] | None:
    try:
        row = db.execute(sql, (at, 1)).fetchone()
    except sqlite3.Error:
        return None
    return (row[0], row[1]) if row is not None and _sound(table, row) else None


def _last(db: sqlite3.Connection, table: str, key: str) -> int:
    """Return the greatest number that a table gave or has."""
    found = 0
    with contextlib.suppress(sqlite3.Error):
        sql = "SELECT seq FROM sqlite_sequence WHERE name = ?"
        found = (db.execute(sql, (table,)).fetchone() or (0,))[0]
    with contextlib.suppress(sqlite3.Error):
        newest = db.execute(f"SELECT max({key}) FROM {quoted(table)}").fetchone()[0]
        found = max(found, newest or 0)
    return int(found)


def _sound(table: str, row: tuple[Any, ...]) -> bool:
    """Whether a row is one that a store could hold."""
    if not isinstance(row[0], int):
        return False
    if table == "audit":
        return isinstance(row[1], int) and isinstance(row[2], str)
    if not isinstance(row[1], int | float) or not math.isfinite(row[1]):
        return False
    if table == "event":
        return all(isinstance(value, str) for value in row[2:])
    quality, *values = row[2:]
    plain = quality is None or (isinstance(quality, str) and not quality.strip("012-"))
    return plain and all(v is None or isinstance(v, int | float) for v in values)


def _audit_fault(db: sqlite3.Connection, store: Path) -> list[str]:
    heads = heads_path(store)
    try:
        verdict = verify(db, list(read_heads(heads)) if heads.exists() else [])
    except (sqlite3.Error, TypeError, ValueError) as error:
        return [f"audit trail: cannot be read: {error}"]
    return [] if verdict.ok else [f"audit trail: {verdict.fault}"]


def _copy(db: sqlite3.Connection, path: Path, found: Findings) -> None:
    """Put all that can be read into a new store."""
    new, lock = open_writer(path)
    with contextlib.closing(lock), contextlib.closing(new):
        new.execute("PRAGMA synchronous = OFF")  # all of it is synchronised at the end
        new.execute("BEGIN IMMEDIATE")
        triggers = new.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall()
        for name, _ in triggers:
            new.execute(f"DROP TRIGGER {quoted(name)}")
        new.execute("DELETE FROM audit")
        new.execute("DELETE FROM identity")
        for table in _PLAIN:
            _copy_plain(db, new, table, found)
        if not new.execute("SELECT count(*) FROM identity").fetchone()[0]:
            new.execute("INSERT INTO identity VALUES (lower(hex(randomblob(16))))")
        for table in _tables(db, found):
            reactor = table.removeprefix("row ")
            minutes: set[int] = set()
            if reactor != table:
                make_table(new, reactor, [c.col for c in columns(new, reactor)])
            for page in _rows(db, table, found):
                marks = ", ".join("?" * len(page[0]))
                new.executemany(f"INSERT INTO {quoted(table)} VALUES ({marks})", page)
                if reactor != table:
                    minutes.update(minute_of(row[1]) for row in page)
            if minutes:
                roll(new, reactor, columns(new, reactor), minutes, max(minutes))
        for _, sql in triggers:
            new.execute(sql)
        found.faults += _audit_fault(new, path)
        new.execute("COMMIT")
        new.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        new.execute("PRAGMA journal_mode = DELETE")
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _copy_plain(
    db: sqlite3.Connection, new: sqlite3.Connection, table: str, found: Findings
) -> None:
    """Copy a table without numbers as far as it can be read; rollups are made again from rows."""
    rows: list[tuple[Any, ...]] = []
    try:
        for row in db.execute(f"SELECT * FROM {table}"):
            rows.append(row)
    except sqlite3.Error as error:
        found.faults.append(f"{table}: {len(rows)} rows can be read, then: {error}")
    if rows:
        marks = ", ".join("?" * len(rows[0]))
        new.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", rows)
