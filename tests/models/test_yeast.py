"""Yeast: balances that close, and the figures known of Sonnleitner and Kaeppeli's model."""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from models import oxygen
from models.fn import SCALARS
from models.yeast import C_E, C_S, C_X, M_CO2, M_O2, Rates, Yeast

MODEL = Yeast()
P = [v.default for v in MODEL.parameters]
AIR = float(oxygen.saturation(30.0, oxygen.AIR_O2, 1.01325, SCALARS))  # g/L, near 100 % DO
GRID = list(itertools.product([0.0, 0.01, 0.05, 1.0, 20.0], [0.0, 0.3, 8.0], [0.0, 1e-4, AIR]))


def rq(r: Rates) -> float:
    return float(r.qCO2 / M_CO2 / (r.qO / M_O2))


def solved(
    x0: Sequence[float], hours: float, D: float, Sf: float, event: int | None = None
) -> tuple[float, list[float]]:
    """Return when and where a culture at air saturation ends.

    ``event`` is the species that runs out, else it goes on for ``hours``.
    """

    def f(_t: float, x: NDArray[np.float64]) -> list[float]:
        X, S, E = x
        r = MODEL.rates(S, E, AIR, P, SCALARS)
        return [(r.mu - D) * X, D * (Sf - S) - r.qS * X, (r.qEp - r.qE) * X - D * E]

    def gone(_t: float, x: NDArray[np.float64]) -> float:
        return float(x[event or 0]) - 0.02

    gone.terminal = True  # pyright: ignore[reportFunctionMemberAccess]
    gone.direction = -1.0  # pyright: ignore[reportFunctionMemberAccess]
    out = solve_ivp(
        f, (0.0, hours), x0, "BDF", rtol=1e-8, atol=1e-10, events=gone if event else None
    )
    return float(out.t[-1]), [float(v) for v in out.y[:, -1]]


@pytest.mark.parametrize(("S", "E", "O"), GRID)
def test_carbon_and_electrons_close(S: float, E: float, O: float) -> None:  # noqa: E741
    r = MODEL.rates(S, E, O, P, SCALARS)
    carbon = C_S * r.qS + C_E * (r.qE - r.qEp) - C_X * r.mu - r.qCO2 / M_CO2
    electrons = 4.0 * C_S * r.qS + 6.0 * C_E * (r.qE - r.qEp) - 4.2 * C_X * r.mu
    assert carbon == pytest.approx(0.0, abs=1e-12)
    assert 4.0 * r.qO / M_O2 == pytest.approx(electrons, abs=1e-12)


@pytest.mark.parametrize(("S", "E", "O"), GRID)
def test_nothing_is_taken_that_is_not_there(S: float, E: float, O: float) -> None:  # noqa: E741
    r = MODEL.rates(S, E, O, P, SCALARS)
    assert min(r) >= 0.0
    assert S > 0.0 or r.qS == 0.0
    assert E > 0.0 or r.qE == 0.0
    assert O > 0.0 or r.qO == 0.0


def test_the_reactions_are_the_printed_ones() -> None:
    """The balances give the coefficients of the source; its CO2 of fermentation is 0.7 % higher."""
    fermented = MODEL.rates(20.0, 0.0, 0.0, P, SCALARS)
    respired = MODEL.rates(0.02, 0.0, 1.0, P, SCALARS)
    ethanol = MODEL.rates(0.0, 5.0, 1.0, P, SCALARS)
    assert respired.qO / respired.qS == pytest.approx(0.3968, rel=0.003)
    assert respired.qCO2 / respired.qS == pytest.approx(0.5897, rel=0.003)
    assert respired.mu / respired.qS == pytest.approx(0.49, rel=0.003)
    assert fermented.qCO2 / fermented.qS == pytest.approx(0.4621, rel=0.007)
    assert fermented.qEp / fermented.qS == pytest.approx(0.48, rel=0.005)
    assert fermented.mu / fermented.qS == pytest.approx(0.05)
    assert ethanol.qO / ethanol.qE == pytest.approx(1.104, rel=0.003)
    assert ethanol.qCO2 / ethanol.qE == pytest.approx(0.6249, rel=0.003)
    assert ethanol.mu / ethanol.qE == pytest.approx(0.72)


