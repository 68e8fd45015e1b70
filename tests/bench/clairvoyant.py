"""The most that anybody could have made: the plant's own equations and parameters, no doubt."""

import dataclasses
from pathlib import Path

from controller.planning.economic.belief import Belief
from controller.planning.economic.formulation import economic_settings
from controller.planning.economic.optimiser import Economic
from controller.planning.economic.problem import TOGETHER
from controller.planning.plan import Plan, Situation
from controller.plant import Plant
from sim.vessel import Vessel
from tests.loop.rig import Oracle, Rig

STARTS = (1.0, 0.7, 1.3, 1.6, 2.0)  # times the recipe's feed: solvers report local optima
WAIT_H = 20.0  # longest until the recipe feeds
STAGES = 40
ASKED_S = 60  # between two looks whether it does


def asked(plant: Plant, recipe: Path, seed: int) -> tuple[Vessel, Situation, float]:
    """Run the recipe until it feeds; return vessel, what an optimiser is asked, and feed, kg."""
    with Rig(plant, seed=seed, planner=Oracle) as rig:
        oracle = rig.planner
        assert isinstance(oracle, Oracle)
        rig.begin(recipe, "shadow")
        latest = rig.clock.now() + WAIT_H * 3600.0
        while not oracle.asked:
            if rig.clock.now() > latest:
                raise ValueError(f"{recipe}: does not feed within {WAIT_H:g} h")
            rig.run(ASKED_S)
        weighed = plant.settings.reactor["R1"].measured["feed_weight"]
        return rig.vessel, oracle.asked[-1], rig.samples[weighed].value


def best_product(plant: Plant, recipe: Path, seed: int) -> float:
    """Return the product of the best plan, g.

    Args:
        plant: with what is simulated behind it.
        recipe: its file; the plan begins where it begins to feed.
        seed: draws the vessel.
    """
    vessel, situation, left_kg = asked(plant, recipe, seed)
    ours = economic_settings("R1", plant)
    own = Economic(dataclasses.replace(ours, organism=vessel.about["organism"], learned=()))
    defaults = own.problem.defaults
    factors = {
        name: vessel.parameters[name] / usual
        for name, usual in defaults.items()
        if usual and name in vessel.parameters
    }
    settings = dataclasses.replace(
        ours,
        organism=vessel.about["organism"],
        learned=tuple(factors),
        derated={},
        scenarios=1,
        stages=STAGES,
        oxygen_share=1.0,
        cooling_share=1.0,
        flooding_share=1.0,
        volume_share=1.0,
    )
    knowing = Economic(settings)
    state = vessel.state()
    states = {name: state[name] for name in knowing.problem.states if name in state}
    belief = Belief(situation.now, states, factors)
    stock_l = (left_kg - (settings.tank_empty_kg or 0.0)) / knowing.feed_kg_per_l
    # with stirrer and air as they are now a plan would doubt what kLa they reach: he knows it
    applied = {n: v for n, v in situation.applied.items() if n not in TOGETHER}
    situation = dataclasses.replace(situation, stock_l=stock_l, applied=applied)
    made = [0.0]
    for share in STARTS:
        feed = tuple((t, share * flow) for t, flow in situation.profiles["feed"])
        other = dataclasses.replace(situation, profiles={**situation.profiles, "feed": feed})
        plan: Plan = knowing.plan(belief, other)
        if plan.good:
            made.append(plan.predicted["product_g"][-1])
    return max(made)
