"""Fitting: what made the data is found again, what was not told is not claimed."""

import math
from dataclasses import replace

import numpy as np
import pytest

from models.culture import Culture
from models.ecoli import EColi
from models.fitting import Experiment, Prior, Series, fit
from models.fitting.simulation import Simulation

MODEL = Culture(EColi())
TRUE = {"qOmax": 0.36, "Yem": 0.47, "qPm": 0.06}
PRIORS = (
    Prior("qOmax", 0.15),
    Prior("Yem", 0.1),
    Prior("KA", 0.3),
    Prior("X", 0.2, own=True),
    Prior("qPm", 0.15, own=True),
)
STEP_H = 0.1


def flows(hours: float, rate: float) -> np.ndarray:
    """Return inputs: 8 h of batch, then a feed that grows; induced after 12 h."""
    t = np.arange(0.0, hours, STEP_H)
    u = np.tile([v.default for v in MODEL.inputs], (len(t), 1))
    names = [v.name for v in MODEL.inputs]
    u[:, names.index(EColi().feeds[0].name)] = np.where(
        t < 8.0, 0.0, 0.008 * np.exp(rate * (t - 8.0))
    )
    for feed in EColi().feeds[1:]:
        u[:, names.index(feed.name)] = np.where(abs(t - 12.0) < 0.5 * STEP_H, 0.05, 0.0)
    return u


def made(
    name: str, seed: int, *, rate: float = 0.12, wrong: int = 0
) -> tuple[Experiment, dict[str, float]]:
    """Return a batch that the model itself made with noise, and its own true numbers."""
    random = np.random.default_rng(seed)
    own = {"X": 0.3 * math.exp(0.15 * random.standard_normal()), "qPm": TRUE["qPm"]}
    start = {"X": 0.3, "S": 8.0, "V": 3.0}
    bare = Experiment(name, STEP_H, flows(20.0, rate), start)
    simulation = Simulation(MODEL)
    changed = {**TRUE, **own}
    path = simulation.states(bare, changed)
    series: list[Series] = []
    for what, at, share, floor in (
        ("OUR", np.arange(0.25, 20.0, 0.25), 0.03, 0.5),
        ("X", np.arange(2.0, 20.1, 3.0), 0.05, 0.05),
        ("P", np.arange(14.0, 20.1, 2.0), 0.06, 0.01),
    ):
        real = simulation.seen(bare, path, changed, (what,), at)
        sd = share * real + floor
        values = real + sd * random.standard_normal(len(at))
        if what == "X" and wrong:
            values[:wrong] *= 10.0  # a factor of ten is soon typed
        series.append(Series(what, at, values, sd, dense=what == "OUR"))
    return replace(bare, series=series), own


@pytest.fixture(scope="module")
def batches() -> list[tuple[Experiment, dict[str, float]]]:
    return [made(f"B{k}", k, rate=0.10 + 0.02 * k) for k in range(4)]


def test_what_made_the_batches_is_found_again_within_its_interval(
    batches: list[tuple[Experiment, dict[str, float]]],
) -> None:
    fitted = fit(MODEL, [b for b, _ in batches], PRIORS)
    for found in fitted.found[:2]:
        assert found.low < TRUE[found.name] < found.high
        assert found.median == pytest.approx(TRUE[found.name], rel=0.03)
        assert found.learned > 0.7
    for batch, own in batches:
        for found in fitted.own[batch.name]:
            assert found.median == pytest.approx(own[found.name], rel=0.1)
    assert fitted.trust["X"] < 1.6
    assert fitted.trust["P"] < 1.6
    assert fitted.trust["OUR"] < 4.5  # 79 values a batch count as six


def test_a_batch_may_be_off_from_what_all_share(
    batches: list[tuple[Experiment, dict[str, float]]],
) -> None:
    strains = [Prior("Yem", 0.06, own=True), *PRIORS]
    fitted = fit(MODEL, [b for b, _ in batches[:2]], strains)
    (shared,) = (f for f in fitted.found if f.name == "Yem")
    assert shared.low < TRUE["Yem"] < shared.high
    for batch, _ in batches[:2]:
        own = fitted.own[batch.name][0]
        assert own.prior == shared.median
        assert own.median == pytest.approx(TRUE["Yem"], rel=0.06)


