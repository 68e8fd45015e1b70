"""The audit trail: what was tampered with is found, what was not is not."""

import random
import sqlite3
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from historian.audit import Head, Link, Verdict, heads_path, link_hash, read_heads, verify
from historian.events import Event, Kind
from historian.schema import open_writer
from historian.sqlite import SqliteReader, SqliteStore

T0 = 1.79e9
COUNT = 40  # audit events of the store that is tampered with; every third event is of another kind
COLUMNS = ("time", "source", "kind", "subject", "text", "data")


def record(store: SqliteStore, count: int, first: int = 0) -> None:
    for i in range(first, first + count):
        data = {"what": "setpoint", "old": 30.0 + i, "new": 31.0 + i, "why": "溶氧 low"}
        store.record(Event(T0 + i, "operator:ana", Kind.AUDIT, "R1.do", f"setpoint {i}", data))
        if i % 2:
            store.record(Event(T0 + i, "recipe", Kind.PHASE, "R1", f"phase {i}"))
        if i % 7 == 0:
            store.flush()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("audit") / "store.sqlite"
    with SqliteStore(path) as store:
        record(store, COUNT)
    return path


@contextmanager
def opened(path: Path) -> Generator[sqlite3.Connection]:
    """Open the store as somebody who knows SQLite and has removed the triggers; undo it all."""
    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.execute("BEGIN")
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
            db.execute(f"DROP TRIGGER {name}")
        yield db
    finally:
        db.execute("ROLLBACK")
        db.close()


def check(db: sqlite3.Connection, path: Path) -> Verdict:
    return verify(db, list(read_heads(heads_path(path))), closed=True)


def test_what_was_written_is_good_and_its_head_is_known(path: Path) -> None:
    with SqliteReader(path) as reader:
        verdict = reader.verify(closed=True)
        assert (verdict.fault, verdict.count, verdict.before) == ("", COUNT, 0)
        assert verdict.heads > 2
        assert reader.verify(verdict.head).ok
        assert reader.verify(verdict.head[:12].upper()).ok
        assert "the head 0123456789ab is not in the chain" in reader.verify("0123456789ab").fault


def test_the_hash_is_what_is_documented() -> None:
    columns = (1.5, "operator:ana", "audit", "R1.do", "低", '{"old": 1}')
    body = '[4,17,"abc",5,18,1.5,"operator:ana","audit","R1.do","\\u4f4e","{\\"old\\": 1}"]'
    import hashlib

    assert link_hash(Link(4, 17, "abc"), 18, columns) == hashlib.sha256(body.encode()).hexdigest()


