"""A certificate authority for tests: makes certificates with names, and contexts that trust it."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_PEM = serialization.Encoding.PEM
_DAY = datetime.timedelta(days=1)


class Authority:
    """Writes into `folder`; its own certificate is `certificate`."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._serial = 1
        signed = self._build(self._name, self._key.public_key(), is_authority=True)
        self.certificate = folder / f"{name}.pem"
        self.certificate.write_bytes(signed.public_bytes(_PEM))

    def issue(self, common_name: str, alternatives: Sequence[x509.GeneralName] = ()) -> Path:
        """A file with private key and certificate of these names."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        signed = self._build(subject, key.public_key(), alternatives)
        private = key.private_bytes(
            _PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path = self._folder / f"{common_name}-{self._serial}.pem"
        path.write_bytes(private + signed.public_bytes(_PEM))
        return path

    def issue_for_localhost(self) -> Path:
        """What a server on this machine needs."""
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        return self.issue("server", [x509.DNSName("localhost"), address])

    def server(self, certificate: Path, *, asks_for_certificates: bool = True) -> ssl.SSLContext:
        """A server's context that trusts clients of this authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        if asks_for_certificates:
            context.verify_mode = ssl.CERT_OPTIONAL
            context.load_verify_locations(self.certificate)
        return context

    def client(self, certificate: Path | None = None) -> ssl.SSLContext:
        """A client's context that trusts servers of this authority."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        if certificate is not None:
            context.load_cert_chain(certificate)
        return context

    def _build(
        self,
        subject: x509.Name,
        public_key: ec.EllipticCurvePublicKey,
        alternatives: Sequence[x509.GeneralName] = (),
        *,
        is_authority: bool = False,
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        self._serial += 1
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(self._serial)
            .not_valid_before(now - _DAY)
            .not_valid_after(now + _DAY)
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        )
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), False)
        return builder.sign(self._key, hashes.SHA256())
