"""The registry of faults: on what each works, what its size means, and what it does.

A kind's ``begin`` spoils a part of the vessel and returns what mends it. Sources of the failure
modes: the instruments' and pumps' usual ones; sizes are ours where a table gives none.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from sim.contaminant import Contaminant
from sim.faulty import (
    FaultyDrive,
    FaultyFeeling,
    FaultyReading,
    Feeling,
    Mover,
    Probe,
    Reading,
    StuckDrive,
    insert,
    lag,
    slugs,
    stiction,
)
from sim.wire import Wire

if TYPE_CHECKING:
    from sim.vessel import Vessel

INF: Final = math.inf
ROOM_AIR: Final = {"offgas_o2": 20.95, "offgas_co2": 0.04}  # %
PT100_OPEN, PT100_SHORT = 850.0, -200.0  # Cel: the ends of the transmitter's scale

SENSOR, PT100, PH, DO, CELLS, LINE, BALANCE = (
    "sensor",
    "Pt100",
    "pH probe",
    "DO probe",
    "cell probe",
    "off-gas line",
    "balance",
)
PUMP, VALVE, GAS, STIRRER = "pump", "valve", "gas flow controller", "stirrer"
DEVICE, OPCUA, VESSEL = "device", "OPC UA device", "vessel"


@dataclass(frozen=True, slots=True)
class Case:
    """A fault that begins, as its kind sees it.

    Attributes:
        vessel: whose.
        parts: names of the sensors or drives that it works on.
        wires: of the devices that it works on.
        size: as ``Kind`` says; NaN where that is none.
        seed: for what is drawn while it lasts.
        later: does something in so many plant s.
    """

    vessel: "Vessel"
    parts: Sequence[str]
    wires: Sequence[Wire]
    size: float
    seed: Sequence[int]
    later: Callable[[float, Callable[[], None]], None]


End = Callable[[], None]
Begin = Callable[[Case], End]


@dataclass(frozen=True, slots=True)
class Size:
    """What the size of a fault is.

    Attributes:
        meaning: in words.
        unit: ``tag`` in it stands for the tag's own; then the numbers are parts of the sensor's
            usual range.
        default: NaN: as ``meaning`` says.
        low: least.
        high: greatest.
    """

    meaning: str
    unit: str
    default: float = math.nan
    low: float = -INF
    high: float = INF

    @property
    def of_range(self) -> bool:
        return self.unit.startswith("tag")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault.

    Attributes:
        word: its name behind the dot: ``stuck``.
        on: the sort of target that it works on.
        doc: what happens.
        begin: spoils the target, and returns what mends it.
        size: what its size is, if it has one.
        for_s: how long it lasts if nobody says; infinite: until it is cleared.
        alone: nothing else can be wrong with the target at the same time.
        for_ever: it cannot be ended.
    """

    word: str
    on: str
    doc: str
    begin: Begin
    size: Size | None = None
    for_s: float = INF
    alone: bool = False
    for_ever: bool = False


# -- sensors ---------------------------------------------------------------------------------------


def reading(make: Callable[[Case, str], Reading]) -> Begin:
    """Return what changes the reading of each part."""

    def fit(case: Case, part: str) -> End:
        change = make(case, part)
        return _fit(case, part, lambda inner: FaultyReading(inner, change))

    return _each(fit)


def feeling(make: Callable[[Case, str], Feeling]) -> Begin:
    """Return what changes what the sensor feels."""

    def fit(case: Case, part: str) -> End:
        change = make(case, part)
        return _fit(case, part, lambda inner: FaultyFeeling(inner, change))

    return _each(fit)


def _fit(case: Case, part: str, fit: Callable[[Probe], Probe]) -> End:
    instruments = case.vessel.panel.instruments
    return insert(instruments, f"{case.vessel.prefix}.{part}", fit)


def _shown(case: Case, part: str) -> float:
    return case.vessel.read(f"{case.vessel.prefix}.{part}")


def _each(fit: Callable[[Case, str], End]) -> Begin:
    """Return what spoils every part."""
    return lambda case: _together([fit(case, part) for part in case.parts])


def _together(ends: Sequence[End]) -> End:
    """Return what ends all."""

    def end() -> None:
        for one in ends:
            one()

    return end


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
    vessel, believed = case.vessel, case.size + 273.15
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


# -- drives ----------------------------------------------------------------------------------------


def moving(make: Callable[[Case, str], Callable[[Mover], Mover]]) -> Begin:
    """Return what changes what each drive does."""
    return _each(lambda case, part: insert(case.vessel.drives[part], 1, make(case, part)))


