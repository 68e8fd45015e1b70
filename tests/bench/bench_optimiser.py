"""How long a plan takes along a day's batch, with one vessel under each plan and with several.

Run it by hand: ``.venv/bin/python tests/bench/bench_optimiser.py [RESULTS.jsonl]``; with a file it
goes on behind the rows that are in it. E. coli in 5 L from 8 h to harvest; the vessel is the model
itself, followed plan by plan. Every plan has its rollouts and checks in its time, as in service.
"""

import dataclasses
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script, from anywhere

from controller.planning.economic.belief import Belief
from controller.planning.economic.guesses import sampled
from controller.planning.economic.optimiser import Economic
from controller.planning.plan import Plan, Situation
from drivers.clock import monotonic
from fermloop.campaign.results import Results, Row
from tests.bench.long_run import rows
from tests.controller.economies import NOW, case

PERIOD_H = 1.0 / 12.0
SPREAD = 0.03


def after(economic: Economic, belief: Belief, situation: Situation, plan: Plan) -> Belief:
    """Return the belief one period later if the vessel does what the model says."""
    p, now, hours = economic.problem, situation.now, np.array([PERIOD_H])
    start, factors = Belief(now, {"drawn": 0.0, **belief.states}, {}).vessel(
        p.states, economic.settings.learned
    )
    moved = np.array([[situation.applied[n] for n in p.moved], list(_inputs(economic, plan, now))])
    usual = {v.name: v.default for v in p.model.inputs} | dict(situation.applied)
    given = np.array(
        [[*sampled(situation.profiles.get(n, ()), usual[n], now, hours)] for n in p.given]
    )
    run = economic.rollout.run(start, factors, hours, moved, given.T)
    states = dict(zip(p.states, run.states[0, 1].tolist(), strict=True))
    sd = {"X": SPREAD * states["X"], **dict.fromkeys(economic.settings.learned, SPREAD)}
    return Belief.sure(now + 3600.0 * PERIOD_H, states, {}, sd)


def _inputs(economic: Economic, plan: Plan, now: float) -> Iterator[float]:
    """Yield what a plan sets one period later, in the model's unit."""
    for name, loop in zip(plan.names, economic.problem.moved, strict=True):
        yield plan.at(now + 3600.0 * PERIOD_H, name) / (1.0 if loop == "do" else 1e3)


def day(vessels: int) -> tuple[list[float], float, int]:
    """Return the wall seconds of every plan of 16 h, the product in g, and plans not good."""
    one = case("ecoli_5l", SPREAD)
    economic = Economic(dataclasses.replace(one.settings, scenarios=vessels))
    economic.warm_up()
    belief, situation = one.belief, one.situation
    times: list[float] = []
    refused = 0
    for k in range(int((situation.end_h - situation.batch_h) / PERIOD_H) - 1):
        began = monotonic()
        plan = economic.plan(belief, situation)
        times.append(monotonic() - began)
        refused += not plan.good
        previous = plan if plan.good else situation.previous
        if previous is None:
            raise ValueError(f"no plan to begin with: {plan.reason}")
        belief = after(economic, belief, situation, previous)
        applied = dict(
            zip(economic.problem.moved, _inputs(economic, previous, situation.now), strict=True)
        )
        now = NOW + 3600.0 * PERIOD_H * (k + 1)
        situation = dataclasses.replace(
            situation,
            now=now,
            batch_h=one.situation.batch_h + PERIOD_H * (k + 1),
            applied={**situation.applied, **applied},
            previous=previous,
        )
    return times, belief.states["P"] * belief.states["V"] + belief.states["drawn"], refused


def run(vessels: Sequence[int]) -> Iterator[Row]:
    """Yield the figures of a day with each number of vessels under a plan."""
    for count in vessels:
        times, product, refused = day(count)
        yield {
            "vessels": count,
            "plans": len(times),
            "median_ms": 1e3 * float(np.median(times)),
            "p99_ms": 1e3 * float(np.quantile(times, 0.99)),
            "sum_s": sum(times),
            "product_g": product,
            "not_good": refused,
        }


def main(kept: Path) -> None:
    """Print both."""
    with Results(kept, lambda row: row["vessels"]) as results:
        for row in rows(results, (3, 1), int, run):
            print(
                f"{row['vessels']} vessels, {row['plans']} plans: median {row['median_ms']:6.1f} ms"
                f", p99 {row['p99_ms']:6.1f} ms, sum {row['sum_s']:5.1f} s, "
                f"product {row['product_g']:.2f} g, {row['not_good']} not good"
            )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(folder) / "results.jsonl")
