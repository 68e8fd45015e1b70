"""What of the readings an estimator may compute with, and its buffers."""

from array import array
from collections.abc import Mapping, Sequence

from drivers.point import Quality, Sample

PLAUSIBLE = {  # of a reading, in its unit; outside it is no reading
    "temperature": (5.0, 60.0),
    "ph": (3.0, 11.0),
    "do": (-5.0, 300.0),
    "agitation": (0.0, 5000.0),
    "offgas_o2": (0.0, 100.0),
    "offgas_co2": (-1.0, 100.0),
    "air_flow": (-0.5, 1e3),
    "oxygen_flow": (-0.5, 1e3),
    "weight": (-1.0, 1e4),
    "feed_weight": (-1.0, 1e4),
}
FLOW_MAX = 1e5  # mL/h


def good(name: str, readings: Mapping[str, Sample]) -> float | None:
    """Return the reading ``name`` if it is there, not BAD and can be real, else ``None``."""
    sample = readings.get(name)
    if sample is None or sample.quality is Quality.BAD:
        return None
    low, high = PLAUSIBLE[name]
    return sample.value if low <= sample.value <= high else None  # NaN is in no range


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
