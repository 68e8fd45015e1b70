"""A short batch from end to end: held in band, recorded whole, the same for the same seed."""

import math
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controller.plant import load_plant
from controller.recipes.recipe import load_recipe, parse_recipe
from controller.sensing.estimate import reported
from controller.sensing.estimator import NAMED
from controller.tags import PARTS
from drivers.point import Tag
from fermloop.commands.closed_loop import EPOCH, Outcome, run_batch
from historian.events import Kind
from historian.sqlite import SqliteReader, SqliteStore
from models.soft_sensor import TITRANT
from tests.loop.rig import DEMO, FED, Rig, plant_file

HOURS = 4.0
SHORT = """\
name = "short"
organism = "ecoli"

[start]
loops = { temperature = "AUTO", ph = "AUTO", do = "AUTO", agitation = "CASCADE", air = "CASCADE" }
setpoints = { temperature = 37.0, ph = 7.0, do = 30.0, feed = 0.0 }

[[phase]]
name = "batch"
loops = { feed = "CASCADE", inducer = "CASCADE" }
until = { batch_h = 1.0 }

[[phase]]
name = "feed"
feeds.feed = { kind = "exponential", mu = 0.18, cap = 8.0, biomass_g_per_l = 1.0 }
until = { batch_h = 2.0 }

[[phase]]
name = "induce"
doses = [{ loop = "inducer", volume_l = 0.010, flow = 2.0 }]
induces = true
feeds.feed = { kind = "hold" }
until = { batch_h = 3.9 }

[[phase]]
name = "harvest"
setpoints = { feed = 0.0 }
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "short.toml"
    path.write_text(SHORT)
    return path


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store") / "store.sqlite"


@pytest.fixture(scope="module")
def batch(recipe: Path, stored: Path) -> tuple[Outcome, int, int]:
    """Return what came of four hours, with the samples stored and lost."""
    with SqliteStore(stored, wait_when_full=True) as store:
        outcome = run_batch(
            load_plant(DEMO), load_recipe(recipe), recipe, hours=HOURS, seed=7, store=store
        )
        store.flush()
        return outcome, store.stored, store.lost


def of(outcome: Outcome) -> dict[str, Any]:
    return outcome.control["reactors"]["R1"]


def test_temperature_ph_and_do_stay_in_band(batch: tuple[Outcome, int, int]) -> None:
    outcome, _, _ = batch
    loops = of(outcome)["loops"]
    assert loops["temperature"]["in_band"] >= 0.95
    assert loops["ph"]["in_band"] >= 0.95
    assert outcome.truth["R1"]["true_in_band"]["temperature"] >= 0.95
    assert outcome.truth["R1"]["true_in_band"]["ph"] >= 0.95
    assert outcome.truth["R1"]["do_above_limit_share"] >= 0.99
    assert 0 < loops["temperature"]["iae"] < 1.0
    assert math.isfinite(loops["do"]["iae"])


def test_the_phases_move_on_and_the_induction_dose_is_given_once(
    batch: tuple[Outcome, int, int], stored: Path
) -> None:
    outcome, _, _ = batch
    with SqliteReader(stored) as store:
        texts = [str(e["text"]) for e in store.events(0, 100)]
        flows = store.read(Tag("R1.inducer", "mL/min", 0, 5), 0.0, 4e9)
        phases = store.read(Tag("R1.phase", "1", 0, 1e6), 0.0, 4e9)
    assert [t for t in texts if "phase" in t] == [
        f"recipe short: phase {name} ({k} of 4) began"
        for k, name in enumerate(("batch", "feed", "induce", "harvest"), 1)
    ]
    assert "recipe short: 10 mL were given through inducer" in texts
    # what each row shows was held for the second before it
    assert sum(s.value for s in flows) / 60.0 == pytest.approx(10.0, abs=0.01)
    running = [s for s in flows if s.value > 0]
    assert running[-1].time - running[0].time == pytest.approx(300.0, abs=3.0)
    assert sorted({s.value for s in phases if s.value == s.value}) == [0, 1, 2, 3]
    assert outcome.truth["R1"]["product_g"] > 0.001


def test_every_scan_is_a_row_and_no_sample_is_lost(
    batch: tuple[Outcome, int, int], stored: Path
) -> None:
    outcome, kept, lost = batch
    scans = outcome.control["scans"]
    assert scans == HOURS * 3600 + 1
    assert (outcome.control["scans_missed"], lost) == (0, 0)
    plant = load_plant(DEMO)
    with SqliteReader(stored) as store:
        for tag in plant.tags.values():
            found = store.read(tag, EPOCH, EPOCH + 1e6)
            assert len(found) == scans, tag.name
        updates = len(store.read(Tag("R1.est.biomass", "g/L", 0, 1e6), EPOCH, EPOCH + 1e6))
        names = (f"R1.innovation.{name}" for name in (*NAMED.values(), TITRANT.name))
        told = [len(store.read(Tag(n, "1", -1e3, 1e3), EPOCH, EPOCH + 1e6)) for n in names]
    model = plant.settings.reactor["R1"].model
    assert model is not None
    assert updates == pytest.approx(scans / model.estimator_period_s, rel=0.1)  # stored once each
    others = kept - updates * len(reported("ecoli")) * len(PARTS) - sum(told)
    assert others % scans == 0
    assert others // scans > len(plant.tags)


def test_the_record_of_the_batch_is_rebuilt_from_the_store_alone(
    batch: tuple[Outcome, int, int], stored: Path
) -> None:
    with SqliteReader(stored) as store:
        (found,) = store.batches()
        record = store.batch("R1-20260101-0000")
    assert record.batch == found
    assert (found.recipe, found.state) == ("short", "COMPLETE")
    assert found.ended is not None
    assert found.age_h(found.ended) == pytest.approx(3.9, abs=0.001)
    assert [p.name for p in record.phases] == ["batch", "feed", "induce", "harvest"]
    assert record.phases[2].began == pytest.approx(EPOCH + 2 * 3600, abs=2)
    assert record.plant_file.text == DEMO.read_text(encoding="utf-8")
    assert record.software.startswith("fermloop ")
    assert parse_recipe(record.recipes[0].table) == parse_recipe(tomllib.loads(SHORT))
    modes = {c.subject: c.new for c in record.changes if c.what == "mode"}
    assert (modes["R1.do"], modes["R1.inducer"]) == ("AUTO", "CASCADE")
    assert {c.source for c in record.changes} == {"recipe"}


def test_the_report_has_every_key_and_only_finite_numbers(
    batch: tuple[Outcome, int, int],
) -> None:
    outcome, _, _ = batch
    report = of(outcome)
    assert set(report) == {
        "recipe",
        "optimiser",
        "loops",
        "estimated",
        "optimiser_plans",
        "optimiser_sheds",
        "optimiser_late",
        "interlock_trips",
    }
    assert set(report["loops"]) == {"temperature", "ph", "do"}
    assert all(math.isfinite(v) for v in report["estimated"].values())
    truth = outcome.truth["R1"]
    assert report["estimated"]["volume_l"] == pytest.approx(truth["volume_l"], rel=0.03)
    assert report["estimated"]["biomass_g_per_l"] == pytest.approx(
        truth["biomass_g_per_l"], rel=0.35
    )


def test_a_seed_gives_one_batch_and_another_seed_another(recipe: Path) -> None:
    plant, read = load_plant(DEMO), load_recipe(recipe)

    def run(seed: int) -> Outcome:
        return run_batch(plant, read, recipe, hours=0.4, seed=seed)

    first, again, other = run(3), run(3), run(4)
    assert (again.truth, again.control) == (first.truth, first.control)
    assert other.truth["R1"]["biomass_g_per_l"] != first.truth["R1"]["biomass_g_per_l"]
    assert other.control["reactors"] != first.control["reactors"]


def test_a_batch_with_the_optimiser_is_repeatable_too(tmp_path: Path) -> None:
    path = tmp_path / "fed.toml"
    path.write_text(FED.replace("flow = 20.0", "flow = 2.0"))  # plans are of recipes that feed
    quick = {"stages = 16": "stages = 16\nscenarios = 1"}
    plant, recipe = plant_file(tmp_path, quick), load_recipe(path)

    def run() -> Outcome:
        return run_batch(plant, recipe, path, hours=0.4, seed=3, optimiser="shadow")

    first, again = run(), run()
    assert of(first)["optimiser"] == "shadow"
    assert of(first)["optimiser_plans"] >= 3
    assert (again.truth, again.control) == (first.truth, first.control)


def test_a_batch_may_be_started_again_and_begins_from_nothing(
    make: Callable[..., Rig], recipe: Path
) -> None:
    rig = make()
    rig.begin(recipe)
    rig.run(400)
    rig.controller.recipe("R1", "abort", "", "a test", "ana")
    rig.run(10)
    first = rig.controller.report()["reactors"]["R1"]
    rig.controller.recipe("R1", "start", str(recipe), "again", "ana")
    rig.run(20)
    batch = rig.state()["reactors"]["R1"]["batch"]
    assert (batch["state"], batch["phase"]) == ("RUNNING", "batch")
    assert batch["age_h"] < 0.01
    second = rig.controller.report()["reactors"]["R1"]
    assert second["loops"]["do"]["iae"] <= first["loops"]["do"]["iae"]
    assert len(rig.told(Kind.PHASE, "started: recipe short")) == 2
    with pytest.raises(ValueError, match=r"R1: batch R1-\d{8}-\d{4} is RUNNING"):
        rig.controller.recipe("R1", "start", str(recipe), "twice", "ana")
