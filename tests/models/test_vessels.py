"""The three vessels against the tables of the process notes, by the model that simulates them."""

from typing import NamedTuple

import pytest

from models import heat, offgas, oxygen
from models.bioreactor import Bioreactor
from models.ecoli import EColi
from models.fn import SCALARS
from models.vessels import BENCH_5L, PILOT_300L, PRODUCTION_100M3, VESSELS, Stirred
from sim.vessel import Vessel


class Coalescing(EColi):
    kla_law = oxygen.COALESCING


class Transfer(NamedTuple):
    """kLa in 1/h, and oxygen transfer in mmol/(L.h) at 30 % DO with each idea of the gas."""

    kla: float
    inlet: float  # as it comes in
    mixed: float  # as it goes out, which the model has
    plug: float  # on its way


def transfer(organism: EColi, w: Stirred, V: float, N: float, vvm: float) -> Transfer:
    """Return what ``V`` L of broth get with a factor of 1 on kLa, RQ 1, warm gas, usual head."""
    kla = Bioreactor(organism, w).transfer(N, vvm * V, V, 37.0, 0.0, 1.0, SCALARS)[0]
    head = w.pressure_bar + float(w.static_bar(V))
    full = oxygen.saturation(37.0, oxygen.AIR_O2, head, SCALARS) / 32.0 * 1e3
    flow = vvm * offgas.MOL_PER_H * 1e3  # mmol/(L.h)
    use = kla * full / oxygen.AIR_O2 / flow
    inlet = 0.7 * kla * full
    plug = inlet / use * (1.0 - SCALARS.exp(-use))
    return Transfer(kla, inlet, inlet / (1.0 + use), plug)


TABLE = (  # vessel, fill, r/min, vvm; W/m3; kLa, inlet and mixed of the notes by kLa law
    (BENCH_5L, 3.75, 1000.0, 1.5, 4240, (184, 28, 28), (858, 130, 107)),
    (PILOT_300L, 225.0, 400.0, 1.2, 3500, (266, 72, 62), (897, 243, 160)),
    (PRODUCTION_100M3, 75e3, 100.0, 0.8, 1580, (430, 154, 103), (707, 253, 140)),
)


@pytest.mark.parametrize(
    ("w", "V", "N", "vvm", "power", "coalescing", "not_coalescing"),
    TABLE,
    ids=lambda v: getattr(v, "name", ""),
)
def test_power_kla_and_transfer_follow_the_table(
    w: Stirred,
    V: float,
    N: float,
    vvm: float,
    power: float,
    coalescing: tuple[float, float, float],
    not_coalescing: tuple[float, float, float],
) -> None:
    """Within 7 %: the table does not warm the gas, which is worth 6 % of coalescing kLa.

    "About 120" of 5 L with mixed gas is 107 by the notes' own formulae.
    """
    shaft = Bioreactor(EColi(), w).transfer(N, vvm * V, V, 37.0, 0.0, 1.0, SCALARS)[1]
    assert shaft / V * 1e3 == pytest.approx(power, rel=0.02)
    for organism, wanted in ((Coalescing(), coalescing), (EColi(), not_coalescing)):
        found = transfer(organism, w, V, N, vvm)
        assert found[:3] == pytest.approx(wanted, rel=0.07)
        assert found.mixed < found.plug < found.inlet


def test_gas_that_is_not_mixed_would_carry_more_as_in_the_table() -> None:
    for organism, wanted in ((Coalescing(), 122.0), (EColi(), 174.0)):
        found = transfer(organism, PRODUCTION_100M3, 75e3, 100.0, 0.8)
        assert found.plug == pytest.approx(wanted, rel=0.03)


def test_the_largest_vessel_floods_at_eighty_and_not_at_a_hundred() -> None:
    model = Bioreactor(EColi(), PRODUCTION_100M3)
    found = {N: model.transfer(N, 0.8 * 75e3, 75e3, 37.0, 0.0, 1.0, SCALARS) for N in (60, 80, 100)}
    assert found[80][2] > 1.0 > found[100][2]
    assert found[60][0] < 0.5 * found[100][0]


