"""The figures that the project claims: the searched recipe alone against the optimiser, 24 h.

Long: ``make test-long``. Plants are drawn from seeds 1-5; the recipe was searched on 201-212.
``pytest -m long -s tests/loop/test_figures.py`` prints the table of the README.
"""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from controller.planning.advisor import AdvisorMode
from controller.plant import load_plant
from controller.recipes.recipe import load_recipe
from drivers.clock import monotonic
from fermloop.commands.closed_loop import run_batch
from historian.sqlite import SqliteStore

PLANT, RECIPE = Path("sim/plants/ecoli_5l.toml"), Path("sim/recipes/ecoli.toml")
HOURS = 24.0
SEEDS = range(1, 6)
VIOLATIONS = ("do_below_limit_min", "by_product_above_limit_min", "volume_above_limit_min")

pytestmark = pytest.mark.long


@dataclass(frozen=True, slots=True)
class Batch:
    """What came of one batch.

    Attributes:
        truth: the simulated plant's own figures.
        control: the controller's.
        took_s: wall s.
        lost: samples lost by the store.
    """

    truth: dict[str, Any]
    control: dict[str, Any]
    took_s: float
    lost: int

    @property
    def violations_min(self) -> float:
        """Minutes beyond any limit."""
        return sum(self.truth[key] for key in VIOLATIONS)


def run(seed: int, optimiser: AdvisorMode, folder: Path) -> Batch:
    began = monotonic()
    store = SqliteStore(folder / f"{seed}-{optimiser}.sqlite", wait_when_full=True)
    try:
        outcome = run_batch(
            load_plant(PLANT),
            load_recipe(RECIPE),
            RECIPE,
            hours=HOURS,
            seed=seed,
            optimiser=optimiser,
            store=store,
        )
        store.flush()
    finally:
        store.close()
    control = outcome.control["reactors"]["R1"]
    return Batch(outcome.truth["R1"], control, monotonic() - began, store.lost)


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Batch]]:
    """Return the batches of every seed, with the recipe alone and with the optimiser."""
    folder = tmp_path_factory.mktemp("figures")
    kinds: tuple[AdvisorMode, ...] = ("off", "on")
    with ProcessPoolExecutor(2) as workers:
        futures = {k: [workers.submit(run, s, k, folder) for s in SEEDS] for k in kinds}
        return {kind: [f.result() for f in runs] for kind, runs in futures.items()}


@pytest.mark.parametrize("kind", ["off", "on"])
def test_temperature_and_ph_hold_and_no_limit_is_passed(
    batches: dict[str, list[Batch]], kind: str
) -> None:
    for batch in batches[kind]:
        loops = batch.control["loops"]
        assert loops["temperature"]["in_band"] >= 0.95
        assert loops["ph"]["in_band"] >= 0.95
        assert batch.truth["do_above_limit_share"] >= 0.99
        assert batch.truth["by_product_below_limit_share"] >= 0.95
        assert batch.truth["volume_above_limit_min"] == 0


@pytest.mark.parametrize("kind", ["off", "on"])
def test_a_day_takes_a_minute_and_no_sample_is_lost(
    batches: dict[str, list[Batch]], kind: str
) -> None:
    for batch in batches[kind]:
        assert batch.lost == 0
        assert batch.took_s <= 60.0


def test_the_optimiser_makes_a_tenth_more_at_no_more_violations(
    batches: dict[str, list[Batch]],
) -> None:
    alone, optimised = batches["off"], batches["on"]
    gain = mean(b.truth["product_g"] for b in optimised) / mean(b.truth["product_g"] for b in alone)
    print()
    for seed, a, o in zip(SEEDS, alone, optimised, strict=True):
        print(
            f"seed {seed}: recipe {a.truth['product_g']:.2f} g, {a.violations_min:.1f} min, "
            f"{a.took_s:.0f} s; optimiser {o.truth['product_g']:.2f} g, "
            f"{o.violations_min:.1f} min, {o.took_s:.0f} s"
        )
    for name, runs in (("recipe", alone), ("optimiser", optimised)):
        for loop in ("temperature", "ph", "do"):
            seen = min(b.control["loops"][loop]["in_band"] for b in runs)
            true = min(b.truth["true_in_band"][loop] for b in runs)
            print(f"{name}: {loop} in band, worst: measured {seen:.4f}, true {true:.4f}")
    print(f"gain of the mean: {100 * (gain - 1):.1f} %")
    assert gain >= 1.10
    assert sum(b.violations_min for b in optimised) <= sum(b.violations_min for b in alone)
    assert all(b.control["optimiser_plans"] > 100 for b in optimised)
