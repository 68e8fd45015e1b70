"""The vessel with its organism: one definition, the same numbers everywhere, known limits."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import heat, offgas, oxygen, symbolic
from models.bioreactor import Bioreactor
from models.ecoli import M_O2, EColi
from models.fn import ARRAYS, SCALARS
from models.vessel_variables import ACTUATORS, OWN, Input, State
from models.vessels import BENCH_5L

MODEL = Bioreactor(EColi(), BENCH_5L)
P = [v.default for v in MODEL.parameters]
START = MODEL.start(P)


def states(x: list[float] | None = None, **changed: float) -> list[float]:
    """Return ``x``, or the start, with states changed by name."""
    named = dict(zip((v.name for v in MODEL.states), x or START, strict=True)) | changed
    return list(named.values())


def inputs(**changed: float) -> list[float]:
    """Return the inputs at rest, with those changed that are named."""
    return list(({v.name: v.default for v in MODEL.inputs} | changed).values())


BUSY = states(
    X=30.0, S=0.02, A=0.5, P=3.0, E=0.7, inducer=0.3, V=3.9, M=4.0, O=1.5e-3, CO2=2.0, HCO3=15.0,
    NH3=90.0, T=36.9, Tj=35.0, yO2=0.19, yCO2=0.02, antifoam=0.05
)  # fmt: skip
U = inputs(
    stirrer=1000.0, air=6.0, oxygen=0.5, cooling=12.0, acid=0.1, base=0.3, feed=43.0,
    antifoam=0.1, inducer=0.2
)  # fmt: skip


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.mark.parametrize("x", [START, BUSY], ids=["start", "busy"])
def test_one_definition_gives_the_same_numbers_everywhere(x: list[float]) -> None:
    traced = symbolic.trace(MODEL)
    functions = [traced.rhs_function(), traced.output_function()]
    plain = [MODEL.rhs(0.0, x, U, P, SCALARS), MODEL.output(0.0, x, U, P, SCALARS)]
    columns = [np.full(2, v) for v in x]
    arrays = [MODEL.rhs(0.0, columns, U, P, ARRAYS), MODEL.output(0.0, columns, U, P, ARRAYS)]
    for wanted, array in zip(plain, arrays, strict=True):
        got = [np.broadcast_to(v, (2,))[0] for v in array]
        np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-12)
    for compiler in ("gcc", None):
        made = symbolic.compiled(functions, compiler)
        for function, wanted in zip(made.values(), plain, strict=True):
            assert function.native == (compiler is not None)
            for buffer, values in zip(function.arguments, (x, U, P), strict=True):
                buffer[:] = type(buffer)("d", values)
            function()
            np.testing.assert_allclose(function.results[0], wanted, rtol=1e-6, atol=1e-9)


def test_the_names_fit_the_tuples_that_unpack_them() -> None:
    assert [v.name for v in OWN] == list(State._fields)
    assert [*ACTUATORS, "feeds"] == list(Input._fields)
    assert [v.name for v in MODEL.states] == ["X", "S", "A", "P", "E", "inducer", *State._fields]
    assert [v.name for v in MODEL.inputs] == [*ACTUATORS, "feed", "inducer"]


def test_the_start_is_at_rest_but_for_the_cells() -> None:
    x = MODEL.start(P, biomass_g_per_l=0.0)
    rates = MODEL.rhs(0.0, x, inputs(stirrer=500.0, air=2.0), P, SCALARS)
    for variable, rate in zip(MODEL.states, rates, strict=True):
        if variable.name not in ("T", "M", "V", "NH3", "PO4", "strong"):
            assert rate == pytest.approx(0.0, abs=5e-3), variable.name


def greatest_transfer(volume: float, air: float, broth: float) -> float:
    """Return OTR in mmol/(L.h) at 1000 r/min and 30 % DO with the gas that it depletes, RQ 1."""
    kla = MODEL.transfer(1000.0, air, volume, 37.0, 0.0, broth, SCALARS)[0]
    dissolved = 0.3 * oxygen.saturation(37.0, oxygen.AIR_O2, BENCH_5L.pressure_bar, SCALARS)
    y, otr = oxygen.AIR_O2, 0.0
    for _ in range(200):
        full = oxygen.saturation(37.0, y, BENCH_5L.pressure_bar, SCALARS)
        otr = 0.5 * (otr + kla * (full - dissolved) / M_O2 * 1e3)
        y = oxygen.AIR_O2 - otr * volume * 1e-3 / (air * offgas.MOL_PER_H)
    return otr


def test_the_bench_transfers_the_oxygen_of_the_table() -> None:
    """130 mmol/(L.h) with inlet gas; its "about 120" with depletion is 107 by its formulae."""
    kla = MODEL.transfer(1000.0, 5.625, 3.75, 37.0, 0.0, 1.0, SCALARS)[0]
    full = oxygen.saturation(37.0, oxygen.AIR_O2, BENCH_5L.pressure_bar, SCALARS)
    assert kla == pytest.approx(858.0, rel=0.03)
    inlet_gas = kla * 0.7 * full / M_O2 * 1e3
    assert inlet_gas == pytest.approx(130.0, rel=0.03)
    depleted = greatest_transfer(3.75, 5.625, 1.0)
    assert depleted == pytest.approx(107.0, abs=2.0)
    uptake = depleted * 3.75e-3 / (5.625 * offgas.MOL_PER_H) / oxygen.AIR_O2
    assert depleted == pytest.approx(inlet_gas * (1.0 - uptake / 0.7), rel=1e-3)
    assert [round(greatest_transfer(v, 6.0, 0.7)) for v in (3.0, 3.4, 4.4)] == [90, 84, 74]


def test_the_gas_balance_is_read_backwards() -> None:
    otr, ctr, volume = 80.0, 85.0, 3.5
    y_o2, y_co2 = 0.2, 0.01
    for _ in range(20000):
        d_o2, d_co2 = offgas.gas_rates(
            y_o2, y_co2, 5.0, 0.5, otr * volume * 1e-3, ctr * volume * 1e-3, 0.1
        )
        y_o2, y_co2 = y_o2 + 1e-4 * d_o2, y_co2 + 1e-4 * d_co2
    our, cer = offgas.uptake_from_gas(5.0, 0.5, y_o2, y_co2, volume)
    assert our == pytest.approx(otr, rel=1e-4)
    assert cer == pytest.approx(ctr, rel=1e-4)


def test_heat_and_evaporation_are_of_the_known_size() -> None:
    for our, kw_per_m3 in ((100, 12.8), (200, 25.6), (300, 38.3)):
        assert heat.RESPIRATION * our / 3600.0 == pytest.approx(kw_per_m3, rel=0.01)
    for T, g_per_l_h in ((30.0, 2.1), (37.0, 3.2)):  # 1 vvm, no condenser
        assert 1e3 * heat.evaporation(1.0, T, 1.01325, SCALARS) == pytest.approx(
            g_per_l_h, rel=0.05
        )
    assert heat.compression(1000.0 / 60.0, 2.0) / 1e3 == pytest.approx(0.031, rel=0.05)


def test_the_jacket_can_take_the_greatest_heat_and_cover_the_least() -> None:
    """Steady jacket and broth at 37 Cel need 0..100 % between no cells and 120 mmol/(L.h)."""
    v = dict(zip((w.name for w in MODEL.parameters), P, strict=True))
    shaft = MODEL.transfer(1000.0, 6.0, 4.4, 37.0, 0.0, 0.7, SCALARS)[1]
    heat_w = 120.0 * 4.4e-3 * heat.RESPIRATION / 3.6 + shaft
    jacket = 37.0 - heat_w / v["UA"]
    assert v["cooler"] * (jacket - v["T_coolant"]) > 1.5 * heat_w
    assert v["heater"] > 5.0 * v["loss"] * (37.0 - v["T_room"])


@settings(max_examples=150, deadline=None)
@given(
    st.floats(0, 1500), st.floats(0, 10), st.floats(0, 60), st.floats(0, 50), st.floats(0, 8e-3),
    st.floats(3, 10), st.floats(5, 75), st.floats(0.5, 6.5),
)  # fmt: skip
def test_the_right_hand_side_is_finite_wherever_a_plant_can_be(
    N: float, air: float, X: float, S: float, o2: float, pH: float, T: float, V: float
) -> None:
    x = states(BUSY, X=X, S=S, O=o2, pH=pH, T=T, V=V)
    u = inputs(
        **(dict(zip((v.name for v in MODEL.inputs), U, strict=True)) | {"stirrer": N, "air": air})
    )
    assert all(math.isfinite(v) for v in MODEL.rhs(0.0, x, u, P, SCALARS))
    assert all(math.isfinite(v) for v in MODEL.output(0.0, x, u, P, SCALARS))
