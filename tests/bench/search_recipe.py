"""Search the rival: the best open-loop recipe of 64 candidates, under the limits of the report.

Run with ``python tests/bench/search_recipe.py RESULTS.jsonl`` (about half an hour on two cores);
it goes on where it was interrupted. Successive halving on seeds 201-212, which no test and no
figure uses: 64 candidates on 2 seeds, the best 24 on 6, the best 8 on 12, all with a scan of 4 s
instead of 1 s. A candidate is allowed if none of its batches has DO < 20 % for more than 1 % of
the time, acetate > 2 g/L for more than 5 %, or a minute above the greatest volume. The winner has
the largest mean product.
"""

import itertools
import json
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from statistics import mean
from typing import Any

from scipy.stats import qmc

PLANT = Path("sim/plants/ecoli_5l.toml")
RECIPE = Path("sim/recipes/ecoli.toml")
HOURS = 24.0
SEEDS = tuple(range(201, 213))
SCAN_S = 4.0
ROUNDS = ((64, 2), (24, 6), (8, 12))  # candidates, seeds
LOW = (0.10, 9.0, 20.0, 25.0)
HIGH = (0.30, 18.0, 60.0, 40.0)
KEYS = ("mu", "induce_h", "cap_ml_per_h", "do_percent")
LIMITS = {
    "do_below_limit_min": 14.4,
    "by_product_above_limit_min": 72.0,
    "volume_above_limit_min": 0,
}


def candidates(count: int) -> list[tuple[float, ...]]:
    """Return ``count`` points of a scrambled Sobol sequence over the recipe's four parameters."""
    points = qmc.scale(qmc.Sobol(4, seed=7).random(count), LOW, HIGH)
    return [tuple(round(float(v), 4) for v in row) for row in points]


def recipe_text(candidate: tuple[float, ...]) -> str:
    """Return the shipped recipe with the four parameters of ``candidate`` in it."""
    values = dict(zip(KEYS, candidate, strict=True))
    out: list[str] = []
    for line in RECIPE.read_text(encoding="utf-8").splitlines():
        key = line.split("=")[0].strip()
        if line.startswith("feed = {") and "exponential" in line:
            line = _with(_with(line, "mu", values["mu"]), "cap_ml_per_h", values["cap_ml_per_h"])
        elif line.startswith("until = { batch_h") and 'name = "harvest"' not in "".join(out[-3:]):
            if not any("induces" in earlier for earlier in out):
                line = _with(line, "batch_h", values["induce_h"])
        elif key == "setpoints" and "temperature" in line:
            line = _with(line, "do", values["do_percent"])
        out.append(line)
    return "\n".join(out) + "\n"


def _with(line: str, key: str, value: float) -> str:
    """Return ``line`` with the number after ``key =`` replaced."""
    before, after = line.split(f" {key} = ", 1)
    rest = after.lstrip("0123456789.")
    return f"{before} {key} = {value:g}{rest}"


def score(candidate: tuple[float, ...], seed: int) -> dict[str, Any]:
    """Run one batch and return what the search judges it by."""
    from controller.plant import load_plant
    from controller.recipe import load_recipe
    from fermloop.commands.closed_loop import run_batch

    with tempfile.NamedTemporaryFile("w", suffix=".toml", encoding="utf-8") as file:
        file.write(recipe_text(candidate))
        file.flush()
        recipe = load_recipe(Path(file.name))
        coarse = Path(file.name).with_suffix(".plant.toml")
        coarse.write_text(
            PLANT.read_text(encoding="utf-8")
            .replace("scan_s = 1.0", f"scan_s = {SCAN_S}")
            .replace("within_s = 3.0", f"within_s = {3 * SCAN_S}"),
            encoding="utf-8",
        )
        plant = load_plant(coarse)
        outcome = run_batch(plant, recipe, file.name, hours=HOURS, seed=seed)
        coarse.unlink()
    truth = outcome.truth["R1"]
    return {
        "candidate": candidate,
        "seed": seed,
        "product_g": truth["product_g"],
        **{key: truth[key] for key in LIMITS},
    }


def allowed(rows: list[dict[str, Any]]) -> bool:
    """Whether every batch keeps every limit."""
    return all(row[key] <= limit for row in rows for key, limit in LIMITS.items())


def main(results: Path) -> None:
    """Search, writing each result as it comes, and print the best of each round."""
    done: dict[tuple[tuple[float, ...], int], dict[str, Any]] = {}
    if results.exists():
        for line in results.read_text().splitlines():
            row = json.loads(line)
            done[tuple(row["candidate"]), row["seed"]] = row
    pool = candidates(ROUNDS[0][0])
    for count, seeds in ROUNDS:
        pool = pool[:count]
        todo = [p for p in itertools.product(pool, SEEDS[:seeds]) if p not in done]
        with ProcessPoolExecutor(2) as workers, results.open("a") as file:
            for future in as_completed([workers.submit(score, *pair) for pair in todo]):
                row = future.result()
                done[row["candidate"], row["seed"]] = row
                file.write(json.dumps(row) + "\n")
                file.flush()
        ranked = [(c, [done[c, s] for s in SEEDS[:seeds]]) for c in pool]
        ranked.sort(key=lambda pair: (allowed(pair[1]), mean(r["product_g"] for r in pair[1])))
        ranked.reverse()
        pool = [c for c, _ in ranked]
        for c, rows in ranked[:6]:
            gram = mean(r["product_g"] for r in rows)
            worst = {key: max(r[key] for r in rows) for key in LIMITS}
            print(f"{count} x {seeds}: {c} {gram:.2f} g, allowed {allowed(rows)}, worst {worst}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
