"""Live frames, spoiled on the wire between the real driver and a real server.

What a driver can detect in Modbus TCP, and therefore must never take as GOOD, is this: what
arrives in answer to a request does not begin with one whole frame that has its transaction,
protocol, unit and function code, and the length and byte count that the request asked for. The data
of such a frame carry no check (TCP's own checksum is all there is), and neither does the address in
a request: a bit that flips there cannot be noticed by anybody.

An RTU frame has a checksum over all of it, which finds every change of one or two bits, but no
transaction: an earlier answer to a question of the same unit, function and length is the one thing
that nobody can tell from the answer to this one (but for its time: what comes while nobody asks is
let fall). So is what changed in more bits and met the same checksum, one in 65 536.

The proxy knows which frame it spoiled where, so a wrong value in a GOOD sample is forgiven only if
such a thing, and nothing else, was done to a frame of that device while it was read.
"""

import asyncio
import logging
from collections.abc import Callable
from random import Random
from typing import NamedTuple

import pytest

from controller.devices.devices import build, wire
from controller.devices.lines import Lines
from controller.plant_file.device_settings import DeviceSettings
from drivers.clock import SystemClock
from drivers.driver import DeviceError, Driver
from drivers.modbus.bus import BusLink
from drivers.point import Quality
from sim.server import PlantServer
from tests.drivers.leaks import nothing_left
from tests.drivers.ledger import Ledger, modbus_device
from tests.drivers.mutations import (
    COMMON,
    Mutation,
    Mutator,
    Passed,
    crc,
    mbap_exception,
    mbap_lies,
    rtu_exception,
    rtu_lies,
)
from tests.drivers.proxy import MODBUS_TCP, RTU, Framing, Proxy
from tests.system.plant_processes import free_port

pytestmark = pytest.mark.real_time

TIMEOUT_S = 0.05  # dropped frames cost it; a late answer of a busy machine is only one more fault
READS = (1, 2, 3, 4)


def tcp_undetectable(passed: Passed) -> bool:
    """Return whether what was sent differs only where nothing is checked."""
    data, sent = passed.frame.data, passed.sent
    if passed.frame.to_device:
        head = 8 if data[7] in READS else 13  # a write's data are read back
        return sent[:8] == data[:8] and sent[10:head] == data[10:head] and len(sent) == len(data)
    return sent[:9] == data[:9] and len(sent) >= len(data)


def rtu_undetectable(passed: Passed) -> bool:
    """Return whether what was sent holds another answer that is as good as the right one."""
    data, sent = passed.frame.data, passed.sent
    if passed.frame.to_device:
        return len(sent) == len(data) and crc(sent[:-2]) == sent[-2:]
    return any(
        sent[at : at + 3] == data[:3]
        and crc(sent[at : at + len(data) - 2]) == sent[at + len(data) - 2 : at + len(data)]
        for at in range(len(sent) - len(data) + 1)
    )


class Kind(NamedTuple):
    """A wire and what can be done to it.

    Attributes:
        driver: as in the plant file.
        framing: for the proxy.
        mutations: with their weights.
        undetectable: what nobody can notice.
        unit_at: where a frame has its unit.
    """

    driver: str
    framing: Framing
    mutations: dict[Mutation, int]
    undetectable: Callable[[Passed], bool]
    unit_at: int


TCP_KIND = Kind(
    "modbus_tcp",
    MODBUS_TCP,
    COMMON | {mbap_lies: 12, mbap_exception: 2},
    tcp_undetectable,
    6,
)
RTU_KIND = Kind(
    "modbus_rtu_over_tcp", RTU, COMMON | {rtu_lies: 20, rtu_exception: 2}, rtu_undetectable, 0
)


