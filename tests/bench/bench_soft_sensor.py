"""How right the soft sensor is, on batches of other equations than its own, with late samples.

Run it by hand: ``.venv/bin/python tests/bench/bench_soft_sensor.py [CASE ...] [--seeds 901-906]
[--method ekf] [--prompt H] [--titre CV] [--every N]``. Batches are made once and kept in
``data/soft_sensor``, so a run that was stopped goes on where it was. The laboratory takes a sample
every four hours; its results come as late as they usually do, or ``--prompt`` hours after the
sample. ``--titre 0.04`` has the product found by an assay of that scatter (HPLC) in place of the
laboratory's. The sensor is updated as often as the plant file says, or at every Nth row; rows are
10 s apart, those of penicillin 60 s. What the filter believes was chosen on seeds 21-23.

Errors are of what an operator saw at the time, from an hour after inoculation on: the root of the
mean squared error over the truth, and the share of times at which the 90 % interval held it.
"""

import argparse
import math
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script, from anywhere

from controller.plant import load_plant
from controller.recipes.recipe import load_recipe
from controller.sensing.estimate import Estimate
from controller.sensing.estimator import Estimator
from controller.sensing.hindsight import Hindsight
from controller.sensing.laboratory import Entry, Laboratory
from controller.sensing.sensing import estimator_settings
from drivers.point import Quality, RangeError, Sample, Tag
from models.organisms import WATCHED
from tests.bench.watched_batches import CASES, ROOT, Batch, Case, watched

TRUTH = {"biomass_g_per_l": "dry_weight", "product_g_per_l": "product", "volume_l": "volume"}
MORE = {
    "ethanol_g_per_l": "ethanol",
    "acetate_g_per_l": "acetate",
    "substrate_g_per_l": "substrate",
    "active_g_per_l": "biomass",
}
FROM_S = 3600.0


@dataclass(slots=True)
class Score:
    """How right one quantity was in one batch.

    Attributes:
        rmse: of the error, in its unit.
        share: the same over the truth.
        inside: share of times at which the interval held the truth.
        width: mean width of the interval over the truth.
    """

    rmse: float
    share: float
    inside: float
    width: float


def replay(
    case: Case,
    batch: Batch,
    changes: Mapping[str, Any],
    prompt: float | None,
    every: int = 0,
    titre: float = 0.0,
) -> list[Estimate]:
    """Return what was believed at the times of the truth.

    Args:
        case: the plant.
        batch: of that plant.
        changes: of what the plant file says of the soft sensor.
        prompt: h after its sample that each result is entered; ``None``: as late as it was.
        every: rows from one update to the next; 0: as the plant file says.
        titre: scatter of the product's assay, if it is to be another, as a share.
    """
    plant = load_plant(case.path)
    reactor = plant.settings.reactor["R1"]
    assert reactor.model is not None
    assert reactor.laboratory is not None
    base = 1e3 * reactor.report.ammonia_mol_per_l.get("base", 0.0)
    settings = estimator_settings(
        reactor.model, reactor.do_calibration_bar, base_mmol_per_l=base, **changes
    )
    sensor = Hindsight(Estimator(settings, tuple(reactor.measured)))
    every = every or max(round(reactor.model.estimator_period_s / case.every_s), 1)
    analytes, samples = reactor.laboratory.analyte, batch.samples
    if titre and "product" in analytes:
        other = analytes["product"].model_copy(update={"cv": titre})
        analytes, samples = analytes | {"product": other}, _by(titre, batch)
    laboratory = Laboratory("R1", analytes)
    recipe = load_recipe(ROOT / f"sim/recipes/{case.recipe}.toml")
    first = next((k for k, p in enumerate(recipe.phase) if p.induces), 10**6)
    tags = {
        m: Tag(name, plant.quantity(name).unit, -1e9, 1e9) for m, name in reactor.measured.items()
    }
    late = sorted(samples, key=lambda row: _entered(row, prompt))
    found: list[Estimate] = []
    due, entered = 0, 0
    for k in range(0, len(batch.times), every):
        now = batch.times[k]
        while entered < len(late) and _entered(late[entered], prompt) <= now:
            _enter(late[entered], now, laboratory, sensor, batch.times[0])
            entered += 1
        readings = {
            m: Sample(tag, now, value, Quality.GOOD)
            for m, tag in tags.items()
            for value in (batch.readings[m][k],)
            if value is not None
        }
        since = slice(max(k - every + 1, 0), k + 1)
        flows = {name: mean(values[since]) for name, values in batch.flows.items()}
        estimate = sensor.update(now, readings, flows, batch.phase[k] >= first)
        while due < len(batch.truth["time"]) and batch.truth["time"][due] <= now:
            found.append(estimate)
            due += 1
    return found


