"""A vessel run ahead: the estimator's model under given inputs, with what the estimate leaves open.

The equations are those of ``models.fedbatch``, integrated as a plan's check is, for the estimate
and for points around it that carry its covariance (central differences of second order, as the
soft sensor's). All points are stepped at once by one compiled function. Pure; a worker's business.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.planning.cells import Cells
from controller.planning.optimiser import Optimiser
from controller.planning.optimiser_settings import OptimiserSettings
from controller.planning.outlook import Band, Course, Crossing, Foreseen, Outlook, Question, at
from controller.planning.plan import Plan, Situation
from controller.sensing.estimate import Estimate
from drivers.clock import monotonic
from models.damped import damped
from models.fedbatch import FACTORS, FedBatch
from models.fn import SCALARS
from models.heat import RESPIRATION
from models.symbolic import SYMBOLS, Compiled, ca, compiled, trace

Floats = NDArray[np.float64]

UNCERTAIN = 6 + len(FACTORS) + 1  # of an estimate's states: the vessel's, the factors, kLa's
POINTS = 2 * UNCERTAIN + 1
WIDE = math.sqrt(3.0)  # standard deviations from the centre, right for Gaussian tails
NINETY = 1.645  # standard deviations of a 90 % interval
FINE_H, COARSE_H = 1.0 / 60.0, 0.05  # steps: of the first half hour, and later
SHORTEST_H = 10.0 / 3600.0
OVERSHOOT = 0.02  # g/L by which a step may move the substrate beside half of what there is
SHOWN = 60  # times in an answer, at most
SUBSTRATE_MAX = 1.0  # g/L above what there was: more has run away
DO_SHORT = 3.0  # % below its setpoint from which on oxygen is short
LONGEST_H = 24.0 * 30
STALE_S = 600.0
SEEN = (  # what is foreseen, of ``outlook.QUANTITIES``
    *("biomass_g_per_l", "substrate_g_per_l", "acetate_g_per_l", "product_g", "volume_l"),
    *("our_mmol_per_l_h", "do_percent"),
)
LIMITS = ("acetate", "substrate", "oxygen transfer", "cooling", "volume")


class Foresight:
    """Runs one kind of reactor ahead.

    Args:
        cells: organism, vessel and its limits.
        settings: of the optimiser of that reactor.
    """

    def __init__(self, cells: Cells, settings: OptimiserSettings) -> None:
        self._cells, self._settings = cells, settings
        self._step = _ahead(cells)
        views = [np.frombuffer(buffer) for buffer in self._step.arguments]
        shapes = [len(view) // POINTS for view in views]
        # column by column: a point is a row here
        self._in = [view.reshape(POINTS, n) for view, n in zip(views, shapes, strict=True)]
        results = [np.frombuffer(buffer) for buffer in self._step.results]
        self._out = [view.reshape(POINTS, len(view) // POINTS) for view in results]
        self._defaults = [v.default for v in cells.organism.parameters]

    def run(self, estimate: Estimate, question: Question) -> Outlook:
        """Return what comes of every course; never raises for numbers."""
        began = monotonic()
        if why := _wrong(estimate, question):
            return Outlook("bad_input", question.start, reason=why)
        start, factors, kla = _around(estimate)
        paths = [self._follow(c, question, start, factors, kla, estimate) for c in question.courses]
        if not all(np.isfinite(path).all() for _, path in paths):
            return Outlook("bad_input", question.start, reason="the model leaves the numbers")
        hours = (question.end - question.start) / 3600.0
        shown = np.linspace(0.0, hours, min(SHOWN, max(2, math.ceil(hours / COARSE_H))))
        product = SEEN.index("product_g")
        first = paths[0][1][-1, :, product]
        courses = [
            self._foreseen(course, question.start, shown, *path, path[1][-1, :, product] - first)
            for course, path in zip(question.courses, paths, strict=True)
        ]
        times = tuple((question.start + 3600.0 * shown).tolist())
        spent = monotonic() - began
        return Outlook("good", question.start, times, tuple(courses), solve_s=spent)

    def _follow(
        self,
        course: Course,
        question: Question,
        start: Floats,
        factors: Floats,
        kla: Floats,
        estimate: Estimate,
    ) -> tuple[Floats, Floats]:
        """Return hours (k,) and every quantity, shares of limits at the end, (k, points, n)."""
        s = self._settings
        x, p, u = self._in[0], self._in[1], self._in[2]
        x[:], p[:, : len(self._defaults)], p[:, len(self._defaults) :] = (
            start,
            self._defaults,
            factors,
        )
        warm = s.temperature if course.temperature is None else course.temperature
        organism = self._cells.organism
        usual = organism.activity(s.temperature, 7.0, SCALARS)
        activity = organism.activity(warm, 7.0, SCALARS) / usual
        per, base = estimate.feed_factor / 1e3, estimate.base_ml_per_g / 1e3
        u[:, 1], u[:, 2], u[:, 6], u[:, 7] = s.feed_substrate_g_per_l, base, warm, activity
        u[:, 8] = kla
        reached = np.full(POINTS, at(course.do_percent, question.start))
        hours, rows = [0.0], [self._row(x, reached, np.zeros((POINTS, 2)))]
        end = (question.end - question.start) / 3600.0
        while hours[-1] < end - 1e-9:
            step = min(FINE_H if hours[-1] < 0.5 else COARSE_H, end - hours[-1])
            middle = question.start + 3600.0 * (hours[-1] + 0.5 * step)
            wanted = at(course.do_percent, middle)
            u[:, 0] = max(at(course.feed_ml_per_h, middle), 0.0) * per
            u[:, 3], u[:, 4] = reached, wanted
            u[:, 5] = float(course.induced_at is not None and middle >= course.induced_at)
            step = self._take(step)
            x[:] = self._out[0]
            reached = 0.5 * (reached + self._out[1][:, 1])
            hours.append(hours[-1] + step)
            shares = np.column_stack((wanted - reached, self._out[1][:, 2]))
            rows.append(self._row(x, reached, shares))
            if not math.isfinite(float(x.sum())):
                break
        # what the first moment takes up is known after the first step
        rows[0][:, 5] = rows[min(1, len(rows) - 1)][:, 5]
        return np.array(hours), np.array(rows)

    def _row(self, x: Floats, do: Floats, shares: Floats) -> Floats:
        our = self._out[1][:, 0]
        columns = (x[:, 0], x[:, 1], x[:, 2], x[:, 3] * x[:, 5], x[:, 5], our, do)  # as ``SEEN``
        return np.column_stack((*columns, shares))

    def _take(self, step: float) -> float:
        """Take the longest step up to ``step``, in h, in which no substrate moves too far."""
        before = self._in[0][:, 1]
        while True:
            self._in[3][:, 0] = step
            self._step()
            moved = np.abs(self._out[0][:, 1] - before)
            if step < SHORTEST_H or bool((moved <= 0.5 * before + OVERSHOOT).all()):
                return step
            step *= 0.5

    def _foreseen(
        self, course: Course, zero: float, shown: Floats, hours: Floats, path: Floats, gain: Floats
    ) -> Foreseen:
        middle, sd = _spread(path)
        bands: dict[str, Band] = {}
        for i, name in enumerate(SEEN):
            m, half = (np.interp(shown, hours, part[:, i]) for part in (middle, sd))
            low, high = np.maximum(m - NINETY * half, 0.0), np.maximum(m + NINETY * half, 0.0)
            rows = (tuple(np.round(row, 6).tolist()) for row in (low, np.maximum(m, 0.0), high))
            bands[name] = Band(*rows)
        found = sorted(self._crossings(course, zero, hours, middle, sd), key=lambda c: c.possible)
        g, spread = _spread(gain[None, :, None])
        value, half = float(g[0, 0]), NINETY * float(spread[0, 0])
        return Foreseen(bands, tuple(found), (value - half, value, value + half))

    def _crossings(
        self, course: Course, zero: float, hours: Floats, middle: Floats, sd: Floats
    ) -> Iterator[Crossing]:
        """Yield when each limit is or may be crossed; what is so at the start is no news."""
        s = self._settings
        acetate = max(s.acetate_max_g_per_l, float(middle[0, 2]) + 0.15)
        substrate = SUBSTRATE_MAX + float(middle[0, 1])
        least = (acetate, substrate, DO_SHORT, 1.0, s.volume_max_l)
        for name, column, limit in zip(LIMITS, (2, 1, 7, 8, 4), least, strict=True):
            times: list[float | None] = []
            for edge in (NINETY, 0.0):
                over = middle[1:, column] + edge * sd[1:, column] > limit
                first = float(hours[1 + int(over.argmax())])
                times.append(zero + 3600.0 * first if over.any() else None)
            if times[0] is not None:
                yield Crossing(name, times[0], times[1])


class FedBatchSolver:
    """The optimiser of a fed-batch of E. coli and its foresight, as a planner asks them."""

    def __init__(self, settings: OptimiserSettings) -> None:
        self._optimiser = Optimiser(settings)
        self._foresight: Foresight | None = None

    def warm_up(self) -> None:
        """Build the solver now."""
        self._optimiser.warm_up()

    def plan(self, estimate: Estimate, situation: Situation) -> Plan:
        """Return a plan; what is wrong is its status."""
        return self._optimiser.plan(estimate, situation)

    def foresee(self, estimate: Estimate, question: Question) -> Outlook:
        """Return what comes of every course asked for."""
        if self._foresight is None:
            self._foresight = Foresight(self._optimiser.rollout.cells, self._optimiser.settings)
        return self._foresight.run(estimate, question)


def _wrong(estimate: Estimate, question: Question) -> str:
    """Return what cannot be run ahead from, or an empty string."""
    if not estimate.finite:
        return "the estimate has a number that is not finite"
    hours = (question.end - question.start) / 3600.0
    if not 0.0 < hours <= LONGEST_H:
        return f"{hours:g} h is not allowed; more than 0 and at most {LONGEST_H:g} h"
    if abs(question.start - estimate.time) > STALE_S:
        return f"the estimate is {question.start - estimate.time:.0f} s old"
    return ""


def _around(estimate: Estimate) -> tuple[Floats, Floats, Floats]:
    """Return states, factors and the factor of kLa at the centre and around it."""
    n = len(estimate.mean)
    mean = np.array(estimate.mean[:UNCERTAIN])
    cov = np.array(estimate.cov).reshape(n, n)[:UNCERTAIN, :UNCERTAIN]
    values, vectors = np.linalg.eigh(0.5 * (cov + cov.T))
    root = vectors * np.sqrt(np.maximum(values, 0.0))  # columns: one standard deviation each
    points = np.vstack((mean, mean + WIDE * root.T, mean - WIDE * root.T))
    states = np.maximum(points[:, :6], (0.01, 0.0, 0.0, 0.0, 0.0, 0.1))
    return states, np.exp(points[:, 6:-1]), np.exp(points[:, -1])


def _spread(path: Floats) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of (k, points, n) over the points: (k, n) each.

    Source: M. Norgaard et al., Automatica 36 (2000) 1627-1638.
    """
    centre = path[:, :1]
    up, down = path[:, 1 : UNCERTAIN + 1], path[:, UNCERTAIN + 1 :]
    bent = up + down - 2.0 * centre
    h2 = WIDE * WIDE
    mean = centre[:, 0] + bent.sum(axis=1) / (2.0 * h2)
    square = (up - down) ** 2 / (4.0 * h2) + (h2 - 1.0) * bent**2 / (4.0 * h2 * h2)
    return mean, np.sqrt(square.sum(axis=1))


