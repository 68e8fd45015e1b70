"""Certificates of a test's own making: an authority, and what it signs."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """Signs certificates and keeps them in ``folder`` as PEM files.

    Args:
        folder: gets ``NAME.pem`` (the authority's own certificate) and what is issued.
        name: of the authority.
    """

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.path = folder / f"{name}.pem"
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        built = self._builder(self._name, self._key.public_key(), 3650)
        built = built.add_extension(constraints, critical=True)
        self._write(self.path, built.sign(self._key, hashes.SHA256()))

    def issue(self, name: str, host: str = "localhost", days: float = 30) -> tuple[str, str]:
        """Return the paths of a certificate and its key; ``days`` < 0 has expired already."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        built = self._builder(subject, key.public_key(), days)
        names = x509.SubjectAlternativeName([x509.DNSName(host)])
        built = built.add_extension(names, critical=False)
        path, key_path = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        self._write(path, built.sign(self._key, hashes.SHA256()))
        key_path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        key_path.chmod(0o600)
        return str(path), str(key_path)

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, days: float
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=60))
            .not_valid_after(now + timedelta(days=days))
        )

    def _write(self, path: Path, certificate: x509.Certificate) -> None:
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
