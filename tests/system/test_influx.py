"""The forwarder against a real InfluxDB: nothing lost, nothing doubled, nothing out of order."""

import json
import math
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.clock import monotonic
from drivers.point import Quality, Sample, Tag
from historian.events import Event, Kind
from historian.forwarder import Forwarder
from historian.influx import InfluxSettings, InfluxWriter
from historian.progress import load_cursor, load_status
from historian.sqlite import SqliteReader, SqliteStore
from tests.system.influx_server import InfluxServer, program

pytestmark = pytest.mark.real_time

T0 = 1_790_000_000
TAGS = [Tag(f"R1.t{i}", "%", 0, 1e9) for i in range(20)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[InfluxServer]:
    folder = tmp_path / "influx"
    folder.mkdir()
    with InfluxServer(folder) as server:
        yield server


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with SqliteStore(tmp_path / "store.sqlite") as store:
        yield store


class Sender:
    """A forwarder of the test's store with its writer, as ``main`` puts them together."""

    def __init__(self, store: SqliteStore, server: InfluxServer, **other: str) -> None:
        wanted = {"bucket": server.bucket, "token": server.token, **other}
        self.writer = InfluxWriter(InfluxSettings(server.url, "plant", **wanted))
        self.reader = SqliteReader(store.path)
        self.cursor_path = store.path.with_name("cursor.json")
        self.forwarder = Forwarder(
            self.reader, self.writer.post, self.cursor_path, site="demo", jitter=0.0
        )

    def __enter__(self) -> Forwarder:
        return self.forwarder

    def __exit__(self, *exc: object) -> None:
        self.writer.close()
        self.reader.close()


def append(store: SqliteStore, first: int, last: int, tags: list[Tag] = TAGS) -> None:
    for n in range(first, last):
        store.append([Sample(tag, T0 + n, n + i / 8, Quality.GOOD) for i, tag in enumerate(tags)])
    store.flush()


def catch_up(forwarder: Forwarder) -> int:
    """Step until nothing is behind; return how many steps it took."""
    steps = 1
    while forwarder.step() == 0.0:
        steps += 1
    assert forwarder.status.error == ""
    return steps


def arrived(server: InfluxServer, rows: int) -> bool:
    """Whether every row is there once, in order and unchanged, in the first and the last field."""
    return all(
        server.values(f"t{i}") == [((T0 + n) * 1_000_000, n + i / 8) for n in range(rows)]
        for i in (0, len(TAGS) - 1)
    )


def test_every_sample_arrives_although_the_server_was_away(
    store: SqliteStore, server: InfluxServer
) -> None:
    with Sender(store, server) as forwarder:
        append(store, 0, 50)
        catch_up(forwarder)
        for number in (signal.SIGTERM, signal.SIGKILL):
            server.stop(number)
            cursor = load_cursor(store.path.with_name("cursor.json"))
            waits: list[float] = []
            for _ in range(4):
                append(store, n := store.stored // len(TAGS), n + 100)
                waits.append(forwarder.step())
            assert waits == [1.0, 2.0, 4.0, 8.0]  # longer and longer, nothing moves
            assert load_cursor(store.path.with_name("cursor.json")) == cursor
            status = load_status(forwarder.status_path)
            assert status is not None
            assert status.error == f"{server.url} answers 502: 502 Bad Gateway"
            assert status.behind_rows == 400
            server.start()
            catch_up(forwarder)
        assert store.stored == 850 * len(TAGS)
        assert arrived(server, 850)
        assert forwarder.status.forwarded == store.stored
        assert (forwarder.status.quarantined, forwarder.status.behind_rows) == (0, 0)


def test_a_cursor_is_kept_and_a_lost_one_doubles_nothing(
    store: SqliteStore, server: InfluxServer
) -> None:
    append(store, 0, 300)
    with Sender(store, server) as forwarder:
        catch_up(forwarder)
    append(store, 300, 310)
    with Sender(store, server) as forwarder:
        assert catch_up(forwarder) == 1
        assert forwarder.status.forwarded == store.stored
    store.path.with_name("cursor.json").write_text("{torn")
    with Sender(store, server) as forwarder:
        catch_up(forwarder)
        assert forwarder.status.forwarded == store.stored
    assert arrived(server, 310)


def test_reactors_qualities_and_odd_names_are_kept_apart(
    store: SqliteStore, server: InfluxServer
) -> None:
    odd = Tag("R 2,=b.gas flow=1,5 %", "%", 0, 100)
    do = Tag("R1.do", "%", 0, 100)
    store.append([Sample(do, T0, 30.5, Quality.GOOD), Sample(odd, T0, 1.5, Quality.GOOD)])
    store.append([Sample(do, T0 + 1, 31.5, Quality.UNCERTAIN), Sample(odd, T0 + 1, 2, Quality(2))])
    store.append([Sample(do, T0 + 2, math.nan, Quality.BAD)])
    store.flush()
    with Sender(store, server) as forwarder:
        catch_up(forwarder)
        assert forwarder.status.forwarded == store.stored == 5
    second = 1_000_000
    assert server.values("do") == [(T0 * second, 30.5), ((T0 + 1) * second, 31.5)]
    assert server.values("do_q") == [((T0 + 1) * second, 1), ((T0 + 2) * second, 0)]
    assert [v for _, v in server.values("gas flow=1,5 %")] == [1.5, 2.0]
    tags = {
        tuple(v) for s in server.query("SHOW TAG VALUES WITH KEY = reactor") for v in s["values"]
    }
    assert tags == {("reactor", "R1"), ("reactor", "R 2,=b")}


def test_a_field_that_the_server_refuses_does_not_hold_up_the_rest(
    store: SqliteStore, server: InfluxServer
) -> None:
    sender = Sender(store, server)
    with sender as forwarder:
        # somebody wrote text under this name before us
        sender.writer.post(f'fermloop,site=demo t7="text" {T0 * 1_000_000 - 1}'.encode())
        append(store, 0, 200)
        steps = catch_up(forwarder)
        assert steps < 5
        assert forwarder.status.fields_aside == ["fermloop t7"]
        assert forwarder.status.quarantined == 200
        assert forwarder.status.forwarded == store.stored - 200
    assert arrived(server, 200)
    assert server.count("t6") == server.count("t8") == 200
    assert server.count("t7") == 1
    lines = [json.loads(line) for line in forwarder.quarantine_path.read_text().splitlines()]
    assert [line["seq"] for line in lines] == list(range(1, 201))
    assert sorted(line["line"] for line in lines) == sorted(
        f"fermloop,batch=none,reactor=R1,site=demo t7={n + 7 / 8} {(T0 + n) * 1_000_000}"
        for n in range(200)
    )
    assert "field type conflict" in lines[0]["error"]


def test_rows_that_the_server_will_never_take_are_quarantined_and_passed(
    store: SqliteStore, server: InfluxServer
) -> None:
    server.query(
        f"CREATE RETENTION POLICY day ON {server.bucket} DURATION 1d REPLICATION 1 DEFAULT"
    )
    now = 4_000_000_000  # after any clock that may run this; the server keeps the future
    for time in (*range(1000, 1100), *range(now, now + 50), *range(1100, 1103)):
        store.append([Sample(tag, time, 1.5, Quality.GOOD) for tag in TAGS])
    store.flush()
    with Sender(store, server) as forwarder:
        catch_up(forwarder)
        assert forwarder.status.fields_aside == []
        assert forwarder.status.quarantined == 103 * len(TAGS)
        assert forwarder.status.forwarded == 50 * len(TAGS)
    assert server.count("t0") == 50
    lines = [json.loads(line) for line in forwarder.quarantine_path.read_text().splitlines()]
    assert [line["seq"] for line in lines if line["seq"]] == [*range(1, 101), *range(151, 154)]
    assert all("beyond retention policy" in line["error"] for line in lines)


def test_every_measurement_is_there_and_texts_are_whole(
    store: SqliteStore, server: InfluxServer
) -> None:
    batch = {"batch": "R1-1", "state": "RUNNING"}
    store.record(Event(T0, "recipe", Kind.PHASE, "R1", "batch R1-1 started", batch))
    odd = 'R1.t0: "30" → 35 %, x=1 \\ ok'
    for _ in range(2):
        store.record(Event(T0 + 1, "operator:ana", Kind.AUDIT, "R1.t0", odd, {"why": "acetate"}))
    append(store, 0, 130)
    with Sender(store, server) as forwarder:
        catch_up(forwarder)
        assert (forwarder.status.quarantined, forwarder.status.refused) == (0, 0)
    assert server.count("t0") == 130
    (series,) = server.query('SHOW SERIES FROM "fermloop"')
    assert series["values"] == [["fermloop,batch=R1-1,reactor=R1,site=demo"]]
    minute = T0 - T0 % 60 + 60
    assert server.values("t3_n", "fermloop_1m")[1] == (minute * 1_000_000, 60)
    assert server.values("t3", "fermloop_1m")[1][1] == minute - T0 + 29.5 + 3 / 8
    columns = '"text", "why", "kind", "batch", "reactor"'
    (events,) = server.query(f'SELECT {columns} FROM "event" WHERE "kind" = \'audit\'')
    assert [row[1:] for row in events["values"]] == [[odd, "acetate", "audit", "R1-1", "R1"]] * 2
    with SqliteReader(store.path) as reader:
        head = reader.verify().head
    assert server.query('SELECT "hash" FROM "audit_head"')[0]["values"][-1][1] == head
    (units,) = server.query('SELECT "unit" FROM "tag" WHERE "field" = \'t3\'')
    assert units["values"] == [[T0 * 1_000_000, "%"]]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"token": "ana:wrong"}, "{url} refuses the token (401): authorization failed"),
        (
            {"bucket": "nowhere"},
            "{url} does not know bucket 'nowhere' of org 'plant' (404): "
            'database not found: "nowhere"',
        ),
    ],
)
def test_a_wrong_token_or_bucket_is_named_and_nothing_moves(
    tmp_path: Path, store: SqliteStore, other: dict[str, str], message: str
) -> None:
    with InfluxServer(tmp_path, auth=True) as server:
        append(store, 0, 10)
        with Sender(store, server, **other) as forwarder:
            assert forwarder.step() == 1.0
            assert forwarder.step() == 2.0
            assert forwarder.status.error == message.format(url=server.url)
            assert forwarder.status.failing_since is not None
            assert not store.path.with_name("cursor.json").exists()
        with Sender(store, server) as forwarder:  # put right
            catch_up(forwarder)
        assert arrived(server, 10)


