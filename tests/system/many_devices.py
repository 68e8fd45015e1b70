"""A plant of many small devices: its file, its servers, and its real controller on real sockets."""

import json
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from controller.controller import Controller
from controller.devices.devices import Device, build, wire
from controller.pace import PlantClock
from controller.plant import Plant, load_plant
from drivers.clock import wall
from historian.store import Historian, NullHistorian
from sim.server import PlantServer
from tests.drivers.ledger import Ticking, as_node, tag_tables

DEVICES_PER_REACTOR = 10


def write_plant(
    folder: Path,
    ports: Sequence[int],
    *,
    per_reactor: int = DEVICES_PER_REACTOR,
    scan_s: float = 1.0,
    timeout_s: float = 0.5,
    opcua: Collection[int] = (),
) -> Plant:
    """Write and return a plant with a device of 30 tags at each port.

    The first device of each reactor has an actuator, which a PID moves in every scan. Devices are
    Modbus TCP but for the ports in ``opcua``.
    """
    lines = ['site = "many"', f"data_dir = {json.dumps(str(folder / 'data'))}", f"{scan_s = }"]
    for i, port in enumerate(ports):
        reactor, first = f"R{i // per_reactor + 1}", i % per_reactor == 0
        tags = tag_tables(f"{reactor}.d{i}_", 1 if first else 0)
        lines += [f"[device.D{i:03}]", f"{timeout_s = }"]
        if port in opcua:
            tags = [as_node(t) for t in tags]
            lines += ['driver = "opcua"\ninsecure = true', f'address = "{url(port)}"']
        else:
            lines += ['driver = "modbus_tcp"\nunit_id = 7', f'address = "127.0.0.1:{port}"']
        lines += ["tags = [", *(f"  {_inline(t)}," for t in tags), "]"]
        if first:
            lines += [
                f"[reactor.{reactor}]\nvolume_max_l = 5.0",
                f'[reactor.{reactor}.loop.one]\nmeasured = "{reactor}.d{i}_in0"',
                f'outputs = [{{ actuator = "{reactor}.d{i}_held0" }}]',
                "setpoint = 30000.0\nsetpoint_low = 0.0\nsetpoint_high = 65535.0",
                "band = 1000.0\nkp = 0.01\nti_s = 60.0",
            ]
    path = folder / "many.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return load_plant(path)


def url(port: int) -> str:
    """Return the address of an OPC UA server on the loopback."""
    return f"opc.tcp://127.0.0.1:{port}/fermloop"


def _inline(table: Mapping[str, Any]) -> str:
    return "{ " + ", ".join(f"{k} = {json.dumps(v)}" for k, v in table.items()) + " }"


def served(plant: Plant) -> PlantServer:
    """Return the servers of all its devices, in real time."""
    start = wall()
    vessels = {name: Ticking(start) for name in plant.settings.reactor}
    return PlantServer(plant.settings.device, vessels, 1.0)


@asynccontextmanager
async def controller_of(plant: Plant, store: Historian | None = None) -> AsyncGenerator[Controller]:
    """Give the plant's real controller, connected to its devices, and close it at the end."""
    clock = PlantClock()
    devices = [
        Device(name, s, build(name, s, wire(s), clock), plant.settings.scan_s)
        for name, s in plant.settings.device.items()
    ]
    control = Controller(plant, devices, clock, store or NullHistorian(), None)
    try:
        await control.connect()
        yield control
    finally:
        await control.shut(safe=False)
