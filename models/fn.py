"""The functions a right-hand side may call, for floats and for numpy arrays.

CasADi's are in ``models/symbolic.py``. All three give the same numbers, which a test holds.
"""

import math
from typing import Any

import numpy as np

from models.model import Functions


class Scalars:
    """``Functions`` for floats."""

    def exp(self, a: Any) -> Any:
        return math.exp(a)

    def log(self, a: Any) -> Any:
        return math.log(a)

    def sqrt(self, a: Any) -> Any:
        return math.sqrt(a)

    def max(self, a: Any, b: Any, eps: float = 1e-3) -> Any:
        return 0.5 * (a + b + math.sqrt((a - b) * (a - b) + eps * eps))

    def min(self, a: Any, b: Any, eps: float = 1e-3) -> Any:
        return 0.5 * (a + b - math.sqrt((a - b) * (a - b) + eps * eps))


class Arrays:
    """``Functions`` for numpy arrays, element by element."""

    def exp(self, a: Any) -> Any:
        return np.exp(a)

    def log(self, a: Any) -> Any:
        return np.log(a)

    def sqrt(self, a: Any) -> Any:
        return np.sqrt(a)

    def max(self, a: Any, b: Any, eps: float = 1e-3) -> Any:
        return 0.5 * (a + b + np.sqrt((a - b) * (a - b) + eps * eps))

    def min(self, a: Any, b: Any, eps: float = 1e-3) -> Any:
        return 0.5 * (a + b - np.sqrt((a - b) * (a - b) + eps * eps))


SCALARS: Functions = Scalars()
ARRAYS: Functions = Arrays()

LN10 = math.log(10.0)


def lesser(a: Any, b: Any, fn: Functions, corner: float = 1e-3) -> Any:
    """Return a smooth lesser of two amounts that are not negative; never above either.

    The non-rectangular hyperbola ``y`` with ``(1 - corner) y^2 - (a + b) y + a b = 0``: unlike
    ``fn.min`` it is exactly 0 when one of the two is, so that no substrate is eaten where there
    is none, and its corner scales with its arguments.

    Args:
        a: at least 0.
        b: at least 0, same unit.
        fn: the functions for the type of ``a`` and ``b``.
        corner: how round the corner is; at ``a == b`` the result is about ``sqrt(corner)`` of
            it too small.
    """
    total = a + b
    # the smaller root, written so that no digits are lost when b >> a
    root = fn.sqrt((a - b) * (a - b) + 4.0 * corner * a * b + 1e-24)
    return 2.0 * a * b / (total + root + 1e-12)


def power(a: Any, exponent: float, fn: Functions) -> Any:
    """Return ``a ** exponent`` of a number that is not negative, also at 0 and of a symbol."""
    return fn.exp(exponent * fn.log(a + 1e-12))
