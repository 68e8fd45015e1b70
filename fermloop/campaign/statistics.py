"""What many batches say: spread and violations of each recipe, and paired comparisons.

Two recipes are compared over the seeds that both have finished, batch by batch on the same
simulated plant, so that what differs between plants cancels. Intervals are of 95 %, from a
bootstrap over those pairs, bias-corrected and accelerated (BCa): B. Efron, J. Am. Stat. Assoc. 82
(1987) 171-185. A batch that failed has no figures; it is counted and named, never left out in
silence.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fermloop.campaign.results import Row

Floats = NDArray[np.float64]
ENOUGH: Final = 8  # batches, below which neither CV nor interval is given
RESAMPLES: Final = 20_000
SEED: Final = 20260101  # of the bootstrap: the same results give the same intervals
CHUNK: Final = 2_000_000  # draws at a time: 16 MB


@dataclass(frozen=True, slots=True)
class Figure:
    """A key of the report that is summed up and compared; ``more`` of it is better, or less."""

    key: str
    unit: str
    more: bool


@dataclass(frozen=True, slots=True)
class Limit:
    """A key of the report that counts what should not be."""

    key: str
    unit: str


FIGURES: Final = (
    Figure("product_g", "g", more=True),
    Figure("yield_product_per_substrate_g_per_g", "g/g", more=True),
    Figure("space_time_yield_g_per_l_h", "g/(L·h)", more=True),
    Figure("energy_per_product_kwh_per_kg", "kWh/kg", more=False),
    Figure("co2e_per_product_kg_per_kg", "kg/kg", more=False),
)
LIMITS: Final = (
    Limit("do_below_limit_min", "min"),
    Limit("by_product_above_limit_min", "min"),
    Limit("volume_above_limit_min", "min"),
    Limit("interlock_trips", ""),
)


@dataclass(frozen=True, slots=True)
class Spread:
    """How one figure is spread over the batches of a recipe; ``None`` is what so few do not say.

    Attributes:
        n: batches that have the figure.
        cv: sd over mean, from 8 batches on.
    """

    n: int
    mean: float | None = None
    median: float | None = None
    sd: float | None = None
    cv: float | None = None
    p5: float | None = None
    p95: float | None = None


@dataclass(frozen=True, slots=True)
class Violation:
    """How often and how badly a limit was violated.

    Attributes:
        batches: that violated it at all.
        n: batches that have the limit.
        mean: over all of these, in the limit's unit.
        worst: the largest.
        worst_seed: whose.
    """

    batches: int
    n: int
    mean: float = 0.0
    worst: float = 0.0
    worst_seed: int | None = None

    @property
    def rate(self) -> float | None:
        """Share of the batches, 0..1."""
        return self.batches / self.n if self.n else None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A figure of one recipe less that of another over the same plants.

    Attributes:
        baseline: recipe that is subtracted.
        candidate: recipe that it is subtracted from.
        figure: which.
        n: pairs.
        left_out: seeds of which only one of both has the figure.
        difference: mean, in the figure's unit.
        interval: of the difference, 95 %; ``None`` below 8 pairs.
        relative: mean of the candidate over that of the baseline, less 1.
        relative_interval: of that, 95 %.
    """

    baseline: str
    candidate: str
    figure: Figure
    n: int
    left_out: int
    difference: float | None = None
    interval: tuple[float, float] | None = None
    relative: float | None = None
    relative_interval: tuple[float, float] | None = None

    @property
    def better(self) -> bool | None:
        """Whether the interval lies on the better side, on the worse, or on both (``None``)."""
        if self.interval is None or self.interval[0] <= 0.0 <= self.interval[1]:
            return None
        return (self.interval[0] > 0.0) == self.figure.more


