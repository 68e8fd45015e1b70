"""What ends a phase beside time and limits: a spike, F0, a person, doses; what holds and aborts."""

import math
import random
from typing import Any

import pytest

from controller.recipes.file import RecipeError
from controller.recipes.recipe import State
from drivers.point import Quality, sample
from historian.events import Kind
from tests.controller.recipes import FACTS, Batch, do, recipe

SPIKE = {"spike": {"measured": "do", "rise": 15.0, "within_s": 120, "armed_below": 45.0}}
ASK = {"confirm": "is the seed flask connected?"}


def feel(batch: Batch, values: list[float]) -> str:
    for value in values:
        batch.run(1, measured=do(value))
    return batch.runner.phase


def spiking() -> Batch:
    return Batch(recipe({"until": SPIKE}, {}))


def noisy(level: float, seconds: int, seed: int, sd: float = 1.5) -> list[float]:
    rng = random.Random(seed)
    return [rng.gauss(level, sd) for _ in range(seconds)]


def test_a_do_spike_ends_the_phase() -> None:
    batch = spiking()
    assert feel(batch, noisy(30.0, 3600, 1)) == "p0"
    rising = [30.0 + 0.5 * k for k in range(60)]  # 30 points a minute
    assert feel(batch, rising) == "p1"


@pytest.mark.parametrize("seed", range(5))
def test_noise_single_outliers_and_slow_drift_are_no_spike(seed: int) -> None:
    batch = spiking()
    values = noisy(30.0, 3600, seed)
    for k in range(100, 3600, 300):
        values[k] = 110.0  # a bubble on the membrane
        values[k + 100] = 0.0  # a loose plug
    drift = [30.0 + 40.0 * k / 1800.0 for k in range(1800)]
    assert feel(batch, values + drift) == "p0"


def test_where_oxygen_is_held_the_stirrer_falls() -> None:
    fall = {"measured": "do", "fall": 15.0, "within_s": 120, "armed_above": 60.0}
    batch = Batch(recipe({"until": {"spike": fall}}, {}))
    assert feel(batch, [50.0] * 60 + [20.0] * 300) == "p0"  # not armed
    assert feel(batch, noisy(70.0, 1200, 3)) == "p0"
    assert feel(batch, [70.0 - 0.5 * k for k in range(60)]) == "p1"


def test_before_it_is_armed_a_rise_is_no_spike() -> None:
    batch = spiking()
    assert feel(batch, [60.0] * 60 + [100.0] * 300) == "p0"
    assert feel(batch, [40.0] * 120 + [100.0] * 60) == "p1"


def test_bad_and_uncertain_readings_are_never_a_spike() -> None:
    for quality in (Quality.BAD, Quality.UNCERTAIN):
        batch = spiking()
        feel(batch, [30.0] * 100)
        batch.run(3600, measured=do(90.0, quality))
        batch.run(60)  # and no reading at all
        assert batch.runner.phase == "p0"


def test_a_short_dropout_is_bridged_and_a_probe_that_comes_back_elsewhere_is_no_spike() -> None:
    batch = spiking()
    feel(batch, [30.0] * 100)
    batch.run(10, measured=do(30.0, Quality.BAD))
    assert feel(batch, [60.0] * 60) == "p1"  # it did rise, unseen
    batch = spiking()
    feel(batch, [30.0] * 100)
    batch.run(300, measured=do(30.0, Quality.BAD))
    assert feel(batch, [80.0] * 600) == "p0"  # another probe
    assert feel(batch, [110.0] * 60) == "p1"


def test_a_spike_stays_armed_over_a_restart_and_sees_no_rise_across_it() -> None:
    batch = spiking()
    feel(batch, [30.0] * 100)
    batch.restarted(600.0)
    batch.runner.resume(batch.now)
    assert feel(batch, [70.0] * 300) == "p0"
    assert feel(batch, [90.0] * 60) == "p1"


# ---- sterilisation


def sterilising(minutes: float = 15.0) -> Batch:
    return Batch(recipe({"until": {"measured": "temperature", "f0_min": minutes}}, {}), FACTS)


