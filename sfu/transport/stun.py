"""STUN binding messages (RFC 8489), as far as an ICE-lite server meets them: small and cheap.

Every participant sends a check every few seconds for as long as it is here, so this is the busiest
Python in a silent room: a check and its answer cost a third of what `aioice.stun` takes, which also
cannot write an UNKNOWN-ATTRIBUTES list and raises other things than ValueError for short
attributes. The tests hold the two against each other.

    0                   1                   2                   3
    |0 0| message type (14)         | body length (16), multiple of 4 |
    | magic cookie 0x2112A442                                         |
    | transaction id (96)                                             |
    | attributes: type (16), length (16), value padded to 4 bytes ... |
"""

from __future__ import annotations

import hmac
import zlib
from dataclasses import dataclass
from struct import Struct, unpack_from

from sfu.transport.address import is_ipv4

BINDING_REQUEST = 0x0001
BINDING_RESPONSE = 0x0101
BINDING_ERROR = 0x0111

MAPPED_ADDRESS = 0x0001
USERNAME = 0x0006
MESSAGE_INTEGRITY = 0x0008
ERROR_CODE = 0x0009
UNKNOWN_ATTRIBUTES = 0x000A
XOR_MAPPED_ADDRESS = 0x0020
PRIORITY = 0x0024
USE_CANDIDATE = 0x0025
FINGERPRINT = 0x8028
ICE_CONTROLLED = 0x8029
ICE_CONTROLLING = 0x802A

HEADER_BYTES = 20
# A check is about 100 bytes. Nothing legitimate is near this, and it bounds the HMAC work per
# datagram.
MESSAGE_BYTES_MAX = 548
# Types below this must be understood by whoever receives them (RFC 8489 14).
COMPREHENSION_OPTIONAL = 0x8000

_COOKIE = b"\x21\x12\xa4\x42"
_COOKIE_INT = 0x2112A442
_FINGERPRINT_XOR = 0x5354554E
_INTEGRITY_BYTES = 20
_HEADER = Struct("!HH4s12s")
_ATTRIBUTE = Struct("!HH")
_UNDERSTOOD = frozenset((USERNAME, MESSAGE_INTEGRITY, PRIORITY, USE_CANDIDATE))


class StunError(ValueError):
    """The datagram is not a STUN message that this server can read."""


@dataclass(frozen=True, slots=True)
class StunMessage:
    """A parsed message. Of each type it keeps the first, if MESSAGE-INTEGRITY covers it."""

    message_type: int
    transaction_id: bytes
    attributes: dict[int, bytes]
    signed: bytes | None  # what MESSAGE-INTEGRITY covers, header length already adjusted

    def is_signed_by(self, key: bytes) -> bool:
        """Whether MESSAGE-INTEGRITY is there and made with `key` (RFC 8489 14.5)."""
        if self.signed is None:
            return False
        return hmac.compare_digest(
            self.attributes[MESSAGE_INTEGRITY], hmac.digest(key, self.signed, "sha1")
        )

    def not_understood(self) -> tuple[int, ...]:
        """The types of attributes that this server had to understand and does not."""
        return tuple(
            kind
            for kind in self.attributes
            if kind < COMPREHENSION_OPTIONAL and kind not in _UNDERSTOOD
        )


def parse_message(data: bytes) -> StunMessage:
    """Read one datagram; StunError when it is malformed or its FINGERPRINT is wrong."""
    if not HEADER_BYTES <= len(data) <= MESSAGE_BYTES_MAX:
        raise StunError("length")
    message_type, length, cookie, transaction_id = _HEADER.unpack_from(data)
    if cookie != _COOKIE or message_type > 0x3FFF or length != len(data) - HEADER_BYTES:
        raise StunError("header")
    attributes: dict[int, bytes] = {}
    signed: bytes | None = None
    position = HEADER_BYTES
    while position < len(data):
        kind, value = _attribute_at(data, position)
        if kind == FINGERPRINT:
            _check_fingerprint(data, position, value)
            break
        # What follows MESSAGE-INTEGRITY is not authenticated, so it is not there (RFC 8489 14.5).
        if signed is None and kind not in attributes:
            attributes[kind] = value
            if kind == MESSAGE_INTEGRITY:
                if len(value) != _INTEGRITY_BYTES:
                    raise StunError("integrity length")
                signed = _with_body_length(data[:position], 4 + _INTEGRITY_BYTES)
        position += 4 + (len(value) + 3 & ~3)
    return StunMessage(message_type, transaction_id, attributes, signed)


