"""What the writer does in between: rows that are sealed or too old leave the store.

In small steps, so that no scan waits for it; time is that of the newest row. Rollups, events and
the audit trail stay for good.
"""

import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from drivers.clock import monotonic
from historian.events import Event, Kind, gap
from historian.footprint import used
from historian.schema import row_table
from historian.sealed import ROWS, Manifest, first_left, manifests

_PASS_S = 60.0  # wall s between two looks
_ROWS = 500  # deleted in one transaction: some ms
_DAY_S = 86_400.0
_SHARE = 0.05  # of a vessel's rows that leave when there are too many bytes


class Why(NamedTuple):
    """Why rows are dropped."""

    english: str
    chinese: str


def _too_old(days: float) -> Why:
    return Why(f"they are older than {days:g} days", f"早于 {days:g} 天")


@dataclass(frozen=True, slots=True)
class Keep:
    """How long rows are kept; sealed ones are dropped from the store in any case.

    Attributes:
        days: older rows and sealed batches are dropped; ``None``: none is.
        gigabytes: of the store with what is sealed; above it the oldest are dropped; ``None``: as
            many as the disk takes.
    """

    days: float | None = None
    gigabytes: float | None = None


FOR_GOOD = Keep()


@dataclass(slots=True)
class _Drop:
    """Rows that leave: those of a vessel from ``first`` to ``last``; ``event`` tells of them."""

    reactor: str
    first: int
    last: int
    event: Event | None  # told with the first of them, so that no row is missing without it


