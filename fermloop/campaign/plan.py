"""What a campaign is: plant x recipes x seeds, checked before anything runs, and its manifest.

The manifest, ``campaign.json`` beside the results, says what they were made with. A folder takes
more recipes and seeds later, but never results of another plant, recipe or program.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fermloop.campaign.batch import Job
from fermloop.campaign.files import digest, gather
from fermloop.campaign.software import own_code, software
from fermloop.failure import USAGE, FailureError

if TYPE_CHECKING:
    from controller.planning.advisor import AdvisorMode
    from controller.recipes.recipe import Recipe

MANIFEST: Final = "campaign.json"
RESULTS: Final = "results.jsonl"
TRAJECTORIES: Final = "trajectories"


@dataclass(frozen=True, slots=True)
class Plan:
    """A campaign whose files are right.

    Attributes:
        plant_file: as given.
        recipe_files: as given; their names without the ending tell them apart.
        seeds: one simulated plant each, the same for every recipe.
        hours: of each batch, plant h.
        optimiser: off, shadow or on.
        scan_s: of the plant file.
    """

    plant_file: Path
    recipe_files: tuple[Path, ...]
    seeds: tuple[int, ...]
    hours: float
    optimiser: "AdvisorMode"
    scan_s: float

    def jobs(self) -> list[Job]:
        """Return every batch, seed by seed: where it is interrupted, whole pairs are done."""
        plant, program = self.plant_file, software()
        own = own_code(plant.read_text(encoding="utf-8"))
        files = {recipe: gather(plant, recipe) for recipe in self.recipe_files}
        return [
            Job(
                files[recipe],
                str(plant),
                str(recipe),
                str(plant.absolute()),
                str(recipe.absolute()),
                seed,
                self.hours,
                self.optimiser,
                program,
                own,
            )
            for seed in self.seeds
            for recipe in self.recipe_files
        ]

    def manifest(self) -> dict[str, Any]:
        """Return what the results are made with."""
        own = own_code(self.plant_file.read_text(encoding="utf-8"))
        return {
            "fermloop": software(),
            "plant": {"file": str(self.plant_file), "hash": digest(self.plant_file), "own": own},
            "recipes": {
                file.stem: {"file": str(file), "hash": digest(file)} for file in self.recipe_files
            },
            "seeds": list(self.seeds),
            "hours": self.hours,
            "optimiser": self.optimiser,
            "scan_s": self.scan_s,
        }


def checked(
    plant_file: Path,
    recipe_files: Sequence[Path],
    seeds: tuple[int, ...],
    hours: float,
    optimiser: "AdvisorMode",
) -> Plan:
    """Return the plan after a look at all that could be wrong with its files.

    The first vessel is made as well: a model that cannot be used is refused here, and the
    workers find it compiled.

    Raises:
        ConfigError: a mistake in a file; a line each.
        FailureError: two recipes have one name.
    """
    from controller.devices.third_party import require_virtual
    from controller.plant import load_plant
    from fermloop.commands.check import recipe_for
    from fermloop.commands.closed_loop import EPOCH
    from fermloop.commands.simulated import vessels

    plant = load_plant(plant_file)
    named: dict[str, Path] = {}
    recipes: list[Recipe] = []
    for file in recipe_files:
        if other := named.get(file.stem):
            raise FailureError(
                f"--recipe: {file} is not allowed beside {other}; their names tell recipes apart, "
                "rename one of the files",
                USAGE,
            )
        named[file.stem] = file
        recipes.append(recipe_for(plant, file))
    require_virtual(plant)
    first = next(iter(plant.settings.reactor))
    inoculates = any(recipe.inoculates is not None for recipe in recipes)
    vessels(plant, seeds[0], EPOCH, {first} if inoculates else set())
    scan_s = plant.settings.scan_s
    return Plan(plant_file, tuple(recipe_files), seeds, hours, optimiser, scan_s)


def enter(folder: Path, plan: Plan, used: bool) -> dict[str, Any]:
    """Make ``folder`` the place of this campaign and return its manifest.

    Args:
        folder: where the results are.
        plan: what is to run.
        used: whether there are results already: then they must be of this campaign.

    Raises:
        FailureError: they are not, or it cannot be written.
    """
    now = plan.manifest()
    if used:
        before = _read(folder)
        changed = _changed(before, now)
        if changed:
            what_to_do = "take another --report folder, or throw its results away with --fresh"
            lines = [f"{folder}: {line}" for line in (*changed, what_to_do)]
            raise FailureError(lines, USAGE)
        now["recipes"] = before["recipes"] | now["recipes"]
    aside = folder / f".{MANIFEST}"
    try:
        (folder / TRAJECTORIES).mkdir(exist_ok=True)
        aside.write_text(json.dumps(now, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        aside.replace(folder / MANIFEST)
    except OSError as error:
        raise FailureError(f"--report: {folder}: cannot be used: {error.strerror}", USAGE) from None
    return now


def _read(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise FailureError(
            f"{folder / MANIFEST}: says what the results were made with, but cannot be read; "
            "take another --report folder, or throw the results away with --fresh",
            USAGE,
        ) from None


def _changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    lines: list[str] = []
    if before["plant"]["hash"] != now["plant"]["hash"]:
        file = now["plant"]["file"]
        lines.append(f"its results were made with another plant file than {file} as it is now")
    if before["plant"].get("own", "") != now["plant"]["own"]:
        file = now["plant"]["file"]
        lines.append(f"its results were made with another version of the model that {file} names")
    for name, recipe in now["recipes"].items():
        if name in before["recipes"] and before["recipes"][name]["hash"] != recipe["hash"]:
            file = recipe["file"]
            lines.append(f"its results were made with another recipe than {file} as it is now")
    for key, option in (("hours", "--hours"), ("optimiser", "--optimiser"), ("scan_s", "scan_s")):
        if before[key] != now[key]:
            lines.append(f"its results were made with {option} {before[key]}, not {now[key]}")
    if before["fermloop"] != now["fermloop"]:
        lines.append(
            f"its results were made with fermloop {before['fermloop']}, this is {now['fermloop']}"
        )
    return lines
