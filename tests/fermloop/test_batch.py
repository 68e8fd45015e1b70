"""One batch on virtual time from the command line."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from drivers.point import Tag
from fermloop.commands import report
from historian.sqlite import SqliteReader

ROOT = Path(__file__).parents[2]
PLANT = ROOT / "sim/plants/ecoli_5l.toml"
RECIPE = ROOT / "sim/recipes/ecoli.toml"


def batch(folder: Path, *words: str, plant: Path = PLANT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fermloop", "batch", str(plant), "--recipe", str(RECIPE)]
    return subprocess.run(
        [*command, *words], cwd=folder, capture_output=True, text=True, check=False, timeout=90
    )


def reported(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_seed_gives_one_report_with_every_key_and_all_samples_in_the_store(
    tmp_path: Path,
) -> None:
    first = reported(batch(tmp_path, "--hours", "0.5", "--seed", "3", "--json"))
    assert list(report.problems(first)) == []
    assert (first["hours"], first["seed"], first["recipe"]) == (0.5, 3, "ecoli")
    assert first["scans"] == 1801
    assert (first["scans_missed"], first["samples_lost"]) == (0, 0)
    (folder,) = (tmp_path / "data").iterdir()
    assert json.loads((folder / "report.json").read_text()) == first
    with SqliteReader(folder / "store.sqlite") as store:
        kept = store.read(Tag("R1.temperature", "Cel", 0, 150), 0.0, 4e9)
    assert len(kept) == first["scans"]
    assert first["samples_stored"] > 21 * first["scans"]

    again = reported(batch(tmp_path, "--hours", "0.5", "--seed", "3", "--json"))
    other = reported(batch(tmp_path, "--hours", "0.5", "--seed", "4", "--json"))
    assert again == first
    assert other["biomass_g_per_l"] != first["biomass_g_per_l"]
    assert len(list((tmp_path / "data").iterdir())) == 3


def test_where_piped_the_summary_is_plain_and_the_report_goes_where_it_was_asked(
    tmp_path: Path,
) -> None:
    done = batch(tmp_path, "--hours", "0.1", "--report", "deep/r.json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.startswith("ecoli, 0.10 h, seed 1, optimiser off\nproduct ")
    assert list(report.problems(json.loads((tmp_path / "deep/r.json").read_text()))) == []


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[simulation.R1", "[simulation.R2", "simulation.R2: no such reactor; R1 are allowed"),
        ("[simulation.R1]", "[simulation.R1.x]", "simulation.R1.organism: missing"),
    ],
)
def test_a_plant_that_cannot_be_simulated_is_refused(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    plant = tmp_path / "plant.toml"
    plant.write_text(PLANT.read_text().replace(old, new))
    done = batch(tmp_path, plant=plant)
    assert done.returncode == 2
    assert f"plant.toml: {says}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_report_that_cannot_be_written_is_refused_before_the_batch(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = batch(tmp_path, "--report", "file/r.json")
    assert done.returncode == 2
    assert "--report: file/r.json is not allowed" in done.stderr
    assert not (tmp_path / "data").exists()
