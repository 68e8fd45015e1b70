"""Trends: many samples of a tag as the least, greatest and mean of buckets of time."""

import math
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from historian.rollups import open_hour
from historian.schema import (
    HOUR_MIN,
    MINUTE_S,
    Column,
    column_of,
    quoted,
    row_table,
    split_name,
)
from historian.sealed import Sealed, Window

_HOLD_S = 60.0  # a tag that is sampled more slowly than the rows is held this long between samples
_RAW_TO_S = 30.0  # wider buckets are made of rollups
_WIDTHS_S = (0.1, 0.2, 0.5, 1, 2, 3, 4, 5, 6, 10, 12, 15, 20, _RAW_TO_S)
_HOUR_S = MINUTE_S * HOUR_MIN
_COARSER = 1.5  # whole hours may be so many times as wide as was asked for

# count, least, greatest, mean and worst quality of what was rolled
_Cell = Sequence[Any]
_OF_ROLLUPS = (
    "sum(n), min(CASE WHEN n THEN low END), max(CASE WHEN n THEN high END),"
    " sum(mean * n) / sum(n), min(worst)"
)


@dataclass(frozen=True, slots=True)
class Trend:
    """One tag over the buckets of a ``Series``; ``None`` is a gap.

    ``worst`` is the worst quality in the bucket: 0 BAD, 1 UNCERTAIN, 2 GOOD; ``None`` in minutes
    that an older program has rolled.
    """

    low: list[float | None]
    high: list[float | None]
    mean: list[float | None]
    worst: list[int | None]


@dataclass(frozen=True, slots=True)
class Series:
    """Trends on a common time axis.

    Attributes:
        width_s: width of a bucket.
        times: middle of each bucket, s since 1970 UTC.
        tags: one trend a tag, by name.
    """

    width_s: float
    times: list[float]
    tags: dict[str, Trend]


class Axis(NamedTuple):
    """So many buckets of ``width_s`` from ``base`` (s since 1970 UTC) on.

    Wider than 30 s they are whole minutes, so that they can be made of rollups.
    """

    base: float
    width_s: float
    buckets: int

    @property
    def end(self) -> float:
        """Where the last bucket ends, s since 1970 UTC."""
        return self.base + self.buckets * self.width_s

    def place(self, bucket: int) -> int:
        """Return the bucket nearest to one that a rounded quotient may have put outside."""
        return min(max(bucket, 0), self.buckets - 1)


def axis(start: float, end: float, buckets: int) -> Axis:
    """Return an axis over a window, s since 1970 UTC, on whole multiples of its width.

    Raises:
        ValueError: ``start`` is not before ``end`` or ``buckets`` is below 1.
    """
    if not (start < end and buckets >= 1):
        raise ValueError(f"cannot bucket {start=}, {end=}, {buckets=}")
    width = _width((end - start) / buckets, whole_hours=True)
    first = math.floor(start / width)
    return Axis(first * width, width, math.ceil(end / width) - first)


def axis_of_age(zero: float, start_s: float, end_s: float, buckets: int) -> Axis:
    """Return an axis over ages, on whole multiples of its width since ``zero``.

    Those of other batches have as many buckets, at the same ages: where they are whole minutes,
    from the minute nearest to ``zero``.

    Args:
        zero: where ages count from, s since 1970 UTC.
        start_s: least age.
        end_s: greatest age, after ``start_s``.
        buckets: how many are wanted.

    Raises:
        ValueError: ``start_s`` is not before ``end_s`` or ``buckets`` is below 1.
    """
    if not (start_s < end_s and buckets >= 1):
        raise ValueError(f"cannot bucket {start_s=}, {end_s=}, {buckets=}")
    width = _width((end_s - start_s) / buckets, whole_hours=False)
    first = math.floor(start_s / width)
    if width > _RAW_TO_S:
        zero = round(zero / MINUTE_S) * MINUTE_S
    return Axis(zero + first * width, width, math.ceil(end_s / width) - first)


def series(db: sqlite3.Connection, names: Iterable[str], along: Axis, sealed: Sealed) -> Series:
    """Return the trends of ``SqliteReader.series``; ``db`` is in a read transaction."""
    trends: dict[str, Trend] = {}
    by_reactor: dict[str, list[Column]] = {}
    for name in dict.fromkeys(names):
        trends[name] = _gap(along.buckets)
        column = column_of(db, name)
        if column is not None:
            by_reactor.setdefault(split_name(name)[0], []).append(column)
    for reactor, found in by_reactor.items():
        if along.width_s <= _RAW_TO_S:
            source = sealed.source(db, reactor, found, Window(along.base, along.end))
            _from_rows(db, source, found, trends, along)
        else:
            _from_rollups(db, reactor, found, trends, along)
    times = [along.base + (i + 0.5) * along.width_s for i in range(along.buckets)]
    return Series(along.width_s, times, trends)


def _gap(count: int) -> Trend:
    return Trend([None] * count, [None] * count, [None] * count, [None] * count)


