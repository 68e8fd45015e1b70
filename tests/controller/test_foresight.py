"""A vessel run ahead: what the estimate leaves open, and limits in time."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from controller.planning.economic.estimated import Estimated
from controller.planning.economic.foresight import emptied
from controller.planning.economic.problem import TOGETHER
from controller.planning.outlook import Course, Line, Outlook, Question
from controller.sensing.estimate import N_STATES, NAMES, Estimate
from tests.controller.economies import NOW, believed, quick

HOURS = 12.0


@pytest.fixture(scope="module")
def solver() -> Estimated:
    return Estimated(quick())


@pytest.fixture(scope="module")
def with_air_alone() -> Estimated:
    """A vessel without pure oxygen."""
    reach = {n: most for n, most in quick().aeration.items() if n in TOGETHER}
    return Estimated(replace(quick(), aeration=reach))


def flat(value: float) -> Line:
    return ((NOW, value),)


def course(
    feed: float = 18.0, do: float = 30.0, temperature: float | None = None, induced_h: float = 4.0
) -> Course:
    """Return what is done from now on: inducer as the recipe gives it, 10 mL within 5 min."""
    begin = NOW + 3600.0 * induced_h
    dose = ((begin - 1.0, 0.0), (begin, 0.12), (begin + 300.0, 0.12), (begin + 301.0, 0.0))
    return Course(flat(feed), flat(do), temperature, begin, {"inducer": dose})


def asked(*courses: Course, hours: float = HOURS) -> Question:
    return Question(NOW, NOW + hours * 3600.0, courses)


def test_vessels_drawn_from_the_estimate_end_within_its_interval_nine_times_in_ten(
    solver: Estimated,
) -> None:
    estimate = believed(spread=0.08)
    band = solver.foresee(estimate, asked(course())).courses[0].bands
    rng = np.random.default_rng(6)
    sd = np.sqrt(np.diag(np.reshape(estimate.cov, (N_STATES, N_STATES))))
    inside = dict.fromkeys(("biomass_g_per_l", "product_g"), 0)
    nothing = (0.0,) * N_STATES**2
    for _ in range(60):
        mean = np.array(estimate.mean)
        mean[:11] += sd[:11] * rng.standard_normal(11)
        drawn = replace(estimate, mean=tuple(mean.tolist()), cov=nothing)
        ends = solver.foresee(drawn, asked(course())).courses[0].bands
        for name in inside:
            inside[name] += band[name].low[-1] <= ends[name].middle[-1] <= band[name].high[-1]
    assert all(0.8 * 60 <= n <= 59 for n in inside.values()), inside


def test_a_gain_is_of_the_same_vessel_so_it_is_surer_than_either_product(
    solver: Estimated,
) -> None:
    slow, fast = solver.foresee(believed(0.08), asked(course(10.0), course(25.0))).courses
    assert slow.gain_g == (0.0, 0.0, 0.0)
    low, middle, high = fast.gain_g
    assert 0 < low < middle < high
    a, b = slow.bands["product_g"], fast.bands["product_g"]
    assert middle == pytest.approx(b.middle[-1] - a.middle[-1], abs=1e-3)
    assert high - low < (b.high[-1] - b.low[-1])


@pytest.mark.parametrize("induced_h", [4.0, 4.02, 4.03, 4.05, 4.06, 4.08])
def test_no_dose_is_missed_wherever_it_falls(solver: Estimated, induced_h: float) -> None:
    asks = asked(course(), course(induced_h=induced_h))
    assert abs(solver.foresee(believed(), asks).courses[1].gain_g[1]) < 0.1  # of 7 g


def test_too_much_feed_empties_the_oxygen_and_runs_away_in_order(with_air_alone: Estimated) -> None:
    found = with_air_alone.foresee(believed(), asked(course(), course(140.0))).courses[1]
    names = [c.limit for c in found.crossings]
    assert set(names[:2]) == {"oxygen transfer", "substrate"}  # within the same minutes
    assert names[2:] == ["acetate", "volume"]
    for crossing in found.crossings:
        assert crossing.expected is not None
        assert crossing.possible <= crossing.expected
    assert min(found.bands["do_percent"].middle) < 15


def test_what_only_the_worse_half_crosses_is_said_to_be_possible(solver: Estimated) -> None:
    feeds = (float(feed) for feed in np.arange(20.0, 60.0, 2.0))
    found = (solver.foresee(believed(0.1), asked(course(feed), hours=16.0)) for feed in feeds)
    first = next(f.courses[0].crossings for f in found if f.courses[0].crossings)
    assert first[0].expected is None


@pytest.mark.parametrize(
    ("line", "litres", "hours"),
    [
        (((0.0, 2.0),), 3.0, 1.5),
        (((0.0, 0.0), (7200.0, 4.0)), 1.0, 1.0),  # h^2 = 1
        (((0.0, 4.0), (7200.0, 0.0)), 3.0, 1.0),  # 4 h - h^2 = 3
        (((0.0, 0.0), (3600.0, 0.0), (3601.0, 2.0)), 0.0, 1.0),
        (((0.0, 2.0),), 20.0, None),
        (((0.0, 0.0),), 0.0, None),
    ],
)
def test_a_tank_is_empty_when_its_flow_has_taken_all(
    line: Line, litres: float, hours: float | None
) -> None:
    end = emptied(line, 0.0, 36_000.0, litres)
    assert end == (None if hours is None else pytest.approx(3600.0 * hours))


def test_a_feed_ends_with_its_tank_and_that_is_said(solver: Estimated) -> None:
    settings = solver.economic.settings
    assert settings.tank_empty_kg is not None
    left = settings.tank_empty_kg + 0.1 * solver.economic.feed_kg_per_l  # 0.1 L: 2 h of 50 mL/h
    scarce = replace(believed(), feed_left_kg=left)
    short, long = (
        solver.foresee(scarce, asked(course(50.0), hours=h)).courses[0] for h in (1.5, HOURS)
    )
    assert not short.crossings
    (crossing,) = long.crossings
    assert crossing.limit == "feed tank"
    assert crossing.possible == crossing.expected == pytest.approx(NOW + 2.0 * 3600.0)
    began, ended = (long.bands["volume_l"].middle[i] for i in (0, -1))
    assert ended - began == pytest.approx(0.1 + 0.01, abs=0.015)  # with the inducer, base, vapour
    plenty = solver.foresee(believed(), asked(course(50.0))).courses[0]
    assert long.bands["product_g"].middle[-1] < plenty.bands["product_g"].middle[-1]


def test_a_colder_broth_is_slower_and_takes_more_oxygen_in(solver: Estimated) -> None:
    courses = (course(90.0), course(90.0, temperature=30.0))
    hot, cold = solver.foresee(believed(), asked(*courses, hours=1.0)).courses
    ours = [f.bands["our_mmol_per_l_h"].middle[-1] for f in (hot, cold)]
    assert ours[1] < 0.8 * ours[0]


def test_it_can_be_said_as_json_and_read_back(solver: Estimated) -> None:
    question = asked(course(), course(25.0), hours=2.0)
    assert Question.from_json(json.loads(json.dumps(question.as_json()))) == question
    outlook = solver.foresee(believed(), question)
    assert Outlook.from_json(json.loads(json.dumps(outlook.as_json()))) == outlook


EMPTY: dict[str, list[float]] = {"feed_ml_per_h": [], "do_percent": []}
WRONG: list[tuple[dict[str, object], str]] = [
    ({"end": NOW - 1.0}, "end"),
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


def test_what_cannot_be_run_ahead_is_an_answer_with_the_reason(solver: Estimated) -> None:
    broken = list(believed().mean)
    broken[NAMES.index("volume_l")] = math.nan
    believed_nothing = Estimate(NOW, tuple(broken), believed().cov)
    old = replace(believed(), time=NOW - 3600.0)
    for estimate, question, why in (
        (believed_nothing, asked(course()), "finite"),
        (old, asked(course()), "3600 s old"),
        (believed(), asked(course(), hours=10_000.0), "10000 h is not allowed"),
    ):
        outlook = solver.foresee(estimate, question)
        assert (outlook.status, outlook.courses) == ("bad_input", ())
        assert why in outlook.reason
