"""Gaussian elimination written out, for numbers and for symbols: no branch depends on a value."""

from collections.abc import Mapping, Sequence
from typing import Any


def eliminate(rows: Sequence[Mapping[int, Any]], sides: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Return the solutions of ``matrix y = side``, one for each side.

    Pivots stay on the diagonal, in an order that keeps the fill small: meant for
    ``I - gamma h J``, whose diagonal leads where ``h`` is a sensible step of a stable system.

    Args:
        rows: what is not zero of a square matrix, for each row by column; left as it is.
        sides: right-hand sides, each as long as ``rows``.
    """
    n = len(rows)
    rows = [dict(row) for row in rows]
    sides = [list(side) for side in sides]
    rest = set(range(n))
    order: list[int] = []
    columns: list[list[int]] = []
    while rest:
        column_size = {k: sum(1 for i in rest if k in rows[i]) for k in rest}
        k = min(rest, key=lambda k: ((len(rows[k]) - 1) * (column_size[k] - 1), k))
        rest.remove(k)
        order.append(k)
        below = sorted(i for i in rest if k in rows[i])
        columns.append(below)
        for i in below:
            factor = rows[i].pop(k) / rows[k][k]
            for j, value in rows[k].items():
                if j != k:
                    rows[i][j] = rows[i].get(j, 0.0) - factor * value
            for side in sides:
                side[i] = side[i] - factor * side[k]
    solved: list[list[Any]] = []
    for side in sides:
        y: list[Any] = [0.0] * n
        for k in reversed(order):
            total = side[k]
            for j, value in rows[k].items():
                if j != k:
                    total = total - value * y[j]
            y[k] = total / rows[k][k]
        solved.append(y)
    return solved
