"""Baker's yeast: respiration with a bottleneck, ethanol above it, and ethanol eaten again.

After Sonnleitner and Kaeppeli (1986). Three reactions, of which each closes in carbon and in
degree of reduction with the usual biomass CH1.8O0.5N0.2: their oxygen and CO2 then come out as
printed, within 0.3 % (tested), but for 0.7 % of the CO2 of fermentation.
"""

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from models import heat, oxygen
from models.fn import LN10, lesser
from models.model import Functions, Variable
from models.organism import Composition, Exchange, Feed, Surroundings
from models.watched import Learned, Tracked, Watched

SK: Final = "B. Sonnleitner, O. Kaeppeli, Biotechnol. Bioeng. 28 (1986) 927-937 (recalled)"
OURS: Final = "chosen for fermloop (illustrative)"

C_S: Final = 1.0 / 30.0  # mol C/g glucose
C_X: Final = 1.0 / 24.6  # mol C/g biomass
C_E: Final = 2.0 / 46.0  # mol C/g ethanol
GAMMA_S: Final = 4.0  # degree of reduction, electrons per C
GAMMA_X: Final = 4.2
GAMMA_E: Final = 6.0
N_X: Final = 0.2 * C_X  # mol N/g biomass
M_O2: Final = 32.0  # g/mol
M_CO2: Final = 44.0
FERMENTATION: Final = 35.0  # kJ/mol of ethanol made, beside the heat of respiration
AMMONIA_HALF: Final = 1.0  # mmol/L that halves growth, so that it is never overdrawn
LOST_30: Final = math.exp(350e3 / 8.314 * (1.0 / 312.15 - 1.0 / 303.15))  # lost at 30 Cel
BELL_5: Final = 1.0 + 10.0**-2.0 + 10.0**-2.5
CORNER: Final = 1e-4  # of the smooth ``lesser``: 1 % where uptake meets respiration

PARAMETERS: Final = (
    Variable("qSmax", "g/(g.h)", 3.5, 0.0, doc="greatest specific glucose uptake", source=SK),
    Variable("KS", "g/L", 0.2, 1e-4, doc="glucose at half of qSmax", source=SK),
    Variable("qOmax", "g/(g.h)", 0.256, 0.0, doc="greatest specific O2 uptake", source=SK),
    Variable("KO", "g/L", 1e-4, 1e-6, doc="O2 at half of qOmax", source=SK),
    Variable("qEmax", "g/(g.h)", 0.24, 0.0, doc="greatest specific ethanol uptake", source=SK),
    Variable("KE", "g/L", 0.1, 1e-4, doc="ethanol at half of qEmax", source=SK),
    Variable("KiE", "g/L", 0.1, 1e-4, doc="glucose that halves ethanol uptake", source=SK),
    Variable("Yox", "g/g", 0.49, 0.0, doc="biomass per glucose respired", source=SK),
    Variable("Yred", "g/g", 0.05, 0.0, doc="biomass per glucose fermented", source=SK),
    Variable("YE", "g/g", 0.72, 0.0, doc="biomass per ethanol", source=SK),
)
MEDIUM: Final = (
    Variable("broth", "1", 0.7, 0.1, 2.0, "kLa of broth over van 't Riet's", "PROCESS 2: 0.5-0.8"),
    Variable("salting", "1", 1.0, 0.5, 1.0, "O2 solubility of medium over water", OURS),
    Variable("S_feed", "g/L", 350.0, 0.0, doc="glucose in the feed", source="PROCESS 1b"),
    Variable("rho_feed", "kg/L", 1.13, 0.5, doc="density of the feed", source="sugar tables, 31 %"),
    Variable("c_base", "mmol/L", 4000.0, 0.0, doc="ammonia in the base", source=OURS),
    Variable("c_acid", "mmol/L", 1000.0, 0.0, doc="H3PO4 in the acid", source=OURS),
)


