"""Transfer of oxygen against the tables of the process notes."""

import math

import pytest

from models import oxygen
from models.bioreactor import Bioreactor
from models.ecoli import EColi
from models.fn import SCALARS
from models.vessels import BENCH_5L


@pytest.mark.parametrize(
    ("T", "pressure", "mg_per_l"),
    [
        (15, 1.01325, 10.4),
        (20, 1.01325, 9.3),
        (25, 1.01325, 8.4),
        (30, 1.01325, 7.6),
        (37, 1.01325, 6.6),
        (37, 2.0, 13.4),
    ],
)
def test_solubility_follows_the_table(T: float, pressure: float, mg_per_l: float) -> None:
    dissolved = 1e3 * oxygen.saturation(T, oxygen.AIR_O2, pressure, SCALARS)
    assert dissolved == pytest.approx(mg_per_l, abs=0.06)


@pytest.mark.parametrize(
    ("volume", "tank", "impeller", "stages", "rpm", "vvm", "bar", "power", "kla"),
    [
        (3.75e-3, 0.154, 0.059, 2, 1000, 1.5, 1.05, 4240, (184, 858)),
        (0.225, 0.52, 0.20, 3, 400, 1.2, 1.8, 3500, (266, 897)),
        (75.0, 3.3, 1.16, 4, 100, 0.8, 2.0, 1580, (430, 707)),
    ],
)
def test_power_and_kla_follow_the_table(
    volume: float,
    tank: float,
    impeller: float,
    stages: int,
    rpm: float,
    vvm: float,
    bar: float,
    power: float,
    kla: tuple[float, float],
) -> None:
    n = rpm / 60.0
    Q = oxygen.actual_flow(vvm * volume * 1e3, 0.0, bar)  # the table does not warm the gas
    shaft = oxygen.stirrer_power(n, impeller, 5.0, stages)
    shaft *= oxygen.gassed_share(n, Q, volume, impeller, SCALARS)
    v = Q / (math.pi / 4.0 * tank**2)
    assert shaft / volume == pytest.approx(power, rel=0.06)
    for law, wanted in zip((oxygen.COALESCING, oxygen.NON_COALESCING), kla, strict=True):
        assert 3600.0 * oxygen.kla(shaft / volume, v, SCALARS, law) == pytest.approx(
            wanted, rel=0.06
        )


def test_the_largest_vessel_floods_when_stirred_slowly_and_the_bench_does_not() -> None:
    Q = oxygen.actual_flow(0.8 * 75e3, 37.0, 2.12)  # at mean pressure
    pumping = Q / (80 / 60 * 1.16**3)
    assert pumping == pytest.approx(0.227, rel=0.15)
    assert oxygen.flooding(80 / 60, Q, 1.16, 3.3) > 1.0
    assert oxygen.flooding(1000 / 60, 1e-4, 0.059, 0.154) < 0.1
    assert oxygen.dispersed_share(0.5, SCALARS) == pytest.approx(1.0, abs=1e-3)
    assert oxygen.dispersed_share(3.0, SCALARS) == pytest.approx(0.4, abs=1e-3)


def test_a_standing_stirrer_and_no_air_give_no_transfer_and_no_error() -> None:
    reactor = Bioreactor(EColi(), BENCH_5L)
    for N, gas in ((0.0, 5.0), (500.0, 0.0), (0.0, 0.0)):
        kla, shaft, _ = reactor.transfer(N, gas, 3.0, 37.0, 0.0, 0.7, SCALARS)
        assert 0.0 <= kla < 60.0 if gas == 0.0 else 0.0 <= kla < 5.0
        assert math.isfinite(shaft)
