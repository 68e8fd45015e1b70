"""A server in another process is frozen, killed and started again elsewhere in its namespaces."""

import asyncio
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from drivers.clock import SystemClock, monotonic
from drivers.driver import DeviceError
from drivers.opcua import OpcUaDriver
from drivers.opcua.link import OpcUaLink
from drivers.point import Quality
from tests.drivers.opcua.served import free_port, node

pytestmark = pytest.mark.real_time

ROOT = Path(__file__).parents[3]
BACK_S = 2.0  # wall: the first value after a device has returned
TIMEOUT_S = 1.0


@asynccontextmanager
async def served(
    port: int, value: float, *namespaces: str
) -> AsyncGenerator[asyncio.subprocess.Process]:
    module = "tests.drivers.opcua.server_process"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, str(port), str(value), *namespaces),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=ROOT,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            assert await process.stdout.readline() == b"ready\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def fails(driver: OpcUaDriver) -> None:
    """Return when a read has failed; none takes longer than its timeout and some scheduling."""
    ended = monotonic() + 10
    while monotonic() < ended:
        began = monotonic()
        try:
            await driver.read()
        except DeviceError:
            return
        finally:
            assert monotonic() - began < TIMEOUT_S + 1.0
        await asyncio.sleep(0.05)
    raise TimeoutError("no read failed within 10 s")


async def returns(driver: OpcUaDriver, value: float) -> float:
    """Return after how many s the value was read."""
    began = monotonic()
    while monotonic() < began + 20:
        try:
            sample = (await driver.read())["R1.d"]
        except DeviceError:
            await asyncio.sleep(0.02)
            continue
        assert (sample.value, sample.quality) == (value, Quality.GOOD)
        return monotonic() - began
    raise TimeoutError("no value within 20 s")


async def test_it_is_read_again_within_two_seconds_of_its_return() -> None:
    port = free_port()
    url = f"opc.tcp://127.0.0.1:{port}/plant"
    links = [OpcUaLink(url, TIMEOUT_S, insecure=True) for _ in range(2)]
    drivers = [
        OpcUaDriver("R1-gas", [node("d", safe=0)], link, SystemClock(), subscribe_s=subscribe_s)
        for link, subscribe_s in zip(links, (None, 0.1), strict=True)
    ]

    async def all_return(value: float) -> float:
        return max(await asyncio.gather(*(returns(d, value) for d in drivers)))

    async def all_fail() -> None:
        await asyncio.gather(*map(fails, drivers))

    for driver in drivers:
        with pytest.raises(DeviceError, match="connection refused"):  # the first connect fails
            await driver.read()
    async with served(port, 1.0) as first:
        await all_return(1.0)
        first.send_signal(signal.SIGSTOP)
        await all_fail()
        first.send_signal(signal.SIGCONT)
        assert await all_return(1.0) <= BACK_S
        first.kill()
        await first.wait()
        await all_fail()
    async with served(port, 2.0, "urn:other:1", "urn:other:2"):  # other session, other index
        assert await all_return(2.0) <= BACK_S
        for driver in drivers:
            assert (await driver.write({"R1.d": 7.0}))["R1.d"].value == 7.0
    for link in links:
        await link.close()
    assert not [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
