"""What stands around a PID: cascades of PIDs, ramps, feed-forward, gains, pulses, limits, cuts.

Small made-up processes move the readings, so that each stage can be seen alone; closed loops on
the simulated reactor are in tests/loop.
"""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.config import ConfigError
from controller.curve import Curve
from controller.loops import Mode, PidLoop, Station
from controller.on_off import OnOffLoop
from controller.outputs import Outputs
from controller.plant import load_plant
from controller.pulses import Pulses
from drivers.point import Quality, Sample
from historian.events import Event

PLANT = Path("sim/plants/ecoli_5l.toml")
JACKET = """\
[reactor.R1.loop.jacket]
measured = "R1.jacket_temperature"
outputs = [
  { actuator = "R1.heater", from = 0, to = 100 },
  { actuator = "R1.cooling", from = 0, to = -100 },
]
setpoint = 37.0
setpoint_low = 5.0
setpoint_high = 80.0
kp = 8.0
ti_s = 60.0

[reactor.R1.loop.temperature]
measured = "R1.temperature"
outputs = [{ loop = "jacket", from = -100, to = 100 }]
"""
OLD_TEMPERATURE = (
    '[reactor.R1.loop.temperature]\nmeasured = "R1.temperature"\n'
    'outputs = [{ actuator = "R1.heater", from = 0, to = 100 }, '
    '{ actuator = "R1.cooling", from = 0, to = -100 }]\n'
)


class Bench:
    """The loops of a plant file with readings that a test sets.

    Args:
        folder: where the changed plant file goes.
        changes: pairs of old and new text.
    """

    def __init__(self, folder: Path, *changes: tuple[str, str]) -> None:
        text = PLANT.read_text(encoding="utf-8")
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = folder / "plant.toml"
        path.write_text(text, encoding="utf-8")
        self.plant = load_plant(path)
        self.events: list[Event] = []
        self.outputs = Outputs("R1", self.plant, self.events.append)
        self.values = {
            "temperature": 37.0,
            "jacket_temperature": 37.0,
            "ph": 7.0,
            "do": 40.0,
            "agitation": 300.0,
            "air_flow": 2.0,
            "weight": 3.0,
        }
        self.bad: set[str] = set()
        self.now = 0.0
        self.held: dict[str, float] = {}

    def samples(self) -> dict[str, Sample]:
        made: dict[str, Sample] = {}
        for key, value in self.values.items():
            tag = self.plant.quantity(f"R1.{key}")
            bad = key in self.bad
            quality = Quality.BAD if bad else Quality.GOOD
            made[tag.name] = Sample(tag, self.now, math.nan if bad else value, quality)
        return made

    def run(self, seconds: int, process: Callable[["Bench"], None] | None = None) -> None:
        for _ in range(seconds):
            self.now += 1.0
            samples = self.samples()
            self.outputs.guard.begin(self.now, samples)
            self.held = self.outputs._move(self.now, 1.0, samples)  # pyright: ignore[reportPrivateUsage]
            if process is not None:
                process(self)

    def pid(self, name: str) -> PidLoop:
        loop = self.outputs.loops[name]
        assert isinstance(loop, PidLoop)
        return loop

    def station(self, name: str) -> Station:
        loop = self.outputs.loops[name]
        assert isinstance(loop, Station)
        return loop


def jacketed(bench: Bench) -> None:
    """Move a jacket and a broth by 1 s: steam and water move the jacket, the jacket the broth."""
    v = bench.values
    heat = bench.held["R1.heater"] - bench.held["R1.cooling"]
    v["jacket_temperature"] += 0.02 * heat - (v["jacket_temperature"] - v["temperature"]) / 60.0
    v["temperature"] += (v["jacket_temperature"] - v["temperature"]) / 900.0


@pytest.fixture
def cascade(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path, (OLD_TEMPERATURE, JACKET))
    bench.outputs.loops["temperature"].set_mode(Mode.AUTO)
    bench.outputs.loops["jacket"].set_mode(Mode.CASCADE)
    return bench


