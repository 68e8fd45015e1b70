"""How a connection is signed and encrypted, who we are, and whom we trust.

A server must offer the very policy of the plant file with SignAndEncrypt. There is no second try
with less: what does not fit is refused with a sentence that says what to do.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlparse

from asyncua import ua
from asyncua.client.client import Client
from asyncua.crypto import security_policies
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from drivers.opcua.certificates import (
    SecurityError,
    ends_soon,
    now,
    parse,
    read,
    read_folder,
    read_key,
    read_secret,
    require_pair,
    uris,
)
from drivers.opcua.trust import Expected, UntrustedError, judge

Policy = Literal["Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"]
_POLICIES: dict[str, Any] = {
    "Basic256Sha256": security_policies.SecurityPolicyBasic256Sha256,
    "Aes128_Sha256_RsaOaep": security_policies.SecurityPolicyAes128Sha256RsaOaep,
    "Aes256_Sha256_RsaPss": security_policies.SecurityPolicyAes256Sha256RsaPss,
}
_ENCRYPTED = ua.MessageSecurityMode.SignAndEncrypt


@dataclass(frozen=True)
class Login:
    """Who we are for the server: a user with a password, or a user's certificate.

    Raises:
        SecurityError: a secret is missing, empty or readable by others.
    """

    user: str | None = None
    password: str | None = None
    certificate: x509.Certificate | None = None
    key: rsa.RSAPrivateKey | None = None

    def __repr__(self) -> str:  # never a secret in a log
        return f"Login({self.user or 'certificate'})"

    @classmethod
    def with_password(cls, user: str, file: str | None, variable: str | None) -> "Login":
        """Return a login with a password from a file of mode 0600 or from the environment."""
        if file is not None:
            password = read_secret(Path(file), "password_file").decode("utf-8").strip("\r\n")
        else:
            password = os.environ.get(variable or "", "")
            if not password.strip():
                raise SecurityError(f"environment variable {variable}: is empty or not set")
        return cls(user=user, password=password)

    @classmethod
    def with_certificate(cls, certificate: str, key: str) -> "Login":
        """Return a login with a user's certificate and key."""
        ours, secret = read(Path(certificate)), read_key(Path(key))
        require_pair(ours, secret, f"login {certificate}")
        return cls(certificate=ours, key=secret)


class Security:
    """Our application's certificate and key, the policy, and the folder of whom we trust.

    Args:
        policy: what the server must offer, with SignAndEncrypt.
        certificate: DER or PEM file, ours.
        key: PEM file, ours, mode 0600.
        trusted: folder of servers' or authorities' certificates; read at every connect.
        application_uri: what the server's must be; as it says itself if not given.

    Raises:
        SecurityError: a file cannot be used.
    """

    def __init__(
        self,
        policy: str,
        certificate: str,
        key: str,
        trusted: str,
        application_uri: str | None = None,
    ) -> None:
        self.policy = policy
        self.trusted = Path(trusted)
        self.application_uri = application_uri
        self.certificate = read(Path(certificate))
        self._where = certificate
        self._key = read_key(Path(key))
        require_pair(self.certificate, self._key, f"security {certificate}")
        if not uris(self.certificate):
            raise SecurityError(
                f"certificate {certificate}: has no application URI; make one with fermloop cert"
            )
        read_folder(self.trusted)
        self.warnings: Sequence[str] = ()

    def prepare(self, client: Client, endpoints: Sequence[Any]) -> None:
        """Let ``client`` speak only encrypted, and only to a server that is trusted.

        Args:
            client: not connected.
            endpoints: what the server offers.

        Raises:
            UntrustedError: it does not offer the policy, or is not to be trusted.
        """
        if now() > self.certificate.not_valid_after_utc:
            raise UntrustedError(
                f"our certificate {self._where} ended on "
                f"{self.certificate.not_valid_after_utc:%Y-%m-%d}; make a new one and let the "
                "server trust it (fermloop cert make)"
            )
        policy = _POLICIES[self.policy]
        endpoint = self._endpoint(endpoints, policy.URI)
        chain = _chain(endpoint.ServerCertificate)
        host = urlparse(client.server_url.geturl()).hostname or ""
        expected = Expected(host, self.application_uri, str(self.trusted))

        def check(found: Sequence[x509.Certificate], description: Any) -> None:
            trusted = read_folder(self.trusted)
            said = description.ApplicationUri or ""
            warned = judge(found, trusted, said, expected, now())
            ending = [ends_soon(found[0], "the server's"), ends_soon(self.certificate, "our")]
            self.warnings = (*warned, *filter(None, ending))

        async def validator(certificate: x509.Certificate, description: Any) -> None:
            check([certificate, *chain[1:]], description)

        check(chain, endpoint.Server)  # before anything is sent that it could decrypt
        client.application_uri = uris(self.certificate)[0]
        client.certificate_validator = validator  # and again inside the channel, by its session
        made = policy(chain[0], self.certificate, self._key, _ENCRYPTED, host_cert_chain=[])
        client.security_policy = made
        client.uaclient.set_security(made)

    def _endpoint(self, endpoints: Sequence[Any], uri: str) -> Any:
        offered: list[str] = []
        for e in endpoints:
            if e.SecurityPolicyUri == uri and e.SecurityMode == _ENCRYPTED:
                return e
            offered.append(f"{e.SecurityPolicyUri.rpartition('#')[2]} {e.SecurityMode.name}")
        raise UntrustedError(
            f"the server offers {', '.join(sorted(set(offered))) or 'nothing'}, not {self.policy} "
            "SignAndEncrypt as in the plant file (security.policy); switch it on in the server"
        )


def log_in(client: Client, login: Login | None) -> None:
    """Let ``client`` be somebody; without ``login`` it stays anonymous."""
    if login is None:
        return
    if login.user is not None:
        client.set_user(login.user)
        client.set_password(login.password or "")
    else:
        client.user_certificate = login.certificate
        client.user_private_key = login.key


def _chain(data: bytes | None) -> list[x509.Certificate]:
    try:
        return parse(data or b"")
    except ValueError:
        raise UntrustedError("the server shows no certificate that can be read") from None
