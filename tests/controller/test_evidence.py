"""What the optimiser has to show before it goes up, and how far it may go then."""

import json
import math
from dataclasses import replace

import pytest

from controller.planning.evidence import Evidence, Now
from controller.planning.guardrail import OPENS_S, Guardrail
from controller.planning.outlook import QUANTITIES, Band, Foreseen, Outlook
from controller.plant_file.promotion_settings import GuardrailSettings, PromotionSettings
from controller.sensing.estimate import Estimate
from tests.controller.economies import NOW as START
from tests.controller.economies import believed

LIMITS = PromotionSettings.model_validate({"shadow_h": 1.0, "forecasts": 2, "coverage": 0.6})


def at(seconds: float, estimate: Estimate | None = None, *, good: bool = True) -> Now:
    time = START + seconds
    known = replace(estimate or believed(), time=time, our_mmol_per_l_h=20.0)
    return Now(time, 1.0, known, 18.0, 31.0, None, good, 30.0, lambda: None)


def outlook(biomass: float, half: float) -> Outlook:
    flat = dict.fromkeys(QUANTITIES, Band((19.0, 19.0), (20.0, 20.0), (21.0, 21.0)))
    ends = [8.0, biomass]
    bands = [[x + sign * half for x in ends] for sign in (-1, 0, 1)]
    flat["biomass_g_per_l"] = Band(*(tuple(b) for b in bands))
    return Outlook("good", START, (START, START + 3600.0), (Foreseen(flat, (), (0, 0, 0)),))


def hours(evidence: Evidence, until: float) -> None:
    """Let time pass, minute by minute, from the first."""
    for k in range(round(until * 60) + 1):
        evidence.note(at(60.0 * k))
        evidence.lived("shadow", 60.0, 2.0)
        evidence.judged(good=True)


def test_after_an_hour_what_was_believed_is_run_ahead_under_what_was_done() -> None:
    evidence = Evidence(LIMITS, "model")
    hours(evidence, 0.9)
    assert evidence.due(at(3240.0)) is None
    hours(evidence, 1.0)
    due = evidence.due(at(3660.0))
    assert due is not None
    estimate, question = due
    assert (estimate.time, question.start, question.end) == (START, START, START + 3660.0)
    assert set(v for _, v in question.courses[0].feed_ml_per_h) == {18.0}
    assert set(v for _, v in question.courses[0].do_percent) == {31.0}
    assert evidence.due(at(3661.0)) is None


def test_an_hour_with_a_gap_in_it_is_no_test_of_the_model() -> None:
    evidence = Evidence(LIMITS, "model")
    hours(evidence, 0.5)
    evidence.note(at(1900.0, good=False))
    assert evidence.due(at(3600.0)) is None


def test_what_came_is_compared_and_a_late_result_with_when_its_broth_was_taken() -> None:
    evidence = Evidence(LIMITS, "model")
    evidence.came(outlook(8.1, 0.5), at(3600.0))
    evidence.came(outlook(9.5, 0.5), at(3600.0))
    assert (evidence.forecasts, evidence.coverage) == (4, 0.75)
    shown = evidence.as_json()["scores"]["biomass_g_per_l"]
    assert (shown["count"], shown["inside"]) == (2, 1)
    evidence.assayed("dry_weight", START + 1800.0, 8.0, cv=0.02)
    evidence.assayed("dry_weight", START + 9000.0, 8.0, cv=0.02)  # no forecast of then
    evidence.assayed("od", START + 1800.0, 8.0, cv=0.02)  # nothing foreseen of it
    assert evidence.scores["lab dry_weight"].count == 1


def test_what_is_lacking_is_told_with_what_there_is_and_what_is_required() -> None:
    evidence = Evidence(LIMITS, "model")
    assert evidence.lacking("shadow") == []
    assert evidence.lacking("advisory") == [
        "in shadow for 0.0 h of 1.0 h",
        "0 of 2 forecasts compared",
        "– of what came was inside the 90 % interval, 60 % is required",
    ]
    hours(evidence, 1.0)
    evidence.came(outlook(8.1, 0.5), at(3600.0))
    assert evidence.lacking("advisory") == []
    assert evidence.fed_more_ml == pytest.approx(2.0 * 61 / 60)
    assert [line.told("zh") for line in evidence.lacking("on")] == [
        "建议模式运行 0.0 h，要求 12.0 h",
        "建议采纳率 –，要求 50 %",
    ]
    for _ in range(20):
        evidence.judged(good=False)
    assert evidence.lacking("advisory")[0].startswith("25 % of its plans were refused")


def test_it_survives_a_restart_and_damage_is_refused_whole() -> None:
    evidence = Evidence(LIMITS, "model")
    hours(evidence, 1.0)
    evidence.came(outlook(8.1, 0.5), at(3600.0))
    evidence.decide("accepted")
    state = json.loads(json.dumps(evidence.as_state()))
    again = Evidence(LIMITS, "model")
    assert again.restore(state)()
    assert again.as_json() == evidence.as_json()
    for key in state:
        with pytest.raises((KeyError, TypeError, ValueError)):
            again.restore({k: v for k, v in state.items() if k != key})
    assert again.as_json() == evidence.as_json()


def test_the_guardrail_closes_at_once_with_what_is_known_and_opens_slowly() -> None:
    rail = Guardrail(GuardrailSettings.model_validate({}))
    rail.judge(START, believed(0.05), "")
    assert (rail.share, rail.reason) == (1.0, "")
    assert rail.confine(20.0, 90.0, 40.0) == 60.0
    assert rail.confine(20.0, 5.0, 40.0) == 5.0
    rail.judge(START + 1.0, believed(0.275), "")
    assert rail.share == pytest.approx(0.5)
    assert rail.reason == "biomass is known to ± 28 % only"
    rail.judge(START + 2.0, believed(0.05), "R1.do")
    assert rail.share == 0.5
    rail.judge(START + 2.0 + OPENS_S / 4, believed(0.05), "")
    assert rail.share == pytest.approx(0.75)
    assert rail.reason == "opening again slowly"
    rail.judge(START + 2.0 + OPENS_S / 4, None, "")
    assert rail.confine(20.0, 90.0, 40.0) == 20.0
    rail.reset()
    rail.judge(START, believed(0.05), "")
    assert math.isclose(rail.share, 1.0)