def by_recipe(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return the rows of each recipe by its file's name without ending, in the order given."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(Path(str(row["recipe_file"])).stem, []).append(row)
    return found


def finished(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of batches that did not fail."""
    return [row for row in rows if row["state"] == "done"]


def failed(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of batches that failed."""
    return [row for row in rows if row["state"] != "done"]


def values(rows: Sequence[Row], key: str) -> dict[int, float]:
    """Return what finished batches have of a key, by seed; without those that have none."""
    return {
        int(row["seed"]): float(row[key])
        for row in finished(rows)
        if isinstance(row.get(key), int | float) and math.isfinite(row[key])
    }


def spread(rows: Sequence[Row], key: str) -> Spread:
    """Return how ``key`` is spread over the finished batches; percentiles are interpolated."""
    known = np.array(list(values(rows, key).values()))
    n = len(known)
    if not n:
        return Spread(0)
    mean = float(known.mean())
    sd = float(known.std(ddof=1)) if n > 1 else None
    p5, median, p95 = (float(v) for v in np.percentile(known, (5, 50, 95)))
    cv = sd / abs(mean) if sd is not None and n >= ENOUGH and mean else None
    return Spread(n, mean, median, sd, cv, p5, p95)


def violation(rows: Sequence[Row], key: str) -> Violation:
    """Return how often and how badly the limit behind ``key`` was violated."""
    known = values(rows, key)
    if not known:
        return Violation(0, 0)
    seed, worst = max(known.items(), key=lambda item: item[1])
    mean = float(np.mean(list(known.values())))
    batches = sum(value > 0.0 for value in known.values())
    return Violation(batches, len(known), mean, worst, seed if worst > 0.0 else None)


def compare(
    baseline: tuple[str, Sequence[Row]],
    candidate: tuple[str, Sequence[Row]],
    figure: Figure,
    resamples: int = RESAMPLES,
) -> Comparison:
    """Return one figure of two recipes, given as name and rows, over their common seeds."""
    (name_a, rows_a), (name_b, rows_b) = baseline, candidate
    a, b = values(rows_a, figure.key), values(rows_b, figure.key)
    seeds = [seed for seed in a if seed in b]
    everything = {int(row["seed"]) for row in (*rows_a, *rows_b)}
    left_out = len(everything) - len(seeds)
    if not seeds:
        return Comparison(name_a, name_b, figure, 0, left_out)
    pairs = np.array([(a[seed], b[seed]) for seed in seeds])
    difference, relative = _difference(pairs.mean(axis=0)), _relative(pairs.mean(axis=0))
    interval = relative_interval = None
    if len(seeds) >= ENOUGH:
        n = len(pairs)
        drawn = _resampled_means(pairs, resamples)
        less_one = (pairs.sum(axis=0) - pairs) / (n - 1)
        interval = _bca(float(difference), _difference(drawn), _difference(less_one))
        if np.isfinite(relative):
            relative_interval = _bca(float(relative), _relative(drawn), _relative(less_one))
    return Comparison(
        name_a,
        name_b,
        figure,
        len(seeds),
        left_out,
        float(difference),
        interval,
        float(relative) if np.isfinite(relative) else None,
        relative_interval,
    )


def _difference(means: Floats) -> Floats:
    return means[..., 1] - means[..., 0]


def _relative(means: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return means[..., 1] / means[..., 0] - 1.0


def _resampled_means(pairs: Floats, resamples: int) -> Floats:
    """Return the means (resamples, 2) of pairs drawn with replacement, pair by pair."""
    chance = np.random.default_rng(SEED)
    n = len(pairs)
    out = np.empty((resamples, 2))
    step = max(1, CHUNK // n)
    for begin in range(0, resamples, step):
        end = min(begin + step, resamples)
        out[begin:end] = pairs[chance.integers(0, n, (end - begin, n))].mean(axis=1)
    return out


def _bca(observed: float, drawn: Floats, less_one: Floats) -> tuple[float, float]:
    """Return the 95 % interval from resamples and from the samples less one each (jackknife)."""
    below = float(np.count_nonzero(drawn < observed)) + 0.5 * np.count_nonzero(drawn == observed)
    below /= len(drawn)
    from_mean = float(np.mean(less_one)) - less_one
    spread_of = float(np.sum(from_mean**2))
    if spread_of <= 1e-24 * max(1.0, observed * observed) or not 0.0 < below < 1.0:
        low, high = np.percentile(drawn, [2.5, 97.5])  # no spread to correct for
        return float(low), float(high)
    normal = NormalDist()
    bias = normal.inv_cdf(below)
    bend = float(np.sum(from_mean**3)) / (6.0 * spread_of**1.5)
    ends = [bias + normal.inv_cdf(share) for share in (0.025, 0.975)]
    low, high = np.percentile(
        drawn, [100.0 * normal.cdf(bias + z / (1.0 - bend * z)) for z in ends]
    )
    return float(low), float(high)
