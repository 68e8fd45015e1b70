"""Industrial penicillin with structured cells: tips, hyphae, vacuoles that swell, a net of hyphae.

Towards the plant of Goldrick et al. (2015), which took its cells from Paul and Thomas (1996):
every reaction has its own demand for sugar, where ``models.penicillin`` has one uptake that is
shared out. So the two are each other's structurally different twin. Chemistry, feeds and medium
are the same; every reaction closes in carbon, nitrogen and electrons. ``models/README.md`` says
what was repaired.
"""

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from models import heat, oxygen
from models.fn import LN10, power
from models.model import Functions, Variable
from models.organism import Exchange, Surroundings
from models.penicillin import (
    C_L,
    C_S,
    C_X,
    COMPOSITION,
    GAMMA_L,
    GAMMA_S,
    GAMMA_X,
    GOLDRICK,
    M_P,
    OURS,
    PAA_PER_P,
    Penicillin,
    closed,
    hydrolysis,
)

PAUL: Final = "G. C. Paul, C. R. Thomas, Biotechnol. Bioeng. 51 (1996) 558-572 (by Goldrick)"
OIL_FOR_SUGAR: Final = GAMMA_L * C_L / (GAMMA_S * C_S)  # g/g where only electrons count
CELLS_FOR_SUGAR: Final = GAMMA_X * C_X / (GAMMA_S * C_S)
DENSITY: Final = 0.35  # g of dry cells in a cm3 of hyphae without vacuoles (Paul)
RADII: Final = (2.5e-4, 4.75e-4, 7.0e-4)  # cm, of the three sizes of vacuoles (ours, of Paul's ten)
SWELLS: Final = tuple((b / a) ** 3 for a, b in zip(RADII, (*RADII[1:], 8.25e-4), strict=True))
AMMONIA_HALF: Final = 1.0  # mmol/L that halves formation, so that it is never overdrawn
PRECURSOR_HALF: Final = 0.01  # g/L, likewise of precursor
SUGAR_HALF: Final = 1e-3  # g/L below which maintenance is no longer paid with sugar (ours)
LEAST_HYPHAE: Final = 0.05  # share of hyphae below which they no longer die of vacuoles (ours)
# Goldrick's two Arrhenius terms, the second in the denominator: never negative, 1 at 25 Cel
GROWS: Final = 14.88e3 / 8.314  # K
DIES: Final = 158.4e3 / 8.314  # K
EQUAL: Final = 309.4  # K where the two are
LOST_25: Final = math.exp(DIES * (1.0 / EQUAL - 1.0 / 298.15))
BELL_65: Final = 1.0 + 10.0**-1.5 + 2.5 * 10.0**-1.5

