"""What the store and the forwarder cost, the rival measured in the same run.

Run by name: ``pytest tests/bench/bench_historian.py -m bench -s``. Figures go to the terminal; the
assertions are the goals.
"""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from time import process_time, thread_time
from typing import Any

import influxdb_client.client.influxdb_client as client_module
import influxdb_client.client.write.point as point_module
import influxdb_client.client.write_api as write_api
import pytest

from drivers.clock import monotonic
from drivers.point import Quality, Sample, Tag
from historian.forwarder import Forwarder
from historian.influx import InfluxSettings, InfluxWriter
from historian.sqlite import SqliteReader, SqliteStore
from tests.system.influx_server import InfluxServer

pytestmark = pytest.mark.bench

_point: Any = point_module.Point
T0 = 1_790_000_000
DAY = 86_400
TAGS = [Tag(f"R1.tag{i}", "%", 0, 1e9) for i in range(60)]


def scans(count: int) -> Iterator[list[Sample]]:
    """Give rows as a vessel does: a third noise, a third words of 0.01, a third that stands still.

    Setpoints and modes stand still; scaled 16-bit words have two decimals; probes, estimates and
    outputs of loops have all digits.
    """
    chance = random.Random(1)
    kinds = (
        lambda: chance.uniform(0, 100),
        lambda: round(chance.uniform(0, 100), 2),
        lambda: 30.0,
    )
    noise = [[kinds[i % 3]() for i in range(len(TAGS))] for _ in range(1000)]
    for n in range(count):
        values = noise[n % 1000]
        yield [Sample(t, T0 + n, v, Quality.GOOD) for t, v in zip(TAGS, values, strict=True)]


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with 24 h of 60 tags at 1 s."""
    path = tmp_path_factory.mktemp("day") / "store.sqlite"
    with SqliteStore(path, wait_when_full=True) as store:
        for scan in scans(DAY):
            store.append(scan)
    return path


def test_append_and_commit(tmp_path: Path) -> None:
    rows = list(scans(20_000))
    appending = 0.0
    with SqliteStore(tmp_path / "store.sqlite", wait_when_full=True) as store:
        began, cpu = monotonic(), process_time()
        for row in rows:
            start = thread_time()
            store.append(row)
            appending += thread_time() - start
        store.flush()
        wall, cpu = monotonic() - began, process_time() - cpu
    per_row = cpu / len(rows) * 1e6
    per_append = appending / len(rows) * 1e6
    print(f"\nappend+commit: {store.stored / wall:,.0f} samples/s;", end=" ")
    print(f"append {per_append:.1f} us, both threads {per_row:.1f} us of CPU a row of 60")
    assert per_append <= 15
    assert per_row <= 60


@pytest.mark.parametrize(("window_s", "goal_ms"), [(DAY, 100), (8 * 3600, 100), (3600, 100)])
def test_trends(day: Path, window_s: int, goal_ms: float) -> None:
    reader = SqliteReader(day)
    names = [tag.name for tag in TAGS[:12]]
    times: list[float] = []
    buckets = 0
    for _ in range(5):
        began = monotonic()
        buckets = len(reader.series(names, T0 + DAY - window_s, T0 + DAY, 600).times)
        times.append(monotonic() - began)
    ms = sorted(times)[2] * 1e3
    print(f"\ntrend of 12 tags, {window_s / 3600:g} h, {buckets} buckets: {ms:.1f} ms")
    reader.close()
    assert ms <= goal_ms


def test_forwarding_against_the_batching_api(day: Path, tmp_path: Path) -> None:
    rows = 10_000
    spent: dict[str, float] = {}
    for name, send in (("ours", _forward), ("scan", _point_a_scan), ("sample", _point_a_sample)):
        folder = tmp_path / name
        folder.mkdir()
        count = rows // 10 if name == "sample" else rows
        with InfluxServer(folder) as server:
            spent[name] = send(day, folder, server, count) / count
            assert server.count("value" if name == "sample" else "tag0") > 0
    rate = {name: len(TAGS) / seconds for name, seconds in spent.items()}
    print(f"\nsamples per client CPU-second: forwarder {rate['ours']:,.0f};", end=" ")
    print(f"influxdb-client's batching API with a Point a scan {rate['scan']:,.0f},", end=" ")
    print(f"with a Point a sample {rate['sample']:,.0f}:", end=" ")
    print(f"{rate['ours'] / rate['scan']:.1f} and {rate['ours'] / rate['sample']:.0f} times")
    assert rate["ours"] / rate["scan"] >= 3


def _forward(day: Path, folder: Path, server: InfluxServer, rows: int) -> float:
    """Return the CPU-seconds of the whole way for the first ``rows``: reading included."""
    cut = folder / "store.sqlite"
    with SqliteStore(cut, wait_when_full=True) as store:
        for scan in scans(rows):
            store.append(scan)
    writer = InfluxWriter(InfluxSettings(server.url, "plant", server.bucket, server.token))
    reader = SqliteReader(cut)
    forwarder = Forwarder(reader, writer.post, folder / "cursor", site="demo")
    began = process_time()
    while forwarder.step() == 0.0:
        pass
    spent = process_time() - began
    assert forwarder.status.forwarded == rows * len(TAGS)
    assert server.count("tag0") == rows
    writer.close()
    reader.close()
    return spent


def _point_a_scan(day: Path, folder: Path, server: InfluxServer, rows: int) -> float:
    """Return the same for the client's own way: 60 fields in a Point, its batching WriteApi."""

    def points(row: tuple[Any, ...], suffixes: tuple[str, ...]) -> Iterator[Any]:
        record = _point("fermloop").tag("site", "demo").tag("reactor", "R1")
        for suffix, value in zip(suffixes, row[3:], strict=True):
            record.field(suffix, value)
        yield record.time(round(row[1] * 1e6), "us")

    return _batching(day, server, rows, points)


def _point_a_sample(day: Path, folder: Path, server: InfluxServer, rows: int) -> float:
    """Return the same with a Point for each sample, as most programs use the client."""

    def points(row: tuple[Any, ...], suffixes: tuple[str, ...]) -> Iterator[Any]:
        time = round(row[1] * 1e6)
        for suffix, value in zip(suffixes, row[3:], strict=True):
            record = _point("fermloop").tag("site", "demo").tag("reactor", "R1")
            yield record.tag("tag", suffix).field("value", value).time(time, "us")

    return _batching(day, server, rows, points)


def _batching(
    day: Path,
    server: InfluxServer,
    rows: int,
    points: Callable[[tuple[Any, ...], tuple[str, ...]], Iterator[Any]],
) -> float:
    client: Any = client_module.InfluxDBClient(server.url, server.token, org="plant")
    reader = SqliteReader(day)
    api: Any = client.write_api(write_options=write_api.WriteOptions(batch_size=5_000))
    sent = 0
    began = process_time()
    while sent < rows:
        found = reader.rows("R1", sent, min(1000, rows - sent))
        for row in found.rows:
            for point in points(row, found.suffixes):
                api.write(server.bucket, "plant", point)
        sent += len(found.rows)
    api.close()
    spent = process_time() - began
    client.close()
    reader.close()
    return spent
