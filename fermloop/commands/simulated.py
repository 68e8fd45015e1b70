"""The plant file's ``[simulation]`` table, which only the simulator reads."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import Field, field_validator

from controller.devices.third_party import third_party
from controller.plant import Plant
from controller.plant_file.config import ConfigError, Settings, read_toml, validate
from drivers.point import Tag
from drivers.third_party import LoadError
from fermloop.failure import USAGE, FailureError
from models.bioreactor import Bioreactor
from models.model import ModelError
from models.vessels import VESSELS
from sim.actuators import SWITCH
from sim.bare import BarePlant
from sim.bare_record import BareRecord
from sim.bare_settings import BareSettings
from sim.bare_wiring import wired
from sim.fault_file import plan
from sim.fittings import fitted, wrong
from sim.laboratory import Enter, Laboratory, LaboratorySettings, unknown_assays
from sim.lines import LINES, Lines
from sim.motion import Simulated
from sim.reactors import reactor, wrong_organism
from sim.reckoning import Reckoning
from sim.truth import Truth
from sim.variation import Variation
from sim.vessel import Vessel
from sim.wire import Wire


class Beside(Settings):
    """A tank beside the vessel: medium, or a seed."""

    volume_l: float = Field(gt=0, description="L")
    biomass_g_per_l: float = Field(0.0, ge=0, description="g/L")
    substrate_g_per_l: float = Field(0.0, ge=0, description="g/L")


class Clean(Settings):
    """How a vessel is found by a recipe that inoculates it itself."""

    volume_l: float = Field(gt=0, description="L of medium in it: all of it, or a rest")
    medium: Beside
    seed: Beside


class SimulatedVessel(Settings):
    """What stands behind a reactor's tags, and what is in it at inoculation."""

    organism: str = Field(description="one of ours, or package.module:Class of your own")
    vessel: Literal["5l", "300l", "100m3"]
    volume_l: float | None = Field(None, gt=0, description="L")
    substrate_g_per_l: float = Field(10.0, ge=0, description="g/L")
    report: Reckoning = Field(default_factory=lambda: Reckoning.model_validate({}))
    biomass_g_per_l: float = Field(0.3, gt=0, description="g/L, by the inoculation plan")
    clean: Clean | None = Field(None, description="for recipes that inoculate, see sim/README.md")
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
    """One table a simulated reactor with an organism in a vessel."""

    simulation: dict[str, SimulatedVessel] = Field(min_length=1)


class OwnModels(Settings):
    """One table a simulated reactor that is a model of somebody's own."""

    simulation: dict[str, BareSettings]


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


