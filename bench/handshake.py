"""The client's side of DTLS-SRTP for thousands of virtual clients: OpenSSL over memory BIOs.

All clients share one context and one certificate, as nobody but the server would notice, and the
load tester's own cost per join stays small.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL
from pylibsrtp import Policy, Session

_DTLS_1_2 = 0xFEFD
# Within the 1,280 bytes of IPv6; a flight of ours is one or two datagrams.
_DATAGRAM_BYTES = 1_200
_RECORD_HEADER_BYTES = 13
_BIO_BYTES = 16_384
_LABEL = b"EXTRACTOR-dtls_srtp"  # RFC 5764 4.2
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha-1": hashes.SHA1(),
    "sha-256": hashes.SHA256(),
    "sha-384": hashes.SHA384(),
    "sha-512": hashes.SHA512(),
}


@dataclass(frozen=True)
class _Profile:
    """An SRTP protection profile (RFC 5764 4.1.2, RFC 7714 14.2) and libsrtp's name for it."""

    key_bytes: int
    salt_bytes: int
    policy: int


# Preferred first, as browsers offer them.
_PROFILES = {
    "SRTP_AEAD_AES_128_GCM": _Profile(16, 12, Policy.SRTP_PROFILE_AEAD_AES_128_GCM),
    "SRTP_AES128_CM_SHA1_80": _Profile(16, 14, Policy.SRTP_PROFILE_AES128_CM_SHA1_80),
}


class HandshakeError(Exception):
    """The handshake failed; the text says why."""


class Handshakes:
    """The certificate and context of all clients of a load."""

    def __init__(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _self_signed(key)
        self._context = _context(key, certificate)
        self.fingerprint = certificate.fingerprint(hashes.SHA256()).hex(":").upper()

    def begin(self, algorithm: str, fingerprint: str) -> Handshake:
        """A client's handshake with a server that promised this certificate. HandshakeError for an
        algorithm that is not known.
        """
        if algorithm not in _HASHES:
            raise HandshakeError(f"unknown fingerprint algorithm {algorithm}")
        return Handshake(self._context, algorithm, fingerprint)


class Handshake:
    """One association. Every call returns the datagrams to send now."""

    __slots__ = ("_algorithm", "_connection", "_fingerprint", "is_closed", "sessions")

    def __init__(self, context: SSL.Context, algorithm: str, fingerprint: str) -> None:
        self._algorithm = algorithm
        self._fingerprint = fingerprint
        self._connection = SSL.Connection(context)
        self._connection.set_connect_state()
        self._connection.set_ciphertext_mtu(_DATAGRAM_BYTES)
        self.sessions: tuple[Session, Session] | None = None  # receive, send
        self.is_closed = False  # by the server

    def start(self) -> list[bytes]:
        """The first flight."""
        return self._advance()

    def receive(self, datagram: bytes) -> list[bytes]:
        """Take one datagram. HandshakeError when the handshake has failed."""
        self._connection.bio_write(datagram)
        if self.sessions is None:
            return self._advance()
        try:
            self._connection.recv(_DATAGRAM_BYTES)
        except SSL.WantReadError:
            pass  # an alert or a repeated flight, taken by OpenSSL
        except SSL.Error:
            self.is_closed = True
        return _drain(self._connection)

    def retransmit(self) -> list[bytes]:
        """Repeat the last flight if its time has come. HandshakeError when OpenSSL gives up."""
        try:
            self._connection.DTLSv1_handle_timeout()
        except SSL.Error as error:
            raise HandshakeError("no answer to the DTLS handshake") from error
        return _drain(self._connection)

    def retransmit_in_s(self) -> float | None:
        """Seconds until retransmit() is due, None for never."""
        timeout_s: float | None = self._connection.DTLSv1_get_timeout()
        return timeout_s

    def another_receiver(self) -> Session:
        """A second session for what the server sends, with a replay window of its own."""
        assert self.sessions is not None, "the handshake is done"
        return _sessions(self._connection)[0]

    def close(self) -> list[bytes]:
        """Say goodbye (close_notify)."""
        try:
            self._connection.shutdown()
        except SSL.Error:
            pass  # not begun, or broken: there is nothing to say
        return _drain(self._connection)

    def _advance(self) -> list[bytes]:
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            return _drain(self._connection)
        except SSL.Error as error:
            raise HandshakeError(f"DTLS: {error}") from error
        self._check_certificate()
        self.sessions = _sessions(self._connection)
        return _drain(self._connection)

    def _check_certificate(self) -> None:
        certificate = self._connection.get_peer_certificate(as_cryptography=True)
        if certificate is not None:
            digest = certificate.fingerprint(_HASHES[self._algorithm]).hex(":").upper()
            if digest == self._fingerprint:
                return
        raise HandshakeError("the server's certificate is not the promised one")


def _self_signed(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sfu-bench")])
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


def _context(key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> SSL.Context:
    context = SSL.Context(SSL.DTLS_CLIENT_METHOD)
    context.set_min_proto_version(_DTLS_1_2)
    context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_QUERY_MTU)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_cipher_list(b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256")
    context.use_certificate(certificate)
    context.use_privatekey(key)
    # The fingerprint is compared afterwards; chains say nothing here.
    context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
    context.set_tlsext_use_srtp(":".join(_PROFILES).encode())
    return context


def _sessions(connection: SSL.Connection) -> tuple[Session, Session]:
    """SRTP sessions for receiving and sending; the client's keys come first (RFC 5764 4.2)."""
    profile = _PROFILES.get(connection.get_selected_srtp_profile().decode())
    if profile is None:
        raise HandshakeError("no SRTP profile was agreed on")
    key, salt = profile.key_bytes, profile.salt_bytes
    material = connection.export_keying_material(_LABEL, 2 * (key + salt))
    keys = material[:key], material[key : 2 * key]
    salts = material[2 * key : 2 * key + salt], material[2 * key + salt :]
    send, receive = (one + other for one, other in zip(keys, salts, strict=True))
    return (
        Session(Policy(receive, Policy.SSRC_ANY_INBOUND, srtp_profile=profile.policy)),
        Session(Policy(send, Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile.policy)),
    )


def _drain(connection: SSL.Connection) -> list[bytes]:
    """What OpenSSL wrote, as datagrams."""
    flight = b""
    while True:
        try:
            flight += connection.bio_read(_BIO_BYTES)
        except SSL.WantReadError:
            return _datagrams(flight)


def _datagrams(flight: bytes) -> list[bytes]:
    """Records (RFC 6347 4.1) packed into datagrams up to the MTU, as the DTLS of browsers does."""
    datagrams: list[bytes] = []
    position = 0
    while position < len(flight):
        body = position + _RECORD_HEADER_BYTES
        end = body + int.from_bytes(flight[body - 2 : body], "big")
        record = flight[position:end]
        if datagrams and len(datagrams[-1]) + len(record) <= _DATAGRAM_BYTES:
            datagrams[-1] += record
        else:
            datagrams.append(record)
        position = end
    return datagrams
