"""What the local store costs, beside a store of one row a sample on the same machine.

Run by name: ``pytest tests/bench/bench_store.py -m bench -s``. Figures go to the terminal; the
assertions are the goals. The fortnight takes a minute and 0.7 GB of disk to make.
"""

import os
import random
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from time import process_time

import pytest

from drivers.clock import monotonic
from drivers.point import Quality, Sample, Tag
from historian.sqlite import SqliteReader, SqliteStore
from historian.trends import axis

pytestmark = pytest.mark.bench

GOOD = Quality.GOOD
T0 = 1_790_000_000
HOUR, DAY = 3600, 86_400
FORTNIGHT = 14 * DAY


def tags(reactor: str, count: int = 50) -> list[Tag]:
    return [Tag(f"{reactor}.tag{i}", "%", 0, 1e9) for i in range(count)]


def values(seed: int, count: int = 50) -> list[list[float]]:
    """Give 1 000 rows as a vessel does.

    A third is noise with all digits (probes, estimates), a third words of 0.01, a third stands.
    """
    chance = random.Random(seed)
    kinds = (
        lambda: chance.uniform(0, 100),
        lambda: round(chance.uniform(0, 100), 2),
        lambda: 30.0,
    )
    return [[kinds[i % 3]() for i in range(count)] for _ in range(1000)]


def scans(some: Sequence[Tag], seconds: int, seed: int = 1) -> Iterator[list[Sample]]:
    rows = values(seed, len(some))
    for n in range(seconds):
        row = rows[n % 1000]
        yield [Sample(t, T0 + n, v, Quality.GOOD) for t, v in zip(some, row, strict=True)]


class Spent:
    """What a block takes, each time it is entered; on a busy machine the clock says little."""

    def __init__(self) -> None:
        self.cpu_ms: list[float] = []
        self.wall_ms: list[float] = []

    def __enter__(self) -> None:
        self._began = process_time(), monotonic()

    def __exit__(self, *exc: object) -> None:
        cpu, wall = self._began
        self.cpu_ms.append((process_time() - cpu) * 1e3)
        self.wall_ms.append((monotonic() - wall) * 1e3)

    def __str__(self) -> str:
        return f"{median(self.cpu_ms):.1f} ms of CPU, {median(self.wall_ms):.1f} ms by the clock"


@pytest.fixture(scope="module")
def fortnight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole batch: 14 days of 50 tags at 1 s, 60 million samples."""
    path = tmp_path_factory.mktemp("fortnight") / "store.sqlite"
    some = tags("R1")
    began, cpu = monotonic(), process_time()
    with SqliteStore(path, wait_when_full=True) as store:
        for scan in scans(some, FORTNIGHT):
            store.append(scan)
    spent, wall = process_time() - cpu, monotonic() - began
    count = FORTNIGHT * len(some)
    print(f"\n14 d x 50 tags: made in {wall:.0f} s ({spent:.0f} s of CPU, samples made included)")
    size = path.stat().st_size
    print(f"size: {size / 1e6:.0f} MB, {size / count:.1f} bytes a sample, rollups included")
    assert size / count <= 15
    return path


def test_append_beside_a_row_a_sample(tmp_path: Path) -> None:
    some, seconds = tags("R1"), 10_000
    rows = list(scans(some, seconds))
    count = seconds * len(some)
    with SqliteStore(tmp_path / "wide.sqlite", wait_when_full=True) as store:
        began = monotonic()
        for row in rows:
            store.append(row)
        store.flush()
        ours = count / (monotonic() - began)
    theirs = count / 5 / _row_a_sample(tmp_path / "narrow.sqlite", rows[: seconds // 5])
    print(f"\nappend, committed: {ours:,.0f} samples/s; a row a sample {theirs:,.0f}")
    assert ours >= 100_000
    assert ours > theirs


def _row_a_sample(path: Path, rows: list[list[Sample]]) -> float:
    """Return the s that the usual way takes: a row a sample, an index, a commit a second."""
    with sqlite3.connect(path, isolation_level=None) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE sample (tag TEXT, time REAL, value REAL, quality INTEGER)")
        db.execute("CREATE INDEX sample_tag_time ON sample (tag, time)")
        began = monotonic()
        for first in range(0, len(rows), 1000):  # as many scans in a commit as ours at full speed
            db.execute("BEGIN")
            for row in rows[first : first + 1000]:
                found = [(s.tag.name, s.time, s.value, int(s.quality)) for s in row]
                db.executemany("INSERT INTO sample VALUES (?, ?, ?, ?)", found)
            db.execute("COMMIT")
        took = monotonic() - began
    db.close()
    return took


def test_twenty_reactors_at_1_hz(tmp_path: Path) -> None:
    """Two hours of plant time; a commit a second, as in real time: the CPU of a second."""
    reactors = [tags(f"R{i}") for i in range(20)]
    seconds = 2 * HOUR
    rows = [values(i) for i in range(20)]
    with SqliteStore(tmp_path / "store.sqlite", commit_s=3600) as store:
        spent, cpu = 0.0, 0.0
        for n in range(seconds):
            scan = [
                [
                    Sample(t, T0 + n, v, Quality.GOOD)
                    for t, v in zip(some, row[n % 1000], strict=True)
                ]
                for some, row in zip(reactors, rows, strict=True)
            ]
            cpu = process_time()
            for samples in scan:
                store.append(samples)
            store.flush()
            spent += process_time() - cpu
    share = spent / seconds
    print(f"\n20 reactors x 50 tags at 1 Hz, rollups and a commit a second: {share:.2%} of a core")
    assert share <= 0.05


def _forget(path: Path) -> None:
    """Have the system read the file from the disk again."""
    file = os.open(path, os.O_RDONLY)
    os.fsync(file)
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(file)


def test_reads_of_a_whole_batch(fortnight: Path) -> None:
    reader = SqliteReader(fortnight)
    end = T0 + FORTNIGHT
    for what, start, buckets, goal_ms, cold in (
        ("14 d in 1 000 buckets", T0, 1000, 50, False),
        ("14 d in 1 000 buckets, from the disk", T0, 1000, 50, True),
        ("last hour", end - HOUR, 1000, 10, False),
        ("last hour, from the disk", end - HOUR, 1000, 10, True),
        ("last 8 h", end - 8 * HOUR, 1000, 100, False),
    ):
        read, shown = Spent(), 0
        for i in range(9):
            if cold:
                _forget(fortnight)
            with read:
                shown = len(reader.series([f"R1.tag{i}"], start, end, buckets).times)
        print(f"\none tag, {what} ({shown}): {read}", end="")
        assert median(read.wall_ms) <= goal_ms
    read, tag = Spent(), tags("R1")[3]
    for _ in range(9):
        with read:
            assert len(reader.read(tag, end - HOUR, end)) == HOUR
    print(f"\none tag, last hour, every sample: {read}")
    assert axis(T0, end, 1000).width_s == 21 * 60
    reader.close()
