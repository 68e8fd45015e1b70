"""What goes wrong in a simulated vessel, when, and for how long: planned, drawn or injected live.

A fault has a name, ``do.stuck``: what it works on and its kind, of the registry in
``sim/fault_kinds.py``. It acts on the device, so that it passes the real drivers, and every one
that happens is kept in the true record.
"""

import heapq
import math
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from sim.fault_kinds import (
    BALANCE,
    CELLS,
    DEVICE,
    DO,
    GAS,
    KINDS,
    LINE,
    OPCUA,
    PH,
    PT100,
    PUMP,
    SENSOR,
    STIRRER,
    VALVE,
    VESSEL,
    Case,
    End,
    Kind,
    kind_of,
    span,
)
from sim.wire import Wire

if TYPE_CHECKING:
    from sim.vessel import Vessel

STREAM: Final = 5  # of random numbers: apart from the vessel's own, so that they move none
USUAL_S: Final = 1800.0  # mean length of a drawn fault whose kind has none of its own
SORTS: Final = {  # of targets by name; any other sensor is a sensor, any other drive a pump
    "temperature": PT100,
    "jacket_temperature": PT100,
    "ph": PH,
    "do": DO,
    "coolant_temperature": PT100,
    "weight": BALANCE,
    "capacitance": CELLS,
    "turbidity": CELLS,
    "stirrer": STIRRER,
    "air": GAS,
    "oxygen": GAS,
    "heater": VALVE,
    "cooling": VALVE,
    "pressure": VALVE,
}
USUAL: Final = {  # range of a sensor's reading in usual work, in the tag's unit
    "temperature": 10.0,
    "jacket_temperature": 20.0,
    "ph": 1.0,
    "do": 100.0,
    "offgas_o2": 5.0,
    "offgas_co2": 5.0,
    "capacitance": 10.0,
    "turbidity": 10.0,
    "glucose": 5.0,
    "ethanol": 5.0,
    "head_pressure": 0.5,
    "foam": 100.0,
    "coolant_temperature": 10.0,
}
OF_DRIVE: Final = {"agitation": "stirrer"}
OFFGAS: Final = ("offgas_o2", "offgas_co2")  # one line, target ``offgas``


class FaultError(ValueError):
    """A fault that cannot be: its message says what was wrong and what is allowed."""


class Fault(NamedTuple):
    """One fault.

    Attributes:
        target: what is after a tag's dot, a device, ``offgas`` or ``vessel``.
        kind: the word in the registry.
        start: plant time, s.
        duration: s; infinite: until it is cleared.
        size: as the registry says; NaN where it has none or the kind knows.
    """

    target: str
    kind: str
    start: float
    duration: float
    size: float

    @property
    def name(self) -> str:
        return f"{self.target}.{self.kind}"

    @property
    def end(self) -> float:
        return self.start + self.duration


