"""Trends: many samples of a tag as the least, greatest and mean of buckets of time."""

import math
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from historian.schema import MINUTE_S, Column, column_of, quoted, row_table, split_name

_HOLD_S = 60.0  # a tag that is sampled more slowly than the rows is held this long between samples
_RAW_TO_S = 30.0  # wider buckets are made of rollups
_WIDTHS_S = (0.1, 0.2, 0.5, 1, 2, 3, 4, 5, 6, 10, 12, 15, 20, _RAW_TO_S)


@dataclass(frozen=True, slots=True)
class Trend:
    """One tag over the buckets of a ``Series``; ``None`` is a gap.

    ``worst`` is the worst quality in the bucket: 0 BAD, 1 UNCERTAIN, 2 GOOD; where buckets are
    wider than 30 s it is not known.
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


def series(
    db: sqlite3.Connection, names: Iterable[str], start: float, end: float, buckets: int
) -> Series:
    """Return the trends of ``SqliteReader.series``.

    Raises:
        ValueError: ``start`` is not before ``end`` or ``buckets`` is below 1.
    """
    if not (start < end and buckets >= 1):
        raise ValueError(f"cannot bucket {start=}, {end=}, {buckets=}")
    width = _width((end - start) / buckets)
    first, last = math.floor(start / width), math.ceil(end / width)
    count = last - first
    trends: dict[str, Trend] = {}
    by_reactor: dict[str, list[Column]] = {}
    for name in dict.fromkeys(names):
        trends[name] = Trend([None] * count, [None] * count, [None] * count, [None] * count)
        column = column_of(db, name)
        if column is not None:
            by_reactor.setdefault(split_name(name)[0], []).append(column)
    for reactor, found in by_reactor.items():
        read = _from_rows if width <= _RAW_TO_S else _from_rollups
        read(db, reactor, found, trends, (first, last, width))
    times = [(first + i + 0.5) * width for i in range(count)]
    return Series(width, times, trends)


def _width(wanted: float) -> float:
    """Return a width (s) that is wide enough: a handy one, or whole minutes from 30 s on."""
    if wanted > _RAW_TO_S:
        return math.ceil(wanted / MINUTE_S - 1e-9) * MINUTE_S
    return next(w for w in _WIDTHS_S if w >= wanted * (1 - 1e-9))


def _from_rows(
    db: sqlite3.Connection,
    reactor: str,
    found: list[Column],
    trends: dict[str, Trend],
    axis: tuple[int, int, float],
) -> None:
    first, last, width = axis
    aggregates = "".join(
        f", min({c}), max({c}), avg({c}),"
        f" min(CASE substr(quality, {place}, 1) WHEN '0' THEN 0 WHEN '1' THEN 1 ELSE 2 END)"
        for c, place in ((quoted(column.col), column.place + 1) for column in found)
    )
    rows = db.execute(
        f"SELECT CAST(time / ? AS INTEGER) AS bucket{aggregates} FROM {row_table(reactor)}"
        " WHERE time >= ? AND time < ? GROUP BY bucket ORDER BY bucket",
        (width, first * width, last * width),
    ).fetchall()
    for index, column in enumerate(found):
        trend = trends[column.name]
        held, until = None, -math.inf
        for row in rows:
            low, high, mean, worst = row[4 * index + 1 : 4 * index + 5]
            bucket = min(max(row[0] - first, 0), last - first - 1)  # a quotient is rounded
            trend.worst[bucket] = worst
            if mean is not None:
                trend.low[bucket], trend.high[bucket], trend.mean[bucket] = low, high, mean
                held, until = mean, bucket + _HOLD_S / width
            elif held is not None and worst and bucket <= until:
                trend.low[bucket] = trend.high[bucket] = trend.mean[bucket] = held
            else:
                held = None


def _from_rollups(
    db: sqlite3.Connection,
    reactor: str,
    found: list[Column],
    trends: dict[str, Trend],
    axis: tuple[int, int, float],
) -> None:
    """Combine finished minutes with the rows that came after the last roll."""
    first, last, width = axis
    minutes, seconds = round(width / MINUTE_S), round(width)
    aggregates = "".join(
        f", count({c}), min({c}), max({c}), avg({c})" for c in (quoted(f.col) for f in found)
    )
    tail = db.execute(
        f"SELECT CAST(time AS INTEGER) / ? AS bucket{aggregates} FROM {row_table(reactor)}"
        " WHERE seq > (SELECT rolled FROM reactor WHERE name = ?) AND time >= ? AND time < ?"
        " GROUP BY bucket",
        (seconds, reactor, first * seconds, last * seconds),
    ).fetchall()
    for index, column in enumerate(found):
        rolled = db.execute(
            "SELECT minute / ? AS bucket, sum(n), min(low), max(high), sum(mean * n) / sum(n)"
            " FROM rollup WHERE tag = ? AND minute >= ? AND minute < ? GROUP BY bucket",
            (minutes, column.id, first * minutes, last * minutes),
        ).fetchall()
        merged = {row[0]: row[1:] for row in rolled}
        for row in tail:
            new = row[4 * index + 1 : 4 * index + 5]
            if new[0]:
                old = merged.get(row[0])
                merged[row[0]] = new if old is None else _merge(old, new)
        trend = trends[column.name]
        for bucket, (_, low, high, mean) in merged.items():
            i = bucket - first
            trend.low[i], trend.high[i], trend.mean[i] = low, high, mean


def _merge(a: Sequence[float], b: Sequence[float]) -> tuple[float, float, float, float]:
    n = a[0] + b[0]
    return n, min(a[1], b[1]), max(a[2], b[2]), (a[0] * a[3] + b[0] * b[3]) / n
