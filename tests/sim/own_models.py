"""Models as somebody else brings them, good and bad; named in plant files as of another package."""

import math
from collections.abc import Sequence
from typing import Any

from models.bioreactor import Bioreactor
from models.ecoli import EColi
from models.model import Functions, Variable
from models.organism import Exchange, Organism, Surroundings
from models.vessels import Stirred
from models.yeast import Yeast


class SensitiveYeast(Yeast):
    """Yeast that dissolved CO2 slows down."""

    name = "sensitive_yeast"
    parameters = (
        *Yeast.parameters,
        Variable("KiC", "mmol/L", 5.0, 0.1, doc="CO2 that halves every rate", source="mine"),
    )

    def exchange(
        self, x: Sequence[Any], at: Surroundings, p: Sequence[Any], fn: Functions
    ) -> Exchange:
        e = super().exchange(x, at, p, fn)
        left = 1.0 / (1.0 + at.CO2 / p[len(Yeast.parameters)])
        rates = [left * r for r in e.species]
        return Exchange(left * e.mu, rates, *(left * r for r in e[2:]))


class Starving(EColi):
    """It grows with the root of a vitamin of the inoculum, and forgets that this runs out.

    After 3.6 h, or as ``kd`` is drawn, the root is no number.
    """

    name = "starving"
    species = (*EColi.species, Variable("B", "1", 1.0, doc="vitamin left, as a share"))
    parameters = (*EColi.parameters, Variable("kd", "1/h", 1.0 / 3.6, doc="vitamin spent"))

    def exchange(
        self, x: Sequence[Any], at: Surroundings, p: Sequence[Any], fn: Functions
    ) -> Exchange:
        *known, vitamin = x
        n = len(EColi.parameters)
        left = fn.sqrt(vitamin)
        e = super().exchange(known, at, (*p[:n], *p[n + 1 :]), fn)
        return Exchange(
            left * e.mu, [*(left * r for r in e.species), -p[n]], *(left * r for r in e[2:])
        )


class Clogging(Bioreactor):
    """A whole plant: a vessel whose sparger clogs."""

    def __init__(self, vessel: Stirred, organism: Organism | None = None) -> None:
        super().__init__(organism or Yeast(), vessel)
        self.states = (*self.states, Variable("clogged", "1", 0.0, 0.0, 1.0))
        self.parameters = (*self.parameters, Variable("k_clog", "1/h", 0.5, 0.0))

    def _clogged(self, x: Sequence[Any], p: Sequence[Any]) -> list[Any]:
        """Return the parameters with what is left of kLa."""
        at = [v.name for v in self.parameters].index("broth")
        return [v * (1.0 - 0.5 * x[-1]) if k == at else v for k, v in enumerate(p)]

    def rhs(
        self, t: Any, x: Sequence[Any], u: Sequence[Any], p: Sequence[Any], fn: Functions
    ) -> Sequence[Any]:
        return (*super().rhs(t, x, u, self._clogged(x, p), fn), p[-1] * (1.0 - x[-1]))

    def output(
        self, t: Any, x: Sequence[Any], u: Sequence[Any], p: Sequence[Any], fn: Functions
    ) -> Sequence[Any]:
        return super().output(t, x, u, self._clogged(x, p), fn)


class CloggingEColi(Clogging):
    def __init__(self, vessel: Stirred) -> None:
        super().__init__(vessel, EColi())


class GreedyYeast(Yeast):
    """It grows on a tenth more carbon than it eats, and one of its units is nobody's."""

    name = "greedy_yeast"
    parameters = (*Yeast.parameters, Variable("k", "grams", 1.0))


class NanYeast(Yeast):
    def exchange(
        self, x: Sequence[Any], at: Surroundings, p: Sequence[Any], fn: Functions
    ) -> Exchange:
        return super().exchange(x, at, p, fn)._replace(heat=math.nan)


class Short(CloggingEColi):
    """It has forgotten the rate of its own state."""

    def rhs(
        self, t: Any, x: Sequence[Any], u: Sequence[Any], p: Sequence[Any], fn: Functions
    ) -> Sequence[Any]:
        return super().rhs(t, x, u, p, fn)[:-1]


class NeedsMore(Yeast):
    def __init__(self, strain: str) -> None:
        self.strain = strain


class Nothing:
    """No model at all."""


def a_function() -> None:
    """Nor this."""