def seconds(text: str) -> float:
    """Return a duration such as ``90s``, ``10min``, ``1.5h`` or ``2d`` in s.

    Raises:
        FaultError: it is none.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|min|h|d)", text.strip())
    value = 0.0
    if found:
        value = float(found[1]) * {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}[found[2]]
    if not value > 0.0:
        raise FaultError(f"{text} is not allowed; a duration such as 90s, 10min or 1.5h (> 0)")
    return value


@dataclass(slots=True)
class _Active:
    fault: Fault
    end: End
    row: dict[str, Any] = field(repr=False)


class Faults:
    """The faults of one vessel.

    Args:
        vessel: whose; it asks ``turn`` when ``due`` has come.

    Attributes:
        due: plant time at which something begins or ends next, s.
        wires: of the devices that show the vessel, by name.
        opcua: which of them speak OPC UA.
        record: a row for every fault that has happened: ``fault``, ``size``, ``start_h``, ``end_h``
            (age of the vessel; none while it lasts).
    """

    def __init__(self, vessel: "Vessel") -> None:
        self.due = math.inf
        self.wires: Mapping[str, Wire] = {}
        self.opcua: frozenset[str] = frozenset()
        self.record: list[dict[str, Any]] = []
        self._vessel = vessel
        self._start = vessel.time
        self._planned: list[Fault] = []
        self._active: list[_Active] = []
        self._drawn: list[tuple[float, int, Fault, Iterator[Fault]]] = []
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    # -- what can be -------------------------------------------------------------------------------

    def targets(self) -> dict[str, tuple[str, ...]]:
        """Return what faults can work on, each with the sorts of target that it is."""
        found: dict[str, tuple[str, ...]] = {}
        for tag in self._vessel.panel.instruments:
            name = tag.partition(".")[2]
            sort = BALANCE if name.endswith("_weight") else SORTS.get(name, SENSOR)
            found[name] = (SENSOR, sort)
        if set(OFFGAS) <= set(found):
            found["offgas"] = (LINE,)
        for name in self._vessel.drives:
            found[name] = (SORTS.get(name, PUMP),)
        found[VESSEL] = (VESSEL,)
        for name in self.wires:
            found[name] = (DEVICE, OPCUA) if name in self.opcua else (DEVICE,)
        return found

    def names(self) -> list[str]:
        """Return every fault that this vessel can have."""
        return [
            f"{target}.{kind.word}"
            for target, sorts in self.targets().items()
            for kind in KINDS
            if kind.on in sorts
        ]

    def make(
        self, name: str, start: float, duration: float | None = None, size: float | None = None
    ) -> Fault:
        """Return a fault by its name, with what the registry says of the rest.

        Raises:
            FaultError: target or kind is unknown, or the size or the duration is not allowed.
        """
        target, _, word = name.rpartition(".")
        targets = self.targets()
        if target not in targets:
            allowed = ", ".join(targets)
            raise FaultError(f"{name}: {target or name} is no target; {allowed} are allowed")
        kind = kind_of(word, targets[target])
        if kind is None:
            words = ", ".join(k.word for k in KINDS if k.on in targets[target])
            raise FaultError(f"{name}: {word} is no fault of {target}; {words} are allowed")
        if kind.for_ever and duration is not None:
            raise FaultError(f"{name}: it cannot end; a duration is not allowed")
        if duration is not None and not duration > 0.0:
            raise FaultError(f"{name}: {duration:g} s is not allowed; a duration must be > 0")
        lasts = kind.for_s if duration is None else duration
        return Fault(target, word, start, lasts, self._size(name, target, kind, size))

    def _size(self, name: str, target: str, kind: Kind, size: float | None) -> float:
        is_ = kind.size
        if is_ is None:
            if size is not None:
                raise FaultError(f"{name}: size {size:g} is not allowed; it has none")
            return math.nan
        scale = self._usual(target) if is_.of_range else 1.0
        if size is None:
            return is_.default * scale
        low, high = is_.low * scale, is_.high * scale
        if not (math.isfinite(size) and low <= size <= high):
            limits = "a number" if math.isinf(high) else f"{low:g} to {high:g}"
            unit = is_.unit.replace("tag", f"the unit of {target}")
            raise FaultError(
                f"{name}: size {size:g} is not allowed; {limits} ({is_.meaning}, {unit})"
            )
        return size

    def _usual(self, name: str) -> float:
        """Return by how much a sensor's reading differs in usual work, in the tag's unit."""
        if name in USUAL:
            return USUAL[name]
        model = self._vessel.model
        drive = OF_DRIVE.get(name, name.removesuffix("_flow"))
        if drive in model.actuators:
            return model.actuators[drive].high
        if name.endswith("weight"):
            return model.vessel.working_volume_l
        return max(1.0, abs(self._vessel.read(f"{self._vessel.prefix}.{name}")))

    # -- what will be ------------------------------------------------------------------------------

    def plan(
        self, name: str, age: float, duration: float | None = None, size: float | None = None
    ) -> Fault:
        """Plan a fault for an age of the vessel, s; return it.

        Raises:
            FaultError: it cannot be, starts in the past, or contradicts one that is planned or
                lasts.
        """
        fault = self.make(name, self._start + age, duration, size)
        self._add(fault)
        return fault

    def inject(self, name: str, duration: float | None = None, size: float | None = None) -> Fault:
        """Let a fault begin now, with the vessel's next step; return it.

        Raises:
            FaultError: it cannot be, or contradicts one that is planned or lasts.
        """
        return self.plan(name, self._vessel.age, duration, size)

    def _add(self, fault: Fault) -> None:
        if fault.start < self._vessel.time:
            raise FaultError(
                f"{fault.name}: a start at {self._at(fault.start)} is not allowed; it is "
                f"{self._at(self._vessel.time)} now"
            )
        other = self._contradicted(fault)
        if other is not None:
            raise FaultError(
                f"{fault.name} from {self._at(fault.start)}: {other.name} is there from "
                f"{self._at(other.start)} {self._until(other)}; one must end before the other "
                "begins"
            )
        self._planned.append(fault)
        self._planned.sort(key=lambda f: f.start)
        self.due = min(self.due, fault.start)

    def _at(self, time: float) -> str:
        return f"{(time - self._start) / 3600.0:.6g} h"

    def _until(self, fault: Fault) -> str:
        return "until cleared" if math.isinf(fault.end) else f"to {self._at(fault.end)}"

    def _contradicted(self, fault: Fault) -> Fault | None:
        """Return a fault that ``fault`` cannot be together with."""
        for other in (*self._planned, *(a.fault for a in self._active)):
            if other.end <= fault.start or fault.end <= other.start:
                continue
            if not set(self._parts(fault.target)) & set(self._parts(other.target)):
                continue
            if fault.kind == other.kind or self._kind(fault).alone or self._kind(other).alone:
                return other
        return None

    def _parts(self, target: str) -> Sequence[str]:
        return OFFGAS if target == "offgas" else (target,)

    def _kind(self, fault: Fault) -> Kind:
        kind = kind_of(fault.kind, self.targets()[fault.target])
        assert kind is not None  # ``make`` has refused it
        return kind

    def draw(self, name: str, rate_per_100h: float) -> None:
        """Let a fault happen by chance, with exponential times between, from the vessel's seed.

        The mean length is the kind's own, or half an hour; the size varies by a third around the
        default. What else is drawn or planned does not move it.

        Raises:
            FaultError: there is no such fault.
        """
        fault = self.make(name, self._start)
        if any(f.name == name for _, _, f, _ in self._drawn):
            raise FaultError(f"{name}: is drawn twice; one rate is allowed")
        self._next(self._series(fault, rate_per_100h / 360e3))

    def _series(self, typical: Fault, rate_per_s: float) -> Iterator[Fault]:
        kind = self._kind(typical)
        rng = np.random.default_rng([self._vessel.seed, STREAM, zlib.crc32(typical.name.encode())])
        is_ = kind.size
        scale = self._usual(typical.target) if is_ is not None and is_.of_range else 1.0
        time = self._start
        while True:
            time += float(rng.exponential(1.0 / rate_per_s))
            mean = kind.for_s if math.isfinite(kind.for_s) else USUAL_S
            lasts = max(1.0, float(rng.exponential(mean)))
            size = typical.size * math.exp(0.33 * float(rng.standard_normal()))
            if is_ is not None and math.isfinite(size):
                size = min(max(size, is_.low * scale), is_.high * scale)
            yield typical._replace(
                start=time, duration=math.inf if kind.for_ever else lasts, size=size
            )
            time += lasts

    def _next(self, series: Iterator[Fault]) -> None:
        fault = next(series)
        self._count += 1
        heapq.heappush(self._drawn, (fault.start, self._count, fault, series))
        self.due = min(self.due, fault.start)

    def clear(self, name: str = "") -> list[str]:
        """End what lasts and forget what is planned, of one name or all; return their names.

        What is drawn goes on being drawn.

        Raises:
            FaultError: one of them cannot end, or there is none of that name.
        """
        found = [a for a in self._active if not name or a.fault.name == name]
        lasting = [a.fault.name for a in found if self._kind(a.fault).for_ever]
        if name and lasting:
            raise FaultError(f"{name}: it cannot end")
        planned = [f for f in self._planned if not name or f.name == name]
        if name and not found and not planned:
            now = ", ".join(a.fault.name for a in self._active) or "no fault"
            raise FaultError(f"{name}: is not there; there is {now}")
        for active in found:
            if active.fault.name not in lasting:
                self._end(active)
        self._planned = [f for f in self._planned if f not in planned]
        return [a.fault.name for a in found if a.fault.name not in lasting] + [
            f.name for f in planned
        ]

    def now(self) -> list[Fault]:
        """Return the faults that last."""
        return [a.fault for a in self._active]

    def planned(self) -> list[Fault]:
        """Return the faults that are planned; those that are drawn are nobody's to know."""
        return list(self._planned)

    def described(self, fault: Fault) -> str:
        """Return a fault as a line for people."""
        size = "" if math.isnan(fault.size) else f", size {fault.size:g}"
        lasts = "" if math.isinf(fault.duration) else "for "
        return f"{fault.name} from {self._at(fault.start)} {lasts}{span(fault.duration)}{size}"

    # -- what happens ------------------------------------------------------------------------------

    def turn(self) -> None:
        """Begin and end what is due at the vessel's time."""
        now = self._vessel.time
        while self._later and self._later[0][0] <= now:
            heapq.heappop(self._later)[2]()
        for active in [a for a in self._active if a.fault.end <= now]:
            self._end(active)
        while self._planned and self._planned[0].start <= now:
            self._begin(self._planned.pop(0))
        while self._drawn and self._drawn[0][0] <= now:
            _, _, fault, series = heapq.heappop(self._drawn)
            if self._contradicted(fault) is None:
                self._begin(fault)
            self._next(series)
        self._look_ahead()

    def _look_ahead(self) -> None:
        times = [a.fault.end for a in self._active]
        times += [part[0][0] for part in (self._later, self._drawn) if part]
        times += [f.start for f in self._planned]
        self.due = min(times, default=math.inf)

    def _begin(self, fault: Fault) -> None:
        vessel = self._vessel
        self._count += 1
        mine = vessel.prefix, self._count
        wires = [self.wires[fault.target]] if fault.target in self.wires else []
        if fault.target == VESSEL:
            wires = list(self.wires.values())
        seed = [vessel.seed, STREAM, zlib.crc32(repr(mine).encode())]
        case = Case(vessel, self._parts(fault.target), wires, fault.size, seed, self._in)
        row = {
            "fault": fault.name,
            "size": None if math.isnan(fault.size) else fault.size,
            "start_h": vessel.age / 3600.0,
            "end_h": None,
        }
        self.record.append(row)
        self._active.append(_Active(fault, self._kind(fault).begin(case), row))

    def _end(self, active: _Active) -> None:
        active.end()
        active.row["end_h"] = self._vessel.age / 3600.0
        self._active.remove(active)
        self._look_ahead()

    def _in(self, after_s: float, act: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._later, (self._vessel.time + after_s, self._count, act))
        self._look_ahead()
