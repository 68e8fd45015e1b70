"""Pages that belong to the store before it needs them, for the day on which the disk is full.

What is written takes free pages of the file that is there, and goes through a log whose bytes are
there too, so no commit asks the disk for room. When the free pages become few, the file grows by
some more, if the disk still has a multiple of that; if it has not, the store knows so while it can
still write.
"""

import os
import sqlite3
from pathlib import Path

from drivers.clock import monotonic

PAGE = 4096  # bytes
LOG = 4  # times as many bytes are the log's
_EACH_S = 2.0  # wall s between two looks at what the disk has left


class Reserve:
    """Free pages of a store's file.

    Args:
        db: its writer's connection.
        store: its file.
        size: by how many bytes it grows; 0: it has none, and grows as it is written.

    Attributes:
        short: the disk has no room to grow.
        left: bytes that it had when last looked at.
    """

    def __init__(self, db: sqlite3.Connection, store: Path, size: int) -> None:
        self.short = False
        self.left = 0
        self._db = db
        self._store = store
        self._log = store.with_name(store.name + "-wal")
        self._size = size
        self._tried = -float("inf")
        if size:
            db.execute(f"PRAGMA wal_autocheckpoint = {LOG * size // 2 // PAGE}")

    @property
    def low(self) -> bool:
        """Whether free pages are few."""
        return self._free() < self._size // 2

    @property
    def spent(self) -> bool:
        """Whether they are so few that only events may have them."""
        return self._free() < self._size // 4

    def grow(self) -> bool:
        """Take more of the disk if it is needed; return whether there is room for that.

        Raises:
            sqlite3.Error, OSError: it could not be done.
        """
        if not self._size:
            return True
        low, lacks = self.low, self._lacks()
        if not (low or lacks) and monotonic() - self._tried < _EACH_S:
            return not self.short
        self._tried = monotonic()
        disk = os.statvfs(self._store.parent)
        self.left = disk.f_bavail * disk.f_frsize
        self.short = self.left < lacks + 3 * self._size
        if not self.short:
            self._lengthen(lacks)
            if low:
                self._widen()
        return not self.short

    def _lacks(self) -> int:
        """Return by how many bytes the log is too short; one that is not there will be."""
        if not self._log.exists():
            return 0
        return max(LOG * self._size - self._log.stat().st_size, 0)

    def _lengthen(self, lacks: int) -> None:
        """Give the log bytes of the disk; frames that were never written end it as before."""
        if lacks:
            with self._log.open("r+b") as log:
                os.posix_fallocate(log.fileno(), log.seek(0, os.SEEK_END), lacks)

    def _widen(self) -> None:
        """Give the file free pages: what goes through the log into it, and is taken out again."""
        db = self._db
        db.execute("INSERT INTO spare VALUES (zeroblob(?))", (self._size,))
        db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        db.execute("DELETE FROM spare")

    def _free(self) -> int:
        return int(self._db.execute("PRAGMA freelist_count").fetchone()[0]) * PAGE
