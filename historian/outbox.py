"""What the server is to be told next: the newest rows first, what was missed between them."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from historian.event_rows import EventRow
from historian.events import Kind
from historian.lines import PLANT, Encoder, Line
from historian.points import (
    alarm_line,
    event_line,
    foreseen_lines,
    head_line,
    laboratory_line,
    minute_lines,
    software_line,
    tag_lines,
)
from historian.progress import Cursor
from historian.reader import Rows, SqliteReader
from historian.rollups import minute_of
from historian.schema import split_name
from historian.spans import Spans

_FIELDS = 100_000  # in one request at most: about 2 MB
_EVENTS = 500  # in one request at most
_LEAVE = 1000  # rows behind: then the newest go first and the rest between them
_KEPT = 60  # rows that go first then
_DAY_S = 86_400.0
_ENCODERS = 1000


@dataclass(frozen=True, slots=True)
class Portion:
    """One request.

    Attributes:
        lines: to be sent, in order.
        then: the cursor when the server has them.
        more: whether more of the same waits, rows aside.
    """

    lines: list[Line]
    then: Cursor
    more: bool = False


class Outbox:
    """Makes requests of what the store holds beyond a cursor.

    Args:
        reader: the store.
        site: name of the plant.
    """

    def __init__(self, reader: SqliteReader, site: str) -> None:
        self._reader = reader
        self._site = site
        self._encoders: dict[tuple[str, str], Encoder] = {}
        self._spans = Spans([])
        self._learned: list[EventRow] = []  # the last event that the spans know
        self._told: dict[str, tuple[object, ...]] = {}

    def newest(self, cursor: Cursor, rows: int) -> Portion:
        """Return what is new: rows, minutes that are over, units, events, the audit's head.

        Far behind, only the very newest rows: the others become a gap, for ``missed``.
        """
        then = _copy(cursor)
        reactors = self._reader.reactors()
        found = {r: self._newest_rows(then, r, rows // len(reactors)) for r in reactors}
        self._learn()
        lines: list[Line] = []
        for reactor, some in found.items():
            if some.rows:
                then.rows[reactor] = some.rows[-1][0]
            lines += self._rows(reactor, some) + self._minutes(then, reactor, some, hold=True)
            lines += self._tags(then, reactor, some)
        told = self.told(then)
        return Portion(lines + told.lines, told.then, told.more)

    def told(self, cursor: Cursor) -> Portion:
        """Return the oldest events that the server lacks."""
        events = self._reader.events(cursor.events, _EVENTS)
        if not events:
            return Portion([], cursor)
        self._learn()
        then = _copy(cursor)
        lines = self._events(then, events, self._reader.reactors())
        return Portion(lines, then, len(events) == _EVENTS)

    def missed(self, cursor: Cursor, rows: int) -> Portion:
        """Return the oldest of what was left out, of one reactor."""
        then = _copy(cursor)
        reactor = next(r for r, gaps in then.gaps.items() if gaps)
        after, last = then.gaps[reactor][0]
        some = self._some(reactor, after, rows)
        some = some._replace(rows=[row for row in some.rows if row[0] <= last])
        self._learn()
        reached = some.rows[-1][0] if some.rows else last
        then.gaps[reactor][:1] = [[reached, last]] if reached < last else []
        lines = self._rows(reactor, some)
        hold = reached < last
        return Portion(lines + self._minutes(then, reactor, some, hold=hold), then)

    def behind(self, cursor: Cursor) -> tuple[int, float]:
        """Return how many rows the server lacks, and how old its newest is beside ours, in s."""
        rows, lag = sum(b - a for gaps in cursor.gaps.values() for a, b in gaps), 0.0
        for reactor in self._reader.reactors():
            seq, time = self._reader.newest(reactor)
            sent = cursor.rows.get(reactor, 0)
            if seq > sent:
                rows += seq - sent
                lag = max(lag, time - (self._reader.time_of(reactor, sent) or time))
        return rows, lag

    # ---- parts of a request

    def _newest_rows(self, then: Cursor, reactor: str, rows: int) -> Rows:
        newest, _ = self._reader.newest(reactor)
        after = then.rows.get(reactor, 0)
        if newest - after > _LEAVE:
            then.gaps.setdefault(reactor, []).append([after, newest - _KEPT])
            after = then.rows[reactor] = newest - _KEPT
        return self._some(reactor, after, rows)

    def _some(self, reactor: str, after: int, rows: int) -> Rows:
        known = next((e for (name, _), e in self._encoders.items() if name == reactor), None)
        fields = len(known.suffixes) if known else 100
        return self._reader.rows(reactor, after, max(1, min(rows, _FIELDS // max(fields, 1))))

    def _rows(self, reactor: str, some: Rows) -> list[Line]:
        lines: list[Line] = []
        for batch, rows in self._spans.split(reactor, some.rows):
            lines += self._encoder(reactor, batch, some.suffixes).lines(Rows(some.suffixes, rows))
        return lines

    def _encoder(self, reactor: str, batch: str, suffixes: tuple[str, ...]) -> Encoder:
        known = self._encoders.get((reactor, batch))
        if known is None or known.suffixes != suffixes:
            if len(self._encoders) > _ENCODERS:
                self._encoders.clear()
            known = Encoder(self._site, reactor, batch, suffixes)
            self._encoders[reactor, batch] = known
        return known

    def _minutes(self, then: Cursor, reactor: str, some: Rows, *, hold: bool) -> list[Line]:
        """Return the minutes that are over; the others stay in the cursor.

        That of the last row is held where more rows follow, which are likely to be of it too.
        """
        touched = {minute_of(row[1]) for row in some.rows} | set(then.minutes.get(reactor, ()))
        newest = {minute_of(self._reader.newest(reactor)[1])}
        if hold and some.rows:
            newest.add(minute_of(some.rows[-1][1]))
        if touched <= newest:
            then.minutes[reactor] = sorted(touched)
            return []
        found, left = self._reader.minutes(reactor, touched - newest)
        then.minutes[reactor] = sorted(left | (touched & newest))
        return [
            line
            for batch, minutes in self._spans.of_minutes(reactor, found)
            for line in minute_lines(self._site, reactor, batch, minutes)
        ]

    def _tags(self, then: Cursor, reactor: str, some: Rows) -> list[Line]:
        """Return units and ranges, when they are new and once a day, before they are forgotten."""
        if not some.rows:
            return []
        time = some.rows[0][1]
        seen = then.tags.get(reactor), some.suffixes, time // _DAY_S
        if self._told.get(reactor) == seen:
            return []
        named = ((split_name(name), tag) for name, tag in self._reader.tags().items())
        tags = [(suffix, tag) for (owner, suffix), tag in named if owner == reactor]
        digest = hashlib.sha256(repr((tags, time // _DAY_S)).encode()).hexdigest()[:16]
        self._told[reactor] = digest, some.suffixes, time // _DAY_S
        if then.tags.get(reactor) == digest:
            return []
        then.tags[reactor] = digest
        return tag_lines(self._site, reactor, tags, time)

    def _events(self, then: Cursor, events: list[EventRow], reactors: Iterable[str]) -> list[Line]:
        lines: list[Line] = []
        known = set(reactors)
        for event in events:
            reactor = split_name(event["subject"])[0]
            reactor = reactor if reactor in known else str(event["data"].get("reactor") or PLANT)
            batch = self._spans.at(reactor, event["time"])
            lines += event_line(self._site, reactor, batch, event), alarm_line(self._site, event)
            lines += software_line(self._site, event), laboratory_line(self._site, event)
            lines += foreseen_lines(self._site, event)
        then.events = events[-1]["id"]
        seq, time, sha256 = self._reader.newest_head()
        if seq > then.head:
            lines.append(head_line(self._site, seq, time, sha256))
            then.head = seq
        return [line for line in lines if line.text]

    def _learn(self) -> None:
        """Read which batches there are, after the rows: a batch is told before its first row."""
        newest = self._reader.latest_events(1, [Kind.PHASE])
        if newest != self._learned:
            self._spans, self._learned = Spans(self._reader.batches()), newest


def _copy(cursor: Cursor) -> Cursor:
    gaps: dict[str, Any] = {r: [list(gap) for gap in gaps] for r, gaps in cursor.gaps.items()}
    rows, minutes, tags = dict(cursor.rows), dict(cursor.minutes), dict(cursor.tags)
    return replace(cursor, rows=rows, gaps=gaps, minutes=minutes, tags=tags)
