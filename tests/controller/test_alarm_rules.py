"""Rules judge samples: limits with a dead band, deviation, rate, residual, age and quality."""

import math
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.alarms.alarms import Alarms
from controller.alarms.rules import SURE, Rules
from controller.alarms.table import definitions, rules
from controller.assemble import build_loops
from controller.loops.loop import Loop, Mode
from controller.loops.loops import PidLoop
from controller.plant import Plant, load_plant
from drivers.point import Quality, Sample, Tag
from historian.events import Event

PLANT = load_plant(Path("sim/plants/ecoli_5l.toml"))
T, PH, SPEED = "R1.temperature", "R1.ph", "R1.agitation"


@dataclass
class Wire:
    answering: bool = True


class Bench:
    """The demo's plant with other alarms, and samples made by hand."""

    def __init__(self, text: str) -> None:
        table = tomllib.loads(text)
        reactor = PLANT.settings.reactor["R1"]
        judged = type(reactor).model_validate(reactor.model_dump(by_alias=True) | {"alarm": table})
        settings_ = PLANT.settings.model_copy(update={"reactor": {"R1": judged}})
        plant = Plant(PLANT.path, settings_, PLANT.data_dir)
        self.told: list[Event] = []
        self.alarms = Alarms(definitions(plant), self.told.append)
        self.loops: dict[str, Loop] = {v.name: v for v in build_loops("R1", plant).values()}
        self.wires = {name: Wire() for name in plant.settings.device}
        self.rules: Rules = rules(plant, self.alarms, self.loops, self.wires)["R1"]
        self.now = 1000.0
        self.samples = {n: Sample(t, 0.0, t.low + 1.0, Quality.GOOD) for n, t in plant.tags.items()}
        self.samples["R1.est.volume"] = Sample(
            Tag("R1.est.volume", "L", 0, 9), 0, 3.0, Quality.GOOD
        )

    def scan(self, **tags: float | None) -> set[str]:
        """Judge one scan a second later; ``None`` is BAD. Return the alarms that are so."""
        self.now += 1.0
        for name, value in tags.items():
            tag = self.samples[f"R1.{name}"].tag
            self.samples[tag.name] = (
                Sample(tag, self.now, math.nan, Quality.BAD)
                if value is None
                else Sample(tag, self.now, value, Quality.GOOD)
            )
        self.samples = {n: s._replace(time=self.now) for n, s in self.samples.items()}
        self.rules.step(self.now, self.samples)
        return set(self.alarms.active)

    def scans(self, count: int, **tags: float | None) -> set[str]:
        """Do several scans alike and return the alarms after them."""
        return [self.scan(**tags) for _ in range(count)][-1]


LIMITS = """
[t]
measured = "R1.temperature"
high_high = { limit = 40.0, priority = "critical", on_delay_s = 0 }
high = 38.0
low = { limit = 30.0, text = { en = "culture cools down", zh = "培养液降温" } }
low_low = 20.0
deadband = 0.5
on_delay_s = 3.0
off_delay_s = 2.0
"""


def test_each_limit_is_an_alarm_of_its_own_with_its_own_delay() -> None:
    bench = Bench(LIMITS)
    assert bench.scan(temperature=40.1) == {"R1.t.high_high"}
    assert bench.scans(3, temperature=40.1) == {"R1.t.high_high", "R1.t.high"}
    assert bench.scans(3, temperature=39.0) == {"R1.t.high"}
    assert bench.scans(9, temperature=37.6) == {"R1.t.high"}  # inside, but within the dead band
    assert bench.scans(2, temperature=37.5) == {"R1.t.high"}
    assert bench.scan(temperature=37.5) == set()
    assert bench.scans(4, temperature=15.0) == {"R1.t.low", "R1.t.low_low"}
    low = bench.alarms["R1.t.low"]
    assert low.said("en") == "culture cools down: low: 15 below 30 °C"
    assert low.said("zh") == "培养液降温: 低：15，低于 30 °C"
    assert low.definition.priority.name == "LOW"
    assert bench.alarms["R1.t.high_high"].definition.priority.name == "CRITICAL"


def test_the_dead_band_does_not_cut_a_delay_short() -> None:
    bench = Bench(LIMITS)
    for _ in range(5):
        assert bench.scans(3, temperature=38.2) == set()
        assert bench.scan(temperature=37.9) == set()  # within the dead band, but not above


