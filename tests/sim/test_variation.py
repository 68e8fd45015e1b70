"""Batches differ as documented: each quantity by its spread, and together where life has it so."""

import math

import numpy as np
import pytest

from models.bioreactor import Bioreactor
from models.organisms import ORGANISMS
from models.oxygen import AIR_O2
from models.vessels import VESSELS
from sim.variation import GROUPS, PAIRS, SPREAD, ByName, InOrder, correlation, drawn, draws
from sim.vessel import Vessel
from sim.wandering import SWINGS

SEEDS = range(1, 501)


def test_the_correlation_matrix_is_one_symmetric_positive_definite() -> None:
    names, matrix, root = correlation()
    assert len(set(names)) == len(names)
    assert np.array_equal(matrix, matrix.T)
    assert np.all(np.diag(matrix) == 1.0)
    assert np.linalg.eigvalsh(matrix)[0] > 0.05
    np.testing.assert_allclose(root @ root.T, matrix, atol=1e-12)


def test_five_hundred_seeds_go_together_as_the_table_says() -> None:
    names, matrix, _ = correlation()
    seeds = map(ByName, SEEDS)
    drawn = np.array([[draw.offset(n, 1.0) for n in names] for draw in seeds])
    found = np.corrcoef(drawn.T)
    assert np.abs(found - matrix).max() < 0.2  # 4.5 standard errors of a correlation of 0
    assert np.sqrt(np.mean((found - matrix) ** 2)) < 0.05
    spread = drawn.std(axis=0)
    assert np.all(np.abs(spread - 0.99) < 0.12)  # cut at 2.5
    assert np.abs(drawn).max() <= 2.5


@pytest.mark.parametrize(
    ("organism", "name", "pair"),
    [
        ("yeast", "300l", ("qSmax", "qOmax")),
        ("penicillin", "100m3", ("Y", "m")),
        ("ecoli", "300l", ("Yem", "qm")),
        ("penicillin_structured", "100m3", ("muP", "Y")),  # the twins, too
        ("ecoli_twin", "5l", ("qOmax", "qAmax")),
        ("yeast_twin", "300l", ("qSmax", "qOmax")),
    ],
)
def test_batches_have_the_spreads_and_correlations_of_the_table(
    organism: str, name: str, pair: tuple[str, str]
) -> None:
    variables = Bioreactor(ORGANISMS[organism](), VESSELS[name]).parameters
    made = [drawn(variables, draws(seed, "correlated")) for seed in SEEDS]
    logs = {
        v.name: np.log([p[v.name] / v.default for p in made]) for v in variables if v.name in SPREAD
    }
    for p, values in logs.items():
        assert np.std(values) == pytest.approx(SPREAD[p], rel=0.12), p
        assert abs(np.mean(values)) < 0.15 * SPREAD[p], p
    rho = PAIRS.get(pair, PAIRS.get((pair[1], pair[0])))
    assert np.corrcoef(logs[pair[0]], logs[pair[1]])[0, 1] == pytest.approx(rho, abs=0.12)


def test_pumps_of_one_technician_are_wrong_together() -> None:
    gains = np.array(
        [
            [d.factor(f"{p}.pump", 0.03) for p in ("feed", "base", "acid")]
            for d in map(ByName, SEEDS)
        ]
    )
    assert gains.std(axis=0) == pytest.approx(0.03, rel=0.1)
    rho = next(r for names, r in GROUPS if "feed.pump" in names)
    assert np.corrcoef(gains.T)[0, 1] == pytest.approx(rho, abs=0.12)


@pytest.mark.parametrize(("organism", "name"), [("yeast", "300l"), ("penicillin", "100m3")])
def test_a_seed_is_one_batch_and_seed_zero_the_model(organism: str, name: str) -> None:
    def run(seed: int) -> dict[str, float]:
        vessel = Vessel(organism, name, seed)
        vessel.advance(1800.0)
        return vessel.truth | vessel.parameters

    assert run(3) == run(3)
    assert run(3) != run(4)
    model = Vessel(organism, name)
    assert model.parameters == {v.name: v.default for v in model.model.parameters}
    assert list(model.state().values()) == model.model.start(list(model.parameters.values()))


def test_one_salt_in_one_bottle_has_one_strength() -> None:
    for seed in (1, 2, 3):
        p = Vessel("penicillin", "100m3", seed).parameters
        assert p["c_paa_n"] / 2938.0 == pytest.approx(p["c_paa"] / 400.0)
        assert p["c_n_ions"] / -6000.0 == pytest.approx(p["c_n"] / 6000.0)


def test_utilities_follow_the_day_and_the_air_is_moist() -> None:
    at_night = Vessel("yeast", "300l", 8, start_time=3.0 * 3600.0, instruments={})
    meant = at_night.parameters["T_coolant"]
    coolant = Vessel("yeast", "300l", 8, instruments={"coolant_temperature": ""})
    shown: list[float] = []
    for hour in range(1, 25):
        coolant.time = hour * 3600.0 - 120.0  # only the two minutes before each full hour
        coolant.advance(hour * 3600.0)
        shown.append(coolant.read("R1.coolant_temperature"))
    swing = SWINGS["300l"]["T_coolant"]
    assert 0.8 * swing < max(shown) - meant < 2.0 * swing
    assert shown.index(max(shown)) in (13, 14, 15)
    assert AIR_O2 - 0.01 < at_night.parameters["air_o2"] < AIR_O2


def test_a_bad_inoculum_is_thin_and_lags_and_then_grows_as_the_rest() -> None:
    lags = {s: draws(s, "correlated").more.offset("lag", 1.0) for s in range(1, 60)}
    late, early = max(lags, key=lambda s: lags[s]), min(lags, key=lambda s: lags[s])
    assert lags[early] < 0.0 < 1.5 < lags[late]

    def growth(seed: int, at_h: float) -> float:
        vessel = Vessel("yeast", "300l", seed, biomass_g_per_l=0.1, instruments={})
        vessel.write("R1.stirrer", 300.0)
        vessel.write("R1.air", 200.0)
        vessel.advance(3600.0 * at_h)
        return vessel.truth["growth_per_h"]

    assert growth(late, 0.1) < 0.6 * growth(late, 5.0)
    assert growth(early, 0.1) > 0.9 * growth(early, 5.0)


def test_published_figures_keep_their_draws() -> None:
    rng = np.random.default_rng([7, 0])
    vessel = Vessel("ecoli", "5l", 7)
    names = [v.name for v in vessel.model.parameters]
    assert names[0] == "qSmax"
    first = math.exp(SPREAD["qSmax"] * float(rng.standard_normal()))
    assert vessel.parameters["qSmax"] == 1.25 * first
    assert vessel.parameters["air_o2"] == AIR_O2
    order, by_name = InOrder(7), Vessel("ecoli", "5l", 7, variation="correlated")
    assert order.factor("qSmax", SPREAD["qSmax"]) == first
    assert by_name.parameters["qSmax"] != vessel.parameters["qSmax"]
    assert by_name.parameters["air_o2"] < AIR_O2
