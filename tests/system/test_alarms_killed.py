"""Alarms of a real controller outlive it: killed, it knows what was acknowledged and since when."""

import os
import re
import signal
from pathlib import Path

import pytest

from tests.system.plant_processes import Site, State, site
from tests.system.served_plant import wires

MODEL = "[reactor.R1.model]"
ALARMS = """
[reactor.R1.alarm.seen]
measured = "R1.weight"
high = { limit = 0.5, on_delay_s = 0 }
[reactor.R1.alarm.unseen]
measured = "R1.weight"
high = { limit = 0.6, on_delay_s = 0 }
"""
IDS = {"R1.seen.high", "R1.unseen.high"}


def by_id(state: State) -> dict[str, State]:
    return {a["id"]: a for a in state["alarms"]}


async def acknowledge(plant: Site, name: str) -> None:
    where = ("--plant", str(plant.plant.path))
    code, out, _ = await plant.run("acknowledge", name, "--comment", "seen it", *where)
    assert code == 0
    assert name in out


@pytest.mark.long
async def test_what_was_acknowledged_is_still_so_after_kill_9(tmp_path: Path) -> None:
    changes = {re.escape(MODEL): ALARMS + MODEL}
    async with site(tmp_path, changes) as plant, wires(plant, 4.0, biomass_g_per_l=1.0):
        plant.start_site("off")
        before = await plant.until("both began", lambda s: len(by_id(s).keys() & IDS) == 2)
        began = {n: by_id(before)[n]["time"] for n in IDS}
        await acknowledge(plant, "R1.seen.high")
        await plant.wait("it is committed", lambda: plant.told("acknowledged: seen it"))
        os.kill(before["pid"], signal.SIGKILL)
        after = await plant.until(
            "another one scans", lambda s: s["pid"] != before["pid"] and s["scans"] > 3
        )
        now = by_id(after)
        assert {n: now[n]["state"] for n in IDS} == {
            "R1.seen.high": "acknowledged",
            "R1.unseen.high": "unacknowledged",
        }
        assert {n: now[n]["time"] for n in IDS} == began
        assert (now["R1.seen.high"]["comment"], now["R1.seen.high"]["count"]) == ("seen it", 1)
