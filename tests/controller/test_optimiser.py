"""Plans on the model, their limits, and whatever may be asked wrongly."""

import dataclasses
import json
import math
from array import array

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.planning.horizon import grid
from controller.planning.optimiser import Optimiser, OptimiserSettings
from controller.planning.plan import Plan, Situation
from controller.planning.rollout import Course, constant, linear
from controller.planning.worker import Worker
from controller.sensing.estimate import N_STATES, NAMES, Estimate
from controller.sensing.estimator import Estimator, EstimatorSettings
from models.fedbatch import FACTORS

START = 1.8e9
GROWING = {"biomass_g_per_l": 8.0, "substrate_g_per_l": 0.03, "acetate_g_per_l": 0.01}


def believed(spread: float = 0.03, **values: float) -> Estimate:
    """An estimate of given values, with factors 1 and a relative spread."""
    mean = list(Estimator(EstimatorSettings()).update(START, {}, {}, induced=False).mean)
    for name, value in {**GROWING, **values}.items():
        i = NAMES.index(name)
        mean[i] = math.log(value) if name.endswith("_factor") else value
    cov = array("d", bytes(8 * N_STATES**2))
    for i in range(N_STATES):
        scale = 1.0 if i < len(NAMES) and NAMES[i].endswith("_factor") else mean[i]
        cov[i * N_STATES + i] = (spread * scale) ** 2
    return Estimate(START, tuple(mean), tuple(cov))


SITUATION = Situation(
    now=START, batch_h=8.0, end_h=24.0, induction_h=14.0, feed_ml_per_h=18.0, feeding=True
)


@pytest.fixture(scope="module")
def optimiser() -> Optimiser:
    one = Optimiser(OptimiserSettings())
    one.warm_up()
    return one


def fed_g(plan: Plan) -> float:
    feed = [row[0] for row in plan.setpoints]
    return float(np.trapezoid(feed, plan.times)) / 3600.0 / 1e3 * 500.0


def test_a_plan_reaches_harvest_within_every_limit(optimiser: Optimiser) -> None:
    plan = optimiser.plan(believed(), SITUATION)
    assert (plan.status, plan.reason, plan.good) == ("good", "", True)
    assert plan.made == START
    assert plan.times[0] == START
    assert plan.times[-1] == pytest.approx(START + 16 * 3600.0)
    s = optimiser.settings
    for feed, do in plan.setpoints:
        assert s.feed_min_ml_per_h <= feed <= s.feed_max_ml_per_h
        assert s.do_min - 1e-6 <= do <= s.do_max + 1e-6
    assert max(plan.predicted["volume_l"]) <= 0.94 * s.volume_max_l + 0.03
    assert max(plan.predicted["acetate_g_per_l"]) <= s.acetate_max_g_per_l
    assert all(len(row) == len(plan.times) for row in plan.predicted.values())
    assert plan.predicted["product_g"][-1] == pytest.approx(plan.objective, rel=0.02)
    assert "oxygen transfer" in plan.active


def test_a_plan_makes_more_than_a_careful_recipe_on_the_same_model(optimiser: Optimiser) -> None:
    estimate, plan = believed(), optimiser.plan(believed(), SITUATION)
    hours = np.arange(0.0, 16.1, 0.25)
    recipe = np.minimum(18.0 * np.exp(0.15 * hours), 32.0) / 1e3
    rival = optimiser.rollout.run(
        estimate.mean[:6],
        [1.0] * len(FACTORS),
        Course(linear(hours, recipe), constant(30.0), 6.0),
        16.0,
        500.0,
        2e-3,
    )[-1]
    assert plan.predicted["product_g"][-1] > 1.1 * rival.P * rival.V


def test_more_oxygen_transfer_is_more_feed_and_more_product(optimiser: Optimiser) -> None:
    weak, strong = (optimiser.plan(believed(kla_factor=f), SITUATION) for f in (0.8, 1.2))
    assert fed_g(strong) > 1.2 * fed_g(weak)
    assert strong.objective > 1.2 * weak.objective


def test_a_strain_that_breathes_less_is_fed_more_slowly(optimiser: Optimiser) -> None:
    poor, rich = (
        optimiser.plan(believed(biomass_g_per_l=5.0, qomax_factor=f), SITUATION) for f in (0.7, 1.1)
    )
    hour = START + 3600.0
    assert poor.at(hour) < 0.8 * rich.at(hour)
    assert "specific uptake" in poor.active
    assert max(poor.predicted["acetate_g_per_l"]) < 0.5


def test_doubt_is_distance_from_the_limits(optimiser: Optimiser) -> None:
    sure, unsure = (optimiser.plan(believed(spread), SITUATION) for spread in (0.01, 0.1))
    assert fed_g(unsure) < 0.96 * fed_g(sure)