def _ahead(cells: Cells) -> Compiled:
    """Return ``(x, p, u, h) -> (x, [OUR, DO, heat])`` for all points at once.

    Inputs: feed L/h, its substrate g/L, base L per g of growth, DO as it is and as wanted in %,
    induced, temperature Cel, activity, factor on kLa. The DO that comes out is what greatest
    stirring and air can hold where that is less than what is wanted.
    """
    traced, a, w = trace(FedBatch(cells.organism)), cells.aeration, cells.limits
    x, p, h, u = traced.x, traced.p, ca.SX.sym("h"), ca.SX.sym("in", 9)
    feed, feed_g, base, do, wanted, induced, warm, activity, factor = (u[i] for i in range(9))
    dissolved = do / 100.0 * a.calibration_g_per_l

    def inputs(flow: Any) -> Any:
        return ca.vertcat(feed, feed_g, flow, dissolved, induced, activity)

    output = traced.output_function()
    grown = ca.fmax(output(x, inputs(0.0), p)[0], 0.0) * x[0] * x[5]
    held = inputs(base * grown)
    slope = ca.substitute(ca.substitute(traced.rhs, traced.t, 0.0), traced.u, held)
    after = damped(x, slope, h)
    our = output(after, held, p)[1]
    kla = factor * a.kla_per_h(w.stirrer_max, w.air_max, after[5], warm, SYMBOLS)
    empty = a.limit_mmol_per_l_h(kla, after[5], 0.0, w.air_max, warm, SYMBOLS)  # at no oxygen
    per = empty - a.limit_mmol_per_l_h(kla, after[5], 1.0, w.air_max, warm, SYMBOLS)  # and per %
    held_do = ca.fmin(ca.fmax((empty - our) / per, 0.0), wanted)
    shaft = a.shaft_w(w.stirrer_max, w.air_max, after[5], warm, SYMBOLS)
    heat = (RESPIRATION * our * after[5] / 3600.0 + shaft) / w.heat_max
    result = ca.vertcat(our, held_do, heat)
    one = ca.Function(f"fl_{cells.organism.name}_point", [x, p, u, h], [after, result])
    all_of_them = one.map(POINTS)
    name = f"fl_{cells.organism.name}_ahead"
    many: Sequence[Any] = [ca.MX.sym(f"a{i}", *all_of_them.size_in(i)) for i in range(4)]
    function = ca.Function(name, list(many), list(all_of_them(*many)))
    return compiled([function])[name]
