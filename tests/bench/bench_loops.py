"""How well the loops of the shipped plants hold, on plants with noise, drift and variation.

``python tests/bench/bench_loops.py RESULTS.jsonl [--plants yeast_300l …] [--seeds 1-20]`` goes on
where it was stopped and prints a table. Each loop is judged on its filtered measurement in steady
phases: from 1 h after the start, and from 30 min after each change of phase or setpoint; the truth
of the simulated vessel stands beside it.
"""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script, from anywhere

from controller.plant import Plant, load_plant
from controller.recipe import load_recipe
from drivers.point import Quality, Sample
from fermloop.campaign.results import Results
from fermloop.commands.closed_loop import run_batch
from historian.store import NullHistorian
from tests.bench.long_run import rows as completed

BATCHES = {
    "ecoli_5l": ("ecoli", 24.0),
    "ecoli_100m3": ("ecoli_100m3", 28.0),
    "yeast_300l": ("yeast", 20.0),
    "penicillin_100m3": ("penicillin", 230.0),
}
BANDS = {"temperature": 0.1, "ph": 0.05, "do": 5.0}  # PROCESS 4
START_H, SETTLE_H, FILTER_S = 1.0, 0.5, 30.0


class Columns(NullHistorian):
    """Keeps what the judgement needs of every scan: a column a tag."""

    def __init__(self, names: Iterable[str]) -> None:
        self.columns: dict[str, list[float]] = {name: [] for name in names}

    def append(self, samples: Iterable[Sample]) -> None:
        for sample in samples:
            column = self.columns.get(sample.tag.name)
            if column is not None:
                column.append(sample.value if sample.quality is not Quality.BAD else np.nan)


def filtered(values: NDArray[np.float64], scan_s: float) -> NDArray[np.float64]:
    """Return the measurement behind a first-order filter; a gap keeps the last value."""
    out, last = np.empty_like(values), values[0]
    weight = scan_s / (FILTER_S + scan_s)
    for i, value in enumerate(values):
        if value == value:
            last += (value - last) * weight
        out[i] = last
    return out


def steady(phase: NDArray[np.float64], sp: NDArray[np.float64], scan_s: float) -> Any:
    """Return which scans are steady."""
    moved = np.zeros(len(phase), dtype=bool)
    moved[1:] = (np.diff(phase) != 0) | (np.abs(np.diff(sp)) > 1e-9)
    wait = round(SETTLE_H * 3600.0 / scan_s)
    ok = np.ones(len(phase), dtype=bool)
    ok[: round(START_H * 3600.0 / scan_s)] = False
    for i in np.flatnonzero(moved):
        ok[i : i + wait] = False
    return ok


def judge(plant: Plant, columns: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Return how each loop held, by its name."""
    scan_s = plant.settings.scan_s
    phase = np.nan_to_num(np.array(columns["R1.phase"]), nan=-1.0)
    found: dict[str, dict[str, float]] = {}
    for name, band in BANDS.items():
        loop = plant.settings.reactor["R1"].loop[name]
        pv = np.array(columns[loop.measured or ""])
        n = min(len(pv), len(phase))
        sp = np.array(columns[f"R1.{name}.sp"])[:n]
        op = np.array(columns[f"R1.{name}.op"])[:n]
        smooth = filtered(pv[:n], scan_s)
        ok = steady(phase[:n], sp, scan_s)
        error = np.abs(smooth - sp)
        if name == "do":  # more oxygen than asked for with everything at its least is no fault
            error[(smooth > sp) & (op <= 0.5)] = 0.0
        found[name] = {
            "in_band": float(np.mean(error[ok] <= band)),
            "iae_per_h": float(np.mean(error[ok])),
            "lowest": float(np.min(smooth[round(START_H * 3600 / scan_s) :])),
            "travel_per_h": float(np.sum(np.abs(np.diff(op)))) / (n * scan_s / 3600.0),
        }
    return found


def batch(name: str, seed: int, folder: str = "sim/plants") -> dict[str, Any]:
    """Run one batch and return how its loops held."""
    recipe, hours = BATCHES[name]
    path, recipe_path = Path(folder) / f"{name}.toml", Path(f"sim/recipes/{recipe}.toml")
    plant = load_plant(path)
    loops = plant.settings.reactor["R1"].loop
    names = {"R1.phase", *(loops[n].measured or "" for n in BANDS)}
    names |= {f"R1.{n}.{part}" for n in BANDS for part in ("sp", "op")}
    keep = Columns(names)
    outcome = run_batch(
        plant, load_recipe(recipe_path), recipe_path, hours=hours, seed=seed, store=keep
    )
    truth = outcome.truth["R1"]
    return {
        "plant": name,
        "folder": folder,
        "seed": seed,
        "product_g": truth["product_g"],
        "trips": outcome.control["reactors"]["R1"]["interlock_trips"],
        "true_in_band": truth["true_in_band"],
        "loops": judge(plant, keep.columns),
    }


def jobs(folders: Sequence[str], plants: Sequence[str], seeds: range) -> list[tuple[str, int, str]]:
    """Return every batch that is wanted."""
    return [(p, s, f) for f in folders for p in plants for s in seeds]


def table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print, for each plant and loop, the mean and the worst batch."""
    for plant, folder in sorted({(r["plant"], r["folder"]) for r in rows}):
        mine = [r for r in rows if (r["plant"], r["folder"]) == (plant, folder)]
        print(f"{plant} ({folder}), {len(mine)} batches")
        for loop in BANDS:
            held = [r["loops"][loop] for r in mine]
            share = [h["in_band"] for h in held]
            true = [r["true_in_band"][loop] for r in mine]
            print(
                f"  {loop:12} in band {mean(share):.1%} (worst {min(share):.1%}), "
                f"true {mean(true):.1%} of all time; IAE {mean(h['iae_per_h'] for h in held):.4g}, "
                f"lowest {min(h['lowest'] for h in held):.4g}, "
                f"travel {mean(h['travel_per_h'] for h in held):.0f} %/h"
            )


def main() -> None:
    """Run what is missing, print the table of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--plants", nargs="+", default=list(BATCHES), choices=list(BATCHES))
    parser.add_argument("--seeds", default="1-20", help="FIRST-LAST")
    parser.add_argument("--folders", nargs="+", default=["sim/plants"], help="where plants are")
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    os.nice(10)
    first, _, last = given.seeds.partition("-")
    wanted = jobs(given.folders, given.plants, range(int(first), int(last or first) + 1))

    def run(missing: Sequence[tuple[str, int, str]]) -> Iterator[dict[str, Any]]:
        with ProcessPoolExecutor(given.workers) as processes:
            for done in as_completed([processes.submit(batch, *job) for job in missing]):
                yield done.result()

    with Results(given.results, lambda r: (r["plant"], r["seed"], r["folder"])) as results:
        table(completed(results, wanted, lambda job: job, run))


if __name__ == "__main__":
    main()
