"""Industrial penicillin: sugar and oil, precursor and nitrogen with windows, cells that age.

The reduced model of the process notes (1c), closed in carbon, nitrogen and electrons, in the place
of the structured one of Goldrick et al. (2015): active and degenerate cells for its regions and
vacuoles, the mean age of the active ones for its integral of biomass. Its numbers are theirs
where they have a meaning here, as public implementations print them; ``models/README.md`` says
what was repaired.
"""

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from models import heat, oxygen
from models.fn import LN10, power
from models.model import Functions, Variable
from models.organism import Acid, Composition, Exchange, Feed, Surroundings
from models.watched import Learned, Tracked, Watched

GOLDRICK: Final = "S. Goldrick et al., J. Biotechnol. 193 (2015) 70-82 (public implementations)"
OURS: Final = "chosen for fermloop (illustrative)"

C_S: Final = 1.0 / 30.0  # mol C/g of glucose
C_L: Final = 57.0 / 884.0  # of oil, as triolein
C_X: Final = 1.0 / 24.6  # of biomass, CH1.8O0.5N0.2
C_PAA: Final = 8.0 / 136.15  # of phenylacetic acid, C8H8O2
C_P: Final = 16.0 / 334.4  # of penicillin G, C16H18N2O4S, and of what is left when it hydrolyses
GAMMA_S: Final = (
    4.0  # degree of reduction, electrons per C; nitrogen as ammonia, sulphur as sulphate
)
GAMMA_L: Final = 320.0 / 57.0
GAMMA_X: Final = 4.2
GAMMA_PAA: Final = 36.0 / 8.0
GAMMA_P: Final = 74.0 / 16.0
N_X: Final = 0.2 * C_X  # mol N/g
N_P: Final = 2.0 / 334.4
PAA_PER_P: Final = 136.15 / 334.4  # g/g: the side chain
M_P: Final = 334.4  # g/mol
M_O2: Final = 32.0
M_CO2: Final = 44.0
OIL_WORTH: Final = 2.0  # g of sugar that a g of oil replaces (yields on oil are about 1 g/g)
AMMONIA_HALF: Final = 1.0  # mmol/L that halves growth, so that it is never overdrawn
PRECURSOR_HALF: Final = 0.01  # g/L, likewise of precursor
# what temperature and pH leave at 25 Cel and pH 6.5
LOST_25: Final = math.exp(350e3 / 8.314 * (1.0 / 305.15 - 1.0 / 298.15))
BELL_65: Final = 1.0 + 10.0**-1.5 + 2.5 * 10.0**-1.5

