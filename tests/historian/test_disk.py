"""A disk that is full, or that fails: what the store promises then (RELIABILITY 2)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.historian.faulty_disk import faulty_disk

ROOT = Path(__file__).parents[2]

# argv: a folder on a disk of its own
COMMON = """
import sys
from pathlib import Path
from threading import Event as Pause
from drivers.clock import monotonic
from drivers.point import Quality, Sample, Tag
from historian.events import Event, Kind
from historian.sqlite import SqliteReader, SqliteStore
T0, TAGS = 1.79e9, [Tag(f"R1.t{i}", "%", 0, 1e9) for i in range(20)]
disk, alarms, n = Path(sys.argv[1]), [], 0
def opened(reserve_mb=0.0, commit_s=0.05):
    return SqliteStore(disk / "store.sqlite", commit_s=commit_s, reserve_mb=reserve_mb,
        on_alarm=lambda text, on: alarms.append((on, text)))
def scans(count):
    global n
    for _ in range(count):
        store.append([Sample(t, T0 + n, n, Quality.GOOD) for t in TAGS])
        n += 1
    store.record(Event(T0 + n, "operator:ana", Kind.AUDIT, "R1.do", str(n)))
def audited():
    with SqliteReader(disk / "store.sqlite") as reader:
        return sorted(int(e["text"]) for e in reader.audit(1000)), reader.verify().ok
"""

# somebody else fills it up and clears it again
FULL = """
def fill():
    with (disk / "ballast").open("wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(bytes(4096))
        except OSError:
            pass
def back():
    began = monotonic()
    (disk / "ballast").unlink()
    while alarms[-1][0]:
        scans(1)
        store.flush(10.0)
        Pause().wait(0.05)
    return monotonic() - began
"""

GOES_ON = """
store = opened(0.25)
scans(5000)
store.close()
store = opened(0.25)  # its log is a new one
store.flush()
store.flush()
fill()
for _ in range(100):
    scans(100)
    store.flush()  # committed, while the disk is full
audits, ok = audited()
assert ok and audits == [5000, *range(5100, 15001, 100)], audits
assert [on for on, _ in alarms] == [True], alarms
assert "the disk is full (" in alarms[0][1] and "the oldest rows leave" in alarms[0][1], alarms
with SqliteReader(disk / "store.sqlite") as reader:
    rows = reader.rows("R1", 0, 10**6).rows
    gaps = [e for e in reader.events(kinds=[Kind.GAP]) if "full" in str(e["data"].get("why"))]
seqs = [row[0] for row in rows]
assert seqs == list(range(seqs[0], 15001)) and seqs[0] > 1, (seqs[0], seqs[-1])
told = [seq for e in gaps for seq in range(e["data"]["first"], e["data"]["last"] + 1)]
assert told[:seqs[0] - 1] == list(range(1, seqs[0])), (seqs[0], len(told))  # each row once
assert store.lost == 0
s = back()
store.close()
assert [on for on, _ in alarms] == [True, False], alarms
print(f"{s:.2f} {seqs[0] - 1} {len(gaps)}")
"""

WAITS = """
store = opened(0.0)
scans(100)
store.flush()
fill()
for _ in range(30):
    scans(100)
try:
    store.flush(1.0)
    raise SystemExit("the disk is not full")
except TimeoutError as error:
    assert "is full" in str(error), error
before = n
s = back()
store.close()
with SqliteReader(disk / "store.sqlite") as reader:
    assert [row[3] for row in reader.rows("R1", 0, 10**6).rows] == list(range(n))
assert audited()[0][:31] == list(range(100, 3101, 100)), audited()
assert (store.lost, [on for on, _ in alarms]) == (0, [True, False]), alarms
print(f"{s:.2f} 0 0")
"""


KILLED = """
import os, subprocess
if len(sys.argv) > 2:
    store = opened(0.25)
    scans(3000)
    store.flush()
    fill()
    for _ in range(20):
        scans(100)
        store.flush()
    os.kill(os.getpid(), 9)
subprocess.run([sys.executable, "-c", SELF, str(disk), "first"])
n = 5000
store = opened(0.25)
for _ in range(20):
    scans(100)
    store.flush()
audits, ok = audited()
assert ok and audits == [3000, *range(3100, 7001, 100)], audits
with SqliteReader(disk / "store.sqlite") as reader:
    assert reader.rows("R1", 0, 10**6).rows[-1][3] == 6999
s = back()
store.close()
print(f"{s:.2f} 0 0")
"""


def on_a_small_disk(script: str, folder: Path) -> list[float]:
    """Return what a script prints that runs on a disk of its own (tmpfs)."""
    disk = folder / "disk"
    disk.mkdir()
    mount = f"mount -t tmpfs -o size=6m tmpfs '{disk}' && exec '{sys.executable}' - '{disk}'"
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", mount],
        input=f"SELF = {COMMON + FULL + script!r}\nexec(SELF)",
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [float(word) for word in done.stdout.split()]


def test_a_full_disk_stops_no_commit_and_the_oldest_rows_leave_on_record(tmp_path: Path) -> None:
    back_s, dropped, gaps = on_a_small_disk(GOES_ON, tmp_path)
    print(f"\nfull disk: {dropped:.0f} rows dropped, told {gaps:.0f} times; over in {back_s} s")
    assert back_s <= 10.0
    assert dropped > 1000
    assert gaps >= 2


FAILS = """
import os
store = opened(0.25)
scans(300)
store.flush()
slowest = 0.0
for what in ("sync", "write"):
    flag = Path(f"{os.environ['FAILS']}.{what}")
    flag.touch()
    for _ in range(10):
        began = monotonic()
        scans(1)
        slowest = max(slowest, monotonic() - began)
        Pause().wait(0.01)
    try:
        store.flush(0.3)
        raise SystemExit("nothing failed")
    except TimeoutError as error:
        assert "disk I/O error" in str(error), error
    scans(90)
    flag.unlink()
    began = monotonic()
    store.flush()
    assert monotonic() - began < 10.0
store.close()
with SqliteReader(disk / "store.sqlite") as reader:
    assert [row[3] for row in reader.rows("R1", 0, 10**6).rows] == list(range(500))
audits, ok = audited()
assert ok and len(audits) == 1 + 2 * 11 and audits[-1] == 500, audits
assert store.lost == 0 and [on for on, _ in alarms] == [True, False] * 2, alarms
print(slowest)
"""


def test_a_disk_whose_writes_and_syncs_fail_is_an_alarm_and_loses_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-", tmp_path],
        input=COMMON + FAILS,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **faulty_disk(tmp_path)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 0.05  # no scan waits for it


@pytest.mark.long
def test_a_program_killed_on_a_full_disk_starts_again_and_goes_on(tmp_path: Path) -> None:
    back_s, *_ = on_a_small_disk(KILLED, tmp_path)
    assert back_s <= 10.0


@pytest.mark.long
def test_without_a_reserve_rows_and_events_wait_and_are_back_within_10_s(tmp_path: Path) -> None:
    back_s, *_ = on_a_small_disk(WAITS, tmp_path)
    print(f"\nfull disk without a reserve: back after {back_s} s")
    assert back_s <= 10.0
