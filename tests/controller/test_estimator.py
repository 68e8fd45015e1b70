"""The soft sensor on plants that are not its model, and on instruments that lie or are silent."""

import json
import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.sensing.estimator import NAMES, Estimate, Estimator, EstimatorSettings
from controller.sensing.feed_meter import FeedMeter
from controller.sensing.hindsight import Hindsight
from drivers.point import Quality, Sample, Tag, bad
from models.fn import SCALARS
from sim.vessel import Vessel

READINGS = (
    *("temperature", "ph", "do", "agitation", "offgas_o2", "offgas_co2", "air_flow"),
    *("oxygen_flow", "weight", "feed_weight"),
)
TAGS = {name: Tag(f"R1.{name}", "1", -1e3, 2e3) for name in READINGS}
STEP = 10.0  # s

Blind = Callable[[float], frozenset[str]]


def nobody(_hours: float) -> frozenset[str]:
    return frozenset()


class Twin:
    """A vessel held by plain loops, fed exponentially from 6 h on, watched by an estimator."""

    do_setpoint = 30.0  # %

    def __init__(self, seed: int, blind: Blind = nobody) -> None:
        self.vessel = Vessel("ecoli", "5l", seed)
        self.estimator: Estimator | Hindsight = Estimator(EstimatorSettings())
        self.blind = blind
        self.estimate = self.estimator.update(0.0, self.readings(0.0), {}, induced=False)
        self.stirrer, self.air, self.base, self.heat = 300.0, 1.0, 0.0, 0.0
        self.worst: dict[str, float] = {}

    def readings(self, hours: float) -> dict[str, Sample]:
        gone = self.blind(hours)
        now = self.vessel.time
        seen = {
            name: Sample(tag, now, self.vessel.read(tag.name), Quality.GOOD)
            for name, tag in TAGS.items()
            if name not in gone
        }
        return {**seen, **{n: bad([TAGS[n]], now)[TAGS[n].name] for n in gone}}

    def hold(self) -> None:
        """Hold temperature, pH and dissolved oxygen well enough for a test."""
        v = self.vessel
        error = 37.0 - v.read("R1.temperature")
        self.heat = min(max(self.heat + 0.5 * error, -100.0), 100.0)
        drive = self.heat + 30.0 * error
        v.write("R1.heater", min(max(drive, 0.0), 100.0))
        v.write("R1.cooling", min(max(-drive, 0.0), 100.0))
        self.base = min(max(3.0 * (7.0 - v.read("R1.ph")), 0.0), 5.0)
        v.write("R1.base", self.base)
        error = self.do_setpoint - v.read("R1.do")
        self.stirrer = min(max(self.stirrer + 1.2 * error, 300.0), 1000.0)
        if self.stirrer >= 1000.0 or self.air > 1.0:
            self.air = min(max(self.air + 0.01 * error, 1.0), 6.0)
        v.write("R1.stirrer", self.stirrer)
        v.write("R1.air", self.air)

    def run(self, hours: float, feed_mu: float = 0.12) -> None:
        v = self.vessel
        while v.time < hours * 3600.0 - 1e-6:
            age = v.time / 3600.0
            self.hold()
            feed = min(8.0 * math.exp(feed_mu * (age - 6.5)), 30.0) if age > 6.5 else 0.0
            v.write("R1.feed", feed)
            v.advance(v.time + STEP)
            flows = {"feed": feed, "base": self.base * 60.0}
            now = v.time
            self.estimate = self.estimator.update(now, self.readings(age), flows, induced=False)
            if age > 8.0:
                self.judge()

    def judge(self) -> None:
        e, truth = self.estimate, self.vessel.truth
        errors = {
            "biomass": abs(e.value("biomass_g_per_l") / truth["biomass_g_per_l"] - 1.0),
            "acetate": abs(e.value("acetate_g_per_l") - truth["acetate_g_per_l"]),
            "volume": abs(e.value("volume_l") - truth["volume_l"]),
            "our": abs(e.our_mmol_per_l_h / truth["our_mmol_per_l_h"] - 1.0),
        }
        for name, error in errors.items():
            self.worst[name] = max(self.worst.get(name, 0.0), error)


