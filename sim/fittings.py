"""Which instruments a vessel has, as data: what their makers' data sheets would say (PROCESS 3).

A plant file names the ones that it wants, by the part of a tag after the dot.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from models.bioreactor import Bioreactor
from models.penicillin import Penicillin
from models.vessels import LIQUID_L_PER_H

Range = tuple[float, float]  # one piece differs from another by as much


@dataclass(frozen=True, slots=True)
class Sheet:
    """What an instrument is like; ``gain``, ``offset``, ``drift`` are one standard deviation.

    Attributes:
        unit: of the reading.
        of: what it looks at: ``x.`` a state, ``u.`` an input, ``y.`` an output of the model, or
            one of the things that ``sim.sights`` works out.
        lag_s: time constant.
        noise: standard deviation.
        share: of the reading, which is added to it.
        gain: of the calibration, as a share.
        offset: of the calibration.
        drift: a day.
        digit: the last that is shown.
        delay_s: dead time; that of ``line`` comes on top.
        line: whether it is behind the sample line of the gas analyser.
        every_s: time between readings.
        full: where a reading bends and ends, in ``of``'s unit.
        scale: of ``of``'s unit into ``unit``.
        start: what it saw before the first step, if not what is there then.
    """

    unit: str
    of: str
    lag_s: float | Range = 0.0
    noise: float = 0.0
    share: float = 0.0
    gain: float = 0.0
    offset: float = 0.0
    drift: float = 0.0
    digit: float = 0.0
    delay_s: float = 0.0
    line: bool = False
    every_s: float = 0.0
    full: float = 0.0
    scale: float = 1.0
    start: float | None = None


LINE_S: Final[Mapping[str, Range]] = {  # transport to the gas analyser
    "5l": (30.0, 60.0),
    "300l": (45.0, 90.0),
    "100m3": (60.0, 180.0),
}
# the gas flow controllers show what they believe they give: they are as wrong as their flow
GAS: Final = {"air_flow": "air", "oxygen_flow": "oxygen"}
CELLS: Final[Mapping[str, tuple[str, ...]]] = {  # what scatters light besides living cells
    "penicillin": ("Xd",),
    "yeast_twin": ("G",),
}
ALIVE: Final[Mapping[str, tuple[str, ...]]] = {  # shares of the biomass that live, if not all
    "penicillin_structured": ("a0", "a1"),
}

# The eleven of every vessel first, in the order of their draws; then the others.
BENCH: Final[Mapping[str, Sheet]] = {
    "temperature": Sheet("Cel", "x.T", 10.0, 0.02, offset=0.05, digit=0.01),
    "jacket_temperature": Sheet("Cel", "x.Tj", 5.0, 0.03, offset=0.1, digit=0.01),
    "ph": Sheet("[pH]", "x.pH", 8.0, 0.005, offset=0.01, drift=0.003),
    "do": Sheet("%", "y.DO", (20.0, 40.0), 0.3, gain=0.015, offset=0.3, drift=0.2, start=100.0),
    "agitation": Sheet("{r}/min", "u.stirrer", 0.5, 0.5, digit=1.0),
    "offgas_o2": Sheet("%", "percent.yO2", 10.0, 0.01, offset=0.02, drift=0.03, line=True),
    "offgas_co2": Sheet("%", "percent.yCO2", 10.0, 0.008, offset=0.01, drift=0.01, line=True),
    "air_flow": Sheet("", "u.air", 0.5),
    "oxygen_flow": Sheet("", "u.oxygen", 0.5),
    "weight": Sheet("kg", "x.M", 2.0, 0.001, offset=0.002, digit=1e-4),
    "feed_weight": Sheet("kg", "left.feed", 2.0, 0.0005, digit=1e-4),
    "capacitance": Sheet("g/L", "cells.alive", (10.0, 30.0), 0.15, 0.02, gain=0.12),
    "turbidity": Sheet("g/L", "cells.all", 3.0, 0.02, 0.02, 0.05, 0.05, 0.05, full=60.0),
    "glucose": Sheet("g/L", "called.substrate", 180.0, 0.4, gain=0.12, offset=0.2, drift=0.05),
    "ethanol": Sheet("g/L", "called.ethanol", 120.0, 0.15, gain=0.12, offset=0.05, drift=0.03),
    "head_pressure": Sheet("bar", "y.head", 0.5, 0.001, offset=0.003, digit=0.001),
    "foam": Sheet("%", "x.foam", 5.0, 1.0, offset=1.0, digit=0.5),
    "power": Sheet("W", "motor", 1.0, 0.02, 0.01, gain=0.03, digit=0.1),
    "viscosity": Sheet("mPa.s", "viscosity", 30.0, 1.0, 0.05, gain=0.10, digit=0.1),
    "coolant_temperature": Sheet("Cel", "coolant", 10.0, 0.03, offset=0.1, digit=0.01),
}
_PILOT: Final[Mapping[str, Mapping[str, float | Range | str]]] = {
    "temperature": {"lag_s": 15.0},
    "jacket_temperature": {"lag_s": 8.0},
    "ph": {"lag_s": 10.0, "noise": 0.008, "offset": 0.015, "drift": 0.005},
    "do": {"lag_s": (20.0, 45.0)},
    "weight": {"noise": 0.05, "offset": 0.1, "drift": 0.05, "digit": 0.02},
    "head_pressure": {"noise": 0.002, "offset": 0.005},
    "power": {"unit": "kW", "scale": 1e-3, "noise": 0.005, "digit": 0.01},
}
_PRODUCTION: Final[Mapping[str, Mapping[str, float | Range | str]]] = {
    "temperature": {"lag_s": (20.0, 30.0), "offset": 0.1},  # thick thermowells
    "jacket_temperature": {"lag_s": (15.0, 30.0), "offset": 0.15},
    "ph": {"lag_s": (15.0, 30.0), "noise": 0.01, "offset": 0.02, "drift": 0.01},
    "do": {"lag_s": (30.0, 60.0), "noise": 0.5, "gain": 0.02, "drift": 0.3},
    "agitation": {"noise": 0.1, "digit": 0.1},
    # one mass spectrometer goes from vessel to vessel
    "offgas_o2": {"noise": 0.004, "offset": 0.01, "drift": 0.02, "every_s": 300.0},
    "offgas_co2": {"noise": 0.004, "offset": 0.01, "drift": 0.02, "every_s": 300.0},
    "weight": {"lag_s": 5.0, "noise": 20.0, "offset": 50.0, "drift": 10.0, "digit": 10.0},
    "head_pressure": {"noise": 0.003, "offset": 0.01, "digit": 0.005},
    "power": {"unit": "kW", "scale": 1e-3, "lag_s": 2.0, "noise": 0.2, "digit": 0.1},
    "coolant_temperature": {"lag_s": 20.0, "offset": 0.15},
}
_SCALES: Final = {"5l": {}, "300l": _PILOT, "100m3": _PRODUCTION}
_BOTTLE: Final = {"5l": (0.0005, 1e-4), "300l": (0.02, 0.005), "100m3": (8.0, 2.0)}  # kg
_UNITS: Final[tuple[Mapping[str, float], ...]] = (  # of one quantity, in that of the first
    {"kg": 1.0, "t": 1e3, "g": 1e-3},
    {"bar": 1.0, "mbar": 1e-3, "kPa": 1e-2},
    {"W": 1.0, "kW": 1e3},
    {"L": 1.0, "mL": 1e-3, "m3": 1e3},
    {"m": 1.0, "cm": 1e-2, "mm": 1e-3},
    {**LIQUID_L_PER_H, "L/min": 60.0, "m3/h": 1e3},
)


def fitted(reactor: Bioreactor) -> dict[str, Sheet]:
    """Return the instruments of an organism in a vessel, by name; the vessel's own first."""
    vessel, actuators = reactor.vessel, {n: a for n, a in reactor.actuators.items() if a.high}
    changed = _SCALES[vessel.name]
    found = {name: replace(s, **changed.get(name, {})) for name, s in BENCH.items()}
    hiss = 0.001 * actuators["air"].high
    for name, actuator in GAS.items():
        a = actuators[actuator]
        found[name] = replace(found[name], unit=a.unit, noise=hiss, start=a.safe)
    found["agitation"] = replace(found["agitation"], start=actuators["stirrer"].safe)
    noise, digit = _BOTTLE[vessel.name]
    found["feed_weight"] = replace(found["feed_weight"], noise=noise, digit=digit)
    liquids = [n for n, a in actuators.items() if a.unit in LIQUID_L_PER_H]
    for name in liquids:
        a = actuators[name]
        of = f"u.{name}" if vessel.name == "100m3" else f"speed.{name}"
        found[f"{name}_flow"] = Sheet(a.unit, of, 0.5, 0.002 * a.high, digit=a.step)
        if name != "harvest":
            weight = Sheet("kg", f"left.{name}", 2.0, noise, digit=digit)
            found.setdefault(f"{name}_weight", weight)
    for name in [n for n, s in found.items() if not _has(reactor, s.of)]:
        del found[name]
    return found


