"""What a DTLS association still has to say and hear after its handshake, without OpenSSL.

No data flows over it: the handshake was for its keys. What can come later is one alert in each
direction, and the peer's last flight again if our answer to it was lost. OpenSSL keeps 50 KiB for
each connection to be ready for that; the keys of these records fit a hundred bytes.

    record   type (1), version (2), epoch (2), sequence (6), length (2), fragment (RFC 6347 4.1)
    keys     from master secret and both randoms (RFC 5246 6.3), made when they are needed
    AEAD     nonce of 4 secret and 8 sent bytes for GCM (RFC 5288 3); 12 secret bytes masked with
             epoch and sequence for ChaCha20 (RFC 7905 2)

Only what decrypts is believed. An association with another kind of cipher stays with OpenSSL.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from OpenSSL import SSL

_ALERT, _HANDSHAKE = 21, 22
_WARNING, _FATAL = 1, 2
_CLOSE_NOTIFY = 0
_VERSION = 0xFEFD  # DTLS 1.2
_EPOCH = 1  # the one and only epoch with keys: there is no renegotiation
_HEADER = Struct("!BHHHIH")
_TAG_BYTES = 16
_SENT_NONCE_BYTES = 8
# A flight of a handshake has a few; more in one datagram is somebody playing.
_RECORDS_MAX = 16


class _Suite(NamedTuple):
    """How a cipher suite protects records."""

    aead: type[AESGCM] | type[ChaCha20Poly1305]
    key_bytes: int
    nonce_bytes: int  # the secret part
    hash_name: str  # of the key derivation


_SUITES = {
    "ECDHE-ECDSA-AES128-GCM-SHA256": _Suite(AESGCM, 16, 4, "sha256"),
    "ECDHE-ECDSA-AES256-GCM-SHA384": _Suite(AESGCM, 32, 4, "sha384"),
    "ECDHE-ECDSA-CHACHA20-POLY1305": _Suite(ChaCha20Poly1305, 32, 12, "sha256"),
}


class _Record(NamedTuple):
    kind: int
    epoch: int
    sequence: int
    fragment: bytes


@dataclass(frozen=True, slots=True)
class Heard:
    """What a datagram came to."""

    is_closed: bool = False  # the peer said goodbye, or that something is wrong
    wants_last_flight: bool = False


class Epilogue:
    """The keys of one finished handshake, in the passive role."""

    __slots__ = ("_last_flight", "_secrets", "_suite")

    def __init__(self, suite: _Suite, secrets: bytes, last_flight: list[bytes]) -> None:
        self._suite = suite
        self._secrets = secrets  # master secret, server random, client random
        self._last_flight = tuple(last_flight)

    @classmethod
    def of(cls, connection: SSL.Connection, last_flight: list[bytes]) -> Epilogue | None:
        """Of a connection that has just sent `last_flight`; None when it has to stay as it is."""
        suite = _SUITES.get(connection.get_cipher_name() or "")
        master, server = connection.master_key(), connection.server_random()
        client = connection.client_random()
        if suite is None or not (master and server and client and last_flight):
            return None
        return cls(suite, master + server + client, last_flight)

    @property
    def last_flight(self) -> tuple[bytes, ...]:
        """What ended the handshake: the peer needs it again if it was lost."""
        return self._last_flight

    def receive(self, datagram: bytes) -> Heard:
        """Read one datagram; records that do not decrypt say nothing."""
        is_closed = wants_last_flight = False
        for record in _records(datagram):
            if record.epoch != _EPOCH or record.kind not in (_ALERT, _HANDSHAKE):
                continue
            plain = self._open(record)
            if plain is None:
                continue
            if record.kind == _HANDSHAKE:
                wants_last_flight = True
            elif len(plain) == 2 and (plain[0] == _FATAL or plain[1] == _CLOSE_NOTIFY):
                is_closed = True
        return Heard(is_closed, wants_last_flight)

    def goodbye(self) -> bytes:
        """Our close_notify, after everything that was sent."""
        used = (record for datagram in self._last_flight for record in _records(datagram))
        sequence = 1 + max((one.sequence for one in used if one.epoch == _EPOCH), default=0)
        return self._seal(_ALERT, sequence, bytes((_WARNING, _CLOSE_NOTIFY)))

    def _open(self, record: _Record) -> bytes | None:
        suite, fragment = self._suite, record.fragment
        sent = b"" if suite.nonce_bytes == 12 else fragment[:_SENT_NONCE_BYTES]
        sealed = fragment[len(sent) :]
        if len(sealed) < _TAG_BYTES:
            return None
        key, secret = self._keys(is_ours=False)
        extra = _extra(record.kind, record.sequence, len(sealed) - _TAG_BYTES)
        nonce = _nonce(secret, sent, record.sequence)
        try:
            return suite.aead(key).decrypt(nonce, sealed, extra)
        except InvalidTag:
            return None

    def _seal(self, kind: int, sequence: int, plain: bytes) -> bytes:
        suite = self._suite
        key, secret = self._keys(is_ours=True)
        sent = b"" if suite.nonce_bytes == 12 else _position(sequence)
        extra = _extra(kind, sequence, len(plain))
        sealed = sent + suite.aead(key).encrypt(_nonce(secret, sent, sequence), plain, extra)
        high, low = sequence >> 32, sequence & 0xFFFFFFFF
        return _HEADER.pack(kind, _VERSION, _EPOCH, high, low, len(sealed)) + sealed

    def _keys(self, *, is_ours: bool) -> tuple[bytes, bytes]:
        """Key and secret part of the nonce of one direction; ours is the server's."""
        suite = self._suite
        block = _expand(self._secrets, 2 * (suite.key_bytes + suite.nonce_bytes), suite.hash_name)
        keys, nonces = block[: 2 * suite.key_bytes], block[2 * suite.key_bytes :]
        if is_ours:
            return keys[suite.key_bytes :], nonces[suite.nonce_bytes :]
        return keys[: suite.key_bytes], nonces[: suite.nonce_bytes]


