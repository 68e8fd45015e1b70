"""Modbus/TCP Security against pymodbus' own TLS server: who shows which certificate to whom."""

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pymodbus.framer import FramerType
from pymodbus.server import ModbusTlsServer
from pymodbus.simulator import DataType, SimData, SimDevice

from drivers.clock import SystemClock
from drivers.driver import DeviceError
from drivers.modbus import ModbusDriver, Register
from drivers.modbus.bus import BusLink
from drivers.modbus.tls import Identification, tls_bus
from drivers.point import Tag
from tests.drivers.modbus.certificates import Authority
from tests.system.plant_processes import free_port

pytestmark = pytest.mark.real_time

DO = Register(Tag("R1.do", "%", 0, 100), "holding", 0, "float32")


@asynccontextmanager
async def device(
    authority: Authority, certificate: tuple[str, str], port: int
) -> AsyncGenerator[None]:
    """Serve 42.5 % with ``certificate`` to clients that ``authority`` has signed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(*certificate)
    context.load_verify_locations(authority.path)
    words = SimData(0, values=42.5, datatype=DataType.FLOAT32)
    server: Any = ModbusTlsServer(
        SimDevice(1, simdata=[words]),
        framer=FramerType.SOCKET,
        address=("127.0.0.1", port),
        sslctx=context,
    )
    assert await server.listen()
    try:
        yield
    finally:
        clients = [c.transport for c in server.active_connections.values()]
        await server.shutdown()
        for transport in filter(None, clients):
            transport.abort()
        await asyncio.sleep(0)


class Plant:
    """An authority, a device's certificate, and ours."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder)
        self.server = self.authority.issue("server")
        self.port = free_port()
        certificate, key = self.authority.issue("client", days=300)
        self.ours = Identification(str(self.authority.path), certificate, key, "localhost")

    async def read(self, ours: Identification | None = None, **more: Any) -> float:
        """Return what the device says to ``ours``."""
        bus = tls_bus("127.0.0.1", self.port, ours or self.ours, **more)
        driver = ModbusDriver("R1-io", [DO], BusLink(bus, 1, 20), SystemClock())
        try:
            return (await driver.read())["R1.do"].value
        finally:
            await driver.close()


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Plant:
    return Plant(tmp_path_factory.mktemp("certificates"))


async def test_both_show_a_certificate_and_the_value_comes_through(plant: Plant) -> None:
    async with device(plant.authority, plant.server, plant.port):
        assert await plant.read() == 42.5


async def test_what_ends_within_30_days_is_warned_of(plant: Plant) -> None:
    certificate, key = plant.authority.issue("short", days=12.4)
    ours = replace(plant.ours, certificate=certificate, key=key)
    async with device(plant.authority, plant.authority.issue("long", days=300), plant.port):
        link = BusLink(tls_bus("127.0.0.1", plant.port, ours), 1, 20)
        assert link.warnings() == []  # nobody has looked yet
        await link.exchange([bytes.fromhex("03 0000 0002")])
        end = datetime.now(UTC) + timedelta(days=12.4)
        expected = [f"our certificate expires in 12 days, on {end:%Y-%m-%d}"]
        assert ModbusDriver("R1-io", [DO], link, SystemClock()).warnings() == expected
        await link.close()
    async with device(plant.authority, plant.authority.issue("soon", days=0.2), plant.port):
        link = BusLink(tls_bus("127.0.0.1", plant.port, plant.ours), 1, 20)
        await link.exchange([bytes.fromhex("03 0000 0002")])
        (warning,) = link.warnings()
        assert warning.startswith("the device's certificate expires in 0 days, on ")
        await link.close()


async def refused(plant: Plant, ours: Identification | None = None, **more: Any) -> str:
    """Return why nothing can be read."""
    with pytest.raises(DeviceError) as error:
        await plant.read(ours, **more)
    start = f"R1-io at 127.0.0.1:{plant.port}: "
    assert str(error.value).startswith(start)
    return str(error.value).removeprefix(start)


