"""The sum of squares of a fit, in the priors' own measure: 0 is the median, 1 one sd of its log.

Every quantity that is looked for is positive and has a lognormal prior, so that what the batches
do not tell stays at what the literature says, and is seen to. Outliers weigh as their root
(pseudo-Huber), instruments whose errors last count for fewer values than they gave, and a series
that the model cannot explain is trusted less: that is estimated beside the parameters.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from models.fitting.experiment import Experiment, Floats, Series
from models.fitting.simulation import Simulation

BEND = 2.0  # sd from which a residual counts as its root
WORTH = 6.0  # values a batch that an instrument can be worth: its calibration is wrong all through
STEP = 1e-3  # of a prior's sd, for the slopes
LOST = 1e3  # residual of a batch that the model cannot run
Z90 = 1.6449  # sd of half a 90 % interval


class Prior(NamedTuple):
    """What is believed of one quantity before the batches are looked at.

    Attributes:
        name: a parameter of the model, or a state: its value at the start.
        sd: standard deviation of its logarithm, about its relative error.
        own: each batch has its own; beside one of the same name that all share, by how much a
            batch's is off from that: strains and media differ.
        median: ``None``: what the model, or the batch's start, says.
    """

    name: str
    sd: float
    own: bool = False
    median: float | None = None


@dataclass(frozen=True)
class Found:
    """One quantity after the fit.

    Attributes:
        name: what.
        median: the most probable value.
        low: lower end of the 90 % interval.
        high: its upper end.
        prior: what was believed before.
        learned: share of the prior's uncertainty (sd of the logarithm) that is gone; near 0 the
            batches said nothing.
    """

    name: str
    median: float
    low: float
    high: float
    prior: float
    learned: float


class Problem:
    """Residuals and slopes in the priors' own measure: 0 is the median, 1 one sd of its log."""

    def __init__(
        self, simulation: Simulation, batches: Sequence[Experiment], priors: Sequence[Prior]
    ) -> None:
        self.simulation, self.batches = simulation, batches
        self.shared = [p for p in priors if not p.own]
        self.own = [p for p in priors if p.own]
        self.size = len(self.shared) + len(self.own) * len(batches)
        self.trust = {s.name: _least([(s, s.values)]) for b in batches for s in b.series}
        self._check(priors)

    def _check(self, priors: Sequence[Prior]) -> None:
        if not self.batches or not priors:
            raise ValueError("a fit needs at least one batch and one quantity to look for")
        model = self.simulation.model
        known = [v.name for v in (*model.parameters, *model.states)]
        for prior in priors:
            if prior.name not in known:
                raise ValueError(f"{prior.name}: the model has none; {', '.join(known)}")
            if not 0.0 < prior.sd <= 3.0:
                raise ValueError(f"{prior.name}: sd {prior.sd:g} is not allowed; above 0, up to 3")
        names = [(p.name, p.own) for p in priors]
        if twice := {n[0] for n in names if names.count(n) > 1}:
            raise ValueError(f"{', '.join(sorted(twice))}: named twice")
        for batch in self.batches:
            batch.check(model)
            for prior in priors:
                if not self.median(prior, batch) > 0.0:
                    raise ValueError(f"{batch.name}: {prior.name} must begin above 0")

    def median(self, prior: Prior, batch: Experiment | None) -> float:
        """Return what a quantity is before the fit, in its unit."""
        if prior.median is not None:
            return prior.median
        if batch is not None and prior.name in batch.start:
            return batch.start[prior.name]
        model = self.simulation.model
        return next(v.default for v in (*model.parameters, *model.states) if v.name == prior.name)

    def places(self, b: int) -> range:
        """Return where the own quantities of a batch stand."""
        first = len(self.shared) + b * len(self.own)
        return range(first, first + len(self.own))

    def found(
        self, prior: Prior, batch: Experiment | None, z: float, sd: float, usual: float | None
    ) -> Found:
        """Return a quantity in its unit; ``usual``: what all batches share of it, if they do."""
        median = self.median(prior, batch) if usual is None else usual
        at, half = prior.sd * z, prior.sd * Z90 * sd
        low, high = (median * math.exp(at + sign * half) for sign in (-1.0, 1.0))
        return Found(prior.name, median * math.exp(at), low, high, median, float(1.0 - sd))

    def changed(self, batch: Experiment, z: Floats) -> dict[str, float]:
        """Return the quantities of one batch by name; ``z``: what is shared, then its own."""
        found: dict[str, float] = {}
        for p, at in zip((*self.shared, *self.own), z, strict=True):
            usual = found[p.name] if p.name in found else self.median(p, batch)
            found[p.name] = usual * math.exp(p.sd * at)
        return found

    def of(self, b: int, z: Floats) -> Floats:
        """Return what is shared and what is a batch's own."""
        return np.concatenate([z[: len(self.shared)], z[self.places(b)]])

    def value(self, batch: Experiment, z: Floats, names: Sequence[str], hours: Floats) -> Floats:
        """Return the sum of states or outputs of a batch."""
        changed = self.changed(batch, z)
        path = self.simulation.states(batch, changed)
        return self.simulation.seen(batch, path, changed, names, hours)

    def path(self, batch: Experiment, z: Floats) -> Floats:
        """Return the states of a batch at the edges of its steps, shape (k + 1, states)."""
        return self.simulation.states(batch, self.changed(batch, z))

    def raw(self, batch: Experiment, z: Floats) -> list[Floats]:
        """Return how far each series is from the model, in its stated sd."""
        changed = self.changed(batch, z)
        with np.errstate(all="ignore"):
            path = self.simulation.states(batch, changed)
            seen = self.simulation.seen
            off = [
                (seen(batch, path, changed, s.parts, s.hours) - s.values) / s.sd
                for s in batch.series
            ]
        return [np.where(np.isfinite(r), np.clip(r, -LOST, LOST), LOST) for r in off]

    def robust(self, batch: Experiment, z: Floats) -> Floats:
        """Return the residuals of one batch: trusted as much as each deserves, outliers bent."""
        scaled = [
            r / self.trust[s.name] for r, s in zip(self.raw(batch, z), batch.series, strict=True)
        ]
        r = np.concatenate(scaled) if scaled else np.empty(0)
        return np.sign(r) * BEND * np.sqrt(2.0 * (np.sqrt(1.0 + (r / BEND) ** 2) - 1.0))

    def residuals(self, z: Floats) -> Floats:
        """Return those of all batches, then the priors' own."""
        return np.concatenate(
            [self.robust(b, self.of(k, z)) for k, b in enumerate(self.batches)] + [z]
        )

    def slopes(self, z: Floats) -> Floats:
        """Return the slopes of the residuals; a batch depends only on what is shared or its own."""
        shared = len(self.shared)
        blocks: list[Floats] = []
        for b, batch in enumerate(self.batches):
            local = self.of(b, z)
            columns = [*range(shared), *self.places(b)]
            base = self.robust(batch, local)
            block = np.zeros((len(base), self.size))
            for k, column in enumerate(columns):
                local[k] += STEP
                block[:, column] = (self.robust(batch, local) - base) / STEP
                local[k] -= STEP
            blocks.append(block)
        return np.vstack([*blocks, np.eye(self.size)])

    def weigh(self, z: Floats) -> bool:
        """Estimate how far each series can be trusted; return whether that has changed."""
        pooled: dict[str, list[tuple[Series, Floats]]] = {}
        for b, batch in enumerate(self.batches):
            for s, r in zip(batch.series, self.raw(batch, self.of(b, z)), strict=True):
                pooled.setdefault(s.name, []).append((s, r))
        trust = {name: max(_least(each), _spread(each)) for name, each in pooled.items()}
        moved = any(abs(math.log(trust[n] / old)) > 0.1 for n, old in self.trust.items())
        self.trust = trust
        return moved

    def compared(self, b: int, z: Floats) -> dict[str, tuple[Floats, Floats, Floats, Floats]]:
        """Return by series when, what was measured, what the model says, and its sd."""
        batch, local = self.batches[b], self.of(b, z)
        return {
            s.name: (s.hours, s.values, self.value(batch, local, s.parts, s.hours), s.sd)
            for s in batch.series
        }

    def refuse_what_does_not_run(self, z: Floats) -> None:
        """Raise ``ValueError`` where the model fails before anything is changed."""
        for b, batch in enumerate(self.batches):
            lost = [
                s.name
                for s, r in zip(batch.series, self.raw(batch, self.of(b, z)), strict=True)
                if len(r) and np.abs(r).min() >= LOST
            ]
            if lost:
                raise ValueError(
                    f"{batch.name}: the model says nothing near {', '.join(lost)}; are the units "
                    "and the start right?"
                )


def _least(each: Sequence[tuple[Series, Floats]]) -> float:
    """Return how many times its stated sd a series counts at least: an instrument is no crowd."""
    counts = [len(found) for series, found in each if series.dense]
    return max([1.0, *(math.sqrt(n / WORTH) for n in counts)])


def _spread(each: Sequence[tuple[Series, Floats]]) -> float:
    """Return how wide residuals are, in their stated sd, as so many independent ones would be."""
    r = np.concatenate([found for _, found in each])
    if not len(r):
        return 1.0
    wide = 1.4826 * float(np.median(np.abs(r)))
    if not any(series.dense for series, _ in each):
        return wide
    pairs = [found for series, found in each if series.dense and len(found) > 2]
    top = sum(float(a[1:] @ a[:-1]) for a in pairs)
    bottom = sum(float(a @ a) for a in pairs)
    lasting = min(max(top / bottom, 0.0), 0.98) if bottom > 0.0 else 0.0
    return wide * math.sqrt((1.0 + lasting) / (1.0 - lasting))
