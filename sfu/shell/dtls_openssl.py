"""DTLS over OpenSSL, by memory BIOs: the one implementation of `sfu.transport.dtls` for real peers.

It lives in the shell because OpenSSL draws its own entropy and times its own retransmissions; `now`
is used for the deadlines that are told to the caller alone.

- All endpoints share one context and one self-signed ECDSA certificate, made at start. Making them
  for each connection would cost as much as the handshake.
- The peer's chain is not verified; its fingerprint has to be one that the offer promised
  (RFC 8842 5).
- A memory BIO forgets where datagrams end, so a flight is cut again at record borders
  (RFC 6347 4.1) into datagrams that pass any path. Incoming ones are fed one at a time.
- After the handshake OpenSSL's part is freed, most of what a silent listener would cost; what can
  still come is left to `dtls_epilogue`.
- A handshake message that comes in fragments, in any order, is put together by OpenSSL.
"""

from __future__ import annotations

import datetime
import hashlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL, crypto

from sfu.shell.dtls_epilogue import Epilogue
from sfu.transport.dtls import DtlsState, SrtpKeys, SrtpProfile

# Below the 1,280 bytes that IPv6 guarantees, with room for tunnels and TURN.
DATAGRAM_BYTES_MAX = 1_200
# Records that one datagram may bring after the handshake; each is at least 14 bytes long.
RECORDS_MAX = 128
# Clients compare fingerprints and no dates, and a daemon may run for long.
CERTIFICATE_DAYS = 3_650

_DTLS_1_2 = 0xFEFD
_RECORD_HEADER_BYTES = 13
_EXPORTER_LABEL = b"EXTRACTOR-dtls_srtp"  # RFC 5764 4.2
_CIPHERS = b":".join(
    (
        b"ECDHE-ECDSA-AES128-GCM-SHA256",
        b"ECDHE-ECDSA-CHACHA20-POLY1305",
        b"ECDHE-ECDSA-AES256-GCM-SHA384",
        b"ECDHE-ECDSA-AES128-SHA",
        b"ECDHE-ECDSA-AES256-SHA",
    )
)
_HASHES = {
    "sha-256": hashlib.sha256,
    "sha-384": hashlib.sha384,
    "sha-512": hashlib.sha512,
}
# More than any flight, so that one read empties the BIO.
_BIO_BYTES = 16_384


