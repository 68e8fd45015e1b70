"""A plan run on the estimator's model, step by step, and what it breaks there."""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import NamedTuple

from controller.planning.cells import Cells
from controller.planning.nlp import Floats
from controller.sensing.estimate import Estimate
from models.damped import damped_step
from models.fedbatch import FedBatch
from models.fn import SCALARS

FINE_H, COARSE_H = 1.0 / 60.0, 0.05  # steps: of the first half hour, and later
GONE = 0.05  # g/L of substrate that counts as eaten up
OVERSHOOT = 0.01  # g/L by which a step may move the substrate beside half of what there is
SHORTEST_H = 1.0 / 3600.0
SETTLE_H = 0.3  # what the past has done to the first minutes is not the plan's fault
SUBSTRATE_MAX = 1.0  # g/L while feeding: more has run away
VOLUME_SLACK = 0.06  # L: base goes on when the feed has stopped
PROMISE = 0.05  # share by which product may differ from what the problem promised


class Point(NamedTuple):
    """The model at one time of a rollout; hours from its start, g/L, L, mmol/(L.h), % and L/h."""

    hours: float
    X: float
    S: float
    A: float
    P: float
    E: float
    V: float
    our: float
    do: float
    feed: float


def point(hours: float, x: Sequence[float], our: float, do: float, feed: float) -> Point:
    """Return a point; ``x`` are X, S, A, P, E, V."""
    return Point(hours, x[0], x[1], x[2], x[3], x[4], x[5], our, do, feed)


class Course(NamedTuple):
    """What is to be run: feed in L/h, oxygen in % and induction as functions of hours."""

    feed: Callable[[float], float]
    do: Callable[[float], float]
    induced_at: float  # h from the start; inf: never


def constant(value: float) -> Callable[[float], float]:
    """Return a trajectory that is always ``value``."""

    def at(_hours: float) -> float:
        return value

    return at


def linear(hours: Floats, values: Floats) -> Callable[[float], float]:
    """Return a trajectory that is linear between ``hours`` and held outside."""
    times, heights = hours.tolist(), values.tolist()

    def at(hour: float) -> float:
        right = bisect_right(times, hour)
        if right == 0 or right == len(times):
            return heights[min(right, len(times) - 1)]
        t0, t1, v0, v1 = times[right - 1], times[right], heights[right - 1], heights[right]
        return v0 + (v1 - v0) * (hour - t0) / (t1 - t0)

    return at


class Rollout:
    """Runs the control model with an estimate's strain.

    Args:
        cells: whose organism, vessel and limits.
    """

    def __init__(self, cells: Cells) -> None:
        self.cells = cells
        organism = cells.organism
        self._step = damped_step(FedBatch(organism), f"fl_{organism.name}_rollout")
        self._defaults = [v.default for v in cells.organism.parameters]
        self._calibration = cells.aeration.calibration_g_per_l

    def run(
        self,
        start: Sequence[float],
        factors: Sequence[float],
        course: Course,
        hours: float,
        feed_g_per_l: float,
        base_l_per_g: float,
        *,
        until_gone: bool = False,
    ) -> list[Point]:
        """Return the trajectory, the start included.

        Args:
            start: X, S, A, P, E, V.
            factors: of the organism, in the order of ``models.fedbatch.FACTORS``.
            course: inputs over time.
            hours: length.
            feed_g_per_l: substrate in the feed.
            base_l_per_g: base that growth calls for.
            until_gone: end as soon as the substrate is eaten up.
        """
        call = self._step
        x, u, p, _ = call.arguments
        for i, value in enumerate((*self._defaults, *factors)):
            p[i] = value
        at, base = 0.0, 0.0
        points = [point(0.0, start, 0.0, course.do(0.0), course.feed(0.0))]
        while at < hours - 1e-9:
            step = min(FINE_H if at < 0.5 else COARSE_H, hours - at)
            middle = at + 0.5 * step
            do, feed = course.do(middle), course.feed(middle)
            for i, value in enumerate(points[-1][1:7]):
                x[i] = max(value, 0.0)
            induced = 1.0 if middle >= course.induced_at else 0.0
            inputs = (feed, feed_g_per_l, base, do / 100.0 * self._calibration, induced, 1.0)
            for i, value in enumerate(inputs):
                u[i] = value
            step = self._take(step)
            after = call.results[0]
            at += step
            mu, our = call.results[1][0], call.results[1][1]
            base = base_l_per_g * max(mu, 0.0) * after[0] * after[5]
            points.append(point(at, after, our, do, feed))
            if not math.isfinite(sum(after)) or (until_gone and after[1] < GONE):
                break
        return points

    def _take(self, step: float) -> float:
        """Take the longest step up to ``step``, in h, in which the substrate moves by half at most.

        Where it runs out within a step, the linearisation of its start overshoots, and uptake has
        a pole just below zero.
        """
        call = self._step
        while True:
            call.arguments[3][0] = step
            call()
            before, after = call.arguments[0][1], call.results[0][1]
            if abs(after - before) <= 0.5 * before + OVERSHOOT or step < SHORTEST_H:
                return step
            step *= 0.5

    def broken(
        self,
        points: Sequence[Point],
        estimate: Estimate,
        acetate_max: float,
        promised_g: float | None = None,
    ) -> str:
        """Return which limit the trajectory breaks, in one line, or an empty string."""
        last = points[-1]
        if not all(map(math.isfinite, last)):
            return "the model leaves the numbers under this plan"
        w, a = self.cells.limits, self.cells.aeration
        acetate_max = max(acetate_max, points[0].A + 0.15)
        volume_max = max(w.volume_max, points[0].V) + VOLUME_SLACK
        factor = estimate.value("kla_factor")
        for i, q in enumerate(points):
            if acetate_max < q.A:
                return f"acetate {q.A:.1f} g/L after {q.hours:.1f} h; {acetate_max:.1f} is allowed"
            if volume_max < q.V:
                return f"volume {q.V:.2f} L after {q.hours:.1f} h; {volume_max:.2f} is allowed"
            if q.hours < SETTLE_H:
                continue
            if SUBSTRATE_MAX < q.S:
                return f"substrate {q.S:.1f} g/L after {q.hours:.1f} h; it runs away"
            if i % 8 == 0:
                kla = factor * a.kla_per_h(w.stirrer_max, w.air_max, q.V, w.temperature, SCALARS)
                most = a.limit_mmol_per_l_h(kla, q.V, q.do, w.air_max, w.temperature, SCALARS)
                if most < q.our:
                    return (
                        f"oxygen uptake {q.our:.0f} mmol/(L.h) after {q.hours:.1f} h; "
                        f"{most:.0f} can be transferred"
                    )
        made = last.P * last.V
        if promised_g is not None and abs(made - promised_g) > PROMISE * promised_g + 0.1:
            return f"the model makes {made:.1f} g of product, the plan promised {promised_g:.1f} g"
        return ""
