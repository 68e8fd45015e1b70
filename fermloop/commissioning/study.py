"""What a fit says: what the batches determine, what they do not, and how it foretells others."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from fermloop.commissioning.experiment import Prepared
from fermloop.commissioning.record import Floats
from models.culture import Culture
from models.fitting import Experiment, Fitted, Found, Prior, Series, fit
from models.model import Variable
from models.watched import WatchedOrganism

LEAST: Final = 0.08  # share of the prior's uncertainty that must be gone, or the prior stays
MUCH: Final = 0.5  # from here on a parameter is determined
ALIKE: Final = 0.9  # correlation from which two parameters cannot be told apart
FAR: Final = 4.0  # sd from which a result of the laboratory is an outlier
TRUSTED: Final = 2.0  # times its stated sd beyond which a series is badly explained


@dataclass(frozen=True)
class Estimated:
    """One parameter.

    Attributes:
        variable: of the organism.
        found: in the last fit; for one that stays at its prior, in the first.
        low: of the 90 % interval by profile likelihood.
        high: likewise.
        kept: it was fitted; else the batches do not determine it, and it stays at its prior.
    """

    variable: Variable
    found: Found
    low: float
    high: float
    kept: bool

    @property
    def value(self) -> float:
        """What is to be used."""
        return self.found.median if self.kept else self.found.prior

    @property
    def verdict(self) -> str:
        """``determined``, ``partly`` or ``prior``."""
        if not self.kept:
            return "prior"
        return "determined" if self.found.learned >= MUCH else "partly"


@dataclass(frozen=True)
class Outlier:
    """A result of the laboratory that the model cannot believe."""

    batch: str
    series: str
    hours: float
    measured: float
    modelled: float


@dataclass(frozen=True)
class Foretold:
    """A batch that the fit has not seen.

    Attributes:
        batch: its id.
        measured: the last result of its product, g/L.
        hours: when that broth was taken, h.
        median: what was foretold for then, g/L.
        low: of the 90 % interval, the laboratory's own error left out.
        high: likewise.
        grams: all product by the end, what was drawn off included, foretold, g.
        series: every result of its product, with what was foretold.
    """

    batch: str
    measured: float
    hours: float
    median: float
    low: float
    high: float
    grams: float
    series: tuple[Floats, Floats, Floats]

    @property
    def error(self) -> float:
        """What was foretold too much, as a share."""
        return self.median / self.measured - 1.0


@dataclass(frozen=True)
class Study:
    """Everything that is shown and written.

    Attributes:
        organism: whose parameters.
        estimated: in the order asked for.
        fitted: the last fit.
        alike: pairs that the batches cannot tell apart, with their correlation.
        outliers: of the laboratory.
        foretold: the batches held out.
        notes: on how batches were read, and on what fits badly.
    """

    organism: WatchedOrganism
    estimated: Sequence[Estimated]
    fitted: Fitted
    alike: Sequence[tuple[str, str, float]]
    outliers: Sequence[Outlier]
    foretold: Sequence[Foretold]
    notes: Sequence[str]

    @property
    def error(self) -> float:
        """Median error of the final product of the batches held out, as a share; NaN without."""
        errors = [abs(f.error) for f in self.foretold]
        return float(np.median(errors)) if errors else math.nan


def study(
    organism: WatchedOrganism,
    model: Culture,
    batches: Sequence[Prepared],
    held_out: Sequence[Prepared],
    priors: Sequence[Prior],
    *,
    profile: bool = True,
    tell: Callable[[str], None] = lambda _: None,
) -> Study:
    """Fit a model to batches and return what came of it.

    What the batches do not determine is held at its prior and the rest is fitted again: a number
    that rests on belief alone is not to look as if it had been measured.

    Args:
        organism: whose parameters.
        model: that is fitted.
        batches: to fit to.
        held_out: to foretell.
        priors: what is believed.
        profile: intervals by profile likelihood; else by the curvature at the best place.
        tell: takes what is being done.

    Raises:
        ValueError: a batch cannot be run, or none determines anything.
    """
    experiments = [b.experiment for b in batches]
    tell(f"fitting {sum(not p.own for p in priors)} parameters to {len(batches)} batches")
    first = fit(model, experiments, priors)
    kept = {f.name for f in first.found if f.learned >= LEAST}
    if not kept:
        raise ValueError("these batches determine none of the parameters; nothing is written")
    last = first
    if len(kept) < len(first.found):
        lost = ", ".join(f.name for f in first.found if f.name not in kept)
        tell(f"not determined, held at their priors: {lost}; fitting the others again")
        own = [p for p in priors if p.own]
        last = fit(model, experiments, [*(p for p in priors if p.name in kept and not p.own), *own])
    known = {v.name: v for v in organism.parameters}
    again = {f.name: f for f in last.found}
    estimated: list[Estimated] = []
    for f in first.found:
        found = again.get(f.name, f)
        ends = (found.low, found.high)
        if f.name in kept and profile:
            tell(f"interval of {f.name}")
            ends = last.profile(f.name)
        estimated.append(Estimated(known[f.name], found, *ends, f.name in kept))
    foretold = [told for b in held_out if (told := _foretold(organism, model, last, b)) is not None]
    notes = [note for b in (*batches, *held_out) for note in b.notes]
    notes += [
        f"{b.experiment.name}: held out, but has no result of its product to compare with"
        for b in held_out
        if b.experiment.name not in {f.batch for f in foretold}
    ]
    dense = {s.name for e in experiments for s in e.series if s.dense}
    notes += [
        f"{name}: the model is {trust:.1f} times further off than its errors; it counts for less"
        for name, trust in last.trust.items()
        if trust > TRUSTED and name not in dense
    ]
    return Study(organism, estimated, last, _alike(last), _outliers(last, dense), foretold, notes)


def _alike(fitted: Fitted) -> list[tuple[str, str, float]]:
    names = [f.name for f in fitted.found]
    return [
        (names[i], names[j], float(fitted.correlation[i, j]))
        for i in range(len(names))
        for j in range(i)
        if abs(fitted.correlation[i, j]) > ALIKE
    ]


def _outliers(fitted: Fitted, dense: set[str]) -> list[Outlier]:
    found: list[Outlier] = []
    for batch, series in fitted.residuals.items():
        for name, (hours, values, modelled, sd) in series.items():
            if name in dense:
                continue
            off = np.abs(modelled - values) / (sd * fitted.trust[name]) > FAR
            found += [
                Outlier(batch, name, float(h), float(v), float(m))
                for h, v, m in zip(hours[off], values[off], modelled[off], strict=True)
            ]
    return found


def product_of(batch: Experiment, organism: WatchedOrganism) -> Series | None:
    """Return the laboratory's results of the product, the analyte with the most; ``None``: none."""
    product = organism.called["product"]
    found = [s for s in batch.series if not s.dense and tuple(s.parts) == (product,)]
    return max(found, key=lambda s: len(s.hours), default=None)


