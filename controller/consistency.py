"""What no table of a plant file can see alone: duplicates, unknown tags, ranges that do not fit."""

from collections.abc import Iterator, Mapping
from typing import Any

from controller.device_consistency import wrong_keys, wrong_lines, wrong_place
from controller.device_settings import DeviceSettings, TagSettings
from controller.protection_consistency import wrong_protection
from controller.register_consistency import Taken
from controller.settings import LoopSettings, PlantSettings, ReactorSettings

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
    "bar": "pressure",
    "mbar": "pressure",
    "kPa": "pressure",
    "MPa": "pressure",
    "g/L": "concentration",
    "mg/L": "concentration",
    "mmol/L": "concentration",
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
    for actuator in sorted(actuators - driven.keys()):
        yield f"{actuator}: no loop drives it; one loop's outputs must name every actuator"


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

    def unknown(where: str, tag: str, among: set[str] | None = None) -> Iterator[str]:
        pool = tags.keys() if among is None else among
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
        units = MEANINGS[meaning][: None if reactor.model is None else 1]
        if not wrong and tags[tag].unit not in units:
            yield f"{where}: {tag} in {tags[tag].unit} is not allowed; {' or '.join(units)}"
    for loop_name, loop in reactor.loop.items():
        yield from _loop(f"{key}.loop.{loop_name}", name, loop, reactor, tags, driven, unknown)
    yield from wrong_protection(key, reactor, tags, plant.bypass_max_min, unknown)
    yield from _model(key, reactor)


def _loop(
    key: str,
    reactor_name: str,
    loop: LoopSettings,
    reactor: ReactorSettings,
    tags: Mapping[str, TagSettings],
    driven: dict[str, str],
    unknown: Any,
) -> Iterator[str]:
    if loop.measured is not None:
        yield from unknown(f"{key}.measured", loop.measured)
        for needed, words in (("kp", "% per measured unit, > 0"), ("ti_s", "s, > 0")):
            if getattr(loop, needed) is None:
                yield f"{key}.{needed}: missing; {needed} ({words}) is required with measured"
    elif len(loop.outputs) != 1 or loop.outputs[0].actuator is None:
        yield f"{key}.outputs: a loop without measured needs exactly one actuator"
    if not loop.setpoint_low < loop.setpoint_high:
        yield f"{key}.setpoint_low: {loop.setpoint_low:g} must be below {loop.setpoint_high:g}"
    elif not loop.setpoint_low <= loop.setpoint <= loop.setpoint_high:
        yield (
            f"{key}.setpoint: {loop.setpoint:g} is not allowed; "
            f"{loop.setpoint_low:g} to {loop.setpoint_high:g}"
        )
    for tag in (*loop.needs, *loop.zero_without):
        yield from unknown(f"{key}.needs", tag)
    for i, out in enumerate(loop.outputs):
        where = f"{key}.outputs.{i}"
        if out.loop is not None:
            target = reactor.loop.get(out.loop)
            if target is None or target.measured is not None:
                stations = ", ".join(n for n, s in reactor.loop.items() if s.measured is None)
                yield f"{where}.loop: {out.loop} is not allowed; one of {stations}"
            elif out.characteristic == "equal_percentage" and target.setpoint_low <= 0:
                yield f"{where}: equal_percentage needs setpoint_low > 0 of {out.loop}"
            continue
        actuator = out.actuator or ""
        known = {n for n, t in tags.items() if t.safe is not None}
        wrong = list(unknown(f"{where}.actuator", actuator, known))
        yield from wrong
        if wrong:
            continue
        if actuator in driven:
            yield f"{where}.actuator: {actuator} is not allowed; {driven[actuator]} drives it"
        driven[actuator] = key
        t = tags[actuator]
        if loop.measured is None:
            for edge in ("setpoint_low", "setpoint_high"):
                if not t.low <= getattr(loop, edge) <= t.high:
                    yield (
                        f"{key}.{edge}: {getattr(loop, edge):g} is not allowed; "
                        f"{t.low:g} to {t.high:g} {t.unit} of {actuator}"
                    )
            if loop.fallback is not None and not t.low <= loop.fallback <= t.high:
                yield f"{key}.fallback: {loop.fallback:g} is outside {t.low:g} to {t.high:g}"


def _model(key: str, reactor: ReactorSettings) -> Iterator[str]:
    """Yield what an estimator or optimiser would miss."""
    s = reactor.optimiser
    if s is None:
        return
    if reactor.model is None:
        yield f"{key}.model: missing; an optimiser needs a model"
    outputs = reactor.loop[s.do_loop].outputs if s.do_loop in reactor.loop else ()
    for needed in sorted({"agitation", "air"} - {o.loop for o in outputs}):
        yield f"{key}.optimiser.do_loop: {s.do_loop} must lead a loop {needed} (it reaches oxygen)"
    for field in ("feed_loop", "do_loop"):
        loop = getattr(s, field)
        if loop not in reactor.loop:
            loops = ", ".join(reactor.loop)
            yield f"{key}.optimiser.{field}: {loop} is not allowed; one of {loops}"
    if not s.do_min < s.do_max:
        yield f"{key}.optimiser.do_min: {s.do_min:g} must be below do_max"