def test_a_bad_sample_neither_begins_nor_ends_a_limit_and_its_quality_speaks() -> None:
    bench = Bench(LIMITS)
    bench.scans(3, temperature=38.2)
    assert bench.scans(9, temperature=None) == set()
    assert bench.scans(2, temperature=None) == {"R1.temperature.quality"}
    assert bench.scan(temperature=38.2) == {"R1.temperature.quality", "R1.t.high"}
    assert bench.scans(30, temperature=None) == {"R1.temperature.quality", "R1.t.high"}
    assert bench.scans(11, temperature=36.0) == set()


def test_a_lost_device_speaks_for_its_tags() -> None:
    bench = Bench("[s]\nmeasured = 'R1.ph'\nstale_s = 4\n")
    bench.wires["R1-io"].answering = False
    assert bench.scans(60, temperature=None, ph=None, weight=None) == {"R1.weight.quality"}
    bench.wires["R1-io"].answering = True
    assert "R1.ph.quality" in bench.scans(11, temperature=None, ph=None)


def test_an_old_value_and_a_doubtful_one_have_alarms_where_asked_for() -> None:
    bench = Bench(
        "[s]\nmeasured = 'R1.ph'\nstale_s = 4\non_delay_s = 0\noff_delay_s = 0\n"
        "[q]\nmeasured = 'R1.do'\nquality = 'UNCERTAIN'\non_delay_s = 2\n"
    )
    assert "R1.do.quality" not in bench.alarms  # that of the plant file replaces it
    bench.scan()
    stuck = bench.samples[PH]
    for age in range(1, 7):
        bench.now += 1.0
        bench.rules.step(bench.now, {**bench.samples, PH: stuck})
        assert bench.alarms["R1.s.stale"].active == (age > 4)
    assert bench.alarms["R1.s.stale"].text == "no new value for 5 s"
    assert bench.scan() == set()
    doubtful = bench.samples["R1.do"]._replace(quality=Quality.UNCERTAIN)
    bench.samples["R1.do"] = doubtful
    assert [bench.scan() for _ in range(3)] == [set(), set(), {"R1.q.quality"}]


@pytest.fixture
def deviating() -> Bench:
    bench = Bench(
        "[dev]\nloop = 'temperature'\ndeviation = 1.0\non_delay_s = 5\noff_delay_s = 0\n"
        "settle_s = 100\n"
    )
    loop = bench.loops["R1.temperature"]
    loop.actual, loop.setpoint = Mode.AUTO, 37.0
    bench.scan(temperature=37.0)  # it has arrived
    return bench


def test_a_deviation_is_judged_from_auto_upwards(deviating: Bench) -> None:
    loop = deviating.loops["R1.temperature"]
    assert deviating.scans(5, temperature=38.2) == set()
    assert deviating.scan(temperature=38.2) == {"R1.dev.deviation"}
    text = "1.2 °C away from its setpoint 37, more than 1"
    assert deviating.alarms["R1.dev.deviation"].text == text
    assert deviating.scan(temperature=37.95) == {"R1.dev.deviation"}  # a tenth of it is dead band
    assert deviating.scan(temperature=37.9) == set()
    deviating.scans(9, temperature=39.0)
    loop.actual = Mode.MANUAL
    assert deviating.scan(temperature=None) == {"R1.dev.deviation"}  # the loop left with the value
    assert deviating.scan(temperature=39.0) == set()
    assert deviating.scans(60, temperature=45.0) == set()


def test_a_deviation_waits_until_the_value_has_followed_its_setpoint(deviating: Bench) -> None:
    loop = deviating.loops["R1.temperature"]
    loop.setpoint = 30.0
    assert deviating.scans(40, temperature=36.0) == set()
    for _ in range(60):  # a ramp: it moves on and on
        loop.setpoint -= 0.1
        assert deviating.scan(temperature=loop.setpoint + 3.0) == set()
    deviating.scan(temperature=loop.setpoint)
    assert deviating.scans(6, temperature=loop.setpoint + 1.1) == {"R1.dev.deviation"}
    loop.setpoint -= 5.0  # what is away stays away
    assert deviating.scans(6, temperature=25.5) == {"R1.dev.deviation"}


def test_a_value_that_never_arrives_is_away_in_the_end(deviating: Bench) -> None:
    deviating.loops["R1.temperature"].setpoint = 30.0
    assert deviating.scans(100, temperature=36.0) == set()
    assert deviating.scans(6, temperature=36.0) == {"R1.dev.deviation"}


