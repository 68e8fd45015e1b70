import json
import math
import tomllib
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sim
from controller.assemble import build_loops
from controller.facts import ESTIMATES, LoopFacts, PlantFacts, facts_of
from controller.feeding import Exponential
from controller.plant import load_plant
from controller.recipe import (
    Recipe,
    RecipeError,
    RecipeOutput,
    RecipeRunner,
    State,
    check,
    load_recipe,
    parse_recipe,
)
from drivers.point import Quality, Sample, Tag, sample
from historian.events import Kind

HOUR = 3600.0
DEMO = Path(sim.__file__).parent / "recipes" / "ecoli.toml"
ECOLI = """
name = "ecoli"
organism = "ecoli"

[start]
loops = { temperature = "AUTO", do = "AUTO", agitation = "CASCADE", feed = "CASCADE" }
setpoints = { temperature = 37.0, ph = 7.0, do = 30.0, feed = 0.0 }

[[phase]]
name = "batch"
min_h = 3.0
max_h = 12.0
until = { estimate = "substrate_g_per_l", below = 0.5, for_s = 60 }

[[phase]]
name = "feed"
feeds.feed = { kind = "exponential", mu = 0.18, cap = 45.0, biomass_g_per_l = 5.0 }
until = { batch_h = 14.0 }

[[phase]]
name = "induce"
doses = [{ loop = "inducer", volume_l = 0.010, flow = 2.0 }]
induces = true
feeds.feed = { kind = "hold" }
until = { batch_h = 24.0 }

[[phase]]
name = "harvest"
setpoints = { feed = 0.0 }
"""
DO = Tag("R1.do", "%", -5, 200)
LOCAL = frozenset({"OFF", "MANUAL", "AUTO"})
FACTS = PlantFacts(
    "R1",
    "ecoli",
    loops={
        "temperature": LoopFacts("Cel", 20, 42, LOCAL),
        "ph": LoopFacts("[pH]", 5, 8.5, LOCAL),
        "do": LoopFacts("%", 10, 80, LOCAL | {"OPTIMISER"}),
        "agitation": LoopFacts("{r}/min", 300, 1000, LOCAL | {"CASCADE"}),
        "air": LoopFacts("L/min", 1, 6, LOCAL | {"CASCADE"}),
        "feed": LoopFacts("mL/h", 0, 150, LOCAL | {"CASCADE", "OPTIMISER"}, doses=True),
        "inducer": LoopFacts("mL/min", 0, 5, LOCAL, doses=True),
        "vitamin": LoopFacts("mL/h", 0, 300, LOCAL, doses=True),
    },
    tags={"R1.do": DO},
    measured={"do": "R1.do"},
    estimates=ESTIMATES,
    biomass_g_per_l=5.4,
    volume_l=3.0,
    feed_substrate_g_per_l=500.0,
)
NOTHING: dict[str, Sample] = {}


def recipe(*phases: Mapping[str, Any], start: Mapping[str, Any] | None = None) -> Recipe:
    named = [{"name": f"p{i}"} | dict(phase) for i, phase in enumerate(phases)]
    return parse_recipe(
        {"name": "test", "organism": "ecoli", "start": dict(start or {}), "phase": named}, "r.toml"
    )


def ecoli() -> Recipe:
    return parse_recipe(tomllib.loads(ECOLI), "ecoli.toml")


def do(value: float, quality: Quality = Quality.GOOD) -> dict[str, Sample]:
    return {"R1.do": sample(DO, 0.0, value, quality)}


class Batch:
    """Steps a runner once a second and keeps what it said."""

    def __init__(self, what: Recipe, facts: PlantFacts = FACTS) -> None:
        self.runner = RecipeRunner(what, facts)
        self.now = 0.0
        self.texts: list[str] = []
        self.given: dict[str, float] = {}  # by dosing loop, in its unit times s
        self.runner.start(0.0)
        self.out = self.step(0.0)

    def step(
        self,
        dt: float = 1.0,
        measured: Mapping[str, Sample] = NOTHING,
        estimates: Mapping[str, float] | None = None,
    ) -> RecipeOutput:
        self.now += dt
        self.out = self.runner.step(self.now, measured, estimates or {})
        self.texts += [event.text for event in self.out.events]
        return self.out

    def run(self, seconds: int, **seen: Any) -> RecipeOutput:
        for _ in range(seconds):
            for loop, flow in self.out.doses.items():
                self.given[loop] = self.given.get(loop, 0.0) + flow
            self.step(1.0, **seen)
        return self.out

    def restarted(self, after: float = 10.0) -> RecipeOutput:
        """Kill it and bring it back from its state; return what it says first."""
        state = json.loads(json.dumps(self.runner.as_state(), allow_nan=False))
        self.now += after
        self.runner = RecipeRunner.from_state(FACTS, state, self.now)
        return self.step(0.0)


# -- the file ----------------------------------------------------------------------------------


def test_the_demo_recipe_can_be_read() -> None:
    demo = load_recipe(DEMO)
    assert [phase.name for phase in demo.phase] == ["batch", "feed", "induce", "harvest"]
    assert demo.file == "ecoli.toml"