def test_growth_without_ethanol_ends_at_the_critical_rate() -> None:
    def spilt(S: float) -> float:
        """Return ethanol made beyond 2 % of what glucose could give: the bend is not sharp."""
        r = MODEL.rates(S, 0.0, AIR, P, SCALARS)
        return float(r.qEp - 0.02 * 0.48 * r.qS)

    S = float(brentq(spilt, 1e-3, 1.0))
    assert pytest.approx(0.045, abs=0.001) == S
    assert MODEL.rates(S, 0.0, AIR, P, SCALARS).mu == pytest.approx(0.312, abs=0.002)


@pytest.mark.parametrize(
    ("D", "biomass_yield", "quotient"),
    [
        (0.10, 0.49, 1.08),
        (0.20, 0.49, 1.08),
        (0.30, 0.49, 1.08),
        (0.32, 0.40, 1.3),
        (0.35, 0.25, 2.1),
        (0.40, 0.16, 3.4),
    ],
)
def test_a_chemostat_yields_as_known(D: float, biomass_yield: float, quotient: float) -> None:
    """30 g/L glucose, near air saturation; the quotient is CO2 over O2."""
    _, (X, S, E) = solved([5.0, 0.1, 0.0], 60.0 / D, D, 30.0)
    r = MODEL.rates(S, E, AIR, P, SCALARS)
    assert pytest.approx(biomass_yield, abs=0.006) == X / 30.0
    assert rq(r) == pytest.approx(quotient, abs=0.06)


def test_twenty_grams_of_glucose_go_as_known() -> None:
    hours, middle = solved([0.2, 20.0, 0.0], 20.0, 0.0, 0.0, event=1)
    assert hours == pytest.approx(6.0, abs=0.15)
    assert middle[0] == pytest.approx(2.9, abs=0.1)
    assert middle[2] == pytest.approx(7.7, abs=0.15)
    more, end = solved(middle, 20.0, 0.0, 0.0, event=2)
    assert hours + more == pytest.approx(12.7, abs=0.25)
    assert end[0] == pytest.approx(8.5, abs=0.15)


def test_rates_in_batch_and_quotient_on_ethanol_are_as_known() -> None:
    assert MODEL.rates(20.0, 0.0, AIR, P, SCALARS).mu == pytest.approx(0.45, abs=0.01)
    regrowth = MODEL.rates(0.0, 5.0, AIR, P, SCALARS)
    assert regrowth.mu == pytest.approx(0.165, abs=0.008)
    assert rq(regrowth) == pytest.approx(0.41, abs=0.01)


def test_activity_is_one_as_it_is_grown_and_falls_away_from_there() -> None:
    at = MODEL.activity
    assert at(30.0, 5.0, SCALARS) == pytest.approx(1.0, abs=1e-9)
    assert at(22.0, 5.0, SCALARS) < 0.6
    assert at(42.0, 5.0, SCALARS) < 0.6
    assert at(30.0, 2.5, SCALARS) < 0.5
    assert at(30.0, 8.5, SCALARS) < 0.3


@settings(max_examples=200, deadline=None)
@given(st.floats(0, 50), st.floats(0, 60), st.floats(0, 8e-3))
def test_more_oxygen_never_makes_more_ethanol(S: float, E: float, O: float) -> None:  # noqa: E741
    less = MODEL.rates(S, E, O, P, SCALARS)
    more = MODEL.rates(S, E, O + 1e-3, P, SCALARS)
    assert more.qEp - more.qE <= less.qEp - less.qE + 1e-9
    assert more.qO >= less.qO - 1e-9
