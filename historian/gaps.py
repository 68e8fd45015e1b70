"""Where rows are missing or out of order in time, and why: a GAP event beside them."""

import sqlite3
from collections.abc import Sequence

from historian.events import Event, gap
from historian.schema import row_table

ENDED, DIED = "the program before had ended in order", "the program before had died"
_CHINESE = {ENDED: "此前的程序已正常结束", DIED: "此前的程序意外中断"}


class GapWatch:
    """Compares the time of each row with that of the one before it.

    Args:
        db: the writer's connection.
        gap_s: how far apart two rows of a reactor may be; a clock that steps back by as much is
            told too.
        before: how the program before this one ended: ``ENDED`` or ``DIED``.
    """

    def __init__(self, db: sqlite3.Connection, gap_s: float, before: str) -> None:
        self._db = db
        self._gap_s = gap_s
        self._before = before
        self._last: dict[str, float] = {}  # time of the newest row, by reactor
        self._met: set[str] = set()  # reactors that this program has written rows of
        self._new: set[str] = set()  # those of them in the open transaction

    def commit(self) -> None:
        """The rows looked at are in the store."""
        self._met |= self._new
        self._new.clear()

    def rollback(self) -> None:
        """They are not."""
        self._last.clear()
        self._new.clear()

    def begin(self, reactor: str) -> None:
        """Learn what is in the store; before the first rows of ``reactor`` are inserted."""
        if reactor not in self._last:
            found = self._db.execute(
                f"SELECT max(time) FROM {row_table(reactor)}"  # an imported batch is older
            ).fetchone()
            if found[0] is not None:
                self._last[reactor] = found[0]

    def look(self, reactor: str, times: Sequence[float]) -> list[Event]:
        """Return what is to be told of rows that come next.

        Args:
            reactor: whose.
            times: of its rows in their order, s since 1970 UTC.
        """
        told: list[Event] = []
        last = self._last.get(reactor, times[0])
        for time in times:
            if abs(time - last) > self._gap_s:
                told.append(self._event(reactor, last, time))
                self._new.add(reactor)
            last = time
        self._last[reactor] = last
        self._new.add(reactor)
        return told

    def _event(self, reactor: str, last: float, time: float) -> Event:
        away = reactor not in self._met and reactor not in self._new
        if time < last:
            text = f"the clock stepped back by {last - time:.1f} s: rows overlap with earlier ones"
            chinese = f"时钟回拨 {last - time:.1f} s：与此前的数据重叠"
            why = "clock"
        elif away:
            text = f"no rows for {time - last:.1f} s: nothing ran; {self._before}"
            chinese = f"{time - last:.1f} s 无数据：程序未运行；{_CHINESE[self._before]}"
            why = "died" if self._before is DIED else "ended"
        else:
            text = f"no rows for {time - last:.1f} s: nothing was scanned, or the clock stepped"
            chinese = f"{time - last:.1f} s 无数据：未扫描，或时钟跳变"
            why = "silent"
        data = {"start": min(last, time), "end": max(last, time), "why": why}
        return gap(time, reactor, text, chinese, data)
