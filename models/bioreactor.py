"""One organism in one vessel: gas, liquid, acids and heat as one smooth system of equations."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Literal, NamedTuple

from models import foam, heat, offgas, oxygen, ph
from models.fn import SCALARS
from models.model import Functions, Variable
from models.organism import Exchange, Organism, Surroundings
from models.vessel_variables import ACTUATORS, OWN, Input, State
from models.vessels import DENSITY, GAS_L_PER_MIN, LIQUID_L_PER_H, Actuator, Stirred

M_O2: Final = 32.0  # g/mol
M_CO2: Final = 44.0  # g/mol
KLA_CO2: Final = 0.89  # kLa of CO2 over that of O2
ANTIFOAM_DECAY: Final = 2.0  # 1/h: its harm to kLa fades in half an hour
ANTIFOAM_HALF: Final = 0.15  # mL/L that takes half of the 60 % that antifoam can take
JACKET_LIMIT: Final = 80.0  # Cel at which the heater's own thermostat has cut half of it
COOLING_COP: Final = 4.0
NO_ACID: Final = 1.0  # the constant of an acid that is not there


class Flows(NamedTuple):
    """What moves in the vessel now; the right-hand side and the outputs share it.

    ``otr``, ``ctr`` mmol/(L.h); ``kla`` 1/h; ``shaft`` W; ``head`` bar absolute.
    """

    cells: Exchange
    otr: Any
    ctr: Any
    kla: Any
    shaft: Any
    flooded: Any
    head: Any


class Bioreactor:
    """An organism in a stirred vessel, per hour.

    The states are the organism's species followed by the vessel's own (``OWN``), the inputs are
    the vessel's (``ACTUATORS``) followed by the organism's feeds, and the parameters are those
    of the strain, of the medium and of the vessel, in this order. A species per litre is diluted
    by what flows in; water that evaporates leaves it behind; harvest takes broth as it is.

    A subclass that has equations of its own may add states, parameters and outputs after these:
    what is here takes those that it knows, in whatever it is given.

    Args:
        organism: what grows.
        vessel: the vessel's numbers.
    """

    time_unit: Literal["h", "s"] = "h"
    outputs = (
        Variable("DO", "%", doc="dissolved oxygen over that at calibration: air, as grown"),
        Variable("OUR", "mmol/(L.h)", doc="oxygen taken up by cells"),
        Variable("CER", "mmol/(L.h)", doc="CO2 given off by cells"),
        Variable("OTR", "mmol/(L.h)", doc="oxygen that leaves the gas"),
        Variable("kLa", "1/h", doc="oxygen transfer coefficient"),
        Variable("mu", "1/h", doc="specific growth rate"),
        Variable("shaft", "W", doc="stirrer power into the broth"),
        Variable("heat", "W", doc="heat of the cells"),
        Variable("electric", "W", doc="electrical power: stirrer, compressor, heater, chiller"),
        Variable("flooded", "1", doc="gas flow over what floods the impeller"),
        Variable("head", "bar", doc="pressure of the head space, absolute: with a wet filter's"),
        Variable("stirring", "W", doc="electrical power of the stirrer"),
        Variable("aeration", "W", doc="electrical power of the air compressor"),
        Variable("heating", "W", doc="power of the heater"),
        Variable("chilling", "W", doc="electrical power of the chiller"),
        Variable("taken", "L/h", doc="broth that is taken out, not what foam takes along"),
    )

    def __init__(self, organism: Organism, vessel: Stirred) -> None:
        self.organism = organism
        self.vessel = vessel
        self.name = f"{organism.name}_{vessel.name}"
        self.states = (*organism.species, *OWN)
        self.medium = tuple(
            replace(v, default=vessel.medium.get(v.name, v.default)) for v in organism.medium
        )
        self.parameters = (*organism.parameters, *self.medium, *vessel.parameters)
        self.actuators: dict[str, Actuator] = {
            name: vessel.actuators.get(name, Actuator("bar" if name == "pressure" else "L/h", 0.0))
            for name in ACTUATORS
        }
        self.actuators |= {f.name: vessel.actuators[f.pump] for f in organism.feeds}
        docs = ACTUATORS | {f.name: f.doc for f in organism.feeds}
        self.inputs = tuple(
            Variable(name, a.unit, rest, min(a.low, rest), max(a.high, rest), docs[name])
            for name, a in self.actuators.items()
            for rest in [self._rest(name)]
        )
        self._names = tuple(v.name for v in self.parameters)
        self._species = {v.name: k for k, v in enumerate(organism.species)}
        self._diluted = tuple(v.unit.endswith("/L") for v in organism.species)
        self._litres = tuple(LIQUID_L_PER_H[vessel.actuators[f.pump].unit] for f in organism.feeds)
        self._full = float(  # what a probe feels at calibration, mol/L per unit of solubility
            oxygen.AIR_O2
            * (vessel.calibration_bar - oxygen.vapour_pressure(organism.temperature, SCALARS))
        )

    def _rest(self, name: str) -> float:
        """Return what an input is by default: pressure and idle gas and stirrer, else nothing."""
        return self.vessel.pressure_bar if name == "pressure" else self.actuators[name].safe

    def _named(self, p: Sequence[Any]) -> Mapping[str, Any]:
        return dict(zip(self._names, p, strict=False))  # a subclass may have more

    def _state(self, x: Sequence[Any]) -> tuple[Sequence[Any], State]:
        """Return the species and the vessel's own states."""
        n = len(self._species)
        return x[:n], State(*x[n : n + len(OWN)])

    def _input(self, u: Sequence[Any]) -> Input:
        """Return the inputs in the units of the equations."""
        a, n = self.actuators, len(ACTUATORS)

        def gas(k: int, name: str) -> Any:
            return u[k] * GAS_L_PER_MIN[a[name].unit]

        def liquid(k: int, name: str) -> Any:
            return u[k] * LIQUID_L_PER_H[a[name].unit]

        return Input(
            u[0],
            gas(1, "air"),
            gas(2, "oxygen"),
            u[3],
            u[4],
            liquid(5, "acid"),
            liquid(6, "base"),
            liquid(7, "antifoam"),
            u[8],
            liquid(9, "harvest"),
            tuple(value * litres for value, litres in zip(u[n:], self._litres, strict=True)),
        )

    def start(
        self,
        p: Sequence[float],
        volume_l: float | None = None,
        biomass_g_per_l: float = 0.3,
        substrate_g_per_l: float = 10.0,
        ph_start: float | None = None,
        temperature: float | None = None,
        salts: float = 1.0,
    ) -> list[float]:
        """Return the states of a vessel just inoculated: aerated, at temperature and at pH.

        What is not given is as the vessel and the organism usually have it; ``salts`` times as much
        ammonia and phosphate as usual.
        """
        w, organism = self.vessel, self.organism
        volume = w.start_volume_l if volume_l is None else volume_l
        pH = organism.acidity if ph_start is None else ph_start
        T = organism.temperature if temperature is None else temperature
        pressure = w.pressure_bar + float(w.static_bar(volume))
        co2 = 1e3 * offgas.co2_solubility(T, SCALARS) * oxygen.AIR_CO2
        co2 *= pressure
        ammonia, phosphate = (salts * usual for usual in organism.salts)
        acid, K = self._acid_at_start()
        ions = ph.Ions(ammonia, ph.bicarbonate(pH, co2), acid, phosphate, 0.0)
        salting = self._named(p)["salting"]
        named: dict[str, float] = {
            organism.called["biomass"]: biomass_g_per_l,
            organism.called["substrate"]: substrate_g_per_l,
            "V": volume,
            "M": volume * DENSITY,
            "O": salting * oxygen.saturation(T, oxygen.AIR_O2, pressure, SCALARS),
            "CO2": co2,
            "HCO3": ions.bicarbonate,
            "NH3": ammonia,
            "PO4": phosphate,
            "strong": ph.strong_ions(pH, ions, K),
            "pH": pH,
            "T": T,
            "Tj": T,
        }
        return [named.get(s.name, s.default) for s in self.states]

    def _acid_at_start(self) -> tuple[float, float]:
        """Return the organism's own acid that a batch begins with, mmol/L, and its constant."""
        acid = self.organism.acid
        if acid is None:
            return 0.0, NO_ACID
        species = self.organism.species[self._species[acid.species]]
        return species.default * 1e3 / acid.g_per_mol, acid.K

    def transfer(
        self,
        N: Any,
        gas: Any,
        V: Any,
        T: Any,
        antifoam: Any,
        broth: Any,
        fn: Functions,
        head: Any = None,
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
            head: pressure of the head space, bar absolute, if not the usual one.
        """
        w = self.vessel
        n = N / 60.0
        pressure = (w.pressure_bar if head is None else head) + w.static_bar(V)
        Q = oxygen.actual_flow(gas, T, pressure)
        volume = V * 1e-3
        shaft = oxygen.stirrer_power(
            n, w.impeller_diameter_m, w.power_number, w.impellers
        ) * oxygen.gassed_share(n, Q, volume, w.impeller_diameter_m, fn)
        flooded = oxygen.flooding(n, Q, w.impeller_diameter_m, w.tank_diameter_m)
        law = self.organism.kla_law
        kla = oxygen.kla(shaft / volume, Q / w.cross_section_m2, fn, law) * 3600.0
        lost = 0.6 * antifoam / (antifoam + ANTIFOAM_HALF)
        return kla * broth * oxygen.dispersed_share(flooded, fn) * (1.0 - lost), shaft, flooded

    def flows(self, c: Sequence[Any], s: State, u: Input, p: Sequence[Any], fn: Functions) -> Flows:
        """Return what cells and gas exchange now."""
        v = self._named(p)
        organism = self.organism
        own = p[: len(organism.parameters) + len(organism.medium)]
        broth = v["broth"] * organism.kla_factor(c, own, fn)
        gas = u.air + u.oxygen
        head = u.pressure + foam.back_pressure(s.filter, gas, self.vessel.working_volume_l)
        kla, shaft, flooded = self.transfer(u.stirrer, gas, s.V, s.T, s.antifoam, broth, fn, head)
        pressure = head + self.vessel.static_bar(s.V)
        o_sat = v["salting"] * oxygen.saturation(s.T, s.yO2, pressure, fn)
        co2_sat = 1e3 * offgas.co2_solubility(s.T, fn) * s.yCO2 * pressure
        around = Surroundings(s.O, s.T, s.pH, s.NH3, s.CO2)
        return Flows(
            cells=organism.exchange(c, around, own, fn),
            otr=kla * (o_sat - s.O) / M_O2 * 1e3,
            ctr=KLA_CO2 * kla * (s.CO2 - co2_sat),
            kla=kla,
            shaft=shaft,
            flooded=flooded,
            head=head,
        )

    def rhs(
        self, t: Any, x: Sequence[Any], u: Sequence[Any], p: Sequence[Any], fn: Functions
    ) -> Sequence[Any]:
        """Return ``dx/dt`` per hour."""
        c, s = self._state(x)
        i, v = self._input(u), self._named(p)
        f = self.flows(c, s, i, p, fn)
        w = self.vessel
        carried = heat.evaporation(i.air + i.oxygen, s.T, f.head, fn)  # kg/h to the condenser
        evaporated = (1.0 - w.condenser_share) * carried
        pumped = i.acid + i.base + i.antifoam + sum(i.feeds)
        gained = DENSITY * (i.acid + i.base + i.antifoam) + self._weight(i, v)
        gained = gained + (f.otr * M_O2 - f.ctr * M_CO2) * s.V * 1e-6
        D = (pumped - evaporated) / s.V  # net: water leaves everything else behind

        froth = self._froth(c, s, i, v, f.head, fn)
        taken = self._taken(s, i, fn) + froth.out
        brought = self._brought(s, i, v)
        d_species = [
            rate + brought.get(name, 0.0) - D * value if diluted else rate
            for name, value, rate, diluted in zip(
                self._species, c, f.cells.species, self._diluted, strict=True
            )
        ]
        hydrated = ph.HYDRATION * (s.CO2 - ph.hydrogen(s.pH, fn) / ph.K_CO2 * s.HCO3)
        dNH3 = brought["NH3"] - f.cells.ammonia - D * s.NH3
        dPO4 = brought["PO4"] - D * s.PO4
        dHCO3 = hydrated - D * s.HCO3
        dstrong = brought.get("strong", 0.0) + f.cells.strong - D * s.strong
        dpH = self._ph_rate(c, d_species, s, ph.Ions(dNH3, dHCO3, 0.0, dPO4, dstrong), fn)

        space = fn.max(w.total_volume_l - s.V, 0.2, 0.01)  # L
        gas_mol = space * f.head / (0.0831446 * (s.T + 273.15))
        dyO2, dyCO2 = offgas.gas_rates(
            *(s.yO2, s.yCO2, i.air, i.oxygen, f.otr * s.V * 1e-3, f.ctr * s.V * 1e-3, gas_mol),
            v["air_o2"],
        )
        dT, dTj = self._heat(s, i, v, f, carried, pumped, fn)
        return (
            *d_species,
            pumped - evaporated - taken,
            gained - evaporated - taken * s.M / s.V,
            (f.otr - f.cells.our) * M_O2 * 1e-3 - D * s.O,
            f.cells.cer - f.ctr - hydrated - D * s.CO2,
            dHCO3,
            dNH3,
            dPO4,
            dstrong,
            dpH,
            dT,
            dTj,
            dyO2,
            dyCO2,
            i.antifoam * 1e3 / s.V - (ANTIFOAM_DECAY + D) * s.antifoam,
            froth.foam,
            froth.filter,
        )

    def _froth(
        self, c: Sequence[Any], s: State, i: Input, v: Mapping[str, Any], head: Any, fn: Functions
    ) -> foam.Foam:
        """Return what foam does, and what of the broth it takes along."""
        w = self.vessel
        cells = c[self._species[self.organism.called["biomass"]]]
        velocity = oxygen.actual_flow(i.air + i.oxygen, s.T, head) / w.cross_section_m2
        return foam.rates(
            s.foam, s.filter, cells, s.antifoam, velocity, v["foaming"],
            s.V, w.total_volume_l, w.cross_section_m2, fn,
        )  # fmt: skip

    def _taken(self, s: State, i: Input, fn: Functions) -> Any:
        """Return what leaves as broth, L/h: below a tenth of the vessel the line draws air."""
        w = self.vessel
        if "harvest" not in w.actuators:
            return 0.0
        left = (s.V - 0.1 * w.working_volume_l) / (0.002 * w.working_volume_l)
        return i.harvest / (1.0 + fn.exp(-left))

    def _weight(self, i: Input, v: Mapping[str, Any]) -> Any:
        """Return what the feeds weigh, kg/h."""
        return sum(
            (v[feed.density] if feed.density else DENSITY) * litres
            for feed, litres in zip(self.organism.feeds, i.feeds, strict=True)
        )

    def _brought(self, s: State, i: Input, v: Mapping[str, Any]) -> dict[str, Any]:
        """Return what flows in of each species and of ``NH3`` and ``PO4``, in its unit per h."""
        brought = {"NH3": i.base / s.V * v["c_base"], "PO4": i.acid / s.V * v["c_acid"]}
        for feed, litres in zip(self.organism.feeds, i.feeds, strict=True):
            for name, concentration in feed.brings.items():
                brought[name] = brought.get(name, 0.0) + litres / s.V * v[concentration]
        return brought

    def _ph_rate(
        self, c: Sequence[Any], d_species: Sequence[Any], s: State, rates: ph.Ions, fn: Functions
    ) -> Any:
        """Return ``d pH/dt``, 1/h; ``rates`` are of everything but the organism's own acid."""
        ions = ph.Ions(s.NH3, s.HCO3, 0.0, s.PO4, s.strong)
        acid = self.organism.acid
        if acid is None:
            return ph.ph_rate(s.pH, ions, rates, fn, NO_ACID)
        k, to_mmol = self._species[acid.species], 1e3 / acid.g_per_mol
        ions = ions._replace(acid=c[k] * to_mmol)
        return ph.ph_rate(s.pH, ions, rates._replace(acid=d_species[k] * to_mmol), fn, acid.K)

    def _heat(
        self,
        s: State,
        i: Input,
        v: Mapping[str, Any],
        f: Flows,
        carried: Any,
        pumped: Any,
        fn: Functions,
    ) -> tuple[Any, Any]:
        """Return the rates of broth and jacket temperature, Cel/h."""
        w = self.vessel
        through_wall = v["UA"] * (s.Tj - s.T) * 3.6  # kJ/h
        into_broth = (
            f.cells.heat * s.V * 1e-3
            + f.shaft * 3.6
            + through_wall
            - heat.EVAPORATION * carried
            - heat.WATER_HEAT * pumped * (s.T - v["T_room"])
            - v["loss"] * 3.6 * (s.T - v["T_room"])
        )
        into_jacket = 3.6 * (self._heater_w(s, i, v, fn) - self._cooler_w(s, i, v))
        return (
            into_broth / (heat.WATER_HEAT * s.M + w.steel_kj_per_k),
            (into_jacket - through_wall) / w.jacket_kj_per_k,
        )

    def _heater_w(self, s: State, i: Input, v: Mapping[str, Any], fn: Functions) -> Any:
        return v["heater"] * i.heater / 100.0 / (1.0 + fn.exp(s.Tj - JACKET_LIMIT))

    def _cooler_w(self, s: State, i: Input, v: Mapping[str, Any]) -> Any:
        return v["cooler"] * i.cooling / 100.0 * (s.Tj - v["T_coolant"])

    def output(
        self, t: Any, x: Sequence[Any], u: Sequence[Any], p: Sequence[Any], fn: Functions
    ) -> Sequence[Any]:
        """Return what instruments and reports are made of."""
        c, s = self._state(x)
        i, v = self._input(u), self._named(p)
        f = self.flows(c, s, i, p, fn)
        # a probe feels the pressure of oxygen, and was told that air is 100 %
        felt = s.O / (M_O2 * v["salting"] * oxygen.solubility(s.T, fn))
        stirring = f.shaft / self.vessel.motor_efficiency
        aeration = heat.compression(i.air, self.vessel.supply_bar)
        heating = self._heater_w(s, i, v, fn)
        chilling = self._cooler_w(s, i, v) / COOLING_COP
        return (
            100.0 * felt / self._full,
            f.cells.our,
            f.cells.cer,
            f.otr,
            f.kla,
            f.cells.mu,
            f.shaft,
            f.cells.heat * s.V / 3600.0,
            stirring + aeration + heating + chilling,
            f.flooded,
            f.head,
            stirring,
            aeration,
            heating,
            chilling,
            self._taken(s, i, fn),
        )