def _by(cv: float, batch: Batch) -> list[dict[str, Any]]:
    """Return the samples with the product found again, by an assay of that scatter."""
    chance = random.Random(round(batch.times[0]))
    made: list[dict[str, Any]] = []
    for row in batch.samples:
        if row["analyte"] == "product":
            k = min(int((row["t_sampled"] - batch.truth["time"][0]) / 600.0), 10**6)
            value = batch.truth["product"][min(k, len(batch.truth["product"]) - 1)]
            value *= math.exp(chance.gauss(0.0, cv))
            row = row | {"value": max(value, 0.02), "below_limit": value < 0.02}
        made.append(row)
    return made


def _entered(row: Mapping[str, Any], prompt: float | None) -> float:
    return row["t_entered"] if prompt is None else row["t_sampled"] + 3600.0 * prompt


def _enter(
    row: Mapping[str, Any], now: float, laboratory: Laboratory, sensor: Hindsight, began: float
) -> None:
    entry = Entry(
        row["analyte"],
        row["value"],
        row["unit"],
        row["t_sampled"],
        min(row["t_available"], now),
        row["below_limit"],
    )
    try:
        result = laboratory.enter(entry, now, "bench", began, "laboratory")
    except (RangeError, ValueError):
        return  # refused at the door, as it would be in the plant
    sensor.take(result, laboratory.analytes[result.analyte])


def scores(batch: Batch, found: Sequence[Estimate], names: Mapping[str, str]) -> dict[str, Score]:
    """Return how right each quantity was."""
    start = batch.times[0] + FROM_S
    made: dict[str, Score] = {}
    for name, word in names.items():
        if word not in batch.truth or name not in found[0].names:
            continue
        rows = [
            (e.value(name), e.interval(name), true)
            for e, true, time in zip(found, batch.truth[word], batch.truth["time"], strict=False)
            if time >= start
        ]
        most = max(true for *_, true in rows)
        rows = [row for row in rows if row[2] > 0.05 * most] or rows
        errors = [value - true for value, _, true in rows]
        truths = [max(true, 1e-9) for *_, true in rows]
        made[name] = Score(
            rmse=math.sqrt(mean(e * e for e in errors)),
            share=math.sqrt(mean((e / t) ** 2 for e, t in zip(errors, truths, strict=True))),
            inside=mean(low <= true <= high for _, (low, high), true in rows),
            width=mean((high - low) / max(t, 1e-9) for _, (low, high), t in rows),
        )
    return made


def _asked(case: str, names: Mapping[str, str]) -> dict[str, str]:
    """Return what there is to judge: cells that are the product themselves are judged once."""
    called = WATCHED[case.partition("_")[0]]().called
    own = called["product"] != called["biomass"]
    return {n: word for n, word in names.items() if own or word != "product"}


def main() -> None:
    """Print a table a plant."""
    ask = argparse.ArgumentParser()
    ask.add_argument("cases", nargs="*", default=list(CASES))
    ask.add_argument("--seeds", default="901-906")
    ask.add_argument("--method", default="")
    ask.add_argument("--prompt", type=float)
    ask.add_argument("--titre", type=float, default=0.0, help="scatter of the product's assay")
    ask.add_argument("--every", type=int, default=0, help="rows from one update to the next")
    ask.add_argument("--all", action="store_true", help="more than biomass, product and volume")
    asked = ask.parse_args()
    low, _, high = asked.seeds.partition("-")
    changes = {"method": asked.method} if asked.method else {}
    names = TRUTH | (MORE if asked.all else {})
    for name in asked.cases:
        case = CASES[name]
        rows: dict[str, list[Score]] = {}
        for seed in range(int(low), int(high or low) + 1):
            batch = watched(case, seed)
            believed = replay(case, batch, changes, asked.prompt, asked.every, asked.titre)
            found = scores(batch, believed, _asked(name, names))
            text = "  ".join(
                f"{n.split('_')[0]} {100 * s.share:.1f} % in {100 * s.inside:.0f} % "
                f"(width {100 * s.width:.0f} %, rmse {s.rmse:.3g})"
                for n, s in found.items()
            )
            print(f"{name} {seed}: {text}", flush=True)
            for n, s in found.items():
                rows.setdefault(n, []).append(s)
        for n, all_of in rows.items():
            print(
                f"| {name} | {n} | {100 * mean(s.share for s in all_of):.1f} % "
                f"| {100 * max(s.share for s in all_of):.1f} % "
                f"| {100 * mean(s.inside for s in all_of):.0f} % "
                f"| {100 * mean(s.width for s in all_of):.0f} % |",
                flush=True,
            )


if __name__ == "__main__":
    main()
