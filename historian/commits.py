"""Groups of scans, events and states, committed in one transaction each."""

import json
import math
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import cast

from historian.audit import Chain, EventColumns, heads_path
from historian.events import Event, Kind
from historian.footprint import Footprint, Scales
from historian.gaps import DIED, ENDED, GapWatch
from historian.inbox import Group
from historian.reserve import Reserve
from historian.rows import RowWriter
from historian.schema import open_writer
from historian.upkeep import FOR_GOOD, Keep, Upkeep, Why

_INSERT_EVENT = (
    "INSERT INTO event (time, source, kind, subject, text, data) VALUES (?, ?, ?, ?, ?, ?)"
)

WRITER = "writer"  # key of the state that says whether it was closed in order


class Commits:
    """The store's one writer: what it takes is committed when ``write`` returns.

    Args:
        path: the store's file; it is made, with its folder, if it is not there.
        gap_s: see ``SqliteStore``.
        keep: how long rows are kept.
        reserve: bytes that are its own before they are needed.

    Attributes:
        db: its connection.
        broken: why the audit trail is not the one whose heads were exported, or empty.
        full: why the oldest rows leave for the new ones, or empty: the disk has room.
        footprint: what it takes of the disk; ``None`` until it was weighed.

    Raises:
        StoreError: the file is no store of ours, or another process writes to it.
    """

    def __init__(self, path: Path, gap_s: float, keep: Keep = FOR_GOOD, reserve: int = 0) -> None:
        self.db, self._lock_file = open_writer(path)
        self._gaps = GapWatch(self.db, gap_s, _ended_before(self.db))
        self._rows = RowWriter(self.db, self._gaps)
        self._chain = Chain(self.db, heads_path(path))
        self._upkeep = Upkeep(self.db, path, keep)
        self._reserve = Reserve(self.db, path, reserve)
        self.full = ""
        self._scales = Scales(self.db, path)
        self.footprint: Footprint | None = None
        self.broken = self._chain.broken

    def tidy(self) -> bool:
        """Let rows leave that are sealed or too old, a few at a time; return whether more wait.

        Raises:
            sqlite3.Error: it could not be done now.
        """
        if not self._upkeep.due():
            return False
        self._transact(lambda: self._insert(self._upkeep.step()))
        return self._upkeep.due()

    def make_room(self) -> bool:
        """Own the pages of what comes next; return whether rows may be written, or events only.

        Where the disk has no more, the oldest rows leave for the new ones.

        Raises:
            sqlite3.Error, OSError: it could not be done.
        """
        reserve = self._reserve
        if reserve.grow():
            self.full = ""
            return True
        left = f"{reserve.left / 1e6:.1f} MB"
        why = Why(f"the disk is full ({left} left)", f"磁盘已满（剩余 {left}）")
        self.full = (
            self.full or f"{why.english}; the store goes on in its reserve, the oldest rows leave"
        )
        while reserve.low:
            told: list[Event] = []

            def drop(told: list[Event] = told) -> None:
                told += self._upkeep.step(full=why)
                self._insert(told)

            self._transact(drop)
            if not self._upkeep.dropping:
                break  # a sealed batch, which the file system may free later, or nothing is left
        return not reserve.spent

    def weigh(self) -> None:
        """See how large it has become, now and then.

        Raises:
            sqlite3.Error, OSError: it could not be done now.
        """
        if self._scales.due():
            self.footprint = self._scales.look()

    def close(self) -> None:
        """Close the file and let another process write."""
        self.db.close()
        self._lock_file.close()

    def write(self, group: Group) -> None:
        """Commit a group, all of it or nothing.

        Raises:
            sqlite3.Error, ArithmeticError, TypeError, ValueError: it could not be.
        """

        def all_of_it() -> None:
            self.db.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", group.states.items())
            self._insert(group.events)
            self._insert(self._rows.write(group.scans))

        self._transact(all_of_it)

    def _transact(self, work: Callable[[], None]) -> None:
        db = self.db
        try:
            db.execute("BEGIN IMMEDIATE")
            work()
            db.execute("COMMIT")
        except BaseException:
            self._rows.forget()
            self._chain.rollback()
            self._upkeep.forget()
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        self._chain.commit()
        self._gaps.commit()

    def _insert(self, events: Iterable[Event]) -> None:
        for event in events:
            row = _event_row(event)
            added = self.db.execute(_INSERT_EVENT, row).lastrowid
            if event.kind is Kind.AUDIT and added is not None:
                self._chain.add(added, row)


def _ended_before(db: sqlite3.Connection) -> str:
    """Return how the program before this one ended."""
    row = db.execute("SELECT value FROM state WHERE key = ?", (WRITER,)).fetchone()
    return ENDED if row is None or json.loads(row[0])["closed"] else DIED


def _event_row(event: Event) -> EventColumns:
    texts = (event.source, event.kind.value, event.subject, event.text)
    source, kind, subject, text = (t.encode("utf-8", "replace").decode() for t in texts)
    time = event.time if math.isfinite(event.time) else 0.0
    return time, source, kind, subject, text, as_json(event.data)


def as_json(obj: object) -> str:
    """Return JSON of anything: what is not finite is null, what is not known its text."""
    try:
        return json.dumps(obj, default=_plain, allow_nan=False)
    except ValueError:  # JSON has no NaN
        return json.dumps(_finite(obj), default=str, allow_nan=False)


def _plain(obj: object) -> object:
    return dict(cast(Mapping[str, object], obj)) if isinstance(obj, Mapping) else str(obj)


def _finite(obj: object) -> object:
    if isinstance(obj, float):
        return obj if math.isfinite(obj) else None
    if isinstance(obj, Mapping):
        return {str(k): _finite(v) for k, v in cast(Mapping[object, object], obj).items()}
    if isinstance(obj, list | tuple):
        return [_finite(v) for v in cast(Iterable[object], obj)]
    return obj
