"""Readings that no sensor gives: one that stands still, and one that jumps.

A real reading moves with its noise, one that is stuck does not. A value is stuck when, for so many
readings in a row, it has not left a quarter of its own noise. The noise is known (its data sheet, a
look at the trend) and stands in the plant file. It is at least half of the last digit: then a
healthy reading stays where it is with a chance of 0.7 at most, and 120 of them in a row never. That
a quantity is steady is no matter: its reading is not.

A reading further from the last one than it can be is a spike. The last one holds for three scans,
UNCERTAIN; then it is BAD, until it is where it was or so many readings agree on where it is now.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

from controller.plant import Plant
from drivers.point import BAD, GOOD, UNCERTAIN, Sample, quick

SHARE = 0.25  # of the noise
HELD = 3  # readings for which the last good one holds
AGREED = 6  # readings within a step of each other that are believed, wherever they are
GAP_S = 5.0  # s without a reading after which any is believed


class Known(NamedTuple):
    """What is known of the readings of a tag.

    Attributes:
        name: the tag's.
        noise: standard deviation, in its unit.
        most: readings without noise after which it is stuck.
        step: greatest change from one reading to the next, in its unit.
    """

    name: str
    noise: float
    most: int
    step: float = math.inf


class _Watch:
    """One tag: where it was last seen to move, and for how many readings it has not."""

    __slots__ = (
        "agreed",
        "anchor",
        "count",
        "floor",
        "free",
        "last",
        "level",
        "most",
        "name",
        "step",
        "strange",
        "stuck",
        "time",
    )

    def __init__(self, known: Known) -> None:
        self.name = known.name
        self.floor = SHARE * known.noise
        self.most = known.most
        self.step = known.step
        self.free = known.step == math.inf  # it may go anywhere at once
        self.anchor = self.time = -1e300
        self.count = 0
        self.stuck = False
        self.level = self.last = math.nan  # the last believed reading, and the last of all
        self.strange = self.agreed = 0  # readings in a row that were not believed, that agreed

    def believes(self, time: float, value: float) -> bool:
        """Return whether a reading that is further than a step from the last can be true."""
        step = self.step
        if self.level != self.level or time - self.time > GAP_S:
            self.strange = 0
            return True
        near = self.strange > 0 and -step <= value - self.last <= step
        self.agreed = self.agreed + 1 if near else 1
        self.last = value
        self.strange += 1
        if self.agreed < AGREED:
            return False
        self.strange = 0
        return True


class Plausible:
    """Watches the readings of one reactor.

    Args:
        known: of each tag that is watched.

    Attributes:
        stuck: names of the tags that are stuck now.
        disputed: names of those that a second value contradicts, as the alarms of the last scan
            have it.
        changed: whether that has changed since somebody looked.
    """

    def __init__(self, known: Iterable[Known]) -> None:
        self._watches = [_Watch(each) for each in known]
        self.stuck: frozenset[str] = frozenset()
        self.disputed: frozenset[str] = frozenset()
        self.changed = True

    @property
    def tags(self) -> tuple[str, ...]:
        """Names of all that are watched."""
        return tuple(watch.name for watch in self._watches)

    def step(self, samples: dict[str, Sample]) -> None:
        """Look at one scan, and take back in it what cannot be.

        A reading that is not GOOD or not new proves nothing.
        """
        moved = False
        for watch in self._watches:
            sample = samples.get(watch.name)
            if sample is None:
                continue
            if sample.quality is not GOOD:
                continue
            time, value = sample.time, sample.value
            if time != watch.time:
                step, floor = watch.step, watch.floor
                if not watch.free:
                    if -step <= value - watch.level <= step:
                        watch.strange = 0
                        watch.level = value
                    elif watch.believes(time, value):
                        watch.level = value
                watch.time = time
                if -floor <= value - watch.anchor <= floor:
                    watch.count += 1
                    if watch.count == watch.most:
                        watch.stuck = moved = True
                else:
                    watch.anchor = value
                    watch.count = 0
                    if watch.stuck:
                        watch.stuck, moved = False, True
            if watch.strange:
                held = watch.strange <= HELD
                shown = (watch.level, UNCERTAIN) if held else (math.nan, BAD)
                samples[watch.name] = quick(Sample, (sample.tag, time, *shown))
            elif watch.stuck:
                samples[watch.name] = quick(Sample, (sample.tag, time, value, UNCERTAIN))
        if moved:
            self.stuck = frozenset(watch.name for watch in self._watches if watch.stuck)
            self.changed = True


def build_plausible(name: str, plant: Plant) -> Plausible:
    """Return what watches the readings of reactor ``name``."""
    scan_s = plant.settings.scan_s
    return Plausible(
        Known(
            tag.name,
            tag.noise,
            max(round(tag.stuck_s / scan_s), 2),
            math.inf if tag.step is None else tag.step,
        )
        for device in plant.settings.device.values()
        for tag in device.tags
        if tag.noise is not None and tag.name.partition(".")[0] == name
    )