class OpensslDtls:
    """The certificate and context that all endpoints of a process share (a `DtlsFactory`)."""

    def __init__(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _self_signed(key)
        self._context = _context(key, certificate)
        self._fingerprint = fingerprint_of(certificate, "sha-256")
        self.validity = validity_of(certificate)  # from when until when, in unix seconds

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, `AB:CD:...`."""
        return self._fingerprint

    def accept(self, peer_fingerprints: tuple[tuple[str, str], ...]) -> OpensslEndpoint:
        """A passive endpoint for a peer that promised one of these (algorithm, digest) pairs."""
        return OpensslEndpoint(self._context, peer_fingerprints)


class OpensslEndpoint:
    """One association (a `DtlsEndpoint`). OpenSSL's part lives while the handshake goes on."""

    __slots__ = (
        "_connection",
        "_context",
        "_deadline",
        "_epilogue",
        "_keys",
        "_outgoing",
        "_peer_fingerprints",
        "_state",
    )

    def __init__(
        self, context: SSL.Context, peer_fingerprints: tuple[tuple[str, str], ...]
    ) -> None:
        self._context = context
        self._peer_fingerprints = peer_fingerprints
        self._connection: SSL.Connection | None = None
        self._epilogue: Epilogue | None = None
        self._state = DtlsState.NEW
        self._deadline: float | None = None
        self._keys: SrtpKeys | None = None
        self._outgoing: list[bytes] = []

    def __repr__(self) -> str:
        return f"<OpensslEndpoint {self._state.value}>"

    @property
    def state(self) -> DtlsState:
        """Where the association stands; only ever moves forward."""
        return self._state

    def receive(self, datagram: bytes, now: float) -> None:
        """Feed one datagram."""
        if self._state in (DtlsState.CLOSED, DtlsState.FAILED) or not datagram:
            return
        if self._epilogue is not None:
            self._hear(self._epilogue, datagram)
            return
        connection = self._connection
        if connection is None:
            connection = self._connection = self._open()
            self._state = DtlsState.CONNECTING
        try:
            connection.bio_write(datagram)
            if self._state is DtlsState.CONNECTING:
                self._shake_hands(connection)
            if self._state is DtlsState.CONNECTED:
                self._read(connection)
        except SSL.ZeroReturnError:
            self._end(DtlsState.CLOSED)
        except SSL.Error:
            # A fatal alert, or during the handshake anything that is not one.
            secured = self._state is DtlsState.CONNECTED
            self._end(DtlsState.CLOSED if secured else DtlsState.FAILED)
        self._collect(now)

    def handle_timer(self, now: float) -> None:
        """Retransmit what is due."""
        if self._connection is None or self._deadline is None or self._deadline > now:
            return
        try:
            self._connection.DTLSv1_handle_timeout()
        except SSL.Error:
            self._end(DtlsState.FAILED)  # OpenSSL gives up after a dozen retransmissions
        self._collect(now)

    def next_deadline(self) -> float | None:
        """When a retransmission is due, None for never."""
        return self._deadline

    def datagrams_to_send(self) -> list[bytes]:
        """Take what is to be sent, each at most DATAGRAM_BYTES_MAX."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def srtp_keys(self) -> SrtpKeys:
        """The keys; local misuse (AssertionError) before CONNECTED."""
        assert self._keys is not None, "keys exist once the handshake is done"
        return self._keys

    def close(self) -> None:
        """Queue close_notify; immediate and idempotent."""
        if self._state is DtlsState.FAILED:
            self._forget()
            return
        if self._state is DtlsState.CONNECTED and self._connection is not None:
            self._say_goodbye(self._connection)
        elif self._state is DtlsState.CONNECTED and self._epilogue is not None:
            self._outgoing.append(self._epilogue.goodbye())
        self._state = DtlsState.CLOSED
        self._forget()

    def _hear(self, epilogue: Epilogue, datagram: bytes) -> None:
        """Something came after the handshake."""
        heard = epilogue.receive(datagram)
        if heard.is_closed:
            self.close()
        elif heard.wants_last_flight:
            self._outgoing += epilogue.last_flight

    def _open(self) -> SSL.Connection:
        """OpenSSL's part of the association."""
        connection = SSL.Connection(self._context)
        connection.set_accept_state()
        connection.set_ciphertext_mtu(DATAGRAM_BYTES_MAX)
        return connection

    def _shake_hands(self, connection: SSL.Connection) -> None:
        """Let OpenSSL go on with the handshake; SSL.Error when it failed."""
        try:
            connection.do_handshake()
        except SSL.WantReadError:
            return
        keys = _export_keys(connection)
        if keys is None or not self._is_promised(connection):
            self._say_goodbye(connection)
            self._end(DtlsState.FAILED)
            return
        self._keys = keys
        self._state = DtlsState.CONNECTED

    def _read(self, connection: SSL.Connection) -> None:
        """Let OpenSSL take alerts and repeated flights; application data is not for us."""
        try:
            for _ in range(RECORDS_MAX):
                connection.recv(DATAGRAM_BYTES_MAX)
        except SSL.WantReadError:
            return

    def _is_promised(self, connection: SSL.Connection) -> bool:
        """Whether the peer's certificate has one of the promised fingerprints."""
        certificate = connection.get_peer_certificate()
        if certificate is None:
            return False
        der = crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)
        return any(
            algorithm in _HASHES and _digest(der, algorithm) == digest
            for algorithm, digest in self._peer_fingerprints
        )

    def _say_goodbye(self, connection: SSL.Connection) -> None:
        """Queue close_notify, as far as OpenSSL is able to."""
        try:
            connection.shutdown()
        except SSL.Error:
            pass  # the association is broken already: there is nothing left to say
        self._outgoing += _split(_drain(connection))

    def _end(self, state: DtlsState) -> None:
        """Move to a final state, keeping what OpenSSL still wants to say, as an alert."""
        connection = self._connection
        if state is DtlsState.CLOSED and connection is not None:
            self._say_goodbye(connection)
        self._state = state

    def _collect(self, now: float) -> None:
        """Take what OpenSSL wrote and when it wants to be called again."""
        connection = self._connection
        if connection is None:
            return
        written = _drain(connection)
        flight = _split(written) if written else []
        self._outgoing += flight
        if self._state in (DtlsState.CLOSED, DtlsState.FAILED):
            self._forget()
            return
        if self._state is DtlsState.CONNECTED:
            self._epilogue = Epilogue.of(connection, flight)
            if self._epilogue is not None:
                self._connection = self._deadline = None
                return
        timeout_s = connection.DTLSv1_get_timeout()
        self._deadline = None if timeout_s is None else now + timeout_s

    def _forget(self) -> None:
        """Free OpenSSL's part."""
        self._connection = self._epilogue = self._deadline = None


