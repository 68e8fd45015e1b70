"""How near to its setpoint a feed law keeps the growth rate, on plants that vary by batch.

``python tests/bench/bench_feeding.py RESULTS.jsonl [--cases ecoli/open …] [--seeds 1-20]`` goes on
where it was stopped and prints a table. Judged is the true growth rate of the simulated cells, by
the ten minutes, from 2 h after the feed began to the end of its phase, while the feed is
unconstrained: below its cap, not cut, moved by its law. Rivals are the recipe's own feed, which is
open-loop, from the biomass that the recipe expects, and the same from the biomass as estimated.
"""

import argparse
import os
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script, from anywhere

from controller.loops.loops import Mode
from controller.plant import load_plant
from controller.recipes.recipe import Recipe, parse_recipe
from fermloop.campaign.results import Results
from fermloop.commands.closed_loop import run_batch
from tests.bench.bench_loops import Columns
from tests.bench.long_run import rows as completed

SETTLE_H = 2.0
POINT_S = 600.0  # of the true trajectory


class Case(NamedTuple):
    """A plant, its recipe, the phase that is judged and what is changed in its feed law."""

    plant: str
    recipe: str
    phase: str
    hours: float
    changes: Mapping[str, Any]


CASES = {
    "ecoli/open": Case("ecoli_5l", "ecoli", "feed", 13.3, {}),
    "ecoli/estimate": Case("ecoli_5l", "ecoli", "feed", 13.3, {"start_from": "estimate"}),
    "ecoli/biomass": Case("ecoli_5l", "ecoli", "feed", 13.3, {"feedback": "biomass"}),
    "yeast/open": Case("yeast_300l", "yeast", "feed", 19.5, {}),
}


def recipe_of(case: Case) -> tuple[Recipe, int, float, float]:
    """Return the recipe of a case, the number of the phase, mu (1/h) and cap."""
    path = Path(__file__).resolve().parents[2] / f"sim/recipes/{case.recipe}.toml"
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    table.pop("accept", None)
    index = next(i for i, p in enumerate(table["phase"]) if p["name"] == case.phase)
    law = table["phase"][index]["feeds"]["feed"]
    law |= case.changes
    return parse_recipe(table, path.name), index, law["mu"], law["cap"]


def growth(truth: Mapping[str, Sequence[float]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the middle of every ten minutes, h, and the true growth rate in them, 1/h.

    What samples and harvests take out is growth too.
    """
    age, x, v, sampled, drawn = (
        np.asarray(truth[k])
        for k in ("age_h", "biomass_g_per_l", "volume_l", "samples_l_per_h", "harvest_l_per_h")
    )
    mass, out = x * v, (sampled + drawn)[1:] * (x[1:] + x[:-1]) / 2
    return (age[1:] + age[:-1]) / 2, (np.diff(mass) / np.diff(age) + out) / (
        (mass[1:] + mass[:-1]) / 2
    )


def batch(name: str, seed: int) -> dict[str, Any]:
    """Run one batch and return how its growth rate was kept."""
    case = CASES[name]
    recipe, index, mu, cap = recipe_of(case)
    path = Path(__file__).resolve().parents[2] / f"sim/plants/{case.plant}.toml"
    keep = Columns(["R1.phase", "R1.feed.sp", "R1.feed.op", "R1.feed.mode"])
    plant = load_plant(path)
    outcome = run_batch(plant, recipe, recipe.name, hours=case.hours, seed=seed, store=keep)
    phase, wanted, fed, mode = (np.array(c) for c in keep.columns.values())
    scan_h = plant.settings.scan_s / 3600.0
    free = (phase == index) & (fed < 0.99 * cap) & (mode == Mode.CASCADE) & (fed >= 0.98 * wanted)
    age, true = growth(outcome.trajectory["R1"])
    half = round(POINT_S / 7200.0 / scan_h)
    begins = float(np.argmax(phase == index)) * scan_h
    judged = [
        abs(m - mu) / mu
        for at, m in zip(age, true, strict=True)
        if at - POINT_S / 7200.0 >= begins + SETTLE_H
        and free[max(0, round(at / scan_h) - half) : round(at / scan_h) + half].all()
    ]
    return {
        "case": name,
        "seed": seed,
        "error": mean(judged),
        "worst": max(judged),
        "hours": len(judged) * POINT_S / 3600.0,
        "do_below_limit_min": outcome.truth["R1"]["do_below_limit_min"],
    }


def table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print, for each case, the mean over the batches and the worst batch."""
    for name in dict.fromkeys(r["case"] for r in rows):
        mine = [r for r in rows if r["case"] == name]
        errors = [r["error"] for r in mine]
        print(
            f"{name:15} {len(mine)} batches: mean |error| {mean(errors):.1%} of mu, worst batch "
            f"{max(errors):.1%}, {sum(e > 0.06 for e in errors)} over 6 %; "
            f"{mean(r['hours'] for r in mine):.1f} h judged each"
        )


def main() -> None:
    """Run what is missing, print the table of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--seeds", default="1-20", help="FIRST-LAST")
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    os.nice(10)
    first, _, last = given.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    wanted = [(case, seed) for case in given.cases for seed in seeds]

    def run(missing: Sequence[tuple[str, int]]) -> Iterator[dict[str, Any]]:
        with ProcessPoolExecutor(given.workers) as processes:
            for done in as_completed([processes.submit(batch, *job) for job in missing]):
                yield done.result()

    with Results(given.results, lambda r: (r["case"], r["seed"])) as results:
        table(completed(results, wanted, lambda job: job, run))


if __name__ == "__main__":
    main()