def test_a_slip_is_refused_by_the_store_itself(path: Path) -> None:
    db = sqlite3.connect(path)
    for slip in (
        "UPDATE event SET text = 'x' WHERE id = 1",
        "DELETE FROM event WHERE id = 1",
        "UPDATE audit SET hash = 'x' WHERE seq = 1",
        "DELETE FROM audit WHERE seq = 1",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            db.execute(slip)
    db.close()


@pytest.mark.parametrize(
    ("tampering", "says"),
    [
        ("UPDATE event SET text = 'setpoint 99' WHERE id = 8", "event 8 (link 6, "),
        ("UPDATE event SET source = 'recipe' WHERE id = 8", "is not what was written here"),
        ("UPDATE event SET kind = 'note' WHERE id = 8", "is not what was written here"),
        ("UPDATE event SET time = time + 1e-6 WHERE id = 8", "is not what was written here"),
        ("UPDATE event SET data = '{}' WHERE id = 8", "is not what was written here"),
        ("UPDATE event SET text = CAST(text AS BLOB) WHERE id = 8", "is not what was written"),
        ("DELETE FROM event WHERE id = 8", "event 8 (link 6) was removed"),
        ("DELETE FROM audit WHERE seq = 6", "R1.do: setpoint 5) has no link"),
        ("DELETE FROM audit WHERE seq = 0", "link 0, the start of the chain, was removed"),
        ("UPDATE audit SET event = -1 WHERE seq = 0", "event 1 (link 1, "),
        ("UPDATE audit SET event = 'x' WHERE seq = 6", "R1.do: setpoint 5) has no link"),
        ("UPDATE audit SET event = 7 WHERE seq = 6", "is out of order"),
        ("UPDATE event SET kind = 'audit' WHERE id = 3", "event 3 (2026"),
        ("INSERT INTO event VALUES (9999, 1, 's', 'audit', 'a', 'b', '{}')", "has no link"),
        ("INSERT INTO event VALUES (-3, 1, 's', 'audit', 'a', 'b', '{}')", "has no link"),
    ],
)  # fmt: skip
def test_the_first_row_that_is_wrong_is_named(path: Path, tampering: str, says: str) -> None:
    with opened(path) as db:
        db.execute(tampering)
        assert says in check(db, path).fault


def test_a_tail_that_was_cut_cleanly_is_found_by_the_exported_heads(path: Path) -> None:
    with opened(path) as db:
        db.execute("DELETE FROM event WHERE id IN (SELECT event FROM audit WHERE seq > 35)")
        db.execute("DELETE FROM audit WHERE seq > 35")
        assert verify(db).ok  # in itself the shorter chain is whole
        assert "links 36 to 40 were removed: head 40 was exported" in check(db, path).fault


def rebuild(db: sqlite3.Connection) -> None:
    """Make every link anew, as somebody who has read this file would."""
    previous = Link(*db.execute("SELECT seq, event, hash FROM audit WHERE seq = 0").fetchone())
    rows = db.execute(f"SELECT id, {', '.join(COLUMNS)} FROM event WHERE kind = 'audit'").fetchall()
    db.execute("DELETE FROM audit WHERE seq > 0")
    for event, *columns in rows:
        digest = link_hash(previous, event, tuple(columns))
        previous = Link(previous.seq + 1, event, digest)
        db.execute("INSERT INTO audit VALUES (?, ?, ?)", previous)


def test_a_chain_that_was_made_anew_is_found_by_the_exported_heads(path: Path) -> None:
    with opened(path) as db:
        known = check(db, path).head
        db.execute("UPDATE event SET text = 'setpoint 99' WHERE id = 8")
        rebuild(db)
        assert verify(db).ok
        assert "is not the head that was exported" in check(db, path).fault
        assert "is not in the chain" in verify(db, (), known).fault


def change(db: sqlite3.Connection, rng: random.Random) -> None:
    event = rng.choice(db.execute("SELECT event FROM audit WHERE seq > 0").fetchall())[0]
    column = rng.choice(COLUMNS)
    old = db.execute(f"SELECT {column} FROM event WHERE id = ?", (event,)).fetchone()[0]
    if column == "time":
        new = old + rng.choice((-1, 1)) * 10 ** rng.uniform(-5, 6)
    else:
        at = rng.randrange(len(old))
        new = old[:at] + rng.choice(("x\u0301", "", chr(ord(old[at]) ^ 1))) + old[at + 1 :]
    db.execute(f"UPDATE event SET {column} = ? WHERE id = ?", (new, event))


def remove(db: sqlite3.Connection, rng: random.Random) -> None:
    seq = rng.randint(1, COUNT)
    event = db.execute("SELECT event FROM audit WHERE seq = ?", (seq,)).fetchone()[0]
    which = rng.randrange(4)
    if which != 1:
        db.execute("DELETE FROM event WHERE id = ?", (event,))
    if which != 0:
        db.execute("DELETE FROM audit WHERE seq = ?", (seq,))
    if which == 3:  # and close the hole
        db.execute("UPDATE audit SET seq = -seq WHERE seq > ?", (seq,))
        db.execute("UPDATE audit SET seq = -seq - 1 WHERE seq < 0")


def insert(db: sqlite3.Connection, rng: random.Random) -> None:
    top = db.execute("SELECT max(id) FROM event").fetchone()[0]
    event = rng.choice((top + rng.randint(1, 9), -rng.randint(0, 9)))
    columns = (T0 + rng.random(), "operator:eve", "audit", "R1.ph", "setpoint 7 → 9", "{}")
    db.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)", (event, *columns))
    if rng.random() < 0.5:  # with a link, even a right one
        newest = "SELECT seq, event, hash FROM audit ORDER BY seq DESC LIMIT 1"
        last = Link(*db.execute(newest).fetchone())
        digest = link_hash(last, event, columns)
        db.execute("INSERT INTO audit VALUES (?, ?, ?)", (last.seq + 1, event, digest))


def reorder(db: sqlite3.Connection, rng: random.Random) -> None:
    one, two = rng.sample(range(1, COUNT + 1), 2)
    if rng.random() < 0.5:  # links change places
        for old, new in ((one, -1), (two, one), (-1, two)):
            db.execute("UPDATE audit SET seq = ? WHERE seq = ?", (new, old))
        return
    events = [
        db.execute("SELECT event FROM audit WHERE seq = ?", (seq,)).fetchone()[0]
        for seq in (one, two)
    ]  # events change their numbers
    for old, new in ((events[0], -1), (events[1], events[0]), (-1, events[1])):
        db.execute("UPDATE event SET id = ? WHERE id = ?", (new, old))


def cut(db: sqlite3.Connection, rng: random.Random) -> None:
    seq = rng.randint(0, COUNT - 1)
    db.execute("DELETE FROM event WHERE id IN (SELECT event FROM audit WHERE seq > ?)", (seq,))
    db.execute("DELETE FROM audit WHERE seq > ?", (seq,))


