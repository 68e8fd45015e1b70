"""``fermloop check``: are this plant file and this recipe fit to run? Touches no device.

It loads the third-party drivers that the plant file names, as ``run`` will, and what is under
``[simulation]`` (somebody's own model, the file of faults), as ``simulate`` and ``batch`` will.
"""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from controller.alarms.alarm import Priority
from controller.alarms.table import definitions
from controller.assemble import build_loops, optimiser_settings
from controller.devices.third_party import require_third_party
from controller.plant import Plant, load_plant
from controller.plant_file.config import ConfigError
from controller.plant_file.device_settings import DeviceSettings
from controller.recipes.check import check
from controller.recipes.facts import facts_of
from controller.recipes.file import Recipe, RecipeError, load_recipe

# ISA-18.2, of the alarms that a plant can have, %; what is left is high and critical
GUIDELINE = {Priority.LOW: 80, Priority.MEDIUM: 15}
FAR = 10  # percentage points


def run(
    plant_file: Path,
    recipe_file: Path | None,
    as_json: bool,
    instead: Callable[[Plant], None] | None = None,
    also: Sequence[Callable[[Plant], None]] = (),
) -> None:
    """Print what the files hold, or with ``instead`` something else about the plant.

    ``also`` is what else the plant is held to: ``run`` shares this file and cannot reach what
    only the simulator needs.

    Raises:
        ConfigError: one line a mistake, of both files.
    """
    lines: list[str] = []
    plant = recipe = None
    try:
        plant = load_plant(plant_file)
        require_third_party(plant)
        optimiser_settings(plant)
        for judge in also:
            judge(plant)
    except ConfigError as error:
        lines += error.lines
    if recipe_file is not None:
        try:
            recipe = recipe_for(plant, recipe_file)
        except (ConfigError, RecipeError) as error:
            lines += error.lines
    if lines or plant is None:
        raise ConfigError(lines)
    if instead is not None:
        instead(plant)
        return
    summary = describe(plant, recipe)
    if as_json:
        print(json.dumps(summary, ensure_ascii=False))
    elif sys.stdout.isatty():
        _table(plant_file, summary)
    else:
        for key, value in summary.items():
            print(f"{key}: {', '.join(value) if isinstance(value, list) else value}")


def recipe_for(plant: Plant | None, recipe_file: Path) -> Recipe:
    """Return the recipe if it can run on every reactor that it fits; ``plant`` may be unknown.

    Raises:
        RecipeError: one line a mistake.
    """
    recipe = load_recipe(recipe_file)
    if plant is None:
        return recipe
    lines: list[str] = []
    for reactor in plant.settings.reactor:
        found = check(recipe, facts_of(reactor, plant, build_loops(reactor, plant)))
        if not found:
            return recipe
        lines += found
    raise RecipeError(lines)


def describe(plant: Plant, recipe: Recipe | None) -> dict[str, str | int | list[str]]:
    """Return what the files hold: counts and names."""
    s = plant.settings
    about: dict[str, str | int | list[str]] = {
        "site": s.site,
        "data": str(plant.data_dir),
        "scan": f"{s.scan_s:g} s",
        "devices": [f"{name} ({_device(d)})" for name, d in s.device.items()],
        "tags": len(plant.tags),
        "actuators": sum(tag.safe is not None for tag in plant.tags.values()),
    }
    for name, reactor in s.reactor.items():
        about[f"{name} loops"] = list(reactor.loop)
        about[f"{name} interlocks"] = list(reactor.interlock)
        about[f"{name} dose limits"] = list(reactor.dose)
        about[f"{name} optimiser"] = (
            f"every {reactor.optimiser.period_s:g} s" if reactor.optimiser else "none"
        )
    about["alarms"] = _alarms(plant)
    if s.influx.enabled:
        about["influx"] = f"{s.influx.url}, bucket {s.influx.bucket}"
    if recipe is not None:
        about["recipe"] = recipe.name
        about["phases"] = [phase.name for phase in recipe.phase]
    return about


def _alarms(plant: Plant) -> str:
    """Return how many alarms a plant has and how their priorities are shared out."""
    found = [definition.priority for definition in definitions(plant)]
    low, medium = (round(100 * found.count(p) / len(found)) for p in GUIDELINE)
    shares = f"{low} % low, {medium} % medium, {100 - low - medium} % high and critical"
    far = max(abs(low - GUIDELINE[Priority.LOW]), abs(medium - GUIDELINE[Priority.MEDIUM]))
    hint = "" if far <= FAR else "; about 80, 15 and 5 % let a person see what matters"
    return f"{len(found)}: {shares}{hint}"


def _device(device: DeviceSettings) -> str:
    profile = f", profile {device.profile}" if device.profile else ""
    return f"{device.driver} at {device.address}{profile}"


def _table(plant_file: Path, about: dict[str, str | int | list[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{plant_file.name} can be run", show_header=False, box=None)
    table.title_justify = "left"
    for key, value in about.items():
        table.add_row(key, ", ".join(value) if isinstance(value, list) else str(value))
    Console().print(table)