def _attribute_at(data: bytes, position: int) -> tuple[int, bytes]:
    """The type and value that start at `position`; StunError when they run past the end."""
    if position + 4 > len(data):
        raise StunError("attribute header")
    kind, length = _ATTRIBUTE.unpack_from(data, position)
    if position + 4 + (length + 3 & ~3) > len(data):
        raise StunError("attribute length")
    return kind, data[position + 4 : position + 4 + length]


def _check_fingerprint(data: bytes, position: int, value: bytes) -> None:
    """FINGERPRINT is the last attribute and the CRC of all before it (RFC 8489 14.7)."""
    if len(value) != 4 or position + 8 != len(data):
        raise StunError("fingerprint place")
    if int.from_bytes(value, "big") != zlib.crc32(data[:position]) ^ _FINGERPRINT_XOR:
        raise StunError("fingerprint")


def _with_body_length(message: bytes, more: int) -> bytes:
    """The message as if `more` bytes of attributes followed it."""
    length = len(message) - HEADER_BYTES + more
    return message[:2] + length.to_bytes(2, "big") + message[4:]


def username_of(data: bytes) -> str | None:
    """The local half (ours) of a binding request's USERNAME; None when this is not such a request.

    Looks at the header and the attribute list only: no integrity check and no exception.
    """
    if not HEADER_BYTES <= len(data) <= MESSAGE_BYTES_MAX:
        return None
    if data[:2] != b"\x00\x01" or data[4:8] != _COOKIE:
        return None
    position, end = HEADER_BYTES, len(data) - 4
    while position <= end:
        kind, length = unpack_from("!HH", data, position)
        if kind == USERNAME and position + 4 + length <= len(data):
            local, colon, _ = data[position + 4 : position + 4 + length].partition(b":")
            return local.decode() if colon and local.isascii() else None
        position += 4 + (length + 3 & ~3)
    return None


def xor_mapped_address(address: bytes, transaction_id: bytes) -> bytes:
    """The value of XOR-MAPPED-ADDRESS for an 18-byte address (RFC 8489 14.2)."""
    port = int.from_bytes(address[16:18], "big") ^ (_COOKIE_INT >> 16)
    if is_ipv4(address):
        family, host = 1, address[12:16]
    else:
        family, host = 2, address[:16]
    pad = (_COOKIE + transaction_id)[: len(host)]
    masked = int.from_bytes(host, "big") ^ int.from_bytes(pad, "big")
    return bytes((0, family)) + port.to_bytes(2, "big") + masked.to_bytes(len(host), "big")


def error_code(code: int) -> bytes:
    """The value of ERROR-CODE, without a reason phrase: answers stay small."""
    return bytes((0, 0, code // 100, code % 100))


def unknown_attributes(kinds: tuple[int, ...]) -> bytes:
    """The value of UNKNOWN-ATTRIBUTES (RFC 8489 14.9)."""
    return b"".join(kind.to_bytes(2, "big") for kind in kinds)


def build_message(
    message_type: int, transaction_id: bytes, attributes: tuple[tuple[int, bytes], ...], key: bytes
) -> bytes:
    """A message with these attributes, then MESSAGE-INTEGRITY by `key` and FINGERPRINT."""
    body = b"".join(
        _ATTRIBUTE.pack(kind, len(value)) + value + bytes(-len(value) % 4)
        for kind, value in attributes
    )
    message = _HEADER.pack(message_type, len(body) + 24, _COOKIE, transaction_id) + body
    message += b"\x00\x08\x00\x14" + hmac.digest(key, message, "sha1")
    message = _with_body_length(message, 8)
    crc = zlib.crc32(message) ^ _FINGERPRINT_XOR
    return message + b"\x80\x28\x00\x04" + crc.to_bytes(4, "big")
