"""What the jacket carries away now: how much more it could tells a plan how clean it is."""

import math
from collections.abc import Mapping

from controller.plant_file.economy_settings import CoolingSettings
from drivers.point import GOOD, Sample

SPAN_S = 300.0  # over which is averaged: a valve hunts, a culture doubles in hours
STALE_S = 60.0  # without a good reading, after which nothing is known any more


class Carried:
    """Means of the broth's and the jacket's temperature and of the cooling valve.

    Args:
        broth: tag of the broth's temperature, Cel.
        settings: tags of jacket and valve.
    """

    def __init__(self, broth: str, settings: CoolingSettings) -> None:
        self._tags = (broth, settings.jacket, settings.valve)
        self._means: list[float] = []
        self._missing = 0.0

    def step(self, dt: float, samples: Mapping[str, Sample]) -> None:
        """Take in a scan of ``dt`` s."""
        found = [samples.get(tag) for tag in self._tags]
        values = [s.value for s in found if s is not None and s.quality is GOOD]
        if len(values) < len(found) or not math.isfinite(sum(values)):
            self._missing += dt
            if self._missing > STALE_S:
                self._means = []
            return
        self._missing = 0.0
        if not self._means:
            self._means = values
        share = dt / (dt + SPAN_S)
        self._means = [m + share * (v - m) for m, v in zip(self._means, values, strict=True)]

    @property
    def means(self) -> tuple[float, float, float] | None:
        """Broth and jacket, Cel, and how far the valve is open, %; ``None`` where unknown."""
        return (self._means[0], self._means[1], self._means[2]) if self._means else None