def test_a_loop_leads_a_loop_and_both_reach_their_setpoints(cascade: Bench) -> None:
    cascade.values["temperature"] = cascade.values["jacket_temperature"] = 30.0
    cascade.run(4 * 3600, jacketed)
    assert cascade.values["temperature"] == pytest.approx(37.0, abs=0.05)
    jacket = cascade.pid("jacket")
    assert jacket.actual is Mode.CASCADE
    assert cascade.values["jacket_temperature"] == pytest.approx(jacket.setpoint, abs=0.2)


def test_the_master_does_not_wind_up_behind_a_slave_at_its_end(cascade: Bench) -> None:
    """The jacket has no steam: its valve is wide open and the broth stays cold for two hours."""
    cascade.values["temperature"] = cascade.values["jacket_temperature"] = 36.5
    cascade.run(7200)  # nothing moves
    jacket, master = cascade.pid("jacket"), cascade.pid("temperature")
    assert cascade.held["R1.heater"] == 100.0
    assert (jacket.blocked, master.blocked) == (1, 1)
    cascade.values["temperature"] = 37.2  # the steam is back, and more
    cascade.values["jacket_temperature"] = 60.0
    cascade.run(2)
    assert cascade.held["R1.heater"] == 0.0  # within two scans


def test_a_hand_on_the_slave_is_followed_and_given_back_without_a_bump(cascade: Bench) -> None:
    cascade.run(1800, jacketed)
    jacket, master = cascade.pid("jacket"), cascade.pid("temperature")
    jacket.set_mode(Mode.MANUAL)
    jacket.set_output(30.0)
    cascade.run(120, jacketed)
    assert master.actual is Mode.IMAN
    assert master.reason == "tracking: R1.jacket is in MANUAL"
    heater = cascade.held["R1.heater"]
    jacket.set_mode(Mode.CASCADE)
    cascade.run(1, jacketed)
    assert cascade.held["R1.heater"] == pytest.approx(heater, abs=2.0)
    assert (master.actual, jacket.actual) == (Mode.AUTO, Mode.CASCADE)


def test_a_bad_master_leaves_the_slave_at_its_last_setpoint_in_auto(cascade: Bench) -> None:
    cascade.values["temperature"] = 35.0
    cascade.run(60, jacketed)
    jacket = cascade.pid("jacket")
    last = jacket.setpoint
    cascade.bad.add("temperature")
    cascade.run(1, jacketed)
    assert (jacket.actual, jacket.setpoint) == (Mode.AUTO, last)
    assert jacket.reason == "nothing leads it in CASCADE"


def test_a_bad_slave_is_followed_by_its_master(cascade: Bench) -> None:
    cascade.run(600, jacketed)
    cascade.bad.add("jacket_temperature")
    cascade.run(5)
    master = cascade.pid("temperature")
    assert master.actual is Mode.IMAN
    assert master.reason == "tracking: R1.jacket R1.jacket_temperature is BAD"


def test_loops_that_lead_each_other_are_refused(tmp_path: Path) -> None:
    ring = JACKET.replace(
        "outputs = [\n"
        '  { actuator = "R1.heater", from = 0, to = 100 },\n'
        '  { actuator = "R1.cooling", from = 0, to = -100 },\n'
        "]",
        'outputs = [{ loop = "temperature" }]',
    )
    with pytest.raises(ConfigError) as refused:
        Bench(tmp_path, (OLD_TEMPERATURE, ring))
    lines = [line for line in refused.value.lines if "outputs.0.loop" in line]
    assert lines[0].startswith(
        "plant.toml: reactor.R1.loop.jacket.outputs.0.loop: temperature is not allowed; one of ph, "
    )


