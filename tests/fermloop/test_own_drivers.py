"""Our own drivers keep the rules that we give to others, on real sockets."""

import tomllib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from controller.devices.devices import build, wire
from controller.plant_file.settings import PlantSettings
from drivers.clock import Clock, SystemClock, wall
from drivers.driver import Driver
from fermloop.testing import RULES, Bench
from sim.server import PlantServer
from sim.vessel import Vessel
from tests.drivers.proxy import Proxy
from tests.system.plant_processes import PLANT, free_port
from tests.system.served_plant import undisturbed

pytestmark = pytest.mark.real_time

TIMEOUT_S = 0.5


@asynccontextmanager
async def served(name: str, **changes: object) -> AsyncGenerator[Bench]:
    """A device of the demo's plant on its own server, with a wire that can be cut and frozen."""
    table = tomllib.loads(PLANT.read_text())
    del table["simulation"]
    device = table["device"][name]
    device.pop("watchdog", None)  # nobody feeds it here
    device |= {"timeout_s": TIMEOUT_S, **changes}
    port, front = free_port(), free_port()
    head, _, tail = device["address"].rpartition(":")
    path = tail.lstrip("0123456789")
    device["address"] = f"{head}:{port}{path}"
    there = PlantSettings.model_validate(table).device[name]
    device["address"] = f"{head}:{front}{path}"
    here = PlantSettings.model_validate(table).device[name]
    vessel = Vessel("ecoli", "5l", 1, "R1", wall() - 60.0)
    actuators = [t.name for t in here.tags if t.safe is not None]

    def make(clock: Clock) -> Driver:
        return build(name, here, wire(here), clock)

    async with PlantServer({name: there}, {"R1": vessel}), Proxy(port, listen=front) as proxy:

        async def mend() -> None:
            await proxy.close()  # where it was frozen: what it kept is gone, as with a real device
            await proxy.thaw()
            await proxy.open()

        with undisturbed():
            yield Bench(
                make,
                proxy.close,
                mend,
                proxy.freeze,
                shows=lambda: {n: vessel.actual(n) for n in actuators},
                timeout_s=TIMEOUT_S,
                age_s=1.0 if here.subscribe else 0.0,
                clock=SystemClock(),
            )


@pytest.mark.parametrize(
    ("device", "changes"),
    [
        ("R1-io", {}),
        pytest.param("R1-io", {"driver": "modbus_rtu_over_tcp"}, marks=pytest.mark.long),
        ("R1-gas", {}),
        pytest.param("R1-gas", {"subscribe": {"interval_s": 0.1}}, marks=pytest.mark.long),
    ],
)
async def test_our_driver_keeps_every_rule(device: str, changes: dict[str, object]) -> None:
    async with served(device, **changes) as bench:
        for rule in RULES:
            # asyncua's server, in this process, keeps a lost client's session and subscription
            if rule.name != "leaks" or "subscribe" not in changes:
                await rule.holds(bench)
