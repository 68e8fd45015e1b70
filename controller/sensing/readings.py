"""What of the readings an estimator may compute with, and its buffers."""

from array import array
from collections.abc import Mapping, Sequence
from typing import Final

from drivers.point import BAD, Sample

PLAUSIBLE: Final = {  # of a reading, in its unit; outside it is no reading
    "temperature": (5.0, 60.0),
    "ph": (3.0, 11.0),
    "do": (-5.0, 300.0),
    "agitation": (0.0, 5000.0),
    "offgas_o2": (0.0, 100.0),
    "offgas_co2": (-1.0, 100.0),
    "air_flow": (-1e3, 1e6),  # L/min
    "oxygen_flow": (-1e3, 1e6),
    "weight": (-500.0, 1e6),  # kg
    "feed_weight": (-500.0, 1e6),
    "pressure": (0.5, 10.0),  # bar
    "capacitance": (-5.0, 500.0),  # g/L
    "turbidity": (-5.0, 500.0),
    "ethanol": (-5.0, 200.0),
}
# how many of the first unit of a meaning (see consistency.MEANINGS) one of another is
PER: Final = {"m3/h": 1000.0 / 60.0, "t": 1000.0, "mbar": 1e-3, "kPa": 1e-2}
FLOW_MAX: Final = 1e9  # mL/h


def good(name: str, readings: Mapping[str, Sample]) -> float | None:
    """Return the reading ``name`` if it is there, not BAD and can be real, else ``None``."""
    sample = readings.get(name)
    if sample is None or sample.quality is BAD:
        return None
    low, high = PLAUSIBLE[name]
    value = sample.value * PER.get(sample.tag.unit, 1.0)
    return value if low <= value <= high else None  # NaN is in no range


def flow(value: float) -> float:
    """Return a pump's flow in mL/h, or 0 for what no pump can do."""
    return value if 0.0 < value < FLOW_MAX else 0.0


def put(buffer: "array[float]", values: Sequence[float]) -> None:
    """Write ``values`` into ``buffer`` from its beginning."""
    buffer[: len(values)] = array("d", values)


def fill(buffer: "array[float]", value: float) -> None:
    """Write ``value`` everywhere into ``buffer``."""
    for i in range(len(buffer)):
        buffer[i] = value
