"""Feed laws that look at the vessel, each against a culture of a few lines: pure, no plant."""

import json
import math
import tomllib
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import controller
from controller.recipes.check import check
from controller.recipes.feed_growth import Growth, Pi
from controller.recipes.feed_laws import as_state, from_state
from controller.recipes.feed_pulses import UNANSWERED, Probing, Stat
from controller.recipes.feedback import Feedback, Seen
from controller.recipes.file import Recipe, RecipeError
from controller.recipes.recipe import State
from controller.sensing.culture import Culture
from tests.controller.recipes import FACTS, Batch, do, recipe

SPAN = 150.0  # mL/h
RAMP = 5e-4 * SPAN


GROWING: dict[str, Any] = {
    "cap": 100.0,
    "ramp": RAMP,
    "mu_per_h": 0.2,
    "mass_g": 12.0,
    "feed_substrate_g_per_l": 500.0,
    "yield_g_per_g": 0.5,
    "maintenance_g_per_g_h": 0.04,
}


def growth(**more: Any) -> Growth:
    return Growth(**(GROWING | more))


def ethanol(**more: Any) -> Pi:
    numbers: dict[str, Any] = {"measured": "R1.do", "setpoint": 0.5, "kp": 0.2, "ti_s": 3600.0}
    return Pi(**(GROWING | numbers | more))


def stat(**more: Any) -> Stat:
    numbers: dict[str, Any] = {
        "measured": "R1.do",
        "cap": 40.0,
        "ramp": RAMP,
        "above": 50.0,
        "pulse": 40.0,
        "on_s": 30.0,
        "pause_s": 60.0,
    }
    return Stat(**(numbers | more))


def probing(**more: Any) -> Probing:
    numbers: dict[str, Any] = {
        "measured": "R1.do",
        "cap": 100.0,
        "ramp": RAMP,
        "level": 20.0,
        "least": 10.0,
        "answer": 2.0,
        "on_s": 40.0,
        "pause_s": 200.0,
    }
    return Probing(**(numbers | more))


def run(law: Feedback, seconds: int, given: float | None = None, **seen: Any) -> list[float]:
    """Step a law; what it asks for is given, if ``given`` is not."""
    asked: list[float] = []
    for _ in range(seconds):
        law.step(Seen(1.0, law.asked if given is None else given, **seen))
        asked.append(law.asked)
    return asked


LAWS = [growth, ethanol, stat, probing]


@pytest.mark.parametrize("make", LAWS)
@pytest.mark.parametrize("fed", [0.0, 3.0, 60.0])
def test_a_law_begins_at_what_is_fed_and_goes_slowly_to_its_own(make: Any, fed: float) -> None:
    law = make()
    law.step(Seen(1.0, fed, value=30.0))
    assert law.asked == pytest.approx(fed, abs=1e-9)
    moves = [fed, *run(law, 1500, value=30.0)]
    steps = [abs(b - a) for a, b in pairwise(moves)]
    assert max(steps[:200]) <= 1e-3 * SPAN  # a pulse, which comes later, is no bump
    assert law.offset == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("make", LAWS)
def test_a_law_that_is_overruled_goes_on_from_what_is_fed(make: Any) -> None:
    law = make()
    run(law, 1500, value=30.0)
    run(law, 600, given=33.0, away=True, value=30.0)
    assert law.asked == pytest.approx(33.0)
    law.step(Seen(1.0, 33.0, value=30.0))
    assert law.asked == pytest.approx(33.0, abs=1e-3 * SPAN)


@pytest.mark.parametrize("make", [ethanol, stat, probing])
def test_without_what_it_looks_at_a_law_follows_its_fall_back(make: Any) -> None:
    law = make()
    run(law, 1500, value=30.0)
    run(law, 900, given=5.0)  # NaN: BAD
    assert law.asked == pytest.approx(5.0)
    law.step(Seen(1.0, 5.0, value=30.0))
    assert law.asked == pytest.approx(5.0, abs=1e-3 * SPAN)


def test_an_exponential_feed_is_that_of_its_formula() -> None:
    law = growth()
    run(law, 1)
    law.offset = 0.0
    begin = law.asked
    run(law, 3600)
    assert pytest.approx(10.56) == (0.2 / 0.5 + 0.04) * 12.0 / 500.0 * 1e3
    assert law.asked / 10.56 == pytest.approx(math.exp(0.2), rel=0.01)
    assert begin == 0.0


def test_a_feed_that_was_stopped_goes_on_from_what_the_cells_got_not_from_the_clock() -> None:
    law = growth()
    run(law, 3600)
    mass = law.mass_g
    run(law, 3600, given=0.0, away=True)
    assert law.mass_g < mass  # it lives on itself
    run(law, 3600, given=0.5 * law.asked)
    assert law.mass_g < mass * math.exp(0.1)


