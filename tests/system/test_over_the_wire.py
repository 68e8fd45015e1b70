"""The same batch over real sockets and on virtual time: the wires add nothing and lose nothing.

In lock-step, so no clock on the wall is asked.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fermloop.commands import report

ROOT = Path(__file__).parents[2]
PLANT, RECIPE = ROOT / "sim/plants/ecoli_5l.toml", ROOT / "sim/recipes/ecoli.toml"


def fermloop(folder: Path, *arguments: object) -> str:
    """Run the command line in ``folder`` and return what it printed; it must succeed."""
    done = subprocess.run(
        [sys.executable, "-m", "fermloop", *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def both(folder: Path, hours: float) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Return the reports of seed 1 with the optimiser, over the wire and on virtual time.

    And what the demo printed.

    In lock-step some scans are done while the demo sees that its time is over; the batch on
    virtual time does as many.
    """
    same = ("--seed", 1, "--optimiser", "on", "--report")
    speed = ("--speed", "max", "--headless", "--hours", hours)
    said = fermloop(folder, "demo", *speed, *same, "wire.json")
    wire = json.loads((folder / "wire.json").read_text())
    done = ("--hours", (wire["scans"] - 1) / 3600.0)
    fermloop(folder, "batch", PLANT, "--recipe", RECIPE, *done, *same, "virtual.json")
    return wire, json.loads((folder / "virtual.json").read_text()), said


def test_a_quarter_of_an_hour_over_the_wire_is_that_on_virtual_time(near: Path) -> None:
    wire, virtual, said = both(near, 0.25)
    for key in ("biomass_g_per_l", "volume_l", "energy_kwh"):
        assert wire[key] == pytest.approx(virtual[key], rel=0.02), key
    assert wire["optimiser_plans"] == virtual["optimiser_plans"] == 0  # nothing is fed yet
    assert wire["scans"] >= 900
    assert wire["scans"] == pytest.approx(virtual["scans"], abs=2)
    assert wire["scans_missed"] == wire["samples_lost"] == 0
    assert wire["samples_stored"] == pytest.approx(virtual["samples_stored"], rel=0.01)
    assert list(report.problems(wire)) == []
    assert 0.25 <= wire["hours"] < 0.5
    assert (wire["seed"], wire["optimiser"]) == (1, "on")
    assert re.search(r"R1 +\d\.\d\d h \| batch \| pH [67]\.\d\d \| DO \d", said)
    assert "product " in said
    (data,) = (near / "data").glob("demo-*")
    assert not (data / "control.sock").exists()


@pytest.mark.long
def test_a_day_over_the_wire_makes_the_same_product(near: Path) -> None:
    wire, virtual, _ = both(near, 24.0)
    print(
        f"\nproduct over the wire {wire['product_g']:.3f} g, virtual {virtual['product_g']:.3f} g"
    )
    assert wire["product_g"] == pytest.approx(virtual["product_g"], rel=0.02)
    assert wire["optimiser_plans"] == pytest.approx(virtual["optimiser_plans"], abs=3)
    assert wire["optimiser_plans"] >= 100
    assert wire["samples_lost"] == 0
