"""Where the optimiser may lead: the file that ``fermloop fit --region`` writes."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pydantic import Field

from controller.plant_file.config import ConfigError, Settings, read_toml, validate
from controller.plant_file.fitted import Provenance
from controller.plant_file.settings import PlantSettings
from controller.run_to_run import Region
from drivers.point import Tag


class LoopRegion(Settings):
    """How far one loop's setpoint may go."""

    unit: str
    low: tuple[float, ...]
    high: tuple[float, ...]


class RegionSettings(Settings):
    """The whole file."""

    reactor: str
    width: float = Field(gt=0, description="share to each side of what was tried")
    why: tuple[str, ...] = Field(min_length=1, description="how it came to be, a line a batch")
    hours: tuple[float, ...] = Field(min_length=2, description="h since inoculation")
    provenance: Provenance
    loop: dict[str, LoopRegion] = Field(min_length=1)


def read_region(path: Path, reactor: str, units: Mapping[str, str]) -> Region:
    """Return the region of a file.

    Args:
        path: of the file.
        reactor: that it must be of.
        units: of each loop that the optimiser may lead, by its name.

    Raises:
        ConfigError: a line a mistake: file, key, value and what was allowed.
    """
    r = validate(RegionSettings, read_toml(path), path.name)
    lines: list[str] = []
    if r.reactor != reactor:
        lines.append(f"{path.name}: reactor: {r.reactor} is not that of the plant file, {reactor}")
    hours = np.array(r.hours)
    if not (np.isfinite(hours).all() and (np.diff(hours) > 0.0).all()):
        lines.append(f"{path.name}: hours: each must be above the one before it")
    for name, unit in units.items():
        if name not in r.loop:
            lines.append(f"{path.name}: loop.{name}: missing; the optimiser may lead it")
            continue
        loop = r.loop[name]
        if loop.unit != unit:
            lines.append(f"{path.name}: loop.{name}.unit: {loop.unit} is not allowed; {unit} is")
        low, high = np.array(loop.low), np.array(loop.high)
        if not len(low) == len(high) == len(hours):
            lines.append(f"{path.name}: loop.{name}: a low and a high for each of hours is needed")
        elif not (np.isfinite(low).all() and np.isfinite(high).all() and (low <= high).all()):
            lines.append(f"{path.name}: loop.{name}: low must not be above high anywhere")
    if lines:
        raise ConfigError(lines)
    low = {n: np.array(p.low) for n, p in r.loop.items()}
    high = {n: np.array(p.high) for n, p in r.loop.items()}
    return Region(hours, low, high, r.width, r.why)


def regions(settings: PlantSettings, path: Path, tags: Mapping[str, Tag]) -> dict[str, Region]:
    """Return the region of each reactor whose guardrail names a file.

    Args:
        settings: of the plant file.
        path: of the plant file; its files are named from where it is.
        tags: measured, moved and calculated, by name.

    Raises:
        ConfigError: a file cannot be used.
    """
    return {
        name: read_region(
            path.parent / reactor.optimiser.guardrail.region, name, units(settings, name, tags)
        )
        for name, reactor in settings.reactor.items()
        if reactor.optimiser is not None and reactor.optimiser.guardrail.region
    }


def units(settings: PlantSettings, reactor: str, tags: Mapping[str, Tag]) -> dict[str, str]:
    """Return the unit of each loop that the optimiser may lead, by its name in the reactor."""
    r = settings.reactor[reactor]
    loops = {name: r.loop[name] for name in r.planned}
    return {n: tags[s.measured or s.outputs[0].actuator or ""].unit for n, s in loops.items()}
