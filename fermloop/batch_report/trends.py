"""Trends of a batch as SVG: gaps stay gaps, setpoints are dashed, laboratory results are marks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fermloop.campaign.charts import Span, number, ticks

WIDTH: Final = 760
HEIGHT: Final = 172
NAME: Final = 60  # of a phase
POINTS: Final = 500  # of a line at most: more than a page shows


@dataclass(frozen=True, slots=True)
class Line:
    """One line over the age of the batch.

    Attributes:
        kind: class of the page: ``pv``, ``sp`` or ``second``.
        age_h: of each value.
        values: ``None`` is a gap.
        low: lower edge of the band around it; empty: none.
        high: upper edge.
    """

    kind: str
    age_h: Sequence[float]
    values: Sequence[float | None]
    low: Sequence[float | None] = ()
    high: Sequence[float | None] = ()


@dataclass(frozen=True, slots=True)
class Mark:
    """A laboratory result."""

    age_h: float
    value: float


def chart(lines: Sequence[Line], marks: Sequence[Mark], phases: Sequence[tuple[float, str]]) -> str:
    """Return a chart; ``phases`` are age in h and name, drawn as lines at their beginning."""
    lines = [_thin(line) for line in lines]
    seen = [v for line in lines for side in (line.values, line.low, line.high) for v in side]
    values = [v for v in seen if v is not None] + [m.value for m in marks]
    ages = [a for line in lines for a in line.age_h]
    if not values or not ages:
        return ""
    low, high = _room(min(values), max(values))
    x = Span(min(ages), max(ages) if max(ages) > min(ages) else min(ages) + 1.0, 52, WIDTH - 10)
    y = Span(low, high, HEIGHT - 22, 18)
    out = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">', _axes(x, y)]
    for age, name in phases:
        if x.low <= age <= x.high:
            here = x.at(age)
            out.append(
                f'<line class="phase" x1="{here:.1f}" y1="14" x2="{here:.1f}" y2="{y.begin}"/>'
            )
            beside = f'x="{here + 3:.1f}"'
            if here > WIDTH - NAME:  # a short last phase
                beside = f'x="{here - 3:.1f}" text-anchor="end"'
            out.append(f'<text class="phase" {beside} y="11">{name}</text>')
    for line in lines:
        out += _band(line, x, y)
    for line in lines:
        out += [
            f'<polyline class="{line.kind}" points="{_points(run, x, y)}"/>'
            for run in _runs(line.age_h, line.values)
        ]
    for mark in marks:
        if x.low <= mark.age_h <= x.high:
            out.append(
                f'<path class="lab" d="M{x.at(mark.age_h):.1f} {y.at(mark.value) - 5:.1f}'
                f'l5 5l-5 5l-5-5z"><title>{number(mark.value)}</title></path>'
            )
    return "".join([*out, "</svg>"])


def _thin(line: Line) -> Line:
    """Return a line of at most ``POINTS``: means of stretches, with their least and greatest."""
    step = math.ceil(len(line.age_h) / POINTS)
    if step <= 1:
        return line
    starts = range(0, len(line.age_h), step)

    def over(side: Sequence[float | None], how: str) -> list[float | None]:
        found: list[float | None] = []
        for i in starts if side else ():
            some = [v for v in side[i : i + step] if v is not None]
            least, most = (min(some), max(some)) if some else (None, None)
            mean = sum(some) / len(some) if some else None
            found.append({"low": least, "high": most, "mean": mean}[how])
        return found

    ages = [line.age_h[min(i + step // 2, len(line.age_h) - 1)] for i in starts]
    return Line(
        line.kind, ages, over(line.values, "mean"), over(line.low, "low"), over(line.high, "high")
    )


def _runs(ages: Sequence[float], values: Sequence[float | None]) -> list[list[tuple[float, float]]]:
    """Return the stretches without a gap."""
    runs: list[list[tuple[float, float]]] = [[]]
    for age, value in zip(ages, values, strict=True):
        if value is None:
            runs.append([])
        else:
            runs[-1].append((age, value))
    return [run if len(run) > 1 else run * 2 for run in runs if run]


def _band(line: Line, x: Span, y: Span) -> list[str]:
    if not line.low:
        return []
    found: list[str] = []
    lows, highs = _runs(line.age_h, line.low), _runs(line.age_h, line.high)
    for low, high in zip(lows, highs, strict=False):
        points = f"{_points(high, x, y)} {_points(low[::-1], x, y)}"
        found.append(f'<polygon class="{line.kind}-band" points="{points}"/>')
    return found


def _points(points: Sequence[tuple[float, float]], x: Span, y: Span) -> str:
    return " ".join(f"{x.at(a):.1f},{y.at(b):.1f}" for a, b in points)


def _room(low: float, high: float) -> tuple[float, float]:
    if 0.0 <= low <= 0.5 * high:
        low = 0.0
    wide = high - low or max(abs(high), 1.0) * 0.1
    return low - (0.0 if low == 0.0 else 0.06 * wide), high + 0.08 * wide


def _axes(x: Span, y: Span) -> str:
    out: list[str] = []
    for at, label in ticks(y.low, y.high, 4):
        here = y.at(at)
        out.append(
            f'<line class="grid" x1="{x.begin}" y1="{here:.1f}" x2="{x.end}" y2="{here:.1f}"/>'
        )
        out.append(f'<text x="{x.begin - 5}" y="{here + 4:.1f}" text-anchor="end">{label}</text>')
    for at, label in ticks(x.low, x.high, 12):
        out.append(f'<text x="{x.at(at):.1f}" y="{HEIGHT - 6}" text-anchor="middle">{label}</text>')
    out.append(_stroke("axis", x.begin, y.begin, x.end, y.begin))
    return "".join(out)


def _stroke(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'
