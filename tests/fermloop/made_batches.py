"""Batches that the control model itself made, as a plant would have written them down."""

import csv
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from models.culture import Culture
from models.ecoli import EColi
from models.fitting import Experiment
from models.fitting.experiment import Floats
from models.fitting.simulation import Simulation
from models.fn import ARRAYS
from models.oxygen import AIR_O2, saturation
from models.vessels import DENSITY

MODEL = Culture(EColi())
STEP_H, HOURS = 0.1, 22.0
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


def made(
    folder: Path, name: str, day: int, true: Mapping[str, float], rate: float = 0.12
) -> tuple[Path, list[dict[str, str]]]:
    """Write a batch as CSV; return its path and what the laboratory found.

    Args:
        folder: where.
        name: of the batch.
        day: of January 2026 on which it began, UTC midnight.
        true: parameters that are not the model's own.
        rate: of the feed, 1/h.
    """
    random = np.random.default_rng(day)
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
    file = folder / f"{name}.csv"
    began = datetime(2026, 1, day, tzinfo=UTC).timestamp()
    with file.open("w", encoding="utf-8", newline="") as out:
        table = csv.writer(out)
        table.writerow(["time", *columns])
        for k, h in enumerate(middle.tolist()):
            stamp = datetime.fromtimestamp(began + 3600.0 * h, UTC)
            table.writerow([stamp.isoformat(), *(float(c[k]) for c in columns.values())])
    rows: list[dict[str, str]] = []
    taken: dict[tuple[str, str], Floats] = {
        ("dry_weight", "X"): np.linspace(2.0, 18.0, 5),
        ("product", "P"): np.linspace(14.0, 20.0, 4),
    }
    for (analyte, what), hours in taken.items():
        for h, value in zip(hours, seen(what, hours), strict=True):
            stamp = datetime.fromtimestamp(began + 3600.0 * float(h), UTC)
            found = float(value) * (1.0 + 0.04 * random.standard_normal())
            rows.append(
                {
                    "analyte": analyte,
                    "value": f"{found:.6g}",
                    "unit": "g/L",
                    "t_sampled": stamp.isoformat(),
                }
            )
    return file, rows