def test_the_demo_recipe_fits_the_demo_plant() -> None:
    plant = load_plant(DEMO.parents[1] / "plants" / "ecoli_5l.toml")
    facts = facts_of("R1", plant, build_loops("R1", plant))
    demo = load_recipe(DEMO)
    assert check(demo, facts) == []
    assert "feed" in demo.phase[1].feeds
    assert facts.loops["feed"].unit == "mL/h"
    assert "OPTIMISER" in facts.loops["do"].modes
    assert facts.measured["do"] == "R1.do"
    assert "R1.stirrer" not in facts.tags  # a recipe waits for measurements, not for actuators
    model = plant.settings.reactor["R1"].model
    assert model is not None
    assert facts.volume_l == model.volume_l
    assert facts.biomass_g_per_l > model.biomass_g_per_l


def test_a_recipe_that_fits_has_nothing_said_against_it() -> None:
    assert check(ecoli(), FACTS) == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("name = ", "r.toml: not valid TOML: Invalid value (at end of document)"),
        ('name = "x"', "r.toml: organism: missing; organism is required"),
        ('colour = "red"', "r.toml: colour: no such key; name, organism, start, phase are allowed"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path, text: str, line: str) -> None:
    file = tmp_path / "r.toml"
    file.write_text(text)
    with pytest.raises(RecipeError) as raised:
        load_recipe(file)
    assert line in raised.value.lines
    assert all(each.startswith("r.toml: ") for each in raised.value.lines)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"none\.toml: No such file or directory"):
        load_recipe(tmp_path / "none.toml")


def mutant(**changes: Any) -> dict[str, Any]:
    """Return the demo recipe with some keys changed: ``phase__1__feeds__feed__mu=5``."""
    table: dict[str, Any] = tomllib.loads(ECOLI)
    for path, value in changes.items():
        *parents, last = path.split("__")
        at: Any = table
        for part in parents:
            at = at[int(part)] if part.isdigit() else at.setdefault(part, {})
        if value is None:
            del at[last]
        else:
            at[last] = value
    return table


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"phase__1__feeds__feed__mu": 5},
            "phase.1.feeds.feed.mu: 5 is not allowed; mu (wanted growth rate",
        ),
        (
            {"phase__1__feeds__feed__mu": None},
            "phase.1.feeds.feed: mu is required with kind = exponential",
        ),
        ({"phase__1__feeds__feed__mu": math.nan}, "phase.1.feeds.feed.mu: nan is not allowed"),
        ({"phase__1__feeds__feed__kind": "pulse"}, "phase.1.feeds.feed.kind: pulse is not allowed"),
        ({"phase__1__feeds__feed__speed": 1}, "phase.1.feeds.feed.speed: no such key; kind, flow"),
        (
            {"phase__1__feeds__feed__biomass_g_per_l": None},
            "phase.1.feeds.feed: biomass_g_per_l (g/L) is required with start_from = recipe",
        ),
        (
            {"phase__2__feeds__feed__mu": 0.1},
            "phase.2.feeds.feed: mu does not go with kind = hold; no other key",
        ),
        ({"phase__0__max_h": -1}, "phase.0.max_h: -1 is not allowed; max_h (h; after it"),
        ({"phase__0__until__batch_h": 3}, "phase.0.until: exactly one of batch_h, phase_h"),
        ({"phase__0__until__above": 3}, "phase.0.until: estimate needs either above or below"),
        ({"phase__1__until__for_s": 3}, "phase.1.until: above, below and for_s do not go with"),
        ({"phase__1__until": {"any": []}}, "phase.1.until.any: list is not allowed; any (one is"),
        (
            {"phase__2__doses__0__volume_l": 0},
            "phase.2.doses.0.volume_l: 0 is not allowed; volume_l (L, > 0)",
        ),
        ({"start__loops__do": "LOUD"}, "start.loops.do: LOUD is not allowed"),
        ({"phase__0__max_h": 2}, "phase.0 (batch).max_h: 2 is not allowed; at least min_h, 3 h"),
        ({"phase__1__name": "batch"}, "phase.1 (batch).name: batch is not allowed; each phase"),
        ({"phase__1__until": None}, "phase.1 (feed).until: missing; only the last phase may"),
        (
            {"phase__2__until__batch_h": 9},
            "phase.2 (induce).until.batch_h: 9 is not allowed; later than 14 h",
        ),
        (
            {"phase__1__ramps": {"air": {"to": 3, "ramp_per_h": 1}}},
            "phase.1 (feed).ramps.air: no setpoint to ramp from; give one in start or before",
        ),
    ],
)
def test_a_mistake_in_the_recipe_is_named_in_one_line(changes: dict[str, Any], line: str) -> None:
    with pytest.raises(RecipeError) as raised:
        parse_recipe(mutant(**changes), "r.toml")
    assert any(each.startswith(f"r.toml: {line}") for each in raised.value.lines), (
        raised.value.lines
    )
    assert all("\n" not in each for each in raised.value.lines)


