"""Simulated Modbus devices on real wires: a server a line, with a unit for each device on it.

pymodbus speaks the protocol; what a register holds is computed when somebody asks (sim/image.py).
"""

import asyncio
import contextlib
import os
import ssl
import tty
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pymodbus.constants import ExcCodes
from pymodbus.framer import FramerType
from pymodbus.pdu.device import ModbusDeviceIdentification
from pymodbus.server import ModbusSerialServer, ModbusTcpServer, ModbusTlsServer
from pymodbus.simulator import DataType, SimData, SimDevice

from drivers.modbus.cells import Table
from sim.image import DEVICE_FAILURE, PRODUCT, REVISION, VENDOR, Refused, RegisterImage
from sim.listen import ListenError, require_free
from sim.wire import Wire

if TYPE_CHECKING:
    from controller.plant_file.device_settings import DeviceSettings, TlsSettings

_TABLES: dict[int, Table] = {
    **dict.fromkeys((1, 5, 15), cast(Table, "coil")),
    2: "discrete",
    **dict.fromkeys((3, 6, 16, 22, 23), cast(Table, "holding")),
    4: "input",
}


class Line:
    """The server of one line. A unit that is closed keeps silent; without any nobody listens.

    Args:
        settings: the table of one of the line's devices.
        pace: the registers of the unit that tells the plant's pace.
        pace_unit: its number.
    """

    def __init__(self, settings: "DeviceSettings", pace: RegisterImage, pace_unit: int) -> None:
        self._settings = settings
        self._images = {pace_unit: pace}
        self._pace_unit = pace_unit
        self._wires: dict[int, Wire] = {}
        self._present: set[int] = set()
        self._server: Any = None
        self._port: PseudoPort | None = None
        self._serial = settings.driver in ("modbus_rtu", "modbus_rtu_over_tcp")

    def unit(self, name: str, number: int, image: RegisterImage, wire: Wire) -> "Unit":
        """Return one more device on the line, silent until it is started."""
        self._images.setdefault(number, image)
        self._wires.setdefault(number, wire)
        return Unit(self, name, number)

    async def open(self, name: str, unit: int) -> None:
        """Let a unit answer; listen, if it is the first."""
        if self._server is None:
            await self._listen(name)
        self._present |= {unit, self._pace_unit}

    async def close(self, unit: int) -> None:
        """Let a unit be silent; cut every connection, if it is the last."""
        self._present.discard(unit)
        if self._present <= {self._pace_unit}:
            self._present.clear()
            await self._stop()

    async def _listen(self, name: str) -> None:
        devices = [
            _sim_device(unit, image, self._wires.get(unit) or Wire())
            for unit, image in self._images.items()
        ]
        info = {"VendorName": VENDOR, "ProductCode": PRODUCT, "MajorMinorRevision": REVISION}
        common: dict[str, Any] = {
            "identity": ModbusDeviceIdentification(info_name=info),
            "trace_packet": self._if_present,
        }
        settings = self._settings
        if settings.driver == "modbus_rtu":
            self._port = PseudoPort(name, settings.address)
            server = ModbusSerialServer(devices, port=self._port.far_end, timeout=0, **common)
        else:
            host, _, port = settings.address.rpartition(":")
            common["address"] = (host.strip("[]"), int(port))
            require_free(name, *common["address"])
            if settings.tls is not None:
                context = _server_context(name, settings.tls)
                server = ModbusTlsServer(
                    devices, framer=FramerType.SOCKET, sslctx=context, **common
                )
            else:
                framer = FramerType.RTU if self._serial else FramerType.SOCKET
                server = ModbusTcpServer(devices, framer=framer, **common)
        if not await server.listen():
            self._close_port()
            raise ListenError(f"{name}: cannot listen on {settings.address}")
        self._server = server

    async def _stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            clients = [c.transport for c in server.active_connections.values()]
            await server.shutdown()
            for transport in filter(None, clients):
                transport.abort()
            await asyncio.sleep(0)  # asyncio closes the sockets in its next turn
        self._close_port()

    def _close_port(self) -> None:
        if self._port is not None:
            self._port.close()
            self._port = None

    def _if_present(self, sending: bool, frame: bytes) -> bytes:
        """Return a frame, or nothing if its unit is cut off."""
        if not sending:
            return frame
        unit = frame[0 if self._serial else 6]
        wire = self._wires.get(unit)
        if wire is not None and wire.faults and (wire.cut or wire.refused):
            return b""
        if unit in self._present:
            return frame
        # nobody is there; on a serial line that is silence, a gateway says so
        return b"" if self._serial or unit in self._images else frame


class Unit:
    """One simulated device on its line."""

    def __init__(self, line: Line, name: str, number: int) -> None:
        self._line, self._name, self._number = line, name, number

    async def start(self) -> None:
        """Answer from now on."""
        await self._line.open(self._name, self._number)

    async def stop(self) -> None:
        """Answer no more."""
        await self._line.close(self._number)


