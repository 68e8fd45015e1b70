"""Local/remote (就地/远程): a local device is never written, and comes back without a bump."""

from collections.abc import Callable
from pathlib import Path

import pytest

from historian.events import Kind
from tests.loop.rig import DEMO, GROWN, Rig, bump

WHO = ("a test", "ana")


def switched(*names: str) -> dict[str, str]:
    """Return the changes that give actuators a switch: a line each behind their own."""
    changes: dict[str, str] = {}
    for i, name in enumerate(names):
        (line,) = [text for text in DEMO.read_text().splitlines() if f'name = "R1.{name}",' in text]
        own = line.replace(" },", f', remote = "R1.{name}_remote" }},')
        place = (
            f'node = "nsu=urn:fermloop:plant;s=R1.{name}_remote"'
            if "node" in line
            else f'input = {40 + i}, type = "uint16"'
        )
        switch = f'  {{ name = "R1.{name}_remote", unit = "1", low = 0, high = 1, {place} }},'
        changes[line] = f"{own}\n{switch}"
    return changes


@pytest.fixture
def local(make: Callable[..., Rig], fed: Path) -> Rig:
    """Return a settled rig whose stirrer, heater, cooling, air, feed and oxygen have switches."""
    names = ("stirrer", "heater", "cooling", "air", "feed", "base")
    rig = make({**GROWN, **switched(*names)})
    rig.vessel.set_state(X=8.0)
    rig.begin(fed)
    rig.run(60)
    return rig


def take(rig: Rig, name: str, size: float | None = None) -> None:
    rig.vessel.faults.inject(f"{name}.local", size=size)
    rig.run(2)


@pytest.mark.parametrize(
    ("name", "size", "holds", "loop"),
    [
        ("stirrer", 40.0, 400.0, "agitation"), ("air", 50.0, 5.0, "air"),
        ("feed", 50.0, 100.0, "feed"), ("heater", 30.0, 30.0, "temperature"),
    ],
)  # fmt: skip
def test_a_local_device_is_never_written_and_its_loop_tracks_what_it_holds(
    local: Rig, name: str, size: float, holds: float, loop: str
) -> None:
    tag = f"R1.{name}"
    take(local, name, size)
    wire = local.wires[local.plant.device_of[tag]]
    wire.writes.clear()
    local.controller.set_mode(f"R1.{loop}", "MANUAL", *WHO)
    local.controller.set_output(f"R1.{loop}", 1.0 if loop == "temperature" else 0.0, *WHO)
    local.run(30)
    local.controller.set_mode(f"R1.{loop}", "AUTO", *WHO)
    local.run(30)
    assert local.held()[tag] == pytest.approx(holds)
    assert f"s={tag}'" not in repr(wire.writes)  # OPC UA; Modbus: see what it holds
    state = local.state()["reactors"]["R1"]
    assert state["local"] == [tag]
    assert state["loops"][loop]["reason"] == f"{tag} is local"
    assert state["loops"][loop]["op"] == pytest.approx(holds, rel=0.01)
    assert local.told(Kind.NOTE, tag) == [f"{tag} is local; nothing is written to it"]
    assert not [key for key in local.alarms() if "write" in key]


@pytest.mark.parametrize(
    ("name", "size", "ramp"), [("stirrer", 60.0, 20.0), ("air", 60.0, 0.2), ("feed", 15.0, 1.0)]
)
def test_it_is_handed_back_without_a_bump(local: Rig, name: str, size: float, ramp: float) -> None:
    tag = local.plant.tags[f"R1.{name}"]
    take(local, name, size)
    local.run(60)
    local.vessel.faults.clear(f"{name}.local")
    before = local.held()
    for _ in local.scans(10):
        after = local.held()
        assert abs(after[tag.name] - before[tag.name]) <= ramp + 1e-6
        before = after
    assert local.state()["reactors"]["R1"]["local"] == []
    assert local.told(Kind.NOTE, "is remote again")


def test_temperature_takes_the_heater_up_where_the_hand_left_it(local: Rig) -> None:
    take(local, "cooling", 0.0)
    take(local, "heater", 10.0)
    local.faults.shows["R1.temperature"] = 37.0
    local.run(120)
    local.vessel.faults.clear("heater.local")
    before = local.held()
    local.run(2)
    assert bump(local, before, local.held()) < 0.02


def test_an_interlock_and_a_safe_stop_cannot_write_it_either(local: Rig) -> None:
    take(local, "feed", 10.0)
    local.faults.shows["R1.do"] = 5.0
    local.run(30)
    assert local.state()["reactors"]["R1"]["interlocks"]["low_do"]["tripped"]
    assert local.held()["R1.feed"] == pytest.approx(20.0)
    local.do(local.controller.shut(safe=True))
    held = local.held()
    assert held["R1.feed"] == pytest.approx(20.0)
    assert held["R1.stirrer"] == 300.0


def test_a_local_dosing_pump_counts_for_its_dose(local: Rig) -> None:
    tag = local.plant.tags["R1.base"]
    guard = local.controller.reactors["R1"].guard
    before = guard.dosed_ml(tag, local.clock.now())
    take(local, "base", 20.0)  # 1 mL/min
    local.run(600)
    assert guard.dosed_ml(tag, local.clock.now()) - before >= 9.9


def test_a_switch_that_nobody_has_read_is_local_and_one_that_is_lost_stays(
    make: Callable[..., Rig],
) -> None:
    rig = make({**GROWN, **switched("stirrer")})
    rig.faults.shows["R1.stirrer_remote"] = 7.0  # out of range: BAD
    rig.connect().controller.set_mode("R1.agitation", "AUTO", *WHO)
    rig.run(3)
    assert rig.loop("agitation").reason == (
        "R1.stirrer is local: R1.stirrer_remote has not been read"
    )
    del rig.faults.shows["R1.stirrer_remote"]
    rig.run(2)
    assert rig.state()["reactors"]["R1"]["local"] == []
    rig.faults.shows["R1.stirrer_remote"] = 7.0
    rig.run(30)
    assert rig.state()["reactors"]["R1"]["local"] == []
