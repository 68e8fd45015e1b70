"""A simulated plant on real sockets in the test's process, and wires that freeze or break."""

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Literal

from controller.priority import scan_first
from drivers.clock import wall
from fermloop.commands.simulated import vessels
from sim.server import PlantServer
from sim.vessel import Vessel
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
    made = vessels(of.plant, seed, wall() - 1e5)
    made["R1"].set_state(X=biomass_g_per_l)
    async with PlantServer(of.plant.settings.device, made, speed) as server:
        with undisturbed():
            yield Wires(server, made)


@contextmanager
def undisturbed() -> Generator[None]:
    """Let the plant in this process wait for nobody, as ``fermloop simulate`` does, if permitted.

    A real device does not stand still because this machine is busy with something else.
    """
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    scan_first()
    try:
        yield
    finally:
        with contextlib.suppress(PermissionError):
            os.sched_setscheduler(0, *before)


class Wire:
    """A TCP connection between controller and device that is listened to and that can freeze.

    Args:
        listen: port for the controller.
        target: port of the device.
    """

    def __init__(self, listen: int, target: int) -> None:
        self._listen, self._target = listen, target
        self._flows = asyncio.Event()
        self._flows.set()
        self._ends: set[asyncio.StreamWriter] = set()
        self.asked = b""  # every byte that went from the controller to the device

    async def __aenter__(self) -> "Wire":
        self._server = await asyncio.start_server(self._join, "127.0.0.1", self._listen)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        self._flows.set()
        for end in self._ends:
            end.close()
        await self._server.wait_closed()

    async def freeze(self) -> None:
        """Let no byte through from now on; new connections are taken all the same."""
        self._flows.clear()

    async def thaw(self) -> None:
        """Let through what was held up, and everything from now on."""
        self._flows.set()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._ends.add(writer)
        try:
            await self._flows.wait()
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
            self._ends.add(back)
            await asyncio.gather(
                self._pump(reader, back, self._listen_in), self._pump(there, writer)
            )
        except OSError:
            writer.close()

    def _listen_in(self, data: bytes) -> None:
        self.asked += data

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        note: Callable[[bytes], None] = lambda _: None,
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                await self._flows.wait()
                note(data)
                writer.write(data)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def wire_to(plant: Site, device: str) -> AsyncGenerator[Wire]:
    """Put a wire before a device of a plant that is served; the plant file then names the wire."""
    address = plant.plant.settings.device[device].address
    there, here = re.findall(r"\d+", address)[-1], str(free_port())
    text = plant.plant.path.read_text(encoding="utf-8")
    plant.plant.path.write_text(text.replace(address, address.replace(there, here)))
    async with Wire(int(here), int(there)) as wire:
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