def test_nothing_is_fed_before_the_batch_sugar_is_eaten(optimiser: Optimiser) -> None:
    estimate = believed(biomass_g_per_l=2.0, substrate_g_per_l=5.0)
    situation = dataclasses.replace(SITUATION, batch_h=4.0, feed_ml_per_h=0.0, feeding=False)
    plan = optimiser.plan(estimate, situation)
    assert plan.good
    waits = plan.times[1] - START
    assert 0.8 * 3600 < waits < 3 * 3600
    assert plan.at(START + 0.5 * waits) == 0.0
    assert plan.at(START + waits + 60.0) > 5.0
    assert plan.predicted["substrate_g_per_l"][1] < 0.1


def test_substrate_that_piled_up_is_eaten_first(optimiser: Optimiser) -> None:
    plan = optimiser.plan(believed(substrate_g_per_l=1.5), SITUATION)
    assert plan.good
    assert plan.at(START) == 0.0
    assert plan.at(START + 900.0) > 5.0


def test_a_full_vessel_is_not_fed(optimiser: Optimiser) -> None:
    estimate = believed(biomass_g_per_l=30.0, volume_l=4.28)
    plan = optimiser.plan(estimate, dataclasses.replace(SITUATION, batch_h=20.0, induced=True))
    assert plan.at(START + 1800.0) < 2.0
    assert "volume" in " ".join((*plan.active, plan.reason))


def test_feed_is_the_pumps_own_figure(optimiser: Optimiser) -> None:
    estimate = believed()
    true = optimiser.plan(estimate, SITUATION)
    weak = optimiser.plan(dataclasses.replace(estimate, feed_factor=0.8), SITUATION)
    hour = START + 2 * 3600.0
    assert weak.at(hour) == pytest.approx(true.at(hour) / 0.8, rel=0.02)


def test_the_next_plan_continues_the_last_one(optimiser: Optimiser) -> None:
    first = optimiser.plan(believed(), SITUATION)
    later = dataclasses.replace(
        SITUATION,
        now=START + 300.0,
        batch_h=8.0 + 1 / 12,
        feed_ml_per_h=first.at(START + 300.0),
        previous=first,
    )
    values = {
        name: first.predicted[name][1]
        for name in ("biomass_g_per_l", "substrate_g_per_l", "volume_l")
    }
    second = optimiser.plan(dataclasses.replace(believed(**values), time=START + 300.0), later)
    assert second.good
    for hours in (1.0, 4.0, 8.0, 12.0):
        time = START + hours * 3600.0
        assert second.at(time) == pytest.approx(first.at(time), rel=0.08)
    assert second.objective == pytest.approx(first.objective, rel=0.01)


@pytest.mark.parametrize("left", [0.04, 0.2, 1.0, 2.9, 3.1, 48.0])
def test_any_distance_from_harvest_can_be_planned(optimiser: Optimiser, left: float) -> None:
    plan = optimiser.plan(
        believed(), dataclasses.replace(SITUATION, end_h=8.0 + left, induced=True)
    )
    assert plan.good
    assert plan.times[-1] <= START + left * 3600.0 + 1e-3


def test_a_reactor_without_induction_is_grown_for_biomass(optimiser: Optimiser) -> None:
    plan = optimiser.plan(believed(), dataclasses.replace(SITUATION, induction_h=None))
    assert plan.good
    assert plan.predicted["biomass_g_per_l"][-1] > 25.0


WRONG: list[tuple[str, object, str]] = [
    ("now", math.nan, "now"),
    ("batch_h", math.inf, "batch_h"),
    ("end_h", math.nan, "end_h"),
    ("end_h", 1e9, "end_h"),
    ("induction_h", math.nan, "induction_h"),
    ("feed_ml_per_h", math.nan, "feed_ml_per_h"),
    ("now", START + 3600.0, "s old"),
]


@pytest.mark.parametrize(("field", "value", "named"), WRONG)
def test_a_wrong_question_is_a_status_not_an_error(
    optimiser: Optimiser, field: str, value: float, named: str
) -> None:
    plan = optimiser.plan(believed(), dataclasses.replace(SITUATION, **{field: value}))
    assert (plan.status, plan.good) == ("bad_input", False)
    assert named in plan.reason


@pytest.mark.parametrize(
    ("name", "value"),
    [("biomass_g_per_l", 0.0), ("biomass_g_per_l", 500.0), ("volume_l", 0.1), ("volume_l", 20.0)],
)
def test_a_vessel_that_cannot_be_is_bad_input(
    optimiser: Optimiser, name: str, value: float
) -> None:
    plan = optimiser.plan(believed(**{name: value}), SITUATION)
    assert plan.status == "bad_input"
    assert "is not believed" in plan.reason


def test_an_estimate_with_nan_is_bad_input(optimiser: Optimiser) -> None:
    estimate = believed()
    broken = dataclasses.replace(estimate, mean=(math.nan, *estimate.mean[1:]))
    assert optimiser.plan(broken, SITUATION).status == "bad_input"


