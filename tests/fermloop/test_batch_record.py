"""``fermloop batch list`` and ``show``: what people see of the record of a batch."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fermloop.cli import app
from fermloop.failure import FailureError
from historian.events import Event, Kind
from historian.sqlite import SqliteStore

T0 = 1.79e9
RECIPE = {"name": "short", "phase": [{"name": "grow"}]}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "store.sqlite"
    with SqliteStore(path) as writer:
        data = {"batch": "R1-1", "recipe": RECIPE, "software": "fermloop 1"}
        writer.record(Event(T0, "recipe", Kind.PHASE, "R1", "batch R1-1 started", data))
        phase = {"phase": "grow", "index": 0}
        writer.record(Event(T0, "recipe", Kind.PHASE, "R1", "phase grow began", phase))
        change = {"what": "setpoint", "old": 30, "new": 35, "why": "acetate rising"}
        source, text = "operator:ana", "R1.do setpoint 30 to 35"
        writer.record(Event(T0 + 1800, source, Kind.AUDIT, "R1.do", text, change))
    return path


def said(*words: str | Path) -> list[str]:
    done = CliRunner().invoke(app, ["batch", *map(str, words)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output.splitlines()


def test_batches_are_listed_and_one_is_shown(store: Path) -> None:
    (line,) = said("list", "--store", store)
    assert line.startswith("R1-1  ")
    assert line.endswith("  short  RUNNING")
    assert json.loads(said("list", "--store", store, "--json")[0])["began"] == T0
    assert said("list", "--store", store, "--reactor", "R2") == []
    shown = said("show", "R1-1", "--store", store)
    assert shown[0] == "batch       R1-1  RUNNING"
    assert "software    fermloop 1" in shown
    setpoint = "0.500 h  operator:ana  R1.do setpoint 30 to 35  because acetate rising"
    assert setpoint in [line.strip() for line in shown]
    whole = json.loads("".join(said("show", "R1-1", "--store", store, "--json")))
    assert whole["changes"][0]["why"] == "acetate rising"
    assert whole["recipes"][0]["table"] == RECIPE


def test_what_is_not_there_is_named(store: Path) -> None:
    with pytest.raises(FailureError, match=r"R1-2: no such batch; .*: R1-1") as unknown:
        said("show", "R1-2", "--store", store)
    assert unknown.value.code == 2
    with pytest.raises(FailureError, match="no store here"):
        said("list", "--store", store.with_name("other.sqlite"))
