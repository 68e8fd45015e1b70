"""Organisms in vessels of three sizes: balances close, oxygen may collapse, steps do not matter."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from models import heat
from models.fn import SCALARS
from models.vessels import DENSITY, GAS_L_PER_MIN, LIQUID_L_PER_H
from models.yeast import C_E, C_S, C_X
from sim.vessel import Vessel

EVERY = [
    *(("ecoli", "5l"), ("ecoli", "300l"), ("ecoli", "100m3")),
    *(("yeast", "5l"), ("yeast", "300l"), ("pensim", "300l"), ("penicillin", "100m3")),
    pytest.param("penicillin_structured", "100m3", marks=pytest.mark.long),
]
FULL = {"5l": (1000.0, 6.0), "300l": (400.0, 300.0), "100m3": (100.0, 3600.0)}  # stirrer, air


def held(vessel: Vessel) -> Callable[[], None]:
    """Return what lets 10 s pass with temperature and pH held by hand, stirrer and air full."""
    organism, name = vessel.model.organism, vessel.model.vessel.name
    for tag, value in zip(("stirrer", "air"), FULL[name], strict=True):
        vessel.write(f"R1.{tag}", value)
    if name != "5l":
        vessel.write("R1.pressure", vessel.model.vessel.pressure_bar)
    most, integral = vessel.model.actuators["base"].high, 0.0

    def move() -> None:
        nonlocal integral
        temperature, ph, *_ = vessel.now()
        vessel.write("R1.base", most * min(1.0, max(0.0, organism.acidity - ph)))
        integral = min(100.0, max(-100.0, integral + 0.5 * (organism.temperature - temperature)))
        wanted = 30.0 * (organism.temperature - temperature) + integral
        vessel.write("R1.heater", max(0.0, wanted))
        vessel.write("R1.cooling", max(0.0, -wanted))
        vessel.advance(vessel.time + 10.0)

    return move


def litres_per_h(vessel: Vessel, name: str) -> float:
    return vessel.flow(name) * LIQUID_L_PER_H[vessel.model.actuators[name].unit]


def feed(vessel: Vessel, litres: float) -> None:
    """Feed so many litres per hour and per litre at the start."""
    unit = LIQUID_L_PER_H[vessel.model.actuators["feed"].unit]
    vessel.write("R1.feed", litres * vessel.model.vessel.start_volume_l / unit)


@pytest.mark.parametrize(("organism", "name"), EVERY)
def test_without_cells_oxygen_saturates_and_nothing_else_moves(organism: str, name: str) -> None:
    vessel = Vessel(organism, name)
    vessel.set_state(**{vessel.model.organism.called["biomass"]: 0.0, "O": 1e-3})
    move = held(vessel)
    sugar = vessel.truth["substrate_g_per_l"] * vessel.truth["volume_l"]
    for _ in range(360):
        move()
    t = vessel.truth
    assert t["do_percent"] == pytest.approx(100.0, abs=0.5)
    assert t["ph"] == pytest.approx(vessel.model.organism.acidity, abs=0.01)
    assert t["temperature_cel"] == pytest.approx(vessel.model.organism.temperature, abs=0.2)
    assert t["substrate_g_per_l"] * t["volume_l"] == pytest.approx(sugar, rel=1e-6)
    assert t["biomass_g_per_l"] == 0.0


@pytest.mark.parametrize("name", ["5l", "300l", "100m3"])
def test_a_batch_of_yeast_closes_in_carbon_electrons_and_mass(name: str) -> None:
    vessel = Vessel("yeast", name)
    move = held(vessel)

    def content() -> tuple[float, float]:
        """Return mol of carbon and of available electrons in the broth, but for CO2."""
        t = vessel.truth
        parts = (
            (C_X * t["biomass_g_per_l"], 4.2),
            (C_S * t["substrate_g_per_l"], 4.0),
            (C_E * t["ethanol_g_per_l"], 6.0),
        )
        carbon = sum(c for c, _ in parts) * t["volume_l"]
        return carbon, sum(c * gamma for c, gamma in parts) * t["volume_l"]

    carbon, electrons, mass = *content(), vessel.truth["mass_kg"]
    co2 = o2 = base = dried = 0.0  # mol, mol, L, kg
    for k in range(14 * 360):
        feed(vessel, 0.0 if k < 6 * 360 else 0.008 * math.exp(0.12 * (k / 360 - 6.0)))
        move()
        t = vessel.truth
        co2 += t["cer_mmol_per_l_h"] * t["volume_l"] * 1e-3 / 360.0
        o2 += t["our_mmol_per_l_h"] * t["volume_l"] * 1e-3 / 360.0
        base += litres_per_h(vessel, "base") / 360.0
        w = vessel.model.vessel
        head = w.pressure_bar if name == "5l" else vessel.flow("pressure")
        air = vessel.flow("air") * GAS_L_PER_MIN[w.actuators["air"].unit]
        gone = heat.evaporation(air, t["temperature_cel"], head, SCALARS)
        dried += (1.0 - w.condenser_share) * gone / 360.0
    t = vessel.truth
    fed = t["fed_substrate_g"]
    assert t["biomass_g_per_l"] > 15.0
    assert fed > 0.03 * mass * 1e3
    carbon_now, electrons_now = content()
    assert carbon_now + co2 == pytest.approx(carbon + C_S * fed, rel=0.001)
    assert electrons_now + 4.0 * o2 == pytest.approx(electrons + 4.0 * C_S * fed, rel=0.001)
    gas = (32.0 * o2 - 44.0 * co2) * 1e-3
    weight = mass + base * DENSITY + fed / 350.0 * 1.13 - dried + gas
    assert t["mass_kg"] == pytest.approx(weight, rel=5e-4)
    assert vessel.read("R1.weight") == pytest.approx(t["mass_kg"], rel=2e-3)


@pytest.mark.parametrize(("organism", "name"), [e for e in EVERY if e != ("ecoli", "5l")])
def test_a_collapse_of_oxygen_stays_stable_and_never_negative(organism: str, name: str) -> None:
    vessel = Vessel(organism, name)
    vessel.set_state(X=45.0, S=2.0)
    move = held(vessel)
    feed(vessel, 0.02)
    least = math.inf
    for k in range(300):
        if k == 60:
            vessel.write("R1.antifoam", vessel.model.actuators["antifoam"].high)
        if k == 90:
            vessel.write("R1.antifoam", 0.0)
        if k == 150:
            vessel.write("R1.stirrer", 40.0)
        move()
        state = vessel.state()
        state.pop("strong")
        least = min(least, *state.values())
    assert least >= 0.0
    t = vessel.truth
    assert t["do_percent"] < 2.0
    assert t["our_mmol_per_l_h"] == pytest.approx(t["otr_mmol_per_l_h"], rel=0.05)


@pytest.mark.parametrize("name", ["5l", "300l"])
def test_halving_the_step_changes_no_figure_of_yeast(name: str) -> None:
    def run(step: float) -> dict[str, float]:
        vessel = Vessel("yeast", name)
        for tag, value in zip(("stirrer", "air"), FULL[name], strict=True):
            vessel.write(f"R1.{tag}", value)
        vessel.write("R1.base", 0.01 * vessel.model.actuators["base"].high)
        for k in range(round(8 * 3600 / step)):
            if k * step == 5 * 3600.0:
                feed(vessel, 0.01)
            vessel.advance((k + 1) * step)
        return vessel.truth

    whole, half = run(1.0), run(0.5)
    for figure in ("biomass_g_per_l", "ethanol_g_per_l", "do_percent", "energy_kwh", "mass_kg"):
        assert half[figure] == pytest.approx(whole[figure], rel=1e-3), figure


@pytest.mark.parametrize(("organism", "name"), [e for e in EVERY if e != ("ecoli", "5l")])
def test_no_violence_of_its_actuators_breaks_it(organism: str, name: str) -> None:
    chance = np.random.default_rng(7)
    vessel = Vessel(organism, name, 7)
    actuators = vessel.model.actuators
    inputs = {name: a.high for name, a in actuators.items() if a.high}
    for _ in range(60):
        for tag, high in inputs.items():
            share = chance.choice([0.0, 1.0, chance.uniform()], p=[0.5, 0.1, 0.4])
            mild = 1.0 if tag in ("stirrer", "air", "oxygen", "heater", "cooling") else 0.05
            vessel.write(f"R1.{tag}", share * high * (1.0 if tag == "pressure" else mild))
        vessel.advance(vessel.time + 300.0)
        state = vessel.state()
        state.pop("strong")
        assert all(math.isfinite(v) and v >= 0.0 for v in state.values()), state


def test_harvest_takes_broth_as_it_is() -> None:
    vessel = Vessel("yeast", "300l")
    vessel.set_state(X=0.0)
    before = vessel.truth
    vessel.write("R1.harvest", 60.0)
    vessel.advance(3600.0)
    t = vessel.truth
    assert before["volume_l"] - t["volume_l"] == pytest.approx(60.0, rel=0.02)
    assert t["substrate_g_per_l"] == pytest.approx(before["substrate_g_per_l"], rel=0.01)
    assert t["mass_kg"] / t["volume_l"] == pytest.approx(DENSITY, rel=1e-3)
    vessel.write("R1.harvest", 100.0)
    vessel.advance(5 * 3600.0)
    assert 15.0 < vessel.truth["volume_l"] < 24.0  # then the line draws air
