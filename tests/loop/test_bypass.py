"""A bypass of an interlock as the vessel, the record and the screen see it."""

from collections.abc import Callable
from typing import Any

import pytest

from drivers.point import RangeError
from historian.events import Kind
from tests.loop.rig import GROWN, Rig

WHY = ("probe is calibrated", "li")


def shown(rig: Rig) -> dict[str, Any]:
    return rig.state()["reactors"]["R1"]["interlocks"]["low_do"]


def test_a_bypassed_interlock_lets_the_feed_run_is_shown_told_and_ends_by_itself(
    steady: Rig,
) -> None:
    text = steady.controller.bypass_interlock("R1.low_do", 2.0, *WHY)
    assert text == "R1.low_do bypass: none → 2 min"
    steady.faults.shows["R1.do"] = 11.9
    steady.run(60)
    assert steady.held()["R1.feed"] == 20
    lock = shown(steady)
    assert (lock["tripped"], lock["order"]) == (True, 1)
    assert lock["bypass"] == {
        "since": lock["bypass"]["since"], "until": lock["bypass"]["until"],
        "left_min": pytest.approx(1.0, abs=0.05), "who": "li", "reason": WHY[0],
    }  # fmt: skip
    steady.run(62)
    assert steady.held()["R1.feed"] == 0
    assert shown(steady)["bypass"] is None
    said = "R1.do below 12 % for 20 s: R1.feed = 0"
    assert steady.told(Kind.ALARM, said)[0] == f"{said} (bypassed: not done)"
    begun, ended = (
        e for e in steady.journal.events if e.subject == "R1.low_do" and e.kind is Kind.AUDIT
    )
    assert (begun.source, begun.data["why"]) == ("operator:li", WHY[0])
    assert ended.text == f"the bypass by li is over after 2 min: {said}"


def test_a_person_ends_it_and_a_wrong_request_changes_nothing(steady: Rig) -> None:
    steady.controller.bypass_interlock("R1.low_do", 60.0, *WHY)
    with pytest.raises(RangeError, match="more than 0 to 480 min"):
        steady.controller.bypass_interlock("R1.ph_window", 481.0, *WHY)
    with pytest.raises(LookupError, match=r"^R1\.foo: no such interlock; R1\.high_volume, "):
        steady.controller.bypass_interlock("R1.foo", 1.0, *WHY)
    steady.faults.shows["R1.do"] = 11.9
    steady.run(30)
    assert steady.controller.end_bypass("R1.low_do", "", "li").startswith(
        "R1.low_do bypass: 60 min left → ended"
    )
    steady.run(1)
    assert steady.held()["R1.feed"] == 0


def test_it_survives_a_kill_with_its_original_end(make: Callable[..., Rig], steady: Rig) -> None:
    steady.controller.bypass_interlock("R1.low_do", 10.0, *WHY)
    steady.run(60)
    until = shown(steady)["bypass"]["until"]
    steady.die(30.0)
    again = make(GROWN, vessels_of=steady).connect()
    again.controller.restore()
    again.run(1)
    assert shown(again)["bypass"]["until"] == until
    again.faults.shows["R1.do"] = 11.9
    again.run(480)
    assert shown(again)["tripped"]
    assert shown(again)["bypass"] is not None
    again.run(60)
    assert shown(again)["bypass"] is None
    assert again.told(Kind.AUDIT, "is over after 10 min")


def test_a_latched_interlock_waits_for_its_reset(make: Callable[..., Rig]) -> None:
    rig = make({**GROWN, "below = 12.0\n": "below = 12.0\nlatch = true\n"}).connect()
    rig.run(2)
    rig.faults.shows["R1.do"] = 11.9
    rig.run(25)
    assert shown(rig)["latched"]
    with pytest.raises(ValueError, match="it cannot be reset while its reason lasts"):
        rig.controller.reset_interlock("R1.low_do", "", "ana")
    rig.faults.shows["R1.do"] = 30.0
    rig.run(100)
    assert shown(rig)["latched"]
    assert rig.controller.reset_interlock("R1.low_do", "looked", "ana") == (
        "R1.low_do latch: tripped → reset"
    )
    rig.run(1)
    assert not shown(rig)["tripped"]
    rig.run(1)
    assert rig.told(Kind.ALARM, "R1.do below 12 %")[-1].startswith("over after ")