@pytest.mark.parametrize("seed", [201, 202, 203])
def test_it_finds_the_cells_of_plants_that_are_not_its_model(seed: int) -> None:
    twin = Twin(seed)
    twin.run(14.0)
    assert twin.worst["biomass"] < 0.15
    assert twin.worst["acetate"] < 0.6
    assert twin.worst["volume"] < 0.04
    broth = [v.name for v in twin.vessel.model.parameters].index("broth")
    true_factor = list(twin.vessel.parameters.values())[broth] / 0.7
    assert twin.estimate.value("kla_factor") == pytest.approx(true_factor, rel=0.15)


def test_without_off_gas_it_goes_on_with_the_oxygen_probe() -> None:
    gas = frozenset(("offgas_o2", "offgas_co2"))
    twin = Twin(201, lambda hours: gas if hours > 7.0 else frozenset())
    twin.run(11.0)
    assert twin.worst["biomass"] < 0.2
    assert twin.estimate.stale_s == 0.0


def test_all_readings_bad_runs_open_loop_and_the_first_good_resumes_without_a_bump() -> None:
    dark = frozenset(READINGS)
    twin = Twin(202, lambda hours: dark if 8.0 <= hours < 8.5 else frozenset())
    twin.run(8.0)
    before = twin.estimate
    twin.run(8.5)
    after = twin.estimate
    assert after.stale_s == pytest.approx(1800.0, abs=20.0)
    assert after.finite
    assert after.sd("biomass_g_per_l") > before.sd("biomass_g_per_l")
    assert after.sd("kla_factor") > before.sd("kla_factor")
    twin.run(8.5 + 10.0 / 3600.0)
    assert twin.estimate.stale_s == 0.0
    for name in ("biomass_g_per_l", "volume_l", "kla_factor"):
        assert twin.estimate.value(name) == pytest.approx(after.value(name), rel=0.1)


def good(values: dict[str, float], now: float = 0.0) -> dict[str, Sample]:
    return {name: Sample(TAGS[name], now, value, Quality.GOOD) for name, value in values.items()}


BREATHING = {
    "temperature": 37.0,
    "ph": 7.0,
    "do": 30.0,
    "agitation": 330.0,
    "offgas_o2": 20.6,
    "offgas_co2": 0.3,
    "air_flow": 1.0,
    "oxygen_flow": 0.0,
    "weight": 3.03,
    "feed_weight": 2.5,
}


def settled(count: int = 60) -> tuple[Estimator, float]:
    estimator = Estimator(EstimatorSettings())
    for i in range(count):
        estimator.update(i * STEP, good(BREATHING), {"feed": 0.0}, induced=False)
    return estimator, count * STEP


def test_a_bad_reading_is_the_same_as_none() -> None:
    (one, now), (other, _) = settled(), settled()
    without = {k: v for k, v in BREATHING.items() if k != "do"}
    broken = {**good(without), **{"do": bad([TAGS["do"]], now)["R1.do"]}}
    a = one.update(now, good(without), {}, induced=False)
    b = other.update(now, broken, {}, induced=False)
    assert a.mean == b.mean
    assert a.cov == b.cov


def test_a_wild_reading_is_refused_with_its_reason_and_moves_nothing() -> None:
    (one, now), (other, _) = settled(), settled()
    wild = one.update(now, good({**BREATHING, "weight": 4.9}), {}, induced=False)
    without = {k: v for k, v in BREATHING.items() if k != "weight"}
    plain = other.update(now, good(without), {}, induced=False)
    assert len(wild.rejected) == 1
    assert "volume by the balance" in wild.rejected[0]
    assert "standard deviations" in wild.rejected[0]
    assert wild.value("volume_l") == plain.value("volume_l")


def test_the_same_time_twice_changes_nothing() -> None:
    estimator, now = settled()
    first = estimator.update(now, good(BREATHING), {}, induced=False)
    assert estimator.update(now, good(BREATHING), {}, induced=False) is first
    assert estimator.update(now - 5.0, good(BREATHING), {}, induced=False) is first


