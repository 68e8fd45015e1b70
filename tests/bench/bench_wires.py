"""How fast both drivers scan the demo's plant: in virtual time, and over sockets in lock-step.

    .venv/bin/python tests/bench/bench_wires.py [SCANS]

One scan reads both devices, writes six Modbus actuators and reads them back, feeds the watchdog
and lets the plant run 1 s. CPU time is given too: it means more than wall time on a busy machine.
"""

import asyncio
import multiprocessing
import resource
import socket
import sys
import time
import tomllib
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script, from anywhere

from controller.devices.devices import build, wire
from controller.plant_file.device_settings import DeviceSettings
from drivers.clock import SystemClock, monotonic
from drivers.driver import Driver
from sim.clock import SimClock, run_virtual
from sim.links import vessel_link
from sim.server import PlantServer
from sim.vessel import Vessel

PLANT = Path(__file__).parents[2] / "sim" / "plants" / "ecoli_5l.toml"
START = 1_767_225_600.0


def settings() -> dict[str, DeviceSettings]:
    found: dict[str, DeviceSettings] = {}
    for name, table in tomllib.loads(PLANT.read_text("utf-8"))["device"].items():
        with socket.create_server(("127.0.0.1", 0)) as listening:
            address = f"127.0.0.1:{listening.getsockname()[1]}"
        if table["driver"] == "opcua":
            address = f"opc.tcp://{address}/fermloop"
        table |= {"address": address, "timeout_s": 10}
        found[name] = DeviceSettings.model_validate(table)
    return found


async def scan(drivers: Mapping[str, Driver], count: int) -> None:
    io, gas = drivers["R1-io"], drivers["R1-gas"]
    for k in range(1, count + 1):
        await io.read()
        await gas.read()
        await io.write(
            {
                "R1.stirrer": 300 + k % 100,
                "R1.heater": k % 100,
                "R1.cooling": 0.0,
                "R1.acid": 0.0,
                "R1.base": 0.1,
                "R1.feed": 20.0,
            }
        )
        await io.heartbeat(k)
        await io.advance(START + k)


def virtual(count: int) -> None:
    async def main() -> None:
        clock = SimClock(START)
        vessels = {"R1": Vessel("ecoli", "5l", 1, "R1", START)}
        drivers: dict[str, Driver] = {}
        for name, s in settings().items():
            drivers[name] = build(name, s, vessel_link(s, vessels, clock), clock)
            drivers[name].advance = clock.sleep_until  # type: ignore[method-assign]
        await report("virtual time", scan(drivers, count), count)

    run_virtual(main())


async def report(what: str, work: object, count: int) -> None:
    wall, cpu = monotonic(), time.process_time()
    await work  # type: ignore[misc]
    wall, cpu = monotonic() - wall, time.process_time() - cpu
    print(
        f"{what}: {1e6 * wall / count:.0f} us wall, {1e6 * cpu / count:.0f} us CPU a scan "
        f"({count / wall:.0f} scans/s)"
    )


def serve(devices: dict[str, DeviceSettings], pipe: Connection) -> None:
    async def main() -> None:
        async with PlantServer(devices, {"R1": Vessel("ecoli", "5l", 1, "R1", START)}, 0.0):
            pipe.send(0.0)
            before = resource.getrusage(resource.RUSAGE_SELF)
            await asyncio.to_thread(pipe.recv)
            after = resource.getrusage(resource.RUSAGE_SELF)
            pipe.send(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)

    asyncio.run(main())


def over_the_wire(count: int) -> None:
    devices = settings()
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(devices, theirs))
    process.start()
    ours.recv()

    async def main() -> None:
        clock = SystemClock()
        drivers = {name: build(name, s, wire(s), clock) for name, s in devices.items()}
        for driver in drivers.values():
            await driver.identify()
        await report("over sockets, client", scan(drivers, count), count)
        for driver in drivers.values():
            await driver.close()

    asyncio.run(main())
    ours.send(None)
    print(f"over sockets, server: {1e6 * ours.recv() / count:.0f} us CPU a scan")
    process.join()


if __name__ == "__main__":
    scans = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    virtual(scans)
    over_the_wire(scans)
