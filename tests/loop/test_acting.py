"""People, recipes and the optimiser act: the safe stop, what must be said, and who is on record."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controller.loops.loops import Mode, RefusedError
from historian.events import Kind
from tests.loop.rig import FED, GROWN, QUICK, Oracle, Rig

Make = Callable[..., Rig]
WHO = ("a test", "ana")
CRITICAL = {"[reactor.R1.loop.ph]": "[reactor.R1.loop.ph]\ncritical = true"}


def audits(rig: Rig, source: str) -> list[tuple[str, str, str]]:
    """Return text, old as text and why of every audit event of a source."""
    return [
        (e.text, str(e.data["old"]), str(e.data["why"]))
        for e in rig.journal.events
        if e.kind is Kind.AUDIT and e.source == source
    ]


def safe(rig: Rig) -> dict[str, float]:
    return {n: t.safe for n, t in rig.plant.tags.items() if t.safe is not None}


def reactor(rig: Rig) -> Any:
    return rig.state()["reactors"]["R1"]


def targets(rig: Rig) -> dict[str, str]:
    return {name: loop["target"] for name, loop in reactor(rig)["loops"].items()}


# ---- safe stop


def test_a_safe_stop_brings_every_output_to_its_safe_value_until_it_is_released(
    steady: Rig,
) -> None:
    before = targets(steady)
    assert steady.controller.safe_stop("", "smoke", "ana") == "safe stop: R1"
    steady.run(1)
    dosing = ("R1.feed", "R1.acid", "R1.base", "R1.inducer", "R1.antifoam", "R1.oxygen")
    assert [steady.held()[n] for n in dosing] == [0.0] * len(dosing)  # in the next scan
    steady.run(60)
    assert steady.held() == safe(steady)
    assert set(targets(steady).values()) == {"OFF"}
    assert reactor(steady)["batch"]["state"] == "HELD"
    assert reactor(steady)["stopped"] is True
    assert "R1.stopped" in steady.alarms()
    assert audits(steady, "operator:ana") == [
        ("R1 safe stop: running → stopped", "running", "smoke")
    ]

    for command in (
        lambda: steady.controller.set_mode("R1.feed", "AUTO", *WHO),
        lambda: steady.controller.recipe("R1", "resume", "", *WHO),
        lambda: steady.controller.optimiser("R1", "shadow", *WHO),
    ):
        with pytest.raises(RefusedError, match="R1: safe stop; release it first"):
            command()
    with pytest.raises(RefusedError, match="its output is set in MANUAL"):
        steady.controller.set_output("R1.feed", 5.0, *WHO)
    steady.controller.set_mode("R1.feed", "OFF", *WHO)  # to the same is no harm

    steady.controller.release("R1", "no smoke", "ana")
    assert "R1.stopped" not in steady.alarms()
    steady.run(30)
    assert steady.held() == safe(steady)  # a release moves nothing
    steady.controller.recipe("R1", "resume", "", *WHO)
    steady.run(1)
    del before["feed"]  # that a person has set it to OFF is no less than what the recipe says
    assert {n: m for n, m in targets(steady).items() if n in before} == before
    steady.run(1800)
    assert steady.held()["R1.feed"] == 20
    assert steady.vessel.truth["ph"] == pytest.approx(7.0, abs=0.06)
    with pytest.raises(RefusedError, match="there is no safe stop to be released"):
        steady.controller.release("R1", *WHO)


def test_a_safe_stop_outlives_a_restart(make: Make, steady: Rig) -> None:
    before = targets(steady)
    steady.controller.safe_stop("R1", "", "ana")
    steady.run(5)
    steady.die(20.0)
    rig = make(GROWN, vessels_of=steady)
    rig.connect()
    rig.controller.restore()
    rig.run(30)
    assert rig.held() == safe(rig)
    assert reactor(rig)["stopped"] is True
    assert "R1.stopped" in rig.alarms()
    with pytest.raises(RefusedError, match="release it first"):
        rig.controller.recipe("R1", "resume", "", *WHO)
    rig.controller.release("R1", *WHO)
    rig.controller.recipe("R1", "resume", "", *WHO)
    rig.run(1)
    assert targets(rig) == before


def test_the_optimiser_does_not_come_back_by_itself(make: Make, fed: Path) -> None:
    rig = make(QUICK, planner=Oracle)
    rig.vessel.set_state(X=8.0)
    rig.begin(fed, "on")
    rig.run(300)
    assert rig.loop("feed").actual is Mode.OPTIMISER
    rig.controller.safe_stop("", *WHO)
    rig.run(200)
    assert reactor(rig)["optimiser"]["mode"] == "off"
    assert rig.held() == safe(rig)
    rig.controller.release("R1", *WHO)
    rig.controller.recipe("R1", "resume", "", *WHO)
    rig.run(200)
    assert reactor(rig)["optimiser"]["mode"] == "off"
    assert (rig.loop("feed").target, rig.loop("do").actual) == (Mode.CASCADE, Mode.AUTO)


# ---- what must be said


def test_a_critical_loop_is_not_changed_without_a_reason(make: Make) -> None:
    rig = make(CRITICAL).begin()
    control = rig.controller
    assert reactor(rig)["loops"]["ph"]["critical"] is True
    assert reactor(rig)["loops"]["do"]["critical"] is False
    commands: tuple[Callable[[str], str], ...] = (
        lambda why: control.set_setpoint("R1.ph", 6.9, why, "ana"),
        lambda why: control.set_mode("R1.ph", "MANUAL", why, "ana"),
        lambda why: control.set_output("R1.ph", 1.0, why, "ana"),
    )
    for command in commands:
        with pytest.raises(RefusedError, match=r"R1\.ph: is critical; a reason is required"):
            command("")
        command("it has to be")
    control.set_setpoint("R1.do", 35.0, "", "ana")


def test_a_change_that_was_decided_on_an_old_value_is_refused(steady: Rig) -> None:
    control = steady.controller
    control.set_setpoint("R1.do", 35.0, *WHO, old=30.0)
    with pytest.raises(RefusedError, match=r"R1\.do: its setpoint is 35 now, not 30; look again"):
        control.set_setpoint("R1.do", 40.0, *WHO, old=30.0)
    assert steady.loop("do").local == 35
    control.set_mode("R1.feed", "MANUAL", *WHO)
    control.set_output("R1.feed", 12.0, *WHO, old=20.0)
    with pytest.raises(RefusedError, match="its output is 12 now, not 20"):
        control.set_output("R1.feed", 30.0, *WHO, old=20.0)


def test_a_refusal_is_on_record_with_who_what_and_why_not(steady: Rig) -> None:
    asked = {"value": 95.0, "old": None, "reason": "more", "who": "vic", "role": "viewer"}
    steady.controller.refused("R1.do", "setpoint", asked, "a viewer may not")
    event = steady.journal.events[-1]
    assert (event.kind, event.source, event.subject) == (Kind.AUDIT, "operator:vic", "R1.do")
    assert event.text == "R1.do setpoint refused: value 95"
    assert event.data["refused"] == "a viewer may not"
    assert (event.data["role"], event.data["why"]) == ("viewer", "more")


# ---- recipe and optimiser


def test_what_a_recipe_changes_is_on_record_once(grown: Rig, tmp_path: Path) -> None:
    recipe = tmp_path / "ramp.toml"
    ramp = "[phase.ramps]\ntemperature = { to = 36.0, ramp_per_h = 10.0 }\n\n[[phase]]\nname = "
    text = FED.replace('[[phase]]\nname = "induce"', ramp + '"induce"')
    recipe.write_text(text.replace("batch_h = 2.0", "batch_h = 0.2"))
    grown.begin(recipe)
    grown.hours(0.6)
    told = audits(grown, "recipe")
    why = "recipe fed, phase feed"
    assert ("R1.do mode: OFF → AUTO", "OFF", why) in told
    assert ("R1.temperature setpoint ramp: 37 → 36 at 10/h Cel", "37.0", why) in told
    (law,) = [text for text, _, _ in told if "feed law" in text]  # to hold it is no change
    assert law == "R1.feed feed law: none → {'kind': 'constant', 'ml_per_h': 20.0}"
    doses = [(text, why) for text, _, why in told if "R1.inducer dose" in text]
    assert doses == [
        ("R1.inducer dose: 0 → 2 mL/min", "recipe fed, phase induce"),
        ("R1.inducer dose: 2 → 0 mL/min", "recipe fed, phase induce"),
    ]
    ends = [text for text, _, _ in told if "temperature setpoint:" in text]
    assert len(ends) == 1  # the ramp has come to its end
    assert ends[0].endswith("→ 36 Cel")
    assert len(told) < 25


def test_each_plan_that_leads_is_on_record_and_so_is_its_end(make: Make, fed: Path) -> None:
    rig = make(QUICK, planner=Oracle)
    rig.vessel.set_state(X=8.0)
    rig.begin(fed, "on")
    rig.run(300)
    rig.controller.optimiser("R1", "off", *WHO)
    rig.run(5)
    told = audits(rig, "optimiser")
    assert told[0][0] == "R1.feed setpoint: 20 → 26, to 26 in 1.00 h mL/h"
    assert told[1][0].startswith("R1.do setpoint: 30 → 40, to 40 in ")
    assert told[-2][0] == "R1.feed setpoint: 26 → as the recipe or a person has it mL/h"
    assert len(told) % 2 == 0
