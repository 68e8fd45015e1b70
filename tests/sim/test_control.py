"""What is said to a simulator, and what its devices then show, over real sockets."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from controller.acting.command_socket import CommandSocket, application
from controller.devices.devices import build, wire
from controller.pace import PlantClock
from controller.plant_file.device_settings import DeviceSettings
from drivers.clock import monotonic, wall
from drivers.driver import Driver
from sim.control import Control, routes
from sim.lines import SEED, Lines
from sim.server import PlantServer
from sim.vessel import Vessel
from tests.drivers.opcua.served import free_port

pytestmark = pytest.mark.real_time

PAST_S = 1e6


def devices(opcua: bool) -> dict[str, DeviceSettings]:
    """Return a Modbus device of R1, and an OPC UA device if wanted."""
    tags = [
        {"name": "R1.do", "unit": "%", "low": -5, "high": 200, "input": 0, "type": "float32"},
        {"name": "R1.feed", "unit": "mL/h", "low": 0, "high": 200, "holding": 0,
         "type": "float32", "safe": 0},
    ]  # fmt: skip
    weight = {"name": "R1.weight", "unit": "kg", "low": -1, "high": 10, "node": "nsu=urn:p;s=w"}
    io: dict[str, Any] = {
        "driver": "modbus_tcp", "address": f"127.0.0.1:{free_port()}", "timeout_s": 10,
        "watchdog": {"holding": 4, "within_s": 0.3}, "tags": tags,
    }  # fmt: skip
    gas: dict[str, Any] = {
        "driver": "opcua", "address": f"opc.tcp://127.0.0.1:{free_port()}/p", "timeout_s": 10,
        "insecure": True, "tags": [weight],
    }  # fmt: skip
    chosen = {"io": io, "gas": gas} if opcua else {"io": io}
    return {n: DeviceSettings.model_validate(t) for n, t in chosen.items()}


class Simulator:
    """A served vessel, its drivers and what is said to it."""

    def __init__(self, server: PlantServer, path: Path, drivers: Mapping[str, Driver]) -> None:
        self.server, self.drivers = server, drivers
        transport = httpx.AsyncHTTPTransport(uds=str(path))
        self.client = httpx.AsyncClient(transport=transport, base_url="http://sim", timeout=10)

    async def state(self) -> dict[str, Any]:
        return (await self.client.get("/state")).json()

    async def tell(self, path: str, **body: float | str) -> str:
        answer = await self.client.post(path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()["text"]

    async def refusal(self, path: str, **body: float | str) -> tuple[int, str]:
        answer = await self.client.post(path, json=body)
        return answer.status_code, answer.json()["error"]

    async def readings(self) -> dict[str, float]:
        """Return what both devices show."""
        found = [await d.read() for d in self.drivers.values()]
        return {n: s.value for f in found for n, s in f.items()}


@contextlib.asynccontextmanager
async def simulator(
    folder: Path,
    speed: float,
    clock: PlantClock,
    *,
    past_s: float = PAST_S,
    opcua: bool = False,
    clean: bool = False,
) -> AsyncGenerator[Simulator]:
    tables = devices(opcua)
    cells, volume = (0.0, 2.7) if clean else (0.3, 3.0)
    vessel = Vessel(
        "ecoli", "5l", 1, start_time=wall() - past_s, biomass_g_per_l=cells, volume_l=volume
    )
    if clean:
        vessel.lines = Lines(vessel, {SEED: vessel.tank(0.3, 3.0, 0.0)})
    drivers = {n: build(n, s, wire(s), clock) for n, s in tables.items()}
    path = folder / "sim.sock"
    async with PlantServer(tables, {"R1": vessel}, speed) as server:
        control = Control(server, {"R1": vessel}, 1)
        async with CommandSocket(application(routes(control)), path):
            made = Simulator(server, path, drivers)
            try:
                yield made
            finally:
                await control.close()
                await made.client.aclose()
                for driver in drivers.values():
                    await driver.close()


async def test_a_paused_plant_answers_with_what_it_showed_last(tmp_path: Path) -> None:
    clock = PlantClock()
    async with simulator(tmp_path, 60.0, clock, opcua=True) as sim:
        io = sim.drivers["io"]
        await io.heartbeat(1)
        await io.write({"R1.feed": 12.5})
        assert "stands at" in await sim.tell("/pause")
        before, shown = await sim.state(), await sim.readings()
        await asyncio.sleep(0.5)  # 30 plant s; and longer than the device's watchdog waits
        after = await sim.state()
        assert (before["paused"], after["time"]) == (True, before["time"])
        assert after["vessels"] == before["vessels"]
        assert await sim.readings() == shown
        assert shown["R1.feed"] == 12.5  # the watchdog stands with the plant
        for driver in sim.drivers.values():
            said = await driver.identify()
            assert (said.speed, said.paused, said.plant_time) == (60.0, True, before["time"])
        assert "goes on" in await sim.tell("/resume")
        await io.heartbeat(2)
        assert not (await io.identify()).paused
        await until(lambda: sim.server.plant.time > before["time"])


async def test_a_step_passes_its_time_at_the_plants_speed_and_stands(tmp_path: Path) -> None:
    async with simulator(tmp_path, 1000.0, PlantClock()) as sim:
        await sim.tell("/pause")
        before = (await sim.state())["time"]
        await sim.tell("/step", seconds=300.0)
        assert (await sim.state())["stepping"]
        assert "one is under way" in (await sim.refusal("/step", seconds=1.0))[1]
        plant = sim.server.plant
        await until(lambda: plant.paused and plant.time == before + 300.0)
        state = await sim.state()
        assert (state["time"], state["paused"]) == (before + 300.0, True)


async def test_in_lock_step_a_step_is_an_advance_and_nothing_else_is_allowed(
    tmp_path: Path,
) -> None:
    async with simulator(tmp_path, 0.0, PlantClock()) as sim:
        for word in ("pause", "resume"):
            status, error = await sim.refusal(f"/{word}")
            assert status == 409
            assert f"{word} is not allowed: this plant is in lock-step" in error
        assert "start it with another --speed" in (await sim.refusal("/speed", speed=2.0))[1]
        before = (await sim.state())["time"]
        await sim.tell("/step", seconds=600.0)
        await until(lambda: sim.server.plant.time == before + 600.0)
        state = await sim.state()
        assert (state["time"], state["lock_step"]) == (before + 600.0, True)
        io = sim.drivers["io"]
        await io.identify()
        await io.advance(before + 601.0)  # a controller moves it
        status, error = await sim.refusal("/step", seconds=1.0)
        assert (status, "a controller moves this plant" in error) == (409, True)


async def test_what_is_no_speed_or_no_time_is_refused(tmp_path: Path) -> None:
    async with simulator(tmp_path, 1.0, PlantClock()) as sim:
        for speed in (0.0, 0.001, 1001.0, -3.0):
            assert (await sim.refusal("/speed", speed=speed))[0] == 422
        for seconds in (0.0, -1.0, 1e9):
            assert (await sim.refusal("/step", seconds=seconds))[0] == 422
        assert (await sim.state())["speed"] == 1.0


async def test_a_speed_that_would_stamp_the_future_is_refused(tmp_path: Path) -> None:
    async with simulator(tmp_path, 1.0, PlantClock(), past_s=0.0) as sim:
        status, error = await sim.refusal("/speed", speed=60.0)
        assert (status, "would overtake the wall clock" in error) == (409, True)
        await sim.tell("/speed", speed=0.5)


async def scan(clock: PlantClock) -> None:
    """Do what a controller does between its scans; plant time must never step back."""
    last = clock.now()
    while True:
        await clock.sleep_until(last + 1.0)
        assert clock.now() >= last + 1.0
        last = clock.now()


async def until(true: Callable[[], bool]) -> None:
    """Return when something is so; the machine has 20 s for it."""
    began = monotonic()
    while not true():
        assert monotonic() - began < 20.0
        await asyncio.sleep(0.01)


async def test_a_controllers_clock_stands_steps_and_speeds_up_with_the_plant(
    tmp_path: Path,
) -> None:
    told: list[str] = []
    clock = PlantClock(told=told.append)
    async with simulator(tmp_path, 50.0, clock) as sim:
        both = list(sim.drivers.values())
        clock.follow(both, [await d.identify() for d in both])
        scans = asyncio.create_task(scan(clock))
        await asyncio.sleep(0.4)
        await sim.tell("/pause")
        await until(lambda: clock.paused)
        stands = sim.server.plant.time
        assert clock.now() == pytest.approx(stands, abs=20.0)  # what 0.1 s and a request allow
        before = clock.now()
        await asyncio.sleep(0.5)
        assert clock.now() == before
        await sim.tell("/step", seconds=60.0)
        await until(lambda: not clock.paused)
        await until(lambda: clock.paused)
        assert sim.server.plant.time == stands + 60.0
        assert clock.now() == pytest.approx(stands + 60.0, abs=20.0)
        await sim.tell("/speed", speed=200.0)
        await sim.tell("/resume")
        await until(lambda: clock.speed == 200.0 and not clock.paused)
        await asyncio.sleep(0.3)
        assert clock.now() == pytest.approx(sim.server.plant.time, abs=40.0)
        assert not scans.done()
        scans.cancel()
    assert told[0] == "the simulated plant stands"
    assert told[-1] == "the simulated plant goes on at 200 times real time"


async def test_a_clean_vessel_is_inoculated_by_hand_once(tmp_path: Path) -> None:
    async with simulator(tmp_path, 1.0, PlantClock(), clean=True) as sim:
        assert (await sim.state())["vessels"]["R1"]["biomass_g_per_l"] == 0.0
        assert await sim.tell("/inoculate", reactor="R1") == "R1: 0.3 L of seed poured in"
        vessel = (await sim.state())["vessels"]["R1"]
        assert vessel["volume_l"] == pytest.approx(3.0, abs=0.01)
        assert vessel["biomass_g_per_l"] == pytest.approx(0.3, rel=0.4)  # the kitchen's 15 %
        status, why = await sim.refusal("/inoculate", reactor="R1")
        assert (status, why) == (409, "R1: no seed stands beside it; simulate --clean begins so")
        assert (await sim.refusal("/inoculate", reactor="R2"))[0] == 404
