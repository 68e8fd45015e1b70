"""Which server's certificate is trusted: by itself, by an authority, and when not."""

import datetime
from collections.abc import Sequence
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from drivers.opcua.trust import Expected, UntrustedError, judge

NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)
URI = "urn:gas:server"
HERE = Expected("10.0.0.13", None, "/etc/fermloop/trusted")
KEYS = [rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(4)]
Made = tuple[x509.Certificate, rsa.RSAPrivateKey]


def made(
    name: str,
    key: rsa.RSAPrivateKey,
    by: Made | None = None,
    *,
    ca: bool = False,
    length: int | None = None,
    host: str = "10.0.0.13",
    usage: dict[str, bool] | None = None,
    extended: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
    days: float = 365.0,
    hash_: Any = None,
) -> Made:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer, signer = (by[0].subject, by[1]) if by else (subject, key)
    bits = dict.fromkeys(
        ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"), True
    )
    bits |= dict.fromkeys(("key_agreement", "crl_sign", "encipher_only", "decipher_only"), False)
    bits |= {"key_cert_sign": ca} | (usage or {})
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - datetime.timedelta(days=1))
        .not_valid_after(NOW + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca, length), critical=True)
        .add_extension(x509.KeyUsage(**bits), critical=True)
    )
    if not ca:
        names = [x509.UniformResourceIdentifier(URI), x509.DNSName(host)]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([extended]), critical=False)
    return builder.sign(signer, hash_ or hashes.SHA256()), key


ROOT = made("works", KEYS[0], ca=True)
MIDDLE = made("hall 3", KEYS[1], ROOT, ca=True, length=0)
SERVER = made("gas", KEYS[2], MIDDLE)
ALONE = made("alone", KEYS[3])


def verdict(
    chain: Sequence[Made], trusted: Sequence[Made], expected: Expected = HERE, uri: str = URI
) -> list[str]:
    return judge([c for c, _ in chain], [c for c, _ in trusted], uri, expected, NOW)


@pytest.mark.parametrize(
    ("chain", "trusted"),
    [
        ([ALONE], [ALONE]),
        ([SERVER], [SERVER]),
        ([SERVER, MIDDLE, ROOT], [ROOT]),
        ([SERVER, MIDDLE], [ROOT]),
        ([SERVER], [MIDDLE]),
        ([SERVER], [ROOT, MIDDLE]),
    ],
)
def test_a_certificate_is_trusted_by_itself_or_by_its_authority(
    chain: list[Made], trusted: list[Made]
) -> None:
    assert verdict(chain, trusted) == []


LONG = made("below a lowest authority", KEYS[3], MIDDLE, ca=True)
NO_AUTHORITY = made("no authority", KEYS[1])
NO_SIGNER = made("may not sign", KEYS[1], ca=True, usage={"key_cert_sign": False})
SAME_NAME = made("works", KEYS[3], ca=True)


@pytest.mark.parametrize(
    ("chain", "trusted"),
    [
        ([ALONE], []),
        ([ALONE], [ROOT]),
        ([SERVER], [ROOT]),  # the one between is missing
        ([SERVER, MIDDLE, ROOT], [SAME_NAME]),  # another key with the same name
        ([made("x", KEYS[2], LONG), LONG, MIDDLE], [ROOT]),  # path length
        ([made("x", KEYS[2], NO_AUTHORITY)], [NO_AUTHORITY]),
        ([made("x", KEYS[2], NO_SIGNER)], [NO_SIGNER]),
    ],
)
def test_whoever_is_not_in_the_folder_is_not_trusted(
    chain: list[Made], trusted: list[Made]
) -> None:
    with pytest.raises(UntrustedError, match="is not trusted; compare its thumbprint"):
        verdict(chain, trusted)


def test_an_authority_that_has_ended_vouches_for_nobody() -> None:
    old = made("old works", KEYS[0], ca=True, days=-0.5)
    with pytest.raises(UntrustedError, match=r"the server's authority ended on 2026-05-31"):
        verdict([made("gas", KEYS[2], old)], [old])


@pytest.mark.parametrize(
    ("certificate", "sentence"),
    [
        (made("x", KEYS[2], usage={"digital_signature": False}), "sign and encrypt"),
        (made("x", KEYS[2], extended=ExtendedKeyUsageOID.CLIENT_AUTH), "is no server's"),
        (made("x", KEYS[2], days=-0.5), "ended on"),
        (
            made("x", rsa.generate_private_key(public_exponent=65537, key_size=1024)),
            "a weak key; RSA with 2048 bits",
        ),
    ],
)
def test_a_trusted_certificate_that_may_not_do_this_is_refused(
    certificate: Made, sentence: str
) -> None:
    with pytest.raises(UntrustedError, match=sentence):
        verdict([certificate], [certificate])


def test_the_application_uri_must_be_the_certificates_and_the_plant_files() -> None:
    with pytest.raises(UntrustedError, match="says its application URI is urn:other, its cert"):
        verdict([ALONE], [ALONE], uri="urn:other")
    with pytest.raises(UntrustedError, match=r"is urn:gas:server, not urn:wanted as in the plant"):
        verdict([ALONE], [ALONE], Expected("10.0.0.13", "urn:wanted", ""))


def test_another_host_is_a_warning_for_a_server_we_know_and_a_refusal_for_a_stranger() -> None:
    moved = Expected("10.0.0.99", None, "")
    named = Expected("10.0.0.99", URI, "")
    warning = ["the server's certificate is for 10.0.0.13, not for 10.0.0.99"]
    assert verdict([ALONE], [ALONE], moved) == warning  # its very certificate is trusted
    assert verdict([SERVER], [MIDDLE], named) == warning  # its name is in the plant file
    with pytest.raises(UntrustedError, match="any server of the same authority could say so"):
        verdict([SERVER], [MIDDLE], moved)
    assert verdict([SERVER], [MIDDLE], HERE) == []
