"""The economic optimiser of any process: plans from the plant file, on the control model."""

import dataclasses
import json
import math

import numpy as np
import pytest

from controller.planning.economic.belief import Belief
from controller.planning.economic.guesses import grid, held, pointed, sampled
from controller.planning.economic.optimiser import Economic
from controller.planning.economic.problem import TOGETHER
from controller.planning.economic.settings import EconomicSettings
from controller.planning.economic.transcription import Found, Guess, Numbers
from controller.planning.plan import Plan, Situation
from tests.controller.economies import NOW, PLANTS, Case, case


def value_of(economic: Economic, one: Case, plan: Plan) -> float:
    """What the recipe alone is worth on the control model, in the price's unit."""
    hours, p = np.diff(plan.times) / 3600.0, economic.problem
    usual = {v.name: v.default for v in p.model.inputs}
    profiles, applied = one.situation.profiles, {**usual, **one.situation.applied}
    rows = {n: pointed(profiles.get(n, ()), applied[n], NOW, hours) for n in p.moved}
    rows |= {n: sampled(profiles.get(n, ()), applied[n], NOW, hours) for n in p.given}
    start, factors = Belief(NOW, {"drawn": 0.0, **one.belief.states}, {}).vessel(
        p.states, economic.settings.learned
    )
    run = economic.rollout.run(
        start,
        factors,
        hours,
        np.column_stack([rows[n] for n in p.moved]),
        np.column_stack([rows[n] for n in p.given]),
    )
    return run.value


@pytest.fixture(scope="module")
def yeast() -> Case:
    one = case("yeast_300l")
    return one._replace(settings=dataclasses.replace(one.settings, stages=12, scenarios=2))


@pytest.fixture(scope="module")
def economic(yeast: Case) -> Economic:
    return Economic(yeast.settings)


@pytest.fixture(scope="module")
def plan(economic: Economic, yeast: Case) -> Plan:
    return economic.plan(yeast.belief, yeast.situation)


def test_a_plan_of_yeast_stays_within_every_limit(
    plan: Plan, economic: Economic, yeast: Case
) -> None:
    assert (plan.status, plan.reason, plan.good) == ("good", "", True)
    assert plan.names == ("feed_ml_per_h", "do_percent")
    assert plan.times[-1] == pytest.approx(NOW + 12 * 3600.0, abs=2)
    for name, r in yeast.settings.moves.items():
        column = [row[list(yeast.settings.moves).index(name)] for row in plan.setpoints]
        per = 1e3 if name == "feed" else 1.0
        assert all(r.low - 1e-9 <= value / per <= r.high + 1e-9 for value in column)
    assert max(plan.predicted["ethanol_g_per_l"][3:]) <= 1.03 * 1.0
    assert max(plan.predicted["volume_l"]) <= 0.97 * 240.0
    assert plan.slack == {}


def test_a_plan_is_worth_more_than_the_recipe_on_the_same_model(
    plan: Plan, economic: Economic, yeast: Case
) -> None:
    assert plan.objective > 1.1 * value_of(economic, yeast, plan)


def test_a_plan_foretells_the_product_with_an_interval(plan: Plan) -> None:
    low, high = plan.interval("product_g")[-1]
    made = plan.predicted["product_g"][-1]
    assert low < made < high
    assert high - low < 0.5 * made


def test_doubt_keeps_away_from_the_limits(economic: Economic, yeast: Case, plan: Plan) -> None:
    other = case("yeast_300l", spread=0.1)
    doubtful = economic.plan(other.belief, other.situation)
    assert doubtful.good
    assert doubtful.predicted["product_g"][-1] < 0.97 * plan.predicted["product_g"][-1]


def with_air_alone(settings: EconomicSettings) -> EconomicSettings:
    reach = {n: most for n, most in settings.aeration.items() if n in TOGETHER}
    return dataclasses.replace(settings, aeration=reach, stages=8, scenarios=3)


def test_what_has_not_been_tried_of_aeration_is_doubted(yeast: Case) -> None:
    economic = Economic(with_air_alone(yeast.settings))
    made: list[float] = []
    for stirrer, air in ((200.0, 100.0), (450.0, 270.0)):  # far from full aeration, and there
        applied = {**yeast.situation.applied, "stirrer": stirrer, "air": air}
        plan = economic.plan(yeast.belief, dataclasses.replace(yeast.situation, applied=applied))
        assert plan.good
        made.append(plan.predicted["product_g"][-1])
    assert made[0] < 0.99 * made[1]


