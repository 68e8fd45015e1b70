"""The console through TLS with a certificate of its own, as a process on a real socket."""

import ipaddress
import ssl
import subprocess
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dashboards.console.__main__ import main
from tests.dashboards.far_end import PASSWORD, FarEnd
from tests.dashboards.test_console_process import command, started

pytestmark = pytest.mark.real_time


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for localhost and 127.0.0.1, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fermloop test")])
    now = datetime.now(UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    found = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, secret = folder / "console.pem", folder / "console.key"
    certificate.write_bytes(found.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    plain = serialization.NoEncryption()
    secret.touch(0o600)
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    return certificate, secret


@pytest.fixture
def served(tmp_path: Path, far_end: FarEnd, made: tuple[Path, Path]) -> Generator[str]:
    certificate, key = made
    secure = ["--certificate", str(certificate), "--key", str(key)]
    given = [*command(tmp_path, far_end), *secure]
    given[given.index("127.0.0.1:0")] = "0.0.0.0:0"  # any address of this machine
    with started(given) as process:
        assert process.stdout is not None
        yield process.stdout.readline().removeprefix("console: ").strip()


def test_a_browser_that_trusts_the_certificate_logs_in_and_its_cookie_is_secure(
    served: str, made: tuple[Path, Path], far_end: FarEnd
) -> None:
    assert served.startswith("https://0.0.0.0:")
    url = served.replace("0.0.0.0", "localhost").rstrip("/")
    trust = ssl.create_default_context(cafile=str(made[0]))
    with httpx.Client(base_url=url, verify=trust, headers={"origin": url}) as client:
        assert client.get("/api/state").status_code == 401
        who = {"name": "ana", "password": PASSWORD}
        answer = client.post("/api/login", json=who)
        assert answer.status_code == 200
        cookie = answer.headers["set-cookie"].lower()
        assert cookie.startswith("__host-fermloop-")
        assert {"secure", "httponly", "samesite=strict", "path=/"} <= set(cookie.split("; "))
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        stop = {"x-csrf-token": answer.json()["csrf"]}
        assert client.post("/api/command/safe-stop", json={}, headers=stop).status_code == 200
        assert far_end.told[-1][0] == "/safe-stop"
        # a page that was not served through TLS is not ours
        plain = {**stop, "origin": url.replace("https", "http")}
        assert client.post("/api/command/safe-stop", json={}, headers=plain).status_code == 403
        # nor is a name that the certificate is not for
        assert client.get("/", headers={"host": "plant.example"}).status_code == 421
    with httpx.Client(base_url=url) as stranger, pytest.raises(httpx.ConnectError):
        stranger.get("/")  # who does not trust the certificate stays away
    port = int(url.rpartition(":")[2])
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"http://127.0.0.1:{port}/", timeout=5)  # without TLS nothing is said
    old = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_1"]
    found = subprocess.run(old, input="", capture_output=True, text=True, timeout=20, check=False)
    assert found.returncode != 0


@pytest.mark.parametrize("wrong", ["readable key", "another key", "no certificate", "no key"])
def test_a_certificate_that_cannot_be_used_is_one_line(
    tmp_path: Path, made: tuple[Path, Path], wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    certificate, key = made
    own = tmp_path / "own.key"
    own.write_bytes(key.read_bytes())
    own.chmod(0o644 if wrong == "readable key" else 0o600)
    if wrong == "another key":
        pair = ec.generate_private_key(ec.SECP256R1())
        form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        own.write_bytes(pair.private_bytes(serialization.Encoding.PEM, form, plain))
    chosen = tmp_path / "none.pem" if wrong == "no certificate" else certificate
    files = ["--certificate", str(chosen)] + ([] if wrong == "no key" else ["--key", str(own)])
    places = ["--socket", str(tmp_path / "c"), "--store", str(tmp_path / "s")]
    assert main([*places, "--address", "0.0.0.0:0", *files]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    says = {"readable key": "mode 0644", "no key": "both or none are required"}
    assert says.get(wrong, "cannot be used") in error
