"""The forwarder against answers that a healthy InfluxDB seldom gives, over real HTTP."""

import itertools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from drivers.point import Quality, Sample, Tag
from historian.delivery import UnavailableError
from historian.events import Event, Kind
from historian.forwarder import Forwarder
from historian.influx import InfluxSettings, InfluxWriter, main, read_token
from historian.progress import Cursor, load_cursor, load_status, save_cursor
from historian.sqlite import SqliteReader, SqliteStore

T0 = 1.79e9
DO = Tag("R1.do", "%", 0, 100)
PH = Tag("R1.ph", "[pH]", 0, 14)


class Endpoint(HTTPServer):
    """Answers writes with what the test has put into ``answers``, then with 204."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.answers: list[tuple[int, str, dict[str, str]]] = []
        self.bodies: list[str] = []
        self.paths: list[str] = []
        self.slow_s = 0.0  # how long an answer takes
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Answer(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        endpoint = self.server
        assert isinstance(endpoint, Endpoint)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        threading.Event().wait(endpoint.slow_s)
        endpoint.bodies.append(body.decode())
        endpoint.paths.append(self.path + " " + self.headers["Authorization"])
        status, text, headers = endpoint.answers.pop(0) if endpoint.answers else (204, "", {})
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as endpoint:
        thread = threading.Thread(target=endpoint.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield endpoint
        endpoint.shutdown()
        thread.join()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with SqliteStore(tmp_path / "store.sqlite") as store:
        for i in range(8):
            store.append([Sample(DO, T0 + i, i, Quality.GOOD), Sample(PH, T0 + i, 7, Quality.GOOD)])
        store.flush()
        yield store


@pytest.fixture
def forwarder(tmp_path: Path, store: SqliteStore, endpoint: Endpoint) -> Iterator[Forwarder]:
    reader = SqliteReader(store.path)
    writer = InfluxWriter(InfluxSettings(endpoint.url, "plant", "b", "secret"))
    yield Forwarder(reader, writer.post, tmp_path / "cursor", site="demo", jitter=0.0)
    writer.close()
    reader.close()


def test_a_request_is_what_influxdb_2_expects(forwarder: Forwarder, endpoint: Endpoint) -> None:
    assert forwarder.step() == 1.0
    assert endpoint.paths == ["/api/v2/write?org=plant&bucket=b&precision=us Token secret"]
    assert endpoint.bodies[0].splitlines()[0] == (
        "fermloop,batch=none,reactor=R1,site=demo do=0.0,ph=7.0 1790000000000000"
    )
    assert endpoint.bodies[0].splitlines()[8:] == [
        'tag,field=do,reactor=R1,site=demo high=100.0,low=0.0,unit="%" 1790000000000000',
        'tag,field=ph,reactor=R1,site=demo high=14.0,low=0.0,unit="[pH]" 1790000000000000',
    ]


def test_the_changes_of_alarms_follow_once_in_a_measurement_of_their_own(
    forwarder: Forwarder, endpoint: Endpoint, store: SqliteStore
) -> None:
    data = {"id": "R1.t.high", "priority": "high", "severity": 700, "reactor": "R1", "value": 38.4}
    for i, state in enumerate(("unacknowledged", "acknowledged")):
        event = Event(T0 + i, "system", Kind.ALARM, "R1.t", "high", {**data, "state": state})
        store.record(event)
    store.record(Event(T0, "system", Kind.ALARM, "R1", "one from before alarms had a state"))
    store.record(Event(T0, "operator:ana", Kind.AUDIT, "R1", "acknowledged"))
    store.flush()
    assert forwarder.step() == 1.0
    head = "alarm,id=R1.t.high,priority=high,reactor=R1,site=demo"
    told = [line for line in endpoint.bodies[0].splitlines() if line.startswith("alarm,")]
    assert told == [
        f"{head} state=3i,severity=700i,value=38.4 1790000000000000",
        f"{head} state=2i,severity=700i,value=38.4 1790000001000000",
    ]
    assert forwarder.step() == 1.0
    assert len(endpoint.bodies) == 1


@pytest.mark.parametrize(
    ("status", "headers", "waits"),
    [
        (500, {}, 1.0),
        (503, {"Retry-After": "17"}, 17.0),
        (429, {"Retry-After": "0"}, 1.0),
        (429, {"Retry-After": "86400"}, 300.0),
        (429, {"Retry-After": "Fri, 31 Dec 2027 23:59:59 GMT"}, 1.0),
        (302, {"Location": "http://127.0.0.1:1/"}, 1.0),
        (405, {}, 1.0),
    ],
)
def test_any_other_answer_than_success_moves_nothing(
    forwarder: Forwarder,
    endpoint: Endpoint,
    tmp_path: Path,
    status: int,
    headers: dict[str, str],
    waits: float,
) -> None:
    endpoint.answers = [(status, '{"code":"x","message":"not now"}', headers)]
    assert forwarder.step() == waits
    assert load_cursor(tmp_path / "cursor") is None
    told = load_status(forwarder.status_path)
    assert told is not None
    assert told.error == f"{endpoint.url} answers {status}: not now"
    assert (told.behind_rows, told.forwarded, told.pid) == (8, 0, os.getpid())
    assert forwarder.step() == 1.0
    assert endpoint.bodies[1] == endpoint.bodies[0]
    told = load_status(forwarder.status_path)
    assert told is not None
    assert (told.behind_rows, told.forwarded, told.error) == (0, 16, "")
    assert told.failing_since is None


def test_a_slow_server_gets_the_newest_and_the_missed_in_turn(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    endpoint.slow_s = 0.02  # a request takes longer than the newest rows are apart
    writer = InfluxWriter(InfluxSettings(endpoint.url, "plant", "b", "secret"))
    with SqliteStore(tmp_path / "slow.sqlite") as store, SqliteReader(store.path) as reader:

        def scan(n: int) -> None:
            store.append([Sample(DO, T0 + n, n, Quality.GOOD)])

        for n in range(3000):
            scan(n)
        store.flush()
        forwarder = Forwarder(reader, writer.post, tmp_path / "c", site="demo", poll_s=0.0)
        newest: list[bool] = []
        rows, behind = 3000, 3000
        while behind:
            before = behind
            scan(rows)
            store.flush()
            rows += 1
            assert forwarder.step() == 0.0 or not forwarder.status.behind_rows
            behind = forwarder.status.behind_rows
            newest.append(f"do={float(rows - 1)!r} " in endpoint.bodies[-1])
            assert newest[-1] or behind < before  # what was missed becomes less
            assert newest[-1] or forwarder.status.lag_s == 1.0  # the row that came with it
        assert newest[0]
        assert all(a is not b for a, b in itertools.pairwise(newest))
        sent = [line for body in endpoint.bodies for line in body.splitlines() if " do=" in line]
        rows_sent = [line for line in sent if line.startswith("fermloop,")]
        assert len(rows_sent) == len(set(rows_sent)) == rows
    writer.close()


def test_waits_grow_to_a_minute_and_begin_anew_after_success(
    forwarder: Forwarder, endpoint: Endpoint, store: SqliteStore
) -> None:
    endpoint.answers = [(500, "", {})] * 8
    assert [forwarder.step() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert forwarder.step() == 0.0  # the batch had shrunk to one row
    while forwarder.step() == 0.0:
        pass
    store.append([Sample(DO, T0 + 60, 1.0, Quality.GOOD)])
    store.flush()
    endpoint.answers = [(500, "", {})]
    assert forwarder.step() == 1.0


def test_no_two_forwarders_come_back_at_one_moment(store: SqliteStore, tmp_path: Path) -> None:
    def post(lines: bytes) -> None:
        raise UnavailableError("away")

    waits: list[list[float]] = []
    for n in range(3):
        with SqliteReader(store.path) as reader:
            forwarder = Forwarder(reader, post, tmp_path / f"cursor{n}", site="demo")
            waits.append([forwarder.step() for _ in range(8)])
    for wait, least in zip(zip(*waits, strict=True), (1, 2, 4, 8, 16, 32, 60, 60), strict=True):
        assert len(set(wait)) == 3
        assert all(least <= w <= 1.5 * least for w in wait)


def test_a_server_that_refuses_everything_is_not_believed(
    forwarder: Forwarder, endpoint: Endpoint, tmp_path: Path
) -> None:
    endpoint.answers = [(400, "database is required", {})] * 1000
    assert forwarder.step() == 1.0
    assert forwarder.status.error == "refuses every line: 400: database is required"
    assert load_cursor(tmp_path / "cursor") is None
    assert not forwarder.quarantine_path.exists()
    endpoint.answers = []
    while forwarder.step() == 0.0:
        pass
    assert forwarder.status.forwarded == 16


def test_one_refused_line_is_found_among_the_good_ones(
    forwarder: Forwarder, endpoint: Endpoint
) -> None:
    nothing: dict[str, str] = {}
    no, yes = (422, '{"message":"no"}', nothing), (204, "", nothing)
    # 8 rows and 2 units: no; rows 1-5 yes; 6-8 and units no; 6-7 no; 6 no; its do no; its ph no;
    # 7 yes; 8 and units yes
    endpoint.answers = [no, yes, no, no, no, no, no, yes, yes]
    assert forwarder.step() == 1.0
    assert endpoint.answers == []
    assert (forwarder.status.forwarded, forwarder.status.quarantined) == (14, 2)
    quarantine = forwarder.quarantine_path.read_text()
    assert quarantine.count("\n") == 1
    told = json.loads(quarantine)
    assert (told["reactor"], told["seq"], told["error"]) == ("R1", 6, "422: no")
    assert "do=5.0,ph=7.0 1790000005000000" in told["line"]


def test_a_cursor_of_another_store_is_not_used(
    forwarder: Forwarder, endpoint: Endpoint, tmp_path: Path
) -> None:
    save_cursor(tmp_path / "cursor", Cursor("another", {"R1": 7}, forwarded=999))
    forwarder.step()
    assert endpoint.bodies[0].count("fermloop,") == 8
    assert forwarder.status.forwarded == 16


def test_it_waits_for_a_store_that_is_not_there_yet(tmp_path: Path, endpoint: Endpoint) -> None:
    writer = InfluxWriter(InfluxSettings(endpoint.url, "plant", "b", "secret"))
    reader = SqliteReader(tmp_path / "later.sqlite")
    forwarder = Forwarder(reader, writer.post, tmp_path / "cursor", site="demo", poll_s=0.5)
    assert [forwarder.step() for _ in range(3)] == [0.5] * 3
    assert "no store here yet" in forwarder.status.error
    with SqliteStore(reader.path) as store:
        assert forwarder.step() == 0.5  # a store without rows
        assert forwarder.status.error == ""
        store.append([Sample(DO, T0, 1.0, Quality.GOOD)])
    forwarder.step()
    assert len(endpoint.bodies) == 1
    writer.close()
    reader.close()


def test_nobody_at_the_address_is_told_in_one_line(tmp_path: Path, store: SqliteStore) -> None:
    with Endpoint() as gone:
        url = gone.url
    writer = InfluxWriter(InfluxSettings(url, "plant", "b", "secret"))
    reader = SqliteReader(store.path)
    forwarder = Forwarder(reader, writer.post, tmp_path / "cursor", site="demo", jitter=0.0)
    assert forwarder.step() == 1.0
    assert forwarder.status.error.startswith(f"{url} does not answer: ")
    assert "secret" not in forwarder.status_path.read_text()
    writer.close()
    reader.close()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("url", "127.0.0.1:8086", "influx.url: '127.0.0.1:8086' is not allowed"),
        ("url", "ftp://host", "influx.url: 'ftp://host' is not allowed"),
        ("url", "http://ana:x@host", "influx.url: user and password are not allowed"),
        ("org", "", "influx.org: empty is not allowed"),
        ("bucket", "", "influx.bucket: empty is not allowed"),
        ("token", "", "influx.token: empty is not allowed"),
        ("token", " \n", "influx.token: empty is not allowed"),
        ("token", "a\nb", "influx.token: only printable ASCII"),
    ],
)
def test_settings_that_cannot_work_are_refused(key: str, value: str, message: str) -> None:
    good = {"url": "http://host:8086", "org": "o", "bucket": "b", "token": "t"}
    assert "token" not in repr(InfluxSettings(**good))
    with pytest.raises(ValueError, match="^" + message.replace("(", r"\(")):
        InfluxSettings(**{**good, key: value})


def test_a_token_comes_from_a_private_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    with pytest.raises(ValueError, match="cannot be read"):
        read_token(file, None)
    file.write_text("secret\n")
    file.chmod(0o644)
    with pytest.raises(ValueError, match="mode 0644 is not allowed; 0600 is"):
        read_token(file, None)
    file.chmod(0o600)
    assert read_token(file, None) == "secret"
    file.write_text("\n")
    with pytest.raises(ValueError, match="empty token"):
        read_token(file, None)
    with pytest.raises(ValueError, match="environment variable FERMLOOP_T: an empty token"):
        read_token(None, "FERMLOOP_T")
    monkeypatch.setenv("FERMLOOP_T", "secret")
    assert read_token(None, "FERMLOOP_T") == "secret"


def test_the_command_refuses_in_one_line(tmp_path: Path) -> None:
    words = "--store s --site x --url http://h --org o --bucket b --token-env FERMLOOP_T --cursor c"
    run = subprocess.run(
        [sys.executable, "-m", "historian.influx", *words.split()],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert run.stderr == (
        "historian.influx: environment variable FERMLOOP_T: an empty token is not allowed\n"
    )
    with pytest.raises(SystemExit, match="2"):
        main(["--store", "s"])
