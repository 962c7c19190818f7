"""A DTLS client over pyOpenSSL, in memory: what a browser does against the endpoint under test."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from sfu.shell.dtls_openssl import fingerprint_of

CHROMIUM_PROFILES = (
    "SRTP_AEAD_AES_256_GCM",
    "SRTP_AEAD_AES_128_GCM",
    "SRTP_AES128_CM_SHA1_80",
)
_RECORD_HEADER_BYTES = 13


class DtlsClient:
    """The active side, with a certificate of its own."""

    def __init__(
        self,
        profiles: Sequence[str] = CHROMIUM_PROFILES,
        *,
        mtu: int = 1_200,
        hello_bytes: int = 0,
        cipher: str = "",
    ) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = _certificate(key)
        context = SSL.Context(SSL.DTLS_CLIENT_METHOD)
        context.set_options(SSL.OP_NO_QUERY_MTU)
        context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
        context.use_certificate(self.certificate)
        context.use_privatekey(key)
        if cipher:
            context.set_cipher_list(cipher.encode())
        if profiles:
            context.set_tlsext_use_srtp(":".join(profiles).encode())
        self.connection = SSL.Connection(context)
        self.connection.set_connect_state()
        self.connection.set_ciphertext_mtu(mtu)
        if hello_bytes:  # padding that a hello may have: what a post-quantum key share takes
            self.connection.set_alpn_protos([bytes(200)] * (hello_bytes // 200))
        self.is_done = False
        self.is_closed = False

    def fingerprints(self, algorithm: str = "sha-256") -> tuple[tuple[str, str], ...]:
        """What the offer would promise."""
        return ((algorithm, fingerprint_of(self.certificate, algorithm)),)

    def start(self) -> list[bytes]:
        """The first flight."""
        self._advance()
        return self.take()

    def receive(self, datagrams: Sequence[bytes]) -> list[bytes]:
        """Take datagrams, return the answer."""
        for datagram in datagrams:
            self.connection.bio_write(datagram)
            self._advance()
        return self.take()

    def repeat(self) -> list[bytes]:
        """What the retransmission timer sends, if it is due."""
        self.connection.DTLSv1_handle_timeout()
        return self.take()

    def close(self) -> list[bytes]:
        """close_notify."""
        self.connection.shutdown()
        return self.take()

    def take(self) -> list[bytes]:
        """Everything written, one datagram for each record."""
        flight = b""
        while True:
            try:
                flight += self.connection.bio_read(16_384)
            except SSL.WantReadError:
                return records(flight)

    def keying_material(self, size_bytes: int) -> bytes:
        """The exporter's output for DTLS-SRTP."""
        return self.connection.export_keying_material(b"EXTRACTOR-dtls_srtp", size_bytes)

    def _advance(self) -> None:
        try:
            if not self.is_done:
                self.connection.do_handshake()
                self.is_done = True
            while True:
                self.connection.recv(1_500)
        except SSL.WantReadError:
            pass
        except (SSL.ZeroReturnError, SSL.Error):
            self.is_closed = True


def records(flight: bytes) -> list[bytes]:
    """The DTLS records of a flight."""
    found = []
    while flight:
        end = _RECORD_HEADER_BYTES + int.from_bytes(flight[11:13], "big")
        found.append(flight[:end])
        flight = flight[end:]
    return found


def _certificate(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "client")])
    today = datetime.datetime.now(tz=datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
