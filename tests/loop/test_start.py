"""Start (RELIABILITY §1): no output before every readback is done and the watchdog seen armed."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from historian.events import Kind
from tests.loop.rig import GROWN, Rig, bump


def connect_for(rig: Rig, seconds: float) -> None:
    """Let the controller try to connect for so long, in vain."""
    with pytest.raises(TimeoutError):
        rig.do(asyncio.wait_for(rig.controller.connect(), seconds))


@pytest.mark.parametrize("silent", ["R1-io", "R1-gas"])
def test_nothing_is_written_before_every_required_device_has_answered(
    grown: Rig, silent: str
) -> None:
    before = grown.held()
    grown.wires[silent].answering = False
    connect_for(grown, 60.0)
    assert {name: wire.writes for name, wire in grown.wires.items()} == {"R1-io": [], "R1-gas": []}
    assert grown.held() == before
    grown.wires[silent].answering = True
    grown.connect()
    assert grown.state()["devices"]["R1-io"]["armed"]


def test_a_silent_device_is_named_at_once_and_asked_for_ever(grown: Rig) -> None:
    grown.wires["R1-gas"].answering = False
    connect_for(grown, 0.4)
    assert grown.alarms() == {
        "R1-gas.device": "R1-gas at virtual: no reply to the server's identification: "
        "the wire is cut"
    }
    connect_for(grown, 3600.0)
    assert len(grown.told(Kind.ALARM, "R1-gas")) == 1
    grown.wires["R1-gas"].answering = True
    grown.connect()
    assert list(grown.alarms()) == []
    assert grown.told(Kind.ALARM, "over after")[0].startswith("over after 36")


def test_a_stop_while_a_device_is_silent_writes_nothing_to_the_others(grown: Rig) -> None:
    grown.wires["R1-gas"].answering = False
    connect_for(grown, 5.0)
    grown.controller.stop("a test", "ana")
    grown.do(grown.controller.connect())
    grown.do(grown.controller.shut(safe=True))
    assert grown.wires["R1-io"].writes == []


def test_no_output_is_written_until_the_watchdog_says_that_it_is_armed(grown: Rig) -> None:
    before = grown.held()
    grown.wires["R1-io"].deaf = True  # it takes heartbeats and does nothing with them
    connect_for(grown, 30.0)
    assert grown.held() == before
    assert grown.wires["R1-gas"].writes == []
    grown.wires["R1-io"].deaf = False
    grown.connect()
    assert grown.controller.devices[0].armed


def test_a_device_lost_while_the_watchdog_is_awaited_is_named(grown: Rig) -> None:
    wire = grown.wires["R1-io"]
    wire.deaf = True

    async def lose() -> list[str]:
        connecting = asyncio.create_task(grown.controller.connect())
        await asyncio.sleep(5.0)
        wire.answering = False
        await asyncio.sleep(5.0)
        lost = list(grown.alarms())
        wire.answering, wire.deaf = True, False
        await asyncio.wait_for(connecting, 5.0)
        return lost

    assert grown.do(lose()) == ["R1-io.device"]
    assert list(grown.alarms()) == []


def test_a_controller_takes_over_a_running_vessel_without_a_bump(
    make: Callable[..., Rig], steady: Rig, fed: Path
) -> None:
    before = steady.held()
    assert before["R1.stirrer"] > 500
    assert before["R1.feed"] == 20
    second = make(GROWN, vessels_of=steady)
    second.begin(fed)
    for _ in second.scans(3):
        after = second.held()
        assert bump(second, before, after) < 0.01  # the noise of a probe through a PID
        before = after


def test_an_idle_plant_is_moved_to_its_safe_values_and_no_further(grown: Rig) -> None:
    grown.vessel.write("R1.heater", 40.0)
    grown.vessel.write("R1.stirrer", 400.0)
    grown.connect()
    grown.run(10)
    held = grown.held()
    assert held == {n: t.safe for n, t in grown.plant.tags.items() if t.safe is not None}


def test_what_a_driver_warns_of_is_told_once_and_shown_all_the_time(grown: Rig) -> None:
    grown.connect().run(5)
    (text,) = grown.told(Kind.NOTE, "R1-gas: warning: ")
    assert "insecure = true" in text
    devices = grown.state()["devices"]
    assert [text.removeprefix("R1-gas: warning: ")] == devices["R1-gas"]["warnings"]
    assert devices["R1-io"]["warnings"] == []
    assert grown.alarms() == {}
