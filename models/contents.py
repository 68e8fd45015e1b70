"""What a vessel with an organism holds: its numbers by name, and how a batch begins."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Literal

from models import offgas, oxygen, ph
from models.fn import SCALARS
from models.model import Variable
from models.organism import Organism
from models.vessel_variables import ACTUATORS, OWN, Input, State
from models.vessels import DENSITY, GAS_L_PER_MIN, LIQUID_L_PER_H, Actuator, Stirred

NO_ACID: Final = 1.0  # the constant of an acid that is not there


class Contents:
    """The states, inputs, parameters and outputs of an organism in a stirred vessel.

    The states are the organism's species followed by the vessel's own (``OWN``), the inputs are
    the vessel's (``ACTUATORS``) followed by the organism's feeds, and the parameters are those
    of the strain, of the medium and of the vessel, in this order.

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
