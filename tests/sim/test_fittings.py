"""Every vessel has the instruments of its size, and each shows what it looks at."""

import math
import re
from pathlib import Path

import numpy as np
import pytest

from controller.plant import load_plant
from controller.plant_file.config import ConfigError
from fermloop.commands.simulated import simulation, vessels
from models.bioreactor import Bioreactor
from models.organisms import ORGANISMS
from models.vessels import VESSELS
from sim.fittings import fitted
from sim.instruments import Instrument
from sim.vessel import PROBES, Vessel

PLANT = Path(__file__).parents[2] / "sim/plants/ecoli_5l.toml"
PAIRS = [("ecoli", "5l"), ("yeast", "300l"), ("penicillin", "100m3")]


def every(organism: str, vessel: str) -> dict[str, str]:
    return dict.fromkeys(fitted(Bioreactor(ORGANISMS[organism](), VESSELS[vessel])), "")


def mean_of(vessel: Vessel, name: str, seconds: int) -> float:
    shown: list[float] = []
    for _ in range(seconds):
        vessel.advance(vessel.time + 1.0)
        shown.append(vessel.read(f"R1.{name}"))
    return float(np.mean(shown))


def test_a_multiplexed_analyser_shows_its_last_reading_until_the_next() -> None:
    probe = Instrument(0.0, 0.0, every_s=300.0)
    shown = [probe.show(float(k), float(k), 1.0, 0.0) for k in range(900)]
    assert set(shown) == {0.0, 300.0, 600.0}
    assert [shown.index(v) for v in (0.0, 300.0, 600.0)] == [0, 300, 600]


def test_turbidity_bends_and_noise_grows_with_the_reading() -> None:
    probe = Instrument(0.0, 0.1, share=0.02, full=60.0)
    assert probe.show(1.0, 0.0, 1.0, 0.0) == pytest.approx(1.0, rel=0.01)
    dense = probe.show(100.0, 1.0, 1.0, 0.0)
    assert dense == pytest.approx(60.0 * (1.0 - math.exp(-100.0 / 60.0)))
    assert probe.show(100.0, 2.0, 1.0, 1.0) - dense == pytest.approx(0.1 + 0.02 * dense)


def test_lag_comes_before_the_line_and_neither_changes_the_other() -> None:
    probe, lag = Instrument(20.0, 0.0, delay_s=40.0), Instrument(20.0, 0.0)
    late = [probe.show(1.0, float(k), 1.0, 0.0) for k in range(100)]
    prompt = [lag.show(1.0, float(k), 1.0, 0.0) for k in range(100)]
    assert late[40:] == prompt[:60]


@pytest.mark.parametrize(("organism", "name"), PAIRS)
def test_every_instrument_of_a_vessel_shows_a_number_in_its_unit(organism: str, name: str) -> None:
    wanted = every(organism, name)
    assert set(PROBES) <= set(wanted)
    vessel = Vessel(organism, name, 3, instruments=wanted)
    vessel.advance(600.0)
    assert all(math.isfinite(vessel.read(f"R1.{i}")) for i in wanted)
    assert ("viscosity" in wanted) == (organism == "penicillin")
    assert ("ethanol" in wanted) == (organism == "yeast")


@pytest.mark.parametrize(("organism", "name"), PAIRS)
def test_at_rest_seed_zero_shows_the_truth(organism: str, name: str) -> None:
    vessel = Vessel(organism, name, 0, instruments=every(organism, name))
    vessel.set_state(X=10.0, S=3.0)
    vessel.advance(1200.0)
    state, many = vessel.state(), 600
    at = 2.0 if name == "100m3" else 1.0  # minutes of noise that is left in a mean
    for probe, truth, near in (
        ("temperature", state["T"], 0.2),
        ("head_pressure", vessel.truth["head_bar"], 0.002),
        ("capacitance", state["X"], 0.5),
        ("turbidity", 60.0 * (1.0 - math.exp(-state["X"] / 60.0)), 0.5),
        ("weight", state["M"], 5e-4 * state["M"]),
        ("coolant_temperature", vessel.parameters["T_coolant"], 0.02),
        ("foam", state["foam"], 3.0),
    ):
        assert mean_of(vessel, probe, many) == pytest.approx(truth, abs=at * near), probe


def test_dead_cells_are_seen_by_light_and_not_by_capacitance() -> None:
    vessel = Vessel("penicillin", "100m3", instruments={"capacitance": "", "turbidity": ""})
    vessel.set_state(X=5.0, Xd=20.0)
    alive, all_cells = mean_of(vessel, "capacitance", 300), mean_of(vessel, "turbidity", 300)
    assert alive == pytest.approx(5.0, abs=0.6)
    assert all_cells == pytest.approx(60.0 * (1.0 - math.exp(-25.0 / 60.0)), abs=1.0)


