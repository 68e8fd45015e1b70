"""E. coli in aerobic fed-batch: uptake, overflow to acetate, and product after induction.

After Xu, Jahic and Enfors (1999). Every rate is built from reactions of which each closes in
carbon and in degree of reduction, so oxygen and CO2 follow from the stoichiometry and soft
sensors inherit no bias. What that changes against the printed set stands in models/README.md.
"""

import math
from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

from models import heat, oxygen, ph
from models.fn import LN10, lesser
from models.model import Functions, Variable
from models.organism import Acid, Composition, Exchange, Feed, Surroundings
from models.watched import Learned, Tracked, Watched

XU = "B. Xu, M. Jahic, S.-O. Enfors, Biotechnol. Prog. 15 (1999) 81-90 (recalled)"
OURS = "chosen for fermloop (illustrative)"

C_S = C_A = 1.0 / 30.0  # mol C/g of glucose and of acetic acid
C_X = 0.040  # mol C/g biomass: 0.48 g C/g
C_P = 0.044  # mol C/g product: a protein, 0.53 g C/g
GAMMA_S = GAMMA_A = 4.0  # degree of reduction, electrons per C
GAMMA_X = 4.2
GAMMA_P = 4.2
N_X = 0.2 * C_X  # mol N/g biomass
N_P = 0.27 * C_P  # mol N/g product
M_O2 = 32.0  # g/mol
M_CO2 = 44.0  # g/mol
ACETIC_ACID: Final = 60.05  # g/mol
AMMONIA_HALF: Final = 1.0  # mmol/L that halves growth, so that it is never overdrawn
LOST_37 = math.exp(500e3 / 8.314 * (1.0 / 318.15 - 1.0 / 310.15))  # lost to heat at 37 Cel

PARAMETERS = (
    Variable("qSmax", "g/(g.h)", 1.25, 0.0, doc="greatest specific glucose uptake", source=XU),
    Variable("KS", "g/L", 0.05, 1e-4, doc="glucose at half of qSmax", source=XU),
    Variable("KA", "g/L", 0.05, 1e-4, doc="acetate at half of qAmax", source=XU),
    Variable(
        "qOmax",
        "g/(g.h)",
        0.4276,
        0.0,
        doc="greatest specific O2 uptake for oxidising substrate; O2 of overflow comes on top",
        source="calibrated to 9.0 % C/C acetate from glucose in unlimited batch, like W3110",
    ),
    Variable("KiS", "g/L", 5.0, 1e-3, doc="acetate that halves glucose uptake", source=XU),
    Variable("KiO", "g/L", 4.0, 1e-3, doc="acetate that halves respiration", source=XU),
    Variable("qm", "g/(g.h)", 0.04, 0.0, doc="glucose burnt for maintenance", source=XU),
    Variable("Yem", "g/g", 0.51, 0.0, doc="biomass per glucose oxidised for growth", source=XU),
    Variable("Yof", "g/g", 0.15, 0.0, doc="biomass per glucose of overflow", source=XU),
    Variable("YXA", "g/g", 0.40, 0.0, doc="biomass per acetate", source=XU),
    Variable("YAS", "g/g", 0.667, 0.0, doc="acetate per glucose of overflow catabolism", source=XU),
    Variable("qAmax", "g/(g.h)", 0.20, 0.0, doc="greatest specific acetate uptake", source=XU),
    Variable("KO", "g/L", 2e-4, 1e-6, doc="O2 at half of qOmax, 3 % of air", source=OURS),
    Variable("qPm", "g/(g.h)", 0.05, 0.0, doc="scale of specific product formation", source=OURS),
    Variable("Kmu", "1/h", 0.03, 1e-4, doc="growth below which product falls off", source=OURS),
    Variable("Kimu", "1/h", 0.12, 1e-4, doc="growth above which product falls off", source=OURS),
    Variable("kE", "1/h", 0.06, 0.0, doc="loss of expression capacity when induced", source=OURS),
    Variable("YXP", "g/g", 0.5, 0.0, doc="growth lost per product", source=OURS),
)

