"""What a soft sensor says of itself: what is shown, what is frozen, who disagrees; any organism."""

import math

import pytest

from controller.sensing.estimate import WANDER, layout, reported
from controller.sensing.estimator import Estimate, Estimator, EstimatorSettings
from controller.sensing.excitation import WINDOW_H, Excitation
from controller.sensing.hindsight import Hindsight
from controller.sensing.innovations import LEAST, Innovations
from controller.sensing.probe_watch import LAW, Look, ProbeWatch
from drivers.point import Quality, Sample
from models.organisms import WATCHED
from models.soft_sensor import offset
from tests.bench.bench_soft_sensor import TRUTH, replay, scores
from tests.bench.watched_batches import CASES, run
from tests.controller.test_estimator import BREATHING, STEP, TAGS, Blind, Twin, good, nobody

HOUR = 3600.0


def test_a_factor_that_nothing_excites_is_frozen_and_neither_leaks_nor_winds_up() -> None:
    estimator = Estimator(EstimatorSettings())
    estimate = estimator.update(0.0, good(BREATHING), {}, induced=False)
    for k in range(1, int(3 * HOUR / 60.0)):  # no product is made, so nothing tells of its rate
        estimate = estimator.update(60.0 * k, good(BREATHING), {}, induced=False)
    assert "qpm" in estimate.frozen
    before = estimate.sd("qpm_factor")
    for k in range(1, int(3 * HOUR / 60.0)):
        estimate = estimator.update(3 * HOUR + 60.0 * k, good(BREATHING), {}, induced=False)
    assert estimate.sd("qpm_factor") == before == pytest.approx(0.15, rel=0.01)
    assert estimate.value("qpm_factor") == pytest.approx(1.0, abs=1e-6)
    assert estimate.shown("qpm_factor") < 0.05
    assert estimate.shown("kla_factor") > 0.8


def test_what_was_learned_stays_when_nothing_is_told_of_it_any_more() -> None:
    told = Excitation([0.15**2], [30.0])
    for _ in range(600):
        told.pass_by(0.01)
        told.tell(0, 5.0)
    assert not told.frozen[0]
    assert told.shown(0) > 0.6
    for _ in range(6000):
        told.pass_by(0.01)
    assert told.frozen[0]
    assert told.shown(0) < 0.2
    for _ in range(int(100 * WINDOW_H)):
        told.pass_by(0.01)
        told.tell(0, 5.0)
    assert not told.frozen[0]


def test_an_instrument_that_keeps_disagreeing_is_named_and_noise_is_not() -> None:
    watched = Innovations(("offgas_o2", "do"))
    for k in range(400):
        watched.take(0, 0.2 * (-1) ** k, 0.04, 10.0)
        watched.take(1, 0.5, 0.04, 10.0)
        if k < LEAST - 1:
            assert not watched.suspects
    assert watched.suspects == ("do",)
    assert watched.nis[0] == pytest.approx(1.0, rel=0.01)


class Drifting(Twin):
    """A twin whose DO probe drifts from 8 h on, and whose loops believe it.

    Attributes:
        drift: % of air saturation an hour.
    """

    def __init__(self, seed: int, drift: float, blind: Blind = nobody) -> None:
        self.drift = drift
        super().__init__(seed, blind)

    @property
    def offset(self) -> float:
        return self.drift * max(0.0, self.vessel.time / HOUR - 8.0)

    def readings(self, hours: float) -> dict[str, Sample]:
        seen = super().readings(hours)
        value = seen["do"].value + self.offset
        return seen | {"do": Sample(TAGS["do"], self.vessel.time, value, Quality.GOOD)}

    def hold(self) -> None:
        self.do_setpoint = self.wanted - self.offset
        super().hold()

    wanted = 30.0


def test_a_drifting_do_probe_is_told_by_our_and_kla_and_by_a_gas_step() -> None:
    twin = Drifting(203, 3.0)
    twin.estimator = Hindsight(Estimator(EstimatorSettings()))
    twin.estimate = twin.estimator.update(0.0, twin.readings(0.0), {}, induced=False)
    twin.run(8.0)
    assert abs(twin.estimate.do_offset_percent) < 3.0
    twin.run(12.0)
    estimate = twin.estimate
    assert estimate.do_offset_percent == pytest.approx(twin.offset, abs=5.0)
    shown = estimate.do_percent - estimate.value("do_percent")
    assert shown == pytest.approx(estimate.do_offset_percent)
    assert estimate.sd("do_percent") > WANDER * estimate.do_force_percent
    assert twin.worst["biomass"] < 0.15  # the factor on kLa takes it, not the cells
    twin.wanted = 45.0  # a step of the setpoint is a step of gas and stirrer
    twin.run(12.4)
    assert any("the DO probe shows +" in text for text in twin.estimator.news())
    step = twin.estimator.gas_step
    assert step is not None
    assert step.time > 12.0 * HOUR
    assert step.offset == pytest.approx(twin.offset, abs=2.0 * step.sd)
    assert step.offset > 5.0


