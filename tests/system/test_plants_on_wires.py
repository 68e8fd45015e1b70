"""A vessel of 300 L on its own wires: a PLC, and a gateway with two devices on one serial line."""

import json
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from drivers.clock import monotonic
from fermloop.commands.demo import derived

pytestmark = pytest.mark.real_time

SIM = Path(__file__).parents[2] / "sim"
PATIENCE_S = 120.0


@contextmanager
def running(folder: Path, *words: str | Path) -> Generator[subprocess.Popen[str]]:
    """Run the command line until the end of the block."""
    with (folder / f"{words[0]}.txt").open("w") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "fermloop", *map(str, words)],
            cwd=folder,
            stdout=said,
            stderr=said,
            text=True,
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30.0)


def status(folder: Path, plant: Path) -> dict[str, Any] | None:
    """Return what the controller says of itself; ``None``: it does not answer yet."""
    command = [sys.executable, "-m", "fermloop", "status", "--plant", str(plant), "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else None


@pytest.mark.long
def test_yeast_in_300_l_is_controlled_over_its_own_wires(tmp_path: Path) -> None:
    """An hour and a half of plant time, 60 times as fast."""
    with ExitStack() as stack:
        folder = tmp_path / "data"
        folder.mkdir()
        plant = derived(SIM / "plants/yeast_300l.toml", folder, stack)
        stack.enter_context(running(tmp_path, "simulate", plant.path, "--speed", "60"))
        recipe = SIM / "recipes/yeast.toml"
        stack.enter_context(running(tmp_path, "run", plant.path, "--recipe", recipe))
        seen: dict[str, Any] | None = None
        end = monotonic() + PATIENCE_S
        while monotonic() < end:
            seen = status(tmp_path, plant.path)
            if seen is not None and (seen["reactors"]["R1"]["batch"]["age_h"] or 0.0) > 0.75:
                break
            time.sleep(1.0)  # noqa: TID251 (other processes work meanwhile)
    assert seen is not None, (tmp_path / "run.txt").read_text()
    reactor = seen["reactors"]["R1"]
    assert all(device["answering"] for device in seen["devices"].values())
    assert set(seen["devices"]) == {"R1-plc", "R1-gas", "R1-scales"}
    assert reactor["batch"]["state"] == "RUNNING"
    assert reactor["loops"]["feed"]["pv_unit"] == "L/h"
    assert reactor["loops"]["temperature"]["pv"] == pytest.approx(30.0, abs=0.5)
    assert reactor["tags"]["R1.weight"]["value"] == pytest.approx(121.0, abs=3.0)
    assert not any(lock["tripped"] for lock in reactor["interlocks"].values())
