"""How the computer side of a plant is, as tags of the plant: forwarder, store and devices.

They are stored, sent and shown like any other tag; nothing here waits for a disk but for one small
file of the forwarder's.
"""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from controller.devices.devices import Device
from drivers.point import Quality, Sample, Tag
from historian.events import Event, Kind
from historian.footprint import Footprint
from historian.store import Historian

EVERY_S: Final = 5.0  # plant s
STALE_S: Final = 30.0  # the forwarder writes its status every second or so
STEPPED_S: Final = 2.0  # the wall's clock was set by more than that, not disciplined
_MANY = 1e15

_FORWARDER: Final = {
    "lag_s": Tag("plant.influx.lag", "s", 0.0, _MANY),
    "rate_per_s": Tag("plant.influx.rate", "1/s", 0.0, _MANY),
    "behind_rows": Tag("plant.influx.behind", "1", 0.0, _MANY),
    "quarantined": Tag("plant.influx.quarantined", "1", 0.0, _MANY),
}
_STORE: Final = {
    "bytes": Tag("plant.store.size", "By", 0.0, _MANY),
    "growth_per_day": Tag("plant.store.growth", "By/d", -_MANY, _MANY),
    "free_bytes": Tag("plant.store.free", "By", 0.0, _MANY),
}
_CLOCK: Final = Tag("plant.clock.offset", "s", -_MANY, _MANY)


class PlantTags:
    """Puts one row of the plant into the store, every few seconds.

    Args:
        store: takes the samples, and tells how large it is.
        devices: whose latency is told; none in virtual time, where nothing takes any.
        status: file of the forwarder's; ``None`` where nothing is forwarded.
        site: name of a plant whose time is the wall's, and is held against it; empty: it is not.
    """

    def __init__(
        self,
        store: Historian,
        devices: Sequence[Device] = (),
        status: Path | None = None,
        site: str = "",
    ) -> None:
        self._store = store
        self._status = status
        self._devices = {d: latency_tag(d.name) for d in devices}
        self._site = site
        self._offset: float | None = None
        self._next = -math.inf

    def step(self, now: float, wall: float) -> None:
        """Look when it is time.

        Args:
            now: plant time, s since 1970 UTC.
            wall: what the clock on the wall says, s since 1970 UTC; the forwarder's file is
                stamped by it.
        """
        if now < self._next:
            return
        self._next = now + EVERY_S
        samples = [*self._forwarder(now, wall)]
        if self._site:
            samples.append(self._clock(now, wall))
        if self._devices:
            samples += [*self._footprint(now), *self._latencies(now)]
        if samples:
            self._store.append(samples)

    def _forwarder(self, now: float, wall: float) -> Iterator[Sample]:
        if self._status is None:
            return
        try:
            told = json.loads(self._status.read_text(encoding="utf-8"))
            numbers = {key: float(told[key]) for key in _FORWARDER}
            alive = wall - float(told["time"]) < STALE_S
        except (OSError, ValueError, KeyError, TypeError):
            return  # never begun, or just being replaced
        for key, tag in _FORWARDER.items():
            yield _sample(tag, now, numbers[key] if alive else None)

    def _clock(self, now: float, wall: float) -> Sample:
        """Return by how much the wall is ahead of the stamps, and tell when it was set."""
        offset = wall - now
        before, self._offset = self._offset, offset
        if before is not None and abs(offset - before) > STEPPED_S:
            text = (
                f"the machine's clock was set by {offset - before:+.1f} s; rows are stamped as"
                f" before, {-offset:+.1f} s from it, until the controller is started again"
            )
            data = {"why": "clock", "step": offset - before, "offset": offset}
            self._store.record(Event(now, "system", Kind.NOTE, self._site, text, data))
        return _sample(_CLOCK, now, offset)

    def _footprint(self, now: float) -> Iterator[Sample]:
        seen: Footprint | None = getattr(self._store, "footprint", None)
        for key, tag in _STORE.items():
            yield _sample(tag, now, getattr(seen, key, None))

    def _latencies(self, now: float) -> Iterator[Sample]:
        for device, tag in self._devices.items():
            slowest = device.take_slowest_s()
            yield _sample(tag, now, None if slowest is None else 1e3 * slowest)


def latency_tag(device: str) -> Tag:
    """Return the tag of the slowest answer of a device in the last few seconds."""
    return Tag(f"plant.device.{device}.latency", "ms", 0.0, _MANY)


def _sample(tag: Tag, now: float, value: float | None) -> Sample:
    if value is None:
        return Sample(tag, now, math.nan, Quality.BAD)
    return Sample(tag, now, float(value), Quality.GOOD)
