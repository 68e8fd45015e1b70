"""Batches that tell a model more than another one of the same recipe would.

Each feed of the recipe is moved up or down by a bounded share, in blocks of hours. The pattern is
the one after which the model would foretell best by how much the product changes with the feeds,
with everything believed and the batch that was run counted in (V-optimality; signs are found by
exchange). Agreement on batches of one recipe is no evidence for another.

Source: of the criterion, A. Atkinson, A. Donev, R. Tobias, Optimum Experimental Designs (Oxford
University Press, 2007), chapter 10 (recalled).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np

from fermloop.commissioning.record import Floats
from models.culture import Culture
from models.fitting import Experiment, Prior
from models.fitting.problem import STEP, Problem
from models.fitting.simulation import Simulation

Z90: Final = 1.6449
ASKED: Final = 2.0  # times the excitation: how far the feeds are that are to be foretold


@dataclass(frozen=True, slots=True)
class Block:
    """Hours in which a feed has one factor.

    Attributes:
        feed: which.
        start: h since inoculation.
        end: likewise.
    """

    feed: str
    start: float
    end: float


Pattern = tuple[int, ...]  # +1 or -1 for each block


@dataclass(frozen=True)
class Design:
    """Batches to run and what they would tell.

    Attributes:
        patterns: of each batch, the sign of each block.
        before: 90 % interval of product under other feeds over that under the recipe's, now, as a
            share to each side.
        plain: likewise after as many batches of the recipe as it is.
        after: likewise after these.
    """

    patterns: Sequence[Pattern]
    before: float
    plain: float
    after: float


class Excitation:
    """Looks for patterns around one batch.

    Args:
        model: at what is believed of it now.
        base: a batch of the recipe, with what is measured in each.
        priors: what is believed.
        blocks: in which feeds may be moved.
        size: share by which they are.
        figure: the product of a batch by its states at the edges of its steps.
        allowed: whether a batch with these inputs and states stays within the limits.
    """

    def __init__(
        self,
        model: Culture,
        base: Experiment,
        priors: Sequence[Prior],
        blocks: Sequence[Block],
        size: float,
        figure: Callable[[Experiment, Floats], float],
        allowed: Callable[[Experiment, Floats], bool],
    ) -> None:
        self._base, self._priors, self._blocks, self._size = base, priors, blocks, size
        self._figure, self._allowed = figure, allowed
        self._simulation = Simulation(model)
        self._inputs = {v.name: k for k, v in enumerate(model.inputs)}
        self._known: dict[Pattern, Floats | None] = {}
        self._before = np.eye(self._shared) + self._told(base)
        # how much product is made plain batches tell too; what a change of feed does is asked
        usual = self._slope(base)
        self._asked = [
            self._slope(self.moved(base, (sign,) * len(blocks), ASKED * size)) - usual
            for sign in (1, -1)
        ]

    @property
    def _shared(self) -> int:
        return sum(not p.own for p in self._priors)

    def moved(self, batch: Experiment, pattern: Pattern, size: float | None = None) -> Experiment:
        """Return a batch whose feeds are moved, and whose series are what the model expects."""
        size = self._size if size is None else size
        inputs = batch.inputs.copy()
        middle = (np.arange(len(inputs)) + 0.5) * batch.step_h
        for block, sign in zip(self._blocks, pattern, strict=True):
            rows = (middle >= block.start) & (middle < block.end)
            inputs[rows, self._inputs[block.feed]] *= 1.0 + sign * size
        return replace(batch, inputs=inputs)

    def design(self, count: int) -> Design:
        """Return the best ``count`` batches, found one after the other.

        Raises:
            ValueError: nothing may be moved without leaving the limits.
        """
        information, patterns = self._before, list[Pattern]()
        for _ in range(count):
            pattern, told = self._best(information)
            information = information + told
            patterns.append(pattern)
        plain = self._before + count * self._told(self._base)
        return Design(
            patterns, self._width(self._before), self._width(plain), self._width(information)
        )

    def _best(self, information: Floats) -> tuple[Pattern, Floats]:
        """Return the pattern that leaves the least uncertainty, and what it tells.

        Signs are exchanged one by one from a few starts.
        """
        n = len(self._blocks)
        starts: list[Pattern] = [
            tuple(1 if (k // run) % 2 == first else -1 for k in range(n))
            for run in (1, 2, max(1, n // 2), n)
            for first in (0, 1)
        ]
        best, least = None, math.inf
        for start in dict.fromkeys(starts):
            pattern, width = start, self._after(information, start)
            improved = True
            while improved:
                improved = False
                for k in range(n):
                    other = (*pattern[:k], -pattern[k], *pattern[k + 1 :])
                    found = self._after(information, other)
                    if found < width * (1.0 - 1e-6):
                        pattern, width, improved = other, found, True
            if width < least:
                best, least = pattern, width
        told = None if best is None else self._of(best)
        if best is None or told is None:
            raise ValueError(
                f"no feed can be moved by {100.0 * self._size:g} % within the limits; try a "
                "smaller --size"
            )
        return best, told

    def _after(self, information: Floats, pattern: Pattern) -> float:
        told = self._of(pattern)
        return math.inf if told is None else self._width(information + told)

    def _of(self, pattern: Pattern) -> Floats | None:
        """Return what a pattern tells; ``None`` if it leaves the limits."""
        if pattern not in self._known:
            batch = self.moved(self._base, pattern)
            path = self._simulation.states(batch, {})
            inside = bool(np.isfinite(path).all()) and self._allowed(batch, path)
            self._known[pattern] = self._told(batch) if inside else None
        return self._known[pattern]

    def _told(self, batch: Experiment) -> Floats:
        """Return the information on what is shared that a batch is expected to bring."""
        problem = Problem(self._simulation, [batch], self._priors)
        zero = np.zeros(problem.size)
        expected = [
            replace(s, values=problem.value(batch, zero, s.parts, s.hours)) for s in batch.series
        ]
        problem = Problem(self._simulation, [replace(batch, series=expected)], self._priors)
        slopes = problem.slopes(zero)[: -problem.size]
        n = self._shared
        shared, own = slopes[:, :n], slopes[:, n:]
        both = own.T @ shared
        hidden = np.linalg.solve(own.T @ own + np.eye(own.shape[1]), both)
        return np.asarray(shared.T @ shared - both.T @ hidden, dtype=np.float64)

    def _slope(self, batch: Experiment) -> Floats:
        """Return the slope of the logarithm of the product by what is shared."""
        problem = Problem(self._simulation, [batch], self._priors)

        def product(z: Floats) -> float:
            return math.log(max(self._figure(batch, problem.path(batch, z)), 1e-12))

        zero = np.zeros(problem.size)
        base = product(zero)
        return np.array([(product(STEP * e) - base) / STEP for e in np.eye(problem.size)])[
            : self._shared
        ]

    def _width(self, information: Floats) -> float:
        """Return half of the 90 % interval of the change of product, as a share."""
        covariance = np.linalg.inv(information)
        variance = float(np.mean([slope @ covariance @ slope for slope in self._asked]))
        return math.expm1(Z90 * math.sqrt(variance))


def blocks(feeding: Mapping[str, Sequence[tuple[float, float]]], count: int) -> list[Block]:
    """Return blocks of about equal length.

    Args:
        feeding: by feed, from when to when it flows in each phase, h since inoculation.
        count: of blocks of each feed.
    """
    found: list[Block] = []
    for feed, spans in feeding.items():
        whole = sum(end - start for start, end in spans)
        for start, end in spans:
            parts = max(1, round(count * (end - start) / whole))
            edges = np.linspace(start, end, parts + 1).tolist()
            found += [Block(feed, a, b) for a, b in pairwise(edges)]
    return found
