"""What the controller believes about the vessel: the organism in feed and oxygen, no more.

The simulator's ``Bioreactor`` has gas, heat and acids of its own and draws its parameters around
the defaults; this model has the same organism equations and takes the dissolved oxygen as it is
measured, so it stays small enough for an estimator and an optimiser.
"""

from collections.abc import Sequence
from typing import Any, Literal

from models import offgas, oxygen
from models.bioreactor import KLA_CO2, Bioreactor
from models.ecoli import M_CO2, M_O2, EColi
from models.fn import SCALARS
from models.model import Functions, Variable
from models.vessels import Stirred

FACTORS = (  # what is learned of a batch, and which parameter of the organism it multiplies
    ("qomax_factor", "qOmax"),
    ("yem_factor", "Yem"),
    ("qpm_factor", "qPm"),
    ("qsmax_factor", "qSmax"),
)
LOG_MAX = (  # of each factor, and of kLa's: three spreads; beyond, something else is wrong
    *(0.4, 0.16, 0.4, 0.3),
    0.6,
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


class Aeration:
    """What the controller believes of oxygen on its way from gas to broth, in mmol and hours.

    The vessel's own numbers at their defaults; what is learned of a batch is one factor on kLa.

    Args:
        organism: of the model that is aerated.
        vessel: the vessel's numbers.
    """

    def __init__(self, organism: EColi, vessel: Stirred) -> None:
        self.model = FedBatch(organism)
        self.vessel = vessel
        self._bioreactor = Bioreactor(organism, vessel)
        medium = {v.name: v.default for v in self._bioreactor.medium}
        self._broth, self._salting = medium["broth"], medium["salting"]
        self.calibration_mmol_per_l = float(
            self.saturation_mmol_per_l(37.0, oxygen.AIR_O2)
        )  # what 100 % of the probe means
        self.calibration_g_per_l = self.calibration_mmol_per_l * M_O2 / 1e3

    def saturation_mmol_per_l(self, T: Any, y_o2: Any, fn: Functions = SCALARS) -> Any:
        """Return oxygen in equilibrium with gas of mole fraction ``y_o2`` at ``T`` in Cel."""
        wet = oxygen.saturation(T, y_o2, self.vessel.pressure_bar, fn)
        return self._salting * wet * 1e3 / M_O2

    def kla_per_h(self, N: Any, gas: Any, V: Any, T: Any, fn: Functions) -> Any:
        """Return nominal kLa, 1/h; stirrer 1/min, gas normal L/min, volume L, temperature Cel."""
        kla, _, _ = self._bioreactor.transfer(N, gas, V, T, 0.0 * V, self._broth, fn)
        return kla

    def shaft_w(self, N: Any, gas: Any, V: Any, T: Any, fn: Functions) -> Any:
        """Return the stirrer's power into the broth, W; arguments as ``kla_per_h``."""
        return self._bioreactor.transfer(N, gas, V, T, 0.0 * V, self._broth, fn)[1]

    def gas_mol(self, volume_l: float, T: float) -> float:
        """Return the gas above and in ``volume_l`` of broth at ``T`` in Cel, mol."""
        space = max(self.vessel.total_volume_l - volume_l, 0.1)
        return space * self.vessel.pressure_bar / (0.0831446 * (T + 273.15))

    def co2_saturation_mmol_per_l(self, T: float) -> float:
        """Return dissolved CO2 under pure CO2 at ``T`` in Cel."""
        return 1e3 * float(offgas.co2_solubility(T, SCALARS)) * self.vessel.pressure_bar

    def limit_mmol_per_l_h(
        self, kla: Any, V: Any, do_percent: Any, air: Any, T: Any, fn: Functions
    ) -> Any:
        """Return the greatest oxygen transfer at ``do_percent``, with the gas it depletes.

        The gas space is well mixed and gives as much CO2 as it takes oxygen, so its oxygen
        falls by transfer over flow.

        Args:
            kla: 1/h, factor included.
            V: L.
            do_percent: dissolved oxygen that is to be held, % of air saturation.
            air: normal L/min.
            T: Cel.
            fn: the functions for the type of the arguments.
        """
        full = self.saturation_mmol_per_l(T, oxygen.AIR_O2, fn)
        flow = air * offgas.MOL_PER_H * 1e3 / V  # mmol/(L.h)
        force = full - do_percent / 100.0 * self.calibration_mmol_per_l
        return kla * force / (1.0 + kla * full / oxygen.AIR_O2 / flow)


class SoftSensor:
    """``FedBatch`` with what a filter learns as states and what instruments see as outputs.

    The logarithms of the factors go back to 0 slowly, so that what a strain is usually like is
    never forgotten; the filter moves them. Gas space,
    dissolved carbon and the off-gas line (its dead time as a lag) are states because they are
    minutes long at low flow, and a filter that takes their lag for slow cells never finds the
    biomass again.
    """

    time_unit: Literal["h", "s"] = "h"
    states = (
        *(
            Variable(v.name, v.unit, v.default, max(v.low, 1e-6), v.high, v.doc)
            for v in FedBatch.states
        ),
        *(
            Variable(f"log_{name}", "1", 0.0, -most, most, f"of {name}")
            for name, most in zip(
                (*(name for name, _ in FACTORS), "kla_factor"), LOG_MAX, strict=True
            )
        ),
        Variable("yO2", "%", 100.0 * oxygen.AIR_O2, 0.0, 100.0, doc="O2 in the gas, dry"),
        Variable("yCO2", "%", 100.0 * oxygen.AIR_CO2, 0.0, 100.0, doc="CO2 in the gas, dry"),
        Variable("DIC", "mmol/L", 0.1, 0.0, doc="dissolved CO2 with bicarbonate"),
        Variable("sO2", "%", 100.0 * oxygen.AIR_O2, 0.0, 100.0, doc="O2 that the analyser sees"),
        Variable("sCO2", "%", 100.0 * oxygen.AIR_CO2, 0.0, 100.0, doc="CO2 that it sees"),
        Variable("bO2", "%", 0.0, -0.3, 0.3, doc="what the analyser shows too much of O2"),
        Variable("bCO2", "%", 0.0, -0.2, 0.2, doc="likewise of CO2"),
    )
    inputs = (
        *FedBatch.inputs,
        Variable("rise", "mmol/(L.h)", 0.0, doc="rise of dissolved oxygen"),
        Variable("transfer", "mmol/(L.h)", 3.0, doc="nominal kLa (C* - O)"),
        Variable("kLa", "1/h", 60.0, 1.0, doc="nominal, 1 for the factor"),
        Variable("air", "L/min", 1.0, 0.0, doc="inlet air, normal"),
        Variable("oxygen", "L/min", 0.0, 0.0, doc="inlet oxygen, normal"),
        Variable("gas", "mol", 0.15, 1e-3, doc="gas in the vessel"),
        Variable("CO2_sat", "mmol/L", 24.0, 0.0, doc="dissolved CO2 under pure CO2"),
        Variable("bound", "1", 9.0, 1.0, doc="dissolved CO2 with bicarbonate over CO2 alone"),
    )
    outputs = (
        Variable("yO2", "%", doc="oxygen in the off-gas"),
        Variable("yCO2", "%", doc="CO2 in the off-gas"),
        Variable("deficit", "mmol/(L.h)", doc="oxygen uptake less transfer, by the DO probe"),
        Variable("V", "L", doc="volume by the balance"),
    )

    def __init__(self, organism: EColi | None = None) -> None:
        self.model = FedBatch(organism)
        self.parameters = (
            *self.model.organism.parameters,
            Variable("memory", "h", 30.0, 0.1, doc="time in which a factor forgets, unexcited"),
            Variable("line", "h", 55.0 / 3600.0, 1e-4, doc="delay and lag of the off-gas line"),
        )

    def _balances(
        self, x: Sequence[Any], u: Sequence[Any], p: Sequence[Any], fn: Functions
    ) -> tuple[list[Any], Any, Any]:
        factors = [fn.exp(value) for value in x[6 : 6 + len(FACTORS)]]
        return self.model.balances(x[:6], u[:6], self.model.strain([*p[:-2], *factors]), fn)

    def rhs(
        self, t: Any, x: Sequence[Any], u: Sequence[Any], p: Sequence[Any], fn: Functions
    ) -> Sequence[Any]:
        """Return ``dx/dt`` per hour."""
        slopes, our, cer = self._balances(x, u, p, fn)
        V, (log_kla, y_o2, y_co2, dic, s_o2, s_co2) = x[5], x[-8:-2]
        rise, _, kla, air, pure, gas, co2_sat, bound = u[6:]
        stripped = KLA_CO2 * kla * fn.exp(log_kla) * (dic / bound - co2_sat * y_co2 / 100.0)
        d_o2, d_co2 = offgas.gas_rates(
            y_o2 / 100.0, y_co2 / 100.0, air, pure, (our + rise) * V / 1e3, stripped * V / 1e3, gas
        )
        back = [-value / p[-2] for value in x[6 : 7 + len(FACTORS)]]
        line = p[-1]
        return [
            *(*slopes, *back, 100.0 * d_o2, 100.0 * d_co2, cer - stripped),
            *((y_o2 - s_o2) / line, (y_co2 - s_co2) / line, 0.0 * V, 0.0 * V),
        ]

    def output(
        self, t: Any, x: Sequence[Any], u: Sequence[Any], p: Sequence[Any], fn: Functions
    ) -> Sequence[Any]:
        """Return what the instruments say if the states are true."""
        _, our, _ = self._balances(x, u, p, fn)
        log_kla, _, _, _, s_o2, s_co2, b_o2, b_co2 = x[-8:]
        rise, transfer = u[6:8]
        return s_o2 + b_o2, s_co2 + b_co2, our + rise - transfer * fn.exp(log_kla), x[5]
