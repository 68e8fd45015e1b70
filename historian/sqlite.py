"""The local store: SQLite with one wide row a scan, and one thread that writes it."""

import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

from drivers.clock import wall
from drivers.point import Quality, Sample, Tag
from historian.commits import WRITER, Commits, as_json
from historian.events import Event, Kind, gap
from historian.footprint import Footprint
from historian.inbox import Inbox
from historian.reader import SqliteReader
from historian.rows import Scan
from historian.schema import StoreError
from historian.troubles import Troubles
from historian.upkeep import FOR_GOOD, Keep
from historian.writer import Writer

__all__ = ["SqliteReader", "SqliteStore", "StoreError"]

_GOOD = Quality.GOOD


class SqliteStore:
    """Takes samples and events without making the scan wait, and commits them in groups.

    Acknowledged means committed: ``stored`` counts what survives a kill -9 or a power cut, and
    ``flush`` returns when everything before it does. What came in the last ``commit_s``, and
    while the commit itself took, is not.

    Args:
        path: the store's file; it is made, with its folder, if it is not there.
        queue_rows: rows that may wait for the disk; the next one is lost, counted and recorded.
        commit_s: longest time between commits, wall seconds; half of the second that may be lost.
        max_rows_per_commit: rows in one transaction; as many waiting wake the writer early.
        gap_s: two rows of a reactor further apart are a gap, which is told with its reason.
        keep: how long rows stay in it; those that are sealed leave in any case.
        reserve_mb: the file has free pages of about this many 1e6 bytes, and its log four times
            as many, before they are needed: with them it goes on when the disk is full.
        wait_when_full: virtual time, where nobody is late: a full queue waits for the disk
            instead of losing the row.
        on_alarm: called with a sentence and True when samples begin to be lost or cannot be
            committed, and False when that ends; on the caller's or on the writer's thread.

    Raises:
        StoreError: the file is no store of ours, or another process writes to it.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        queue_rows: int = 10_000,
        commit_s: float = 0.5,
        max_rows_per_commit: int = 1_000,
        gap_s: float = 10.0,
        keep: Keep = FOR_GOOD,
        reserve_mb: float = 0.0,
        wait_when_full: bool = False,
        on_alarm: Callable[[str, bool], None] | None = None,
    ) -> None:
        self.path = Path(path)
        self._limit = queue_rows
        self._group_rows = min(max_rows_per_commit, queue_rows)
        self._wait_when_full = wait_when_full
        self._troubles = Troubles(on_alarm or _nobody_listens)
        self._commits = Commits(self.path, gap_s, keep, round(reserve_mb * 1e6))
        self._reader: SqliteReader | None = None
        self._dropped = 0  # samples lost to a full queue
        self._gap: tuple[float, int] | None = None  # its start, and `_dropped` then
        self._inbox = Inbox()
        self._closing = False
        self.put_state(WRITER, {"closed": False})
        if broken := self._commits.broken:
            self.record(Event(wall(), "system", Kind.AUDIT, "audit", broken))
            self._troubles.begin("audit", broken)
        self._writer = Writer(
            self.path,
            self._commits,
            self._inbox,
            self._troubles,
            commit_s=commit_s,
            group_rows=self._group_rows,
        )

    @property
    def stored(self) -> int:
        """Samples committed."""
        return self._writer.stored

    @property
    def lost(self) -> int:
        """Samples that will never be in the store."""
        return self._dropped + self._writer.refused

    @property
    def waiting(self) -> int:
        """Rows not yet committed."""
        return self._writer.waiting

    @property
    def footprint(self) -> Footprint | None:
        """What it takes of the disk, some seconds ago; ``None`` until it was weighed."""
        return self._commits.footprint

    def append(self, samples: Iterable[Sample]) -> None:
        """Queue the samples of one scan; they make one row a reactor.

        The row's time is the greatest of theirs. Never blocks (but see ``wait_when_full``).
        """
        rows = tuple(samples)
        if not rows:
            return
        # one transposition in C is cheaper than any loop, and frees the samples at once
        tags, times, values, qualities = cast(tuple[Any, Any, Any, Any], tuple(zip(*rows)))  # noqa: B905
        time: float = max(times)
        if not math.isfinite(time):
            self._drop_unstamped(tags[0].reactor, len(rows))
            return
        if qualities.count(_GOOD) == len(rows) and math.isfinite(sum(values)):
            codes = None
        else:
            values, codes = _clean(values, qualities)
        queue = self._inbox.scans
        if len(queue) >= self._limit or self._writer.ended:
            if not (self._wait_when_full and self._wait_for_room()):
                self._drop(tags[0].reactor, time, len(rows))
                return
        elif self._gap is not None:
            self._end_gap(self._gap, tags[0].reactor, time)
        queue.append(Scan(tags, time, values, codes))
        if len(queue) == self._group_rows:
            self._writer.wake.set()

    def record(self, event: Event) -> None:
        """Queue an event. Events have a queue of their own and are never dropped."""
        self._inbox.record(event.in_both())

    def put_state(self, key: str, obj: object) -> None:
        """Keep ``obj``, JSON-serialisable, under ``key``; committed with the next group."""
        self._inbox.put_state(key, as_json(obj))

    def get_state(self, key: str) -> Any:
        """Return what was last put under ``key``, also by an earlier process; else ``None``."""
        text = self._inbox.state(key, self._writer.group)
        return self._own_reader().state(key) if text is None else json.loads(text)

    def read(self, tag: Tag, start: float, end: float) -> list[Sample]:
        """Return the committed samples of ``tag`` with ``start <= time <= end``, oldest first."""
        return self._own_reader().read(tag, start, end)

    def flush(self, timeout_s: float = 60.0) -> None:
        """Return when everything queued so far is committed.

        Raises:
            TimeoutError: it is not within ``timeout_s`` (wall seconds), or the writer has ended.
        """
        self._writer.flush(timeout_s)

    def close(self) -> None:
        """Commit what waits, once, and close the file; may be called twice."""
        if self._closing:
            return
        if self._gap is not None:
            self._end_gap(self._gap, "", self._gap[0])
        self.put_state(WRITER, {"closed": True})
        self._closing = True
        self._writer.close()
        if self._reader is not None:
            self._reader.close()
        self._commits.close()

    def __enter__(self) -> "SqliteStore":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # ---- the caller's side of a full queue

    def _wait_for_room(self) -> bool:
        queue, writer = self._inbox.scans, self._writer
        with writer.turn:
            writer.wake.set()
            writer.turn.wait_for(
                lambda: len(queue) < self._limit or writer.ended or bool(writer.failing)
            )
        return len(queue) < self._limit and not writer.ended

    def _drop(self, reactor: str, time: float, samples: int) -> None:
        if self._gap is None:
            self._gap = time, self._dropped
            text = f"store queue full ({self._limit} rows): samples are lost"
            chinese = f"存储队列已满（{self._limit} 行）：数据丢失"
            self.record(gap(time, reactor, text, chinese, {"start": time}))
            self._troubles.begin("queue", text)
        self._dropped += samples

    def _drop_unstamped(self, reactor: str, samples: int) -> None:
        self._dropped += samples
        text = f"{samples} samples without a finite time are lost"
        self.record(gap(0.0, reactor, text, f"{samples} 个数据没有有效时间，已丢失"))

    def _end_gap(self, begun: tuple[float, int], reactor: str, time: float) -> None:
        start, before = begun
        self._gap = None
        lost = self._dropped - before
        text = f"store takes samples again: {lost} were lost in {time - start:.1f} s"
        chinese = f"存储恢复：{time - start:.1f} s 内丢失 {lost} 个数据"
        data = {"start": start, "end": time, "lost": lost}
        self.record(gap(time, reactor, text, chinese, data))
        self._troubles.end("queue", text)

    def _own_reader(self) -> SqliteReader:
        if self._reader is None:
            self._reader = SqliteReader(self.path)
        return self._reader


def _nobody_listens(text: str, active: bool) -> None:
    """Stand in for an ``on_alarm`` that was not given."""


def _clean(
    values: tuple[float, ...], qualities: tuple[Quality, ...]
) -> tuple[tuple[float | None, ...], bytes]:
    """Return values and codes of a row that is not all GOOD: what is BAD has no value."""
    kept = tuple(
        [v if q and math.isfinite(v) else None for v, q in zip(values, qualities, strict=True)]
    )
    codes = [0 if v is None else q for v, q in zip(kept, qualities, strict=True)]
    return kept, bytes(codes)
