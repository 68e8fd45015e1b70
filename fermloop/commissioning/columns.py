"""Columns of a record: gaps filled, sums and medians around each row."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def before(column: Floats) -> Floats:
    """Return a column whose gaps are what was before; 0 before the first."""
    at = np.where(np.isfinite(column), np.arange(len(column)), -1)
    last = np.maximum.accumulate(at)
    return np.where(last >= 0, np.nan_to_num(column)[last], 0.0)


def summed(column: Floats, width: int) -> Floats:
    """Return the sum of ``width`` rows around each."""
    half = width // 2
    whole = np.concatenate([[0.0], np.cumsum(column)])
    at = np.arange(len(column))
    high, low = np.minimum(at + half + 1, len(column)), np.maximum(at - half, 0)
    return whole[high] - whole[low]


def medians(column: Floats, width: int) -> Floats:
    """Return the mean of the medians around each row: no jump of a balance stays in it."""
    half = width // 2
    padded = np.pad(column, half, mode="median", stat_length=half)
    views = np.lib.stride_tricks.sliding_window_view(padded, width)
    middle = np.pad(np.median(views, axis=1), half, mode="median", stat_length=half)
    return np.asarray(
        np.mean(np.lib.stride_tricks.sliding_window_view(middle, width), axis=1), dtype=np.float64
    )
