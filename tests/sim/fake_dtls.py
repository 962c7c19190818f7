"""DTLS as the simulator plays it: the real handshake's shape, with keys that follow from a seed.

OpenSSL keeps a clock and entropy of its own, so a room with it never runs the same way twice.
Here both sides send two flights, as DTLS 1.2 does for a full handshake:

    client hello  ->                    nonce, profiles, certificate
                  <-  server hello      nonce, profile, certificate, in two datagrams
    finished      ->                    proof of the keys
                  <-  finished          proof of the keys

Every flight is repeated until the next one comes, a repeated question gets the last answer again
(RFC 6347 4.2.4), and the first byte is a DTLS content type in 20..63 (RFC 7983). Nothing is
secret: the proofs only make sure that a foreign or damaged datagram changes nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import random
from typing import ClassVar

from sfu.transport.dtls import DtlsState, SrtpKeys, SrtpProfile

ALERT, HANDSHAKE = 21, 22
CLIENT_HELLO, SERVER_HELLO, SERVER_CERTIFICATE, CLIENT_FINISHED, SERVER_FINISHED = range(1, 6)
CLOSE_NOTIFY = 0
NONCE_BYTES = 16
CERTIFICATE_BYTES = 32
PROOF_BYTES = 16
# OpenSSL's server waits a second, browsers far less; both double up to a limit.
SERVER_TIMEOUT_S = 1.0
CLIENT_TIMEOUT_S = 0.2
TIMEOUT_S_MAX = 3.2
# After this many repetitions without an answer the association fails, as OpenSSL's does.
RETRANSMISSIONS_MAX = 12

PROFILES = tuple(SrtpProfile)


def fingerprint_of(certificate: bytes) -> str:
    """The SHA-256 fingerprint of a certificate, `AB:CD:...`."""
    return hashlib.sha256(certificate).digest().hex(":").upper()


class _Association:
    """What both sides share: state, flights and their repetition, proofs, the close."""

    first_timeout_s: ClassVar[float]
    own_finished: ClassVar[int]
    peer_finished: ClassVar[int]

    def __init__(self, certificate: bytes, nonce: bytes) -> None:
        self.state = DtlsState.NEW
        self._certificate = certificate
        self._nonce = nonce
        self._profile: SrtpProfile | None = None
        self._master = b""
        self._out: list[bytes] = []
        self._flight: list[bytes] = []
        self._deadline: float | None = None
        self._timeout_s = self.first_timeout_s
        self._repetitions = 0

    def datagrams_to_send(self) -> list[bytes]:
        """Take what is to be sent."""
        taken, self._out = self._out, []
        return taken

    def next_deadline(self) -> float | None:
        """When the flight under way is to be repeated."""
        return self._deadline

    def handle_timer(self, now: float) -> None:
        """Repeat the flight under way, or give up."""
        if self._deadline is None or now < self._deadline:
            return
        if self._repetitions >= RETRANSMISSIONS_MAX:
            self._settle(DtlsState.FAILED)
            return
        self._repetitions += 1
        self._timeout_s = min(self._timeout_s * 2, TIMEOUT_S_MAX)
        self._deadline = now + self._timeout_s
        self._out += self._flight

    def close(self) -> None:
        """Queue close_notify once there are keys to prove it with."""
        if self.state in (DtlsState.CLOSED, DtlsState.FAILED):
            return
        if self.state is DtlsState.CONNECTED:
            self._out.append(bytes((ALERT, CLOSE_NOTIFY)) + self._proof(ALERT))
        self._settle(DtlsState.CLOSED)

    def receive(self, datagram: bytes, now: float) -> None:
        """Feed one datagram; what does not make sense changes nothing."""
        if self.state in (DtlsState.CLOSED, DtlsState.FAILED) or len(datagram) < 2:
            return
        content, kind, body = datagram[0], datagram[1], datagram[2:]
        if content == ALERT:
            if self._master and hmac.compare_digest(body, self._proof(ALERT)):
                self._settle(DtlsState.CLOSED)
        elif content == HANDSHAKE:
            self._receive_handshake(kind, body, now)

    def _receive_handshake(self, kind: int, body: bytes, now: float) -> None:
        raise NotImplementedError

    def _send_flight(self, datagrams: list[bytes], now: float) -> None:
        self._flight = datagrams
        self._out += datagrams
        self._timeout_s = self.first_timeout_s
        self._repetitions = 0
        self._deadline = now + self._timeout_s

    def _settle(self, state: DtlsState) -> None:
        self.state = state
        self._deadline = None

    def _proof(self, label: int) -> bytes:
        return hmac.digest(self._master, bytes((label,)), "sha256")[:PROOF_BYTES]

    def _derive(self, client_part: bytes, server_part: bytes) -> None:
        self._master = hashlib.sha256(b"simulated" + client_part + server_part).digest()

    def _keying(self, client: bool) -> bytes:
        """The SRTP master key and salt with which that side sends."""
        assert self._profile is not None
        label = b"client" if client else b"server"
        length = self._profile.key_bytes + self._profile.salt_bytes
        return hmac.digest(self._master, label + b" write", "sha256")[:length]

    def _finished(self, kind: int) -> bytes:
        return bytes((HANDSHAKE, kind)) + self._proof(kind)

    def _is_finished(self, kind: int, body: bytes) -> bool:
        return kind == self.peer_finished and hmac.compare_digest(body, self._proof(kind))


class FakeDtlsServer(_Association):
    """The passive side: a `DtlsEndpoint` for the worker."""

    first_timeout_s = SERVER_TIMEOUT_S
    own_finished, peer_finished = SERVER_FINISHED, CLIENT_FINISHED

    def __init__(self, certificate: bytes, nonce: bytes, promised: frozenset[str]) -> None:
        super().__init__(certificate, nonce)
        self._promised = promised
        self._hello = b""

    def srtp_keys(self) -> SrtpKeys:
        """The keys; only once CONNECTED."""
        assert self.state is DtlsState.CONNECTED and self._profile is not None
        return SrtpKeys(self._profile, self._keying(client=True), self._keying(client=False))

    def _receive_handshake(self, kind: int, body: bytes, now: float) -> None:
        if kind == CLIENT_HELLO and self.state is not DtlsState.CONNECTED:
            self._on_hello(body, now)
        elif self._master and self._is_finished(kind, body):
            if self.state is DtlsState.CONNECTING:
                self._settle(DtlsState.CONNECTED)
            self._out.append(self._finished(self.own_finished))

    def _on_hello(self, body: bytes, now: float) -> None:
        if self._hello:
            if body == self._hello:  # our flight was lost
                self._out += self._flight
            return
        offered = body[NONCE_BYTES : len(body) - CERTIFICATE_BYTES]
        if len(body) <= NONCE_BYTES + CERTIFICATE_BYTES or max(offered) >= len(PROFILES):
            return
        if fingerprint_of(body[-CERTIFICATE_BYTES:]) not in self._promised:
            self._settle(DtlsState.FAILED)
            return
        chosen = min(offered)
        self._profile = PROFILES[chosen]
        self._hello = body
        hello = self._nonce + bytes((chosen,))
        self._derive(body, hello + self._certificate)
        self.state = DtlsState.CONNECTING
        certificate = self._certificate + self._proof(SERVER_CERTIFICATE)
        self._send_flight(
            [
                bytes((HANDSHAKE, SERVER_HELLO)) + hello,
                bytes((HANDSHAKE, SERVER_CERTIFICATE)) + certificate,
            ],
            now,
        )


class FakeDtlsClient(_Association):
    """The active side, as a browser plays it."""

    first_timeout_s = CLIENT_TIMEOUT_S
    own_finished, peer_finished = CLIENT_FINISHED, SERVER_FINISHED

    def __init__(
        self, certificate: bytes, nonce: bytes, promised: str, profiles: tuple[SrtpProfile, ...]
    ) -> None:
        super().__init__(certificate, nonce)
        self._promised = promised
        offered = bytes(PROFILES.index(profile) for profile in profiles)
        self._hello = nonce + offered + certificate
        self._server_hello = b""
        self._server_certificate = b""

    @property
    def has_keys(self) -> bool:
        """Whether SRTP from the server could already be read."""
        return bool(self._master) and self.state is not DtlsState.FAILED

    def start(self, now: float) -> None:
        """Send the first flight."""
        assert self.state is DtlsState.NEW
        self.state = DtlsState.CONNECTING
        self._send_flight([bytes((HANDSHAKE, CLIENT_HELLO)) + self._hello], now)

    def srtp_keys(self) -> SrtpKeys:
        """The keys, as soon as both halves of the server's flight have come."""
        assert self.has_keys and self._profile is not None
        return SrtpKeys(self._profile, self._keying(client=False), self._keying(client=True))

    def _receive_handshake(self, kind: int, body: bytes, now: float) -> None:
        if self._master:
            if self._is_finished(kind, body) and self.state is DtlsState.CONNECTING:
                self._settle(DtlsState.CONNECTED)
            return
        if kind == SERVER_HELLO and len(body) == NONCE_BYTES + 1 and body[-1] < len(PROFILES):
            self._server_hello = body
        elif kind == SERVER_CERTIFICATE and len(body) == CERTIFICATE_BYTES + PROOF_BYTES:
            self._server_certificate = body
        if self._server_hello and self._server_certificate:
            self._on_server_flight(now)

    def _on_server_flight(self, now: float) -> None:
        certificate = self._server_certificate[:CERTIFICATE_BYTES]
        self._profile = PROFILES[self._server_hello[-1]]
        self._derive(self._hello, self._server_hello + certificate)
        proof = self._server_certificate[CERTIFICATE_BYTES:]
        if fingerprint_of(certificate) != self._promised or proof != self._proof(
            SERVER_CERTIFICATE
        ):
            self._settle(DtlsState.FAILED)
            return
        self._send_flight([self._finished(self.own_finished)], now)


class FakeDtlsFactory:
    """A `DtlsFactory` whose certificate and nonces come from one seed."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)
        self._certificate = self._random.randbytes(CERTIFICATE_BYTES)
        self.accepted = 0

    @property
    def fingerprint(self) -> str:
        """Of the certificate that all endpoints share."""
        return fingerprint_of(self._certificate)

    def accept(self, peer_fingerprints: tuple[tuple[str, str], ...]) -> FakeDtlsServer:
        """A passive endpoint for a peer that promised one of these."""
        self.accepted += 1
        promised = frozenset(
            value.upper()
            for algorithm, value in peer_fingerprints
            if algorithm.lower() == "sha-256"
        )
        return FakeDtlsServer(self._certificate, self._random.randbytes(NONCE_BYTES), promised)


def client_for(
    rng: random.Random,
    certificate: bytes,
    server_fingerprint: str,
    profiles: tuple[SrtpProfile, ...] = PROFILES,
) -> FakeDtlsClient:
    """An active endpoint that expects the server to show `server_fingerprint`."""
    return FakeDtlsClient(certificate, rng.randbytes(NONCE_BYTES), server_fingerprint, profiles)