@pytest.mark.parametrize("gain", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("really", [0.7, 1.0, 1.4])
def test_biomass_feedback_brings_growth_to_mu_whatever_was_believed(
    gain: float, really: float
) -> None:
    law, mass = growth(gain=gain), 12.0 * really
    mu = 0.0
    for _ in range(3 * 3600):
        mu = 0.47 * (law.asked * 0.5 / mass - 0.04)  # 6 % less yield than it believes
        mass *= math.exp(mu / 3600)
        law.step(Seen(1.0, law.asked, culture=Culture(mass, mu)))
    error = {0.0: 0.015, 1.0: 0.010, 2.0: 0.006}[gain]
    assert mu == pytest.approx(0.2, abs=error)


def test_growth_on_what_the_batch_left_is_fed_that_much_less() -> None:
    law = growth()
    left = Culture(12.0, 0.26, leftover=True)
    for _ in range(3600):
        fed = 0.5 * (law.asked * 0.5 / 12.0 - 0.04)
        law.step(Seen(1.0, law.asked, culture=left._replace(mu_per_h=fed + 0.06)))
    assert law.besides == pytest.approx(0.06, abs=1e-3)
    assert law.behind == 0.0  # what it did not feed for is nothing to make up for


def test_a_cut_winds_nothing_up() -> None:
    for law in (growth(gain=2.0), ethanol()):
        culture = Culture(12.0, 0.0)
        run(law, 1000, value=0.4, culture=culture)
        before = law.asked
        run(law, 3600, given=0.3 * before, value=0.0, culture=culture)
        assert law.asked < 1.3 * before


def test_ethanol_moves_the_feed_and_the_band_bounds_it() -> None:
    law = ethanol()
    run(law, 2000, value=0.5)
    middle = law.asked
    run(law, 1800, value=2.0)
    assert law.asked < 0.8 * middle
    run(law, 15000, value=9.0)
    nominal = (0.2 / 0.5 + 0.04) * law.mass_g / 500.0 * 1e3
    assert law.asked == pytest.approx(nominal * math.exp(-0.5), rel=1e-6)


def test_a_stat_feeds_when_the_sugar_is_gone_and_lets_it_work() -> None:
    law = stat()
    run(law, 10, given=0.0, value=30.0)
    assert run(law, 600, value=30.0) == [0.0] * 600
    hungry = run(law, 60, value=60.0)
    assert hungry[:30] == [40.0] * 30
    assert hungry[30:] == [0.0] * 30
    assert sum(run(law, 300, value=30.0)) == 0.0


def test_a_stat_that_nothing_answers_feeds_no_more_until_it_is_seen_below() -> None:
    law = stat()
    fed = run(law, 3600, value=60.0)
    assert sum(fed) == pytest.approx(UNANSWERED * 30 * 40.0)
    assert "without an answer" in law.mute
    run(law, 60, value=30.0)
    assert law.mute == ""
    assert max(run(law, 120, value=60.0)) == 40.0


def test_probing_goes_up_while_pulses_are_answered_and_down_when_not() -> None:
    def vessel(limit: float) -> float:
        law, oxygen = probing(), 30.0
        for _ in range(4 * 3600):
            oxygen += (30.0 - 2.0 * (min(law.asked, limit) - min(law.level, limit)) - oxygen) / 20.0
            law.step(Seen(1.0, law.asked, value=oxygen))
        return law.level

    assert vessel(limit=45.0) == pytest.approx(45.0, rel=0.15)
    assert vessel(limit=25.0) == pytest.approx(25.0, rel=0.15)


def test_probing_that_is_cut_does_not_take_it_for_an_answer() -> None:
    law = probing()
    run(law, 1500, value=30.0)
    level = law.level
    run(law, 3600, given=12.0, value=30.0)
    assert law.level <= min(level, 12.0)


@pytest.mark.parametrize("make", LAWS)
def test_a_law_survives_a_restart(make: Any) -> None:
    law = make()
    run(law, 700, value=30.0)
    kept = from_state(json.loads(json.dumps(as_state(law), allow_nan=False)))
    assert isinstance(kept, Feedback)
    for value in (30.0, 70.0, 10.0):
        assert run(kept, 50, value=value) == run(law, 50, value=value)


@pytest.mark.parametrize("broken", [{}, {"kind": "stat"}, {"kind": "growth", "cup": 1.0}])
def test_a_damaged_state_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="damaged"):
        from_state(broken)


# -- in a recipe -----------------------------------------------------------------------------------

HUNGRY = {"kind": "stat", "measured": "do", "above": 50, "flow": 40, "on_s": 30, "pause_s": 60}


def test_a_law_hands_over_to_a_profile_slowly_and_holds_what_it_fed_on_average() -> None:
    batch = Batch(
        recipe(
            {"feeds": {"feed": HUNGRY}, "until": {"phase_h": 0.5}},
            {"feeds": {"feed": {"kind": "constant", "flow": 30.0}}, "until": {"phase_h": 0.5}},
            {"setpoints": {"feed": 0.0}, "until": {"phase_h": 1}},
        )
    )
    batch.run(1799, measured=do(30.0))
    assert batch.out.feeds["feed"] == 0.0
    moves = [batch.step(1.0, do(30.0)).feeds["feed"] for _ in range(1500)]
    assert max(b - a for a, b in pairwise(moves)) <= 1e-3 * SPAN
    assert moves[-1] == 30.0
    assert batch.run(2000, measured=do(30.0)).feeds["feed"] == 0.0