def test_a_setpoint_ramp_starts_from_the_measurement(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ("ti_s = 400.0", "ti_s = 400.0\nsetpoint_rate_per_s = 0.01"))
    loop = bench.pid("temperature")
    bench.values["temperature"] = 30.0
    loop.set_mode(Mode.AUTO)
    bench.run(100)
    assert loop.setpoint == pytest.approx(31.0)
    loop.set_setpoint(25.0)
    bench.run(50)
    assert loop.setpoint == pytest.approx(30.5)


def test_a_setpoint_that_tracks_is_the_measurement_in_manual(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ("ti_s = 400.0", "ti_s = 400.0\nsetpoint_tracks = true"))
    loop = bench.pid("temperature")
    loop.set_mode(Mode.MANUAL)
    bench.values["temperature"] = 33.0
    bench.run(1)
    loop.set_mode(Mode.AUTO)
    bench.run(1)
    assert loop.setpoint == 33.0


FORWARD = 'feedforward = [{ tag = "R1.our", gain = 0.5, filter_s = 0.001 }]'


def test_feed_forward_moves_the_output_with_its_tag_and_not_at_the_start(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ("ti_s = 400.0", f"ti_s = 400.0\n{FORWARD}"))
    loop = bench.pid("temperature")
    bench.values["our"] = 40.0
    loop.set_mode(Mode.MANUAL)
    bench.run(1)
    loop.set_output(10.0)
    bench.run(5)
    loop.set_mode(Mode.AUTO)
    bench.run(1)
    assert loop.output == pytest.approx(10.0, abs=0.01)  # no bump by 20 %
    bench.values["our"] = 60.0
    bench.run(1)
    assert loop.output == pytest.approx(20.0, abs=0.1)
    bench.bad.add("our")
    bench.run(1)
    assert loop.output == pytest.approx(20.0, abs=0.1)


def test_feed_forward_by_logarithm_moves_by_the_share(tmp_path: Path) -> None:
    forward = 'feedforward = [{ tag = "R1.our", gain = 20.0, filter_s = 0.001, least = 1.0 }]'
    bench = Bench(tmp_path, ("ti_s = 60.0", f"ti_s = 60.0\n{forward}"))
    loop = bench.pid("do")
    for name in ("agitation", "air"):
        bench.outputs.loops[name].set_mode(Mode.CASCADE)
    bench.values |= {"our": 20.0, "do": 30.0}
    loop.set_mode(Mode.AUTO)
    loop.output = 30.0
    bench.run(1)
    before = loop.output
    bench.values["our"] = 40.0
    bench.run(1)
    assert loop.output - before == pytest.approx(20.0 * math.log(2.0), abs=0.1)


def test_a_gain_schedule_changes_how_far_it_answers_and_never_the_output(tmp_path: Path) -> None:
    gain = 'gain = [{ tag = "R1.agitation", table = [[300, 1.0], [900, 4.0]] }]'
    bench = Bench(tmp_path, ("ti_s = 400.0", f"ti_s = 4000.0\n{gain}"))
    loop = bench.pid("temperature")
    loop.set_mode(Mode.AUTO)
    bench.values["temperature"] = 36.5
    bench.run(2)
    before = loop.output
    bench.values["agitation"] = 900.0
    bench.run(1)
    assert loop.output == pytest.approx(before, abs=0.02)
    bench.values["temperature"] = 36.4
    bench.run(1)
    assert loop.output - before == pytest.approx(4.0 * 30.0 * 0.1, rel=0.05)


