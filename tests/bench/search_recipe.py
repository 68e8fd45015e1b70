"""Search the rivals: for each plant the best open-loop recipe of 64 candidates, within its limits.

Run with ``python tests/bench/search_recipe.py PAIR RESULTS.jsonl``; it goes on where it was
interrupted. Successive halving on seeds 201-236, which no test and no figure uses: 64 candidates on
the first seed, the best 24 on three, the best 12 on twelve, the best 4 on all 36, with a coarser
scan than the plant's. Where it is known which of the 36 break most candidates, these come first. A
candidate is allowed if in none of its batches true DO is below 20 % for more than 1 % of the time,
the by-product above its limit for more than 5 %, the broth 0.7 K too warm for more than 1 %, the
volume ever above what the vessel may hold, or an interlock trips. The winner has the largest mean
product; check it with the plant's own scan (``--check``) and put it into the recipe by hand.
"""

import argparse
import itertools
import math
import os
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from scipy.stats import qmc

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script, from anywhere

from fermloop.campaign.results import Results, Row
from tests.bench.feedback import PROCESSES, fed_back
from tests.bench.long_run import rows as completed

SEEDS = range(201, 237)
ROUNDS = ((64, 1), (24, 3), (12, 12), (4, 36))  # candidates, seeds
Candidate = tuple[float, ...]
Range = tuple[float, float]


@dataclass(frozen=True)
class Knob:
    """One parameter of a recipe: where it stands, and between what it is searched.

    A table ``[[h, flow], ...]`` is scaled so that its greatest flow is the value.
    """

    name: str
    low: float
    high: float
    at: str


@dataclass(frozen=True)
class Pair:
    """A plant and the recipe that is tuned for it; ``hard`` seeds come first."""

    plant: str
    recipe: str
    hours: float
    scan_s: float
    knobs: tuple[Knob, ...]
    step_s: float = 1.0
    hard: tuple[int, ...] = ()
    feedback: bool = False

    @property
    def seeds(self) -> tuple[int, ...]:
        return self.hard + tuple(seed for seed in SEEDS if seed not in self.hard)


def _ecoli(feed: str, mu: Range, cap: Range, induce_h: Range) -> tuple[Knob, ...]:
    return (
        Knob("mu", *mu, f"{feed}.feeds.feed.mu"),
        Knob("induce_h", *induce_h, f"{feed}.until.batch_h"),
        Knob("cap", *cap, f"{feed}.feeds.feed.cap"),
        Knob("do_percent", 25.0, 40.0, "start.setpoints.do"),
    )


def _probing(feed: str, cap: Range, flow: Range) -> tuple[Knob, ...]:
    return (
        Knob("flow", *flow, f"{feed}.feeds.feed.flow"),
        Knob("cap", *cap, f"{feed}.feeds.feed.cap"),
        Knob("answer", 0.6, 3.0, f"{feed}.feeds.feed.answer"),
        Knob("size", 0.15, 0.6, f"{feed}.feeds.feed.size"),
        Knob("pause_s", 120.0, 900.0, f"{feed}.feeds.feed.pause_s"),
    )


