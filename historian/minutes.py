"""The store's finished minutes, as they are forwarded."""

import sqlite3
from collections.abc import Set
from typing import NamedTuple

from historian.schema import MINUTE_S, MISSING, columns, row_table

_GOOD = "2"


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


def minute_of(time: float) -> int:
    """Return the minute of a time, both since 1970 UTC."""
    return int(time // MINUTE_S)  # exact, unlike the quotient just below a whole minute


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
    over = sorted(wanted - unfinished)
    found: list[Minute] = []
    known = columns(db, reactor)
    for first, last in _runs(over):
        worst = _worst(db, table, first, last)
        rolled = {
            (row[0], row[1]): row[2:]
            for row in db.execute(
                "SELECT minute, tag, n, low, high, mean FROM rollup WHERE minute >= ?"
                " AND minute <= ? AND tag IN (SELECT id FROM tag WHERE reactor = ?)",
                (first, last, reactor),
            )
        }
        for minute in range(first, last + 1):
            digits = worst.get(minute, "")
            for column in known:
                quality = digits[column.place : column.place + 1] or _GOOD
                numbers = rolled.get((minute, column.id))
                if numbers is not None:
                    n, low, high, mean = numbers
                    found.append(Minute(minute, column.suffix, n, low, high, mean, int(quality)))
                elif quality < _GOOD:
                    found.append(Minute(minute, column.suffix, 0, 0.0, 0.0, 0.0, int(quality)))
    return found, set(wanted & unfinished)


def _worst(db: sqlite3.Connection, table: str, first: int, last: int) -> dict[int, str]:
    """Return the worst digit at each place of the quality text, by minute."""
    worst: dict[int, str] = {}
    for minute, quality in db.execute(
        f"SELECT DISTINCT CAST(time AS INTEGER) / {MINUTE_S}, quality FROM {table}"
        " WHERE time >= ? AND time < ? AND quality IS NOT NULL",
        (first * MINUTE_S, (last + 1) * MINUTE_S),
    ):
        seen: str = quality.replace(MISSING, _GOOD)
        before = worst.get(minute, "")
        size = max(len(seen), len(before))
        pairs = zip(seen.ljust(size, _GOOD), before.ljust(size, _GOOD), strict=True)
        worst[minute] = "".join(map(min, pairs))
    return worst


def _runs(minutes: list[int]) -> list[tuple[int, int]]:
    """Return first and last of each stretch without a hole."""
    runs: list[tuple[int, int]] = []
    for minute in minutes:
        if runs and minute == runs[-1][1] + 1:
            runs[-1] = runs[-1][0], minute
        else:
            runs.append((minute, minute))
    return runs
