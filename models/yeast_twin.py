"""Another yeast: the same species and feeds, other mechanisms. For honest tests, not for control.

After Sonnleitner and Kaeppeli only in its three reactions. Its respiration is repressed by the
glucose that flows through and comes back in hours, which is also when ethanol can be eaten; what it
eats beyond growth goes to a store (glycogen and trehalose) that it lives on when it starves; its
switch to ethanol is soft. Every rate closes in carbon and electrons as in ``models.yeast``.
"""

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from models import heat, oxygen
from models.fn import lesser
from models.model import Functions, Variable
from models.organism import Composition, Exchange, Feed, Surroundings
from models.yeast import (
    AMMONIA_HALF,
    C_E,
    C_S,
    C_X,
    COMPOSITION,
    FERMENTATION,
    GAMMA_E,
    GAMMA_S,
    GAMMA_X,
    M_CO2,
    M_O2,
    MEDIUM,
    N_X,
    OURS,
    SK,
    Rates,
)

C_G: Final = 6.0 / 162.0  # mol C/g of the store, a glucan
G_PER_S: Final = 162.0 / 180.0  # g of it per g of glucose
LOST_30: Final = math.exp(450e3 / 8.314 * (1.0 / 311.15 - 1.0 / 303.15))  # lost at 30 Cel
WIDTH: Final = 2.2  # of the bell of pH around 5.2

PARAMETERS: Final = (
    Variable("qSmax", "g/(g.h)", 3.2, 0.0, doc="greatest glucose uptake", source=OURS),
    Variable("KS", "g/L", 0.12, 1e-4, doc="glucose at half of it", source=SK),
    Variable("KiP", "g/L", 40.0, 1.0, doc="ethanol that halves glucose uptake", source=OURS),
    Variable("qOmax", "g/(g.h)", 0.30, 0.0, doc="greatest O2 uptake, not repressed", source=OURS),
    Variable("KO", "g/L", 2e-4, 1e-6, doc="O2 at half of it", source=OURS),
    Variable("R0", "1", 0.60, 0.0, 1.0, "what repression leaves of it", OURS),
    Variable("KR", "g/(g.h)", 0.90, 1e-3, doc="glucose flux that represses half", source=OURS),
    Variable("kR", "1/h", 0.70, 0.0, doc="rate at which respiration comes and goes", source=OURS),
    Variable(
        "qEmax", "g/(g.h)", 0.26, 0.0, doc="greatest ethanol uptake, not repressed", source=OURS
    ),
    Variable("KE", "g/L", 0.15, 1e-4, doc="ethanol at half of it", source=OURS),
    Variable("Yox", "g/g", 0.50, 0.0, doc="biomass per glucose respired", source=OURS),
    Variable("Yred", "g/g", 0.06, 0.0, doc="biomass per glucose fermented", source=OURS),
    Variable("YE", "g/g", 0.66, 0.0, doc="biomass per ethanol", source=OURS),
    Variable("qm", "g/(g.h)", 0.012, 0.0, doc="glucose burnt for maintenance", source=OURS),
    Variable("qGmax", "g/(g.h)", 0.10, 0.0, doc="greatest flux to the store", source=OURS),
    Variable("KG", "g/(g.h)", 0.30, 1e-3, doc="glucose uptake at half of it", source=OURS),
    Variable("KiG", "g/(g.h)", 1.0, 1e-3, doc="glucose uptake that halves it again", source=OURS),
    Variable("Gmax", "g/g", 0.18, 1e-3, doc="store that a cell can hold", source=OURS),
    Variable("kG", "1/h", 0.15, 0.0, doc="use of the store when starved", source=OURS),
    Variable("KGm", "g/(g.h)", 0.05, 1e-4, doc="glucose uptake that halves that", source=OURS),
)


class Parameters(NamedTuple):
    """The parameters by name, in the order of ``PARAMETERS``; floats or symbols."""

    qSmax: Any
    KS: Any
    KiP: Any
    qOmax: Any
    KO: Any
    R0: Any
    KR: Any
    kR: Any
    qEmax: Any
    KE: Any
    Yox: Any
    Yred: Any
    YE: Any
    qm: Any
    qGmax: Any
    KG: Any
    KiG: Any
    Gmax: Any
    kG: Any
    KGm: Any


