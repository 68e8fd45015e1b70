"""A campaign's folder with numbers that were made up, for what comes after the batches."""

from pathlib import Path
from typing import Any

import numpy as np

from fermloop.campaign.finished import Finished
from fermloop.campaign.results import Row
from fermloop.campaign.statistics import by_recipe
from fermloop.campaign.tables import write_trajectory
from fermloop.commands import report

HOURS = 24.0
POINTS = 13
ENERGY = {"stirring": 0.4, "aeration": 0.1, "heating": 0.05, "chilling": 0.02}  # kWh


def batch(recipe: str, seed: int, product_g: float, **more: Any) -> Row:
    """Return the row of a finished batch, with every key of a report."""
    row: Row = {key.name: 0.0 for key in report.TRUTH}
    row |= {f"energy_{name}_kwh": kwh for name, kwh in ENERGY.items()}
    row |= {"seed": seed, "hours": HOURS, "state": "done", "error": None, "took_s": 20.0}
    row |= {"recipe_file": f"{recipe}.toml", "plant_file": "plant.toml", "interlock_trips": 0}
    row |= {"product_g": product_g, "by_product": "acetate", "energy_kwh": 0.57}
    row |= {"yield_product_per_substrate_g_per_g": product_g / 300.0, "turnaround_h": 12.0}
    row |= {"space_time_yield_g_per_l_h": product_g / 5.0 / 36.0, "substrate_kg": 0.3}
    row |= {"ammonia_kg": 0.02, "grid_co2e_kg_per_kwh": 0.4}
    row |= {"substrate_co2e_kg_per_kg": 1.0, "ammonia_co2e_kg_per_kg": 2.4}
    if product_g:
        row["energy_per_product_kwh_per_kg"] = 570.0 / product_g
        row["co2e_per_product_kg_per_kg"] = (0.4 * 0.57 + 0.3 + 2.4 * 0.02) * 1e3 / product_g
    return row | more


def lost(recipe: str, seed: int, error: str = "FloatingPointError: R1 at 3600 s") -> Row:
    """Return the row of a batch that failed."""
    return {
        "recipe_file": f"{recipe}.toml",
        "plant_file": "plant.toml",
        "seed": seed,
        "hours": HOURS,
        "state": "failed",
        "error": error,
        "took_s": 3.0,
    }


def plants(n: int) -> list[float]:
    """Return what ``n`` plants make, g."""
    return [float(v) for v in np.random.default_rng(3).normal(30.0, 5.0, n)]


def finished(folder: Path, rows: list[Row], seeds: int) -> Finished:
    """Return the campaign of these rows, with trajectories beside it."""
    recipes = by_recipe(rows)
    manifest = {
        "fermloop": "0.1.0+abc",
        "plant": {"file": "plant.toml", "hash": "12ab"},
        "recipes": {name: {"file": f"{name}.toml", "hash": "34cd"} for name in recipes},
        "seeds": list(range(seeds)),
        "hours": HOURS,
        "optimiser": "off",
        "scan_s": 1.0,
    }
    (folder / "trajectories").mkdir(parents=True, exist_ok=True)
    age = np.linspace(0.0, HOURS, POINTS)
    for row in rows:
        if row["state"] == "done":
            name = f"{Path(row['recipe_file']).stem}-{row['seed']}.parquet"
            columns = {
                "age_h": age.tolist(),
                "product_g_per_l": (row["product_g"] * age / HOURS).tolist(),
                "do_percent": (100.0 - age).tolist(),
                "lactate_g_per_l": (0.1 * age).tolist(),  # a word of a user's own model
                "oil_l_per_h": [0.0] * POINTS,
            }
            write_trajectory(folder / "trajectories" / name, columns)
    return Finished(folder, manifest, recipes)
