"""What the optimiser gains on plants that are not as its model has them (figure 1 of its issue).

``python tests/bench/bench_economy.py RESULTS.jsonl [--plants yeast_300l …] [--seeds 1-20] [--arms
recipe …]`` goes on where it was stopped, row by row and for days if need be, and prints a table of
all rows that are there. The whole controller runs each batch on virtual time; the simulated
organism is of another structure than the model (``models.organisms.TWINS``), strain, kLa, probes
and pumps differ by seed, and one batch in five has a fault.

Arms: the tuned recipe; a feed by feedback (a DO-stat that probes, ethanol control), see
``tests/bench/feedback.py``; the optimiser; the clairvoyant, who knows the plant's own
equations and parameters, plans from the recipe's start of the feed on its control model, from five
starts and without noise or doubt, and never counts for less than another arm of his seed.
The laboratory takes a sample every four hours, whose results the controller gets as late as usual.
"""

import argparse
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script, from anywhere

from controller.plant import Plant, load_plant
from controller.recipes.recipe import Recipe, parse_recipe
from drivers.clock import monotonic
from fermloop.campaign.results import Results, Row
from fermloop.campaign.statistics import FIGURES, compare, spread
from fermloop.commands.closed_loop import run_batch
from models.organisms import TWINS
from tests.bench.clairvoyant import best_product
from tests.bench.feedback import PROCESSES, Process, fed_back
from tests.bench.long_run import rows as completed

ROOT = Path(__file__).resolve().parents[2]
ARMS = ("recipe", "feedback", "optimiser", "clairvoyant")
SAMPLED_H = 4.0
DO_LOW = 25.0  # % of dissolved oxygen below which minutes count
RUNAWAY = 5.0  # g/L of sugar while feeding: more was overfed
WARM_K = 0.7  # over the setpoint, from which on minutes count: cooling could do no more
SETTLE_H = 1.0  # after the feed began, from which on that counts
WARM = "warm_min"
LIMITS = ("do_below_limit_min", "by_product_above_limit_min", "volume_above_limit_min", WARM)


FAULTS = ("vessel.kla", "feed.worn", "do.fouling", "R1-gas.cut", "do.drift")  # one batch in five
LASTS = {"vessel.kla": "1h", "R1-gas.cut": "20min"}
SIZES = {"vessel.kla": 30.0, "feed.worn": 10.0, "do.fouling": 10.0, "do.drift": 3.0}


