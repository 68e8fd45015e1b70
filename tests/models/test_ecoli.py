"""The organism's balances, and the known course of one batch."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from models.ecoli import C_A, C_P, C_S, C_X, M_CO2, M_O2, EColi
from models.fn import SCALARS

MODEL = EColi()
P = [v.default for v in MODEL.parameters]
GRID = list(itertools.product([0.0, 0.004, 0.05, 1.0, 20.0], [0.0, 0.3, 8.0], [0.0, 2e-4, 7e-3]))


def batch(x0: list[float], hours: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return t and x of a batch without oxygen limit, until glucose is gone or ``hours``."""

    def f(t: float, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array(MODEL.rhs(t, list(x), [0.0, 500.0, 1.0, 0.0], P, SCALARS))

    def gone(_t: float, x: NDArray[np.float64]) -> float:
        return float(x[1]) - 0.05

    gone.terminal = True  # pyright: ignore[reportFunctionMemberAccess]
    out = solve_ivp(f, (0.0, hours), x0, method="BDF", rtol=1e-8, atol=1e-10, events=gone)
    return out.t, out.y


def test_ten_grams_of_glucose_end_as_known_from_the_batch_of_the_source() -> None:
    t, x = batch([0.1, 10.0, 0.0, 0.0, 1.0, 3.0], 12.0)
    X, S, A = x[:3, -1]
    assert t[-1] == pytest.approx(7.4, abs=0.15)
    overflow = 100 * A * C_A / ((10.0 - S) * C_S)
    assert overflow == pytest.approx(9.0, abs=1.0)
    assert X == pytest.approx(4.4, abs=0.1)  # noqa: SIM300


def test_growth_starts_at_the_rate_of_the_source() -> None:
    r = MODEL.rates(10.0, 0.0, 1.0, 0.0, P, SCALARS)
    assert r.mu == pytest.approx(0.54, abs=0.03)
    assert r.qCO2 / M_CO2 * M_O2 / r.qO == pytest.approx(1.1, abs=0.1)  # RQ sees no overflow


@pytest.mark.parametrize(("S", "A", "O"), GRID)
@pytest.mark.parametrize("E", [0.0, 1.0])
def test_carbon_and_electrons_close(S: float, A: float, O: float, E: float) -> None:  # noqa: E741
    r = MODEL.rates(S, A, O, E, P, SCALARS)
    carbon = C_S * r.qS - C_A * (r.qAp - r.qAc) - C_X * r.mu - C_P * r.qP - r.qCO2 / M_CO2
    electrons = 4.0 * (C_S * r.qS - C_A * (r.qAp - r.qAc)) - 4.2 * (C_X * r.mu + C_P * r.qP)
    assert carbon == pytest.approx(0.0, abs=1e-12)
    assert 4.0 * r.qO / M_O2 == pytest.approx(electrons, abs=1e-12)


@pytest.mark.parametrize(("S", "A", "O"), GRID)
def test_nothing_is_taken_that_is_not_there(S: float, A: float, O: float) -> None:  # noqa: E741
    r = MODEL.rates(S, A, O, 1.0, P, SCALARS)
    assert min(r.qS, r.qAp, r.qAc, r.qO, r.qCO2, r.qP) >= -1e-12
    if S == 0.0:
        assert r.qS == 0.0
    if A == 0.0:
        assert r.qAc == 0.0
    if O == 0.0:
        assert r.qO == pytest.approx(0.0, abs=1e-12)


def test_starving_cells_burn_themselves_and_oxygen() -> None:
    r = MODEL.rates(0.0, 0.0, 7e-3, 0.0, P, SCALARS)
    assert r.mu == pytest.approx(-0.0204, rel=0.1)
    assert r.qO == pytest.approx(0.027, rel=0.1)


def test_overflow_burns_two_oxygen_per_glucose_that_leaves_as_acetate() -> None:
    low, high = (MODEL.metabolism(q, 0.0, 0.4276, 0.0, P, SCALARS) for q in (1.15, 1.25))
    acetate = (high.qAp - low.qAp) / 60.0 / 2.0  # mol glucose/(g.h) that went there
    cells = (high.mu - low.mu) * C_X / 6.0
    oxygen = (high.qO - low.qO) / M_O2
    burnt = 0.1 / 180.0 - acetate - cells
    assert oxygen == pytest.approx(2.0 * acetate + 6.0 * burnt - 0.2 * 1.5 * cells, rel=0.06)


@pytest.mark.parametrize("E", [0.5, 1.0])
def test_product_has_its_optimum_at_slow_growth_and_does_not_save_oxygen(E: float) -> None:
    qs = np.linspace(0.05, 0.9, 200)
    with_product = [MODEL.metabolism(float(q), 0.0, 0.4, E, P, SCALARS) for q in qs]
    without = [MODEL.metabolism(float(q), 0.0, 0.4, 0.0, P, SCALARS) for q in qs]
    best = int(np.argmax([r.qP for r in with_product]))
    assert without[best].mu == pytest.approx(0.06, abs=0.01)
    for a, b in zip(with_product, without, strict=True):
        assert a.mu <= b.mu
        assert a.qO == pytest.approx(b.qO, rel=0.10)


def test_activity_is_one_at_the_setpoints_and_falls_away_from_them() -> None:
    at = MODEL.activity
    assert at(37.0, 7.0, SCALARS) == pytest.approx(1.0, abs=1e-9)
    assert at(30.0, 7.0, SCALARS) < 0.7
    assert at(47.0, 7.0, SCALARS) < 0.5
    assert at(37.0, 5.0, SCALARS) < 0.6
    assert at(37.0, 9.0, SCALARS) < 0.6


@settings(max_examples=200, deadline=None)
@given(
    st.floats(0, 2),
    st.floats(0, 30),
    st.floats(0, 0.6),
    st.floats(0, 1),
)
def test_more_oxygen_capacity_never_makes_more_acetate(
    qS: float, A: float, cap: float, E: float
) -> None:
    less = MODEL.metabolism(qS, A, cap, E, P, SCALARS)
    more = MODEL.metabolism(qS, A, cap + 0.05, E, P, SCALARS)
    assert more.qAp - more.qAc <= less.qAp - less.qAc + 1e-9
    assert more.qO >= less.qO - 1e-9
