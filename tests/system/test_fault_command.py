"""Faults on real sockets: what real drivers see, and ``fermloop fault`` to a real simulator."""

import asyncio
import json
import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from controller.devices.devices import build, wire
from drivers.clock import SystemClock, monotonic, wall
from drivers.driver import DeviceError, Driver
from drivers.point import Quality, Sample
from fermloop.commands.simulated import vessels, wires
from sim.control import Control
from sim.faults import Faults
from sim.server import PlantServer
from tests.system.plant_processes import Site, site

pytestmark = pytest.mark.real_time

SPEED = 5.0


class Served:
    """A plant on real sockets with a driver for each device, and what is said to it."""

    def __init__(self, of: Site, server: PlantServer, faults: Faults, control: Control) -> None:
        clock = SystemClock(SPEED, wall() - 1e5)
        self.drivers: dict[str, Driver] = {
            name: build(name, s.model_copy(update={"timeout_s": 0.5}), wire(s), clock)
            for name, s in of.plant.settings.device.items()
        }
        self.server, self.faults, self.control = server, faults, control

    async def read(self, device: str) -> dict[str, Sample] | str:
        """Return what a device shows, or why it does not answer."""
        try:
            return await self.drivers[device].read()
        except DeviceError as error:
            return str(error)

    async def inject(self, name: str, size: float | None = None) -> None:
        """Inject as the command does, and wait until it has begun."""
        self.control.inject("R1", name, None, size)
        while not any(f.name == name for f in self.faults.now()):  # noqa: ASYNC110 (plant time)
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.03)  # the server looks at its wires each 10 ms

    async def answers(self, device: str) -> dict[str, Sample]:
        """Return what a device shows once it answers again."""
        end = monotonic() + 10.0
        while isinstance(found := await self.read(device), str):
            assert monotonic() < end, found
            await asyncio.sleep(0.05)
        return found


@asynccontextmanager
async def served(folder: Path) -> AsyncGenerator[Served]:
    async with site(folder) as of:
        made = vessels(of.plant, 1, wall() - 1e5)
        device = of.plant.settings.device
        async with PlantServer(device, made, SPEED, folder, wires(made)) as server:
            plant = Served(of, server, made["R1"].faults, Control(server, made))
            try:
                yield plant
            finally:
                for driver in plant.drivers.values():
                    await driver.close()


@pytest.mark.long
async def test_every_fault_of_a_device_comes_over_real_sockets_and_goes(tmp_path: Path) -> None:
    async with served(tmp_path) as plant:
        for device in ("R1-io", "R1-gas"):
            assert not isinstance(await plant.read(device), str)
            await plant.inject(f"{device}.cut")
            said = await plant.read(device)
            assert isinstance(said, str)
            assert "refused" not in said
            plant.control.clear("R1", f"{device}.cut")
            await plant.answers(device)

            await plant.inject(f"{device}.refused")
            assert isinstance(await plant.read(device), str)
            plant.control.clear("R1", "")
            await plant.answers(device)

            await plant.inject(f"{device}.slow", 0.2)
            began = monotonic()
            assert not isinstance(await plant.read(device), str)
            assert 0.2 <= monotonic() - began < 2.0
            plant.control.clear("R1", "")

        await plant.inject("R1-io.exception", 6.0)
        said = await plant.read("R1-io")
        assert isinstance(said, str)
        assert "busy" in said
        await plant.inject("R1-gas.exception")
        gas = await plant.read("R1-gas")
        assert not isinstance(gas, str)
        assert {s.quality for s in gas.values()} == {Quality.BAD}
        plant.control.clear("R1", "")
        await plant.inject("R1-gas.uncertain")
        gas = await plant.answers("R1-gas")
        assert {s.quality for s in gas.values()} == {Quality.UNCERTAIN}
        plant.control.clear("R1", "")

        for device, tag in (("R1-io", "R1.temperature"), ("R1-gas", "R1.weight")):
            await plant.inject(f"{device}.frozen")
            first = await plant.answers(device)
            await asyncio.sleep(0.5)
            later = await plant.answers(device)
            assert {n: s.value for n, s in later.items()} == {n: s.value for n, s in first.items()}
            plant.control.clear("R1", "")
            assert math.isfinite((await plant.answers(device))[tag].value)
        assert plant.server.listening == {"R1-io", "R1-gas"}
        assert len(plant.faults.record) == 11
        assert all(row["end_h"] >= row["start_h"] for row in plant.faults.record)


async def test_what_is_said_wrongly_is_refused_with_what_is_allowed(tmp_path: Path) -> None:
    async with site(tmp_path) as of:
        made = vessels(of.plant, 1, 0.0)
        control = Control(PlantServer(of.plant.settings.device, made, 0.0, tmp_path), made)
    with pytest.raises(LookupError, match="R9: no such vessel; there are R1"):
        control.inject("R9", "do.stuck", None, None)
    with pytest.raises(ValueError, match=r"do\.sick: sick is no fault of do; stuck, drift"):
        control.inject("R1", "do.sick", None, None)
    assert control.inject("R1", "do.stuck", 600.0, 42.0) == (
        "R1: do.stuck from 0 h for 10min, size 42"
    )
    with pytest.raises(ValueError, match="one must end before the other begins"):
        control.inject("R1", "do.drift", None, None)
    faults: dict[str, dict[str, list[str]]] = control.faults()  # type: ignore[assignment] (JSON)
    assert faults["R1"]["planned"] == ["do.stuck from 0 h for 10min, size 42"]
    assert control.clear("R1", "") == "R1: cleared do.stuck"


@pytest.mark.long
async def test_the_command_line_makes_a_running_simulator_fail(tmp_path: Path) -> None:
    async with site(tmp_path) as plant:
        code, out, error = await plant.run("fault", "--list")
        assert (code, error) == (0, "")
        assert "fouling" in out
        code, _, error = await plant.run("fault", "R1", "do.stuck")
        assert code == 1
        assert "no simulator runs; start one with: fermloop simulate" in error
        plant.start_simulator(20)
        await plant.wait("it is served", lambda: "Ctrl-C ends it" in plant.said())
        fault = ("fault", "R1", "do.stuck", "--for", "10h", "--size", "42")
        code, out, error = await plant.run(*fault)
        assert (code, error) == (0, "")
        assert out.startswith("R1: do.stuck from 0.")
        code, _, error = await plant.run(*fault)
        assert code != 0
        assert "one must end before the other begins" in error
        assert (await plant.run("fault", "R1", "R1-gas.cut"))[0] == 0
        code, out, _ = await plant.run("probe", plant.plant.path, "--once", "--json")
        assert code == 1  # a device is silent
        assert '"R1.do"' in out
        found = json.loads(out)
        assert "42" in json.dumps(found)
        code, out, _ = await plant.run("fault")
        assert "do.stuck from" in out
        assert "R1-gas.cut from" in out
        code, out, _ = await plant.run("fault", "R1", "--clear")
        assert out == "R1: cleared do.stuck, R1-gas.cut\n"
        assert (await plant.run("probe", plant.plant.path, "--once", "--json"))[0] == 0
        code, out, _ = await plant.run("fault")
        assert out == "R1: nothing is wrong\n"
