"""Night 3: two hours around the loss of the chiller; the whole batch is played by `make nights`."""

from dataclasses import replace
from pathlib import Path

from tests.nights.chiller_lost import CASES, NIGHT, disturbed
from tests.nights.test_power_dip import late


def test_the_hours_around_a_lost_chiller_keep_every_promise(tmp_path: Path) -> None:
    grown = late("ecoli_100m3", tmp_path)
    case = replace(
        CASES["ecoli_100m3"], recipe=grown.recipe, lost_h=0.4, hours=2.2, start=grown.start
    )
    figures = disturbed(case, 3)
    assert figures["our"] > 80.0
    assert NIGHT.broken({**figures, "product_percent": 100.0}) == []
