"""The laboratory takes broth, answers late, scatters as it should and makes its mistakes."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controller.plant import load_plant
from controller.plant_file.config import ConfigError
from controller.recipes.file import load_recipe
from fermloop.commands.closed_loop import EPOCH, run_batch
from fermloop.commands.simulated import laboratories, vessels
from historian.events import Event
from historian.store import NullHistorian
from sim.laboratory import BENCHES, Laboratory, LaboratorySettings, Rows, files
from sim.vessel import Vessel

SIM = Path(__file__).parents[2] / "sim"


def settings(**keys: Any) -> LaboratorySettings:
    return LaboratorySettings.model_validate(keys)


class Still:
    """A vessel whose broth stays as it is: for statistics of the laboratory alone."""

    def __init__(self, organism: str, name: str, seed: int = 1) -> None:
        self.vessel = Vessel(organism, name, seed, instruments={})
        self.model, self.prefix, self.seed, self.time = self.vessel.model, "R1", seed, 0.0
        self.taken = 0.0

    def state(self) -> dict[str, float]:
        return self.vessel.state()

    def take(self, litres: float) -> None:
        self.taken += litres

    def watch(self, look: object) -> None:
        """Time is moved by the test."""


class Journal(NullHistorian):
    """A store that keeps events."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def record(self, event: Event) -> None:
        self.events.append(event)


def nobody(name: str, rows: Rows) -> None:
    """Enter nothing."""


def results(n: int, organism: str = "yeast", **keys: Any) -> Laboratory:
    still: Any = Still(organism, "300l")
    still.vessel.set_state(X=10.0, S=2.0)
    laboratory = Laboratory(still, settings(first_h=0.0, every_h=1.0, **keys))
    for k in range(n):
        still.time = 3600.0 * k
        laboratory.look()
    return laboratory


def test_a_sample_takes_broth_and_its_times_are_in_order() -> None:
    vessel = Vessel("ecoli", "5l", 3)
    laboratory = Laboratory(vessel, settings(every_h=0.5, first_h=0.25, mistakes=0))
    before = vessel.truth
    vessel.advance(2.0 * 3600.0)
    assert {r["sample"] for r in laboratory.records} == {1, 2, 3, 4}
    t = vessel.truth
    assert before["volume_l"] - t["volume_l"] == pytest.approx(4 * 0.015, abs=0.005)
    assert t["mass_kg"] / t["volume_l"] == pytest.approx(1.01, rel=1e-3)
    analytes = {"od", "dry_weight", "glucose", "nitrogen", "acetate", "product"}
    assert {r["analyte"] for r in laboratory.records} == analytes
    for r in laboratory.records:
        low, high = BENCHES[r["bench"]]
        assert r["t_sampled"] == pytest.approx(900.0 + 1800.0 * (r["sample"] - 1), abs=1.0)
        assert low <= (r["t_available"] - r["t_sampled"]) / 3600.0 <= high
        assert r["t_available"] < r["t_entered"]
    product = next(r for r in laboratory.records if r["analyte"] == "product")
    assert (product["bench"], product["value"], product["below_limit"]) == ("elisa", 0.005, True)


def test_results_scatter_by_their_assay_and_below_its_limit_say_so() -> None:
    laboratory = results(400, mistakes=0)
    by = {
        name: np.array([r["value"] for r in laboratory.records if r["analyte"] == name])
        for name in ("od", "dry_weight", "glucose", "ethanol")
    }
    assert by["dry_weight"].mean() == pytest.approx(10.0, rel=0.01)
    assert by["dry_weight"].std() / 10.0 == pytest.approx(0.05, rel=0.2)
    assert by["od"].std() / by["od"].mean() == pytest.approx(0.04, rel=0.2)
    assert by["glucose"].mean() == pytest.approx(2.0, rel=0.01)
    assert set(by["ethanol"]) == {0.05}
    assert not laboratory.mistakes