def hot(batch: Batch, cel: float, minutes: float, quality: Quality = Quality.GOOD) -> str:
    tag = FACTS.tags["R1.temperature"]
    batch.run(round(60 * minutes), measured={tag.name: sample(tag, 0.0, cel, quality)})
    return batch.runner.phase


def test_f0_counts_minutes_at_121_as_they_kill() -> None:
    batch = sterilising()
    hot(batch, 121.1, 14.9)
    assert batch.runner.phase == "p0"
    assert hot(batch, 121.1, 0.2) == "p1"
    batch = sterilising()
    assert hot(batch, 111.1, 149) == "p0"  # a tenth
    assert hot(batch, 111.1, 2) == "p1"


def test_f0_needs_a_temperature_that_is_measured() -> None:
    batch = sterilising()
    hot(batch, 121.1, 10)
    hot(batch, 121.1, 60, Quality.BAD)
    hot(batch, 121.1, 60, Quality.UNCERTAIN)
    batch.run(3600)
    assert hot(batch, 121.1, 4.9) == "p0"
    assert hot(batch, 121.1, 0.2) == "p1"


def test_f0_is_kept_over_a_hold_and_a_restart_which_add_nothing() -> None:
    batch = sterilising()
    hot(batch, 121.1, 10)
    batch.runner.hold(batch.now, "steam lost")
    hot(batch, 121.1, 60)
    batch.restarted(600.0)
    batch.runner.resume(batch.now)
    assert hot(batch, 121.1, 4.9) == "p0"
    assert hot(batch, 121.1, 0.2) == "p1"


# ---- a person


def test_a_phase_waits_for_a_person() -> None:
    batch = Batch(recipe({"until": ASK}, {"until": {"phase_h": 1}}, {}))
    batch.run(10)
    assert batch.runner.question == "is the seed flask connected?"
    asked = "recipe test: phase p0 asks: is the seed flask connected?"
    assert batch.texts.count(asked) == 1
    batch.run(100)
    assert (batch.runner.phase, batch.texts.count(asked)) == ("p0", 1)
    batch.runner.confirm(batch.now, "ana")
    batch.run(1)
    assert batch.runner.phase == "p1"
    assert "recipe test: phase p0: ana confirmed: is the seed flask connected?" in batch.texts
    assert batch.runner.question == ""
    with pytest.raises(ValueError, match="R1: phase p1 asks for no confirmation now"):
        batch.runner.confirm(batch.now, "ana")


def test_a_person_is_asked_when_nothing_else_is_missing() -> None:
    until = {"all": [{"measured": "do", "above": 60.0}, ASK, {"confirm": "is it sampled?"}]}
    batch = Batch(recipe({"until": until, "min_h": 0.01}, {}))
    batch.run(60, measured=do(50))
    assert batch.runner.question == ""
    with pytest.raises(ValueError, match="asks for no confirmation"):
        batch.runner.confirm(batch.now, "ana")
    batch.run(1, measured=do(70))
    assert batch.runner.question == "is the seed flask connected?"
    batch.runner.confirm(batch.now, "ana")
    batch.run(1, measured=do(70))
    assert batch.runner.question == "is it sampled?"
    batch.runner.confirm(batch.now, "bo")
    batch.run(1, measured=do(70))
    assert batch.runner.phase == "p1"


def test_a_confirmation_is_kept_over_a_restart_and_is_not_asked_while_held() -> None:
    until = {"all": [ASK, {"phase_h": 1}]}
    batch = Batch(recipe({"until": {"any": [ASK, {"phase_h": 9}]}}, {"until": until}, {}))
    batch.run(2)
    batch.runner.confirm(batch.now, "ana")
    batch.run(3601)
    assert (batch.runner.phase, bool(batch.runner.question)) == ("p1", True)
    batch.runner.hold(batch.now, "lunch")
    assert batch.runner.question == ""
    with pytest.raises(ValueError, match="confirm is not allowed while the recipe is HELD"):
        batch.runner.confirm(batch.now, "ana")
    batch.restarted()
    batch.runner.resume(batch.now)
    batch.run(1)
    batch.runner.confirm(batch.now, "ana")
    batch.restarted()
    batch.runner.resume(batch.now)
    batch.run(1)
    assert batch.runner.state is State.COMPLETE


