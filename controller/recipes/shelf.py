"""The recipes that a reactor could be started with: those in its folders, checked against it."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from controller.recipes.check import check
from controller.recipes.facts import PlantFacts
from controller.recipes.file import RecipeError, load_recipe

FOLDER = "recipes"  # beside the plant file
MOST = 100  # files


def folders(plant: Path, current: str) -> list[Path]:
    """Return where a reactor's recipes are: beside the plant file, and beside its present one.

    Args:
        plant: the plant file.
        current: path of the recipe that the reactor has or had; may be empty.
    """
    found = [plant.absolute().parent / FOLDER]
    if current:
        found.append(Path(current).absolute().parent)
    return list(dict.fromkeys(found))


def shelf(where: Iterable[Path], facts: PlantFacts) -> list[dict[str, Any]]:
    """Return every recipe of the folders as JSON, those that fit the plant first.

    ``errors`` says why one cannot be started; one that fits has none. Files that are no recipes,
    plant files among them, are left out. Reads files: not for the scan's thread.
    """
    paths = [path for folder in where for path in sorted(folder.glob("*.toml"))][:MOST]
    found = list(_recipes(paths, facts))
    return sorted(found, key=lambda each: (bool(each["errors"]), each["file"]))


def _recipes(paths: Iterable[Path], facts: PlantFacts) -> Iterator[dict[str, Any]]:
    for path in paths:
        try:
            if "[[phase]]" not in path.read_text(encoding="utf-8"):
                continue
            recipe = load_recipe(path)
        except (OSError, UnicodeDecodeError):
            continue
        except RecipeError as error:
            yield _shown(path, errors=list(error.lines))
            continue
        yield _shown(
            path,
            name=recipe.name,
            organism=recipe.organism,
            phases=[phase.name for phase in recipe.phase],
            parameters={n: p.model_dump() for n, p in recipe.parameters.items()},
            errors=list(check(recipe, facts)),
        )


def _shown(path: Path, **known: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {"name": path.stem, "organism": "", "phases": [], "parameters": {}}
    return {"path": str(path), "file": path.name, **empty, **known}