def test_a_gain_schedule_multiplies_its_factors_and_stays_without_a_reading(
    tmp_path: Path,
) -> None:
    gain = (
        'gain = [{ tag = "R1.agitation", table = [[300, 1.0], [900, 4.0]], filter_s = 9 }, '
        '{ tag = "R1.do", table = [[10, 2.0], [60, 0.5]] }]'
    )
    bench = Bench(tmp_path, ("ti_s = 400.0", f"ti_s = 400.0\n{gain}"))
    pid = bench.pid("temperature").pid
    bench.bad |= {"agitation", "do"}
    bench.run(1)
    assert pid.factor == 1.0
    bench.bad.clear()
    bench.values |= {"agitation": 300.0, "do": 5.0}
    bench.run(1)
    assert pid.factor == pytest.approx(2.0)  # the end of the table is the limit of the factor
    bench.values["agitation"] = 900.0
    bench.run(1)
    assert pid.factor == pytest.approx(2.0 * 1.3, rel=0.01)  # a tenth of the way
    bench.run(100)
    assert pid.factor == pytest.approx(2.0 * 4.0, rel=0.02)
    bench.bad.add("agitation")
    bench.values |= {"agitation": 300.0, "do": 60.0}
    bench.run(50)
    assert pid.factor == pytest.approx(0.5 * 4.0, rel=0.02)


@given(
    points=st.lists(
        st.tuples(st.integers(-100, 100), st.floats(-10, 10)),
        min_size=1,
        max_size=6,
        unique_by=lambda p: p[0],
    ),
    x=st.floats(-200, 200),
)
def test_a_curve_stays_between_its_points(points: list[tuple[float, float]], x: float) -> None:
    points.sort()
    curve = Curve(points)
    low, high = min(y for _, y in points), max(y for _, y in points)
    assert low - 1e-9 <= curve(x) <= high + 1e-9
    for at, y in points:
        assert curve(at) == pytest.approx(y)


@given(wanted=st.floats(0.01, 0.99), on_s=st.floats(1, 10))
def test_pulses_have_the_mean_that_was_wanted(wanted: float, on_s: float) -> None:
    pulses = Pulses(1.0, on_s)
    given = [pulses.step(wanted, 1.0) for _ in range(5000)]
    assert set(given) <= {0.0, 1.0}
    assert abs(sum(given) - 5000 * wanted) <= on_s + 2.0
    runs = "".join("1" if g else "0" for g in given).strip("1").split("0")
    assert min((len(run) for run in runs if run), default=99) >= math.floor(on_s)


def test_a_pump_gets_no_flow_that_it_cannot_hold(tmp_path: Path) -> None:
    line = '{ actuator = "R1.base", from = 0.2, to = 100 }'
    pulsed = '{ actuator = "R1.base", from = 0, to = 100, least = 0.5, pulse_s = 3 }'
    bench = Bench(tmp_path, (line, pulsed))
    bench.outputs.loops["ph"].set_mode(Mode.AUTO)
    bench.values["ph"] = 6.99  # 0.005 beyond the deadband: 2 % is 0.1 mL/min
    given: list[float] = []
    wanted: list[float] = []

    def note(b: Bench) -> None:
        given.append(b.held["R1.base"])
        wanted.append(b.pid("ph").output / 100 * 5.0)

    bench.run(600, note)
    assert set(given) == {0.0, 0.5}
    assert sum(given) == pytest.approx(sum(wanted), abs=2.0)  # a pulse is 1.5 mL/min * s


def test_acid_waits_until_base_has_mixed(tmp_path: Path) -> None:
    bench = Bench(
        tmp_path,
        ("dosing = true                       # a", "changeover_s = 60\ndosing = true  # a"),
    )
    ph = bench.pid("ph")
    ph.set_mode(Mode.AUTO)
    bench.values["ph"] = 6.8
    bench.run(10)
    assert bench.held["R1.base"] > 0
    bench.values["ph"] = 7.5  # too much of it
    waited = 0
    while bench.held["R1.acid"] == 0.0:
        bench.run(1)
        waited += 1
        assert bench.held["R1.base"] == 0.0 or waited < 15  # the filter of the measurement
    assert 60 <= waited <= 75


