"""``fermloop backup`` and ``restore``: what people see, and the exit codes."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from controller.plant import load_plant
from controller.plant_file.config import ConfigError
from drivers.point import Quality, Sample, Tag
from fermloop.cli import app
from fermloop.commands.run import processes
from fermloop.failure import FailureError
from historian.sqlite import SqliteReader, SqliteStore

DO = Tag("R1.do", "%", -5, 200)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "store.sqlite"
    with SqliteStore(path) as store:
        store.append([Sample(DO, 1.79e9, 30.0, Quality.GOOD)])
    return path


def said(*words: str | Path) -> str:
    done = CliRunner().invoke(app, [*map(str, words)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def test_a_backup_is_made_checked_and_restored(store: Path, tmp_path: Path) -> None:
    told = json.loads(said("backup", tmp_path / "nas", "--store", store, "--json"))
    place = Path(told["path"])
    assert told["rows"] == {"R1": 1}
    assert "rows      R1 1" in said("backup", place, "--check")
    assert "checksums and store good" in said("restore", place, "--to", tmp_path / "aside")
    with SqliteReader(tmp_path / "aside/store.sqlite") as reader:
        assert reader.last("R1")["R1.do"].value == 30.0
    assert "replaced  " in said("restore", place, "--store", store)


def test_what_cannot_be_done_is_said(store: Path, tmp_path: Path) -> None:
    place = json.loads(said("backup", tmp_path / "nas", "--store", store, "--json"))["path"]
    with SqliteStore(store), pytest.raises(FailureError, match=r"stop it first, or .* with --to"):
        said("restore", place, "--store", store)
    with pytest.raises(FailureError, match=r"no backup: .*; nothing was changed"):
        said("restore", tmp_path, "--store", store)
    with pytest.raises(FailureError, match="one of them is required"):
        said("restore", place)
    with pytest.raises(FailureError, match="is there already; a new folder is required"):
        said("restore", place, "--to", tmp_path)


def test_a_plant_that_seals_has_a_keeper_and_a_wrong_limit_is_refused(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "sim/plants/ecoli_5l.toml").read_text(encoding="utf-8")
    path = tmp_path / "plant.toml"
    path.write_text(f"{text}\n[store]\nseal_after_h = 24\nkeep_days = 400\nkeep_gb = 50\n")
    names = [child.name for child in processes(load_plant(path), None, "off")]
    assert names == ["keeper", "controller", "console"]
    path.write_text(f"{text}\n[store]\nkeep_days = 0\n")
    with pytest.raises(ConfigError, match=r"store\.keep_days: 0 is not allowed"):
        load_plant(path)
    path.write_text(text)
    assert next(c.name for c in processes(load_plant(path), None, "off")) == "controller"
