"""``[accept]`` judges a campaign: what is met, what is not, and what could not be judged."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from controller.plant_file.config import ConfigError
from controller.recipes.file import load_recipe
from fermloop.campaign.accept import (
    Accept,
    Verdict,
    exit_code,
    judge,
    keep,
    limits,
    tell,
    with_baselines,
)
from fermloop.campaign.results import Row
from fermloop.cli import app
from fermloop.failure import FailureError
from tests.fermloop.made_campaign import batch, finished, lost, plants

ROOT = Path(__file__).parents[2]
PLANT = ROOT / "sim/plants/ecoli_5l.toml"
RECIPE = ROOT / "sim/recipes/ecoli.toml"
WITHOUT = RECIPE.read_text().partition("\n[accept]")[0]
# the schema that CI servers check by (Jenkins' junit-10.xsd): attributes needed, allowed, children
SCHEMA: dict[str, tuple[set[str], set[str], set[str]]] = {
    "testsuites": (set(), {"name", "time", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors"},
        {"time", "skipped", "timestamp", "hostname", "id", "package", "file"},
        {"properties", "testcase"},
    ),
    "properties": (set(), set(), {"property"}),
    "property": ({"name", "value"}, set(), set()),
    "testcase": ({"name"}, {"time", "classname", "group"}, {"failure", "error", "skipped"}),
    "failure": (set(), {"type", "message"}, set()),
    "error": (set(), {"type", "message"}, set()),
}


def recipe(folder: Path, table: str, name: str = "good") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(f"{WITHOUT}\n[accept]\n{table}\n")
    return path


def judged(folder: Path, table: str, rows: list[Row], seeds: int = 10) -> dict[str, Verdict]:
    verdicts = judge(finished(folder / "out", rows, seeds), [recipe(folder, table)])
    return {v.limit: v for v in verdicts}


def good(**more: Any) -> list[Row]:
    return [batch("good", seed, p, **more) for seed, p in enumerate(plants(10))]


def test_a_recipe_that_keeps_every_limit_is_accepted(tmp_path: Path) -> None:
    table = """product_p5_min_g = 15
