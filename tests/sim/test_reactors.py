"""A plant file may name somebody else's organism or whole plant: it is judged, then simulated."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from controller.plant import load_plant
from controller.plant_file.config import ConfigError
from controller.recipes.recipe import load_recipe
from drivers.third_party import LoadError
from fermloop.commands import check
from fermloop.commands.closed_loop import run_batch
from fermloop.commands.simulated import require_simulation, vessels
from models.model import ModelError
from models.organisms import ORGANISMS
from sim.reactors import reactor
from sim.vessel import Vessel

ROOT = Path(__file__).parents[2]
OWN = "tests.sim.own_models"


def plant_with(tmp_path: Path, organism: str) -> Path:
    """Return a copy of the demo's plant file that simulates another organism."""
    text = (ROOT / "sim/plants/ecoli_5l.toml").read_text(encoding="utf-8")
    before, table = text.split("[simulation.R1]")
    table = table.replace('organism = "ecoli"', f'organism = "{organism}"', 1)
    path = tmp_path / "plant.toml"
    path.write_text(f"{before}[simulation.R1]{table}", encoding="utf-8")
    return path


def test_an_organism_of_somebody_else_lives_in_any_vessel() -> None:
    theirs, ours = (
        Vessel(o, "5l", volume_l=3.0, biomass_g_per_l=5.0)
        for o in (f"{OWN}:SensitiveYeast", "yeast")
    )
    for vessel in (theirs, ours):
        vessel.write("R1.stirrer", 800.0)
        vessel.write("R1.air", 5.0)
        vessel.advance(1800.0)
    assert theirs.parameters["KiC"] == 5.0
    assert 5.0 < theirs.state()["X"] < 0.99 * ours.state()["X"]


def test_a_whole_plant_of_somebody_else_stands_behind_the_same_drives_and_probes() -> None:
    theirs, ours = (
        Vessel(o, "5l", volume_l=3.0, biomass_g_per_l=5.0) for o in (f"{OWN}:Clogging", "yeast")
    )
    for vessel in (theirs, ours):
        vessel.advance(7200.0)
    assert theirs.state()["clogged"] == pytest.approx(1.0 - 2.718281828**-1.0, rel=1e-3)
    assert theirs.truth["kla_per_h"] == pytest.approx(
        ours.truth["kla_per_h"] * (1.0 - 0.5 * theirs.state()["clogged"]), rel=0.05
    )


WRONG = (
    ("Nowhere", LoadError, r"own_models has no Nowhere: it has SensitiveYeast, .*"),
    ("GreedyYeast", ModelError, r"GreedyYeast.parameters.k: unit 'grams' is not known"),
    ("NanYeast", ModelError, r"NanYeast.exchange: heat is nan; numbers are required"),
    ("Short", ModelError, r"Short.rhs: \d+ values for \d+ names: X, .*clogged"),
    ("NeedsMore", ModelError, r"NeedsMore: cannot be made of nothing: TypeError: .*'strain'"),
    ("Nothing", ModelError, r"Nothing is not allowed; it must be a class with exchange, an organi"),
    ("a_function", ModelError, r"a_function is not allowed; it must be a class"),
)


@pytest.mark.parametrize(("name", "error", "says"), WRONG, ids=[w[0] for w in WRONG])
def test_what_is_no_model_is_refused_by_name_before_anything_runs(
    tmp_path: Path, name: str, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        reactor(f"{OWN}:{name}", "5l")
    plant = load_plant(plant_with(tmp_path, f"{OWN}:{name}"))
    for use in (require_simulation, partial(vessels, seed=1, start=0.0)):
        with pytest.raises(ConfigError, match=says) as refused:
            use(plant)
        for line in refused.value.lines:
            assert line.startswith("plant.toml: simulation.R1.organism: ")


def test_a_package_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    plant = load_plant(plant_with(tmp_path, "acme.models:Brew"))
    with pytest.raises(
        ConfigError, match=r"simulation.R1.organism: acme.models:Brew .* no package"
    ):
        require_simulation(plant)


@pytest.mark.parametrize("name", ["mould", "acme:", "acme/models:Brew"])
def test_a_name_that_cannot_be_one_is_refused_and_nothing_is_imported(
    tmp_path: Path, name: str
) -> None:
    plant = load_plant(plant_with(tmp_path, name))
    known = ", ".join(ORGANISMS)
    with pytest.raises(ConfigError) as refused:
        require_simulation(plant)
    assert refused.value.lines == [
        f"plant.toml: simulation.R1.organism: {name} is not allowed; one of {known} or "
        "package.module:Class"
    ]
    with pytest.raises(ValueError, match="is not allowed; one of"):
        reactor(name, "5l")


def test_check_judges_the_model_that_the_plant_file_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judge = (require_simulation,)
    check.run(plant_with(tmp_path, f"{OWN}:CloggingEColi"), None, True, also=judge)
    assert json.loads(capsys.readouterr().out)["site"] == "demo"
    with pytest.raises(ConfigError, match=r"Short.rhs: "):
        check.run(plant_with(tmp_path, f"{OWN}:Short"), None, True, also=judge)


@pytest.mark.long
def test_a_batch_runs_on_a_plant_of_somebody_else(tmp_path: Path) -> None:
    path = plant_with(tmp_path, f"{OWN}:CloggingEColi")
    recipe = ROOT / "sim/recipes/ecoli.toml"
    outcome: Any = run_batch(load_plant(path), load_recipe(recipe), str(recipe), hours=0.2, seed=2)
    assert outcome.truth["R1"]["biomass_g_per_l"] > 0.0
