"""Whatever DataValues a server gives, the driver makes samples of them that may be trusted.

200 000 in the long run, 4 000 in the normal one; the same ones every time.
"""

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from drivers.clock import SystemClock
from drivers.driver import DeviceError
from drivers.opcua import DataValue, Node, OpcUaDriver
from drivers.opcua.node import Link
from drivers.point import Quality, Tag

TAGS = [
    Tag("R1.ph", "[pH]", 0, 14),
    Tag("R1.t", "Cel", -40, 150),
    Tag("R1.level", "1", 0, 1),
    Tag("R1.rate", "L/h", 0, 1e6),
]
# As OPC UA Part 4 lists them: severity Good, Uncertain, Bad, and the fourth that nobody uses.
CODES = (0, 0x00960000, 0x00A50000, 0x40900000, 0x40920000, 0x808C0000, 0x80310000, 0xC0000000)


class Far(Link):
    """A server that gives what the test says."""

    address = "opc.tcp://far:1"

    def __init__(self) -> None:
        self.value: Callable[[], DataValue] = lambda: DataValue(None)

    async def read(self, nodes: Sequence[str]) -> Sequence[DataValue]:
        return [self.value() for _ in nodes]

    async def write(self, nodes: Sequence[str], values: Sequence[float]) -> Sequence[int]:
        return [0] * len(nodes)

    async def call(self, method: str, argument: float, timeout_s: float) -> int:
        return 0

    async def close(self) -> None: ...


def anything(random: Random) -> Any:
    """Return what a Variant may hold, most often a number."""
    number = random.choice((0.0, 1.0, 7.0, 14.0, -40.0, 150.0, 1e6))
    return random.choice(
        (
            random.uniform(-50, 160),
            random.uniform(-50, 160),
            number,
            math.nextafter(number, random.choice((-math.inf, math.inf))),
            number * (1 + random.choice((1e-7, -1e-7, 1e-3))),
            *(math.nan, math.inf, -math.inf, 1e308, -0.0, 5e-324),
            *(0, 1, 7, -1, 2**63 - 1, 2**64 - 1, -(2**63)),
            *(True, False, None, "7.0", "", b"7", [7.0], [], datetime(2026, 1, 1, tzinfo=UTC)),
        )
    )


def anyhow(random: Random, now: float) -> DataValue:
    """Return any value with any status and any stamp."""
    status = random.choice((0, 0, 0, *CODES, random.getrandbits(32)))
    stamps = (None, now, now - 1e4, now + 1e4, -1.0, 0.0, 1e11)
    return DataValue(anything(random), status, random.choice(stamps))


@pytest.mark.parametrize(
    "count", [1_000, pytest.param(50_000, marks=pytest.mark.long)], ids=["few", "many"]
)
async def test_a_good_sample_is_a_finite_number_in_range_with_a_good_status(count: int) -> None:
    random, far, clock = Random(3), Far(), SystemClock()
    nodes = [Node(t, f"nsu=urn:far;s={t.name}") for t in TAGS]
    driver = OpcUaDriver("far", nodes, far, clock)
    given: list[DataValue] = []

    def give() -> DataValue:
        given.append(anyhow(random, clock.now()))
        return given[-1]

    far.value = give
    good = 0
    for _ in range(count):
        given.clear()
        samples = await driver.read()
        for tag, was in zip(TAGS, given, strict=True):
            s = samples[tag.name]
            assert math.isnan(s.value) == (s.quality is Quality.BAD), was
            if s.quality is Quality.BAD:
                continue
            assert isinstance(was.value, int | float), was
            assert s.value in tag, was
            assert s.value == pytest.approx(float(was.value), abs=2e-7 * max(abs(tag.high), 1)), was
            assert was.status >> 30 < 2, was
            assert s.quality is Quality.UNCERTAIN or was.status >> 30 == 0, was
            good += s.quality is Quality.GOOD
    assert good > 0.1 * count


@pytest.mark.parametrize(
    "count", [200, pytest.param(10_000, marks=pytest.mark.long)], ids=["few", "many"]
)
async def test_no_answer_to_who_are_you_makes_it_crash(count: int) -> None:
    random, far = Random(4), Far()
    far.value = lambda: DataValue(anything(random), random.choice((0, 0, 0, 0x80340000)))
    driver = OpcUaDriver("far", [Node(TAGS[0], "nsu=urn:far;s=ph")], far, SystemClock())
    for _ in range(count):
        try:
            identity = await driver.identify()
        except DeviceError:
            continue
        if identity.simulated:
            assert math.isfinite(identity.speed)
            assert identity.speed >= 0
            assert math.isfinite(identity.plant_time or 0.0)
