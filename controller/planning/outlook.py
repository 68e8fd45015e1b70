"""What a vessel is asked to be run ahead by (Question), and what comes of it (Outlook).

Plain JSON both ways, as plans are: a worker computes it (``economic.foresight``).
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter

STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
Status = Literal["good", "bad_input", "late", "dead"]
TANK = "feed tank"  # the limit that is no limit: then there is nothing left to feed
Line = tuple[tuple[float, float], ...]  # s since 1970 UTC and a value; linear, held outside
QUANTITIES: Mapping[str, str] = {  # what is foreseen, and its unit
    "biomass_g_per_l": "g/L",
    "substrate_g_per_l": "g/L",
    "acetate_g_per_l": "g/L",
    "ethanol_g_per_l": "g/L",
    "precursor_g_per_l": "g/L",
    "product_g": "g",
    "volume_l": "L",
    "our_mmol_per_l_h": "mmol/(L.h)",
    "do_percent": "%",
}


@dataclass(frozen=True, slots=True)
class Course:
    """What would be done to the vessel from now on.

    Attributes:
        feed_ml_per_h: by the pump's own figure.
        do_percent: what is to be held; what can be held is part of the answer.
        temperature: of the broth, Cel; ``None``: as in the plant file.
        induced_at: when the product's expression was or is switched on; ``None``: never.
        inputs: whatever else is set, by the name of the control model's input and in its unit;
            what is missing is as usual.
    """

    __pydantic_config__ = STRICT

    feed_ml_per_h: Line
    do_percent: Line
    temperature: float | None = None
    induced_at: float | None = None
    inputs: Mapping[str, Line] = field(default_factory=dict[str, Line])


@dataclass(frozen=True, slots=True)
class Question:
    """Several courses from one estimate; the first is what the others are compared with.

    Attributes:
        start: s since 1970 UTC, time of the estimate.
        end: until when, s since 1970 UTC.
        courses: what would be done.
    """

    __pydantic_config__ = STRICT

    start: float
    end: float
    courses: tuple[Course, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON can carry it."""
        return asdict(self)

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "Question":
        """Return the question that ``as_json`` wrote.

        Raises:
            ValueError: it is none.
        """
        found = _QUESTION.validate_python(plain)
        if not found.courses or not found.end > found.start:
            raise ValueError(f"end: {found.end:g} must be after start, {found.start:g}")
        if not all(c.feed_ml_per_h and c.do_percent for c in found.courses):
            raise ValueError("courses: each needs a feed and an oxygen setpoint")
        return found


@dataclass(frozen=True, slots=True)
class Band:
    """A trajectory with its 90 % interval; each of as many numbers as the outlook has times."""

    __pydantic_config__ = STRICT

    low: tuple[float, ...]
    middle: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Crossing:
    """A limit that is crossed.

    Attributes:
        limit: one of ``economic.foresight.Foresight.limits``.
        possible: s since 1970 UTC, when first at the worse edge of the 90 % interval.
        expected: likewise in the middle of it; ``None``: never.
    """

    __pydantic_config__ = STRICT

    limit: str
    possible: float
    expected: float | None


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What comes of one course.

    Attributes:
        bands: by key of ``QUANTITIES``.
        crossings: limits that are or may be crossed, the earliest first.
        gain_g: g of product at the end more than by the first course: low, middle, high.
    """

    __pydantic_config__ = STRICT

    bands: Mapping[str, Band]
    crossings: tuple[Crossing, ...]
    gain_g: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Outlook:
    """The answer to a ``Question``.

    Attributes:
        status: ``good`` alone has courses.
        made: time of the estimate, s since 1970 UTC.
        times: s since 1970 UTC.
        courses: in the order of the question's.
        reason: what went wrong.
        solve_s: wall seconds.
    """

    __pydantic_config__ = STRICT

    status: Status
    made: float
    times: tuple[float, ...] = ()
    courses: tuple[Foreseen, ...] = ()
    reason: str = ""
    solve_s: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON can carry it."""
        return asdict(self)

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "Outlook":
        """Return the outlook that ``as_json`` wrote.

        Raises:
            ValueError: it is none.
        """
        return _OUTLOOK.validate_python(plain)


_QUESTION = TypeAdapter(Question)
_OUTLOOK = TypeAdapter(Outlook)


def at(line: Sequence[tuple[float, float]], time: float) -> float:
    """Return the value of a line at a time: linear between its points, held outside."""
    right = bisect_right(line, time, key=lambda point: point[0])
    if right == 0 or right == len(line):
        return line[min(right, len(line) - 1)][1]
    (t0, v0), (t1, v1) = line[right - 1], line[right]
    return v0 + (v1 - v0) * (time - t0) / (t1 - t0)
