"""Live frames, spoiled on the wire between the real driver and a real server.

What a driver can detect in Modbus TCP, and therefore must never take as GOOD, is this: what
arrives in answer to a request does not begin with one whole frame that has its transaction,
protocol, unit and function code, and the length and byte count that the request asked for. The data
of such a frame carry no check (TCP's own checksum is all there is), and neither does the address in
a request: a bit that flips there cannot be noticed by anybody. The proxy knows which frame it
spoiled where: a wrong value in a GOOD sample is forgiven only if nothing but those bytes changed.
"""

import asyncio
import logging
from random import Random

import pytest

from controller.devices import build
from drivers.clock import SystemClock
from drivers.driver import DeviceError, Driver
from drivers.modbus.tcp import ModbusTcpLink
from drivers.point import Quality
from sim.server import PlantServer
from tests.drivers.leaks import nothing_left
from tests.drivers.ledger import Ledger, modbus_device
from tests.drivers.mutations import COMMON, Mutator, mbap_exception, mbap_lies
from tests.drivers.proxy import MODBUS_TCP, Frame, Proxy
from tests.system.plant_processes import free_port

WIRES = 8
TIMEOUT_S = 0.05  # dropped frames cost it; a late answer of a busy machine is only one more fault
MUTATIONS = COMMON | {mbap_lies: 12, mbap_exception: 2}


def undetectable(frame: Frame, sent: bytes) -> bool:
    """Return whether ``sent`` in the place of ``frame`` differs only where nothing is checked."""
    data = frame.data
    if frame.to_device:
        head = 8 if data[7] in (1, 2, 3, 4) else 13  # a write's data are read back
        return sent[:8] == data[:8] and sent[10:head] == data[10:head] and len(sent) == len(data)
    return sent[:9] == data[:9] and len(sent) >= len(data)


class Wire:
    """One driver, one spoiled wire, one device that knows what is true, and the score."""

    def __init__(self, number: int, seed: int, server_port: int) -> None:
        self.reactor = f"R{number}"
        self.ledger = Ledger()
        self.settings = modbus_device(self.reactor, server_port, TIMEOUT_S)
        self.mutator = Mutator(Random(seed), MUTATIONS)
        self.random = Random(~seed)
        self.good = self.refused = self.forgiven = 0
        self.wrong: list[str] = []

    async def run(self, frames: int) -> None:
        """Read, and sometimes write, until that many frames were spoiled."""
        port = int(self.settings.address.rpartition(":")[2])
        async with Proxy(port, MODBUS_TCP, fault=self.mutator) as proxy:
            link = ModbusTcpLink("127.0.0.1", proxy.port, self.settings.unit_id, TIMEOUT_S)
            driver = build(self.reactor, self.settings, link, SystemClock())
            while self.mutator.count < frames:
                self.ledger.epoch += 1
                self.mutator.begin()
                try:
                    await (
                        self._read(driver) if self.random.random() < 0.8 else self._write(driver)
                    )
                except DeviceError as error:
                    self.refused += 1
                    if not str(error).startswith(f"{self.reactor} at 127.0.0.1:{proxy.port}: "):
                        self.wrong.append(f"an error that does not say where: {error}")
                    link.reset()  # do not wait before the next try
            await driver.close()

    async def _read(self, driver: Driver) -> None:
        samples = await driver.read()
        assert samples.keys() == {t.name for t in driver.tags}
        for name, s in samples.items():
            if s.quality is Quality.GOOD and not self.ledger.true(name, s.value):
                self._blame(f"{name} reads {s.value:g}, not {self.ledger.read(name):g}")
        self.good += 1

    async def _write(self, driver: Driver) -> None:
        wanted = {
            f"{self.reactor}.held{i}": float(self.random.randrange(65536))
            for i in self.random.sample(range(3), self.random.randint(1, 3))
        }
        held = await driver.write(wanted)
        for name, s in held.items():
            if s.value != wanted[name] or not self.ledger.true(name, s.value):
                self._blame(f"{name} is said to hold {s.value:g}, not {self.ledger.read(name):g}")
        self.good += 1

    def _blame(self, text: str) -> None:
        for frame, sent in self.mutator.passed:
            if sent != frame.data and undetectable(frame, sent):
                self.forgiven += 1
                return
        changes = [(f.data.hex(" "), s.hex(" ")) for f, s in self.mutator.passed]
        self.wrong.append(f"{text}: {changes}")


async def spoil(frames: int, seed: int) -> list[Wire]:
    """Let eight wires spoil ``frames`` frames in all, and return them."""
    wires = [Wire(i, 1000 * seed + i, free_port()) for i in range(WIRES)]
    devices = {w.reactor: w.settings for w in wires}
    async with (
        nothing_left(),
        PlantServer(devices, {w.reactor: w.ledger for w in wires}, 0.0),
    ):
        await asyncio.gather(*(w.run(frames // WIRES) for w in wires))
    return wires


@pytest.mark.parametrize(
    "frames", [2_000, pytest.param(100_000, marks=pytest.mark.long)], ids=["few", "many"]
)
async def test_no_spoiled_frame_crashes_leaks_or_is_taken_as_good(
    frames: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "pymodbus")  # the server has much to say about its requests
    wires = await spoil(frames, seed=1)
    assert [w.wrong for w in wires] == [[]] * WIRES
    assert sum(w.mutator.count for w in wires) >= frames
    for w in wires:
        assert w.good > 0.2 * w.refused  # it comes back every time
        assert w.refused > 0.5 * w.mutator.count