def test_all_mistakes_are_named_at_once() -> None:
    with pytest.raises(RecipeError) as raised:
        parse_recipe(
            mutant(phase__1__feeds__feed__mu=5, phase__2__doses__0__volume_l=0, name=""), "r.toml"
        )
    assert len(raised.value.lines) == 3


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"organism": "yeast"}, "organism: yeast is not allowed; R1 is modelled as ecoli"),
        (
            {"start__loops__foam": "AUTO"},
            "start.loops.foam: foam is not allowed; a loop of R1: temperature, ph, do",
        ),
        (
            {"start__loops__ph": "CASCADE"},
            "start.loops.ph: CASCADE is not allowed; AUTO, MANUAL, OFF",
        ),
        ({"start__setpoints__do": 90}, "start.setpoints.do: 90 is not allowed; 10 to 80 %"),
        (
            {"phase__1__feeds__feed__cap": 160},
            "phase.1 (feed).feeds.feed.cap: 160 is not allowed; 0 to 150 mL/h",
        ),
        (
            {"phase__2__feeds__feed": {"kind": "profile", "table": [[0, 10], [1, 200]]}},
            "phase.2 (induce).feeds.feed.table.1: 200 is not allowed; 0 to 150 mL/h",
        ),
        (
            {"phase__2__feeds__feed": {"kind": "constant", "flow": 151}},
            "phase.2 (induce).feeds.feed.flow: 151 is not allowed; 0 to 150 mL/h",
        ),
        (
            {"phase__1__setpoints": {"feed": 3}},
            "phase.1 (feed).feeds.feed: not allowed beside setpoints.feed; one of them",
        ),
        (
            {"phase__2__doses__0__loop": "do"},
            "phase.2 (induce).doses.0.loop: do in % does not dose; one of feed, inducer, vitamin",
        ),
        (
            {"phase__2__doses__0__loop": "foam"},
            "phase.2 (induce).doses.0.loop: foam is not allowed; a loop of R1: temperature",
        ),
        (
            {"phase__2__doses__0__flow": 6},
            "phase.2 (induce).doses.0.flow: 6 is not allowed; 0 to 5 mL/min",
        ),
        (
            {"phase__0__until__estimate": "sugar"},
            "phase.0 (batch).until.estimate: sugar is not allowed; acetate_g_per_l, biomass",
        ),
        (
            {"phase__1__until": {"any": [{"measured": "R1.foam", "above": 1}]}},
            "phase.1 (feed).until.any.0.measured: R1.foam is not allowed; R1.do, do",
        ),
        (
            {"phase__1__until": {"measured": "do", "above": 300}},
            "phase.1 (feed).until.above: 300 is not allowed; R1.do is -5 to 200 %",
        ),
        (
            {"phase__1__ramps": {"temperature": {"to": 50, "ramp_per_h": 1}}},
            "phase.1 (feed).ramps.temperature.to: 50 is not allowed; 20 to 42 Cel",
        ),
        (
            {"phase__1__ramps": {"feed": {"to": 50, "ramp_per_h": 1}}},
            "phase.1 (feed).ramps.feed: not allowed; a feed law (feeds) moves feed",
        ),
    ],
)
def test_what_does_not_fit_the_plant_is_named_in_one_line(
    changes: dict[str, Any], line: str
) -> None:
    found = check(parse_recipe(mutant(**changes), "r.toml"), FACTS)
    assert [each for each in found if each.startswith(f"r.toml: {line}")], found


def test_a_reactor_without_feed_or_model_says_so() -> None:
    bare = PlantFacts("R2", loops={"do": LoopFacts("%", 10, 80, LOCAL)})
    found = check(ecoli(), bare)
    assert "ecoli.toml: phase.1 (feed).feeds.feed: feed is not allowed; a loop of R2: do" in found
    assert any("R2 has no model to estimate" in line for line in found)


# -- the run -----------------------------------------------------------------------------------


def test_the_demo_recipe_runs_through_its_phases() -> None:
    batch = Batch(ecoli())
    assert batch.out.modes["agitation"] == "CASCADE"
    assert batch.out.setpoints == {"temperature": 37.0, "ph": 7.0, "do": 30.0}
    assert batch.out.feeds["feed"] == 0.0
    batch.run(3 * 3600 - 1, estimates={"substrate_g_per_l": 0.1})
    assert batch.runner.phase == "batch"  # min_h
    batch.run(1, estimates={"substrate_g_per_l": 0.1})
    assert (batch.runner.phase, batch.runner.phase_index) == ("feed", 1)
    assert batch.out.feeds["feed"] == pytest.approx(11.788, abs=1e-3)
    batch.run(3600)
    assert batch.out.feeds["feed"] == pytest.approx(11.788 * math.exp(0.18), abs=1e-3)
    batch.run(10 * 3600 - 1)
    assert (batch.runner.phase, batch.out.induced) == ("feed", False)
    assert batch.out.feeds["feed"] == 45.0
    batch.run(1)
    assert (batch.runner.phase, batch.out.induced) == ("induce", True)
    batch.run(3600)
    assert batch.given["inducer"] / 60.0 == pytest.approx(10.0)  # mL/min, once a second
    assert batch.out.feeds["feed"] == 45.0
    batch.run(9 * 3600)
    assert batch.runner.state is State.DONE
    assert batch.out.feeds["feed"] == 0.0
    assert batch.texts == [
        "recipe ecoli: phase batch (1 of 4) began",
        "recipe ecoli: phase feed (2 of 4) began",
        "recipe ecoli: phase induce (3 of 4) began",
        "recipe ecoli: 10 mL were given through inducer",
        "recipe ecoli: phase harvest (4 of 4) began",
        "recipe ecoli: done after 24.00 h",
    ]
    batch.run(10)
    assert batch.runner.age_h(batch.now) == pytest.approx(24.0)


