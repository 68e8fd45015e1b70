"""Faults of sensors: what a probe feels, and what its transmitter makes of that.

Sources of the failure modes: the instruments' usual ones; sizes are ours where a table gives none.
"""

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from sim.fault_kinds import (
    BALANCE,
    CELLS,
    DO,
    LINE,
    PH,
    PT100,
    SENSOR,
    Begin,
    Case,
    End,
    Kind,
    Size,
    each,
    of_range,
    percent,
)
from sim.faulty import FaultyFeeling, FaultyReading, Feeling, Probe, Reading, insert, lag

ROOM_AIR: Final = {"offgas_o2": 20.95, "offgas_co2": 0.04}  # %
PT100_OPEN, PT100_SHORT = 850.0, -200.0  # Cel: the ends of the transmitter's scale


def reading(make: Callable[[Case, str], Reading]) -> Begin:
    """Return what changes the reading of each part."""

    def fit(case: Case, part: str) -> End:
        change = make(case, part)
        return _fit(case, part, lambda inner: FaultyReading(inner, change))

    return each(fit)


def feeling(make: Callable[[Case, str], Feeling]) -> Begin:
    """Return what changes what the sensor feels."""

    def fit(case: Case, part: str) -> End:
        change = make(case, part)
        return _fit(case, part, lambda inner: FaultyFeeling(inner, change))

    return each(fit)


def _fit(case: Case, part: str, fit: Callable[[Probe], Probe]) -> End:
    instruments = case.vessel.panel.instruments
    return insert(instruments, f"{case.vessel.prefix}.{part}", fit)


def _shown(case: Case, part: str) -> float:
    return case.vessel.read(f"{case.vessel.prefix}.{part}")


def _stuck(case: Case, part: str) -> Reading:
    at = _shown(case, part) if math.isnan(case.size) else case.size
    return lambda y, age: at


def _saturated(case: Case, part: str) -> Reading:
    most = _shown(case, part) if math.isnan(case.size) else case.size
    return lambda y, age: min(y, most)


def _tare(case: Case, part: str) -> Reading:
    zero = _shown(case, part)
    return lambda y, age: y - zero


def _drift(case: Case, part: str) -> Reading:
    start, rate = case.vessel.age, case.size / 3600.0
    return lambda y, age: y + rate * (age - start)


def _noise(case: Case, part: str) -> Reading:
    normal = np.random.default_rng(case.seed).standard_normal
    return lambda y, age: y + case.size * float(normal())


def _ground_loop(case: Case, part: str) -> Reading:
    normal = np.random.default_rng(case.seed).standard_normal
    return lambda y, age: y + case.size * (1.0 + 0.3 * float(normal()))


def _uncompensated(case: Case, part: str) -> Reading:
    vessel, believed = case.bioreactor, case.size + 273.15
    return lambda y, age: 7.0 + (y - 7.0) * (vessel.now()[0] + 273.15) / believed


def _plus(case: Case, part: str) -> Reading:
    return lambda y, age: y + case.size


def _times(case: Case, part: str) -> Reading:
    return lambda y, age: y * case.size


def _share_more(case: Case, part: str) -> Reading:
    factor = 1.0 + case.size / 100.0
    return lambda y, age: y * factor


def _constant(value: float) -> Callable[[Case, str], Reading]:
    return lambda case, part: lambda y, age: value


def _slow(case: Case, part: str) -> Feeling:
    follow = lag(case.size, _shown(case, part))
    return lambda truth, age, dt: follow(truth, dt)


def _fouling(case: Case, part: str) -> Feeling:
    lost = case.size / 100.0
    follow = lag(300.0 * lost, _shown(case, part))  # 60 s at 20 %: a probe of 30 s gets three
    return lambda truth, age, dt: (1.0 - lost) * follow(truth, dt)


def _bubble(case: Case, part: str) -> Feeling:
    return lambda truth, age, dt: truth + case.size


def _clog(case: Case, part: str) -> Feeling:
    follow = lag(120.0, _shown(case, part))
    potential = lag(3600.0, 0.0)
    return lambda truth, age, dt: follow(truth, dt) + potential(case.size, dt)


def _moisture(case: Case, part: str) -> Reading:
    dry = 1.0 - case.size / 100.0
    return lambda y, age: y * dry


def _leak(case: Case, part: str) -> Feeling:
    share, air = case.size / 100.0, ROOM_AIR[part]
    return lambda truth, age, dt: truth + share * (air - truth)


SENSOR_FAULTS: Final = (
    Kind("stuck", SENSOR, "shows one value", reading(_stuck),
         Size("the value; where it stands if not given", "tag"), alone=True),
    Kind("drift", SENSOR, "departs further and further", reading(_drift),
         of_range("per hour", 0.1, "tag/h")),
    Kind("spike", SENSOR, "shows a wrong value for a moment", reading(_plus),
         of_range("height", 0.3), for_s=2.0),
    Kind("dropout", SENSOR, "gives no number; OPC UA says BadSensorFailure",
         reading(_constant(math.nan)), alone=True),
    Kind("scale", SENSOR, "is read with a wrong scale", reading(_times),
         Size("factor", "1", 10.0, -1e3, 1e3)),
    Kind("offset", SENSOR, "is calibrated wrongly, or drags a hose", reading(_plus),
         of_range("error", 0.1)),
    Kind("noise", SENSOR, "is noisier", reading(_noise),
         Size("standard deviation", "tag", 0.05, 0.0, 10.0)),
    Kind("slow", SENSOR, "has one more lag", feeling(_slow),
         Size("time constant", "s", 120.0, 1.0, 1e5)),
    Kind("saturated", SENSOR, "shows no more than so much", reading(_saturated),
         Size("the most; what it shows if not given", "tag")),
    Kind("open", PT100, "open circuit: 850 Cel", reading(_constant(PT100_OPEN)), alone=True),
    Kind("short", PT100, "short circuit: -200 Cel", reading(_constant(PT100_SHORT)), alone=True),
    Kind("clog", PH, "clogged junction: slow, and off by a potential that builds up in an hour",
         feeling(_clog), Size("error in the end", "[pH]", 0.3, -3.0, 3.0)),
    Kind("ground_loop", PH, "current through the glass: off and noisy", reading(_ground_loop),
         Size("mean error", "[pH]", 0.5, -7.0, 7.0)),
    Kind("uncompensated", PH, "temperature compensation off", reading(_uncompensated),
         Size("temperature that it believes", "Cel", 25.0, 0.0, 100.0)),
    Kind("bubble", DO, "a gas bubble sits on the membrane", feeling(_bubble),
         percent("more oxygen felt", 20.0, -100.0), for_s=60.0),
    Kind("fouling", DO, "fouled membrane: lower slope, and slower by 3 s per %",
         feeling(_fouling), percent("slope lost", 20.0, 1.0, 90.0)),
    Kind("bubbles", CELLS, "gas in the gap: turbidity reads too much, capacitance too little",
         reading(_share_more), percent("more, or less if negative", 30.0, -100.0, 1000.0),
         for_s=60.0),
    Kind("moisture", LINE, "wet gas in the analyser: both gases are diluted", reading(_moisture),
         percent("water", 5.0, 0.0, 50.0)),
    Kind("leak", LINE, "room air gets into the line; 100 %: another stream is measured",
         feeling(_leak), percent("room air", 20.0)),
    Kind("tare", BALANCE, "is set to zero while running", reading(_tare)),
)  # fmt: skip
