"""The demo as a newcomer starts it: real processes, 60 times real time, ports that are taken."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import pytest

from drivers.clock import monotonic
from fermloop.commands import report

pytestmark = pytest.mark.real_time

FIRST_VALUE_S = 10.0  # wall


def undisturbed() -> list[str]:
    """Return what to put before a command so that other load does not count, where permitted."""
    asked = ["chrt", "--rr", "1"]
    if shutil.which("chrt") and subprocess.run([*asked, "true"], check=False).returncode == 0:
        return asked
    return []


@pytest.fixture
def taken() -> Generator[None]:
    """The demo's own ports are taken, by this or by somebody else."""
    with ExitStack() as stack:
        for port in (5020, 4840, 8080):
            listening = stack.enter_context(socket.socket())
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listening.bind(("127.0.0.1", port))
                listening.listen()
            except OSError:
                continue
        yield


class Demo:
    """``fermloop demo`` in a folder and a terminal session of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.began = monotonic()
        self.process = subprocess.Popen(
            [*undisturbed(), sys.executable, "-m", "fermloop", "demo", *options],
            cwd=folder,
            env={**os.environ, "XDG_RUNTIME_DIR": str(folder), "COLUMNS": "200"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> "Demo":
        return self

    def __exit__(self, *exc: object) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def first_value(self) -> float:
        """Read to the first line with live values; return when it came, wall s."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if re.search(r"R1 +\d\.\d\d h \| batch \| pH [67]\.\d\d \| DO \d", line):
                return monotonic() - self.began
        raise AssertionError("the demo ended without a value")

    def left_behind(self) -> list[str]:
        """Return the command lines of processes that the demo started and that still run."""
        mark = f"XDG_RUNTIME_DIR={self.folder}\0".encode()
        found: list[str] = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdecimal() and mark in (entry / "environ").read_bytes():
                    found.append((entry / "cmdline").read_text().replace("\0", " "))
            except OSError:  # it has just ended, or is somebody else's
                continue
        return found


def check_end(demo: Demo) -> None:
    """It ended by itself, in order: a summary, a whole report, and nothing left."""
    out, _ = demo.process.communicate(timeout=120)
    assert demo.process.returncode == 0, out
    for word in ("product ", "biomass ", "optimiser ", "scans "):
        assert re.search(rf"(?m)^{word}", out), out
    (folder,) = (demo.folder / "data").iterdir()
    result = json.loads((folder / "demo.json").read_text())
    assert list(report.problems(result)) == []
    assert result["samples_lost"] == 0
    assert result["samples_stored"] > 0
    assert demo.left_behind() == []


@pytest.mark.usefixtures("taken")
def test_the_demo_shows_a_value_soon_and_ends_by_itself(near: Path) -> None:
    with Demo(near, "--speed", "60", "--hours", "0.1", "--headless") as demo:
        assert demo.first_value() < FIRST_VALUE_S
        check_end(demo)


@pytest.mark.usefixtures("taken")
def test_ctrl_c_in_a_terminal_ends_all_of_the_demo(near: Path) -> None:
    with Demo(near) as demo:
        demo.first_value()
        started = demo.left_behind()
        words = ("fermloop simulate", "controller ", "dashboards.console", ".planning.worker")
        assert all(any(word in line for line in started) for word in words), started
        os.killpg(demo.process.pid, signal.SIGINT)  # the terminal sends it to all of its job
        check_end(demo)
