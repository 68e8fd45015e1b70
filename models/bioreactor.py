"""One organism in one vessel: gas, liquid, acids and heat as one smooth system of equations."""

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

from models import heat, offgas, oxygen, ph
from models.ecoli import M_CO2, M_O2, EColi
from models.fn import SCALARS
from models.model import Functions, Variable
from models.vessels import Stirred

DENSITY: Final = 1.01  # kg/L of medium; what else is pumped: base, acid and additives
KLA_CO2: Final = 0.89  # kLa of CO2 over that of O2
ANTIFOAM_DECAY: Final = 2.0  # 1/h: its harm to kLa fades in half an hour
ANTIFOAM_HALF: Final = 0.15  # mL/L that takes half of the 60 % that antifoam can take
AMMONIA_HALF: Final = 1.0  # mmol/L that halves growth, so that it is never overdrawn
ACETIC_ACID: Final = 60.05  # g/mol
JACKET_LIMIT: Final = 80.0  # Cel at which the heater's own thermostat has cut half of it
AIR_SUPPLY_BAR: Final = 2.0
COOLING_COP: Final = 4.0


class State(NamedTuple):
    """The states by name, in order; see ``Bioreactor.states`` for units."""

    X: Any
    S: Any
    A: Any
    P: Any
    E: Any
    inducer: Any
    V: Any
    M: Any
    O: Any  # noqa: E741
    CO2: Any
    HCO3: Any
    NH3: Any
    PO4: Any
    strong: Any
    pH: Any
    T: Any
    Tj: Any
    yO2: Any
    yCO2: Any
    antifoam: Any


class Input(NamedTuple):
    """The inputs by name, in order, in the units of the plant file's tags."""

    stirrer: Any
    air: Any
    oxygen: Any
    heater: Any
    cooling: Any
    acid: Any
    base: Any
    feed: Any
    antifoam: Any
    inducer: Any


class VesselParameters(NamedTuple):
    """What ``Stirred.parameters`` hold, by name, in order."""

    broth: Any
    salting: Any
    S_feed: Any
    rho_feed: Any
    c_base: Any
    c_acid: Any
    c_inducer: Any
    K_inducer: Any
    UA: Any
    loss: Any
    heater: Any
    cooler: Any
    T_coolant: Any
    T_room: Any


class Flows(NamedTuple):
    """What moves in the vessel now; the right-hand side and the outputs share it.

    ``our``, ``cer``, ``otr``, ``ctr`` mmol/(L.h); ``kla`` 1/h; ``shaft`` W; ``o_sat`` g/L.
    """

    mu: Any
    r: Any
    our: Any
    cer: Any
    otr: Any
    ctr: Any
    kla: Any
    shaft: Any
    flooded: Any
    o_sat: Any
    induced: Any


