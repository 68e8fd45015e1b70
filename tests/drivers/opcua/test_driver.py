"""The OPC UA driver against a server at the level of DataValues."""

import math
from collections.abc import Sequence

import pytest

from drivers.driver import DeviceError, Identity
from drivers.opcua import DataValue, Info, Link, LinkError, Node, OpcUaDriver
from drivers.opcua.driver import ADVANCE
from drivers.opcua.units import Description
from drivers.point import Quality, RangeError, Sample, Tag

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
        self.time: float | None = None
        self.described: dict[str, Description] = {}

    async def describe(self, nodes: Sequence[str]) -> Sequence[Description]:
        return [self.described.get(n, Description()) for n in nodes]

    def server_time(self) -> float | None:
        return self.time

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


async def one(driver: OpcUaDriver, server: Server, value: DataValue) -> Sample:
    server.values[FLOW.node] = value
    return (await driver.read())["R1.air_flow"]


@pytest.mark.parametrize("given", ["2.5", [2.5], None, b"2.5", (2.5,), {}, math.inf, 2.5j])
async def test_what_is_no_number_is_bad(driver: OpcUaDriver, server: Server, given: object) -> None:
    sample = await one(driver, server, DataValue(given))
    assert sample.quality is Quality.BAD
    assert math.isnan(sample.value)


async def test_a_stamp_in_the_future_of_the_server_is_uncertain(
    driver: OpcUaDriver, server: Server
) -> None:
    now = Now().now()
    for server_time, stamp, quality in (
        (None, now + 4.9, Quality.GOOD),
        (None, now + 5.1, Quality.UNCERTAIN),
        (now - 100, now - 100, Quality.GOOD),  # its clock is wrong, its value is new
        (now - 100, now - 94, Quality.UNCERTAIN),
        (now + 100, now + 100, Quality.GOOD),
    ):
        server.time = server_time
        sample = await one(driver, server, DataValue(2.5, 0, stamp))
        assert (sample.quality, sample.time) == (quality, now)


async def test_a_clock_that_is_off_is_warned_of(driver: OpcUaDriver, server: Server) -> None:
    server.time = Now().now() - 4.0
    await driver.read()
    assert not driver.warnings()
    server.time = Now().now() - 90.0
    await driver.read()
    (warning,) = driver.warnings()
    assert warning.startswith("the server's clock is 90 s behind ours; let both follow one time")


async def test_a_source_older_than_its_tag_allows_is_uncertain_and_then_bad(
    server: Server,
) -> None:
    driver = OpcUaDriver("R1-gas", [Node(FLOW.tag, FLOW.node, max_age_s=10.0)], server, Now())
    server.time = Now().now() + 50.0  # age counts by the server's own clock
    for age, quality in (
        (9.0, Quality.GOOD),
        (11.0, Quality.UNCERTAIN),
        (21.0, Quality.BAD),
        (None, Quality.UNCERTAIN),  # it does not say
    ):
        stamp = None if age is None else server.time - age
        assert (await one(driver, server, DataValue(2.5, 0, stamp))).quality is quality


async def test_stamps_follow_a_clock_that_begins_to_follow_a_simulated_plant(
    server: Server,
) -> None:
    clock = Now()
    driver = OpcUaDriver("R1-gas", [FLOW], server, clock)
    assert (await driver.read())[FLOW.tag.name].time == 50.0
    clock.time = 20.0
    assert (await driver.read())[FLOW.tag.name].time == 20.0


async def test_the_last_usable_value_is_usable_for_five_seconds(server: Server) -> None:
    clock = Now()
    driver = OpcUaDriver("R1-gas", [FLOW], server, clock)
    stale = DataValue(2.5, 0x408F0000)  # UncertainNoCommunicationLastUsableValue
    began = clock.time
    for after, quality in ((0.0, Quality.UNCERTAIN), (5.0, Quality.UNCERTAIN), (5.1, Quality.BAD)):
        clock.time = began + after
        assert (await one(driver, server, stale)).quality is quality
    assert (await one(driver, server, DataValue(2.5))).quality is Quality.GOOD
    assert (await one(driver, server, stale)).quality is Quality.UNCERTAIN


async def test_a_unit_that_contradicts_makes_the_tag_bad_and_unwritable(server: Server) -> None:
    server.described = {
        AIR.node: Description("m³/h", "m3/h"),
        FLOW.node: Description("L/min", "L/min", (0.0, 20.0)),
    }
    driver = OpcUaDriver("R1-gas", [FLOW, AIR], server, Now())
    server.connections = 1
    samples = await driver.read()
    assert samples["R1.air"].quality is Quality.BAD
    assert samples["R1.air_flow"].quality is Quality.GOOD
    wrong, range_ = driver.warnings()
    assert wrong == (
        "R1.air: the server gives it in m³/h, the plant file in L/min; it is BAD until they agree"
    )
    assert range_ == ("R1.air_flow: the server's range is 0 to 20, the plant file's 0 to 12 L/min")
    with pytest.raises(DeviceError, match=r"R1\.air is not written: the server gives it in m³/h"):
        await driver.write({"R1.air": 2.0})
    assert not server.written
    server.described[AIR.node] = Description("l/min", "L/min", (0.0, 10.0))
    server.connections = 2  # the server was set right and started again
    assert (await driver.read())["R1.air"].quality is Quality.GOOD
    assert len(driver.warnings()) == 1


async def test_the_wrong_device_is_refused_until_it_is_the_right_one(server: Server) -> None:
    serial, version = "nsu=urn:plant;s=serial", "nsu=urn:plant;s=version"
    info = [Info("serial number", serial, "A-17"), Info("firmware", version)]
    driver = OpcUaDriver("R1-gas", [FLOW], server, Now(), info=info)
    server.connections = 1
    server.values |= {serial: DataValue("B-18"), version: DataValue(3)}
    for ask in (driver.identify, driver.read):
        with pytest.raises(DeviceError, match=r"serial number is 'B-18', not 'A-17'; the right d"):
            await ask()
    server.values[serial] = DataValue("A-17")
    assert (await driver.identify()).info == {"serial number": "A-17", "firmware": "3"}
    assert (await driver.read())["R1.air_flow"].quality is Quality.GOOD


async def test_raw_is_what_the_server_gave(driver: OpcUaDriver, server: Server) -> None:
    assert driver.raw() == {}
    await one(driver, server, DataValue(99.0, 0x808C0000))
    assert driver.raw() == {"R1.air_flow": "99.0 BadSensorFailure", "R1.air": "1.0 Good"}
