"""The optimiser's process is killed, then frozen: the scan misses nothing, the loops shed."""

import os
import signal
from pathlib import Path

import pytest

from tests.system.plant_processes import Site, State, alive, children, site
from tests.system.served_plant import wires

pytestmark = pytest.mark.real_time

SPEED = 4.0  # a device may then be more than a wall second late before its values are BAD
# A plan takes 0.25 s of CPU once the cells are fed, and has 1.5 wall s; a frozen worker is replaced
# after 5, two or three plans later.
PERIOD_S = 7.0
CHANGES = {
    r"^period_s = \S+": f"period_s = {PERIOD_S}",
    r"^latency_s = \S+": "latency_s = 6.0",
    r"^biomass_g_per_l = 0\.3": "biomass_g_per_l = 8.0",  # as the vessel has it
    r"^substrate_g_per_l = 8\.0$": "substrate_g_per_l = 0.1",
    r"^substrate_g_per_l = 8\.0 +#": "substrate_g_per_l = 0.1  #",
}


def optimiser(state: State) -> State:
    return state["reactors"]["R1"]["optimiser"]


def feed(state: State) -> State:
    return state["reactors"]["R1"]["loops"]["feed"]


def do(state: State) -> State:
    return state["reactors"]["R1"]["loops"]["do"]


def leads(state: State) -> bool:
    return feed(state)["actual"] == "OPTIMISER"


def workers(pid: int) -> list[int]:
    """Return the controller's optimiser processes, which its nursery has started."""
    (nursery,) = (child for child, line in children(pid).items() if "planning.nursery" in line)
    return [child for child, line in children(nursery).items() if "planning.worker" in line]


async def test_a_killed_and_a_frozen_optimiser_shed_and_come_back(tmp_path: Path) -> None:
    async with site(tmp_path, CHANGES) as plant, wires(plant, SPEED):
        plant.start_controller("on")
        before = back = await plant.until("the optimiser leads", leads)
        assert optimiser(before)["plans"] >= 3
        # Before the stirrer has caught up, DO dips to where the feed may not rise: another reason.
        await plant.until("the cells breathe", lambda s: do(s)["pv"] < do(s)["sp"])
        await plant.until("the DO loop holds them", lambda s: do(s)["pv"] >= do(s)["sp"])
        for sheds, way in enumerate((kill, freeze), 1):
            lost = await way(plant)
            check_shed(lost)
            back = await plant.until("the optimiser leads again", leads)
            assert optimiser(back)["plans"] >= optimiser(lost)["plans"] + 3
            assert optimiser(back)["sheds"] == optimiser(lost)["sheds"] == sheds
            assert do(back)["actual"] == "OPTIMISER"
        assert back["scans_missed"] == before["scans_missed"]
        assert not [a for a in back["alarms"] if a["active"]]
        await plant.wait("it is on record", lambda: len(plant.told("optimiser good")) == 3)
        assert len(sheds_in(plant)) == 2, plant.told("R1: optimiser ")
        assert max(sheds_in(plant)) <= 2 * PERIOD_S


def sheds_in(plant: Site) -> list[float]:
    """Return how many plant s after its first missed plan the optimiser shed, for each time."""
    found: list[float] = []
    missed: float | None = None
    away = False
    for event in plant.told("R1: optimiser "):
        if "optimiser good" in event["text"]:
            missed, away = None, False
            continue
        missed = event["time"] if missed is None else missed
        if "optimiser shed: " in event["text"] and not away:  # told again for another reason
            found.append(event["time"] - missed)
            away = True
    return found


async def kill(plant: Site) -> State:
    """Kill every worker that there is: one alone would be replaced before a plan is missed."""

    def is_shed(state: State) -> bool:
        for pid in workers(state["pid"]):
            os.kill(pid, signal.SIGKILL)
        return not leads(state)

    return await plant.until("the optimiser sheds", is_shed)


async def freeze(plant: Site) -> State:
    """Freeze the worker; the pool must find out and replace it by itself."""
    (pid,) = workers((await plant.state())["pid"])
    os.kill(pid, signal.SIGSTOP)
    state = await plant.until("the optimiser sheds", lambda s: not leads(s))
    await plant.wait("the frozen worker is replaced", lambda: not alive(pid))
    return state


def check_shed(state: State) -> None:
    """The recipe leads the feed, the loops are automatic, and the reason is shown."""
    why = optimiser(state)["reason"]
    assert why != ""
    assert (feed(state)["target"], feed(state)["actual"]) == ("OPTIMISER", "CASCADE")
    assert feed(state)["sp"] == 12.0  # the recipe's
    assert (do(state)["target"], do(state)["actual"], do(state)["sp"]) == (
        "OPTIMISER",
        "AUTO",
        30.0,
    )
    assert feed(state)["reason"] == do(state)["reason"] == why
