"""From batch to batch: how far the optimiser may go from what was tried, and how the model is off.

A model that was fitted to a plant's batches is believed near them. The closed loop therefore starts
in a region around what was tried, which grows where what the model promised came true and shrinks
where it did not; and what the model foretells is corrected by what it foretold wrongly before, with
a slope along the few numbers by which batches are told apart, so that the optimum moves with it
(modifier adaptation). Pure: the same batches, the same answer.

Sources: A. Conn, N. Gould, Ph. Toint, Trust-Region Methods (SIAM, 2000), 6.1, for the region; A.
Marchetti, B. Chachuat, D. Bonvin, Ind. Eng. Chem. Res. 48 (2009) 6022-6033, for the modifiers, here
with a normal prior in the place of their filter (both recalled).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
GOOD: Final = 0.5  # share of a promised gain that came true, from which the region grows
BAD: Final = 0.1  # below which it shrinks


@dataclass(frozen=True)
class Tried:
    """A batch that is over.

    Attributes:
        name: its id.
        hours: h since inoculation, shape (n,), increasing.
        setpoints: by loop what was applied, in the loop's unit, shape (n,).
        product: what was made, g, as the laboratory has it.
        foretold: what the model, uncorrected, had foretold for what was done; ``None`` where nobody
            asked it.
        kept: no limit was broken and no interlock tripped.
        seen: the model was fitted to it, so that what it foretells of it proves nothing.
    """

    name: str
    hours: Floats
    setpoints: Mapping[str, Floats]
    product: float
    foretold: float | None = None
    kept: bool = True
    seen: bool = False

    def __post_init__(self) -> None:
        if self.hours.ndim != 1 or len(self.hours) < 2 or not (np.diff(self.hours) > 0.0).all():
            raise ValueError(f"{self.name}: hours must be two or more, and increase")
        for loop, values in self.setpoints.items():
            if values.shape != self.hours.shape or not np.isfinite(values).all():
                raise ValueError(f"{self.name}: {loop}: a finite value for each hour is required")
        for number in (self.product, *(() if self.foretold is None else (self.foretold,))):
            if not (math.isfinite(number) and number > 0.0):
                raise ValueError(f"{self.name}: product must be above 0 g, not {number:g}")


@dataclass(frozen=True, slots=True)
class TrustSettings:
    """How the region grows.

    Attributes:
        start: share of a setpoint, to each side of what was tried, at first.
        least: it never shrinks below.
        most: nor grows beyond.
        grow: what a promise that came true multiplies it by.
        shrink: what one that did not does.
        noise: standard deviation of a batch's product for no reason, as a share; a difference
            within it is no gain and no loss.
    """

    start: float = 0.1
    least: float = 0.02
    most: float = 0.6
    grow: float = 1.5
    shrink: float = 0.5
    noise: float = 0.08

    def __post_init__(self) -> None:
        if not 0.0 < self.least <= self.start <= self.most:
            raise ValueError("0 < least <= start <= most is required")
        if not (self.grow >= 1.0 and 0.0 < self.shrink <= 1.0 and self.noise > 0.0):
            raise ValueError("grow >= 1, 0 < shrink <= 1 and noise > 0 are required")


@dataclass(frozen=True)
class Region:
    """Where the optimiser may lead.

    Attributes:
        hours: h since inoculation, shape (n,).
        low: by loop, in its unit, shape (n,).
        high: likewise.
        width: share to each side of what was tried.
        why: how it came to be, a line a batch.
    """

    hours: Floats
    low: Mapping[str, Floats]
    high: Mapping[str, Floats]
    width: float
    why: Sequence[str]

    def limits(self, loop: str, hour: float) -> tuple[float, float]:
        """Return what a setpoint may be at ``hour``; at the ends what holds there."""
        low = float(np.interp(hour, self.hours, self.low[loop]))
        return low, float(np.interp(hour, self.hours, self.high[loop]))


def region(
    tried: Sequence[Tried],
    ranges: Mapping[str, tuple[float, float]],
    settings: TrustSettings | None = None,
) -> Region:
    """Return the region after some batches: around the envelope of those that kept the limits.

    Args:
        tried: oldest first; the first is what there was before the optimiser led.
        ranges: the loops that it moves, and how far each may go at all.
        settings: how it grows.

    Raises:
        ValueError: no batch kept the limits, or one has no setpoint of a loop.
    """
    s = settings or TrustSettings()
    kept = [t for t in tried if t.kept]
    if not kept:
        raise ValueError("no batch that kept the limits; the region needs one to be around")
    width, why = _width(tried, s)
    hours = kept[-1].hours
    low: dict[str, Floats] = {}
    high: dict[str, Floats] = {}
    for loop, (least, most) in ranges.items():
        for t in kept:
            if loop not in t.setpoints:
                raise ValueError(f"{t.name}: has no setpoint of {loop}")
        rows = np.array([np.interp(hours, t.hours, t.setpoints[loop]) for t in kept])
        # where the recipe has nothing, a share of nothing would stay nothing
        floor = 0.1 * float(np.abs(rows).max())
        bottom, top = rows.min(axis=0), rows.max(axis=0)
        low[loop] = np.clip(bottom - width * np.maximum(np.abs(bottom), floor), least, most)
        high[loop] = np.clip(top + width * np.maximum(np.abs(top), floor), least, most)
    return Region(hours, low, high, width, why)


def _width(tried: Sequence[Tried], s: TrustSettings) -> tuple[float, list[str]]:
    """Return the share after all batches, and what each did to it."""
    width, why = s.start, [f"starts at {100.0 * s.start:.0f} %"]
    best = tried[0]
    for t in tried[1:]:
        gained, promised = math.log(t.product / best.product), math.nan
        if t.foretold is not None and best.foretold is not None:
            promised = math.log(t.foretold / best.foretold)
        if not t.kept:
            factor, told = s.shrink, "a limit was broken"
        elif t.seen:
            factor, told = 1.0, "the model was fitted to it"
        elif gained < -2.0 * s.noise:
            factor, told = s.shrink, f"{100.0 * math.expm1(gained):+.0f} % of product"
        elif math.isnan(promised):
            factor, told = 1.0, "nothing was foretold"
        elif promised < s.noise:
            # too small a promise to be judged in the noise; it was safe there
            factor, told = math.sqrt(s.grow), "safe, and too little was promised to judge"
        elif gained >= GOOD * promised:
            factor, told = s.grow, "what was promised came true"
        elif gained < BAD * promised:
            factor, told = s.shrink, "what was promised did not come true"
        else:
            factor, told = 1.0, "what was promised came true in part"
        width = min(max(width * factor, s.least), s.most)
        why.append(f"{t.name}: {told}; {100.0 * width:.0f} %")
        if t.kept and t.product > best.product:
            best = t
    return width, why


@dataclass(frozen=True)
class Modifiers:
    """How the model is off, as a logarithm, about what was done in the last batch.

    Attributes:
        at: what was done there, by name.
        bias: of ln(made / foretold) there.
        slopes: by name, per unit of it.
        covariance: of bias and slopes in this order, shape (1 + n, 1 + n).
    """

    at: Mapping[str, float]
    bias: float
    slopes: Mapping[str, float]
    covariance: Floats = field(default_factory=lambda: np.zeros((1, 1)))

    def corrected(self, foretold: float, done: Mapping[str, float]) -> float:
        """Return what is to be expected of ``done`` where the model foretells ``foretold``."""
        off = self.bias + sum(m * (done[n] - self.at[n]) for n, m in self.slopes.items())
        return foretold * math.exp(off)

    def sd(self, done: Mapping[str, float]) -> float:
        """Return the standard deviation of the correction, as a share."""
        row = np.array([1.0, *(done[n] - self.at[n] for n in self.slopes)])
        return math.sqrt(max(float(row @ self.covariance @ row), 0.0))


def modifiers(
    done: Sequence[Mapping[str, float]],
    made: Sequence[float],
    foretold: Sequence[float],
    *,
    noise: float = 0.08,
    bias_sd: float = 0.3,
    slope_sd: float = 0.5,
    memory: float = 0.7,
) -> Modifiers:
    """Return how the model is off by the batches so far.

    With one batch it is all bias; slopes come with batches that differ. A normal prior of mean zero
    keeps both from following noise, so that few batches say little.

    Args:
        done: of each batch a few numbers, such as each feed's total over the recipe's: the fewer,
            the sooner they are known.
        made: product, g.
        foretold: by the uncorrected model for what was done, g.
        noise: standard deviation of a batch's product for no reason, as a share.
        bias_sd: what is believed of the bias before.
        slope_sd: likewise of a slope, per unit of its number.
        memory: what a batch counts for after another one: how the model is off changes with where
            the plant is run, and a straight line holds only near.

    Raises:
        ValueError: nothing to go by, or a batch lacks a number.
    """
    if not done or not len(done) == len(made) == len(foretold):
        raise ValueError("as many numbers made and foretold as batches, one at least")
    names = list(done[-1])
    if any(set(d) != set(names) for d in done):
        raise ValueError(f"every batch must have {', '.join(names)}")
    if not all(math.isfinite(v) and v > 0.0 for v in (*made, *foretold)):
        raise ValueError("what was made and foretold must be above 0")
    at = dict(done[-1])
    rows = np.array([[1.0, *(d[n] - at[n] for n in names)] for d in done])
    off = np.log(np.asarray(made) / np.asarray(foretold))
    prior = np.diag([1.0 / bias_sd**2, *([1.0 / slope_sd**2] * len(names))])
    weighted = rows.T * (memory ** np.arange(len(done) - 1.0, -1.0, -1.0) / noise**2)
    covariance = np.linalg.inv(weighted @ rows + prior)
    found = covariance @ (weighted @ off)
    slopes = dict(zip(names, (float(v) for v in found[1:]), strict=True))
    return Modifiers(at, float(found[0]), slopes, np.asarray(covariance, dtype=np.float64))
