"""A twin is worth its name if no strain of the believed model could be it: a refit says so.

``tests/bench/refit_twin.py`` fits to the end and keeps where that is; from there a few steps more
are tried here, so that a model that has changed since cannot hide behind an old fit.
"""

import numpy as np
import pytest

from models.organisms import TWINS
from tests.bench.refit_twin import TRIALS, Comparison, rms, start


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.long if n == "penicillin" else ()) for n in TWINS]
)
def test_the_best_fit_to_a_twin_leaves_more_than_the_noise(name: str) -> None:
    comparison = Comparison(name)
    last = start(name, comparison)
    refitted = comparison.fit(last, 2)
    left = rms(comparison.gaps(refitted))
    believed = rms(comparison.gaps(comparison.believed_logs()))
    assert 1.0 < left < 0.8 * believed
    assert rms(comparison.gaps(last)) < 1.1 * left, "the kept fit is old: run refit_twin.py again"


def test_a_model_refitted_to_itself_leaves_nothing() -> None:
    """What is left of a twin is not the fit's own."""
    comparison = Comparison("yeast")
    believed = comparison.believed
    comparison.trials = TRIALS["yeast"][:2]
    comparison.truth = [believed.seen(t, list(believed.strain)) for t in comparison.trials]
    off = np.log(np.where(np.arange(len(comparison.believed_logs())) % 2, 0.97, 1.03))
    assert rms(comparison.gaps(off)) > 0.5
    assert rms(comparison.gaps(comparison.fit(off, 5))) < 0.05
