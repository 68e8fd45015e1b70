"""Restart after a crash or power loss (RELIABILITY §1): back without a bump, nothing replayed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from controller.loops.loops import Mode, RefusedError
from historian.events import Kind
from tests.loop.rig import FED, GROWN, Oracle, Rig

Make = Callable[..., Rig]
WHO = ("a test", "ana")


def restarted(make: Make, dead: Rig, seconds: float, **more: Any) -> Rig:
    """Return a new controller on the vessel of one that died ``seconds`` ago."""
    dead.die(seconds)
    rig = make(GROWN, vessels_of=dead, **more).connect()
    assert rig.controller.restore()
    return rig


def modes(rig: Rig) -> dict[str, str]:
    return {n: loop.target.name for n, loop in rig.controller.reactors["R1"].loops.items()}


RUNNING = {
    "temperature": "AUTO",
    "ph": "AUTO",
    "do": "AUTO",
    "agitation": "CASCADE",
    "air": "CASCADE",
    "feed": "CASCADE",
    "inducer": "CASCADE",
    "antifoam": "AUTO",
    "oxygen": "AUTO",
}


def test_after_a_short_outage_loops_are_back_and_the_recipe_waits(make: Make, steady: Rig) -> None:
    rig = restarted(make, steady, 20.0)
    rig.run(1)
    assert modes(rig) == RUNNING
    assert all(rig.loop(n).actual is Mode.AUTO for n in ("temperature", "ph", "do"))
    batch = rig.state()["reactors"]["R1"]["batch"]
    assert (batch["state"], batch["phase"], batch["id"]) == ("HELD", "feed", "R1-20260101-0000")
    says = (
        "R1: back after 20 s: loops back in their modes; feed on its fall-back, "
        "recipe HELD in phase feed, optimiser off; resume the recipe when the vessel is right"
    )
    assert rig.alarms() == {"R1.restart": says}
    assert says in rig.told(Kind.NOTE)


def test_the_first_scans_after_a_restart_move_nothing_by_more_than_its_ramp(
    make: Make, steady: Rig
) -> None:
    rig = restarted(make, steady, 20.0)
    before = rig.held()
    assert before["R1.stirrer"] == 300  # the device's watchdog has made it safe
    for _ in rig.scans(4):
        after = rig.held()
        for name, tag in rig.plant.tags.items():
            if tag.safe is not None:
                ramp = {"R1.feed": 1.0, "R1.air": 0.2}.get(name, 0.015 * (tag.high - tag.low))
                assert abs(after[name] - before[name]) <= ramp + 1e-9, name
        before = after
    assert before["R1.feed"] == 1  # no more while oxygen is low
    rig.run(600)  # the oxygen that the outage cost is back, and by its `cut` the feed
    assert rig.held()["R1.feed"] == 5  # the fall-back, for as long as nobody resumes
    assert rig.loop("feed").reason == "fall-back: the recipe is held"


def test_a_resume_brings_everything_back_and_ends_the_alarm(make: Make, steady: Rig) -> None:
    rig = restarted(make, steady, 20.0)
    rig.run(30)
    rig.controller.recipe("R1", "resume", "", *WHO)
    assert rig.alarms() == {}
    rig.run(1200)
    assert rig.held()["R1.feed"] == 20
    assert rig.state()["reactors"]["R1"]["batch"]["state"] == "RUNNING"
    assert rig.vessel.truth["do_percent"] == pytest.approx(30, abs=6)
    assert rig.vessel.truth["ph"] == pytest.approx(7.0, abs=0.06)


def test_after_a_long_outage_loops_wait_by_hand_and_ph_is_off(make: Make, steady: Rig) -> None:
    rig = restarted(make, steady, 90.0)
    before = rig.held()
    rig.run(60)
    waiting = {"temperature", "do", "agitation", "air"}
    assert modes(rig) == RUNNING | dict.fromkeys(waiting, "MANUAL") | {"ph": "OFF"}
    after = rig.held()
    assert {n: v for n, v in after.items() if n != "R1.feed"} == {
        n: v for n, v in before.items() if n != "R1.feed"
    }
    assert after["R1.feed"] <= 5
    text = rig.alarms()["R1.restart"]
    assert text.startswith(
        "R1: back after 90 s: waiting for an operator: R1.temperature, R1.ph, R1.do, "
        "R1.agitation, R1.air; feed on its fall-back, recipe HELD in phase feed"
    )
    rig.controller.recipe("R1", "resume", "", *WHO)
    rig.run(1)
    assert modes(rig) == RUNNING
    assert "R1.restart" not in rig.alarms()
    after = rig.held()
    assert abs(after["R1.stirrer"] - before["R1.stirrer"]) <= 10
    rig.run(1500)
    assert rig.vessel.truth["do_percent"] == pytest.approx(30, abs=6)
    assert rig.vessel.truth["temperature_cel"] == pytest.approx(37, abs=0.2)


def test_what_waits_for_a_person_waits_through_another_crash(make: Make, steady: Rig) -> None:
    first = restarted(make, steady, 90.0)
    first.run(2)
    rig = restarted(make, first, 10.0)
    kept = first.controller.reactors["R1"].waiting
    assert rig.controller.reactors["R1"].waiting == kept != {}
    rig.run(2)
    waiting = {"temperature", "do", "agitation", "air"}
    assert modes(rig) == RUNNING | dict.fromkeys(waiting, "MANUAL") | {"ph": "OFF"}
    rig.controller.recipe("R1", "resume", "", *WHO)
    rig.run(2)
    assert modes(rig) == RUNNING


def test_one_that_dies_before_its_second_scan_has_lived(make: Make, steady: Rig) -> None:
    """Else many short lives would be one long outage."""
    rig = restarted(make, steady, 20.0)
    assert rig.shelf.get_state("reactor.R1")["time"] == rig.clock.now()


def test_a_loop_that_a_person_has_dealt_with_is_not_moved_by_the_resume(
    make: Make, steady: Rig
) -> None:
    rig = restarted(make, steady, 90.0)
    rig.run(5)
    rig.controller.set_mode("R1.oxygen", "MANUAL", *WHO)
    rig.controller.set_mode("R1.temperature", "AUTO", *WHO)
    rig.run(5)
    assert rig.loop("temperature").actual is Mode.AUTO
    assert "R1.temperature" not in rig.controller.reactors["R1"].waiting
    rig.controller.recipe("R1", "abort", "", *WHO)
    assert set(rig.alarms()) == {"R1.restart"}  # pH, DO, agitation and air still wait
    for loop, mode in (("ph", "AUTO"), ("do", "AUTO"), ("agitation", "CASCADE"), ("air", "AUTO")):
        rig.controller.set_mode(f"R1.{loop}", mode, *WHO)
    assert rig.alarms() == {}


def test_a_dose_under_way_is_not_replayed_and_what_was_given_is_told(
    make: Make, grown: Rig, tmp_path: Path
) -> None:
    recipe = tmp_path / "early.toml"
    recipe.write_text(FED.replace("batch_h = 2.0", "batch_h = 0.1"))
    given_ml = 0.0

    def count() -> None:
        nonlocal given_ml
        given_ml += grown.vessel.actual("R1.inducer") / 60.0

    grown.begin(recipe)
    grown.vessel.watch(count)
    grown.run(360 + 90)
    rig = restarted(make, grown, 10.0)
    given = given_ml
    assert 2.5 < given < 3.5
    rig.run(60)
    rig.controller.recipe("R1", "resume", "", *WHO)
    rig.run(600)
    assert given_ml == given
    text, over = rig.told(Kind.ALARM, "through inducer")
    assert over == f"over after 60 s: {text}"  # with the hold
    assert text.endswith("of 10 mL through inducer were given; the rest is not given by itself "
                         "after a restart")  # fmt: skip
    assert rig.controller.reactors["R1"].runner.induced  # type: ignore[union-attr]


def test_a_hand_on_a_pump_or_on_oxygen_does_not_outlive_the_controller(
    make: Make, steady: Rig
) -> None:
    control = steady.controller
    control.set_mode("R1.feed", "MANUAL", *WHO)
    control.set_mode("R1.antifoam", "MANUAL", *WHO)
    control.set_output("R1.antifoam", 0.1, *WHO)
    control.set_setpoint("R1.oxygen", 1.5, *WHO)
    steady.run(5)
    assert steady.held()["R1.oxygen"] == 1.5
    steady.vessel.to_safe = lambda: None  # a device without a watchdog goes on as it was
    rig = restarted(make, steady, 10.0)
    assert rig.held()["R1.antifoam"] == pytest.approx(0.1)
    rig.run(60)
    held = rig.held()
    assert (held["R1.feed"], held["R1.antifoam"], held["R1.oxygen"]) == (0, 0, 0)
    assert held["R1.air"] == pytest.approx(steady.loop("air").local)


def test_without_a_batch_what_waits_has_an_alarm_until_somebody_has_decided(
    make: Make, grown: Rig
) -> None:
    grown.connect()
    grown.controller.set_mode("R1.temperature", "AUTO", *WHO)
    grown.run(10)
    grown.die(100.0)
    rig = make(GROWN, vessels_of=grown).connect()
    assert not rig.controller.restore()  # a recipe that was asked for may begin
    assert rig.alarms() == {
        "R1.restart": "R1: back after 100 s: waiting for an operator: R1.temperature; "
        "no batch under way"
    }
    rig.controller.set_mode("R1.temperature", "AUTO", *WHO)
    assert rig.alarms() == {}


def test_a_finished_batch_is_not_in_the_way_of_the_next(
    make: Make, grown: Rig, tmp_path: Path
) -> None:
    recipe = tmp_path / "short.toml"
    recipe.write_text(FED[: FED.rindex("[[phase]]")].replace("batch_h = 2.0", "batch_h = 0.01"))
    grown.begin(recipe)
    grown.run(60)
    assert grown.state()["reactors"]["R1"]["batch"]["state"] == "COMPLETE"
    grown.die(10.0)
    rig = make(GROWN, vessels_of=grown).connect()
    assert not rig.controller.restore()
    assert rig.alarms() == {}
    rig.begin(recipe)
    rig.run(2)
    assert rig.state()["reactors"]["R1"]["batch"]["state"] == "RUNNING"


def test_doses_of_the_last_hour_are_remembered(make: Make, steady: Rig) -> None:
    tag = steady.plant.tags["R1.feed"]
    dosed = steady.controller.reactors["R1"].guard.dosed_ml(tag, steady.clock.now())
    assert dosed == pytest.approx(20 * 0.25, rel=0.05)
    rig = restarted(make, steady, 10.0)
    again = rig.controller.reactors["R1"].guard.dosed_ml(tag, rig.clock.now())
    assert dosed <= again <= dosed + 0.1  # and what may have run until the watchdog


def moved(kept: Any, seconds: float, now: float) -> Any:
    """Return a state with every moment in it ``seconds`` later."""
    if isinstance(kept, dict):
        items = cast("dict[str, Any]", kept).items()
        return {key: moved(value, seconds, now) for key, value in items}
    if isinstance(kept, list):
        return [moved(value, seconds, now) for value in cast("list[Any]", kept)]
    return kept + seconds if isinstance(kept, float) and abs(kept - now) < 1e6 else kept


@pytest.mark.parametrize("hours", [2.0, -2.0])
def test_a_wall_clock_that_was_set_meanwhile_doubles_no_dose(
    make: Make, steady: Rig, hours: float
) -> None:
    """While it runs its clock is monotonic; between two controllers somebody may set the wall's."""
    tag = steady.plant.tags["R1.feed"]
    dosed = steady.controller.reactors["R1"].guard.dosed_ml(tag, steady.clock.now())
    steady.die(10.0)
    now = steady.clock.now()
    kept = json.loads(steady.shelf.texts["reactor.R1"])
    steady.shelf.texts["reactor.R1"] = json.dumps(moved(kept, -3600.0 * hours, now))
    rig = make(GROWN, vessels_of=steady).connect()
    assert rig.controller.restore()
    rig.run(60)
    reactor = rig.controller.reactors["R1"]
    assert reactor.runner is not None
    assert reactor.runner.state == "HELD"
    assert rig.held()["R1.inducer"] == 0.0
    if hours < 0:  # set back: it counts as no outage, and all that was given counts
        assert 0 <= reactor.guard.dosed_ml(tag, rig.clock.now()) - dosed <= 0.5
        assert rig.loop("ph").actual is Mode.AUTO
    else:  # set forward: it looks like a long outage, so nothing is dosed without a person
        assert rig.loop("ph").actual is Mode.OFF
        assert (rig.held()["R1.acid"], rig.held()["R1.base"]) == (0.0, 0.0)
        assert rig.held()["R1.feed"] <= 5.0


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (["time"], "noon"),
        (["loops"], []),
        (["loops", "do"], {}),
        (["loops", "do", "mode"], "SOMETIMES"),
        (["guard", "doses"], None),
        (["estimate", "mean"], [1.0]),
        (["recipe"], {}),
        (["recipe", "index"], 99),
        (["recipe", "feeds"], {"feed": [{"kind": "flood"}, 0.0]}),
    ],
)
def test_a_damaged_state_is_refused_whole_and_said(
    make: Make, steady: Rig, keys: list[str], value: object
) -> None:
    steady.die(10.0)
    state: Any = json.loads(steady.shelf.texts["reactor.R1"])
    table = state
    for key in keys[:-1]:
        table = table[key]
    table[keys[-1]] = value
    steady.shelf.texts["reactor.R1"] = json.dumps(state)
    rig = make(GROWN, vessels_of=steady).connect()
    assert not rig.controller.restore()
    assert set(modes(rig).values()) == {"OFF"}
    assert rig.alarms()["R1.restart"].startswith("R1: begins anew; what was kept is damaged: ")
    assert rig.state()["reactors"]["R1"]["batch"]["state"] == "IDLE"
    rig.run(10)
    assert rig.held()["R1.feed"] == 0


