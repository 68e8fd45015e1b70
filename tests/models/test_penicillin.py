"""Penicillin: balances that close, windows that bind, and a batch that goes as at the plant."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.fn import SCALARS
from models.organism import Surroundings
from models.penicillin import (
    C_L,
    C_P,
    C_PAA,
    C_S,
    C_X,
    GAMMA_L,
    GAMMA_P,
    GAMMA_PAA,
    N_P,
    N_X,
    Penicillin,
    Rates,
    Species,
    hydrolysis,
)

MODEL = Penicillin()
P = [v.default for v in (*MODEL.parameters, *MODEL.medium)]
BUSY = Species(X=18.0, Xd=2.0, S=0.003, L=0.1, P=8.0, H=0.5, PAA=0.8, age=40.0)
WELL = Surroundings(O=0.014, T=25.0, pH=6.5, NH3=100.0, CO2=1.0)
GRID = list(
    itertools.product([0, 0.003, 5.0], [0, 2.0], [0, 0.2, 3.0], [0, 0.003, 0.015], [0, 80.0])
)


def rates(c: Species = BUSY, O: float = 0.014, NH3: float = 100.0) -> Rates:  # noqa: E741
    return MODEL.rates(c, O, NH3, P[: len(MODEL.parameters)], SCALARS)


@pytest.mark.parametrize(("S", "L", "PAA", "O", "NH3"), GRID)
def test_carbon_electrons_and_nitrogen_close(
    S: float,
    L: float,
    PAA: float,
    O: float,  # noqa: E741
    NH3: float,
) -> None:
    x = BUSY._replace(S=S, L=L, PAA=PAA)
    e = MODEL.exchange(x, WELL._replace(O=O, NH3=NH3), P, SCALARS)
    d = Species(*e.species)
    cells, penicillin = d.X + d.Xd, d.P + d.H
    carbon = C_X * cells + C_S * d.S + C_L * d.L + C_PAA * d.PAA + C_P * penicillin
    electrons = 4.2 * C_X * cells + 4.0 * C_S * d.S + GAMMA_L * C_L * d.L
    electrons += GAMMA_PAA * C_PAA * d.PAA + GAMMA_P * C_P * penicillin
    nitrogen = N_X * cells + N_P * penicillin
    assert 1e3 * carbon + e.cer == pytest.approx(0.0, abs=1e-9)
    assert 1e3 * electrons + 4.0 * e.our == pytest.approx(0.0, abs=1e-9)
    assert 1e3 * nitrogen - e.ammonia == pytest.approx(0.0, abs=1e-9)
    assert e.our >= -1e-12
    assert e.cer >= -1e-12


@pytest.mark.parametrize(("S", "L", "PAA", "O", "NH3"), GRID)
def test_nothing_is_taken_that_is_not_there(
    S: float,
    L: float,
    PAA: float,
    O: float,  # noqa: E741
    NH3: float,
) -> None:
    r = rates(BUSY._replace(S=S, L=L, PAA=PAA), O, NH3)
    assert min(r[1:]) >= 0.0
    assert S > 0.0 or r.qS == 0.0
    assert L > 0.0 or r.qL == 0.0
    assert PAA > 0.0 or r.qPAA == 0.0
    assert NH3 > 0.0 or (r.new == 0.0 and r.qP == 0.0)
    if O == 0.0:
        e = MODEL.exchange(BUSY._replace(S=S), WELL._replace(O=0.0), P, SCALARS)
        assert e.our == pytest.approx(0.0, abs=1e-9)


def test_product_forms_only_in_a_narrow_window_of_uptake() -> None:
    """At a few mg/L of sugar; starved or fed to excess it makes a fifth of its best or less."""
    sugar = np.geomspace(1e-5, 3.0, 400)
    made = np.array([rates(BUSY._replace(S=float(s), L=0.0)).qP for s in sugar])
    best = int(made.argmax())
    assert 0.001 < sugar[best] < 0.02
    assert made[0] < 0.2 * made[best] > made[-1]
    assert 0.010 < made[best] < 0.018  # g/(g.h)


def test_windows_bind_as_in_the_source() -> None:
    best = rates()
    assert rates(O=0.0025).qP < 0.05 * best.qP  # 30 % of what 1 bar more would hold
    assert rates(O=0.0025).new > 0.5 * best.new
    assert rates(O=0.0005).new < 0.3 * best.new
    assert rates(BUSY._replace(PAA=0.05)).qP < 0.05 * best.qP
    assert rates(BUSY._replace(PAA=3.5)).new < 0.3 * best.new
    assert rates(NH3=3.0).new < 0.3 * best.new


def test_starving_cells_burn_themselves_at_half_of_maintenance() -> None:
    r = rates(BUSY._replace(S=0.0, L=0.0))
    assert r.mu == pytest.approx(-0.029 * 0.54, rel=0.05)


def test_hydrolysis_is_slowest_near_ph_seven_and_grows_with_temperature() -> None:
    at = hydrolysis
    assert at(25.0, 6.5, SCALARS) == pytest.approx(0.0026, rel=0.02)
    assert at(25.0, 5.0, SCALARS) > at(25.0, 6.5, SCALARS) < at(25.0, 8.5, SCALARS)
    assert at(30.0, 6.5, SCALARS) > 1.3 * at(25.0, 6.5, SCALARS)


def test_activity_has_the_optimum_that_the_printed_constants_miss() -> None:
    """Near 28 Cel, where Birol's printed constant has 52 Cel."""
    T = np.linspace(10.0, 50.0, 401)
    found = [MODEL.activity(float(t), 6.5, SCALARS) for t in T]
    assert MODEL.activity(25.0, 6.5, SCALARS) == pytest.approx(1.0)
    assert 26.0 < T[int(np.argmax(found))] < 30.0
    assert min(found) > 0.0
    assert MODEL.activity(40.0, 6.5, SCALARS) < 0.3


def test_cells_thicken_the_broth_and_oil_takes_what_they_leave() -> None:
    thin, thick = BUSY._replace(X=0.5, Xd=0.0, L=0.0), BUSY._replace(L=0.0)
    assert MODEL.viscosity(thick, P[: len(MODEL.parameters)], SCALARS) == pytest.approx(60, abs=10)
    assert MODEL.kla_factor(thick, P, SCALARS) < 0.3 * MODEL.kla_factor(thin, P, SCALARS)
    oily = MODEL.kla_factor(thick._replace(L=2.0), P, SCALARS)
    assert oily == pytest.approx(0.8 * MODEL.kla_factor(thick, P, SCALARS))


@settings(max_examples=200, deadline=None)
@given(st.floats(0, 40), st.floats(0, 5), st.floats(0, 0.02), st.floats(0, 5), st.floats(0, 150))
def test_more_sugar_never_slows_growth_and_oxygen_is_never_given(
    S: float,
    L: float,
    O: float,  # noqa: E741
    PAA: float,
    NH3: float,
) -> None:
    c = BUSY._replace(S=S, L=L, PAA=PAA)
    e = MODEL.exchange(c, WELL._replace(O=O, NH3=NH3), P, SCALARS)
    assert e.our >= -1e-9
    assert rates(c._replace(S=S + 0.1), O, NH3).mu >= rates(c, O, NH3).mu - 1e-9
