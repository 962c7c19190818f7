"""RED as a client writes and reads it (RFC 2198), nothing shared with the server's parser."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from struct import Struct

# The fields of a block header have 14 and 10 bits.
OFFSET_MAX = 2**14 - 1
LENGTH_MAX = 2**10 - 1

_HEADER = Struct("!I")
_MORE = 0x80


@dataclass(frozen=True, slots=True)
class Copy:
    """One block before the last: what was said `offset` ticks earlier."""

    payload_type: int
    offset: int
    payload: bytes


def build(payload_type: int, copies: list[tuple[int, bytes]], payload: bytes) -> bytes:
    """The newest payload after copies of earlier ones, each with its offset in ticks."""
    headers = b"".join(
        _HEADER.pack((_MORE | payload_type) << 24 | offset << 10 | len(copy))
        for offset, copy in copies
    )
    return headers + bytes((payload_type,)) + b"".join(copy for _, copy in copies) + payload


def parse(data: bytes) -> tuple[int, bytes, list[Copy]]:
    """Payload type and payload of the newest block, and the copies before it, oldest first.

    ValueError when the lengths do not add up.
    """
    headers: list[tuple[int, int, int]] = []
    offset = 0
    while offset < len(data) and data[offset] & _MORE:
        if len(data) - offset < _HEADER.size:
            raise ValueError("a block header is cut short")
        (word,) = _HEADER.unpack_from(data, offset)
        headers.append((word >> 24 & 0x7F, word >> 10 & OFFSET_MAX, word & LENGTH_MAX))
        offset += _HEADER.size
    if offset >= len(data):
        raise ValueError("RED without a last block")
    newest_type = data[offset]
    offset += 1
    copies = []
    for payload_type, ticks, length in headers:
        if len(data) - offset < length:
            raise ValueError("a copy is cut short")
        copies.append(Copy(payload_type, ticks, data[offset : offset + length]))
        offset += length
    if offset == len(data):
        raise ValueError("nothing is left for the newest block")
    return newest_type, data[offset:], copies


class RedEncoder:
    """Puts each packet after copies of the `depth` before it, as browsers do."""

    def __init__(self, payload_type: int, red_payload_type: int, depth: int) -> None:
        self.payload_type = red_payload_type
        self._block_type = payload_type
        self._said: deque[tuple[int, int, bytes]] = deque(maxlen=depth)

    def wrap(self, packet: int, ticks: int, payload: bytes) -> tuple[bytes, list[int]]:
        """The payload to send at `ticks`, and the indices of the packets copied in it."""
        near = [said for said in self._said if 0 < ticks - said[1] <= OFFSET_MAX]
        copies = [(ticks - at, copy) for _, at, copy in near]
        self._said.append((packet, ticks, payload))
        return build(self._block_type, copies, payload), [index for index, _, _ in near]

    def forget(self) -> None:
        """What was said belongs to another stream."""
        self._said.clear()
