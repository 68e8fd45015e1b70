"""What is left of a store after a kill -9 or a power cut in the middle of a write."""

import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from drivers.clock import monotonic, wall
from drivers.point import Quality, Sample, Tag
from historian.sqlite import SqliteReader, SqliteStore

ROOT = Path(__file__).parents[2]
T0 = 1.79e9
TAGS = [Tag(f"R1.t{i}", "%", 0, 1e9) for i in range(20)]
REOPEN_S = 1.0
UNACKNOWLEDGED_S = 1.0

# a scan every 5 ms, stamped with the clock on the wall; each line says what is acknowledged
WRITER = """
import sys
from drivers.clock import wall
from tests.historian.test_crashes import *
from threading import Event as Pause
store, pause, n = SqliteStore(sys.argv[1]), Pause(), int(sys.argv[2])
while True:
    store.append([Sample(t, wall(), n, Quality.GOOD) for t in TAGS])
    n += 1
    print(store.stored // len(TAGS), flush=True)
    pause.wait(0.005)
"""


def kills(path: Path, count: int, chance: random.Random) -> tuple[float, float]:
    """Kill a writer so many times; return the longest reopening and the most lost at a kill, s."""
    before, slowest, most = 0, 0.0, 0.0
    for _ in range(count):
        command = [sys.executable, "-c", WRITER, str(path), str(before)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as child:
            assert child.stdout is not None
            acknowledged = int(child.stdout.readline())
            until = monotonic() + chance.uniform(0.0, 2.5)
            while monotonic() < until:
                acknowledged = int(child.stdout.readline())
            child.send_signal(signal.SIGKILL)
            killed = wall()
            rest = child.stdout.read().split()
        acknowledged = int(rest[-1]) if rest and rest[-1].isdigit() else acknowledged
        began = monotonic()
        store = SqliteStore(path)
        slowest = max(slowest, monotonic() - began)
        store.close()
        with SqliteReader(path) as reader:
            rows = reader.rows("R1", before, 10**6).rows
        values = [row[3] for row in rows]
        assert values == list(range(before, before + len(rows)))  # whole, in order, no hole
        assert all(row[3:] == (row[3],) * len(TAGS) for row in rows)
        assert len(rows) >= acknowledged
        if rows:
            most = max(most, killed - rows[-1][1])
        before += len(rows)
    return slowest, most


@pytest.mark.long
def test_nothing_acknowledged_is_lost_by_200_kills_at_random(tmp_path: Path) -> None:
    slowest, most = kills(tmp_path / "store.sqlite", 200, random.Random(2))
    print(
        f"\n200 kills: opened again in {slowest:.3f} s at most, {most:.2f} s unacknowledged at most"
    )
    assert slowest <= REOPEN_S
    assert most <= UNACKNOWLEDGED_S


@pytest.fixture(scope="module")
def torn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a long write-ahead log, as a power cut would find it."""
    folder = tmp_path_factory.mktemp("torn")
    path = folder / "living.sqlite"
    with SqliteStore(path) as store:  # what is in the file itself when it was closed
        store.append([Sample(t, T0 - 1, -1.0, Quality.GOOD) for t in TAGS])
    with SqliteStore(path, wait_when_full=True) as store:
        for n in range(300):
            store.append([Sample(t, T0 + n, n, Quality.GOOD) for t in TAGS])
            if n % 10 == 9:
                store.flush()
        for suffix in ("", "-wal"):
            shutil.copyfile(f"{path}{suffix}", folder / f"store.sqlite{suffix}")
    return folder


def cut(torn: Path, folder: Path, chance: random.Random) -> int:
    """Tear the log somewhere, and return how many rows are left, each of them as it was written."""
    path = folder / "store.sqlite"
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    shutil.copyfile(torn / "store.sqlite", path)
    log = bytearray((torn / "store.sqlite-wal").read_bytes())
    at = chance.randrange(len(log))
    how = chance.randrange(3)
    if how == 0:
        del log[at:]
    elif how == 1:  # a block that was never written
        log[at : at + 4096] = bytes(len(log[at : at + 4096]))
    else:
        log[at] ^= 1 << chance.randrange(8)
    path.with_name("store.sqlite-wal").write_bytes(log)
    reader = SqliteReader(path)
    rows = reader.rows("R1", 0, 10**6).rows
    reader.close()
    assert [row[0] for row in rows] == list(range(1, len(rows) + 1))
    assert len(rows) % 10 == 1  # a group of ten is there as a whole or not at all
    assert all(row[3:] == (row[0] - 2,) * len(TAGS) for row in rows)
    return len(rows)


def test_a_torn_tail_is_cut_at_the_last_whole_group(torn: Path, tmp_path: Path) -> None:
    chance = random.Random(3)
    left = [cut(torn, tmp_path, chance) for _ in range(100)]
    assert len(set(left)) > 10
    path = tmp_path / "store.sqlite"
    with SqliteStore(path) as store:  # and goes on from there
        store.append([Sample(t, T0 + 1000, 1000.0, Quality.GOOD) for t in TAGS])
    with SqliteReader(path) as reader:
        assert reader.rows("R1", 0, 10**6).rows[-1][3] == 1000.0


@pytest.mark.long
def test_ten_thousand_torn_tails(torn: Path, tmp_path: Path) -> None:
    chance = random.Random(4)
    left = [cut(torn, tmp_path, chance) for _ in range(10_000)]
    print(f"\n10 000 torn tails: 0 rows invalid, {min(left)} to {max(left)} of 301 left")
