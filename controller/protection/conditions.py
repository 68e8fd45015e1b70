"""When an interlock trips: measurements outside their windows, one or several of them.

Pure. It imports nothing of ours but ``drivers.point`` and what people are told.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce

from controller.texts.said import Said, said
from drivers.point import BAD, GOOD, Sample, Tag


@dataclass(frozen=True, slots=True)
class Window:
    """Where one measurement, or what an actuator holds, may be; the ends are inside.

    Attributes:
        tag: the measurement.
        above: outside above this, in the tag's unit; ``None``: never.
        below: outside below this, in the tag's unit; ``None``: never.
    """

    tag: Tag
    above: float | None = None
    below: float | None = None

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.above is None and self.below is None):
            raise ValueError(
                f"{self.tag.name}: below {self.below} and above {self.above} are not allowed; "
                f"one of them, or below < above, in {self.tag.unit}"
            )

    @property
    def low(self) -> float:
        """The least value inside, in the tag's unit."""
        return -math.inf if self.below is None else self.below

    @property
    def high(self) -> float:
        """The greatest value inside, in the tag's unit."""
        return math.inf if self.above is None else self.above

    @property
    def text(self) -> Said:
        """What is outside, for people: ``R1.do below 12 %``."""
        tag, unit = self.tag.name, shown(self.tag.unit)
        if self.above is None:
            return said("below", tag=tag, low=self.low, unit=unit)
        if self.below is None:
            return said("above", tag=tag, high=self.high, unit=unit)
        return said("outside", tag=tag, low=self.low, high=self.high, unit=unit)


@dataclass(frozen=True, slots=True)
class Condition:
    """Holds while any of the measurements is outside its window, or only while all are.

    Attributes:
        windows: at least one.
        every: all must be outside.
    """

    windows: tuple[Window, ...]
    every: bool = False

    def __post_init__(self) -> None:
        if not self.windows:
            raise ValueError("a condition needs at least one measurement")

    @property
    def text(self) -> Said:
        """When it holds, for people: ``R1.air_flow below 1 L/min and R1.air above 1 L/min``."""
        first, *others = [w.text for w in self.windows]
        if self.every:
            return reduce(lambda line, other: said("and", line=line, other=other), others, first)
        return reduce(lambda line, other: said("or", line=line, other=other), others, first)

    def holds(self, samples: Mapping[str, Sample]) -> tuple[bool | None, bool]:
        """Return whether it holds (``None``: nobody can know) and whether GOOD readings say so.

        A BAD reading proves nothing: it decides only where the others do not. An UNCERTAIN one
        counts, but is not sure.
        """
        unknown = inside = False
        sure = not self.every
        for window in self.windows:
            found = samples.get(window.tag.name)
            if found is None or found.quality is BAD:
                unknown = True
                continue
            good = found.quality is GOOD
            if not window.low <= found.value <= window.high:  # NaN too is in no window
                if not self.every:
                    return True, good
            elif self.every:
                inside, sure = True, sure or good
            else:
                sure = sure and good
        if inside:
            return False, sure
        if unknown:
            return None, False
        return self.every, True if self.every else sure

    def outside(self, samples: Mapping[str, Sample]) -> list[Window]:
        """Return the windows that are left now, for people; BAD readings are in none of them."""
        return [
            w
            for w in self.windows
            if (found := samples.get(w.tag.name)) is not None
            and found.quality is not BAD
            and not w.low <= found.value <= w.high
        ]

    def bad(self, samples: Mapping[str, Sample]) -> str:
        """Return the names of what is BAD or missing now, for people."""
        return names(
            w.tag.name
            for w in self.windows
            if (found := samples.get(w.tag.name)) is None or found.quality is BAD
        )


def names(them: Iterable[str]) -> str:
    """Return names for people, each once."""
    return ", ".join(dict.fromkeys(them))


def shown(unit: str) -> str:
    """Return a UCUM code as people write it, with a space: `` °C``, `` r/min``, nothing for pH."""
    plain = unit.strip("[]").replace("{", "").replace("}", "")
    return {"pH": "", "1": "", "Cel": " °C"}.get(plain, f" {plain}")
