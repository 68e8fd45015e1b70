"""The head space: gas fills it, the exhaust lets out what is too much, broth leaves room."""

import pytest

from sim.head import LEAK_PER_H, ROOM_BAR
from sim.vessel import Vessel


def vessel(air: float, name: str = "100m3") -> Vessel:
    made = Vessel("ecoli", name, instruments={})
    made.set_state(X=0.0)
    made.write("R1.air", air)
    made.write("R1.pressure", made.model.vessel.pressure_bar)
    made.advance(300.0)
    return made


def test_a_closed_vessel_without_air_leaks_as_it_may() -> None:
    made = vessel(1000.0)
    made.faults.inject("air.zero")
    made.write("R1.pressure", 2.5)
    made.advance(made.time + 120.0)  # the valve needs a moment
    before = made.truth["head_bar"]
    made.advance(made.time + 3600.0)
    lost = (before - made.truth["head_bar"]) / (before - ROOM_BAR)
    assert lost == pytest.approx(LEAK_PER_H, rel=0.1)


def test_pressure_rises_by_the_gas_that_is_blown_in() -> None:
    made = vessel(900.0)
    made.faults.inject("air.zero")
    made.write("R1.pressure", 1.2)  # the exhaust is wide open
    made.advance(made.time + 600.0)
    low = made.truth["head_bar"]
    assert low == pytest.approx(1.2, abs=0.01)
    made.write("R1.pressure", 2.5)
    made.advance(made.time + 60.0)
    assert made.truth["head_bar"] <= low
    made.faults.clear("air.zero")
    made.write("R1.air", 900.0)
    made.advance(made.time + 60.0)
    began = made.truth["head_bar"]
    made.advance(made.time + 60.0)
    x = made.state()
    space = made.model.vessel.total_volume_l - x["V"]
    normal = 900.0 * 1000.0 / 60.0  # L in a minute
    most = normal * 1.01325 * (x["T"] + 273.15) / 273.15 / space
    assert made.truth["head_bar"] - began == pytest.approx(most, rel=0.05)


def test_broth_that_is_drawn_off_makes_room_above() -> None:
    made = vessel(1000.0)
    made.faults.inject("air.zero")
    made.write("R1.pressure", 2.5)
    made.advance(made.time + 60.0)
    before, full = made.truth["head_bar"], made.truth["volume_l"]
    made.write("R1.harvest", 20e3)
    made.advance(made.time + 900.0)
    total = made.model.vessel.total_volume_l
    left = before * (total - full) / (total - made.truth["volume_l"])
    assert made.truth["head_bar"] == pytest.approx(left, abs=0.02)