def fingerprint_of(certificate: x509.Certificate, algorithm: str) -> str:
    """The digest of a certificate as SDP writes it; KeyError for an unknown algorithm."""
    return _digest(certificate.public_bytes(serialization.Encoding.DER), algorithm)


def _digest(der: bytes, algorithm: str) -> str:
    """The digest of an encoded certificate."""
    return _HASHES[algorithm](der).digest().hex(":").upper()


def validity_of(certificate: x509.Certificate) -> tuple[float, float]:
    """From when until when it is valid, in unix seconds."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return begin.timestamp(), end.timestamp()


def _self_signed(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """A certificate that says nothing; backdated a day, because clocks differ."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "rostrum")])
    today = datetime.datetime.now(tz=datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=CERTIFICATE_DAYS))
        .sign(key, hashes.SHA256())
    )


def _context(key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> SSL.Context:
    """The context that all connections share."""
    context = SSL.Context(SSL.DTLS_SERVER_METHOD)
    context.set_min_proto_version(_DTLS_1_2)
    context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_QUERY_MTU)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_cipher_list(_CIPHERS)
    context.use_certificate(certificate)
    context.use_privatekey(key)
    # Chains say nothing here: whoever has the promised fingerprint is the peer.
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
    # OpenSSL takes the first of these that the client offers at all, wherever the client puts it.
    context.set_tlsext_use_srtp(b":".join(profile.value.encode() for profile in SrtpProfile))
    return context


def _export_keys(connection: SSL.Connection) -> SrtpKeys | None:
    """The SRTP keys of a finished handshake (RFC 5764 4.2), None when no profile was agreed on."""
    selected = connection.get_selected_srtp_profile().decode()
    if not selected:
        return None
    profile = SrtpProfile(selected)
    key, salt = profile.key_bytes, profile.salt_bytes
    material = connection.export_keying_material(_EXPORTER_LABEL, 2 * (key + salt))
    salts = material[2 * key :]
    return SrtpKeys(
        profile=profile,
        receive=material[:key] + salts[:salt],
        send=material[key : 2 * key] + salts[salt:],
    )


def _drain(connection: SSL.Connection) -> bytes:
    """Everything that OpenSSL has written; a handshake flight is a few kilobytes at most."""
    flight = b""
    try:
        while True:
            read = connection.bio_read(_BIO_BYTES)
            flight += read
            if len(read) < _BIO_BYTES:
                return flight
    except SSL.WantReadError:
        return flight


def _split(flight: bytes) -> list[bytes]:
    """Cut concatenated records into datagrams, none longer than DATAGRAM_BYTES_MAX."""
    datagrams: list[bytes] = []
    position = 0
    while position < len(flight):
        header_end = position + _RECORD_HEADER_BYTES
        end = header_end + int.from_bytes(flight[header_end - 2 : header_end], "big")
        record = flight[position:end]
        assert len(record) <= DATAGRAM_BYTES_MAX, "OpenSSL keeps records within the MTU"
        if datagrams and len(datagrams[-1]) + len(record) <= DATAGRAM_BYTES_MAX:
            datagrams[-1] += record
        else:
            datagrams.append(record)
        position = end
    return datagrams