def test_air_stays_below_what_floods_the_stirrer(tmp_path: Path) -> None:
    high = 'high = { tag = "R1.agitation", table = [[300, 2.0], [1000, 6.0]] }'
    bench = Bench(tmp_path, ("rate_per_s = 0.2", f"rate_per_s = 0.2\n{high}"))
    air = bench.station("air")
    air.set_mode(Mode.AUTO)
    air.set_setpoint(5.0)
    bench.run(60)
    assert bench.held["R1.air"] == 2.0
    assert air.reason == "at most 2 L/min at R1.agitation"
    assert air.blocked == 1
    bench.values["agitation"] = 1000.0
    bench.run(60)
    assert bench.held["R1.air"] == pytest.approx(5.0)
    bench.bad.add("agitation")
    bench.run(5)
    assert bench.held["R1.air"] == pytest.approx(5.0)  # the last good limit stays


CUT = """\
dosing = true
cut = { loop = "do", after_s = 60, cut_per_min = 0.2, back_per_min = 0.1 }
needs"""


def test_a_feed_is_cut_when_oxygen_can_do_no_more_and_comes_back(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ("dosing = true\nneeds", CUT))
    for name in ("agitation", "air", "feed"):
        bench.outputs.loops[name].set_mode(Mode.CASCADE)
    bench.outputs.loops["do"].set_mode(Mode.AUTO)
    feed = bench.station("feed")
    feed.remote = 40.0
    bench.run(120)
    assert bench.held["R1.feed"] == 40.0
    bench.values["do"] = 15.0
    first = 0
    while bench.held["R1.feed"] == 40.0:
        bench.run(1)
        first += 1
        assert first < 900
    assert bench.pid("do").blocked == 1
    bench.run(120)
    assert bench.held["R1.feed"] == pytest.approx(40.0 * math.exp(-0.4), rel=0.02)
    assert feed.reason == "cut: R1.do can do no more"
    bench.values["do"] = 35.0
    bench.run(600)
    assert bench.held["R1.feed"] == pytest.approx(40.0)
    assert feed.reason == ""


def test_no_more_is_fed_while_oxygen_is_low_and_what_was_forced_comes_back_slowly(
    tmp_path: Path,
) -> None:
    cut = CUT.replace("back_per_min", "no_rise_below = 23, back_per_min")
    bench = Bench(tmp_path, ("dosing = true\nneeds", cut))
    bench.outputs.loops["feed"].set_mode(Mode.CASCADE)
    feed = bench.station("feed")
    bench.values["do"] = 22.0
    feed.remote = 10.0
    bench.run(60)
    assert bench.held["R1.feed"] == 0.0
    assert feed.reason == "no rise: R1.do below 23"
    bench.values["do"] = 30.0
    bench.run(60)
    assert bench.held["R1.feed"] == pytest.approx(1.0, rel=0.05)  # a tenth of it a minute
    assert feed.reason == "back slowly, for R1.do"
    bench.run(600)
    assert bench.held["R1.feed"] == 10.0
    bench.values["do"] = 22.0
    bench.run(60)
    assert bench.held["R1.feed"] == 10.0  # less it is not, for that
    feed.remote = 12.0
    bench.run(60)
    assert bench.held["R1.feed"] == 10.0
    bench.values["do"] = 5.0
    bench.run(60)
    assert bench.held["R1.feed"] == 0.0  # an interlock
    bench.values["do"] = 30.0
    bench.run(240)
    assert 0.0 < bench.held["R1.feed"] < 6.0


def test_a_stretch_may_begin_and_end_inside_the_range_of_what_it_moves(tmp_path: Path) -> None:
    old = '{ loop = "air", from = 52'
    bench = Bench(tmp_path, (old, '{ loop = "air", low = 2.0, high = 5.0, from = 52'))
    for name in ("agitation", "air"):
        bench.outputs.loops[name].set_mode(Mode.CASCADE)
    do = bench.pid("do")
    do.set_mode(Mode.MANUAL)
    for output, air in ((0.0, 2.0), (100.0, 5.0)):
        bench.run(1)
        do.set_output(output)
        bench.run(60)
        assert bench.held["R1.air"] == pytest.approx(air)


