import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.recipes.feeding import (
    Constant,
    Exponential,
    Profile,
    Table,
    as_state,
    from_state,
    substrate_g,
)

HOUR = 3600.0
TIMES = st.floats(-1e7, 1e7)
EXPONENTIALS = st.builds(
    Exponential,
    mu_per_h=st.floats(0, 2),
    biomass_g_per_l=st.floats(0, 200),
    volume_l=st.floats(0, 1e5),
    cap_ml_per_h=st.floats(0, 1e6),
    feed_substrate_g_per_l=st.floats(50, 900),
    yield_g_per_g=st.floats(0.05, 1.0),
    maintenance_g_per_g_h=st.floats(0, 0.2),
    substrate_g_per_l=st.floats(0, 20),
)
POINTS = st.lists(
    st.tuples(st.floats(0.01, 50), st.floats(0, 1e4)), min_size=1, max_size=8
)  # h since the point before, mL/h


def table(points: list[tuple[float, float]]) -> Table:
    hours: list[float] = []
    total = 0.0
    for step, _ in points:
        total += step
        hours.append(total)
    return Table(tuple(hours), tuple(flow for _, flow in points))


PROFILES: st.SearchStrategy[Any] = (
    EXPONENTIALS | POINTS.map(table) | st.builds(Constant, st.floats(0, 1e6))
)


def test_exponential_feed_by_hand() -> None:
    feed = Exponential(0.18, biomass_g_per_l=5.0, volume_l=3.0, cap_ml_per_h=45.0)
    # (0.18 / 0.51 + 0.04) g/g/h * 15 g / 500 g/L = 0.0117882 L/h
    assert feed.flow(0.0) == pytest.approx(11.78824, rel=1e-6)
    assert feed.flow(5 * HOUR) == pytest.approx(11.78824 * math.exp(0.9), rel=1e-6)
    # the cap: ln(45 / 11.78824) / 0.18 = 7.4420 h
    assert feed.flow(7.43 * HOUR) < 45.0
    assert feed.flow(7.45 * HOUR) == 45.0
    # 11.78824 / 0.18 * (exp(0.9) - 1) = 95.589 mL
    assert feed.volume(5 * HOUR) == pytest.approx(95.589, rel=1e-4)
    # (45 - 11.78824) / 0.18 mL up to the cap, then 45 mL/h
    assert feed.volume(10 * HOUR) == pytest.approx(184.510 + 45.0 * (10 - 7.4420), rel=1e-4)
    assert substrate_g(feed, 5 * HOUR, 500.0) == pytest.approx(47.794, rel=1e-4)


def test_what_is_left_in_the_vessel_counts() -> None:
    feed = Exponential(
        0.0, biomass_g_per_l=10.0, volume_l=2.0, cap_ml_per_h=100.0, substrate_g_per_l=100.0
    )
    assert feed.flow(0.0) == pytest.approx(0.04 * 20.0 / 400.0 * 1000.0)
    assert feed.volume(3 * HOUR) == pytest.approx(6.0)


def test_a_start_above_the_cap_is_the_cap() -> None:
    feed = Exponential(0.2, biomass_g_per_l=50.0, volume_l=3.0, cap_ml_per_h=30.0)
    assert feed.flow(0.0) == 30.0
    assert feed.volume(2 * HOUR) == pytest.approx(60.0)


def test_no_biomass_means_no_feed() -> None:
    feed = Exponential(0.2, biomass_g_per_l=0.0, volume_l=3.0, cap_ml_per_h=30.0)
    assert feed.flow(1e9) == 0.0
    assert feed.volume(1e9) == 0.0


def test_a_minute_start_grows_to_its_cap_without_overflow() -> None:
    for biomass in (1e-320, 1e-12, 1e-9, 1e-6):
        feed = Exponential(2.0, biomass_g_per_l=biomass, volume_l=1.0, cap_ml_per_h=1e6)
        assert feed.flow(1e9) in (0.0, 1e6)


