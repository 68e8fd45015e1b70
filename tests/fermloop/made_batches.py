"""Batches that the control model itself made, as a plant would have written them down."""

import csv
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from controller.recipes.file import load_recipe
from drivers.point import Quality, Sample, Tag
from historian.events import Event, Kind
from historian.sqlite import SqliteStore
from models.culture import Culture
from models.ecoli import EColi
from models.fitting import Experiment
from models.fitting.experiment import Floats
from models.fitting.simulation import Simulation
from models.fn import ARRAYS
from models.oxygen import AIR_O2, saturation
from models.vessels import DENSITY

MODEL = Culture(EColi())
START = 1_767_225_600.0  # 2026-01-01 00:00 UTC
STEP_H, HOURS = 0.1, 22.0


class Run(NamedTuple):
    """A batch: middles of its rows in h, columns, and analyte, hours and value of each result."""

    hours: Floats
    columns: dict[str, Floats]
    results: list[tuple[str, float, float]]


MAP = """
reactor = "R1"
batch = "any"
time = { column = "time" }
[columns]
feed = { tag = "R1.feed", unit = "L/h" }
base = { tag = "R1.base", unit = "mL/min" }
inducer = { tag = "R1.inducer", unit = "mL/min" }
do = { tag = "R1.do", unit = "%" }
T = { tag = "R1.temperature", unit = "K" }
pH = { tag = "R1.ph", unit = "[pH]" }
weight = { tag = "R1.weight", unit = "kg" }
our = { tag = "R1.our", unit = "mmol/(L.h)" }
cer = { tag = "R1.cer", unit = "mmol/(L.h)" }
"""


def run(name: str, seed: int, true: Mapping[str, float], rate: float = 0.12) -> Run:
    """Return a batch that the model made.

    Args:
        name: of the batch.
        seed: of the noise.
        true: parameters that are not the model's own.
        rate: of the feed, 1/h.
    """
    random = np.random.default_rng(seed)
    t = np.arange(round(HOURS / STEP_H), dtype=np.float64) * STEP_H
    u = np.tile([v.default for v in MODEL.inputs], (len(t), 1))
    at = {v.name: k for k, v in enumerate(MODEL.inputs)}
    u[:, at["feed"]] = np.where(t < 8.0, 0.0, 0.008 * np.exp(rate * (t - 8.0)))
    u[:, at["inducer"]] = np.where(np.abs(t - 12.0) < 0.5 * STEP_H, 0.1, 0.0)
    u[:, at["base"]] = 0.002
    u[:, at["O"]] = 0.3 * saturation(37.0, AIR_O2, 1.05, ARRAYS)
    batch = Experiment(name, STEP_H, u, {"X": 0.3, "S": 8.0, "V": 3.0})
    simulation = Simulation(MODEL)
    own = {**true, "X": 0.3 * math.exp(0.1 * random.standard_normal())}
    path = simulation.states(batch, own)
    middle = t + 0.5 * STEP_H

    def seen(what: str, hours: Floats) -> Floats:
        return simulation.seen(batch, path, own, (what,), hours)

    heavier = np.cumsum(u[:, at["feed"]]) * STEP_H * (1.19 - DENSITY)
    columns: dict[str, Floats] = {
        "feed": u[:, at["feed"]],
        "base": u[:, at["base"]] / 0.06,
        "inducer": u[:, at["inducer"]] / 0.06,
        "do": np.full(len(t), 30.0),
        "T": np.full(len(t), 310.15),
        "pH": np.full(len(t), 7.0),
        "weight": seen("V", middle) * DENSITY + heavier,
        "our": seen("OUR", middle) * (1.0 + 0.03 * random.standard_normal(len(t))),
        "cer": seen("CER", middle) * (1.0 + 0.03 * random.standard_normal(len(t))),
    }
    results: list[tuple[str, float, float]] = []
    taken: dict[tuple[str, str], Floats] = {
        ("dry_weight", "X"): np.linspace(2.0, 18.0, 5),
        ("product", "P"): np.linspace(14.0, 20.0, 4),
    }
    for (analyte, what), hours in taken.items():
        for h, value in zip(hours.tolist(), seen(what, hours).tolist(), strict=True):
            results.append((analyte, h, value * (1.0 + 0.04 * random.standard_normal())))
    return Run(middle, columns, results)


def made(
    folder: Path, name: str, day: int, true: Mapping[str, float], rate: float = 0.12
) -> tuple[Path, list[dict[str, str]]]:
    """Write a batch of January 2026 as CSV; return its path and what the laboratory found."""
    batch = run(name, day, true, rate)
    began = datetime(2026, 1, day, tzinfo=UTC).timestamp()

    def stamp(hours: float) -> str:
        return datetime.fromtimestamp(began + 3600.0 * hours, UTC).isoformat()

    file = folder / f"{name}.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        table = csv.writer(out)
        table.writerow(["time", *batch.columns])
        for k, h in enumerate(batch.hours.tolist()):
            table.writerow([stamp(h), *(float(c[k]) for c in batch.columns.values())])
    return file, [
        {"analyte": analyte, "value": f"{value:.6g}", "unit": "g/L", "t_sampled": stamp(h)}
        for analyte, h, value in batch.results
    ]


def stored(folder: Path, name: str, recipe: Path) -> None:
    """Write a batch of a recipe with the phases batch, feed, induce and harvest into a store."""
    batch = run(name, 1, {})
    scales = {"feed": 1e3, "T": 1.0}
    tags = {
        "feed": Tag("R1.feed", "mL/h", 0, 200),
        "base": Tag("R1.base", "mL/min", 0, 5),
        "inducer": Tag("R1.inducer", "mL/min", 0, 50),
        "do": Tag("R1.do", "%", -5, 200),
        "pH": Tag("R1.ph", "[pH]", 0, 14),
        "T": Tag("R1.temperature", "Cel", 0, 150),
        "weight": Tag("R1.weight", "kg", 0, 10),
        "our": Tag("R1.our", "mmol/(L.h)", -1e3, 1e4),
        "cer": Tag("R1.cer", "mmol/(L.h)", -1e3, 1e4),
    }

    def phase(hours: float, text: str, **data: object) -> Event:
        return Event(START + 3600.0 * hours, "recipe", Kind.PHASE, "R1", text, data)

    with SqliteStore(folder / "store.sqlite") as store:
        table = load_recipe(recipe).table
        store.record(phase(0.0, "started", batch=name, state="RUNNING", recipe=table))
        began = {"batch": 0.0, "feed": 8.0, "induce": 12.0, "harvest": 21.9}
        for k, (at, hours) in enumerate(began.items()):
            store.record(phase(hours, at, phase=at, index=k))
        for k, h in enumerate(batch.hours.tolist()):
            for part in (-0.4, 0.0, 0.4):  # rows are minutes in the store
                when = START + 3600.0 * (h + part * STEP_H)
                store.append(
                    Sample(
                        tag,
                        when,
                        (float(batch.columns[n][k]) - (273.15 if n == "T" else 0.0))
                        * scales.get(n, 1.0),
                        Quality.GOOD,
                    )
                    for n, tag in tags.items()
                )
        store.record(phase(HOURS, "complete", state="COMPLETE"))
        for number, (analyte, h, value) in enumerate(batch.results, 1):
            result = {
                "number": number,
                "analyte": analyte,
                "value": value,
                "unit": "g/L",
                "t_sampled": START + 3600.0 * h,
            }
            data = {"what": "sample", "result": result}
            when = START + 3600.0 * (h + 20.0)  # late
            store.record(Event(when, "operator:li", Kind.AUDIT, "R1", "sample", data))
