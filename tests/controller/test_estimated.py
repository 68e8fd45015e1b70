"""The economic optimiser asked with the soft sensor's estimate: what it believes and foresees."""

import dataclasses
import math

import numpy as np
import pytest

from controller.planning.economic.estimated import Estimated
from controller.planning.economic.sensed import belief
from controller.planning.outlook import Course, Outlook, Question
from controller.planning.plan import Plan
from controller.sensing.estimate import Estimate, layout
from controller.sensing.estimator import Estimator, EstimatorSettings
from tests.controller.economies import NOW, case

YEAST = case("yeast_300l")
SETTINGS = dataclasses.replace(YEAST.settings, stages=8, scenarios=1)


def estimate(spread: float = 0.05, feed_factor: float = 1.0) -> Estimate:
    """Yeast as in ``economies``, every state and factor known to ``spread``."""
    of = layout("yeast")
    first = Estimator(EstimatorSettings(organism="yeast", vessel="300l")).update(
        NOW, {}, {}, induced=False
    )
    mean = list(first.mean)
    for name in ("X", "S", "E", "V"):
        mean[of.states.index(name)] = YEAST.belief.states[name]
    factors = {n: k for k, n in enumerate(of.states) if n.startswith("log_")}
    for k in factors.values():
        mean[k] = 0.0
    sd = [spread * (1.0 if k in factors.values() else v) for k, v in enumerate(mean)]
    cov = np.diag(np.square(sd)).ravel().tolist()
    return dataclasses.replace(first, mean=tuple(mean), cov=tuple(cov), feed_factor=feed_factor)


@pytest.fixture(scope="module")
def solver() -> Estimated:
    return Estimated(SETTINGS)


@pytest.fixture(scope="module")
def plan(solver: Estimated) -> Plan:
    return solver.plan(estimate(feed_factor=1.1), YEAST.situation)


def test_states_and_factors_are_the_sensors_and_their_doubt_is_its_covariance() -> None:
    one = belief(estimate(0.05), SETTINGS.learned, induced=False)
    assert {n: one.states[n] for n in "XSEV"} == {n: YEAST.belief.states[n] for n in "XSEV"}
    assert one.states["NH3"] == 100.0  # no filter follows it
    assert one.factors == {"qOmax": 1.0, "Yox": 1.0, "broth": 1.0}
    sizes = dict(zip(one.names, np.sqrt(np.square(one.parts).sum(axis=0)), strict=True))
    assert sizes["X"] == pytest.approx(0.05 * 5.0)
    assert sizes["broth"] == pytest.approx(0.05)


def test_what_is_induced_has_inducer() -> None:
    first = Estimator(EstimatorSettings()).update(NOW, {}, {}, induced=True)
    amounts = [belief(first, ("qPm",), induced=on).states["inducer"] for on in (False, True)]
    assert amounts == [0.0, 1.0]


def test_a_plan_speaks_of_the_pump_as_the_pump_speaks_of_itself(plan: Plan) -> None:
    assert plan.good
    assert plan.at(NOW, "feed_ml_per_h") == pytest.approx(1300.0)  # what is applied, by its figure


def test_a_plan_of_a_weighed_tank_ends_where_its_pump_draws_air(solver: Estimated) -> None:
    left = SETTINGS.tank_empty_kg + 1.13 * 20.0 if SETTINGS.tank_empty_kg else 0.0  # 20 L
    weighed = dataclasses.replace(estimate(feed_factor=1.1), feed_left_kg=left)
    short = solver.plan(weighed, YEAST.situation)
    assert short.good
    hours = np.diff(short.times) / 3600.0
    flows = np.array([v for _, v in short.line("feed_ml_per_h")]) / 1e3
    assert 1.1 * (0.5 * hours * (flows[1:] + flows[:-1])).sum() == pytest.approx(20.0, rel=0.05)


@pytest.fixture(scope="module")
def outlook(solver: Estimated, plan: Plan) -> Outlook:
    slow = Course(((NOW, 1300.0),), ((NOW, 27.0),), 30.0)
    led = Course(plan.line("feed_ml_per_h"), plan.line("do_percent"), 30.0)
    fast = Course(((NOW, 12000.0),), ((NOW, 27.0),), 30.0)
    asked = Question(NOW, plan.times[-1], (slow, led, fast))
    return solver.foresee(estimate(feed_factor=1.1), Question.from_json(asked.as_json()))


def test_a_plans_course_run_ahead_makes_what_the_plan_foretells(
    outlook: Outlook, plan: Plan
) -> None:
    assert Outlook.from_json(outlook.as_json()) == outlook
    slow, led, _ = outlook.courses
    made = led.bands["product_g"]
    assert made.middle[-1] == pytest.approx(plan.predicted["product_g"][-1], rel=0.01)
    half = plan.spread["product_g"][-1]
    assert made.high[-1] - made.middle[-1] == pytest.approx(half, rel=0.15)
    low, middle, high = led.gain_g
    assert 0.0 < low < middle < high
    assert middle == pytest.approx(made.middle[-1] - slow.bands["product_g"].middle[-1], abs=1e-3)
    assert all(c.expected is None for c in led.crossings)  # what is crossed is unlikely


def test_too_much_feed_empties_the_oxygen_and_overflows(outlook: Outlook) -> None:
    fast = outlook.courses[2]
    assert {"oxygen transfer", "ethanol"} <= {c.limit for c in fast.crossings}
    assert min(fast.bands["do_percent"].middle) < 20.0


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"stale_s": 700.0}, "700 s old"),
        ({"organism": "ecoli"}, "the estimate is of ecoli"),
        ({"time": math.nan}, "not finite"),
    ],
)
def test_what_cannot_be_planned_from_is_refused_by_name(
    solver: Estimated, changed: dict[str, object], says: str
) -> None:
    refused = dataclasses.replace(estimate(), **changed)
    plan = solver.plan(refused, YEAST.situation)
    assert plan.status == "bad_input"
    assert says in plan.reason
    outlook = solver.foresee(refused, Question(NOW, NOW + 3600.0, ()))
    assert (outlook.status, says in outlook.reason) == ("bad_input", True)