def test_every_organism_that_is_watched_names_species_that_it_has() -> None:
    for name, make in WATCHED.items():
        organism = make()
        own = {s.name for s in organism.species}
        watched = organism.watched
        assert {t.name for t in watched.tracked} | watched.given.keys() <= own
        assert {f.parameter for f in watched.learned} <= {v.name for v in organism.parameters}
        assert layout(name).names[0] == "biomass_g_per_l"
        assert {"volume_l", "kla_factor", "do_percent"} <= reported(name).keys()


def test_an_estimate_gives_its_interval_its_covariance_and_draws_from_it() -> None:
    estimator = Estimator(EstimatorSettings())
    for k in range(60):
        estimator.update(k * STEP, good(BREATHING), {"feed": 0.0}, induced=False)
    estimate = estimator.update(60 * STEP, good(BREATHING), {}, induced=False)
    names = ("biomass_g_per_l", "qomax_factor", "kla_factor")
    mean, cov = estimate.joint(names)
    assert mean[0] == estimate.value(names[0])
    assert math.sqrt(cov[0][0]) == pytest.approx(estimate.sd(names[0]))
    draws = estimate.samples(names, 2000, seed=1)
    assert draws == estimate.samples(names, 2000, seed=1)
    for name in names:
        low, high = estimate.interval(name)
        inside = sum(low <= draw[name] <= high for draw in draws) / len(draws)
        assert inside == pytest.approx(0.9, abs=0.03)


def test_an_estimate_of_another_organism_is_refused() -> None:
    other = Estimator(EstimatorSettings("yeast", "300l", volume_l=120.0))
    state = other.update(0.0, {}, {}, induced=False).as_state()
    assert Estimate.from_state(state).names == layout("yeast").names
    with pytest.raises(ValueError, match="an estimate of yeast, not ecoli"):
        Estimator(EstimatorSettings()).resume(state, 1.0)


@pytest.mark.parametrize(
    ("name", "hours"),
    [("yeast_300l", 2.0), pytest.param("penicillin_100m3", 40.0, marks=pytest.mark.long)],
)
def test_other_organisms_are_watched_by_the_same_code(name: str, hours: float) -> None:
    case = CASES[name]._replace(hours=hours)
    organism = {"yeast_300l": "yeast_twin", "penicillin_100m3": "penicillin_structured"}[name]
    batch = run(case, 31, organism, name.partition("_")[0])
    score = scores(batch, replay(case, batch, {}, 1.0), TRUTH)
    assert score["biomass_g_per_l"].share < 0.35  # the hours of the lag, which no model has
    assert score["volume_l"].share < 0.01


def test_an_ethanol_probe_that_shows_too_much_is_not_taken_for_overflow() -> None:
    batch = run(CASES["yeast_300l"]._replace(hours=8.0), 0, "yeast", "yeast")
    batch.readings["ethanol"] = [v and v + 0.2 for v in batch.readings["ethanol"]]
    last = replay(CASES["yeast_300l"], batch, {}, 1.0)[-1]
    assert last.value("qomax_factor") == pytest.approx(1.0, abs=0.06)
    assert last.value("biomass_g_per_l") == pytest.approx(batch.truth["dry_weight"][-1], rel=0.06)
    learned = last.mean[layout("yeast").states.index(offset("ethanol"))]
    assert learned == pytest.approx(0.2, abs=0.04)


@pytest.mark.parametrize("grows", [0.0, 0.3])
def test_where_cells_breathe_more_the_law_of_kla_may_be_a_little_wrong(grows: float) -> None:
    watch, hours = ProbeWatch(), 5.0
    minutes = round(60 * hours)
    for k in range(minutes + 1):
        our = 20.0 * math.exp(grows * k / 60.0)
        factor = 0.03 if k == minutes else 0.0
        watch.look(60.0 * k, 1.0 / 60.0, factor, 0.02, Look(100.0, our, 100.0, 30.0))
    way = grows * hours / 2.0  # over the mean of these hours
    assert watch.offset == pytest.approx(100.0 * math.expm1(0.03 - LAW * way), abs=0.1)


@pytest.mark.parametrize(
    ("drop", "beside", "told"),
    [
        (0.13, 0.0, -0.13),  # the probe, or the broth
        (0.13, 0.14, 0.0),  # cells that breathe beside their equations: acetate that nobody knew of
        (0.13, 0.05, -0.13 + math.log(1.05)),  # a little of both
        (0.13, -0.10, -0.13),  # what says more accuses no more
        (-0.13, 0.0, 0.13),
        (-0.13, math.nan, 0.13),  # nobody measures CO2
    ],
)
def test_a_probe_is_not_accused_of_what_cells_breathe_beside_the_model(
    drop: float, beside: float, told: float
) -> None:
    """``drop`` of the factor's logarithm, and a share of OUR in CO2, for an hour after five."""
    watch, our = ProbeWatch(), 100.0
    for k in range(360):
        late = k >= 300
        look = Look(100.0, our, 100.0, 30.0, beside * our * late)
        watch.look(60.0 * k, 1.0 / 60.0, -drop * late, 0.02, look)
    usual = told / 6.0  # by then an hour of six
    assert watch.offset == pytest.approx(100.0 * math.expm1(told - usual), abs=0.3)