def test_a_restart_within_a_minute_continues_and_a_later_one_starts_wide() -> None:
    estimator, now = settled(120)
    last = estimator.update(now, good(BREATHING), {}, induced=False)
    stored = json.loads(json.dumps(last.as_state()))
    assert Estimate.from_state(stored) == last
    soon, late = Estimator(EstimatorSettings()), Estimator(EstimatorSettings())
    assert soon.resume(stored, now + 20.0)
    assert not late.resume(stored, now + 600.0)
    a = soon.update(now + 20.0, good(BREATHING), {}, induced=False)
    b = late.update(now + 600.0, good(BREATHING), {}, induced=False)
    for name in ("biomass_g_per_l", "substrate_g_per_l", "volume_l"):
        assert a.value(name) == pytest.approx(last.value(name), rel=0.02)
    assert a.sd("biomass_g_per_l") < 1.1 * last.sd("biomass_g_per_l")
    assert b.sd("biomass_g_per_l") > 2.0 * last.sd("biomass_g_per_l")
    assert b.value("volume_l") == pytest.approx(last.value("volume_l"), rel=0.02)


@pytest.mark.parametrize("state", [{}, {"time": 1.0, "mean": [1.0], "cov": [1.0]}, {"mean": 3}])
def test_a_state_that_is_none_is_refused(state: dict[str, object]) -> None:
    estimator, now = settled(3)
    before = estimator.update(now, {}, {}, induced=False)
    with pytest.raises(ValueError, match="estimate"):
        estimator.resume(state, 0.0)
    assert estimator.update(now, {}, {}, induced=False) is before


def test_induction_makes_product_and_its_doubt_grows_with_it() -> None:
    estimator, now = settled()
    estimate = estimator.update(now, good(BREATHING), {}, induced=False)
    for i in range(1, 361):
        estimate = estimator.update(now + i * STEP, good(BREATHING), {"feed": 5.0}, induced=True)
    assert estimate.value("product_g_per_l") > 1e-3
    assert estimate.value("expression") == pytest.approx(math.exp(-0.06), rel=0.02)
    assert estimate.sd("product_g_per_l") > 0.05 * estimate.value("product_g_per_l")


numbers = st.floats(allow_nan=True, allow_infinity=True, width=32)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(READINGS), numbers), max_size=8), numbers)
def test_no_reading_whatever_takes_it_out_of_the_numbers(
    rows: list[dict[str, float]], feed: float
) -> None:
    estimator, now = settled(5)
    for i, row in enumerate(rows):
        estimate = estimator.update(now + i * STEP, good(row), {"feed": feed}, induced=False)
        assert estimate.finite
        for name in NAMES:
            assert name == "do_percent" or estimate.value(name) >= 0.0
            assert math.isfinite(estimate.sd(name))


def test_the_bottles_balance_corrects_the_pump() -> None:
    meter = FeedMeter(1.19, 0.0005)
    mass, told, truly, flow = 2.5, 30.0, 0.94, 0.0
    for _ in range(720):
        flow = meter.update(mass, told, STEP / 3600.0)
        mass -= told * truly * STEP / 3600.0 / 1e3 * 1.19
    assert meter.factor == pytest.approx(truly, abs=0.01)
    assert flow == pytest.approx(told * truly, rel=0.01)
    assert meter.fed_l == pytest.approx(0.06 * truly, rel=0.02)


def test_the_balance_shows_what_a_coarse_valve_is_off_by() -> None:
    """10 L/h of dead band and step, on a tank whose load cells show 10 kg (100 m3)."""
    meter = FeedMeter(1.2, 10.0, 10.0, 20.0)
    mass, fed, flow = 40000.0, 0.0, 0.0
    chance = random.Random(1)
    for k in range(6 * 60):
        truly = 48e3 if k < 180 else 66e3  # told 57 L/h, it is off by 9, either way
        flow = meter.update(mass + chance.gauss(0.0, 8.0), 57e3, 1.0 / 60.0)
        mass -= truly / 60.0 / 1e3 * 1.2
        fed += truly / 60.0 / 1e3
    assert flow == pytest.approx(66e3, rel=0.1)
    assert meter.fed_l == pytest.approx(fed, rel=0.04)
    assert meter.factor == pytest.approx(1.0, abs=0.02)