class Upkeep:
    """Keeps the store small.

    Args:
        db: the writer's connection.
        store: its file.
        keep: for how long.
    """

    def __init__(self, db: sqlite3.Connection, store: Path, keep: Keep) -> None:
        self._db = db
        self._store = store
        self._keep = keep
        self._drops: list[_Drop] = []
        self._looked = -float("inf")

    def due(self) -> bool:
        """Return whether there is something to do."""
        return bool(self._drops) or monotonic() - self._looked >= _PASS_S

    @property
    def dropping(self) -> bool:
        """Whether rows are leaving, and more will."""
        return bool(self._drops)

    def step(self, full: Why | None = None) -> list[Event]:
        """Do a little, in the open transaction; return what is to be told.

        Args:
            full: why the oldest must go, whatever is to be kept; ``None``: only what may go.

        Raises:
            sqlite3.Error: it could not be done; roll back, and it is tried again.
        """
        if full and not self._drops:
            return self._oldest(full)
        if not self._drops:
            self._drops = [*self._sealed()]
            told = [*self._old_sealed()]
            self._drops += self._aged()
            if not self._drops:
                told += self._too_large()
            if not (self._drops or told):
                self._looked = monotonic()
            return told
        drop = self._drops[0]
        upto = min(drop.last, drop.first + _ROWS - 1)
        self._db.execute(
            f"DELETE FROM {row_table(drop.reactor)} WHERE seq BETWEEN ? AND ?", (drop.first, upto)
        )
        drop.first = upto + 1
        told, drop.event = ([drop.event] if drop.event else []), None
        if drop.first > drop.last:
            del self._drops[0]
        return told

    def forget(self) -> None:
        """Begin anew: what was done was undone."""
        self._drops.clear()
        self._looked = -float("inf")

    def _sealed(self) -> Iterator[_Drop]:
        """Yield the rows that are in sealed files as well."""
        identity = self._db.execute("SELECT id FROM identity").fetchone()[0]
        newest = {reactor: last for reactor, _, last, _, _ in self._spans()}
        for folder, m in manifests(self._store):
            if m.store != identity or m.reactor not in newest:
                continue
            first, last = first_left(self._db, m), min(m.last, newest[m.reactor])
            if first <= last and _whole(folder, m):
                text = f"rows {first} to {last} are in {folder.name} now: sealed"
                data = {"batch": m.batch, "first": first, "last": last}
                event = Event(m.end, "system", Kind.NOTE, m.reactor, text, data)
                yield _Drop(m.reactor, first, last, event)

    def _aged(self) -> Iterator[_Drop]:
        if self._keep.days is None:
            return
        for reactor, first, _, start, newest in self._spans():
            before = newest - self._keep.days * _DAY_S
            if start < before - min(1.0, 0.1 * self._keep.days) * _DAY_S:  # once a day will do
                last = self._db.execute(
                    f"SELECT max(seq) FROM {row_table(reactor)} WHERE time < ?", (before,)
                ).fetchone()[0]
                yield self._loss(reactor, first, last, start, _too_old(self._keep.days))

    def _old_sealed(self) -> Iterator[Event]:
        """Remove the sealed batches that are too old, and yield what is to be told."""
        newest = {reactor: time for reactor, _, _, _, time in self._spans()}
        for folder, m in manifests(self._store):
            age = newest.get(m.reactor, 0.0) - m.end
            if self._keep.days is not None and age > self._keep.days * _DAY_S:
                yield _gone(folder, m, _too_old(self._keep.days))

    def _too_large(self) -> list[Event]:
        """Drop the oldest where there are too many bytes."""
        if self._keep.gigabytes is None:
            return []
        sealed = manifests(self._store)
        size = used(self._db) + sum(m.size for _, m in sealed)
        if size <= self._keep.gigabytes * 1e9:
            return []
        most = f"{self._keep.gigabytes:g} GB"
        return self._oldest(Why(f"there are more than {most}", f"超过 {most}"), sealed)

    def _oldest(self, why: Why, sealed: list[tuple[Path, Manifest]] | None = None) -> list[Event]:
        """Choose the oldest rows to leave, or remove the oldest sealed batch and tell of it."""
        sealed = manifests(self._store) if sealed is None else sealed
        spans = [*self._spans()]
        rows = min(spans, key=lambda span: span[3], default=None)
        files = min(sealed, key=lambda pair: pair[1].start, default=None)
        if files is not None and (rows is None or files[1].start < rows[3]):
            return [_gone(*files, why)]
        if rows is not None:
            reactor, first, last, start, _ = rows
            upto = first + max(_ROWS, round(_SHARE * (last - first)))
            self._drops.append(self._loss(reactor, first, min(upto, last), start, why))
        return []

    def _loss(self, reactor: str, first: int, last: int, start: float, why: Why) -> _Drop:
        table = row_table(reactor)
        end = self._db.execute(
            f"SELECT time FROM {table} WHERE seq <= ? ORDER BY seq DESC", (last,)
        )
        data = {"start": start, "end": end.fetchone()[0], "first": first, "last": last}
        text = f"rows {first} to {last} were dropped: {why.english}; their minutes are kept"
        chinese = f"第 {first} 至 {last} 行已删除：{why.chinese}；保留分钟均值"
        told = gap(float(data["end"]), reactor, text, chinese, {**data, "why": why.english})
        return _Drop(reactor, first, last, told)

    def _spans(self) -> Iterator[tuple[str, int, int, float, float]]:
        """Yield each vessel, its first row, the last that may go, and the times of both ends.

        The newest row always stays: it is what the vessel is like.
        """
        for (reactor,) in self._db.execute("SELECT name FROM reactor").fetchall():
            table = row_table(reactor)
            first, last = (
                self._db.execute(
                    f"SELECT seq, time FROM {table} ORDER BY seq {way} LIMIT 1"
                ).fetchone()
                or (0, 0.0)
                for way in ("ASC", "DESC")
            )
            if first[0] < last[0]:
                yield reactor, first[0], last[0] - 1, first[1], last[1]


def _whole(folder: Path, manifest: Manifest) -> bool:
    """Whether the rows are there; they were held against the store when they were sealed."""
    try:
        return (folder / ROWS).stat().st_size == manifest.files[ROWS]["bytes"]
    except OSError:
        return False


def _gone(folder: Path, m: Manifest, why: Why) -> Event:
    shutil.rmtree(folder)
    when = datetime.fromtimestamp(m.start, UTC)
    text = f"the rows of {m.batch}, sealed, of {when:%Y-%m-%d} on were dropped: {why.english}"
    chinese = f"{m.batch} 自 {when:%Y-%m-%d} 起的封存数据已删除：{why.chinese}"
    data = {"start": m.start, "end": m.end, "batch": m.batch, "why": why.english}
    return gap(m.end, m.reactor, text, chinese, data)
