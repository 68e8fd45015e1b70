"""Damaged stores: refused by the writer, read as far as they go, told, and made anew."""

import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from drivers.point import Quality, Sample, Tag
from fermloop.cli import app
from historian.events import Event, Kind
from historian.salvage import check, salvage
from historian.sqlite import SqliteReader, SqliteStore, StoreError

T0 = 1.79e9
TAGS = [Tag(f"R1.t{i}", "%", 0, 1e9) for i in range(20)]
COUNT = 4000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "store.sqlite"
    with SqliteStore(path, wait_when_full=True) as store:
        for n in range(COUNT):
            store.append([Sample(t, T0 + n, n + 1.0, Quality.GOOD) for t in TAGS])
            if n % 400 == 0:
                text = f"setpoint {n}"
                store.record(Event(T0 + n, "operator:ana", Kind.AUDIT, "R1.do", text))
    return path


def overwrite(path: Path, at: int, size: int, chance: random.Random) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(chance.randbytes(size))


def test_a_whole_store_is_good(path: Path) -> None:
    found = check(path)
    assert found.good
    assert found.read == {"event": 10, "audit": 11, "row R1": COUNT}
    assert CliRunner().invoke(app, ["store", "check", "--store", str(path)]).exit_code == 0


@pytest.mark.parametrize("seed", range(3))
def test_pages_in_the_middle_are_lost_and_all_others_are_saved(path: Path, seed: int) -> None:
    chance = random.Random(seed)
    with sqlite3.connect(path) as db:
        size = db.execute("PRAGMA page_size").fetchone()[0]
        pages = db.execute("PRAGMA page_count").fetchone()[0]
    db.close()
    for page in chance.sample(range(pages // 4, 3 * pages // 4), 3):
        overwrite(path, page * size, size, chance)
    found = check(path)
    assert not found.good
    with SqliteReader(path) as reader:  # what is whole can be read as ever
        assert reader.read(TAGS[0], T0, T0 + 100)[100].value == 101.0
    saved, old = salvage(path, "bo")
    assert saved.lost == found.lost
    assert old.exists()
    after = check(path)
    assert after.lost == []
    lost = sum(each.last - each.first + 1 for each in saved.lost if each.table == "row R1")
    assert lost <= 3 * 60  # what three pages hold
    with SqliteReader(path) as reader:
        rows = reader.rows("R1", 0, 10**6).rows
        assert len(rows) == COUNT - lost
        assert all(row[3:] == (row[0],) * len(TAGS) for row in rows)  # none is wrong
        gaps = [e["data"] for e in reader.events(kinds=[Kind.GAP])]
        assert [g["first"] for g in gaps] == [each.first for each in saved.lost]
        assert reader.audit(1)[0]["source"] == "operator:bo"
        means = reader.series(["R1.t0"], T0, T0 + COUNT, 60).tags["R1.t0"].mean
    assert sum(mean is None for mean in means) <= 3
    with SqliteStore(path) as store:  # and it goes on
        store.append([Sample(t, T0 + COUNT, 1.0, Quality.GOOD) for t in TAGS])
    with SqliteReader(path) as reader:
        assert reader.newest("R1")[0] == COUNT + 1


def cut_in_half(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def spoil_the_end(path: Path) -> None:
    size = path.stat().st_size
    overwrite(path, size - 200 * 1024, 200 * 1024, random.Random(1))


@pytest.mark.parametrize("damage", [cut_in_half, spoil_the_end])
def test_a_store_with_a_damaged_end_is_not_written_to_and_says_what_to_do(
    path: Path, damage: Callable[[Path], None]
) -> None:
    damage(path)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"damaged and is not written to.*fermloop store salvage"):
        SqliteStore(path)
    assert path.read_bytes() == before
    with SqliteReader(path) as reader:  # opens all the same
        assert reader.reactors() == ["R1"]
        assert reader.read(TAGS[0], T0, T0 + 9)[9].value == 10.0
    done = CliRunner().invoke(app, ["store", "check", "--store", str(path)])
    assert done.exit_code == 1
    assert "lost      row R1: " in done.output
    done = CliRunner().invoke(app, ["store", "salvage", "--store", str(path)])
    assert done.exit_code == 0, done.output
    assert "damaged   " in done.output
    with SqliteStore(path) as store:
        store.append([Sample(t, T0 + COUNT, 1.0, Quality.GOOD) for t in TAGS])
    with SqliteReader(path) as reader:
        rows = reader.rows("R1", 0, 10**6).rows
        assert len(rows) > 0.3 * COUNT
        assert rows[-1][0] == COUNT + 1 or rows[-1][0] > 0.3 * COUNT


def test_what_nobody_can_read_is_left_as_it_is(path: Path) -> None:
    overwrite(path, 0, 100, random.Random(1))
    before = path.read_bytes()
    with pytest.raises(StoreError, match="nothing of it can be read: restore a backup"):
        salvage(path, "bo")
    assert path.read_bytes() == before


def test_a_store_that_is_written_is_not_salvaged(path: Path) -> None:
    with SqliteStore(path), pytest.raises(StoreError, match="another process writes"):
        salvage(path, "bo")
