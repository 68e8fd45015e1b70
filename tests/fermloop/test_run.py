"""``run`` against the simulated plant, and what people then ask of it: all real processes."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from drivers.clock import monotonic
from fermloop.commands import remote
from fermloop.commands.demo import derived
from fermloop.commands.run import free_address
from fermloop.failure import FailureError

pytestmark = [
    pytest.mark.real_time,
    # httpcore leaves a socket to the collector when the controller is not there yet
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]

ROOT = Path(__file__).parents[2]
PLANT = ROOT / "sim/plants/ecoli_5l.toml"
RECIPE = ROOT / "sim/recipes/ecoli.toml"


class Desk:
    """A folder with a plant file on free ports, and a person at the keyboard."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.data.mkdir(mode=0o700)
        with ExitStack() as claims:
            plant = derived(PLANT, self.data, claims)
        self.plant, console = plant.path, plant.settings.console.address
        self.console = free_address(console)
        self.plant.write_text(self.plant.read_text().replace(console, self.console))
        self._env = {**os.environ, "XDG_RUNTIME_DIR": str(folder)}

    def type(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._command(words), cwd=self.folder, env=self._env, capture_output=True, text=True,
            check=False, timeout=60,
        )  # fmt: skip

    @contextlib.contextmanager
    def started(self, *words: str | Path) -> Generator[subprocess.Popen[str]]:
        log = (self.folder / f"{words[0]}.txt").open("w+")
        with log, subprocess.Popen(
            self._command(words), cwd=self.folder, env=self._env, stdout=log, stderr=log, text=True
        ) as process:  # fmt: skip
            try:
                yield process
            finally:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(30)
                finally:
                    process.kill()

    def state(self) -> dict[str, Any]:
        """Return the controller's state; nothing while there is none."""
        try:
            return remote.ask(self.data / "control.sock", "/state")
        except FailureError:
            return {}

    def silent(self) -> list[str]:
        devices = self.state().get("devices", {})
        return [name for name, device in devices.items() if device["error"]]

    def said(self, word: str) -> str:
        return (self.folder / f"{word}.txt").read_text()

    def _command(self, words: tuple[str | Path, ...]) -> list[str]:
        return [sys.executable, "-m", "fermloop", *map(str, words)]


def until(true: Callable[[], bool], what: str) -> None:
    """Return when ``true()``: other processes can wake nothing here."""
    end = monotonic() + 40.0
    while not true():
        assert monotonic() < end, what
        Event().wait(0.1)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_plant_is_run_asked_moved_and_stopped(desk: Desk) -> None:
    with (
        desk.started("simulate", desk.plant, "--speed", "10"),
        desk.started("run", desk.plant, "--recipe", RECIPE) as running,
    ):
        until(lambda: desk.state().get("scans", 0) != 0, "scanning")
        shown = desk.type("status", "--plant", desk.plant, "--json")
        assert json.loads(shown.stdout)["simulated"] is True
        assert desk.data.joinpath("control.sock").is_socket()

        moved = desk.type("set", "R1.temperature", "36.5", "--reason", "trial")
        assert moved.returncode == 0, moved.stderr
        assert "37" in moved.stdout
        assert "36.5" in moved.stdout
        refused = desk.type("set", "R1.temperature", "95", "--reason", "trial")
        assert refused.returncode == 1
        assert "is outside 20 to 42" in refused.stderr
        note, *error = refused.stderr.splitlines()
        assert "no users yet; acting as" in note
        assert len(error) == 1
        unknown = desk.type("mode", "R1.dox", "AUTO")
        assert unknown.returncode == 1
        assert "R1.dox: no such loop" in unknown.stderr
        held = desk.type("recipe", "hold", "R1", "--reason", "sampling")
        assert held.returncode == 0, held.stderr

        again = desk.type("run", desk.plant)
        assert again.returncode == 2
        assert "a controller already runs here (pid " in again.stderr

        assert desk.type("stop").returncode == 0
        assert running.wait(30) == 0
    assert not desk.data.joinpath("control.sock").exists()
    assert desk.type("status", "--plant", desk.plant).returncode == 1


def test_a_silent_device_is_named_and_waited_for_and_ctrl_c_ends_it(desk: Desk) -> None:
    with desk.started("run", desk.plant) as running:
        until(
            lambda: "SILENT" in desk.type("status", "--plant", desk.plant).stdout,
            "named the device",
        )
        shown = desk.type("status", "--plant", desk.plant).stdout
        assert "device R1-io: SILENT R1-io at 127.0.0.1:" in shown
        until(lambda: "ALARM R1-io" in desk.said("run"), "telling the terminal")
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == 0, desk.said("run")


def test_busy_ports_are_refused_before_anything_starts(desk: Desk) -> None:
    with desk.started("simulate", desk.plant):
        until(lambda: "Ctrl-C ends it" in desk.said("simulate"), "serving")
        second = desk.type("simulate", desk.plant)
    assert second.returncode == 2
    names = [line.split(" ")[1] for line in second.stderr.splitlines()]
    assert names == ["device.R1-io.address:", "device.R1-gas.address:"]
    assert all("in use" in line for line in second.stderr.splitlines())

    text = desk.plant.read_text().replace(desk.console, "10.255.255.1:8080")
    desk.plant.write_text(text)
    done = desk.type("run", desk.plant)
    assert done.returncode == 2
    assert "console.address: 10.255.255.1:8080 is not allowed" in done.stderr
