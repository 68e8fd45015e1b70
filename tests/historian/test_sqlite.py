"""The store is a real file in each test; faults are real locks, limits and kills."""

import json
import math
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.point import Quality, Sample, Tag
from historian.events import Event, Kind
from historian.sqlite import SqliteReader, SqliteStore, StoreError

T0 = 1.79e9  # s since 1970, a whole minute + 20 s
DO = Tag("R1.do", "%", -5, 200)
PH = Tag("R1.ph", "[pH]", 0, 14)
GAS = Tag("R2.offgas_o2", "%", 0, 100)


def good(tag: Tag, time: float, value: float) -> Sample:
    return Sample(tag, time, value, Quality.GOOD)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    with SqliteStore(path) as store:
        yield store


def test_samples_come_back_in_order_with_value_and_quality(store: SqliteStore) -> None:
    store.append([good(DO, T0, 30.0), good(PH, T0 - 0.2, 7.0)])
    store.append([Sample(DO, T0 + 1, 31.0, Quality.UNCERTAIN), good(PH, T0 + 1, 7.1)])
    store.append([Sample(DO, T0 + 2, math.nan, Quality.BAD)])
    store.flush()
    first, second, third = store.read(DO, T0, T0 + 2)
    assert first == good(DO, T0, 30.0)
    assert second == Sample(DO, T0 + 1, 31.0, Quality.UNCERTAIN)
    assert third.quality is Quality.BAD
    assert math.isnan(third.value)
    # a row's time is the greatest of its samples'; a tag that was not sampled has no sample
    assert store.read(PH, 0, 2 * T0) == [good(PH, T0, 7.0), good(PH, T0 + 1, 7.1)]
    assert (store.stored, store.lost) == (5, 0)


def test_one_append_is_one_row_a_reactor(store: SqliteStore, path: Path) -> None:
    store.append([good(DO, T0, 30.0), good(GAS, T0, 20.9), good(PH, T0, 7.0)])
    store.append([good(GAS, T0 + 1, 20.8)])
    store.flush()
    reader = SqliteReader(path)
    assert reader.reactors() == ["R1", "R2"]
    assert reader.rows("R1", 0, 10).rows == [(1, T0, None, 30.0, 7.0)]
    assert reader.rows("R2", 0, 10) == (
        ("offgas_o2",),
        [(1, T0, None, 20.9), (2, T0 + 1, None, 20.8)],
    )
    assert reader.rows("R2", 1, 10).rows == [(2, T0 + 1, None, 20.8)]
    assert reader.newest("R2")[0] == 2
    assert reader.rows("R3", 0, 10) == ((), [])
    assert reader.newest("R3")[0] == 0


def test_values_that_are_not_finite_are_stored_as_bad(store: SqliteStore) -> None:
    store.append([Sample(DO, T0, math.inf, Quality.GOOD), good(PH, T0, 7.0)])
    store.append([Sample(DO, T0 + 1, math.nan, Quality.GOOD), good(PH, T0 + 1, 7.0)])
    store.append([Sample(DO, T0 + 2, -math.inf, Quality.UNCERTAIN)])
    store.append([Sample(DO, T0 + 3, 12.0, Quality.BAD)])  # BAD has no value, whatever it carries
    store.flush()
    samples = store.read(DO, T0, T0 + 9)
    assert [s.quality for s in samples] == [Quality.BAD] * 4
    assert all(math.isnan(s.value) for s in samples)
    assert len(store.read(PH, T0, T0 + 9)) == 2


def test_a_new_tag_adds_a_column_and_old_rows_lack_it(store: SqliteStore, path: Path) -> None:
    store.append([good(DO, T0, 30.0)])
    store.flush()
    store.append([good(DO, T0 + 1, 30.0), good(PH, T0 + 1, 7.0)])
    store.flush()
    assert store.read(PH, 0, 2 * T0) == [good(PH, T0 + 1, 7.0)]
    assert SqliteReader(path).tags() == {"R1.do": DO, "R1.ph": PH}


