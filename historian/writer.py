"""The one thread that writes a store: groups from the inbox, one transaction each."""

import contextlib
import sqlite3
import threading
from pathlib import Path

from historian.commits import Commits
from historian.events import gap
from historian.inbox import Group, Inbox
from historian.schema import CORRUPT, SALVAGE
from historian.troubles import Troubles

_PAUSE_S = 0.02  # between two steps of tidying up
# Primary result codes of SQLite that may pass: the disk, a lock, memory. Such a group is kept and
# tried again; any other refusal would come back for ever, so its row is dropped and recorded.
_MAY_PASS = frozenset({5, 6, 7, 8, 10, 11, 13, 14, 15, 22, 23, 26})


class Writer:
    """Commits what waits, every ``commit_s`` or when it is woken, until it is closed.

    Args:
        path: the store's file, for people.
        commits: writes it.
        inbox: what waits.
        troubles: told what goes wrong.
        commit_s: longest time between commits, wall seconds.
        group_rows: rows in one transaction.

    Attributes:
        stored: samples committed.
        refused: samples that SQLite will never take.
        failing: why the last commit failed; empty when it did not.
        group: taken from the inbox and not yet committed.
        wake: set to have it look at once.
        turn: told when a group was committed, or when the writer ended.
        ended: it takes nothing any more.
    """

    def __init__(
        self,
        path: Path,
        commits: Commits,
        inbox: Inbox,
        troubles: Troubles,
        *,
        commit_s: float,
        group_rows: int,
    ) -> None:
        self.stored = self.refused = 0
        self.failing = ""
        self.group: Group | None = None
        self.wake = threading.Event()
        self.turn = threading.Condition()
        self.ended = False
        self._path = path
        self._commits = commits
        self._inbox = inbox
        self._troubles = troubles
        self._commit_s = commit_s
        self._group_rows = group_rows
        self._asked = self._flushed = 0
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="historian", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Rows not yet committed."""
        group = self.group
        return len(self._inbox.scans) + (len(group.scans) if group else 0)

    def flush(self, timeout_s: float) -> None:
        """Return when everything in the inbox is committed.

        Raises:
            TimeoutError: it is not within ``timeout_s``, or the writer has ended.
        """
        with self.turn:
            self._asked += 1
            ticket = self._asked
            self.wake.set()
            self.turn.wait_for(lambda: self._flushed >= ticket or self.ended, timeout_s)
            if self._flushed < ticket:
                why = self.failing or ("the writer has ended" if self.ended else "still writing")
                raise TimeoutError(
                    f"{self._path}: {self.waiting} rows not committed within {timeout_s:g} s: {why}"
                )

    def close(self) -> None:
        """Commit what waits, once, and end."""
        self._closing = True
        self.wake.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while True:
                self.wake.wait(self._commit_s)
                self.wake.clear()
                closing, asked = self._closing, self._asked
                done = self._drain(everything=closing or asked > self._flushed)
                with self.turn:
                    if done:
                        self._flushed = asked
                    self.turn.notify_all()
                if closing:
                    return
                self._tidy()
        finally:
            with self.turn:
                self.ended = True
                self.turn.notify_all()

    def _tidy(self) -> None:
        """Let rows leave that are sealed or too old, while nothing waits to be written."""
        with contextlib.suppress(sqlite3.Error, OSError):  # what fails fails for rows too: told
            self._commits.weigh()
            while self._commits.tidy() and not (self.wake.is_set() or self.failing):
                self.wake.wait(_PAUSE_S)

    def _drain(self, *, everything: bool) -> bool:
        """Commit group after group; return False when some of it must be tried again."""
        while True:
            room = self._make_room()
            if self.group is None:
                self.group = self._inbox.take(self._group_rows if room else 0)
            elif not room:
                self._inbox.put_back(self.group)
            if not self.group:
                self.group = None
                return room or not self._inbox.scans
            if not self._commit(self.group):
                return False
            self.group = None
            with self.turn:
                self.turn.notify_all()
            if room and len(self._inbox.scans) < (1 if everything else self._group_rows):
                return True

    def _make_room(self) -> bool:
        """See to it that the disk's being full stops no commit; return whether rows may come."""
        try:
            room = self._commits.make_room()
        except (sqlite3.Error, OSError) as error:
            self._fail(error)
            return True  # what comes of it is seen with the next commit
        if full := self._commits.full:
            self._troubles.begin("disk", f"{self._path}: {full}")
        else:
            self._troubles.end("disk", f"{self._path}: the disk has room again")
        if not room:
            self.failing = full
        return room

    def _commit(self, group: Group) -> bool:
        try:
            self._commits.write(group)
        except (sqlite3.Error, ArithmeticError, TypeError, ValueError) as error:
            if _may_pass(error) or not group.scans:
                self._fail(error)
                return False
            return self._commit_one_by_one(group, error)
        self.stored += sum(len(scan.tags) for scan in group.scans)
        self.failing = ""
        self._troubles.end("commit", f"{self._path}: stores again")
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
            self.refused += len(scan.tags)
            reactor = scan.tags[0].reactor
            text = f"row refused by the store: {error}"
            group.events.append(gap(scan.time, reactor, text, f"存储拒绝该行：{error}"))
            self._troubles.begin("commit", f"{self._path}: {text}")
        group.scans = []
        return self._commit(group)

    def _fail(self, error: Exception) -> None:
        self.failing = str(error)
        hint = SALVAGE if getattr(error, "sqlite_errorcode", 0) & 0xFF == CORRUPT else ""
        why = f"{self._path}: cannot store: {error}{hint}; {self.waiting} rows wait"
        self._troubles.begin("commit", why)


def _may_pass(error: Exception) -> bool:
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _MAY_PASS
