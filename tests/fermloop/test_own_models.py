"""A plant that is a plain model of somebody's own, in campaigns and at the command line."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fermloop.campaign import accept, page
from fermloop.campaign.batch import run
from fermloop.campaign.finished import Finished
from fermloop.campaign.plan import checked, enter
from fermloop.campaign.statistics import by_recipe
from fermloop.failure import FailureError
from tests.sim.own_tanks import PLANT, RECIPE, on_path, write

ROOT = Path(__file__).parents[2]
LIMITS = """
[accept]
product_p5_min_g = 0.01
energy_p95_max_kwh_per_kg = 3.0
by_product_minutes_max = 0
volume_minutes_max = 0
"""
CULTURE = """
site = "cultures"
scan_s = 10.0

[device.R1-io]
driver = "modbus_tcp"
address = "127.0.0.1:5091"
tags = [
  {{ name = "R1.{state}", unit = "g/L", low = 0, high = 100, input = 0, type = "float32" }},
  {{ name = "R1.{input}", unit = "{unit}", low = 0, high = 1,\
    holding = 0, type = "float32", safe = 0 }},
]

[reactor.R1]
volume_max_l = 2.005

[reactor.R1.loop.feed]
outputs = [{{ actuator = "R1.{input}" }}]
setpoint = 0.05
setpoint_low = 0.0
setpoint_high = 1.0

[simulation.R1]
model = "acme.others:{cls}"
parameters = {{ k = {{ value = 1.0, spread = 0.3 }} }}
{more}
"""
FEED = """
name = "feed"
start.loops = { feed = "AUTO" }
phase = [{ name = "feed", setpoints = { feed = 0.05 } }]
"""


@pytest.fixture(name="plant")
def _plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    yield from on_path(tmp_path, monkeypatch)


def campaign(plant: Path, text: str, recipe_text: str, seeds: tuple[int, ...]) -> Finished:
    """Run a campaign as its workers do, and return what came of it."""
    plant.write_text(text)
    recipe = plant.with_name("recipe.toml")
    recipe.write_text(recipe_text + LIMITS)
    plan = checked(plant, [recipe], seeds, 0.3, "off")
    folder = plant.parent / "out"
    folder.mkdir()
    rows = [run(job) for job in plan.jobs()]
    for row in rows:
        row.pop("trajectory", None)
    return Finished(folder, enter(folder, plan, used=False), by_recipe(rows))


def test_a_campaign_without_product_has_a_page_and_says_what_it_cannot_judge(plant: Path) -> None:
    found = campaign(plant, f"scan_s = 10.0\n{PLANT}", RECIPE, (0, 1))
    assert [row["state"] for row in found.rows] == ["done", "done"]
    assert "<html" in page.page(found)
    verdicts = {v.limit: v for v in accept.judge(found, [plant.with_name("recipe.toml")])}
    assert {n: v.state for n, v in verdicts.items()} == {
        "batches": "met",
        "product_p5_min_g": "not judged",
        "by_product_minutes_max": "not judged",
        "volume_minutes_max": "met",
        "interlock_trips_max": "met",
        "energy_p95_max_kwh_per_kg": "not judged",
    }
    says = "no batch has product_g; nobody knows it of this plant"
    assert verdicts["product_p5_min_g"].why == says
    assert accept.exit_code(list(verdicts.values())) == accept.COULD_NOT_RUN


def test_what_the_plant_file_names_is_known(plant: Path) -> None:
    more = 'report = { titre_g_per_l = "P", biomass_g_per_l = "X", volume_l = "V" }'
    text = CULTURE.format(cls="Culture", state="X", input="F", unit="L/h", more=more)
    found = campaign(plant, text, FEED, (0, 1, 2))
    made = [row["product_g"] for row in found.rows]
    assert made[0] == pytest.approx(0.05 * 0.3 * 2.0, rel=0.05)
    assert len(set(made)) == 3  # by the spread
    assert found.rows[0]["volume_l"] == pytest.approx(2.015, abs=1e-4)
    assert found.rows[0]["volume_above_limit_min"] == pytest.approx(12.0, abs=0.2)
    assert found.rows[0]["energy_kwh"] is None
    assert "Distribution of product" in page.page(found)
    verdicts = {v.limit: v.state for v in accept.judge(found, [plant.with_name("recipe.toml")])}
    assert verdicts["product_p5_min_g"] == "met"
    assert verdicts["volume_minutes_max"] == "not met"


def test_a_batch_whose_numbers_end_says_where_and_the_others_go_on(plant: Path) -> None:
    text = CULTURE.format(cls="Spent", state="S", input="feed", unit="%", more="")
    found = campaign(plant, text, FEED, (4, 0, 2))
    states = {row["seed"]: row["state"] for row in found.rows}
    assert states == {4: "failed", 0: "done", 2: "done"}
    (error,) = [row["error"] for row in found.rows if row["error"]]
    assert re.match(
        r"R1 \(acme\.others:Spent, seed 4\) at 0\.2\d+ h: the integration fails: S no", error
    )


def test_results_of_another_version_of_the_model_are_not_mixed_in(plant: Path) -> None:
    recipe = plant.with_name("recipe.toml")
    plan = checked(plant, [recipe], (1,), 0.1, "off")
    (plant.parent / "out").mkdir()
    enter(plant.parent / "out", plan, used=False)
    (job,) = plan.jobs()
    assert run(replace(job, hours=0.01))["state"] == "done"
    with (plant.parent / "acme/tank.py").open("a") as file:
        file.write("# a word more\n")
    told = "another version of the model that .*plant.toml names"
    with pytest.raises(FailureError, match=told):
        enter(plant.parent / "out", plan, used=True)
    assert "is another one here" in run(job)["error"]


@pytest.mark.long
def test_every_command_works_with_it(tmp_path: Path) -> None:
    """The commands of the README, in processes of their own."""
    write(tmp_path)

    def fermloop(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "fermloop", *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": f".{os.pathsep}{ROOT}"},
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )

    done = fermloop("check", "plant.toml", "recipe.toml")
    assert done.returncode == 0, done.stderr
    done = fermloop("batch", "plant.toml", "--recipe", "recipe.toml", "--hours", "4")
    assert done.returncode == 0, done.stderr
    assert "volume 100." in done.stdout or "volume 99.9" in done.stdout
    words = ("--seeds", "0:3", "--hours", "1", "--workers", "2", "--report", "tanks")
    done = fermloop("campaign", "plant.toml", "--recipe", "recipe.toml", *words)
    assert done.returncode == 0, done.stderr
    assert "3 of 3 batches done" in done.stdout
    assert (tmp_path / "tanks/report.html").exists()

    plant = tmp_path / "plant.toml"
    plant.write_text(plant.read_text().replace("HeatedTank", "HeatedBath"))
    done = fermloop("simulate", "plant.toml")
    assert (done.returncode, done.stdout) == (2, "")
    assert "plant.toml: simulation.R1.model: acme.tank:HeatedBath is not allowed" in done.stderr