def test_a_last_plan_whose_feed_pauses_is_not_slid_into(economic: Economic) -> None:
    one = case("yeast_300l", X=16.7, E=0.3, V=133.5)
    belief = dataclasses.replace(one.belief, factors={"qOmax": 0.96, "Yox": 0.96, "broth": 1.1})
    profile = ((NOW, 2.0), (NOW + 8 * 3600.0, 6.0))
    asked = dataclasses.replace(
        one.situation,
        **{"batch_h": 11.6, "end_h": 19.5, "profiles": {"feed": profile}},
        applied={**one.situation.applied, "feed": 3.0},
    )
    first = economic.plan(belief, asked)
    paused = [
        (flow * (0.3 if 1 <= k < 6 else 1.0), do) for k, (flow, do) in enumerate(first.setpoints)
    ]
    previous = dataclasses.replace(first, setpoints=tuple(paused))
    again = economic.plan(belief, dataclasses.replace(asked, previous=previous))
    assert again.good
    assert again.objective > 0.93 * first.objective  # from the pause alone 0.83 is found


@pytest.mark.parametrize("stock", [0.0, 5.0, 30.0])
def test_no_plan_takes_more_than_the_tank_of_the_feed_holds(
    economic: Economic, yeast: Case, plan: Plan, stock: float
) -> None:
    def fed(one: Plan) -> float:
        flows = np.array([row[one.names.index("feed_ml_per_h")] for row in one.setpoints]) / 1e3
        return float((0.5 * np.diff(one.times) / 3600.0 * (flows[1:] + flows[:-1])).sum())

    assert fed(plan) > 50.0  # nobody has weighed the tank
    short = economic.plan(yeast.belief, dataclasses.replace(yeast.situation, stock_l=stock))
    assert short.good
    assert "feed tank" in short.active
    slowest = 1.3**2 / (2.0 * yeast.settings.moves["feed"].per_h)  # from 1.3 L/h to nothing, L
    assert fed(short) <= max(1.03 * stock, slowest + 0.3)
    assert fed(short) > 0.9 * stock
    ample = economic.plan(yeast.belief, dataclasses.replace(yeast.situation, stock_l=1e4))
    assert ample.predicted["product_g"][-1] == pytest.approx(plan.predicted["product_g"][-1], 1e-3)
    assert "feed tank" not in ample.active


def test_a_plan_counts_on_the_oxygen_that_the_oxygen_loop_leads(yeast: Case) -> None:
    assert list(yeast.settings.aeration) == ["stirrer", "air", "pressure", "oxygen"]
    assert yeast.settings.aeration["oxygen"] == (0.0, 60.0)  # what the DO loop's stretch gives
    assert yeast.settings.aeration["pressure"] == (1.8, 2.2)
    assert list(case("penicillin_100m3").settings.aeration) == [
        "stirrer",
        "air",
    ]  # no loop leads it
    alone = with_air_alone(yeast.settings)
    rich = dataclasses.replace(alone, aeration=yeast.settings.aeration)
    dense = case("yeast_300l", X=25.0)
    made: list[float] = []
    for settings in (alone, rich):
        plan = Economic(settings).plan(dense.belief, dense.situation)
        assert plan.good
        made.append(plan.predicted["product_g"][-1])
    assert made[1] > 1.05 * made[0]


def test_oxygen_is_counted_where_stirrer_and_air_are_at_their_end(
    economic: Economic, yeast: Case
) -> None:
    p = economic.problem
    start, factors = Belief(NOW, {"drawn": 0.0, **yeast.belief.states}, {}).vessel(
        p.states, economic.settings.learned
    )
    hours = np.full(12, 1.0)
    moved = np.column_stack([np.linspace(1.3, 12.0, 13), np.full(13, 27.0)])
    given = np.tile([yeast.situation.applied.get(n, 0.0) for n in p.given], (12, 1))
    run = economic.rollout.run(start, factors, hours, moved, given)
    low, full = p.reach[:, 0], p.full
    stirred = run.inner[:, 0] < full[0] - 1e-9
    pressed, enriched = run.inner[:, 2] > low[2], run.inner[:, 3] > low[3]
    assert stirred[0]
    assert enriched[-1]
    assert not (stirred & (pressed | enriched)).any()
    assert (run.inner[enriched, 2] == full[2]).all()  # head pressure before oxygen


