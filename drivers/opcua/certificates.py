"""X.509 application certificates and keys: made, read from DER or PEM, and described."""

import datetime
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from drivers.clock import wall

WARN_DAYS = 30  # before its end, a certificate is warned of
KEY_BITS = 2048  # what all three policies take; Aes256_Sha256_RsaPss and others go to 4096
_PEM = b"-----BEGIN CERTIFICATE-----"
_SUFFIXES = {".der", ".pem", ".crt", ".cer"}
_DAY_S = 86400.0


class SecurityError(ValueError):
    """A certificate, key or secret cannot be used; says which, why and what to do."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What people want to know of a certificate. Times in s since 1970 UTC."""

    subject: str
    issuer: str
    self_signed: bool
    uris: tuple[str, ...]
    hosts: tuple[str, ...]
    begins: float
    ends: float
    days_left: int
    algorithm: str
    sha1: str
    sha256: str


def now() -> datetime.datetime:
    """Return the wall clock: certificates begin and end by the calendar."""
    return datetime.datetime.fromtimestamp(wall(), datetime.UTC)


def facts(certificate: x509.Certificate) -> Facts:
    """Return what a certificate says."""
    key = certificate.public_key()
    left = certificate.not_valid_after_utc - now()
    return Facts(
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        self_signed=certificate.subject == certificate.issuer,
        uris=uris(certificate),
        hosts=hosts(certificate),
        begins=certificate.not_valid_before_utc.timestamp(),
        ends=certificate.not_valid_after_utc.timestamp(),
        days_left=int(left.total_seconds() // _DAY_S),
        algorithm=f"RSA {key.key_size}"
        if isinstance(key, rsa.RSAPublicKey)
        else type(key).__name__,
        sha1=certificate.fingerprint(hashes.SHA1()).hex(),
        sha256=certificate.fingerprint(hashes.SHA256()).hex(),
    )


def uris(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the application URIs in the subject's alternative names."""
    names = _alternative_names(certificate)
    return tuple(names.get_values_for_type(x509.UniformResourceIdentifier)) if names else ()


def hosts(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the host names and addresses in the subject's alternative names."""
    names = _alternative_names(certificate)
    if names is None:
        return ()
    addresses = names.get_values_for_type(x509.IPAddress)
    return (*names.get_values_for_type(x509.DNSName), *map(str, addresses))


def _alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None


def parse(data: bytes) -> list[x509.Certificate]:
    """Return the certificates in ``data``: PEM with one or more, or DER with one or a chain.

    Raises:
        ValueError: it is neither.
    """
    if _PEM in data:
        return x509.load_pem_x509_certificates(data)
    found: list[x509.Certificate] = []
    while data:  # in DER a length stands before each
        size = len(data)
        if len(data) > 4 and data[0] == 0x30 and data[1] == 0x82:
            size = 4 + int.from_bytes(data[2:4], "big")
        found.append(x509.load_der_x509_certificate(data[:size]))
        data = data[size:]
    if not found:
        raise ValueError("it is empty")
    return found


def read(path: Path) -> x509.Certificate:
    """Return the first certificate of a DER or PEM file.

    Raises:
        SecurityError: it cannot be read or is none.
    """
    try:
        return parse(path.read_bytes())[0]
    except OSError as error:
        raise SecurityError(f"certificate {path}: {error.strerror}; see fermloop cert") from None
    except ValueError:
        raise SecurityError(f"certificate {path}: is neither DER nor PEM") from None


def read_folder(folder: Path) -> list[x509.Certificate]:
    """Return every certificate in the files ``*.der, *.pem, *.crt, *.cer`` of a folder.

    Raises:
        SecurityError: the folder cannot be read, or a file in it is no certificate.
    """
    try:
        files = sorted(p for p in folder.iterdir() if p.suffix.lower() in _SUFFIXES)
        return [c for p in files for c in _all(p)]
    except OSError as error:
        raise SecurityError(
            f"trusted {folder}: {error.strerror}; a folder of certificates is required"
        ) from None


def _all(path: Path) -> list[x509.Certificate]:
    try:
        return parse(path.read_bytes())
    except ValueError:
        raise SecurityError(f"trusted {path}: is no certificate, neither DER nor PEM") from None


def read_key(path: Path) -> rsa.RSAPrivateKey:
    """Return the private key of a PEM or DER file that nobody but its owner can read.

    Raises:
        SecurityError: it is not there, others may read it, or it is no RSA key without password.
    """
    data = read_secret(path, "key")
    try:
        if b"-----BEGIN" in data:
            key = serialization.load_pem_private_key(data, None)
        else:
            key = serialization.load_der_private_key(data, None)
    except (ValueError, TypeError):  # TypeError: it has a password
        raise SecurityError(f"key {path}: is no key in PEM or DER without a password") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise SecurityError(f"key {path}: is no RSA key; the OPC UA policies need one")
    return key


def read_secret(path: Path, what: str) -> bytes:
    """Return what a file holds that its owner alone can read.

    Raises:
        SecurityError: it is not there, empty, or readable by others.
    """
    try:
        mode = path.stat().st_mode & 0o777
        data = path.read_bytes()
    except OSError as error:
        raise SecurityError(f"{what} {path}: {error.strerror}") from None
    if os.name == "posix" and mode & 0o077:
        raise SecurityError(f"{what} {path}: mode {mode:04o} is not allowed; 0600 is (chmod 600)")
    if not data.strip():
        raise SecurityError(f"{what} {path}: is empty; a secret is required")
    return data


def require_pair(certificate: x509.Certificate, key: rsa.RSAPrivateKey, where: str) -> None:
    """Raise ``SecurityError`` if the key is not the certificate's."""
    public = certificate.public_key()
    if not isinstance(public, rsa.RSAPublicKey) or (
        public.public_numbers() != key.public_key().public_numbers()
    ):
        raise SecurityError(f"{where}: the key does not belong to the certificate")


def make(
    uri: str,
    names: Sequence[str],
    *,
    common_name: str = "fermloop",
    days: float = 1825.0,
    bits: int = KEY_BITS,
    begins: datetime.datetime | None = None,
) -> tuple[rsa.RSAPrivateKey, x509.Certificate]:
    """Return a new key and its self-signed application certificate as OPC UA Part 6 wants it.

    Args:
        uri: the application URI, in the subject's alternative names.
        names: host names and addresses of this machine.
        common_name: in the subject.
        days: how long it is valid.
        bits: of the RSA key, 2048 to 4096.
        begins: when it becomes valid; now if not given.
    """
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    start = begins or now() - datetime.timedelta(minutes=5)  # clocks differ
    public = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=True,
        data_encipherment=True,
        key_agreement=False,
        key_cert_sign=True,  # it signs itself
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    alternative = [x509.UniformResourceIdentifier(uri), *map(_general_name, names)]
    both = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage(both), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternative), critical=False)
        .add_extension(public, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(public), critical=False
        )
    )
    return key, builder.sign(key, hashes.SHA256())


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def write_key(path: Path, key: rsa.RSAPrivateKey) -> None:
    """Write a key as PEM, mode 0600; ``FileExistsError`` if there is one already."""
    data = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)


def der(certificate: x509.Certificate) -> bytes:
    """Return a certificate as DER, as it goes over the wire."""
    return certificate.public_bytes(serialization.Encoding.DER)


def ends_soon(certificate: x509.Certificate, whose: str) -> str | None:
    """Return a warning if a certificate ends within 30 days."""
    left = certificate.not_valid_after_utc - now()
    if left > datetime.timedelta(days=WARN_DAYS):
        return None
    day = certificate.not_valid_after_utc.date().isoformat()
    days = left.total_seconds() / _DAY_S
    return (
        f"{whose} certificate ends on {day}, in {max(0, int(days))} days; make and trust a new "
        "one before (fermloop cert)"
    )
