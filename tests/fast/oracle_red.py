"""RED (RFC 2198) and what a slot remembers of its packets, as the oracle knows them."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.fast.oracle_stream import Placed

BLOCKS_MAX = 4
OFFSET_MAX = 2**14 - 1
BLOCK_BYTES_MAX = 2**10 - 1
PAYLOAD_BYTES_MAX = 1_280
HISTORY_PACKETS = 64
HISTORY_BYTES = 16_384


class Block(NamedTuple):
    """One Opus packet inside a RED packet, `offset` ticks before it."""

    offset: int
    payload: bytes


def parse_red(payload: bytes, payload_type: int) -> list[Block] | None:
    """The blocks, the newest last; None for what a publisher may not send."""
    sizes: list[tuple[int, int]] = []
    at = 0
    while at < len(payload) and payload[at] & 0x80:
        if at + 4 > len(payload) or payload[at] & 0x7F != payload_type:
            return None
        word = int.from_bytes(payload[at + 1 : at + 4], "big")
        sizes.append((word >> 10, word & 0x3FF))
        at += 4
    if len(sizes) > BLOCKS_MAX or at >= len(payload) or payload[at] != payload_type:
        return None
    at += 1
    blocks = []
    for offset, length in sizes:
        blocks.append(Block(offset, payload[at : at + length]))
        at += length
    return [*blocks, Block(0, payload[at:])] if at < len(payload) else None


def build_red(payload_type: int, blocks: list[Block]) -> bytes:
    """A RED payload of `blocks`, the newest last."""
    heads = b"".join(
        struct.pack("!I", (0x80 | payload_type) << 24 | offset << 10 | len(payload))
        for offset, payload in blocks[:-1]
    )
    return heads + bytes([payload_type]) + b"".join(payload for _, payload in blocks)


@dataclass
class Remembered:
    """A packet of a slot, and the places of those that were wrapped with it by redundancy."""

    packet: Placed
    start: int
    at: float
    copies: dict[int, list[int]] = field(default_factory=dict)


class History:
    """The newest packets of a slot: each index has one of 64 places, payloads lie in a ring."""

    def __init__(self) -> None:
        self._places: dict[int, Remembered] = {}
        self._written = 0

    def recall(self, index: int) -> Remembered | None:
        """The packet of this index, unless it never came or is forgotten."""
        kept = self._places.get(index % HISTORY_PACKETS)
        if kept is None or kept.packet.stream_index != index:
            return None
        return kept if self._written - kept.start <= HISTORY_BYTES else None

    def remember(self, packet: Placed, now: float) -> Remembered | None:
        """Keep a packet; None when a newer one has its place."""
        place = packet.stream_index % HISTORY_PACKETS
        other = self._places.get(place)
        if other is not None and other.packet.stream_index >= packet.stream_index:
            return None
        start, length = self._written, len(packet.payload)
        if start % HISTORY_BYTES + length > HISTORY_BYTES:  # in one piece
            start += -start % HISTORY_BYTES
        self._written = start + length
        kept = self._places[place] = Remembered(packet, start, now)
        return kept

    def between(self, newest: int, start: int, end: float) -> list[Placed]:
        """What is remembered up to index `newest` and begins from `start` on and before `end`."""
        found: list[Placed] = []
        for index in range(newest, newest - HISTORY_PACKETS, -1):
            kept = self.recall(index)
            if kept is not None and kept.packet.time < start:
                break
            if kept is not None:
                found.insert(0, kept.packet)
        while found and found[-1].time >= end:
            found.pop()
        return found

    def wrap(self, kept: Remembered, redundancy: int) -> bool:
        """Choose what goes with a packet; False when not even it alone fits."""
        packet = kept.packet
        size = 1 + len(packet.payload)
        if size > PAYLOAD_BYTES_MAX:
            return False
        chosen: list[int] = []
        for back in range(1, 1 + (0 if packet.late else redundancy)):
            one = self.recall(packet.stream_index - back)
            if one is None or not _may_accompany(one.packet, packet):
                continue
            if size + 4 + len(one.packet.payload) <= PAYLOAD_BYTES_MAX:
                size += 4 + len(one.packet.payload)
                chosen.insert(0, one.packet.stream_index)
        kept.copies[redundancy] = chosen
        return True

    def red_of(self, kept: Remembered, redundancy: int, payload_type: int) -> bytes | None:
        """The RED payload, as it was chosen once; None when a part of it is forgotten."""
        blocks = []
        for index in kept.copies[redundancy]:
            one = self.recall(index)
            if one is None:
                return None
            blocks.append(Block(kept.packet.time - one.packet.time, one.packet.payload))
        return build_red(payload_type, [*blocks, Block(0, kept.packet.payload)])


def _may_accompany(earlier: Placed, newest: Placed) -> bool:
    return (
        earlier.mark.voice == newest.mark.voice
        and len(earlier.payload) <= BLOCK_BYTES_MAX
        and 0 < newest.time - earlier.time <= OFFSET_MAX
    )
