"""Signed and encrypted connections, log-in and refusals, against real asyncua servers."""

import datetime
import re
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from asyncua import ua
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from drivers.opcua import LinkError
from drivers.opcua.certificates import SecurityError, der, ends_soon, make, now, read, write_key
from drivers.opcua.link import OpcUaLink
from drivers.opcua.security import Login, Security
from tests.drivers.opcua.served import Plant, node

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.real_time]

ENCRYPTED = (
    ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
    ua.SecurityPolicyType.Basic256Sha256_Sign,
    ua.SecurityPolicyType.Aes128Sha256RsaOaep_SignAndEncrypt,
    ua.SecurityPolicyType.Aes256Sha256RsaPss_SignAndEncrypt,
)
POLICIES = ("Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss")
SERVER = "urn:test:server"


class Files:
    """A folder with certificates, keys and whom we trust."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.trusted = folder / "trusted"
        self.trusted.mkdir()
        self.ours = self.pair("ours", "urn:test:fermloop")

    def pair(
        self, name: str, uri: str, *, begins_days: float = -1.0, days: float = 365.0
    ) -> tuple[Path, Path]:
        begins = now() + datetime.timedelta(days=begins_days)
        key, certificate = make(uri, ["127.0.0.1"], days=days, begins=begins)
        made = self.folder / f"{name}.der", self.folder / f"{name}.pem"
        made[0].write_bytes(der(certificate))
        write_key(made[1], key)
        return made

    def trust(self, pair: tuple[Path, Path], *, pem: bool = False) -> None:
        data = pair[0].read_bytes()
        if pem:
            data = x509.load_der_x509_certificate(data).public_bytes(Encoding.PEM)
        (self.trusted / pair[0].with_suffix(".pem" if pem else ".der").name).write_bytes(data)

    def security(self, policy: str = POLICIES[0], uri: str | None = None) -> Security:
        return Security(policy, str(self.ours[0]), str(self.ours[1]), str(self.trusted), uri)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("certificates"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plant(files: Files) -> AsyncIterator[Plant]:
    """A server as it should be; only known users may come in."""
    pair = files.pair("server", SERVER)
    files.trust(pair)
    served = Plant(*ENCRYPTED, pair=pair, uri=SERVER, users={"fermloop": "s3cret"})
    await served.start()
    yield served
    await served.stop()


async def refusal(
    url: str, security: Security, login: Login | None = None, timeout_s: float = 20.0
) -> str:
    """Return the sentence with which a connection is refused; no value may come of it."""
    link = OpcUaLink(url, timeout_s, security=security, login=login)
    with pytest.raises(LinkError) as caught:
        await link.read([node("d").node])
    await link.close()
    return str(caught.value)


@pytest.fixture
def login(monkeypatch: pytest.MonkeyPatch) -> Login:
    monkeypatch.setenv("OPCUA_PASSWORD", "s3cret")
    return Login.with_password("fermloop", None, "OPCUA_PASSWORD")


@pytest.mark.parametrize("policy", POLICIES)
async def test_each_policy_signs_and_encrypts(
    plant: Plant, files: Files, login: Login, policy: str
) -> None:
    link = OpcUaLink(plant.url, 20.0, security=files.security(policy, SERVER), login=login)
    (value,) = await link.read([node("d").node])
    assert (value.value, value.status) == (1.0, 0)
    assert await link.write([node("f").node], [2.0]) == [0]
    used = link._client.security_policy  # pyright: ignore[reportPrivateUsage, reportOptionalMemberAccess] (what the wire really uses)
    assert (used.URI.rpartition("#")[2], used.Mode.name) == (policy, "SignAndEncrypt")
    assert not link.warnings()
    await link.close()


async def test_a_user_may_show_a_certificate(plant: Plant, files: Files) -> None:
    certificate, key = files.pair("operator", "urn:test:operator")
    assert plant.users is not None
    plant.users.certificates.add(certificate.read_bytes())
    login = Login.with_certificate(str(certificate), str(key))
    link = OpcUaLink(plant.url, 20.0, security=files.security(), login=login)
    assert (await link.read([node("d").node]))[0].status == 0
    await link.close()


async def test_a_wrong_password_or_none_is_refused(plant: Plant, files: Files) -> None:
    wrong = Login(user="fermloop", password="guess")
    refused = r"BadUserAccessDenied .*: user or password is wrong, or may not do this \(login\)"
    assert re.search(refused, await refusal(plant.url, files.security(), wrong))
    assert re.search(refused, await refusal(plant.url, files.security()))
    assert "guess" not in repr(wrong)


async def test_a_server_that_nobody_trusts_is_refused(
    plant: Plant, tmp_path: Path, login: Login
) -> None:
    stranger = Files(tmp_path)
    said = await refusal(plant.url, stranger.security(), login)
    assert "is not trusted; compare its thumbprint" in said
    assert str(stranger.trusted) in said
    assert "fermloop cert trust" in said


async def test_trust_given_while_it_runs_is_seen_at_the_next_try(
    plant: Plant, files: Files, login: Login, tmp_path: Path
) -> None:
    other = Files(tmp_path)
    link = OpcUaLink(plant.url, 20.0, security=other.security(), login=login)
    with pytest.raises(LinkError, match="not trusted"):
        await link.read([node("d").node])
    other.trust((files.folder / "server.der", files.folder / "server.pem"), pem=True)
    link._retry_at = 0.0  # pyright: ignore[reportPrivateUsage] (the wait between two tries)
    assert (await link.read([node("d").node]))[0].status == 0
    await link.close()


async def test_another_application_than_the_plant_files_is_refused(
    plant: Plant, files: Files, login: Login
) -> None:
    said = await refusal(plant.url, files.security(uri="urn:other:server"), login)
    assert "application URI is urn:test:server, not urn:other:server" in said


@contextmanager
def offering(plant: Plant, *only: str, certificate: bytes | None = None) -> Generator[None]:
    """Let the server offer fewer endpoints, or show another certificate."""
    assert plant.server is not None
    endpoints: list[Any] = plant.server.iserver.endpoints
    before = [(e, e.ServerCertificate) for e in endpoints]
    for e in endpoints:
        e.ServerCertificate = certificate or e.ServerCertificate
    endpoints[:] = [
        e
        for e in endpoints
        if not only or f"{e.SecurityPolicyUri.rpartition('#')[2]} {e.SecurityMode.name}" in only
    ]
    try:
        yield
    finally:
        endpoints[:] = [e for e, _ in before]
        for e, old in before:
            e.ServerCertificate = old


@pytest.mark.parametrize(
    ("uri", "begins_days", "days", "sentence"),
    [
        (SERVER, -30.0, 29.0, r"ended on .*; give the server a new one"),
        (SERVER, 2.0, 365.0, r"is not yet valid: it begins on .*; is this machine's clock right"),
        ("urn:else", -1.0, 365.0, r"says its application URI is urn:test:server, its .* urn:else;"),
    ],
)
async def test_a_trusted_certificate_that_does_not_fit_is_refused(
    plant: Plant,
    files: Files,
    login: Login,
    uri: str,
    begins_days: float,
    days: float,
    sentence: str,
) -> None:
    pair = files.pair(f"from{begins_days}{uri[4:8]}", uri, begins_days=begins_days, days=days)
    files.trust(pair)
    with offering(plant, certificate=pair[0].read_bytes()):
        assert re.search(sentence, await refusal(plant.url, files.security(), login))


async def test_another_certificate_in_the_session_than_was_shown_before_is_refused(
    plant: Plant, files: Files, login: Login
) -> None:
    """A trusted certificate whose key somebody else holds opens nothing."""
    pair = files.pair("copied", SERVER)
    files.trust(pair)
    with offering(plant, certificate=pair[0].read_bytes()):
        said = await refusal(plant.url, files.security(), login, timeout_s=1.0)
    assert "no connection within 1 s" in said  # what we send, this server cannot read


@pytest.mark.parametrize("lesser", ["Basic256Sha256 Sign", "Aes128_Sha256_RsaOaep SignAndEncrypt"])
async def test_there_is_no_second_try_with_less(
    plant: Plant, files: Files, login: Login, lesser: str
) -> None:
    with offering(plant, lesser):
        said = await refusal(plant.url, files.security(), login)
    assert f"the server offers {lesser}, not Basic256Sha256 SignAndEncrypt as in the" in said


async def test_a_server_without_security_is_refused(files: Files, login: Login) -> None:
    bare = Plant()
    await bare.start()
    said = await refusal(bare.url, files.security(), login)
    assert "the server offers None None_, not Basic256Sha256 SignAndEncrypt" in said
    await bare.stop()


async def test_certificates_that_end_soon_are_warned_of(
    plant: Plant, files: Files, login: Login, tmp_path: Path
) -> None:
    ending = Files(tmp_path)
    ending.ours = ending.pair("ending", "urn:test:fermloop", days=20.5)
    ending.trust((files.folder / "server.der", files.folder / "server.pem"))
    link = OpcUaLink(plant.url, 20.0, security=ending.security(), login=login)
    await link.read([node("d").node])
    (warning,) = link.warnings()
    assert warning.startswith("our certificate ends on")
    assert "in 19 days; make and trust a new one before" in warning
    await link.close()
    theirs = read(ending.pair("server", SERVER, days=11.5)[0])
    assert "the server's certificate ends on" in (ends_soon(theirs, "the server's") or "")


async def test_an_own_certificate_that_has_ended_is_refused_here(
    plant: Plant, files: Files, login: Login, tmp_path: Path
) -> None:
    ended = Files(tmp_path)
    ended.ours = ended.pair("ended", "urn:test:fermloop", begins_days=-9.0, days=8.0)
    assert "our certificate" in await refusal(plant.url, ended.security(), login)


async def test_either_security_or_insecure_is_required(files: Files) -> None:
    for security, insecure in ((None, False), (files.security(), True)):
        with pytest.raises(ValueError, match=r"either security or insecure = True is required"):
            OpcUaLink("opc.tcp://127.0.0.1:4840", security=security, insecure=insecure)


async def test_secrets_and_keys_that_others_can_read_are_refused(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "password"
    with pytest.raises(SecurityError, match=r"password_file .*: No such file"):
        Login.with_password("u", str(secret), None)
    secret.write_text("")
    secret.chmod(0o600)
    with pytest.raises(SecurityError, match="is empty; a secret is required"):
        Login.with_password("u", str(secret), None)
    secret.write_text("s3cret\n")
    assert Login.with_password("u", str(secret), None).password == "s3cret"
    secret.chmod(0o640)
    with pytest.raises(SecurityError, match="mode 0640 is not allowed; 0600 is"):
        Login.with_password("u", str(secret), None)
    for value in (None, "", "  "):
        if value is None:
            monkeypatch.delenv("OPCUA_PASSWORD", raising=False)
        else:
            monkeypatch.setenv("OPCUA_PASSWORD", value)
        with pytest.raises(SecurityError, match="OPCUA_PASSWORD: is empty or not set"):
            Login.with_password("u", None, "OPCUA_PASSWORD")
    certificate, key = files.pair("loose", "urn:test:fermloop")
    key.chmod(0o644)
    with pytest.raises(SecurityError, match=r"key .*loose\.pem: mode 0644 is not allowed"):
        Security("Basic256Sha256", str(certificate), str(key), str(files.trusted))
    with pytest.raises(SecurityError, match="the key does not belong to the certificate"):
        Security("Basic256Sha256", str(certificate), str(files.ours[1]), str(files.trusted))
    with pytest.raises(SecurityError, match=r"trusted .*nowhere: No such file"):
        Security(
            "Basic256Sha256", str(files.ours[0]), str(files.ours[1]), str(tmp_path / "nowhere")
        )
    with pytest.raises(SecurityError, match=r"certificate .*ours\.pem: is neither DER nor PEM"):
        Security("Basic256Sha256", str(files.ours[1]), str(files.ours[1]), str(files.trusted))
