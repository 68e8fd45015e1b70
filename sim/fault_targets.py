"""What faults can work on in a vessel, by name: ``do.stuck``, ``feed.empty``, ``R1-io.cut``."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sim.fault_kinds import DEVICE, OPCUA, Kind
from sim.fault_parts import OFFGAS, Parts
from sim.fault_registry import KINDS, kind_of
from sim.wire import Wire


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


class FaultTargets:
    """The sensors, drives and devices of one vessel, and the vessel itself, as faults see them.

    Args:
        parts: what of the vessel can fail.

    Attributes:
        wires: of the devices that show the vessel, by name.
        opcua: which of them speak OPC UA.
    """

    def __init__(self, parts: Parts) -> None:
        self.wires: Mapping[str, Wire] = {}
        self.opcua: frozenset[str] = frozenset()
        self._of = parts

    def targets(self) -> dict[str, tuple[str, ...]]:
        """Return what faults can work on, each with the sorts of target that it is."""
        found = dict(self._of.sorts())
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
        scale = self._of.usual(target) if is_.of_range else 1.0
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

    def _parts(self, target: str) -> Sequence[str]:
        return OFFGAS if target == "offgas" else (target,)

    def _kind(self, fault: Fault) -> Kind:
        kind = kind_of(fault.kind, self.targets()[fault.target])
        assert kind is not None  # ``make`` has refused it
        return kind
