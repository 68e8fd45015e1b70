"""From a plant file to loops, guard and the optimiser's limits."""

from pathlib import Path

import pytest

from controller.assemble import build_guard, build_loops, optimiser_settings
from controller.loops.loops import Mode, PidLoop, Station
from controller.plant import Plant, load_plant

DEMO = Path("sim/plants/ecoli_5l.toml")
PLANT = load_plant(DEMO)
PID = {Mode.OFF, Mode.MANUAL, Mode.AUTO}


def changed(folder: Path, old: str, new: str) -> Plant:
    path = folder / "plant.toml"
    text = DEMO.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    return load_plant(path)


def test_a_loop_has_the_modes_that_somebody_can_lead_it_in() -> None:
    modes = {name: set(loop.modes) for name, loop in build_loops("R1", PLANT).items()}
    assert modes == {
        "temperature": PID,
        "ph": PID,
        "do": PID | {Mode.OPTIMISER},
        "agitation": PID | {Mode.CASCADE},  # DO leads it
        "air": PID | {Mode.CASCADE},
        "feed": PID | {Mode.CASCADE, Mode.OPTIMISER},  # the recipe leads it
        "inducer": PID | {Mode.CASCADE},
        "antifoam": PID | {Mode.CASCADE},
        "oxygen": PID | {Mode.CASCADE},
    }


def test_every_actuator_is_moved_by_one_loop_and_starts_at_its_safe_value() -> None:
    loops = build_loops("R1", PLANT).values()
    moved = [loop.tag for loop in loops if isinstance(loop, Station)]
    moved += [tag for loop in loops if isinstance(loop, PidLoop) for _, tag in loop.actuators]
    assert sorted(t.name for t in moved) == sorted(
        t.name for t in PLANT.tags.values() if t.safe is not None
    )
    for loop in loops:
        assert loop.target is Mode.OFF
        if isinstance(loop, Station):
            assert loop.output == loop.tag.safe


def test_a_slave_is_led_over_its_setpoint_range_not_over_its_actuators() -> None:
    loops = build_loops("R1", PLANT)
    do = loops["do"]
    assert isinstance(do, PidLoop)
    assert [(s.name, o.low, o.high) for o, s in do.slaves] == [
        ("R1.agitation", 300.0, 1000.0),
        ("R1.air", 1.0, 6.0),
        ("R1.oxygen", 0.0, 1.0),  # a part of its range
    ]


def test_the_guard_limits_rates_of_drives_and_doses_of_pumps() -> None:
    guard = build_guard("R1", PLANT)
    guard.begin(0.0, {})
    tags = PLANT.tags
    for name in ("R1.stirrer", "R1.air", "R1.antifoam"):
        guard.check(tags[name], tags[name].safe or 0.0, 0.0)
    assert guard.check(tags["R1.stirrer"], 1000.0, 1.0).value == 320.0
    assert guard.check(tags["R1.air"], 5.0, 1.0).value == pytest.approx(1.2)
    assert guard.check(tags["R1.antifoam"], 5.0, 1.0).value == 5.0  # at once, but not for long
    assert {lock.name for lock in guard.interlocks.locks} == {
        f"R1.{name}" for name in PLANT.settings.reactor["R1"].interlock
    }


def test_a_pump_is_counted_on_only_until_its_devices_watchdog() -> None:
    tag = PLANT.tags["R1.antifoam"]
    guard = build_guard("R1", PLANT)
    guard.begin(0.0, {})
    guard.check(tag, 1.0, 0.0)  # 1 mL/min
    state = guard.as_state()
    later = build_guard("R1", PLANT, state, 600.0)
    assert later.dosed_ml(tag, 600.0) >= 4.0 / 60.0  # the watchdog's 3 s and a scan


def test_the_optimiser_may_use_what_the_loops_reach(tmp_path: Path) -> None:
    settings = optimiser_settings(PLANT)["R1"]
    assert settings.moves["feed"] == pytest.approx((0.0, 0.15, 0.08))  # L/h, and per h
    assert settings.moves["do"] == (30.0, 45.0, 40.0)
    assert settings.aeration == {"stirrer": (300, 1000), "air": (1, 6), "oxygen": (0, 1)}
    assert settings.volume_max_l == 4.5
    slower = changed(tmp_path, "setpoint_high = 1000.0", "setpoint_high = 800.0")
    assert optimiser_settings(slower)["R1"].aeration["stirrer"] == (300, 800)


def test_a_reactor_without_an_optimiser_has_none(tmp_path: Path) -> None:
    text = DEMO.read_text()
    start = text.index("[reactor.R1.optimiser]")
    path = tmp_path / "plant.toml"
    path.write_text(text[:start] + text[text.index("[simulation.R1]") :])
    plant = load_plant(path)
    assert optimiser_settings(plant) == {}
    assert Mode.OPTIMISER not in build_loops("R1", plant)["do"].modes
    assert Mode.CASCADE in build_loops("R1", plant)["feed"].modes  # the recipe still leads it