class PseudoPort:
    """A serial port that is none: what the controller opens at ``path`` and the simulator's end.

    Args:
        name: of the device, for messages.
        path: where the controller's end is to be found; a link is made there.

    Attributes:
        far_end: where the simulator's end is.

    Raises:
        ListenError: something is there already, or no link can be made there.
    """

    def __init__(self, name: str, path: str) -> None:
        self._path = Path(path)
        if self._path.is_symlink() and not self._path.exists():
            self._path.unlink()  # of a simulator that was killed
        pairs = os.openpty(), os.openpty()
        self._files = [f for pair in pairs for f in pair]  # our own slaves keep the masters open
        for _, slave in pairs:
            tty.setraw(slave)
        (near, near_end), (far, far_end) = pairs
        self.far_end = os.ttyname(far_end)
        try:
            self._path.symlink_to(os.ttyname(near_end))
        except OSError as error:
            self._close_files()
            why = (error.strerror or str(error)).lower()
            if isinstance(error, FileExistsError):
                why = "it exists; the simulator makes a port of its own and touches no real one"
            raise ListenError(f"{name}: cannot serve at {path}: {why}") from None
        self._masters = (near, far)
        loop = asyncio.get_running_loop()
        for here, there in ((near, far), (far, near)):
            os.set_blocking(here, False)
            loop.add_reader(here, _pass_on, here, there)

    def close(self) -> None:
        """Take the port away."""
        loop = asyncio.get_running_loop()
        for master in self._masters:
            loop.remove_reader(master)
        self._path.unlink(missing_ok=True)
        self._close_files()

    def _close_files(self) -> None:
        for file in self._files:
            os.close(file)


def _pass_on(here: int, there: int) -> None:
    with contextlib.suppress(BlockingIOError):  # nobody reads; a real line would not wait either
        os.write(there, os.read(here, 4096))


def _server_context(name: str, tls: "TlsSettings") -> ssl.SSLContext:
    """Return what the simulator shows: server.pem and server.key beside the plant file's CA.

    Raises:
        ListenError: they are missing or cannot be used.
    """
    folder = Path(tls.ca).parent
    certificate, key = folder / "server.pem", folder / "server.key"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_cert_chain(certificate, key)
        context.load_verify_locations(tls.ca)
    except OSError as error:
        raise ListenError(
            f"{name}: cannot serve modbus_tls with {certificate}, {key} and {tls.ca}: "
            f"{(error.strerror or str(error)).lower()}"
        ) from None
    return context


def _sim_device(unit: int, image: RegisterImage, wire: Wire) -> SimDevice:
    """Return pymodbus' device whose every access goes to ``image``, through the wire's faults."""

    def words(table: Table) -> list[SimData]:
        size = max(image.span(table)[1], 1)
        if table in ("coil", "discrete"):
            return [SimData(0, values=[False] * (-(-size // 16) * 16), datatype=DataType.BITS)]
        return [SimData(0, count=size, values=0, datatype=DataType.REGISTERS)]

    async def action(
        code: int,
        start: int,
        address: int,
        count: int,
        registers: list[int],
        values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        try:
            if wire.faults:
                await _spoiled(wire, image, code, address, count, registers, values)
            else:
                _access(image, _TABLES[code], address, count, registers, values)
        except Refused as refused:
            return ExcCodes(refused.code)
        return None

    blocks = (words("coil"), words("discrete"), words("holding"), words("input"))
    return SimDevice(unit, simdata=blocks, action=action)


async def _spoiled(
    wire: Wire,
    image: RegisterImage,
    code: int,
    address: int,
    count: int,
    registers: list[int],
    values: list[int] | list[bool] | None,
) -> None:
    """Access the image of a device whose wire has a fault; what is cut off is never answered."""
    if delay := wire.delay_s:
        await asyncio.sleep(delay)
    if wire.exception or wire.cut or wire.refused:
        raise Refused(wire.exception or DEVICE_FAILURE)
    if not wire.frozen:
        _access(image, _TABLES[code], address, count, registers, values)
    elif values is None:  # a gateway repeats what it read last, and takes what goes nowhere

        def now() -> list[int]:
            _access(image, _TABLES[code], address, count, registers, None)
            return list(registers)

        registers[:] = wire.held((code, address, count), now)


def _access(
    image: RegisterImage,
    table: Table,
    address: int,
    count: int,
    registers: list[int],
    values: list[int] | list[bool] | None,
) -> None:
    """Write ``values`` to the image, or put what it holds into pymodbus' copy of the block."""
    if table in ("coil", "discrete"):
        if values is not None:
            image.write_bits(address, [bool(v) for v in values])
            return
        first = address // 16
        least, most = image.span(table)
        start = max(16 * first, least)
        bits = [False] * (start - 16 * first)
        bits += image.bits(table, start, min(16 * (first + count), most) - start)
        for i in range(count):
            part = bits[16 * i : 16 * i + 16]
            registers[first + i] = sum(1 << k for k, bit in enumerate(part) if bit)
    elif values is not None:
        image.write_words(address, b"".join(int(v).to_bytes(2, "big") for v in values))
    else:
        data = image.words(table, address, count)
        registers[address : address + count] = [
            data[i] << 8 | data[i + 1] for i in range(0, 2 * count, 2)
        ]
