"""An OPC UA stack that nobody here wrote: node-opcua, installed from its lock file."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.serialization import Encoding

from drivers.clock import SystemClock, monotonic
from drivers.driver import DeviceError
from drivers.opcua import LinkError, Node, OpcUaDriver
from drivers.opcua.browse import browse
from drivers.opcua.certificates import der, make, write_key
from drivers.opcua.link import OpcUaLink
from drivers.opcua.security import Login, Security
from drivers.point import Quality, Tag
from tests.drivers.opcua.node_peer import NODE, PEER, install
from tests.drivers.opcua.served import free_port

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.real_time]

URI, NAMESPACE = "urn:test:peer", "urn:test:plant"
TEMPERATURE = Node(Tag("R1.temperature", "Cel", 0, 150), f"nsu={NAMESPACE};s=temperature")
AIR = Node(Tag("R1.air", "L/min", 0, 10, safe=1), f"nsu={NAMESPACE};s=air")
PROBE = Node(Tag("R1.ph", "[pH]", 0, 14), f"nsu={NAMESPACE};s=probe")


@dataclass
class Peer:
    """The other stack's server, and our own files to speak to it."""

    process: asyncio.subprocess.Process
    url: str
    folder: Path

    def security(self, policy: str = "Basic256Sha256") -> Security:
        ours, key = self.folder / "ours.der", self.folder / "ours.pem"
        return Security(policy, str(ours), str(key), str(self.folder / "trusted"), URI)


async def _until_ready(output: asyncio.StreamReader) -> AsyncIterator[bytes]:
    async for line in output:
        yield line
        if line.startswith(b'{"ready"'):
            return


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def peer(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Peer]:
    install()
    folder = tmp_path_factory.mktemp("peer")
    (folder / "trusted").mkdir()
    key, certificate = make("urn:test:fermloop", ["127.0.0.1"])
    (folder / "ours.der").write_bytes(der(certificate))
    write_key(folder / "ours.pem", key)
    key, certificate = make(URI, ["127.0.0.1"])
    (folder / "peer.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "trusted" / "peer.der").write_bytes(der(certificate))
    write_key(folder / "peer.key.pem", key)
    files = [str(folder / name) for name in ("peer.pem", "peer.key.pem", "pki")]
    process = await asyncio.create_subprocess_exec(
        *(NODE, str(PEER / "server.js"), str(free_port()), *files),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(120):
            lines = [line async for line in _until_ready(process.stdout)]
        yield Peer(process, json.loads(lines[-1])["ready"], folder)
    finally:
        process.kill()
        await process.communicate()


@pytest.mark.parametrize(
    "policy", [None, "Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"]
)
async def test_it_is_read_written_and_described(peer: Peer, policy: str | None) -> None:
    link = OpcUaLink(
        peer.url,
        20.0,
        security=peer.security(policy) if policy else None,
        login=Login(user="fermloop", password="s3cret") if policy else None,
        insecure=policy is None,
    )
    driver = OpcUaDriver("R1-gas", [TEMPERATURE, AIR, PROBE], link, SystemClock())
    samples = await driver.read()
    assert (samples["R1.temperature"].value, samples["R1.temperature"].quality) == (
        37.25,
        Quality.GOOD,
    )
    assert samples["R1.ph"].quality is Quality.BAD
    assert driver.raw()["R1.ph"].endswith("BadSensorFailure")
    assert (await driver.write({"R1.air": 2.5}))["R1.air"].value == 2.5
    assert not driver.warnings()
    await link.close()


async def test_a_unit_that_contradicts_is_seen(peer: Peer) -> None:
    link = OpcUaLink(peer.url, 20.0, insecure=True)
    kelvin = Node(Tag("R1.temperature", "K", 0, 500), TEMPERATURE.node)
    driver = OpcUaDriver("R1-gas", [kelvin], link, SystemClock())
    assert (await driver.read())["R1.temperature"].quality is Quality.BAD
    assert "the server gives it in °C, the plant file in K" in driver.warnings()[0]
    await link.close()


async def test_it_sends_what_changes_and_stays_silent_when_frozen(peer: Peer) -> None:
    link = OpcUaLink(peer.url, 20.0, insecure=True)
    driver = OpcUaDriver("R1-gas", [TEMPERATURE, AIR], link, SystemClock(), subscribe_s=0.1)
    await driver.read()
    await driver.write({"R1.air": 3.5})
    ended = monotonic() + 20
    while (samples := await driver.read())["R1.air"].value != 3.5:
        assert monotonic() < ended
        await asyncio.sleep(0.02)
    assert samples["R1.temperature"].quality is Quality.GOOD
    assert not driver.warnings()  # PublishTime is null in this stack: no clock to judge by
    link._timeout_s = 0.5  # pyright: ignore[reportPrivateUsage] (nothing will answer now)
    peer.process.send_signal(signal.SIGSTOP)
    with pytest.raises(DeviceError, match="no reply"):  # noqa: PT012 (how many reads are good is open)
        while True:
            await driver.read()
            await asyncio.sleep(0.05)
    peer.process.send_signal(signal.SIGCONT)
    link._timeout_s = 20.0  # pyright: ignore[reportPrivateUsage]
    link._retry_at = 0.0  # pyright: ignore[reportPrivateUsage]
    assert (await driver.read())["R1.air"].value == 3.5
    await link.close()


async def test_it_can_be_browsed(peer: Peer) -> None:
    link = OpcUaLink(peer.url, 20.0, security=peer.security())
    found = {f.node: f async for f in browse(link)}
    await link.close()
    temperature = found[TEMPERATURE.node]
    assert (temperature.type, temperature.value, temperature.described.ucum) == (
        "Double",
        37.25,
        "Cel",
    )
    assert temperature.described.eu_range == (0.0, 150.0)
    assert found[AIR.node].writable


async def test_a_wrong_password_and_a_stranger_are_refused(peer: Peer, tmp_path: Path) -> None:
    wrong = Login(user="fermloop", password="guess")
    link = OpcUaLink(peer.url, 20.0, security=peer.security(), login=wrong)
    with pytest.raises(LinkError, match=r"\(login\)"):
        await link.read([AIR.node])
    await link.close()
    ours, key = str(peer.folder / "ours.der"), str(peer.folder / "ours.pem")
    (tmp_path / "nobody").mkdir()
    stranger = Security("Basic256Sha256", ours, key, str(tmp_path / "nobody"))
    link = OpcUaLink(peer.url, 20.0, security=stranger)
    with pytest.raises(LinkError, match="is not trusted"):
        await link.read([AIR.node])
    await link.close()
