"""One organism in one vessel: gas, liquid, acids and heat as one smooth system of equations."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from models import foam, heat, offgas, oxygen, ph
from models.contents import NO_ACID, Contents
from models.model import Functions
from models.organism import Exchange, Surroundings
from models.vessel_variables import Input, State
from models.vessels import DENSITY

M_O2: Final = 32.0  # g/mol
M_CO2: Final = 44.0  # g/mol
KLA_CO2: Final = 0.89  # kLa of CO2 over that of O2
ANTIFOAM_DECAY: Final = 2.0  # 1/h: its harm to kLa fades in half an hour
ANTIFOAM_HALF: Final = 0.15  # mL/L that takes half of the 60 % that antifoam can take
JACKET_LIMIT: Final = 80.0  # Cel at which the heater's own thermostat has cut half of it
COOLING_COP: Final = 4.0


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


class Bioreactor(Contents):
    """An organism in a stirred vessel, per hour.

    A species per litre is diluted by what flows in; water that evaporates leaves it behind; harvest
    takes broth as it is. A subclass that has equations of its own may add states, parameters and
    outputs after these: what is here takes those that it knows, in whatever it is given.
    """

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
