"""The simulated plant on real wires: every Modbus line and OPC UA server of the plant file.

All show the same vessels at the same plant time. pymodbus (sim/modbus_server.py) and asyncua
(sim/opcua_server.py) speak the protocols; what a register or node holds is computed when somebody
asks (sim/image.py).
"""

import asyncio
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from drivers.clock import monotonic
from drivers.modbus.fence import SIMULATOR_UNIT
from drivers.opcua import Node
from sim.image import device_image, pace_image
from sim.listen import ListenError
from sim.modbus_server import Line, Unit
from sim.motion import Device, DeviceWatchdog, SimulatedPlant
from sim.opcua_security import ServedSecurity
from sim.opcua_server import OpcUaServer
from sim.pace import Pace
from sim.wire import Wire

if TYPE_CHECKING:
    from controller.plant_file.device_settings import DeviceSettings

_LOG = logging.getLogger(__name__)
_TICK_S = 0.01  # wall s between two looks at the clock and the watchdogs


class _Served(Protocol):
    async def start(self) -> None: ...
    async def stop(self) -> None: ...


class PlantServer:
    """Serves simulated vessels at the addresses of the plant file.

    Args:
        devices: the device tables of the plant file, by name.
        vessels: by reactor; all at the same plant time.
        speed: plant seconds per wall second; 0 is lock-step: plant time moves only when a client
            says so, through Modbus unit 247 or the OPC UA method ``advance``.
        keys: folder where OPC UA servers with ``security`` keep their certificates.
        wires: what faults do to devices, by name.

    Attributes:
        plant: the vessels at their one plant time.
        pace: stops plant time and lets it go on; ``None`` in lock-step.
        advanced: when a client last said so in lock-step, wall s of ``monotonic``.

    Raises:
        ValueError: a device has a tag of a reactor without a vessel.
        ListenError: a device's driver is nothing that can be simulated, or a certificate, key or
            secret of it cannot be used.
    """

    def __init__(
        self,
        devices: "Mapping[str, DeviceSettings]",
        vessels: Mapping[str, Device],
        speed: float = 1.0,
        keys: Path = Path("data/simulator"),
        wires: Mapping[str, Wire] | None = None,
    ) -> None:
        if speed < 0:
            raise ValueError(f"speed: {speed:g} is not allowed; it must be > 0, or 0 for lock-step")
        start = max(v.time for v in vessels.values())
        self.pace = Pace(speed, start) if speed else None
        self.plant = SimulatedPlant(vessels, self.pace)
        self.advanced = -math.inf
        # a device that stands with its plant does not count the wall's seconds either
        self._lived = self.pace.lived if self.pace is not None else monotonic
        self._keys = keys
        self._wires = {name: (wires or {}).get(name) or Wire() for name in devices}
        self._refusing: set[str] = set()
        self._watchdogs: list[DeviceWatchdog] = []
        self._servers: dict[str, _Served] = {}
        self._going: asyncio.Task[None] | None = None
        self._lines: dict[tuple[str, str], Line] = {}
        self._made = {name: self._make(name, s) for name, s in devices.items()}

    async def start(self) -> None:
        """Listen on every address.

        Raises:
            ListenError: one cannot be had; none is left open.
        """
        try:
            for name in self._made:
                await self.open(name)
        except BaseException:
            await self.stop()
            raise
        self._going = asyncio.create_task(self._run(), name="pace of the simulated plant")

    async def stop(self) -> None:
        """Close every connection and stop listening.

        Raises:
            FloatingPointError: the simulation had failed, and the servers with it.
        """
        going, self._going = self._going, None
        if going is not None:
            going.cancel()
            await asyncio.wait({going})
        for name in list(self._servers):
            await self.close(name)
        if going is not None and not going.cancelled():
            going.result()

    async def open(self, device: str) -> None:
        """Listen for one device again, after ``close``.

        Raises:
            ListenError: its address cannot be had.
        """
        server = self._made[device]
        await server.start()
        self._servers[device] = server

    async def close(self, device: str) -> None:
        """Cut the connections of one device and stop listening; vessels and watchdogs go on."""
        await self._servers.pop(device).stop()

    async def __aenter__(self) -> "PlantServer":
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    @property
    def listening(self) -> set[str]:
        """The devices that can be reached now."""
        return set(self._servers)

    def follow(self, time: float) -> None:
        """Let plant time pass until ``time``, in lock-step, because a client says so."""
        self.advanced = monotonic()
        self.step(time)

    def step(self, time: float) -> None:
        """Let plant time pass until ``time``; a watchdog that has run out acts before."""
        # In lock-step nothing moves while the controller thinks, so only here can it be too late.
        self._watch()
        self.plant.advance(time)

    async def _run(self) -> None:
        try:
            while self.pace is not None:
                self._watch()
                self.plant.catch_up()
                await self._refuse()
                await asyncio.sleep(_TICK_S)
        except Exception:
            _LOG.exception("the simulated plant has failed; it no longer answers")
            for name in list(self._servers):  # frozen values would look like a plant that is well
                await self.close(name)
            raise

    async def _refuse(self) -> None:
        """Stop listening for a Modbus device that refuses, and listen when it no longer does."""
        for name, wire in self._wires.items():
            if wire.refused and name in self._servers and isinstance(self._made[name], Unit):
                self._refusing.add(name)
                await self.close(name)
            elif name in self._refusing and not wire.refused:
                self._refusing.discard(name)
                await self.open(name)

    def _watch(self) -> None:
        now = self._lived()
        for watchdog in self._watchdogs:
            watchdog.check(now)

    def _make(self, name: str, settings: "DeviceSettings") -> "_Served":
        if settings.driver == "opcua":
            return self._opcua(name, settings)
        if settings.driver.startswith("modbus_"):
            return self._modbus(name, settings)
        raise ListenError(
            f"{name}: {settings.driver} cannot be simulated; modbus_... and opcua can"
        )

    def _modbus(self, name: str, settings: "DeviceSettings") -> Unit:
        from controller.plant_file.registers import about, register

        registers = [register(t) for t in settings.tags]
        watchdog: DeviceWatchdog | None = None
        holding, armed = 0, None
        if (given := settings.watchdog) is not None:
            vessels = self.plant.vessels_of(r.tag for r in registers)
            watchdog = DeviceWatchdog(given.within_s, vessels, self._lived)
            self._watchdogs.append(watchdog)
            holding, armed = given.holding, given.armed_input
        infos = [about(i) for i in settings.info]
        image = device_image(registers, self.plant, watchdog, holding, armed, infos)
        where = (settings.driver, settings.address)
        line = self._lines.get(where)
        if line is None:
            pace = pace_image(self.plant, self.follow)
            line = self._lines[where] = Line(settings, pace, SIMULATOR_UNIT)
        return line.unit(name, settings.unit_id, image, self._wires[name])

    def _opcua(self, name: str, settings: "DeviceSettings") -> "_Served":
        nodes = [Node(t.tag(), t.node or "") for t in settings.tags]
        for node in nodes:
            self.plant.vessel(node.tag)  # refuse an unknown one now
        security = ServedSecurity(name, settings, self._keys) if settings.security else None
        return OpcUaServer(
            name, settings.address, nodes, self.plant, self.follow, security, self._wires[name]
        )
