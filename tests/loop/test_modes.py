"""Modes and authority (RELIABILITY §1): hand-over without a bump, refusals that change nothing."""

from pathlib import Path

import pytest

from controller.loops.loops import Mode, RefusedError
from drivers.point import RangeError
from historian.events import Kind
from tests.loop.rig import FED, Rig, bump

WHO = ("a test", "ana")


def mode(rig: Rig, loop: str, value: str) -> str:
    return rig.controller.set_mode(f"R1.{loop}", value, *WHO)


def setpoint(rig: Rig, loop: str, value: float) -> str:
    return rig.controller.set_setpoint(f"R1.{loop}", value, *WHO)


def output(rig: Rig, loop: str, value: float) -> str:
    return rig.controller.set_output(f"R1.{loop}", value, *WHO)


@pytest.mark.parametrize(
    ("loop", "modes", "actuators"),
    [
        ("temperature", ["MANUAL", "AUTO", "MANUAL", "AUTO"], ["R1.heater", "R1.cooling"]),
        ("ph", ["MANUAL", "AUTO", "MANUAL", "AUTO"], ["R1.acid", "R1.base"]),
        ("do", ["MANUAL", "AUTO", "MANUAL", "AUTO"], ["R1.stirrer", "R1.air"]),
        ("agitation", ["MANUAL", "CASCADE", "AUTO", "CASCADE"], ["R1.stirrer"]),
        ("air", ["AUTO", "MANUAL", "AUTO", "CASCADE"], ["R1.air"]),
        ("feed", ["MANUAL", "AUTO", "CASCADE", "MANUAL", "CASCADE"], ["R1.feed"]),
    ],
)
def test_a_hand_over_moves_no_output(
    steady: Rig, loop: str, modes: list[str], actuators: list[str]
) -> None:
    for wanted in modes:
        before = {n: steady.held()[n] for n in actuators}
        mode(steady, loop, wanted)
        steady.run(1)
        after = {n: steady.held()[n] for n in actuators}
        assert bump(steady, before, after) <= 0.008  # noise of the probes through the PID
        assert steady.loop(loop).actual.name == wanted
        steady.run(20)


def test_a_hand_on_the_stirrer_is_reached_by_its_ramp_and_stays(steady: Rig) -> None:
    mode(steady, "agitation", "MANUAL")
    output(steady, "agitation", 500.0)
    before = steady.held()["R1.stirrer"]
    for _ in steady.scans(5):
        after = steady.held()["R1.stirrer"]
        assert 0 < before - after <= 20.6  # r/min in a second, and the register's rounding
        before = after
    steady.run(60)
    assert steady.held()["R1.stirrer"] == 500


def test_a_hand_on_do_moves_agitation_and_air(steady: Rig) -> None:
    mode(steady, "do", "MANUAL")
    output(steady, "do", 66.0)
    steady.run(60)
    assert steady.held()["R1.stirrer"] == 1000
    assert steady.held()["R1.air"] == pytest.approx(6.0 ** (14 / 28), abs=0.01)
    output(steady, "do", 20.0)
    steady.run(60)
    assert steady.held()["R1.stirrer"] == pytest.approx(300 * (10 / 3) ** (20 / 56), abs=1)
    assert steady.held()["R1.air"] == pytest.approx(1.0)


def test_do_switched_off_leaves_agitation_and_air_where_they_are(steady: Rig) -> None:
    before = steady.held()
    mode(steady, "do", "OFF")
    steady.run(60)
    after = steady.held()
    assert after["R1.stirrer"] == before["R1.stirrer"]
    assert after["R1.air"] == before["R1.air"]
    assert steady.loop("agitation").reason == "nothing leads it in CASCADE"
    mode(steady, "do", "AUTO")
    steady.run(1)
    assert steady.held()["R1.stirrer"] == pytest.approx(after["R1.stirrer"], abs=5)


def test_the_setpoint_of_a_loop_that_another_leads_is_refused(steady: Rig) -> None:
    local = steady.loop("agitation").local
    with pytest.raises(
        RefusedError,
        match=r"^R1\.agitation: its setpoint comes from elsewhere in CASCADE; "
        "set its mode to AUTO first$",
    ):
        setpoint(steady, "agitation", 500.0)
    assert steady.loop("agitation").local == local
    mode(steady, "agitation", "AUTO")
    assert setpoint(steady, "agitation", 500.0).startswith("R1.agitation setpoint: ")
    steady.run(60)
    assert steady.held()["R1.stirrer"] == 500