def _has(reactor: Bioreactor, of: str) -> bool:
    kind, _, name = of.partition(".")
    if kind == "called":
        return name in reactor.organism.called
    if kind == "viscosity":
        structured = any(s.name == "eta" for s in reactor.states)
        return structured or isinstance(reactor.organism, Penicillin)
    return kind != "x" or any(s.name == name for s in reactor.states)


def units(unit: str) -> dict[str, float]:
    """Return the units in which something in ``unit`` can be shown, and how many there are of it.

    ``units("kg")`` has ``g``: 1000. Every unit can be shown as it is.
    """
    same = next((group for group in _UNITS if unit in group), {unit: 1.0})
    return {unit: 1.0} | {other: same[unit] / size for other, size in same.items()}


def in_unit(sheet: Sheet, unit: str) -> Sheet | None:
    """Return an instrument that is set to show ``unit``; ``None`` if it cannot."""
    factor = units(sheet.unit).get(unit)
    if factor is None:
        return None
    return replace(
        sheet,
        unit=unit,
        noise=factor * sheet.noise,
        offset=factor * sheet.offset,
        drift=factor * sheet.drift,
        digit=factor * sheet.digit,
        scale=factor * sheet.scale,
    )


def wrong(sheets: Mapping[str, Sheet], name: str, unit: str) -> str:
    """Return what is wrong with wanting an instrument to show ``unit``, if anything."""
    if name not in sheets:
        return f"no instrument of this vessel; it has {', '.join(sheets)}"
    allowed = units(sheets[name].unit)
    if unit == "" or unit in allowed:
        return ""
    return f"unit {unit} is not allowed; it shows {' or '.join(allowed)}"
