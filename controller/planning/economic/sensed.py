"""The soft sensor's estimate as a plan begins from it."""

import math
from functools import lru_cache

import numpy as np

from controller.planning.economic.belief import Belief
from controller.sensing.estimate import Estimate, layout
from models.organisms import WATCHED
from models.soft_sensor import KLA

BROTH = "broth"  # parameter of the control model that is learned as the sensor's factor on kLa
CARRYING = ("UA", "cooler")  # parameters of the control model that the jacket tells
LEAST = 0.01  # of a state's unit: what is nearly nothing counts as known
SMALL = 1e-3  # share that a part must have of some state or factor to be kept


@lru_cache
def usual(organism: str) -> dict[str, float]:
    """Return species and ammonia that no filter follows, as they are at the start."""
    known = WATCHED[organism]()
    return {s.name: s.default for s in known.species} | {"NH3": known.salts[0]}


def belief(estimate: Estimate, learned: tuple[str, ...], *, induced: bool) -> Belief:
    """Return states, factors and what is not known of them.

    The covariance is that of the filter with the doubt in its equations, in principal parts:
    relative to each state's size, so that a litre and a gram weigh alike.

    Args:
        estimate: of the soft sensor.
        learned: parameters of the control model whose factor is wanted; of one that the sensor
            does not learn nothing is said.
        induced: whether the product's expression is switched on.
    """
    of, watched = layout(estimate.organism), WATCHED[estimate.organism]().watched
    named = {f.parameter: f"log_{f.name}" for f in watched.learned} | {BROTH: f"log_{KLA}"}
    factors = {n: of.states.index(named[n]) for n in learned if n in named}
    species = {n: k for k, n in enumerate(of.states[: of.tracked + 1])}  # the volume is the last
    mean = np.array(estimate.mean)
    states = usual(estimate.organism) | {n: max(float(mean[k]), 0.0) for n, k in species.items()}
    states |= {n: value if induced else 0.0 for n, value in watched.given.items()}
    names = (*species, *factors)
    places = [*species.values(), *factors.values()]
    size = np.array([states[n] if n in species else 1.0 for n in names])
    size[size <= LEAST] = 0.0
    per = np.divide(1.0, size, out=np.zeros_like(size), where=size > 0.0)
    cov = np.reshape(estimate.cov, (len(mean), len(mean)))[np.ix_(places, places)]
    cov = cov * np.outer(per, per)
    for quantity, doubt in watched.doubt.items():
        at = [names.index(s) for s in watched.quantities[quantity] if s in species]
        cov[np.ix_(at, at)] += doubt**2
    values, vectors = np.linalg.eigh(0.5 * (cov + cov.T))
    parts = (vectors * np.sqrt(np.maximum(values, 0.0))).T
    kept = parts[np.abs(parts).max(axis=1) > SMALL] * size
    return Belief(
        estimate.time,
        states,
        {n: math.exp(float(mean[k])) for n, k in factors.items()},
        names,
        tuple(map(tuple, kept.tolist())),
    )
