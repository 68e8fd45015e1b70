"""Which recipes a reactor could be started with."""

import shutil
from pathlib import Path

from controller.assemble import build_loops
from controller.plant import load_plant
from controller.recipes.facts import facts_of
from controller.recipes.shelf import FOLDER, folders, shelf

ROOT = Path(__file__).parents[2]
PLANT = ROOT / "sim/plants/ecoli_5l.toml"
RECIPES = ROOT / "sim/recipes"


def test_those_that_fit_the_plant_come_first_and_the_others_say_why(tmp_path: Path) -> None:
    plant = load_plant(PLANT)
    facts = facts_of("R1", plant, build_loops("R1", plant))
    for name in ("ecoli.toml", "penicillin.toml"):
        shutil.copy(RECIPES / name, tmp_path / name)
    shutil.copy(PLANT, tmp_path / "plant.toml")
    (tmp_path / "broken.toml").write_text('[[phase]]\nname = "x"\ncolour = 1\n')
    (tmp_path / "notes.toml").write_bytes(b"\xff\xfe[[phase]]")
    found = shelf([tmp_path, tmp_path / "none"], facts)
    assert [each["file"] for each in found] == ["ecoli.toml", "broken.toml", "penicillin.toml"]
    ecoli, broken, penicillin = found
    assert ecoli["errors"] == []
    assert ecoli["phases"]
    assert ecoli["path"] == str(tmp_path / "ecoli.toml")
    assert any("colour" in line for line in broken["errors"])
    assert penicillin["errors"]


def test_they_are_looked_for_beside_the_plant_file_and_the_present_recipe() -> None:
    where = folders(PLANT, str(RECIPES / "ecoli.toml"))
    assert where == [PLANT.parent / FOLDER, RECIPES]
    assert folders(PLANT, "") == [PLANT.parent / FOLDER]
