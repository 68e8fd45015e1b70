"""A simulated plant on real sockets in the test's process, whose devices can be broken."""

import contextlib
import gc
import os
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Literal

from controller.priority import scan_first
from drivers.clock import wall
from sim.server import PlantServer
from sim.vessel import Vessel
from tests.drivers.proxy import RAW, Framing, Proxy
from tests.sim.bioreactors import bioreactors
from tests.system.plant_processes import Site, free_port

Action = Callable[[], Awaitable[None]]


class Wires:
    """The simulated plant of a site on real sockets in this process; its servers can be broken."""

    def __init__(self, server: PlantServer, made: Mapping[str, Vessel]) -> None:
        self.server = server
        self.vessel = made["R1"]
        self.close = server.close
        self.open = server.open


@asynccontextmanager
async def wires(
    of: Site, speed: float, seed: int = 1, biomass_g_per_l: float = 8.0
) -> AsyncGenerator[Wires]:
    """Serve the plant of a site, with a culture dense enough to need every loop."""
    made = bioreactors(of.plant, seed, wall() - 1e5)
    made["R1"].set_state(X=biomass_g_per_l)
    async with PlantServer(of.plant.settings.device, made, speed) as server:
        with undisturbed():
            yield Wires(server, made)


@contextmanager
def undisturbed() -> Generator[None]:
    """Let the plant in this process wait for nobody, as ``fermloop simulate`` does, if permitted.

    A real device does not stand still because this machine is busy with something else, nor because
    the heap of all the tests before is searched for garbage: that takes half a second.
    """
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    gc.collect()
    gc.freeze()
    scan_first()
    try:
        yield
    finally:
        gc.unfreeze()
        with contextlib.suppress(PermissionError):
            os.sched_setscheduler(0, *before)


@asynccontextmanager
async def wire_to(plant: Site, device: str, framing: Framing = RAW) -> AsyncGenerator[Proxy]:
    """Put a wire before a device of a plant that is served; the plant file then names the wire."""
    address = plant.plant.settings.device[device].address
    there, here = re.findall(r"\d+", address)[-1], str(free_port())
    text = plant.plant.path.read_text(encoding="utf-8")
    plant.plant.path.write_text(text.replace(address, address.replace(there, here)))
    async with Proxy(int(there), framing, listen=int(here)) as wire:
        yield wire


@asynccontextmanager
async def breakable(
    plant: Site, real: Wires, device: str, way: Literal["killed", "frozen"]
) -> AsyncGenerator[tuple[Action, Action]]:
    """Give what breaks a device and what mends it; the vessel behind it goes on meanwhile."""
    if way == "killed":
        yield lambda: real.close(device), lambda: real.open(device)
        return
    async with wire_to(plant, device) as wire:
        yield wire.freeze, wire.thaw
