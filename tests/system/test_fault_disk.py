"""The plant's disk is full, or fails: scans go on, the alarm is there, nothing is lost."""

from itertools import pairwise
from pathlib import Path

import pytest

from tests.historian.faulty_disk import faulty_disk
from tests.system.plant_processes import State, site
from tests.system.served_plant import wires

pytestmark = pytest.mark.real_time


def alarmed(state: State) -> str:
    """Return what the alarm of the store says while it is there."""
    return next((a["text"] for a in state["alarms"] if a["id"] == "store" and a["active"]), "")


def switch(flag: Path, *, on: bool) -> None:
    """Begin or end a fault of the disk."""
    if on:
        flag.touch()
    else:
        flag.unlink()


@pytest.mark.long
@pytest.mark.parametrize(
    ("fault", "says", "stores"),
    [("full", "the disk is full (0.0 MB left)", True), ("sync", "disk I/O error", False)],
)
async def test_a_disk_that_is_full_or_fails_holds_up_no_scan(
    tmp_path: Path, fault: str, says: str, stores: bool
) -> None:
    env = faulty_disk(tmp_path)
    flag = Path(f"{env['FAILS']}.{fault}")
    async with site(tmp_path) as plant, wires(plant, 4.0):
        plant.environment |= env
        plant.start_site()
        before = await plant.until("it is stored", lambda s: s["samples_stored"] > 500)
        switch(flag, on=True)
        during = await plant.until("the alarm is there", lambda s: says in alarmed(s))
        after = await plant.until("scans go on", lambda s: s["scans"] > during["scans"] + 60)
        assert after["scans_missed"] == before["scans_missed"]
        assert (after["samples_stored"] > during["samples_stored"] + 500) is stores
        switch(flag, on=False)
        back = await plant.until("the alarm ends", lambda s: not alarmed(s))
        await plant.until(
            "all of it is stored", lambda s: s["samples_stored"] > back["samples_stored"] + 500
        )
        assert back["samples_lost"] == 0
        numbers = [row[0] for row in plant.rows()]
        assert numbers == list(range(1, len(numbers) + 1))
        times = [row[1] for row in plant.rows()]
        assert max(b - a for a, b in pairwise(times)) < 1.5  # plant s
