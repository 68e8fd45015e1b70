"""Late results of the laboratory, on the simulated vessel."""

import re
from functools import cache

import pytest

from controller.plant_file.settings import AnalyteSettings
from controller.sensing.estimator import Estimate, Estimator, EstimatorSettings
from controller.sensing.hindsight import LOT, Hindsight
from controller.sensing.laboratory import Result
from tests.controller.test_estimator import Twin

G_PER_L = AnalyteSettings.model_validate({"unit": "g/L", "high": 100.0})


def result(
    analyte: str, value: float, hours: float, number: int = 1, below: bool = False
) -> Result:
    t = hours * 3600.0
    return Result(number, "b", analyte, value, "g/L", below, t, t, t, "ana")


def watched(seed: int = 3) -> tuple[Twin, Hindsight]:
    """Return a vessel whose estimator remembers."""
    twin = Twin(seed)
    hindsight = Hindsight(Estimator(EstimatorSettings()))
    twin.estimator = hindsight
    twin.estimate = hindsight.update(0.0, twin.readings(0.0), {}, induced=False)
    return twin, hindsight


@cache
def run(*entries: tuple[float, Result | int], hours: float = 1.0) -> tuple[Estimate, list[str]]:
    """Return the estimate at the end and what was told; results, or their ends, at their hours."""
    twin, hindsight = watched()
    for at, what in entries:
        twin.run(at)
        if isinstance(what, int):
            hindsight.drop(what)
        else:
            assert hindsight.take(what, G_PER_L) == ""
    twin.run(hours)
    assert not hindsight.replaying
    return twin.estimate, hindsight.news()


def same(a: Estimate, b: Estimate) -> None:
    assert a.mean == pytest.approx(b.mean, rel=1e-12, abs=1e-14)
    assert a.cov == pytest.approx(b.cov, rel=1e-9, abs=1e-14)


DRY = result("dry_weight", 0.6, 0.3)
SUGAR = result("glucose", 9.0, 0.5, number=2)


def test_a_late_result_does_what_it_would_have_done_at_once() -> None:
    at_once, _ = run((0.3, DRY))
    late, told = run((0.8, DRY))
    never, _ = run()
    same(late, at_once)
    assert abs(late.mean[0] - never.mean[0]) > 1e-3
    assert len(told) == 1
    assert re.match(r"dry_weight 0\.6 g/L of \d\d:18 \(result 1\) is taken in: ", told[0])
    assert "g/L were expected" in told[0]


def test_results_may_come_in_any_order() -> None:
    first, _ = run((0.6, DRY), (0.7, SUGAR))
    second, _ = run((0.6, SUGAR), (0.7, DRY))
    while_replaying, _ = run((0.8, SUGAR), (0.8, DRY))
    same(first, second)
    same(first, while_replaying)


def test_what_is_corrected_was_never_there() -> None:
    right = result("dry_weight", 0.55, 0.3, number=3)
    corrected, _ = run((0.6, DRY), (0.8, 1), (0.8, right))
    only, _ = run((0.6, right))
    same(corrected, only)


def test_a_factor_of_ten_is_not_believed_and_changes_nothing() -> None:
    wrong, told = run((0.8, result("dry_weight", 5.0, 0.3)))
    never, _ = run()
    same(wrong, never)
    assert re.match(r"dry_weight 5 g/L of \d\d:18 \(result 1\) is not believed: ", told[0])
    assert "standard deviations away" in told[0]


def test_two_results_in_a_row_on_the_same_side_are_believed_over_the_filter() -> None:
    """A dilution is forgotten once; a filter that is surer than right stays so until told."""
    first, second = result("glucose", 2.0, 0.3), result("glucose", 2.0, 0.5, number=2)
    found, told = run((0.8, first), (0.8, second))
    assert "not believed" in told[0]
    assert "(result 2) is taken in: 9" in told[1]
    assert found.value("substrate_g_per_l") == pytest.approx(1.9, abs=0.3)
    other = result("glucose", 30.0, 0.5, number=2)
    unmoved, told = run((0.8, first), (0.8, other))
    assert all("not believed" in text for text in told)
    same(unmoved, run()[0])


def test_below_the_limit_is_half_of_it_give_or_take() -> None:
    below, told = run((0.8, result("acetate", 0.05, 0.5, below=True)))
    assert "acetate < 0.05 g/L" in told[0]
    assert 0.0 <= below.value("acetate_g_per_l") < 0.2


def test_what_cannot_be_used_is_said() -> None:
    twin, hindsight = watched()
    twin.run(0.5)
    assert hindsight.take(result("od", 5.0, 0.2), G_PER_L).startswith("od is recorded; the soft")
    assert hindsight.take(result("acetate", 5.0, -1.0), G_PER_L).startswith("the sample is older")
    assert not hindsight.replaying


def test_a_replay_takes_its_time_and_the_present_goes_on() -> None:
    """Nothing is lost of what is read meanwhile, and no update does more than a lot."""
    twin, hindsight = watched()
    twin.run(1.0)
    hindsight.take(DRY, G_PER_L)
    steps = 0
    while hindsight.replaying:
        before = twin.estimate.time
        twin.run(twin.vessel.time / 3600.0 + 1e-3)
        assert twin.estimate.time > before
        steps += 1
    rows = (1.0 - 0.17) * 360  # since the copy before the sample, at most 600 s before
    assert rows / LOT / 1.2 <= steps <= rows / LOT * 1.2 + 2
    twin.run(1.1)
    at_once, _ = run((0.3, DRY), hours=1.1)
    same(twin.estimate, at_once)


def overturned(truly: bool) -> tuple[Twin, Hindsight]:
    """Return a vessel in which the laboratory found acetate twice, and whose feed ends then."""
    twin, hindsight = watched()
    twin.run(8.0)
    if truly:
        twin.vessel.set_state(A=1.5)
    for number, hours in enumerate((8.05, 8.3), 1):
        twin.run(hours)
        found = twin.vessel.truth["acetate_g_per_l"] if truly else 1.5
        hindsight.take(result("acetate", found, hours, number), G_PER_L)
    twin.run(8.4)
    return twin, hindsight


def test_what_was_overturned_comes_back_where_the_readings_say_so() -> None:
    """Two samples of another vessel: the cells have none to eat when their feed ends."""
    twin, hindsight = overturned(truly=False)
    assert twin.estimate.value("acetate_g_per_l") > 1.0
    hindsight.news()
    twin.run(9.4, feed_mu=-1.0)
    assert any("agrees better with what is read since" in text for text in hindsight.news())
    assert twin.estimate.value("acetate_g_per_l") < 0.1


def test_what_the_laboratory_found_stays_where_the_readings_do_not_mind() -> None:
    twin, hindsight = overturned(truly=True)
    twin.run(8.6, feed_mu=-1.0)
    truth = twin.vessel.truth["acetate_g_per_l"]
    assert twin.estimate.value("acetate_g_per_l") == pytest.approx(truth, abs=0.35)
    twin.run(9.4, feed_mu=-1.0)
    assert not any("agrees better" in text for text in hindsight.news())


def test_what_was_corrected_does_not_come_back_from_beside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who has seen what is taken out is asked no more, however well he would fit."""
    monkeypatch.setattr("controller.sensing.hindsight.BESIDE_S", 0.0)
    twin, hindsight = watched()
    twin.run(0.8)
    hindsight.take(DRY, G_PER_L)
    twin.run(0.9)
    monkeypatch.setattr("controller.sensing.hindsight.CLEAR", -100.0)  # anybody else is better
    hindsight.drop(DRY.number)
    twin.run(1.0)
    same(twin.estimate, run()[0])
