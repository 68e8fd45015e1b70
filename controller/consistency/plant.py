"""What no table of a plant file can see alone: duplicates, unknown tags, ranges that do not fit."""

from collections.abc import Iterator, Mapping

from controller.consistency.alarms import wrong_alarms
from controller.consistency.devices import wrong_keys, wrong_lines, wrong_place
from controller.consistency.loops import wrong_loop
from controller.consistency.protection import wrong_protection
from controller.consistency.registers import Taken
from controller.plant_file.device_settings import DeviceSettings, TagSettings
from controller.plant_file.settings import PlantSettings, ReactorSettings
from controller.plant_file.units import ML_PER_H
from controller.sensing.gas import GasBalance
from controller.sensing.readings import PER
from drivers.point import Tag

# UCUM codes that a plant may use; a new one is added here with the quantity it is for.
UNITS = {
    "Cel": "temperature",
    "[pH]": "pH",
    "%": "share, DO as % of air saturation, valve position",
    "{r}/min": "agitation",
    "L/min": "gas flow",
    "L/h": "feed",
    "mL/h": "feed",
    "mL/min": "dosing",
    "mL/s": "dosing",
    "m3/h": "gas or water flow",
    "kg/h": "mass flow",
    "g/min": "mass flow",
    "kg": "weight",
    "g": "weight",
    "t": "weight",
    "L": "volume",
    "mL": "volume",
    "m3": "volume",
    "m": "level",
    "cm": "level",
    "mm": "level",
    "bar": "pressure",
    "mbar": "pressure",
    "kPa": "pressure",
    "MPa": "pressure",
    "g/L": "concentration",
    "mg/L": "concentration",
    "mmol/L": "concentration",
    "mmol/(L.h)": "uptake by cells",
    "1/h": "rate, kLa",
    "[ppm]": "share of a gas",
    "mS/cm": "conductivity, capacitance probes",
    "uS/cm": "conductivity",
    "V": "voltage",
    "mV": "voltage of a probe",
    "A": "current",
    "mA": "current of a loop",
    "W": "power",
    "kW": "power",
    "Hz": "frequency of a drive",
    "N.m": "torque",
    "mPa.s": "viscosity",
    "s": "time",
    "min": "time",
    "h": "time",
    "1": "a number",
}
# What a measurement must be to stand for a quantity that the estimator or the console uses.
# The first unit is what an estimator computes with.
MEANINGS = {
    "temperature": ("Cel",),
    "ph": ("[pH]",),
    "do": ("%",),
    "agitation": ("{r}/min",),
    "offgas_o2": ("%",),
    "offgas_co2": ("%",),
    "air_flow": ("L/min", "m3/h"),
    "oxygen_flow": ("L/min", "m3/h"),
    "weight": ("kg", "t"),
    "feed_weight": ("kg", "t"),
    "pressure": ("bar", "mbar", "kPa"),
    "foam": ("%",),
    "capacitance": ("g/L", "mS/cm"),
    "turbidity": ("g/L",),
    "ethanol": ("g/L",),
}


def inconsistencies(plant: PlantSettings) -> Iterator[str]:
    """Yield what no table alone can see, each with its key, value and what was allowed."""
    tags: dict[str, TagSettings] = {}
    for name, device in plant.device.items():
        yield from _device(name, device, plant, tags)
    yield from wrong_lines(plant.device)
    actuators = {n for n, t in tags.items() if t.safe is not None}
    driven: dict[str, str] = {}
    for name, reactor in plant.reactor.items():
        yield from _reactor(name, reactor, plant, tags, actuators, driven)
    yield from _switches(tags)
    for actuator in sorted(actuators - driven.keys()):
        yield f"{actuator}: no loop drives it; one loop's outputs must name every actuator"


def _switches(tags: Mapping[str, TagSettings]) -> Iterator[str]:
    """Yield what is wrong with local/remote switches."""
    for name, tag in tags.items():
        if tag.remote is None:
            continue
        where = f"{name}.remote"
        switch, reactor = tags.get(tag.remote), name.partition(".")[0]
        if tag.safe is None:
            yield f"{where}: is not allowed; {name} is no actuator (safe is missing)"
        if switch is None or switch.safe is not None or not switch.name.startswith(f"{reactor}."):
            yield f"{where}: {tag.remote} is not allowed; a measurement of the same reactor"
        elif (switch.low, switch.high) != (0, 1):
            yield (
                f"{where}: {tag.remote} from {switch.low:g} to {switch.high:g} is not allowed; "
                "low = 0 (local) and high = 1 (remote)"
            )


def _device(
    name: str, device: DeviceSettings, plant: PlantSettings, tags: dict[str, TagSettings]
) -> Iterator[str]:
    key = f"device.{name}"
    taken: Taken = {}
    yield from wrong_keys(key, device)
    for i, t in enumerate(device.tags):
        where = f"{key}.tags.{i} ({t.name})"
        if t.name in tags:
            yield f"{where}: duplicate name; {t.name} is defined already"
        tags[t.name] = t
        if t.name.partition(".")[0] not in plant.reactor:
            reactors = ", ".join(plant.reactor)
            yield f"{where}: no such reactor; the name must start with one of {reactors}"
        if t.unit not in UNITS:
            yield f"{where}.unit: {t.unit} is not allowed; one of {', '.join(UNITS)}"
        try:
            t.tag()
        except ValueError as error:
            yield f"{where}: {error}"
        yield from wrong_place(where, device, t, taken)