def test_a_state_of_another_plant_file_is_taken_where_it_fits(
    make: Make, steady: Rig, tmp_path: Path
) -> None:
    steady.die(10.0)
    changed = {**GROWN, "setpoint = 37.0\nsetpoint_low = 20.0\nsetpoint_high = 42.0": (
        "setpoint = 30.0\nsetpoint_low = 20.0\nsetpoint_high = 36.0"
    )}  # fmt: skip
    rig = make(changed, vessels_of=steady).connect()
    rig.controller.restore()
    assert rig.loop("temperature").local == 30.0


def test_the_state_is_strict_json_in_every_scan_of_a_batch(grown: Rig, tmp_path: Path) -> None:
    recipe = tmp_path / "quick.toml"
    text = FED.replace("batch_h = 2.0", "batch_h = 0.02").replace("batch_h = 6.0", "batch_h = 0.12")
    recipe.write_text(text)
    reactor = None
    grown.begin(recipe)
    for now in grown.scans(500):
        reactor = grown.controller.reactors["R1"]
        text = json.dumps(reactor.as_state(now), allow_nan=False)
        assert json.loads(text)["batch_id"] == "R1-20260101-0000"
    assert reactor is not None
    assert reactor.runner is not None
    assert reactor.runner.state == "COMPLETE"