def test_setpoints_and_modes_are_asked_for_once() -> None:
    batch = Batch(
        recipe(
            {"until": {"phase_h": 1}, "loops": {"do": "AUTO"}, "setpoints": {"do": 40.0}},
            {"until": {"phase_h": 1}, "setpoints": {"do": 20.0}},
            {},
            start={"setpoints": {"do": 30.0, "ph": 7.0}, "loops": {"ph": "AUTO"}},
        )
    )
    assert batch.out.setpoints == {"do": 40.0, "ph": 7.0}
    assert batch.out.modes == {"do": "AUTO", "ph": "AUTO"}
    for _ in range(3599):
        batch.step()
        assert (batch.out.setpoints, batch.out.modes) == ({}, {})
    assert batch.step().setpoints == {"do": 20.0}


def test_a_measured_condition_must_last_and_bad_readings_prove_nothing() -> None:
    until = {"measured": "do", "above": 60.0, "for_s": 10}
    batch = Batch(recipe({"until": until}, {}))
    batch.run(9, measured=do(70))
    batch.run(1, measured=do(60))
    batch.run(9, measured=do(70))
    batch.run(20, measured=do(70, Quality.BAD))
    batch.run(10, measured=do(70))
    batch.run(20)
    batch.run(10, measured=do(70))
    assert batch.runner.phase == "p0"
    batch.run(1, measured=do(70))
    assert batch.runner.phase == "p1"


@pytest.mark.parametrize("value", [math.nan, math.inf, None])
def test_an_estimate_that_is_not_known_ends_no_phase(value: float | None) -> None:
    batch = Batch(recipe({"until": {"estimate": "substrate_g_per_l", "below": 0.5}}, {}))
    batch.run(100, estimates={} if value is None else {"substrate_g_per_l": value})
    assert batch.runner.phase == "p0"
    batch.run(1, estimates={"substrate_g_per_l": 0.4})
    assert batch.runner.phase == "p1"


def test_any_needs_one_and_all_needs_each() -> None:
    lasting = {"measured": "R1.do", "above": 60.0, "for_s": 5}
    batch = Batch(
        recipe(
            {"until": {"any": [lasting, {"batch_h": 1}]}},
            {"until": {"all": [lasting, {"phase_h": 0.01}]}},
            {},
        )
    )
    batch.run(6, measured=do(70))
    assert batch.runner.phase == "p1"
    batch.run(34, measured=do(70))
    assert batch.runner.phase == "p1"
    batch.run(2, measured=do(70))
    assert batch.runner.state is State.DONE


def test_a_ramp_starts_where_the_recipe_had_the_setpoint_and_ends_at_its_target() -> None:
    batch = Batch(
        recipe(
            {"until": {"phase_h": 1}},
            {"ramps": {"temperature": {"to": 30.0, "ramp_per_h": 14.0}}, "until": {"phase_h": 2}},
            {},
            start={"setpoints": {"temperature": 37.0}},
        )
    )
    first = batch.run(3600).setpoints["temperature"]
    assert first == pytest.approx(37.0 - 14.0 / 3600)
    assert batch.run(899).setpoints["temperature"] == pytest.approx(33.5)
    assert batch.run(900).setpoints["temperature"] == pytest.approx(30.0)
    assert batch.run(2).setpoints == {}


def test_a_ramp_ends_when_somebody_else_takes_the_setpoint() -> None:
    ramps = {"temperature": {"to": 30.0, "ramp_per_h": 1.0}}
    batch = Batch(
        recipe(
            {"ramps": ramps, "until": {"phase_h": 2}}, {}, start={"setpoints": {"temperature": 37}}
        )
    )
    assert batch.run(1).setpoints
    batch.runner.release("temperature")
    assert batch.run(1).setpoints == {}


def test_a_phase_that_says_nothing_of_its_feed_goes_on_as_before() -> None:
    grow = {"kind": "exponential", "mu": 0.2, "cap": 100, "biomass_g_per_l": 5}
    batch = Batch(
        recipe(
            {"feeds": {"feed": grow}, "until": {"phase_h": 1}},
            {"until": {"phase_h": 1}},
            {"feeds": {"feed": {"kind": "hold"}}, "until": {"phase_h": 1}},
            {
                "feeds": {"feed": {"kind": "profile", "table": [[0, 10], [1, 20]]}},
                "until": {"phase_h": 1},
            },
            {"setpoints": {"feed": 3.0}, "until": {"phase_h": 1}},
            {"feeds": {"feed": {"kind": "constant", "flow": 7.0}}},
        )
    )
    begin = batch.out.feeds["feed"]
    assert batch.run(5400).feeds["feed"] == pytest.approx(begin * math.exp(0.3))
    held = batch.run(1800).feeds["feed"]
    assert held == pytest.approx(begin * math.exp(0.4))
    assert batch.run(3599).feeds["feed"] == held
    assert batch.run(1801).feeds["feed"] == pytest.approx(15.0)
    assert batch.run(1800).feeds["feed"] == 3.0
    assert batch.run(3600).feeds["feed"] == 7.0
    assert batch.runner.state is State.DONE


