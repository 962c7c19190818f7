"""Connectivity checks of the controlling ICE side, built cheaply: thousands of clients renew their
consent every few seconds (RFC 8445 7.2, RFC 7675).

A check to an ICE-lite server differs from the one before in its transaction id alone, so everything
else is prepared once per connection; what remains is one HMAC and one CRC.
"""

from __future__ import annotations

import hmac
import zlib

MAGIC = 0x2112A442.to_bytes(4, "big")
_REQUEST = b"\x00\x01"
_SUCCESS = b"\x01\x01"
_USERNAME = 0x0006
_PRIORITY = 0x0024
_USE_CANDIDATE = 0x0025
_CONTROLLING = 0x802A
_INTEGRITY_HEAD = b"\x00\x08\x00\x14"
_INTEGRITY_BYTES = 24
_FINGERPRINT_HEAD = b"\x80\x28\x00\x04"
_FINGERPRINT_BYTES = 8
_FINGERPRINT_XOR = 0x5354554E
_HEADER_BYTES = 20
# Host candidate, RFC 8445 5.1.2.1 with the type preference of peer reflexive ones.
_PRIORITY_VALUE = (110 << 24 | 65_535 << 8 | 255).to_bytes(4, "big")


class Checks:
    """What one client sends to one server; nominates with every check, as clients of ICE-lite
    servers may.
    """

    __slots__ = ("_attributes", "_key", "_length", "_length_signed")

    def __init__(self, local_ufrag: str, remote_ufrag: str, pwd: str, tie_breaker: bytes) -> None:
        self._key = pwd.encode()
        self._attributes = b"".join(
            (
                _attribute(_USERNAME, f"{remote_ufrag}:{local_ufrag}".encode()),
                _attribute(_PRIORITY, _PRIORITY_VALUE),
                _attribute(_CONTROLLING, tie_breaker),
                _attribute(_USE_CANDIDATE, b""),
            )
        )
        signed = len(self._attributes) + _INTEGRITY_BYTES
        self._length_signed = signed.to_bytes(2, "big")
        self._length = (signed + _FINGERPRINT_BYTES).to_bytes(2, "big")

    def request(self, transaction: bytes) -> bytes:
        """A binding request with this transaction id of 12 bytes."""
        rest = MAGIC + transaction + self._attributes
        digest = hmac.digest(self._key, _REQUEST + self._length_signed + rest, "sha1")
        message = _REQUEST + self._length + rest + _INTEGRITY_HEAD + digest
        checksum = zlib.crc32(message) ^ _FINGERPRINT_XOR
        return message + _FINGERPRINT_HEAD + checksum.to_bytes(4, "big")

    def is_success(self, data: bytes, transaction: bytes) -> bool:
        """Whether `data` is the authentic success response to that request."""
        if not answers(data, transaction):
            return False
        end = _integrity_at(data)
        if end < 0:
            return False
        signed = end - _HEADER_BYTES + _INTEGRITY_BYTES
        head = data[:2] + signed.to_bytes(2, "big") + data[4:end]
        return hmac.compare_digest(
            hmac.digest(self._key, head, "sha1"), data[end + 4 : end + _INTEGRITY_BYTES]
        )


def answers(data: bytes, transaction: bytes) -> bool:
    """Whether `data` says that it is the success response to a request; its integrity is not
    looked at, which is enough for consent on a connected socket of one's own test.
    """
    return data[:2] == _SUCCESS and data[8:20] == transaction


def _integrity_at(data: bytes) -> int:
    """Where MESSAGE-INTEGRITY begins, -1 when there is no whole one."""
    position = _HEADER_BYTES
    while position + _INTEGRITY_BYTES <= len(data):
        if data[position : position + 4] == _INTEGRITY_HEAD:
            return position
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        position += 4 + length + -length % 4
    return -1


def _attribute(kind: int, value: bytes) -> bytes:
    padding = bytes(-len(value) % 4)
    return kind.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value + padding