ANTIFOAM = """\
[reactor.R1.loop.antifoam]
measured = "R1.do"
pulse = { flow = 3.0, on_s = 5, pause_s = 40 }
outputs = [{ actuator = "R1.antifoam" }]
setpoint = 60.0
setpoint_low = 0.0
setpoint_high = 90.0
dosing = true
"""
OLD_ANTIFOAM = """\
[reactor.R1.loop.antifoam]
outputs = [{ actuator = "R1.antifoam" }]
setpoint = 0.0
setpoint_low = 0.0
setpoint_high = 5.0
dosing = true
"""


def test_antifoam_comes_in_pulses_with_a_pause(tmp_path: Path) -> None:
    """Any measurement can stand for the foam here."""
    bench = Bench(tmp_path, (OLD_ANTIFOAM, ANTIFOAM))
    loop = bench.outputs.loops["antifoam"]
    assert isinstance(loop, OnOffLoop)
    loop.set_mode(Mode.AUTO)
    bench.run(10)
    assert bench.held["R1.antifoam"] == 0.0
    bench.values["do"] = 80.0
    given: list[float] = []

    def note(b: Bench) -> None:
        given.append(b.held["R1.antifoam"])

    bench.run(135, note)
    assert given == ([3.0] * 5 + [0.0] * 40) * 3
    bench.bad.add("do")
    bench.run(1)
    assert bench.held["R1.antifoam"] == 0.0
    assert (loop.target, loop.actual, loop.reason) == (Mode.AUTO, Mode.MANUAL, "R1.do is BAD")


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (
            "rate_per_s = 20.0",
            'rate_per_s = 20.0\ngain = [{ tag = "R1.do", table = [[1, 1]] }]',
            "reactor.R1.loop.agitation.gain: goes only with a PID",
        ),
        (
            "ti_s = 400.0",
            'ti_s = 400.0\ncut = { loop = "do" }',
            "reactor.R1.loop.temperature.cut: goes only with a station (no measured)",
        ),
        (
            '{ loop = "air", from = 52',
            '{ loop = "air", low = 0.5, from = 52',
            "reactor.R1.loop.do.outputs.1.low: 0.5 is not allowed; air's setpoint is 1 to 6",
        ),
        (
            '{ loop = "air", from = 52',
            '{ loop = "air", low = 4.0, high = 3.0, from = 52',
            "reactor.R1.loop.do.outputs.1.low: 4 is not allowed; below high, 3",
        ),
        (
            "dosing = true\nneeds",
            'dosing = true\ncut = { loop = "air" }\nneeds',
            "reactor.R1.loop.feed.cut.loop: air is not allowed; one of temperature, ph, do",
        ),
        (
            "ti_s = 400.0",
            'ti_s = 400.0\nfeedforward = [{ tag = "R1.ouch", gain = 1 }]',
            "reactor.R1.loop.temperature.feedforward.0.tag: R1.ouch is not allowed; a known tag",
        ),
        (
            "ti_s = 400.0",
            'ti_s = 400.0\ngain = [{ tag = "R1.do", table = [[5, 1], [3, 2]] }]',
            "reactor.R1.loop.temperature.gain.0: table: [5.0, 3.0] is not allowed; it must rise",
        ),
        (
            "ti_s = 400.0",
            'ti_s = 400.0\ngain = [{ tag = "R1.do", table = [[5, 1], [8, 0]] }]',
            "reactor.R1.loop.temperature.gain.0: table: a factor of kp must be 0.05 to 20",
        ),
        (
            "ti_s = 400.0",
            'ti_s = 400.0\ngain = [{ tag = "R1.dough", table = [[5, 1]] }]',
            "reactor.R1.loop.temperature.gain.0.tag: R1.dough is not allowed; a known tag",
        ),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, line: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Bench(tmp_path, (old, new))
    assert any(line in given for given in refused.value.lines), refused.value.lines
