"""A plan run on the control model in small steps, apart from the solver."""

import math
from array import array
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from controller.planning.economic.problem import KWH, M3_PER_H, TOGETHER, Floats, Problem
from controller.planning.economic.stage import POINTS
from models.damped import damped_step

LONGEST_H, SHORTEST_H = 0.1, 1.0 / 3600.0
STEPS = 12  # of a stage at least
OVERSHOOT = 0.01  # g/L by which a step may move the substrate beside half of what there is


class Run(NamedTuple):
    """What came of a rollout.

    Attributes:
        states: at the two points of each stage, shape (N, 2, n).
        shares: of each limit, the greatest in each stage, shape (N, l); of oxygen, of what full
            aeration can transfer.
        outputs: of the model at the end of each stage, shape (N, y).
        inner: what holds the oxygen at the end of each stage, stirrer and air first, shape (N, i).
        value: of the objective, in the price's unit.
        product: g made, drawn off included.
    """

    states: Floats
    shares: Floats
    outputs: Floats
    inner: Floats
    value: float
    product: float

    @property
    def finite(self) -> bool:
        """Whether the model stayed among the numbers."""
        return bool(np.isfinite(self.states).all() and np.isfinite(self.shares).all())


class Rollout:
    """Runs the control model under a plan.

    Args:
        problem: whose model, limits and prices.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._step = damped_step(problem.model, f"fl_{problem.model.name}_rollout")

    def run(
        self, start: Floats, factors: Floats, hours: Floats, moved: Floats, given: Floats
    ) -> Run:
        """Return what the model does under inputs that are linear in each stage.

        Args:
            start: states.
            factors: of what is learned.
            hours: length of each stage, shape (N,).
            moved: at the nodes, shape (N + 1, m).
            given: shape (N, g).
        """
        p, s = self.problem, self.problem.settings
        self.strain(factors)
        x = start.tolist()
        states: list[list[list[float]]] = []
        shares: list[Floats] = []
        outputs: list[list[float]] = []
        inner: list[Floats] = []
        value = 0.0
        prices = [(p.inputs.index(n), price) for n, price in s.feed_prices.items()]
        places = [p.inputs.index(n) for n in p.moved]
        for k, length in enumerate(hours):
            u = p.arrange(moved[k], self.problem.full, given[k])
            before, rise = moved[k].tolist(), (moved[k + 1] - moved[k]).tolist()
            worst = np.zeros(len(p.limits))
            points: list[list[float]] = []
            at = 0.0
            longest = min(length / STEPS, LONGEST_H)
            for share in POINTS:
                until = share * length
                while at < until - 1e-9:
                    step = min(longest, until - at)
                    passed = (at + 0.5 * step) / length
                    for place, begun, more in zip(places, before, rise, strict=True):
                        u[place] = begun + passed * more
                    at += self.take(x, u, step)
                    x = self._step.results[0].tolist()
                    if not math.isfinite(sum(x)):
                        return self._lost(hours)
                points.append(x)
                y = self._step.results[1].tolist()
                worst = np.maximum(worst, self._shares(x, y))
            effort = self._effort(x, u)
            u_held = p.arrange(moved[k + 1], effort, given[k])
            y = self.outputs_at(x, u_held)
            value -= length * s.energy_price * KWH * y[5]
            value -= length * s.oxygen_price * M3_PER_H * u_held[p.inputs.index("oxygen")]
            middle = p.arrange(0.5 * (moved[k] + moved[k + 1]), effort, given[k])
            value -= length * sum(price * middle[i] for i, price in prices)
            states.append(points)
            shares.append(worst)
            outputs.append(y)
            inner.append(effort)
        value -= s.time_price * float(hours.sum())
        volume, drawn = x[p.states.index("V")], x[p.states.index("drawn")]
        product = x[p.product] * volume + drawn
        value += s.product_price * product + s.biomass_price * x[p.biomass] * volume
        return Run(
            np.array(states), np.array(shares), np.array(outputs), np.array(inner), value, product
        )

    def stage(
        self, start: Sequence[float], factors: Floats, length: float, moved: Floats, given: Floats
    ) -> tuple[list[float], Floats]:
        """Return the states at the end of one stage, and the share of each limit there.

        Args:
            start: states.
            factors: of what is learned.
            length: h.
            moved: at both ends, shape (2, m).
            given: shape (g,).
        """
        run = self.run(np.array(start), factors, np.array([length]), moved, given[None, :])
        return run.states[0, 1].tolist(), run.shares[0]

    def strain(self, factors: Floats) -> None:
        """Take the factors of what is learned, for the steps to come."""
        self._step.arguments[2][:] = array("d", self.problem.parameters(factors))

    def taken(self) -> list[float]:
        """Return the states after the last step."""
        return self._step.results[0].tolist()

    def _lost(self, hours: Floats) -> Run:
        p = self.problem
        n, lim = len(p.states), len(p.limits)

        def none(wide: int) -> Floats:
            return np.full((len(hours), wide), np.nan)

        states = np.full((len(hours), 2, n), np.nan)
        return Run(states, none(lim), none(7), none(len(p.inner)), -math.inf, math.nan)

    def take(self, x: Sequence[float], u: Sequence[float], h: float) -> float:
        """Take the longest step up to ``h`` in which the substrate moves by half at most."""
        a = self._step.arguments
        a[0][:], a[1][:] = array("d", x), array("d", u)
        place = self.problem.substrate
        while True:
            a[3][0] = h
            self._step()
            before, after = x[place], self._step.results[0][place]
            if abs(after - before) <= 0.5 * before + OVERSHOOT or h < SHORTEST_H:
                return h
            h *= 0.5

    def outputs_at(self, x: Sequence[float], u: Sequence[float]) -> list[float]:
        """Return the model's outputs."""
        a = self._step.arguments
        a[0][:], a[1][:], a[3][0] = array("d", x), array("d", u), 0.0
        self._step()
        return self._step.results[1].tolist()

    def _shares(self, x: Sequence[float], y: Sequence[float]) -> Floats:
        return np.array([float(v) for v in self.problem.used(x, y).values()])

    def _effort(self, x: Sequence[float], u: Sequence[float]) -> Floats:
        """Return what transfers what is taken up.

        As the oxygen loop does it: stirrer and air, both as far up their reach, then what else it
        leads, head pressure before pure oxygen.
        """
        p = self.problem
        low, span = p.reach[:, 0], self.problem.full - p.reach[:, 0]
        where = [p.inputs.index(n) for n in p.inner]
        later = [n for n in p.inner if n not in TOGETHER]
        turn = np.array([0.0 if n in TOGETHER else 1.0 + later.index(n) for n in p.inner])
        u = list(u)
        parts = list(zip(where, turn.tolist(), low.tolist(), span.tolist(), strict=True))
        least, most = 0.0, 1.0 + float(turn.max())
        for _ in range(8):
            middle = 0.5 * (least + most)
            for i, after, lowest, wide in parts:
                u[i] = lowest + min(max(middle - after, 0.0), 1.0) * wide
            y = self.outputs_at(x, u)
            if y[0] > p.settings.oxygen_share * y[1]:
                least = middle
            else:
                most = middle
        return low + np.clip(most - turn, 0.0, 1.0) * span
