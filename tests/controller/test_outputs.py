"""What stands behind a PID: pulses, pauses, flooding, a feed that is cut, stretches of a range."""

import math
from pathlib import Path

import pytest

from controller.loops.loops import Mode
from controller.loops.on_off import OnOffLoop
from tests.controller.loop_bench import Bench


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


SHIPPED = "after_s = 60, back_per_min = 0.15, no_rise_below = 23"


@pytest.mark.parametrize("rise", ["", ", no_rise_below = 23"])
def test_a_feed_is_cut_when_oxygen_can_do_no_more_and_comes_back(tmp_path: Path, rise: str) -> None:
    cut = "after_s = 60, cut_per_min = 0.2, back_per_min = 0.1" + rise
    bench = Bench(tmp_path, (SHIPPED, cut))
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
    bench.run(60)
    assert feed.reason == "back slowly, for R1.do"
    bench.values["do"] = 15.0
    while bench.pid("do").blocked != 1:
        bench.run(1)
    why = "no rise: R1.do below 23" if rise else "cut: R1.do can do no more"
    assert feed.reason == why  # not what held before
    fed = bench.held["R1.feed"]
    bench.run(240)
    assert feed.reason == "cut: R1.do can do no more"
    assert bench.held["R1.feed"] < 0.8 * fed
    bench.values["do"] = 35.0
    bench.run(600)
    assert bench.held["R1.feed"] == pytest.approx(40.0)
    assert feed.reason == ""


def test_no_more_is_fed_while_oxygen_is_low_and_what_was_forced_comes_back_slowly(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, (SHIPPED, SHIPPED.replace("0.15", "0.1")))
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
