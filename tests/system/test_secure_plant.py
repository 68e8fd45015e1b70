"""A simulated plant whose OPC UA server is signed and encrypted, as its plant file says."""

import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from controller.devices.devices import build, wire
from controller.plant_file.device_settings import DeviceSettings
from drivers.clock import SystemClock, wall
from drivers.driver import DeviceError, Driver
from drivers.opcua import certificates
from sim.listen import ListenError
from sim.opcua_security import ServedSecurity
from sim.server import PlantServer
from sim.vessel import Vessel
from tests.drivers.opcua.served import free_port
from tests.system.plant_processes import site

pytestmark = pytest.mark.real_time

NODE = "nsu=urn:fermloop:plant;s="


class Files:
    """What an engineer has made before: a client's certificate, a user's, a password."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.trusted = folder / "trusted"
        self.trusted.mkdir()
        for name in ("ours", "person", "stranger"):
            self.pair(name)
        secret = folder / "password"
        secret.touch(mode=0o600)
        secret.write_text("s3cret\n")

    def pair(self, name: str) -> None:
        key, certificate = certificates.make(f"urn:test:{name}", ["127.0.0.1"])
        certificates.write_key(self.folder / f"{name}.pem", key)
        (self.folder / f"{name}.der").write_bytes(certificates.der(certificate))

    def settings(self, policy: str, login: dict[str, str], ours: str = "ours") -> DeviceSettings:
        table: dict[str, Any] = {
            "driver": "opcua",
            "address": f"opc.tcp://127.0.0.1:{free_port()}/fermloop",
            "timeout_s": 10,
            "security": {
                "policy": policy,
                "certificate": str(self.folder / f"{ours}.der"),
                "key": str(self.folder / f"{ours}.pem"),
                "trusted": str(self.trusted),
            },
            "tags": [
                {"name": "R1.weight", "unit": "kg", "low": -1, "high": 10, "node": f"{NODE}w"},
                {
                    "name": "R1.air", "unit": "L/min", "low": 0, "high": 10, "safe": 1,
                    "node": f"{NODE}a",
                },
            ],
        }  # fmt: skip
        return DeviceSettings.model_validate(table | ({"login": login} if login else {}))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("secure"))


@contextlib.asynccontextmanager
async def served(files: Files, settings: DeviceSettings) -> AsyncGenerator[PlantServer]:
    vessel = Vessel("ecoli", "5l", 1, start_time=wall() - 1e5)
    async with PlantServer({"gas": settings}, {"R1": vessel}, 0.0, files.folder / "sim") as server:
        yield server


@contextlib.asynccontextmanager
async def client(settings: DeviceSettings) -> AsyncGenerator[Driver]:
    driver = build("gas", settings, wire(settings), SystemClock())
    try:
        yield driver
    finally:
        await driver.close()


def logins(files: Files) -> dict[str, dict[str, str]]:
    return {
        "Basic256Sha256": {"user": "fermloop", "password_file": str(files.folder / "password")},
        "Aes128_Sha256_RsaOaep": {},
        "Aes256_Sha256_RsaPss": {
            "certificate": str(files.folder / "person.der"),
            "key": str(files.folder / "person.pem"),
        },
    }


@pytest.mark.parametrize(
    "policy",
    [
        "Basic256Sha256",
        pytest.param("Aes128_Sha256_RsaOaep", marks=pytest.mark.long),
        pytest.param("Aes256_Sha256_RsaPss", marks=pytest.mark.long),
    ],
)
async def test_the_policy_and_log_in_of_the_plant_file_just_work(files: Files, policy: str) -> None:
    settings = files.settings(policy, logins(files)[policy])
    async with served(files, settings) as server, client(settings) as driver:
        assert (await driver.identify()).simulated
        assert (await driver.write({"R1.air": 2.5}))["R1.air"].value == 2.5
        assert (await driver.read())["R1.weight"].value > 1.0
        before = server.plant.time
        await driver.advance(before + 10.0)
        assert server.plant.time == before + 10.0
        assert not driver.warnings()
        assert [f.name for f in files.trusted.iterdir()] == ["simulated-gas.der"]
    assert not list(files.trusted.iterdir())  # nobody trusts it any longer


async def test_another_client_user_or_password_is_refused(files: Files) -> None:
    settings = files.settings("Basic256Sha256", logins(files)["Basic256Sha256"])
    assert settings.security is not None
    assert settings.login is not None
    wrong = files.folder / "wrong"
    wrong.touch(mode=0o600)
    wrong.write_text("guess")
    other = {
        k: str(files.folder / f"stranger.{e}") for k, e in (("certificate", "der"), ("key", "pem"))
    }
    others = {
        "Certificate": {"security": settings.security.model_copy(update=other)},
        "User|Identity": {"login": settings.login.model_copy(update={"password_file": str(wrong)})},
        "(?i)identity|user": {"login": None},
    }
    async with served(files, settings):
        for why, change in others.items():
            async with client(settings.model_copy(update=change)) as driver:
                with pytest.raises(DeviceError, match=why):
                    await driver.read()
        async with client(settings) as driver:
            assert await driver.read()


async def test_its_certificate_is_kept_and_made_anew_only_when_it_no_longer_fits(
    files: Files,
) -> None:
    folder = files.folder / "kept"
    settings = files.settings("Basic256Sha256", {})
    assert ServedSecurity("gas", settings, folder).uri == "urn:fermloop:simulator"
    first = (folder / "gas.der").read_bytes()
    ServedSecurity("gas", settings, folder)
    assert (folder / "gas.der").read_bytes() == first
    assert settings.security is not None
    named = settings.security.model_copy(update={"application_uri": "urn:the:analyser"})
    renamed = ServedSecurity("gas", settings.model_copy(update={"security": named}), folder)
    assert renamed.uri == "urn:the:analyser"
    assert (folder / "gas.der").read_bytes() != first
    assert (folder / "gas.pem").stat().st_mode & 0o777 == 0o600


async def test_a_missing_certificate_or_folder_is_named(files: Files) -> None:
    with pytest.raises(ListenError, match=r"gas: certificate .*nobody.der: .*fermloop cert"):
        async with served(files, files.settings("Basic256Sha256", {}, "nobody")):
            pass
    settings = files.settings("Basic256Sha256", {})
    assert settings.security is not None
    gone = settings.security.model_copy(update={"trusted": str(files.folder / "gone")})
    with pytest.raises(ListenError, match=r"gas: security.trusted: cannot put .*gone: No such"):
        async with served(files, settings.model_copy(update={"security": gone})):
            pass


@pytest.mark.long
async def test_simulate_and_run_of_one_encrypted_plant_file_just_work(tmp_path: Path) -> None:
    files = Files(tmp_path)
    table = "\n".join(
        [
            'security = { policy = "Basic256Sha256", '
            f'certificate = "{tmp_path}/ours.der", key = "{tmp_path}/ours.pem", '
            f'trusted = "{files.trusted}" }}',
            f'login = {{ user = "fermloop", password_file = "{tmp_path}/password" }}',
        ]
    )
    async with site(tmp_path, {r"^insecure = true.*$": table}) as plant:
        plant.start_simulator(20)
        plant.start_site()
        await plant.until(
            "both devices answer", lambda s: all(d["answering"] for d in s["devices"].values())
        )
        state = await plant.until("it scans", lambda s: s["scans"] > 100)
        assert not state["devices"]["R1-gas"]["insecure"]
