"""An organism in a stirred vessel as an optimiser sees it: slow states, and what holds them.

The equations of ``models.culture`` with what the vessel adds to a plan: how much oxygen can be
transferred, how much heat carried away, what it all costs in power. Oxygen, gas, acids and heat
are at rest at the pace of a plan; the loops hold them.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from models import heat, offgas, oxygen
from models.bioreactor import COOLING_COP, M_O2, Bioreactor
from models.culture import Culture
from models.fn import SCALARS
from models.model import Functions, Variable
from models.organism import Organism, Surroundings
from models.vessels import Stirred


class Inputs(NamedTuple):
    """What a plan may set, in the units of ``ControlModel.inputs``; the feeds come before."""

    harvest: Any
    do: Any
    temperature: Any
    pressure: Any
    stirrer: Any
    air: Any
    oxygen: Any


class ControlModel:
    """The control model of any organism in any stirred vessel.

    ============ ============ ========================================================
    input        unit         what
    ============ ============ ========================================================
    (feeds)      L/h          one for each of the organism's pumps
    harvest      L/h          broth that is taken out
    do           %            dissolved oxygen that is held, over that at calibration
    temperature  Cel          of the broth
    pressure     bar          of the head space, absolute
    stirrer      {r}/min      with what oxygen is held
    air          L/min        normal litres, likewise
    oxygen       L/min        normal litres, pure, likewise
    ============ ============ ========================================================

    Base follows the ammonia that is eaten, ``alkali`` of it. The last state is the product that
    was drawn off, so that a plan with discharges counts all of it.

    Args:
        organism: whose species and rates.
        vessel: the vessel's numbers.
        calibration_bar: at which the probe was told that air is 100 %; the vessel's own if none.
    """

    time_unit: Literal["h", "s"] = "h"
    outputs = (
        Variable("OUR", "mmol/(L.h)", doc="oxygen uptake"),
        Variable("OTR", "mmol/(L.h)", doc="most that can be transferred with these inputs"),
        Variable("flooded", "1", doc="gas flow over what floods the impeller"),
        Variable("heat", "W", doc="heat of cells and stirrer"),
        Variable("cooling", "W", doc="most that can be carried away"),
        Variable("electric", "W", doc="electrical power: stirrer, compressor, chiller"),
        Variable("mu", "1/h", doc="specific growth rate"),
    )

    def __init__(
        self, organism: Organism, vessel: Stirred, calibration_bar: float | None = None
    ) -> None:
        self.organism, self.vessel = organism, vessel
        self.name = f"{organism.name}_{vessel.name}_control"
        self._culture = Culture(organism)
        self._plant = Bioreactor(organism, vessel)
        self.states = (
            *self._culture.states[:-1],
            Variable("V", "L", vessel.start_volume_l, 0.1, doc="volume"),
            Variable("drawn", "g", 0.0, 0.0, doc="product drawn off so far"),
        )
        top = vessel.actuators
        self.inputs = (
            *(Variable(f.name, "L/h", 0.0, 0.0, doc=f.doc) for f in organism.feeds),
            Variable("harvest", "L/h", 0.0, 0.0, doc="broth that is taken out"),
            Variable("do", "%", 30.0, 0.0, 200.0, doc="dissolved oxygen that is held"),
            Variable("temperature", "Cel", organism.temperature, 0.0, 60.0, doc="broth"),
            Variable("pressure", "bar", vessel.pressure_bar, 1.0, 5.0, doc="head space, absolute"),
            Variable("stirrer", "{r}/min", top["stirrer"].high, 1.0, top["stirrer"].high),
            Variable("air", "L/min", 1.0, 1e-3, doc="air, normal volume"),
            Variable("oxygen", "L/min", 0.0, 0.0, doc="pure oxygen beside it, normal volume"),
        )
        own = {v.name: v for v in vessel.parameters}
        self.parameters = (
            *organism.parameters,
            *self._plant.medium,
            Variable("alkali", "1", 1.0, 0.0, doc="ammonia dosed as base over ammonia eaten"),
            *(own[name] for name in ("UA", "cooler", "T_coolant")),
        )
        self._names = tuple(v.name for v in self.parameters)
        bar = calibration_bar or vessel.pressure_bar
        bar += float(vessel.static_bar(vessel.start_volume_l))
        self._full_bar = float(
            oxygen.AIR_O2 * (bar - oxygen.vapour_pressure(organism.temperature, SCALARS))
        )

    def rhs(
        self, t: Any, x: Sequence[Any], u: Sequence[Any], p: Sequence[Any], fn: Functions
    ) -> Sequence[Any]:
        """Return ``dx/dt`` per hour."""
        *broth, drawn = x
        feeds, i = self._inputs(u)
        v = dict(zip(self._names, p, strict=True))
        inner = [v[name.name] for name in self._culture.parameters]
        e = self._exchange(broth, i, p, fn)
        base = v["alkali"] * e.ammonia * broth[-1] / v["c_base"]
        carried = heat.evaporation(i.air + i.oxygen, i.temperature, i.pressure, fn)
        lost = (1.0 - self.vessel.condenser_share) * carried
        held = (base, -lost, i.harvest, self._dissolved(i, v, fn), i.temperature)
        slopes = self._culture.rhs(t, broth, (*feeds, *held, self.organism.acidity), inner, fn)
        return (*slopes, i.harvest * self._product(broth) + 0.0 * drawn)

    def output(
        self, t: Any, x: Sequence[Any], u: Sequence[Any], p: Sequence[Any], fn: Functions
    ) -> Sequence[Any]:
        """Return oxygen, heat and power under these inputs, see ``outputs``."""
        *broth, _ = x
        *species, _, V = broth
        _, i = self._inputs(u)
        v = dict(zip(self._names, p, strict=True))
        own = [v[name.name] for name in self._culture.parameters]
        e, w = self._exchange(broth, i, p, fn), self.vessel
        law = v["broth"] * self.organism.kla_factor(species, own, fn)
        T, head, gas = i.temperature, i.pressure, i.air + i.oxygen
        kla, shaft, flooded = self._plant.transfer(
            i.stirrer, gas, V, T, 0.0 * V, law, fn, head=head
        )
        share = (oxygen.AIR_O2 * i.air + i.oxygen) / gas  # of oxygen in what goes in
        pure = v["salting"] * oxygen.saturation(T, 1.0, head + w.static_bar(V), fn)
        flow = gas * offgas.MOL_PER_H * M_O2 / V  # g/(L.h) of gas, were it oxygen
        transferred = kla * (share * pure - self._dissolved(i, v, fn))
        transferred = transferred / (1.0 + kla * pure / flow) / M_O2 * 1e3
        warm = e.heat * V / 3600.0 + shaft
        across = 1.0 / (1.0 / v["UA"] + 1.0 / v["cooler"])
        electric = shaft / w.motor_efficiency + heat.compression(i.air, w.supply_bar)
        return (
            e.our,
            transferred,
            flooded,
            warm,
            across * (T - v["T_coolant"]),
            electric + warm / COOLING_COP,
            e.mu,
        )

    def _inputs(self, u: Sequence[Any]) -> tuple[Sequence[Any], Inputs]:
        count = len(self.organism.feeds)
        return u[:count], Inputs(*u[count:])

    def _product(self, broth: Sequence[Any]) -> Any:
        names = [s.name for s in self.organism.species]
        return broth[names.index(self.organism.called["product"])]

    def _dissolved(self, i: Inputs, v: Any, fn: Functions) -> Any:
        """Return dissolved oxygen in g/L: a probe feels its pressure."""
        at = oxygen.solubility(i.temperature, fn) * M_O2 * v["salting"]
        return i.do / 100.0 * self._full_bar * at

    def _exchange(self, broth: Sequence[Any], i: Inputs, p: Sequence[Any], fn: Functions) -> Any:
        v = dict(zip(self._names, p, strict=True))
        own = [v[name.name] for name in self._culture.parameters]
        around = Surroundings(
            self._dissolved(i, v, fn), i.temperature, self.organism.acidity, broth[-2], 0.0
        )
        return self.organism.exchange(broth[:-2], around, own, fn)
