"""Recipes for the tests, and a runner that goes through them a second at a time."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sim
from controller.recipes.facts import LoopFacts, PlantFacts
from controller.recipes.file import Recipe, parse_recipe
from controller.recipes.recipe import RecipeOutput, RecipeRunner
from controller.sensing.estimate import reported
from drivers.point import Quality, Sample, Tag, sample

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
TEMPERATURE = Tag("R1.temperature", "Cel", 0, 150)
WEIGHT = Tag("R1.weight", "kg", 0, 500)
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
        "feed": LoopFacts(
            "mL/h", 0, 150, LOCAL | {"CASCADE", "OPTIMISER"}, doses=True, falls_back=True
        ),
        "inducer": LoopFacts("mL/min", 0, 5, LOCAL, doses=True),
        "vitamin": LoopFacts("mL/h", 0, 300, LOCAL, doses=True),
    },
    tags={"R1.do": DO, "R1.temperature": TEMPERATURE, "R1.weight": WEIGHT},
    measured={"do": "R1.do", "temperature": "R1.temperature", "weight": "R1.weight"},
    estimates=frozenset(reported("ecoli")),
    biomass_g_per_l=5.4,
    volume_l=3.0,
    feed_substrate_g_per_l=500.0,
)
LARGE = PlantFacts(
    "R1",
    loops={
        "feed": LoopFacts("L/h", 0, 2000, LOCAL, doses=True),
        "oil": LoopFacts("L/h", 0, 500, LOCAL, doses=True),
        "harvest": LoopFacts("L/h", 0, 20e3, LOCAL, doses=True),
    },
)
EXPONENTIAL = {"kind": "exponential", "mu": 0.1, "cap": 100.0}
NOTHING: dict[str, Sample] = {}


def recipe(*phases: Mapping[str, Any], start: Mapping[str, Any] | None = None) -> Recipe:
    named = [{"name": f"p{i}"} | dict(phase) for i, phase in enumerate(phases)]
    return parse_recipe(
        {"name": "test", "organism": "ecoli", "start": dict(start or {}), "phase": named}, "r.toml"
    )


def ecoli() -> Recipe:
    return parse_recipe(tomllib.loads(ECOLI), "ecoli.toml")


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


def dosing(ml: float, flow: float, loop: str = "inducer") -> Recipe:
    dose = {"loop": loop, "volume_l": ml / 1e3, "flow": flow}
    return recipe({"doses": [dose], "until": {"batch_h": 24}}, {})


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