async def test_a_device_that_is_not_the_one_is_refused_by_us(plant: Plant, tmp_path: Path) -> None:
    other = Authority(tmp_path, "other")
    async with device(plant.authority, other.issue("stranger"), plant.port):
        assert "the device's certificate is not to be trusted: unable to get local issuer" in (
            await refused(plant)
        )
    async with device(plant.authority, plant.authority.issue("old", days=-1), plant.port):
        assert await refused(plant) == "the device's certificate has expired"
    async with device(plant.authority, plant.server, plant.port):
        why = await refused(plant, replace(plant.ours, server_name="pump.example"))
        assert "certificate is for another name" in why
        assert "pump.example" in why
        why = await refused(plant, replace(plant.ours, server_name=None))  # its address, then
        assert "certificate is for another name" in why
    context = "no TLS: wrong version number"
    server = await asyncio.start_server(_plain, "127.0.0.1", plant.port)
    async with server:
        assert await refused(plant) == context


async def _plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(10)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    writer.close()
    await writer.wait_closed()


@asynccontextmanager
async def door(plant: Plant, version: ssl.TLSVersion) -> AsyncGenerator[None]:
    """Shake hands with one client as OpenSSL does, which says why it refuses; asyncio does not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(*plant.server)
    context.load_verify_locations(plant.authority.path)
    listening = socket.create_server(("127.0.0.1", plant.port))

    def welcome() -> None:
        client, _ = listening.accept()
        client.settimeout(20)
        with context.wrap_socket(client, server_side=True, do_handshake_on_connect=False) as tls:
            with pytest.raises(ssl.SSLError):
                tls.do_handshake()
            with contextlib.suppress(ConnectionError):
                while socket.socket.recv(tls, 1024):  # until the client has heard it
                    pass

    welcoming = asyncio.create_task(asyncio.to_thread(welcome))
    try:
        yield
        await welcoming
    finally:
        listening.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_our_certificate_is_refused_by_the_device_which_says_so(
    plant: Plant, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    certificate, key = Authority(tmp_path, "other").issue("nobody")
    async with door(plant, version):
        why = await refused(plant, replace(plant.ours, certificate=certificate, key=key))
    assert why == "the device refuses our certificate: unknown ca"
    certificate, key = plant.authority.issue("late", days=-1)
    late = replace(plant.ours, certificate=certificate, key=key)
    yesterday = datetime.now(UTC) - timedelta(days=2)  # our clock is behind, the device's is not
    async with door(plant, version):
        why = await refused(plant, late, now=lambda: yesterday)
    assert why == "the device refuses our certificate: certificate expired"


async def test_a_device_that_refuses_without_a_word_is_suspected(
    plant: Plant, tmp_path: Path
) -> None:
    certificate, key = Authority(tmp_path, "other").issue("nobody")
    async with device(plant.authority, plant.server, plant.port):
        why = await refused(plant, replace(plant.ours, certificate=certificate, key=key))
    assert why == "the device closed the connection; perhaps it does not trust our certificate"


async def test_a_file_that_cannot_be_used_is_named_before_anything_is_connected(
    plant: Plant, tmp_path: Path
) -> None:
    """Nobody listens; a connection would be refused in other words."""
    ours, none = plant.ours, str(tmp_path / "none.pem")
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    text.chmod(0o600)
    for key in ("ca", "certificate", "key"):
        why = await refused(plant, replace(ours, **{key: none}))
        assert why == f"tls.{key}: {none}: no such file or directory"
    why = await refused(plant, replace(ours, ca=str(text)))
    assert why == f"tls.ca: {text} is no certificate in PEM form"
    why = await refused(plant, replace(ours, certificate=str(text)))
    assert why == f"tls.certificate: {text} is no certificate in PEM form"
    why = await refused(plant, replace(ours, key=str(text)))
    assert why == f"tls.key: {text} is no key in PEM form"
    _, others = plant.authority.issue("another")
    why = await refused(plant, replace(ours, key=others))
    assert why == f"tls.key: {others} does not belong to {ours.certificate}"
    certificate, key = plant.authority.issue("over", days=-1)
    why = await refused(plant, replace(ours, certificate=certificate, key=key))
    assert why.startswith(f"tls.certificate: {certificate}, ours, has expired at ")
    certificate, key = plant.authority.issue("open")
    os.chmod(key, 0o640)
    why = await refused(plant, replace(ours, certificate=certificate, key=key))
    assert why == f"tls.key: {key} can be read by others; chmod 600 is required"
