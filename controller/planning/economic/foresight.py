"""A vessel run ahead on the control model, with what is not known of it."""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from controller.planning.economic.belief import Belief
from controller.planning.economic.problem import Floats
from controller.planning.economic.rollout import Rollout
from controller.planning.outlook import (
    QUANTITIES,
    TANK,
    Band,
    Course,
    Crossing,
    Foreseen,
    Line,
    Outlook,
    Question,
    at,
)
from drivers.clock import monotonic
from models.organisms import WATCHED

NINETY = 1.645  # standard deviations of a 90 % interval
STEP_H, SHORTEST_H = 0.1, 1e-5
SHOWN = 60  # times in an answer, at most
LONGEST_H = 24.0 * 30
STALE_S = 600.0
SUBSTRATE_MAX = 1.0  # g/L above what there was: more has run away
DO_SHORT = 3.0  # % below its setpoint from which on oxygen is short
ML = 1e3  # of a L
SHUT_S = 1.0  # in which a feed ends that has nothing left


class _Path(NamedTuple):
    """One vessel under one course.

    Attributes:
        hours: from the start, shape (k,).
        rows: what is foreseen, then heat as a share of what can be carried away, shape (k, q + 1).
    """

    hours: Floats
    rows: Floats


class Foresight:
    """Runs one kind of reactor ahead; pure.

    Args:
        rollout: of its problem.
    """

    def __init__(self, rollout: Rollout) -> None:
        self._rollout, self._problem = rollout, rollout.problem
        p = self._problem
        watched = WATCHED[p.settings.organism]().watched.quantities
        self._species = {
            name: tuple(p.states.index(s) for s in species)
            for name, species in watched.items()
            if name in QUANTITIES
        }
        self._names = (*self._species, "product_g", "volume_l", "our_mmol_per_l_h", "do_percent")
        by_product = tuple(p.model.organism.called)[-1]
        self.limits = ("substrate", "oxygen transfer", "cooling", "volume", TANK, by_product)

    def run(
        self,
        belief: Belief,
        question: Question,
        feed_factor: float,
        stock_l: float | None = None,
    ) -> Outlook:
        """Return what comes of every course.

        Args:
            belief: where it begins.
            question: what would be done.
            feed_factor: true flow of the main feed over the pump's own figure.
            stock_l: what its tank can give yet, L; ``None``: as much as is asked for.
        """
        began = monotonic()
        hours = (question.end - question.start) / 3600.0
        if not 0.0 < hours <= LONGEST_H:
            why = f"{hours:g} h is not allowed; more than 0 and at most {LONGEST_H:g} h"
            return Outlook("bad_input", question.start, reason=why)
        if abs(question.start - belief.time) > STALE_S:
            why = f"the estimate is {question.start - belief.time:.0f} s old"
            return Outlook("bad_input", question.start, reason=why)
        stock = math.inf if stock_l is None else stock_l
        fed = [self._fed(c, feed_factor, question, stock) for c in question.courses]
        paths = [
            self._paths(self._lines(c, feed), belief, question.start, hours)
            for c, (feed, _) in zip(question.courses, fed, strict=True)
        ]
        if not all(np.isfinite(p.rows).all() for course in paths for p in course):
            return Outlook("bad_input", question.start, reason="the model leaves the numbers")
        shown = np.linspace(0.0, hours, min(SHOWN, max(2, math.ceil(hours / STEP_H))))
        product = self._names.index("product_g")
        ends = [np.array([p.rows[-1, product] for p in course]) for course in paths]
        courses = tuple(
            self._foreseen(course, question.start, shown, mine, end - ends[0], empty)
            for course, mine, end, (_, empty) in zip(
                question.courses, paths, ends, fed, strict=True
            )
        )
        times = tuple((question.start + 3600.0 * shown).tolist())
        return Outlook("good", question.start, times, courses, solve_s=monotonic() - began)

    def _paths(
        self, lines: Mapping[str, Line], belief: Belief, start: float, hours: float
    ) -> list[_Path]:
        """Return the likely vessel's path, then one for each part of what is not known."""
        p = self._problem
        filled = Belief(
            belief.time, {"drawn": 0.0, **belief.states}, belief.factors, belief.names, belief.parts
        )
        learned = p.settings.learned
        every = [(), *np.eye(len(belief.parts)).tolist()]
        vessels = [filled.vessel(p.states, learned, weights) for weights in every]
        return [self._follow(x, f, lines, start, hours) for x, f in vessels]

    def _fed(
        self, course: Course, factor: float, question: Question, stock: float
    ) -> tuple[Line, float | None]:
        """Return the true main feed, L/h, as long as ``stock`` L last, and when it ends for that.

        A stock is known far better than cells are: no interval is given to it.
        """
        asked = tuple((t, max(v, 0.0) * factor / ML) for t, v in course.feed_ml_per_h)
        end = emptied(asked, question.start, question.end, stock)
        if end is None:
            return asked, None
        before = tuple(point for point in asked if point[0] < end)
        return (*before, (end, at(asked, end)), (end + SHUT_S, 0.0)), end

    def _lines(self, course: Course, feed: Line) -> Mapping[str, Line]:
        """Return every input of the model over time, in its unit; what is missing is usual."""
        p = self._problem
        lines = {v.name: ((0.0, v.default),) for v in p.model.inputs}
        lines |= {n: line for n, line in course.inputs.items() if n in lines}
        main = p.model.organism.feeds[0].name
        lines[main] = feed
        lines["do"] = course.do_percent
        if course.temperature is not None:
            lines["temperature"] = ((0.0, course.temperature),)
        full = zip(p.inner, p.full.tolist(), strict=True)
        return lines | {n: ((0.0, most),) for n, most in full}

    def _follow(
        self, start: Floats, factors: Floats, lines: Mapping[str, Line], zero: float, hours: float
    ) -> _Path:
        p, r = self._problem, self._rollout
        r.strain(factors)
        do = p.inputs.index("do")
        x: Sequence[float] = start.tolist()
        u = [at(lines[n], zero) for n in p.inputs]
        reached = self._oxygen(x, u, do)
        t, rows = [0.0], [self._row(x, u, do, reached)]
        # from corner to corner, where the middle of a line is its mean: no dose is too short
        told = {(time - zero) / 3600.0 for line in lines.values() for time, _ in line}
        corners = [*sorted(told), hours]
        while t[-1] < hours - 1e-9:
            corner = corners[bisect_right(corners, t[-1] + SHORTEST_H, hi=len(corners) - 1)]
            step = min(STEP_H, corner - t[-1], hours - t[-1])
            middle = zero + 3600.0 * (t[-1] + 0.5 * step)
            u = [at(lines[n], middle) for n in p.inputs]
            wanted, u[do] = u[do], reached
            gone = r.take(x, u, step)
            x = r.taken()
            u[do] = wanted
            reached = 0.5 * (reached + self._oxygen(x, u, do))
            t.append(t[-1] + gone)
            rows.append(self._row(x, u, do, reached))
            if not math.isfinite(sum(x)):
                break
        return _Path(np.array(t), np.array(rows))

    def _oxygen(self, x: Sequence[float], u: Sequence[float], do: int) -> float:
        """Return the DO that full aeration holds, up to the one wanted."""
        u, wanted = list(u), u[do]
        our, most, *_ = self._rollout.outputs_at(x, u)
        if most >= our:
            return wanted
        u[do] = 0.0
        empty = self._rollout.outputs_at(x, u)[1]
        per = max((empty - most) / max(wanted, 1e-6), 1e-9)
        return min(max((empty - our) / per, 0.0), wanted)

    def _row(self, x: Sequence[float], u: Sequence[float], do: int, reached: float) -> list[float]:
        p, held = self._problem, list(u)
        held[do] = reached
        our, _, _, warm, carried, *_ = self._rollout.outputs_at(x, held)
        volume = x[p.states.index("V")]
        made = x[p.product] * volume + x[p.states.index("drawn")]
        species = [sum(x[i] for i in of) for of in self._species.values()]
        return [*species, made, volume, our, reached, warm / carried]

    def _foreseen(
        self,
        course: Course,
        zero: float,
        shown: Floats,
        paths: Sequence[_Path],
        gain: Floats,
        empty: float | None,
    ) -> Foreseen:
        every: Floats = np.stack([_shown(path, shown) for path in paths])
        middle: Floats = every[0]
        off: Floats = every[1:] - middle
        half: Floats = NINETY * np.sqrt(np.sum(off * off, axis=0))
        bands = {
            name: Band(*(_row(middle[i] + edge * half[i]) for edge in (-1.0, 0.0, 1.0)))
            for i, name in enumerate(self._names)
        }
        wanted = np.array([at(course.do_percent, zero + 3600.0 * h) for h in shown])
        found = self._crossings(zero, shown, bands, wanted, (middle[-1], half[-1]))
        if empty is not None:
            found.append(Crossing(TANK, empty, empty))
        value = float(gain[0])
        spread = NINETY * math.sqrt(float(((gain[1:] - value) ** 2).sum()))
        crossings = tuple(sorted(found, key=lambda c: c.possible))
        return Foreseen(bands, crossings, (value - spread, value, value + spread))

    def _crossings(
        self,
        zero: float,
        shown: Floats,
        bands: Mapping[str, Band],
        wanted: Floats,
        heat: tuple[Floats, Floats],
    ) -> list[Crossing]:
        """Return when each limit is or may be crossed; what is so at the start is no news."""
        s, by_product = self._problem.settings, self.limits[-1]
        found: list[Crossing] = []

        def judge(limit: str, worse: Floats, likely: Floats, most: float) -> None:
            possible, expected = (np.nonzero(v[1:] > most)[0] for v in (worse, likely))
            if len(possible):
                times = zero + 3600.0 * shown[1:]
                sure = float(times[expected[0]]) if len(expected) else None
                found.append(Crossing(limit, float(times[possible[0]]), sure))

        def ends(name: str) -> tuple[Floats, Floats]:
            return np.array(bands[name].high), np.array(bands[name].middle)

        high, middle = ends("substrate_g_per_l")
        judge("substrate", high, middle, SUBSTRATE_MAX + float(middle[0]))
        do = bands["do_percent"]
        judge("oxygen transfer", wanted - np.array(do.low), wanted - np.array(do.middle), DO_SHORT)
        judge("cooling", heat[0] + heat[1], heat[0], s.cooling_share)
        judge("volume", *ends("volume_l"), s.volume_max_l)
        if s.by_product_max_g_per_l is not None:
            high, middle = ends(f"{by_product}_g_per_l")
            judge(by_product, high, middle, max(s.by_product_max_g_per_l, float(middle[0]) + 0.15))
        return found


def emptied(line: Line, start: float, end: float, litres: float) -> float | None:
    """Return when a flow, L/h, has taken so much since ``start``; ``None``: not before ``end``."""
    corners = [start, *(t for t, _ in line if start < t < end), end]
    left = litres
    for begin, over in pairwise(corners):
        first, last, hours = at(line, begin), at(line, over), (over - begin) / 3600.0
        taken = 0.5 * (first + last) * hours
        if taken > left:  # first * h + slope * h^2 / 2 = left
            slope = (last - first) / hours
            root = first + math.sqrt(max(first * first + 2.0 * slope * left, 0.0))
            return begin + 3600.0 * (2.0 * left / root if root > 0.0 else 0.0)
        left -= taken
    return None


def _shown(path: _Path, hours: Floats) -> Floats:
    """Return what is foreseen at ``hours``, a row for each quantity."""
    columns: Floats = path.rows.T
    rows: list[Floats] = [np.interp(hours, path.hours, column) for column in columns]
    return np.array(rows)


def _row(values: Floats) -> tuple[float, ...]:
    return tuple(np.round(np.maximum(values, 0.0), 6).tolist())
