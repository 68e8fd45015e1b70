"""Sensors that stand still: a real reading moves with its noise, one that is stuck does not.

A value is stuck when, for so many readings in a row, it has not left a quarter of its own noise.
The noise is known (its data sheet, or a look at the trend) and stands in the plant file. It is at
least half of the last digit: then a healthy reading stays where it is with a chance of 0.7 at most,
and 120 of them in a row never. That a quantity is steady is no matter: its reading is not.
"""

from collections.abc import Iterable

from controller.plant import Plant
from drivers.point import Quality, Sample, quick

SHARE = 0.25  # of the noise
_GOOD, _UNCERTAIN = Quality.GOOD, Quality.UNCERTAIN


class _Watch:
    """One tag: where it was last seen to move, and for how many readings it has not."""

    __slots__ = ("anchor", "count", "floor", "most", "name", "stuck", "time")

    def __init__(self, name: str, noise: float, most: int) -> None:
        self.name = name
        self.floor = SHARE * noise
        self.most = most
        self.anchor = self.time = -1e300
        self.count = 0
        self.stuck = False


class Still:
    """Watches the readings of one reactor.

    Args:
        watches: each tag with its noise (standard deviation, in its unit) and the number of
            readings after which it is stuck.

    Attributes:
        stuck: names of the tags that are stuck now.
        changed: whether that has changed since somebody looked.
    """

    def __init__(self, watches: Iterable[tuple[str, float, int]]) -> None:
        self._watches = [_Watch(*each) for each in watches]
        self.stuck: frozenset[str] = frozenset()
        self.changed = True

    @property
    def tags(self) -> tuple[str, ...]:
        """Names of all that are watched."""
        return tuple(watch.name for watch in self._watches)

    def step(self, samples: dict[str, Sample]) -> None:
        """Look at one scan, and make what is stuck UNCERTAIN in it.

        A reading that is not GOOD or not new proves nothing.
        """
        moved = False
        for watch in self._watches:
            sample = samples.get(watch.name)
            if sample is None:
                continue
            tag, time, value, quality = sample
            if quality is not _GOOD:
                continue
            if time != watch.time:
                watch.time = time
                floor = watch.floor
                if -floor <= value - watch.anchor <= floor:
                    watch.count += 1
                    if watch.count == watch.most:
                        watch.stuck = moved = True
                else:
                    watch.anchor = value
                    watch.count = 0
                    if watch.stuck:
                        watch.stuck, moved = False, True
            if watch.stuck:
                samples[watch.name] = quick(Sample, (tag, time, value, _UNCERTAIN))
        if moved:
            self.stuck = frozenset(watch.name for watch in self._watches if watch.stuck)
            self.changed = True


def build_still(name: str, plant: Plant) -> Still:
    """Return what watches the readings of reactor ``name``."""
    scan_s = plant.settings.scan_s
    return Still(
        (tag.name, tag.noise, max(round(tag.stuck_s / scan_s), 2))
        for device in plant.settings.device.values()
        for tag in device.tags
        if tag.noise is not None and tag.name.partition(".")[0] == name
    )