def _width(wanted: float, *, whole_hours: bool) -> float:
    """Return a width (s) that is wide enough: handy, or from 30 s on whole minutes or hours."""
    if wanted <= _RAW_TO_S:
        return next(w for w in _WIDTHS_S if w >= wanted * (1 - 1e-9))
    hours = math.ceil(wanted / _HOUR_S - 1e-9) * _HOUR_S
    if whole_hours and hours <= _COARSER * wanted:
        return hours
    return math.ceil(wanted / MINUTE_S - 1e-9) * MINUTE_S


def _from_rows(
    db: sqlite3.Connection,
    source: str,
    found: list[Column],
    trends: dict[str, Trend],
    along: Axis,
) -> None:
    rows = db.execute(
        f"SELECT CAST((time - ?) / ? AS INTEGER) AS bucket{_of_rows(found)}"
        f" FROM {source} WHERE time >= ? AND time < ? GROUP BY bucket ORDER BY bucket",
        (along.base, along.width_s, along.base, along.end),
    ).fetchall()
    for index, column in enumerate(found):
        trend = trends[column.name]
        held, until = None, -math.inf
        for row in rows:
            count, low, high, mean, worst = row[5 * index + 1 : 5 * index + 6]
            bucket = along.place(row[0])
            trend.worst[bucket] = worst
            if count:
                trend.low[bucket], trend.high[bucket], trend.mean[bucket] = low, high, mean
                held, until = mean, bucket + _HOLD_S / along.width_s
            elif held is not None and worst and bucket <= until:
                trend.low[bucket] = trend.high[bucket] = trend.mean[bucket] = held
            else:
                held = None


def _of_rows(found: Sequence[Column]) -> str:
    """Return the aggregates of rows: those of a cell, for each column."""
    return "".join(
        f", count({c}), min({c}), max({c}), avg({c}),"
        f" min(CASE substr(quality, {place}, 1) WHEN '0' THEN 0 WHEN '1' THEN 1 ELSE 2 END)"
        for c, place in ((quoted(column.col), column.place + 1) for column in found)
    )


def _from_rollups(
    db: sqlite3.Connection,
    reactor: str,
    found: list[Column],
    trends: dict[str, Trend],
    along: Axis,
) -> None:
    """Combine what has been rolled with the rows that came after."""
    tail = db.execute(
        f"SELECT (CAST(time AS INTEGER) - ?) / ? AS bucket{_of_rows(found)}"
        f" FROM {row_table(reactor)} WHERE seq > (SELECT rolled FROM reactor WHERE name = ?)"
        " AND +time >= ? AND +time < ? GROUP BY bucket",  # by number: few; by time: the whole batch
        (round(along.base), round(along.width_s), reactor, along.base, along.end),
    ).fetchall()
    for index, column in enumerate(found):
        merged: dict[int, _Cell] = {}
        cells = [*_rolled(db, reactor, column, along)]
        cells += [(row[0], *row[5 * index + 1 : 5 * index + 6]) for row in tail]
        for bucket, *new in cells:
            old = merged.get(bucket)
            merged[bucket] = new if old is None else _merge(old, new)
        trend = trends[column.name]
        for bucket, (_, low, high, mean, worst) in merged.items():
            trend.low[bucket], trend.high[bucket], trend.mean[bucket] = low, high, mean
            trend.worst[bucket] = worst


def _rolled(
    db: sqlite3.Connection, reactor: str, column: Column, along: Axis
) -> list[tuple[Any, ...]]:
    """Return bucket and cell of a tag: of whole hours where they are made, else of minutes."""
    first, last, step = (round(s / MINUTE_S) for s in (along.base, along.end, along.width_s))
    if step % HOUR_MIN or first % HOUR_MIN:
        return _minutes(db, column, first, (first, last, step))
    not_made = open_hour(db, reactor)
    from_hour, to_hour, step_h = (m // HOUR_MIN for m in (first, last, step))
    hours = db.execute(
        f"SELECT (hour - ?) / ? AS bucket, {_OF_ROLLUPS} FROM rollup_hour"
        " WHERE tag = ? AND hour >= ? AND hour < ? AND hour != ? GROUP BY bucket",
        (from_hour, step_h, column.id, from_hour, to_hour, not_made),
    ).fetchall()
    lower, upper = max(first, not_made * HOUR_MIN), min(last, (not_made + 1) * HOUR_MIN)
    return hours + _minutes(db, column, first, (lower, upper, step))


def _minutes(
    db: sqlite3.Connection, column: Column, base: int, span: tuple[int, int, int]
) -> list[tuple[Any, ...]]:
    lower, upper, step = span
    return db.execute(
        f"SELECT (minute - ?) / ? AS bucket, {_OF_ROLLUPS} FROM rollup"
        " WHERE tag = ? AND minute >= ? AND minute < ? GROUP BY bucket",
        (base, step, column.id, lower, upper),
    ).fetchall()


def _merge(a: _Cell, b: _Cell) -> _Cell:
    worst = min((w for w in (a[4], b[4]) if w is not None), default=None)
    if not (a[0] and b[0]):
        return (*(a if a[0] else b)[:4], worst)
    n = a[0] + b[0]
    mean = (a[0] * a[3] + b[0] * b[3]) / n
    return n, min(a[1], b[1]), max(a[2], b[2]), mean, worst
