"""Live OPC UA frames, spoiled on the wire between the real driver and a real server.

Without security only the head of a chunk can tell: its type and size, channel, token, sequence and
request. What changes behind it, in the answer itself, nobody can notice unless it breaks the
answer's form; a wrong value is forgiven only where the head of a spoiled frame was left as it was.
"""

import asyncio
import logging
from random import Random

import pytest

from controller.device_settings import DeviceSettings
from controller.devices import build, wire
from drivers.clock import SystemClock
from drivers.driver import DeviceError, Driver
from drivers.point import Quality
from sim.server import PlantServer
from tests.drivers.leaks import nothing_left
from tests.drivers.ledger import Ledger, as_node, tag_tables
from tests.drivers.mutations import COMMON, Mutator
from tests.drivers.proxy import OPCUA, Proxy
from tests.system.plant_processes import free_port

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
