"""Doses and discharges of a recipe: all of it, once, however it is interrupted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.recipes.check import check
from controller.recipes.recipe import RecipeRunner, State
from drivers.point import Quality, Sample, sample
from historian.events import Kind
from tests.controller.recipes import FACTS, HOUR, LARGE, NOTHING, WEIGHT, Batch, dosing, recipe


@given(ml=st.floats(0.01, 20), ml_per_min=st.floats(0.1, 5))
def test_a_dose_is_given_exactly(ml: float, ml_per_min: float) -> None:
    batch = Batch(dosing(ml, ml_per_min))
    batch.run(int(ml / ml_per_min * 60) + 5)
    assert batch.given["inducer"] / 60.0 == pytest.approx(ml, rel=1e-5)
    assert batch.out.doses == {"inducer": 0.0}


def test_a_dose_is_asked_for_in_the_unit_of_its_loop() -> None:
    batch = Batch(dosing(10.0, 120.0, "vitamin"))
    assert batch.out.doses == {"vitamin": pytest.approx(120.0)}  # mL/h


def test_a_dose_that_the_guard_stopped_goes_on_until_it_is_complete() -> None:
    runner = RecipeRunner(dosing(2.0, 2.0), FACTS)
    runner.start(0.0)
    given, now = 0.0, 0.0
    out = runner.step(now, NOTHING, {})
    while now < 300:
        applied = 0.0 if now < 100 else out.doses["inducer"]
        given += applied / 60.0
        now += 1.0
        out = runner.step(now, NOTHING, {}, {"inducer": applied})
    assert given == pytest.approx(2.0)
    assert out.doses == {"inducer": 0.0}


def test_a_dose_that_does_not_move_is_an_alarm_once() -> None:
    runner = RecipeRunner(dosing(2.0, 2.0), FACTS)
    runner.start(0.0)
    alarms: list[tuple[float, str]] = []
    for t in range(300):
        out = runner.step(float(t), NOTHING, {}, {"inducer": 0.0 if t > 30 else 2.0})
        alarms += [(e.time, e.text) for e in out.events if e.kind is Kind.ALARM]
    assert alarms == [(90.0, "recipe test: nothing goes through inducer: 1 of 2 mL so far")]


def test_a_dose_is_paused_while_held_and_completed_afterwards() -> None:
    batch = Batch(dosing(10.0, 2.0))
    batch.run(120)
    batch.runner.hold(batch.now, "look at the pump")
    assert batch.run(600).doses == {"inducer": 0.0}
    batch.runner.resume(batch.now)
    batch.run(300)
    assert batch.given["inducer"] / 60.0 == pytest.approx(10.0)


def test_a_dose_that_outlasts_its_phase_goes_on_and_the_next_waits() -> None:
    dose = {"loop": "inducer", "volume_l": 4e-3, "flow": 2.0}
    phase = {"doses": [dose], "until": {"phase_h": 0.02}}
    batch = Batch(recipe(phase, phase, {"until": {"batch_h": 1}}))
    for _ in range(239):
        assert batch.run(1).doses["inducer"] <= 2.0
    batch.run(10)
    assert batch.given["inducer"] / 60.0 == pytest.approx(8.0)


def test_a_dose_that_the_end_of_the_batch_cuts_short_is_told() -> None:
    dose = {"loop": "inducer", "volume_l": 10e-3, "flow": 2.0}
    batch = Batch(recipe({"doses": [dose], "until": {"phase_h": 0.01}}))
    batch.run(40)
    assert batch.runner.state is State.COMPLETE
    assert batch.out.doses == {"inducer": 0.0}
    assert any(text.startswith("recipe test: 1.2 of 10 mL through") for text in batch.texts)


def test_discharges_come_back_every_so_often_within_their_phase() -> None:
    discharge = {"loop": "harvest", "volume_l": 1000.0, "flow": 4000.0, "at_h": 1.0, "every_h": 2.0}
    what = recipe({"doses": [discharge], "until": {"phase_h": 6}}, {"until": {"phase_h": 3}})
    assert check(what, LARGE) == []
    batch = Batch(what, LARGE)
    opened: list[float] = []
    for _ in range(9 * 60 - 1):
        was = batch.out.doses["harvest"]
        batch.run(60)
        if batch.out.doses["harvest"] > 0.0 == was:
            opened.append(batch.now / HOUR)
    assert opened == pytest.approx([1.0, 3.0, 5.0], abs=0.02)
    assert batch.given["harvest"] / HOUR == pytest.approx(3000.0)
    assert "recipe test: 1000 L were given through harvest" in batch.texts


def test_a_discharge_to_come_is_given_after_a_restart_and_none_twice() -> None:
    doses = [
        {"loop": "inducer", "volume_l": 2e-3, "flow": 2.0, "at_h": hour} for hour in (0.1, 0.5)
    ]
    batch = Batch(recipe({"doses": doses, "until": {"phase_h": 1}}))
    batch.run(600)
    batch.restarted()
    batch.runner.resume(batch.now)
    batch.run(3600)
    assert batch.given["inducer"] / 60.0 == pytest.approx(4.0)


# ---- by weight


def filling(**more: object) -> Batch:
    dose = {"loop": "inducer", "volume_l": 1.0, "flow": 5.0, "fills_to_kg": 100.0, **more}
    return Batch(recipe({"doses": [dose], "until": {"doses": "given"}, "max_h": 9.0}, {}))


def weigh(kg: float, quality: Quality = Quality.GOOD) -> dict[str, Sample]:
    return {"R1.weight": sample(WEIGHT, 0.0, kg, quality)}


def test_a_vessel_is_filled_to_its_weight() -> None:
    batch = filling()
    kg = 99.9
    while batch.runner.phase == "p0" and kg < 101:
        batch.run(1, measured=weigh(kg))
        kg += batch.out.doses["inducer"] / 60e3  # mL/min of water, once a second
    assert kg == pytest.approx(100.0, abs=0.001)
    said = batch.texts[1].removeprefix("recipe test: ").split()
    assert said[1:] == ["mL", "were", "given", "through", "inducer"]
    assert float(said[0]) == pytest.approx(100.0, abs=0.2)


def test_what_is_drawn_off_ends_at_its_weight() -> None:
    batch = filling(fills_to_kg=None, draws_to_kg=90.0)
    assert batch.run(10, measured=weigh(95.0)).doses == {"inducer": 5.0}
    assert batch.run(2, measured=weigh(89.9)).doses == {"inducer": 0.0}
    assert batch.runner.phase == "p1"


def test_nothing_is_given_while_the_scales_cannot_be_believed() -> None:
    batch = filling()
    batch.run(10, measured=weigh(90.0))
    for quality in (Quality.BAD, Quality.UNCERTAIN):
        assert batch.run(60, measured=weigh(200.0, quality)).doses == {"inducer": 0.0}
    assert batch.run(60).doses == {"inducer": 0.0}
    assert batch.run(1, measured=weigh(90.0)).doses == {"inducer": 5.0}
    assert batch.runner.phase == "p0"


def test_scales_that_stand_still_do_not_overfill_the_vessel() -> None:
    batch = filling(volume_l=0.1)
    batch.run(1300, measured=weigh(90.0))
    assert batch.given["inducer"] / 60.0 == pytest.approx(100.0)  # mL: volume_l, the most
    text = "recipe test: 100 of at most 100 mL went through inducer, and the weight is not reached"
    assert text in batch.texts
    assert batch.runner.phase == "p0"  # a person decides
    batch.run(9 * 3600, measured=weigh(90.0))
    assert batch.runner.state is State.HELD


def test_filling_goes_on_after_a_restart_when_a_person_resumes() -> None:
    batch = filling()
    batch.run(60, measured=weigh(90.0))
    batch.restarted(60.0)
    assert batch.run(60, measured=weigh(90.0)).doses == {"inducer": 0.0}
    batch.runner.resume(batch.now)
    assert batch.run(2, measured=weigh(95.0)).doses == {"inducer": 5.0}
    batch.run(2, measured=weigh(100.0))
    assert batch.runner.phase == "p1"


def test_a_phase_does_not_end_by_a_dose_that_a_restart_cut_short() -> None:
    dose = {"loop": "inducer", "volume_l": 0.1, "flow": 5.0}
    batch = Batch(recipe({"doses": [dose], "until": {"doses": "given"}}, {}))
    batch.run(60)
    batch.restarted()
    batch.runner.resume(batch.now)
    batch.run(3600)
    assert batch.runner.phase == "p0"
    batch.runner.advance(batch.now, "filled by hand")
    batch.run(1)
    assert batch.runner.phase == "p1"
