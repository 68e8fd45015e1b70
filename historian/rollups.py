"""Rows become minutes, minutes become hours: made again from what is below whenever that changed.

So a clock that steps back, a restart or a crash in the middle cannot make them wrong. In the file
each minute holds exactly the rows up to ``reactor.rolled``, and each hour but ``reactor.hour``
exactly its minutes.
"""

import sqlite3
from collections.abc import Iterable, Sequence

from drivers.point import Quality
from historian.schema import HOUR_MIN, MINUTE_S, Column, quoted, row_table

_COLUMNS = 400  # tags rolled by one statement; a result has 4 columns each, at most 2000
_GOOD = int(Quality.GOOD)


def minute_of(time: float) -> int:
    """Return the minute since 1970 of a time in s."""
    return int(time // MINUTE_S)  # exact, unlike the quotient just below a whole minute


def late_minutes(db: sqlite3.Connection, reactor: str) -> set[int]:
    """Return the minutes that have rows which their rollups do not hold."""
    found = db.execute(
        f"SELECT DISTINCT CAST(time AS INTEGER) / {MINUTE_S} FROM {row_table(reactor)}"
        " WHERE seq > (SELECT rolled FROM reactor WHERE name = ?)",
        (reactor,),
    )
    return {row[0] for row in found}


def open_hour(db: sqlite3.Connection, reactor: str) -> int:
    """Return the hour since 1970 whose rollups are not made yet, -1 if there is none."""
    found = db.execute("SELECT hour FROM reactor WHERE name = ?", (reactor,)).fetchone()
    return -1 if found is None else int(found[0])


def roll(
    db: sqlite3.Connection,
    reactor: str,
    columns: Sequence[Column],
    minutes: Iterable[int],
    newest: int,
) -> None:
    """Make the rollups of ``minutes`` again, and of every hour that they are in but the newest one.

    Args:
        db: the writer's connection, in a transaction.
        reactor: whose.
        columns: all of its tags.
        minutes: those that have other rows than when they were rolled last.
        newest: minute of the newest row; its hour is made when it is over.
    """
    hours = {open_hour(db, reactor)}
    for minute in sorted(minutes):
        hours.add(minute // HOUR_MIN)
        worst = _worst(db, reactor, minute)
        for first in range(0, len(columns), _COLUMNS):
            _roll_minute(db, reactor, minute, columns[first : first + _COLUMNS], worst)
    for hour in hours - {-1, newest // HOUR_MIN}:
        _roll_hour(db, reactor, hour)
    db.execute(
        "UPDATE reactor SET hour = ?, rolled ="
        f" (SELECT coalesce(max(seq), rolled) FROM {row_table(reactor)}) WHERE name = ?",
        (newest // HOUR_MIN, reactor),
    )


def _worst(db: sqlite3.Connection, reactor: str, minute: int) -> dict[int, int]:
    """Return the worst quality in a minute of each place that was not GOOD all the time."""
    patterns = db.execute(
        f"SELECT DISTINCT quality FROM {row_table(reactor)}"
        " WHERE time >= ? AND time < ? AND quality IS NOT NULL",
        (minute * MINUTE_S, (minute + 1) * MINUTE_S),
    )
    worst: dict[int, int] = {}
    for (quality,) in patterns:
        for place, digit in enumerate(quality):
            if digit in "01":
                worst[place] = min(int(digit), worst.get(place, _GOOD))
    return worst


def _roll_minute(
    db: sqlite3.Connection,
    reactor: str,
    minute: int,
    some: Sequence[Column],
    worst: dict[int, int],
) -> None:
    aggregates = ", ".join(
        f"count({c}), min({c}), max({c}), avg({c})" for c in (quoted(s.col) for s in some)
    )
    found = db.execute(
        f"SELECT {aggregates} FROM {row_table(reactor)} WHERE time >= ? AND time < ?",
        (minute * MINUTE_S, (minute + 1) * MINUTE_S),
    ).fetchone()
    rows: list[tuple[object, ...]] = []
    for i, column in enumerate(some):
        quality = worst.get(column.place, _GOOD)
        if found[4 * i]:
            rows.append((column.id, minute, *found[4 * i : 4 * i + 4], quality))
        elif quality < _GOOD:
            rows.append((column.id, minute, 0, 0.0, 0.0, 0.0, quality))
    db.executemany(
        "INSERT OR REPLACE INTO rollup (tag, minute, n, low, high, mean, worst)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        rows,
    )


def _roll_hour(db: sqlite3.Connection, reactor: str, hour: int) -> None:
    db.execute(
        "INSERT OR REPLACE INTO rollup_hour (tag, hour, n, low, high, mean, worst)"
        " SELECT r.tag, ?, sum(n), coalesce(min(CASE WHEN n THEN r.low END), 0),"
        " coalesce(max(CASE WHEN n THEN r.high END), 0), coalesce(sum(mean * n) / sum(n), 0),"
        " min(worst) FROM tag t JOIN rollup r ON r.tag = t.id"
        " WHERE t.reactor = ? AND r.minute >= ? AND r.minute < ? GROUP BY r.tag",
        (hour, reactor, hour * HOUR_MIN, (hour + 1) * HOUR_MIN),
    )
