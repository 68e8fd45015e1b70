"""Spread, violations and paired intervals: against known numbers and SciPy's own bootstrap."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from fermloop.campaign.statistics import (
    ENOUGH,
    FIGURES,
    Comparison,
    by_recipe,
    compare,
    failed,
    spread,
    violation,
)

PRODUCT = FIGURES[0]


def rows(recipe: str, products: dict[int, float | None], **more: Any) -> list[dict[str, Any]]:
    """Return a row a seed; a product of ``None`` is a batch that failed."""
    return [
        {"recipe_file": f"recipes/{recipe}.toml", "seed": seed, "state": "failed", "error": "broke"}
        if product is None
        else {
            "recipe_file": f"recipes/{recipe}.toml",
            "seed": seed,
            "state": "done",
            "product_g": product,
            **more,
        }
        for seed, product in products.items()
    ]


def seen(n: int, shift: float = 0.0, noise: float = 1.0) -> dict[int, float | None]:
    chance = np.random.default_rng(5)
    plants = chance.normal(100.0, 20.0, n)
    own = np.random.default_rng(int(10 * shift) + 6).normal(shift, noise, n)
    return {seed: float(p + o) for seed, (p, o) in enumerate(zip(plants, own, strict=True))}


def test_a_spread_is_that_of_the_finished_batches() -> None:
    some = rows("a", {**{k: float(k) for k in range(1, 9)}, 9: None})
    known = spread(some, "product_g")
    assert (known.n, known.mean, known.median) == (8, 4.5, 4.5)
    assert known.sd == pytest.approx(2.449490)
    assert known.cv == pytest.approx(2.449490 / 4.5)
    assert (known.p5, known.p95) == (pytest.approx(1.35), pytest.approx(7.65))
    assert len(failed(some)) == 1
    assert list(by_recipe(some)) == ["a"]


def test_few_batches_have_no_cv_and_one_no_spread() -> None:
    assert spread(rows("a", seen(ENOUGH - 1)), "product_g").cv is None
    assert spread(rows("a", seen(1)), "product_g").sd is None
    assert spread(rows("a", {1: None}), "product_g").n == 0


def test_violations_are_counted_with_their_worst_seed() -> None:
    some = rows("a", {1: 1.0, 2: 1.0, 3: None}, do_below_limit_min=0.0)
    some[1]["do_below_limit_min"] = 12.0
    found = violation(some, "do_below_limit_min")
    assert (found.batches, found.n, found.rate) == (1, 2, 0.5)
    assert (found.mean, found.worst, found.worst_seed) == (6.0, 12.0, 2)
    assert violation(some, "by_product_above_limit_min").rate is None


def compared(a: dict[int, float | None], b: dict[int, float | None]) -> Comparison:
    return compare(("a", rows("a", a)), ("b", rows("b", b)), PRODUCT)


def test_pairing_shows_a_difference_that_hides_in_the_spread_of_plants() -> None:
    found = compared(seen(40), seen(40, 3.0))
    assert found.interval is not None
    assert found.relative is not None
    assert found.n == 40
    assert found.interval[0] > 0.0
    assert found.better is True
    assert found.difference == pytest.approx(3.0, abs=0.6)
    assert found.relative == pytest.approx(0.03, abs=0.006)
    assert found.interval[1] - found.interval[0] < 1.5  # unpaired it would be about 18


def test_the_interval_is_that_of_scipy_s_bca() -> None:
    a, b = seen(30), seen(30, 3.0, 5.0)
    found = compared(a, b)
    difference = np.array([b[k] for k in a], float) - np.array(list(a.values()), float)
    theirs = stats.bootstrap(
        (difference,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(1)
    ).confidence_interval
    assert found.interval is not None
    width = theirs.high - theirs.low
    assert found.interval[0] == pytest.approx(theirs.low, abs=0.03 * width)
    assert found.interval[1] == pytest.approx(theirs.high, abs=0.03 * width)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    held = 0
    for trial in range(200):
        chance = np.random.default_rng(trial)
        a: dict[int, float | None] = {}
        b: dict[int, float | None] = {}
        for k in range(20):
            a[k] = plant = float(chance.normal(50.0, 10.0))
            b[k] = plant + float(chance.gamma(2.0, 1.0))  # a skewed 2 more
        found = compare(("a", rows("a", a)), ("b", rows("b", b)), PRODUCT, 2000)
        assert found.interval is not None
        held += found.interval[0] <= 2.0 <= found.interval[1]
    assert 0.88 <= held / 200 <= 0.98


def test_a_failed_batch_leaves_its_pair_out_and_is_counted() -> None:
    a, b = seen(12), seen(12, 3.0)
    b[4] = None
    del b[7]
    found = compared(a, b)
    assert (found.n, found.left_out) == (10, 2)


def test_equal_results_have_an_interval_without_width_and_few_have_none() -> None:
    same = compared(seen(20), seen(20))
    assert (same.difference, same.interval) == (0.0, (0.0, 0.0))
    assert same.better is None
    few = compared(seen(ENOUGH - 1), seen(ENOUGH - 1, 3.0))
    assert few.interval is None
    assert few.difference is not None
    nothing = compared({1: None}, {1: 2.0})
    assert (nothing.n, nothing.difference) == (0, None)


def test_the_same_results_give_the_same_interval_and_many_fit_in_memory() -> None:
    assert compared(seen(300), seen(300, 1.0)) == compared(seen(300), seen(300, 1.0))
