"""The plant file's ``[simulation]`` table, which only the simulator reads."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from controller.config import ConfigError, Settings, read_toml, validate
from controller.plant import Plant
from controller.third_party import third_party
from drivers.point import Tag
from drivers.third_party import LoadError
from fermloop.failure import USAGE, FailureError
from models.bioreactor import Bioreactor
from models.model import ModelError
from models.vessels import VESSELS
from sim.fault_file import plan
from sim.fittings import fitted, wrong
from sim.laboratory import Laboratory, LaboratorySettings, unknown_assays
from sim.reactors import reactor, wrong_organism
from sim.reckoning import Reckoning
from sim.truth import Truth
from sim.variation import Variation
from sim.vessel import Vessel
from sim.wire import Wire


class SimulatedVessel(Settings):
    """What stands behind a reactor's tags, and what is in it at inoculation."""

    organism: str = Field(description="one of ours, or package.module:Class of your own")
    vessel: Literal["5l", "300l", "100m3"]
    volume_l: float | None = Field(None, gt=0, description="L")
    substrate_g_per_l: float = Field(10.0, ge=0, description="g/L")
    report: Reckoning = Field(default_factory=lambda: Reckoning.model_validate({}))
    biomass_g_per_l: float = Field(0.3, gt=0, description="g/L, by the inoculation plan")
    step_s: float = Field(1.0, ge=0.1, le=10, description="s; longer than 1 s is coarse and fast")
    laboratory: LaboratorySettings | None = Field(None, description="takes samples, if given")
    variation: Variation | None = Field(None, description="how seeds differ, see sim/README.md")
    faults: Path | None = Field(None, description="file of faults, beside the plant file")

    @field_validator("organism")
    @classmethod
    def _named(cls, name: str) -> str:
        if why := wrong_organism(name):
            raise ValueError(why)
        return name


class Simulation(Settings):
    """One table a simulated reactor."""

    simulation: dict[str, SimulatedVessel] = Field(min_length=1)


def require_served(plant: Plant, command: str) -> None:
    """Refuse by name the devices that only their own driver can speak to.

    Raises:
        FailureError: a line a device.
    """
    lines = [
        f"{plant.path.name}: device.{name}.driver: {device.driver} is not allowed with {command}; "
        "it serves the wires of fermloop's own drivers only. Take the device out of a copy of the "
        "plant file, or use fermloop batch, where its class says virtual_time = True"
        for name, device in third_party(plant).items()
    ]
    if lines:
        raise FailureError(lines, USAGE)


def simulation(plant: Plant) -> dict[str, SimulatedVessel]:
    """Return what is simulated, by reactor: all but those whose devices have drivers of others.

    Raises:
        ConfigError: the table is missing or wrong, a reactor has none, what it names is not there,
            or somebody's own model is not fit to be run; a line a mistake.
    """
    ours = {t.reactor for t in _served(plant)}
    file = plant.path.name
    table = {k: v for k, v in read_toml(plant.path).items() if k == "simulation"}
    found = validate(Simulation, table, file).simulation if table or ours else {}
    reactors = plant.settings.reactor
    lines = [
        f"{file}: simulation.{name}: no such reactor; {', '.join(reactors)} are allowed"
        for name in found
        if name not in reactors
    ]
    lines += [
        f"{file}: simulation.{name}: missing; organism and vessel are required"
        for name in reactors
        if name in ours and name not in found
    ]
    lines += [
        f"{file}: simulation.{name}: is not allowed; no device of {name} would show it: the "
        "drivers of all are others'"
        for name in reactors
        if name in found and name not in ours
    ]
    for name in found.keys() & reactors.keys():
        at = f"{file}: simulation.{name}"
        lines += [f"{at}.{line}" for line in _not_there(plant, found[name])]
        try:
            model = reactor(found[name].organism, found[name].vessel)
        except (LoadError, ModelError) as error:
            lines += [f"{at}.organism: {line}" for line in str(error).splitlines()]
            continue
        if laboratory := found[name].laboratory:
            unknown = unknown_assays(model.organism, laboratory)
            lines += [f"{at}.laboratory.assays: {line}" for line in unknown]
        lines += _without_instrument(plant, name, found[name], model)
    if lines:
        raise ConfigError(lines)
    return found


def _not_there(plant: Plant, simulated: SimulatedVessel) -> Iterator[str]:
    """Yield a line for a file that is missing, and for a volume that the vessel cannot hold."""
    if simulated.faults and not (plant.path.parent / simulated.faults).is_file():
        yield f"faults: {simulated.faults}: no such file beside the plant file"
    most = VESSELS[simulated.vessel].total_volume_l
    if simulated.volume_l and simulated.volume_l > most:
        yield (
            f"volume_l: {simulated.volume_l:g} is not allowed; a vessel of {simulated.vessel} "
            f"holds {most:g} L at most"
        )