EXPONENTIAL = {"kind": "exponential", "mu": 0.1, "cap": 100.0}


def started(feed: Mapping[str, Any], estimates: Mapping[str, float]) -> float:
    runner = RecipeRunner(recipe({"feeds": {"feed": EXPONENTIAL | dict(feed)}}), FACTS)
    runner.start(0.0)
    return runner.step(0.0, NOTHING, estimates).feeds["feed"]


def by_hand(biomass: float, volume: float) -> float:
    return (0.1 / 0.51 + 0.04) * biomass * volume / 500.0 * 1000.0


def test_an_open_loop_recipe_does_not_look_at_the_estimate() -> None:
    estimates = {"biomass_g_per_l": 20.0, "volume_l": 4.0}
    assert started({"biomass_g_per_l": 6.0}, estimates) == pytest.approx(by_hand(6.0, 3.0))
    own = {"biomass_g_per_l": 6.0, "volume_l": 2.0}
    assert started(own, estimates) == pytest.approx(by_hand(6.0, 2.0))


def test_a_recipe_may_start_from_the_estimate() -> None:
    estimates = {"biomass_g_per_l": 20.0, "volume_l": 4.0}
    assert started({"start_from": "estimate"}, estimates) == pytest.approx(by_hand(20.0, 4.0))


@pytest.mark.parametrize("broken", [math.nan, math.inf, -1.0, 0.0, 1e9])
def test_without_a_usable_estimate_it_starts_from_what_is_usual(broken: float) -> None:
    estimates = {"biomass_g_per_l": broken, "volume_l": broken}
    assert started({"start_from": "estimate"}, estimates) == pytest.approx(by_hand(5.4, 3.0))
    usual = {"start_from": "estimate", "biomass_g_per_l": 7.0}
    assert started(usual, {}) == pytest.approx(by_hand(7.0, 3.0))


def test_what_a_feed_started_from_is_taken_once() -> None:
    batch = Batch(
        recipe(
            {"feeds": {"feed": EXPONENTIAL | {"start_from": "estimate"}}, "until": {"batch_h": 9}}
        )
    )
    first = batch.out.feeds["feed"]
    later = batch.run(3600, estimates={"biomass_g_per_l": 50.0, "volume_l": 9.0}).feeds["feed"]
    assert later == pytest.approx(first * math.exp(0.1))


# -- doses -------------------------------------------------------------------------------------


def dosing(ml: float, flow: float, loop: str = "inducer") -> Recipe:
    dose = {"loop": loop, "volume_l": ml / 1e3, "flow": flow}
    return recipe({"doses": [dose], "until": {"batch_h": 24}}, {})


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
    assert batch.runner.state is State.DONE
    assert batch.out.doses == {"inducer": 0.0}
    assert any(text.startswith("recipe test: 1.2 of 10 mL through") for text in batch.texts)


LARGE = PlantFacts(
    "R1",
    loops={
        "feed": LoopFacts("L/h", 0, 2000, LOCAL, doses=True),
        "oil": LoopFacts("L/h", 0, 500, LOCAL, doses=True),
        "harvest": LoopFacts("L/h", 0, 20e3, LOCAL, doses=True),
    },
)


def test_each_feed_goes_by_its_own_law_in_the_unit_of_its_loop() -> None:
    grow = EXPONENTIAL | {"biomass_g_per_l": 2.0, "volume_l": 50e3, "feed_substrate_g_per_l": 500.0}
    what = recipe(
        {
            "feeds": {
                "feed": grow,
                "oil": {"kind": "profile", "table": [[0.0, 10.0], [2.0, 30.0]]},
            },
            "until": {"phase_h": 1},
        },
        {"feeds": {"feed": {"kind": "hold"}}, "until": {"phase_h": 1}},
        {"setpoints": {"feed": 0.0, "oil": 0.0}},
    )
    assert check(what, LARGE) == []
    batch = Batch(what, LARGE)
    first = by_hand(2.0, 50e3) / 1000.0  # L/h
    assert batch.out.feeds == pytest.approx({"feed": first, "oil": 10.0})
    assert batch.run(3599).feeds["oil"] == pytest.approx(20.0, abs=0.01)
    assert batch.run(1800).feeds == pytest.approx(
        {"feed": first * math.exp(0.1), "oil": 25.0}, abs=0.01
    )
    assert batch.run(1801).feeds == {"feed": 0.0, "oil": 0.0}
    assert batch.runner.state is State.DONE


def test_without_a_model_a_recipe_says_what_its_feed_starts_from() -> None:
    what = recipe({"feeds": {"feed": EXPONENTIAL | {"biomass_g_per_l": 2.0}}})
    at = "r.toml: phase.0 (p0).feeds.feed"
    assert check(what, LARGE) == [
        f"{at}.volume_l: missing; volume_l (L) is required where the plant has no model",
        f"{at}.feed_substrate_g_per_l: missing; feed_substrate_g_per_l (g/L) is required where "
        "the plant has no model",
    ]


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


