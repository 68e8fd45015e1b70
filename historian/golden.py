"""The golden band: median and range of reference batches at each age, and how far another is off.

One definition for the batch report and for Grafana, whose own transformations compute the same
(``dashboards/grafana/batch.py``): a deviation of 1 is at the edge of the range, which is never
taken for narrower than a hundredth of the greatest value of the references. Where all references
agree to the last digit, nobody could be inside.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

LEAST: Final = 3  # references: fewer have no range
NARROWEST: Final = 0.01  # half the range, of the greatest value of all references


def deviations(own: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the deviations at the ages where the batch and enough of the references have a value.

    Args:
        own: of the batch, by age.
        others: of the references, one a row.
    """
    there = np.isfinite(own) & (np.isfinite(others).sum(axis=0) >= LEAST)
    if not there.any():
        return np.empty(0)
    own, others = own[there], others[:, there]
    low, high = np.nanmin(others, axis=0), np.nanmax(others, axis=0)
    floor = NARROWEST * float(np.nanmax(np.abs(others))) or 1e-9
    return (own - np.nanmedian(others, axis=0)) / np.maximum(0.5 * (high - low), floor)
