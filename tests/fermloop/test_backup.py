"""``fermloop backup`` and ``restore``: what people see, and the exit codes."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from drivers.point import Quality, Sample, Tag
from fermloop.cli import app
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