def plant_of(name: str, seed: int, hours: float, folder: Path) -> Plant:
    """Return the plant with the twin of its organism, and this seed's fault."""
    text = (ROOT / f"sim/plants/{name}.toml").read_text(encoding="utf-8")
    file, table, simulated = text.partition("[simulation.R1]\n")
    for ours, twin in TWINS.items():
        simulated = simulated.replace(f'organism = "{ours}"', f'organism = "{twin}"', 1)
    report = f"\n[simulation.R1.report]\ndo_min_percent = {DO_LOW}\n"
    report += f"\n[simulation.R1.laboratory]\nevery_h = {SAMPLED_H}\n"
    if seed % 5 == 0:
        kind = FAULTS[seed // 5 % len(FAULTS)]
        lines = [f"at_h = {0.6 * hours:g}", f'fault = "{kind}"']
        lines += [f'for = "{LASTS[kind]}"'] if kind in LASTS else []
        lines += [f"size = {SIZES[kind]}"] if kind in SIZES else []
        (folder / "faults.toml").write_text("\n".join(["[[fault]]", *lines, ""]))
        simulated = 'faults = "faults.toml"\n' + simulated
    path = folder / f"{name}.toml"
    path.write_text(file + table + simulated + report, encoding="utf-8")
    return load_plant(path, data_dir=folder / "data")


def recipe_of(process: Process, arm: str) -> Recipe:
    """Return the recipe, with a feedback feed in its main phase for that arm."""
    path = ROOT / f"sim/recipes/{process.recipe}.toml"
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    table.pop("accept", None)
    if arm == "feedback":
        table = fed_back(process, table)
    return parse_recipe(table, path.name)


class Job(NamedTuple):
    """One batch."""

    plant: str
    seed: int
    arm: str


def batch(job: Job) -> Row:
    """Return the row of one batch."""
    process, began = PROCESSES[job.plant], monotonic()
    with tempfile.TemporaryDirectory() as folder:
        plant = plant_of(job.plant, job.seed, process.hours, Path(folder))
        recipe = recipe_of(process, job.arm)
        row: Row = {**job._asdict(), "recipe_file": job.arm, "state": "done"}
        if job.arm == "clairvoyant":
            row["product_g"] = best_product(
                plant, ROOT / f"sim/recipes/{process.recipe}.toml", job.seed
            )
            return row | {"took_s": monotonic() - began}
        outcome = run_batch(
            plant,
            recipe,
            recipe.file,
            hours=process.hours,
            seed=job.seed,
            optimiser="on" if job.arm == "optimiser" else "off",
        )
    truth, control = outcome.truth["R1"], outcome.control["reactors"]["R1"]
    ages, fed, sugar = (
        outcome.trajectory["R1"][key] for key in ("age_h", "feed_l_per_h", "substrate_g_per_l")
    )
    warm = outcome.trajectory["R1"]["temperature_cel"]
    setpoint = recipe.start.setpoints["temperature"]
    start = next((age for age, flow in zip(ages, fed, strict=True) if flow > 0.0), process.hours)
    most = max((s for a, s in zip(ages, sugar, strict=True) if a > start + SETTLE_H), default=0.0)
    known = {k: v for k, v in truth.items() if isinstance(v, int | float)}
    return row | {
        **known,
        WARM: 60.0 * (ages[1] - ages[0]) * sum(t > setpoint + WARM_K for t in warm),
        "interlock_trips": control["interlock_trips"],
        "most_sugar_g_per_l": most,
        "runaway": float(most > RUNAWAY),
        "plans": control["optimiser_plans"],
        "sheds": control["optimiser_sheds"],
        "took_s": monotonic() - began,
    }


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a table of all rows that there are."""
    for plant in PROCESSES:
        by_arm = {a: [r for r in rows if (r["plant"], r["arm"]) == (plant, a)] for a in ARMS}
        if not by_arm["recipe"]:
            continue
        yield f"\n{plant}"
        yield (
            f"{'arm':<12}{'n':>4}{'mean g':>12}{'P5 g':>12}{'CV':>8}{'kWh/kg':>8}"
            f"{'DO min':>8}{'by-pr.':>8}{'volume':>8}{'warm':>8}{'trips':>8}{'run away':>9}"
        )
        for arm, own in by_arm.items():
            if own:
                yield _line(arm, own)
        for other in ("feedback", "optimiser"):
            for arm in ("recipe", "feedback"):
                if other != arm and by_arm[other] and by_arm[arm]:
                    found = compare((arm, by_arm[arm]), (other, by_arm[other]), FIGURES[0])
                    if found.relative is None:
                        continue
                    ends = found.relative_interval
                    interval = "" if ends is None else f" ({ends[0]:+.1%} … {ends[1]:+.1%})"
                    yield f"{other} against {arm}: {found.relative:+.1%}{interval}, n {found.n}"
        yield from _way(by_arm)


def _line(arm: str, rows: Sequence[Row]) -> str:
    made, energy = spread(rows, "product_g"), spread(rows, "energy_per_product_kwh_per_kg")
    figures = [_mean(rows, key) for key in (*LIMITS, "interlock_trips", "runaway")]
    cv = "–" if made.cv is None else f"{made.cv:.1%}"
    kwh = "–" if energy.mean is None else f"{energy.mean:.2f}"
    return (
        f"{arm:<12}{made.n:>4}{made.mean or 0:>12.5g}{made.p5 or 0:>12.5g}{cv:>8}{kwh:>8}"
        + "".join(f"{'–' if v is None else format(v, '.1f'):>8}" for v in figures)
    )


def _mean(rows: Sequence[Row], key: str) -> float | None:
    known = [float(row[key]) for row in rows if row.get(key) is not None]
    return mean(known) if known else None


def _way(by_arm: Mapping[str, Sequence[Row]]) -> Iterator[str]:
    """Yield the share of the way from the recipe to the clairvoyant, over common seeds."""
    made = {arm: {r["seed"]: r["product_g"] for r in rows} for arm, rows in by_arm.items()}
    for arm in ("feedback", "optimiser"):
        seeds = [s for s in made["recipe"] if s in made[arm] and s in made["clairvoyant"]]
        if not seeds:
            continue
        most = [max(made[a][s] for a in ARMS if s in made[a]) for s in seeds]
        base = mean(made["recipe"][s] for s in seeds)
        there, here = mean(most) - base, mean(made[arm][s] for s in seeds) - base
        yield f"{arm}: {here / there if there > 0 else 0:.0%} of the way to the clairvoyant"


def run(jobs: Sequence[Job]) -> Iterator[Row]:
    """Yield the row of every batch; one after the other, so that a bench leaves a core free."""
    for job in jobs:
        row = batch(job)
        print(f"{job.plant} {job.seed} {job.arm}: {row['product_g']:.5g} g", flush=True)
        yield row


def seeds_of(text: str) -> list[int]:
    """Return ``1-3,7`` as numbers."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--plants", nargs="+", default=list(PROCESSES), choices=PROCESSES)
    parser.add_argument("--seeds", type=seeds_of, default=seeds_of("1-100"))
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS)
    asked = parser.parse_args()
    jobs = [Job(p, s, a) for s in asked.seeds for p in asked.plants for a in asked.arms]
    with Results(asked.results, lambda r: Job(r["plant"], r["seed"], r["arm"])) as results:
        completed(results, jobs, lambda job: job, run)
        print(*table(list(results.rows.values())), sep="\n")


if __name__ == "__main__":
    main()
