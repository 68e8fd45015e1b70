"""What is calculated from the gases, against the true vessel and by hand."""

import math

import pytest

from controller.plant import load_plant
from controller.sensing.gas import GasBalance
from drivers.point import Quality, Sample, Tag
from sim.reactors import reactor

PLANT = load_plant("sim/plants/ecoli_5l.toml")
GAS = PLANT.gas["R1"]
READ = {
    "R1.offgas_o2": 19.5,
    "R1.offgas_co2": 1.4,
    "R1.air_flow": 5.0,
    "R1.oxygen_flow": 0.0,
    "R1.weight": 3.06,
    "R1.do": 30.0,
    "R1.temperature": 37.0,
}


def samples(**changed: tuple[float, Quality]) -> dict[str, Sample]:
    """Return the readings of a broth, some of them changed."""
    made: dict[str, Sample] = {}
    for name, value in READ.items():
        value, quality = changed.get(name.partition(".")[2], (value, Quality.GOOD))
        made[name] = Sample(PLANT.tags[name], 0.0, value, quality)
    return made


def test_uptake_is_what_goes_in_less_what_comes_out() -> None:
    found = GAS.step(10.0, samples())
    # by hand: 5 L/min of air is 13.385 mol/h; inert 0.7901 of it leaves in 1 - 0.195 - 0.014
    in_mol = 5.0 * 60 / 22.414
    out_mol = in_mol * 0.7901 / 0.791
    our = (in_mol * 0.2095 - out_mol * 0.195) * 1e3 / 3.0  # mmol/(L.h); 3.06 kg are 3 L
    cer = (out_mol * 0.014 - in_mol * 0.0004) * 1e3 / 3.0
    assert found["R1.our"].value == pytest.approx(our, rel=1e-3)
    assert found["R1.cer"].value == pytest.approx(cer, rel=1e-3)
    assert found["R1.rq"].value == pytest.approx(cer / our, rel=1e-3)
    assert {s.quality for s in found.values()} == {Quality.GOOD}


def test_kla_is_that_of_the_vessel_in_a_steady_broth() -> None:
    plant = reactor("ecoli", "5l")
    found = GAS.step(0.0, samples())
    pressure = plant.vessel.calibration_bar
    water = 6.112e-3 * math.exp(17.62 * 37.0 / (243.12 + 37.0))
    henry = 1.28e-3 * math.exp(1650.0 * (1 / 310.15 - 1 / 298.15))
    driving = henry * ((0.195 * (1.05 - water)) - 0.30 * 0.2095 * (1.05 - water))  # mol/L
    assert pressure == pytest.approx(1.05)
    assert found["R1.kla"].value == pytest.approx(found["R1.our"].value * 1e-3 / driving, rel=0.01)
    assert found["R1.driving_force"].value == pytest.approx(100 * 0.195 / 0.2095 - 30, abs=0.1)


@pytest.mark.parametrize("name", ["offgas_o2", "offgas_co2", "air_flow", "weight"])
def test_a_bad_reading_computes_nothing(name: str) -> None:
    found = GAS.step(0.0, samples(**{name: (math.nan, Quality.BAD)}))
    assert found.keys() == {"R1.our", "R1.cer", "R1.rq", "R1.driving_force", "R1.kla"}
    for sample in found.values():
        assert sample.quality is Quality.BAD
        assert math.isnan(sample.value)


def test_it_is_as_good_as_the_worst_reading() -> None:
    found = GAS.step(0.0, samples(weight=(3.06, Quality.UNCERTAIN)))
    assert found["R1.our"].quality is Quality.UNCERTAIN


def test_without_uptake_there_is_no_quotient_and_without_a_difference_no_kla() -> None:
    found = GAS.step(0.0, samples(offgas_o2=(20.95, Quality.GOOD), offgas_co2=(0.04, Quality.GOOD)))
    assert abs(found["R1.our"].value) < 1.0
    assert found["R1.rq"].quality is Quality.BAD
    found = GAS.step(0.0, samples(do=(93.0, Quality.GOOD)))
    assert found["R1.kla"].quality is Quality.BAD


def test_what_an_instrument_gives_itself_is_not_calculated() -> None:
    tags = {**PLANT.tags, "R1.our": Tag("R1.our", "mmol/(L.h)", 0, 500)}
    measured = PLANT.settings.reactor["R1"].measured
    assert "our" not in GasBalance("R1", measured, tags).tags
    assert not GasBalance("R1", {"do": "R1.do"}, tags).tags


def test_a_reading_that_it_is_not_made_of_does_not_touch_it() -> None:
    doubted = Sample(PLANT.tags["R1.ph"], 0.0, 7.0, Quality.UNCERTAIN)
    found = GAS.step(0.0, samples() | {"R1.ph": doubted})
    assert {s.quality for s in found.values()} == {Quality.GOOD}
