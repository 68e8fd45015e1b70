"""Birol's penicillin: its known batch, and the defects of its printed form."""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from models.bioreactor import Bioreactor
from models.fn import SCALARS
from models.organism import Surroundings
from models.penicillin import C_S, C_X, N_P, N_X
from models.pensim import C_N, E_N, PenSim
from models.vessels import PILOT_300L

MODEL = PenSim()
P = [v.default for v in MODEL.parameters]
AIR = 0.0082  # g/L
GRID = list(itertools.product([0.1, 15.0], [0.0, 0.01, 10.0], [0.0, 5e-4, AIR]))


def batch(hours: float, feed_l_per_h: float, hydrolysis: float) -> tuple[float, Sequence[float]]:
    """Return the end of the batch phase in h, and X, S, P, V after ``hours`` of 100 L.

    25 Cel, pH 5, air saturation, nothing evaporates, feed from S < 0.3 g/L on.
    """
    activity = MODEL.activity(25.0, 5.0, P, SCALARS)

    def f(_t: float, x: NDArray[np.float64], feed: float) -> list[float]:
        X, S, made, V = x
        r = MODEL.rates(X, S, AIR, P, activity)
        D = feed / V
        return [
            (r.mu - D) * X,
            feed / V * 600.0 - D * S - r.qS * X,
            r.qP * X - (hydrolysis + D) * made,
            feed,
        ]

    def gone(_t: float, x: NDArray[np.float64]) -> float:
        return float(x[1]) - 0.3

    gone.terminal = True  # pyright: ignore[reportFunctionMemberAccess]
    first = solve_ivp(
        lambda t, x: f(t, x, 0.0),
        (0.0, 100.0),
        [0.1, 15.0, 0.0, 100.0],
        "BDF",
        rtol=1e-8,
        atol=1e-10,
        events=gone,
    )
    t = float(first.t[-1])
    rest = solve_ivp(
        lambda t, x: f(t, x, feed_l_per_h),
        (t, hours),
        first.y[:, -1],
        "BDF",
        rtol=1e-8,
        atol=1e-10,
    )
    return t, [float(v) for v in rest.y[:, -1]]


def test_the_batch_phase_ends_as_known_and_the_batch_about_so() -> None:
    """PenSim: about 40 h, 12-14 g/L, 1.3-1.5 g/L; the notes, with evaporation: 44, 15.1, 1.66."""
    t, (X, _, made, _) = batch(400.0, 0.042, 0.04)
    assert t == pytest.approx(44.0, abs=0.5)
    assert 12.0 <= X <= 14.0
    assert 1.3 <= made <= 1.5


def test_hydrolysis_decides_the_titre() -> None:
    titres = [batch(400.0, 0.042, K)[1][2] for K in (0.04, 0.01, 0.0)]
    assert titres == pytest.approx([1.47, 5.1, 14.7], rel=0.02)  # notes, wet: 1.68, 6.0, 18


def test_the_optimum_of_temperature_is_where_it_is_said_to_be() -> None:
    T = np.linspace(20.0, 60.0, 801)
    repaired = [MODEL.activity(float(t), 5.0, P, SCALARS) for t in T]
    assert T[int(np.argmax(repaired))] == pytest.approx(35.0, abs=1.5)
    printed = list(P)
    printed[-1] = 1e33
    found = [MODEL.activity(float(t), 5.0, printed, SCALARS) for t in T]
    assert T[int(np.argmax(found))] == pytest.approx(52.0, abs=2.0)
    assert min(repaired) >= 0.0


@pytest.mark.parametrize(("X", "S", "O"), GRID)
def test_carbon_electrons_and_nitrogen_close(X: float, S: float, O: float) -> None:  # noqa: E741
    around = Surroundings(O, 25.0, 5.0, 80.0, 1.0)
    p = [v.default for v in (*MODEL.parameters, *MODEL.medium)]
    e = MODEL.exchange([X, S, 1.0, 0.2], around, p, SCALARS)
    cells, sugar, kept, broken = e.species
    penicillin = kept + broken
    assert 1e3 * (C_X * cells + C_S * sugar + C_N * penicillin) + e.cer == pytest.approx(0.0)
    electrons = 4.2 * C_X * cells + 4.0 * C_S * sugar + E_N * penicillin
    assert 1e3 * electrons + 4.0 * e.our == pytest.approx(0.0)
    assert 1e3 * (N_X * cells + N_P * penicillin) == pytest.approx(e.ammonia)
    assert e.our >= 0.0
    if S == 0.0 or O == 0.0:
        assert sugar == 0.0
        assert e.our == 0.0


def test_its_oxygen_is_no_decoration() -> None:
    """At 15 g/L it takes what stirring gives; as printed DO never fell below 88 %."""
    model = Bioreactor(MODEL, PILOT_300L)
    p = [v.default for v in model.parameters]
    x = dict(zip((v.name for v in model.states), model.start(p), strict=True))
    x |= {"X": 15.0, "S": 5.0}
    y = model.output(0.0, list(x.values()), [v.default for v in model.inputs], p, SCALARS)
    assert y[1] > 25.0  # mmol/(L.h)
    assert y[1] > 2.0 * y[4] * 0.3  # kLa times half of saturation
