"""What the controller believes about the vessel: the organism in feed and oxygen, no more.

The simulator's ``Bioreactor`` has gas, heat and acids of its own and draws its parameters around
the defaults; this model has the same organism equations and takes the dissolved oxygen as it is
measured, so it stays small enough for an estimator and an optimiser.
"""

from collections.abc import Sequence
from typing import Any

from models.ecoli import M_CO2, M_O2, EColi
from models.model import Functions, Variable

LOG_FACTOR_MAX = 0.7  # of every factor: e^0.7 is twice; beyond it something else is wrong

FACTORS = (  # what is learned of a batch, and which parameter of the organism it multiplies
    ("qomax_factor", "qOmax"),
    ("yem_factor", "Yem"),
    ("qpm_factor", "qPm"),
)


class FedBatch:
    """Biomass, substrate, acetate, product, expression and volume of one vessel.

    Args:
        organism: whose rates; its parameters come first among ``parameters``.
    """

    time_unit = "h"
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
        kE = strain[[v.name for v in self.organism.parameters].index("kE")]
        slopes = [
            (r.mu - D) * X,
            F / V * S_f - D * S - r.qS * X,
            (r.qAp - r.qAc) * X - D * A,
            r.qP * X - D * P,
            -kE * E * induced,
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


class SoftSensor:
    """``FedBatch`` with what a filter learns as states and what instruments see as outputs.

    The logarithms of three factors of the organism and of the oxygen transfer do not move by
    themselves; the filter lets them. ``U`` and ``C`` are the oxygen taken from the gas and the
    CO2 given to it as an analyser with its lag sees them.
    """

    time_unit = "h"
    states = (
        *(
            Variable(v.name, v.unit, v.default, max(v.low, 1e-6), v.high, v.doc)
            for v in FedBatch.states
        ),
        *(
            Variable(f"log_{name}", "1", 0.0, -LOG_FACTOR_MAX, LOG_FACTOR_MAX, f"of {name}")
            for name in (*(name for name, _ in FACTORS), "kla_factor")
        ),
        Variable("U", "mmol/h", 0.0, doc="oxygen uptake of the vessel, as the analyser sees it"),
        Variable("C", "mmol/h", 0.0, doc="CO2 of the vessel, as the analyser sees it"),
    )
    inputs = (
        *FedBatch.inputs,
        Variable("rise", "mmol/(L.h)", 0.0, doc="rise of dissolved oxygen"),
    )
    outputs = (
        Variable("U", "mmol/h", doc="oxygen uptake by the gas balance"),
        Variable("C", "mmol/h", doc="CO2 evolution by the gas balance"),
        Variable("transfer", "1", doc="log of kLa (C* - O) by the nominal kLa, in mmol/(L.h)"),
        Variable("V", "L", doc="volume by the balance"),
    )

    def __init__(self, organism: EColi | None = None) -> None:
        self.model = FedBatch(organism)
        self.parameters = (
            *self.model.organism.parameters,
            Variable("lag", "h", 0.02, 1e-4, doc="time constant of gas volume and analyser"),
        )

    def _balances(
        self, x: Sequence[Any], u: Sequence[Any], p: Sequence[Any], fn: Functions
    ) -> tuple[list[Any], Any, Any]:
        factors = [fn.exp(value) for value in x[6 : 6 + len(FACTORS)]]
        strain = self.model.strain([*p[:-1], *factors])
        return self.model.balances(x[:6], u[:6], strain, fn)

    def rhs(
        self, t: Any, x: Sequence[Any], u: Sequence[Any], p: Sequence[Any], fn: Functions
    ) -> Sequence[Any]:
        """Return ``dx/dt`` per hour; the factors stay."""
        slopes, our, cer = self._balances(x, u, p, fn)
        V, U, C = x[5], x[-2], x[-1]
        still = [0.0 * V] * (len(FACTORS) + 1)
        return [*slopes, *still, (our * V - U) / p[-1], (cer * V - C) / p[-1]]

    def output(
        self, t: Any, x: Sequence[Any], u: Sequence[Any], p: Sequence[Any], fn: Functions
    ) -> Sequence[Any]:
        """Return what the instruments say if the states are true."""
        _, our, _ = self._balances(x, u, p, fn)
        needed = fn.max(our + u[-1], 0.1 + 0.0 * our, 0.1)
        return x[-2], x[-1], fn.log(needed) - x[6 + len(FACTORS)], x[5]
