"""The charge balance: its slope, its solution, and its form as a differential equation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import ph
from models.fn import SCALARS

MEDIUM = ph.Ions(100.0, 5.0, 10.0, 50.0, 0.0)


@given(st.floats(3.0, 10.0))
def test_the_balance_finds_the_ph_that_its_strong_ions_were_made_for(pH: float) -> None:
    ions = MEDIUM._replace(strong=ph.strong_ions(pH, MEDIUM))
    assert ph.solve(ions) == pytest.approx(pH, abs=1e-6)


@given(st.floats(3.0, 10.0))
def test_buffering_is_the_slope_of_the_balance(pH: float) -> None:
    d = 1e-4
    slope = ph.imbalance(pH - d, MEDIUM, SCALARS) - ph.imbalance(pH + d, MEDIUM, SCALARS)
    assert ph.buffering(pH, MEDIUM, SCALARS) == pytest.approx(slope / (2 * d), rel=1e-4)


def test_fifty_millimolar_phosphate_buffers_as_known() -> None:
    assert ph.buffering(7.0, ph.Ions(0, 0, 0, 50.0, 0), SCALARS) == pytest.approx(27.0, abs=0.5)


def test_a_balance_without_solution_is_refused() -> None:
    with pytest.raises(ValueError, match="no pH between 2 and 12 balances"):
        ph.solve(MEDIUM._replace(strong=-1e4))


def test_the_rate_follows_acid_that_is_added() -> None:
    ions = MEDIUM._replace(strong=ph.strong_ions(7.0, MEDIUM))
    rates = ph.Ions(0.0, 0.0, 3.0, 0.0, 0.0)  # mmol/(L.h) of acetic acid
    rate = ph.ph_rate(7.0, ions, rates, SCALARS)
    after = ph.solve(ions._replace(acid=ions.acid + 3e-3))
    assert rate * 1e-3 == pytest.approx(after - 7.0, rel=1e-3)
