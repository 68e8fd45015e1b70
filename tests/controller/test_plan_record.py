"""What a plan foresees is told once, under the names and in the units of what is stored."""

import math
from types import SimpleNamespace
from typing import Any, cast

import pytest

from controller.loops.loops import Loop
from controller.planning.plan import SETPOINTS, Plan
from controller.planning.plan_record import GRID_S, PlanRecord
from controller.sensing.innovation_tags import InnovationTags
from controller.sensing.sensing import Sensing
from historian.events import Event, Kind

FEED, DO = SETPOINTS
NOW = 1_790_000_100.0
TIMES = tuple(NOW + 3600.0 * h for h in (0.0, 1.0, 20.0))
PLAN = Plan(
    "good",
    NOW,
    TIMES,
    ((1000.0, 30.0), (2000.0, 30.0), (2000.0, 30.0)),
    {
        "biomass_g_per_l": (10.0, 20.0, 20.0),
        "product_g": (2.0, 4.0, 4.0),
        "volume_l": (2.0, 2.0, 2.0),
        "our_mmol_per_l_h": (50.0, 100.0, 100.0),
        "nobody_knows": (0.0, 0.0, 0.0),
    },
    objective=3.25,
    spread={"biomass_g_per_l": (1.0, 2.0, 2.0)},
)


def loop(name: str, unit: str) -> Loop:
    return cast(Loop, SimpleNamespace(name=name, unit=unit))


@pytest.fixture
def told() -> list[Event]:
    return []


@pytest.fixture
def record(told: list[Event]) -> PlanRecord:
    seats = {FEED: loop("R1.feed", "L/h"), DO: loop("R1.do", "%")}
    return PlanRecord("R1", seats, "ecoli", told.append)


def test_a_plan_is_told_once_on_a_grid_that_all_plans_share(
    record: PlanRecord, told: list[Event]
) -> None:
    record.look(NOW, PLAN)
    record.look(NOW + 1, PLAN)
    (event,) = told
    assert event.kind is Kind.PLAN
    assert event.subject == "R1"
    data = cast(dict[str, Any], event.data)
    times = data["times"]
    assert all(t % GRID_S == 0 for t in times)
    assert NOW <= times[0] < NOW + GRID_S
    assert times[-1] <= NOW + 12 * 3600.0 < times[-1] + GRID_S
    assert {len(row) for row in data["foreseen"].values()} == {len(times)}


def test_names_and_units_are_those_of_the_stored_tags(
    record: PlanRecord, told: list[Event]
) -> None:
    record.look(NOW, PLAN)
    data = cast(dict[str, Any], told[0].data)
    foreseen, times = data["foreseen"], data["times"]
    assert foreseen.keys() == {
        *("feed.sp", "do.sp", "est.biomass", "est.biomass_low", "est.biomass_high"),
        *("est.product", "est.volume", "our"),
    }
    share = (times[2] - NOW) / 3600.0
    assert foreseen["feed.sp"][2] == pytest.approx(1.0 + share, rel=1e-5)  # L/h, not mL/h
    assert foreseen["est.biomass"][2] == pytest.approx(10.0 + 10.0 * share, rel=1e-5)
    assert foreseen["est.biomass_high"][-1] == 22.0
    assert foreseen["est.product"][-1] == 2.0  # g/L of 4 g in 2 L


def test_nothing_is_told_of_a_plan_that_is_none(record: PlanRecord, told: list[Event]) -> None:
    record.look(NOW, Plan("infeasible", NOW, reason="no"))
    record.look(NOW, None)
    record.look(NOW + 40 * 3600.0, PLAN)  # it is over
    assert told == []


def test_innovations_are_stored_once_an_update() -> None:
    tags = InnovationTags("R1")
    sensing = SimpleNamespace(estimate=None, innovations={"do": 0.5, "weight": -1.0})
    asked = cast(Sensing, sensing)
    assert tags.samples(NOW, asked) == []
    sensing.estimate = object()
    found = {s.tag.name: s.value for s in tags.samples(NOW, asked)}
    assert found == {"R1.innovation.do": 0.5, "R1.innovation.weight": -1.0}
    assert tags.samples(NOW + 1, asked) == []
    assert all(math.isfinite(v) for v in found.values())
