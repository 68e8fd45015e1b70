"""Somebody else's package with a driver in it, installed, and what the commands make of it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import fermloop as fermloop_package
from controller.plant import load_plant
from controller.plant_file.config import ConfigError
from controller.recipes.file import load_recipe
from drivers.driver import DeviceError
from drivers.point import Tag
from fermloop.commands import check, report, simulate
from fermloop.commands.closed_loop import EPOCH, Outcome, run_batch
from fermloop.commands.run import checked
from fermloop.commands.simulated import require_served
from fermloop.failure import FailureError
from historian.sqlite import SqliteReader, SqliteStore, StoreError
from tests.drivers.examples import LEVEL_RECIPE, TANK_PLANT, source

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "sim/plants/ecoli_5l.toml"
OTHERS = """
class Walled(Tank):
    virtual_time = False

class Socketed(Tank):
    async def read(self):
        import asyncio
        await asyncio.open_connection("127.0.0.1", 9)

class Slow(Tank):
    async def read(self):
        import asyncio
        await asyncio.sleep(0.2)
        return await Tank.read(self)

class Late(Tank):
    async def read(self):
        import asyncio
        await asyncio.sleep(3600)

class Seeded(Tank):
    def __init__(self, setup):
        Tank.__init__(self, setup)
        self._values["R1.weight"] = float(setup.seed)
"""
Run = Callable[..., subprocess.CompletedProcess[str]]
WEIGHT = Tag("R1.weight", "kg", 0, 10)


@pytest.fixture(name="site")
def _site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the folder where the distribution ``acme-fermloop`` is installed, as pip leaves it."""
    site = tmp_path / "site"
    info = site / "acme_fermloop-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-fermloop\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(
        "[fermloop.drivers]\nacme-tank = acme.tank:Tank\nacme-walled = acme.tank:Walled\n"
    )
    (site / "acme").mkdir()
    (site / "acme/__init__.py").write_text("")
    (site / "acme/tank.py").write_text(source("Tank") + OTHERS)
    (tmp_path / "recipe.toml").write_text(LEVEL_RECIPE)
    monkeypatch.syspath_prepend(str(site))  # pyright: ignore[reportUnknownMemberType]
    monkeypatch.chdir(tmp_path)
    yield site
    for name in [n for n in sys.modules if n.partition(".")[0] == "acme"]:
        del sys.modules[name]


def fermloop(site: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "fermloop", *words],
        cwd=site.parent,
        env={**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )


def plant(site: Path, driver: str = "acme-tank", text: str = TANK_PLANT) -> Path:
    """Write the plant file, with another driver, and return where it is."""
    file = site.parent / "plant.toml"
    file.write_text(text.replace('"acme-tank"', f'"{driver}"'))
    return file


def virtual(
    file: Path, hours: float, seed: int = 1, recipe: Path | None = None
) -> tuple[Outcome, list[float]]:
    """Run a batch in this process and return what came of it and the weights."""
    path = recipe or file.parent / "recipe.toml"
    kept = file.parent / f"store-{seed}.sqlite"
    with SqliteStore(kept, wait_when_full=True) as store:
        outcome = run_batch(
            load_plant(file), load_recipe(path), path, hours=hours, seed=seed, store=store
        )
    with SqliteReader(kept) as reader:
        return outcome, [s.value for s in reader.read(WEIGHT, 0.0, 2 * EPOCH)]


# -- in processes of their own -------------------------------------------------------------------


def test_check_loads_an_installed_driver(site: Path) -> None:
    plant(site)
    done = fermloop(site, "check", "plant.toml", "recipe.toml")
    assert done.returncode == 0, done.stderr
    assert "R1-tank (acme-tank at no wire)" in done.stdout


def test_somebodys_simulation_is_controlled_for_a_batch(site: Path) -> None:
    file = plant(site)
    words = ("--recipe", "recipe.toml", "--hours", "1.5", "--json")
    done = fermloop(site, "batch", "plant.toml", *words)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert list(report.problems(found)) == []
    assert (found["reactor"], found["recipe"], found["scans"]) == ("R1", "level", 5401)
    assert (found["scans_missed"], found["product_g"]) == (0, None)  # the truth is in the driver
    assert found["loops"]["weight"]["in_band"] > 0.95

    again, weights = virtual(file, 1.5)
    assert again.control["reactors"]["R1"]["loops"] == found["loops"]
    assert len(weights) == found["scans"]
    assert weights[0] == pytest.approx(2.0)
    assert weights[-1] == pytest.approx(5.0, abs=0.1)


