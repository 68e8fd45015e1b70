"""Trends out of the local store: what a browser may ask, and the answer as JSON."""

import asyncio
import json
import math
import re
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from drivers.clock import monotonic, wall
from historian.reader import SqliteReader
from historian.schema import StoreError
from historian.trends import Series

TAGS_MAX = 64
HOURS_MAX = 2400.0  # a hundred days
POINTS_MIN, POINTS_MAX = 10, 5000
_KEEP_S = 1.0  # wall seconds for which browsers with the same question share one answer
_KEEP_MAX = 16
_KEYS = ("tags", "bands", "hours", "points", "end")
_TAG = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+")

__all__ = ["Query", "QueryError", "StoreError", "Trends"]


class QueryError(ValueError):
    """A browser asked for what there is not; the message names key, value and what is allowed."""


class Query(NamedTuple):
    """What to draw.

    Attributes:
        tags: names, ``R1.do``, ``R1.do.sp``.
        bands: those of ``tags`` of which least and greatest are wanted as well.
        hours: length of the window, > 0.
        points: how many the browser can show.
        end: its right edge, s since 1970 UTC in plant time.
    """

    tags: tuple[str, ...]
    bands: tuple[str, ...]
    hours: float
    points: int
    end: float


class Trends:
    """Answers questions for trends; reads the store in a thread, one question at a time.

    Args:
        path: the store; it need not be there yet: until then there is no history.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reader = SqliteReader(path)
        self._file: tuple[int, int] | None = None
        self._lock = asyncio.Lock()
        self._kept: dict[tuple[object, ...], tuple[float, str]] = {}

    def query(self, items: Iterable[tuple[str, str]], now: float | None) -> Query:
        """Return the question of a query string.

        Args:
            items: its keys and values.
            now: plant time of the controller's last answer; the wall clock's if ``None``.

        Raises:
            QueryError: a key is unknown, doubled or missing, or a value is not allowed.
        """
        found: dict[str, str] = {}
        for key, value in items:
            if key not in _KEYS:
                raise QueryError(f"{key}: no such key; allowed are {', '.join(_KEYS)}")
            if key in found:
                raise QueryError(f"{key}: given twice")
            found[key] = value
        tags = tuple(dict.fromkeys(found.get("tags", "").split(",")))
        for tag in tags:
            if not _TAG.fullmatch(tag) or len(tag) > 200:
                raise QueryError(f"tags: {tag[:80]!r} is no tag name; R1.do,R1.do.sp are")
        if len(tags) > TAGS_MAX:
            raise QueryError(f"tags: {len(tags)} are given; at most {TAGS_MAX} are allowed")
        bands = tuple(filter(None, found.get("bands", "").split(",")))
        for tag in bands:
            if tag not in tags:
                raise QueryError(f"bands: {tag[:80]!r} is not among the tags")
        hours = _number("hours", found.get("hours", "1"), 1 / 3600, HOURS_MAX)
        points = _number("points", found.get("points", "600"), POINTS_MIN, POINTS_MAX)
        given = found.get("end")
        end = (now or wall()) if given is None else _number("end", given, 0, 1e11)
        return Query(tags, bands, hours, round(points), end)

    async def text(self, query: Query) -> str:
        """Return ``width_s``, ``time`` and, by tag, ``values``, ``low``, ``high`` and ``quality``.

        ``values`` are the means of the buckets, ``low`` and ``high`` their least and greatest, of
        the bands only; ``null`` is a gap. ``quality`` is the worst of a bucket, of the bands too: 0
        BAD, 1 UNCERTAIN, 2 GOOD.

        Raises:
            StoreError: the store cannot be read.
        """
        # browsers' windows end a moment apart; the same tags and length are one question
        key = (
            query.tags,
            query.bands,
            query.hours,
            query.points,
            round(query.end / (query.hours * 3.6)),
        )
        async with self._lock:
            kept = self._kept.get(key)
            if kept is None or monotonic() - kept[0] > _KEEP_S:
                if len(self._kept) >= _KEEP_MAX:
                    self._kept.clear()
                kept = monotonic(), await asyncio.to_thread(self._ask, query)
                self._kept[key] = kept
        return kept[1]

    def close(self) -> None:
        """Close the store."""
        self._reader.close()

    def _ask(self, query: Query) -> str:
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return _answer(Series(1.0, [], {}), query)
        except OSError as error:
            raise StoreError(f"{self._path}: {error.strerror}") from error
        if self._file != (stat.st_dev, stat.st_ino):  # the store was made anew
            self._reader.close()
            self._file = (stat.st_dev, stat.st_ino)
        start = query.end - query.hours * 3600
        try:
            found = self._reader.series(query.tags, start, query.end, query.points)
        except sqlite3.Error as error:
            raise StoreError(f"{self._path}: {error}") from error
        return _answer(found, query)


def _number(key: str, text: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise QueryError(f"{key}: {text[:80]!r} is not allowed; {low:.3g} to {high:.3g} is")
    return value


def _answer(series: Series, query: Query) -> str:
    """Return a series as JSON without the empty buckets at its end, which are not stored yet."""
    count = max((_length(trend.mean) for trend in series.tags.values()), default=0)

    def columns(tags: tuple[str, ...], kind: str) -> dict[str, list[float | None]]:
        known = (tag for tag in tags if tag in series.tags)
        none: dict[str, list[float | None]] = {tag: [] for tag in tags}
        found = {t: [_short(v) for v in getattr(series.tags[t], kind)[:count]] for t in known}
        return none | found

    def quality(tag: str) -> list[int | None]:
        return series.tags[tag].worst[:count] if tag in series.tags else []

    return json.dumps(
        {
            "width_s": series.width_s,
            "time": [round(t, 2) for t in series.times[:count]],
            "values": columns(query.tags, "mean"),
            "low": columns(query.bands, "low"),
            "high": columns(query.bands, "high"),
            "quality": {tag: quality(tag) for tag in query.bands},
        },
        allow_nan=False,
        separators=(",", ":"),
    )


def _length(values: list[float | None]) -> int:
    return next((i + 1 for i in range(len(values) - 1, -1, -1) if values[i] is not None), 0)


def _short(value: float | None) -> float | None:
    """Return five digits: more than a screen has pixels."""
    return None if value is None else float(f"{value:.5g}")
