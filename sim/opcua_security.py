"""What a simulated OPC UA server with security shows, and whom it lets in.

It is the other side of the device's ``security`` and ``login`` in the plant file: it offers that
policy alone, knows that one client by its certificate, and that one user. Its own certificate is
made at the first start and kept; the plant file's folder of trusted servers has it only while the
server listens, so that nobody trusts a simulator for longer than it is there.
"""

import contextlib
import hmac
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

from asyncua import ua
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.server import Server
from asyncua.server.user_managers import UserManager
from cryptography import x509

from drivers.opcua import certificates
from drivers.opcua.certificates import SecurityError, der
from drivers.opcua.driver import SIMULATOR
from drivers.opcua.security import Login
from sim.listen import ListenError

if TYPE_CHECKING:
    from controller.plant_file.device_settings import DeviceSettings

_POLICIES = {
    "Basic256Sha256": ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
    "Aes128_Sha256_RsaOaep": ua.SecurityPolicyType.Aes128Sha256RsaOaep_SignAndEncrypt,
    "Aes256_Sha256_RsaPss": ua.SecurityPolicyType.Aes256Sha256RsaPss_SignAndEncrypt,
}


class OneUser(UserManager):
    """Lets in the user of the plant file's ``login``, by password or by certificate."""

    def __init__(self, login: Login) -> None:
        self._login = login

    def get_user(
        self, iserver: object, username: Any = None, password: Any = None, certificate: Any = None
    ) -> User | None:
        known = self._login
        if known.certificate is not None:
            allowed = certificate == der(known.certificate)
        else:
            given = f"{username}\0{password}".encode()
            allowed = hmac.compare_digest(given, f"{known.user}\0{known.password}".encode())
        return User(role=UserRole.User, name=known.user) if allowed else None


class ServedSecurity:
    """The security of one simulated OPC UA server.

    Args:
        name: of the device, for messages and files.
        settings: the device's table, with ``security``.
        folder: where the server's own certificate is kept.

    Raises:
        ListenError: a file of the plant file cannot be used, or none can be written.
    """

    def __init__(self, name: str, settings: "DeviceSettings", folder: Path) -> None:
        assert settings.security is not None
        given = self._given = settings.security
        self.uri = given.application_uri or SIMULATOR
        host = urlparse(settings.address).hostname or "localhost"
        try:
            client = certificates.read(Path(given.certificate))
            self._login = _login(settings)
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._pair = _pair(folder, name, self.uri, [host, socket.gethostname()])
        except SecurityError as error:
            raise ListenError(f"{name}: {error}") from None
        except OSError as error:
            raise ListenError(f"{name}: cannot keep a certificate in {folder}: {error}") from None
        self._client = der(client)
        self._shown = Path(given.trusted) / f"simulated-{name}.der"
        self._name = name

    def users(self) -> UserManager | None:
        """Return who may come in; ``None`` where the plant file has no ``login``."""
        return None if self._login is None else OneUser(self._login)

    async def apply(self, server: Server) -> None:
        """Let ``server``, not started yet, speak only as the plant file says."""
        server.set_security_policy([_POLICIES[self._given.policy]])
        if self._login is not None:
            by_name = self._login.user is not None
            token = ua.UserNameIdentityToken if by_name else ua.X509IdentityToken
            server.set_identity_tokens([token])
        await server.load_certificate(self._pair[0])
        await server.load_private_key(self._pair[1])
        server.set_certificate_validator(self._judge)

    async def _judge(self, certificate: x509.Certificate, description: Any) -> None:
        if der(certificate) != self._client:
            raise ua.uaerrors.BadCertificateUntrusted
        if certificates.now() > certificate.not_valid_after_utc:
            raise ua.uaerrors.BadCertificateTimeInvalid

    def trust(self) -> None:
        """Let the plant file's client trust this server from now on.

        Raises:
            ListenError: its folder of trusted servers cannot be written.
        """
        aside = self._shown.with_suffix(f".{os.getpid()}")
        try:
            aside.write_bytes(self._pair[0].read_bytes())
            aside.replace(self._shown)  # a client never reads half of it
        except OSError as error:
            raise ListenError(
                f"{self._name}: security.trusted: cannot put the simulator's certificate into "
                f"{self._shown.parent}: {error.strerror}"
            ) from None

    def distrust(self) -> None:
        """Let nobody trust it any longer."""
        with contextlib.suppress(OSError):
            self._shown.unlink()


def _login(settings: "DeviceSettings") -> Login | None:
    by = settings.login
    if by is None:
        return None
    if by.user is not None:
        return Login.with_password(by.user, by.password_file, by.password_env)
    return Login.with_certificate(by.certificate or "", by.key or "")


def _pair(folder: Path, name: str, uri: str, hosts: list[str]) -> tuple[Path, Path]:
    """Return the server's certificate and key; new ones if there are none that still fit."""
    files = folder / f"{name}.der", folder / f"{name}.pem"
    if all(f.exists() for f in files):
        kept = certificates.read(files[0])
        certificates.require_pair(kept, certificates.read_key(files[1]), str(files[0]))
        said = set(certificates.hosts(kept))
        ends = certificates.ends_soon(kept, "its")
        if certificates.uris(kept) == (uri,) and said >= set(hosts) and ends is None:
            return files
    key, certificate = certificates.make(uri, hosts, common_name=f"fermloop simulator {name}")
    for file in files:
        file.unlink(missing_ok=True)
    certificates.write_key(files[1], key)
    files[0].write_bytes(der(certificate))
    return files
