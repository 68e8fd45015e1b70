"""Another E. coli: the same species and feeds, other mechanisms. For honest tests, not for control.

An estimator or an optimiser that is only ever tried on its own equations proves nothing. This one
makes and eats acetate at once (the smooth form of Anane et al. 2017; their numbers break the
electron balance, so the numbers are ours), has ribosomes that follow the growth that they carry,
and an expression that starts late, is dear, burdens uptake, and ends in a full cell.
Every rate closes in carbon and electrons as in ``models.ecoli``.
"""

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from models import heat, oxygen, ph
from models.ecoli import (
    ACETIC_ACID,
    AMMONIA_HALF,
    C_A,
    C_P,
    C_S,
    C_X,
    COMPOSITION,
    GAMMA_A,
    GAMMA_P,
    GAMMA_S,
    GAMMA_X,
    M_CO2,
    M_O2,
    MEDIUM,
    N_P,
    N_X,
    OURS,
    XU,
    Rates,
)
from models.fn import LN10, lesser
from models.model import Functions, Variable
from models.organism import Acid, Exchange, Feed, Surroundings

ANANE: Final = "E. Anane et al., Biochem. Eng. J. 125 (2017) 23-30 (form; number ours)"
PKA: Final = 4.76  # of acetic acid; its undissociated share is what inhibits
LOST_37: Final = math.exp(400e3 / 8.314 * (1.0 / 316.15 - 1.0 / 310.15))  # lost to heat at 37 Cel
WIDTH: Final = 1.1  # of the bell of pH around 7.1

PARAMETERS: Final = (
    Variable(
        "qSmax", "g/(g.h)", 1.55, 0.0, doc="greatest glucose uptake, all ribosomes", source=OURS
    ),
    Variable("KS", "g/L", 0.03, 1e-4, doc="glucose at half of it", source=ANANE),
    Variable("qOmax", "g/(g.h)", 0.60, 0.0, doc="greatest O2 uptake, all ribosomes", source=OURS),
    Variable("KO", "g/L", 3e-4, 1e-6, doc="O2 at half of it", source=OURS),
    Variable(
        "pAmax", "g/(g.h)", 0.50, 0.0, doc="greatest flux of glucose to acetate", source=ANANE
    ),
    Variable("Kap", "g/(g.h)", 1.0, 1e-3, doc="glucose uptake at half of it", source=ANANE),
    Variable("qAmax", "g/(g.h)", 0.20, 0.0, doc="greatest acetate uptake", source=ANANE),
    Variable("Ksa", "g/L", 0.02, 1e-4, doc="acetate at half of it", source=ANANE),
    Variable("Kis", "g/(g.h)", 2.1, 1e-3, doc="glucose uptake that halves it", source=ANANE),
    Variable(
        "Kia", "g/L", 3.0, 1e-3, doc="acetate at pH 7 that halves glucose uptake", source=ANANE
    ),
    Variable(
        "qm", "g/(g.h)", 0.03, 0.0, doc="glucose burnt for maintenance at 37 Cel", source=OURS
    ),
    Variable("Yem", "g/g", 0.52, 0.0, doc="biomass per glucose oxidised for growth", source=ANANE),
    Variable("Yof", "g/g", 0.10, 0.0, doc="biomass per glucose that goes to acetate", source=OURS),
    Variable("YXA", "g/g", 0.40, 0.0, doc="biomass per acetate", source=XU),
    Variable("YAS", "g/g", 0.85, 0.0, doc="acetate per glucose of that catabolism", source=ANANE),
    Variable("kR", "1/h", 0.4, 0.0, doc="rate at which ribosomes follow", source=OURS),
    Variable("R0", "1", 0.30, 0.0, 1.0, "ribosomes of cells that starve", OURS),
    Variable("KR", "g/(g.h)", 0.30, 1e-3, doc="glucose uptake at half of the rest", source=OURS),
    Variable("qPm", "g/(g.h)", 0.060, 0.0, doc="scale of product formation", source=OURS),
    Variable("Kmu", "1/h", 0.04, 1e-4, doc="growth below which product falls off", source=OURS),
    Variable("mud", "1/h", 0.20, 1e-4, doc="growth over which it falls off by e", source=OURS),
    Variable(
        "kM", "1/h", 1.5, 0.0, doc="rate at which expression follows the inducer", source=OURS
    ),
    Variable(
        "Pc", "g/g", 0.20, 1e-3, doc="product in a cell that halves its formation", source=OURS
    ),
    Variable("burden", "1", 0.35, 0.0, 1.0, "uptake and respiration lost to expression", OURS),
    Variable("dear", "1", 1.0, 0.0, doc="maintenance that expression adds, over qm", source=OURS),
    Variable("YXP", "g/g", 0.3, 0.0, doc="growth lost per product", source=OURS),
)


