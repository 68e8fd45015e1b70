"""A simulated device has every type, order, mask, status and info that a plant file can name."""

import asyncio
import itertools
import math
import socket
from typing import Any

import pytest

from controller.devices.devices import build, wire
from controller.plant_file.device_settings import DeviceSettings
from drivers.clock import SystemClock
from drivers.driver import Driver
from drivers.modbus.cells import Order
from drivers.point import Quality, Sample
from sim.clock import SimClock, run_virtual
from sim.links import vessel_link
from sim.motion import Device
from sim.server import PlantServer

TYPES = ["int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]
ORDERS: list[Order] = ["big", "little"]


class Panel(Device):
    """Instruments that show what the test says, by tag name."""

    def __init__(self) -> None:
        self.time = 0.0
        self.shown: dict[str, float] = {}

    def advance(self, time: float) -> None:
        self.time = time

    def read(self, name: str) -> float:
        return self.shown.get(name, 0.0)

    def write(self, name: str, value: float) -> None:
        self.shown[name] = value

    def actual(self, name: str) -> float:
        return self.shown.get(name, 0.0)

    def to_safe(self) -> None:
        """Nothing here is dangerous."""


def settings(address: str, writes: str = "multiple") -> DeviceSettings:
    """Return a device with a measurement and an actuator of each type in each order."""
    tags: list[dict[str, Any]] = []
    for k, (type, words, byte_order) in enumerate(itertools.product(TYPES, ORDERS, ORDERS)):
        common = {"unit": "1", "low": 0, "high": 300, "type": type, "scale": 0.01}
        common |= {"words": words, "bytes": byte_order}
        name = f"{type}_{words}_{byte_order}"
        tags.append({"name": f"R1.{name}", "input": 6 * k, **common})
        tags.append({"name": f"R1.set_{name}", "holding": 6 * k, "safe": 0, **common})
    measured: dict[str, Any] = {"unit": "1", "low": 0, "high": 7}
    status = {"input": 303, "mask": 0x0F00, "good": [2, 3], "uncertain": [0]}
    tags += [
        {"name": "R1.low_bits", "input": 300, "type": "uint16", "mask": 0x0007, **measured},
        {"name": "R1.high_bits", "input": 300, "type": "uint16", "mask": 0x0700, **measured},
        {"name": "R1.mode", "input": 301, "type": "int16", **measured}
        | {"states": {0: "off", 1: "on", 7: "cleaning"}},
        {"name": "R1.graded", "input": 302, "type": "uint16", "quality": status, **measured},
        {"name": "R1.bit_graded", "input": 304, "type": "uint16", **measured}
        | {"quality": {"discrete": 9, "good": [0]}},
    ]
    info = [
        {"name": "serial", "holding": 250, "type": "string", "length": 4, "equals": "ARC 12"},
        {"name": "check", "holding": 260, "type": "float32", "words": "little", "equals": 0.1},
        {"name": "firmware", "holding": 270, "type": "string", "length": 5},
    ]
    return DeviceSettings.model_validate(
        {"driver": "modbus_tcp", "address": address, "timeout_s": 10, "writes": writes}
        | {"tags": tags, "info": info, "read": {"max_registers": 40, "max_gap": 3}}
    )


async def exercise(driver: Driver, panel: Panel) -> None:
    """Read and write everything once, with an instrument that works and one that is broken."""
    told = (await driver.identify()).info
    assert told == {"serial": "ARC 12", "check": "0.1", "firmware": "simulated"}
    names = [t.name for t in driver.tags if t.safe is None and "_" in t.name and t.high == 300]
    assert len(names) == 32
    wanted = {n: 1.0 + 7.13 * k for k, n in enumerate(names)}
    panel.shown |= wanted | {"R1.low_bits": 5, "R1.high_bits": 2, "R1.mode": 7, "R1.graded": 3}
    found = await driver.read()
    assert {n: found[n].value for n in names} == pytest.approx(wanted, abs=0.0051)
    assert [found[f"R1.{n}"].value for n in ("low_bits", "high_bits", "mode")] == [5, 2, 7]
    assert {s.quality for s in found.values()} == {Quality.GOOD}

    outputs = {n.replace("R1.", "R1.set_"): v for n, v in wanted.items()}
    held = await driver.write(outputs)
    assert {n: s.value for n, s in held.items()} == pytest.approx(outputs, abs=0.0051)
    assert panel.shown["R1.set_int64_little_little"] == pytest.approx(
        outputs["R1.set_int64_little_little"], abs=0.0051
    )

    panel.shown |= {"R1.graded": math.nan, "R1.mode": 3, "R1.bit_graded": math.nan}
    found = await driver.read()
    bad: list[Sample] = [s for s in found.values() if s.quality is Quality.BAD]
    assert {s.tag.name for s in bad} == {"R1.mode", "R1.graded", "R1.bit_graded"}
    assert all(math.isnan(s.value) for s in bad)


def test_behind_the_virtual_link() -> None:
    async def main() -> None:
        panel, clock, table = Panel(), SimClock(), settings("any:1")
        link = vessel_link(table, {"R1": panel}, clock)
        await exercise(build("R1-io", table, link, clock), panel)

    run_virtual(main())


@pytest.mark.parametrize("writes", ["multiple", "read_write"])
async def test_over_tcp(writes: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
    panel, table = Panel(), settings(address, writes)
    async with PlantServer({"R1-io": table}, {"R1": panel}):
        driver = build("R1-io", table, wire(table), SystemClock())
        await exercise(driver, panel)
        await driver.close()
        await asyncio.sleep(0)