def test_what_is_out_of_range_is_refused_and_nothing_changes(steady: Rig) -> None:
    before = held_by(steady)
    mode(steady, "feed", "MANUAL")
    told = len(steady.journal.events)
    with pytest.raises(RangeError, match=r"R1\.temperature: setpoint 99 is outside 20 to 42 Cel"):
        setpoint(steady, "temperature", 99.0)
    with pytest.raises(RangeError, match="nan"):
        setpoint(steady, "ph", float("nan"))
    with pytest.raises(RangeError, match=r"R1\.feed: output 201 is outside 0 to 200"):
        output(steady, "feed", 201.0)
    with pytest.raises(RefusedError, match=r"R1\.do: its output is set in MANUAL, not in AUTO"):
        output(steady, "do", 50.0)
    with pytest.raises(RefusedError, match="mode CASCADE is not allowed; OFF, MANUAL, AUTO"):
        mode(steady, "temperature", "CASCADE")
    with pytest.raises(RefusedError, match=r"R1\.do: the optimiser of R1 is not on"):
        mode(steady, "do", "OPTIMISER")
    with pytest.raises(LookupError, match=r"R1\.dox: no such loop; R1\.temperature, "):
        steady.controller.set_mode("R1.dox", "AUTO", *WHO)
    mode(steady, "feed", "CASCADE")
    assert held_by(steady) == before
    assert len(steady.journal.events) == told + 1  # the way back of the feed


def held_by(rig: Rig) -> dict[str, tuple[float, Mode, float]]:
    loops = rig.controller.reactors["R1"].loops
    return {n: (loop.local, loop.target, loop.output) for n, loop in loops.items()}


def test_every_change_by_a_person_is_audited_with_old_new_who_and_why(steady: Rig) -> None:
    setpoint(steady, "temperature", 36.0)
    mode(steady, "air", "AUTO")
    mode(steady, "feed", "MANUAL")
    output(steady, "feed", 12.0)
    audits = [e for e in steady.journal.events if e.kind is Kind.AUDIT and e.source != "recipe"]
    assert [e.text for e in audits] == [
        "R1.temperature setpoint: 37 → 36 Cel",
        "R1.air mode: CASCADE → AUTO",
        "R1.feed mode: CASCADE → MANUAL",
        "R1.feed output: 20 → 12 mL/h",
    ]
    assert {e.source for e in audits} == {"operator:ana"}
    assert audits[0].data == {
        "what": "setpoint",
        "old": 37.0,
        "new": 36.0,
        "unit": "Cel",
        "why": "a test",
    }


def test_a_persons_feed_is_above_a_recipe_that_is_held(steady: Rig) -> None:
    mode(steady, "feed", "AUTO")
    setpoint(steady, "feed", 12.0)
    steady.controller.recipe("R1", "hold", "", *WHO)
    steady.run(60)
    assert steady.held()["R1.feed"] == 12
    mode(steady, "feed", "CASCADE")
    steady.run(1)
    assert steady.held()["R1.feed"] == 5  # the fall-back
    steady.controller.recipe("R1", "resume", "", *WHO)
    steady.run(60)
    assert steady.held()["R1.feed"] == 20


def test_a_setpoint_by_hand_ends_the_recipes_ramp(grown: Rig, tmp_path: Path) -> None:
    recipe = tmp_path / "ramp.toml"
    ramp = "[phase.ramps]\ntemperature = { to = 30.0, ramp_per_h = 10.0 }\n\n[[phase]]\nname = "
    recipe.write_text(FED.replace('[[phase]]\nname = "induce"', ramp + '"induce"'))
    grown.begin(recipe)
    grown.run(361)
    assert grown.loop("temperature").setpoint == pytest.approx(36.0, abs=0.01)
    setpoint(grown, "temperature", 35.0)
    grown.run(60)
    assert grown.loop("temperature").setpoint == 35


def test_a_safe_stop_writes_every_safe_value_and_holds_the_recipe(steady: Rig) -> None:
    steady.controller.stop("a test", "ana")
    steady.run(5)  # the scan ends at once
    steady.do(steady.controller.shut(safe=True))
    safe = {n: t.safe for n, t in steady.plant.tags.items() if t.safe is not None}
    assert steady.held() == safe
    assert steady.state()["reactors"]["R1"]["batch"]["state"] == "HELD"


def test_a_safe_stop_with_a_device_away_says_which_values_are_not_confirmed(steady: Rig) -> None:
    steady.wires["R1-gas"].answering = False
    steady.do(steady.controller.shut(safe=True))
    held = steady.held()
    assert held["R1.feed"] == 0
    assert held["R1.heater"] == 0
    (text,) = steady.told(Kind.ALARM, "safe values not confirmed")
    assert "R1-gas" in text