COMPOSITION: Final = {
    "X": Composition(C_X, GAMMA_X * C_X, N_X),
    "S": Composition(C_S, GAMMA_S * C_S),
    "E": Composition(C_E, GAMMA_E * C_E),
}


class Parameters(NamedTuple):
    """The parameters by name, in the order of ``PARAMETERS``; floats or symbols."""

    qSmax: Any
    KS: Any
    qOmax: Any
    KO: Any
    qEmax: Any
    KE: Any
    KiE: Any
    Yox: Any
    Yred: Any
    YE: Any


class Rates(NamedTuple):
    """Specific rates, per g of biomass and hour; none is ever negative.

    ``qS`` glucose eaten, ``qEp`` ethanol made, ``qE`` ethanol eaten, ``qO`` O2 taken up, ``qCO2``
    CO2 given off, all g/(g.h); ``mu`` 1/h.
    """

    mu: Any
    qS: Any
    qEp: Any
    qE: Any
    qO: Any
    qCO2: Any


class Yeast:
    """S. cerevisiae in aerobic fed-batch; its product is itself.

    ========= ======= ======= =====================================  ===============
    species   unit    start   what                                   source
    ========= ======= ======= =====================================  ===============
    X         g/L     0.3     biomass, dry                           S-K
    S         g/L     10      glucose                                S-K
    E         g/L     0       ethanol                                S-K
    ========= ======= ======= =====================================  ===============

    ========= ======= ======= =====================================  ===============
    parameter unit    value   what                                   source
    ========= ======= ======= =====================================  ===============
    qSmax     g/(g.h) 3.5     greatest glucose uptake                S-K, recalled
    KS        g/L     0.2     glucose at half of it (0.1-0.2)        S-K, recalled
    qOmax     g/(g.h) 0.256   greatest O2 uptake (8 mmol/g/h)        S-K, recalled
    KO        g/L     0.0001  O2 at half of it                       S-K, recalled
    qEmax     g/(g.h) 0.24    greatest ethanol uptake                S-K, recalled
    KE        g/L     0.1     ethanol at half of it                  S-K, recalled
    KiE       g/L     0.1     glucose that halves ethanol uptake     S-K, recalled
    Yox       g/g     0.49    biomass per glucose respired           S-K
    Yred      g/g     0.05    biomass per glucose fermented          S-K
    YE        g/g     0.72    biomass per ethanol                    S-K
    ========= ======= ======= =====================================  ===============

    Inputs are dissolved oxygen, temperature, pH and ammonia, see ``Surroundings``. Left out:
    maintenance, death, stripping of ethanol, and the hours in which cells turn to ethanol.
    """

    name = "yeast"
    temperature = 30.0
    acidity = 5.0
    species = (
        Variable("X", "g/L", 0.3, 0.0, doc="biomass, dry"),
        Variable("S", "g/L", 10.0, 0.0, doc="glucose"),
        Variable("E", "g/L", 0.0, 0.0, doc="ethanol"),
    )
    feeds = (Feed("feed", "feed", {"S": "S_feed"}, "rho_feed", "glucose"),)
    parameters = PARAMETERS
    medium = MEDIUM
    salts = (100.0, 50.0)
    acid = None
    composition = COMPOSITION
    kla_law = oxygen.NON_COALESCING
    called = {"biomass": "X", "substrate": "S", "product": "X", "ethanol": "E"}  # noqa: RUF012
    watched = Watched(
        tracked=(
            Tracked("X", share=0.2, walk=0.03),
            Tracked("S", share=0.03, sd=0.05, noise=0.03),
            Tracked("E", sd=0.05, noise=0.05, widest=0.3),
        ),
        learned=(Learned("qomax", "qOmax", 0.15), Learned("yox", "Yox", 0.05)),
        quantities={
            "biomass_g_per_l": ("X",),
            "substrate_g_per_l": ("S",),
            "ethanol_g_per_l": ("E",),
            "product_g_per_l": ("X",),
        },
        assays={"dry_weight": ("X",), "glucose": ("S",), "ethanol": ("E",)},
        probes={"capacitance": ("X",), "turbidity": ("X",), "ethanol": ("E",)},
        offsets=("ethanol",),
    )

    def rates(
        self,
        S: Any,
        E: Any,
        O: Any,  # noqa: E741
        p: Sequence[Any],
        fn: Functions,
        activity: Any = 1.0,
    ) -> Rates:
        """Return the rates at concentrations ``S``, ``E``, ``O`` in g/L.

        Glucose goes first through what respiration can take, the rest is fermented; ethanol is
        eaten with the respiration that is left.

        Args:
            S: glucose.
            E: ethanol.
            O: dissolved oxygen.
            p: the strain's parameters, in order.
            fn: the functions for the type of the arguments.
            activity: what temperature, pH and ammonia leave of the rates, 1 at 30 Cel and pH 5.
        """
        k = Parameters(*p)
        o_glucose = (GAMMA_S * C_S - GAMMA_X * C_X * k.Yox) / 4.0 * M_O2  # g O2/g
        o_ethanol = (GAMMA_E * C_E - GAMMA_X * C_X * k.YE) / 4.0 * M_O2
        made = (GAMMA_S * C_S - GAMMA_X * C_X * k.Yred) / (GAMMA_E * C_E)  # g ethanol/g glucose
        qS = activity * k.qSmax * S / (S + k.KS)
        cap = activity * k.qOmax * O / (O + k.KO)
        q_ox = lesser(qS, cap / o_glucose, fn, CORNER)
        q_red = qS - q_ox
        wanted = activity * k.qEmax * E / (E + k.KE) * k.KiE / (S + k.KiE)
        qE = lesser(wanted, (cap - o_glucose * q_ox) / o_ethanol, fn, CORNER)
        mu = k.Yox * q_ox + k.Yred * q_red + k.YE * qE
        qEp = made * q_red
        return Rates(
            mu=mu,
            qS=qS,
            qEp=qEp,
            qE=qE,
            qO=o_glucose * q_ox + o_ethanol * qE,
            qCO2=M_CO2 * (C_S * qS + C_E * (qE - qEp) - C_X * mu),
        )

    def activity(self, T: Any, pH: Any, fn: Functions) -> Any:
        """Return what temperature (Cel) and pH leave of the rates: 1 at 30 Cel and pH 5.

        Arrhenius growth with loss above 39 Cel, and a bell between pH 3 and 7.5 (ours).
        """
        inverse = 1.0 / (T + 273.15)
        grow = fn.exp(60e3 / 8.314 * (1.0 / 303.15 - inverse))
        lost = fn.exp(350e3 / 8.314 * (1.0 / 312.15 - inverse))
        bell = 1.0 + fn.exp(LN10 * (3.0 - pH)) + fn.exp(LN10 * (pH - 7.5))
        return grow * (1.0 + LOST_30) / (1.0 + lost) * BELL_5 / bell

    def exchange(
        self, x: Sequence[Any], at: Surroundings, p: Sequence[Any], fn: Functions
    ) -> Exchange:
        """Return what the cells do in a vessel, see ``models.organism``."""
        X, S, E = x
        activity = self.activity(at.T, at.pH, fn) * at.NH3 / (at.NH3 + AMMONIA_HALF)
        r = self.rates(S, E, at.O, p[: len(PARAMETERS)], fn, activity)
        our = r.qO * X / M_O2 * 1e3
        return Exchange(
            mu=r.mu,
            species=(r.mu * X, -r.qS * X, (r.qEp - r.qE) * X),
            our=our,
            cer=r.qCO2 * X / M_CO2 * 1e3,
            ammonia=1e3 * N_X * r.mu * X,
            heat=heat.RESPIRATION * our + FERMENTATION * r.qEp * X / 46.0 * 1e3,
        )

    def kla_factor(self, x: Sequence[Any], p: Sequence[Any], fn: Functions) -> Any:
        """Return 1: the broth is thin."""
        return 1.0