class Parameters(NamedTuple):
    """The parameters by name, in the order of ``PARAMETERS``; floats or symbols."""

    qSmax: Any
    KS: Any
    qOmax: Any
    KO: Any
    pAmax: Any
    Kap: Any
    qAmax: Any
    Ksa: Any
    Kis: Any
    Kia: Any
    qm: Any
    Yem: Any
    Yof: Any
    YXA: Any
    YAS: Any
    kR: Any
    R0: Any
    KR: Any
    qPm: Any
    Kmu: Any
    mud: Any
    kM: Any
    Pc: Any
    burden: Any
    dear: Any
    YXP: Any


class EColiTwin:
    """E. coli with acetate cycling, ribosomes that lag, and an expression that fills the cell.

    ========= ======= ======= ============================================ =========
    species   unit    start   what                                         source
    ========= ======= ======= ============================================ =========
    X         g/L     0.1     biomass, dry                                 Xu
    S         g/L     10      glucose                                      Xu
    A         g/L     0       acetate, as acetic acid                      Xu
    P         g/L     0       product                                      ours
    R         1       0.8     ribosomes over the most that it has          ours
    Ex        1       0       expression over the most that it has         ours
    inducer   mmol/L  0       inducer                                      ours
    ========= ======= ======= ============================================ =========

    ========= ======= ======= ============================================ =========
    parameter unit    value   what                                         source
    ========= ======= ======= ============================================ =========
    qSmax     g/(g.h) 1.55    greatest glucose uptake, all ribosomes       ours
    KS        g/L     0.03    glucose at half of it                        Anane
    qOmax     g/(g.h) 0.6     greatest O2 uptake, all ribosomes            ours
    KO        g/L     0.0003  O2 at half of it                             ours
    pAmax     g/(g.h) 0.5     greatest flux of glucose to acetate          Anane
    Kap       g/(g.h) 1       glucose uptake at half of it                 Anane
    qAmax     g/(g.h) 0.2     greatest acetate uptake                      Anane
    Ksa       g/L     0.02    acetate at half of it                        Anane
    Kis       g/(g.h) 2.1     glucose uptake that halves it                Anane
    Kia       g/L     3       acetate at pH 7 that halves glucose uptake   Anane
    qm        g/(g.h) 0.03    glucose burnt for maintenance at 37 Cel      ours
    Yem       g/g     0.52    biomass per glucose oxidised for growth      Anane
    Yof       g/g     0.1     biomass per glucose that goes to acetate     ours
    YXA       g/g     0.4     biomass per acetate                          Xu
    YAS       g/g     0.85    acetate per glucose of that catabolism       Anane
    kR        1/h     0.4     rate at which ribosomes follow               ours
    R0        1       0.3     ribosomes of cells that starve               ours
    KR        g/(g.h) 0.3     glucose uptake at half of the rest           ours
    qPm       g/(g.h) 0.06    scale of product formation                   ours
    Kmu       1/h     0.04    growth below which product falls off         ours
    mud       1/h     0.2     growth over which it falls off by e          ours
    kM        1/h     1.5     rate at which expression follows the inducer ours
    Pc        g/g     0.2     product in a cell that halves its formation  ours
    burden    1       0.35    uptake and respiration lost to expression    ours
    dear      1       1       maintenance that expression adds, over qm    ours
    YXP       g/g     0.3     growth lost per product                      ours
    ========= ======= ======= ============================================ =========

    Inputs are dissolved oxygen, temperature, pH and ammonia, see ``Surroundings``. Where it
    differs from ``models.ecoli``: acetate is made at any uptake, not beyond a bottleneck;
    undissociated acid inhibits, so pH does; ribosomes carry uptake and respiration and
    lag behind them; product fatigues by what a cell holds, not by time; maintenance grows with
    temperature, and a bell in place of two pKa gives the pH.
    """

    name = "ecoli_twin"
    temperature = 37.0
    acidity = 7.0
    species = (
        Variable("X", "g/L", 0.1, 0.0, doc="biomass, dry"),
        Variable("S", "g/L", 10.0, 0.0, doc="glucose"),
        Variable("A", "g/L", 0.0, 0.0, doc="acetate, as acetic acid"),
        Variable("P", "g/L", 0.0, 0.0, doc="product"),
        Variable("R", "1", 0.8, 0.0, 1.0, doc="ribosomes over the most that it has"),
        Variable("Ex", "1", 0.0, 0.0, 1.0, doc="expression over the most that it has"),
        Variable("inducer", "mmol/L", 0.0, 0.0, doc="inducer"),
    )
    feeds = (
        Feed("feed", "feed", {"S": "S_feed"}, "rho_feed", "glucose"),
        Feed("inducer", "dose", {"inducer": "c_inducer"}, doc="inducer"),
    )
    parameters = PARAMETERS
    medium = MEDIUM
    salts = (100.0, 50.0)
    acid = Acid("A", ACETIC_ACID, ph.K_ACETATE)
    composition = COMPOSITION
    kla_law = oxygen.NON_COALESCING
    called = {"biomass": "X", "substrate": "S", "product": "P", "acetate": "A"}  # noqa: RUF012

    def rates(
        self,
        x: Sequence[Any],
        O: Any,  # noqa: E741
        p: Sequence[Any],
        fn: Functions,
        activity: Any = 1.0,
        maintenance: Any = 1.0,
        acidity: Any = 1.0,
    ) -> Rates:
        """Return the rates, which close in carbon and electrons exactly.

        Args:
            x: the species, in order.
            O: dissolved oxygen, g/L.
            p: the strain's parameters, in order.
            fn: the functions for the type of the arguments.
            activity: what temperature, pH and ammonia leave of the rates, 1 at 37 Cel and pH 7.
            maintenance: it over that at 37 Cel.
            acidity: undissociated acid over that at pH 7.
        """
        k = Parameters(*p)
        X, S, A, P, R, Ex, _inducer = x
        able = activity * R * (1.0 - k.burden * Ex)
        qS = able * k.qSmax / (1.0 + A * acidity / k.Kia) * S / (S + k.KS)
        breath = O / (O + k.KO)
        cap = able * k.qOmax * breath
        o_burn = GAMMA_S * C_S / 4.0 * M_O2  # g O2/g, all burnt
        o_grow = (GAMMA_S * C_S - GAMMA_X * C_X * k.Yem) / 4.0 * M_O2
        aerated = cap / (cap + 0.02)

        spilt = k.pAmax * qS * qS / (qS * qS + k.Kap * k.Kap)
        wanted = maintenance * k.qm * (1.0 + k.dear * Ex)
        q_burn = lesser(lesser(qS - spilt, wanted, fn), cap / o_burn, fn)
        q_grow = lesser(qS - spilt - q_burn, (cap - o_burn * q_burn) / o_grow, fn)
        q_of = qS - q_burn - q_grow  # what is spilt, and what cannot be breathed
        qAc = activity * k.qAmax / (1.0 + qS / k.Kis) * A / (A + k.Ksa) * breath
        endogenous = (wanted - q_burn) * k.Yem * aerated

        mu_grow = k.Yem * q_grow
        held = P / ((X + 1e-3) * k.Pc)
        qP = activity * k.qPm * Ex * mu_grow / (k.Kmu + mu_grow) * fn.exp(-mu_grow / k.mud)
        qP = qP / (1.0 + held * held)
        q_grow = q_grow - (GAMMA_P * C_P - GAMMA_X * C_X * k.YXP) / (GAMMA_S * C_S) * qP

        of_cells = k.Yof * C_X / C_S
        aerobic, anaerobic = (1.0 - of_cells) * k.YAS, 1.0 - GAMMA_X / GAMMA_S * of_cells
        qAp = q_of * (aerated * aerobic + (1.0 - aerated) * anaerobic)
        mu = k.Yem * q_grow + k.Yof * q_of + k.YXA * qAc - endogenous - k.YXP * qP
        electrons = GAMMA_S * C_S * qS - GAMMA_A * C_A * (qAp - qAc)
        electrons = electrons - GAMMA_X * C_X * mu - GAMMA_P * C_P * qP
        qCO2 = M_CO2 * (C_S * qS - C_A * (qAp - qAc) - C_X * mu - C_P * qP)
        return Rates(mu, qS, qAp, qAc, electrons / 4.0 * M_O2, qCO2, qP, N_X * mu + N_P * qP)

    def activity(self, T: Any, pH: Any, fn: Functions) -> Any:
        """Return what temperature (Cel) and pH leave of the rates: 1 at 37 Cel and pH 7 (ours)."""
        inverse = 1.0 / (T + 273.15)
        grow = fn.exp(75e3 / 8.314 * (1.0 / 310.15 - inverse))
        lost = fn.exp(400e3 / 8.314 * (1.0 / 316.15 - inverse))
        off = (pH - 7.1) / WIDTH
        bell = fn.exp((0.1 / WIDTH) * (0.1 / WIDTH) - off * off)
        return grow * (1.0 + LOST_37) / (1.0 + lost) * bell

    def exchange(
        self, x: Sequence[Any], at: Surroundings, p: Sequence[Any], fn: Functions
    ) -> Exchange:
        """Return what the cells do in a vessel, see ``models.organism``."""
        X, _S, _A, _P, R, Ex, inducer = x
        strain = p[: len(PARAMETERS)]
        k, switch = Parameters(*strain), p[len(PARAMETERS) + len(MEDIUM) - 1]
        i2 = inducer * inducer
        induced = i2 / (i2 + switch * switch)
        activity = self.activity(at.T, at.pH, fn) * at.NH3 / (at.NH3 + AMMONIA_HALF)
        maintenance = fn.exp(90e3 / 8.314 * (1.0 / 310.15 - 1.0 / (at.T + 273.15)))
        acidity = (1.0 + 10.0 ** (7.0 - PKA)) / (1.0 + fn.exp(LN10 * (at.pH - PKA)))
        r = self.rates(x, at.O, strain, fn, activity, maintenance, acidity)
        our = r.qO * X / M_O2 * 1e3
        ribosomes = k.R0 + (1.0 - k.R0) * r.qS / (r.qS + k.KR)
        return Exchange(
            mu=r.mu,
            species=(
                r.mu * X,
                -r.qS * X,
                (r.qAp - r.qAc) * X,
                r.qP * X,
                k.kR * (ribosomes - R),
                k.kM * (induced - Ex),
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
