"""Holds InfluxDB against the store, tag by tag and hour by hour, and explains what differs."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from historian.bucket import Bucket
from historian.lines import field_key, measurement_of, split_fields, unescape
from historian.points import HEADS
from historian.progress import Cursor
from historian.reader import SqliteReader
from historian.schema import quoted

_HOUR_S = 3600
_DAY_S = 86_400
_ENDLESS = 1 << 62
_STALE_S = 2 * _HOUR_S  # a server drops what is beyond its retention by whole shards, not at once


class _Hour(NamedTuple):
    """What the store has of one hour of a reactor.

    Attributes:
        unsent: rows that the forwarder has not sent yet.
        doubled: rows with the time, in µs, of another one.
        values: how many of each tag, by suffix.
    """

    unsent: int
    doubled: int
    values: dict[str, int]


@dataclass(frozen=True, slots=True)
class Difference:
    """One tag in one hour whose values are not as many on both sides.

    Attributes:
        tag: ``R1.do``.
        hour: its beginning, s since 1970 UTC.
        store: values in the store.
        server: values on the server.
        why: what explains it; empty: nothing does.
    """

    tag: str
    hour: int
    store: int
    server: int
    why: str


@dataclass(slots=True)
class Comparison:
    """What was found.

    Attributes:
        tags: how many tags were compared.
        hours: how many hours of a reactor.
        values: in the store.
        differences: every tag and hour that differs.
        forged: links of the audit trail that the server has otherwise than the store.
    """

    tags: int = 0
    hours: int = 0
    values: int = 0
    differences: list[Difference] = field(default_factory=list[Difference])
    forged: list[str] = field(default_factory=list[str])

    @property
    def unexplained(self) -> list[Difference]:
        """Those that nothing explains."""
        return [d for d in self.differences if not d.why]


def compare(
    reader: SqliteReader,
    bucket: Bucket,
    site: str,
    start: float,
    end: float,
    now: float,
    cursor: Cursor | None,
    quarantine: Path,
) -> Comparison:
    """Compare the rows of all reactors.

    Args:
        reader: the store.
        bucket: where the forwarder sends it.
        site: name of the plant.
        start: s since 1970 UTC; its hour is compared whole.
        end: s since 1970 UTC; its hour is compared whole.
        now: s since 1970 UTC, of the server's retention.
        cursor: how far the forwarder has come; ``None``: not begun.
        quarantine: what the server has refused.
    """
    found = Comparison()
    kept = bucket.retention_s()
    oldest = now - kept + _STALE_S if kept else 0.0
    refused = _refused(quarantine)
    for reactor in reader.reactors():
        sent = cursor.rows.get(reactor, 0) if cursor else 0
        gaps = cursor.gaps.get(reactor, []) if cursor else []
        ours = _store(reader, reactor, start, end, [*gaps, [sent, _ENDLESS]])
        theirs = _server(bucket, site, reactor, start, end)
        suffixes = {s for h in ours.values() for s in h.values}
        found.tags += len(suffixes)
        found.hours += len(ours)
        for hour in sorted({*ours, *theirs}):
            here = ours.get(hour, _Hour(0, 0, {}))
            there = theirs.get(hour, {})
            found.values += sum(here.values.values())
            for suffix in sorted({*here.values, *there} & suffixes):
                ours_n, theirs_n = here.values.get(suffix, 0), there.get(field_key(suffix), 0)
                if ours_n != theirs_n:
                    lost = refused.get((reactor, hour, field_key(suffix)))
                    why = _why(ours_n, theirs_n, here, lost, beyond=hour < oldest)
                    name = f"{reactor}.{suffix}"
                    found.differences.append(Difference(name, hour, ours_n, theirs_n, why))
    found.forged = list(_forged(reader, bucket, site))
    return found


def _why(ours: int, theirs: int, here: _Hour, lost: tuple[int, str] | None, *, beyond: bool) -> str:
    """Return what explains a difference, empty if nothing does."""
    if theirs > ours:
        return "the server has more: the store has dropped its oldest, or another has written"
    reasons: list[str] = []
    missing = ours - theirs
    if here.unsent:
        reasons.append(f"{here.unsent} rows are still to be sent")
        missing -= here.unsent
    if lost is not None and missing > 0:
        reasons.append(f"{lost[0]} refused: {lost[1]}")
        missing -= lost[0]
    if here.doubled and missing > 0:
        reasons.append(f"{here.doubled} rows have the time of another one")
        missing -= here.doubled
    if beyond and missing > 0:
        return "beyond the server's retention"
    return "; ".join(reasons) if missing <= 0 else ""


def _store(
    reader: SqliteReader, reactor: str, start: float, end: float, unsent: list[list[int]]
) -> dict[int, _Hour]:
    """Return what the store has; rows ``(after, up to]`` of ``unsent`` are not sent yet."""
    waiting = " OR ".join("seq > ? AND seq <= ?" for _ in unsent)
    first, last = start // _HOUR_S * _HOUR_S, (end // _HOUR_S + 1) * _HOUR_S
    with reader.table(reactor, first, last) as (db, source, known):
        counts = "".join(f", count({quoted(c.col)})" for c in known)
        rows = db.execute(
            f"SELECT CAST(time AS INTEGER) / {_HOUR_S} AS hour, sum({waiting}), count(*),"
            f" count(DISTINCT CAST(round(time * 1e6) AS INTEGER)){counts}"
            f" FROM {source} WHERE time >= ? AND time < ? GROUP BY hour",
            (
                *(seq for stretch in unsent for seq in stretch),
                first,
                last,
            ),
        ).fetchall()
    return {
        hour * _HOUR_S: _Hour(
            waits, n - moments, {c.suffix: k for c, k in zip(known, numbers, strict=True) if k}
        )
        for hour, waits, n, moments, *numbers in rows
    }


def _server(
    bucket: Bucket, site: str, reactor: str, start: float, end: float
) -> dict[int, dict[str, int]]:
    """Return the number of values of each field in each hour, asked a day at a time."""
    found: dict[int, dict[str, int]] = {}
    scope = f'"site" = {_text(site)} AND "reactor" = {_text(reactor)}'
    for day in range(int(start // _HOUR_S) * _HOUR_S, int(end) + 1, _DAY_S):
        until = min(day + _DAY_S, (int(end) // _HOUR_S + 1) * _HOUR_S)
        series = bucket.query(
            f'SELECT count(*) FROM "{measurement_of(reactor)}" WHERE {scope}'
            f" AND time >= {day}s AND time < {until}s GROUP BY time(1h) fill(0)"
        )
        for one in series:
            names = [str(column).removeprefix("count_") for column in one["columns"][1:]]
            for time, *counts in one["values"]:
                numbers = {n: int(c) for n, c in zip(names, counts, strict=True) if c}
                if numbers:
                    found[int(time) // 1_000_000] = numbers
    return found


def _refused(quarantine: Path) -> dict[tuple[str, int, str], tuple[int, str]]:
    """Return how many values of a reactor, hour and field were refused, and why."""
    counts: Counter[tuple[str, int, str]] = Counter()
    why: dict[tuple[str, int, str], str] = {}
    for path in (quarantine.with_name(quarantine.name + ".old"), quarantine):
        if not path.exists():
            continue
        with path.open(encoding="utf-8") as file:
            for told in map(json.loads, file):
                if not told.get("seq"):
                    continue
                _, fields, time = split_fields(told["line"])
                hour = int(time) // 1_000_000 // _HOUR_S * _HOUR_S
                for key, _ in fields:
                    place = told["reactor"], hour, unescape(key)
                    counts[place] += 1
                    why[place] = told["error"]
    return {place: (count, why[place]) for place, count in counts.items()}


def _forged(reader: SqliteReader, bucket: Bucket, site: str) -> Iterator[str]:
    """Yield a sentence for each link on the server that the store has otherwise."""
    with reader.snapshot() as db:
        ours = dict(db.execute("SELECT seq, hash FROM audit").fetchall())
    series = bucket.query(f'SELECT "seq", "hash" FROM "{HEADS}" WHERE "site" = {_text(site)}')
    for row in (value for one in series for value in one["values"]):
        seq, sha256 = int(row[1]), str(row[2])
        if ours.get(seq) != sha256:
            yield f"link {seq} is {sha256[:12]} on the server, {ours.get(seq, 'missing')[:12]} here"


def _text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