def test_a_proxy_that_takes_only_small_requests_gets_small_ones(
    tmp_path: Path, store: SqliteStore
) -> None:
    with InfluxServer(tmp_path, body="20k") as server:
        append(store, 0, 1000)
        with Sender(store, server) as forwarder:
            catch_up(forwarder)
            assert forwarder.status.batch_rows <= 100
            assert forwarder.status.forwarded == store.stored
        assert arrived(server, 1000)


def command(store: SqliteStore, server: InfluxServer) -> list[str]:
    folder = store.path.parent
    options = {
        "--store": store.path,
        "--site": "demo",
        "--url": server.url,
        "--org": "plant",
        "--bucket": server.bucket,
        "--token-env": "INFLUX_TOKEN",
        "--cursor": folder / "cursor.json",
        "--status": folder / "forwarder.json",
        "--poll-s": 0.01,
    }
    words = [str(word) for pair in options.items() for word in pair]
    return [sys.executable, "-m", "historian.influx", *words]


def test_a_forwarder_killed_again_and_again_loses_and_doubles_nothing(
    store: SqliteStore, server: InfluxServer
) -> None:
    env = {**os.environ, "INFLUX_TOKEN": server.token}
    rows = 0
    for kill in range(4):
        append(store, rows, rows + 2000)
        with subprocess.Popen(command(store, server), env=env) as child:
            while server.count("t0") <= rows + 400 * kill:
                assert child.poll() is None
            child.kill()
        rows += 2000
    append(store, rows, rows + 100)
    with subprocess.Popen(command(store, server), env=env) as child:
        while server.count("t0") < rows + 100:
            assert child.poll() is None
        append(store, rows + 100, rows + 200)
        child.terminate()  # the supervisor ends it: it sends what is still behind, then goes
        assert child.wait() == 0
    assert arrived(server, rows + 200)
    cursor = load_cursor(store.path.with_name("cursor.json"))
    assert cursor is not None
    assert cursor.rows == {"R1": rows + 200}
    status = load_status(store.path.with_name("forwarder.json"))
    assert status is not None
    assert (status.behind_rows, status.forwarded) == (0, store.stored)