@settings(max_examples=60, deadline=None)
@given(
    biomass=st.floats(0.0, 120.0),
    substrate=st.floats(0.0, 60.0),
    acetate=st.floats(0.0, 30.0),
    volume=st.floats(0.1, 6.0),
    kla=st.floats(0.55, 1.8),
    qomax=st.floats(0.67, 1.5),
    feed=st.floats(0.0, 200.0),
    batch=st.floats(0.0, 30.0),
    spread=st.floats(0.0, 1.0),
    induced=st.booleans(),
)
def test_no_numbers_whatever_raise_or_break_out_of_the_pump(
    optimiser: Optimiser,
    biomass: float,
    substrate: float,
    acetate: float,
    volume: float,
    kla: float,
    qomax: float,
    feed: float,
    batch: float,
    spread: float,
    induced: bool,
) -> None:
    estimate = believed(
        spread,
        biomass_g_per_l=biomass,
        substrate_g_per_l=substrate,
        acetate_g_per_l=acetate,
        volume_l=volume,
        kla_factor=kla,
        qomax_factor=qomax,
    )
    situation = dataclasses.replace(SITUATION, batch_h=batch, feed_ml_per_h=feed, induced=induced)
    plan = optimiser.plan(estimate, situation)
    if plan.status == "good":
        assert plan.good
        assert all(0.0 <= row[0] <= 200.0 for row in plan.setpoints)
    else:
        assert plan.reason


def test_nodes_are_fine_at_first_and_one_is_on_the_event() -> None:
    nodes = grid(16.0, 24, 6.0)
    assert len(nodes) == 25
    assert (np.diff(nodes) > 0).all()
    assert nodes[1] == pytest.approx(5 / 60)
    assert 6.0 in nodes
    assert nodes[-1] == 16.0
    assert (np.diff(grid(1.0, 24)) < 0.05).all()


@pytest.mark.parametrize(
    ("key", "value"),
    [("organism", "yeti"), ("do_min", 60.0), ("oxygen_share", -1.0), ("stages", 3), ("speed", 1.0)],
)
def test_settings_that_are_not_allowed_are_refused(key: str, value: object) -> None:
    with pytest.raises(ValueError, match=key):
        OptimiserSettings.from_json({**OptimiserSettings().as_json(), key: value})


def test_a_worker_answers_in_json_and_survives_nonsense(optimiser: Optimiser) -> None:
    worker = Worker()
    question = {
        "id": 3,
        "settings": optimiser.settings.as_json(),
        "estimate": believed().as_state(),
        "situation": SITUATION.as_json(),
    }
    answer = json.loads(json.dumps(worker.answer(json.loads(json.dumps(question)))))
    plan = Plan.from_json(answer["plan"])
    assert (answer["id"], plan.status) == (3, "good")
    assert plan.times == optimiser.plan(believed(), SITUATION).times
    for broken in ({}, {**question, "estimate": 3}, {**question, "settings": {"x": 1}}):
        told = worker.answer({"id": 4, **broken})
        assert Plan.from_json(told["plan"]).status == "bad_input"


def test_a_plan_says_what_holds_it_and_how_sure_it_is(optimiser: Optimiser) -> None:
    sure, unsure = (optimiser.plan(believed(spread), SITUATION) for spread in (0.01, 0.06))
    assert sure.binding in sure.active
    assert sure.slack == {}
    for plan, factor in ((sure, 0.05), (unsure, 0.25)):
        low, high = plan.interval("product_g")[-1]
        assert low < plan.predicted["product_g"][-1] < high
        assert high - low < factor * 2 * plan.predicted["product_g"][-1]
    wide = unsure.spread["product_g"][-1] / unsure.predicted["product_g"][-1]
    narrow = sure.spread["product_g"][-1] / sure.predicted["product_g"][-1]
    assert wide > 4 * narrow
    with pytest.raises(ValueError, match="no interval"):
        sure.interval("acetate_g_per_l")


def test_the_interval_of_a_plan_holds_nine_strains_of_ten(optimiser: Optimiser) -> None:
    estimate = believed(0.05)
    plan = optimiser.plan(estimate, SITUATION)
    hours = (np.array(plan.times) - START) / 3600.0
    feed, do = np.array(plan.setpoints).T
    course = Course(linear(hours, feed / 1e3), linear(hours, do), 6.0)
    low, high = plan.interval("product_g")[-1]
    draw, inside = np.random.default_rng(5), 0
    for _ in range(100):
        start = np.array(estimate.mean[:6]) * np.exp(0.05 * draw.standard_normal(6))
        start[4] = 1.0  # nothing has been induced: it is all there
        factors = np.exp(0.05 * draw.standard_normal(len(FACTORS)))
        last = optimiser.rollout.run(start.tolist(), factors.tolist(), course, 16.0, 500.0, 2e-3)[
            -1
        ]
        inside += low <= last.P * last.V <= high
    assert 80 <= inside <= 97
