"""From shadow to the closed loop: evidence, advice that people decide on, guardrails, what-if."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from controller.acting.whatif import Wish, question, told
from controller.assemble import optimiser_settings
from controller.controller import Controller
from controller.loops.loops import Mode, RefusedError
from controller.planning.outlook import TANK, Band, Crossing, Foreseen, Outlook
from controller.planning.plan import Plan
from controller.planning.planning import InProcessPlanner
from drivers.point import RangeError
from historian.events import Event, Kind
from tests.loop.rig import QUICK, Oracle, Rig, plan

WHO = ("a test", "ana")
LIMITS = """
advice_every_s = 120.0
advice_hold_h = 0.2
promotion = { shadow_h = 0.05, advisory_h = 0.05, forecasts = 0, accepted = 0.5 }
"""
ADVISED = {k: v + LIMITS if k.startswith("period_s") else v for k, v in QUICK.items()}
GRANTED = "R1: the optimiser may go up to shadow, not to advisory; an engineer promotes it"


@pytest.fixture
def shadow(make: Callable[..., Rig], fed: Path) -> Rig:
    """Return a grown vessel whose optimiser has been in shadow for six minutes."""

    def planner(clock: Any) -> InProcessPlanner:
        return InProcessPlanner(settings, clock, latency_s=0.0)

    rig = make(ADVISED, planner=Oracle)  # for its plant
    settings = {  # one vessel under a plan: a third of the time
        name: replace(s, scenarios=1) for name, s in optimiser_settings(rig.plant).items()
    }
    rig = make(ADVISED, planner=planner)
    rig.vessel.set_state(X=8.0)
    rig.begin(fed, "shadow")
    rig.run(400)
    return rig


def optimiser(rig: Rig) -> dict[str, Any]:
    return rig.state()["reactors"]["R1"]["optimiser"]


def advised(rig: Rig) -> list[Event]:
    return [e for e in rig.journal.events if e.kind is Kind.ADVICE and "number" in e.data]


def accepted(rig: Rig) -> float:
    """Return what the accepted suggestion gives now, mL/h: it climbs from minute to minute."""
    seat = rig.controller.reactors["R1"].seat
    assert seat is not None
    assert seat.advisor.advice.accepted is not None
    return seat.advisor.advice.accepted.plan.at(rig.clock.now())


def promoted(rig: Rig) -> Controller:
    controller = rig.controller
    controller.promote("R1", "advisory", *WHO, override=False)
    controller.optimiser("R1", "advisory", *WHO)
    rig.run(320)
    assert optimiser(rig)["advice"]["open"] is not None
    return controller


def test_shadow_logs_what_it_would_do_and_moves_nothing(shadow: Rig) -> None:
    event = advised(shadow)[0]
    assert event.data["advice"] == "shadow"
    low, middle, high = cast("tuple[float, float, float]", event.data["gain_g"])
    assert low < middle < high
    assert event.data["binding"] in ("oxygen transfer", "substrate")
    assert str(event.data["why"]).startswith("the vessel takes more feed before")
    assert "补料" in str(event.data["text_zh"])
    evidence = optimiser(shadow)["evidence"]
    assert evidence["hours"]["shadow"] > 0.05
    assert evidence["fed_more_ml"] > 0.05
    assert (shadow.held()["R1.feed"], optimiser(shadow)["advice"]["open"]) == (20, None)


def test_a_promotion_needs_evidence_or_an_override_with_a_reason(shadow: Rig) -> None:
    controller = shadow.controller
    with pytest.raises(RefusedError, match=GRANTED):
        controller.optimiser("R1", "advisory", *WHO)
    with pytest.raises(RefusedError, match=r"not promoted to on; in advisory for 0\.0 h of 0\.1 h"):
        controller.promote("R1", "on", *WHO, override=False)
    with pytest.raises(RefusedError, match="an override of the evidence needs a reason"):
        controller.promote("R1", "on", "", "ana", override=True)
    controller.promote("R1", "on", "acceptance test", "ana", override=True)
    audited = shadow.journal.events[-1]
    assert (audited.source, audited.data["old"], audited.data["new"]) == (
        "operator:ana",
        "shadow",
        "on",
    )
    assert audited.data["overridden"]
    assert audited.data["evidence"] == optimiser(shadow)["evidence"]
    controller.optimiser("R1", "on", *WHO)
    controller.promote("R1", "shadow", "lab says no", "ana", override=False)  # withdrawn
    assert (optimiser(shadow)["mode"], optimiser(shadow)["granted"]) == ("shadow", "shadow")


def test_what_is_accepted_leads_for_its_time_and_then_the_recipe_does(shadow: Rig) -> None:
    controller = promoted(shadow)
    waits = optimiser(shadow)["advice"]["open"]
    assert shadow.held()["R1.feed"] == 20
    said = controller.advise("R1", "accept", waits["number"], None, None, "", "bo")
    assert said == f"suggestion {waits['number']} accepted"
    shadow.run(60)
    assert shadow.loop("feed").actual is Mode.OPTIMISER
    _, first, then = waits["feed_ml_per_h"]
    assert first < accepted(shadow) < then
    assert shadow.held()["R1.feed"] == pytest.approx(accepted(shadow), rel=0.02)
    event = next(e for e in reversed(shadow.journal.events) if "decision" in e.data)
    assert (event.kind, event.source, event.data["decision"]) == (
        Kind.AUDIT,
        "operator:bo",
        "accepted",
    )
    shadow.run(700)  # 0.2 h are over
    assert shadow.loop("feed").target is Mode.CASCADE
    assert shadow.held()["R1.feed"] < 22
    decisions = [d["decision"] for d in optimiser(shadow)["advice"]["decisions"]]
    assert {"accepted", "lapsed"} <= set(decisions)
    assert optimiser(shadow)["evidence"]["decided"] == {"accepted": 1}


def test_an_edit_scales_the_plan_and_a_rejection_says_why(shadow: Rig) -> None:
    controller = promoted(shadow)
    with pytest.raises(RefusedError, match="a reason is required to edit or reject"):
        controller.advise("R1", "reject", 0, None, None, "", "bo")
    with pytest.raises(RefusedError, match="look again"):
        controller.advise("R1", "accept", 999, None, None, "", "bo")
    with pytest.raises(RangeError, match="setpoint 500 is outside 0 to 150"):
        controller.advise("R1", "edit", 0, 500.0, None, "more", "bo")
    with pytest.raises(RefusedError, match="give another feed or DO"):
        controller.advise("R1", "edit", 0, None, None, "more", "bo")
    controller.advise("R1", "edit", 0, 15.0, 33.0, "the pump is new", "bo")
    shadow.run(30)
    assert optimiser(shadow)["advice"]["accepted"]["feed_ml_per_h"][1] == 15.0
    assert shadow.held()["R1.feed"] == pytest.approx(accepted(shadow), abs=0.5)
    assert accepted(shadow) == pytest.approx(15.0, abs=3.0)
    assert shadow.loop("do").setpoint == 33.0
    shadow.run(180)
    held = shadow.held()["R1.feed"]
    controller.advise("R1", "reject", 0, None, None, "foam", "bo")
    last = optimiser(shadow)["advice"]["decisions"][-1]
    assert (last["decision"], last["reason"], last["who"]) == ("rejected", "foam", "bo")
    with pytest.raises(LookupError, match="no suggestion waits"):
        controller.advise("R1", "accept", 0, None, None, "", "bo")
    shadow.run(5)
    assert shadow.held()["R1.feed"] == pytest.approx(held, abs=1.0)  # what was accepted goes on


def test_a_hand_on_the_feed_is_above_advice_and_a_lost_gas_ends_it(shadow: Rig) -> None:
    controller = promoted(shadow)
    controller.set_mode("R1.feed", "MANUAL", *WHO)
    with pytest.raises(RefusedError, match=r"R1\.feed: is in MANUAL"):
        controller.advise("R1", "accept", 0, None, None, "", "bo")
    controller.set_mode("R1.feed", "CASCADE", *WHO)
    controller.advise("R1", "accept", 0, None, None, "", "bo")
    shadow.run(10)
    shadow.wires["R1-gas"].answering = False
    shadow.run(140)  # two periods after it has shed
    assert shadow.loop("feed").target is Mode.CASCADE
    assert optimiser(shadow)["advice"]["decisions"][-1]["decision"] == "lapsed"


def test_a_restart_keeps_evidence_decisions_and_what_was_granted_but_not_the_lead(
    make: Callable[..., Rig], shadow: Rig
) -> None:
    controller = promoted(shadow)
    controller.advise("R1", "accept", 0, None, None, "", "bo")
    shadow.run(5)
    before = optimiser(shadow)
    shadow.die(5)
    again = make(ADVISED, planner=Oracle, vessels_of=shadow).connect()
    assert again.controller.restore()
    again.run(1)
    after = optimiser(again)
    assert (after["mode"], after["granted"]) == ("shadow", "advisory")
    assert after["evidence"]["hours"] == before["evidence"]["hours"]
    assert [d["decision"] for d in after["advice"]["decisions"]][-1] == "accepted"
    assert after["advice"]["accepted"] is None
    again.controller.recipe("R1", "resume", "", *WHO)
    again.controller.optimiser("R1", "advisory", *WHO)  # granted: no engineer is needed
    again.shelf.texts = {
        k: v.replace('"stamp": "', '"stamp": "x') for k, v in again.shelf.texts.items()
    }
    other = make(ADVISED, planner=Oracle, vessels_of=again).connect()
    assert other.controller.restore()
    assert optimiser(other)["granted"] == "shadow"  # another model: nothing was shown
    assert optimiser(other)["evidence"]["plans"] == 0


def led(make: Callable[..., Rig], fed: Path, guardrail: str) -> Rig:
    """Return a grown vessel led for five minutes by a plan that feeds 90 mL/h."""
    changes = {
        k: v + f"\nguardrail = {{ {guardrail} }}" if k.startswith("period_s") else v
        for k, v in QUICK.items()
    }
    rig = make(changes, planner=Oracle)
    assert isinstance(rig.planner, Oracle)
    rig.planner.answer = lambda s: plan(s.now, feed=90.0)
    rig.vessel.set_state(X=8.0)
    rig.begin(fed, "on")
    rig.run(300)
    return rig


def test_the_closed_loop_goes_less_far_from_the_recipe_the_less_is_known(
    make: Callable[..., Rig], fed: Path
) -> None:
    rig = led(make, fed, "feed_ml_per_h = 15.0, sure = 0.3")
    open_ = {"share": 1.0, "reason": "", "reason_zh": "", "region": None}
    assert optimiser(rig)["guardrail"] == open_
    assert rig.held()["R1.feed"] == 35.0  # the recipe's 20 and 15; oxygen follows that
    probe = rig.controller.reactors["R1"].seat
    assert probe is not None
    probe.advisor.guardrail.judge(rig.clock.now(), None, "")
    rig.run(40)
    assert 20.0 <= rig.held()["R1.feed"] < 25.0  # closed at once, opens within half an hour
    assert optimiser(rig)["guardrail"]["reason"] == "opening again slowly"
    rig.run(1900)
    assert rig.loop("feed").setpoint == 35.0  # what the pump gives of it, oxygen says


REGION = """
reactor = "R1"
width = 0.15
why = ["starts at 10 %", "B2: what was promised came true; 15 %"]
hours = [0.0, 4.0]
[provenance]
batches = ["B1"]
held_out = ["B2"]
plant = "plant.toml"
date = "2026-01-01T00:00:00Z"
software = "fermloop 0.1.0"
[loop.feed]
unit = "mL/h"
low = [15.0, 15.0]
high = [35.0, 35.0]
[loop.do]
unit = "%"
low = [25.0, 25.0]
high = [40.0, 40.0]
"""


def test_the_closed_loop_stays_near_what_batches_have_tried(
    make: Callable[..., Rig], fed: Path, tmp_path: Path
) -> None:
    (tmp_path / "region.toml").write_text(REGION, encoding="utf-8")
    rig = led(make, fed, 'region = "region.toml", sure = 0.3')
    assert rig.held()["R1.feed"] == 35.0  # the recipe's 20, the plan's 90
    assert optimiser(rig)["guardrail"]["region"] == {"width": 0.15, "at_edge": ["feed"]}
    assert isinstance(rig.planner, Oracle)
    rig.planner.answer = lambda s: plan(s.now, feed=30.0)
    rig.run(300)
    assert rig.held()["R1.feed"] == 30.0
    assert optimiser(rig)["guardrail"]["region"]["at_edge"] == []


def test_the_region_holds_nothing_where_no_plan_leads(
    make: Callable[..., Rig], fed: Path, tmp_path: Path
) -> None:
    (tmp_path / "region.toml").write_text(REGION, encoding="utf-8")
    rig = led(make, fed, 'region = "region.toml", sure = 0.3')
    assert optimiser(rig)["guardrail"]["region"]["at_edge"] == ["feed"]
    assert isinstance(rig.planner, Oracle)
    rig.planner.answer = lambda s: Plan("infeasible", s.now, reason="a test")
    rig.run(1200)
    assert rig.held()["R1.feed"] == 20.0  # the recipe's
    assert optimiser(rig)["guardrail"]["region"]["at_edge"] == []


def test_the_recipe_is_always_inside_what_may_be_tried(
    make: Callable[..., Rig], fed: Path, tmp_path: Path
) -> None:
    low = REGION.replace("high = [35.0, 35.0]", "high = [16.0, 16.0]")
    (tmp_path / "region.toml").write_text(low, encoding="utf-8")
    rig = led(make, fed, 'region = "region.toml", sure = 0.3')
    assert rig.held()["R1.feed"] == 20.0  # the recipe's


def test_a_what_if_shows_what_would_come_and_changes_nothing(shadow: Rig) -> None:
    before = shadow.held()
    answer = shadow.do(shadow.controller.what_if("R1", Wish(feed=90.0, hours=2.0)))
    assert shadow.held() == before
    assert answer["hours"][-1] == pytest.approx(2.0)
    limits = [row["limit"] for row in answer["changed"]["limits"]]
    assert limits == ["substrate", "acetate", "oxygen transfer"]  # it has pure oxygen
    assert answer["present"]["limits"] == []
    assert answer["changed"]["product_g"][1] > 0
    assert "substrate is exceeded after" in answer["text"]
    assert "残糖" in answer["text_zh"]
    more = shadow.do(shadow.controller.what_if("R1", Wish(feed_percent=120.0)))
    assert more["hours"][-1] == pytest.approx(5.9, abs=0.2)  # to the planned end
    assert more["gain_g"][1] > 0
    all_of_it = shadow.do(shadow.controller.what_if("R1", Wish(feed=35.0, hours=60.0)))
    assert [row["limit"] for row in all_of_it["changed"]["limits"]] == ["volume", "feed tank"]


def test_a_what_if_says_when_the_tank_will_be_empty(shadow: Rig) -> None:
    reactor, wish = shadow.controller.reactors["R1"], Wish(feed=35.0)
    asked = question(reactor, wish)
    bands = {"product_g": Band((1.0,), (2.0,), (3.0,))}
    empty = Crossing(TANK, asked.start + 9000.0, asked.start + 9000.0)
    none, soon = (Foreseen(bands, found, (0.0, 0.0, 0.0)) for found in ((), (empty,)))
    answer = told(reactor, wish, asked, Outlook("good", asked.start, courses=(none, soon)))
    assert answer["text"].endswith("the feed tank is empty after 2.5 h")
    assert answer["text_zh"].endswith("2.5 小时后补料罐用空")
    for wish, why in (
        (Wish(), "say what would be changed"),
        (Wish(feed=1.0, feed_percent=50.0), "not allowed together"),
        (Wish(feed=500.0), "feed: 500 is outside 0 to 150"),
        (Wish(temperature=80.0), "temperature: 80 is outside"),
        (Wish(do=30.0, hours=1e4), "hours: 10000 is outside 0.1 to 168 h"),
    ):
        with pytest.raises((RefusedError, RangeError), match=why):
            shadow.do(shadow.controller.what_if("R1", wish))


def test_without_a_batch_there_is_nothing_to_run_ahead(make: Callable[..., Rig]) -> None:
    rig = make(QUICK, planner=Oracle).connect()
    with pytest.raises(RefusedError, match="nothing to run ahead: no batch is under way"):
        rig.do(rig.controller.what_if("R1", Wish(feed=20.0)))