@pytest.mark.parametrize(
    "names",
    [
        ("R1.pH", "R1.ph", "R1.PH"),  # SQL ignores case, tag names do not
        ("R1.time", "R1.seq", "R1.quality"),  # the row's own columns
        ('R1.a"b', "R1.a b", "R1.溶氧"),
        ("R1", "R1.value", "R1.do.sp"),
    ],
)
def test_any_tag_name_is_a_column(store: SqliteStore, names: tuple[str, ...]) -> None:
    tags = [Tag(name, "%", 0, 100) for name in names]
    store.append([good(tag, T0, i) for i, tag in enumerate(tags)])
    store.flush()
    assert [store.read(tag, T0, T0)[0].value for tag in tags] == [0, 1, 2]
    assert store.lost == 0


def test_tags_sampled_twice_or_made_anew_each_scan_are_stored(store: SqliteStore) -> None:
    for i in range(3):
        tag = Tag("R1.do", "%", -5, 200)  # equal, not identical
        store.append([good(tag, T0 + i, 1.0), good(tag, T0 + i, 2.0)])
    store.flush()
    assert [s.value for s in store.read(DO, T0, T0 + 9)] == [2.0] * 3


def test_a_tags_unit_and_range_follow_the_plant_file(path: Path) -> None:
    with SqliteStore(path) as store:
        store.append([good(DO, T0, 30.0)])
    wider = Tag("R1.do", "%", -5, 300)
    with SqliteStore(path) as store:
        store.append([good(wider, T0 + 1, 250.0)])
    reader = SqliteReader(path)
    assert reader.tags() == {"R1.do": wider}
    assert reader.last("R1") == {"R1.do": good(wider, T0 + 1, 250.0)}


def test_seq_goes_on_after_a_restart(path: Path) -> None:
    for i in range(3):
        with SqliteStore(path) as store:
            store.append([good(DO, T0 + i, i)])
    rows = SqliteReader(path).rows("R1", 0, 10).rows
    assert rows == [(1, T0, None, 0), (2, T0 + 1, None, 1), (3, T0 + 2, None, 2)]


def test_events_are_read_by_id_and_kind(store: SqliteStore, path: Path) -> None:
    data = {"old": 30.0, "new": math.nan, "who": ("ana", "bo"), "path": Path("x")}
    store.record(Event(T0, "operator:ana", Kind.AUDIT, "R1.do", "setpoint 30 to 35", data))
    store.record(Event(T0 + 1, "system", Kind.ALARM, "R1-io", "\ud800 no answer"))
    store.record(Event(math.nan, "recipe", Kind.PHASE, "R1", "feed"))
    store.flush()
    reader = SqliteReader(path)
    first, second, third = reader.events()
    assert first == {
        "id": 1,
        "time": T0,
        "source": "operator:ana",
        "kind": "audit",
        "subject": "R1.do",
        "text": "setpoint 30 to 35",
        "data": {"old": 30.0, "new": None, "who": ["ana", "bo"], "path": "x"},
    }
    assert second["text"] == "? no answer"
    assert third["time"] == 0.0
    assert [e["id"] for e in reader.events(after_id=1)] == [2, 3]
    assert [e["id"] for e in reader.events(limit=1)] == [1]
    assert [e["id"] for e in reader.events(kinds=[Kind.PHASE, Kind.ALARM])] == [2, 3]
    assert [e["id"] for e in reader.latest_events(2)] == [2, 3]


def test_state_is_kept_over_a_restart_and_the_newest_wins(path: Path) -> None:
    with SqliteStore(path) as store:
        assert store.get_state("R1.loops") is None
        store.put_state("R1.loops", {"do": {"mode": "AUTO"}})
        store.put_state("R1.loops", {"do": {"mode": "MANUAL", "op": 45.25}})
        assert store.get_state("R1.loops") == {"do": {"mode": "MANUAL", "op": 45.25}}
    with SqliteStore(path) as store:
        assert store.get_state("R1.loops") == {"do": {"mode": "MANUAL", "op": 45.25}}


