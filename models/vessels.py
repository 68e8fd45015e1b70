"""The vessels that the program knows, as numbers: what a maker's data sheet would say."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from models.foam import FOAMING
from models.model import Variable
from models.oxygen import AIR_O2

OURS: Final = "chosen for fermloop (illustrative)"
DENSITY: Final = 1.01  # kg/L of medium; what else is pumped: base, acid and additives

# what one of an actuator's unit is: normal L/min of gas, L/h of liquid
GAS_L_PER_MIN: Final = {"L/min": 1.0, "m3/h": 1000.0 / 60.0}
LIQUID_L_PER_H: Final = {"mL/h": 1e-3, "mL/min": 0.06, "L/h": 1.0}
AIR: Final = Variable(
    "air_o2", "1", AIR_O2, 0.0, 1.0, doc="O2 in the air: less if it is moist", source="dry air"
)


@dataclass(frozen=True, slots=True)
class Actuator:
    """What an actuator can really do, in its own unit.

    Attributes:
        unit: of the input and of the tag.
        high: greatest value.
        low: least value: always, or while it runs where it has a ``least``.
        safe: where it goes without a master.
        lag_s: time constant.
        ramp: greatest change per s; 0 for no limit.
        step: resolution.
        least: turn-down; wanted less, it stands still.
        dead: dead band: a smaller change of what is wanted does not move it (stiction).
        gain: one standard deviation of its calibration, as a share.
        wear: likewise of the share of its gain that it loses a day: tubing.
    """

    unit: str
    high: float
    low: float = 0.0
    safe: float = 0.0
    lag_s: float = 0.0
    ramp: float = 0.0
    step: float = 0.0
    least: float = 0.0
    dead: float = 0.0
    gain: float = 0.0
    wear: float = 0.0


@dataclass(frozen=True, slots=True)
class Stirred:
    """A stirred tank with a jacket or coils, an exhaust condenser and pumps.

    Attributes:
        name: as in the plant file.
        total_volume_l: broth and head space, L.
        working_volume_l: most broth it may hold, L.
        start_volume_l: broth at inoculation of a fed-batch, L.
        tank_diameter_m: inside.
        impeller_diameter_m: of each impeller.
        impellers: how many, on one shaft.
        power_number: of one impeller, ungassed and turbulent.
        pressure_bar: absolute, in the head space; where it is controlled, the usual setpoint.
        supply_bar: absolute, of the compressor.
        motor_efficiency: shaft power over electrical power.
        steel_kj_per_k: heat capacity of what is as warm as the broth.
        jacket_kj_per_k: heat capacity of jacket and coils and their liquid.
        condenser_share: of evaporated water that comes back.
        actuators: by name; ``feed`` and ``dose`` are the pumps that an organism's feeds use. One
            without ``pressure`` stands at ``pressure_bar``, one without ``harvest`` keeps all.
        parameters: what differs between two vessels of the same make, or from batch to batch.
        tall: whether the weight of the broth counts for the gas: half of it is its mean.
        medium: defaults of an organism's medium that are others at this scale.
    """

    name: str
    total_volume_l: float
    working_volume_l: float
    start_volume_l: float
    tank_diameter_m: float
    impeller_diameter_m: float
    impellers: int
    power_number: float
    pressure_bar: float
    supply_bar: float
    motor_efficiency: float
    steel_kj_per_k: float
    jacket_kj_per_k: float
    condenser_share: float
    actuators: Mapping[str, Actuator]
    parameters: tuple[Variable, ...]
    tall: bool = False
    medium: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def cross_section_m2(self) -> float:
        return math.pi / 4.0 * self.tank_diameter_m**2

    def static_bar(self, V: Any) -> Any:
        """Return the mean pressure in ``V`` L of broth over that in the head space, bar."""
        if not self.tall:
            return 0.0 * V
        return 0.5 * 9.81 * DENSITY * 1e-5 / self.cross_section_m2 * V

    @property
    def calibration_bar(self) -> float:
        """Mean pressure at which a probe is told that air is 100 %: before inoculation."""
        return self.pressure_bar + float(self.static_bar(self.start_volume_l))


def thermal(
    UA: float, loss: float, heater: float, cooler: float, coolant: float, source: str
) -> tuple[Variable, ...]:
    """Return a vessel's parameters: how it exchanges heat."""
    return (
        Variable("UA", "W/K", UA, 0.0, doc="broth to jacket and coils", source=source),
        Variable("loss", "W/K", loss, 0.0, doc="broth to the room", source=OURS),
        Variable("heater", "W", heater, 0.0, doc="heater of the jacket at 100 %", source=OURS),
        Variable("cooler", "W/K", cooler, 0.0, doc="jacket to coolant at 100 %", source=OURS),
        Variable("T_coolant", "Cel", coolant, doc="coolant", source="PROCESS 2: 5-15"),
        Variable("T_room", "Cel", 22.0, doc="room and everything pumped", source=OURS),
    )


def _pump(unit: str, high: float, turndown: float = 100.0, **more: float) -> Actuator:
    """Return a pump with a calibration 3 % wrong, and a step of a tenth of its least flow."""
    least = high / turndown
    return Actuator(unit, high, lag_s=1.0, step=0.1 * least, least=least, gain=0.03, **more)


