"""The recipe file: TOML read into frozen tables; a flow is in the unit of its loop."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PrivateAttr, model_validator

from controller.plant_file.config import ConfigError, Settings, read_toml, validate
from controller.recipes.condition import Condition
from controller.recipes.feed_settings import FeedLaw
from controller.recipes.parameters import Parameter, chosen, filled

NO_VALUES: Mapping[str, float] = {}
ModeName = Literal["OFF", "MANUAL", "AUTO", "CASCADE", "OPTIMISER"]


class RecipeError(ConfigError):
    """A recipe that cannot be used; ``lines`` has one line a mistake."""


class Dose(Settings):
    """A volume given through a loop in a phase, once or every so often; a discharge is one.

    With a weight it ends where the vessel weighs so much, and ``volume_l`` is the most it may take.
    """

    loop: str
    volume_l: float = Field(gt=0, description="L")
    fills_to_kg: float | None = Field(None, gt=0, description="kg, what the vessel then weighs")
    draws_to_kg: float | None = Field(None, gt=0, description="kg, what the vessel then weighs")
    flow: float = Field(gt=0, description="in the loop's unit")
    at_h: float = Field(0.0, ge=0, description="h in this phase")
    every_h: float | None = Field(None, gt=0, description="h; once if not given")

    @model_validator(mode="after")
    def _check(self) -> "Dose":
        if self.fills_to_kg is not None and self.draws_to_kg is not None:
            raise ValueError("fills_to_kg and draws_to_kg: one of them")
        return self


class Ramp(Settings):
    """A setpoint that moves slowly from where the recipe had it."""

    to: float = Field(description="in the loop's unit")
    ramp_per_h: float = Field(gt=0, description="the loop's unit per h")


class Phase(Settings):
    """A stretch of the batch: what is set when it begins, and when it ends."""

    name: str = Field(min_length=1)
    min_h: float = Field(0.0, ge=0, description="h; it does not end before")
    max_h: float | None = Field(None, gt=0, description="h; after it the recipe is HELD")
    setpoints: dict[str, float] = Field(default_factory=dict)
    loops: dict[str, ModeName] = Field(default_factory=dict)
    ramps: dict[str, Ramp] = Field(default_factory=dict)
    feeds: dict[str, FeedLaw] = Field(default_factory=dict)
    doses: tuple[Dose, ...] = ()
    inoculates: bool = Field(False, description="the batch's age is counted from its end")
    induces: bool = False
    hold_if: Condition | None = Field(None, description="the recipe is HELD")
    abort_if: Condition | None = Field(None, description="the batch is over")
    until: Condition | None = None


class Start(Settings):
    """What the loops do when the batch begins."""

    loops: dict[str, ModeName] = Field(default_factory=dict)
    setpoints: dict[str, float] = Field(default_factory=dict)


class Recipe(Settings):
    """A batch, from a clean vessel or from inoculation to the end."""

    name: str = Field(min_length=1)
    organism: str = Field(
        "", description="whose recipe it is; required where the plant has a model"
    )
    parameters: dict[str, Parameter] = Field(
        default_factory=dict, description="what other tables refer to as $name"
    )
    start: Start = Field(default_factory=lambda: Start.model_validate({}))
    phase: tuple[Phase, ...] = Field(min_length=1)
    _file: str = PrivateAttr("recipe")
    _table: dict[str, Any] = PrivateAttr(default_factory=dict)

    @property
    def file(self) -> str:
        """Name of the file that it came from, for messages."""
        return self._file

    @property
    def table(self) -> dict[str, Any]:
        """The recipe as its file has it, references to parameters too; as JSON."""
        return self._table

    @property
    def inoculates(self) -> int | None:
        """Number of the phase that inoculates, from 0; ``None``: it begins inoculated."""
        return next((i for i, phase in enumerate(self.phase) if phase.inoculates), None)

    def fed(self, main: str) -> frozenset[str]:
        """Return the loops that feed laws move, and the ``main`` feed with or without one."""
        return frozenset({main, *(loop for phase in self.phase for loop in phase.feeds)})


def load_recipe(path: str | Path, values: Mapping[str, float] = NO_VALUES) -> Recipe:
    """Return the recipe of a TOML file, with other ``values`` of its parameters.

    Raises:
        RecipeError: one line a mistake: file, key, value and what was allowed.
    """
    path = Path(path)
    try:
        table = read_toml(path)
    except ConfigError as error:
        raise RecipeError(error.lines) from None
    table.pop("accept", None)  # limits that a campaign judges it by
    return parse_recipe(table, path.name, values)


def parse_recipe(
    table: Mapping[str, Any], file: str = "recipe", values: Mapping[str, float] = NO_VALUES
) -> Recipe:
    """Return the recipe of a table as TOML or JSON gives it.

    Args:
        table: what the file holds.
        file: what to call it in messages.
        values: of its parameters, in place of those that it gives.

    Raises:
        RecipeError: one line a mistake.
    """
    try:
        whole = chosen(table, values, file)
        recipe = validate(Recipe, filled(whole, file), file)
    except ConfigError as error:
        raise RecipeError(error.lines) from None
    recipe._file, recipe._table = file, whole  # pyright: ignore[reportPrivateUsage]
    if lines := [f"{file}: {line}" for line in _alone(recipe)]:
        raise RecipeError(lines)
    return recipe


def _alone(recipe: Recipe) -> Iterator[str]:
    """Yield what no table of the recipe can see by itself."""
    names: set[str] = set()
    known = set(recipe.start.setpoints)
    age = 0.0
    inoculation = -1 if recipe.inoculates is None else recipe.inoculates
    if sum(phase.inoculates for phase in recipe.phase) > 1:
        yield "phase: inoculates is not allowed more than once"
    for i, phase in enumerate(recipe.phase):
        key = f"phase.{i} ({phase.name})"
        if phase.name in names:
            yield f"{key}.name: {phase.name} is not allowed; each phase needs its own name"
        names.add(phase.name)
        if phase.until is None and i + 1 < len(recipe.phase):
            yield f"{key}.until: missing; only the last phase may go without"
        if phase.max_h is not None and phase.max_h < phase.min_h:
            yield f"{key}.max_h: {phase.max_h:g} is not allowed; at least min_h, {phase.min_h:g} h"
        known |= phase.setpoints.keys()
        for loop in phase.ramps:
            if loop in phase.setpoints:
                yield f"{key}.ramps.{loop}: not allowed beside setpoints.{loop}; one of them"
            elif loop not in known:
                yield f"{key}.ramps.{loop}: no setpoint to ramp from; give one in start or before"
        known |= phase.ramps.keys()
        for word in ("hold_if", "abort_if"):
            condition: Condition | None = getattr(phase, word)
            if condition is not None and condition.asks:
                yield f"{key}.{word}.confirm: not allowed; a person is asked in until"
        for j, dose in enumerate(phase.doses):
            if dose.every_h is not None and phase.until is None:
                yield f"{key}.doses.{j}.every_h: not allowed; a phase without until would not end"
        end = phase.until.batch_h if phase.until is not None else None
        if end is not None and i <= inoculation:
            yield f"{key}.until.batch_h: not allowed before the vessel is inoculated; phase_h"
        elif end is not None:
            if end <= age:
                yield f"{key}.until.batch_h: {end:g} is not allowed; later than {age:g} h"
            age = end