class Bioreactor:
    """An organism in a stirred vessel, per hour, without outflow.

    Args:
        organism: whose rates fill the vessel.
        vessel: the vessel's numbers.

    The parameters are the organism's followed by the vessel's.
    """

    time_unit: Literal["h", "s"] = "h"
    states = (
        Variable("X", "g/L", 0.3, 0.0, doc="biomass, dry"),
        Variable("S", "g/L", 10.0, 0.0, doc="glucose"),
        Variable("A", "g/L", 0.0, 0.0, doc="acetate, as acetic acid"),
        Variable("P", "g/L", 0.0, 0.0, doc="product"),
        Variable("E", "1", 1.0, 0.0, 1.0, doc="expression capacity"),
        Variable("inducer", "mmol/L", 0.0, 0.0, doc="inducer"),
        Variable("V", "L", 3.0, 0.1, doc="volume"),
        Variable("M", "kg", 3.03, 0.1, doc="mass of the broth"),
        Variable("O", "g/L", 6.4e-3, 0.0, doc="dissolved oxygen"),
        Variable("CO2", "mmol/L", 0.01, 0.0, doc="dissolved CO2"),
        Variable("HCO3", "mmol/L", 0.08, 0.0, doc="bicarbonate with carbonate"),
        Variable("NH3", "mmol/L", 100.0, 0.0, doc="ammonia with ammonium"),
        Variable("PO4", "mmol/L", 50.0, 0.0, doc="phosphate, all of it"),
        Variable("strong", "mmol/L", 0.0, doc="strong ions, positive minus negative"),
        Variable("pH", "[pH]", 7.0, 2.0, 12.0, doc="pH"),
        Variable("T", "Cel", 37.0, 0.0, 100.0, doc="broth"),
        Variable("Tj", "Cel", 37.0, 0.0, 130.0, doc="jacket"),
        Variable("yO2", "1", oxygen.AIR_O2, 0.0, 1.0, doc="O2 in the gas, dry"),
        Variable("yCO2", "1", oxygen.AIR_CO2, 0.0, 1.0, doc="CO2 in the gas, dry"),
        Variable("antifoam", "mL/L", 0.0, 0.0, doc="active antifoam"),
    )
    inputs = (
        Variable("stirrer", "{r}/min", 300.0, 0.0, 1500.0, doc="stirrer speed"),
        Variable("air", "L/min", 1.0, 0.0, 10.0, doc="air, normal litres"),
        Variable("oxygen", "L/min", 0.0, 0.0, 5.0, doc="oxygen, normal litres"),
        Variable("heater", "%", 0.0, 0.0, 100.0, doc="heater of the jacket"),
        Variable("cooling", "%", 0.0, 0.0, 100.0, doc="coolant valve of the jacket"),
        Variable("acid", "mL/min", 0.0, 0.0, doc="acid pump"),
        Variable("base", "mL/min", 0.0, 0.0, doc="base pump"),
        Variable("feed", "mL/h", 0.0, 0.0, doc="feed pump"),
        Variable("antifoam", "mL/min", 0.0, 0.0, doc="antifoam pump"),
        Variable("inducer", "mL/min", 0.0, 0.0, doc="inducer pump"),
    )
    outputs = (
        Variable("DO", "%", doc="dissolved oxygen over that at calibration: air, 37 Cel"),
        Variable("OUR", "mmol/(L.h)", doc="oxygen taken up by cells"),
        Variable("CER", "mmol/(L.h)", doc="CO2 given off by cells"),
        Variable("OTR", "mmol/(L.h)", doc="oxygen that leaves the gas"),
        Variable("kLa", "1/h", doc="oxygen transfer coefficient"),
        Variable("mu", "1/h", doc="specific growth rate"),
        Variable("shaft", "W", doc="stirrer power into the broth"),
        Variable("heat", "W", doc="heat of respiration"),
        Variable("electric", "W", doc="electrical power: stirrer, compressor, heater, chiller"),
        Variable("flooded", "1", doc="gas flow over what floods the impeller"),
    )

    def __init__(self, organism: EColi, vessel: Stirred) -> None:
        self.organism = organism
        self.vessel = vessel
        self.name = f"{organism.name}_{vessel.name}"
        self.parameters = (*organism.parameters, *vessel.parameters)
        self._split = len(organism.parameters)

    def start(
        self,
        p: Sequence[float],
        volume_l: float = 3.0,
        biomass_g_per_l: float = 0.3,
        substrate_g_per_l: float = 10.0,
        ph_start: float = 7.0,
        temperature: float = 37.0,
    ) -> list[float]:
        """Return the states of a vessel just inoculated: aerated, at temperature and at pH."""
        v = VesselParameters(*p[self._split :])
        co2 = 1e3 * offgas.co2_solubility(temperature, SCALARS) * oxygen.AIR_CO2
        co2 *= self.vessel.pressure_bar
        bicarbonate = ph.bicarbonate(ph_start, co2)
        ions = ph.Ions(100.0, bicarbonate, 0.0, 50.0, 0.0)
        o = self._saturation(temperature, oxygen.AIR_O2, v.salting, SCALARS)
        named: dict[str, float] = {
            "X": biomass_g_per_l,
            "S": substrate_g_per_l,
            "V": volume_l,
            "M": volume_l * DENSITY,
            "O": o,
            "CO2": co2,
            "HCO3": bicarbonate,
            "NH3": ions.ammonia,
            "PO4": ions.phosphate,
            "strong": ph.strong_ions(ph_start, ions),
            "pH": ph_start,
            "T": temperature,
            "Tj": temperature,
        }
        return [named.get(s.name, s.default) for s in self.states]

    def _saturation(self, T: Any, y_o2: Any, salting: Any, fn: Functions) -> Any:
        return salting * oxygen.saturation(T, y_o2, self.vessel.pressure_bar, fn)

    def transfer(
        self, N: Any, gas: Any, V: Any, T: Any, antifoam: Any, broth: Any, fn: Functions
    ) -> tuple[Any, Any, Any]:
        """Return kLa in 1/h, shaft power in W and flooding, see ``oxygen.flooding``.

        Args:
            N: stirrer, 1/min.
            gas: normal L/min.
            V: L.
            T: Cel.
            antifoam: active, mL/L.
            broth: kLa over that of the correlation.
            fn: the functions for the type of the arguments.
        """
        w = self.vessel
        n = N / 60.0
        Q = oxygen.actual_flow(gas, T, w.pressure_bar)
        volume = V * 1e-3
        shaft = oxygen.stirrer_power(
            n, w.impeller_diameter_m, w.power_number, w.impellers
        ) * oxygen.gassed_share(n, Q, volume, w.impeller_diameter_m, fn)
        flooded = oxygen.flooding(n, Q, w.impeller_diameter_m, w.tank_diameter_m)
        kla = oxygen.kla(shaft / volume, Q / w.cross_section_m2, fn) * 3600.0
        lost = 0.6 * antifoam / (antifoam + ANTIFOAM_HALF)
        return kla * broth * oxygen.dispersed_share(flooded, fn) * (1.0 - lost), shaft, flooded

    def flows(self, s: State, u: Input, p: Sequence[Any], fn: Functions) -> Flows:
        """Return what cells and gas exchange now."""
        v = VesselParameters(*p[self._split :])
        organism_p = p[: self._split]
        gas = u.air + u.oxygen
        kla, shaft, flooded = self.transfer(u.stirrer, gas, s.V, s.T, s.antifoam, v.broth, fn)
        o_sat = self._saturation(s.T, s.yO2, v.salting, fn)
        co2_sat = 1e3 * offgas.co2_solubility(s.T, fn) * s.yCO2 * self.vessel.pressure_bar
        i2 = s.inducer * s.inducer
        k2 = v.K_inducer * v.K_inducer
        induced = i2 * i2 / (i2 * i2 + k2 * k2)  # a switch with a soft edge
        activity = self.organism.activity(s.T, s.pH, fn) * s.NH3 / (s.NH3 + AMMONIA_HALF)
        r = self.organism.rates(s.S, s.A, s.O, s.E * induced, organism_p, fn, activity)
        return Flows(
            mu=r.mu,
            r=r,
            our=r.qO * s.X / M_O2 * 1e3,
            cer=r.qCO2 * s.X / M_CO2 * 1e3,
            otr=kla * (o_sat - s.O) / M_O2 * 1e3,
            ctr=KLA_CO2 * kla * (s.CO2 - co2_sat),
            kla=kla,
            shaft=shaft,
            flooded=flooded,
            o_sat=o_sat,
            induced=induced,
        )

    def rhs(
        self, t: Any, x: Sequence[Any], u: Sequence[Any], p: Sequence[Any], fn: Functions
    ) -> Sequence[Any]:
        """Return ``dx/dt`` per hour."""
        s, i, v = State(*x), Input(*u), VesselParameters(*p[self._split :])
        f = self.flows(s, i, p, fn)
        w = self.vessel
        gas = i.air + i.oxygen
        feed, acid, base = i.feed / 1e3, i.acid * 0.06, i.base * 0.06  # L/h
        antifoam, inducer = i.antifoam * 0.06, i.inducer * 0.06
        others = acid + base + antifoam + inducer
        carried = heat.evaporation(gas, s.T, w.pressure_bar, fn)  # kg/h to the condenser
        evaporated = (1.0 - w.condenser_share) * carried
        dV = feed + others - evaporated
        dM = v.rho_feed * feed + DENSITY * others - evaporated
        dM = dM + (f.otr * M_O2 - f.ctr * M_CO2) * s.V * 1e-6
        D = dV / s.V  # net: water that evaporates leaves everything else behind

        hydrated = ph.HYDRATION * (s.CO2 - ph.hydrogen(s.pH, fn) / ph.K_CO2 * s.HCO3)
        dA = (f.r.qAp - f.r.qAc) * s.X - D * s.A
        dNH3 = base / s.V * v.c_base - 1e3 * f.r.qN * s.X - D * s.NH3
        dPO4 = acid / s.V * v.c_acid - D * s.PO4
        dHCO3 = hydrated - D * s.HCO3
        dstrong = -D * s.strong
        to_mmol = 1e3 / ACETIC_ACID
        ions = ph.Ions(s.NH3, s.HCO3, s.A * to_mmol, s.PO4, s.strong)
        d_ions = ph.Ions(dNH3, dHCO3, dA * to_mmol, dPO4, dstrong)

        space = fn.max(w.total_volume_l - s.V, 0.2, 0.01)  # L
        gas_mol = space * w.pressure_bar / (0.0831446 * (s.T + 273.15))
        dyO2, dyCO2 = offgas.gas_rates(
            s.yO2, s.yCO2, i.air, i.oxygen, f.otr * s.V * 1e-3, f.ctr * s.V * 1e-3, gas_mol
        )
        dT, dTj = self._heat(s, i, v, f, carried, feed + others, fn)
        return (
            (f.mu - D) * s.X,
            feed / s.V * v.S_feed - D * s.S - f.r.qS * s.X,
            dA,
            f.r.qP * s.X - D * s.P,
            -self.organism.capacity_loss(p[: self._split]) * s.E * f.induced,
            inducer / s.V * v.c_inducer - D * s.inducer,
            dV,
            dM,
            (f.otr - f.our) * M_O2 * 1e-3 - D * s.O,
            f.cer - f.ctr - hydrated - D * s.CO2,
            dHCO3,
            dNH3,
            dPO4,
            dstrong,
            ph.ph_rate(s.pH, ions, d_ions, fn),
            dT,
            dTj,
            dyO2,
            dyCO2,
            antifoam * 1e3 / s.V - (ANTIFOAM_DECAY + D) * s.antifoam,
        )

    def _heat(
        self,
        s: State,
        i: Input,
        v: VesselParameters,
        f: Flows,
        carried: Any,
        pumped: Any,
        fn: Functions,
    ) -> tuple[Any, Any]:
        """Return the rates of broth and jacket temperature, Cel/h."""
        w = self.vessel
        through_wall = v.UA * (s.Tj - s.T) * 3.6  # kJ/h
        into_broth = (
            heat.RESPIRATION * f.our * s.V * 1e-3
            + f.shaft * 3.6
            + through_wall
            - heat.EVAPORATION * carried
            - heat.WATER_HEAT * pumped * (s.T - v.T_room)
            - v.loss * 3.6 * (s.T - v.T_room)
        )
        cut_out = 1.0 / (1.0 + fn.exp(s.Tj - JACKET_LIMIT))
        into_jacket = 3.6 * (
            v.heater * i.heater / 100.0 * cut_out
            - v.cooler * i.cooling / 100.0 * (s.Tj - v.T_coolant)
        )
        return (
            into_broth / (heat.WATER_HEAT * s.M + w.steel_kj_per_k),
            (into_jacket - through_wall) / w.jacket_kj_per_k,
        )

    def output(
        self, t: Any, x: Sequence[Any], u: Sequence[Any], p: Sequence[Any], fn: Functions
    ) -> Sequence[Any]:
        """Return what instruments and reports are made of."""
        s, i, v = State(*x), Input(*u), VesselParameters(*p[self._split :])
        f = self.flows(s, i, p, fn)
        # a probe feels the pressure of oxygen, and was told that air at 37 Cel is 100 %
        felt = s.O / (M_O2 * v.salting * oxygen.solubility(s.T, fn))
        wet = self.vessel.pressure_bar - oxygen.vapour_pressure(37.0, SCALARS)
        chiller = v.cooler * i.cooling / 100.0 * (s.Tj - v.T_coolant) / COOLING_COP
        electric = (
            f.shaft / self.vessel.motor_efficiency
            + heat.compression(i.air, AIR_SUPPLY_BAR)
            + v.heater * i.heater / 100.0 / (1.0 + fn.exp(s.Tj - JACKET_LIMIT))
            + chiller
        )
        respiration = heat.RESPIRATION * f.our * s.V / 3600.0
        return (
            100.0 * felt / (oxygen.AIR_O2 * wet),
            f.our,
            f.cer,
            f.otr,
            f.kla,
            f.mu,
            f.shaft,
            respiration,
            electric,
            f.flooded,
        )