def test_a_sum_is_compared_with_what_it_is_the_sum_of(
    batches: list[tuple[Experiment, dict[str, float]]],
) -> None:
    batch = batches[0][0]
    x = batch.series[1]
    both = replace(x, name="dry_weight", of=("X", "P"))
    fitted = fit(MODEL, [replace(batch, series=[both])], PRIORS)
    _, _, modelled, _ = fitted.residuals["B0"]["dry_weight"]
    assert np.abs(modelled / x.values - 1.0).max() < 0.25
    with pytest.raises(ValueError, match="B0: Q is no state or output"):
        fit(MODEL, [replace(batch, series=[replace(both, of=("X", "Q"))])], PRIORS)


def test_what_no_batch_tells_stays_where_it_was_believed_to_be(
    batches: list[tuple[Experiment, dict[str, float]]],
) -> None:
    fitted = fit(MODEL, [replace(b, series=b.series[1:2]) for b, _ in batches], PRIORS)
    ka = fitted.found[2]
    assert ka.learned < 0.3
    assert ka.median == pytest.approx(ka.prior, rel=0.15)


def test_a_batch_with_results_ten_times_too_high_does_not_bend_the_fit(
    batches: list[tuple[Experiment, dict[str, float]]],
) -> None:
    spoilt, _ = made("B3", 3, rate=0.16, wrong=2)
    fitted = fit(MODEL, [*(b for b, _ in batches[:3]), spoilt], PRIORS)
    assert fitted.parameters["Yem"] == pytest.approx(TRUE["Yem"], rel=0.05)
    assert fitted.parameters["qOmax"] == pytest.approx(TRUE["qOmax"], rel=0.05)


def test_another_batch_is_foretold_with_an_interval(
    batches: list[tuple[Experiment, dict[str, float]]],
) -> None:
    fitted = fit(MODEL, [b for b, _ in batches], PRIORS)
    other, own = made("B9", 9, rate=0.2)
    simulation = Simulation(MODEL)
    true = simulation.states(other, {**TRUE, **own})[-1]
    names = [v.name for v in MODEL.states]
    median, low, high = fitted.foretell(other, "P", other.hours)
    assert low < true[names.index("P")] < high
    assert low < median < high


def test_a_profile_is_wider_where_the_problem_is_curved_and_about_the_same_elsewhere(
    batches: list[tuple[Experiment, dict[str, float]]],
) -> None:
    fitted = fit(MODEL, [b for b, _ in batches[:2]], PRIORS)
    found = fitted.found[1]
    low, high = fitted.profile("Yem")
    assert low < found.median < high
    assert math.log(high / low) == pytest.approx(math.log(found.high / found.low), rel=0.3)
    with pytest.raises(ValueError, match="X: is not shared by all batches; qOmax, Yem, KA"):
        fitted.profile("X")


def test_instruments_whose_errors_last_are_trusted_less() -> None:
    batch, _ = made("B1", 1)
    our = batch.series[0]
    drift = our.values * (1.0 + 0.4 * np.sin(our.hours / 2.0))
    fitted = fit(
        MODEL, [replace(batch, series=[replace(our, values=drift), *batch.series[1:]])], PRIORS
    )
    assert fitted.trust["OUR"] > 6.0
    assert fitted.trust["X"] < 1.6


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"start": {"Y": 1.0}}, "B1: start: Y is no state"),
        (
            {"inputs": np.full((5, len(MODEL.inputs)), np.nan)},
            r"B1: input \w+ is missing at 0.00 h",
        ),
        ({"inputs": np.zeros((5, 2))}, r"B1: inputs have the shape \(5, 2\); a column each for"),
        ({"inputs": flows(5.0, 0.1)}, "B1: OUR: values from 0.25 to 19.75 h; the batch has 5 h"),
    ],
)
def test_what_does_not_fit_the_model_is_refused_by_name(
    change: dict[str, object], told: str
) -> None:
    batch, _ = made("B1", 1)
    with pytest.raises(ValueError, match=told):
        fit(MODEL, [replace(batch, **change)], PRIORS)  # pyright: ignore[reportArgumentType] (bad on purpose)


@pytest.mark.parametrize(
    ("priors", "told"),
    [
        ([Prior("qX", 0.1)], "qX: the model has none; qSmax"),
        ([Prior("Yem", 0.0)], "Yem: sd 0 is not allowed"),
        ([Prior("Yem", 0.1), Prior("Yem", 0.2)], "Yem: named twice"),
        ([Prior("A", 0.1)], "B1: A must begin above 0"),
    ],
)
def test_a_prior_that_cannot_be_is_refused(priors: list[Prior], told: str) -> None:
    batch, _ = made("B1", 1)
    with pytest.raises(ValueError, match=told):
        fit(MODEL, [batch], priors)