def _less_flow(case: Case, part: str) -> Callable[[Mover], Mover]:
    left = 1.0 - case.size / 100.0
    return lambda inner: FaultyDrive(inner, gives=lambda flow, age: left * flow)


def _held(case: Case, part: str) -> Callable[[Mover], Mover]:
    at = case.vessel.flow(part)
    return lambda inner: StuckDrive(inner, at)


def _off(case: Case, part: str) -> Callable[[Mover], Mover]:
    return lambda inner: FaultyDrive(inner, wants=lambda wanted: 0.0)


def _sticky(case: Case, part: str) -> Callable[[Mover], Mover]:
    band = case.size / 100.0 * case.vessel.model.actuators[part].high
    stuck = stiction(band, case.vessel.actual(f"{case.vessel.prefix}.{part}"))
    return lambda inner: FaultyDrive(inner, wants=stuck)


def _air(case: Case, part: str) -> Callable[[Mover], Mover]:
    gives = slugs(case.size / 100.0, case.vessel.age)
    return lambda inner: FaultyDrive(inner, gives=gives)


# -- vessel ----------------------------------------------------------------------------------------


def parameter(name: str, change: Callable[[float, float], float]) -> Begin:
    """Return what replaces a parameter of the model by ``change(value, size)``."""

    def begin(case: Case) -> End:
        return case.vessel.spoil(name, lambda value: change(value, case.size))

    return begin


def _less(value: float, percent: float) -> float:
    return value * (1.0 - percent / 100.0)


def _contaminate(case: Case) -> End:
    Contaminant(case.vessel, case.size)
    return lambda: None


def _power_dip(case: Case) -> End:
    vessel = case.vessel
    rest = [n for n in vessel.drives if n != "pressure"]  # the exhaust valve closes, as it must
    powered = _together([insert(vessel.drives[name], 1, _off(case, name)) for name in rest])
    connected = wire("refused")(case)

    def restarted() -> None:
        vessel.to_safe()
        connected()

    def end() -> None:
        powered()
        vessel.to_safe()  # what had been wanted is forgotten
        case.later(case.size, restarted)

    return end


def wire(kind: str) -> Begin:
    """Return what gives each wire a fault of the same name."""
    return lambda case: _together([w.begin(kind, case.size) for w in case.wires])


def _of_range(meaning: str, default: float, unit: str = "tag") -> Size:
    return Size(meaning, unit, default, -10.0, 10.0)


def _percent(meaning: str, default: float, low: float = 0.0, high: float = 100.0) -> Size:
    return Size(meaning, "%", default, low, high)


