"""What is left of a store after a kill -9 or a power cut in the middle of a write."""

import os
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
    assert most <= UNACKNOWLEDGED_S + 1.0  # the commit itself, on a busy machine


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


# a disk of 4 MB that somebody else fills up and clears again
FULL = """
import sys
from pathlib import Path
from drivers.clock import monotonic
from historian.events import Event, Kind
from tests.historian.test_crashes import *
disk, alarms = Path(sys.argv[1]), []
store = SqliteStore(
    disk / "store.sqlite", commit_s=0.05, on_alarm=lambda text, on: alarms.append((on, text)))
n = 0
def scans(count):
    global n
    for _ in range(count):
        store.append([Sample(t, T0 + n, n, Quality.GOOD) for t in TAGS])
        n += 1
    store.record(Event(T0 + n, "operator:ana", Kind.AUDIT, "R1.do", str(n)))
scans(100)
store.flush()
ballast = (disk / "ballast").open("wb")
try:
    while True:
        ballast.write(bytes(4096))
        ballast.flush()
except OSError:
    pass
for _ in range(30):
    scans(100)
try:
    store.flush(1.0)
    raise SystemExit("the disk is not full")
except TimeoutError as error:
    assert "is full" in str(error), error
ballast_path = disk / "ballast"
ballast_path.unlink()
try:
    ballast.close()
except OSError:
    pass
began = monotonic()
store.flush()
back = monotonic() - began
store.close()
with SqliteReader(disk / "store.sqlite") as reader:
    assert [row[3] for row in reader.rows("R1", 0, 10**6).rows] == list(range(n))
    audits = reader.audit(1000)
    assert [int(e["text"]) for e in audits] == list(range(n, 0, -100)), len(audits)
    assert reader.verify(closed=True).ok
assert (store.lost, [on for on, _ in alarms]) == (0, [True, False]), alarms
print(f"{back:.2f}")
"""


@pytest.mark.long
def test_a_full_disk_loses_no_audit_event_and_is_back_within_10_s(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f"mount -t tmpfs -o size=4m tmpfs '{disk}' && exec '{sys.executable}' - '{disk}'"
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", mount],
        input=FULL,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    print(f"\nfull disk: back after {done.stdout.strip()} s")
    assert float(done.stdout) <= 10.0
