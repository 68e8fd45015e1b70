"""A device whose wire is cut again and again: memory, tasks and sockets stay as they were."""

import asyncio
import gc
import logging
import multiprocessing
from collections.abc import Generator
from contextlib import contextmanager
from multiprocessing.connection import Connection

import pytest

from controller.devices.devices import build, wire
from controller.plant_file.device_settings import DeviceSettings
from drivers.clock import SystemClock, monotonic
from drivers.driver import DeviceError, Driver
from drivers.point import Quality, Sample
from sim.server import PlantServer
from tests.drivers.leaks import nothing_left, open_files, resident_bytes
from tests.drivers.ledger import Ledger, as_node, modbus_device, tag_tables
from tests.drivers.proxy import Proxy
from tests.system.plant_processes import free_port

pytestmark = pytest.mark.real_time

WARM = 60  # reconnects after which every cache is full
MOST_OBJECTS = 50  # that may be more than before, however often it has reconnected
MOST_BYTES = 6_000_000


def device(driver: str, port: int) -> DeviceSettings:
    """Return the table of a device of 30 tags that has time for its answers."""
    settings = modbus_device("R1", port, 10.0)
    if driver != "opcua":
        return settings.model_copy(update={"driver": driver})
    return DeviceSettings.model_validate(
        {
            "driver": "opcua",
            "address": f"opc.tcp://127.0.0.1:{port}/fermloop",
            "insecure": True,
            "timeout_s": 10.0,
            "tags": [as_node(t) for t in tag_tables("R1.")],
        }
    )


def serve(settings: DeviceSettings, pipe: Connection) -> None:
    """Be the device until somebody speaks."""

    async def main() -> None:
        async with PlantServer({"R1": settings}, {"R1": Ledger()}, 0.0):
            pipe.send(None)
            await asyncio.to_thread(pipe.recv)

    asyncio.run(main())


@contextmanager
def served(settings: DeviceSettings) -> Generator[None]:
    """Serve a device in another process, whose memory is its own affair."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=serve, args=(settings, theirs), daemon=True
    )
    process.start()
    ours.recv()
    yield
    ours.send(None)
    process.join()


async def reconnect(io: Driver, proxy: Proxy, times: int) -> None:
    """Cut the wire so many times, each time until all values have come again."""
    before = proxy.connections
    for _ in range(times):
        await proxy.cut()
        async with asyncio.timeout(20):
            samples = await read_again(io)
        assert {s.quality for s in samples.values()} == {Quality.GOOD}
    assert proxy.connections >= before + times


async def read_again(io: Driver) -> dict[str, Sample]:
    """Return what it reads, as soon as it can."""
    while True:
        try:
            return await io.read()
        except DeviceError:  # asyncua notices only now that it was cut
            await asyncio.sleep(0.01)


async def drop_cancelled_timers() -> None:
    """Make asyncio forget the cancelled timers it keeps until half of all, and 100, are such."""
    loop = asyncio.get_running_loop()
    for _ in range(1_000):
        loop.call_later(3600, print).cancel()
    await asyncio.sleep(0.001)


@pytest.mark.parametrize(
    ("driver", "times"),
    [
        ("modbus_tcp", 300),
        pytest.param("modbus_tcp", 10_000, marks=pytest.mark.long),
        pytest.param("modbus_rtu_over_tcp", 10_000, marks=pytest.mark.long),
        pytest.param("opcua", 1_000, marks=pytest.mark.long),
    ],
)
async def test_reconnecting_leaves_nothing_behind(
    driver: str, times: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "asyncua")  # what it says would be kept, a record each time
    port = free_port()
    settings = device(driver, port)
    with served(settings):
        async with nothing_left(), Proxy(port) as proxy:
            there = settings.address.replace(f":{port}", f":{proxy.port}")
            settings = settings.model_copy(update={"address": there})
            io = build("R1", settings, wire(settings), SystemClock())
            await reconnect(io, proxy, WARM)
            await drop_cancelled_timers()
            memory, files, objects = resident_bytes(), open_files(), len(gc.get_objects())
            await reconnect(io, proxy, times)
            end = monotonic() + 5  # the last connections may still be closing
            while (more := len(gc.get_objects()) - objects) > MOST_OBJECTS and monotonic() < end:
                await drop_cancelled_timers()
                await asyncio.sleep(0.05)
                gc.collect()
            assert more <= MOST_OBJECTS
            assert open_files() <= files + 2
            assert resident_bytes() - memory <= MOST_BYTES
            await io.close()
