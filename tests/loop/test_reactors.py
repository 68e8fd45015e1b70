"""Several reactors in one plant file: each is controlled and addressed, none disturbs another."""

import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from controller.plant import Plant, load_plant
from controller.recipes.recipe import load_recipe
from fermloop.commands.closed_loop import run_batch
from historian.sqlite import SqliteReader, SqliteStore
from tests.loop.rig import DEMO, RECIPE, Rig, bump

WHO = ("a test", "ana")


@pytest.fixture
def two(tmp_path: Path) -> Plant:
    """Return the demo's plant with a second vessel like the first."""
    text = DEMO.read_text()
    head, body = text[: text.index("[device.")], text[text.index("[device.") :]
    second = body.replace("R1", "R2").replace(":5020", ":5021").replace(":4840", ":4841")
    path = tmp_path / "two.toml"
    path.write_text(head + body + "\n" + second)
    return load_plant(path, data_dir=tmp_path / "data")


@pytest.fixture
def pair(two: Plant) -> Generator[Rig]:
    with Rig(two) as rig:
        yield rig


def test_both_run_their_own_batch_at_once(pair: Rig) -> None:
    pair.begin(RECIPE, reactor="R1")
    pair.run(60)
    pair.controller.recipe("R2", "start", str(RECIPE), *WHO)
    pair.run(600)
    reactors = pair.state()["reactors"]
    assert [r["batch"]["state"] for r in reactors.values()] == ["RUNNING", "RUNNING"]
    assert reactors["R1"]["batch"]["id"] != reactors["R2"]["batch"]["id"]
    assert reactors["R1"]["batch"]["age_h"] - reactors["R2"]["batch"]["age_h"] == pytest.approx(
        60 / 3600, abs=2 / 3600
    )
    for name, vessel in pair.tampered.items():
        assert vessel.vessel.truth["temperature_cel"] == pytest.approx(37.0, abs=0.3), name
    one, other = (v.vessel.truth["biomass_g_per_l"] for v in pair.tampered.values())
    assert one != other  # each is drawn by itself


def test_tags_of_one_reactor_are_not_shown_at_the_other(pair: Rig) -> None:
    pair.connect()
    pair.run(2)
    for name, reactor in pair.state()["reactors"].items():
        assert {tag.partition(".")[0] for tag in reactor["tags"]} == {name}
        known = (*pair.plant.tags, *pair.plant.calculated)
        assert set(reactor["tags"]) == {tag for tag in known if tag.startswith(f"{name}.")}


def test_a_command_reaches_the_reactor_that_it_names(pair: Rig) -> None:
    pair.connect()
    pair.run(2)
    control = pair.controller
    control.set_mode("R2.agitation", "MANUAL", *WHO)
    control.set_output("R2.agitation", 400.0, *WHO)
    pair.run(10)
    assert (pair.held()["R1.stirrer"], pair.held()["R2.stirrer"]) == (300, 400)
    with pytest.raises(LookupError, match="no such reactor; R1, R2"):
        control.recipe("R3", "hold", "", *WHO)
    with pytest.raises(LookupError, match="no such reactor; R1, R2"):
        control.begin(load_recipe(RECIPE), str(RECIPE), "off")


def test_a_device_lost_at_one_reactor_leaves_the_other_alone(pair: Rig) -> None:
    pair.begin(RECIPE, reactor="R1")
    pair.controller.recipe("R2", "start", str(RECIPE), *WHO)
    pair.run(300)
    pair.wires["R2-io"].answering = False
    before = pair.held()
    for _ in pair.scans(60):
        after = pair.held()
        own = {n: v for n, v in before.items() if n.startswith("R1.")}
        assert bump(pair, own, after) <= 0.03
        before = after
    assert list(pair.alarms()) == ["R2-io.device"]
    assert pair.held()["R2.heater"] == 0
    assert pair.loop("temperature", "R1").actual.name == "AUTO"
    assert pair.loop("temperature", "R2").actual.name == "MANUAL"


def test_an_interlock_of_one_reactor_moves_nothing_of_the_other(pair: Rig) -> None:
    pair.connect()
    for name in ("R1", "R2"):
        pair.controller.set_mode(f"{name}.feed", "MANUAL", *WHO)
        pair.controller.set_output(f"{name}.feed", 10.0, *WHO)
    pair.tampered["R2"].shows["R2.do"] = 1.0
    pair.run(25)
    assert (pair.held()["R1.feed"], pair.held()["R2.feed"]) == (10, 0)


def test_a_batch_on_virtual_time_runs_in_the_first_and_records_both(
    two: Plant, tmp_path: Path
) -> None:
    path = tmp_path / "store.sqlite"
    with SqliteStore(path, wait_when_full=True) as store:
        outcome = run_batch(two, load_recipe(RECIPE), RECIPE, hours=0.1, seed=1, store=store)
        store.flush()
        assert store.lost == 0
    assert set(outcome.truth) == {"R1", "R2"}
    assert outcome.control["reactors"]["R1"]["recipe"] == "ecoli"
    assert outcome.control["reactors"]["R2"]["recipe"] == ""
    with SqliteReader(path) as reader:
        for name in ("R1.temperature", "R2.temperature"):
            assert len(reader.read(two.tags[name], 0.0, 4e9)) == outcome.control["scans"]


def test_a_recipe_for_nobody_in_particular_is_refused_before_any_device_is_touched(
    two: Plant,
) -> None:
    command = [sys.executable, "-m", "controller", str(two.path), "--recipe", str(RECIPE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert done.stderr == (
        f"--recipe: {RECIPE} is not allowed; there are several reactors (R1, R2), "
        "start it with: fermloop recipe start REACTOR --recipe FILE\n"
    )
