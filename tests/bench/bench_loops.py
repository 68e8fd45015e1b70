"""How well the loops of the shipped plants hold, on plants with noise, drift and variation.

``python tests/bench/bench_loops.py RESULTS.jsonl [--plants yeast_300l …] [--seeds 1-20]`` goes on
where it was stopped and prints a table, that of ``controller/README.md`` with ``--markdown``. Each
loop is judged on its filtered measurement in steady phases: from 1 h after the start, and from
30 min after each change of phase or setpoint; the truth of the simulated vessel, once in 30 s,
stands beside it. ``--by sim/plants rival`` are the plant files' loops and simple-pid with fixed
gains (``rival.py``); another folder with plant files may be named too.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import nullcontext
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script, from anywhere

from controller.plant import Plant, load_plant
from controller.recipes.recipe import load_recipe
from drivers.point import Quality, Sample
from fermloop.campaign.results import Results
from fermloop.commands.closed_loop import run_batch
from historian.store import NullHistorian
from sim import truth as truths
from tests.bench.long_run import rows as completed
from tests.bench.rival import Tunings, for_single_loops, plain, single_loops, tuned

BATCHES = {
    "ecoli_5l": ("ecoli", 24.0),
    "ecoli_100m3": ("ecoli_100m3", 28.0),
    "yeast_300l": ("yeast", 20.0),
    "penicillin_100m3": ("penicillin", 230.0),
}
BANDS = {"temperature": 0.1, "ph": 0.05, "do": 5.0}  # PROCESS 4
TRUE = {"temperature": "temperature_cel", "ph": "ph", "do": "do_percent"}
MOVES = {  # what each loop moves, by whatever way
    "temperature": ("heater", "cooling"),
    "ph": ("acid", "base"),
    "do": ("stirrer", "air", "pressure", "oxygen"),
}
SHIPPED, RIVAL = "sim/plants", "rival"
START_H, SETTLE_H, FILTER_S, TRUTH_S = 1.0, 0.5, 30.0, 30.0
LONG_H = 100.0
FEED_START_H = 1.0  # how long the start of the feed lasts
Floats = NDArray[np.float64]


class Columns(NullHistorian):
    """Keeps what the judgement needs of every scan: a column a tag."""

    def __init__(self, names: Iterable[str]) -> None:
        self.columns: dict[str, list[float]] = {name: [] for name in names}

    def append(self, samples: Iterable[Sample]) -> None:
        for sample in samples:
            column = self.columns.get(sample.tag.name)
            if column is not None:
                column.append(sample.value if sample.quality is not Quality.BAD else np.nan)


def filtered(values: Floats, scan_s: float) -> Floats:
    """Return the measurement behind a first-order filter; a gap keeps the last value."""
    out, last = np.empty_like(values), values[0]
    weight = scan_s / (FILTER_S + scan_s)
    for i, value in enumerate(values):
        if value == value:
            last += (value - last) * weight
        out[i] = last
    return out


def steady(phase: Floats, sp: Floats, scan_s: float) -> Any:
    """Return which scans are steady."""
    moved = np.zeros(len(phase), dtype=bool)
    moved[1:] = (np.diff(phase) != 0) | (np.abs(np.diff(sp)) > 1e-9)
    wait = round(SETTLE_H * 3600.0 / scan_s)
    ok = np.ones(len(phase), dtype=bool)
    ok[: round(START_H * 3600.0 / scan_s)] = False
    for i in np.flatnonzero(moved):
        ok[i : i + wait] = False
    return ok


def judge(
    plant: Plant, columns: dict[str, list[float]], true: Mapping[str, Sequence[float]]
) -> dict[str, dict[str, float]]:
    """Return how each loop held, by its name; ``true`` is the trajectory of the vessel."""
    scan_s = plant.settings.scan_s
    phase = np.nan_to_num(np.array(columns["R1.phase"]), nan=-1.0)
    n = len(phase)
    at = np.minimum(np.array(true["age_h"]) * 3600.0 / scan_s, n - 1).astype(int)
    begun = int(np.argmax(np.array(columns["R1.feed"]) > 0.0))
    start = slice(begun, begun + round(FEED_START_H * 3600.0 / scan_s))
    found: dict[str, dict[str, float]] = {}
    for name, band in BANDS.items():
        loop = plant.settings.reactor["R1"].loop[name]
        sp, op = (np.array(columns[f"R1.{name}.{part}"]) for part in ("sp", "op"))
        smooth = filtered(np.array(columns[loop.measured or ""]), scan_s)
        ok = steady(phase, sp, scan_s)
        error = np.abs(smooth - sp)
        real = np.array(true[TRUE[name]])
        real_error = np.abs(real - sp[at])
        if name == "do":  # more oxygen than asked for with everything at its least is no fault
            error[(smooth > sp) & (op <= 0.5)] = 0.0
            real_error[(real > sp[at]) & (op[at] <= 0.5)] = 0.0
        found[name] = {
            "in_band": float(np.mean(error[ok] <= band)),
            "true_in_band": float(np.mean(real_error[ok[at]] <= band)),
            "iae_per_h": float(np.mean(error[ok])),
            "lowest_at_feed_start": float(np.min(smooth[start])),
            "true_lowest_at_feed_start": float(
                np.min(real[(at >= start.start) & (at <= start.stop)])
            ),
            "at_most": float(np.mean(op[ok] >= loop_high(plant, name) - 0.5)),
            "travel_per_h": travel(plant, columns, name) / (n * scan_s / 3600.0),
        }
    return found


def loop_high(plant: Plant, name: str) -> float:
    """Return the upper end of a loop's output, %."""
    return max(max(o.start, o.end) for o in plant.settings.reactor["R1"].loop[name].outputs)


