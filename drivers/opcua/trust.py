"""Is this server the one we trust? Its certificate against a folder, dates, URI, host. No I/O.

Why each check: OPC UA Part 4, 6.1.3, table "Certificate validation steps".
"""

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from drivers.opcua.certificates import KEY_BITS, der, hosts, uris

E = TypeVar("E", bound=x509.ExtensionType)

_DEPTH = 5  # certificates from the server's up to the trusted authority
_WEAK = (hashes.MD5, hashes.SHA1)
_SERVERS = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}


class UntrustedError(Exception):
    """A server is not to be spoken to; says why and what to do."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a server must be.

    Attributes:
        host: of its address in the plant file.
        application_uri: as the plant file gives it; ``None``: as the server says of itself.
        folder: of trusted certificates, for the message.
    """

    host: str
    application_uri: str | None
    folder: str


def judge(
    chain: Sequence[x509.Certificate],
    trusted: Sequence[x509.Certificate],
    said_uri: str,
    expected: Expected,
    now: datetime.datetime,
) -> list[str]:
    """Return warnings about a server whose certificate can be trusted.

    Args:
        chain: the server's certificate, then any of its authorities that it sent along.
        trusted: certificates of servers or authorities.
        said_uri: the application URI by which the server describes itself.
        expected: what it must be.
        now: the calendar.

    Raises:
        UntrustedError: it cannot.
    """
    certificate = chain[0]
    print_ = certificate.fingerprint(hashes.SHA256()).hex()
    name = f"the server's certificate ({certificate.subject.rfc4514_string()}, SHA-256 {print_})"
    pinned = der(certificate) in {der(c) for c in trusted}
    authorities = [] if pinned else _authorities(chain, trusted)
    if not pinned and not authorities:
        raise UntrustedError(
            f"{name} is not trusted; compare its thumbprint with the server's own and copy it to "
            f"{expected.folder} (fermloop cert trust)"
        )
    for each in (certificate, *authorities):
        _require_date(each, name if each is certificate else "the server's authority", now)
    _require_use(certificate, name)
    _require_uri(certificate, said_uri, expected.application_uri)
    return _host(certificate, expected, pinned)


def _authorities(
    chain: Sequence[x509.Certificate], trusted: Sequence[x509.Certificate]
) -> list[x509.Certificate]:
    """Return the authorities from the one above ``chain[0]`` up to a trusted one, or none."""
    path = [chain[0]]
    anchors = {der(c) for c in trusted}
    while len(path) <= _DEPTH:
        above = next(
            (c for c in (*trusted, *chain[1:]) if _issued(path[-1], c, len(path) - 1)), None
        )
        if above is None or above in path:
            return []
        path.append(above)
        if der(above) in anchors:
            return path[1:]
    return []


def _issued(certificate: x509.Certificate, by: x509.Certificate, below: int) -> bool:
    """Return whether ``by`` is an authority, may have ``below`` others under it, and signed."""
    try:
        constraints = by.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return False
    if not constraints.ca:
        return False
    if constraints.path_length is not None and below > constraints.path_length:
        return False
    usage = _extension(by, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        return False
    try:
        certificate.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return not isinstance(certificate.signature_hash_algorithm, _WEAK)


def _require_date(certificate: x509.Certificate, name: str, now: datetime.datetime) -> None:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < begins:
        raise UntrustedError(
            f"{name} is not yet valid: it begins on {begins:%Y-%m-%d %H:%M} UTC; "
            f"is this machine's clock right ({now:%Y-%m-%d %H:%M} UTC)?"
        )
    if now > ends:
        raise UntrustedError(
            f"{name} ended on {ends:%Y-%m-%d %H:%M} UTC; give the server a new one and trust that "
            "(fermloop cert trust)"
        )


def _require_use(certificate: x509.Certificate, name: str) -> None:
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < KEY_BITS:
        raise UntrustedError(f"{name} has a weak key; RSA with {KEY_BITS} bits or more is required")
    if isinstance(certificate.signature_hash_algorithm, _WEAK):
        raise UntrustedError(f"{name} is signed with SHA-1 or MD5; SHA-256 is required")
    usage = _extension(certificate, x509.KeyUsage)
    if usage is not None and not (
        usage.digital_signature and (usage.key_encipherment or usage.data_encipherment)
    ):
        raise UntrustedError(f"{name} may not be used to sign and encrypt (key usage)")
    extended = _extension(certificate, x509.ExtendedKeyUsage)
    if extended is not None and not _SERVERS & set(extended):
        raise UntrustedError(f"{name} is no server's (extended key usage)")


def _require_uri(certificate: x509.Certificate, said: str, wanted: str | None) -> None:
    if wanted is not None and said != wanted:
        raise UntrustedError(
            f"the server's application URI is {said}, not {wanted} as in the plant file "
            "(security.application_uri); is this the right server?"
        )
    known = uris(certificate)
    if said not in known:
        raise UntrustedError(
            f"the server says its application URI is {said}, its certificate says "
            f"{', '.join(known) or 'none'}; give the server a certificate of its own"
        )


def _host(certificate: x509.Certificate, expected: Expected, pinned: bool) -> list[str]:
    known = {h.lower() for h in hosts(certificate)}
    if _plain(expected.host) in known:
        return []
    text = (
        f"the server's certificate is for {', '.join(sorted(known)) or 'no host'}, "
        f"not for {expected.host}"
    )
    if pinned or expected.application_uri is not None:
        return [text]  # we know this very server by its certificate or name
    raise UntrustedError(
        f"{text}; any server of the same authority could say so: give its application_uri in the "
        "plant file, or trust its own certificate (fermloop cert trust)"
    )


def _plain(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return host.lower()


def _extension(certificate: x509.Certificate, kind: type[E]) -> E | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