def test_nothing_kept_is_nothing_to_take_up(grown: Rig) -> None:
    grown.connect()
    assert not grown.controller.restore()
    assert grown.alarms() == {}


def test_the_optimiser_comes_back_in_shadow_and_waits_for_the_operator(
    make: Make, grown: Rig, fed: Path
) -> None:
    first = make(GROWN, planner=Oracle)
    first.vessel.set_state(X=8.0)
    first.begin(fed, "on")
    first.run(1900)
    assert first.loop("feed").actual is Mode.OPTIMISER
    rig = restarted(make, first, 10.0, planner=Oracle)
    rig.run(1000)
    optimiser = rig.state()["reactors"]["R1"]["optimiser"]
    assert (optimiser["mode"], optimiser["plans"]) == ("shadow", 0)  # nothing to plan: it is HELD
    assert (rig.loop("feed").target, rig.loop("do").target) == (Mode.CASCADE, Mode.AUTO)
    with pytest.raises(RefusedError, match="R1: the recipe is HELD; resume it first"):
        rig.controller.optimiser("R1", "on", *WHO)
    rig.controller.recipe("R1", "resume", "", *WHO)
    rig.run(1900)
    assert rig.state()["reactors"]["R1"]["optimiser"]["state"] == "good"
    assert rig.held()["R1.feed"] == 20  # in shadow the recipe leads
    rig.controller.optimiser("R1", "on", *WHO)
    rig.run(1900)
    assert rig.loop("feed").actual is Mode.OPTIMISER
    assert rig.held()["R1.feed"] == 26
