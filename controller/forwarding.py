"""How InfluxDB's forwarder is, as tags of the plant: they are stored and shown like any other."""

import json
from pathlib import Path
from typing import Final

from drivers.point import Quality, Sample, Tag
from historian.store import Historian

EVERY_S: Final = 5.0  # plant s
STALE_S: Final = 30.0  # the forwarder writes its status every second or so
_MANY = 1e12


class ForwarderTags:
    """Puts the forwarder's status file into the store, every few seconds.

    Args:
        path: of the status file.
        store: takes the samples.
    """

    TAGS: Final = {
        "lag_s": Tag("plant.influx.lag", "s", 0.0, _MANY),
        "rate_per_s": Tag("plant.influx.rate", "1/s", 0.0, _MANY),
        "behind_rows": Tag("plant.influx.behind", "1", 0.0, _MANY),
        "quarantined": Tag("plant.influx.quarantined", "1", 0.0, _MANY),
    }

    def __init__(self, path: Path, store: Historian) -> None:
        self._path = path
        self._store = store
        self._next = -float("inf")

    def step(self, now: float, wall: float) -> None:
        """Look at the file when it is time.

        Args:
            now: plant time, s since 1970 UTC.
            wall: what the clock on the wall says, s since 1970 UTC: the file is stamped by it.
        """
        if now < self._next:
            return
        self._next = now + EVERY_S
        try:
            told = json.loads(self._path.read_text(encoding="utf-8"))
            numbers = {key: float(told[key]) for key in self.TAGS}
            quality = Quality.GOOD if wall - float(told["time"]) < STALE_S else Quality.BAD
        except (OSError, ValueError, KeyError, TypeError):
            return  # never begun, or just being replaced
        nan = float("nan")
        self._store.append(
            [
                Sample(tag, now, numbers[key] if quality else nan, quality)
                for key, tag in self.TAGS.items()
            ]
        )
