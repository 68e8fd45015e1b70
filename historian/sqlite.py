"""The local store: SQLite with one wide row a scan, and one thread that writes it."""

import contextlib
import json
import math
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

from drivers.clock import wall
from drivers.point import Quality, Sample, Tag
from historian.commits import WRITER, Commits, Group, as_json
from historian.events import Event, Kind
from historian.footprint import Footprint
from historian.reader import SqliteReader
from historian.rows import Scan
from historian.schema import CORRUPT, SALVAGE, StoreError
from historian.upkeep import FOR_GOOD, Keep

__all__ = ["SqliteReader", "SqliteStore", "StoreError"]

_GOOD = Quality.GOOD
_PAUSE_S = 0.02  # between two steps of tidying up
# Primary result codes of SQLite that may pass: the disk, a lock, memory. Such a group is kept and
# tried again; any other refusal would come back for ever, so its row is dropped and recorded.
_MAY_PASS = frozenset({5, 6, 7, 8, 10, 11, 13, 14, 15, 22, 23, 26})


class SqliteStore:
    """Takes samples and events without making the scan wait, and commits them in groups.

    Acknowledged means committed: ``stored`` counts what survives a kill -9 or a power cut, and
    ``flush`` returns when everything before it does. At most ``commit_s`` is not.

    Args:
        path: the store's file; it is made, with its folder, if it is not there.
        queue_rows: rows that may wait for the disk; the next one is lost, counted and recorded.
        commit_s: longest time between commits, wall seconds.
        max_rows_per_commit: rows in one transaction; as many waiting wake the writer early.
        gap_s: two rows of a reactor further apart are a gap, which is told with its reason.
        keep: how long rows stay in it; those that are sealed leave in any case.
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
        commit_s: float = 1.0,
        max_rows_per_commit: int = 1_000,
        gap_s: float = 10.0,
        keep: Keep = FOR_GOOD,
        wait_when_full: bool = False,
        on_alarm: Callable[[str, bool], None] | None = None,
    ) -> None:
        self.path = Path(path)
        self._limit = queue_rows
        self._commit_s = commit_s
        self._group_rows = min(max_rows_per_commit, queue_rows)
        self._wait_when_full = wait_when_full
        self._on_alarm = on_alarm or _nobody_listens
        self._commits = Commits(self.path, gap_s, keep)
        self._reader: SqliteReader | None = None

        self.stored = 0  # samples committed
        self._dropped = 0  # samples lost to a full queue
        self._refused = 0  # samples that SQLite will never take
        self._gap: tuple[float, int] | None = None  # its start, and `_dropped` then

        self._queue: deque[Scan] = deque()
        self._lock = threading.Lock()  # for the two below
        self._events: list[Event] = []
        self._states: dict[str, str] = {}
        self._group: Group | None = None  # taken and not yet committed
        self._failing = ""  # why the last commit failed
        self._wake = threading.Event()
        self._turn = threading.Condition()  # a group was committed, or the writer ended
        self._asked = 0
        self._flushed = 0
        self._closing = False
        self._ended = False
        self.put_state(WRITER, {"closed": False})
        if self._commits.broken:
            self.record(Event(wall(), "system", Kind.AUDIT, "audit", self._commits.broken))
            self._on_alarm(self._commits.broken, True)
        self._thread = threading.Thread(target=self._run, name="historian", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> int:
        """Samples that will never be in the store."""
        return self._dropped + self._refused

    @property
    def waiting(self) -> int:
        """Rows not yet committed."""
        group = self._group
        return len(self._queue) + (len(group.scans) if group else 0)

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
        queue = self._queue
        if len(queue) >= self._limit or self._ended:
            if not (self._wait_when_full and self._wait_for_room()):
                self._drop(tags[0].reactor, time, len(rows))
                return
        elif self._gap is not None:
            self._end_gap(self._gap, tags[0].reactor, time)
        queue.append(Scan(tags, time, values, codes))
        if len(queue) == self._group_rows:
            self._wake.set()

    def record(self, event: Event) -> None:
        """Queue an event. Events have a queue of their own and are never dropped."""
        with self._lock:
            self._events.append(event)

    def put_state(self, key: str, obj: object) -> None:
        """Keep ``obj``, JSON-serialisable, under ``key``; committed with the next group."""
        text = as_json(obj)
        with self._lock:
            self._states[key] = text

    def get_state(self, key: str) -> Any:
        """Return what was last put under ``key``, also by an earlier process; else ``None``."""
        with self._lock:
            text = self._states.get(key)
            if text is None and self._group is not None:
                text = self._group.states.get(key)
        return self._own_reader().state(key) if text is None else json.loads(text)

    def read(self, tag: Tag, start: float, end: float) -> list[Sample]:
        """Return the committed samples of ``tag`` with ``start <= time <= end``, oldest first."""
        return self._own_reader().read(tag, start, end)

    def flush(self, timeout_s: float = 60.0) -> None:
        """Return when everything queued so far is committed.

        Raises:
            TimeoutError: it is not within ``timeout_s`` (wall seconds), or the writer has ended.
        """
        with self._turn:
            self._asked += 1
            ticket = self._asked
            self._wake.set()
            self._turn.wait_for(lambda: self._flushed >= ticket or self._ended, timeout_s)
            if self._flushed < ticket:
                why = self._failing or ("the writer has ended" if self._ended else "still writing")
                raise TimeoutError(
                    f"{self.path}: {self.waiting} rows not committed within {timeout_s:g} s: {why}"
                )

    def close(self) -> None:
        """Commit what waits, once, and close the file; may be called twice."""
        if self._closing:
            return
        if self._gap is not None:
            self._end_gap(self._gap, "", self._gap[0])
        self.put_state(WRITER, {"closed": True})
        self._closing = True
        self._wake.set()
        self._thread.join()
        if self._reader is not None:
            self._reader.close()
        self._commits.close()

    def __enter__(self) -> "SqliteStore":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # ---- the caller's side of a full queue

    def _wait_for_room(self) -> bool:
        with self._turn:
            self._wake.set()
            self._turn.wait_for(
                lambda: len(self._queue) < self._limit or self._ended or bool(self._failing)
            )
        return len(self._queue) < self._limit and not self._ended

    def _drop(self, reactor: str, time: float, samples: int) -> None:
        if self._gap is None:
            self._gap = time, self._dropped
            text = f"store queue full ({self._limit} rows): samples are lost"
            self.record(Event(time, "system", Kind.GAP, reactor, text, {"start": time}))
            self._on_alarm(text, True)
        self._dropped += samples

    def _drop_unstamped(self, reactor: str, samples: int) -> None:
        self._dropped += samples
        text = f"{samples} samples without a finite time are lost"
        self.record(Event(0.0, "system", Kind.GAP, reactor, text))

    def _end_gap(self, gap: tuple[float, int], reactor: str, time: float) -> None:
        start, before = gap
        self._gap = None
        lost = self._dropped - before
        text = f"store takes samples again: {lost} were lost in {time - start:.1f} s"
        data = {"start": start, "end": time, "lost": lost}
        self.record(Event(time, "system", Kind.GAP, reactor, text, data))
        self._on_alarm(text, False)

    def _own_reader(self) -> SqliteReader:
        if self._reader is None:
            self._reader = SqliteReader(self.path)
        return self._reader

    # ---- the writer's thread

    def _run(self) -> None:
        try:
            while True:
                self._wake.wait(self._commit_s)
                self._wake.clear()
                closing, asked = self._closing, self._asked
                done = self._drain(everything=closing or asked > self._flushed)
                with self._turn:
                    if done:
                        self._flushed = asked
                    self._turn.notify_all()
                if closing:
                    return
                self._tidy()
        finally:
            with self._turn:
                self._ended = True
                self._turn.notify_all()

    def _tidy(self) -> None:
        """Let rows leave that are sealed or too old, while nothing waits to be written."""
        with contextlib.suppress(sqlite3.Error, OSError):  # what fails fails for rows too: told
            self._commits.weigh()
            while self._commits.tidy() and not (self._wake.is_set() or self._failing):
                self._wake.wait(_PAUSE_S)

    def _drain(self, *, everything: bool) -> bool:
        """Commit group after group; return False when one failed and must be tried again."""
        while True:
            if self._group is None:
                self._group = self._take()
            group = self._group
            if not (group.scans or group.events or group.states):
                self._group = None
                return True
            if not self._commit(group):
                return False
            self._group = None
            with self._turn:
                self._turn.notify_all()
            if len(self._queue) < (1 if everything else self._group_rows):
                return True

    def _take(self) -> Group:
        with self._lock:
            states, self._states = self._states, {}
            events, self._events = self._events, []
        count = min(len(self._queue), self._group_rows)
        return Group(states, events, [self._queue.popleft() for _ in range(count)])

    def _commit(self, group: Group) -> bool:
        try:
            self._commits.write(group)
        except (sqlite3.Error, ArithmeticError, TypeError, ValueError) as error:
            if _may_pass(error) or not group.scans:
                self._fail(error)
                return False
            return self._commit_one_by_one(group, error)
        self._succeed(group)
        return True

    def _commit_one_by_one(self, group: Group, error: Exception) -> bool:
        """Commit a group with a row that SQLite will never take: without that row."""
        if len(group.scans) > 1:
            scans, group.scans = group.scans, []
            while scans:
                if not self._commit(Group({}, [], scans[:1])):
                    group.scans = scans
                    return False
                del scans[0]
            return self._commit(group)
        for scan in group.scans:
            self._refused += len(scan.tags)
            reactor = scan.tags[0].reactor
            text = f"row refused by the store: {error}"
            group.events.append(Event(scan.time, "system", Kind.GAP, reactor, text))
            self._on_alarm(f"{self.path}: {text}", True)
        group.scans = []
        return self._commit(group)

    def _succeed(self, group: Group) -> None:
        self.stored += sum(len(scan.tags) for scan in group.scans)
        if self._failing:
            self._failing = ""
            self._on_alarm(f"{self.path}: stores again", False)

    def _fail(self, error: Exception) -> None:
        first = not self._failing
        self._failing = str(error)
        if first:  # a repeating fault is told when it starts and when it ends
            hint = SALVAGE if getattr(error, "sqlite_errorcode", 0) & 0xFF == CORRUPT else ""
            why = f"{self.path}: cannot store: {error}{hint}; {self.waiting} rows wait"
            self._on_alarm(why, True)


def _nobody_listens(text: str, active: bool) -> None:
    """Stand in for an ``on_alarm`` that was not given."""


def _may_pass(error: Exception) -> bool:
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _MAY_PASS


def _clean(
    values: tuple[float, ...], qualities: tuple[Quality, ...]
) -> tuple[tuple[float | None, ...], bytes]:
    """Return values and codes of a row that is not all GOOD: what is BAD has no value."""
    kept = tuple(
        [v if q and math.isfinite(v) else None for v, q in zip(values, qualities, strict=True)]
    )
    codes = [0 if v is None else q for v, q in zip(kept, qualities, strict=True)]
    return kept, bytes(codes)
