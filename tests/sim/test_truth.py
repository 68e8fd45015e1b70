"""The true record counts what the plant did, whoever lets its time pass."""

import math
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from sim.laboratory import Laboratory, LaboratorySettings
from sim.reckoning import Reckoning
from sim.truth import CONSUMERS, Truth
from sim.vessel import Vessel


def test_minutes_beyond_limits_are_counted() -> None:
    vessel = Vessel("ecoli", "5l", volume_l=4.6)
    vessel.set_state(A=3.0)
    truth = Truth.of(vessel, 4.5)
    for k in range(1, 121):
        vessel.advance(60.0 * k)
    report = truth.as_report()
    assert report["hours"] == pytest.approx(2.0)
    assert report["volume_above_limit_min"] == pytest.approx(120.0)
    assert report["by_product_above_limit_min"] == pytest.approx(120.0)
    assert report["by_product_below_limit_share"] == 0.0
    assert report["do_below_limit_min"] == 0.0
    assert report["do_above_limit_share"] == 1.0
    assert report["energy_kwh"] == pytest.approx(vessel.truth["energy_kwh"])
    assert report["yield_product_per_substrate_g_per_g"] == 0.0


def test_shares_count_from_the_first_hour_and_minutes_from_the_start() -> None:
    vessel = Vessel("ecoli", "5l")
    vessel.set_state(X=20.0)
    truth = Truth.of(vessel)
    vessel.advance(1800.0)  # suffocates at 300 r/min
    vessel.set_state(X=0.0)
    vessel.advance(2 * 3600.0)
    report = truth.as_report()
    minutes = report["do_below_limit_min"]
    assert isinstance(minutes, float)
    assert 25.0 < minutes < 40.0
    assert report["do_above_limit_share"] == 1.0


def test_true_bands_are_about_the_setpoints_that_are_given() -> None:
    vessel = Vessel("ecoli", "5l")
    vessel.set_state(X=0.0)
    truth = Truth.of(vessel)
    truth.setpoints["do"] = 100.0
    vessel.advance(1.5 * 3600.0)
    bands = truth.as_report()["true_in_band"]
    assert bands == {"temperature": 0.0, "ph": 1.0, "do": 1.0}  # nobody heats


def test_product_is_credited_with_the_sugar_it_took() -> None:
    vessel = Vessel("ecoli", "5l")
    truth = Truth.of(vessel)
    vessel.set_state(P=2.0, S=0.0)
    vessel.write("R1.feed", 60.0)
    vessel.advance(3600.0)
    report = truth.as_report()
    product, value = report["product_g"], report["yield_product_per_substrate_g_per_g"]
    assert isinstance(product, float)
    t = vessel.truth
    eaten = 30.0 + t["fed_substrate_g"] - t["substrate_g_per_l"] * t["volume_l"]
    assert value == pytest.approx(product / eaten)


@pytest.mark.parametrize(
    ("organism", "vessel", "by_product", "minutes"),
    [
        ("ecoli", "5l", "acetate", 0.0),
        ("yeast", "300l", "ethanol", 90.0),
        ("pensim", "5l", "", None),
    ],
)
def test_limits_setpoints_and_volume_are_those_of_organism_and_vessel(
    organism: str, vessel: str, by_product: str, minutes: float | None
) -> None:
    plant = Vessel(organism, vessel)
    called = plant.model.organism.called
    plant.set_state(**{called["biomass"]: 0.0, tuple(called.values())[-1]: 1.5})
    truth = Truth.of(plant)
    plant.advance(1.5 * 3600.0)
    report = truth.as_report()
    assert report["by_product"] == by_product
    assert report["by_product_above_limit_min"] == (minutes and pytest.approx(minutes))
    assert report["volume_above_limit_min"] == 0.0
    usual = (plant.model.organism.temperature, plant.model.organism.acidity, 30.0)
    assert tuple(truth.setpoints.values()) == usual