PARAMETERS: Final = (
    Variable("mux", "1/h", 0.41, 0.0, doc="extension of hyphae by tips", source=GOLDRICK),
    Variable("Ke", "g/L", 0.009, 1e-4, doc="sugar at half of it", source=PAUL),
    Variable("mub", "1/h", 0.164, 0.0, doc="branching of hyphae to tips", source=GOLDRICK),
    Variable("Kb", "g/L", 0.05, 1e-4, doc="sugar at half of it", source=PAUL),
    Variable("mud", "g/(L.h)", 5.36e-3, 0.0, doc="ageing of tips to hyphae", source=PAUL),
    Variable("Kd", "g/L", 0.75, 0.0, doc="sugar that halves it, young", source=PAUL),
    Variable("Kdl", "g/L", 0.09, 1e-3, doc="sugar that halves it, old", source=PAUL),
    Variable("bd", "g/(L.h)", 0.006, 0.0, doc="how that falls with age", source=PAUL),
    Variable("Y", "g/g", 0.54, 0.01, doc="biomass per sugar", source=GOLDRICK),
    Variable("m", "g/(g.h)", 0.029, 0.0, doc="sugar burnt for maintenance", source=GOLDRICK),
    Variable("muP", "g/(g.h)", 0.026, 0.0, doc="penicillin by full hyphae", source=OURS),
    Variable("SP", "g/L", 0.0015, 1e-5, doc="sugar at which it is greatest", source=OURS),
    Variable("wP", "1", 0.75, 0.1, doc="width of that window, in ln of sugar", source=OURS),
    Variable("YSP", "g/g", 0.9, 0.0, doc="sugar per penicillin", source=GOLDRICK),
    Variable("kv", "cm3/(g.h)", 0.003, 0.0, doc="new vacuoles in hungry hyphae", source=OURS),
    Variable("Kv", "g/L", 0.05, 1e-4, doc="sugar that halves that", source=PAUL),
    Variable("tauv", "h", 20.0, 1.0, doc="time of a vacuole in one size", source=OURS),
    Variable("lost", "g/cm3", 0.04, 0.0, doc="hyphae that die, per full vacuole", source=OURS),
    Variable("ka", "1/h", 0.0035, 0.0, doc="autolysis of degenerate hyphae", source=PAUL),
    Variable("kl", "1/h", 0.02, 0.0, doc="what is lysed dissolves, is burnt", source=OURS),
    Variable("muL", "1/h", 0.12, 0.0, doc="extension on oil, by tips", source=OURS),
    Variable("YL", "g/g", 1.0, 0.01, doc="biomass per oil", source="yields on oil, recalled"),
    Variable("KL", "g/L", 0.2, 1e-3, doc="oil at half of any use", source=OURS),
    Variable("Kr", "g/L", 0.1, 1e-4, doc="sugar that halves growth on oil", source=OURS),
    Variable("KO", "g/L", 2e-4, 1e-6, doc="O2 at half of any breath", source=OURS),
    Variable("OX", "g/L", 0.001, 1e-5, doc="O2 at half of growth", source=OURS),
    Variable("OP", "g/L", 0.0035, 1e-5, doc="O2 at half of formation", source=OURS),
    Variable("etaO", "mPa.s", 150.0, 1.0, doc="viscosity that halves O2 in the net", source=OURS),
    Variable("PAAX", "g/L", 2.4, 0.01, doc="precursor at half of growth", source=GOLDRICK),
    Variable("PAAP", "g/L", 0.2, 1e-3, doc="precursor at half of formation", source=GOLDRICK),
    Variable("YPAA", "g/g", 0.045, 0.0, doc="precursor burnt per growth", source=GOLDRICK),
    Variable("NX", "mmol/L", 10.7, 0.1, doc="ammonia at half of growth", source=GOLDRICK),
    Variable("keta", "1", 1.4, 0.0, doc="viscosity, mPa.s, of 1 g/L of net", source=OURS),
    Variable("taueta", "h", 15.0, 0.1, doc="time in which the net forms", source=OURS),
)


class Parameters(NamedTuple):
    """The parameters by name, in the order of ``PARAMETERS``; floats or symbols."""

    mux: Any
    Ke: Any
    mub: Any
    Kb: Any
    mud: Any
    Kd: Any
    Kdl: Any
    bd: Any
    Y: Any
    m: Any
    muP: Any
    SP: Any
    wP: Any
    YSP: Any
    kv: Any
    Kv: Any
    tauv: Any
    lost: Any
    ka: Any
    kl: Any
    muL: Any
    YL: Any
    KL: Any
    Kr: Any
    KO: Any
    OX: Any
    OP: Any
    etaO: Any
    PAAX: Any
    PAAP: Any
    YPAA: Any
    NX: Any
    keta: Any
    taueta: Any


class Species(NamedTuple):
    """The species by name, in the order of ``PenicillinStructured.species``."""

    X: Any
    S: Any
    L: Any
    P: Any
    H: Any
    PAA: Any
    a0: Any
    a1: Any
    a3: Any
    a4: Any
    v1: Any
    v2: Any
    v3: Any
    age: Any
    eta: Any


class Rates(NamedTuple):
    """Rates per g of all cells and hour.

    ``extends`` and ``on_oil`` new hyphae, ``branches`` hyphae that become tips, ``ages`` tips
    that become hyphae, ``starves`` the share of living cells that burn themselves, ``degenerates``
    hyphae that die of vacuoles, ``autolyses`` and ``dissolves`` what follows, 1/h; ``sugar``,
    ``oil`` and ``paa`` eaten, ``made`` penicillin, g/(g.h); ``forms`` new vacuoles, cm3/(g.h).
    """

    extends: Any
    on_oil: Any
    branches: Any
    ages: Any
    starves: Any
    degenerates: Any
    autolyses: Any
    dissolves: Any
    sugar: Any
    oil: Any
    paa: Any
    made: Any
    forms: Any


