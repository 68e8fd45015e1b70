"""The file that plans faults: a timeline, and rates of what happens by chance."""

from pathlib import Path

from pydantic import Field

from controller.plant_file.config import ConfigError, Settings, read_toml, validate
from sim.fault_targets import FaultError, seconds
from sim.faults import Faults


class PlannedFault(Settings):
    """One fault of the timeline."""

    at_h: float = Field(ge=0, description="age of the vessel, h")
    fault: str
    for_: str | None = Field(None, alias="for", description="90s, 10min, 1.5h")
    size: float | None = None


class RandomFaults(Settings):
    """Faults that happen by chance, each kind by itself."""

    rate_per_100h: float = Field(gt=0, le=1000, description="of each kind")
    kinds: list[str] = Field(min_length=1, description="names of faults: do.stuck")


class FaultFile(Settings):
    """The whole file."""

    fault: tuple[PlannedFault, ...] = ()
    random: tuple[RandomFaults, ...] = ()


def plan(path: Path, faults: Faults) -> None:
    """Give ``faults`` what the file plans.

    Raises:
        ConfigError: the file cannot be used; a line a mistake.
    """
    found = validate(FaultFile, read_toml(path), path.name)
    lines: list[str] = []
    for i, planned in enumerate(found.fault):
        try:
            lasts = None if planned.for_ is None else seconds(planned.for_)
            faults.plan(planned.fault, planned.at_h * 3600.0, lasts, planned.size)
        except FaultError as error:
            lines.append(f"{path.name}: fault.{i}: {error}")
    for i, drawn in enumerate(found.random):
        for name in drawn.kinds:
            try:
                faults.draw(name, drawn.rate_per_100h)
            except FaultError as error:
                lines.append(f"{path.name}: random.{i}.kinds: {error}")
    if lines:
        raise ConfigError(lines)
