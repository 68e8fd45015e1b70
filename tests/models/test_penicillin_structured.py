"""Structured penicillin: what closes, what binds, and what the reduced model does not have."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import symbolic
from models.culture import Culture
from models.fn import SCALARS
from models.organism import Surroundings
from models.penicillin import Penicillin
from models.penicillin_structured import PenicillinStructured, Rates, Species

MODEL = PenicillinStructured()
P = [v.default for v in (*MODEL.parameters, *MODEL.medium)]
BUSY = Species(
    X=20.0, S=0.0015, L=0.1, P=8.0, H=0.5, PAA=0.8, a0=0.15, a1=0.79, a3=0.05, a4=0.01,
    v1=0.03, v2=0.2, v3=0.5, age=60.0, eta=50.0,
)  # fmt: skip
WELL = Surroundings(O=0.012, T=25.0, pH=6.5, NH3=100.0, CO2=1.0)
GRID = list(itertools.product([0, 0.0015, 5.0], [0, 2.0], [0, 0.2, 3.0], [0, 0.003], [0, 80.0]))


def rates(c: Species = BUSY, O: float = 0.012, NH3: float = 100.0) -> Rates:  # noqa: E741
    return MODEL.rates(c, O, NH3, P[: len(MODEL.parameters)], SCALARS)


@pytest.mark.parametrize(("S", "L", "PAA", "O", "NH3"), GRID)
def test_every_reaction_closes_and_takes_nothing_that_is_not_there(
    S: float,
    L: float,
    PAA: float,
    O: float,  # noqa: E741
    NH3: float,
) -> None:
    x = BUSY._replace(S=S, L=L, PAA=PAA)
    e = MODEL.exchange(x, WELL._replace(O=O, NH3=NH3), P, SCALARS)
    changed = dict(zip(Species._fields, e.species, strict=True))
    made_of = MODEL.composition
    carbon, electrons, nitrogen = (
        1e3 * sum(getattr(c, what) * changed[name] for name, c in made_of.items())
        for what in ("carbon", "electrons", "nitrogen")
    )
    assert carbon + e.cer == pytest.approx(0.0, abs=1e-9)
    assert electrons + 4.0 * e.our == pytest.approx(0.0, abs=1e-9)
    assert nitrogen - e.ammonia == pytest.approx(0.0, abs=1e-9)
    assert e.our >= -1e-12 <= e.cer
    r = rates(x, O, NH3)
    assert min(r) >= 0.0
    assert S > 0.0 or r.sugar < 1e-30
    assert L > 0.0 or r.oil == 0.0
    assert PAA > 0.0 or r.paa == 0.0
    assert NH3 > 0.0 or r.extends == r.branches == r.on_oil == r.made == 0.0
    assert O > 0.0 or e.our == pytest.approx(0.0, abs=1e-12)


def test_product_forms_in_a_bell_of_sugar_as_wide_as_the_published_one() -> None:
    """Theirs is around 2 mg/L, 1.5 wide; here without sugar there is none."""
    sugar = np.geomspace(1e-5, 1.0, 400)
    made = np.array([rates(BUSY._replace(S=float(s))).made for s in sugar])
    published = np.exp(-0.5 * ((sugar - 0.002) / 0.0015) ** 2)
    best = int(made.argmax())
    assert 0.010 < made[best] < 0.020  # g/(g.h)
    assert 0.001 < sugar[best] < 0.003
    at_half = sugar[made > 0.5 * made[best]]
    theirs = sugar[published > 0.5]
    assert at_half.max() == pytest.approx(theirs.max(), rel=0.2)
    assert made[0] < 1e-6 * made[best] > made[-1]


def test_windows_bind() -> None:
    best = rates()
    assert rates(O=0.0025).made < 0.2 * best.made
    assert rates(O=0.0025).extends > 0.7 * best.extends
    assert rates(O=0.0008).extends < 0.2 * best.extends
    assert rates(BUSY._replace(PAA=0.05)).made < 0.05 * best.made
    assert rates(BUSY._replace(PAA=3.5)).extends < 0.1 * best.extends
    assert rates(NH3=3.0).extends < 0.05 * best.extends


def test_a_thick_net_of_hyphae_keeps_oxygen_out() -> None:
    thin, thick = (rates(BUSY._replace(eta=eta), O=0.004).made for eta in (5.0, 100.0))
    assert thick < 0.4 * thin


def test_activity_has_its_optimum_where_the_plant_is_held() -> None:
    """The published terms turn negative at 36 Cel; here nothing does."""
    T = np.linspace(5.0, 60.0, 551)
    found = np.array([MODEL.activity(float(t), 6.5, SCALARS) for t in T])
    assert MODEL.activity(25.0, 6.5, SCALARS) == pytest.approx(1.0)
    assert 22.0 < T[int(found.argmax())] < 28.0
    assert found.min() > 0.0
    assert MODEL.activity(40.0, 6.5, SCALARS) < 0.6


def course(hours: float, fed: Callable[[float], float], **start: float) -> list[dict[str, float]]:
    """Return the states every minute of a litre that is fed g/(L.h) of sugar."""
    model = Culture(MODEL)
    p = [v.default for v in model.parameters]
    (step,) = symbolic.compiled([symbolic.rosenbrock(model, 4)], None).values()
    x = {v.name: v.default for v in model.states} | {"V": 1.0, "NH3": 500.0} | start
    rest = {v.name: v.default for v in model.inputs} | {"O": WELL.O}
    rows = [x]
    for minute in range(round(60.0 * hours)):
        u = rest | {"feed": fed(minute / 60.0) / 600.0}
        values = ([*rows[-1].values()], [*u.values()], p, [1.0 / 60.0])
        for buffer, numbers in zip(step.arguments, values, strict=True):
            buffer[:] = type(buffer)("d", numbers)
        step()
        rows.append(dict(zip(x, step.results[0], strict=True)))
    return rows


def test_hunger_turns_tips_to_hyphae_hyphae_to_vacuoles_and_these_to_dead_cells() -> None:
    rich = course(12.0, lambda _t: 0.0, X=1.0, S=30.0)[-1]
    poor = course(120.0, lambda _t: 0.4, X=15.0, S=0.0)
    first, later, last = poor[12 * 60], poor[60 * 60], poor[-1]
    assert rich["a0"] > 0.35 > first["a0"] > 0.2 > later["a0"]
    assert rich["v1"] < 0.2 * first["v1"]
    assert first["v3"] < 0.1 * later["v3"] < later["v3"] < last["v3"]  # they swell for days
    assert first["a3"] < 0.01 < last["a3"]
    assert last["a4"] < 0.2 * last["a3"]
    for r in poor:
        assert min(shares := [r[name] for name in ("a0", "a1", "a3", "a4")]) >= 0.0
        assert sum(shares) == pytest.approx(1.0, abs=1e-9)


def test_it_remembers_what_the_reduced_model_forgets() -> None:
    """After two hungry days the same sugar makes less penicillin than in cells of the same age."""
    fresh, tired = BUSY._replace(v1=0.0, v2=0.0, v3=0.0), BUSY._replace(v3=0.8)
    assert rates(tired).made < 0.75 * rates(fresh).made
    net = MODEL.exchange(BUSY._replace(eta=5.0), WELL, P, SCALARS).species[-1]
    assert 1.0 < net < 5.0  # mPa.s an hour: the broth thickens for a day
    thin, thick = (MODEL.kla_factor(BUSY._replace(eta=eta), P, SCALARS) for eta in (5.0, 60.0))
    assert thick < 0.5 * thin
    assert {v.name for v in MODEL.parameters} - {v.name for v in Penicillin.parameters} > {"wP"}


@settings(max_examples=200, deadline=None)
@given(
    st.floats(0, 40), st.floats(0, 5), st.floats(0, 0.02), st.floats(0, 5), st.floats(0, 150),
    st.floats(0, 1), st.floats(0, 1),
)  # fmt: skip
def test_oxygen_is_never_given_nor_carbon_taken(
    S: float,
    L: float,
    O: float,  # noqa: E741
    PAA: float,
    NH3: float,
    tips: float,
    dead: float,
) -> None:
    c = BUSY._replace(S=S, L=L, PAA=PAA, a0=tips, a1=1.0 - tips, a3=dead)
    e = MODEL.exchange(c, WELL._replace(O=O, NH3=NH3), P, SCALARS)
    assert e.our >= -1e-9 <= e.cer
