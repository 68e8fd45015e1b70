"""The store's finished minutes, as they are forwarded."""

import sqlite3
from collections.abc import Set
from typing import NamedTuple

from drivers.point import Quality
from historian.schema import MINUTE_S, row_table

_GOOD = int(Quality.GOOD)


class Minute(NamedTuple):
    """One tag in one minute.

    Attributes:
        minute: s since 1970 UTC / 60.
        suffix: the tag's name without its reactor.
        n: how many values.
        low: the least of them; 0 where there is none, as in ``high`` and ``mean``.
        high: the greatest.
        mean: of all.
        worst: the worst quality: 0 BAD, 1 UNCERTAIN, 2 GOOD.
    """

    minute: int
    suffix: str
    n: int
    low: float
    high: float
    mean: float
    worst: int


def finished(
    db: sqlite3.Connection, reactor: str, wanted: Set[int]
) -> tuple[list[Minute], set[int]]:
    """Return the tags of those minutes of ``wanted`` that are over, and the minutes that are not.

    A minute is over when the writer has rolled it and a row of another one follows.
    """
    table = row_table(reactor)
    unfinished = {
        row[0]
        for row in db.execute(
            f"SELECT DISTINCT CAST(time AS INTEGER) / {MINUTE_S} FROM {table}"
            " WHERE seq >= (SELECT rolled FROM reactor WHERE name = ?)",
            (reactor,),
        )
    }
    found: list[Minute] = []
    for first, last in _runs(sorted(wanted - unfinished)):
        found += [
            Minute(*row)
            for row in db.execute(
                "SELECT minute, suffix, n, r.low, r.high, mean, coalesce(worst, ?)"
                " FROM tag t JOIN rollup r ON r.tag = t.id"
                " WHERE reactor = ? AND minute >= ? AND minute <= ? ORDER BY minute, place",
                (_GOOD, reactor, first, last),
            )
        ]
    return found, set(wanted & unfinished)


def _runs(minutes: list[int]) -> list[tuple[int, int]]:
    """Return first and last of each stretch without a hole."""
    runs: list[tuple[int, int]] = []
    for minute in minutes:
        if runs and minute == runs[-1][1] + 1:
            runs[-1] = runs[-1][0], minute
        else:
            runs.append((minute, minute))
    return runs
