"""Finished batches in Parquet, rows that leave the store, and reads that do not notice."""

import json
import math
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from drivers.clock import monotonic
from drivers.point import Quality, Sample, Tag
from historian.backfill import backfill
from historian.backup import back_up, restore
from historian.events import Event, Kind
from historian.export import table, write
from historian.history import History
from historian.seal import SealError, check, due, seal
from historian.sealed import manifests
from historian.sqlite import SqliteReader, SqliteStore
from historian.upkeep import Keep

T0 = 1.79e9 // 3600 * 3600
DO, PH, LATE = Tag("R1.do", "%", -5, 200), Tag("R1.pH", "[pH]", 0, 14), Tag("R1.ph", "1", 0, 9)
ROWS = 3000  # of the batch, among as many before and after


def scan(n: int) -> list[Sample]:
    bad = n % 97 == 0
    do = Sample(DO, T0 + n, math.nan if bad else n / 3, Quality.BAD if bad else Quality.GOOD)
    ph = Sample(PH, T0 + n, 7 + n * 1e-7, Quality.UNCERTAIN if n % 89 == 0 else Quality.GOOD)
    return [do, ph] if n < ROWS else [do, ph, Sample(LATE, T0 + n, n, Quality.GOOD)]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "store.sqlite"
    with SqliteStore(path, wait_when_full=True) as store:
        for n in range(3 * ROWS):
            if n == ROWS:
                data = {"batch": "R1-1", "recipe": {"name": "short"}}
                store.record(Event(T0 + n, "recipe", Kind.PHASE, "R1", "started", data))
            if n == 2 * ROWS:
                ended = {"state": "COMPLETE"}
                store.record(Event(T0 + n - 0.5, "recipe", Kind.PHASE, "R1", "complete", ended))
            store.append(scan(n))
    return path


def every_row(path: Path) -> list[Any]:
    """Return all rows as a forwarder reads them."""
    found: list[Any] = []
    with SqliteReader(path) as reader:
        while page := reader.rows("R1", found[-1][0] if found else 0, 2000).rows:
            found += page
    return found


def all_reads(path: Path) -> list[Any]:
    """Return what every kind of read gives of the whole store."""
    pages = every_row(path)
    with SqliteReader(path) as reader:
        middle = T0 + 1.5 * ROWS
        edge = T0 + ROWS - 50
        found = [
            pages,
            [repr(s) for s in reader.read(DO, T0, T0 + 1e6)],
            [repr(s) for s in reader.read(LATE, T0, T0 + 1e6)],
            reader.series(["R1.do", "R1.pH", "R1.ph"], middle, middle + 300, 300),
            reader.series(["R1.do", "R1.pH", "R1.ph"], edge, edge + 100, 30),
            reader.series(["R1.do", "R1.pH"], T0, T0 + 3 * ROWS, 100),
            reader.time_of("R1", ROWS + 17),
            reader.last("R1"),
        ]
    with History(path) as history:
        found.append(history.aligned(["R1-1"], ["do"], points=4000).values["do"].tolist())
    return json.loads(json.dumps(found, default=str))


def until(store: SqliteStore, done: Callable[[], bool]) -> None:
    """Let the writer tidy up; it looks when it has nothing to do."""
    began = monotonic()
    while not done():
        store.flush()
        assert monotonic() - began < 20


def left(path: Path) -> int:
    import sqlite3

    with sqlite3.connect(path) as db:
        count = db.execute('SELECT count(*) FROM "row R1"').fetchone()[0]
    db.close()
    return count


def test_a_sealed_batch_leaves_the_store_and_no_read_notices(store: Path) -> None:
    before = all_reads(store)
    assert due(store) == ["R1-1"]
    assert due(store, older_than_h=1.0) == []
    manifest = seal(store, "R1-1")
    assert (manifest.rows, manifest.first, manifest.last) == (ROWS, ROWS + 1, 2 * ROWS)
    assert due(store) == []
    ((folder, found),) = manifests(store)
    assert found == manifest
    check(folder, manifest)
    assert json.loads(json.dumps(every_row(store))) == before[0]  # both have it
    with SqliteStore(store) as living:
        until(living, lambda: left(store) < 3 * ROWS - 600)
        assert json.loads(json.dumps(every_row(store))) == before[0]  # half of it has left
        until(living, lambda: left(store) == 2 * ROWS)
    with SqliteReader(store) as reader:
        assert [e["text"] for e in reader.events(kinds=[Kind.GAP])] == []
        note = reader.events(kinds=[Kind.NOTE])[-1]
        assert note["text"] == "rows 3001 to 6000 are in R1-1 now: sealed"
    assert all_reads(store) == before


def test_an_export_and_a_backfill_have_the_sealed_rows(store: Path, tmp_path: Path) -> None:
    def told(name: str) -> tuple[bytes, set[bytes]]:
        lines: set[bytes] = set()
        with SqliteReader(store) as reader:
            write(table(reader, "R1-1"), tmp_path / name, "csv")
            quarantine, end = tmp_path / "refused", T0 + 2.5 * ROWS
            send = backfill(
                reader, lambda body: lines.update(body.splitlines()), "demo", T0, end, quarantine
            )
            assert sum(1 for _ in send) > 1
        rows = {line for line in lines if line.startswith(b"fermloop,")}
        return (tmp_path / name).read_bytes(), rows

    before = told("before.csv")
    assert before[0].count(b"\n") == ROWS + 1
    assert len(before[1]) == 2.5 * ROWS + 1
    seal(store, "R1-1")
    with SqliteStore(store) as living:
        until(living, lambda: left(store) == 2 * ROWS)
    assert told("after.csv") == before