def test_what_was_committed_survives_kill_9(path: Path) -> None:
    script = """
        import sys
        from drivers.point import Quality, Sample, Tag
        from historian.events import Event, Kind
        from historian.sqlite import SqliteStore
        tags = [Tag(f"R1.t{i}", "%", 0, 1e9) for i in range(60)]
        store = SqliteStore(sys.argv[1], commit_s=0.01, wait_when_full=True)
        n = 0
        while True:
            n += 1
            store.append([Sample(t, 1.79e9 + n, n, Quality.GOOD) for t in tags])
            store.put_state("n", n)
            store.record(Event(n, "system", Kind.NOTE, "R1", str(n)))
            if n % 50 == 0:
                store.flush()
                print(n, flush=True)
    """
    for kill in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script), str(path)], stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        acknowledged = [int(child.stdout.readline()) for _ in range(10 + 7 * kill)]
        child.send_signal(signal.SIGKILL)
        rest = child.stdout.read().split()
        child.stdout.close()
        child.wait()
        promised = int(rest[-1]) if rest else acknowledged[-1]
        reader = SqliteReader(path)
        rows = reader.rows("R1", 0, 10**9).rows
        values = [row[3] for row in rows if row[3] == row[62]]  # a row is whole or not there
        assert len(values) == len(rows)
        mine = values[len(values) - int(values[-1]) :]  # those of this child count from 1
        assert mine == list(range(1, int(values[-1]) + 1))
        assert values[-1] >= promised
        assert reader.state("n") >= promised
        assert int(reader.latest_events(1)[0]["text"]) >= promised
        with SqliteStore(path) as store:  # opens again without repair
            assert store.get_state("n") >= promised
        reader.close()


def test_a_full_queue_loses_the_newest_and_says_so(path: Path) -> None:
    alarms: list[tuple[str, bool]] = []
    store = SqliteStore(
        path, queue_rows=5, commit_s=0.01, on_alarm=lambda text, on: alarms.append((text, on))
    )
    store.append([good(DO, T0, 0.0), good(PH, T0, 0.0)])
    store.flush()
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")  # the disk is stuck, as far as the writer can tell
        time = T0
        while store.lost < 6:  # until three rows did not fit
            time += 1
            store.append([good(DO, time, 1.0), good(PH, time, 1.0)])
        store.record(Event(T0, "operator:ana", Kind.AUDIT, "R1.do", "an event is never dropped"))
        other.execute("COMMIT")
    other.close()
    store.flush()
    store.append([good(DO, time + 1, 2.0), good(PH, time + 1, 2.0)])
    store.close()

    appended = 2 * (round(time - T0) + 2)
    assert (store.stored, store.lost) == (appended - 6, 6)
    assert alarms[0] == ("store queue full (5 rows): samples are lost", True)
    assert alarms[-1] == ("store takes samples again: 6 were lost in 3.0 s", False)
    events = SqliteReader(path).events()
    begin, end = (e for e in events if e["kind"] == Kind.GAP)
    assert (begin["time"], begin["subject"]) == (time - 2, "R1")
    chinese = "存储恢复：3.0 s 内丢失 6 个数据"
    assert end["data"] == {"start": time - 2, "end": time + 1, "lost": 6, "text_zh": chinese}
    assert [e["text"] for e in events if e["kind"] == Kind.AUDIT] == ["an event is never dropped"]


def test_virtual_time_waits_for_the_disk_instead(path: Path) -> None:
    with SqliteStore(path, queue_rows=4, max_rows_per_commit=4, wait_when_full=True) as store:
        for i in range(500):
            store.append([good(DO, T0 + i, i)])
    assert (store.stored, store.lost) == (500, 0)


