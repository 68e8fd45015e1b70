"""Values that a real server sends of itself; and what is done when it does not."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import pytest
import pytest_asyncio
from asyncua import ua
from asyncua.ua.status_codes import StatusCodes

from drivers.clock import SystemClock, monotonic
from drivers.driver import DeviceError
from drivers.opcua import Node, OpcUaDriver
from drivers.opcua.link import OpcUaLink
from drivers.point import Quality, Sample
from tests.drivers.opcua.served import Plant, double, node, saying, through
from tests.drivers.proxy import Proxy, untouched

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.real_time]
INTERVAL_S = 0.05
NODES = [node("d"), node("f"), node("i", safe=0), node("x")]  # the last one does not exist


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plant() -> AsyncIterator[Plant]:
    served = Plant()
    await served.start()
    yield served
    await served.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def proxy(plant: Plant) -> AsyncIterator[Proxy]:
    async with Proxy(plant.port) as standing:
        yield standing


@pytest_asyncio.fixture(loop_scope="module")
async def link(proxy: Proxy) -> AsyncIterator[OpcUaLink]:
    tcp = OpcUaLink(through(proxy), 20.0, insecure=True)  # a busy machine is no failure
    yield tcp
    await tcp.close()
    assert not [t for t in asyncio.all_tasks() if "publish" in str(t.get_coro())]


def driver(link: OpcUaLink, nodes: list[Node] | None = None) -> OpcUaDriver:
    return OpcUaDriver("R1-gas", nodes or NODES, link, SystemClock(), subscribe_s=INTERVAL_S)


class Counting:
    """Counts the read requests that leave a link."""

    def __init__(self, link: OpcUaLink, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reads = 0
        really = link._read  # pyright: ignore[reportPrivateUsage] (the one way to a read)

        async def read(client: Any, nodes: tuple[str, ...]) -> Any:
            self.reads += 1
            return await really(client, nodes)

        monkeypatch.setattr(link, "_read", read)


async def until(
    driver: OpcUaDriver, arrived: Callable[[dict[str, Sample]], bool]
) -> dict[str, Sample]:
    """Return the samples with which it had arrived; a failed read on the way is none."""
    ended = monotonic() + 20
    while monotonic() < ended:
        with suppress(DeviceError):
            samples = await driver.read()
            if arrived(samples):
                return samples
        await asyncio.sleep(0.005)
    raise TimeoutError("it did not arrive within 20 s")


def equal(name: str, value: float) -> Callable[[dict[str, Sample]], bool]:
    return lambda samples: samples[name].value == value


async def failure(driver: OpcUaDriver, within_s: float) -> str:
    """Return what the driver says when it fails at last."""
    ended = monotonic() + within_s
    while monotonic() < ended:
        try:
            await driver.read()
        except DeviceError as error:
            return str(error)
        await asyncio.sleep(0.01)
    raise TimeoutError(f"it did not fail within {within_s:g} s")


async def test_changes_arrive_without_being_asked_for(
    plant: Plant, link: OpcUaLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    await plant.put("d", double(1.0))
    gas = driver(link)
    first = await gas.read()
    assert (first["R1.d"].value, first["R1.x"].quality) == (1.0, Quality.BAD)
    counted = Counting(link, monkeypatch)
    for value, status, quality in (
        (2.5, 0, Quality.GOOD),
        (3.5, 0x40930000, Quality.UNCERTAIN),
        (4.5, 0, Quality.GOOD),
    ):
        await plant.put("d", double(value, status))
        samples = await until(gas, equal("R1.d", value))
        assert samples["R1.d"].quality is quality
        assert samples["R1.x"].quality is Quality.BAD
        assert samples["R1.i"].quality is Quality.GOOD
    await plant.put("d", double(5.5, 0x808C0000))
    await until(gas, lambda samples: samples["R1.d"].quality is Quality.BAD)
    assert counted.reads == 0
    assert not gas.warnings()


async def test_a_value_that_does_not_change_stays_good_while_the_server_lives(
    plant: Plant, link: OpcUaLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    await plant.put("d", double(7.0))
    gas = driver(link)
    await gas.read()
    link._timeout_s = 1.0  # pyright: ignore[reportPrivateUsage] (the bound of silence is 1.15 s)
    counted = Counting(link, monkeypatch)
    ended = monotonic() + 1.5
    while monotonic() < ended:
        sample = (await gas.read())["R1.d"]
        assert (sample.value, sample.quality) == (7.0, Quality.GOOD)
        assert SystemClock().now() - sample.time < 1.2
        await asyncio.sleep(0.02)
    assert counted.reads <= 1  # keep-alives arrive; a stall of the machine may cost one question


async def test_an_actuator_is_read_back_by_asking(plant: Plant, link: OpcUaLink) -> None:
    gas = driver(link)
    await gas.read()
    assert (await gas.write({"R1.i": 9}))["R1.i"].value == 9.0
    await until(gas, equal("R1.i", 9.0))


async def test_a_silent_server_is_asked_and_fails_like_a_read(
    plant: Plant, proxy: Proxy, link: OpcUaLink
) -> None:
    """The server freezes: its last values are good for the bound, and then for nothing."""
    gas = driver(link)
    await gas.read()
    link._timeout_s = 0.3  # pyright: ignore[reportPrivateUsage] (nothing will answer now)
    await proxy.freeze()
    assert "no reply to 4 nodes within 0.3 s" in await failure(gas, 5.0)
    await proxy.thaw()
    await plant.put("d", double(11.0))
    link._timeout_s = 20.0  # pyright: ignore[reportPrivateUsage]
    await until(gas, equal("R1.d", 11.0))
    await plant.put("d", double(12.0))
    await until(gas, equal("R1.d", 12.0))  # and it sends again


@pytest.mark.parametrize("how", ["deleted", "gap"])
async def test_a_lost_subscription_is_made_anew(
    plant: Plant, link: OpcUaLink, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    gas = driver(link)
    await gas.read()
    assert plant.server is not None
    lost = link._subscription  # pyright: ignore[reportPrivateUsage]
    assert lost is not None
    if how == "deleted":
        link._timeout_s = 0.2  # pyright: ignore[reportPrivateUsage] (then silence is seen soon)
        monkeypatch.setattr("drivers.opcua.subscription._LATE_S", 0.0)
        service = plant.server.iserver.subscription_service
        await service.delete_subscriptions(list(service.subscriptions))
    else:
        lost._sequence = 77  # pyright: ignore[reportPrivateUsage] (a message was missed)
        await plant.put("d", double(76.0))

    def remade(samples: dict[str, Sample]) -> bool:
        assert samples["R1.f"].quality is Quality.GOOD
        return link._subscription is not lost  # pyright: ignore[reportPrivateUsage]

    await until(gas, remade)
    link._timeout_s = 20.0  # pyright: ignore[reportPrivateUsage]
    await plant.put("d", double(13.0 if how == "gap" else 14.0))
    await until(gas, equal("R1.d", 13.0 if how == "gap" else 14.0))


@pytest.mark.parametrize("service", ["create_subscription", "create_monitored_items"])
async def test_a_server_without_subscriptions_is_read_and_says_so(
    plant: Plant, link: OpcUaLink, monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    assert plant.server is not None
    status = StatusCodes.BadTooManySubscriptions

    async def refuse(*_: Any, **__: Any) -> None:
        raise ua.UaStatusCodeError(status)

    subscriptions = plant.server.iserver.subscription_service
    monkeypatch.setattr(subscriptions, service, refuse)
    gas = driver(link)
    await gas.read()
    (warning,) = gas.warnings()
    assert "refuses subscriptions" in warning
    assert "it is read instead" in warning
    for value in (21.0, 22.0):
        await plant.put("d", double(value))
        assert (await gas.read())["R1.d"].value == value


async def test_a_namespace_that_does_not_exist_is_bad_and_no_obstacle(link: OpcUaLink) -> None:
    nodes = [NODES[0], Node(NODES[1].tag, "nsu=urn:nobody;s=f")]
    gas = driver(link, nodes)
    for _ in range(3):
        samples = await gas.read()
        assert samples["R1.d"].quality is Quality.GOOD
        assert samples["R1.f"].quality is Quality.BAD
        await asyncio.sleep(INTERVAL_S)


async def test_a_killed_server_fails_at_once(link: OpcUaLink, proxy: Proxy) -> None:
    gas = driver(link)
    await gas.read()
    proxy.fault = saying(b"x" * 8)
    await proxy.cut()
    assert await failure(gas, 5.0)
    proxy.fault = untouched
    await until(gas, lambda samples: samples["R1.d"].quality is Quality.GOOD)