def _reactor(
    name: str,
    reactor: ReactorSettings,
    plant: PlantSettings,
    tags: Mapping[str, TagSettings],
    actuators: set[str],
    driven: dict[str, str],
) -> Iterator[str]:
    key = f"reactor.{name}"
    calculated = _calculated(name, reactor, tags)

    def unknown(where: str, tag: str, among: set[str] | None = None) -> Iterator[str]:
        pool = tags.keys() | calculated if among is None else among
        if tag not in pool or tag.partition(".")[0] != name:
            own = sorted(t for t in pool if t.partition(".")[0] == name)
            what = "tag" if among is None else "actuator"
            yield f"{where}: {tag} is not allowed; a known {what} of {name}: {', '.join(own)}"

    for meaning, tag in reactor.measured.items():
        where = f"{key}.measured.{meaning}"
        if meaning not in MEANINGS:
            yield f"{where}: no such key; {', '.join(MEANINGS)} are allowed"
            continue
        wrong = list(unknown(where, tag))
        yield from wrong
        own = MEANINGS[meaning]
        units = own if reactor.model is None else [u for u in own if u == own[0] or u in PER]
        if not wrong and tags[tag].unit not in units:
            yield f"{where}: {tag} in {tags[tag].unit} is not allowed; {' or '.join(units)}"
    for consumer, tag in reactor.report.power.items():
        where = f"{key}.report.power.{consumer}"
        wrong = list(unknown(where, tag))
        yield from wrong
        if not wrong and tag in tags and tags[tag].unit not in ("W", "kW"):
            yield f"{where}: {tag} in {tags[tag].unit} is not allowed; W or kW"
    yield from _pumps(name, reactor, tags)
    for loop_name, loop in reactor.loop.items():
        yield from wrong_loop(f"{key}.loop.{loop_name}", loop, reactor, tags, driven, unknown)
    yield from wrong_protection(key, reactor, tags, plant.bypass_max_min, unknown)
    yield from wrong_alarms(name, reactor, tags)
    yield from _model(key, reactor)


def _pumps(name: str, reactor: ReactorSettings, tags: Mapping[str, TagSettings]) -> Iterator[str]:
    """Yield what the report of a batch would not find: the pumps that it reckons with."""
    pumps = [t.partition(".")[2] for t, s in tags.items() if s.unit in ML_PER_H]
    pumps = [p for p in pumps if f"{name}.{p}" in tags]
    for field in ("substrate_g_per_l", "ammonia_mol_per_l"):
        for pump in getattr(reactor.report, field):
            if pump not in pumps:
                where = f"reactor.{name}.report.{field}.{pump}"
                yield f"{where}: {name}.{pump} is no tag of a flow; {', '.join(pumps)} are"


def _calculated(
    name: str, reactor: ReactorSettings, tags: Mapping[str, TagSettings]
) -> frozenset[str]:
    """Return the names of the tags that will be calculated, without looking at any range."""
    plain = {n: Tag(n, t.unit, 0.0, 1.0) for n, t in tags.items()}
    gas = GasBalance(name, reactor.measured, plain)
    return frozenset(t.name for t in gas.tags.values())


def _model(key: str, reactor: ReactorSettings) -> Iterator[str]:
    """Yield what an estimator or optimiser would miss."""
    s = reactor.optimiser
    if s is None:
        return
    if reactor.model is None:
        yield f"{key}.model: missing; an optimiser needs a model"
    if reactor.economy is None:
        yield (
            f"{key}.economy: missing; an optimiser needs it: organism, vessel, a table move (loops "
            "that it may set) and a table price (what is worth what)"
        )
    elif s.feed_loop not in reactor.economy.move:
        yield f"{key}.economy.move: {s.feed_loop} is missing; the loop of the main feed is required"
    if reactor.economy is not None and reactor.model is not None:
        for field in ("organism", "vessel"):  # what is believed of one says nothing of another
            planned, believed = getattr(reactor.economy, field), getattr(reactor.model, field)
            if planned != believed:
                where = f"{key}.economy.{field}"
                yield f"{where}: {planned} is not allowed; {believed}, as in {key}.model"
    outputs = reactor.loop[s.do_loop].outputs if s.do_loop in reactor.loop else ()
    for needed in sorted({"agitation", "air"} - {o.loop for o in outputs}):
        yield f"{key}.optimiser.do_loop: {s.do_loop} must lead a loop {needed} (it reaches oxygen)"
    for field in ("feed_loop", "do_loop"):
        loop = getattr(s, field)
        if loop not in reactor.loop:
            loops = ", ".join(reactor.loop)
            yield f"{key}.optimiser.{field}: {loop} is not allowed; one of {loops}"
