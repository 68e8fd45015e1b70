"""How long a plan takes along a day's batch, with fatrop and with IPOPT in the same run.

Run it by hand: ``.venv/bin/python tests/bench/bench_optimiser.py [RESULTS.jsonl]``; with a file it
goes on behind the solvers that are in it. The vessel is the model itself,
followed plan by plan; every plan has its rollout and its checks in its time, as in service.
"""

import dataclasses
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script, from anywhere

from controller.planning.optimiser import Optimiser, OptimiserSettings
from controller.planning.plan import Plan, Situation
from controller.planning.rollout import Course, linear
from controller.sensing.estimate import N_STATES, Estimate
from controller.sensing.estimator import Estimator, EstimatorSettings
from drivers.clock import monotonic
from fermloop.campaign.results import Results, Row
from models.fedbatch import FACTORS
from tests.bench.long_run import rows

START = 1.8e9
PERIOD_H = 1.0 / 12.0


def after(optimiser: Optimiser, estimate: Estimate, plan: Plan, induced_at: float) -> Estimate:
    """Return the estimate one period later if the vessel does what the model says."""
    hours = (np.array(plan.times) - estimate.time) / 3600.0
    feed, do = np.array(plan.setpoints).T
    course = Course(linear(hours, feed / 1e3), linear(hours, do), induced_at)
    points = optimiser.rollout.run(
        estimate.mean[:6], [1.0] * len(FACTORS), course, PERIOD_H, 500.0, 2e-3
    )
    last = points[-1]
    mean = (last.X, last.S, last.A, last.P, last.E, last.V, *estimate.mean[6:])
    return dataclasses.replace(estimate, time=estimate.time + PERIOD_H * 3600.0, mean=mean)


def day(solver: str) -> tuple[list[float], float, int]:
    """Return the wall seconds of every plan of 19 h, the product in g, and plans not good."""
    optimiser = Optimiser(OptimiserSettings.from_json({"first_solver": solver}))
    optimiser.warm_up()
    first = Estimator(EstimatorSettings()).update(START, {}, {}, induced=False)
    mean = (5.0, 0.03, 0.3, 0.0, 1.0, 3.05, *first.mean[6:])
    spread = np.diag([(0.03 * max(abs(v), 0.1)) ** 2 for v in mean])
    estimate = dataclasses.replace(
        first, mean=mean, cov=tuple(spread.reshape(N_STATES * N_STATES).tolist())
    )
    previous: Plan | None = None
    times: list[float] = []
    refused = 0
    for k in range(int(19.0 / PERIOD_H) - 1):
        batch_h = 5.0 + k * PERIOD_H
        feed = 0.0 if previous is None else previous.at(estimate.time)
        situation = Situation(
            estimate.time, batch_h, 24.0, 14.0, batch_h >= 14.0, feed, True, previous
        )
        began = monotonic()
        plan = optimiser.plan(estimate, situation)
        times.append(monotonic() - began)
        refused += not plan.good
        previous = plan if plan.good else previous
        if previous is not None:
            estimate = after(optimiser, estimate, previous, max(14.0 - batch_h, 0.0))
    return times, estimate.mean[3] * estimate.mean[5], refused


def run(solvers: Sequence[str]) -> Iterator[Row]:
    """Yield the figures of a day with each solver."""
    for solver in solvers:
        times, product, refused = day(solver)
        yield {
            "solver": solver,
            "plans": len(times),
            "median_ms": 1e3 * float(np.median(times)),
            "p99_ms": 1e3 * float(np.quantile(times, 0.99)),
            "sum_s": sum(times),
            "product_g": product,
            "not_good": refused,
        }


def main(kept: Path) -> None:
    """Print both solvers."""
    with Results(kept, lambda row: row["solver"]) as results:
        for row in rows(results, ("fatrop", "ipopt"), str, run):
            print(
                f"{row['solver']:<7} {row['plans']} plans: median {row['median_ms']:6.1f} ms, "
                f"p99 {row['p99_ms']:6.1f} ms, sum {row['sum_s']:5.1f} s, "
                f"product {row['product_g']:.2f} g, {row['not_good']} not good"
            )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(folder) / "results.jsonl")
