"""An organism alone, in what is fed and what is measured: a control model of any organism."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from models.model import Functions, Variable
from models.organism import Organism, Surroundings


class Culture:
    """Species, ammonia and volume of one organism; oxygen, temperature and pH are given.

    The smallest model that closes: no gas, no acids, no heat. Where ``models.bioreactor`` has the
    same species, feeds and surroundings, both give the same rates (tested).

    ========= ======= ============================================================
    input     unit    what
    ========= ======= ============================================================
    (feeds)   L/h     one for each of the organism's pumps
    base      L/h     ammonia that holds the pH
    F_w       L/h     everything else that flows in, less evaporation
    harvest   L/h     broth that is taken out
    O         g/L     dissolved oxygen, as measured or as planned
    T         Cel     broth
    pH        [pH]    broth
    ========= ======= ============================================================

    Args:
        organism: whose species and rates; its strain and its medium are the parameters.
        medium: what is in a plant's own bottles, in place of the organism's usual ones.
    """

    time_unit: Literal["h", "s"] = "h"
    outputs = (
        Variable("mu", "1/h", doc="specific growth rate"),
        Variable("OUR", "mmol/(L.h)", doc="oxygen uptake"),
        Variable("CER", "mmol/(L.h)", doc="CO2 evolution"),
    )

    def __init__(self, organism: Organism, medium: Mapping[str, float] | None = None) -> None:
        self.organism = organism
        self.name = f"{organism.name}_culture"
        self.states = (
            *organism.species,
            Variable("NH3", "mmol/L", organism.salts[0], 0.0, doc="ammonia with ammonium"),
            Variable("V", "L", 1.0, 0.1, doc="volume"),
        )
        self.inputs = (
            *(Variable(feed.name, "L/h", 0.0, 0.0, doc=feed.doc) for feed in organism.feeds),
            Variable("base", "L/h", 0.0, 0.0, doc="ammonia that holds the pH"),
            Variable("F_w", "L/h", 0.0, doc="everything else that flows in, less evaporation"),
            Variable("harvest", "L/h", 0.0, 0.0, doc="broth that is taken out"),
            Variable("O", "g/L", 0.007, 0.0, doc="dissolved oxygen, as measured or as planned"),
            Variable("T", "Cel", organism.temperature, doc="broth"),
            Variable("pH", "[pH]", organism.acidity, doc="broth"),
        )
        own = medium or {}
        self.parameters = (
            *organism.parameters,
            *(replace(v, default=own.get(v.name, v.default)) for v in organism.medium),
        )
        self._names = tuple(v.name for v in self.parameters)

    def rhs(
        self, t: Any, x: Sequence[Any], u: Sequence[Any], p: Sequence[Any], fn: Functions
    ) -> Sequence[Any]:
        """Return ``dx/dt`` per hour."""
        organism, count = self.organism, len(self.organism.feeds)
        feeds, (base, other, harvest) = u[:count], u[count : count + 3]
        *species, NH3, V = x
        e = self._exchange(x, u, p, fn)
        v = dict(zip(self._names, p, strict=True))
        inflow = base + other + sum(feeds)
        brought: dict[str, Any] = {"NH3": base * v["c_base"]}
        for feed, flow in zip(organism.feeds, feeds, strict=True):
            for name, concentration in feed.brings.items():
                brought[name] = brought.get(name, 0.0) + flow * v[concentration]
        slopes = [
            rate + (brought.get(s.name, 0.0) - inflow * c) / V if s.unit.endswith("/L") else rate
            for s, c, rate in zip(organism.species, species, e.species, strict=True)
        ]
        d_ammonia = (brought["NH3"] - inflow * NH3) / V - e.ammonia
        return (*slopes, d_ammonia, inflow - harvest)

    def _exchange(self, x: Sequence[Any], u: Sequence[Any], p: Sequence[Any], fn: Functions) -> Any:
        O, T, pH = u[-3:]  # noqa: E741
        around = Surroundings(O, T, pH, x[-2], 0.0)
        return self.organism.exchange(x[:-2], around, p, fn)

    def output(
        self, t: Any, x: Sequence[Any], u: Sequence[Any], p: Sequence[Any], fn: Functions
    ) -> Sequence[Any]:
        """Return growth rate, oxygen uptake and CO2 evolution."""
        e = self._exchange(x, u, p, fn)
        return e.mu, e.our, e.cer
