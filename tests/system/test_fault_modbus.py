"""The Modbus device is killed, or freezes, in the middle of a run and comes back."""

from itertools import pairwise
from pathlib import Path
from typing import Literal

import pytest

from controller.loops.loops import Mode
from drivers.point import Quality, Sample
from tests.system.plant_processes import Site, State, site
from tests.system.served_plant import breakable, wires

pytestmark = pytest.mark.real_time

SPEED = 10.0  # the 3 wall s of the watchdog are 30 plant s: the loops see all of their holds
DOSING = ("R1.acid", "R1.base", "R1.feed", "R1.antifoam", "R1.inducer")


def loops(state: State) -> State:
    return state["reactors"]["R1"]["loops"]


def at_work(state: State) -> bool:
    now = loops(state)
    return bool(now) and now["ph"]["op"] > 1.0 and now["feed"]["op"] == 12.0


@pytest.mark.parametrize(
    ("way", "why"),
    [
        ("killed", "connection refused"),
        pytest.param(
            "frozen", "no reply to 14 registers from 0 within 0.5 s", marks=pytest.mark.long
        ),
    ],
)
async def test_a_modbus_device_is_lost_and_taken_up_again(
    tmp_path: Path, way: Literal["killed", "frozen"], why: str
) -> None:
    async with (
        site(tmp_path) as plant,
        wires(plant, SPEED, biomass_g_per_l=0.3) as real,
        breakable(plant, real, "R1-io", way) as (break_it, mend),
    ):
        plant.start_controller()
        before = await plant.until("base and feed are dosed", at_work)
        why = f"R1-io at {before['devices']['R1-io']['address']}: {why}"

        await break_it()
        await plant.until("pH is BAD", lambda s: loops(s)["ph"]["quality"] == "BAD")
        lost = await plant.until("every hold is over", lambda s: s["time"] > before["time"] + 60)
        assert {n: real.vessel.actual(n) for n in DOSING} == dict.fromkeys(DOSING, 0.0)
        check_lost(lost, why)

        await mend()
        again = await plant.until("base and feed are dosed again", at_work)
        assert again["scans"] > lost["scans"] > before["scans"]
        assert not [a for a in again["alarms"] if a["active"] and a["code"] == "device"]
        await plant.ask("/stop", {})
        await plant.wait("the end", lambda: plant.processes[0].poll() is not None)
        check_record(plant, before["time"], again["time"])
        texts = [e["text"] for e in plant.events() if e["subject"] == "R1-io"]
        assert sum(text.startswith(why) for text in texts) == 1
        over = [t.partition(" s: ")[2] for t in texts if t.startswith("over after ")]
        assert sum(text.startswith(why) for text in over) == 1  # a write may have failed too


def check_lost(state: State, why: str) -> None:
    """Dosing and heat are off, air and agitation hold, and all of it is said."""
    now = loops(state)
    for name in ("temperature", "ph", "do"):
        assert now[name]["pv"] is None
        assert (now[name]["target"], now[name]["actual"]) == ("AUTO", "MANUAL")
    for name in ("temperature", "ph", "agitation", "feed", "inducer", "antifoam"):
        assert now[name]["reason"] == "R1-io does not answer"
    assert now["do"]["reason"] == "R1.do is BAD"
    # what the device's own watchdog has made of them
    assert {n: now[n]["op"] for n in ("ph", "temperature", "feed", "agitation")} == {
        "ph": 0.0, "temperature": 0.0, "feed": 0.0, "agitation": 300.0,
    }  # fmt: skip
    assert now["air"]["op"] >= 1.0
    device = state["devices"]["R1-io"]
    assert not device["armed"]
    assert device["error"].startswith("R1-io at ")
    assert [a["subject"] for a in state["alarms"] if a["text"].startswith(why)] == ["R1-io"]


def check_record(plant: Site, begun: float, ended: float) -> None:
    """The store shows no missing scan, a gap of BAD values, and no bump at its end."""
    rows = {
        tag: plant.samples(tag, begun, ended)
        for tag in (
            *("R1.ph", "R1.ph.op", "R1.ph.mode"),
            *("R1.base", "R1.acid", "R1.feed", "R1.stirrer"),
        )
    }
    times = [s.time for s in rows["R1.ph"]]
    assert max(b - a for a, b in pairwise(times)) < 10.0  # a wall second
    bad = [s.time for s in rows["R1.ph"] if s.quality is Quality.BAD]
    assert bad[-1] - bad[0] > 30.0
    assert {s.quality for s in rows["R1.ph"] if bad[0] <= s.time <= bad[-1]} == {Quality.BAD}
    after = {tag: [s for s in found if s.time > bad[-1]] for tag, found in rows.items()}
    # The first scan finds it at its safe values, the loops continue from there at their own pace:
    # base by its integral (kp / ti_s x 0.5 pH at most), feed and stirrer by their ramps.
    assert (
        abs(after["R1.ph.op"][0].value) <= 0.2
    )  # at the end of a stretch, where nothing flows yet
    modes = [s.value for s in after["R1.ph.mode"][:10]]
    assert set(modes) <= {Mode.IMAN, Mode.AUTO}  # it follows until the device's watchdog is armed
    assert modes[-1] == Mode.AUTO
    for tag, first, per_s in (
        *(("R1.base", 0, 0.05), ("R1.acid", 0, 0.05)),
        *(("R1.feed", 0, 1), ("R1.stirrer", 300, 20)),
    ):
        assert after[tag][0].value == first
        assert fastest(after[tag][:20]) <= per_s * 1.25, tag  # a scan may be a little late


def fastest(samples: list[Sample]) -> float:
    """Return the largest change from one scan to the next, in the tag's unit per scan second."""
    return max(abs(b.value - a.value) / max(b.time - a.time, 1.0) for a, b in pairwise(samples))