PARAMETERS: Final = (
    Variable("qSmax", "g/(g.h)", 0.20, 0.0, doc="greatest specific sugar uptake", source=OURS),
    Variable("KS", "g/L", 0.009, 1e-4, doc="sugar at half of qSmax", source=GOLDRICK),
    Variable("qLmax", "g/(g.h)", 0.05, 0.0, doc="greatest specific oil uptake", source=OURS),
    Variable("KL", "g/L", 0.5, 1e-3, doc="oil at half of qLmax", source=OURS),
    Variable("KO", "g/L", 2e-4, 1e-6, doc="O2 at half of any uptake", source=OURS),
    Variable("Y", "g/g", 0.54, 0.0, doc="biomass per sugar for growth", source=GOLDRICK),
    Variable("YSP", "g/g", 0.9, 0.0, doc="sugar per penicillin", source=GOLDRICK),
    Variable("m", "g/(g.h)", 0.029, 0.0, doc="sugar burnt for maintenance", source=GOLDRICK),
    Variable("qPm", "g/(g.h)", 0.024, 0.0, doc="scale of penicillin formation", source=OURS),
    Variable("Kq", "g/(g.h)", 0.02, 1e-4, doc="uptake at half of that", source=OURS),
    Variable("Ki", "g/L", 0.02, 1e-4, doc="sugar that halves it: repression", source=OURS),
    Variable("a", "1/h", 0.002, 0.0, doc="loss of formation with age", source=OURS),
    Variable("kd", "1/h", 0.001, 0.0, doc="degeneration of young cells", source=OURS),
    Variable("tau", "h", 50.0, 1.0, doc="age that doubles degeneration", source=OURS),
    Variable("kl", "1/h", 0.0035, 0.0, doc="lysis of degenerate cells", source=GOLDRICK),
    Variable("OX", "g/L", 0.0015, 0.0, doc="O2 below which growth falls off", source=GOLDRICK),
    Variable("OP", "g/L", 0.0045, 0.0, doc="O2 below which formation does", source=GOLDRICK),
    Variable("PAAX", "g/L", 2.4, 0.0, doc="precursor above which growth stops", source=GOLDRICK),
    Variable("PAAP", "g/L", 0.2, 0.0, doc="precursor that formation needs", source=GOLDRICK),
    Variable("YPAA", "g/g", 0.045, 0.0, doc="precursor burnt per growth", source=GOLDRICK),
    Variable("NX", "mmol/L", 10.7, 0.0, doc="ammonia that growth needs", source=GOLDRICK),
    Variable("keta", "1", 1.4, 0.0, doc="viscosity, mPa.s, of 1 g/L of cells", source=OURS),
)
MEDIUM: Final = (
    Variable("broth", "1", 1.0, 0.1, 2.0, "kLa over van 't Riet's but for viscosity", OURS),
    Variable("salting", "1", 1.0, 0.5, 1.0, "O2 solubility of medium over water", OURS),
    Variable("S_feed", "g/L", 600.0, 0.0, doc="glucose in the feed", source=GOLDRICK),
    Variable("rho_feed", "kg/L", 1.22, 0.5, doc="density of the feed", source="sugar tables, 49 %"),
    Variable("c_base", "mmol/L", 4000.0, 0.0, doc="ammonia in the base", source=OURS),
    Variable("c_acid", "mmol/L", 1000.0, 0.0, doc="H3PO4 in the acid", source=OURS),
    Variable("c_oil", "g/L", 920.0, 0.0, doc="oil in the oil", source="soybean oil"),
    Variable("rho_oil", "kg/L", 0.92, 0.5, doc="density of oil", source="soybean oil"),
    Variable("c_paa", "g/L", 400.0, 0.0, doc="PAA in its feed, an ammonium salt", source=OURS),
    Variable("c_paa_n", "mmol/L", 2938.0, 0.0, doc="ammonia there, one a PAA", source=OURS),
    Variable("c_n", "mmol/L", 6000.0, 0.0, doc="ammonia in ammonium sulphate", source=OURS),
    Variable("c_n_ions", "mmol/L", -6000.0, doc="charge of its sulphate", source=OURS),
)


COMPOSITION: Final = {
    "X": Composition(C_X, GAMMA_X * C_X, N_X),
    "Xd": Composition(C_X, GAMMA_X * C_X, N_X),
    "S": Composition(C_S, GAMMA_S * C_S),
    "L": Composition(C_L, GAMMA_L * C_L),
    "P": Composition(C_P, GAMMA_P * C_P, N_P),
    "H": Composition(C_P, GAMMA_P * C_P, N_P),
    "PAA": Composition(C_PAA, GAMMA_PAA * C_PAA),
}


class Parameters(NamedTuple):
    """The parameters by name, in the order of ``PARAMETERS``; floats or symbols."""

    qSmax: Any
    KS: Any
    qLmax: Any
    KL: Any
    KO: Any
    Y: Any
    YSP: Any
    m: Any
    qPm: Any
    Kq: Any
    Ki: Any
    a: Any
    kd: Any
    tau: Any
    kl: Any
    OX: Any
    OP: Any
    PAAX: Any
    PAAP: Any
    YPAA: Any
    NX: Any
    keta: Any


class Species(NamedTuple):
    """The species by name, in the order of ``Penicillin.species``."""

    X: Any
    Xd: Any
    S: Any
    L: Any
    P: Any
    H: Any
    PAA: Any
    age: Any


class Rates(NamedTuple):
    """Rates per g of active biomass and hour, but for ``hydrolysis`` and ``lysis``.

    ``mu`` 1/h, negative where cells burn themselves; ``new`` what of it is new cells; ``qS``
    sugar, ``qL`` oil and ``qPAA`` precursor taken up, ``qP`` penicillin made, g/(g.h); ``decay``
    of active cells, ``lysis`` of degenerate cells and ``hydrolysis`` of penicillin 1/h.
    """

    mu: Any
    new: Any
    qS: Any
    qL: Any
    qPAA: Any
    qP: Any
    decay: Any
    lysis: Any
    hydrolysis: Any


