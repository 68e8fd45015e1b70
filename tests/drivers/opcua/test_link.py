"""The OPC UA link against real asyncua servers on loopback."""

import asyncio
import math
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, cast

import pytest
import pytest_asyncio
from asyncua import ua
from asyncua.ua.object_ids import ObjectIds

from drivers.clock import SystemClock, monotonic
from drivers.driver import DeviceError
from drivers.opcua import LinkError, OpcUaDriver
from drivers.opcua.link import OpcUaLink
from drivers.point import Quality
from tests.drivers.opcua.served import Plant, double, node, saying, through
from tests.drivers.proxy import Proxy, untouched

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.real_time]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plant() -> AsyncIterator[Plant]:
    """One server for all that only read and write: it takes a second of CPU to start."""
    served = Plant()
    await served.start()
    yield served
    await served.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def link(plant: Plant) -> AsyncIterator[OpcUaLink]:
    tcp = OpcUaLink(plant.url, 20.0, insecure=True)  # a busy machine is no failure
    yield tcp
    await tcp.close()
    assert not [t for t in asyncio.all_tasks() if "OPC UA" in t.get_name()]


async def test_quality_comes_with_every_value(plant: Plant, link: OpcUaLink) -> None:
    driver = OpcUaDriver(
        "R1-gas", [node("d"), node("f"), node("i"), node("x")], link, SystemClock()
    )
    for value, status, quality in [
        (2.5, 0, Quality.GOOD),
        (2.5, 0x40900000, Quality.UNCERTAIN),
        (2.5, 0x808C0000, Quality.BAD),
        (math.nan, 0, Quality.BAD),
        (100.5, 0, Quality.BAD),
        (3.5, 0, Quality.GOOD),
    ]:
        await plant.put("d", double(value, status))
        samples = await driver.read()
        assert samples["R1.d"].quality is quality
        if quality is not Quality.BAD:
            assert samples["R1.d"].value == value
        assert samples["R1.i"].value == samples["R1.f"].value == 1.0
        assert samples["R1.x"].quality is Quality.BAD  # no such node


async def test_a_write_is_sent_in_the_nodes_own_type(plant: Plant, link: OpcUaLink) -> None:
    nodes = [node("d", safe=0), node("f", safe=0), node("i", safe=0)]
    driver = OpcUaDriver("R1-gas", nodes, link, SystemClock())
    held = await driver.write({"R1.d": 3.3, "R1.f": 3.3, "R1.i": 3})
    assert held["R1.d"].value == 3.3
    assert held["R1.f"].value == pytest.approx(3.3, rel=1e-6)
    assert held["R1.i"].value == 3.0
    with pytest.raises(DeviceError, match=r"R1\.i reads back 3 1 .* after 3\.4 was written"):
        await driver.write({"R1.i": 3.4})


async def test_the_source_time_is_in_seconds_utc(plant: Plant, link: OpcUaLink) -> None:
    stamp = datetime(2026, 3, 1, tzinfo=UTC)
    await plant.put("d", ua.DataValue(ua.Variant(1.0), SourceTimestamp=cast(ua.DateTime, stamp)))
    (value,) = await link.read([node("d").node])
    assert value.source_time == stamp.timestamp()
    null = datetime(1601, 1, 1, tzinfo=UTC)  # no time at all
    await plant.put("d", ua.DataValue(ua.Variant(1.0), SourceTimestamp=cast(ua.DateTime, null)))
    assert (await link.read([node("d").node]))[0].source_time is None


async def read_again(driver: OpcUaDriver) -> float:
    """Return the value of R1.d once the driver has found its server again."""
    while True:
        try:
            return (await driver.read())["R1.d"].value
        except DeviceError:
            await asyncio.sleep(0.01)


async def test_a_namespace_that_does_not_exist_is_an_unknown_node(link: OpcUaLink) -> None:
    strange = "nsu=urn:nobody;s=d"
    values = await link.read([strange, node("d").node])
    assert (values[0].status, values[1].status) == (0x80340000, 0)
    assert await link.write([strange, node("d").node], [1, 2]) == [0x80340000, 0]
    assert await link.call(strange, 1.0, 20.0) == 0x80340000
    assert (await link.read([strange]))[0].value is None


