"""``fermloop audit``: what people see of the audit trail, and the exit codes."""

import json
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from drivers.clock import wall
from fermloop.cli import app
from fermloop.failure import FailureError
from historian.events import Event, Kind
from historian.sqlite import SqliteStore

ROOT = Path(__file__).parents[2]


@pytest.fixture
def plant(tmp_path: Path) -> Path:
    text = (ROOT / "sim/plants/ecoli_5l.toml").read_text(encoding="utf-8")
    data = tmp_path / "data"
    path = tmp_path / "plant.toml"
    path.write_text(text.replace('data_dir = "data"', f"data_dir = {json.dumps(str(data))}"))
    now = wall()
    with SqliteStore(data / "store.sqlite") as store:
        for age, source, subject, what, why in (
            (90000, "operator:ana", "R1.do", "setpoint", "acetate rising"),
            (3000, "operator:bo", "R1.ph", "mode", "probe out"),
            (2000, "recipe", "R1.do", "setpoint", "phase feed"),
            (1000, "operator:ana", "R1", "recipe", "sampling"),
        ):
            data = {"what": what, "old": 30, "new": 35, "why": why, "role": "operator"}
            store.record(Event(now - age, source, Kind.AUDIT, subject, f"{subject} {what}", data))
        store.record(Event(now, "recipe", Kind.PHASE, "R1", "no audit event"))
    return path


def said(*words: str | Path) -> list[str]:
    done = CliRunner().invoke(app, ["audit", *map(str, words)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output.splitlines()


def test_an_untouched_trail_is_ok_and_its_head_is_told(plant: Path) -> None:
    ok, head = said("verify", plant)
    assert ok == "OK: 4 links, 2 exported heads"
    digest = head.removeprefix("head: ")
    assert said("verify", plant, "--head", digest[:16])[0] == ok
    (line,) = said("verify", plant, "--json")
    answer = json.loads(line)
    assert (answer["ok"], answer["count"], answer["head"]) == (True, 4, digest)
    with pytest.raises(FailureError, match="is not in the chain") as unknown:
        said("verify", plant, "--head", "0" * 64)
    assert unknown.value.code == 1
    with pytest.raises(FailureError, match="8 to 64 hexadecimal digits") as wrong:
        said("verify", plant, "--head", "abc")
    assert wrong.value.code == 2


def test_a_changed_row_is_named_and_ends_with_1(plant: Path) -> None:
    db = sqlite3.connect(plant.parent / "data/store.sqlite")
    db.execute("DROP TRIGGER event_stays")
    db.execute("UPDATE event SET source = 'operator:eve' WHERE id = 2")
    db.commit()
    db.close()
    with pytest.raises(FailureError, match=r"event 2 \(link 2, .*changed, inserted or moved") as no:
        said("verify", plant)
    assert no.value.code == 1
    assert no.value.lines[1].startswith("good up to link 1 (")


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ((), ["R1.do setpoint", "R1.ph mode", "R1.do setpoint", "R1 recipe"]),
        (("--who", "ana"), ["R1.do setpoint", "R1 recipe"]),
        (("--who", "ana", "--since", "1h"), ["R1 recipe"]),
        (("--source", "recipe"), ["R1.do setpoint"]),
        (("--subject", "R1.ph"), ["R1.ph mode"]),
        (("--what", "setpoint", "--until", "2h"), ["R1.do setpoint"]),
        (("--why", "PROBE"), ["R1.ph mode"]),
        (("--limit", "1"), ["R1 recipe"]),
        (("--until", "2001-01-01"), []),
    ],
)
def test_the_trail_is_filtered(plant: Path, filters: tuple[str, ...], found: list[str]) -> None:
    rows = [json.loads(line) for line in said("show", plant, *filters, "--json")]
    assert [row["text"] for row in rows] == found


def test_a_line_says_who_what_and_why(plant: Path) -> None:
    (line,) = said("show", plant, "--who", "bo")
    assert line[20:] == " operator:bo (operator)  R1.ph mode  because probe out"


def test_no_store_yet_is_said(plant: Path) -> None:
    (plant.parent / "data/store.sqlite").unlink()
    for command in ("verify", "show"):
        with pytest.raises(FailureError, match="no store here yet"):
            said(command, plant)
