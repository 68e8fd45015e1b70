"""What feeds may know of the cells."""

import math
from typing import NamedTuple


class Culture(NamedTuple):
    """What the estimator knows of the cells.

    Attributes:
        biomass_g: in the vessel; NaN: nobody knows.
        mu_per_h: specific growth rate, 1/h; NaN likewise.
        leftover: they still eat what was there before the feed: sugar of the batch, acetate.
    """

    biomass_g: float = math.nan
    mu_per_h: float = math.nan
    leftover: bool = False


UNKNOWN = Culture()