async def test_a_server_that_freezes_and_thaws_is_read_again(plant: Plant) -> None:
    async with Proxy(plant.port) as proxy:
        link = OpcUaLink(through(proxy), 20.0, insecure=True)
        driver = OpcUaDriver("R1-gas", [node("d")], link, SystemClock())
        await read_again(driver)
        link._timeout_s = 0.2  # pyright: ignore[reportPrivateUsage] (nothing will answer now)
        await proxy.freeze()
        for text in ("no reply to 1 nodes within 0.2 s", "next try in", "no connection within"):
            if text == "no connection within":
                await asyncio.sleep(0.06)
            began = monotonic()
            with pytest.raises(DeviceError, match=text):
                await driver.read()
            assert monotonic() - began < 5
        await proxy.thaw()
        link._timeout_s = 20.0  # pyright: ignore[reportPrivateUsage]
        await read_again(driver)
        await link.close()


async def test_a_connection_that_takes_longer_than_a_call_is_made_all_the_same(
    plant: Plant,
) -> None:
    async with Proxy(plant.port) as proxy:
        link = OpcUaLink(through(proxy), 0.05, insecure=True)
        await proxy.freeze()
        for _ in range(3):
            with pytest.raises(LinkError, match=r"no connection within 0\.05 s"):
                await link.read([node("d").node])
        await proxy.thaw()
        link._timeout_s = 20.0  # pyright: ignore[reportPrivateUsage] (a busy machine is no failure)
        assert len(await link.read([node("d").node])) == 1
        assert proxy.connections == 1
        await link.close()


async def test_rubbish_is_an_error_and_no_crash(plant: Plant) -> None:
    async with Proxy(plant.port) as proxy:
        link = OpcUaLink(through(proxy), 20.0, insecure=True)
        driver = OpcUaDriver("R1-gas", [node("d")], link, SystemClock())
        for rubbish in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"ACKF\x08\0\0\0", b"MSGF" * 9):
            proxy.fault = saying(rubbish)
            with pytest.raises(DeviceError):
                await driver.read()
            link._retry_at = 0.0  # pyright: ignore[reportPrivateUsage]
        proxy.fault = untouched
        await read_again(driver)
        await link.close()


async def test_cancelling_leaves_no_broken_state(plant: Plant, link: OpcUaLink) -> None:
    asked = [node("d").node]
    assert (await link.read(asked))[0].value == 1.0
    for turns in range(6):  # at each step of a request
        task = asyncio.create_task(link.read(asked))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (await link.read(asked))[0].value == 1.0


async def test_calls_at_once_share_one_connection(plant: Plant, link: OpcUaLink) -> None:
    found = await asyncio.gather(*(link.read([node("d").node]) for _ in range(5)))
    assert [v[0].value for v in found] == [1.0] * 5
    await link.close()
    assert (await link.read([node("d").node]))[0].value == 1.0  # it may be used again


async def test_no_request_asks_for_more_than_the_server_allows(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small servers refuse a request for more nodes than they say (BadTooManyOperations)."""
    assert plant.server is not None
    limit = plant.server.get_node(
        ua.NodeId(ua.Int32(ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead))
    )
    before = await limit.read_value()
    await limit.write_value(ua.Variant(2, ua.VariantType.UInt32))
    sizes: list[int] = []
    service = plant.server.iserver.attribute_service
    really = service.read

    def read(parameters: Any) -> list[ua.DataValue]:
        sizes.append(len(parameters.NodesToRead))
        return really(parameters)

    monkeypatch.setattr(service, "read", read)
    for subscribe_s in (None, 0.1):
        link = OpcUaLink(plant.url, 20.0, insecure=True)
        nodes = [node(n) for n in ("d", "f", "i", "x")]
        driver = OpcUaDriver("R1-gas", nodes, link, SystemClock(), subscribe_s=subscribe_s)
        samples = await driver.read()
        assert [s.quality for s in samples.values()] == [Quality.GOOD] * 3 + [Quality.BAD]
        await link.close()
    assert max(sizes) == 2
    await limit.write_value(ua.Variant(before, ua.VariantType.UInt32))
