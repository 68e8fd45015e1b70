"""The demo: its plant file with free ports, and the whole of it over real sockets."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import pytest

from fermloop.commands import report
from fermloop.commands.demo import derived
from fermloop.commands.run import busy

pytestmark = pytest.mark.real_time

ROOT = Path(__file__).parents[2]
PLANT = ROOT / "sim/plants/ecoli_5l.toml"


@pytest.fixture
def taken() -> Generator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


def test_busy_ports_are_replaced_and_the_data_are_the_demos_own(tmp_path: Path, taken: str) -> None:
    source = tmp_path / "source.toml"
    text = PLANT.read_text()
    for address in ("127.0.0.1:5020", "127.0.0.1:4840"):
        text = text.replace(address, taken)
    source.write_text(text)
    with ExitStack() as claims:
        plant = derived(source, tmp_path, claims)
    devices = plant.settings.device
    modbus, opcua = devices["R1-io"].address, devices["R1-gas"].address
    assert taken not in (modbus, opcua)
    assert not busy(modbus)
    found = re.fullmatch(r"opc\.tcp://(127\.0\.0\.1:\d+)/fermloop", opcua)
    assert found
    assert not busy(found[1])
    assert found[1] != modbus
    assert plant.data_dir == tmp_path
    assert plant.path == tmp_path / "plant.toml"


def test_two_demos_that_start_at_once_take_different_ports(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "ab"]
    with ExitStack() as claims:
        addresses: list[str] = []
        for folder in folders:
            folder.mkdir()
            settings = derived(PLANT, folder, claims).settings
            addresses += [d.address for d in settings.device.values()]
            addresses.append(settings.console.address)
    assert len(set(addresses)) == 6


def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "COLUMNS": "200"}


def test_the_demo_runs_from_one_command_to_its_report(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    command = [sys.executable, "-m", "fermloop", "demo", "--hours", "0.05", "--headless"]
    command += ["--speed", "max", "--optimiser", "off", "--seed", "2", "--report", str(file)]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True,
        timeout=90, check=False,
    )  # fmt: skip
    (folder,) = (tmp_path / "data").iterdir()
    assert done.returncode == 0, done.stderr + (folder / "log.txt").read_text()
    result = json.loads(file.read_text())
    assert list(report.problems(result)) == []
    assert 0.05 <= result["hours"] < 0.5
    assert result["seed"] == 2
    assert result["optimiser"] == "off"
    assert result["scans"] >= 180
    assert result["scans_missed"] == 0  # in lock-step the plant waits
    assert result["samples_stored"] > 180 * 21
    assert result["samples_lost"] == 0
    assert 2.5 < result["volume_l"] < 3.5
    assert re.search(r"R1 +\d\.\d\d h \| batch \| pH [67]\.\d\d \| DO \d", done.stdout)
    assert "product " in done.stdout
    assert not (folder / "control.sock").exists()


def test_ctrl_c_ends_the_demo_cleanly_with_a_summary(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fermloop", "demo", "--headless", "--optimiser", "off"]
    running = subprocess.Popen(
        command, cwd=tmp_path, env=environment(tmp_path), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert running.stdout is not None
    try:
        for line in running.stdout:
            if " | batch | " in line:
                break
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    finally:
        running.kill()
    assert running.returncode == 0, err
    assert "product " in out
    (folder,) = (tmp_path / "data").iterdir()
    assert list(report.problems(json.loads((folder / "demo.json").read_text()))) == []
