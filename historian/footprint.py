"""How many bytes a store takes with what is sealed, how fast that grows, what its disk has left."""

import os
import sqlite3
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from drivers.clock import monotonic
from historian.sealed import manifests

_EVERY_S = 5.0  # wall s between two looks
_SEALED_S = 60.0  # and between two at the sealed batches
_GROWTH_S = 3600.0  # over which growth is told, wall s
_LEAST_S = 60.0
_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a store takes of its disk.

    Attributes:
        bytes: of the store's pages in use, and of the batches sealed beside it.
        free_bytes: what the disk has left for it.
        growth_per_day: bytes a day, of the last hour; ``None`` in the first minute.
    """

    bytes: int
    free_bytes: int
    growth_per_day: float | None


class Scales:
    """Weighs a store now and then.

    Args:
        db: its writer's connection.
        store: its file.
    """

    def __init__(self, db: sqlite3.Connection, store: Path) -> None:
        self._db = db
        self._store = store
        self._looked = self._looked_sealed = -float("inf")
        self._sealed = 0
        self._past: deque[tuple[float, int]] = deque()  # monotonic, bytes; one a minute

    def due(self) -> bool:
        """Return whether it is time for another look."""
        return monotonic() - self._looked >= _EVERY_S

    def look(self) -> Footprint:
        """Return what it takes now.

        Raises:
            sqlite3.Error, OSError: it cannot be told.
        """
        now = self._looked = monotonic()
        if now - self._looked_sealed >= _SEALED_S:
            self._looked_sealed = now
            self._sealed = sum(manifest.size for _, manifest in manifests(self._store))
        size = used(self._db) + self._sealed
        disk = os.statvfs(self._store.parent)
        return Footprint(size, disk.f_bavail * disk.f_frsize, self._growth(now, size))

    def _growth(self, now: float, size: int) -> float | None:
        past = self._past
        if not past or now - past[-1][0] >= _LEAST_S:
            past.append((now, size))
        while len(past) > 1 and past[1][0] <= now - _GROWTH_S:
            past.popleft()
        since, before = past[0]
        return (size - before) / (now - since) * _DAY_S if now - since >= _LEAST_S else None


def used(db: sqlite3.Connection) -> int:
    """Return the bytes of a store's pages that hold something, those not yet in its file too."""
    pages, free, size = (
        int(db.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size
