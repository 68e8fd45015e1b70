"""A vessel run ahead: the model's own numbers, what the estimate leaves open, limits in time."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from controller.planning.foresight import Foresight
from controller.planning.optimiser import Optimiser, OptimiserSettings
from controller.planning.outlook import Course, Line, Outlook, Question
from controller.planning.rollout import Course as Run
from controller.planning.rollout import constant
from controller.sensing.estimate import N_STATES, NAMES, Estimate
from tests.controller.test_optimiser import START, believed

HOURS = 12.0


@pytest.fixture(scope="module")
def optimiser() -> Optimiser:
    return Optimiser(OptimiserSettings())


@pytest.fixture(scope="module")
def foresight(optimiser: Optimiser) -> Foresight:
    return Foresight(optimiser.rollout.cells, optimiser.settings)


def flat(value: float) -> Line:
    return ((START, value),)


def course(feed: float = 18.0, do: float = 30.0, temperature: float | None = None) -> Course:
    return Course(flat(feed), flat(do), temperature, START + 4 * 3600.0)


def asked(*courses: Course, hours: float = HOURS) -> Question:
    return Question(START, START + hours * 3600.0, courses)


def test_the_middle_is_what_the_model_of_a_plans_check_gives(
    optimiser: Optimiser, foresight: Foresight
) -> None:
    estimate = believed(spread=1e-6)
    found = foresight.run(estimate, asked(course())).courses[0]
    points = optimiser.rollout.run(
        [max(v, 0.0) for v in estimate.mean[:6]],
        [1.0] * 4,
        Run(constant(0.018 * estimate.feed_factor), constant(30.0), 4.0),
        HOURS,
        500.0,
        estimate.base_ml_per_g / 1e3,
    )
    last, bands = points[-1], found.bands
    assert bands["biomass_g_per_l"].middle[-1] == pytest.approx(last.X, rel=0.005)
    assert bands["product_g"].middle[-1] == pytest.approx(last.P * last.V, rel=0.01)
    assert bands["volume_l"].middle[-1] == pytest.approx(last.V, rel=0.002)
    assert bands["our_mmol_per_l_h"].middle[-1] == pytest.approx(last.our, rel=0.01)
    assert found.crossings == ()


def test_vessels_drawn_from_the_estimate_end_within_its_interval_nine_times_in_ten(
    foresight: Foresight,
) -> None:
    estimate = believed(spread=0.08)
    band = foresight.run(estimate, asked(course())).courses[0].bands
    rng = np.random.default_rng(6)
    sd = np.sqrt(np.diag(np.reshape(estimate.cov, (N_STATES, N_STATES))))
    inside = dict.fromkeys(("biomass_g_per_l", "product_g"), 0)
    nothing = (0.0,) * N_STATES**2
    for _ in range(60):
        mean = np.array(estimate.mean)
        mean[:11] += sd[:11] * rng.standard_normal(11)
        drawn = replace(estimate, mean=tuple(mean.tolist()), cov=nothing)
        ends = foresight.run(drawn, asked(course())).courses[0].bands
        for name in inside:
            inside[name] += band[name].low[-1] <= ends[name].middle[-1] <= band[name].high[-1]
    assert all(0.8 * 60 <= n <= 59 for n in inside.values()), inside


def test_a_gain_is_of_the_same_vessel_so_it_is_surer_than_either_product(
    foresight: Foresight,
) -> None:
    slow, fast = foresight.run(believed(0.08), asked(course(10.0), course(25.0))).courses
    assert slow.gain_g == (0.0, 0.0, 0.0)
    low, middle, high = fast.gain_g
    assert 0 < low < middle < high
    a, b = slow.bands["product_g"], fast.bands["product_g"]
    assert middle == pytest.approx(b.middle[-1] - a.middle[-1], abs=1e-3)
    assert high - low < (b.high[-1] - b.low[-1])


def test_too_much_feed_empties_the_oxygen_and_runs_away_in_order(foresight: Foresight) -> None:
    found = foresight.run(believed(), asked(course(), course(140.0))).courses[1]
    names = [c.limit for c in found.crossings]
    assert names == ["oxygen transfer", "substrate", "acetate", "volume"]
    for crossing in found.crossings:
        assert crossing.expected is not None
        assert crossing.possible <= crossing.expected
    assert min(found.bands["do_percent"].middle) < 15


def test_what_only_the_worse_half_crosses_is_said_to_be_possible(foresight: Foresight) -> None:
    feeds = (float(feed) for feed in np.arange(20.0, 60.0, 2.0))
    found = (foresight.run(believed(0.1), asked(course(feed), hours=16.0)) for feed in feeds)
    first = next(f.courses[0].crossings for f in found if f.courses[0].crossings)
    assert first[0].expected is None


def test_a_colder_broth_is_slower_and_takes_more_oxygen_in(foresight: Foresight) -> None:
    courses = (course(90.0), course(90.0, temperature=30.0))
    hot, cold = foresight.run(believed(), asked(*courses, hours=1.0)).courses
    ours = [f.bands["our_mmol_per_l_h"].middle[-1] for f in (hot, cold)]
    assert ours[1] < 0.8 * ours[0]


def test_it_can_be_said_as_json_and_read_back(foresight: Foresight) -> None:
    question = asked(course(), course(25.0), hours=2.0)
    assert Question.from_json(json.loads(json.dumps(question.as_json()))) == question
    outlook = foresight.run(believed(), question)
    assert Outlook.from_json(json.loads(json.dumps(outlook.as_json()))) == outlook


EMPTY: dict[str, list[float]] = {"feed_ml_per_h": [], "do_percent": []}
WRONG: list[tuple[dict[str, object], str]] = [
    ({"end": START - 1.0}, "end"),
    ({"courses": ()}, "end"),
    ({"start": math.nan}, "start"),
    ({"courses": [EMPTY]}, "courses"),
    ({"more": 1}, "more"),
]


@pytest.mark.parametrize(("change", "why"), WRONG)
def test_a_question_that_is_none_is_refused_by_name(change: dict[str, object], why: str) -> None:
    plain = {**asked(course()).as_json(), **change}
    with pytest.raises(ValueError, match=why):
        Question.from_json(plain)


def test_what_cannot_be_run_ahead_is_an_answer_with_the_reason(foresight: Foresight) -> None:
    broken = list(believed().mean)
    broken[NAMES.index("volume_l")] = math.nan
    believed_nothing = Estimate(START, tuple(broken), believed().cov)
    old = replace(believed(), time=START - 3600.0)
    for estimate, question, why in (
        (believed_nothing, asked(course()), "finite"),
        (old, asked(course()), "3600 s old"),
        (believed(), asked(course(), hours=10_000.0), "10000 h is not allowed"),
    ):
        outlook = foresight.run(estimate, question)
        assert (outlook.status, outlook.courses) == ("bad_input", ())
        assert why in outlook.reason
