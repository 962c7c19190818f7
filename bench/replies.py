"""A client's answers to connectivity checks: full ICE servers send their own (RFC 8445 7.3)."""

from __future__ import annotations

import hmac
import zlib
from ipaddress import ip_address
from typing import Final

_REQUEST: Final = b"\x00\x01"
_SUCCESS: Final = b"\x01\x01"
_MAGIC: Final = 0x2112A442
_XOR_MAPPED_ADDRESS_HEAD: Final = b"\x00\x20"
_INTEGRITY_HEAD: Final = b"\x00\x08\x00\x14"
_INTEGRITY_BYTES: Final = 24
_FINGERPRINT_HEAD: Final = b"\x80\x28\x00\x04"
_FINGERPRINT_BYTES: Final = 8
_FINGERPRINT_XOR: Final = 0x5354554E
_HEADER_BYTES: Final = 20


class Replies:
    """What one client answers to the server at `address`, which it is connected to."""

    __slots__ = ("_address", "_is_ipv6", "_key", "_port")

    def __init__(self, pwd: str, address: tuple[str, int]) -> None:
        host = ip_address(address[0])
        self._key = pwd.encode()  # the client's own
        self._address = int(host)
        self._is_ipv6 = host.version == 6
        self._port = address[1]

    def reply(self, data: bytes) -> bytes | None:
        """The success response, None when `data` is no authentic binding request."""
        if not self._is_request(data):
            return None
        transaction = data[4:_HEADER_BYTES]  # with the magic cookie
        mapped = _XOR_MAPPED_ADDRESS_HEAD + self._mapped(transaction)
        signed = len(mapped) + _INTEGRITY_BYTES
        rest = transaction + mapped
        digest = hmac.digest(self._key, _SUCCESS + signed.to_bytes(2, "big") + rest, "sha1")
        length = (signed + _FINGERPRINT_BYTES).to_bytes(2, "big")
        message = _SUCCESS + length + rest + _INTEGRITY_HEAD + digest
        checksum = zlib.crc32(message) ^ _FINGERPRINT_XOR
        return message + _FINGERPRINT_HEAD + checksum.to_bytes(4, "big")

    def _is_request(self, data: bytes) -> bool:
        if data[:2] != _REQUEST or int.from_bytes(data[4:8], "big") != _MAGIC:
            return False
        position = _HEADER_BYTES
        while position + _INTEGRITY_BYTES <= len(data):
            if data[position : position + 4] == _INTEGRITY_HEAD:
                signed = (position - _HEADER_BYTES + _INTEGRITY_BYTES).to_bytes(2, "big")
                head = _REQUEST + signed + data[4:position]
                digest = data[position + 4 : position + _INTEGRITY_BYTES]
                return hmac.compare_digest(hmac.digest(self._key, head, "sha1"), digest)
            length = int.from_bytes(data[position + 2 : position + 4], "big")
            position += 4 + length + -length % 4
        return False

    def _mapped(self, transaction: bytes) -> bytes:
        """RFC 8489 14.2: length, family, port and address, crossed with cookie and transaction."""
        size = 16 if self._is_ipv6 else 4
        crossed = self._address ^ int.from_bytes(transaction[:size], "big")
        port = self._port ^ _MAGIC >> 16
        head = (4 + size).to_bytes(2, "big") + bytes((0, 2 if self._is_ipv6 else 1))
        return head + port.to_bytes(2, "big") + crossed.to_bytes(size, "big")