def test_a_plan_counts_on_all_air_before_any_oxygen() -> None:
    one = case("ecoli_5l")
    economic = Economic(dataclasses.replace(one.settings, scenarios=1))
    plan = economic.plan(one.belief, one.situation)
    assert (plan.status, plan.reason) == ("good", "")  # left free: 119 % of the oxygen there is
    assert "oxygen transfer" in plan.active


def test_a_plan_keeps_to_its_share_of_the_cooling(yeast: Case) -> None:
    dense = case("yeast_300l", X=30.0)
    made: list[float] = []
    for share in (1.0, 0.5):
        settings = dataclasses.replace(yeast.settings, scenarios=1, cooling_share=share)
        plan = Economic(settings).plan(dense.belief, dense.situation)
        assert plan.good
        made.append(plan.predicted["product_g"][-1])
    assert "cooling" in plan.active
    assert made[1] < 0.95 * made[0]


def test_a_plan_counts_on_a_share_only_of_what_the_cells_respire(yeast: Case) -> None:
    one = dataclasses.replace(yeast.settings, stages=8, scenarios=1)
    begun = dataclasses.replace(yeast.situation, end_h=11.0)  # as long as cells are few, they limit
    fed: list[float] = []
    for share in (1.0, 0.8):
        derated = Economic(dataclasses.replace(one, derated={"qOmax": share}))
        plan = derated.plan(yeast.belief, begun)
        assert plan.good
        feeds = [row[0] for row in plan.setpoints]
        fed.append(float(np.trapezoid(feeds, plan.times)))
    assert 0.7 * fed[0] < fed[1] < 0.92 * fed[0]


def test_a_plan_begins_near_what_is_applied(plan: Plan, yeast: Case) -> None:
    first = plan.at(NOW, "feed_ml_per_h") / 1e3
    assert first == pytest.approx(1.3)
    later = plan.at(NOW + 600.0, "feed_ml_per_h") / 1e3
    assert abs(later - first) <= yeast.settings.moves["feed"].per_h / 6.0 + 1e-6


@pytest.mark.parametrize("start", [5.0, 5.51, 5.85, 6.02, 6.36, 6.7])
def test_no_dose_is_missed_wherever_it_falls(start: float) -> None:
    begin = NOW + 3600.0 * start  # 10 mL within 5 min
    dose = ((begin - 1.0, 0.0), (begin, 0.12), (begin + 300.0, 0.12), (begin + 301.0, 0.0))
    hours = grid(16.0, 16)
    assert (sampled(dose, 0.0, NOW, hours) * hours).sum() == pytest.approx(0.01, rel=0.01)


def test_an_older_plan_is_returned_to_as_fast_as_its_inputs_may_move() -> None:
    older = Plan("good", NOW, (NOW, NOW + 7200.0), ((2000.0, 30.0), (2000.0, 30.0)))
    ranges = np.array([[0.0, 6.0, 1.0], [25.0, 45.0, 40.0]])  # L/h, %; and per h
    rows = held(older, NOW, np.full(4, 0.5), ranges, np.array([1e3, 1.0]), np.array([1.2, 30.0]))
    assert rows[:, 0] == pytest.approx([1.2, 1.7, 2.0, 2.0, 2.0])
    assert rows[:, 1] == pytest.approx(30.0)


def test_the_next_plan_goes_on_from_the_last(economic: Economic, yeast: Case, plan: Plan) -> None:
    following = economic.plan(yeast.belief, dataclasses.replace(yeast.situation, previous=plan))
    assert following.good
    assert following.reason == ""


def solves_of(economic: Economic, monkeypatch: pytest.MonkeyPatch) -> list[Found]:
    """Return what its solver answers from now on."""
    solve, found = economic.problem.solve, list[Found]()

    def watched(name: str, numbers: Numbers, guess: Guess) -> Found:
        found.append(solve(name, numbers, guess))
        return found[-1]

    monkeypatch.setattr(economic.problem, "solve", watched)
    return found


def guesses_of(economic: Economic, monkeypatch: pytest.MonkeyPatch) -> list[Guess]:
    """Return what its solver begins from, from now on."""
    solve, begun = economic.problem.solve, list[Guess]()

    def watched(name: str, numbers: Numbers, guess: Guess) -> Found:
        begun.append(guess)
        return solve(name, numbers, guess)

    monkeypatch.setattr(economic.problem, "solve", watched)
    return begun