class Inside(NamedTuple):
    """What happens in the cell beside ``Rates``.

    ``flux`` glucose that metabolism gets, g/(g.h); ``stored`` the store's gain, g/(g.h).
    """

    flux: Any
    stored: Any


class YeastTwin:
    """S. cerevisiae that adapts its respiration, keeps a store, and turns to ethanol softly.

    ========= ======= ======= ======================================== =========
    species   unit    start   what                                     source
    ========= ======= ======= ======================================== =========
    X         g/L     0.3     biomass without its store, dry           S-K
    S         g/L     10      glucose                                  S-K
    E         g/L     0       ethanol                                  S-K
    G         g/L     0       store: glycogen and trehalose            ours
    R         1       0.5     respiratory enzymes, 1 derepressed       ours
    ========= ======= ======= ======================================== =========

    ========= ======= ======= ======================================== =========
    parameter unit    value   what                                     source
    ========= ======= ======= ======================================== =========
    qSmax     g/(g.h) 3.2     greatest glucose uptake                  ours
    KS        g/L     0.12    glucose at half of it                    S-K
    KiP       g/L     40      ethanol that halves glucose uptake       ours
    qOmax     g/(g.h) 0.3     greatest O2 uptake, not repressed        ours
    KO        g/L     0.0002  O2 at half of it                         ours
    R0        1       0.6     what repression leaves of it             ours
    KR        g/(g.h) 0.9     glucose flux that represses half         ours
    kR        1/h     0.7     rate at which respiration comes and goes ours
    qEmax     g/(g.h) 0.26    greatest ethanol uptake, not repressed   ours
    KE        g/L     0.15    ethanol at half of it                    ours
    Yox       g/g     0.5     biomass per glucose respired             ours
    Yred      g/g     0.06    biomass per glucose fermented            ours
    YE        g/g     0.66    biomass per ethanol                      ours
    qm        g/(g.h) 0.012   glucose burnt for maintenance            ours
    qGmax     g/(g.h) 0.1     greatest flux to the store               ours
    KG        g/(g.h) 0.3     glucose uptake at half of it             ours
    KiG       g/(g.h) 1       glucose uptake that halves it again      ours
    Gmax      g/g     0.18    store that a cell can hold               ours
    kG        1/h     0.15    use of the store when starved            ours
    KGm       g/(g.h) 0.05    glucose uptake that halves that          ours
    ========= ======= ======= ======================================== =========

    Inputs are dissolved oxygen, temperature, pH and ammonia, see ``Surroundings``.
    """

    name = "yeast_twin"
    temperature = 30.0
    acidity = 5.0
    species = (
        Variable("X", "g/L", 0.3, 0.0, doc="biomass without its store, dry"),
        Variable("S", "g/L", 10.0, 0.0, doc="glucose"),
        Variable("E", "g/L", 0.0, 0.0, doc="ethanol"),
        Variable("G", "g/L", 0.0, 0.0, doc="store: glycogen and trehalose"),
        Variable("R", "1", 0.5, 0.0, 1.0, doc="respiratory enzymes, 1 derepressed"),
    )
    feeds = (Feed("feed", "feed", {"S": "S_feed"}, "rho_feed", "glucose"),)
    parameters = PARAMETERS
    medium = MEDIUM
    salts = (100.0, 50.0)
    acid = None
    composition = COMPOSITION | {"G": Composition(C_G, GAMMA_S * C_G)}
    kla_law = oxygen.NON_COALESCING
    called = {"biomass": "X", "substrate": "S", "product": "X", "ethanol": "E"}  # noqa: RUF012

    def rates(
        self,
        x: Sequence[Any],
        O: Any,  # noqa: E741
        p: Sequence[Any],
        fn: Functions,
        activity: Any = 1.0,
    ) -> tuple[Rates, Inside]:
        """Return the rates, which close in carbon and electrons exactly.

        Args:
            x: the species, in order.
            O: dissolved oxygen, g/L.
            p: the strain's parameters, in order.
            fn: the functions for the type of the arguments.
            activity: what temperature, pH and ammonia leave of the rates, 1 at 30 Cel and pH 5.
        """
        k = Parameters(*p)
        X, S, E, G, R = x
        o_glucose = (GAMMA_S * C_S - GAMMA_X * C_X * k.Yox) / 4.0 * M_O2  # g O2/g
        o_ethanol = (GAMMA_E * C_E - GAMMA_X * C_X * k.YE) / 4.0 * M_O2
        made = (GAMMA_S * C_S - GAMMA_X * C_X * k.Yred) / (GAMMA_E * C_E)  # g ethanol/g glucose
        cap = activity * k.qOmax * (k.R0 + (1.0 - k.R0) * R) * O / (O + k.KO)
        breathes = cap / (cap + 0.01)

        qS = activity * k.qSmax * S / (S + k.KS) / (1.0 + E / k.KiP)
        held = G / (X + 1e-3)  # g/g
        to_store = k.qGmax * qS / (qS + k.KG) / (1.0 + qS / k.KiG) * (1.0 - held / k.Gmax)
        from_store = activity * k.kG * held / (1.0 + qS / k.KGm)
        flux = qS - to_store + from_store / G_PER_S

        bottleneck = cap / o_glucose
        q2, b2 = flux * flux, bottleneck * bottleneck
        q_ox = flux * bottleneck / fn.sqrt(fn.sqrt(q2 * q2 + b2 * b2 + 1e-16))
        q_red = flux - q_ox
        qE = lesser(
            activity * k.qEmax * R * E / (E + k.KE), (cap - o_glucose * q_ox) / o_ethanol, fn
        )
        q_burn = lesser(q_ox, k.qm, fn)
        starved = (k.qm - q_burn) * k.Yox * breathes
        mu = k.Yox * (q_ox - q_burn) + k.Yred * q_red + k.YE * qE - starved
        qEp = made * q_red
        stored = G_PER_S * to_store - from_store
        carbon = C_S * qS + C_E * (qE - qEp) - C_X * mu - C_G * stored
        electrons = GAMMA_S * (C_S * qS - C_G * stored) + GAMMA_E * C_E * (qE - qEp)
        qO = (electrons - GAMMA_X * C_X * mu) / 4.0 * M_O2
        return Rates(mu, qS, qEp, qE, qO, M_CO2 * carbon), Inside(flux, stored)

    def activity(self, T: Any, pH: Any, fn: Functions) -> Any:
        """Return what temperature (Cel) and pH leave of the rates: 1 at 30 Cel and pH 5 (ours)."""
        inverse = 1.0 / (T + 273.15)
        grow = fn.exp(45e3 / 8.314 * (1.0 / 303.15 - inverse))
        lost = fn.exp(450e3 / 8.314 * (1.0 / 311.15 - inverse))
        off = (pH - 5.2) / WIDTH
        bell = fn.exp((0.2 / WIDTH) * (0.2 / WIDTH) - off * off)
        return grow * (1.0 + LOST_30) / (1.0 + lost) * bell

    def exchange(
        self, x: Sequence[Any], at: Surroundings, p: Sequence[Any], fn: Functions
    ) -> Exchange:
        """Return what the cells do in a vessel, see ``models.organism``."""
        X, R = x[0], x[4]
        strain = p[: len(PARAMETERS)]
        k = Parameters(*strain)
        activity = self.activity(at.T, at.pH, fn) * at.NH3 / (at.NH3 + AMMONIA_HALF)
        r, inside = self.rates(x, at.O, strain, fn, activity)
        our = r.qO * X / M_O2 * 1e3
        repressed = inside.flux / k.KR
        return Exchange(
            mu=r.mu,
            species=(
                r.mu * X,
                -r.qS * X,
                (r.qEp - r.qE) * X,
                inside.stored * X,
                k.kR * (1.0 / (1.0 + repressed * repressed) - R),
            ),
            our=our,
            cer=r.qCO2 * X / M_CO2 * 1e3,
            ammonia=1e3 * N_X * r.mu * X,
            heat=heat.RESPIRATION * our + FERMENTATION * r.qEp * X / 46.0 * 1e3,
        )

    def kla_factor(self, x: Sequence[Any], p: Sequence[Any], fn: Functions) -> Any:
        """Return 1: the broth is thin."""
        return 1.0
