"""What stands around a PID: setpoint ramps, feed-forward, gain schedules, pulses, its mistakes.

Closed loops on the simulated reactor are in tests/loop.
"""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.loops.loops import Mode
from controller.loops.pulses import Pulses
from controller.plant_file.config import ConfigError
from controller.plant_file.curve import Curve
from tests.controller.loop_bench import Bench


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


class Second:
    doubt = 0.0


def test_the_setpoint_of_a_doubted_measurement_is_higher_and_says_why(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    loop, second = bench.pid("do"), Second()
    loop.seconds = [Second(), second]
    for name in ("agitation", "air", "oxygen"):
        bench.outputs.loops[name].set_mode(Mode.CASCADE)
    loop.set_mode(Mode.AUTO)
    bench.run(10)
    assert (loop.setpoint, loop.reason) == (30.0, "")
    second.doubt = 0.1
    bench.run(30)  # 20 points are put on in 300 s
    assert loop.setpoint == pytest.approx(32.0)
    assert loop.reason.startswith("R1.do disagrees with a second value: setpoint up to 20 % higher")
    second.doubt = 1.0
    bench.run(150)
    assert loop.setpoint == pytest.approx(42.0)
    bench.run(300)
    assert loop.setpoint == pytest.approx(50.0)
    assert loop.local == 30.0  # what a person asked for is still what it was
    loop.set_setpoint(75.0)
    bench.run(1)
    assert loop.setpoint == 80.0  # its own limit
    second.doubt = 0.0
    bench.run(299)
    assert 75.0 < loop.setpoint < 75.1
    bench.run(2)
    assert (loop.setpoint, loop.reason) == (75.0, "")


def test_a_restart_begins_without_the_margin_and_a_hand_needs_none(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    loop = bench.pid("do")
    second = Second()
    second.doubt = 1.0
    loop.seconds = [second]
    loop.set_mode(Mode.MANUAL)
    bench.run(400)
    assert loop.setpoint == 30.0


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


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (
            "rate_per_s = 20.0",
            'rate_per_s = 20.0\ngain = [{ tag = "R1.do", table = [[1, 1]] }]',
            "reactor.R1.loop.agitation.gain: goes only with a PID",
        ),
        (
            "rate_per_s = 20.0",
            "rate_per_s = 20.0\ndisputed_margin = 1.0",
            "reactor.R1.loop.agitation.disputed_margin: goes only with a PID",
        ),
        (
            "ti_s = 400.0",
            "ti_s = 400.0\ndisputed_margin = 1.0",
            "reactor.R1.loop.temperature.disputed_margin: needs an alarm with residual on "
            "R1.temperature",
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
            'cut = { loop = "do"',
            'cut = { loop = "air"',
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
