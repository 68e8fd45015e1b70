"""What a model of somebody's own really did: what a report can say where nobody knows cells.

No controller sees any of it.
"""

from collections.abc import Sequence
from typing import Any, Final, Self

from sim.bare import BarePlant

POINT_S: Final = 600.0  # between two points of the trajectory


class BareRecord:
    """The true record of one model; ``update`` counts the time since the last.

    Attributes:
        setpoints: asked of nobody here; a vessel's record counts shares in band from them.
        trajectory: ``age_h`` and by it every state, output and moved input of each 10 plant
            minutes, by name and unit.

    Args:
        plant: whose record it is.
        volume_max_l: volume above which minutes are counted, L.
    """

    def __init__(self, plant: BarePlant, volume_max_l: float) -> None:
        self._plant = plant
        self._volume_max = volume_max_l
        self.setpoints: dict[str, float] = {}
        self.trajectory: dict[str, list[float]] = {}
        self._start = self._last = plant.time
        self._next_point = plant.time + POINT_S
        self._volume_high_s = 0.0
        x, _, y = plant.arrays()
        numbers = {"x": x, "y": y}
        self._words: dict[str, tuple[Sequence[float], int]] = {
            word: (numbers[place], k) for word, (place, k) in plant.words.items()
        }
        self._point()

    @classmethod
    def of(cls, plant: BarePlant, volume_max_l: float) -> Self:
        """Return the record of ``plant`` from now on; it follows the plant by itself."""
        record = cls(plant, volume_max_l)
        plant.watch(record.update)
        return record

    def update(self) -> None:
        """Count the time since the last call at the state that the plant is in now."""
        now = self._plant.time
        dt, self._last = now - self._last, now
        if "volume_l" in self._words and self._now("volume_l") > self._volume_max:
            self._volume_high_s += dt
        if now >= self._next_point - 1e-3:
            self._next_point += POINT_S
            self._point()

    def _now(self, word: str) -> float:
        numbers, k = self._words[word]
        return numbers[k]

    def _point(self) -> None:
        plant = self._plant
        row = plant.truth | {"age_h": round(plant.age / 3600.0, 6)}
        for name in plant.drives:
            row[f"{name} ({plant.units[name]})"] = plant.flow(name)
        for name, value in row.items():
            self.trajectory.setdefault(name, []).append(value)

    def as_report(self) -> dict[str, Any]:
        """Return the true part of the report: what the plant file has named, and no more."""
        known: dict[str, Any] = {word: self._now(word) for word in self._words}
        if "product_g" not in known and {"titre_g_per_l", "volume_l"} <= set(known):
            known["product_g"] = known["titre_g_per_l"] * known["volume_l"]
        if "volume_l" in known:
            known["volume_above_limit_min"] = self._volume_high_s / 60.0
        return {
            "hours": (self._last - self._start) / 3600.0,
            **known,
            "faults": [dict(row) for row in self._plant.faults.record],
        }