MEDIUM = (
    Variable(
        "broth",
        "1",
        0.7,
        0.1,
        2.0,
        "kLa of broth over van 't Riet's non-coalescing",
        "PROCESS 2: 0.5-0.8 by default",
    ),
    Variable(
        "salting",
        "1",
        1.0,
        0.5,
        1.0,
        "O2 solubility of medium over water; the broth factor was fitted to water, so 1",
        OURS,
    ),
    Variable("S_feed", "g/L", 500.0, 0.0, doc="glucose in the feed", source="PROCESS 1a"),
    Variable(
        "rho_feed",
        "kg/L",
        1.19,
        0.5,
        doc="density of the feed",
        source="sugar tables, 42 % (recalled)",
    ),
    Variable(
        "c_base",
        "mmol/L",
        4000.0,
        0.0,
        doc="ammonia in the base: 25 % NH4OH diluted to 30 %, for pumps of 5 mL/min",
        source=OURS,
    ),
    Variable("c_acid", "mmol/L", 1000.0, 0.0, doc="H3PO4 in the acid", source=OURS),
    Variable("c_inducer", "mmol/L", 100.0, 0.0, doc="inducer (IPTG) in its stock", source=OURS),
    Variable("K_inducer", "mmol/L", 0.1, 1e-6, doc="inducer that induces half", source=OURS),
)
K_INDUCER: Final = len(PARAMETERS) + len(MEDIUM) - 1  # where it stands among both


COMPOSITION: Final = {
    "X": Composition(C_X, GAMMA_X * C_X, N_X),
    "S": Composition(C_S, GAMMA_S * C_S),
    "A": Composition(C_A, GAMMA_A * C_A),
    "P": Composition(C_P, GAMMA_P * C_P, N_P),
}


class Parameters(NamedTuple):
    """The parameters by name, in the order of ``PARAMETERS``; floats or symbols."""

    qSmax: Any
    KS: Any
    KA: Any
    qOmax: Any
    KiS: Any
    KiO: Any
    qm: Any
    Yem: Any
    Yof: Any
    YXA: Any
    YAS: Any
    qAmax: Any
    KO: Any
    qPm: Any
    Kmu: Any
    Kimu: Any
    kE: Any
    YXP: Any


class Rates(NamedTuple):
    """Specific rates, per g of biomass and hour; all but ``mu`` and ``qN`` are never negative.

    ``qS`` glucose eaten, ``qAp`` acetate made, ``qAc`` acetate eaten, ``qO`` O2 taken up, ``qCO2``
    CO2 given off, ``qP`` product made, all g/(g.h); ``qN`` ammonia taken up, mol/(g.h); ``mu`` 1/h.
    """

    mu: Any
    qS: Any
    qAp: Any
    qAc: Any
    qO: Any
    qCO2: Any
    qP: Any
    qN: Any