def test_head_pressure_moves_saturation_and_compresses_the_gas() -> None:
    w = PRODUCTION_100M3
    model = Bioreactor(EColi(), w)
    p = [v.default for v in model.parameters]
    x = model.start(p, biomass_g_per_l=0.0)
    rest = {v.name: v.default for v in model.inputs} | {"air": 3600.0, "stirrer": 100.0}
    low, high = w.actuators["pressure"].low, w.actuators["pressure"].high
    assert low > 1.0  # never below that of the room
    inputs = [list((rest | {"pressure": bar}).values()) for bar in (low, 2.0, high)]
    at = [model.output(0.0, x, u, p, SCALARS) for u in inputs]
    otr = [y[3] for y in at]
    assert otr[0] < -10.0
    assert otr[1] == pytest.approx(0.0, abs=1e-9)
    assert otr[2] > 10.0
    assert at[0][9] > at[2][9]  # more litres of gas flood sooner


@pytest.mark.parametrize("w", [PILOT_300L, PRODUCTION_100M3], ids=lambda w: w.name)
def test_whatever_is_wanted_the_head_stays_above_the_room(w: Stirred) -> None:
    """Its valve never opens wider: else air of the room would come in where it is not sterile."""
    vessel = Vessel("yeast", w.name)
    vessel.set_state(X=0.0)
    for pressure, air, cooling in ((0.0, 0.0, 100.0), (-1.0, 1e9, 0.0), (1e9, 0.0, 0.0)):
        for name, value in (("pressure", pressure), ("air", air), ("cooling", cooling)):
            vessel.write(f"R1.{name}", value)
        vessel.advance(vessel.time + 1800.0)
        least = w.actuators["pressure"].low - 0.01  # without air it leaks
        assert least <= vessel.truth["head_bar"] <= 2.5
        assert vessel.truth["head_bar"] > 1.05
        assert vessel.flow("air") >= w.actuators["air"].low * 0.9 or air == 0.0
    vessel.to_safe()
    vessel.advance(vessel.time + 1800.0)
    assert vessel.truth["head_bar"] == pytest.approx(w.actuators["pressure"].safe, abs=0.01)


def test_the_flooding_limit_is_that_of_the_notes_and_rises_with_the_gas() -> None:
    """At 0.8 vvm they have 0.227 over 0.162 at 80 r/min; gas over limit falls with its cube."""
    model = Bioreactor(EColi(), PRODUCTION_100M3)

    def limit(V: float) -> float:
        low, high = 40.0, 110.0
        for _ in range(40):
            N = 0.5 * (low + high)
            flooded = model.transfer(N, 0.8 * V, V, 37.0, 0.0, 1.0, SCALARS)[2] > 1.0
            low, high = (N, high) if flooded else (low, N)
        return low

    assert limit(75e3) == pytest.approx(80.0 * (0.227 / 0.162) ** (1.0 / 3.0), rel=0.04)
    assert limit(50e3) == pytest.approx(limit(75e3) * (50.0 / 75.0) ** (1.0 / 3.0), rel=0.03)


@pytest.mark.parametrize(("w", "kw_per_m3"), [(PILOT_300L, 54.0), (PRODUCTION_100M3, 30.0)])
def test_jacket_and_coils_carry_the_heat_of_the_table(w: Stirred, kw_per_m3: float) -> None:
    """The table's 15 K; and coolant that makes it so at 37 Cel. 210 of 5 L need a UA of 52."""
    v = {p.name: p.default for p in w.parameters}
    fill = 0.75 * w.total_volume_l  # L, and W per L is kW/m3
    assert v["UA"] * 15.0 / fill == pytest.approx(kw_per_m3, rel=0.01)
    across = 1.0 / (1.0 / v["UA"] + 1.0 / v["cooler"])
    assert across * (37.0 - v["T_coolant"]) / fill > kw_per_m3


def test_the_largest_jacket_alone_would_carry_the_heat_of_fifty_millimoles() -> None:
    jacket = 8.7 - 2.0  # kW/m3 at 15 K, less the stirrer
    assert jacket * 3600.0 / heat.RESPIRATION == pytest.approx(50.0, rel=0.06)


@pytest.mark.parametrize("w", VESSELS.values(), ids=lambda w: w.name)
def test_actuators_are_possible(w: Stirred) -> None:
    for name, a in w.actuators.items():
        assert 0.0 <= a.low <= a.high, name
        assert a.safe == 0.0 or a.low <= a.safe <= a.high, name
        assert a.least <= max(a.low, 0.02 * a.high), name
        assert max(a.dead, a.step) <= 0.02 * a.high, name
    assert w.actuators["stirrer"].safe > 0.0 < w.actuators["air"].safe
    assert w.start_volume_l < w.working_volume_l < w.total_volume_l
