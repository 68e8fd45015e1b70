"""The network is cut while plant time is moved step by step: nothing hangs, samples go BAD."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from drivers.clock import wall
from drivers.point import Quality
from fermloop.commands.simulated import wires
from sim.control import Control
from sim.faults import Faults
from sim.server import PlantServer
from tests.sim.bioreactors import bioreactors
from tests.system.plant_processes import Site, State, site
from tests.system.served_plant import undisturbed

pytestmark = pytest.mark.real_time

LONG_S = 60.0
LOOKS = 40  # of 20 ms or more: eight scans would be made
TAGS = {"R1-io": "R1.temperature", "R1-gas": "R1.weight"}


def answering(state: State) -> bool:
    """Whether every device answers."""
    return all(d["answering"] for d in state["devices"].values())


class Served:
    """A plant on real sockets in this process and a controller in its own."""

    def __init__(self, of: Site, faults: Faults, control: Control) -> None:
        self.site, self.faults, self.control = of, faults, control

    def time(self) -> float:
        """Return plant time."""
        return float(str(self.control.state()["time"]))

    async def stands(self) -> State:
        """Return the controller's state when it has seen that plant time stands."""
        await self.site.wait("the plant stands", lambda: self.control.state()["paused"])
        last: list[float] = []

        def same(state: State) -> bool:
            last.append(state["time"])
            return len(last) > LOOKS and last[-1] == last[-LOOKS]

        return await self.site.until("so does the controller", same)

    def quality(self, device: str, start: float, end: float) -> set[Quality]:
        """Return how the samples of a device were that the store has of some time."""
        return {s.quality for s in self.site.samples(TAGS[device], start, end)}


@asynccontextmanager
async def served(folder: Path, speed: float) -> AsyncGenerator[Served]:
    """Serve a plant; its controller has fed for five plant minutes."""
    async with site(folder) as of:
        made = bioreactors(of.plant, 1, wall() - 1e5)
        made["R1"].set_state(X=8.0)
        async with PlantServer(of.plant.settings.device, made, speed, folder, wires(made)) as it:
            with undisturbed():
                yield Served(of, made["R1"].faults, Control(it, made))


@pytest.mark.long
@pytest.mark.parametrize(
    "faults",
    [("R1-io.cut",), ("R1-gas.cut",), ("R1-io.cut", "R1-gas.cut"), ("vessel.power",)],
    ids=" ".join,
)
async def test_in_lock_step_a_network_that_is_lost_comes_back(
    tmp_path: Path, faults: tuple[str, ...]
) -> None:
    """Plant time moves only when the controller says so, through the very wires that are cut."""
    async with served(tmp_path, 0.0) as plant:
        for fault in faults:
            plant.faults.plan(fault, 300.0, 20.0)
        begun = plant.time()
        controller = plant.site.start_controller()
        await plant.site.until("the cut is over", lambda s: s["scans"] > 345, LONG_S)
        await plant.site.until("all devices answer", answering, LONG_S)
        now = (await plant.site.state())["scans"]
        await plant.site.until("more scans", lambda s: s["scans"] > now + 20, LONG_S)
        assert controller.poll() is None
        await plant.site.ask("/stop", {})
        await plant.site.wait("the end", lambda: controller.poll() is not None)
        for device in TAGS:
            assert plant.quality(device, begun + 60.0, begun + 299.0) == {Quality.GOOD}
            while_cut = plant.quality(device, begun + 312.0, begun + 319.0)
            lost = f"{device}.cut" in faults or "vessel.power" in faults
            assert while_cut == {Quality.BAD if lost else Quality.GOOD}
        assert len(plant.faults.record) == len(faults)
        assert all(20.0 <= 3600.0 * (r["end_h"] - r["start_h"]) < 22.0 for r in plant.faults.record)


@pytest.mark.long
async def test_a_cut_in_the_middle_of_a_pause_comes_with_the_next_step(tmp_path: Path) -> None:
    async with served(tmp_path, 10.0) as plant:
        plant.site.start_controller()
        await plant.site.until("a minute", lambda s: s["scans"] > 60, LONG_S)
        plant.control.pause()
        before = await plant.stands()
        plant.control.inject("R1", "R1-io.cut", None, None)
        await asyncio.sleep(1.5)  # more than a timeout and than a scan
        same = await plant.stands()
        assert same["scans"] == before["scans"]
        assert same["reactors"]["R1"]["loops"]["temperature"]["quality"] == "GOOD"

        plant.control.step(30.0)
        lost = await plant.stands()  # the other device says that time stands
        assert lost["time"] == pytest.approx(before["time"] + 30.0, abs=5.0)
        assert lost["reactors"]["R1"]["loops"]["temperature"]["quality"] == "BAD"
        assert lost["scans"] > before["scans"] + 20
        await asyncio.sleep(1.5)
        assert (await plant.stands())["scans"] == lost["scans"]

        plant.control.clear("R1", "")
        plant.control.step(30.0)
        again = await plant.stands()
        assert again["reactors"]["R1"]["loops"]["temperature"]["quality"] == "GOOD"


@pytest.mark.long
async def test_with_every_wire_cut_the_controller_goes_on_and_finds_its_plant_again(
    tmp_path: Path,
) -> None:
    """Nobody can tell it that plant time stands: it must act as on a real plant."""
    async with served(tmp_path, 10.0) as plant:
        controller = plant.site.start_controller()
        await plant.site.until("a minute", lambda s: s["scans"] > 60, LONG_S)
        plant.control.pause()
        before = await plant.stands()
        for device in TAGS:
            plant.control.inject("R1", f"{device}.cut", None, None)
        plant.control.step(15.0)
        await plant.site.wait("the plant stands", lambda: plant.control.state()["paused"])

        def lost(state: State) -> bool:
            loops = state["reactors"]["R1"]["loops"]
            return {loops[n]["quality"] for n in ("temperature", "ph", "do")} == {"BAD"}

        state = await plant.site.until("every value is BAD", lost)
        assert state["scans"] > before["scans"]
        assert controller.poll() is None
        plant.control.clear("R1", "")
        plant.control.resume()
        await plant.site.until(
            "every value is GOOD",
            lambda s: s["reactors"]["R1"]["loops"]["temperature"]["quality"] == "GOOD",
        )