@pytest.mark.parametrize(("fallen", "solves"), [(0.001, 1), (0.02, 2)])
def test_a_plan_is_looked_for_twice_where_it_is_worth_less_than_the_last(
    economic: Economic, yeast: Case, plan: Plan, monkeypatch: pytest.MonkeyPatch,
    fallen: float, solves: int,
) -> None:  # fmt: skip
    asked = dataclasses.replace(yeast.situation, previous=plan)
    worth = economic.plan(yeast.belief, asked).objective
    made = solves_of(economic, monkeypatch)
    last = dataclasses.replace(plan, objective=worth / (1.0 - fallen))
    economic.plan(yeast.belief, dataclasses.replace(yeast.situation, previous=last))
    assert len(made) == solves


def test_no_solve_begins_where_a_limit_is_passed_many_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = case("ecoli_5l")
    economic = Economic(asked.settings)
    plan = economic.plan(asked.belief, asked.situation)
    assert plan.names == ("feed_ml_per_h", "do_percent")
    flood = dataclasses.replace(plan, setpoints=tuple((150.0, do) for _, do in plan.setpoints))
    begun = guesses_of(economic, monkeypatch)
    again = economic.plan(asked.belief, dataclasses.replace(asked.situation, previous=flood))
    assert (again.good, again.reason) == (True, "")
    sugar, limit = economic.problem.substrate, asked.settings.substrate_max_g_per_l
    assert limit is not None
    assert max(float(guess.states[..., sugar].max()) for guess in begun) < 20.0 * limit


def test_a_solve_ends_after_its_iterations_and_says_so(
    yeast: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = Economic(dataclasses.replace(yeast.settings, iterations=20))
    found = solves_of(short, monkeypatch)
    assert short.plan(yeast.belief, yeast.situation).good  # the recipe, if nothing else
    assert max(one.iterations for one in found) <= 21
    assert any(one.status != "solved" for one in found)
    with pytest.raises(ValueError, match="iterations: 5 is not allowed; it must be 20 to 1000"):
        dataclasses.replace(yeast.settings, iterations=5)


def test_a_last_plan_that_feeds_nothing_is_not_gone_on_with(
    economic: Economic, yeast: Case, plan: Plan
) -> None:
    do = plan.names.index("do_percent")
    nothing = dataclasses.replace(plan, setpoints=tuple((0.0, row[do]) for row in plan.setpoints))
    following = economic.plan(yeast.belief, dataclasses.replace(yeast.situation, previous=nothing))
    assert following.good
    assert following.objective > value_of(economic, yeast, plan)


@pytest.mark.parametrize(
    ("states", "says"),
    [({"X": math.nan}, "not finite"), ({"V": 3.0}, "not believed"), ({"V": 900.0}, "not believed")],
)
def test_what_cannot_be_planned_from_is_refused(
    economic: Economic, states: dict[str, float], says: str
) -> None:
    one = case("yeast_300l", **states)
    refused = economic.plan(one.belief, one.situation)
    assert refused.status == "bad_input"
    assert says in refused.reason


def test_minutes_before_harvest_everything_goes_on(economic: Economic, yeast: Case) -> None:
    last = economic.plan(yeast.belief, dataclasses.replace(yeast.situation, batch_h=19.99))
    assert last.good
    assert last.at(NOW, "feed_ml_per_h") == 1300.0


def test_everything_asked_and_answered_goes_through_json(plan: Plan, yeast: Case) -> None:
    def through(plain: object) -> dict[str, object]:
        return json.loads(json.dumps(plain))

    assert Plan.from_json(through(plan.as_json())) == plan
    assert EconomicSettings.from_json(through(yeast.settings.as_json())) == yeast.settings
    assert Belief.from_json(through(yeast.belief.as_json())) == yeast.belief
    assert Situation.from_json(through(yeast.situation.as_json())) == yeast.situation


@pytest.mark.long
@pytest.mark.parametrize("plant", PLANTS)
def test_a_plan_of_each_plant_is_worth_more_than_its_recipe(plant: str) -> None:
    one = case(plant)
    economic = Economic(one.settings)
    made = economic.plan(one.belief, one.situation)
    assert (made.status, made.reason) == ("good", "")
    assert all(by < 0.05 for by in made.slack.values())
    alone = value_of(economic, one, made)
    print(
        f"{plant}: {made.objective / alone - 1:+.1%}, held by {made.binding}, {made.solve_s:.1f} s"
    )
    assert made.objective > 1.02 * alone
