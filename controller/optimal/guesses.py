"""Where to begin: profiles of many shapes, the best of which lead to different optima.

A solver that begins anywhere reports success at local optima some per cent short of the best; one
that begins from a profile of the right structure (how much, when more, when less) does not.
"""

from collections.abc import Iterator

import numpy as np

from controller.optimal.problem import Floats, Problem

LEVELS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0)  # of an input's range
SHARES = (0.2, 0.4, 0.6, 0.8)  # of the time


def shapes(time: Floats) -> Iterator[Floats]:
    """Yield profiles of one input, 0 to 1, at ``time``, 0 to 1: level, step, ramp, growth."""
    for a in LEVELS:
        yield np.full_like(time, a)
    for at in SHARES:
        for a in LEVELS[::2]:
            for b in LEVELS[::2]:
                if a != b:
                    yield np.where(time < at, a, b)
    for a, b in ((0.0, 0.3), (0.0, 1.0), (0.3, 0.0), (1.0, 0.0), (0.1, 0.5), (0.5, 0.1)):
        yield a + (b - a) * time
    for rate in (1.0, 2.0, 4.0):
        for most in (0.1, 0.3, 1.0):
            for until in (1.0, 0.7):
                yield np.where(time <= until, most * np.exp(rate * (time - until)), 0.0)


def profiles(problem: Problem, intervals: int, most: int) -> Iterator[tuple[Floats, float]]:
    """Yield inputs of shape (k, m) and a final time, at most ``most`` of them, always the same.

    With one input all shapes, with several the same for all and then drawn for each.
    """
    time = (np.arange(intervals) + 0.5) / intervals
    known = list(shapes(time))
    draw = np.random.default_rng(1)
    low, high = problem.end_time
    m = len(problem.inputs)
    chosen: list[Floats]
    for k in range(most):
        if m == 1:
            if k >= len(known):
                return
            chosen = [known[k]]
        elif k < len(LEVELS):
            chosen = [known[k]] * m
        else:
            chosen = [known[i] for i in draw.integers(len(known), size=m)]
        share = 1.0 if low == high else (0.5, 0.9, 0.2)[k % 3]
        inputs = problem.low + np.stack(chosen, axis=1) * (problem.high - problem.low)
        yield inputs, low + share * (high - low)