class EColi:
    """One strain in a vessel of given dissolved oxygen, with one feed and no outflow.

    ========= ======= ======= ======================================  ==============
    species   unit    start   what                                    source
    ========= ======= ======= ======================================  ==============
    X         g/L     0.1     biomass, dry                            Xu
    S         g/L     10      glucose                                 Xu
    A         g/L     0       acetate, as acetic acid                 Xu
    P         g/L     0       product                                 ours
    E         1       1       expression capacity                     ours
    inducer   mmol/L  0       inducer                                 ours
    ========= ======= ======= ======================================  ==============

    ========= ======= ======= ======================================  ==============
    parameter unit    value   what                                    source
    ========= ======= ======= ======================================  ==============
    qSmax     g/(g.h) 1.25    greatest glucose uptake                 Xu, recalled
    KS        g/L     0.05    glucose at half of it                   Xu, recalled
    KA        g/L     0.05    acetate at half of qAmax                Xu, recalled
    qOmax     g/(g.h) 0.4276  greatest O2 uptake for oxidation        calibrated
    KiS       g/L     5       acetate that halves glucose uptake      Xu, recalled
    KiO       g/L     4       acetate that halves respiration         Xu, recalled
    qm        g/(g.h) 0.04    glucose burnt for maintenance           Xu, recalled
    Yem       g/g     0.51    biomass per glucose oxidised            Xu, recalled
    Yof       g/g     0.15    biomass per glucose of overflow         Xu, recalled
    YXA       g/g     0.4     biomass per acetate                     Xu, recalled
    YAS       g/g     0.667   acetate per glucose of overflow         Xu, recalled
    qAmax     g/(g.h) 0.2     greatest acetate uptake                 Xu, recalled
    KO        g/L     0.0002  O2 at half of qOmax                     ours
    qPm       g/(g.h) 0.05    scale of product formation              ours
    Kmu       1/h     0.03    growth below which product falls off    ours
    Kimu      1/h     0.12    growth above which product falls off    ours
    kE        1/h     0.06    loss of capacity when induced           ours
    YXP       g/g     0.5     growth lost per product                 ours
    ========= ======= ======= ======================================  ==============

    In a vessel its inputs are dissolved oxygen, temperature, pH and ammonia, see
    ``models.organism.Surroundings``.

    ``uptake`` and ``metabolism`` can be used apart: where glucose limits, it is eaten as it comes,
    ``qS = F S_f / (X V)``, and no uptake kinetics are needed. ``Bioreactor`` puts the same
    rates into a vessel with gas, heat and acids.
    """

    name = "ecoli"
    time_unit: Literal["h", "s"] = "h"
    states = (
        Variable("X", "g/L", 0.1, 0.0, doc="biomass, dry"),
        Variable("S", "g/L", 10.0, 0.0, doc="glucose"),
        Variable("A", "g/L", 0.0, 0.0, doc="acetate, as acetic acid"),
        Variable("P", "g/L", 0.0, 0.0, doc="product"),
        Variable("E", "1", 1.0, 0.0, 1.0, doc="expression capacity"),
        Variable("V", "L", 3.0, 0.1, doc="volume"),
    )
    inputs = (
        Variable("F", "L/h", 0.0, 0.0, doc="feed"),
        Variable("S_f", "g/L", 500.0, 0.0, doc="glucose in the feed"),
        Variable("O", "g/L", 0.0066, 0.0, doc="dissolved oxygen"),
        Variable("induced", "1", 0.0, 0.0, 1.0, doc="share of the cells that are induced"),
    )
    parameters = PARAMETERS
    outputs = (
        Variable("mu", "1/h", doc="specific growth rate"),
        Variable("OUR", "mmol/(L.h)", doc="oxygen uptake"),
        Variable("CER", "mmol/(L.h)", doc="CO2 evolution"),
    )
    # what it brings into a vessel, see models.organism
    temperature = 37.0
    acidity = 7.0
    species = (*states[:5], Variable("inducer", "mmol/L", 0.0, 0.0, doc="inducer"))
    feeds = (
        Feed("feed", "feed", {"S": "S_feed"}, "rho_feed", "glucose"),
        Feed("inducer", "dose", {"inducer": "c_inducer"}, doc="inducer"),
    )
    medium = MEDIUM
    salts = (100.0, 50.0)
    acid = Acid("A", ACETIC_ACID, ph.K_ACETATE)
    composition = COMPOSITION
    kla_law = oxygen.NON_COALESCING
    called = {"biomass": "X", "substrate": "S", "product": "P", "acetate": "A"}  # noqa: RUF012
    watched = Watched(
        tracked=(
            Tracked("X", share=0.2, walk=0.025),
            Tracked("S", share=0.03, sd=0.02, noise=0.02),
            Tracked("A", sd=0.02, noise=0.03, widest=0.2),
            Tracked("P", sd=1e-4, walk=0.01),
            Tracked("E", sd=1e-3),
        ),
        learned=(
            Learned("qomax", "qOmax", 0.15, 3.0),
            Learned("yem", "Yem", 0.1),
            Learned("qpm", "qPm", 0.15),
            Learned("qsmax", "qSmax", 0.10),
        ),
        quantities={
            "biomass_g_per_l": ("X",),
            "substrate_g_per_l": ("S",),
            "acetate_g_per_l": ("A",),
            "product_g_per_l": ("P",),
            "expression": ("E",),
        },
        assays={"dry_weight": ("X",), "glucose": ("S",), "acetate": ("A",), "product": ("P",)},
        doubt={"biomass_g_per_l": 0.02},
        given={"inducer": 1.0},  # mmol/L, ten times what induces half
        probes={"capacitance": ("X",), "turbidity": ("X",)},
        titrated=True,
    )

    def uptake(self, S: Any, A: Any, p: Sequence[Any], activity: Any = 1.0) -> Any:
        """Return the glucose that the cells could take up, g/(g.h), at ``S`` and ``A`` in g/L."""
        k = Parameters(*p)
        return activity * k.qSmax / (1.0 + A / k.KiS) * S / (S + k.KS)

    def oxygen_capacity(self, A: Any, O: Any, p: Sequence[Any], activity: Any = 1.0) -> Any:  # noqa: E741
        """Return the oxygen that oxidation may take up, g/(g.h), at ``A`` and ``O`` in g/L."""
        k = Parameters(*p)
        return activity * k.qOmax / (1.0 + A / k.KiO) * O / (O + k.KO)

    def metabolism(
        self,
        qS: Any,
        A: Any,
        q_o_cap: Any,
        E: Any,
        p: Sequence[Any],
        fn: Functions,
        activity: Any = 1.0,
    ) -> Rates:
        """Return what cells do with the glucose that they have eaten.

        Maintenance comes first, then growth by oxidation as far as respiration goes; the rest
        overflows to acetate; acetate is eaten with the respiration that is left. Without
        oxygen the overflow ends in acids of the glucose's own degree of reduction (counted as
        acetate), so that it needs none.

        Args:
            qS: glucose eaten, g/(g.h), at least 0.
            A: acetate, g/L.
            q_o_cap: oxygen that oxidation may take up, g/(g.h), see ``oxygen_capacity``.
            E: expression capacity times induced share, 0..1.
            p: the parameters, in order.
            fn: the functions for the type of the arguments.
            activity: what temperature and pH leave of the rates, 1 at 37 Cel and pH 7.

        Returns:
            The rates, which close in carbon and electrons exactly.
        """
        k = Parameters(*p)
        o_burn = GAMMA_S * C_S / 4.0 * M_O2  # g O2/g, all burnt
        o_grow = (GAMMA_S * C_S - GAMMA_X * C_X * k.Yem) / 4.0 * M_O2
        o_acetate = (GAMMA_A * C_A - GAMMA_X * C_X * k.YXA) / 4.0 * M_O2
        aerated = q_o_cap / (q_o_cap + 0.02)  # 0.02 g/(g.h): half of what maintenance takes

        q_burn = lesser(lesser(qS, k.qm, fn), q_o_cap / o_burn, fn)
        spare = q_o_cap - o_burn * q_burn
        q_grow = lesser(qS - q_burn, spare / o_grow, fn)
        q_of = qS - q_burn - q_grow
        qAc = lesser(activity * k.qAmax * A / (A + k.KA), (spare - o_grow * q_grow) / o_acetate, fn)
        endogenous = (k.qm - q_burn) * k.Yem * aerated  # g biomass/(g.h) burnt to stay alive

        # product is made of growing cells' glucose: some growth lost, and its own building material
        mu_grow = k.Yem * q_grow
        qP = k.qPm * activity * E * mu_grow / (k.Kmu + mu_grow + mu_grow * mu_grow / k.Kimu)
        q_product = (GAMMA_P * C_P - GAMMA_X * C_X * k.YXP) / (GAMMA_S * C_S) * qP
        q_grow = q_grow - q_product

        of_cells = k.Yof * C_X / C_S
        acid_aerobic = (1.0 - of_cells) * k.YAS
        acid_anaerobic = 1.0 - GAMMA_X / GAMMA_S * of_cells
        qAp = q_of * (aerated * acid_aerobic + (1.0 - aerated) * acid_anaerobic)
        mu = k.Yem * q_grow + k.Yof * q_of + k.YXA * qAc - endogenous - k.YXP * qP
        electrons = (
            GAMMA_S * C_S * qS - GAMMA_A * C_A * (qAp - qAc) - GAMMA_X * C_X * mu
        ) - GAMMA_P * C_P * qP
        qCO2 = M_CO2 * (C_S * qS - C_A * (qAp - qAc) - C_X * mu - C_P * qP)
        return Rates(mu, qS, qAp, qAc, electrons / 4.0 * M_O2, qCO2, qP, N_X * mu + N_P * qP)

    def rates(
        self,
        S: Any,
        A: Any,
        O: Any,  # noqa: E741
        E: Any,
        p: Sequence[Any],
        fn: Functions,
        activity: Any = 1.0,
    ) -> Rates:
        """Return the rates at concentrations ``S``, ``A``, ``O`` in g/L.

        ``E`` is expression capacity times induced share; ``activity`` as in ``metabolism``.
        """
        cap = self.oxygen_capacity(A, O, p, activity)
        return self.metabolism(self.uptake(S, A, p, activity), A, cap, E, p, fn, activity)

    def capacity_loss(self, p: Sequence[Any]) -> Any:
        """Return the loss of expression capacity while induced, 1/h."""
        return Parameters(*p).kE

    def activity(self, T: Any, pH: Any, fn: Functions) -> Any:
        """Return what temperature (Cel) and pH leave of the rates: 1 at 37 Cel and pH 7.

        Arrhenius growth with loss above 44 Cel, and a bell between pH 5 and 9: shapes as usual,
        numbers ours.
        """
        inverse = 1.0 / (T + 273.15)
        grow = fn.exp(60e3 / 8.314 * (1.0 / 310.15 - inverse))
        lost = fn.exp(500e3 / 8.314 * (1.0 / 318.15 - inverse))
        bell = 1.0 + fn.exp(LN10 * (5.0 - pH)) + fn.exp(LN10 * (pH - 9.0))
        return grow * (1.0 + LOST_37) / (1.0 + lost) * 1.02 / bell

    def exchange(
        self, x: Sequence[Any], at: Surroundings, p: Sequence[Any], fn: Functions
    ) -> Exchange:
        """Return what the cells do in a vessel, see ``models.organism``."""
        X, S, A, _P, E, inducer = x
        strain, k2 = p[: len(PARAMETERS)], p[K_INDUCER] * p[K_INDUCER]
        i2 = inducer * inducer
        induced = i2 * i2 / (i2 * i2 + k2 * k2)  # a switch with a soft edge
        activity = self.activity(at.T, at.pH, fn) * at.NH3 / (at.NH3 + AMMONIA_HALF)
        r = self.rates(S, A, at.O, E * induced, strain, fn, activity)
        our = r.qO * X / M_O2 * 1e3
        return Exchange(
            mu=r.mu,
            species=(
                r.mu * X,
                -r.qS * X,
                (r.qAp - r.qAc) * X,
                r.qP * X,
                -self.capacity_loss(strain) * E * induced,
                0.0,
            ),
            our=our,
            cer=r.qCO2 * X / M_CO2 * 1e3,
            ammonia=1e3 * r.qN * X,
            heat=heat.RESPIRATION * our,
        )

    def kla_factor(self, x: Sequence[Any], p: Sequence[Any], fn: Functions) -> Any:
        """Return 1: the broth is thin."""
        return 1.0

    def rhs(
        self, t: Any, x: Sequence[Any], u: Sequence[Any], p: Sequence[Any], fn: Functions
    ) -> Sequence[Any]:
        """Return ``dx/dt`` of the organism alone, per hour."""
        X, S, A, P, E, V = x
        F, S_f, O, induced = u  # noqa: E741
        r = self.rates(S, A, O, E * induced, p, fn)
        D = F / V
        return (
            (r.mu - D) * X,
            D * (S_f - S) - r.qS * X,
            (r.qAp - r.qAc) * X - D * A,
            r.qP * X - D * P,
            -self.capacity_loss(p) * E * induced,
            F,
        )

    def output(
        self, t: Any, x: Sequence[Any], u: Sequence[Any], p: Sequence[Any], fn: Functions
    ) -> Sequence[Any]:
        """Return growth rate, oxygen uptake and CO2 evolution."""
        X, S, A, _P, E, _V = x
        _F, _S_f, O, induced = u  # noqa: E741
        r = self.rates(S, A, O, E * induced, p, fn)
        return r.mu, r.qO * X / M_O2 * 1e3, r.qCO2 * X / M_CO2 * 1e3
