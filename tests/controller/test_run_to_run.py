"""From batch to batch: the region grows where promises come true, and the model is corrected."""

import math
from dataclasses import replace

import numpy as np
import pytest

from controller.run_to_run import Modifiers, Region, Tried, TrustSettings, modifiers, region

HOURS = np.linspace(0.0, 24.0, 13)
FEED = np.where(HOURS < 8.0, 0.0, 40.0)
RANGES = {"feed": (0.0, 60.0)}


def tried(
    name: str, share: float, product: float, foretold: float | None = None, *, kept: bool = True
) -> Tried:
    return Tried(name, HOURS, {"feed": share * FEED}, product, foretold, kept)


def test_it_starts_around_the_one_batch_that_there_is() -> None:
    found = region([tried("B1", 1.0, 10.0)], RANGES)
    assert found.width == 0.1
    assert found.limits("feed", 20.0) == pytest.approx((36.0, 44.0))
    low, high = found.limits("feed", 2.0)  # nothing is fed yet; a little may be tried
    assert low == 0.0
    assert high == pytest.approx(0.4)


def test_what_was_promised_and_came_true_widens_it_batch_by_batch() -> None:
    batches = [tried("B1", 1.0, 10.0, 10.0)]
    widths: list[float] = []
    for k in range(1, 5):
        batches.append(tried(f"B{k + 1}", 1.0 + 0.1 * k, 10.0 * 1.2**k, 10.0 * 1.2**k))
        widths.append(region(batches, RANGES).width)
    assert widths == pytest.approx([0.15, 0.225, 0.3375, 0.50625])
    found = region(batches, RANGES)
    assert found.limits("feed", 20.0)[0] == pytest.approx(40.0 * (1.0 - found.width))
    assert found.limits("feed", 20.0)[1] == 60.0  # of the plant
    assert found.why[1] == "B2: what was promised came true; 15 %"


@pytest.mark.parametrize(
    ("second", "width", "why"),
    [
        (tried("B2", 1.1, 10.1, 12.5), 0.05, "what was promised did not come true"),
        (tried("B2", 1.1, 11.0, 12.5), 0.1, "what was promised came true in part"),
        (tried("B2", 1.1, 8.0, 10.2), 0.05, "-20 % of product"),
        (tried("B2", 1.1, 13.0, 13.0, kept=False), 0.05, "a limit was broken"),
        (tried("B2", 1.0, 9.6, 10.2), 0.1225, "safe, and too little was promised to judge"),
        (tried("B2", 1.0, 10.6), 0.1, "nothing was foretold"),
        (replace(tried("B2", 1.1, 12.5, 12.5), seen=True), 0.1, "the model was fitted to it"),
    ],
)
def test_it_shrinks_or_stays_where_the_plant_did_not_follow(
    second: Tried, width: float, why: str
) -> None:
    found = region([tried("B1", 1.0, 10.0, 10.0), second], RANGES)
    assert found.width == pytest.approx(width, rel=1e-3)
    assert why in found.why[1]


def test_a_batch_that_broke_a_limit_is_not_what_one_may_go_around() -> None:
    found = region([tried("B1", 1.0, 10.0), tried("B2", 1.4, 12.0, kept=False)], RANGES)
    assert found.limits("feed", 20.0)[1] == pytest.approx(42.0)


@pytest.mark.parametrize(
    ("batches", "told"),
    [
        ([], "no batch that kept the limits"),
        ([tried("B1", 1.0, 10.0, kept=False)], "no batch that kept the limits"),
        ([replace(tried("B1", 1.0, 10.0), setpoints={"oil": FEED})], "B1: has no setpoint of feed"),
    ],
)
def test_what_gives_no_region_is_told(batches: list[Tried], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        region(batches, RANGES)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"product": math.nan}, "B1: product must be above 0 g, not nan"),
        ({"hours": HOURS[::-1]}, "B1: hours must be two or more, and increase"),
        ({"setpoints": {"feed": FEED[1:]}}, "B1: feed: a finite value for each hour"),
    ],
)
def test_a_batch_that_cannot_be_is_refused(change: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        replace(tried("B1", 1.0, 10.0), **change)  # pyright: ignore[reportArgumentType] (bad on purpose)


def test_one_batch_tells_a_bias_and_no_slope() -> None:
    found = modifiers([{"feed": 1.0}], [8.0], [10.0])
    assert found.slopes == {"feed": 0.0}
    assert -0.223 < found.bias < -0.2  # ln 0.8, a little less for what was believed
    assert found.corrected(10.0, {"feed": 1.0}) == pytest.approx(8.1, abs=0.1)
    assert found.sd({"feed": 1.5}) > 2.0 * found.sd({"feed": 1.0})


def test_slopes_come_with_batches_that_differ_and_noise_is_not_followed() -> None:
    random = np.random.default_rng(1)
    feeds = random.uniform(0.8, 1.2, 30)
    off = 0.1 - 0.6 * feeds + 0.08 * random.standard_normal(30)
    done = [{"feed": float(f)} for f in feeds]
    found = modifiers(done, list(10.0 * np.exp(off)), [10.0] * 30, memory=1.0)
    assert found.slopes["feed"] == pytest.approx(-0.6, abs=0.25)
    few = modifiers(done[:2], list(10.0 * np.exp(off[:2])), [10.0] * 2)
    assert abs(few.slopes["feed"]) < 0.3


def test_the_optimum_of_the_plant_is_found_though_the_model_promises_more() -> None:
    """The model foretells +12 % for a fifth more feed; the plant gives a little, then loses."""

    def plant(feed: float) -> float:
        return 10.0 * math.exp(-2.0 * (feed - 1.1) ** 2)

    def model(feed: float) -> float:
        return 10.0 * feed**0.62

    flow = np.full_like(HOURS, 40.0)

    def batch(feed: float) -> Tried:
        return Tried("B", HOURS, {"feed": feed * flow}, plant(feed), model(feed))

    def led(batches: list[Tried], feeds: list[float], *, corrected: bool) -> float:
        found: Region = region(batches, {"feed": (0.0, 100.0)}, TrustSettings(noise=0.01))
        low, high = (v / 40.0 for v in found.limits("feed", 12.0))
        off: Modifiers = modifiers(
            [{"feed": f} for f in feeds],
            [b.product for b in batches],
            [b.foretold or 1.0 for b in batches],
            noise=0.01,
            slope_sd=2.0,
        )

        def expected(feed: float) -> float:
            return off.corrected(model(feed), {"feed": feed}) if corrected else model(feed)

        return float(max(np.linspace(low, high, 201), key=expected))

    ends: list[float] = []
    for corrected in (True, False):
        feeds = [0.9, 1.0]
        batches = [batch(f) for f in feeds]
        for _ in range(6):
            feeds.append(led(batches, feeds, corrected=corrected))
            batches.append(batch(feeds[-1]))
        ends.append(plant(feeds[-1]))
    assert ends[0] > 9.5  # of 10 g
    assert ends[1] < 8.0
