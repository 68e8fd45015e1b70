"""The vessels that the program knows, as numbers: what a maker's data sheet would say."""

import math
from dataclasses import dataclass
from typing import Final

from models.model import Variable

OURS: Final = "chosen for fermloop (illustrative)"


@dataclass(frozen=True, slots=True)
class Stirred:
    """A stirred tank with a jacket, an exhaust condenser and peristaltic pumps.

    Attributes:
        name: as in the plant file.
        total_volume_l: broth and head space, L.
        working_volume_l: most broth it may hold, L.
        tank_diameter_m: inside.
        impeller_diameter_m: of each impeller.
        impellers: how many, on one shaft.
        power_number: of one impeller, ungassed and turbulent.
        pressure_bar: absolute, in the head space.
        motor_efficiency: shaft power over electrical power.
        steel_kj_per_k: heat capacity of what is as warm as the broth.
        jacket_kj_per_k: heat capacity of the jacket and its liquid.
        condenser_share: of evaporated water that comes back.
        parameters: what differs between two vessels of the same make, or from batch to batch.
    """

    name: str
    total_volume_l: float
    working_volume_l: float
    tank_diameter_m: float
    impeller_diameter_m: float
    impellers: int
    power_number: float
    pressure_bar: float
    motor_efficiency: float
    steel_kj_per_k: float
    jacket_kj_per_k: float
    condenser_share: float
    parameters: tuple[Variable, ...]

    @property
    def cross_section_m2(self) -> float:
        return math.pi / 4.0 * self.tank_diameter_m**2


BENCH_5L: Final = Stirred(
    name="5l",
    total_volume_l=6.6,
    working_volume_l=5.0,
    tank_diameter_m=0.154,
    impeller_diameter_m=0.059,
    impellers=2,
    power_number=5.0,
    pressure_bar=1.05,
    motor_efficiency=0.8,
    steel_kj_per_k=1.0,
    jacket_kj_per_k=3.0,
    condenser_share=0.9,
    parameters=(
        Variable(
            "broth",
            "1",
            0.7,
            0.1,
            2.0,
            "kLa of broth over van 't Riet's non-coalescing",
            "PROCESS 2: 0.5-0.8 by default",
        ),
        Variable(
            "salting",
            "1",
            1.0,
            0.5,
            1.0,
            "O2 solubility of medium over water; the broth factor was fitted to water, so 1",
            OURS,
        ),
        Variable("S_feed", "g/L", 500.0, 0.0, doc="glucose in the feed", source="PROCESS 1a"),
        Variable(
            "rho_feed",
            "kg/L",
            1.19,
            0.5,
            doc="density of the feed",
            source="sugar tables, 42 % (recalled)",
        ),
        Variable(
            "c_base",
            "mmol/L",
            4000.0,
            0.0,
            doc="ammonia in the base: 25 % NH4OH diluted to 30 %, for pumps of 5 mL/min",
            source=OURS,
        ),
        Variable("c_acid", "mmol/L", 1000.0, 0.0, doc="H3PO4 in the acid", source=OURS),
        Variable("c_inducer", "mmol/L", 100.0, 0.0, doc="inducer (IPTG) in its stock", source=OURS),
        Variable("K_inducer", "mmol/L", 0.1, 1e-6, doc="inducer that induces half", source=OURS),
        Variable("UA", "W/K", 40.0, 0.0, doc="broth to jacket", source="PROCESS 2: U 300-700"),
        Variable("loss", "W/K", 0.6, 0.0, doc="broth to the room", source=OURS),
        Variable("heater", "W", 300.0, 0.0, doc="heater of the jacket at 100 %", source=OURS),
        Variable("cooler", "W/K", 12.0, 0.0, doc="jacket to coolant at 100 %", source=OURS),
        Variable("T_coolant", "Cel", 10.0, doc="coolant", source="PROCESS 2: 5-15"),
        Variable("T_room", "Cel", 22.0, doc="room and everything pumped", source=OURS),
    ),
)

VESSELS: Final = {BENCH_5L.name: BENCH_5L}
