"""What the gases say: oxygen taken up, CO2 given off, and how well oxygen is carried over.

Calculated in every scan from what is measured, as tags like any other: they are stored, shown, and
may be what a loop, a recipe or an alarm looks at. Nothing here is filtered or believed twice: a
calculated tag is as good as the worst reading that it is made of.
"""

import math
from collections.abc import Mapping
from typing import Final

from drivers.point import Quality, Sample, Tag, quick
from models.fn import SCALARS
from models.offgas import uptake_from_gas
from models.oxygen import AIR_O2, saturation

PER_MINUTE: Final = {"L/min": 1.0, "m3/h": 1000.0 / 60.0}  # normal L/min of one of a unit
KILOGRAMS: Final = {"kg": 1.0, "t": 1000.0}
BAR: Final = {"bar": 1.0, "mbar": 1e-3, "kPa": 1e-2, "MPa": 10.0}
ATMOSPHERE: Final = 1.01325  # bar
BROTH: Final = 1.02  # kg/L, medium (ours): 2 % of OUR
LEAST_OUR: Final = 1.0  # mmol/(L.h); with less a quotient of two small differences says nothing
LEAST_DRIVING: Final = 1.0  # % of air saturation
NEEDED: Final = ("offgas_o2", "offgas_co2", "air_flow", "weight")
FOR_KLA: Final = ("do", "temperature")


class GasBalance:
    """OUR, CER and RQ of a reactor; kLa and the driving force of oxygen where DO is measured.

    Args:
        reactor: ``R1``.
        measured: tag name by meaning.
        tags: every tag of the plant.
        calibration_bar: where the DO probe reads 100 % in air, bar, absolute.

    Attributes:
        tags: what it calculates; none where an instrument is missing or gives it itself.
    """

    def __init__(
        self,
        reactor: str,
        measured: Mapping[str, str],
        tags: Mapping[str, Tag],
        calibration_bar: float = ATMOSPHERE,
    ) -> None:
        self._calibration_bar = calibration_bar
        self._of = {m: tags[t] for m, t in measured.items() if t in tags}
        self._names = [(meaning, tag.name) for meaning, tag in self._of.items()]
        self.tags: dict[str, Tag] = {}
        if not all(meaning in self._of for meaning in NEEDED):
            return
        made = [
            Tag(f"{reactor}.our", "mmol/(L.h)", -1e3, 1e4),
            Tag(f"{reactor}.cer", "mmol/(L.h)", -1e3, 1e4),
            Tag(f"{reactor}.rq", "1", -10, 100),
        ]
        if all(meaning in self._of for meaning in FOR_KLA):
            made.append(Tag(f"{reactor}.driving_force", "%", -1e3, 1e4))
            made.append(Tag(f"{reactor}.kla", "1/h", 0, 1e5))
        self.tags = {t.name.partition(".")[2]: t for t in made if t.name not in tags}

    def step(self, now: float, samples: Mapping[str, Sample]) -> dict[str, Sample]:
        """Return the calculated samples of this scan by tag name; ``now`` in s."""
        if not self.tags:
            return {}
        values, quality = self._balance(samples)
        found: dict[str, Sample] = {}
        for key, tag in self.tags.items():
            value = values.get(key, math.nan)
            good = quality if value in tag else Quality.BAD  # NaN is in no range
            found[tag.name] = quick(Sample, (tag, now, value if good else math.nan, good))
        return found

    def _balance(self, samples: Mapping[str, Sample]) -> tuple[dict[str, float], Quality]:
        """Return each value that can be calculated, and the worst quality of what it is made of."""
        read: dict[str, float] = {}
        worst, bad = Quality.GOOD, Quality.BAD
        for meaning, name in self._names:
            sample = samples.get(name)
            if sample is None or sample.quality is bad:
                continue
            read[meaning] = sample.value
            if sample.quality is not worst:
                worst = min(worst, sample.quality)
        if any(meaning not in read for meaning in NEEDED):
            return {}, Quality.BAD
        volume = read["weight"] * KILOGRAMS[self._of["weight"].unit] / BROTH
        y_o2, y_co2 = read["offgas_o2"] / 100.0, read["offgas_co2"] / 100.0
        if volume <= 0.0 or not 0.0 <= y_o2 + y_co2 < 1.0:
            return {}, Quality.BAD
        air = self._flow("air_flow", read)
        our, cer = uptake_from_gas(air, self._flow("oxygen_flow", read), y_o2, y_co2, volume)
        values = {"our": our, "cer": cer}
        if our > LEAST_OUR:
            values["rq"] = cer / our
        if all(meaning in read for meaning in FOR_KLA):
            values |= self._transfer(read, our, y_o2)
        return values, worst

    def _flow(self, meaning: str, read: Mapping[str, float]) -> float:
        """Return a gas flow in normal L/min; 0 where there is none."""
        return read[meaning] * PER_MINUTE[self._of[meaning].unit] if meaning in read else 0.0

    def _transfer(self, read: Mapping[str, float], our: float, y_o2: float) -> dict[str, float]:
        """Return the driving force of oxygen, % of air saturation, and kLa, 1/h.

        The gas in the broth is taken to have the composition of the off-gas (well mixed).
        """
        temperature = read["temperature"]
        pressure = self._calibration_bar
        if "pressure" in read:
            pressure = read["pressure"] * BAR[self._of["pressure"].unit]
        full = saturation(temperature, AIR_O2, self._calibration_bar, SCALARS)  # g/L at 100 %
        driving = 100.0 * saturation(temperature, y_o2, pressure, SCALARS) / full - read["do"]
        values = {"driving_force": driving}
        if driving > LEAST_DRIVING:
            values["kla"] = our * 32e-3 / (full * driving / 100.0)
        return values