def above(value: Any, limit: Any, width: float, fn: Functions) -> Any:
    """Return 0 well below ``limit``, 1 well above, smooth over a few ``width``."""
    return 1.0 / (1.0 + fn.exp((limit - value) / width))


def hydrolysis(T: Any, pH: Any, fn: Functions) -> Any:
    """Return the decay of penicillin, 1/h, at ``T`` in Cel: 0.0026 at 25 Cel and pH 6.5."""
    K = T + 273.15
    return fn.exp(-64.29 - 1.825 * pH + 0.3649 * K + 0.1280 * pH * pH - 4.9496e-4 * K * K)


class Closed(NamedTuple):
    """What the balances of electrons, carbon and nitrogen leave, mmol/(L.h)."""

    our: Any
    cer: Any
    ammonia: Any


def closed(sugar: Any, oil: Any, paa: Any, grown: Any, made: Any) -> Closed:
    """Return the exchange with gas and medium, of what is eaten and what is made, g/(L.h)."""
    carbon = C_S * sugar + C_L * oil + C_PAA * paa - C_X * grown - C_P * made
    electrons = GAMMA_S * C_S * sugar + GAMMA_L * C_L * oil + GAMMA_PAA * C_PAA * paa
    electrons = electrons - GAMMA_X * C_X * grown - GAMMA_P * C_P * made
    return Closed(250.0 * electrons, 1e3 * carbon, 1e3 * (N_X * grown + N_P * made))