# -- hold, resume, abort -----------------------------------------------------------------------


def test_time_held_counts_for_the_batch_and_not_for_the_phase() -> None:
    batch = Batch(
        recipe(
            {"feeds": {"feed": EXPONENTIAL | {"biomass_g_per_l": 5.0}}, "until": {"phase_h": 1}}, {}
        )
    )
    before = batch.run(1800).feeds["feed"]
    batch.runner.hold(batch.now, "sampling")
    assert (batch.runner.state, batch.runner.message) == (State.HELD, "sampling")
    assert batch.run(3600).feeds["feed"] == before
    batch.runner.resume(batch.now)
    assert batch.runner.age_h(batch.now) == pytest.approx(1.5)
    assert batch.runner.phase_age_h(batch.now) == pytest.approx(0.5)
    batch.run(1799)
    assert batch.runner.state is State.RUNNING
    batch.run(1)
    assert batch.runner.state is State.DONE
    assert batch.texts[1:3] == [
        "recipe test: held in phase p0: sampling",
        "recipe test: resumed in phase p0",
    ]


def test_a_phase_ends_by_batch_age_even_after_a_hold() -> None:
    batch = Batch(recipe({"until": {"batch_h": 1}}, {}))
    batch.run(1800)
    batch.runner.hold(batch.now, "sampling")
    batch.run(3600)
    batch.runner.resume(batch.now)
    batch.run(1)
    assert batch.runner.state is State.DONE


def test_a_resumed_recipe_asks_again_for_its_setpoints_and_modes() -> None:
    start = {"setpoints": {"do": 30.0}, "loops": {"do": "AUTO", "feed": "CASCADE"}}
    batch = Batch(recipe({"until": {"phase_h": 1}}, {}, start=start))
    batch.run(10)
    batch.runner.hold(batch.now, "safe stop")
    assert batch.run(10).modes == {}
    batch.runner.resume(batch.now)
    assert batch.step().modes == {"do": "AUTO", "feed": "CASCADE"}
    assert batch.out.setpoints == {"do": 30.0}
    assert (batch.step().setpoints, batch.out.modes) == ({}, {})


def test_a_condition_that_lasted_before_a_hold_must_last_again() -> None:
    until = {"measured": "do", "above": 60.0, "for_s": 100}
    batch = Batch(recipe({"until": until}, {}))
    batch.run(90, measured=do(70))
    batch.runner.hold(batch.now, "sampling")
    batch.run(60, measured=do(70))
    batch.runner.resume(batch.now)
    batch.run(100, measured=do(70))
    assert batch.runner.phase == "p0"
    batch.run(1, measured=do(70))
    assert batch.runner.phase == "p1"


def test_a_phase_that_lasts_too_long_is_held_and_may_be_resumed() -> None:
    until = {"estimate": "substrate_g_per_l", "below": 0.5}
    batch = Batch(recipe({"until": until, "max_h": 1}, {}))
    batch.run(3600, estimates={"substrate_g_per_l": 3.0})
    assert batch.runner.state is State.HELD
    assert batch.runner.message == (
        "phase p0 has lasted 1 h, its max_h, and has not ended; resume it to let it go on, or abort"
    )
    assert batch.out.events[0].kind is Kind.ALARM
    batch.runner.resume(batch.now)
    batch.run(3600, estimates={"substrate_g_per_l": 3.0})
    assert batch.runner.state is State.RUNNING
    batch.run(1, estimates={"substrate_g_per_l": 0.3})
    assert batch.runner.state is State.DONE


def test_an_aborted_batch_neither_feeds_nor_doses() -> None:
    batch = Batch(
        recipe({"feeds": {"feed": {"kind": "constant", "flow": 20}}, "until": {"batch_h": 9}})
    )
    batch.run(10)
    batch.runner.abort(batch.now, "contaminated")
    assert batch.step().feeds["feed"] == 0.0
    assert (batch.runner.state, batch.runner.message) == (State.ABORTED, "contaminated")
    assert batch.texts[-1] == "recipe test: aborted in phase p0: contaminated"
    assert not batch.runner.feeding


def test_a_command_that_does_not_fit_the_state_is_refused_and_says_which_would() -> None:
    runner = RecipeRunner(recipe({"until": {"batch_h": 1}}), FACTS)
    assert runner.step(0.0, NOTHING, {}).feeds == {}
    with pytest.raises(ValueError, match=r"^R1: hold is not allowed while the recipe is IDLE; it"):
        runner.hold(0.0, "why not")
    with pytest.raises(ValueError, match="resume is not allowed"):
        runner.resume(0.0)
    with pytest.raises(ValueError, match="abort is not allowed"):
        runner.abort(0.0, "why not")
    runner.start(0.0)
    with pytest.raises(ValueError, match="it must be IDLE, ABORTED, DONE"):
        runner.start(0.0)


def test_a_finished_recipe_can_be_started_again() -> None:
    batch = Batch(recipe({"until": {"phase_h": 0.01}, "induces": True}, {}))
    batch.run(100)
    assert batch.runner.state is State.DONE
    assert batch.runner.induced
    batch.runner.start(batch.now)
    assert batch.runner.age_h(batch.now) == 0.0
    assert not batch.runner.induced
    assert batch.step().induced
    assert batch.runner.phase == "p0"


