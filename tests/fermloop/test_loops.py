"""``fermloop loops``: health from a store, of loops that are good and of loops that are not."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from controller.loops.health import Trace
from controller.plant import load_plant
from controller.recipes.recipe import load_recipe
from drivers.point import Quality, Sample, Tag
from fermloop.cli import app
from fermloop.commands.closed_loop import EPOCH, run_batch
from fermloop.failure import FailureError
from historian.sqlite import SqliteStore
from tests.controller.test_health import ULTIMATE, record

ROOT = Path(__file__).parents[2]
PLANT = (ROOT / "sim/plants/ecoli_5l.toml").read_text(encoding="utf-8")


def plant_file(folder: Path, changes: dict[str, str] | None = None) -> Path:
    """Return the demo's plant file with its data beside it."""
    text = PLANT.replace('data_dir = "data"', f"data_dir = {json.dumps(str(folder / 'data'))}")
    for old, new in (changes or {}).items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    path = folder / "plant.toml"
    path.write_text(text, encoding="utf-8")
    return path


def stored(folder: Path, loops: dict[str, Trace]) -> Path:
    """Return a store of loops whose measurements have the loops' names."""
    (folder / "data").mkdir()
    path = folder / "data/store.sqlite"
    with SqliteStore(path, wait_when_full=True) as store:
        length = min(len(t.times) for t in loops.values())
        for k in range(length):
            row: list[Sample] = []
            for name, t in loops.items():
                time, value = EPOCH + k, float(t.measured[k])
                good = Quality.BAD if math.isnan(value) else Quality.GOOD
                tags = (
                    (Tag(name, "Cel", 0, 150), value, good),
                    (Tag(f"{name}.sp", "Cel", 20, 42), float(t.setpoint[k]), Quality.GOOD),
                    (Tag(f"{name}.op", "%", 0, 100), float(t.output[k]), Quality.GOOD),
                    (Tag(f"{name}.mode", "1", 0, 4), float(t.mode[k]), Quality.GOOD),
                )
                row += [Sample(tag, time, v, quality) for tag, v, quality in tags]
            store.append(row)
        store.flush()
    return path


def said(*words: str | Path) -> str:
    done = CliRunner().invoke(app, ["loops", *map(str, words)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


def test_figures_of_a_store_are_those_of_its_loops(tmp_path: Path) -> None:
    gain, period_s = ULTIMATE
    good, tight = record(1.0), record(1.0, kp=0.9 * gain, ti_s=3 * period_s)
    good.measured[100:200] = np.nan
    store = stored(tmp_path, {"R1.temperature": good, "R1.other": tight})
    out = said(store)
    assert "R1.temperature: good" in out
    assert "R1.other: oscillates by ± " in out
    assert "in band –" in out  # a store alone does not know the band
    found: dict[str, Any] = json.loads(said(plant_file(tmp_path), "--json"))
    assert list(found) == ["R1.temperature"]  # the plant file has no such other loop
    figures = found["R1.temperature"]
    assert figures["unit"] == "Cel"
    assert figures["good"] is False
    assert figures["verdict"].startswith("in band only ")
    assert figures["bad_share"] == pytest.approx(100 / 3600)
    assert figures["band"] == 0.2
    assert 0.5 < figures["in_band_share"] <= 1.0
    assert figures["mode_share"] == {"AUTO": 1.0}
    last = json.loads(said(store, "--hours", "0.5", "--loop", "R1.other", "--json"))
    assert last["R1.other"]["hours"] == pytest.approx(0.5, abs=0.01)
    with pytest.raises(FailureError, match=r"R1\.x: no such loop; R1\.temperature, R1\.other"):
        said(store, "--loop", "R1.x")


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FailureError, match="no such file; a plant file or a store"):
        said(tmp_path / "nothing")
    with pytest.raises(FailureError, match="no store"):
        said(plant_file(tmp_path))


@pytest.mark.long
@pytest.mark.parametrize(
    ("changes", "faults", "verdict"),
    [
        ({}, "", "good"),
        ({"kp = 30.0 ": "kp = 400.0 "}, "", "smoothly: too tight"),
        ({}, "heater cooling", "as a sticking valve makes it"),
    ],
)
def test_a_simulated_batch_shows_a_good_a_tight_and_a_sticking_loop(
    tmp_path: Path, changes: dict[str, str], faults: str, verdict: str
) -> None:
    """8 h in 5 L through the real drivers; the jacket's valves stick by 8 % of their range."""
    lines = [
        f'[[fault]]\nat_h = 0.5\nfault = "{valve}.stiction"\nsize = 8\n' for valve in faults.split()
    ]
    (tmp_path / "faults.toml").write_text("".join(lines))
    path = plant_file(tmp_path, changes)
    if faults:
        text = path.read_text()
        assert "[simulation.R1]\n" in text
        path.write_text(
            text.replace("[simulation.R1]\n", '[simulation.R1]\nfaults = "faults.toml"\n')
        )
    plant, recipe = load_plant(path), ROOT / "sim/recipes/ecoli.toml"
    (tmp_path / "data").mkdir()
    with SqliteStore(plant.store, wait_when_full=True) as store:
        run_batch(plant, load_recipe(recipe), recipe, hours=8.0, seed=1, store=store)
        store.flush()
    found = json.loads(said(path, "--json"))
    assert verdict in found["R1.temperature"]["verdict"]
    assert found["R1.ph"]["verdict"] == "good"
    assert "output at its lower limit" in found["R1.do"]["verdict"]  # before there are cells
