"""What the gases say: oxygen taken up, CO2 given off, and how well oxygen is carried over.

Calculated in every scan from what is measured, as tags like any other: they are stored, shown, and
may be what a loop, a recipe or an alarm looks at. Nothing here is filtered or believed twice: a
calculated tag is as good as the worst reading that it is made of.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final

from drivers.point import BAD, GOOD, Quality, Sample, Tag, quick
from models.fn import SCALARS
from models.offgas import uptake_from_gas
from models.oxygen import AIR_O2, dissolved, solubility, vapour_pressure

PER_MINUTE: Final = {"L/min": 1.0, "m3/h": 1000.0 / 60.0}  # normal L/min of one of a unit
KILOGRAMS: Final = {"kg": 1.0, "t": 1000.0}
BAR: Final = {"bar": 1.0, "mbar": 1e-3, "kPa": 1e-2, "MPa": 10.0}
ATMOSPHERE: Final = 1.01325  # bar
BROTH: Final = 1.02  # kg/L, medium (ours): 2 % of OUR
LEAST_OUR: Final = 1.0  # mmol/(L.h); with less a quotient of two small differences says nothing
LEAST_DRIVING: Final = 1.0  # % of air saturation
NEEDED: Final = ("offgas_o2", "offgas_co2", "air_flow", "weight")
FOR_KLA: Final = ("do", "temperature")
READ: Final = (*NEEDED, "oxygen_flow", *FOR_KLA, "pressure")  # the last, and oxygen, may miss
MADE: Final = {  # key: unit, range
    "our": ("mmol/(L.h)", -1e3, 1e4),
    "cer": ("mmol/(L.h)", -1e3, 1e4),
    "rq": ("1", -10.0, 100.0),
    "driving_force": ("%", -1e3, 1e4),
    "kla": ("1/h", 0.0, 1e5),
}
WITH_KLA: Final = ("driving_force", "kla")
_UNKNOWN: Final = (math.nan,) * len(MADE)


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
        found = {m: tags[measured[m]] for m in READ if measured.get(m) in tags}
        scales = {"air_flow": PER_MINUTE, "oxygen_flow": PER_MINUTE, "pressure": BAR}
        scales["weight"] = KILOGRAMS
        self._readings = [  # where it goes in a list like ``_without``; its tag; to our unit
            (READ.index(m), tag.name, scales[m][tag.unit] if m in scales else 1.0)
            for m, tag in found.items()
        ]
        # what stands for a reading that is not there
        self._without = [math.nan] * len(READ)
        self._without[READ.index("oxygen_flow")] = 0.0
        self._without[READ.index("pressure")] = calibration_bar
        self._with_kla = all(m in found for m in FOR_KLA)
        self.tags: dict[str, Tag] = {}
        if all(m in found for m in NEEDED):
            made = {
                key: Tag(f"{reactor}.{key}", *spec)
                for key, spec in MADE.items()
                if self._with_kla or key not in WITH_KLA
            }
            self.tags = {key: tag for key, tag in made.items() if tag.name not in tags}
        keys = list(MADE)
        self._made = [(keys.index(k), t.name, t, t.low, t.high) for k, t in self.tags.items()]

    def step(self, now: float, samples: Mapping[str, Sample]) -> dict[str, Sample]:
        """Return the calculated samples of this scan by tag name; ``now`` in s."""
        found: dict[str, Sample] = {}
        if not self._made:
            return found
        values, quality = self._balance(samples)
        for k, name, tag, low, high in self._made:
            value = values[k]
            if low <= value <= high:  # NaN is in no range
                found[name] = quick(Sample, (tag, now, value, quality))
            else:
                found[name] = quick(Sample, (tag, now, math.nan, BAD))
        return found

    def _balance(self, samples: Mapping[str, Sample]) -> tuple[Sequence[float], Quality]:
        """Return the value of each of ``MADE``, NaN where it cannot be, and their quality."""
        read, worst = self._without.copy(), GOOD
        for k, name, scale in self._readings:
            sample = samples.get(name)
            if sample is None:
                continue
            quality = sample.quality
            if quality is BAD:
                continue
            read[k] = sample.value * scale
            if quality is not GOOD:
                worst = quality
        o2_percent, co2_percent, air, kg, oxygen, do, temperature, pressure = read
        y_o2, y_co2, volume = o2_percent / 100.0, co2_percent / 100.0, kg / BROTH
        if not (air == air and volume > 0.0 and 0.0 <= y_o2 + y_co2 < 1.0):
            return _UNKNOWN, BAD
        our, cer = uptake_from_gas(air, oxygen, y_o2, y_co2, volume)
        rq = cer / our if our > LEAST_OUR else math.nan
        if not self._with_kla:
            return (our, cer, rq), worst
        driving, kla = self._transfer(our, y_o2, do, temperature, pressure)
        return (our, cer, rq, driving, kla), worst

    def _transfer(
        self, our: float, y_o2: float, do: float, temperature: float, pressure: float
    ) -> tuple[float, float]:
        """Return the driving force of oxygen, % of air saturation, and kLa, 1/h.

        The gas in the broth is taken to have the composition of the off-gas (well mixed).
        """
        henry = 32.0 * solubility(temperature, SCALARS)
        steam = vapour_pressure(temperature, SCALARS)
        full = dissolved(henry, steam, AIR_O2, self._calibration_bar)  # g/L at 100 %
        driving = 100.0 * dissolved(henry, steam, y_o2, pressure) / full - do
        kla = our * 32e-3 / (full * driving / 100.0) if driving > LEAST_DRIVING else math.nan
        return driving, kla