def test_the_file_says_what_it_holds(store: Path) -> None:
    seal(store, "R1-1")
    folder = store.parent / "sealed" / "R1-1"
    pq: Any = import_module("pyarrow.parquet")
    table = pq.read_table(folder / "rows.parquet")
    assert table.schema.field("do").metadata[b"unit"] == b"%"
    assert table.column("do")[0].as_py() == ROWS / 3
    record = json.loads((folder / "record.json").read_text())
    assert (record["id"], record["recipe"]) == ("R1-1", "short")


@pytest.mark.parametrize("name", ["rows.parquet", "record.json"])
def test_a_sealed_file_that_was_changed_is_found(store: Path, name: str) -> None:
    manifest = seal(store, "R1-1")
    path = store.parent / "sealed" / "R1-1" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(SealError, match="its checksum is another"):
        check(path.parent, manifest)


def test_what_cannot_be_sealed_is_said_and_nothing_is_left(store: Path) -> None:
    with pytest.raises(LookupError, match="R1-2: no such batch"):
        seal(store, "R1-2")
    with SqliteStore(store) as living:
        living.record(Event(T0, "recipe", Kind.PHASE, "R1", "started", {"batch": "R1-2"}))
    with pytest.raises(SealError, match="R1-2: is under way"):
        seal(store, "R1-2")
    seal(store, "R1-1")
    with pytest.raises(SealError, match="is sealed already"):
        seal(store, "R1-1")
    assert [p.name for p in (store.parent / "sealed").iterdir()] == ["R1-1"]


def test_rows_that_are_too_old_leave_with_a_gap_and_keep_their_minutes(store: Path) -> None:
    with SqliteReader(store) as reader:
        minutes = reader.series(["R1.do"], T0, T0 + 3 * ROWS, 100).tags["R1.do"].mean
    days = 2.0 * ROWS / 86_400
    with SqliteStore(store, keep=Keep(days=days)) as living:
        until(living, lambda: left(store) == 2 * ROWS + 1)
    with SqliteReader(store) as reader:
        assert reader.read(DO, T0, T0 + ROWS - 2) == []
        assert reader.series(["R1.do"], T0, T0 + 3 * ROWS, 100).tags["R1.do"].mean == minutes
        (gap,) = reader.events(kinds=[Kind.GAP])
    assert (gap["data"]["first"], gap["data"]["last"]) == (1, ROWS - 1)
    assert gap["text"].startswith("rows 1 to 2999 were dropped: they are older than 0.069")
    assert str(gap["data"]["text_zh"]).startswith("第 1 至 2999 行已删除：早于 0.069")


def test_a_store_that_is_too_large_drops_the_oldest_sealed_batch_and_rows(store: Path) -> None:
    manifest = seal(store, "R1-1")
    size = store.stat().st_size
    with SqliteStore(store, keep=Keep(gigabytes=0.4 * size / 1e9)) as living:
        until(living, lambda: not manifests(store))
    with SqliteReader(store) as reader:
        texts = [e["text"] for e in reader.events(kinds=[Kind.GAP])]
    assert any(t.startswith("rows 1 to ") for t in texts)
    assert any(t.startswith("the rows of R1-1, sealed, of 20") for t in texts)
    assert manifest.size < 0.2 * size


def test_a_backup_has_the_sealed_batches_and_brings_them_back(store: Path, tmp_path: Path) -> None:
    before = every_row(store)
    seal(store, "R1-1")
    with SqliteStore(store) as living:
        until(living, lambda: left(store) == 2 * ROWS)
    place, _ = back_up(store, tmp_path / "backups")
    restore(place, tmp_path / "new" / "store.sqlite", "bo")
    assert every_row(tmp_path / "new" / "store.sqlite") == before
    damaged = store.parent / "sealed" / "R1-1" / "rows.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-100])
    restore(place, store, "bo")
    assert every_row(store) == before


def test_the_keeper_seals_what_is_due_and_says_so(store: Path) -> None:
    command = [sys.executable, "-m", "historian.keeper", "--store", str(store), "--after-h", "0.5"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stderr=subprocess.PIPE, cwd=root, text=True) as keeper:
        assert keeper.stderr is not None
        assert keeper.stderr.readline().startswith("keeper: INFO R1-1: sealed, 3000 rows in ")
        keeper.send_signal(signal.SIGTERM)
    assert keeper.returncode == 0
    assert [m.batch for _, m in manifests(store)] == ["R1-1"]


def test_a_store_made_anew_does_not_take_the_sealed_batches_of_the_old_one(store: Path) -> None:
    seal(store, "R1-1")
    for path in store.parent.glob("store.sqlite*"):
        path.unlink()
    with SqliteStore(store) as living:
        living.append(scan(0))
    with SqliteReader(store) as reader:
        assert len(reader.rows("R1", 0, 10**6).rows) == 1
        assert reader.read(DO, T0 + ROWS, T0 + 2 * ROWS) == []
