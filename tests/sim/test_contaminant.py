"""A contamination is seen where it would be in life: on dissolved oxygen, off-gas, OUR and CER."""

from typing import NamedTuple

import pytest

from models.offgas import uptake_from_gas
from sim.contaminant import MU_MAX, Contaminant
from sim.truth import Truth
from sim.vessel import Vessel

HOURS = 1.5


class Broth(NamedTuple):
    """What a batch of yeast in plenty of sugar looks like after ``HOURS``."""

    vessel: Vessel
    truth: Truth
    by_gas: tuple[float, float]  # OUR and CER, mmol/(L.h), from true in- and off-gas

    def told(self, name: str) -> float:
        return self.truth.trajectory[name][-1]


def batch(foreign_g_per_l: float) -> Broth:
    vessel = Vessel("yeast", "300l", instruments={"offgas_o2": "", "offgas_co2": "", "do": ""})
    vessel.set_state(X=2.0, S=20.0)
    vessel.write("R1.stirrer", 300.0)
    vessel.write("R1.air", 150.0)
    truth = Truth.of(vessel)
    if foreign_g_per_l:
        vessel.faults.inject("vessel.contamination", size=foreign_g_per_l)
    vessel.advance(3600.0 * HOURS)
    x = vessel.state()
    return Broth(vessel, truth, uptake_from_gas(150.0, 0.0, x["yO2"], x["yCO2"], x["V"]))


@pytest.fixture(name="clean", scope="module")
def _clean() -> Broth:
    return batch(0.0)


@pytest.fixture(name="foul", scope="module")
def _foul() -> Broth:
    return batch(0.2)


def test_oxygen_and_co2_of_both_organisms_are_in_the_off_gas(clean: Broth, foul: Broth) -> None:
    (stranger,) = foul.vessel.contaminants
    assert stranger.our > 1.0 < stranger.cer
    for broth in (clean, foul):
        our, cer = broth.by_gas
        t = broth.vessel.truth
        assert our == pytest.approx(t["our_mmol_per_l_h"], rel=0.03)
        assert cer == pytest.approx(t["cer_mmol_per_l_h"], rel=0.06)  # some is dissolving
        assert broth.told("our_mmol_per_l_h") == pytest.approx(t["our_mmol_per_l_h"], rel=0.02)
        assert broth.told("cer_mmol_per_l_h") == pytest.approx(t["cer_mmol_per_l_h"], rel=0.02)
    more = foul.by_gas[0] - clean.by_gas[0]
    assert 0.7 * stranger.our < more < stranger.our  # yeast respires less at the pH of its acid


def test_instruments_show_it_and_without_it_show_nothing(clean: Broth, foul: Broth) -> None:
    def shown(broth: Broth, name: str) -> float:
        return broth.vessel.read(f"R1.{name}")

    assert clean.vessel.contaminants == []
    assert shown(foul, "offgas_o2") < shown(clean, "offgas_o2") - 0.05  # noise is 0.01 %
    assert shown(foul, "offgas_co2") > shown(clean, "offgas_co2") + 0.05
    assert shown(foul, "do") < shown(clean, "do") - 2.0  # noise is 0.3 %


def test_its_co2_is_in_the_footprint(clean: Broth, foul: Broth) -> None:
    key = "biogenic_co2_per_product_kg_per_kg"
    assert foul.truth.as_report()[key] > 1.02 * clean.truth.as_report()[key]


def test_it_is_taken_with_samples_and_harvest() -> None:
    vessel = Vessel("yeast", "300l", instruments={})
    vessel.set_state(X=0.0, S=0.0, O=0.0)
    stranger = Contaminant(vessel, 1.0)
    concentration = stranger.grams / vessel.state()["V"]
    for _ in range(5):
        vessel.take(4.0)
        vessel.advance(vessel.time + 1.0)
    assert stranger.our == pytest.approx(0.0, abs=1e-6)
    assert stranger.grams / vessel.state()["V"] == pytest.approx(concentration, rel=2e-3)
    assert stranger.grams < 0.9 * concentration * (vessel.state()["V"] + 20.0)
    assert MU_MAX > 0.5  # quicker than yeast, or nobody would mind