def test_a_table_is_linear_between_its_points_and_flat_outside() -> None:
    feed = Table((1.0, 3.0, 4.0), (10.0, 30.0, 0.0))
    flows = [feed.flow(h * HOUR) for h in (-1.0, 0.0, 1.0, 2.0, 3.0, 3.5, 4.0, 9.0)]
    assert flows == pytest.approx([10.0, 10.0, 10.0, 20.0, 30.0, 15.0, 0.0, 0.0])
    # 10 + (10 + 30) / 2 * 2 + 30 / 2 mL
    volumes = [feed.volume(h * HOUR) for h in (-1.0, 0.5, 1.0, 2.0, 3.0, 4.0, 9.0)]
    assert volumes == pytest.approx([0.0, 5.0, 10.0, 25.0, 50.0, 65.0, 65.0])


def test_a_constant_feed_is_constant() -> None:
    assert Constant(12.0).flow(-5.0) == 12.0
    assert Constant(12.0).volume(1800.0) == pytest.approx(6.0)
    assert Constant(12.0).volume(-5.0) == 0.0


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: Constant(-1.0), "ml_per_h: -1 is not allowed"),
        (lambda: Constant(math.nan), "ml_per_h: nan is not allowed"),
        (lambda: Table((), ()), "hours and ml_per_h: 0 and 0 numbers"),
        (lambda: Table((1.0, 2.0), (1.0,)), "hours and ml_per_h: 2 and 1 numbers"),
        (lambda: Table((1.0, 1.0), (1.0, 2.0)), "hours .h. must rise"),
        (lambda: Table((1.0, 2.0), (1.0, math.inf)), "ml_per_h: inf is not allowed"),
        (lambda: Table((-1.0, 2.0), (1.0, 1.0)), "hours: -1 is not allowed"),
        (lambda: Exponential(3.0, 5.0, 3.0, 45.0), "mu_per_h: 3 is not allowed"),
        (lambda: Exponential(0.1, math.nan, 3.0, 45.0), "biomass_g_per_l: nan is not allowed"),
        (lambda: Exponential(0.1, 5.0, -1.0, 45.0), "volume_l: -1 is not allowed"),
        (lambda: Exponential(0.1, 5.0, 3.0, math.inf), "cap_ml_per_h: inf is not allowed"),
        (
            lambda: Exponential(0.1, 5.0, 3.0, 45.0, 10.0, substrate_g_per_l=10.0),
            "feed_substrate_g_per_l: 10 is not allowed",
        ),
        (lambda: Exponential(0.1, 5.0, 3.0, 45.0, yield_g_per_g=0.0), "yield_g_per_g: 0 is not"),
    ],
)
def test_numbers_that_make_no_feed_are_refused_by_key(build: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        build()


@given(feed=PROFILES, t_s=TIMES)
def test_a_feed_is_finite_and_never_negative(feed: Profile, t_s: float) -> None:
    assert 0.0 <= feed.flow(t_s) < math.inf
    assert 0.0 <= feed.volume(t_s) < math.inf


@given(feed=EXPONENTIALS, t_s=TIMES, later=st.floats(0, 1e6))
def test_an_exponential_feed_never_falls_and_never_passes_its_cap(
    feed: Exponential, t_s: float, later: float
) -> None:
    assert feed.flow(t_s) <= feed.flow(t_s + later) <= feed.cap_ml_per_h


@given(feed=PROFILES, t_s=st.floats(0, 1e6), step=st.floats(0, 1e5))
def test_volume_lies_between_the_smallest_and_the_largest_flow(
    feed: Any, t_s: float, step: float
) -> None:
    ends = [feed.flow(t_s), feed.flow(t_s + step)]
    if isinstance(feed, Table):
        ends += feed.ml_per_h
    fed = feed.volume(t_s + step) - feed.volume(t_s)
    slack = 1e-9 * (1 + feed.volume(t_s + step))
    assert min(ends) * step / HOUR - slack <= fed <= max(ends) * step / HOUR + slack


@given(feed=PROFILES, t_s=st.floats(0, 1e6))
def test_a_feed_goes_on_after_a_restart(feed: Any, t_s: float) -> None:
    again = from_state(json.loads(json.dumps(as_state(feed))))
    assert again == feed
    assert again.flow(t_s) == feed.flow(t_s)
    assert again.volume(t_s) == feed.volume(t_s)


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"kind": "magic"},
        {"kind": "constant", "x": 1},
        {"kind": "constant", "ml_per_h": "x"},
        {"kind": "table", "hours": 3, "ml_per_h": []},
    ],
)
def test_a_damaged_state_is_refused(state: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="feed profile: damaged state"):
        from_state(state)