def saturated(value: Any, half: Any) -> Any:
    """Return 0..1: Hill's curve with an exponent of 4, a half at ``half``."""
    square = value * value
    limit = half * half
    return square * square / (square * square + limit * limit)


class PenicillinStructured:
    """P. chrysogenum with penicillin G, in four regions.

    Of a gram of cells ``a0`` are growing and branching tips, ``a1`` the hyphae that make penicillin
    where vacuoles leave room, ``a3`` degenerate, ``a4`` autolysed: shares, and taken as such.

    ========= ========= ======= ======================================  ===========
    species   unit      start   what                                    source
    ========= ========= ======= ======================================  ===========
    X         g/L       0.5     all cells, dry                          Goldrick
    S         g/L       1       sugar, as glucose                       Goldrick
    L         g/L       0       oil                                     ours
    P         g/L       0       penicillin G                            Goldrick
    H         g/L       0       hydrolysed penicillin, as penicillin    ours
    PAA       g/L       1.4     phenylacetic acid                       Goldrick
    a0        1         0.3333  tips, of all cells                      Goldrick
    a1        1         0.6667  producing hyphae, of all cells          Goldrick
    a3        1         0       degenerate, of all cells                Goldrick
    a4        1         0       autolysed, of all cells                 Goldrick
    v1        cm3/g     0       small vacuoles by all cells             Paul
    v2        cm3/g     0       vacuoles of middle size                 Paul
    v3        cm3/g     0       large vacuoles                          Paul
    age       h         0       integral of biomass over biomass        Goldrick
    eta       mPa.s     2       viscosity, remembered                   Goldrick
    ========= ========= ======= ======================================  ===========

    ========= ========= ======= ======================================  ===========
    parameter unit      value   what                                    source
    ========= ========= ======= ======================================  ===========
    mux       1/h       0.41    extension of hyphae by tips             Goldrick
    Ke        g/L       0.009   sugar at half of it                     Paul
    mub       1/h       0.164   branching of hyphae to tips             Goldrick
    Kb        g/L       0.05    sugar at half of it                     Paul
    mud       g/(L.h)   0.00536 ageing of tips to hyphae                Paul
    Kd        g/L       0.75    sugar that halves it, young             Paul
    Kdl       g/L       0.09    sugar that halves it, old               Paul
    bd        g/(L.h)   0.006   how that falls with age                 Paul
    Y         g/g       0.54    biomass per sugar                       Goldrick
    m         g/(g.h)   0.029   sugar burnt for maintenance             Goldrick
    muP       g/(g.h)   0.026   penicillin by full hyphae               ours
    SP        g/L       0.0015  sugar at which it is greatest           ours
    wP        1         0.75    width of that window, in ln of sugar    ours
    YSP       g/g       0.9     sugar per penicillin                    Goldrick
    kv        cm3/(g.h) 0.003   new vacuoles in hungry hyphae           ours
    Kv        g/L       0.05    sugar that halves that                  Paul
    tauv      h         20      time of a vacuole in one size           ours
    lost      g/cm3     0.04    hyphae that die, per full vacuole       ours
    ka        1/h       0.0035  autolysis of degenerate hyphae          Paul
    kl        1/h       0.02    what is lysed dissolves, is burnt       ours
    muL       1/h       0.12    extension on oil, by tips               ours
    YL        g/g       1       biomass per oil                         recalled
    KL        g/L       0.2     oil at half of any use                  ours
    Kr        g/L       0.1     sugar that halves growth on oil         ours
    KO        g/L       0.0002  O2 at half of any breath                ours
    OX        g/L       0.001   O2 at half of growth                    ours
    OP        g/L       0.0035  O2 at half of formation                 ours
    etaO      mPa.s     150     viscosity that halves O2 in the net     ours
    PAAX      g/L       2.4     precursor at half of growth             Goldrick
    PAAP      g/L       0.2     precursor at half of formation          Goldrick
    YPAA      g/g       0.045   precursor burnt per growth              Goldrick
    NX        mmol/L    10.7    ammonia at half of growth               Goldrick
    keta      1         1.4     viscosity, mPa.s, of 1 g/L of net       ours
    taueta    h         15      time in which the net forms             ours
    ========= ========= ======= ======================================  ===========

    Inputs are dissolved oxygen, temperature, pH and ammonia, see ``Surroundings``.
    """

    name = "penicillin_structured"
    temperature = Penicillin.temperature
    acidity = Penicillin.acidity
    species = (
        Variable("X", "g/L", 0.5, 0.0, doc="all cells, dry"),
        Variable("S", "g/L", 1.0, 0.0, doc="sugar, as glucose"),
        Variable("L", "g/L", 0.0, 0.0, doc="oil"),
        Variable("P", "g/L", 0.0, 0.0, doc="penicillin G"),
        Variable("H", "g/L", 0.0, 0.0, doc="hydrolysed penicillin, as penicillin"),
        Variable("PAA", "g/L", 1.4, 0.0, doc="phenylacetic acid"),
        Variable("a0", "1", 1.0 / 3.0, 0.0, 1.0, doc="tips, of all cells"),
        Variable("a1", "1", 2.0 / 3.0, 0.0, 1.0, doc="producing hyphae, of all cells"),
        Variable("a3", "1", 0.0, 0.0, 1.0, doc="degenerate, of all cells"),
        Variable("a4", "1", 0.0, 0.0, 1.0, doc="autolysed, of all cells"),
        Variable("v1", "cm3/g", 0.0, 0.0, doc="small vacuoles by all cells"),
        Variable("v2", "cm3/g", 0.0, 0.0, doc="vacuoles of middle size"),
        Variable("v3", "cm3/g", 0.0, 0.0, doc="large vacuoles"),
        Variable("age", "h", 0.0, 0.0, doc="integral of biomass over biomass"),
        Variable("eta", "mPa.s", 2.0, 0.0, doc="viscosity, remembered"),
    )
    feeds = Penicillin.feeds
    parameters = PARAMETERS
    medium = Penicillin.medium
    salts = Penicillin.salts
    acid = Penicillin.acid
    composition = {n: c for n, c in COMPOSITION.items() if n != "Xd"}  # noqa: RUF012
    kla_law = oxygen.NON_COALESCING
    called = Penicillin.called

    def rates(
        self,
        c: Species,
        O: Any,  # noqa: E741
        NH3: Any,
        p: Sequence[Any],
        fn: Functions,
        activity: Any = 1.0,
    ) -> Rates:
        """Return what cells do at concentrations ``c``, ``O`` in g/L and ``NH3`` in mmol/L.

        Args:
            c: the species.
            O: dissolved oxygen; in the net of hyphae there is less.
            NH3: ammonia with ammonium.
            p: the strain's parameters, in order.
            fn: the functions for the type of the arguments.
            activity: what temperature and pH leave of the rates, 1 at 25 Cel and pH 6.5.
        """
        k = Parameters(*p)
        inside = O / (1.0 + c.eta / k.etaO)  # diffusion into the net
        breath = inside / (inside + k.KO)
        fed = NH3 / (NH3 + AMMONIA_HALF)
        there = c.PAA / (c.PAA + PRECURSOR_HALF)
        grows = activity * saturated(inside, k.OX) * saturated(NH3, k.NX)
        grows = grows * breath * (1.0 - saturated(c.PAA * c.PAA, k.PAAX * k.PAAX))
        oily = c.L / (c.L + k.KL)
        extends = grows * k.mux * c.a0 * c.S / (c.S + k.Ke)
        branches = grows * k.mub * c.a1 * c.S / (c.S + k.Kb)
        on_oil = grows * k.muL * c.a0 * oily * k.Kr / (c.S + k.Kr)
        slower = fn.max(k.Kd - k.bd * c.age, k.Kdl, 0.01)  # old tips no longer branch when fed
        ages = k.mud * c.a0 / (slower + c.S)

        full = self.full(c)
        window = self.window(c.S, k.SP, k.wP, fn)
        made = activity * k.muP * c.a1 * full * window * breath
        made = made * saturated(inside, k.OP) * saturated(c.PAA, k.PAAP) * fed * there

        # maintenance is a demand for electrons: oil, else sugar, else the cells themselves
        demand = k.m * activity * breath * (c.a0 + c.a1)
        sugary = c.S / (c.S + SUGAR_HALF)
        unpaid = 0.5 * (1.0 - oily)
        by_oil = demand * 0.5 * oily
        by_sugar = demand * (0.5 + unpaid) * sugary
        by_cells = demand - by_oil - by_sugar
        new = extends + branches + on_oil
        return Rates(
            extends=extends,
            on_oil=on_oil,
            branches=branches,
            ages=ages,
            starves=by_cells / CELLS_FOR_SUGAR / (c.a0 + c.a1 + 1e-9),
            degenerates=k.lost * SWELLS[2] * c.v3 / k.tauv * c.a1 / (c.a1 + LEAST_HYPHAE),
            autolyses=k.ka * c.a3,
            dissolves=k.kl * c.a4 * breath,
            sugar=(extends + branches) / k.Y + k.YSP * made + by_sugar,
            oil=on_oil / k.YL + by_oil / OIL_FOR_SUGAR,
            paa=PAA_PER_P * made + k.YPAA * new * there,
            made=made,
            forms=k.kv * c.a1 * full * k.Kv / (k.Kv + c.S),
        )

    def full(self, c: Species) -> Any:
        """Return what vacuoles leave of the volume of the producing hyphae."""
        hyphae = (c.a1 + 1e-6) / DENSITY
        return hyphae / (hyphae + c.v1 + c.v2 + c.v3)

    def window(self, S: Any, best: Any, width: Any, fn: Functions) -> Any:
        """Return what sugar leaves of formation: a bell around ``best``, nothing without sugar."""
        there = fn.sqrt(S * S + 1e-14)
        far = fn.log(there / best) / width
        return fn.exp(-0.5 * far * far)

    def activity(self, T: Any, pH: Any, fn: Functions) -> Any:
        """Return what temperature (Cel) and pH leave of the rates: 1 at 25 Cel and pH 6.5."""
        inverse = 1.0 / (T + 273.15)
        grow = fn.exp(GROWS * (1.0 / 298.15 - inverse))
        lost = fn.exp(DIES * (1.0 / EQUAL - inverse))
        bell = 1.0 + fn.exp(LN10 * (5.0 - pH)) + 2.5 * fn.exp(LN10 * (pH - 8.0))
        return grow * (1.0 + LOST_25) / (1.0 + lost) * BELL_65 / bell

    def exchange(
        self, x: Sequence[Any], at: Surroundings, p: Sequence[Any], fn: Functions
    ) -> Exchange:
        """Return what the cells do in a vessel, see ``models.organism``."""
        c, own = Species(*x), p[: len(PARAMETERS)]
        whole = c.a0 + c.a1 + c.a3 + c.a4 + 1e-12  # 1, and stays it
        c = c._replace(a0=c.a0 / whole, a1=c.a1 / whole, a3=c.a3 / whole, a4=c.a4 / whole)
        k = Parameters(*own)
        r = self.rates(c, at.O, at.NH3, own, fn, self.activity(at.T, at.pH, fn))
        new = r.extends + r.branches + r.on_oil
        mu = new - r.starves * (c.a0 + c.a1) - r.dissolves
        broken = hydrolysis(at.T, at.pH, fn) * c.P
        sugar, oil, paa, made = r.sugar * c.X, r.oil * c.X, r.paa * c.X, r.made * c.X
        gone = closed(sugar, oil, paa, mu * c.X, made)
        first, second, third = c.v1 / k.tauv, c.v2 / k.tauv, c.v3 / k.tauv
        net = k.keta * power(c.X * (c.a0 + c.a1), 1.25, fn)
        return Exchange(
            mu=mu,
            species=(
                mu * c.X,
                -sugar,
                -oil,
                made - broken,
                broken,
                -paa,
                r.branches - r.ages - (r.starves + mu) * c.a0,
                new - r.branches + r.ages - r.degenerates - (r.starves + mu) * c.a1,
                r.degenerates - r.autolyses - mu * c.a3,
                r.autolyses - r.dissolves - mu * c.a4,
                r.forms - first - mu * c.v1,
                SWELLS[0] * first - second - mu * c.v2,
                SWELLS[1] * second - third - mu * c.v3,
                1.0 - mu * c.age,
                (1.0 + net - c.eta) / k.taueta,
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
        return power(c.eta, -0.38, fn) * (1.0 - 0.3 * c.L / (c.L + 1.0))
