"""Parameters of a strain that were fitted to batches of a plant: the file that ``fit`` writes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from controller.plant_file.config import ConfigError, Settings, read_toml, validate
from controller.plant_file.settings import ModelSettings, PlantSettings
from models.organisms import WATCHED, of_strain


class FittedParameter(Settings):
    """One parameter as the batches say it is; only ``value`` and ``unit`` are used."""

    value: float
    unit: str
    low: float = Field(description="of the 90 % interval")
    high: float = Field(description="likewise")
    prior: float = Field(description="what was believed before")
    learned: float = Field(ge=0, le=1, description="share of the prior's uncertainty that is gone")


class Provenance(Settings):
    """Where the numbers come from."""

    batches: tuple[str, ...] = Field(min_length=1)
    held_out: tuple[str, ...] = ()
    plant: str
    date: str
    software: str


class FittedSettings(Settings):
    """The whole file."""

    organism: str
    provenance: Provenance
    parameter: dict[str, FittedParameter] = Field(min_length=1)


def read_fitted(path: Path, organism: str) -> dict[str, float]:
    """Return the parameters of a file by name.

    Raises:
        ConfigError: a line a mistake: file, key, value and what was allowed.
    """
    fitted = validate(FittedSettings, read_toml(path), path.name)
    if fitted.organism != organism:
        raise ConfigError(
            [f"{path.name}: organism: {fitted.organism} is not that of the plant file, {organism}"]
        )
    units = {v.name: v.unit for v in WATCHED[organism]().parameters}
    lines = [
        f"{path.name}: parameter.{name}.unit: {p.unit} is not allowed; {units[name]} is"
        for name, p in fitted.parameter.items()
        if name in units and p.unit != units[name]
    ]
    if lines:
        raise ConfigError(lines)
    return {name: p.value for name, p in fitted.parameter.items()}


def with_strains(settings: PlantSettings, path: Path) -> PlantSettings:
    """Return the settings with what their files of fitted parameters say.

    Args:
        settings: of the plant file.
        path: of the plant file; its files are named from where it is.

    Raises:
        ConfigError: a file cannot be used, or a number is not allowed.
    """
    reactors: dict[str, Any] = {}
    for name, reactor in settings.reactor.items():
        model = reactor.model
        if model is None or not (model.parameters or model.strain):
            continue
        strain = _strain(model, path)
        try:
            of_strain(WATCHED[model.organism](), strain)
        except ValueError as error:
            where = f"{path.name}: reactor.{name}.model"
            raise ConfigError([f"{where}: {line}" for line in str(error).splitlines()]) from None
        changed = model.model_copy(update={"strain": strain})
        reactors[name] = reactor.model_copy(update={"model": changed})
    if not reactors:
        return settings
    return settings.model_copy(update={"reactor": dict(settings.reactor) | reactors})


def _strain(model: ModelSettings, path: Path) -> Mapping[str, float]:
    """Return those of the file, and in their place what the plant file itself says."""
    if not model.parameters:
        return model.strain
    return read_fitted(path.parent / model.parameters, model.organism) | model.strain