def _without_instrument(
    plant: Plant, name: str, simulated: SimulatedVessel, model: Bioreactor
) -> list[str]:
    """Return a line for each tag of a reactor that nothing of its simulated vessel can serve."""
    sheets, actuators = fitted(model), {n: a for n, a in model.actuators.items() if a.high}
    lines: list[str] = []
    for tag in _served(plant):
        own = tag.name.partition(".")[2]
        if tag.reactor != name:
            continue
        if tag.safe is None:
            why = wrong(sheets, own, tag.unit) if own not in actuators else ""
        elif own not in actuators:
            why = f"no actuator of this vessel; it has {', '.join(actuators)}"
        else:
            unit = actuators[own].unit
            why = "" if tag.unit == unit else f"unit {tag.unit} is not allowed; it takes {unit}"
        if why:
            what = f"simulation.{name}: {simulated.organism} in {simulated.vessel}"
            lines.append(f"{plant.path.name}: {tag.name}: {why} ({what})")
    return lines


def vessels(plant: Plant, seed: int, start: float) -> dict[str, Vessel]:
    """Return the simulated vessel of every reactor that has one.

    Args:
        plant: the checked plant file.
        seed: draws the vessels' parameters; each reactor has its own, the first has ``seed``.
        start: plant time at inoculation, s since 1970 UTC.

    Raises:
        ConfigError: the ``[simulation]`` table or a file of faults is missing or wrong; a line a
            mistake.
    """
    made: dict[str, Vessel] = {}
    lines: list[str] = []
    wires = {name: Wire() for name in plant.settings.device if name not in third_party(plant)}
    opcua = {name for name, s in plant.settings.device.items() if s.driver == "opcua"}
    for i, (name, s) in enumerate(simulation(plant).items()):
        tags = [t for t in _served(plant) if t.reactor == name]
        safe = {t.name: t.safe for t in tags if t.safe is not None}
        shown = {t.name.partition(".")[2]: t.unit for t in tags if t.safe is None}
        made[name] = Vessel(
            s.organism,
            s.vessel,
            seed + 1000 * i,
            name,
            start,
            safe=safe,
            volume_l=s.volume_l,
            substrate_g_per_l=s.substrate_g_per_l,
            biomass_g_per_l=s.biomass_g_per_l,
            instruments=shown,
            variation=s.variation,
        )
        made[name].step_s = s.step_s
        showing = {plant.device_of[t.name] for t in tags}
        faults = made[name].faults
        faults.wires = {n: wire for n, wire in wires.items() if n in showing}
        faults.opcua = frozenset(opcua & showing)
        if s.faults is not None:
            try:
                plan(plant.path.parent / s.faults, faults)
            except ConfigError as error:
                at = f"{plant.path.name}: simulation.{name}.faults"
                lines += [f"{at}: {line}" for line in error.lines]
    if lines:
        raise ConfigError(lines)
    return made


def require_simulation(plant: Plant) -> None:
    """Check the ``[simulation]`` table of a plant file that has one, with all that it names.

    Raises:
        ConfigError: a line a mistake.
    """
    if "simulation" not in read_toml(plant.path):
        return
    if any(s.faults for s in simulation(plant).values()):
        vessels(plant, 0, 0.0)  # only a vessel can say what of it can break


def laboratories(
    plant: Plant, made: Mapping[str, Vessel], folder: Path | None = None
) -> dict[str, Laboratory]:
    """Return the laboratories of simulated vessels: those that are asked for, with a folder all.

    Args:
        plant: the checked plant file.
        made: its simulated vessels.
        folder: gets the results as they are entered.

    Raises:
        ConfigError: as ``simulation``.
    """
    found: dict[str, Laboratory] = {}
    for name, s in simulation(plant).items():
        settings = s.laboratory
        if settings is None and folder is not None:
            settings = LaboratorySettings.model_validate({})
        if settings is not None:
            found[name] = Laboratory(made[name], settings, folder)
    return found


def truths(plant: Plant, made: Mapping[str, Vessel]) -> dict[str, Truth]:
    """Return the true record of every simulated vessel, from now on."""
    limits, tables = plant.settings.reactor, simulation(plant)
    return {n: Truth.of(v, limits[n].volume_max_l, tables[n].report) for n, v in made.items()}


def wires(made: Mapping[str, Vessel]) -> dict[str, Wire]:
    """Return the wire of every device that shows one of these vessels."""
    return {name: wire for vessel in made.values() for name, wire in vessel.faults.wires.items()}


def _served(plant: Plant) -> list[Tag]:
    """Return the tags that a simulated vessel can stand behind: those of our own drivers."""
    theirs = third_party(plant)
    return [t for t in plant.tags.values() if plant.device_of[t.name] not in theirs]