KINDS: Final = (
    Kind("stuck", SENSOR, "shows one value", reading(_stuck),
         Size("the value; where it stands if not given", "tag"), alone=True),
    Kind("drift", SENSOR, "departs further and further", reading(_drift),
         _of_range("per hour", 0.1, "tag/h")),
    Kind("spike", SENSOR, "shows a wrong value for a moment", reading(_plus),
         _of_range("height", 0.3), for_s=2.0),
    Kind("dropout", SENSOR, "gives no number; OPC UA says BadSensorFailure",
         reading(_constant(math.nan)), alone=True),
    Kind("scale", SENSOR, "is read with a wrong scale", reading(_times),
         Size("factor", "1", 10.0, -1e3, 1e3)),
    Kind("offset", SENSOR, "is calibrated wrongly, or drags a hose", reading(_plus),
         _of_range("error", 0.1)),
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
         _percent("more oxygen felt", 20.0, -100.0), for_s=60.0),
    Kind("fouling", DO, "fouled membrane: lower slope, and slower by 3 s per %",
         feeling(_fouling), _percent("slope lost", 20.0, 1.0, 90.0)),
    Kind("bubbles", CELLS, "gas in the gap: turbidity reads too much, capacitance too little",
         reading(_share_more), _percent("more, or less if negative", 30.0, -100.0, 1000.0),
         for_s=60.0),
    Kind("moisture", LINE, "wet gas in the analyser: both gases are diluted", reading(_moisture),
         _percent("water", 5.0, 0.0, 50.0)),
    Kind("leak", LINE, "room air gets into the line; 100 %: another stream is measured",
         feeling(_leak), _percent("room air", 20.0)),
    Kind("tare", BALANCE, "is set to zero while running", reading(_tare)),
    Kind("blocked", PUMP, "gives less than it should, or nothing", moving(_less_flow),
         _percent("flow lost", 100.0)),
    Kind("worn", PUMP, "gives less, or more if negative", moving(_less_flow),
         _percent("flow lost", 20.0, -50.0, 90.0)),
    Kind("empty", PUMP, "its bottle is empty: it turns, and nothing comes", moving(_off),
         alone=True),
    Kind("air", PUMP, "air in the line: for a part of each minute nothing comes", moving(_air),
         _percent("air", 30.0)),
    Kind("stiction", VALVE, "moves only when it must move further than this", moving(_sticky),
         _percent("of its range", 5.0)),
    *(
        Kind("stuck", sort, "stays where it is", moving(_held), alone=True)
        for sort in (PUMP, VALVE, GAS, STIRRER)
    ),
    Kind("off", VALVE, "closes, whatever is wanted", moving(_off), alone=True),
    Kind("zero", GAS, "gives no flow", moving(_off), alone=True),
    Kind("stopped", STIRRER, "trips and stands still", moving(_off), alone=True),
    Kind("cooling", VESSEL, "coolant does not flow", parameter("cooler", _less),
         _percent("lost", 100.0)),
    Kind("coolant", VESSEL, "coolant is warm: the chiller is lost",
         parameter("T_coolant", lambda _, size: size),
         Size("its temperature", "Cel", 32.0, 0.0, 100.0)),
    Kind("kla", VESSEL, "oxygen transfer is less: antifoam, viscosity", parameter("broth", _less),
         _percent("lost", 40.0, -50.0, 95.0)),
    Kind("foam", VESSEL, "foam lives longer, until it wets the exhaust filter and broth leaves",
         parameter("foaming", lambda value, size: value * size),
         Size("so many times as long", "1", 10.0, 1.0, 1000.0)),
    Kind("contamination", VESSEL, "a foreign organism eats substrate and oxygen", _contaminate,
         Size("of it at the start", "g/L", 1e-3, 1e-9, 10.0), for_ever=True),
    Kind("power", VESSEL, "power dip: drives stop, gas closes, devices restart with safe values",
         _power_dip, Size("that devices need to restart", "s", 20.0, 0.0, 3600.0), for_s=10.0),
    Kind("cut", DEVICE, "no answer, no refusal: cable or gateway", wire("cut"), alone=True),
    Kind("refused", DEVICE, "nobody listens: connections are reset and refused",
         wire("refused"), alone=True),
    Kind("slow", DEVICE, "every answer comes late", wire("slow"),
         Size("late, in s of the wire: they are never accelerated", "s", 0.3, 0.0, 60.0)),
    Kind("frozen", DEVICE, "a gateway repeats what it last read; writes are answered and lost",
         wire("frozen"), alone=True),
    Kind("exception", DEVICE, "answers every request with an error: a Modbus exception, or "
         "BadDeviceFailure", wire("exception"), Size("Modbus exception code", "1", 4.0, 1.0, 11.0),
         alone=True),
    Kind("uncertain", OPCUA, "every value is Uncertain", wire("uncertain")),
)  # fmt: skip


def kind_of(word: str, sorts: Sequence[str]) -> Kind | None:
    """Return the kind of a name that works on a target of these sorts."""
    return next((k for k in KINDS if k.word == word and k.on in sorts), None)


def rows() -> list[tuple[str, str, str, str, str]]:
    """Return the registry as text: fault, target, what happens, size, how long it lasts."""
    return [
        (k.word, k.on, k.doc, _size(k), "for ever" if k.for_ever else span(k.for_s)) for k in KINDS
    ]


def table() -> str:
    """Return the registry as a Markdown table."""
    lines = [f"| `{word}` | {' | '.join(rest)} |" for word, *rest in rows()]
    return "\n".join(
        ["| fault | on | what happens | size | lasts |", "| --- | --- | --- | --- | --- |", *lines]
    )


def _size(kind: Kind) -> str:
    size = kind.size
    if size is None:
        return ""
    unit = "" if size.unit == "1" else size.unit.replace("tag", "the tag's unit")
    text = f"{size.meaning}, {unit}".removesuffix(", ")
    if math.isnan(size.default):
        return text
    of = " of its usual range" if size.of_range else f" {unit}".rstrip()
    return f"{text}; {size.default:g}{of}"


def span(seconds: float) -> str:
    """Return a duration as people write it: ``10min``."""
    if math.isinf(seconds):
        return "until cleared"
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= size and seconds % size == 0.0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"
