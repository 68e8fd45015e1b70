"""Small charts as SVG text: numbers, lines and shapes; their words stand in the page around them.

A chart draws recipe number k in the page's classes ``r0``, ``r1``, … which give colour and dash,
so that recipes can be told apart without colour too.
"""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
KINDS: Final = 6  # classes of the page; more recipes begin again
POINTS: Final = 240  # of a line at most: more than the screen shows


class Band(NamedTuple):
    """What one recipe did over time: age (h), 5th percentile, median and 95th percentile."""

    age: Floats
    low: Floats
    middle: Floats
    high: Floats


class Span(NamedTuple):
    """A stretch of an axis, in its unit and on the screen."""

    low: float
    high: float
    begin: float
    end: float

    def at(self, value: float) -> float:
        """Return where a value stands on the screen."""
        share = (value - self.low) / (self.high - self.low)
        return self.begin + share * (self.end - self.begin)


def number(value: float | None, digits: int = 3) -> str:
    """Return a number as people read it, with so many digits that count; – where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0.0:
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:.{digits - 1}e}" if places > digits + 2 else f"{value:,.{places}f}"
    return text.replace("-", "−").replace(",", " ")


def ticks(low: float, high: float, most: int = 5) -> list[tuple[float, str]]:
    """Return round numbers from ``low`` to ``high``, at most ``most`` steps, and their text."""
    raw = (high - low) / most
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * k for k in (1.0, 2.0, 2.5, 5.0, 10.0) if size * k >= raw * (1 - 1e-9))
    places = next((k for k in range(6) if math.isclose(step, round(step, k))), 6)
    first = math.ceil(low / step - 1e-9)
    found = [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]
    return [(v, f"{v:,.{places}f}".replace("-", "−").replace(",", " ")) for v in found]


def bands(several: Sequence[Band | None], width: int = 380, height: int = 170) -> str:
    """Return median and 5-95 % band of one variable over the batch's age, a recipe each."""
    shown = [(k, _thin(band)) for k, band in enumerate(several) if band is not None]
    if not shown:
        return ""
    low = min(float(np.min(b.low)) for _, b in shown)
    high = max(float(np.max(b.high)) for _, b in shown)
    low, high = _room(low, high)
    x = Span(0.0, max(float(b.age[-1]) for _, b in shown) or 1.0, 46, width - 8)
    y = Span(low, high, height - 22, 8)
    out = [_open(width, height), _axes(x, y, height)]
    for k, band in shown:
        edge = [*zip(band.age, band.high, strict=True)]
        edge += [*zip(band.age[::-1], band.low[::-1], strict=True)]
        out.append(f'<polygon class="area r{k % KINDS}" points="{_points(edge, x, y)}"/>')
    for k, band in shown:
        line = _points([*zip(band.age, band.middle, strict=True)], x, y)
        out.append(f'<polyline class="line r{k % KINDS}" points="{line}"/>')
    return "".join([*out, "</svg>"])


def histograms(several: Sequence[tuple[str, Floats]], width: int = 760) -> str:
    """Return how a figure is spread, a row a recipe, with 5th percentile, median and 95th."""
    known = [(k, name, v) for k, (name, v) in enumerate(several) if len(v)]
    if not known:
        return ""
    low = min(float(v.min()) for _, _, v in known)
    high = max(float(v.max()) for _, _, v in known)
    low, high = _room(low, high, from_zero=False)
    row, left = 84, 130
    height = row * len(known) + 24
    x = Span(low, high, left, width - 10)
    cells = min(24, max(6, math.ceil(2 * max(len(v) for _, _, v in known) ** 0.5)))
    edges = np.linspace(low, high, cells + 1)
    out = [_open(width, height)]
    for at, label in ticks(low, high, 7):
        here = x.at(at)
        out.append(
            f'<line class="grid" x1="{here:.1f}" y1="4" x2="{here:.1f}" y2="{height - 20}"/>'
        )
        out.append(_text(here, height - 5, label, "middle"))
    for place, (k, name, v) in enumerate(known):
        out.append(_histogram(k, name, v, edges, x, (place + 1) * row))
    return "".join([*out, "</svg>"])