def test_a_site_s_own_limits_and_factors_count() -> None:
    vessel = Vessel("penicillin", "5l")
    own = Reckoning.model_validate(
        {"by_product_max_g_per_l": 1.2, "do_min_percent": 99.9, "grid_co2e_kg_per_kwh": 0.0}
    )
    truth = Truth.of(vessel, reckoning=own)
    vessel.set_state(P=1.0)
    vessel.advance(600.0)
    report = truth.as_report()
    assert report["by_product"] == "precursor"
    assert report["by_product_above_limit_min"] == pytest.approx(10.0)
    assert report["do_below_limit_min"] > 9.0
    substrate = report["substrate_kg"] * own.substrate_co2e_kg_per_kg
    ammonia = report["ammonia_kg"] * own.ammonia_co2e_kg_per_kg
    carbon = (substrate + ammonia) / (report["product_g"] * 1e-3)
    assert report["co2e_per_product_kg_per_kg"] == pytest.approx(carbon)


def test_harvested_product_counts_and_oil_is_substrate() -> None:
    vessel = Vessel("penicillin", "300l")
    vessel.set_state(P=10.0, X=0.0)
    truth = Truth.of(vessel)
    before = vessel.truth
    vessel.write("R1.harvest", 60.0)
    vessel.write("R1.oil", 100.0)  # mL/min
    vessel.advance(3600.0)
    report, state = truth.as_report(), vessel.state()
    harvested = (before["volume_l"] + 6.0 - state["V"]) * 10.0
    assert report["harvested_product_g"] == pytest.approx(harvested, rel=0.03)
    lost = 10.0 * before["volume_l"] - report["product_g"]  # but for what hydrolysed
    assert 1.0 < lost / (state["H"] * state["V"]) < 1.5  # some of that was harvested too
    sugar_kg = before["substrate_g_per_l"] * before["volume_l"] * 1e-3
    assert report["substrate_kg"] == pytest.approx(sugar_kg + 6.0 * 0.92, rel=0.01)
    assert truth.trajectory["harvest_l_per_h"][-1] == pytest.approx(60.0, rel=0.02)
    assert truth.trajectory["oil_l_per_h"][-1] == pytest.approx(6.0, rel=0.02)


@pytest.mark.parametrize("looks_first", [True, False])
def test_what_samples_take_is_stated_and_no_mass_disappears(looks_first: bool) -> None:
    vessel, alone = (Vessel("ecoli", "300l", instruments={}) for _ in range(2))
    truths: list[Truth] = []
    for v in (vessel, alone):
        v.set_state(X=0.0, P=3.0, S=8.0)
        v.write("R1.feed", 3.0)  # L/h
        v.write("R1.harvest", 20.0)
    vessel.take(1.0)  # before the record begins: no part of it
    before = vessel.state()
    if looks_first:
        truths.append(Truth.of(vessel))
    settings = LaboratorySettings.model_validate({"every_h": 0.25, "volume_ml": 2000.0})
    laboratory = Laboratory(vessel, settings)
    if not looks_first:
        truths.append(Truth.of(vessel))
    vessel.advance(2.2 * 3600.0)
    alone.advance(2.2 * 3600.0)
    report, state = truths[0].as_report(), vessel.state()
    taken = max(r["sample"] for r in laboratory.records)
    assert taken == 7
    assert report["sampled_l"] == pytest.approx(2.0 * taken)
    assert report["harvested_product_g"] > 50.0 < 2.0 * report["sampled_product_g"]
    product = report["product_g"] + report["sampled_product_g"]
    assert product == pytest.approx(3.0 * before["V"], rel=1e-6)
    assert report["product_g"] - report["harvested_product_g"] == pytest.approx(
        state["P"] * state["V"]
    )
    assert report["yield_product_per_substrate_g_per_g"] == 0.0  # all sugar is accounted for
    fed = vessel.truth["fed_substrate_g"]
    assert report["substrate_kg"] == pytest.approx(1e-3 * (8.0 * before["V"] + fed))
    less = alone.state()["M"] - state["M"]
    litres_less = report["sampled_l"] + 1.0  # the feed's sugar makes them a little heavier
    assert less == pytest.approx(litres_less * state["M"] / state["V"], rel=5e-3)
    litres = truths[0].trajectory["samples_l_per_h"]
    assert sum(litres) / 6.0 == pytest.approx(2.0 * taken)