def test_a_step_leaves_a_phase_whatever_it_waits_for() -> None:
    dose = {"loop": "inducer", "volume_l": 0.01, "flow": 2.0}
    batch = Batch(recipe({"until": ASK, "doses": [dose]}, {"until": {"phase_h": 9}}))
    batch.run(60)
    batch.runner.advance(batch.now, "no flask today")
    batch.step()
    assert batch.runner.phase == "p1"
    assert batch.out.doses == {"inducer": 0.0}
    assert "recipe test: phase p0 was left by hand: no flask today" in batch.texts
    assert any("2 of 10 mL through inducer were given" in text for text in batch.texts)
    batch.runner.advance(batch.now, "enough")
    assert batch.runner.state is State.COMPLETE
    with pytest.raises(ValueError, match="step is not allowed while the recipe is COMPLETE"):
        batch.runner.advance(batch.now, "more")


# ---- holds and aborts


def test_a_phase_is_held_while_its_condition_lasts() -> None:
    hold = {"measured": "do", "below": 10.0, "for_s": 5}
    batch = Batch(recipe({"until": {"phase_h": 1}, "hold_if": hold}, {}))
    batch.run(100, measured=do(30))
    batch.run(6, measured=do(5))
    assert batch.runner.state is State.HELD
    assert "do below 10 for 5 s" in batch.runner.message
    batch.runner.resume(batch.now)
    batch.run(4, measured=do(5))
    assert batch.runner.state is State.RUNNING
    batch.run(2, measured=do(5))
    assert batch.runner.state is State.HELD
    batch.runner.resume(batch.now)
    batch.run(3600, measured=do(30))
    assert batch.runner.state is State.COMPLETE


def test_a_batch_is_aborted_by_its_condition() -> None:
    batch = Batch(recipe({"until": {"phase_h": 1}, "abort_if": {"measured": "do", "above": 150.0}}))
    batch.run(10, measured=do(200, Quality.BAD))
    assert batch.runner.state is State.RUNNING
    out = batch.run(1, measured=do(160))
    assert batch.runner.state is State.ABORTED
    assert [e.kind for e in out.events] == [Kind.ALARM, Kind.PHASE]
    assert out.events[-1].data["state"] == "ABORTED"
    assert batch.runner.message == "do above 150"


@pytest.mark.parametrize(
    ("phase", "line"),
    [
        ({"until": {}}, "exactly one of batch_h, phase_h, measured, estimate, spike, doses"),
        ({"until": {"measured": "do", "f0_min": 15, "above": 3}}, "f0_min goes with measured alo"),
        ({"hold_if": ASK}, "phase.0 (p0).hold_if.confirm: not allowed; a person is asked in"),
        ({"until": {"confirm": ""}}, "phase.0.until.confirm"),
        ({"until": {"spike": {"measured": "do", "rise": -1, "within_s": 9}}}, "rise"),
        ({"until": {"spike": {"measured": "do", "within_s": 9}}}, "one of rise and fall is requ"),
        (
            {"until": {"spike": {"measured": "do", "fall": 1, "within_s": 9, "armed_below": 1}}},
            "armed_below goes with rise; armed_above with fall",
        ),
    ],
)
def test_a_condition_that_says_nothing_is_refused(phase: dict[str, Any], line: str) -> None:
    with pytest.raises(RecipeError) as raised:
        recipe(phase, {})
    assert line in str(raised.value)


def test_filter_of_a_spike_does_not_depend_on_the_scan() -> None:
    found: list[float] = []
    for dt in (0.5, 5.0):
        batch = spiking()
        batch.run(60, measured=do(30.0))
        since = 0.0
        while batch.runner.phase == "p0" and since < 300:
            batch.step(dt, do(50.0))
            since += dt
        found.append(since)
    # 20 points through a filter of 15 s have gone 15 after 15 s * ln 4
    assert found == [pytest.approx(15 * math.log(4), abs=1.0), pytest.approx(25.0)]
