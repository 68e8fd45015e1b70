"""What of a simulated vessel can fail: its sensors and drives, the sort of each, its range.

Names tell the sort of what every vessel has; ``sim.bare`` tells its own from their units.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Protocol

from sim.fault_kinds import (
    BALANCE,
    BIOREACTOR,
    CELLS,
    DO,
    GAS,
    LINE,
    PH,
    PT100,
    PUMP,
    SENSOR,
    STIRRER,
    VALVE,
    VESSEL,
)

if TYPE_CHECKING:
    from sim.vessel import Vessel

SORTS: Final = {  # of targets by name; any other sensor is a sensor, any other drive a pump
    "temperature": PT100,
    "jacket_temperature": PT100,
    "ph": PH,
    "do": DO,
    "coolant_temperature": PT100,
    "weight": BALANCE,
    "capacitance": CELLS,
    "turbidity": CELLS,
    "stirrer": STIRRER,
    "air": GAS,
    "oxygen": GAS,
    "heater": VALVE,
    "cooling": VALVE,
    "pressure": VALVE,
}
USUAL: Final = {  # range of a sensor's reading in usual work, in the tag's unit
    "temperature": 10.0,
    "jacket_temperature": 20.0,
    "ph": 1.0,
    "do": 100.0,
    "offgas_o2": 5.0,
    "offgas_co2": 5.0,
    "capacitance": 10.0,
    "turbidity": 10.0,
    "glucose": 5.0,
    "ethanol": 5.0,
    "head_pressure": 0.5,
    "foam": 100.0,
    "coolant_temperature": 10.0,
}
OF_DRIVE: Final = {"agitation": "stirrer"}
OFFGAS: Final = ("offgas_o2", "offgas_co2")  # one line, target ``offgas``


class Parts(Protocol):
    """What of one simulated plant can fail."""

    def sorts(self) -> Mapping[str, tuple[str, ...]]:
        """Return the sorts of each sensor and drive, by what is after a tag's dot, and its own."""
        ...

    def usual(self, name: str) -> float:
        """Return by how much a sensor differs in usual work or a drive can, in the tag's unit."""
        ...


class VesselParts:
    """What of a vessel with an organism can fail."""

    def __init__(self, vessel: "Vessel") -> None:
        self._vessel = vessel

    def sorts(self) -> Mapping[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for tag in self._vessel.panel.instruments:
            name = tag.partition(".")[2]
            sort = BALANCE if name.endswith("_weight") else SORTS.get(name, SENSOR)
            found[name] = (SENSOR, sort)
        if set(OFFGAS) <= set(found):
            found["offgas"] = (LINE,)
        for name in self._vessel.drives:
            found[name] = (SORTS.get(name, PUMP),)
        return {**found, VESSEL: (VESSEL, BIOREACTOR)}

    def usual(self, name: str) -> float:
        if name in USUAL:
            return USUAL[name]
        model = self._vessel.model
        drive = OF_DRIVE.get(name, name.removesuffix("_flow"))
        if drive in model.actuators:
            return model.actuators[drive].high
        if name.endswith("weight"):
            return model.vessel.working_volume_l
        return max(1.0, abs(self._vessel.read(f"{self._vessel.prefix}.{name}")))
