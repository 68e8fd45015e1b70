"""Live OPC UA frames, spoiled on the wire between the real driver and a real server.

Without security only the head of a chunk can tell: its type and size, channel, token, sequence and
request. What changes behind it, in the answer itself, nobody can notice unless it breaks the
answer's form; a wrong value is forgiven only where the head of a spoiled frame was left as it was.
On a signed connection every change can be told, and nothing is forgiven.
"""

import asyncio
import logging
from pathlib import Path
from random import Random

import pytest
from asyncua import ua

from controller.devices.devices import build, wire
from controller.plant_file.device_settings import DeviceSettings
from drivers.clock import SystemClock
from drivers.driver import DeviceError, Driver
from drivers.opcua import OpcUaDriver
from drivers.opcua.link import OpcUaLink
from drivers.point import Quality
from sim.server import PlantServer
from tests.drivers.leaks import nothing_left
from tests.drivers.ledger import Ledger, as_node, tag_tables
from tests.drivers.mutations import COMMON, Mutator
from tests.drivers.opcua.served import Plant, double, node, through
from tests.drivers.opcua.test_security import SERVER, Files
from tests.drivers.proxy import OPCUA, Proxy
from tests.system.plant_processes import free_port

pytestmark = pytest.mark.real_time

HEAD = 24  # bytes of a MSG chunk before the encoded answer


class Station:
    """A server that knows what is true, a spoiled wire and the score."""

    def __init__(self, seed: int) -> None:
        self.ledger = Ledger()
        self.mutator = Mutator(Random(seed), COMMON, 0.3)
        self.port = free_port()
        self.settings = DeviceSettings.model_validate(
            {
                "driver": "opcua",
                "address": f"opc.tcp://127.0.0.1:{self.port}/fermloop",
                "insecure": True,
                "timeout_s": 0.3,
                "tags": [as_node(t) for t in tag_tables("R1.")],
            }
        )
        self.good = self.refused = self.forgiven = 0
        self.wrong: list[str] = []

    async def run(self, frames: int) -> None:
        """Read until that many frames were spoiled, then once more on a wire that is whole."""
        async with Proxy(self.port, OPCUA, fault=self.mutator) as proxy:
            address = f"opc.tcp://127.0.0.1:{proxy.port}/fermloop"
            link = wire(self.settings.model_copy(update={"address": address}))
            driver = build("R1", self.settings, link, SystemClock())
            while self.mutator.count < frames:
                self.ledger.epoch += 1
                began = self.mutator.seen
                try:
                    samples = await driver.read()
                except DeviceError:
                    self.refused += 1
                    await asyncio.sleep(0.05)
                    continue
                self.good += 1
                wrong = [
                    f"{s}"
                    for n, s in samples.items()
                    if s.quality is Quality.GOOD and not self.ledger.true(n, s.value)
                ]
                if wrong and any(
                    p.sent != p.frame.data and p.sent[:HEAD] == p.frame.data[:HEAD]
                    for p in self.mutator.since(began)
                ):
                    self.forgiven += 1
                else:
                    self.wrong += wrong
            self.mutator.share = 0.0
            async with asyncio.timeout(20):
                while not await self._well(driver):  # noqa: ASYNC110 (a look at the world)
                    await asyncio.sleep(0.05)
            await driver.close()

    async def _well(self, driver: Driver) -> bool:
        try:
            samples = await driver.read()
        except DeviceError:
            return False
        return all(self.ledger.true(n, s.value) for n, s in samples.items())


@pytest.mark.long
async def test_no_spoiled_frame_crashes_leaks_or_is_taken_as_good(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """60 frames: most of them cost a connection, and a torn handshake costs 5 s."""
    caplog.set_level(logging.CRITICAL)  # asyncua has much to say about it, on both sides
    station = Station(5)
    async with (
        nothing_left(20.0),
        PlantServer({"R1": station.settings}, {"R1": station.ledger}, 0.0),
    ):
        await station.run(60)
    assert station.wrong == []
    assert station.good > 0
    assert station.refused > 0


class Signed:
    """Three values of a server behind a signed connection on a spoiled wire of their own.

    Args:
        plant: the server.
        files: certificates.
        number: tells it from others.
        torn: share of the handshakes that are spoiled too; one may then take 5 s to fail.
    """

    def __init__(self, plant: Plant, files: Files, number: int, torn: float) -> None:
        self.mutator = Mutator(Random(number), COMMON, 0.0)
        self.names = [f"v{3 * number + k}" for k in range(3)]
        self.good = self.refused = 0
        self.wrong: list[str] = []
        self._plant, self._files, self._torn = plant, files, torn
        self._random = Random(number)

    async def run(self, frames: int) -> None:
        """Read until that many frames were spoiled, then once more on a wire that is whole."""
        async with Proxy(self._plant.port, OPCUA, fault=self.mutator) as proxy:
            link = OpcUaLink(through(proxy), 0.3, security=self._files.security())
            driver = OpcUaDriver("R1", [node(n) for n in self.names], link, SystemClock())
            while self.mutator.count < frames:
                whole = await self._read(driver)
                self.mutator.share = 0.5 if whole or self._random.random() < self._torn else 0.0
            self.mutator.share = 0.0
            async with asyncio.timeout(20):
                while not await self._read(driver):
                    pass
            await driver.close()

    async def _read(self, driver: Driver) -> bool:
        """Return whether a read gave values; whatever is GOOD must be what the server holds."""
        true = {f"R1.{n}": self._random.uniform(-100, 100) for n in self.names}
        for name in self.names:
            await self._plant.put(name, double(true[f"R1.{name}"]))
        try:
            samples = await driver.read()
        except DeviceError:
            self.refused += 1
            await asyncio.sleep(0.05)
            return False
        self.good += 1
        found = [f"{s}" for n, s in samples.items() if s != (s.tag, s.time, true[n], Quality.GOOD)]
        self.wrong += found
        return True


@pytest.mark.parametrize(
    ("lines", "frames"), [(4, 5), pytest.param(8, 50, marks=pytest.mark.long)], ids=["few", "many"]
)
async def test_no_spoiled_frame_of_a_signed_connection_is_taken_as_good(
    lines: int, frames: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """400 frames, 20 in the normal suite: each costs a connection with its keys and signatures."""
    caplog.set_level(logging.CRITICAL)  # asyncua has much to say about it, on both sides
    files = Files(tmp_path)
    pair = files.pair("server", SERVER)
    files.trust(pair)
    policy = ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt
    plant = Plant(policy, pair=pair, uri=SERVER, more=3 * lines)
    wires = [Signed(plant, files, k, 0.05 if lines > 4 else 0.0) for k in range(lines)]
    async with nothing_left(20.0):
        await plant.start()
        await asyncio.gather(*(w.run(frames) for w in wires))
        await plant.stop()
    assert [text for w in wires for text in w.wrong] == []
    assert min(w.mutator.count for w in wires) >= frames
    assert min(w.good for w in wires) > 0
    assert sum(w.refused for w in wires) > 0.2 * lines * frames
