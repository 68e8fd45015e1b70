"""Time in band and integral of the absolute error."""

import math

import pytest

from controller.loops.kpi import LoopKpi


def test_the_share_in_band_is_of_time_and_its_edge_belongs_to_it() -> None:
    kpi = LoopKpi(0.5)
    kpi.update(37.0, 37.5, 10.0)
    kpi.update(37.0, 36.5, 10.0)
    kpi.update(37.0, 37.6, 20.0)
    assert kpi.report()["in_band"] == pytest.approx(0.5)
    assert kpi.report()["iae"] == pytest.approx((0.5 * 20 + 0.6 * 20) / 3600.0)


def test_a_gap_is_out_of_band_and_is_not_integrated() -> None:
    kpi = LoopKpi(0.5)
    kpi.update(37.0, 37.0, 30.0)
    kpi.update(37.0, math.nan, 10.0)
    assert kpi.report() == {"in_band": 0.75, "iae": 0.0}


def test_nothing_seen_is_nothing_known() -> None:
    assert LoopKpi(0.5).report() == {"in_band": None, "iae": 0.0}
