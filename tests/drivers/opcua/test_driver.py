"""The OPC UA driver against a server at the level of DataValues."""

import math
from collections.abc import Sequence

import pytest

from drivers.driver import DeviceError, Identity
from drivers.opcua import DataValue, Link, LinkError, Node, OpcUaDriver
from drivers.opcua.driver import ADVANCE
from drivers.point import Quality, RangeError, Tag

FLOW = Node(Tag("R1.air_flow", "L/min", 0, 12), "nsu=urn:plant;s=air_flow")
AIR = Node(Tag("R1.air", "L/min", 0, 10, 1), "nsu=urn:plant;s=air")
UNKNOWN = DataValue(None, 0x80340000)


class Now:
    time = 50.0

    def now(self) -> float:
        return self.time

    async def sleep_until(self, deadline: float) -> None:
        self.time = max(self.time, deadline)


class Server(Link):
    """An OPC UA server: nodes with DataValues, writes that take or do not."""

    address = "opc.tcp://10.0.0.13:4840"

    def __init__(self) -> None:
        self.values = {FLOW.node: DataValue(2.5), AIR.node: DataValue(1.0)}
        self.status = 0
        self.deaf = False
        self.error: LinkError | None = None
        self.calls: list[tuple[str, float]] = []
        self.written: list[tuple[str, float]] = []

    async def read(self, nodes: Sequence[str]) -> Sequence[DataValue]:
        if self.error is not None:
            raise self.error
        return [self.values.get(n, UNKNOWN) for n in nodes]

    async def write(self, nodes: Sequence[str], values: Sequence[float]) -> Sequence[int]:
        self.written += zip(nodes, values, strict=True)
        if not self.status and not self.deaf:
            self.values |= {n: DataValue(v) for n, v in zip(nodes, values, strict=True)}
        return [self.status] * len(nodes)

    async def call(self, method: str, argument: float, timeout_s: float) -> int:
        self.calls.append((method, argument))
        return self.status

    async def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def driver(server: Server) -> OpcUaDriver:
    return OpcUaDriver("R1-gas", [FLOW, AIR], server, Now())


@pytest.mark.parametrize(
    ("given", "quality", "value"),
    [
        (DataValue(2.5), Quality.GOOD, 2.5),
        (DataValue(2.5, 0x00A60000), Quality.GOOD, 2.5),  # GoodClamped
        (DataValue(2), Quality.GOOD, 2.0),  # an Int32 node
        (DataValue(12.0000004768), Quality.GOOD, 12.0),  # a Float at its bound
        (DataValue(2.5, 0x408F0000), Quality.UNCERTAIN, 2.5),  # UncertainLastUsableValue
        (DataValue(2.5, 0x80000000), Quality.BAD, None),
        (DataValue(2.5, 0xC0000000), Quality.BAD, None),  # a severity that is reserved
        (DataValue(math.nan), Quality.BAD, None),
        (DataValue(math.inf), Quality.BAD, None),
        (DataValue(12.1), Quality.BAD, None),
        (DataValue(-0.1, 0x40000000), Quality.BAD, None),
        (DataValue(None), Quality.BAD, None),
        (DataValue("2.5"), Quality.BAD, None),
        (DataValue([2.5]), Quality.BAD, None),
        (UNKNOWN, Quality.BAD, None),
    ],
)
async def test_status_and_value_become_quality(
    driver: OpcUaDriver, server: Server, given: DataValue, quality: Quality, value: float | None
) -> None:
    server.values[FLOW.node] = given
    sample = (await driver.read())["R1.air_flow"]
    assert (sample.quality, sample.time) == (quality, 50.0)
    assert math.isnan(sample.value) if value is None else sample.value == value


async def test_a_write_is_read_back(driver: OpcUaDriver, server: Server) -> None:
    held = await driver.write({"R1.air": 3.3})
    assert held["R1.air"].value == 3.3
    server.deaf = True
    with pytest.raises(DeviceError, match=r"R1\.air reads back 3\.3 L/min .* after 4 was written"):
        await driver.write({"R1.air": 4})
    server.values[AIR.node] = DataValue(4.0, 0x80000000)
    with pytest.raises(DeviceError, match="with status 0x80000000 after 4"):
        await driver.write({"R1.air": 4})


async def test_a_float_node_may_round_what_it_holds(driver: OpcUaDriver, server: Server) -> None:
    server.deaf = True
    server.values[AIR.node] = DataValue(3.299999952316284)  # 3.3 as a Float
    assert (await driver.write({"R1.air": 3.3}))["R1.air"].quality is Quality.GOOD


@pytest.mark.parametrize(
    ("name", "value"), [("R1.air", 10.1), ("R1.air", math.nan), ("R1.air_flow", 1), ("R1.x", 1)]
)
async def test_a_refused_write_writes_nothing(
    driver: OpcUaDriver, server: Server, name: str, value: float
) -> None:
    with pytest.raises(RangeError, match=name):
        await driver.write({name: value})
    assert server.written == []


async def test_a_bad_status_to_a_write_is_an_error(driver: OpcUaDriver, server: Server) -> None:
    server.status = 0x803B0000
    with pytest.raises(DeviceError, match=r"status 0x803B0000 to a write of R1\.air"):
        await driver.write({"R1.air": 2})


async def test_silence_names_what_was_asked(driver: OpcUaDriver, server: Server) -> None:
    await driver.read()
    server.error = LinkError("no reply to {what} within 1 s")
    with pytest.raises(DeviceError) as error:
        await driver.read()
    assert str(error.value) == (
        "R1-gas at opc.tcp://10.0.0.13:4840: no reply to 2 nodes within 1 s (last good 0.0 s ago)"
    )


async def test_only_our_simulator_has_a_pace(driver: OpcUaDriver, server: Server) -> None:
    assert await driver.identify() == Identity()
    with pytest.raises(DeviceError, match="is no simulator in lock-step"):
        await driver.advance(1.0)
    simulator = "nsu=urn:fermloop:simulator;s="
    server.values |= {f"{simulator}speed": DataValue(0.0), f"{simulator}plant_time": DataValue(9.0)}
    assert await driver.identify() == Identity("fermloop simulator", 0.0, 9.0)
    await driver.advance(10.0)
    assert server.calls == [(ADVANCE, 10.0)]
    assert await driver.heartbeat(1)


@pytest.mark.parametrize("node", ["", "s=air", "ns=2;s=air", "nsu=urn:plant", "nsu=urn:plant;x=1"])
def test_a_node_without_a_lasting_address_is_refused(node: str) -> None:
    with pytest.raises(ValueError, match=r"R1\.air_flow: .* is no node id"):
        Node(FLOW.tag, node)


def test_two_tags_on_one_node_are_refused(server: Server) -> None:
    with pytest.raises(ValueError, match=r"already taken by R1\.air"):
        OpcUaDriver("R1-gas", [AIR, Node(FLOW.tag, AIR.node)], server, Now())