class Station:
    """One device that knows what is true, its driver, and the score."""

    def __init__(self, kind: Kind, mutator: Mutator, number: int, port: int, seed: int) -> None:
        self.name = f"R{number}"
        self.ledger = Ledger()
        self.settings = modbus_device(
            self.name, port, TIMEOUT_S, driver=kind.driver, unit_id=number + 1
        )
        self.good = self.refused = self.forgiven = 0
        self.wrong: list[str] = []
        self._kind, self._mutator = kind, mutator
        self._random = Random(seed)
        self._began = 0

    async def run(self, port: int, lines: Lines, frames: int) -> None:
        """Read, and sometimes write, through ``port`` until that many frames were spoiled."""
        address = f"127.0.0.1:{port}"
        link = wire(self.settings.model_copy(update={"address": address}), lines)
        driver = build(self.name, self.settings, link, SystemClock())
        while self._mutator.count < frames:
            self.ledger.epoch += 1
            self._began = self._mutator.seen
            try:
                await (self._read(driver) if self._random.random() < 0.8 else self._write(driver))
                self.good += 1
            except DeviceError as error:
                self.refused += 1
                if not str(error).startswith(f"{self.name} at {address}: "):
                    self.wrong.append(f"an error that does not say where: {error}")
                link.reset()  # do not wait before the next try
        self._mutator.share = 0.0
        await self._well_again(driver, link)
        await driver.close()

    async def _well_again(self, driver: Driver, link: BusLink) -> None:
        """Return when a wire that is whole again has given every value."""
        async with asyncio.timeout(10):
            while True:
                try:
                    samples = await driver.read()
                except DeviceError:
                    link.reset()
                    await asyncio.sleep(0.01)
                else:
                    break
        wrong = [s for n, s in samples.items() if not self.ledger.true(n, s.value)]
        self.wrong += [f"{s} at the end" for s in wrong]

    async def _read(self, driver: Driver) -> None:
        samples = await driver.read()
        assert samples.keys() == {t.name for t in driver.tags}
        for name, s in samples.items():
            if s.quality is Quality.GOOD and not self.ledger.true(name, s.value):
                self._blame(f"{name} reads {s.value:g}, not {self.ledger.read(name):g}")

    async def _write(self, driver: Driver) -> None:
        wanted = {
            f"{self.name}.held{i}": float(self._random.randrange(65536))
            for i in self._random.sample(range(3), self._random.randint(1, 3))
        }
        held = await driver.write(wanted)
        for name, s in held.items():
            if s.value != wanted[name] or not self.ledger.true(name, s.value):
                self._blame(f"{name} is said to hold {s.value:g}, not {self.ledger.read(name):g}")

    def _blame(self, text: str) -> None:
        at = self._kind.unit_at
        passed = self._mutator.since(self._began)
        for p in passed:
            mine = p.frame.data[at] == self.settings.unit_id
            if mine and p.sent != p.frame.data and self._kind.undetectable(p):
                self.forgiven += 1
                return
        changes = [(p.frame.data.hex(" "), p.sent.hex(" ")) for p in passed]
        self.wrong.append(f"{text}: {changes}")


class Line:
    """A spoiled wire with a server at its end that has one unit or several."""

    def __init__(self, kind: Kind, units: int, first: int, seed: int) -> None:
        self.mutator = Mutator(Random(seed), kind.mutations, 0.5)
        self._kind, self._port = kind, free_port()
        self.stations = [
            Station(kind, self.mutator, first + i, self._port, seed + i) for i in range(units)
        ]

    async def run(self, frames: int) -> None:
        """Let every unit be read and written until that many frames were spoiled."""
        async with Proxy(self._port, self._kind.framing, fault=self.mutator) as proxy:
            lines = Lines()
            await asyncio.gather(*(s.run(proxy.port, lines, frames) for s in self.stations))


async def spoil(kind: Kind, units: int, frames: int, lines: int = 8) -> list[Line]:
    """Let ``lines`` wires at once spoil ``frames`` frames in all, and return them."""
    made = [Line(kind, units, units * i, 1000 * (i + 1)) for i in range(lines)]
    stations = [s for line in made for s in line.stations]
    devices: dict[str, DeviceSettings] = {s.name: s.settings for s in stations}
    async with (
        nothing_left(),
        PlantServer(devices, {s.name: s.ledger for s in stations}, 0.0),
    ):
        await asyncio.gather(*(line.run(-(-frames // lines)) for line in made))
    return made


@pytest.mark.parametrize(
    ("kind", "units", "frames"),
    [
        pytest.param(TCP_KIND, 1, 1_000, id="tcp"),
        pytest.param(TCP_KIND, 3, 300, id="tcp, 3 units"),
        pytest.param(RTU_KIND, 1, 500, id="rtu"),
        pytest.param(RTU_KIND, 3, 200, id="rtu, 3 units"),
        pytest.param(TCP_KIND, 1, 60_000, id="tcp, many", marks=pytest.mark.long),
        pytest.param(TCP_KIND, 3, 15_000, id="tcp, 3 units, many", marks=pytest.mark.long),
        pytest.param(RTU_KIND, 1, 20_000, id="rtu, many", marks=pytest.mark.long),
        pytest.param(RTU_KIND, 3, 5_000, id="rtu, 3 units, many", marks=pytest.mark.long),
    ],
)
async def test_no_spoiled_frame_crashes_leaks_or_is_taken_as_good(
    kind: Kind, units: int, frames: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "pymodbus")  # the server has much to say about its requests
    lines = await spoil(kind, units, frames)
    stations = [s for line in lines for s in line.stations]
    assert [w for s in stations for w in s.wrong] == []
    assert sum(line.mutator.count for line in lines) >= frames
    assert sum(s.good for s in stations) > 0.1 * frames  # it comes back every time
    assert sum(s.refused for s in stations) > 0.3 * frames