def _histogram(k: int, name: str, v: Floats, edges: Floats, x: Span, bottom: float) -> str:
    counts, _ = np.histogram(v, edges)
    tall = Span(0.0, float(counts.max()), bottom, bottom - 52)
    out = [
        _text(6, bottom - 20, _short(name), "start", "name"),
        _text(6, bottom - 4, f"n = {len(v)}"),
    ]
    for count, a, b in zip(counts, edges[:-1], edges[1:], strict=True):
        if count:
            top = tall.at(float(count))
            out.append(
                f'<rect class="bar r{k % KINDS}" x="{x.at(a) + 0.5:.1f}" y="{top:.1f}" '
                f'width="{x.at(b) - x.at(a) - 1:.1f}" height="{bottom - top:.1f}">'
                f"<title>{number(a)} … {number(b)}: {count}</title></rect>"
            )
    p5, middle, p95 = (float(q) for q in np.percentile(v, (5, 50, 95)))
    above = bottom - 60
    out.append(_line("whisker", x.at(p5), above, x.at(p95), above))
    out += [_line("whisker", x.at(q), above - 4, x.at(q), above + 4) for q in (p5, p95)]
    out.append(f'<circle class="mark" cx="{x.at(middle):.1f}" cy="{above}" r="4"/>')
    out.append(_line("axis", x.begin, bottom, x.end, bottom))
    return "".join(out)


def interval(
    middle: float | None, ends: tuple[float, float] | None, reach: float, width: int = 260
) -> str:
    """Return one interval about 0 on a scale from ``-reach`` to ``reach``: a row of a table."""
    height = 26
    x = Span(-reach, reach, 6, width - 6)
    zero = x.at(0.0)
    out = [
        _open(width, height),
        _line("axis", zero, 0, zero, height),
    ]
    if ends is not None:
        a, b = (x.at(min(reach, max(-reach, end))) for end in ends)
        out.append(_line("whisker", a, 13, b, 13))
        out += [_line("whisker", at, 8, at, 18) for at in (a, b)]
    if middle is not None:
        here = x.at(min(reach, max(-reach, middle)))
        out.append(f'<circle class="mark" cx="{here:.1f}" cy="13" r="4"/>')
    return "".join([*out, "</svg>"])


def stacks(several: Sequence[tuple[str, Sequence[float]]], width: int = 760) -> str:
    """Return a bar a recipe, made of parts in the page's classes ``p0``, ``p1`` and so on."""
    row, left = 34, 130
    height = row * len(several) + 24
    most = max((sum(parts) for _, parts in several), default=0.0)
    if most <= 0.0:
        return ""
    x = Span(0.0, 1.08 * most, left, width - 10)
    out = [_open(width, height)]
    for at, label in ticks(0.0, x.high, 7):
        here = x.at(at)
        out.append(
            f'<line class="grid" x1="{here:.1f}" y1="0" x2="{here:.1f}" y2="{height - 20}"/>'
        )
        out.append(_text(here, height - 5, label, "middle"))
    for place, (name, parts) in enumerate(several):
        top, done = place * row + 6, 0.0
        out.append(_text(6, top + 15, _short(name), "start", "name"))
        for part, value in enumerate(parts):
            a, b = x.at(done), x.at(done + value)
            out.append(
                f'<rect class="part p{part}" x="{a:.1f}" y="{top}" width="{max(b - a, 0):.1f}" '
                f'height="22"><title>{number(value)}</title></rect>'
            )
            done += value
        out.append(_text(x.at(done) + 5, top + 15, number(done), "start", "name"))
    return "".join([*out, "</svg>"])


def _room(low: float, high: float, from_zero: bool = True) -> tuple[float, float]:
    """Return limits of an axis around values, with 0 in them where that is not far."""
    if from_zero and 0.0 <= low <= 0.6 * high:
        low = 0.0
    wide = high - low or max(abs(high), 1.0) * 0.2
    return low - (0.0 if low == 0.0 else 0.04 * wide), high + 0.06 * wide


def _thin(band: Band) -> Band:
    if len(band.age) <= POINTS:
        return band
    keep = np.unique(np.linspace(0, len(band.age) - 1, POINTS).round().astype(int))
    return Band(*(column[keep] for column in band))


def _points(points: Sequence[tuple[float, float]], x: Span, y: Span) -> str:
    return " ".join(f"{x.at(a):.1f},{y.at(b):.1f}" for a, b in points)


def _axes(x: Span, y: Span, height: int) -> str:
    out: list[str] = []
    for at, label in ticks(y.low, y.high, 4):
        here = y.at(at)
        out.append(
            f'<line class="grid" x1="{x.begin}" y1="{here:.1f}" x2="{x.end}" y2="{here:.1f}"/>'
        )
        out.append(_text(x.begin - 5, here + 4, label, "end"))
    for at, label in ticks(x.low, x.high, 6):
        out.append(_text(x.at(at), height - 6, label, "middle"))
    out.append(_line("axis", x.begin, y.begin, x.end, y.begin))
    return "".join(out)


def _open(width: int, height: int) -> str:
    return f'<svg viewBox="0 0 {width} {height}" role="img" style="max-width:{width}px">'


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str = "start", kind: str = "") -> str:
    more = f' class="{kind}"' if kind else ""
    return f'<text{more} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'


def _short(name: str, most: int = 18) -> str:
    text = name if len(name) <= most else name[: most - 1] + "…"
    return text.replace("&", "&amp;").replace("<", "&lt;")