def test_a_pump_told_less_than_its_turn_down_stands_still() -> None:
    meter = FeedMeter(1.2, 10.0, 10.0, 20.0)
    for _ in range(60):
        assert meter.update(40000.0, 15e3, 1.0 / 60.0) == 0.0
    assert meter.fed_l == 0.0
    assert meter.update(40000.0, 25e3, 1.0 / 60.0) == pytest.approx(25e3, rel=0.1)


def test_a_new_bottle_is_not_taken_for_feed() -> None:
    meter = FeedMeter(1.19, 0.0005)
    for i in range(200):
        meter.update(1.0 - i * 1e-4, 30.0, STEP / 3600.0)
    factor, fed = meter.factor, meter.fed_l
    for _ in range(20):
        meter.update(2.5, 0.0, STEP / 3600.0)
    assert meter.factor == factor
    assert meter.fed_l == fed


TITRATED = EstimatorSettings(base_mmol_per_l=4000.0)


def dosed(ml_per_h: float, ph: float = 7.0, hours: float = 4.0) -> Estimate:
    """Return what is believed of cells that breathe alike after so much base."""
    estimator = Estimator(TITRATED)
    readings = good({**BREATHING, "ph": ph})
    found = estimator.update(0.0, readings, {}, induced=False)
    for k in range(1, int(hours * 60.0)):
        found = estimator.update(60.0 * k, readings, {"base": ml_per_h}, induced=False)
    return found


def test_more_base_than_growth_takes_is_acetate_or_cells() -> None:
    little, much = dosed(2.0), dosed(14.0)
    made = [e.value("acetate_g_per_l") + e.value("biomass_g_per_l") for e in (little, much)]
    assert made[1] > made[0] + 0.1
    assert much.neutralised_mmol == pytest.approx(14.0 * 4.0 * (4.0 - 1.0 / 60.0), rel=1e-9)


def test_base_says_nothing_while_the_ph_is_elsewhere() -> None:
    one, other = dosed(2.0, ph=6.5), dosed(14.0, ph=6.5)
    assert one.value("biomass_g_per_l") == pytest.approx(other.value("biomass_g_per_l"), rel=0.01)


def test_what_was_dosed_survives_a_restart_and_not_an_outage() -> None:
    last = dosed(5.0, hours=1.0)
    stored = json.loads(json.dumps(last.as_state()))
    for outage, known in ((20.0, True), (600.0, False)):
        estimator = Estimator(TITRATED)
        estimator.resume(stored, last.time + outage)
        found = estimator.update(last.time + outage, good(BREATHING), {"base": 0.0}, induced=False)
        assert found.neutralised_mmol == (last.neutralised_mmol if known else None)


def test_where_nobody_says_how_strong_base_is_nothing_is_known_of_it() -> None:
    estimator, now = settled()
    assert estimator.update(now, good(BREATHING), {}, induced=False).neutralised_mmol is None


def test_what_base_neutralises_is_the_nitrogen_and_the_acids_of_the_vessel() -> None:
    """The charge balance of the simulated vessel, which knows nothing of the sensor's."""
    twin = Twin(0)
    estimator = Estimator(TITRATED)
    twin.estimator = estimator
    estimator.update(0.0, twin.readings(0.0), {}, induced=False)
    for hours in (6.0, 11.0):
        twin.run(hours)
        truth = twin.vessel.truth
        believed = dict(zip(estimator.layout.states, twin.estimate.mean, strict=True))
        true = {"X": truth["biomass_g_per_l"] - 0.3, "A": truth["acetate_g_per_l"], "P": 0.0}
        model = estimator.model
        x = [true.get(v.name, believed.get(v.name, v.default)) for v in model.states]
        u = [v.default for v in model.inputs]
        p = [v.default for v in model.parameters]
        dosed_mmol = twin.estimate.neutralised_mmol
        assert dosed_mmol is not None
        expected = model.output(0.0, x, u, p, SCALARS)[-1]
        assert dosed_mmol / truth["volume_l"] == pytest.approx(expected, rel=0.08, abs=3.0), hours
