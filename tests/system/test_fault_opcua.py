"""The OPC UA device is killed, or freezes, in the middle of a run and comes back."""

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Literal

import pytest

from controller.loops.loops import Mode
from drivers.point import Quality
from tests.system.plant_processes import Site, State, site
from tests.system.served_plant import breakable, wires

pytestmark = pytest.mark.real_time

SPEED = 5.0  # a scan is 0.2 wall s, of which a silent device may take half, once


def loops(state: State) -> State:
    return state["reactors"]["R1"]["loops"]


def at_work(state: State) -> bool:
    now = loops(state)
    return bool(now) and now["feed"]["op"] == 12.0 and air_is(3.0)(state)


def undisturbed(state: State) -> bool:
    """Whether no Modbus loop has anything to say: a single answer may come late."""
    return all(loops(state)[name]["reason"] == "" for name in ("temperature", "ph", "do"))


def air_is(flow: float) -> Callable[[State], bool]:
    """Return a condition; a last step of less than 1e-4 of the span is not worth a write."""
    return lambda s: loops(s)["air"]["pv"] == pytest.approx(flow, abs=1e-3)


@pytest.mark.parametrize(
    ("way", "why"),
    [
        pytest.param("killed", "the device closed the connection", marks=pytest.mark.long),
        ("frozen", "no reply to 8 nodes within 1 s"),
    ],
)
async def test_an_opcua_device_is_lost_and_taken_up_again(
    tmp_path: Path, way: Literal["killed", "frozen"], why: str
) -> None:
    async with (
        site(tmp_path) as plant,
        wires(plant, SPEED, biomass_g_per_l=0.3) as real,
        breakable(plant, real, "R1-gas", way) as (break_it, mend),
    ):
        plant.start_controller()
        await plant.until("the batch runs", lambda s: s["scans"] > 2)
        await plant.ask("/loop/R1.air/mode", {"mode": "AUTO"})
        await plant.ask("/loop/R1.air/setpoint", {"value": 3.0})
        before = await plant.until("feed and air are there", at_work)

        await break_it()
        lost = await plant.until(
            "every hold is over", lambda s: s["time"] > before["time"] + 30 and undisturbed(s)
        )
        check_lost(lost, why)
        await plant.ask("/loop/R1.air/setpoint", {"value": 5.0})  # cannot be obeyed now
        later = await plant.until("more scans", lambda s: s["scans"] > lost["scans"] + 10)
        assert loops(later)["air"]["op"] == pytest.approx(3.0, abs=1e-3)  # what it holds

        await mend()
        await plant.until("it answers", lambda s: s["devices"]["R1-gas"]["answering"])
        again = await plant.until("air is there", air_is(5.0))
        assert loops(again)["feed"]["actual"] == "CASCADE"
        assert not [a for a in again["alarms"] if a["active"] and a["code"] == "device"]
        assert again["scans_missed"] == before["scans_missed"]
        await plant.ask("/stop", {})
        await plant.wait("the end", lambda: plant.processes[0].poll() is not None)
        check_lost_record(plant, before["time"], later["time"])
        check_return(plant, before["time"], again["time"])
        texts = [e["text"] for e in plant.events() if e["subject"] == "R1-gas"]
        assert sum(why in text and "over" not in text for text in texts) == 1
        assert sum(why in text and "over" in text for text in texts) == 1


def check_lost(state: State, why: str) -> None:
    """The feed is on its fall-back, air holds, the Modbus loops do not notice."""
    now = loops(state)
    assert now["air"]["pv"] is None
    assert now["air"]["op"] == pytest.approx(3.0, abs=1e-3)
    assert now["air"]["reason"] == "R1-gas does not answer"
    assert (now["feed"]["op"], now["feed"]["reason"]) == (5.0, "fall-back: R1.air_flow is BAD")
    assert (now["feed"]["target"], now["feed"]["actual"]) == ("CASCADE", "AUTO")
    for name in ("temperature", "ph", "do"):
        assert now[name]["actual"] == "AUTO"
    (alarm,) = [a for a in state["alarms"] if a["code"] == "device"]
    assert alarm["subject"] == "R1-gas"
    assert re.fullmatch(rf"R1-gas at opc\.tcp://127\.0\.0\.1:\d+/fermloop: {why}.*", alarm["text"])


def check_lost_record(plant: Site, begun: float, ended: float) -> None:
    """No scan is late and no Modbus loop leaves AUTO."""
    ph = plant.samples("R1.ph", begun, ended)
    assert max(b.time - a.time for a, b in pairwise(ph)) < 1.9  # s: none is left out
    assert Quality.BAD not in {s.quality for s in ph}
    for loop in ("temperature", "ph", "do"):
        modes = {s.value for s in plant.samples(f"R1.{loop}.mode", begun, ended)}
        assert modes == {Mode.AUTO}


def check_return(plant: Site, begun: float, ended: float) -> None:
    """Air goes on from where it was, at its own rate."""
    air = plant.samples("R1.air", begun, ended)
    assert Quality.BAD in {s.quality for s in air}
    good = [s for s in air if s.quality is Quality.GOOD]
    back = next(i for i, (a, b) in enumerate(pairwise(good)) if b.time - a.time > 5.0) + 1
    assert good[back].value == good[back - 1].value
    steps = [b.value - a.value for a, b in pairwise(good[back:])]
    assert max(steps) <= 0.2 * 1.9  # L/min a second, as the plant file has it
