"""The controller is killed or frozen: the device makes itself safe, the supervisor takes it up."""

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from drivers.clock import monotonic
from tests.system.plant_processes import Site, State, site
from tests.system.served_plant import Wires, wires

pytestmark = pytest.mark.real_time

SAFE_S = 3.0  # wall: the device's watchdog; half a second more for a busy machine to look
AGAIN_S = 5.0  # wall: from a death to the first scan of the next controller


def loops(state: State) -> State:
    return state["reactors"]["R1"]["loops"]


def batch(state: State) -> State:
    return state["reactors"]["R1"]["batch"]


def at_work(state: State) -> bool:
    now = loops(state)
    stored = state["samples_stored"] > 0  # a batch that was never committed has not begun
    return stored and now["ph"]["op"] > 1.0 and now["feed"]["op"] == 12.0


def another(than: State) -> Callable[[State], bool]:
    return lambda s: s["pid"] != than["pid"] and s["scans"] > 1


def safe(plant: Site, real: Wires) -> Callable[[], bool]:
    """Return whether every actuator of the Modbus device holds its safe value."""
    tags = [t for t in plant.plant.settings.device["R1-io"].tags if t.safe is not None]
    return lambda: all(real.vessel.actual(t.name) == t.safe for t in tags)


async def test_a_killed_controller_is_restarted_and_waits_for_an_operator(tmp_path: Path) -> None:
    async with site(tmp_path) as plant, wires(plant, 4.0, biomass_g_per_l=1.0) as real:
        plant.start_site("on")
        before = await plant.until("base and feed are dosed", at_work)
        committed = plant.rows()
        os.kill(before["pid"], signal.SIGKILL)
        died = monotonic()
        after = await plant.until("another one scans", another(before))
        assert monotonic() - died <= AGAIN_S
        assert plant.rows()[: len(committed)] == committed
        check_waiting(after)
        await plant.until("feed is on its fall-back", lambda s: loops(s)["feed"]["op"] == 5.0)
        await plant.wait("it says so", lambda: plant.told("R1: back after "))
        assert len(plant.told("R1: back after ")) == 2  # a note and an alarm
        assert len(plant.told("the controller was restarted: killed by SIGKILL")) == 1
        assert real.vessel.actual("R1.base") > 0  # the loop has taken it up again

        os.kill(after["pid"], signal.SIGSTOP)  # and now it freezes
        froze = monotonic()
        await plant.wait("the device is safe", safe(plant, real))
        assert monotonic() - froze <= SAFE_S + 0.5
        third = await plant.until("another one scans", another(after))
        assert monotonic() - froze <= 3.5 + AGAIN_S
        check_waiting(third)
        await check_resumed(plant)
        assert len(plant.told("the controller was restarted: frozen: no beat for 3.")) == 1
        assert plant.rows()[: len(committed)] == committed


def check_waiting(state: State) -> None:
    """Loops are back, but nothing that only an operator may start again."""
    assert (batch(state)["state"], batch(state)["phase"]) == ("HELD", "feed")
    for name in ("temperature", "ph", "do"):
        assert loops(state)[name]["target"] == "AUTO"
    assert loops(state)["feed"]["reason"] == "fall-back: the recipe is held"
    assert state["reactors"]["R1"]["optimiser"]["mode"] == "shadow"
    (alarm,) = [a for a in state["alarms"] if a["text"].startswith("R1: back after ")]
    assert "recipe HELD in phase feed, optimiser shadow" in alarm["text"]


async def check_resumed(plant: Site) -> None:
    """An operator's one command brings the batch back."""
    code, out, err = await plant.run("recipe", "resume", "R1", "--plant", plant.plant.path)
    assert (code, out) == (0, "R1 recipe resume: HELD → RUNNING\n")
    assert "no users yet; acting as" in err
    state = await plant.until("base and feed are dosed", at_work)
    assert batch(state)["state"] == "RUNNING"
    assert not [a for a in state["alarms"] if a["active"]]


@pytest.mark.long
async def test_after_more_than_a_minute_the_loops_wait_too(tmp_path: Path) -> None:
    async with site(tmp_path) as plant, wires(plant, 20.0, biomass_g_per_l=0.3) as real:
        controller = plant.start_controller()
        before = await plant.until("base and feed are dosed", at_work)
        controller.kill()
        died = monotonic()
        await plant.wait("the device is safe", safe(plant, real))
        assert monotonic() - died <= SAFE_S + 0.5
        await plant.wait("a minute", lambda: real.vessel.time > before["time"] + 70)
        plant.start_controller()
        after = await plant.until("another one scans", another(before))
        assert batch(after)["state"] == "HELD"
        targets = {n: loops(after)[n]["target"] for n in ("temperature", "ph", "do")}
        assert targets == {"temperature": "MANUAL", "ph": "OFF", "do": "MANUAL"}
        (alarm,) = [a for a in after["alarms"] if a["text"].startswith("R1: back after ")]
        assert "waiting for an operator: R1.temperature, R1.ph, R1.do" in alarm["text"]
        later = await plant.until("a while", lambda s: s["time"] > after["time"] + 20)
        assert loops(later)["feed"]["reason"] == "fall-back: the recipe is held"
        held = {n: loops(later)[n]["op"] for n in ("temperature", "ph", "feed")}
        assert held == {"temperature": 0.0, "ph": 0.0, "feed": 5.0}
        await check_resumed(plant)


@pytest.mark.long
async def test_killed_again_and_again_it_loses_no_committed_row(tmp_path: Path) -> None:
    moments, since = random.Random(4), 0.0
    async with site(tmp_path) as plant, wires(plant, 4.0, biomass_g_per_l=0.3) as real:
        plant.start_site("shadow")
        state = await plant.until("base and feed are dosed", at_work)
        for _ in range(200):
            pause = monotonic() + moments.uniform(0.0, 1.5)
            await plant.wait("a moment", lambda pause=pause: monotonic() > pause)
            committed, scanned = plant.rows(), (await plant.state())["scans"]
            os.kill(state["pid"], signal.SIGKILL)
            died, gone = monotonic(), real.vessel.time + 1.0  # the next one is not there yet
            again = await plant.until("another one scans", another(state))
            assert monotonic() - died <= AGAIN_S
            now = plant.rows()
            assert now[: len(committed)] == committed
            kept = [row for row in now if since < row[1] <= gone]
            assert scanned - len(kept) <= 4 * 1.5  # what is younger than a second, and a commit
            check_waiting(again)
            state, since = again, gone
            await plant.ask("/recipe/R1", {"action": "resume"})
        numbers = [row[0] for row in plant.rows()]
        assert numbers == list(range(1, len(numbers) + 1))