_DOSE_5L: Final = Actuator("mL/min", 5.0, lag_s=1.0, step=0.005, least=0.005, gain=0.03)
BENCH_5L: Final = Stirred(
    name="5l",
    total_volume_l=6.6,
    working_volume_l=5.0,
    start_volume_l=3.0,
    tank_diameter_m=0.154,
    impeller_diameter_m=0.059,
    impellers=2,
    power_number=5.0,
    pressure_bar=1.05,
    supply_bar=2.0,
    motor_efficiency=0.8,
    steel_kj_per_k=1.0,
    jacket_kj_per_k=3.0,
    condenser_share=0.9,
    actuators={
        "stirrer": Actuator("{r}/min", 1000.0, safe=300.0, ramp=50.0, step=1.0),
        "air": Actuator("L/min", 10.0, safe=1.0, lag_s=1.0, gain=0.007),
        "oxygen": Actuator("L/min", 5.0, lag_s=1.0, gain=0.007),
        "heater": Actuator("%", 100.0, lag_s=3.0),
        "cooling": Actuator("%", 100.0, lag_s=5.0),
        "acid": _DOSE_5L,
        "base": _DOSE_5L,
        "antifoam": _DOSE_5L,
        "feed": Actuator("mL/h", 200.0, lag_s=1.0, step=0.05, least=0.2, gain=0.03, wear=0.02),
        "dose": _DOSE_5L,
    },
    parameters=(*thermal(40.0, 0.6, 300.0, 12.0, 10.0, "PROCESS 2: U 300-700"), FOAMING, AIR),
)

PILOT_300L: Final = Stirred(
    name="300l",
    total_volume_l=300.0,
    working_volume_l=240.0,
    start_volume_l=150.0,
    tank_diameter_m=0.52,
    impeller_diameter_m=0.20,
    impellers=3,
    power_number=5.0,
    pressure_bar=1.8,
    supply_bar=3.0,
    motor_efficiency=0.85,
    steel_kj_per_k=120.0,
    jacket_kj_per_k=250.0,
    condenser_share=0.9,
    actuators={
        "stirrer": Actuator(
            "{r}/min", 500.0, low=30.0, safe=100.0, lag_s=0.5, ramp=5.0, step=1.0, least=15.0
        ),
        "air": Actuator(
            "L/min", 500.0, 20.0, safe=50.0, lag_s=2.0, step=0.5, least=10.0, dead=1.0, gain=0.01
        ),
        "oxygen": Actuator("L/min", 200.0, lag_s=2.0, step=0.2, least=2.0, dead=0.5, gain=0.01),
        "heater": Actuator("%", 100.0, lag_s=10.0, step=0.1, dead=0.3),
        "cooling": Actuator("%", 100.0, lag_s=8.0, step=0.1, dead=0.3),
        "acid": _pump("mL/min", 200.0),
        "base": _pump("mL/min", 200.0),
        "antifoam": _pump("mL/min", 50.0),
        "pressure": Actuator(
            "bar", 2.5, low=1.1, safe=1.5, lag_s=10.0, ramp=0.02, step=0.005, dead=0.005
        ),
        "harvest": _pump("L/h", 100.0),
        "feed": _pump("L/h", 20.0, wear=0.02),
        "dose": _pump("mL/min", 200.0),
    },
    parameters=(
        *thermal(810.0, 4.0, 20e3, 1000.0, 8.0, "PROCESS 2: 54 kW/m3 at 15 K"),
        FOAMING,
        AIR,
    ),
    tall=True,
    medium={"c_base": 13300.0},  # ammonia water of 25 %
)

PRODUCTION_100M3: Final = Stirred(
    name="100m3",
    total_volume_l=100e3,
    working_volume_l=80e3,
    start_volume_l=50e3,
    tank_diameter_m=3.3,
    impeller_diameter_m=1.16,
    impellers=4,
    power_number=5.0,
    pressure_bar=2.0,
    supply_bar=3.5,
    motor_efficiency=0.92,
    steel_kj_per_k=12.5e3,
    jacket_kj_per_k=17e3,
    condenser_share=0.0,
    actuators={
        "stirrer": Actuator(
            "{r}/min", 110.0, low=40.0, safe=40.0, lag_s=2.0, ramp=1.0, step=0.1, least=20.0
        ),
        "air": Actuator(
            "m3/h",
            4500.0,
            900.0,
            safe=900.0,
            lag_s=10.0,
            step=10.0,
            least=450.0,
            dead=20.0,
            gain=0.015,
        ),
        "oxygen": Actuator("m3/h", 1500.0, lag_s=10.0, step=5.0, least=20.0, dead=5.0, gain=0.015),
        "heater": Actuator("%", 100.0, lag_s=15.0, step=0.5, dead=0.5),
        "cooling": Actuator("%", 100.0, lag_s=15.0, step=0.5, dead=0.5),
        "acid": _pump("L/h", 500.0),
        "base": _pump("L/h", 500.0),
        "antifoam": _pump("L/h", 50.0),
        "pressure": Actuator(
            "bar", 2.5, low=1.2, safe=1.5, lag_s=20.0, ramp=0.005, step=0.01, dead=0.01
        ),
        "harvest": Actuator("L/h", 20e3, lag_s=10.0, step=100.0, least=200.0, dead=100.0),
        "feed": Actuator("L/h", 2000.0, lag_s=8.0, step=10.0, least=20.0, dead=10.0, gain=0.02),
        "dose": _pump("L/h", 500.0),
    },
    parameters=(
        *thermal(
            *(150e3, 150.0, 1.5e6, 160e3, 5.0),
            "PROCESS 2: jacket 8.7 kW/m3 at 15 K, coils to 30 (ours)",
        ),
        FOAMING,
        AIR,
    ),
    tall=True,
    medium={"c_base": 13300.0},  # ammonia water of 25 %: dilute base would fill the tank
)

VESSELS: Final = {v.name: v for v in (BENCH_5L, PILOT_300L, PRODUCTION_100M3)}
