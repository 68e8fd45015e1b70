"""Sends every row of the store onwards, in order, and remembers how far it has come."""

import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from drivers.clock import monotonic, wall
from historian.delivery import Delivery, UnavailableError
from historian.events import Kind
from historian.lines import Encoder, Line, alarm_line
from historian.progress import Cursor, Status, load_cursor, save_cursor, save_status
from historian.reader import SqliteReader
from historian.schema import StoreError

_LOG = logging.getLogger(__name__)
_FIELDS = 100_000  # in one request at most: about 2 MB
_MAX_ROWS = 5_000
_ALARMS = 500  # changes of alarms in one request at most
_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 60.0
_LONGEST_ASKED_S = 300.0  # of a server's Retry-After


class Forwarder:
    """Sends every row of the store to the server, in order, each one once.

    The cursor moves only when the server has acknowledged; after a crash the last rows are sent
    again, which changes nothing, since a point of the same series and time replaces itself.

    Args:
        reader: the store.
        post: writes lines with times in microseconds and returns when the server has them; raises
            ``UnavailableError`` or ``RefusedError``.
        cursor_path: the cursor's own small file; beside it is the quarantine (``*.refused``).
        site: name of the plant.
        status_path: where it says how it is; beside the cursor (``*.status``) if not given.
        poll_s: how often a store without new rows is looked at, wall seconds.
    """

    def __init__(
        self,
        reader: SqliteReader,
        post: Callable[[bytes], None],
        cursor_path: Path,
        *,
        site: str,
        status_path: Path | None = None,
        poll_s: float = 1.0,
    ) -> None:
        self._reader = reader
        self._site = site
        self._poll_s = poll_s
        self._cursor_path = cursor_path
        self.status_path = status_path or cursor_path.with_name(cursor_path.name + ".status")
        self.quarantine_path = cursor_path.with_name(cursor_path.name + ".refused")
        self._delivery = Delivery(post, self.quarantine_path)
        self._encoders: dict[str, Encoder] = {}
        self._cursor: Cursor | None = None
        self._rows = 100  # in the next request
        self._most_rows = _MAX_ROWS
        self._wait_s = _FIRST_WAIT_S
        self._failed_at: float | None = None  # monotonic
        self._status_at = -float("inf")  # monotonic
        self.status = Status(pid=os.getpid())

    def run(self, stop: threading.Event, finish_s: float = 5.0) -> None:
        """Forward until ``stop`` is set, then for at most ``finish_s`` what is still behind."""
        while not stop.is_set():
            stop.wait(self.step())
        until = monotonic() + finish_s
        while self._failed_at is None and monotonic() < until and self.step() == 0.0:
            pass
        self._tell(now=True)

    def step(self) -> float:
        """Send one request at most; return how long to wait before the next, wall seconds."""
        try:
            cursor = self._own_cursor()
            lines, ends = self._next(cursor)
            changes = self._reader.events(cursor.events, _ALARMS, [Kind.ALARM])
            lines += [alarm_line(self._site, event) for event in changes]
            if lines:
                refused = self._delivery.deliver(lines)
                cursor.events = changes[-1]["id"] if changes else cursor.events
                self._advance(cursor, lines, ends, refused)
            self.status.behind_rows = self._behind(cursor)
        except (UnavailableError, StoreError, sqlite3.Error, OSError) as error:
            return self._fail(error)
        if self._failed_at is not None:
            self._recover()
        self._tell(now=not self.status.behind_rows)
        return 0.0 if self.status.behind_rows else self._poll_s

    def _own_cursor(self) -> Cursor:
        """Return the cursor, a new one if it belongs to another store."""
        if self._cursor is None:
            cursor, store = load_cursor(self._cursor_path), self._reader.store_id()
            if cursor is None or cursor.store != store:
                if cursor is not None or self._cursor_path.exists():
                    _LOG.warning("%s: of another store or damaged: begins anew", self._cursor_path)
                cursor = Cursor(store)
            self._cursor = cursor
            self.status.forwarded, self.status.quarantined = cursor.forwarded, cursor.quarantined
        return self._cursor

    def _next(self, cursor: Cursor) -> tuple[list[Line], dict[str, int]]:
        """Return the lines of the next request and the last ``seq`` of each reactor in them."""
        lines: list[Line] = []
        ends: dict[str, int] = {}
        reactors = self._reader.reactors()
        for reactor in reactors:
            known = self._encoders.get(reactor)
            fields = len(known.suffixes) if known else 100
            share = min(self._rows, _FIELDS // max(fields, 1)) // len(reactors)
            rows = self._reader.rows(reactor, cursor.rows.get(reactor, 0), max(1, share))
            if not rows.rows:
                continue
            if known is None or known.suffixes != rows.suffixes:
                known = self._encoders[reactor] = Encoder(self._site, reactor, rows.suffixes)
            lines += known.lines(rows)
            ends[reactor] = rows.rows[-1][0]
        return lines, ends

    def _advance(
        self, cursor: Cursor, lines: list[Line], ends: Mapping[str, int], refused: int
    ) -> None:
        cursor.rows.update(ends)
        cursor.forwarded += max(0, sum(line.samples for line in lines) - refused)
        cursor.quarantined += refused
        save_cursor(self._cursor_path, cursor)
        self.status.forwarded, self.status.quarantined = cursor.forwarded, cursor.quarantined
        if refused:
            _LOG.warning("the server refused %d fields: see %s", refused, self.quarantine_path)
        if self._delivery.too_large:
            self._most_rows = self._rows = max(1, len(lines) // 2)
        else:
            self._rows = min(self._rows * 2, self._most_rows)
        self._wait_s = _FIRST_WAIT_S

    def _behind(self, cursor: Cursor) -> int:
        return sum(
            max(0, self._reader.newest_seq(reactor) - cursor.rows.get(reactor, 0))
            for reactor in self._reader.reactors()
        )

    def _fail(self, error: Exception) -> float:
        """Tell of a fault when it starts and when it changes; return how long to wait."""
        text = " ".join(str(error).split())
        if text != self.status.error:
            _LOG.warning("%s", text)
        if self._failed_at is None:
            self._failed_at = monotonic()
            self.status.failing_since = wall()
        self.status.error = text
        self._rows = max(1, self._rows // 2)
        wait = self._wait_s
        if isinstance(error, StoreError):
            wait = self._poll_s  # the controller has not started yet
        else:
            self._wait_s = min(2 * self._wait_s, _LONGEST_WAIT_S)
        if isinstance(error, UnavailableError) and error.retry_after_s is not None:
            wait = max(wait, min(error.retry_after_s, _LONGEST_ASKED_S))
        self._count_behind()
        self._tell(now=True)
        return wait

    def _count_behind(self) -> None:
        if self._cursor is None:
            return
        try:
            self.status.behind_rows = self._behind(self._cursor)
        except (StoreError, sqlite3.Error):
            return  # the old number stays

    def _recover(self) -> None:
        since = monotonic() - (self._failed_at or 0.0)
        _LOG.info("forwards again after %.1f s, %d rows behind", since, self.status.behind_rows)
        self._failed_at, self.status.failing_since, self.status.error = None, None, ""

    def _tell(self, *, now: bool) -> None:
        """Write the status file, at most once a second unless ``now``."""
        if not now and monotonic() - self._status_at < 1.0:
            return
        self._status_at = monotonic()
        self.status.time = wall()
        self.status.batch_rows = self._rows
        self.status.fields_aside = self._delivery.fields_aside
        try:
            save_status(self.status_path, self.status)
        except OSError as error:
            _LOG.warning("%s: cannot be written: %s", self.status_path, error)