PAIRS = {
    "ecoli_5l": Pair(
        "ecoli_5l", "ecoli", 24.0, 4.0, _ecoli("phase.1", (0.10, 0.30), (20.0, 60.0), (9.0, 18.0))
    ),
    "ecoli_100m3": Pair(
        "ecoli_100m3",
        "ecoli_100m3",
        28.0,
        5.0,
        (
            *_ecoli("phase.2", (0.12, 0.36), (500.0, 1450.0), (12.0, 20.0)),
            Knob("start", 1.5, 4.0, "phase.2.feeds.feed.biomass_g_per_l"),
        ),
        hard=(228, 215, 222),  # the weakest respiration: a feed too fast for them ends in acetate
    ),
    "yeast_300l": Pair(
        "yeast_300l",
        "yeast",
        20.0,
        4.0,
        (
            Knob("mu", 0.12, 0.28, "phase.2.feeds.feed.mu"),
            Knob("start", 2.0, 5.0, "phase.2.feeds.feed.biomass_g_per_l"),
            Knob("cap", 3.0, 12.0, "phase.2.feeds.feed.cap"),
            Knob("do_percent", 25.0, 40.0, "start.setpoints.do"),
        ),
        hard=(228, 208, 205),  # two that respire little, one that transfers little oxygen
    ),
    "penicillin_100m3": Pair(
        "penicillin_100m3",
        "penicillin",
        230.0,
        10.0,
        (
            Knob("sugar", 80.0, 160.0, "phase.1.feeds.feed.table"),
            Knob("oil", 2.0, 16.0, "phase.1.feeds.oil.table"),
            Knob("paa", 12.0, 20.0, "phase.1.feeds.paa.table"),
            Knob("nitrogen", 5.0, 25.0, "phase.1.feeds.nitrogen.table"),
            Knob("discharge", 4000.0, 10000.0, "phase.1.doses.0.volume_l"),
            Knob("do_percent", 35.0, 60.0, "start.setpoints.do"),
        ),
        step_s=10.0,
    ),
    "yeast_300l_feedback": Pair(
        "yeast_300l",
        "yeast",
        20.0,
        4.0,
        (
            Knob("setpoint", 0.2, 0.9, "phase.2.feeds.feed.setpoint"),
            Knob("mu", 0.15, 0.30, "phase.2.feeds.feed.mu"),
            Knob("cap", 8.0, 18.0, "phase.2.feeds.feed.cap"),
            Knob("kp", 0.1, 1.2, "phase.2.feeds.feed.kp"),
            Knob("ti_s", 900.0, 7200.0, "phase.2.feeds.feed.ti_s"),
            Knob("do_percent", 25.0, 40.0, "start.setpoints.do"),
        ),
        hard=(228, 208, 205),
        feedback=True,
    ),
    "ecoli_5l_feedback": Pair(
        "ecoli_5l",
        "ecoli",
        24.0,
        4.0,
        (
            *_probing("phase.1", (20.0, 110.0), (4.0, 20.0)),
            Knob("induce_h", 9.0, 18.0, "phase.1.until.batch_h"),
            Knob("do_percent", 25.0, 40.0, "start.setpoints.do"),
        ),
        feedback=True,
    ),
}


def candidates(pair: Pair, count: int) -> list[Candidate]:
    """Return ``count`` points of a scrambled Sobol sequence over the knobs."""
    low, high = [k.low for k in pair.knobs], [k.high for k in pair.knobs]
    points = qmc.scale(qmc.Sobol(len(pair.knobs), seed=7).random(count), low, high)
    return [tuple(float(f"{v:.4g}") for v in row) for row in points]


def recipe_table(pair: Pair, candidate: Candidate) -> dict[str, Any]:
    """Return the shipped recipe with the values of ``candidate`` in it."""
    text = Path(f"sim/recipes/{pair.recipe}.toml").read_text(encoding="utf-8")
    table = tomllib.loads(text)
    table.pop("accept", None)
    if pair.feedback:
        table = fed_back(PROCESSES[pair.plant], table)
    for knob, value in zip(pair.knobs, candidate, strict=True):
        *parents, last = knob.at.split(".")
        at: Any = table
        for part in parents:
            at = at[int(part)] if part.isdigit() else at[part]
        if last == "table":
            most = max(flow for _, flow in at[last])
            at[last] = [[hour, flow / most * value] for hour, flow in at[last]]
        else:
            at[last] = value
    return table


def plant_text(pair: Pair) -> str:
    """Return the plant file with a coarser scan and step."""
    text = Path(f"sim/plants/{pair.plant}.toml").read_text(encoding="utf-8")
    text = text.replace("scan_s = 1.0", f"scan_s = {pair.scan_s}")
    text = text.replace("within_s = 3.0", f"within_s = {3 * pair.scan_s}")
    return text.replace("[simulation.R1]", f"[simulation.R1]\nstep_s = {pair.step_s}")