do_minutes_max = 0
by_product_minutes_max = 0
volume_minutes_max = 0
energy_p95_max_kwh_per_kg = 40"""
    verdicts = judged(tmp_path, table, good())
    assert {v.state for v in verdicts.values()} == {"met"}
    assert exit_code(list(verdicts.values())) == 0
    assert "interlock_trips_max" in verdicts  # 0 without being asked for
    assert load_recipe(tmp_path / "good.toml").name == "ecoli"  # the controller does not mind


@pytest.mark.parametrize(
    ("table", "key", "value", "limit"),
    [
        ("product_p5_min_g = 20", "product_g", 2.0, "product_p5_min_g"),
        ("do_minutes_max = 10", "do_below_limit_min", 11.0, "do_minutes_max"),
        ("by_product_minutes_max = 5", "by_product_above_limit_min", 6.0, "by_product_minutes_max"),
        ("volume_minutes_max = 0", "volume_above_limit_min", 0.5, "volume_minutes_max"),
        ("", "interlock_trips", 1, "interlock_trips_max"),
        (
            "energy_p95_max_kwh_per_kg = 40",
            "energy_per_product_kwh_per_kg",
            400.0,
            "energy_p95_max_kwh_per_kg",
        ),
    ],
)
def test_a_limit_that_is_not_met_names_the_worst_seed_and_how_to_repeat_it(
    tmp_path: Path, table: str, key: str, value: float, limit: str
) -> None:
    rows = good()
    rows[7][key] = value
    verdicts = judged(tmp_path, table, rows)
    assert [v.limit for v in verdicts.values() if v.state != "met"] == [limit]
    assert exit_code(list(verdicts.values())) == 1
    assert "seed 7" in verdicts[limit].why
    command = "fermloop batch plant.toml --recipe good.toml --seed 7 --hours 24"
    assert verdicts[limit].command == command


def test_without_every_batch_nothing_is_accepted(tmp_path: Path) -> None:
    rows = [*good()[:8], lost("good", 8)]  # and seed 9 did not run
    verdicts = judged(tmp_path, "do_minutes_max = 0", rows)
    assert verdicts["batches"].state == "not judged"
    assert verdicts["batches"].why == "1 failed (seed 8), 1 did not run (seed 9)"
    assert exit_code(list(verdicts.values())) == 2
    assert exit_code(list(judged(tmp_path, "", [lost("good", 0)], 1).values())) == 2


def test_a_limit_on_what_a_batch_does_not_have_is_not_judged(tmp_path: Path) -> None:
    verdicts = judged(tmp_path, "by_product_minutes_max = 0", good(by_product_above_limit_min=None))
    assert verdicts["by_product_minutes_max"].state == "not judged"
    rows = good()
    rows[3] = batch("good", 3, 0.0, energy_per_product_kwh_per_kg=None)
    verdicts = judged(tmp_path, "energy_p95_max_kwh_per_kg = 40", rows)
    assert "seed 3 has no energy_per_product" in verdicts["energy_p95_max_kwh_per_kg"].why


@pytest.mark.parametrize(
    ("factor", "tolerance", "state"), [(0.9, 0.0, "not met"), (0.9, 0.12, "met"), (1.1, 0.0, "met")]
)
def test_no_worse_than_a_baseline_on_the_same_plants(
    tmp_path: Path, factor: float, tolerance: float, state: str
) -> None:
    (tmp_path / "old.toml").write_text(WITHOUT)
    rows = [batch("good", seed, factor * p) for seed, p in enumerate(plants(10))]
    rows += [batch("old", seed, p) for seed, p in enumerate(plants(10))]
    table = f'baseline = "old.toml"\ntolerance = {tolerance}'
    verdicts = judged(tmp_path, table, rows)
    assert verdicts["baseline"].state == state
    few = judged(tmp_path, table, [r for r in rows if r["seed"] < 5], 5)
    assert few["baseline"].state == "not judged"
    assert "8 whole ones are needed" in few["baseline"].why


def test_a_baseline_runs_beside_what_is_judged(tmp_path: Path) -> None:
    old = tmp_path / "old.toml"
    old.write_text(WITHOUT)
    new = recipe(tmp_path, 'baseline = "old.toml"')
    assert with_baselines([new]) == [old, new]
    assert with_baselines([new, old]) == [old, new]


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("do_min = 3", "good.toml: accept.do_min: no such key"),
        ("do_minutes_max = -1", "good.toml: accept.do_minutes_max: -1 is not allowed"),
        ('baseline = "none.toml"', "good.toml: accept.baseline: none.toml: no such recipe file"),
    ],
)
def test_wrong_limits_are_named(tmp_path: Path, table: str, says: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(says)):
        with_baselines([recipe(tmp_path, table)])


def test_the_readme_shows_every_key(tmp_path: Path) -> None:
    readme = (ROOT / "fermloop/README.md").read_text(encoding="utf-8")
    block = re.search(r"```toml\n\[accept\]\n(.*?)```", readme, re.DOTALL)
    assert block is not None
    (tmp_path / "other_recipe.toml").write_text(WITHOUT)
    shown = limits(recipe(tmp_path, block[1]))
    assert shown is not None
    assert shown.model_fields_set == set(Accept.model_fields)


def test_a_recipe_without_limits_is_refused(tmp_path: Path) -> None:
    (tmp_path / "old.toml").write_text(WITHOUT)
    with pytest.raises(ConfigError, match=r"accept: missing; --accept needs a table"):
        with_baselines([tmp_path / "old.toml"])


def test_every_shipped_recipe_has_limits() -> None:
    shipped = sorted((ROOT / "sim/recipes").glob("*.toml"))
    assert len(shipped) >= 4
    assert with_baselines(shipped) == shipped


def test_the_junit_file_is_what_ci_servers_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = good()
    rows[7]["do_below_limit_min"] = 11.0
    rows[8] = lost("good", 8, "ValueError: \x1b[31mred\x1b[0m \ud800 < & >")
    campaign = finished(tmp_path / "out", rows, 10)
    verdicts = judge(campaign, [recipe(tmp_path, "do_minutes_max = 10")])
    keep(campaign, verdicts)
    tell(verdicts)
    shown = capsys.readouterr().out
    assert "good: do_minutes_max: 11.00 min, allowed ≤ 10.00 min: not met\n" in shown
    root = ElementTree.parse(campaign.folder / "junit.xml").getroot()
    check(root)
    (suite,) = root
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "1", "1")
    assert [case.get("name") for case in suite.iter("testcase")] == [v.limit for v in verdicts]
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert failure.text is not None
    assert failure.text.endswith("fermloop batch plant.toml --recipe good.toml --seed 7 --hours 24")


def check(element: ElementTree.Element) -> None:
    needed, allowed, children = SCHEMA[element.tag]
    assert needed <= set(element.keys()) <= needed | allowed, element.tag
    assert re.fullmatch(r"[0-9]+(\.[0-9]*)?", element.get("time", "0"))
    for child in element:
        assert child.tag in children
        check(child)


def test_our_own_ci_accepts_a_recipe_by_a_campaign_and_refuses_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start of our recipe on four plants: it holds DO, acetate, volume and interlocks."""
    start = "do_minutes_max = 0\nby_product_minutes_max = 0\nvolume_minutes_max = 0\n"
    words = ["campaign", str(PLANT), "--recipe", "good.toml", "--seeds", "101:105", "--hours"]
    words += ["0.1", "--report", "out", "--workers", "1", "--accept", "--json"]
    recipe(tmp_path, start)
    done = subprocess.run(
        [sys.executable, "-m", "fermloop", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert {v["state"] for v in json.loads(done.stdout)["accept"]} == {"met"}
    assert (tmp_path / "out/report.html").exists()

    monkeypatch.chdir(tmp_path)
    recipe(tmp_path, f"{start}product_p5_min_g = 10")  # none is made so early; nothing runs again
    refused = CliRunner().invoke(app, words)
    assert refused.exit_code == 1, refused.output
    root = ElementTree.parse(tmp_path / "out/junit.xml").getroot()
    check(root)
    assert root.get("failures") == "1"
    (worst,) = [v for v in json.loads(refused.stdout)["accept"] if v["state"] != "met"]
    assert worst["limit"] == "product_p5_min_g"
    again = CliRunner().invoke(app, [*shlex.split(worst["command"])[1:], "--json"])
    repeated = json.loads(again.stdout)
    rows = [json.loads(line) for line in (tmp_path / "out/results.jsonl").read_text().splitlines()]
    (row,) = [row for row in rows if row["seed"] == repeated["seed"]]
    assert repeated["biomass_g_per_l"] == row["biomass_g_per_l"]


@pytest.mark.long
def test_our_own_ci_accepts_whole_batches_of_the_shipped_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["campaign", str(PLANT), "--recipe", str(RECIPE), "--seeds", "1000:1004", "--hours"]
    done = CliRunner().invoke(app, [*words, "24", "--report", "out", "--accept"])
    assert done.exit_code == 0, done.output


def test_what_could_not_run_ends_with_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recipe(tmp_path, "")
    words = ["campaign", str(PLANT), "--recipe", "good.toml", "--seeds", "1:2", "--report", "out"]
    (tmp_path / "out").write_text("in the way")
    failure = CliRunner().invoke(app, [*words, "--accept"]).exception
    assert isinstance(failure, FailureError)
    assert failure.code == 2
