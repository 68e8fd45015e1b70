"""A PID that leads a PID: bumpless, without windup, and what a bad reading of either does."""

from pathlib import Path

import pytest

from controller.loops.loops import Mode
from controller.plant_file.config import ConfigError
from tests.controller.loop_bench import Bench

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