def test_a_controller_runs_it_in_real_time_too(site: Path) -> None:
    plant(site)
    process = subprocess.Popen(
        [sys.executable, "-m", "controller", "plant.toml", "--recipe", "recipe.toml"],
        cwd=site.parent,
        env={**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{ROOT}"},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        store = site.parent / "data/store.sqlite"
        weights: list[Any] = []
        for _ in range(1500):  # 30 s
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.02)
                break
            with contextlib.suppress(StoreError), SqliteReader(store) as reader:  # not there yet
                weights = reader.read(WEIGHT, 0.0, 2 * EPOCH)
            if weights:
                break
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, said
    assert weights[0].value == pytest.approx(2.0, abs=0.01)


def test_a_controller_does_not_start_without_it(site: Path) -> None:
    plant(site, "acme.tank:Tnak")
    done = subprocess.run(
        [sys.executable, "-m", "controller", "plant.toml"],
        cwd=site.parent,
        env={**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("plant.toml: device.R1-tank.driver: acme.tank:Tnak is not")
    assert not (site.parent / "data").exists()


# -- in this process -----------------------------------------------------------------------------


def test_an_unknown_name_is_told_with_what_is_installed(site: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        check.run(plant(site, "acme-tnak"), None, False)
    (line,) = caught.value.lines
    assert "an entry point of fermloop.drivers (acme-tank, acme-walled)" in line
    assert line.endswith("did you mean acme-tank?")


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_driver_that_cannot_be_used_is_named_before_anything_starts(
    site: Path, command: str
) -> None:
    file = plant(site, "acme.tank:Tnak")
    asked: Callable[[], object] = partial(checked, file, None)
    if command == "check":
        asked = partial(check.run, file, None, False)
    with pytest.raises(ConfigError) as caught:
        asked()
    assert caught.value.lines == [
        "plant.toml: device.R1-tank.driver: acme.tank:Tnak is not allowed; acme.tank has no Tnak: "
        "it has Tank, Walled, Socketed, Slow, Late, Seeded; did you mean Tank?"
    ]


def test_what_it_sleeps_is_virtual(site: Path) -> None:
    outcome, weights = virtual(plant(site, "acme.tank:Slow"), 1.2)  # 0.2 s of every second
    assert (outcome.control["scans"], outcome.control["scans_missed"]) == (4321, 0)
    assert weights[-1] == pytest.approx(5.0, abs=0.2)


def test_it_is_told_the_seed(site: Path) -> None:
    file = plant(site, "acme.tank:Seeded")
    assert virtual(file, 0.01, seed=7)[1][0] == pytest.approx(7.0)
    assert virtual(file, 0.01, seed=8)[1][0] == pytest.approx(8.0)


def test_beside_a_simulated_vessel(site: Path) -> None:
    """The demo's vessel, and one device of it that nobody but its driver knows."""
    scale = (
        '[device.R1-scale]\ndriver = "acme-tank"\naddress = "-"\noptions = { start_kg = 3.0 }\n'
        'tags = [{ name = "R1.weight", unit = "kg", low = -0.5, high = 10 },\n'
        '  { name = "R1.pump", unit = "%", low = 0, high = 100, safe = 0 }]\n\n'
        '[reactor.R1.loop.scale]\noutputs = [{ actuator = "R1.pump" }]\nsetpoint = 10.0\n'
        "setpoint_low = 0.0\nsetpoint_high = 100.0\n\n[reactor.R1]\n"
    )
    lines = DEMO.read_text().splitlines(keepends=True)
    text = "".join(line for line in lines if '{ name = "R1.weight",' not in line)
    file = plant(site, text=text.replace("[reactor.R1]\n", scale))
    outcome, weights = virtual(file, 0.1, recipe=ROOT / "sim/recipes/ecoli.toml")
    assert (outcome.control["scans"], outcome.control["scans_missed"]) == (361, 0)
    assert outcome.truth["R1"]["biomass_g_per_l"] > 0  # the vessel's own
    assert weights[0] == pytest.approx(3.0, abs=0.01)


@pytest.mark.parametrize(
    ("driver", "error", "says"),
    [
        (
            "acme-walled",
            ConfigError,
            "plant.toml: device.R1-tank.driver: acme-walled is not allowed in virtual time; its "
            "class does not say virtual_time = True",
        ),
        (
            "acme.tank:Socketed",
            DeviceError,
            "R1-tank at no wire: read raised VirtualTimeError: virtual time has no sockets",
        ),
        ("acme.tank:Late", DeviceError, "R1-tank at no wire: read did not end within 0.5 s"),
    ],
)
def test_what_cannot_be_used_in_virtual_time_is_refused_by_name(
    site: Path, driver: str, error: type[Exception], says: str
) -> None:
    with pytest.raises(error) as caught:
        virtual(plant(site, driver), 0.1)
    assert str(caught.value).startswith(says)


def test_a_simulation_that_nothing_would_show_is_refused(site: Path) -> None:
    text = f'{TANK_PLANT}\n[simulation.R1]\norganism = "ecoli"\nvessel = "5l"\n'
    with pytest.raises(ConfigError, match=r"simulation\.R1: is not allowed; no device of R1 would"):
        virtual(plant(site, text=text), 0.1)


def test_simulate_and_demo_say_that_they_do_not_serve_it(site: Path) -> None:
    says = "plant.toml: device.R1-tank.driver: acme-tank is not allowed with fermloop"
    with pytest.raises(FailureError, match=f"^{says} simulate; it serves the wires of"):
        simulate.run(plant(site), 1.0, 1, None, None, 1.0)
    with pytest.raises(FailureError, match=f"^{says} demo; "):
        require_served(load_plant(plant(site)), "fermloop demo")


def test_whoever_writes_a_driver_imports_it_all_from_fermloop() -> None:
    names = "Clock DeviceError Driver Identity Quality RangeError Sample Setup Tag sample"
    assert set(names.split()) <= set(fermloop_package.__all__)
    assert all(callable(getattr(fermloop_package, name)) for name in names.split())