def test_a_trajectory_that_the_value_follows_does_not_hide_a_deviation(deviating: Bench) -> None:
    loop = deviating.loops["R1.temperature"]
    for _ in range(200):
        loop.setpoint -= 0.02
        assert deviating.scan(temperature=loop.setpoint + 0.4) == set()
    for _ in range(6):
        loop.setpoint -= 0.02
        deviating.scan(temperature=loop.setpoint + 1.5)
    assert set(deviating.alarms.active) == {"R1.dev.deviation"}


RATE = "[r]\nmeasured = 'R1.temperature'\nrise_per_min = 0.5\nfall_per_min = 1.0\nspan_s = 30\n"


@pytest.mark.parametrize(
    ("per_min", "found"),
    [(0.45, set[str]()), (0.6, {"R1.r.rise"}), (-0.6, set[str]()), (-1.2, {"R1.r.fall"})],
)
def test_a_rate_is_that_of_a_ramp(per_min: float, found: set[str]) -> None:
    bench = Bench(RATE)
    value = 37.0
    for _ in range(300):
        value += per_min / 60.0
        bench.scan(temperature=value)
    assert set(bench.alarms.active) == found
    for name in found:
        slope = bench.alarms[name].value
        assert slope == pytest.approx(abs(per_min), rel=0.05)
    assert bench.scans(200, temperature=value) == set()


def test_a_gap_is_no_step_for_a_rate() -> None:
    bench = Bench(RATE)
    bench.scans(200, temperature=37.0)
    bench.scans(5, temperature=None)
    assert bench.scans(300, temperature=39.0) == set()


def test_a_residual_compares_a_reading_with_a_command_or_an_estimate() -> None:
    bench = Bench(
        "[drive]\nmeasured = 'R1.agitation'\nagainst = 'R1.stirrer'\nresidual = 50\n"
        "[volume]\nmeasured = 'R1.weight'\nagainst = 'R1.est.volume'\nresidual = 0.2\n"
        "scale = 1.01\n"
    )
    assert bench.scans(30, agitation=300, stirrer=340, weight=3.1) == set()
    assert bench.scans(30, agitation=300, stirrer=360, weight=3.3) == {
        "R1.drive.residual",
        "R1.volume.residual",
    }
    text = "60 r/min away from R1.stirrer, more than 50"
    assert bench.alarms["R1.drive.residual"].text == text
    assert len(bench.scans(30, agitation=None, stirrer=300)) == 3  # and that it is BAD
    assert bench.scans(30, agitation=300, stirrer=340, weight=3.05) == set()


def test_an_estimate_that_is_not_sure_itself_accuses_nobody() -> None:
    bench = Bench(
        "[volume]\nmeasured = 'R1.weight'\nagainst = 'R1.est.volume'\nresidual = 0.2\nscale = 1.0\n"
    )
    tag = Tag("R1.est.volume.sd", "L", 0, 9)
    bench.samples[tag.name] = Sample(tag, 0.0, 0.2, Quality.GOOD)
    sure, unsure = {"est.volume.sd": 0.05}, {"est.volume.sd": 0.4 / SURE}
    assert bench.scans(300, weight=3.39, **unsure) == set()
    assert bench.scans(300, weight=3.39, **sure) == {"R1.volume.residual"}
    assert bench.scans(300, weight=3.39, **unsure) == {"R1.volume.residual"}  # ends at its limit
    assert bench.scans(300, weight=3.1, **sure) == set()
    assert bench.scans(300, weight=3.41, **unsure) == {"R1.volume.residual"}


LATCHED = """
[probe]
measured = "R1.do"
against = "R1.air"
residual = 5
latch = true
"""


def test_what_a_latched_residual_disputes_is_believed_again_when_a_person_has_looked() -> None:
    bench = Bench(LATCHED)
    loop = bench.loops["R1.do"]
    assert isinstance(loop, PidLoop)
    (second,) = loop.seconds
    assert bench.scans(30, do=6.0, air=5.0) == set()
    assert (second.doubt, bench.rules.disputed) == (0.0, set())
    bench.scans(600, do=9.5, air=5.0)
    assert second.doubt == pytest.approx(2.5 / 3.0, abs=1e-3)  # 4.5, where 2 of 5 are usual
    assert bench.scans(600, do=11.0, air=5.0) == {"R1.probe.residual"}
    assert (second.doubt, bench.rules.disputed) == (1.0, {"R1.do"})
    assert bench.scans(600, do=5.0, air=5.0) == set()  # over, and nobody has seen it
    assert (second.doubt, bench.rules.disputed) == (1.0, {"R1.do"})
    bench.alarms.acknowledge("R1.probe.residual", bench.now, "Li", "calibrated")
    assert (second.doubt, bench.rules.disputed) == (0.0, set())


