"""What a kind of fault is: on what it works, what its size means, and what it does.

A kind's ``begin`` spoils a part of the vessel and returns what mends it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from sim.wire import Wire

if TYPE_CHECKING:
    from sim.motion import Simulated
    from sim.vessel import Vessel

INF: Final = math.inf

SENSOR, PT100, PH, DO, CELLS, LINE, BALANCE = (
    "sensor",
    "Pt100",
    "pH probe",
    "DO probe",
    "cell probe",
    "off-gas line",
    "balance",
)
PUMP, VALVE, GAS, STIRRER = "pump", "valve", "gas flow controller", "stirrer"
DEVICE, OPCUA, VESSEL, BIOREACTOR = "device", "OPC UA device", "vessel", "bioreactor"


@dataclass(frozen=True, slots=True)
class Case:
    """A fault that begins, as its kind sees it.

    Attributes:
        vessel: whose.
        parts: names of the sensors or drives that it works on.
        wires: of the devices that it works on.
        size: as ``Kind`` says; NaN where that is none.
        seed: for what is drawn while it lasts.
        later: does something in so many plant s.
        usual: how far a sensor or drive goes, see ``sim.fault_parts``.
    """

    vessel: "Simulated"
    parts: Sequence[str]
    wires: Sequence[Wire]
    size: float
    seed: Sequence[int]
    later: Callable[[float, Callable[[], None]], None]
    usual: Callable[[str], float]

    @property
    def bioreactor(self) -> "Vessel":
        """The vessel of a fault that only a vessel with an organism can have."""
        return cast("Vessel", self.vessel)


End = Callable[[], None]
Begin = Callable[[Case], End]


@dataclass(frozen=True, slots=True)
class Size:
    """What the size of a fault is.

    Attributes:
        meaning: in words.
        unit: ``tag`` in it stands for the tag's own; then the numbers are parts of the sensor's
            usual range.
        default: NaN: as ``meaning`` says.
        low: least.
        high: greatest.
    """

    meaning: str
    unit: str
    default: float = math.nan
    low: float = -INF
    high: float = INF

    @property
    def of_range(self) -> bool:
        return self.unit.startswith("tag")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault.

    Attributes:
        word: its name behind the dot: ``stuck``.
        on: the sort of target that it works on.
        doc: what happens.
        begin: spoils the target, and returns what mends it.
        size: what its size is, if it has one.
        for_s: how long it lasts if nobody says; infinite: until it is cleared.
        alone: nothing else can be wrong with the target at the same time.
        for_ever: it cannot be ended.
    """

    word: str
    on: str
    doc: str
    begin: Begin
    size: Size | None = None
    for_s: float = INF
    alone: bool = False
    for_ever: bool = False


def of_range(meaning: str, default: float, unit: str = "tag") -> Size:
    """Return a size in parts of the sensor's usual range."""
    return Size(meaning, unit, default, -10.0, 10.0)


def percent(meaning: str, default: float, low: float = 0.0, high: float = 100.0) -> Size:
    """Return a size in %."""
    return Size(meaning, "%", default, low, high)


def each(fit: Callable[[Case, str], End]) -> Begin:
    """Return what spoils every part."""
    return lambda case: together([fit(case, part) for part in case.parts])


def together(ends: Sequence[End]) -> End:
    """Return what ends all."""

    def end() -> None:
        for one in ends:
            one()

    return end


def span(seconds: float) -> str:
    """Return a duration as people write it: ``10min``."""
    if math.isinf(seconds):
        return "until cleared"
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= size and seconds % size == 0.0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"