def test_a_laboratory_that_takes_much_leaves_the_yields_as_they_are() -> None:
    def run(volume_ml: float) -> dict[str, Any]:
        vessel = Vessel("ecoli", "5l", instruments={})
        vessel.set_state(X=1.0, S=5.0, P=0.1, inducer=1.0)
        vessel.write("R1.stirrer", 600.0)
        truth = Truth.of(vessel)
        keys = {"every_h": 0.25, "first_h": 0.25, "volume_ml": volume_ml}
        Laboratory(vessel, LaboratorySettings.model_validate(keys))
        vessel.advance(3600.0)
        return truth.as_report()

    little, much = run(0.0), run(200.0)
    assert much["sampled_l"] == pytest.approx(0.8)
    for key in ("yield_product_per_substrate_g_per_g", "qp_mean_g_per_g_h"):
        assert much[key] == pytest.approx(little[key], rel=0.03), key
        assert little[key] > 0.0


def test_energy_is_told_by_consumer_and_rates_have_their_meaning() -> None:
    vessel = Vessel("ecoli", "5l")
    vessel.set_state(X=5.0, P=2.0)
    truth = Truth.of(vessel)
    for name, value in {"air": 5.0, "stirrer": 600.0, "heater": 20.0, "cooling": 30.0}.items():
        vessel.write(f"R1.{name}", value)
    vessel.set_state(P=3.0)
    vessel.advance(2 * 3600.0)
    report = truth.as_report()
    parts = [report[f"energy_{name}_kwh"] for name in CONSUMERS]
    assert min(parts) > 0.0
    assert sum(parts) == report["energy_kwh"] == pytest.approx(vessel.truth["energy_kwh"])
    assert report["energy_heating_kwh"] == pytest.approx(0.3 * 0.2 * 2.0, rel=0.01)
    kg = report["product_g"] * 1e-3
    assert report["energy_per_product_kwh_per_kg"] == pytest.approx(report["energy_kwh"] / kg)
    assert report["space_time_yield_g_per_l_h"] == pytest.approx(kg * 1e3 / 5.0 / (2.0 + 12.0))
    biomass_gh = 5.2 * 3.0 * 2.0
    made = report["product_g"] - 2.0 * 3.0
    assert report["qp_mean_g_per_g_h"] == pytest.approx(made / biomass_gh, rel=0.15)


def test_the_trajectory_has_a_point_every_ten_minutes() -> None:
    vessel = Vessel("yeast", "5l", start_time=1.7e9)
    truth = Truth.of(vessel)
    vessel.write("R1.feed", 60.0)
    for k in range(1, 3601):
        vessel.advance(1.7e9 + 0.7 * k)
    ages = truth.trajectory["age_h"]
    assert len(ages) == 5
    assert ages == pytest.approx([k / 6.0 for k in range(5)], abs=3e-4)
    assert {len(values) for values in truth.trajectory.values()} == {5}
    assert truth.trajectory["feed_l_per_h"][-1] == pytest.approx(0.06, rel=0.01)
    assert truth.trajectory["ethanol_g_per_l"][0] == 0.0
    assert all(math.isfinite(v) for values in truth.trajectory.values() for v in values)


def test_the_readme_s_factors_are_the_defaults() -> None:
    readme = (Path(__file__).parents[2] / "fermloop/README.md").read_text(encoding="utf-8")
    block = re.search(r"```toml\n(\[simulation\.R1\.report\]\n.*?)```", readme, re.DOTALL)
    assert block is not None
    shown = tomllib.loads(block[1])["simulation"]["R1"]["report"]
    usual = Reckoning.model_validate({})
    assert shown.keys() == Reckoning.model_fields.keys()
    shown_limit = shown.pop("by_product_max_g_per_l")
    assert shown_limit == usual.by_product_max("acetate")
    assert all(getattr(usual, key) == value for key, value in shown.items())
