"""Scans become wide rows: the SQL of the store's one writer.

Everything here runs on the writer's thread, inside its transaction.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, NamedTuple

from drivers.point import Quality, Tag
from historian.events import Event
from historian.gaps import GapWatch
from historian.rollups import late_minutes, minute_of, roll
from historian.schema import (
    MISSING,
    Column,
    columns,
    free_column,
    make_table,
    quoted,
    row_table,
    split_name,
)

_GOOD = int(Quality.GOOD)
_LAYOUTS = 1000  # tag tuples remembered; more means that a caller makes new Tags every scan
_QUALITIES = 1000  # patterns of quality remembered for each layout


class Scan(NamedTuple):
    """One call of ``append``, as it waits in the queue.

    Attributes:
        tags: in the order of the samples.
        time: greatest of the samples' times, s since 1970 UTC.
        values: one a tag, in its unit; ``None`` where BAD.
        codes: one quality a tag; ``None`` when all are GOOD.
    """

    tags: tuple[Tag, ...]
    time: float
    values: tuple[float | None, ...]
    codes: bytes | None


@dataclass(eq=False, slots=True)
class _Table:
    """A reactor's table: its columns, and the minutes whose rollups are behind its rows."""

    reactor: str
    columns: dict[str, Column]
    dirty: set[int] = field(default_factory=set[int])
    minute: int | None = None  # of the newest row
    made: bool = False  # just now, with the columns that are named next


@dataclass(eq=False, slots=True)
class _Layout:
    """How the samples of one tag tuple go into one reactor's table."""

    table: _Table
    insert: str
    pick: Callable[[Sequence[Any]], tuple[Any, ...]] | None  # None: all of them, as they come
    places: list[int]  # index of the sample for each place of the quality text, -1 for none
    texts: dict[bytes, str | None] = field(default_factory=dict[bytes, str | None])

    def quality(self, codes: bytes) -> str | None:
        """Return a digit a place, or ``None`` when every sample of this reactor is GOOD."""
        try:
            return self.texts[codes]
        except KeyError:
            here = [codes[i] if i >= 0 else _GOOD for i in self.places]
            text = None
            if any(code != _GOOD for code in here):
                text = "".join(MISSING if i < 0 else str(codes[i]) for i in self.places)
            if len(self.texts) >= _QUALITIES:
                self.texts.clear()
            self.texts[codes] = text
            return text