def total_product(
    batch: Experiment, model: Culture, organism: WatchedOrganism
) -> Callable[[Floats], float]:
    """Return what makes of a batch's states all product by its end, drawn off included, g."""
    names = [v.name for v in model.states]
    product, volume = names.index(organism.called["product"]), names.index("V")
    harvest = batch.inputs[:, [v.name for v in model.inputs].index("harvest")]

    def grams(path: Floats) -> float:
        drawn = float(harvest @ path[1:, product]) * batch.step_h
        return float(path[-1, product] * path[-1, volume]) + drawn

    return grams


def _foretold(
    organism: WatchedOrganism, model: Culture, fitted: Fitted, batch: Prepared
) -> Foretold | None:
    experiment = batch.experiment
    series = product_of(experiment, organism)
    if series is None:
        return None
    order = np.argsort(series.hours)
    hours, values = series.hours[order], series.values[order]
    if not values[-1] > 0.0:
        return None
    name, end = organism.called["product"], float(hours[-1])
    median, low, high = fitted.foretell(experiment, name, end)
    told = [fitted.foretell(experiment, name, float(h), draws=2)[0] for h in hours]
    grams = fitted.foretell_of(experiment, total_product(experiment, model, organism), draws=2)[0]
    drawn = (hours, values, np.array(told))
    return Foretold(experiment.name, float(values[-1]), end, median, low, high, grams, drawn)