def test_of_structured_hyphae_the_living_share_is_seen_and_viscosity_is_theirs() -> None:
    names = {"capacitance": "", "turbidity": "", "viscosity": ""}
    vessel = Vessel("penicillin_structured", "100m3", instruments=names)
    vessel.set_state(X=20.0, a0=0.1, a1=0.3, a3=0.4, a4=0.2, eta=40.0)
    vessel.advance(60.0)
    shown = {name: mean_of(vessel, name, 120) for name in names}
    assert shown["capacitance"] == pytest.approx(8.0, abs=0.8)
    assert shown["turbidity"] == pytest.approx(60.0 * (1.0 - math.exp(-20.0 / 60.0)), abs=1.0)
    assert shown["viscosity"] == pytest.approx(vessel.state()["eta"], rel=0.1)


def test_every_bottle_is_weighed_and_exchanged_and_a_pump_shows_what_it_believes() -> None:
    wanted = {"base_weight": "g", "base_flow": "", "feed_flow": ""}
    vessel = Vessel("ecoli", "5l", 5, instruments=wanted)
    vessel.write("R1.base", 5.0)
    vessel.write("R1.feed", 100.0)
    vessel.advance(3600.0)
    drawn = 2500.0 - mean_of(vessel, "base_weight", 10)
    really = vessel.flow("base")
    assert drawn == pytest.approx(really * 60.0 * 1.01, rel=0.01)
    assert mean_of(vessel, "base_flow", 60) == pytest.approx(5.0, abs=0.01)
    assert mean_of(vessel, "feed_flow", 60) == pytest.approx(100.0, abs=0.2)
    assert abs(really - 5.0) > 0.01
    vessel.advance(9 * 3600.0)
    assert vessel.read("R1.base_weight") > 90.0


def test_more_instruments_change_no_reading_of_the_others() -> None:
    wanted = {**dict.fromkeys(PROBES, ""), "capacitance": "", "foam": ""}
    few = Vessel("ecoli", "5l", 4)
    many = Vessel("ecoli", "5l", 4, instruments=wanted)
    one = Vessel("ecoli", "5l", 4, instruments={"capacitance": ""})
    for vessel in (few, many, one):
        vessel.advance(300.0)
    assert [few.read(f"R1.{n}") for n in PROBES] == [many.read(f"R1.{n}") for n in PROBES]
    assert one.read("R1.capacitance") == many.read("R1.capacitance")
    with pytest.raises(ValueError, match=r"R1\.ph: no actuator"):
        one.read("R1.ph")


def test_load_cells_show_tonnes_or_kilograms() -> None:
    t = Vessel("penicillin", "100m3", 2, instruments={"weight": "t"})
    kg = Vessel("penicillin", "100m3", 2, instruments={"weight": "kg"})
    t.advance(60.0)
    kg.advance(60.0)
    assert 1000.0 * t.read("R1.weight") == pytest.approx(kg.read("R1.weight"))
    assert kg.read("R1.weight") % 10.0 == 0.0


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"smell": ""}, r"R1\.smell: no instrument of this vessel; it has temperature, jacket_"),
        ({"weight": "lb"}, r"R1\.weight: unit lb is not allowed; it shows kg or t or g"),
        ({"viscosity": ""}, r"R1\.viscosity: no instrument of this vessel"),
    ],
)
def test_what_the_vessel_has_not_is_refused(wanted: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Vessel("ecoli", "5l", instruments=wanted)


def test_a_plant_file_gets_the_instruments_that_it_names_and_no_others(tmp_path: Path) -> None:
    text = PLANT.read_text(encoding="utf-8")
    made = vessels(load_plant(PLANT), 1, 0.0)["R1"]
    assert set(made.panel.instruments) == {f"R1.{name}" for name in PROBES}
    path = tmp_path / "plant.toml"
    path.write_text(text.replace("R1.jacket_temperature", "R1.coolant_temperature"))
    made = vessels(load_plant(path), 1, 0.0)["R1"]
    assert 5.0 < made.read("R1.coolant_temperature") < 16.0


def test_every_tag_without_instrument_or_actuator_is_named(tmp_path: Path) -> None:
    text = PLANT.read_text(encoding="utf-8")
    text = text.replace("R1.jacket_temperature", "R1.smell").replace("R1.inducer", "R1.oil")
    text = re.sub(r'("R1.antifoam", +unit = )"mL/min"', r'\1"mL/h"', text)
    path = tmp_path / "plant.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as found:
        simulation(load_plant(path))
    lines = str(found.value)
    assert "plant.toml: R1.smell: no instrument of this vessel; it has temperature" in lines
    assert "plant.toml: R1.oil: no actuator of this vessel; it has stirrer" in lines
    assert "plant.toml: R1.antifoam: unit mL/h is not allowed; it takes mL/min" in lines
    assert "(simulation.R1: ecoli in 5l)" in lines
