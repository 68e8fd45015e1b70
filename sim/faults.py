"""What goes wrong in a simulated vessel, when, and for how long: planned, drawn or injected live.

A fault has a name, ``do.stuck``: what it works on (``sim/fault_targets.py``) and its kind, of the
registry in ``sim/fault_registry.py``. It acts on the device, so that it passes the real drivers,
and every one that happens is kept in the true record.
"""

import heapq
import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sim.fault_kinds import VESSEL, Case, End, span
from sim.fault_parts import Parts
from sim.fault_targets import Fault, FaultError, FaultTargets

if TYPE_CHECKING:
    from sim.motion import Simulated

STREAM: Final = 5  # of random numbers: apart from the vessel's own, so that they move none
USUAL_S: Final = 1800.0  # mean length of a drawn fault whose kind has none of its own


@dataclass(slots=True)
class _Active:
    fault: Fault
    end: End
    row: dict[str, Any] = field(repr=False)


class Faults(FaultTargets):
    """The faults of one vessel.

    Args:
        vessel: whose; it asks ``turn`` when ``due`` has come.
        parts: what of it can fail.

    Attributes:
        due: plant time at which something begins or ends next, s.
        record: a row for every fault that has happened: ``fault``, ``size``, ``start_h``, ``end_h``
            (age of the vessel; none while it lasts).
    """

    def __init__(self, vessel: "Simulated", parts: Parts) -> None:
        super().__init__(parts)
        self.due = math.inf
        self.record: list[dict[str, Any]] = []
        self._vessel = vessel
        self._start = vessel.time
        self._planned: list[Fault] = []
        self._active: list[_Active] = []
        self._drawn: list[tuple[float, int, Fault, Iterator[Fault]]] = []
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

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
        scale = self._of.usual(typical.target) if is_ is not None and is_.of_range else 1.0
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
        case = Case(
            vessel, self._parts(fault.target), wires, fault.size, seed, self._in, self._of.usual
        )
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