def forge(db: sqlite3.Connection, rng: random.Random) -> None:
    change(db, rng)
    rebuild(db)


def rehash(db: sqlite3.Connection, rng: random.Random) -> None:
    seq, digest = rng.choice(db.execute("SELECT seq, hash FROM audit").fetchall())
    at = rng.randrange(64)
    flipped = f"{int(digest[at], 16) ^ rng.randint(1, 15):x}"
    new = digest[:at] + flipped + digest[at + 1 :]
    db.execute("UPDATE audit SET hash = ? WHERE seq = ?", (new, seq))


TAMPERINGS: tuple[Callable[[sqlite3.Connection, random.Random], None], ...] = (
    change, remove, insert, reorder, cut, forge, rehash,
)  # fmt: skip


def escaped(path: Path, seeds: range) -> list[int]:
    """Return the seeds whose tampering was not found."""
    missed: list[int] = []
    for seed in seeds:
        rng = random.Random(seed)
        with opened(path) as db:
            TAMPERINGS[seed % len(TAMPERINGS)](db, rng)
            if check(db, path).ok:
                missed.append(seed)
    return missed


def test_tamperings_are_found(path: Path) -> None:
    assert escaped(path, range(350)) == []


@pytest.mark.long
def test_ten_thousand_tamperings_are_all_found(path: Path) -> None:
    assert escaped(path, range(10_000)) == []


def test_a_cut_store_that_goes_on_says_so_itself(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with SqliteStore(path) as store:
        record(store, 5)
    db = sqlite3.connect(path)
    db.execute("DROP TRIGGER event_remains")
    db.execute("DROP TRIGGER audit_remains")
    db.execute("DELETE FROM event WHERE id IN (SELECT event FROM audit WHERE seq > 3)")
    db.execute("DELETE FROM audit WHERE seq > 3")
    db.commit()
    db.close()
    told: list[tuple[str, bool]] = []
    with SqliteStore(path, on_alarm=lambda text, on: told.append((text, on))) as store:
        record(store, 9, first=20)
    assert told == [(told[0][0], True)]
    assert "audit trail: link 5, exported" in told[0][0]
    with SqliteReader(path) as reader:
        assert "is missing in this store" in reader.events(kinds=[Kind.AUDIT])[3]["text"]
        # the old head stays in the file: what goes on after the cut does not make it good
        assert "link 5 is not the head that was exported" in reader.verify().fault


def test_an_older_store_is_taken_as_it_is_and_its_chain_begins_now(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    script = Path(__file__).parents[2] / "historian/migrations/0001.sql"
    db = sqlite3.connect(path)
    db.executescript(script.read_text(encoding="utf-8") + "PRAGMA user_version = 1;")
    old = "INSERT INTO event VALUES (NULL, 1, 's', ?, 'R1', '', '{}')"
    db.executemany(old, [("audit",), ("note",), ("audit",)])
    db.commit()
    db.close()
    with SqliteStore(path) as store:
        record(store, 3)
    with SqliteReader(path) as reader:
        verdict = reader.verify(closed=True)
    assert (verdict.fault, verdict.count, verdict.before) == ("", 3, 2)


def test_a_torn_head_is_no_head_and_the_next_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with SqliteStore(path) as store:
        record(store, 2)
    heads = heads_path(path)
    with heads.open("ab") as file:
        file.write(b"3 abcdef")
    with SqliteStore(path) as store:
        record(store, 1)
    found = list(read_heads(heads))
    assert [head.seq for head in found][-1] == 3
    assert all(isinstance(head, Head) and len(head.hash) == 64 for head in found)
    with SqliteReader(path) as reader:
        assert reader.verify(closed=True).ok
    assert heads.stat().st_mode & 0o777 == 0o600


def test_a_link_that_nobody_exported_is_told_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with SqliteStore(path) as store:
        record(store, 2)
    db, lock = open_writer(path)
    columns = (T0, "operator:eve", "audit", "R1.ph", "setpoint 7 → 9", "{}")
    last = Link(*db.execute("SELECT seq, event, hash FROM audit WHERE seq = 2").fetchone())
    event = db.execute("SELECT max(id) + 1 FROM event").fetchone()[0]
    db.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)", (event, *columns))
    db.execute("INSERT INTO audit VALUES (3, ?, ?)", (event, link_hash(last, event, columns)))
    db.close()
    lock.close()
    with SqliteReader(path) as reader:
        assert reader.verify().ok  # a running controller may be just about to export it
        assert "links 3 to 3 were not exported" in reader.verify(closed=True).fault
    SqliteStore(path).close()
    with SqliteReader(path) as reader:
        assert "links 3 to 3 were not exported" in reader.latest_events(1)[0]["text"]
