"""Stages of vessels with what is slow in them solved for, so that no solver sees it.

Given the states at a stage's start, what is set and what cells eat at its two points, balances say
what the other states are there: as many equations as unknowns, hardly bent. A solver that takes
them for variables carries them through all its linear algebra, where they are nearly half. Here
Newton's method finds them for all stages of all vessels at once; slopes and curvature of what is
left are by the implicit function theorem. The solution is the same.

What cells eat stays the solver's: where a feed is more than they take up it leaps a hundredfold
within a stage, and with that solved for too, fatrop went round in circles on yeast, and once never
came back.

Source: J. Albersmeyer and M. Diehl, SIAM J. Optim. 20 (2010) 1655-1684, for condensing.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from controller.planning.economic.problem import Floats
from controller.planning.economic.stage import Stage
from models.symbolic import ca

ENOUGH = 1e-9  # of the scaled balances
STEPS = 15  # of Newton's method; most take two
LOST = -1e9  # a row where the balances have no solution: a solver turns back from so much


class Condensed:
    """Many stages of vessels, of what is not inside them.

    A part is one vessel in one stage. Its variables and rows are ``Stage``'s but for those inside.
    Where the balances have no solution, rows are far beyond the limits and all else is 0; fatrop
    never returns from a NaN.

    Attributes:
        count: of parts.
        costs: of each part where they were last asked for, shape (parts, 1).
        lost: whether the balances had no solution there.
        variables: how many a part has.
        rows: likewise.

    Args:
        stage: which the parts are.
        parts: how many.
    """

    def __init__(self, stage: Stage, parts: int) -> None:
        self.count, self._balances = parts, stage.inside
        self.lost = False
        whole = sum(stage.variables.values())
        self.variables = whole - stage.inside
        rows = stage.values.size1_out(0)
        self.rows = rows - stage.inside
        self._first, self._second = stage.compiled(parts)

        def views(buffers: Sequence[Any], *shapes: tuple[int, ...]) -> list[Floats]:
            """Return buffers as arrays, a part each; columns come before rows."""
            pairs = zip(buffers, shapes, strict=True)
            return [np.frombuffer(one).reshape(parts, *shape) for one, shape in pairs]

        self._y, self._given = views(self._first.arguments, (whole,), (-1,))
        self._out, self.costs, self._d_rows, self._d_costs = views(
            self._first.results, (rows,), (1,), (whole, rows), (whole,)
        )
        self._at, self._with, self._weights, self._weight = views(
            self._second.arguments, (whole,), (-1,), (rows,), (1,)
        )
        self._slope, self._curved = views(self._second.results, (whole,), (whole, whole))
        self._solved = np.full((parts, self.variables), np.nan), self._y[:, self.variables :].copy()
        self._sensed: Floats | None = None

    def begin(self, points: Floats) -> None:
        """Take what is inside for a guess, shape (parts, inside)."""
        self._y[:] = np.nan
        self._solved, self._sensed = (self._y[:, : self.variables].copy(), points.copy()), None

    def values(self, at: Floats, numbers: Floats) -> Floats:
        """Return the rows of each part, shape (parts, rows); ``costs`` has its cost.

        Args:
            at: variables, shape (parts, variables).
            numbers: of each part, shape (parts, numbers).
        """
        if not self._move(at, numbers):
            return np.full((self.count, self.rows), LOST)
        return self._out[:, self._balances :].copy()

    def slopes(self, at: Floats, numbers: Floats) -> tuple[Floats, Floats]:
        """Return slopes of rows and costs, shapes (parts, variables, rows), (parts, variables)."""
        own = self.variables
        if not self._move(at, numbers):
            return np.zeros((self.count, own, self.rows)), np.zeros((self.count, own))
        points = self._sensitivities()
        rows, costs = self._d_rows[:, :, self._balances :], self._d_costs
        d_costs = costs[:, :own] + (points @ costs[:, own:, None])[:, :, 0]
        return rows[:, :own] + points @ rows[:, own:], d_costs

    def curvature(
        self, at: Floats, numbers: Floats, weights: Floats, weight: Floats
    ) -> tuple[Floats, Floats]:
        """Return slope and curvature of what rows and costs weigh up to.

        Args:
            at: variables.
            numbers: of each part.
            weights: of the rows, shape (parts, rows).
            weight: of the costs, shape (parts, 1).

        Returns:
            Shapes (parts, variables) and (parts, variables, variables).
        """
        own, b = self.variables, self._balances
        if not self._move(at, numbers):
            return np.zeros((self.count, own)), np.zeros((self.count, own, own))
        points = self._sensitivities()
        pull = (self._d_rows[:, own:, b:] @ weights[:, :, None])[:, :, 0]
        pull += weight * self._d_costs[:, own:]
        # what the balances must weigh for what is inside to stay where it is
        held = -_solved(self._d_rows[:, own:, :b], pull[:, :, None])[:, :, 0]
        self._at[:], self._with[:] = self._y, self._given
        self._weights[:, :b], self._weights[:, b:] = held, weights
        self._weight[:] = weight
        self._second()
        along = np.concatenate([np.broadcast_to(np.eye(own), (self.count, own, own)), points], 2)
        return self._slope[:, :own].copy(), along @ self._curved @ along.transpose(0, 2, 1)

    def _move(self, at: Floats, numbers: Floats) -> bool:
        """Solve the balances at ``at``, if they are not yet; return whether they are."""
        own = self.variables
        if np.array_equal(at, self._y[:, :own]) and np.array_equal(numbers, self._given):
            return not self.lost
        before, points = self._solved
        guesses = [points]
        if self._sensed is not None:
            guesses.insert(0, points + ((at - before)[:, None] @ self._sensed)[:, 0])
        self._y[:, :own], self._given[:] = at, numbers
        self.lost = not any(self._met(guess) for guess in guesses)
        if self.lost:
            self.costs[:] = 0.0
        else:
            self._solved, self._sensed = (at.copy(), self._y[:, own:].copy()), None
        return not self.lost

    def _met(self, points: Floats) -> bool:
        """Solve the balances from ``points``; return whether they are met."""
        own, b = self.variables, self._balances
        for _ in range(STEPS):
            self._y[:, own:] = points
            self._first()
            left = self._out[:, :b]
            if not np.isfinite(left).all():
                return False
            if np.abs(left).max() < ENOUGH:
                return True
            try:
                step = _solved(self._slope_inside, left[:, :, None])
            except np.linalg.LinAlgError:
                return False
            points = self._y[:, own:] - step[:, :, 0]
        return False

    @property
    def _slope_inside(self) -> Floats:
        """Slopes of the balances over what is inside, shape (parts, inside, inside)."""
        return self._d_rows[:, self.variables :, : self._balances].transpose(0, 2, 1)

    def _sensitivities(self) -> Floats:
        """Return what each variable moves inside, shape (parts, variables, inside)."""
        if self._sensed is None:
            own, b = self.variables, self._balances
            by = _solved(self._slope_inside, self._d_rows[:, :own, :b].transpose(0, 2, 1))
            self._sensed = -by.transpose(0, 2, 1)
        return self._sensed


class Asked(ca.Callback):
    """What CasADi asks of the parts, a column each.

    Args:
        parts: of whom.
        name: ``values``, ``slopes`` or ``curvature`` (upper triangles); arguments and results are
            those of ``Condensed``, column by column.
        numbers: how many a part has.
    """

    def __init__(self, parts: Condensed, name: str, numbers: int) -> None:
        ca.Callback.__init__(self)
        self._parts, self._count, self._ask = parts, parts.count, getattr(self, f"_{name}")
        own, rows = parts.variables, parts.rows
        self._upper = np.array(ca.Sparsity.upper(own).get_triplet())
        self._in = [own, numbers, rows, 1] if name == "curvature" else [own, numbers]
        self._out = {
            "values": [rows, 1],
            "slopes": [rows * own, own],
            "curvature": [own, self._upper.shape[1]],
        }[name]
        self.construct(f"parts_{name}", {})

    def get_n_in(self) -> int:
        return len(self._in)

    def get_n_out(self) -> int:
        return len(self._out)

    def get_sparsity_in(self, i: int) -> Any:
        return ca.Sparsity.dense(self._in[i], self._count)

    def get_sparsity_out(self, i: int) -> Any:
        return ca.Sparsity.dense(self._out[i], self._count)

    def has_eval_buffer(self) -> bool:
        return True  # or each number is copied by itself, which takes half of a solve

    def eval_buffer(self, arg: Sequence[Any], res: Sequence[Any]) -> int:
        given = (np.frombuffer(a).reshape(self._count, -1) for a in arg)
        for into, found in zip(res, self._ask(*given), strict=True):
            if into is not None:  # as it is where nobody asks for it
                np.frombuffer(into)[:] = found.ravel()
        return 0

    def _values(self, at: Floats, numbers: Floats) -> tuple[Floats, Floats]:
        return self._parts.values(at, numbers), self._parts.costs

    def _slopes(self, at: Floats, numbers: Floats) -> tuple[Floats, Floats]:
        return self._parts.slopes(at, numbers)

    def _curvature(
        self, at: Floats, numbers: Floats, weights: Floats, weight: Floats
    ) -> tuple[Floats, Floats]:
        slope, curved = self._parts.curvature(at, numbers, weights, weight)
        return slope, curved[:, *self._upper]


def _solved(matrices: Floats, sides: Floats) -> Floats:
    return np.asarray(np.linalg.solve(matrices, sides), dtype=np.float64)