# -- what the optimiser asks -------------------------------------------------------------------


def test_the_plan_of_the_demo_recipe() -> None:
    batch = Batch(ecoli())
    assert (batch.runner.planned_end_h, batch.runner.planned_induction_h) == (24.0, 14.0)
    assert not batch.runner.feeding
    batch.run(4 * 3600, estimates={"substrate_g_per_l": 0.1})
    assert batch.runner.feeding
    profile = batch.runner.feed_profile(batch.now)
    times = [time for time, _ in profile]
    assert times[0] == batch.now
    assert times[-1] == pytest.approx(24 * HOUR)
    assert all(0 < b - a <= 300.1 for a, b in pairwise(times))
    law = Exponential(0.18, 5.0, 3.0, 45.0)
    for time, flow in profile:
        assert flow == pytest.approx(law.flow(min(time, 14 * HOUR) - 3 * HOUR), rel=1e-6)


def test_a_plan_of_phase_times_moves_with_a_hold() -> None:
    batch = Batch(recipe({"until": {"phase_h": 1}}, {"until": {"phase_h": 2}, "induces": True}, {}))
    batch.run(1800)
    assert (batch.runner.planned_end_h, batch.runner.planned_induction_h) == (3.0, 1.0)
    batch.runner.hold(batch.now, "sampling")
    batch.run(3600)
    batch.runner.resume(batch.now)
    batch.run(1)
    assert batch.runner.planned_end_h == pytest.approx(4.0)
    assert batch.runner.planned_induction_h == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("until", "hours"),
    [
        ({"any": [{"batch_h": 9}, {"phase_h": 7}, {"measured": "do", "above": 60}]}, 7.0),
        ({"all": [{"batch_h": 9}, {"phase_h": 7}, {"measured": "do", "above": 60}]}, 9.0),
        ({"any": [{"measured": "do", "above": 60}]}, None),
        ({"measured": "do", "above": 60}, None),
    ],
)
def test_the_planned_end_of_a_mixed_condition(until: dict[str, Any], hours: float | None) -> None:
    batch = Batch(recipe({"until": until}, {}))
    assert batch.runner.planned_end_h == hours
    end, _ = batch.runner.feed_profile(0.0)[-1]
    assert end == (24.0 if hours is None else hours) * HOUR


def test_induction_that_happened_is_where_it_happened() -> None:
    until = {"measured": "do", "above": 60.0}
    batch = Batch(recipe({"until": until}, {"induces": True, "until": {"batch_h": 9}}, {}))
    assert batch.runner.planned_induction_h is None
    batch.run(1799)
    batch.run(1, measured=do(70))
    assert batch.runner.planned_induction_h == pytest.approx(0.5)
    assert batch.out.induced


# -- restart -----------------------------------------------------------------------------------


def test_after_a_restart_it_is_held_where_it_was() -> None:
    batch = Batch(ecoli())
    batch.run(4 * 3600, estimates={"substrate_g_per_l": 0.1})
    before = batch.out.feeds["feed"]
    out = batch.restarted(30.0)
    runner = batch.runner
    assert (runner.state, runner.phase) == (State.HELD, "feed")
    assert out.feeds["feed"] == before
    assert out.events[0].kind is Kind.ALARM
    assert "the controller was restarted" in runner.message
    assert runner.phase_age_h(batch.now) == pytest.approx(1.0)
    assert runner.age_h(batch.now) == pytest.approx(4.0 + 30 / 3600)
    runner.resume(batch.now)
    resumed = batch.step()
    assert resumed.setpoints == {"temperature": 37.0, "ph": 7.0, "do": 30.0}
    assert resumed.feeds["feed"] == pytest.approx(before * math.exp(0.18 / 3600))
    batch.run(10 * 3600)
    assert batch.runner.phase == "induce"


def test_a_half_given_dose_is_not_continued_after_a_restart_but_told() -> None:
    batch = Batch(dosing(10.0, 2.0))
    batch.run(120)
    out = batch.restarted()
    assert out.doses == {"inducer": 0.0}
    assert batch.texts[-1] == (
        "recipe test: 4 of 10 mL through inducer were given; "
        "the rest is not given by itself after a restart"
    )
    batch.runner.resume(batch.now)
    assert batch.run(600).doses == {"inducer": 0.0}


def test_a_given_dose_is_not_replayed_after_a_restart() -> None:
    batch = Batch(dosing(10.0, 2.0))
    batch.run(400)
    batch.restarted()
    batch.runner.resume(batch.now)
    batch.run(600)
    assert batch.given["inducer"] / 60.0 == pytest.approx(10.0)