def simulation(plant: Plant) -> dict[str, SimulatedVessel | BareSettings]:
    """Return what is simulated, by reactor: all but those whose devices have drivers of others.

    Raises:
        ConfigError: the table is missing or wrong, a reactor has none, what it names is not there,
            or somebody's own model is not fit to be run; a line a mistake.
    """
    ours = {t.reactor for t in _served(plant)}
    file = plant.path.name
    found = _tables(plant, bool(ours))
    reactors = plant.settings.reactor
    lines = [
        f"{file}: simulation.{name}: no such reactor; {', '.join(reactors)} are allowed"
        for name in found
        if name not in reactors
    ]
    lines += [
        f"{file}: simulation.{name}: missing; organism and vessel, or model, are required"
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
        table = found[name]
        if table.faults and not (plant.path.parent / table.faults).is_file():
            why = f"{table.faults}: no such file beside the plant file"
            lines.append(f"{file}: simulation.{name}.faults: {why}")
        if isinstance(table, BareSettings):
            lines += _unfit(plant, name, table)
        else:
            lines += _not_simulated(plant, name, table)
    if lines:
        raise ConfigError(lines)
    return found


def _tables(plant: Plant, needed: bool) -> dict[str, SimulatedVessel | BareSettings]:
    """Return the tables of ``[simulation]`` in their order.

    Raises:
        ConfigError: they are missing though ``needed``, or wrong; a line a mistake.
    """
    file, key = plant.path.name, "simulation"
    whole = {k: v for k, v in read_toml(plant.path).items() if k == key}
    if not whole and not needed:
        return {}
    tables: Any = whole.get(key)
    if not isinstance(tables, dict):
        return {**validate(Simulation, whole, file).simulation}
    given = cast("dict[str, Any]", tables)
    own: dict[str, Any] = {n: t for n, t in given.items() if isinstance(t, dict) and "model" in t}
    lines = [
        f"{file}: {key}.{name}.{other}: is not allowed beside model; it is one of ours in a "
        "vessel, or a model of your own"
        for name, table in own.items()
        for other in ("organism", "vessel")
        if other in table
    ]
    if lines:
        raise ConfigError(lines)
    found: dict[str, SimulatedVessel | BareSettings] = {}
    rest: dict[str, Any] = {n: t for n, t in given.items() if n not in own}
    for kind, part in ((Simulation, rest), (OwnModels, own)):
        if part or not given:
            try:
                found |= validate(kind, {key: part}, file).simulation
            except ConfigError as error:
                lines += error.lines
    if lines:
        raise ConfigError(lines)
    return {name: found[name] for name in given}


def _unfit(plant: Plant, name: str, table: BareSettings) -> list[str]:
    """Return a line for each fault of somebody's own model, and of how it fits the plant file."""
    try:
        wired(name, table, [t for t in _served(plant) if t.reactor == name])
    except ConfigError as error:
        return [f"{plant.path.name}: {line}" for line in error.lines]
    return []


def _not_simulated(plant: Plant, name: str, simulated: SimulatedVessel) -> list[str]:
    """Return a line for each thing of a table that an organism in a vessel cannot be or show."""
    at = f"{plant.path.name}: simulation.{name}"
    lines = [f"{at}.{line}" for line in _too_full(simulated)]
    try:
        model = reactor(simulated.organism, simulated.vessel)
    except (LoadError, ModelError) as error:
        return [*lines, *(f"{at}.organism: {line}" for line in str(error).splitlines())]
    if simulated.laboratory:
        unknown = unknown_assays(model.organism, simulated.laboratory)
        lines += [f"{at}.laboratory.assays: {line}" for line in unknown]
    return [*lines, *_without_instrument(plant, name, simulated, model)]


def _too_full(simulated: SimulatedVessel) -> Iterator[str]:
    """Yield a line for a volume that the vessel cannot hold."""
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
    sheets = fitted(model)
    actuators = {n: a.unit for n, a in model.actuators.items() if a.high}
    actuators |= {n: unit for n, (unit, _) in LINES.get(simulated.vessel, {}).items()}
    lines: list[str] = []
    for tag in _served(plant):
        own = tag.name.partition(".")[2]
        if tag.reactor != name:
            continue
        if tag.safe is None:
            switch_or_drive = own.removesuffix(SWITCH) in actuators
            why = "" if switch_or_drive else wrong(sheets, own, tag.unit)
        elif own not in actuators:
            why = f"no actuator of this vessel; it has {', '.join(actuators)}"
        else:
            unit = actuators[own]
            why = "" if tag.unit == unit else f"unit {tag.unit} is not allowed; it takes {unit}"
        if why:
            what = f"simulation.{name}: {simulated.organism} in {simulated.vessel}"
            lines.append(f"{plant.path.name}: {tag.name}: {why} ({what})")
    return lines


def vessels(
    plant: Plant, seed: int, start: float, clean: Collection[str] = ()
) -> dict[str, Simulated]:
    """Return the simulated vessel of every reactor that has one.

    Args:
        plant: the checked plant file.
        seed: draws the vessels' parameters; each reactor has its own, the first has ``seed``.
        start: plant time at inoculation, s since 1970 UTC.
        clean: reactors that begin as their recipe finds them before it inoculates.

    Raises:
        ConfigError: the ``[simulation]`` table or a file of faults is missing or wrong; a line a
            mistake.
    """
    made: dict[str, Simulated] = {}
    lines: list[str] = []
    wires = {name: Wire() for name in plant.settings.device if name not in third_party(plant)}
    opcua = {name for name, s in plant.settings.device.items() if s.driver == "opcua"}
    for i, (name, s) in enumerate(simulation(plant).items()):
        tags = [t for t in _served(plant) if t.reactor == name]
        drawn = seed + 1000 * i
        found = None if isinstance(s, BareSettings) else s.clean
        if name in clean and found is None:
            at = f"{plant.path.name}: simulation.{name}.clean"
            lines.append(f"{at}: missing; a recipe that inoculates begins there")
        if isinstance(s, BareSettings):
            made[name] = BarePlant(s, tags, drawn, name, start)
        else:
            made[name] = _vessel(s, tags, drawn, name, start, found if name in clean else None)
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


def _vessel(
    s: SimulatedVessel, tags: Sequence[Tag], seed: int, name: str, start: float, clean: Clean | None
) -> Vessel:
    made = Vessel(
        s.organism,
        s.vessel,
        seed,
        name,
        start,
        safe={t.name: t.safe for t in tags if t.safe is not None},
        volume_l=s.volume_l if clean is None else clean.volume_l,
        substrate_g_per_l=s.substrate_g_per_l if clean is None else clean.medium.substrate_g_per_l,
        biomass_g_per_l=s.biomass_g_per_l if clean is None else 0.0,
        instruments={t.name.partition(".")[2]: t.unit for t in tags if t.safe is None},
        variation=s.variation,
    )
    made.step_s = s.step_s
    if clean is not None:
        beside(made, clean.medium, clean.seed)
    return made


def beside(vessel: Vessel, medium: Beside, seed: Beside) -> None:
    """Put its tanks beside a vessel; the seed's strain is the vessel's."""
    vessel.lines = Lines(
        vessel,
        {
            name: vessel.tank(t.volume_l, t.biomass_g_per_l, t.substrate_g_per_l)
            for name, t in (("medium", medium), ("seed", seed))
        },
    )


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
    plant: Plant, made: Mapping[str, Simulated], enter: Enter, *, every: bool = False
) -> dict[str, Laboratory]:
    """Return the laboratories of simulated vessels.

    A model of somebody's own has none: nobody knows what could be assayed.

    Args:
        plant: the checked plant file.
        made: its simulated vessels.
        enter: gets the results as they are entered.
        every: of all vessels, not only where the plant file asks for one.

    Raises:
        ConfigError: as ``simulation``.
    """
    found: dict[str, Laboratory] = {}
    for name, s in simulation(plant).items():
        vessel = made[name]
        if isinstance(s, BareSettings) or not isinstance(vessel, Vessel):
            continue
        settings = s.laboratory
        if settings is None and every:
            settings = LaboratorySettings.model_validate({})
        if settings is not None:
            found[name] = Laboratory(vessel, settings, enter)
    return found


def truths(plant: Plant, made: Mapping[str, Simulated]) -> dict[str, Truth | BareRecord]:
    """Return the true record of every simulated vessel, from now on."""
    found: dict[str, Truth | BareRecord] = {}
    for name, s in simulation(plant).items():
        vessel, most = made[name], plant.settings.reactor[name].volume_max_l
        if isinstance(vessel, BarePlant):
            found[name] = BareRecord.of(vessel, most)
        elif isinstance(vessel, Vessel) and isinstance(s, SimulatedVessel):
            found[name] = Truth.of(vessel, most, s.report)
    return found


def wires(made: Mapping[str, Simulated]) -> dict[str, Wire]:
    """Return the wire of every device that shows one of these vessels."""
    return {name: wire for vessel in made.values() for name, wire in vessel.faults.wires.items()}


def _served(plant: Plant) -> list[Tag]:
    """Return the tags that a simulated vessel can stand behind: those of our own drivers."""
    theirs = third_party(plant)
    return [t for t in plant.tags.values() if plant.device_of[t.name] not in theirs]
