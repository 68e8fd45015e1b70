"""What is measured or moved (Tag), one reading (Sample), how far to trust it (Quality)."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

T = TypeVar("T", bound=tuple[Any, ...])


class Quality(IntEnum):
    """How far a value may be trusted, as in OPC UA; a larger number is a better value."""

    BAD = 0
    UNCERTAIN = 1
    GOOD = 2


# A scan looks at hundreds: by its own name a member is found five times as fast as by its class's.
BAD, UNCERTAIN, GOOD = Quality


class RangeError(ValueError):
    """A person or a caller asked for a value outside a tag's range; nothing was written."""


@dataclass(frozen=True, slots=True)
class Tag:
    """A named quantity of the plant.

    Attributes:
        name: reactor and quantity, ``R1.temperature``.
        unit: UCUM code: ``Cel``, ``%``, ``L/min``.
        low: least value that can be real, in ``unit``.
        high: greatest value that can be real, in ``unit``.
        safe: for an actuator, its value when nothing better is known; ``None`` for a measurement.
        states: names of its values, if it is an enumeration; a measurement has no others. An
            actuator may be asked for any value in its range; its driver takes the nearest.
    """

    name: str
    unit: str
    low: float
    high: float
    safe: float | None = None
    states: Mapping[int, str] = field(default_factory=dict[int, str], hash=False)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"{self.name}: low {self.low:g} must be below high {self.high:g}")
        if self.safe is not None and self.safe not in self:
            raise ValueError(
                f"{self.name}: safe {self.safe:g} is outside "
                f"{self.low:g} to {self.high:g} {self.unit}"
            )

    def __contains__(self, value: float) -> bool:
        if not self.low <= value <= self.high:
            return False
        return not self.states or self.safe is not None or value in self.states

    @property
    def reactor(self) -> str:
        """The part of the name before the first dot."""
        return self.name.partition(".")[0]

    def require(self, value: float) -> float:
        """Return ``value`` if it is finite and in range.

        Raises:
            RangeError: it is not; a caller must know, so nothing is ever clipped here.
        """
        if value not in self:  # NaN is in no range
            raise RangeError(
                f"{self.name}: {value:g} is outside {self.low:g} to {self.high:g} {self.unit}"
            )
        return value


class Sample(NamedTuple):
    """One reading of a tag. A BAD sample carries NaN, so that it can never be computed with.

    A named tuple, not a dataclass: a scan makes fifty, and it is made in a third of the time. Take
    its fields by name: to unpack it takes as long as five of them, for it is no plain tuple.
    """

    tag: Tag
    time: float  # s since 1970 UTC
    value: float  # in tag.unit
    quality: Quality


if TYPE_CHECKING:

    def quick(kind: type[T], fields: tuple[Any, ...], /) -> T:
        """Return a named tuple of fields that are all there, at half its constructor's price."""
        ...
else:
    quick = tuple.__new__  # what the constructor calls


def sample(tag: Tag, time: float, value: float, quality: Quality = Quality.GOOD) -> Sample:
    """Return a sample as it may enter the program: not finite or out of range is BAD and NaN."""
    if quality is Quality.BAD or value not in tag:
        return Sample(tag, time, math.nan, Quality.BAD)
    return Sample(tag, time, value, quality)


def bad(tags: Iterable[Tag], time: float) -> dict[str, Sample]:
    """Return a BAD sample for each tag, by name."""
    return {tag.name: Sample(tag, time, math.nan, Quality.BAD) for tag in tags}