def moved_by(plant: Plant, name: str) -> list[str]:
    """Return the actuators of a loop."""
    return [f"R1.{key}" for key in MOVES[name] if f"R1.{key}" in plant.tags]


def travel(plant: Plant, columns: Mapping[str, Sequence[float]], name: str) -> float:
    """Return how far the actuators of a loop went in all, % of their spans."""
    return sum(
        float(np.nansum(np.abs(np.diff(columns[tag]))))
        / (plant.tags[tag].high - plant.tags[tag].low)
        * 100.0
        for tag in moved_by(plant, name)
    )


def batch(
    name: str,
    seed: int,
    by: str = SHIPPED,
    *,
    tunings: Tunings | None = None,
    hours: float | None = None,
) -> dict[str, Any]:
    """Run one batch and return how its loops held.

    Args:
        name: of the plant file.
        seed: draws the simulated plant.
        by: the folder of the plant file, or ``rival``.
        tunings: of the rival; ``None``: what it was tuned to.
        hours: how long; ``None``: the whole batch.
    """
    truths.__dict__["POINT_S"] = TRUTH_S  # of this process; a plant keeps one in 10 min
    recipe_name, whole = BATCHES[name]
    recipe_path = Path(f"sim/recipes/{recipe_name}.toml")
    recipe = load_recipe(recipe_path)
    if by == RIVAL:
        plant = single_loops(load_plant(f"{SHIPPED}/{name}.toml"), tunings or tuned()[name])
        recipe = for_single_loops(recipe, plant)
    else:
        plant = load_plant(f"{by}/{name}.toml")
    loops = plant.settings.reactor["R1"].loop
    names = {"R1.phase", "R1.feed", *(loops[n].measured or "" for n in BANDS)}
    names |= {f"R1.{n}.{part}" for n in BANDS for part in ("sp", "op")}
    names |= {tag for n in BANDS for tag in moved_by(plant, n)}
    keep = Columns(names)
    with plain() if by == RIVAL else nullcontext():
        outcome = run_batch(plant, recipe, recipe_path, hours=hours or whole, seed=seed, store=keep)
    control = outcome.control["reactors"]["R1"]
    return {
        "plant": name,
        "by": by,
        "seed": seed,
        "product_g": outcome.truth["R1"]["product_g"],
        "trips": control["interlock_trips"],
        "loops": judge(plant, keep.columns, outcome.trajectory["R1"]),
    }


def jobs(by: Sequence[str], plants: Sequence[str], seeds: range) -> list[tuple[str, int, str]]:
    """Return every batch that is wanted, seed by seed; those that take long come last."""
    wanted = [(p, s, b) for s in seeds for p in plants for b in by]
    return sorted(wanted, key=lambda job: BATCHES[job[0]][1] > LONG_H)


Rows = Sequence[Mapping[str, Any]]


def column(rows: Rows, loop: str, key: str) -> list[float]:
    """Return one figure of every batch."""
    return [r["loops"][loop][key] for r in rows]