class RowWriter:
    """Inserts scans and keeps the rollups: after ``write`` and a commit both agree.

    Rollups are made again whenever a new minute begins, for every minute touched since.

    Args:
        db: the writer's connection.
        gaps: looks at the times of the rows.
    """

    def __init__(self, db: sqlite3.Connection, gaps: GapWatch) -> None:
        self._db = db
        self._gaps = gaps
        self._tables: dict[str, _Table] = {}
        self._layouts: dict[tuple[int, ...], tuple[tuple[Tag, ...], list[_Layout]]] = {}

    def forget(self) -> None:
        """Read tables and columns again: a rollback has undone what this object knows."""
        self._tables.clear()
        self._layouts.clear()
        self._gaps.rollback()

    def write(self, scans: Iterable[Scan]) -> list[Event]:
        """Insert the scans in their order and bring the rollups up to date.

        Returns:
            What is to be told of them: gaps between them.

        Raises:
            sqlite3.Error: something failed; roll back, then call ``forget``.
        """
        runs: dict[_Table, list[tuple[str, list[tuple[Any, ...]]]]] = {}
        for tags, time, values, codes in scans:
            for layout in self._layout(tags):
                picked = values if layout.pick is None else layout.pick(values)
                quality = None if codes is None else layout.quality(codes)
                run = runs.setdefault(layout.table, [])
                if not run or run[-1][0] != layout.insert:
                    run.append((layout.insert, []))
                run[-1][1].append((time, quality, *picked))
        told: list[Event] = []
        for table, run in runs.items():
            self._gaps.begin(table.reactor)
            for sql, parameters in run:
                times = [row[0] for row in parameters]
                self._db.executemany(sql, parameters)
                table.dirty.update(set(map(minute_of, times)))
                told += self._gaps.look(table.reactor, times)
            newest = minute_of(run[-1][1][-1][0])
            if newest != table.minute:
                self._roll(table, newest)
                table.minute = newest
        return told

    def _layout(self, tags: tuple[Tag, ...]) -> list[_Layout]:
        # By identity: hashing sixty dataclasses costs more than inserting them. The tags are
        # kept with the layouts, so an id cannot come to mean another tag.
        key = tuple(map(id, tags))
        found = self._layouts.get(key)
        if found is None:
            if len(self._layouts) >= _LAYOUTS:
                self._layouts.clear()
            found = tags, self._new_layouts(tags)
            self._layouts[key] = found
        return found[1]

    def _new_layouts(self, tags: tuple[Tag, ...]) -> list[_Layout]:
        by_reactor: dict[str, dict[str, int]] = {}
        for index, tag in enumerate(tags):
            by_reactor.setdefault(split_name(tag.name)[0], {})[tag.name] = index  # last one wins
        return [
            self._new_layout(tags, self._table(reactor, by_name), list(by_name.values()))
            for reactor, by_name in by_reactor.items()
        ]

    def _new_layout(self, tags: tuple[Tag, ...], table: _Table, indices: list[int]) -> _Layout:
        found = [self._column(table, tags[i]) for i in indices]
        names = ", ".join(["time", "quality", *(quoted(c.col) for c in found)])
        marks = ", ".join("?" * (len(found) + 2))
        places = [-1] * len(table.columns)
        for index, column in zip(indices, found, strict=True):
            places[column.place] = index
        table.made = False
        return _Layout(
            table,
            f"INSERT INTO {row_table(table.reactor)} ({names}) VALUES ({marks})",
            None if indices == list(range(len(tags))) else _picker(indices),
            places,
        )

    def _table(self, reactor: str, names: Iterable[str]) -> _Table:
        """Return the table of ``reactor``; a new one has columns for the tags ``names``."""
        table = self._tables.get(reactor)
        if table is None:
            known = columns(self._db, reactor)
            if not known:
                cols: list[str] = []
                for name in names:
                    cols.append(free_column(split_name(name)[1], cols))
                make_table(self._db, reactor, cols)
            table = _Table(reactor, {c.name: c for c in known}, made=not known)
            table.dirty = late_minutes(self._db, reactor)
            self._tables[reactor] = table
        return table

    def _column(self, table: _Table, tag: Tag) -> Column:
        known = table.columns.get(tag.name)
        if known is None:
            return self._new_column(table, tag)
        if (known.unit, known.low, known.high) != (tag.unit, tag.low, tag.high):
            self._db.execute(
                "UPDATE tag SET unit = ?, low = ?, high = ? WHERE id = ?",
                (tag.unit, tag.low, tag.high, known.id),
            )
        return known

    def _new_column(self, table: _Table, tag: Tag) -> Column:
        suffix = split_name(tag.name)[1]
        col = free_column(suffix, (c.col for c in table.columns.values()))
        if not table.made:
            where = row_table(table.reactor)
            self._db.execute(f"ALTER TABLE {where} ADD COLUMN {quoted(col)} REAL")
        place = len(table.columns)
        added = self._db.execute(
            "INSERT INTO tag (name, reactor, suffix, col, place, unit, low, high)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
            (tag.name, table.reactor, suffix, col, place, tag.unit, tag.low, tag.high),
        ).fetchone()
        column = Column(added[0], tag.name, suffix, col, place, tag.unit, tag.low, tag.high)
        table.columns[tag.name] = column
        return column

    def _roll(self, table: _Table, newest: int) -> None:
        """Make the rollups of every dirty minute again, the newest and unfinished one too."""
        roll(self._db, table.reactor, list(table.columns.values()), table.dirty, newest)
        table.dirty.clear()


def _picker(indices: list[int]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    if len(indices) > 1:
        return itemgetter(*indices)
    only = indices[0]
    return lambda values: (values[only],)  # itemgetter of one index gives no tuple