def test_past_the_limit_nothing_is_believed_while_the_alarm_waits() -> None:
    bench = Bench(LATCHED + "on_delay_s = 900\n")
    loop = bench.loops["R1.do"]
    assert isinstance(loop, PidLoop)
    (second,) = loop.seconds
    assert bench.scans(600, do=10.5, air=5.0) == set()
    assert (second.doubt, bench.rules.disputed) == (1.0, set())


def test_a_value_is_compared_with_an_estimate_when_the_estimate_is_new() -> None:
    bench = Bench(
        "[weight]\nmeasured = 'R1.do'\nagainst = 'R1.air'\nresidual = 5\non_delay_s = 900\n"
    )
    loop = bench.loops["R1.do"]
    assert isinstance(loop, PidLoop)
    (second,) = loop.seconds
    bench.scan(do=6.0, air=5.0)
    old = bench.samples["R1.air"]
    for k, do in enumerate((7.0, 8.0, 9.0, 11.0, 11.0), 1):  # it moves, the estimate is as it was
        now = bench.now + 900.0 * k
        moved = bench.samples["R1.do"]._replace(value=do, time=now)
        bench.rules.step(now, {**bench.samples, "R1.do": moved, "R1.air": old})
    assert (second.doubt, bench.alarms.active) == (0.0, {})


def test_without_a_latch_an_alarm_that_is_over_disputes_nothing() -> None:
    bench = Bench(LATCHED.replace("latch = true", ""))
    bench.scans(30, do=11.0, air=5.0)
    assert bench.rules.disputed == {"R1.do"}
    bench.scans(30, do=5.0, air=5.0)
    assert bench.rules.disputed == set()


def test_an_alarm_does_not_begin_while_an_interlock_has_said_more() -> None:
    bench = Bench(
        "[do]\nmeasured = 'R1.do'\nlow = 20\non_delay_s = 5\nunless = ['low_do', 'no_agitation']\n"
    )
    lock = "R1.low_do.interlock"
    bench.alarms.set(lock, True, bench.now, why="low")
    assert bench.scans(30, do=10.0) == {lock}
    bench.alarms.set(lock, False, bench.now)
    assert bench.scans(4, do=10.0) == set()  # its delay begins now
    assert bench.scans(3, do=10.0) == {"R1.do.low"}
    bench.alarms.set(lock, True, bench.now, why="low")
    assert bench.scans(3, do=10.0) == {lock, "R1.do.low"}  # it has begun, and goes on


values = st.lists(st.one_of(st.none(), st.floats(36.0, 40.0)), min_size=1, max_size=120)


@settings(deadline=None, max_examples=100)
@given(values, st.sampled_from([0.0, 3.0]), st.sampled_from([0.0, 2.0]))
def test_a_limit_never_chatters(script: list[float | None], on_s: float, off_s: float) -> None:
    bench = Bench(
        f"[t]\nmeasured = 'R1.temperature'\nhigh = 38.0\ndeadband = 0.5\n"
        f"on_delay_s = {on_s}\noff_delay_s = {off_s}\n"
    )
    alarm = bench.alarms["R1.t.high"]
    since = bench.now
    run: list[float] = []  # the usable values since the last one on the other side
    for value in script:
        was = alarm.active
        if value is not None:
            outside = value > (37.5 if was else 38.0)
            run = [*run, value] if outside != was else []
            since = bench.now + 1.0 if len(run) == 1 else since
        bench.scan(temperature=value)
        if alarm.active != was:
            assert value is not None
            assert all(v > 38.0 for v in run) if alarm.active else all(v <= 37.5 for v in run)
            assert bench.now - since >= (on_s if alarm.active else off_s)
            run = []
        elif run and value is not None:
            assert bench.now - since < (off_s if was else on_s)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(-0.24, 0.24), min_size=50, max_size=200))
def test_noise_within_the_dead_band_gives_one_alarm_a_crossing(noise: list[float]) -> None:
    bench = Bench("[t]\nmeasured = 'R1.temperature'\nhigh = 38.0\ndeadband = 0.5\non_delay_s = 0\n")
    for i, off in enumerate(noise):  # up and down again, once
        bench.scan(temperature=36.0 + 4.0 * math.sin(math.pi * i / (len(noise) - 1)) + off)
    bench.scans(20, temperature=36.0)
    assert [e.data["active"] for e in bench.told] == [True, False]
