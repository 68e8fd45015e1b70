"""Which batch a vessel ran at a time."""

from bisect import bisect_right
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from historian.batches import Batch
from historian.minutes import Minute
from historian.schema import MINUTE_S

NONE = "none"  # between two batches


class Spans:
    """The batches of every reactor: each from its start to its end, or to the start of the next.

    Made of events alone, so that a row is told of the same batch however often it is asked.
    """

    def __init__(self, batches: Iterable[Batch]) -> None:
        found: dict[str, list[tuple[float, str]]] = {}
        for batch in batches:
            turns = found.setdefault(batch.reactor, [])
            turns.append((batch.began, batch.id))
            if batch.ended is not None:
                turns.append((batch.ended, NONE))
        self._times = {r: [time for time, _ in turns] for r, turns in found.items()}
        self._names = {r: [NONE, *(name for _, name in turns)] for r, turns in found.items()}

    def at(self, reactor: str, time: float) -> str:
        """Return the batch at ``time``, s since 1970 UTC; ``none`` between two."""
        times = self._times.get(reactor)
        return self._names[reactor][bisect_right(times, time)] if times else NONE

    def of_minutes(self, reactor: str, found: list[Minute]) -> list[tuple[str, list[Minute]]]:
        """Return stretches of minutes, in order; a minute is of the batch in which it begins."""
        pairs = groupby(found, lambda m: self.at(reactor, m.minute * MINUTE_S))
        return [(batch, list(minutes)) for batch, minutes in pairs]

    def split(self, reactor: str, rows: list[tuple[Any, ...]]) -> list[tuple[str, list[Any]]]:
        """Return stretches of rows ``(seq, time, ...)``, in order, each of one batch."""
        times = self._times.get(reactor)
        if not times or not rows:
            return [(NONE, rows)] if rows else []
        first, last = self.at(reactor, rows[0][1]), self.at(reactor, rows[-1][1])
        inside = any(rows[0][1] < time <= rows[-1][1] for time in times)
        if first == last and not inside and rows[0][1] <= rows[-1][1]:
            return [(first, rows)]
        stretches: list[tuple[str, list[Any]]] = []
        for row in rows:
            name = self.at(reactor, row[1])
            if not stretches or stretches[-1][0] != name:
                stretches.append((name, []))
            stretches[-1][1].append(row)
        return stretches