class Penicillin:
    """P. chrysogenum with penicillin G.

    ========= ======= ======= ========================================  ===========
    species   unit    start   what                                      source
    ========= ======= ======= ========================================  ===========
    X         g/L     0.5     active cells, dry                         notes 1c
    Xd        g/L     0       degenerate cells, dry                     notes 1c
    S         g/L     1       sugar, as glucose                         notes 1c
    L         g/L     0       oil                                       ours
    P         g/L     0       penicillin G                              notes 1c
    H         g/L     0       hydrolysed penicillin, as penicillin      ours
    PAA       g/L     1.4     phenylacetic acid                         notes 1c
    age       h       10      mean age of the active cells              ours
    ========= ======= ======= ========================================  ===========

    ========= ======= ======= ========================================  ===========
    parameter unit    value   what                                      source
    ========= ======= ======= ========================================  ===========
    qSmax     g/(g.h) 0.2     greatest sugar uptake                     ours
    KS        g/L     0.009   sugar at half of it                       Goldrick
    qLmax     g/(g.h) 0.05    greatest oil uptake                       ours
    KL        g/L     0.5     oil at half of it                         ours
    KO        g/L     0.0002  O2 at half of any uptake                  ours
    Y         g/g     0.54    biomass per sugar for growth              Goldrick
    YSP       g/g     0.9     sugar per penicillin                      Goldrick
    m         g/(g.h) 0.029   sugar burnt for maintenance               Goldrick
    qPm       g/(g.h) 0.024   scale of penicillin formation             ours
    Kq        g/(g.h) 0.02    uptake at half of that                    ours
    Ki        g/L     0.02    sugar that halves it                      ours
    a         1/h     0.002   loss of formation with age                ours
    kd        1/h     0.001   degeneration of young cells               ours
    tau       h       50      age that doubles it                       ours
    kl        1/h     0.0035  lysis of degenerate cells                 Goldrick
    OX        g/L     0.0015  O2 below which growth falls off           Goldrick
    OP        g/L     0.0045  O2 below which formation does             Goldrick
    PAAX      g/L     2.4     precursor above which growth stops        Goldrick
    PAAP      g/L     0.2     precursor that formation needs            Goldrick
    YPAA      g/g     0.045   precursor burnt per growth                Goldrick
    NX        mmol/L  10.7    ammonia that growth needs (150 mg N/L)    Goldrick
    keta      1       1.4     viscosity, mPa.s, of 1 g/L of cells       ours
    ========= ======= ======= ========================================  ===========

    Inputs are dissolved oxygen, temperature, pH and ammonia, see ``Surroundings``.
    """

    name = "penicillin"
    temperature = 25.0
    acidity = 6.5
    species = (
        Variable("X", "g/L", 0.5, 0.0, doc="active cells, dry"),
        Variable("Xd", "g/L", 0.0, 0.0, doc="degenerate cells, dry"),
        Variable("S", "g/L", 1.0, 0.0, doc="sugar, as glucose"),
        Variable("L", "g/L", 0.0, 0.0, doc="oil"),
        Variable("P", "g/L", 0.0, 0.0, doc="penicillin G"),
        Variable("H", "g/L", 0.0, 0.0, doc="hydrolysed penicillin, as penicillin"),
        Variable("PAA", "g/L", 1.4, 0.0, doc="phenylacetic acid"),
        Variable("age", "h", 10.0, 0.0, doc="mean age of the active cells"),
    )
    feeds = (
        Feed("feed", "feed", {"S": "S_feed"}, "rho_feed", "sugar"),
        Feed("oil", "dose", {"L": "c_oil"}, "rho_oil", "soybean oil"),
        Feed("paa", "dose", {"PAA": "c_paa", "NH3": "c_paa_n"}, doc="precursor"),
        Feed("nitrogen", "dose", {"NH3": "c_n", "strong": "c_n_ions"}, doc="ammonium sulphate"),
        Feed("water", "feed", doc="water"),
    )
    parameters = PARAMETERS
    medium = MEDIUM
    salts = (120.0, 30.0)
    acid = Acid("PAA", 136.15, 1e3 * 10**-4.31)
    composition = COMPOSITION
    kla_law = oxygen.NON_COALESCING
    called = {  # noqa: RUF012
        "biomass": "X",
        "substrate": "S",
        "oil": "L",
        "product": "P",
        "precursor": "PAA",
    }
    watched = Watched(
        tracked=(
            Tracked("X", share=0.2, walk=0.02, widest=0.3),
            Tracked("Xd", sd=0.05, walk=0.02),
            Tracked("S", share=0.1, sd=0.02, noise=0.02, widest=0.5),
            Tracked("L", sd=0.05, walk=0.02, noise=0.02),
            Tracked("P", sd=0.01, walk=0.01),
            Tracked("PAA", share=0.0, sd=0.1, noise=0.02),
            Tracked("age", sd=5.0, noise=0.2),
        ),
        learned=(
            Learned("qpm", "qPm", 0.3, 60.0),
            Learned("m", "m", 0.3, 240.0),
            Learned("qsmax", "qSmax", 0.6, 120.0),
            Learned("qlmax", "qLmax", 0.5, 120.0),
        ),
        quantities={
            "biomass_g_per_l": ("X", "Xd"),
            "active_g_per_l": ("X",),
            "substrate_g_per_l": ("S",),
            "product_g_per_l": ("P",),
            "precursor_g_per_l": ("PAA",),
        },
        assays={
            "dry_weight": ("X", "Xd"),
            "glucose": ("S",),
            "product": ("P",),
            "paa": ("PAA",),
        },
        probes={"capacitance": ("X",), "turbidity": ("X", "Xd")},
    )

    def rates(
        self,
        c: Species,
        O: Any,  # noqa: E741
        NH3: Any,
        p: Sequence[Any],
        fn: Functions,
        activity: Any = 1.0,
        hydrolysis: Any = 0.0026,
    ) -> Rates:
        """Return what cells do at concentrations ``c``, ``O`` in g/L and ``NH3`` in mmol/L.

        Sugar and oil that are taken up go first to maintenance and penicillin, the rest to
        growth; where they do not suffice, cells burn themselves. All of it needs oxygen.

        Args:
            c: the species.
            O: dissolved oxygen.
            NH3: ammonia with ammonium.
            p: the strain's parameters, in order.
            fn: the functions for the type of the arguments.
            activity: what temperature and pH leave of the rates, 1 at 25 Cel and pH 6.5.
            hydrolysis: 1/h, see ``hydrolysis``.
        """
        k = Parameters(*p)
        breath = O / (O + k.KO)
        fed = NH3 / (NH3 + AMMONIA_HALF)
        there = c.PAA / (c.PAA + PRECURSOR_HALF)
        # what stops growth slows uptake: sugar that cells have no use for stays where it is
        grows = above(O, k.OX, 4e-4, fn) * above(k.PAAX, c.PAA, 0.15, fn)
        grows = grows * above(NH3, k.NX, 2.0, fn)
        open_to = breath * activity * (0.2 + 0.8 * grows)
        qS = open_to * k.qSmax * c.S / (c.S + k.KS)
        qL = open_to * k.qLmax * c.L / (c.L + k.KL)
        eaten = qS + OIL_WORTH * qL
        repressed = 1.0 + (c.S / k.Ki) * (c.S / k.Ki)
        qP = activity * k.qPm * eaten / (eaten + k.Kq) / repressed * fn.exp(-k.a * c.age)
        qP = qP * above(O, k.OP, 4e-4, fn) * above(c.PAA, k.PAAP, 0.03, fn) * breath * fed * there
        spare = eaten - k.m * breath - k.YSP * qP
        bend = 1e-3 * breath
        ample = 0.5 * (spare + fn.sqrt(spare * spare + bend * bend + 1e-24))
        new = k.Y * ample * fed  # without ammonia what is eaten is burnt
        mu = new - k.Y * (ample - spare)
        return Rates(
            mu=mu,
            new=new,
            qS=qS,
            qL=qL,
            qPAA=PAA_PER_P * qP + k.YPAA * new * there,
            qP=qP,
            decay=k.kd * (1.0 + c.age / k.tau),
            lysis=k.kl * breath,
            hydrolysis=hydrolysis,
        )

    def viscosity(self, c: Species, p: Sequence[Any], fn: Functions) -> Any:
        """Return the apparent viscosity, mPa.s: that of water and of a net of hyphae."""
        return 1.0 + Parameters(*p).keta * power(c.X + c.Xd, 1.25, fn)

    def activity(self, T: Any, pH: Any, fn: Functions) -> Any:
        """Return what temperature (Cel) and pH leave of the rates: 1 at 25 Cel and pH 6.5.

        Arrhenius growth with loss above 32 Cel (ours), and a bell between pH 5 and 7.6.
        """
        inverse = 1.0 / (T + 273.15)
        grow = fn.exp(50e3 / 8.314 * (1.0 / 298.15 - inverse))
        lost = fn.exp(350e3 / 8.314 * (1.0 / 305.15 - inverse))
        bell = 1.0 + fn.exp(LN10 * (5.0 - pH)) + 2.5 * fn.exp(LN10 * (pH - 8.0))
        return grow * (1.0 + LOST_25) / (1.0 + lost) * BELL_65 / bell

    def exchange(
        self, x: Sequence[Any], at: Surroundings, p: Sequence[Any], fn: Functions
    ) -> Exchange:
        """Return what the cells do in a vessel, see ``models.organism``.

        Oxygen and CO2 follow from the balances of electrons and carbon over all species.
        """
        c = Species(*x)
        r = self.rates(
            c,
            at.O,
            at.NH3,
            p[: len(PARAMETERS)],
            fn,
            self.activity(at.T, at.pH, fn),
            hydrolysis(at.T, at.pH, fn),
        )
        lysed, broken = r.lysis * c.Xd, r.hydrolysis * c.P
        grown, made, paa = r.mu * c.X - lysed, r.qP * c.X, r.qPAA * c.X
        sugar, oil = r.qS * c.X, r.qL * c.X
        gone = closed(sugar, oil, paa, grown, made)
        return Exchange(
            mu=r.mu,
            species=(
                (r.mu - r.decay) * c.X,
                r.decay * c.X - lysed,
                -sugar,
                -oil,
                made - broken,
                broken,
                -paa,
                1.0 - r.new * c.age,
            ),
            our=gone.our,
            cer=gone.cer,
            ammonia=gone.ammonia,
            heat=heat.RESPIRATION * gone.our,
            strong=1e3 / M_P * (made - broken),  # sulphate taken, less an anion; then one more
        )

    def kla_factor(self, x: Sequence[Any], p: Sequence[Any], fn: Functions) -> Any:
        """Return what viscosity and oil leave of kLa."""
        c = Species(*x)
        thick = power(self.viscosity(c, p[: len(PARAMETERS)], fn), -0.38, fn)
        return thick * (1.0 - 0.3 * c.L / (c.L + 1.0))
