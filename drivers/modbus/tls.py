"""Modbus/TCP Security: Modbus TCP inside TLS, where both sides show a certificate.

Files are read at every connection, so a renewed certificate needs no restart.

Source: MODBUS/TCP Security Protocol Specification V36 (modbus.org): TLS 1.2 or newer, both sides
authenticated. Its optional roles are the device's business: they are in our certificate.
"""

import asyncio
import os
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509

from drivers.clock import wall
from drivers.modbus import LinkError
from drivers.modbus.bus import Bus
from drivers.modbus.connection import Connection
from drivers.modbus.tcp import TcpConnection

WARN_DAYS = 30  # before a certificate ends
_EXPIRED, _NOT_YET = 10, 9  # OpenSSL's X509_V_ERR_...
_NAMES = {62, 63, 64}


@dataclass(frozen=True, slots=True)
class Identification:
    """Who we are and whom we believe.

    Attributes:
        ca: PEM file of who signed the device's certificate.
        certificate: PEM file, ours.
        key: PEM file, ours, readable by us alone.
        server_name: in the device's certificate; its host if not given.
    """

    ca: str
    certificate: str
    key: str
    server_name: str | None = None

    def context(self, now: datetime) -> ssl.SSLContext:
        """Return what a connection is made with.

        Raises:
            LinkError: a file cannot be used; it names which.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies chain and name
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._require_valid(now)
        if os.name == "posix" and Path(self.key).stat().st_mode & 0o077:
            raise LinkError(f"tls.key: {self.key} can be read by others; chmod 600 is required")
        try:
            context.load_cert_chain(self.certificate, self.key)
        except ssl.SSLError as error:
            why = "is no key in PEM form"
            if error.reason == "KEY_VALUES_MISMATCH":
                why = f"does not belong to {self.certificate}"
            raise LinkError(f"tls.key: {self.key} {why}") from None
        try:
            context.load_verify_locations(self.ca)
        except ssl.SSLError:
            raise LinkError(f"tls.ca: {self.ca} is no certificate in PEM form") from None
        return context

    def valid_until(self) -> datetime:
        """Return when our certificate ends."""
        data = Path(self.certificate).read_bytes()
        return x509.load_pem_x509_certificate(data).not_valid_after_utc

    def _require_valid(self, now: datetime) -> None:
        for key in ("ca", "certificate", "key"):
            path: str = getattr(self, key)
            try:
                data = Path(path).read_bytes()
            except OSError as error:
                reason = (error.strerror or str(error)).lower()
                raise LinkError(f"tls.{key}: {path}: {reason}") from None
            if key == "certificate":
                try:
                    end = x509.load_pem_x509_certificate(data).not_valid_after_utc
                except ValueError:
                    raise LinkError(f"tls.{key}: {path} is no certificate in PEM form") from None
                if now > end:
                    ended = f"{end:%Y-%m-%d %H:%M} UTC"
                    raise LinkError(f"tls.{key}: {path}, ours, has expired at {ended}")


class TlsConnection(TcpConnection):
    """A TCP connection inside TLS; says whose certificate was refused."""

    _answered = False

    def data_received(self, data: bytes) -> None:
        self._answered = True
        super().data_received(data)

    def _why(self, exc: Exception | None) -> str:
        if isinstance(exc, ssl.SSLError):
            return refusal(exc)
        if not self._answered:  # in TLS 1.3 it looks at our certificate after we have finished
            return "the device closed the connection; perhaps it does not trust our certificate"
        return super()._why(exc)


def refusal(error: ssl.SSLError) -> str:
    """Return in words which certificate was refused, by whom and why."""
    if isinstance(error, ssl.SSLCertVerificationError):
        code, text = error.verify_code, error.verify_message
        if code in (_EXPIRED, _NOT_YET):
            why = "has expired" if code == _EXPIRED else "is not valid yet"
            return f"the device's certificate {why}"
        if code in _NAMES:
            return f"the device's certificate is for another name: {text[:1].lower()}{text[1:]}"
        return f"the device's certificate is not to be trusted: {text}"
    reason = error.reason or str(error)
    if "ALERT" in reason:  # the far end has refused
        words = reason.partition("ALERT_")[2].replace("_", " ").lower()
        return f"the device refuses our certificate: {words}"
    return f"no TLS: {reason.replace('_', ' ').lower()}"


def tls_bus(
    host: str,
    port: int,
    identification: Identification,
    gap_s: float = 0.0,
    now: Callable[[], datetime] = lambda: datetime.fromtimestamp(wall(), UTC),
) -> Bus:
    """Return the line to a Modbus/TCP Security device, or to a gateway with several behind it.

    Args:
        host: name or address.
        port: TCP port; 802 by the specification.
        identification: the certificates.
        gap_s: wall s of silence between a reply and the next request.
        now: UTC, for the dates of our own certificate.
    """
    ends: dict[str, datetime] = {}

    async def dial() -> Connection:
        context = identification.context(now())
        ends["our certificate"] = identification.valid_until()
        try:
            transport, connection = await asyncio.get_running_loop().create_connection(
                lambda: TlsConnection(gap_s),
                host,
                port,
                ssl=context,
                server_hostname=identification.server_name or host,
            )
        except ssl.SSLError as error:
            raise LinkError(refusal(error)) from None
        shown: Any = transport.get_extra_info("peercert")
        end = ssl.cert_time_to_seconds(shown["notAfter"])
        ends["the device's certificate"] = datetime.fromtimestamp(end, UTC)
        return connection

    def warnings() -> Sequence[str]:
        found: list[str] = []
        for whose, end in ends.items():
            days = (end - now()).total_seconds() / 86_400
            if days < WARN_DAYS:
                found.append(f"{whose} expires in {max(days, 0):.0f} days, on {end:%Y-%m-%d}")
        return found

    return Bus(f"{host}:{port}", dial, warnings)