def test_the_forwarder_dies_with_its_parent(store: SqliteStore, server: InfluxServer) -> None:
    parent = """
        import subprocess, sys
        subprocess.Popen(sys.argv[1:])
        sys.stdin.read()
    """
    append(store, 0, 10)
    env = {**os.environ, "INFLUX_TOKEN": server.token}
    words = [sys.executable, "-c", textwrap.dedent(parent), *command(store, server)]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=env
    ) as process:
        while server.count("t0") < 10:
            assert process.poll() is None
        process.kill()
        assert process.stdout is not None
        assert process.stdout.read() == b""  # ends only when the grandchild has ended too


@pytest.mark.long
def test_six_hours_of_200_tags_catch_up_in_little_memory(tmp_path: Path) -> None:
    tags = [Tag(f"R1.t{i}", "%", 0, 1e9) for i in range(200)]
    folder = tmp_path / "influx"
    folder.mkdir()
    with InfluxServer(folder) as server, SqliteStore(tmp_path / "store.sqlite") as store:
        append(store, 0, 100, tags)
        env = {**os.environ, "INFLUX_TOKEN": server.token}
        with subprocess.Popen(command(store, server), env=env) as child:
            while server.count("t0") < 100:
                assert child.poll() is None
            before = resident_mb(child.pid)
            server.stop()
            hour = 3600
            for first in range(100, 6 * hour, 500):  # 4.32 million samples
                append(store, first, min(first + 500, 6 * hour), tags)
            began = monotonic()
            server.start()
            while server.count("t0") < 6 * hour:
                assert child.poll() is None
            catch_up_s = monotonic() - began
            grown = resident_mb(child.pid) - before
            child.terminate()
            assert child.wait() == 0
        print(f"\n6 h of 200 tags: caught up in {catch_up_s:.1f} s, memory +{grown:.0f} MB")
        for i in (0, 99, 199):
            assert server.values(f"t{i}") == [
                ((T0 + n) * 1_000_000, n + i / 8) for n in range(6 * hour)
            ]
        assert store.lost == 0
        assert grown <= 64
        assert catch_up_s <= 6 * hour / 10


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024  # the highest it ever was


def test_a_missing_server_program_names_its_package() -> None:
    with pytest.raises(FileNotFoundError, match="apt-get install no-such-package"):
        program("no-such-program", "no-such-package")