def test_a_full_disk_is_an_alarm_and_nothing_is_lost_when_it_ends(path: Path) -> None:
    script = """
        import resource, sys
        from drivers.point import Quality, Sample, Tag
        from historian.sqlite import SqliteStore
        alarms = []
        tags = [Tag(f"R1.t{i}", "%", 0, 1e9) for i in range(60)]
        store = SqliteStore(
            sys.argv[1], commit_s=0.01, on_alarm=lambda text, on: alarms.append((text, on)))
        def append(first, last):
            for n in range(first, last):
                store.append([Sample(t, 1.79e9 + n, n + 0.5, Quality.GOOD) for t in tags])
        append(0, 100)
        store.flush()
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
        append(100, 1100)
        try:
            store.flush(0.3)
        except TimeoutError as error:
            print(error)
        stored = store.stored
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        store.flush()
        store.close()
        print(stored < 1100 * 60, store.stored == 1100 * 60, store.lost)
        print([on for _, on in alarms], alarms[0][0])
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    timeout, counts, alarms = run.stdout.splitlines()
    assert "rows not committed within 0.3 s" in timeout
    assert counts == "True True 0"
    assert alarms.startswith(f"[True, False] {path}: cannot store: ")
    assert [row[3] for row in SqliteReader(path).rows("R1", 0, 2000).rows] == [
        n + 0.5 for n in range(1100)
    ]


def test_a_row_that_sqlite_refuses_does_not_hold_up_the_others(store: SqliteStore) -> None:
    ill = Tag("R1.\ud800", "%", 0, 100)  # cannot be encoded
    store.append([good(DO, T0, 1.0)])
    store.append([good(DO, T0 + 1, 2.0), good(ill, T0 + 1, 2.0)])
    store.append([good(DO, math.inf, 3.0)])
    store.append([good(DO, T0 + 3, 4.0)])
    store.flush()
    assert [s.value for s in store.read(DO, 0, 2 * T0)] == [1.0, 4.0]
    assert (store.stored, store.lost) == (2, 3)
    texts = [e["text"] for e in SqliteReader(store.path).events(kinds=[Kind.GAP])]
    assert any("refused by the store" in text for text in texts)
    assert any("without a finite time" in text for text in texts)


def test_nothing_is_appended_from_nothing(store: SqliteStore, path: Path) -> None:
    store.append([])
    store.flush()
    assert SqliteReader(path).reactors() == []


def test_one_store_has_one_writer(store: SqliteStore, path: Path) -> None:
    with pytest.raises(StoreError, match=r"store\.sqlite: another process writes to this store"):
        SqliteStore(path)


def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("temperature = 37\n" * 100)
    foreign = tmp_path / "foreign"
    with sqlite3.connect(foreign) as db:
        db.execute("CREATE TABLE t (x)")
    db.close()
    for path, why in ((text, "file is not a database"), (foreign, "not a fermloop store")):
        with pytest.raises(StoreError, match=why):
            SqliteStore(path)
        with pytest.raises(StoreError, match=why):
            SqliteReader(path).tags()


def test_a_store_of_a_newer_program_is_refused(path: Path) -> None:
    SqliteStore(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreError, match="schema 99 is newer than this program's"):
        SqliteStore(path)
    with pytest.raises(StoreError, match="schema 99, this program reads"):
        SqliteReader(path).tags()


def test_close_may_be_called_twice_and_flush_after_it_says_why(path: Path) -> None:
    store = SqliteStore(path)
    store.append([good(DO, T0, 1.0)])
    store.close()
    store.close()
    assert store.stored == 1
    with pytest.raises(TimeoutError, match="the writer has ended"):
        store.flush(1.0)
    store.append([good(DO, T0, 1.0)])
    assert store.lost == 1


def test_the_schema_is_readable_by_hand(store: SqliteStore, path: Path) -> None:
    store.append([good(DO, T0, 30.0), Sample(PH, T0, math.nan, Quality.BAD)])
    store.flush()
    with sqlite3.connect(path) as db:
        assert db.execute('SELECT seq, "do", ph, quality FROM "row R1"').fetchall() == [
            (1, 30.0, None, "20")
        ]
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert json.loads(db.execute("SELECT json_object('a', 1)").fetchone()[0]) == {"a": 1}
    db.close()
