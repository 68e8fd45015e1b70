"""Backups of a living store, the ways they are damaged, and the way back."""

import json
import sqlite3
import threading
from pathlib import Path

import pytest

from drivers.point import Quality, Sample, Tag
from historian.audit import heads_path
from historian.backup import BackupError, back_up, check, restore
from historian.events import Event, Kind
from historian.sqlite import SqliteReader, SqliteStore, StoreError

T0 = 1.79e9
TAGS = [Tag(f"R1.t{i}", "%", 0, 1e9) for i in range(10)]


def scan(n: int) -> list[Sample]:
    return [Sample(t, T0 + n, n, Quality.GOOD) for t in TAGS]


def audit(n: int) -> Event:
    return Event(T0 + n, "operator:ana", Kind.AUDIT, "R1.do", f"setpoint {n}", {"old": n})


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "store.sqlite"
    with SqliteStore(path) as store:
        for n in range(1000):
            store.append(scan(n))
        store.record(audit(1))
    return path


def test_a_backup_of_a_store_that_is_written_is_whole_and_of_one_moment(
    store: Path, tmp_path: Path
) -> None:
    stop = threading.Event()
    with SqliteStore(store, wait_when_full=True, commit_s=0.01) as living:

        def write() -> None:
            n = 1000
            while not stop.is_set():
                living.append(scan(n))
                if n % 50 == 0:
                    living.record(audit(n))
                    living.flush()
                n += 1

        writer = threading.Thread(target=write)
        writer.start()
        try:
            made = [back_up(store, tmp_path / f"backups{i}") for i in range(3)]
        finally:
            stop.set()
            writer.join()
    for place, manifest in made:
        assert check(place) == manifest
        with SqliteReader(place / "store.sqlite") as reader:
            values = [row[3] for row in reader.rows("R1", 0, 10**6).rows]
        assert values == list(range(manifest.rows["R1"]))
        assert manifest.newest == T0 + values[-1]
    assert made[0][1].rows["R1"] >= 1000


def test_a_restored_store_is_what_was_backed_up_and_goes_on(store: Path, tmp_path: Path) -> None:
    place, manifest = back_up(store, tmp_path / "backups")
    with SqliteStore(store) as later:
        later.append(scan(2000))
        later.record(audit(2))
    before = SqliteReader(store)
    identity = before.store_id()
    before.close()
    told, replaced = restore(place, store, "bo")
    assert told == manifest
    assert replaced is not None
    with SqliteReader(replaced) as old:
        assert old.newest("R1") == (1001, T0 + 2000)
        assert old.verify(closed=True).ok
    with SqliteStore(store) as living:  # the trail is whole: nobody complains
        living.append(scan(3000))
    with SqliteReader(store) as reader:
        assert [row[3] for row in reader.rows("R1", 999, 10).rows] == [999.0, 3000.0]
        assert reader.verify(closed=True).ok
        last = reader.audit(1)[0]
        assert (last["source"], last["data"]["what"]) == ("operator:bo", "restore")
        assert reader.store_id() != identity  # a cursor of the other one begins anew
    assert not list(store.parent.glob("*restoring*"))


def test_it_is_restored_where_no_store_is_yet(store: Path, tmp_path: Path) -> None:
    place, _ = back_up(store, tmp_path / "backups")
    _, replaced = restore(place, tmp_path / "new" / "store.sqlite", "bo")
    assert replaced is None
    with SqliteReader(tmp_path / "new" / "store.sqlite") as reader:
        assert reader.newest("R1")[0] == 1000


def test_a_store_that_is_written_is_not_replaced(store: Path, tmp_path: Path) -> None:
    place, _ = back_up(store, tmp_path / "backups")
    with SqliteStore(store) as living:
        with pytest.raises(StoreError, match="another process writes"):
            restore(place, store, "bo")
        living.append(scan(1000))
    with SqliteReader(store) as reader:
        assert reader.newest("R1")[0] == 1001


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0x40
    path.write_bytes(content)


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "manifest", "heads"])
def test_a_backup_that_is_not_whole_is_refused_and_nothing_changed(
    store: Path, tmp_path: Path, damage: str
) -> None:
    place, _ = back_up(store, tmp_path / "backups")
    copy = place / "store.sqlite"
    says = "its checksum is another"
    if damage == "flip":
        flip(copy, copy.stat().st_size // 2)
    elif damage == "cut":
        copy.write_bytes(copy.read_bytes()[:-4096])
        says = "bytes, not"
    elif damage == "remove":
        copy.unlink()
        says = "store.sqlite: is missing"
    elif damage == "manifest":
        (place / "manifest.json").write_text("{")
        says = "manifest.json: damaged"
    else:
        heads_path(copy).write_text("0 none\n")
        says = "heads: has 7 bytes"
    before = store.read_bytes()
    with pytest.raises(BackupError, match=says):
        restore(place, store, "bo")
    assert store.read_bytes() == before
    assert not [p for p in store.parent.iterdir() if "restoring" in p.name or "replaced" in p.name]


def test_a_store_with_a_fault_makes_no_backup(store: Path, tmp_path: Path) -> None:
    with sqlite3.connect(store) as db:
        db.executescript("DROP TRIGGER event_stays; UPDATE event SET text = 'nothing happened'")
    db.close()
    with pytest.raises(BackupError, match=r"audit trail: event 1 .* is not what was written here"):
        back_up(store, tmp_path / "backups")
    assert list((tmp_path / "backups").iterdir()) == []
    with pytest.raises(BackupError, match="no backup"):
        check(tmp_path / "backups")


def test_the_manifest_is_readable_by_hand(store: Path, tmp_path: Path) -> None:
    place, _ = back_up(store, tmp_path / "backups")
    told = json.loads((place / "manifest.json").read_text())
    assert told["rows"] == {"R1": 1000}
    assert told["files"]["store.sqlite"]["bytes"] == (place / "store.sqlite").stat().st_size
