"""A DO probe that drifts (RELIABILITY §2): the plant file's alarm names it within the hour."""

import pytest

from tests.bench.bench_do_probe import Trial, run


@pytest.mark.long
@pytest.mark.parametrize(("plant", "hour"), [("ecoli_5l", 14.0), ("yeast_300l", 12.0)])
def test_a_drifting_probe_is_told_within_an_hour_of_10_points_and_not_before(
    plant: str, hour: float
) -> None:
    """The vessel holds other cells than the soft sensor thinks, and the loop believes the probe."""
    found = run(Trial(plant, hour, 611))
    assert found["false"] == 0
    assert found["late_min"] is not None
    assert -60.0 < found["late_min"] <= 60.0