def test_mistakes_are_rare_of_every_kind_and_told_to_nobody() -> None:
    laboratory = results(1000, mistakes=0.02)
    share = len(laboratory.mistakes) / len(laboratory.records)
    assert share == pytest.approx(0.02, rel=0.25)
    assert set(laboratory.mistakes.values()) == {"dilution", "swapped", "timestamp"}
    for at, mistake in laboratory.mistakes.items():
        r = laboratory.records[at]
        late = r["t_sampled"] - 3600.0 * (r["sample"] - 1)
        assert (1200.0 <= abs(late) <= 3600.0) == (mistake == "timestamp")
        if mistake == "dilution" and r["analyte"] == "dry_weight":
            assert not 7.0 < r["value"] < 13.0
    assert all("mistake" not in r for r in laboratory.records)


def test_a_seed_gives_one_laboratory_and_fewer_assays_change_no_bench_of_their_own() -> None:
    def times(bench: str, **keys: Any) -> list[float]:
        return [r["t_entered"] for r in results(9, **keys).records if r["bench"] == bench]

    assert results(9).records == results(9).records
    assert times("balance", assays=("dry_weight",)) == times("balance")


@pytest.mark.parametrize(
    ("organism", "extra"), [("penicillin", {"product", "paa"}), ("yeast", {"ethanol"})]
)
def test_each_organism_has_the_assays_of_its_broth(organism: str, extra: set[str]) -> None:
    found = {r["analyte"] for r in results(1, organism).records}
    assert found == {"od", "dry_weight", "glucose", "nitrogen"} | extra
    with pytest.raises(ValueError, match="smell: no assay for this broth; there are od, dry_"):
        results(1, organism, assays=("smell",))


def test_results_are_whole_files_when_they_are_entered(tmp_path: Path) -> None:
    vessel = Vessel("ecoli", "5l", 3, start_time=1_767_225_600.0)
    laboratory = Laboratory(vessel, settings(), files(tmp_path))
    vessel.advance(vessel.time + 1800.0 + 240.0)
    assert not list(tmp_path.iterdir())
    vessel.advance(vessel.time + 3.0 * 3600.0)
    entered = {f"R1-{r['sample']:03d}-{r['bench']}.csv": r for r in laboratory.records}
    entered = {name: r for name, r in entered.items() if r["t_entered"] <= vessel.time}
    assert {path.name for path in tmp_path.iterdir()} == set(entered)
    with (tmp_path / "R1-001-analyser.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["analyte"] for row in rows] == ["glucose", "nitrogen"]
    assert rows[0]["t_sampled"] == "2026-01-01T00:30:00Z"
    first = next(r for r in laboratory.records if r["analyte"] == "glucose")
    assert float(rows[0]["value"]) == first["value"]


def test_a_virtual_batch_gives_the_samples_that_its_plant_file_asks_for(tmp_path: Path) -> None:
    text = (SIM / "plants/ecoli_5l.toml").read_text(encoding="utf-8")
    path = tmp_path / "plant.toml"
    asked = 'first_h = 0.02\nevery_h = 0.05\nmistakes = 0.0\nassays = ["od"]\n'
    path.write_text(f"{text}\n[simulation.R1.laboratory]\n{asked}")
    recipe = SIM / "recipes/ecoli.toml"
    plain, plant = load_plant(SIM / "plants/ecoli_5l.toml"), load_plant(path)
    assert laboratories(plain, vessels(plain, 1, 0.0), nobody) == {}
    store = Journal()
    outcome = run_batch(plant, load_recipe(recipe), recipe, hours=1.2, seed=1, store=store)
    assert [r["sample"] for r in outcome.samples if r["analyte"] == "od"]
    entered = [r["t_entered"] for r in outcome.samples]
    assert entered == sorted(entered)
    now = EPOCH + 1.2 * 3600.0
    got: list[Any] = [e.data["result"] for e in store.events if "result" in e.data]
    due = [r for r in outcome.samples if r["t_entered"] <= now - 1.0]
    assert [(r["value"], r["t_sampled"]) for r in got] == [
        (r["value"], r["t_sampled"]) for r in due
    ]
    assert len(due) > 1
    assert all(r["t_entered"] >= r["t_available"] for r in got)
    path.write_text(f'{text}\n[simulation.R1.laboratory]\nassays = ["paa"]\n')
    plant = load_plant(path)
    with pytest.raises(ConfigError, match=r"simulation\.R1\.laboratory\.assays: paa: no assay"):
        laboratories(plant, vessels(plant, 1, 0.0), nobody)
