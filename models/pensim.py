"""Penicillin after Birol, Undey and Cinar, with what is wrong in its printed form repaired.

Small, and known from many papers on monitoring. As printed, its oxygen is decorative, its
temperature term has no optimum where it says, and its sugar goes below zero; see
``models/README.md``. For a plant to be rehearsed on, take ``models.penicillin``.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from models import heat, oxygen
from models.fn import LN10
from models.model import Functions, Variable
from models.organism import Composition, Exchange, Feed, Surroundings
from models.penicillin import C_P, C_PAA, C_S, C_X, GAMMA_P, GAMMA_PAA, N_P, N_X, PAA_PER_P

BIROL: Final = "G. Birol, C. Undey, A. Cinar, Comput. Chem. Eng. 26 (2002) 1553-1565 (public ports)"
OURS: Final = "chosen for fermloop (illustrative)"
M_P: Final = 334.4  # g/mol
# what of penicillin is made of sugar: its side chain comes from a precursor that is always there
C_N: Final = C_P - PAA_PER_P * C_PAA  # mol C/g penicillin
E_N: Final = GAMMA_P * C_P - PAA_PER_P * GAMMA_PAA * C_PAA  # mol electrons/g penicillin
AMMONIA_HALF: Final = 1.0  # mmol/L that halves growth, so that it is never overdrawn
GAS: Final = 1.987  # cal/(mol.K)

PARAMETERS: Final = (
    Variable("mux", "1/h", 0.092, 0.0, doc="greatest growth", source=BIROL),
    Variable("Kx", "g/g", 0.15, 1e-4, doc="Contois constant of sugar", source=BIROL),
    Variable("Kox", "g/g", 1.41e-4, 0.0, doc="Contois constant of O2, in real units", source=BIROL),
    Variable("mup", "1/h", 0.005, 0.0, doc="greatest penicillin formation", source=BIROL),
    Variable("Kp", "g/L", 2e-4, 1e-6, doc="sugar at half of it", source=BIROL),
    Variable("KI", "g/L", 0.1, 1e-4, doc="sugar that represses it", source=BIROL),
    Variable("Kop", "(g/L)3.g/g", 1.77e-10, 0.0, doc="of O2 cubed, rescaled", source=BIROL),
    Variable("K", "1/h", 0.04, 0.0, doc="hydrolysis of penicillin", source=BIROL),
    Variable("Yxs", "g/g", 0.45, 0.0, doc="biomass per sugar", source=BIROL),
    Variable("Yps", "g/g", 0.90, 0.0, doc="penicillin per sugar", source=BIROL),
    Variable("mx", "g/(g.h)", 0.014, 0.0, doc="sugar burnt for maintenance", source=BIROL),
    Variable("Kmx", "g/L", 5e-4, 1e-6, doc="sugar at half of that: none below 0", source=OURS),
    Variable("kd", "1", 5e34, 0.0, doc="loss by heat; optimum 35 Cel as said", source=OURS),
)
MEDIUM: Final = (
    Variable("broth", "1", 0.7, 0.1, 2.0, "kLa of broth over van 't Riet's", "PROCESS 2: 0.5-0.8"),
    Variable("salting", "1", 1.0, 0.5, 1.0, "O2 solubility of medium over water", OURS),
    Variable("S_feed", "g/L", 600.0, 0.0, doc="glucose in the feed", source=BIROL),
    Variable("rho_feed", "kg/L", 1.22, 0.5, doc="density of the feed", source="sugar tables, 49 %"),
    Variable("c_base", "mmol/L", 4000.0, 0.0, doc="ammonia in the base", source=OURS),
    Variable("c_acid", "mmol/L", 1000.0, 0.0, doc="H3PO4 in the acid", source=OURS),
)


COMPOSITION: Final = {
    "X": Composition(C_X, 4.2 * C_X, N_X),
    "S": Composition(C_S, 4.0 * C_S),
    "P": Composition(C_N, E_N, N_P),
    "H": Composition(C_N, E_N, N_P),
}


class Parameters(NamedTuple):
    """The parameters by name, in the order of ``PARAMETERS``; floats or symbols."""

    mux: Any
    Kx: Any
    Kox: Any
    mup: Any
    Kp: Any
    KI: Any
    Kop: Any
    K: Any
    Yxs: Any
    Yps: Any
    mx: Any
    Kmx: Any
    kd: Any


class Rates(NamedTuple):
    """Specific rates: ``mu`` 1/h; ``qS``, ``qP`` g/(g.h); ``qO``, ``qCO2`` mmol/(g.h)."""

    mu: Any
    qS: Any
    qP: Any
    qO: Any
    qCO2: Any


class PenSim:
    """P. chrysogenum as in PenSim.

    ========= =========== ======== ======================================  ===========
    species   unit        start    what                                    source
    ========= =========== ======== ======================================  ===========
    X         g/L         0.1      biomass, dry                            Birol
    S         g/L         15       glucose                                 Birol
    P         g/L         0        penicillin                              Birol
    H         g/L         0        hydrolysed penicillin                   ours
    ========= =========== ======== ======================================  ===========

    ========= =========== ======== ======================================  ===========
    parameter unit        value    what                                    source
    ========= =========== ======== ======================================  ===========
    mux       1/h         0.092    greatest growth                         Birol
    Kx        g/g         0.15     Contois constant of sugar               Birol
    Kox       g/g         1.41e-4  Contois constant of O2                  rescaled
    mup       1/h         0.005    greatest penicillin formation           Birol
    Kp        g/L         2e-4     sugar at half of it                     Birol
    KI        g/L         0.1      sugar that represses it                 Birol
    Kop       (g/L)3.g/g  1.77e-10 of O2 cubed                             rescaled
    K         1/h         0.04     hydrolysis; moves P from 1.7 to 6 g/L   Birol
    Yxs       g/g         0.45     biomass per sugar                       Birol
    Yps       g/g         0.90     penicillin per sugar                    Birol
    mx        g/(g.h)     0.014    maintenance                             Birol
    Kmx       g/L         5e-4     sugar at half of maintenance            ours
    kd        1           5e34     loss by heat, printed as 1e33           repaired
    ========= =========== ======== ======================================  ===========

    Inputs are dissolved oxygen, temperature, pH and ammonia, see ``Surroundings``.
    """

    name = "pensim"
    temperature = 25.0
    acidity = 5.0
    species = (
        Variable("X", "g/L", 0.1, 0.0, doc="biomass, dry"),
        Variable("S", "g/L", 15.0, 0.0, doc="glucose"),
        Variable("P", "g/L", 0.0, 0.0, doc="penicillin"),
        Variable("H", "g/L", 0.0, 0.0, doc="hydrolysed penicillin, as penicillin"),
    )
    feeds = (Feed("feed", "feed", {"S": "S_feed"}, "rho_feed", "glucose"),)
    parameters = PARAMETERS
    medium = MEDIUM
    salts = (100.0, 50.0)
    acid = None
    composition = COMPOSITION
    kla_law = oxygen.NON_COALESCING
    called = {"biomass": "X", "substrate": "S", "product": "P", "hydrolysed": "H"}  # noqa: RUF012

    def rates(
        self,
        X: Any,
        S: Any,
        O: Any,  # noqa: E741
        p: Sequence[Any],
        activity: Any = 1.0,
    ) -> Rates:
        """Return the rates at ``X``, ``S`` and ``O`` in g/L; oxygen and CO2 by the balances.

        ``activity`` is the paper's factor of temperature and pH, see ``activity``.
        """
        k = Parameters(*p)
        breath = O / (k.Kox * X + O + 1e-12)
        mu = k.mux * activity * S / (k.Kx * X + S + 1e-12) * breath
        cubed = O * O * O
        qP = k.mup * S / (k.Kp + S + S * S / k.KI) * cubed / (k.Kop * X + cubed + 1e-18)
        qS = mu / k.Yxs + qP / k.Yps + k.mx * S / (S + k.Kmx) * breath
        electrons = 4.0 * C_S * qS - 4.2 * C_X * mu - E_N * qP
        return Rates(mu, qS, qP, 250.0 * electrons, 1e3 * (C_S * qS - C_X * mu - C_N * qP))

    def activity(self, T: Any, pH: Any, p: Sequence[Any], fn: Functions) -> Any:
        """Return the paper's factors of temperature (Cel) and pH: 1.10 at 25 Cel and pH 5."""
        K, h = T + 273.15, fn.exp(-LN10 * pH)
        grow = 7e3 * fn.exp(-5100.0 / (GAS * K))
        left = fn.max(grow - Parameters(*p).kd * fn.exp(-5e4 / (GAS * K)), 0.0, 1e-3)
        return left / (1.0 + 1e-10 / h + h / 7e-5)

    def exchange(
        self, x: Sequence[Any], at: Surroundings, p: Sequence[Any], fn: Functions
    ) -> Exchange:
        """Return what the cells do in a vessel, see ``models.organism``."""
        X, S, P, _H = x
        strain = p[: len(PARAMETERS)]
        activity = self.activity(at.T, at.pH, strain, fn) * at.NH3 / (at.NH3 + AMMONIA_HALF)
        r = self.rates(X, S, at.O, strain, activity)
        broken = Parameters(*strain).K * P
        return Exchange(
            mu=r.mu,
            species=(r.mu * X, -r.qS * X, r.qP * X - broken, broken),
            our=r.qO * X,
            cer=r.qCO2 * X,
            ammonia=1e3 * (N_X * r.mu + N_P * r.qP) * X,
            heat=heat.RESPIRATION * r.qO * X,
            strong=1e3 / M_P * (r.qP * X - broken),
        )

    def kla_factor(self, x: Sequence[Any], p: Sequence[Any], fn: Functions) -> Any:
        """Return 1: viscosity is not in the paper."""
        return 1.0
