"""How well batches held out are foretold by a fit to others, on plants of other equations.

The whole controller runs the plant's recipe in virtual time on the organism's twin, a plant drawn
by each seed, its laboratory every 4 h; what the store would have is kept in ``data/fit``. Then each
batch is foretold by a fit to all the others, ``fermloop fit``'s own way, and its final product is
compared with the true one. A fit that is refused counts as a failure. Interrupted, it goes on.

Run: ``python -m tests.bench.bench_fit [PLANT ...]``
"""

import json
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from controller.plant import load_plant
from controller.plant_file.settings import ModelSettings, ReactorSettings
from controller.recipes.recipe import load_recipe
from drivers.point import Sample
from fermloop.commands.closed_loop import EPOCH, run_batch
from fermloop.commissioning.experiment import Prepared, control_model, prepare
from fermloop.commissioning.record import Assay, Record
from fermloop.commissioning.study import study, total_product
from historian.store import NullHistorian
from models.fitting import priors
from models.organisms import TWINS, WATCHED
from models.watched import WatchedOrganism

ROOT: Final = Path(__file__).parents[2]
KEPT: Final = ROOT / "data/fit"
STEP_H: Final = 0.1
FIRST: Final = 201  # seed


class Case(NamedTuple):
    """A plant, its recipe, how long a batch is, h, and how many there are."""

    plant: str
    recipe: str
    hours: float
    batches: int


CASES: Final = (
    Case("ecoli_5l", "ecoli", 24.0, 8),
    Case("yeast_300l", "yeast", 20.0, 5),
    Case("ecoli_100m3", "ecoli_100m3", 28.0, 5),
    Case("penicillin_100m3", "penicillin", 230.0, 5),
)


class Means(NullHistorian):
    """A store that keeps the mean of every tag in each step of a batch."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, int], float] = {}
        self._counts: dict[tuple[str, int], int] = {}

    def append(self, samples: Any) -> None:
        sample: Sample
        for sample in samples:
            if sample.value == sample.value:
                key = (sample.tag.name, int((sample.time - EPOCH) / 3600.0 / STEP_H))
                self._sums[key] = self._sums.get(key, 0.0) + sample.value
                self._counts[key] = self._counts.get(key, 0) + 1

    def columns(self) -> dict[str, Any]:
        """Return the means by tag."""
        rows = max(k for _, k in self._sums) + 1
        found = {name: np.full(rows, np.nan) for name, _ in self._sums}
        for (name, k), total in self._sums.items():
            found[name][k] = total / self._counts[name, k]
        return found


def run(case: Case, seed: int) -> Path:
    """Run a batch, unless that has been done, and return where it is."""
    out = KEPT / f"{case.plant}_{seed}.npz"
    if out.exists():
        return out
    source = ROOT / f"sim/plants/{case.plant}.toml"
    text = re.sub(
        r'(\[simulation\.R1\]\norganism = ")(\w+)"',
        lambda m: f'{m[1]}{TWINS.get(m[2], m[2])}"',
        source.read_text(encoding="utf-8"),
    )
    text += "\n[simulation.R1.laboratory]\nevery_h = 4.0\n"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{case.plant}.toml"
        path.write_text(text, encoding="utf-8")
        plant, kept = load_plant(path, data_dir=Path(folder)), Means()
        recipe = ROOT / f"sim/recipes/{case.recipe}.toml"
        done = run_batch(
            plant, load_recipe(recipe), recipe, hours=case.hours, seed=seed, store=kept
        )
    KEPT.mkdir(parents=True, exist_ok=True)
    told: dict[str, Any] = {
        "samples": json.dumps(done.samples),
        "truth": json.dumps(done.truth["R1"]),
    }
    np.savez_compressed(out, **told, **kept.columns())
    return out


def read(path: Path, units: Mapping[str, str]) -> tuple[Record, float]:
    """Return a batch as a store would have it, and all product it really made, g."""
    data = np.load(path)
    assays = [
        Assay(
            r["analyte"],
            (r["t_sampled"] - EPOCH) / 3600.0,
            r["value"],
            r["unit"],
            bool(r["below_limit"]),
        )
        for r in json.loads(str(data["samples"]))
    ]
    values = {n: data[f"R1.{n}"] for n in units if f"R1.{n}" in data.files}
    step = STEP_H
    if len(next(iter(values.values()))) > 600:  # a long one has longer rows
        values = {n: v[: len(v) // 2 * 2].reshape(-1, 2).mean(1) for n, v in values.items()}
        step = 2.0 * STEP_H
    truth = json.loads(str(data["truth"]))
    return Record(path.stem, step, units, values, assays), float(truth["product_g"])


def foretold(
    reactor: ReactorSettings,
    model: ModelSettings,
    organism: WatchedOrganism,
    batches: list[tuple[Prepared, float]],
    k: int,
) -> dict[str, Any]:
    """Return what a fit to all batches but one says of that one."""
    others = [b for i, (b, _) in enumerate(batches) if i != k]
    held, true = batches[k]
    culture = control_model(model, organism)
    found = study(organism, culture, others, [], priors(organism), profile=False)
    grams = total_product(held.experiment, culture, organism)
    median, low, high = found.fitted.foretell_of(held.experiment, grams)
    return {
        "batch": held.experiment.name,
        "true_g": true,
        "foretold_g": median,
        "low_g": low,
        "high_g": high,
        "error": median / true - 1.0,
        "determined": [e.variable.name for e in found.estimated if e.kept],
    }


def measure(case: Case) -> list[dict[str, Any]]:
    """Return a row a batch; those that are done are kept."""
    path = KEPT / f"{case.plant}.json"
    rows: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
    plant = load_plant(ROOT / f"sim/plants/{case.plant}.toml")
    reactor = plant.settings.reactor["R1"]
    model = reactor.model
    if model is None:
        raise SystemExit(f"{case.plant}: no [reactor.R1.model]")
    organism = WATCHED[model.organism]()
    known = {**plant.tags, **plant.calculated}
    units = {name.partition(".")[2]: tag.unit for name, tag in known.items()}
    batches: list[tuple[Prepared, float]] = []
    for seed in range(FIRST, FIRST + case.batches):
        record, true = read(run(case, seed), units)
        batches.append((prepare(record, reactor, model, organism), true))
    for k, (batch, _) in enumerate(batches):
        if any(row["batch"] == batch.experiment.name for row in rows):
            continue
        try:
            row = foretold(reactor, model, organism, batches, k)
        except ValueError as error:
            row = {"batch": batch.experiment.name, "error": 1.0, "refused": str(error)}
        rows.append(row)
        path.write_text(json.dumps(rows, indent=1))
        print(json.dumps(row), flush=True)
    return rows


def main() -> None:
    """Print a line a plant: median error and how many true values are in the 90 % interval."""
    wanted = sys.argv[1:] or [case.plant for case in CASES]
    for case in (c for c in CASES if c.plant in wanted):
        rows = measure(case)
        errors = [abs(row["error"]) for row in rows]
        inside = sum(
            row["low_g"] < row["true_g"] < row["high_g"] for row in rows if "true_g" in row
        )
        print(
            f"{case.plant}: {len(rows)} held out, median error {100 * np.median(errors):.1f} %, "
            f"worst {100 * max(errors):.1f} %, {inside} of {len(rows)} in their interval"
        )


if __name__ == "__main__":
    main()
