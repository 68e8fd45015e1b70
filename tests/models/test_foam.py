"""Foam: as high as its life and the gas make it, harmless below the lid, and then not."""

import pytest

from models import foam, oxygen
from models.bioreactor import Bioreactor
from models.ecoli import EColi
from models.fn import SCALARS
from models.vessels import BENCH_5L, PRODUCTION_100M3, VESSELS, Stirred
from sim.vessel import Vessel


def vessel(foaming: float = 10.0, volume_l: float = 4.5, biomass: float = 40.0) -> Vessel:
    """Return a bench vessel full of cells without sugar, in a broth that foams so many s."""
    made = Vessel("ecoli", "5l", volume_l=volume_l, substrate_g_per_l=0.0)
    made.set_state(X=biomass)
    made.set_parameter("foaming", foaming)
    made.write("R1.stirrer", 600.0)
    made.write("R1.air", 6.0)
    return made


def test_foam_stands_as_high_as_its_life_times_the_gas() -> None:
    """Bikerman: height over velocity is the foaminess of the broth, whatever the vessel."""
    v = vessel()
    v.advance(600.0)
    t = v.truth
    velocity = oxygen.actual_flow(6.0, t["temperature_cel"], 1.05) / BENCH_5L.cross_section_m2
    cells = t["biomass_g_per_l"] / (t["biomass_g_per_l"] + foam.CELLS_HALF)
    head = (BENCH_5L.total_volume_l - t["volume_l"]) * 1e-3 / BENCH_5L.cross_section_m2
    assert t["foam_percent"] / 100.0 * head == pytest.approx(10.0 * cells * velocity, rel=0.01)
    assert 30.0 < t["foam_percent"] < 60.0


def test_below_the_lid_foam_moves_nothing_else() -> None:
    model = Bioreactor(EColi(), BENCH_5L)
    p, u = (
        [v.default for v in model.parameters],
        [max(0.3 * v.high, v.default) for v in model.inputs],
    )
    at = [v.name for v in model.states].index("foam")
    none = model.start(p, 4.0, 30.0)
    much = [*none[:at], 70.0, *none[at + 1 :]]
    for get in (model.rhs, model.output):
        clear, foamy = (list(get(0.0, x, u, p, SCALARS)) for x in (none, much))
        if get == model.rhs:
            del clear[at], foamy[at]
        assert foamy == pytest.approx(clear, rel=1e-12, abs=1e-9)


def test_antifoam_breaks_it_within_a_minute_and_wears_off() -> None:
    v = vessel()
    v.advance(600.0)
    before = v.truth["foam_percent"]
    v.write("R1.antifoam", 1.0)
    v.advance(630.0)
    v.write("R1.antifoam", 0.0)
    v.advance(690.0)
    assert v.truth["foam_percent"] < 0.15 * before
    v.advance(690.0 + 4 * 3600.0)
    assert v.truth["foam_percent"] > 0.6 * before


def test_foam_that_gets_out_takes_broth_along_and_drowns_the_filter() -> None:
    v = vessel(foaming=60.0)
    v.advance(60.0)
    start = v.truth
    v.advance(660.0)
    t = v.truth
    assert 100.0 < t["foam_percent"] < 130.0
    lost = start["volume_l"] - t["volume_l"]
    assert 0.1 < lost < 1.0
    assert start["mass_kg"] - t["mass_kg"] == pytest.approx(1.01 * lost, rel=0.02)
    assert t["biomass_g_per_l"] == pytest.approx(start["biomass_g_per_l"], rel=0.02)
    assert v.state()["filter"] > 0.9
    assert t["head_bar"] > 1.05 + 0.25
    assert t["do_percent"] > start["do_percent"] + 10.0  # by pressure, and no biology
    v.set_parameter("foaming", 5.0)
    v.advance(660.0 + 24 * 3600.0)  # the gas dries it
    assert v.truth["head_bar"] == pytest.approx(1.05, abs=0.01)
    assert v.truth["foam_percent"] < 50.0


@pytest.mark.parametrize("w", VESSELS.values(), ids=lambda w: w.name)
def test_no_vessel_foams_over_in_normal_work(w: Stirred) -> None:
    """Full of cells, at the working volume and one volume of gas a minute: half of the head."""
    gas = oxygen.actual_flow(w.working_volume_l, 37.0, w.pressure_bar) / w.cross_section_m2
    made = foam.rates(
        0.0, 0.0, 40.0, 0.0, gas, foam.FOAMING.default,
        w.working_volume_l, w.total_volume_l, w.cross_section_m2, SCALARS,
    )  # fmt: skip
    assert 10.0 < made.foam / foam.COLLAPSE < 60.0


def test_a_tank_filled_to_the_lid_foams_over_and_stays_finite() -> None:
    v = Vessel("ecoli", "100m3", volume_l=97e3, substrate_g_per_l=0.0)
    v.set_state(X=40.0)
    v.write("R1.stirrer", 60.0)
    v.write("R1.air", PRODUCTION_100M3.actuators["air"].high)
    v.advance(1800.0)
    t = v.truth
    assert 95.0 < t["foam_percent"] < 130.0
    assert t["volume_l"] < 97e3 - 100.0
    assert t["head_bar"] > v.flow("pressure")


def test_seeds_foam_differently_and_are_else_the_plants_they_were() -> None:
    lives = {Vessel("ecoli", "5l", seed).parameters["foaming"] for seed in range(1, 6)}
    assert len(lives) == 5
    assert all(4.0 < life < 25.0 for life in lives)
    drawn = Vessel("ecoli", "5l", 3).parameters
    assert drawn["qOmax"] == pytest.approx(0.39943690843551294, rel=1e-12)
    assert drawn["T_room"] == pytest.approx(21.681436676374812, rel=1e-12)
