"""The plant file's ``[simulation]`` table, which only the simulator reads."""

from typing import Literal

from pydantic import Field

from controller.config import ConfigError, Settings, read_toml, validate
from controller.plant import Plant


class Vessel(Settings):
    """What stands behind a reactor's tags."""

    organism: Literal["ecoli"]
    vessel: Literal["5l"]


class Simulation(Settings):
    """One table a simulated reactor."""

    simulation: dict[str, Vessel] = Field(min_length=1)


def simulation(plant: Plant) -> dict[str, Vessel]:
    """Return what is simulated, by reactor.

    Raises:
        ConfigError: the table is missing or wrong, or a reactor has none; a line a mistake.
    """
    file = plant.path.name
    table = {k: v for k, v in read_toml(plant.path).items() if k == "simulation"}
    found = validate(Simulation, table, file).simulation
    reactors = plant.settings.reactor
    lines = [
        f"{file}: simulation.{name}: no such reactor; {', '.join(reactors)} are allowed"
        for name in found
        if name not in reactors
    ]
    lines += [
        f"{file}: simulation.{name}: missing; organism and vessel are required"
        for name in reactors
        if name not in found
    ]
    if lines:
        raise ConfigError(lines)
    return found
