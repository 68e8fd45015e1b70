"""What the controller believes about the vessel: the organism in feed and oxygen, no more.

The simulator's ``Bioreactor`` has gas, heat and acids of its own and draws its parameters around
the defaults; this model has the same organism equations and takes the dissolved oxygen as it is
measured, so it stays small enough for an estimator and an optimiser.
"""

from collections.abc import Sequence
from typing import Any, Literal

from models.ecoli import M_CO2, M_O2, EColi
from models.model import Functions, Variable
from models.transfer import Transfer
from models.vessels import Stirred

FACTORS = (  # what is learned of a batch, and which parameter of the organism it multiplies
    ("qomax_factor", "qOmax"),
    ("yem_factor", "Yem"),
    ("qpm_factor", "qPm"),
    ("qsmax_factor", "qSmax"),
)


class FedBatch:
    """Biomass, substrate, acetate, product, expression and volume of one vessel.

    Args:
        organism: whose rates; its parameters come first among ``parameters``.
    """

    time_unit: Literal["h", "s"] = "h"
    states = EColi.states
    inputs = (
        Variable("F", "L/h", 0.0, 0.0, doc="feed"),
        Variable("S_f", "g/L", 500.0, 0.0, doc="substrate in the feed"),
        Variable("F_w", "L/h", 0.0, doc="everything else that flows in, less evaporation"),
        Variable("O", "g/L", 0.002, 0.0, doc="dissolved oxygen, as measured or as planned"),
        Variable("induced", "1", 0.0, 0.0, 1.0, doc="1 from induction on"),
        Variable("activity", "1", 1.0, 0.0, doc="what temperature and pH leave of the rates"),
    )
    outputs = (
        Variable("mu", "1/h", doc="specific growth rate"),
        Variable("OUR", "mmol/(L.h)", doc="oxygen uptake"),
        Variable("CER", "mmol/(L.h)", doc="CO2 evolution"),
    )

    def __init__(self, organism: EColi | None = None) -> None:
        self.organism = organism or EColi()
        self.parameters = (
            *self.organism.parameters,
            *(Variable(name, "1", 1.0, 0.1, 10.0, doc=f"times {of}") for name, of in FACTORS),
        )

    def strain(self, p: Sequence[Any]) -> Sequence[Any]:
        """Return the organism's parameters with the factors at the end of ``p`` applied."""
        count = len(self.organism.parameters)
        factor = {of: p[count + i] for i, (_, of) in enumerate(FACTORS)}
        return [
            value * factor[v.name] if v.name in factor else value
            for v, value in zip(self.organism.parameters, p[:count], strict=True)
        ]

    def rhs(
        self, t: Any, x: Sequence[Any], u: Sequence[Any], p: Sequence[Any], fn: Functions
    ) -> Sequence[Any]:
        """Return ``dx/dt`` per hour."""
        return self.balances(x, u, self.strain(p), fn)[0]

    def balances(
        self, x: Sequence[Any], u: Sequence[Any], strain: Sequence[Any], fn: Functions
    ) -> tuple[list[Any], Any, Any]:
        """Return ``dx/dt`` per hour, and oxygen uptake and CO2 evolution in mmol/(L.h)."""
        X, S, A, P, E, V = x
        F, S_f, F_w, O, induced, activity = u  # noqa: E741
        r = self.organism.rates(S, A, O, E * induced, strain, fn, activity)
        D = (F + F_w) / V
        slopes = [
            (r.mu - D) * X,
            F / V * S_f - D * S - r.qS * X,
            (r.qAp - r.qAc) * X - D * A,
            r.qP * X - D * P,
            -self.organism.capacity_loss(strain) * E * induced,
            F + F_w,
        ]
        return slopes, r.qO * X / M_O2 * 1e3, r.qCO2 * X / M_CO2 * 1e3

    def output(
        self, t: Any, x: Sequence[Any], u: Sequence[Any], p: Sequence[Any], fn: Functions
    ) -> Sequence[Any]:
        """Return growth rate, oxygen uptake and CO2 evolution."""
        slopes, our, cer = self.balances(x, u, self.strain(p), fn)
        D = (u[0] + u[2]) / x[5]
        return slopes[0] / x[0] + D, our, cer


class Aeration(Transfer):
    """``Transfer`` with the cells that it supplies.

    Args:
        organism: of the model that is aerated.
        vessel: the vessel's numbers.
    """

    def __init__(self, organism: EColi, vessel: Stirred) -> None:
        super().__init__(organism, vessel)
        self.model = FedBatch(organism)
