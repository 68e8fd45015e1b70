"""Night 2: the hours until the probe has lied for long; to the morning in `make nights`."""

from dataclasses import replace

import pytest

from tests.nights.lying_probe import CASES, NIGHT, play


def test_a_lying_probe_is_named_and_leaves_the_cells_their_oxygen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case = CASES["ecoli_5l"]
    monkeypatch.setitem(CASES, "ecoli_5l", replace(case, hours=case.drift_h + 2.75))
    figures = play("ecoli_5l", 1)  # antifoam when the probe reads 10 points too much
    assert NIGHT.broken(figures) == []
    assert (figures["led_before_min"] or 0.0) > 60.0  # it was the optimiser's night until then


@pytest.mark.long
@pytest.mark.parametrize("seed", [0, 2, 3])
def test_a_night_with_a_lying_probe_keeps_every_promise(seed: int) -> None:
    assert NIGHT.broken(play("ecoli_5l", seed)) == []