def score(pair: Pair, candidate: Candidate, seed: int, *, fine: bool = False) -> dict[str, Any]:
    """Run one batch and return what the search judges it by."""
    from controller.plant import load_plant
    from controller.recipes.recipe import parse_recipe
    from fermloop.commands.closed_loop import run_batch

    recipe = parse_recipe(recipe_table(pair, candidate), f"{pair.recipe}.toml")
    file = Path(f"sim/plants/{pair.plant}.toml")
    with tempfile.TemporaryDirectory() as folder:
        if not fine:
            file = Path(folder) / "plant.toml"
            file.write_text(plant_text(pair), encoding="utf-8")
        outcome = run_batch(load_plant(file), recipe, file, hours=pair.hours, seed=seed)
    truth, seen = outcome.truth["R1"], outcome.control["reactors"]["R1"]
    warm = recipe.start.setpoints["temperature"] + WARM_K
    return {
        "candidate": candidate,
        "seed": seed,
        "product_g": truth["product_g"],
        "do_share": truth["do_below_limit_min"] / 60.0 / pair.hours,
        "by_product_share": (truth["by_product_above_limit_min"] or 0.0) / 60.0 / pair.hours,
        "volume_min": truth["volume_above_limit_min"],
        "warm_share": mean(t > warm for t in outcome.trajectory["R1"]["temperature_cel"]),
        "trips": seen["interlock_trips"],
    }


WARM_K = 0.7  # over the setpoint: cooling could do no more
LIMITS = {
    "do_share": 0.01,
    "by_product_share": 0.05,
    "volume_min": 0.0,
    "warm_share": 0.01,
    "trips": 0.0,
}


def allowed(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether every batch keeps every limit."""
    return all(row[key] <= limit for row in rows for key, limit in LIMITS.items())


def key_of(row: Row) -> tuple[Candidate, int]:
    """Return what tells a batch from the others."""
    return tuple(row["candidate"]), row["seed"]


def search(pair: Pair, results: Results, workers: int) -> None:
    """Search, keeping each result as it comes, and print the best of each round."""

    def run(batches: Sequence[tuple[Candidate, int]]) -> Iterator[Row]:
        with ProcessPoolExecutor(workers) as processes:
            for done in as_completed([processes.submit(score, pair, *b) for b in batches]):
                yield done.result()

    pool = candidates(pair, ROUNDS[0][0])
    for count, seeds in ROUNDS:
        pool = pool[:count]
        batches = list(itertools.product(pool, pair.seeds[:seeds]))
        found = completed(results, batches, lambda batch: batch, run)
        ranked = [(c, found[k * seeds : (k + 1) * seeds]) for k, c in enumerate(pool)]
        ranked.sort(key=lambda r: (allowed(r[1]), mean(row["product_g"] for row in r[1])))
        ranked.reverse()
        pool = [c for c, _ in ranked]
        for c, rows in ranked[:6]:
            show(pair, c, rows, f"{count} x {seeds}")


def show(pair: Pair, c: Candidate, rows: Sequence[Mapping[str, Any]], what: str) -> None:
    """Print a candidate, its mean product and its worst batch."""
    values = ", ".join(f"{k.name} {v:g}" for k, v in zip(pair.knobs, c, strict=True))
    grams = [row["product_g"] for row in rows]
    worst = {key: round(max(row[key] for row in rows), 4) for key in LIMITS}
    spread = math.sqrt(mean((g - mean(grams)) ** 2 for g in grams))
    print(f"{what}: {values}: {mean(grams):.5g} g ± {spread:.3g}, allowed {allowed(rows)}, {worst}")


def main() -> None:
    """Search a pair, or check what the shipped recipe does at the plant's own scan."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pair", choices=PAIRS)
    parser.add_argument("results", type=Path)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--check", type=float, nargs="+", metavar="VALUE", help="one candidate")
    given = parser.parse_args()
    os.nice(19)
    pair = PAIRS[given.pair]
    if given.check:
        c = tuple(given.check)
        show(pair, c, [score(pair, c, seed, fine=True) for seed in SEEDS], "at the plant's scan")
        return
    with Results(given.results, key_of) as results:
        search(pair, results, given.workers)


if __name__ == "__main__":
    main()
