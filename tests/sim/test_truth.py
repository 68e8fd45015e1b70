"""The true record counts what the plant did, whoever lets its time pass."""

import pytest

from sim.truth import Truth
from sim.vessel import Vessel


def test_minutes_beyond_limits_are_counted() -> None:
    vessel = Vessel("ecoli", "5l", volume_l=4.6)
    vessel.set_state(A=3.0)
    truth = Truth.of(vessel)
    for k in range(1, 121):
        vessel.advance(60.0 * k)
    report = truth.as_report()
    assert report["hours"] == pytest.approx(2.0)
    assert report["volume_above_limit_min"] == pytest.approx(120.0)
    assert report["acetate_above_limit_min"] == pytest.approx(120.0)
    assert report["acetate_below_limit_share"] == 0.0
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
    truth.setpoints = (37.0, 7.0, 100.0)
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
