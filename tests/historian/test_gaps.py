"""Where rows are missing, the store says so, and why."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from drivers.point import Quality, Sample, Tag
from historian.event_rows import EventRow
from historian.events import Kind
from historian.sqlite import SqliteReader, SqliteStore

T0 = 1.79e9
DO, GAS = Tag("R1.do", "%", -5, 200), Tag("R2.offgas_o2", "%", 0, 100)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


def write(path: Path, *times: float, tag: Tag = DO) -> None:
    with SqliteStore(path) as store:
        for time in times:
            store.append([Sample(tag, T0 + time, 1.0, Quality.GOOD)])


def gaps(path: Path) -> list[EventRow]:
    with SqliteReader(path) as reader:
        return reader.events(kinds=[Kind.GAP])


def test_a_program_that_ended_in_order_leaves_a_gap_that_says_so(path: Path) -> None:
    write(path, 0, 1, 2)
    write(path, 9, 10)  # within 10 s nobody would call it a gap
    assert gaps(path) == []
    write(path, 3610, 3611)
    (gap,) = gaps(path)
    assert gap["subject"] == "R1"
    assert gap["text"].startswith("no rows for 3600.0 s: nothing ran; the program before had ended")
    chinese = "3600.0 s 无数据：程序未运行；此前的程序已正常结束"
    assert gap["data"] == {"start": T0 + 10, "end": T0 + 3610, "why": "ended", "text_zh": chinese}


def test_a_program_that_died_leaves_a_gap_that_says_so(path: Path) -> None:
    script = (
        "import sys; from tests.historian.test_gaps import *; s = SqliteStore(sys.argv[1]);"
        "s.append([Sample(DO, T0, 1.0, Quality.GOOD)]); s.flush();"
        "print('there', flush=True); sys.stdin.read()"
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"there\n"
        child.send_signal(signal.SIGKILL)
    write(path, 60, 61)
    (gap,) = gaps(path)
    chinese = "60.0 s 无数据：程序未运行；此前的程序意外中断"
    assert gap["data"] == {"start": T0, "end": T0 + 60, "why": "died", "text_zh": chinese}
    assert "the program before had died" in gap["text"]


def test_a_reactor_that_falls_silent_is_told_and_the_others_are_not(path: Path) -> None:
    with SqliteStore(path) as store:
        for i in range(60):
            store.append([Sample(GAS, T0 + i, 1.0, Quality.GOOD)])
            if not 20 < i < 50:
                store.append([Sample(DO, T0 + i, 1.0, Quality.GOOD)])
            if i % 7 == 0:
                store.flush()
    (gap,) = gaps(path)
    assert (gap["subject"], gap["data"]["why"]) == ("R1", "silent")
    chinese = "30.0 s 无数据：未扫描，或时钟跳变"
    assert gap["data"] == {"start": T0 + 20, "end": T0 + 50, "why": "silent", "text_zh": chinese}


# gcc -shared: the machine's clock as somebody sets it; what is monotonic goes on
SET_CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime(clockid_t which, struct timespec *now) {
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int found = real(which, now);
    FILE *file = which == CLOCK_REALTIME ? fopen(getenv("SET_BY"), "r") : 0;
    long seconds = 0;
    if (file && fscanf(file, "%ld", &seconds) == 1) now->tv_sec += seconds;
    if (file) fclose(file);
    return found;
}
"""

RUNS = """
import os, sys
from pathlib import Path
from threading import Event as Pause
from drivers.clock import SystemClock, wall
from tests.historian.test_gaps import *
clock, set_by = SystemClock(), Path(os.environ["SET_BY"])
with SqliteStore(sys.argv[1], commit_s=0.02) as store:
    for n in range(60):
        if n % 20 == 10:
            set_by.write_text(str({10: 7200, 30: -7200, 50: 0}[n]))
        store.append([Sample(DO, clock.now(), wall() - clock.now(), Quality.GOOD)])
        Pause().wait(0.005)
"""


def test_a_clock_that_is_set_while_it_runs_moves_no_row(path: Path, tmp_path: Path) -> None:
    source, shim = tmp_path / "shim.c", tmp_path / "shim.so"
    source.write_text(SET_CLOCK)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", shim, source, "-ldl"], check=True)
    root = Path(__file__).parents[2]
    subprocess.run(
        [sys.executable, "-c", RUNS, path],
        cwd=root,
        env={
            **os.environ,
            "PYTHONPATH": str(root),
            "LD_PRELOAD": str(shim),
            "SET_BY": str(tmp_path / "set_by"),
        },
        check=True,
    )
    with SqliteReader(path) as reader:
        rows = reader.rows("R1", 0, 1000).rows
    assert [row[0] for row in rows] == list(range(1, 61))
    times = [row[1] for row in rows]
    assert times == sorted(set(times))
    assert times[-1] - times[0] < 60.0
    assert {round(row[3]) for row in rows} == {0, 7200, -7200}  # as the clock was set
    assert gaps(path) == []


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_clock_that_jumps_by_two_hours_is_told_and_every_row_kept(path: Path, hours: int) -> None:
    jump = 3600 * hours
    write(path, *range(120))
    write(path, *(120 + jump + i for i in range(120)))  # the machine came back with another time
    with SqliteReader(path) as reader:
        rows = reader.rows("R1", 0, 1000).rows
        assert [row[0] for row in rows] == list(range(1, 241))  # numbered on, none twice
        assert [row[1] - T0 for row in rows[120:122]] == [120 + jump, 121 + jump]
        trend = reader.series(["R1.do"], T0 - 7300, T0 + 7700, 300).tags["R1.do"]
        read = reader.read(DO, T0 - 1e5, T0 + 1e5)
    assert len(read) == 240
    assert [s.time for s in read] == sorted(s.time for s in read)
    assert sum(v is not None for v in trend.mean) in range(4, 8)
    (gap,) = gaps(path)
    assert gap["data"]["why"] == ("clock" if hours < 0 else "ended")
    assert ("stepped back by 7199.0 s" in gap["text"]) is (hours < 0)