def _records(datagram: bytes) -> Iterator[_Record]:
    """The records of a datagram; what is left over is no record."""
    position = 0
    for _ in range(_RECORDS_MAX):
        begin = position + _HEADER.size
        if begin > len(datagram):
            return
        kind, version, epoch, high, low, length = _HEADER.unpack_from(datagram, position)
        position = begin + length
        if position > len(datagram):
            return
        if version == _VERSION:
            yield _Record(kind, epoch, high << 32 | low, datagram[begin:position])


def _position(sequence: int) -> bytes:
    """Epoch and sequence, as they stand in a header."""
    return _EPOCH.to_bytes(2, "big") + sequence.to_bytes(6, "big")


def _extra(kind: int, sequence: int, plain_bytes: int) -> bytes:
    """What is authenticated beside the content (RFC 6347 4.1.2.1)."""
    return (
        _position(sequence)
        + bytes((kind,))
        + _VERSION.to_bytes(2, "big")
        + plain_bytes.to_bytes(2, "big")
    )


def _nonce(secret: bytes, sent: bytes, sequence: int) -> bytes:
    """The nonce of one record."""
    if sent:
        return secret + sent
    mask = int.from_bytes(_position(sequence), "big")
    return (int.from_bytes(secret, "big") ^ mask).to_bytes(len(secret), "big")


def _expand(secrets: bytes, size_bytes: int, hash_name: str) -> bytes:
    """The key block: P_hash of the master secret over both randoms (RFC 5246 5, 6.3)."""
    master, seed = secrets[:48], b"key expansion" + secrets[48:]
    block, step = b"", seed
    while len(block) < size_bytes:
        step = hmac.digest(master, step, hash_name)
        block += hmac.digest(master, step + seed, hash_name)
    return block[:size_bytes]
