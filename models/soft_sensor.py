"""The model of a soft sensor: any organism, in the gas and the broth of a vessel, as it is seen.

States are the species that are tracked, the volume, the logarithms of what is learned, the gas with
its line to the analyser, dissolved carbon, and what instruments show too much. Gas and line are
there because they are minutes long at low flow: a filter that takes their lag for slow cells never
finds the biomass again.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from models import offgas, oxygen
from models.bioreactor import KLA_CO2
from models.model import Functions, Variable
from models.organism import Exchange, Surroundings
from models.transfer import M_O2
from models.vessels import Stirred
from models.watched import WatchedOrganism

KLA: Final = "kla"  # what is learned of the vessel
KLA_MOST: Final = 0.6  # greatest logarithm of its factor
GAS: Final = (
    Variable("yO2", "%", 100.0 * oxygen.AIR_O2, 0.0, 100.0, "O2 in the gas, dry"),
    Variable("yCO2", "%", 100.0 * oxygen.AIR_CO2, 0.0, 100.0, "CO2 in the gas, dry"),
    Variable("DIC", "mmol/L", 0.1, 0.0, doc="dissolved CO2 with bicarbonate"),
    Variable("sO2", "%", 100.0 * oxygen.AIR_O2, 0.0, 100.0, "O2 that the analyser sees"),
    Variable("sCO2", "%", 100.0 * oxygen.AIR_CO2, 0.0, 100.0, "CO2 that it sees"),
    Variable("bO2", "%", 0.0, -0.6, 0.6, "what the analyser shows too much of O2"),
    Variable("bCO2", "%", 0.0, -0.2, 0.2, "likewise of CO2"),
)
SURROUNDINGS: Final = (
    Variable("F_w", "L/h", 0.0, doc="everything else that flows in, less evaporation"),
    Variable("harvest", "L/h", 0.0, 0.0, doc="broth that is taken out"),
    Variable("induced", "1", 0.0, 0.0, 1.0, doc="1 while the product is expressed"),
    Variable("T", "Cel", 37.0, doc="broth"),
    Variable("pH", "[pH]", 7.0, doc="broth"),
    Variable("DO", "%", 30.0, doc="dissolved oxygen, as the probe shows it"),
    Variable("full", "mmol/L", 0.21, 1e-3, doc="oxygen in the broth at 100 % of the probe"),
    Variable("rise", "mmol/(L.h)", 0.0, doc="rise of dissolved oxygen"),
    Variable("kLa", "1/h", 60.0, 1.0, doc="nominal, 1 for the factor and for thin broth"),
    Variable("O2_sat", "mmol/L", 1.0, 0.0, doc="dissolved oxygen under pure oxygen"),
    Variable("air", "L/min", 1.0, 0.0, doc="inlet air, normal"),
    Variable("oxygen", "L/min", 0.0, 0.0, doc="inlet oxygen, normal"),
    Variable("gas", "mol", 0.15, 1e-3, doc="gas in the vessel"),
    Variable("CO2_sat", "mmol/L", 24.0, 0.0, doc="dissolved CO2 under pure CO2"),
    Variable("bound", "1", 9.0, 1.0, doc="dissolved CO2 with bicarbonate over CO2 alone"),
)
OFFSET_MOST: Final = 1.0  # g/L that a probe in the broth may show too much
GIVEN: Final = tuple(v.name for v in SURROUNDINGS)
SEEN: Final = (
    Variable("yO2", "%", doc="oxygen in the off-gas"),
    Variable("yCO2", "%", doc="CO2 in the off-gas"),
    Variable("deficit", "mmol/(L.h)", doc="oxygen uptake less transfer, by the DO probe"),
    Variable("V", "L", doc="volume by the balance"),
)
TITRANT: Final = Variable("titrant", "mmol/L", doc="acid of the cells by the base they were given")


def offset(probe: str) -> str:
    """Return the name of the state that holds what a probe shows too much."""
    return f"b_{probe}"


class SoftSensor:
    """An organism in a vessel as a filter sees it.

    Parameters are those of strain and medium, then for each factor the rate at which it goes back
    to what is usual, 1/h (0: it stays), and the delay and lag of the off-gas line, h.

    Args:
        organism: whose rates, and what of it is watched.
        vessel: whose defaults of the medium hold.
        probes: meanings of the probes in the broth that there are, of ``watched.probes``.
        titrated: what base and acid have neutralised is known, and says something of the organism.

    Attributes:
        factors: names of what is learned, kLa's last, in the order of their states.
    """

    time_unit: Literal["h", "s"] = "h"

    def __init__(
        self,
        organism: WatchedOrganism,
        vessel: Stirred,
        probes: Sequence[str] = (),
        *,
        titrated: bool = False,
    ) -> None:
        self.organism, watched = organism, organism.watched
        self.name = f"{organism.name}_{vessel.name}_sensor"
        species = {s.name: s for s in organism.species}
        self._tracked = tuple(t.name for t in watched.tracked)
        self.factors = (*(f.name for f in watched.learned), KLA)
        most = (*(f.most for f in watched.learned), KLA_MOST)
        self.states = (
            *(
                Variable(n, v.unit, v.default, max(v.low, 1e-6), v.high, v.doc)
                for n in self._tracked
                for v in (species[n],)
            ),
            Variable("V", "L", 1.0, 0.1, doc="volume"),
            *(
                Variable(f"log_{n}", "1", 0.0, -m, m, f"of the factor on {n}")
                for n, m in zip(self.factors, most, strict=True)
            ),
            *GAS,
            *(
                Variable(offset(n), "g/L", 0.0, -OFFSET_MOST, OFFSET_MOST, f"{n}: what is too much")
                for n in watched.offsets
            ),
        )
        self.inputs = (
            *(Variable(f.name, "L/h", 0.0, 0.0, doc=f.doc) for f in organism.feeds),
            *SURROUNDINGS,
        )
        medium = [vessel.medium.get(v.name, v.default) for v in organism.medium]
        self.strain = tuple(v.default for v in (*organism.parameters,)) + tuple(medium)
        self.parameters = (
            *organism.parameters,
            *organism.medium,
            *(Variable(f"back_{n}", "1/h", 1.0 / 30.0, 0.0, doc=n) for n in self.factors),
            Variable("line", "h", 55.0 / 3600.0, 1e-4, doc="delay and lag of the off-gas line"),
        )
        self._names = tuple(v.name for v in (*organism.parameters, *organism.medium))
        self._diluted = tuple(species[n].unit.endswith("/L") for n in self._tracked)
        self.probes = {meaning: watched.probes[meaning] for meaning in probes}
        self.outputs = (
            *SEEN,
            *(Variable(n, "g/L", doc=f"{n} by its probe") for n in self.probes),
            *([TITRANT] if titrated else []),
        )
        self.titrated = titrated
        self._acid = self._acids()
        self.n_tracked = len(self._tracked)
        self._logs = slice(self.n_tracked + 1, self.n_tracked + 1 + len(self.factors))
        self._gas = slice(self._logs.stop, self._logs.stop + len(GAS))

    def rhs(
        self, t: Any, x: Sequence[Any], u: Sequence[Any], p: Sequence[Any], fn: Functions
    ) -> Sequence[Any]:
        """Return ``dx/dt`` per hour."""
        feeds, given = self._split(u)
        species, V, logs = x[: self.n_tracked], x[self.n_tracked], x[self._logs]
        y_o2, y_co2, dic, s_o2, s_co2 = x[self._gas][:5]
        cells, kla = self._exchange(x, u, p, fn)
        named = dict(zip(self._names, p, strict=False))
        brought: dict[str, Any] = {}
        for feed, flow in zip(self.organism.feeds, feeds, strict=True):
            for name, concentration in feed.brings.items():
                brought[name] = brought.get(name, 0.0) + flow * named[concentration]
        inflow = given["F_w"] + sum(feeds)
        rates = dict(zip((s.name for s in self.organism.species), cells.species, strict=True))
        slopes = [
            rates[n] + (brought.get(n, 0.0) - inflow * c) / V if diluted else rates[n]
            for n, c, diluted in zip(self._tracked, species, self._diluted, strict=True)
        ]
        stripped = KLA_CO2 * kla * (dic / given["bound"] - given["CO2_sat"] * y_co2 / 100.0)
        taken = (cells.our + given["rise"]) * V / 1e3
        d_o2, d_co2 = offgas.gas_rates(
            *(y_o2 / 100.0, y_co2 / 100.0, given["air"], given["oxygen"]),
            *(taken, stripped * V / 1e3, given["gas"]),
        )
        rest, line = p[len(self._names) : -1], p[-1]
        back = [-value * rate for value, rate in zip(logs, rest, strict=True)]
        return [
            *(*slopes, inflow - given["harvest"], *back),
            *(100.0 * d_o2, 100.0 * d_co2, cells.cer - stripped),
            *((y_o2 - s_o2) / line, (y_co2 - s_co2) / line),
            *(0.0 * V for _ in x[self._gas.stop - 2 :]),
        ]

    def output(
        self, t: Any, x: Sequence[Any], u: Sequence[Any], p: Sequence[Any], fn: Functions
    ) -> Sequence[Any]:
        """Return what the instruments say if the states are true."""
        _, given = self._split(u)
        cells, kla = self._exchange(x, u, p, fn)
        y_o2, _, _, s_o2, s_co2, b_o2, b_co2 = x[self._gas]
        force = given["O2_sat"] * y_o2 / 100.0 - self._dissolved(given, fn)
        own = dict(zip(self._tracked, x, strict=False))
        offsets = dict(zip(self.organism.watched.offsets, x[self._gas.stop :], strict=True))
        return [
            *(s_o2 + b_o2, s_co2 + b_co2, cells.our + given["rise"] - kla * force),
            x[self.n_tracked],
            *(sum(own[s] for s in of) + offsets.get(n, 0.0) for n, of in self.probes.items()),
            *([self._neutralised(x, given)] if self.titrated else []),
        ]

    def report(
        self, x: Sequence[float], u: Sequence[float], p: Sequence[float], fn: Functions
    ) -> tuple[float, float, float]:
        """Return growth rate (1/h), oxygen uptake and CO2 evolution (mmol/(L.h))."""
        cells, _ = self._exchange(x, u, p, fn)
        return float(cells.mu), float(cells.our), float(cells.cer)

    def _acids(self) -> Sequence[float]:
        """Return what each tracked species has set free of acid, mmol/g.

        Nitrogen is taken up as ammonium, whose proton stays; an acid far above its pK gives all of
        its own.
        """
        organism = self.organism
        own = organism.acid
        return [
            1e3 * (organism.composition[n].nitrogen if n in organism.composition else 0.0)
            + (1e3 / own.g_per_mol if own is not None and own.species == n else 0.0)
            for n in self._tracked
        ]

    def _neutralised(self, x: Sequence[Any], given: Mapping[str, Any]) -> Any:
        """Return what base must have neutralised, mmol/L: also of the CO2 that is bicarbonate."""
        dic = x[self._gas][2]
        acid = sum(c * a for c, a in zip(x, self._acid, strict=False) if a)
        return acid + dic * (1.0 - 1.0 / given["bound"])

    def _split(self, u: Sequence[Any]) -> tuple[Sequence[Any], Mapping[str, Any]]:
        count = len(self.organism.feeds)
        return u[:count], dict(zip(GIVEN, u[count:], strict=True))

    def _dissolved(self, given: Mapping[str, Any], fn: Functions) -> Any:
        """Return the oxygen in the broth by the probe, mmol/L."""
        return fn.max(given["DO"] / 100.0 * given["full"], 0.0, 1e-4)

    def _exchange(
        self, x: Sequence[Any], u: Sequence[Any], p: Sequence[Any], fn: Functions
    ) -> tuple[Exchange, Any]:
        """Return what the cells do, and kLa in 1/h."""
        organism, watched = self.organism, self.organism.watched
        _, given = self._split(u)
        factors = dict(zip(self.factors, x[self._logs], strict=True))
        learned = {f.parameter: fn.exp(factors[f.name]) for f in watched.learned}
        own = [
            value * learned[name] if name in learned else value
            for name, value in zip(self._names, p, strict=False)
        ]
        tracked = dict(zip(self._tracked, x, strict=False))
        species = [
            tracked[s.name]
            if s.name in tracked
            else watched.given.get(s.name, 0.0) * given["induced"]
            for s in organism.species
        ]
        oxygen_g = self._dissolved(given, fn) * M_O2 / 1e3
        around = Surroundings(oxygen_g, given["T"], given["pH"], organism.salts[0], 0.0)
        kla = given["kLa"] * fn.exp(factors[KLA]) * organism.kla_factor(species, own, fn)
        return organism.exchange(species, around, own, fn), kla