def ratios(ours: Rows, others: Rows, loop: str) -> list[float]:
    """Return our IAE over the rival's of every seed that both have."""
    theirs = {r["seed"]: r["loops"][loop]["iae_per_h"] for r in others}
    return [r["loops"][loop]["iae_per_h"] / theirs[r["seed"]] for r in ours if r["seed"] in theirs]


def table(rows: Rows) -> None:
    """Print, for each plant and loop, the mean and the worst batch."""
    for plant, by in sorted({(r["plant"], r["by"]) for r in rows}):
        mine = [r for r in rows if (r["plant"], r["by"]) == (plant, by)]
        trips = sum(r["trips"] for r in mine)
        print(
            f"{plant} ({by}), {len(mine)} batches, "
            f"product {mean(r['product_g'] for r in mine):.5g} g, {trips} trips"
        )
        for loop in BANDS:
            held, true = column(mine, loop, "in_band"), column(mine, loop, "true_in_band")
            print(
                f"  {loop:12} in band {mean(held):.1%} (worst {min(held):.1%}), "
                f"true {mean(true):.1%} (worst {min(true):.1%}); "
                f"IAE {mean(column(mine, loop, 'iae_per_h')):.4g}, "
                f"at feed start {min(column(mine, loop, 'lowest_at_feed_start')):.4g}, "
                f"at its most {mean(column(mine, loop, 'at_most')):.0%}, "
                f"travel {mean(column(mine, loop, 'travel_per_h')):.0f} %/h"
            )


def markdown(rows: Rows) -> None:
    """Print the table of the README: the shipped loops beside the rival."""
    print(
        "| plant, loop | in band, % (worst batch) | true | rival | "
        "IAE, ours / rival (least, greatest) | travel, % of span an hour: ours, rival | "
        "least DO at feed start, %: measured, true, rival |\n"
        "| --- | --- | --- | --- | --- | --- | --- |"
    )
    for plant in BATCHES:
        ours, theirs = (
            [r for r in rows if (r["plant"], r["by"]) == (plant, by)] for by in (SHIPPED, RIVAL)
        )
        if not ours or not theirs:
            continue
        for loop, band in BANDS.items():
            cells = [f"{plant} × {len(ours)}: {loop} ± {band:g}"]
            held = column(ours, loop, "in_band")
            cells.append(f"{mean(held):.1%} ({min(held):.1%})")
            cells += [
                f"{mean(column(ours, loop, 'true_in_band')):.1%}",
                f"{mean(column(theirs, loop, 'in_band')):.1%}",
            ]
            ratio = ratios(ours, theirs, loop)
            cells.append(f"{np.median(ratio):.2f} ({min(ratio):.2f}, {max(ratio):.2f})")
            mine, other = (mean(column(r, loop, "travel_per_h")) for r in (ours, theirs))
            cells.append(f"{mine:.0f}, {other:.0f}")
            key = "lowest_at_feed_start"
            least = [min(column(r, loop, k)) for r, k in ((ours, key), (ours, f"true_{key}"))]
            least.append(min(column(theirs, loop, key)))
            cells.append(", ".join(f"{v:.0f}" for v in least) if loop == "do" else "–")
            print(f"| {' | '.join(cells)} |")


def main() -> None:
    """Run what is missing, print the table of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--plants", nargs="+", default=list(BATCHES), choices=list(BATCHES))
    parser.add_argument("--seeds", default="1-20", help="FIRST-LAST")
    parser.add_argument("--by", nargs="+", default=[SHIPPED, RIVAL], help="a folder, or rival")
    parser.add_argument("--hours", type=float, help="only these, in RESULTS of their own")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--markdown", action="store_true", help="print the table of the README")
    given = parser.parse_args()
    os.nice(10)
    first, _, last = given.seeds.partition("-")
    wanted = jobs(given.by, given.plants, range(int(first), int(last or first) + 1))
    show: Callable[[Rows], None] = markdown if given.markdown else table

    def run(missing: Sequence[tuple[str, int, str]]) -> Iterator[dict[str, Any]]:
        with ProcessPoolExecutor(given.workers) as processes:
            runs = [processes.submit(batch, *job, hours=given.hours) for job in missing]
            for done in as_completed(runs):
                yield done.result()

    with Results(given.results, lambda r: (r["plant"], r["seed"], r["by"])) as results:
        show(completed(results, wanted, lambda job: job, run))


if __name__ == "__main__":
    main()
