"""Sends every row of the store onwards, in order, and remembers how far it has come."""

import logging
import os
import random
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from drivers.clock import monotonic, wall
from historian.delivery import Delivery, UnavailableError
from historian.outbox import Outbox, Portion
from historian.progress import Cursor, Status, load_cursor, save_cursor, save_status
from historian.reader import SqliteReader
from historian.schema import StoreError

_LOG = logging.getLogger(__name__)
_MAX_ROWS = 5_000
_QUICK_S, _SLOW_S = 0.5, 2.0  # a quicker request may grow, a slower one shrinks
_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 60.0
_LONGEST_ASKED_S = 300.0  # of a server's Retry-After
_RATE_S = 10.0


class Forwarder:
    """Sends every row of the store to the server, in order, each one once.

    After an outage the newest rows come first, and then what was missed, oldest first, between
    them: boards show the present again at once, and catching up never makes it late.

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
        jitter: share by which a wait after a fault may be longer, drawn anew each time, so that
            the forwarders of many plants do not all come back at one moment.
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
        jitter: float = 0.5,
    ) -> None:
        self._reader = reader
        self._outbox = Outbox(reader, site)
        self._poll_s = poll_s
        self._jitter = jitter
        self._cursor_path = cursor_path
        self.status_path = status_path or cursor_path.with_name(cursor_path.name + ".status")
        self.quarantine_path = cursor_path.with_name(cursor_path.name + ".refused")
        self._delivery = Delivery(post, self.quarantine_path)
        self._cursor: Cursor | None = None
        self._rows = 100  # in the next request
        self._most_rows = _MAX_ROWS
        self._wait_s = _FIRST_WAIT_S
        self._newest_at = -float("inf")  # monotonic: when the newest rows are due again
        self._owed = False  # a request for what was missed, since the newest had theirs
        self._rates: deque[tuple[float, int]] = deque()  # monotonic, samples acknowledged
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
            portion = self._next(cursor)
            if portion.then != cursor:
                self._send(portion)
            self._count_behind(portion.then)
        except (UnavailableError, StoreError, sqlite3.Error, OSError) as error:
            return self._fail(error)
        if self._failed_at is not None:
            self._recover()
        waits = portion.more or self.status.behind_rows
        self._tell(now=not waits)
        return 0.0 if waits else self._poll_s

    def _own_cursor(self) -> Cursor:
        """Return the cursor, a new one if it belongs to another store."""
        if self._cursor is None:
            cursor, store = load_cursor(self._cursor_path), self._reader.store_id()
            if cursor is None or cursor.store != store:
                if cursor is not None or self._cursor_path.exists():
                    _LOG.warning("%s: of another store or damaged: begins anew", self._cursor_path)
                cursor = Cursor(store)
            self._take(cursor)
            return cursor
        return self._cursor

    def _take(self, cursor: Cursor) -> None:
        self._cursor, status = cursor, self.status
        status.forwarded, status.quarantined = cursor.forwarded, cursor.quarantined
        status.refused = cursor.refused

    def _next(self, cursor: Cursor) -> Portion:
        """Return what is new and, in turn with it, what was missed: neither starves the other."""
        missed = any(cursor.gaps.values())
        if not missed or (monotonic() >= self._newest_at and not self._owed):
            portion = self._outbox.newest(cursor, self._rows)
            if not portion.more:
                self._newest_at = monotonic() + self._poll_s
            if portion.lines or not missed:
                self._owed = True
                return portion
        self._owed = False
        return self._outbox.missed(cursor, self._rows)

    def _send(self, portion: Portion) -> None:
        began = monotonic()
        of_rows, others = self._delivery.deliver(portion.lines)
        took = monotonic() - began
        cursor = portion.then
        cursor.forwarded += max(0, sum(line.samples for line in portion.lines) - of_rows)
        cursor.quarantined += of_rows
        cursor.refused += others
        save_cursor(self._cursor_path, cursor)
        self._take(cursor)
        if refused := of_rows + others:
            _LOG.warning("the server refused %d fields: see %s", refused, self.quarantine_path)
        if self._delivery.too_large:
            self._most_rows = self._rows = max(1, len(portion.lines) // 2)
        elif took < _QUICK_S:
            self._rows = min(self._rows * 2, self._most_rows)
        elif took > _SLOW_S:
            self._rows = max(1, self._rows // 2)
        self._wait_s = _FIRST_WAIT_S

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
        if not isinstance(error, StoreError):
            wait += random.uniform(0.0, self._jitter) * wait
        if self._cursor is not None:
            with suppress(StoreError, sqlite3.Error):  # the old numbers stay
                self._count_behind(self._cursor)
        self._tell(now=True)
        return wait

    def _count_behind(self, cursor: Cursor) -> None:
        self.status.behind_rows, self.status.lag_s = self._outbox.behind(cursor)
        now = monotonic()
        self._rates.append((now, cursor.forwarded))
        while len(self._rates) > 2 and self._rates[1][0] < now - _RATE_S:
            self._rates.popleft()
        first, before = self._rates[0]
        self.status.rate_per_s = (cursor.forwarded - before) / max(now - first, 1e-3)

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