@pytest.mark.parametrize("end", ["DONE", "ABORTED", "HELD", "IDLE"])
def test_what_does_not_run_stays_what_it_is_over_a_restart(end: str) -> None:
    batch = Batch(recipe({"until": {"phase_h": 0.01}, "induces": True}, {}))
    batch.run(10)
    if end == "DONE":
        batch.run(100)
    elif end == "ABORTED":
        batch.runner.abort(batch.now, "foam")
    elif end == "HELD":
        batch.runner.hold(batch.now, "sampling")
    else:
        batch.runner = RecipeRunner(batch.runner.recipe, FACTS)
    message, age = batch.runner.message, batch.runner.age_h(batch.now)
    batch.step(0.0)
    assert batch.restarted(0.0).events == []
    assert (batch.runner.state, batch.runner.message) == (State(end), message)
    assert batch.runner.age_h(batch.now) == age


def test_a_ramp_goes_on_after_a_restart_once_it_is_resumed() -> None:
    ramps = {"temperature": {"to": 30.0, "ramp_per_h": 7.0}}
    batch = Batch(
        recipe(
            {"ramps": ramps, "until": {"phase_h": 2}}, {}, start={"setpoints": {"temperature": 37}}
        )
    )
    batch.run(1800)
    assert batch.restarted().setpoints == {}
    batch.runner.resume(batch.now)
    assert batch.step().setpoints["temperature"] == pytest.approx(33.5, abs=0.01)
    assert batch.run(1790).setpoints["temperature"] == pytest.approx(30.0, abs=0.02)
    assert batch.run(20).setpoints == {}


def test_a_restarted_runner_goes_on_exactly_as_one_that_was_held() -> None:
    grow = EXPONENTIAL | {"start_from": "estimate"}
    what = recipe(
        {"until": {"phase_h": 0.1}}, {"feeds": {"feed": grow}, "until": {"phase_h": 1}}, {}
    )
    one, other = Batch(what), Batch(what)
    for batch in (one, other):
        batch.run(1000, estimates={"biomass_g_per_l": 9.0, "volume_l": 2.5})
    one.runner.hold(one.now, "power dip")
    one.step(10.0)
    other.restarted(10.0)
    for batch in (one, other):
        batch.runner.resume(batch.now)
    for _ in range(100):
        assert one.step().feeds["feed"] == other.step().feeds["feed"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("started", None),
        ("index", 7),
        ("state", "ASLEEP"),
        ("feeds", {"feed": [{"kind": "magic"}, 0.0]}),
        ("doses", [["inducer"]]),
        ("doses", [["foam", 1.0, 0.5]]),
        ("due", [1.0, 2.0]),
        ("ramps", {"do": [1.0]}),
        ("recipe", {"name": "x"}),
        ("recipe", None),
    ],
)
def test_a_damaged_state_is_refused(key: str, value: Any) -> None:
    state = Batch(ecoli()).runner.as_state() | {key: value}
    with pytest.raises(ValueError, match=r"."):
        RecipeRunner.from_state(FACTS, state, 0.0)


def test_a_recipe_that_no_longer_fits_the_plant_is_refused_at_restart() -> None:
    state = Batch(ecoli()).runner.as_state()
    with pytest.raises(RecipeError, match="feed is not allowed; a loop of R2"):
        RecipeRunner.from_state(PlantFacts("R2"), state, 0.0)


# -- whatever happens --------------------------------------------------------------------------

SCRIPT = st.lists(
    st.tuples(
        st.sampled_from(["step", "step", "step", "hold", "resume", "abort", "restart", "start"]),
        st.floats(0.0, 4000.0),
        st.floats(allow_nan=True, allow_infinity=True),
    ),
    max_size=40,
)


@given(script=SCRIPT)
def test_whatever_happens_every_number_is_finite_and_in_range(
    script: list[tuple[str, float, float]],
) -> None:
    feed = EXPONENTIAL | {"start_from": "estimate", "mu": 1.5}
    what = recipe(
        {"until": {"estimate": "substrate_g_per_l", "below": 0.5}, "max_h": 3},
        {
            "feeds": {"feed": feed},
            "doses": [{"loop": "inducer", "volume_l": 30e-3, "flow": 1.0}],
            "ramps": {"do": {"to": 20.0, "ramp_per_h": 5.0}},
            "until": {"any": [{"phase_h": 5}, {"measured": "do", "above": 50, "for_s": 60}]},
        },
        {"setpoints": {"feed": 0.0}},
        start={"setpoints": {"do": 30.0}},
    )
    batch = Batch(what)
    for action, dt, value in script:
        try:
            if action == "restart":
                batch.restarted(dt)
            elif action == "hold":
                batch.runner.hold(batch.now, "so")
            elif action == "resume":
                batch.runner.resume(batch.now)
            elif action == "abort":
                batch.runner.abort(batch.now, "so")
            elif action == "start":
                batch.runner.start(batch.now)
        except ValueError as refused:
            assert "is not allowed while the recipe is" in str(refused)  # noqa: PT017
        out = batch.step(
            dt, do(value), {"substrate_g_per_l": value, "biomass_g_per_l": value, "volume_l": value}
        )
        assert 0.0 <= out.feeds["feed"] <= 100.0
        assert 0.0 <= out.doses["inducer"] <= 1.0
        assert all(20.0 <= setpoint <= 30.0 for setpoint in out.setpoints.values())
        assert batch.runner.age_h(batch.now) >= 0.0
        pairs = batch.runner.feed_profile(batch.now)
        assert all(0.0 <= feed <= 100.0 for _, feed in pairs)