def test_a_feed_whose_probe_is_bad_says_why_it_goes_to_its_fall_back() -> None:
    batch = Batch(recipe({"feeds": {"feed": HUNGRY}, "until": {"phase_h": 1}}))
    assert batch.run(5, measured=do(30.0)).blind == {}
    assert batch.step().blind == {"feed": "R1.do is BAD"}


def test_a_law_goes_on_after_a_restart_where_it_was() -> None:
    law = {"kind": "probing", "measured": "do", "answer": 2, "flow": 9, "cap": 50}
    pulses = {"on_s": 40, "pause_s": 100}
    batch = Batch(recipe({"feeds": {"feed": law | pulses}, "until": {"phase_h": 9}}))
    before = batch.run(600, measured=do(30.0)).feeds["feed"]
    assert batch.restarted().feeds["feed"] == pytest.approx(before, rel=0.3)
    assert batch.runner.state is State.HELD
    batch.runner.resume(batch.now)
    assert batch.step(1.0, do(30.0)).feeds["feed"] == pytest.approx(before, rel=0.3)


def test_an_edited_exponential_feed_keeps_what_it_has_grown() -> None:
    def what(mu: float) -> Recipe:
        grow = {"kind": "exponential", "mu": mu, "cap": 99, "biomass_g_per_l": 4}
        return recipe({"feeds": {"feed": grow | {"feedback": "biomass"}}, "until": {"phase_h": 9}})

    batch = Batch(what(0.2))
    before = batch.run(7200).feeds["feed"]
    batch.runner.edit(what(0.1), batch.now, "slower")
    assert batch.step().feeds["feed"] == pytest.approx(before, abs=1e-3 * SPAN)
    wanted = (0.1 / 0.51 + 0.04) / (0.2 / 0.51 + 0.04) * before
    assert batch.run(600).feeds["feed"] == pytest.approx(wanted, rel=0.03)


def test_the_laws_of_the_readme_are_laws() -> None:
    lines = (Path(controller.__file__).parent / "README.md").read_text().splitlines()
    shown = [tomllib.loads(line)["feeds"] for line in lines if line.startswith("feeds.feed = ")]
    assert [law["feed"]["kind"] for law in shown] == ["exponential", "pi", "stat", "probing"]
    for feeds in shown:
        recipe({"feeds": feeds, "until": {"phase_h": 1}})


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"kind": "pi", "mu": 0.1}, "cap is required with kind = pi"),
    ({**HUNGRY, "mu": 0.1}, "mu does not go with kind = stat"),
    ({**HUNGRY, "on_s": 0}, "feeds.feed.on_s: 0 is not allowed"),
    ({"kind": "exponential", "mu": 0.1, "cap": 9, "gain": 2, "biomass_g_per_l": 4}, "gain goes"),
]


@pytest.mark.parametrize(("law", "why"), WRONG)
def test_a_law_that_cannot_be_is_refused(law: dict[str, Any], why: str) -> None:
    with pytest.raises(RecipeError) as refused:
        recipe({"feeds": {"feed": law}, "until": {"phase_h": 1}})
    assert any(why in line for line in refused.value.lines), refused.value.lines


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"measured": "ethanol"}, "feeds.feed.measured: ethanol is not allowed; R1.do"),
        ({"above": 300}, "feeds.feed.above: 300 is not allowed; R1.do is -5 to 200 %"),
        ({"flow": 500}, "feeds.feed.flow: 500 is not allowed; 0 to 150 mL/h"),
    ],
)
def test_a_law_that_does_not_fit_the_plant_is_refused(change: dict[str, Any], why: str) -> None:
    lines = check(recipe({"feeds": {"feed": HUNGRY | change}, "until": {"phase_h": 1}}), FACTS)
    assert any(why in line for line in lines), lines


def test_a_law_that_looks_at_something_needs_a_fall_back_in_the_plant_file() -> None:
    lines = check(recipe({"feeds": {"vitamin": HUNGRY}, "until": {"phase_h": 1}}), FACTS)
    assert any(
        "vitamin.measured: do may be BAD; the plant file needs a fallback" in x for x in lines
    )


def test_only_a_reactor_with_a_model_has_biomass_feedback() -> None:
    grow = {"kind": "exponential", "mu": 0.1, "cap": 9, "biomass_g_per_l": 4, "feedback": "biomass"}
    what = recipe({"feeds": {"feed": grow}, "until": {"phase_h": 1}})
    assert check(what, FACTS) == []
    lines = check(what, replace(FACTS, estimates=frozenset()))
    assert any("feedback: biomass is not allowed" in line for line in lines)
