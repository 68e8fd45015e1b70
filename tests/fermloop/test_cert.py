"""fermloop cert: make, show, trust."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from drivers.opcua.certificates import der, make, read, read_key, require_pair, write_key
from drivers.opcua.security import Security
from fermloop.cli import main
from tests.drivers.opcua.served import Plant, free_port


class Typed:
    """Types a command line and keeps what came back."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys
        self.out = self.err = ""

    def __call__(self, *words: str | Path) -> int:
        self._monkeypatch.setattr(sys, "argv", ["fermloop", "cert", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        self.out, self.err = self._capsys.readouterr()
        return int(ended.value.code or 0)

    def json(self, *words: str | Path) -> Any:
        assert self(*words, "--json") == 0, self.err
        return json.loads(self.out)


@pytest.fixture
def cert(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    return Typed(monkeypatch, capsys)


@pytest.mark.parametrize("command", ["make", "show", "trust"])
def test_each_command_explains_itself(cert: Typed, command: str) -> None:
    assert cert(command, "--help") == 0
    assert f"fermloop cert {command}" in cert.out


def test_make_writes_what_a_plant_file_needs(cert: Typed, tmp_path: Path) -> None:
    folder = tmp_path / "pki"
    words = ("--uri", "urn:plant:fermloop", "--host", "ferm1", "--host", "10.0.0.5")
    made = cert.json("make", folder, *words)
    assert (folder / "fermloop.pem").stat().st_mode & 0o777 == 0o600
    certificate, key = read(Path(made["certificate"])), read_key(Path(made["key"]))
    require_pair(certificate, key, "what was made")
    assert key.key_size == 2048
    assert made["uris"] == ["urn:plant:fermloop"]
    assert made["hosts"] == ["ferm1", "10.0.0.5"]
    assert made["days_left"] == 1824
    assert Security("Basic256Sha256", made["certificate"], made["key"], str(folder / "trusted"))
    before = (folder / "fermloop.der").read_bytes()
    assert cert("make", folder) == 1
    assert "fermloop.der: is there already" in cert.err
    assert (folder / "fermloop.der").read_bytes() == before
    assert cert("make", folder, "--name", "second") == 0
    assert f'certificate = "{folder / "second.der"}"' in cert.out


def test_show_says_who_until_when_and_the_thumbprints(cert: Typed, tmp_path: Path) -> None:
    made = cert.json("make", tmp_path, "--days", "20")
    assert cert("show", tmp_path) == 0
    assert "days left" in cert.out
    assert made["sha256"] in cert.out
    assert made["sha1"] in cert.out
    (shown,) = cert.json("show", tmp_path / "fermloop.der")
    assert (shown["days_left"], shown["self_signed"]) == (19, True)
    assert cert("show", tmp_path / "fermloop.pem") == 2
    assert "is neither DER nor PEM" in cert.err


def _no(question: str) -> str:
    return "n"


def _yes(question: str) -> str:
    return "y"


async def test_trust_shows_a_servers_certificate_and_copies_it_when_agreed(
    cert: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = make("urn:test:server", ["127.0.0.1"])
    pair = tmp_path / "server.der", tmp_path / "server.pem"
    pair[0].write_bytes(der(certificate))
    write_key(pair[1], key)
    plant = Plant(ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt, pair=pair)
    await plant.start()
    trusted = tmp_path / "trusted"

    async def typed(*words: str | Path) -> int:
        return await asyncio.to_thread(cert, "trust", plant.url, "--into", trusted, *words)

    assert await typed() == 2  # nobody is there to agree
    assert "nothing is trusted unseen" in cert.err
    assert await typed("--thumbprint", "00" * 32) == 1
    assert "its SHA-256 is" in cert.err
    assert not trusted.exists()
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    for answer, code in (("n", 1), ("y", 0)):
        monkeypatch.setattr("builtins.input", {"n": _no, "y": _yes}[answer])
        assert await typed() == code
        assert "Compare the thumbprint with what the server itself shows" in cert.out
    (file,) = trusted.iterdir()
    assert x509.load_der_x509_certificate(file.read_bytes()) == certificate
    await plant.stop()
    shown = certificate.fingerprint(hashes.SHA256()).hex(":")
    assert cert("trust", pair[0], "--into", trusted, "--thumbprint", shown.upper()) == 0


def test_a_server_that_is_not_there_is_one_line(cert: Typed, tmp_path: Path) -> None:
    url = f"opc.tcp://127.0.0.1:{free_port()}"
    assert cert("trust", url, "--into", tmp_path, "--yes") == 1
    assert url in cert.err
    assert len(cert.err.splitlines()) == 1
