"""RTP and Opus as the oracle reads and writes them: slow, small, close to the RFCs."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

RTP_HEADER_BYTES = 12
ONE_BYTE_PROFILE = 0xBEDE
TWO_BYTE_PROFILE = 0x1000
OPUS_FRAME_BYTES_MAX = 1275  # RFC 6716 3.4, R2
OPUS_TICKS_MAX = 5760  # 120 ms at 48 kHz, R5


class RtpPacket(NamedTuple):
    """The clear part of an RTP packet. `level_byte` (voice bit, level) is None when not told."""

    marker: bool
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    padded: bool
    header_bytes: int
    level_byte: int | None


def parse_rtp(data: bytes, level_extension: int) -> RtpPacket | None:
    """The header of RFC 3550 5.1, or None when it does not fit into the datagram."""
    if len(data) < RTP_HEADER_BYTES:
        return None
    first, second, sequence, timestamp, ssrc = struct.unpack_from("!BBHII", data)
    end = RTP_HEADER_BYTES + 4 * (first & 0x0F)
    level = None
    if first & 0x10:
        if end + 4 > len(data):
            return None
        profile, words = struct.unpack_from("!HH", data, end)
        start, end = end + 4, end + 4 + 4 * words
        if end <= len(data):
            level = _find_level(profile, data[start:end], level_extension)
    if end > len(data):
        return None
    return RtpPacket(
        bool(second & 0x80),
        second & 0x7F,
        sequence,
        timestamp,
        ssrc,
        bool(first & 0x20),
        end,
        level,
    )


def _find_level(profile: int, block: bytes, level_extension: int) -> int | None:
    """The byte of RFC 6464 in an extension block: voice bit and level."""
    if level_extension == 0:
        return None
    for identifier, value in _elements(profile, block):
        if identifier == level_extension:
            return value[0] if value else None
    return None


def _elements(profile: int, block: bytes) -> Iterator[tuple[int, bytes]]:
    """The elements of RFC 8285 4.2 and 4.3; what does not fit into the block ends it."""
    one_byte = profile == ONE_BYTE_PROFILE
    if not one_byte and profile & 0xFFF0 != TWO_BYTE_PROFILE:
        return
    at = 0
    while at < len(block):
        if block[at] == 0:  # padding between elements
            at += 1
            continue
        if one_byte:
            identifier, length, at = block[at] >> 4, (block[at] & 0x0F) + 1, at + 1
            if identifier in (0, 15):  # reserved: stop (RFC 8285 4.2)
                return
        else:
            if at + 2 > len(block):
                return
            identifier, length, at = block[at], block[at + 1], at + 2
        if at + length > len(block):
            return
        yield identifier, block[at : at + length]
        at += length


def strip_padding(payload: bytes, padded: bool) -> bytes:
    """The payload without its padding (RFC 3550 5.1); a count beyond it leaves nothing."""
    if not padded or not payload:
        return payload
    return payload[: max(0, len(payload) - payload[-1])]


def opus_ticks(payload: bytes) -> int | None:
    """The duration of an Opus packet in 48 kHz ticks, or None when RFC 6716 3.4 forbids it."""
    if not payload:
        return None
    frame = _frame_ticks(payload[0] >> 3)
    code = payload[0] & 3
    body = payload[1:]
    if code == 0:
        return frame if len(body) <= OPUS_FRAME_BYTES_MAX else None
    if code == 1:
        fits = len(body) % 2 == 0 and len(body) // 2 <= OPUS_FRAME_BYTES_MAX
        return 2 * frame if fits else None
    if code == 2:
        return 2 * frame if _fits_two(body) else None
    if not body:
        return None
    count = body[0] & 0x3F
    if count == 0 or count * frame > OPUS_TICKS_MAX or not _fits_many(body, count):
        return None
    return count * frame


def _frame_ticks(config: int) -> int:
    """Table 2 of RFC 6716 3.1."""
    if config < 12:  # SILK
        return (480, 960, 1920, 2880)[config & 3]
    if config < 16:  # hybrid
        return (480, 960)[config & 1]
    return (120, 240, 480, 960)[config & 3]  # CELT


def _frame_length(body: bytes, at: int) -> tuple[int, int] | None:
    """A frame length of RFC 6716 3.2.1 at `at`, and the offset after it."""
    if at >= len(body):
        return None
    if body[at] < 252:
        return body[at], at + 1
    if at + 1 >= len(body):
        return None
    return body[at + 1] * 4 + body[at], at + 2


def _fits_two(body: bytes) -> bool:
    """Code 2: the first frame's length, the first frame, the second frame."""
    length = _frame_length(body, 0)
    if length is None:
        return False
    second = len(body) - length[1] - length[0]
    return 0 <= second <= OPUS_FRAME_BYTES_MAX


def _fits_many(body: bytes, count: int) -> bool:
    """Code 3: count byte, padding length, lengths (VBR), frames, padding."""
    at, padding = 1, 0
    if body[0] & 0x40:
        while True:
            if at >= len(body):
                return False
            padding += min(body[at], 254)
            at += 1
            if body[at - 1] != 255:
                break
    if not body[0] & 0x80:
        frames = len(body) - at - padding
        return frames >= 0 and frames % count == 0 and frames // count <= OPUS_FRAME_BYTES_MAX
    used = 0
    for _ in range(count - 1):
        length = _frame_length(body, at)
        if length is None:
            return False
        used, at = used + length[0], length[1]
    last = len(body) - at - padding - used
    return 0 <= last <= OPUS_FRAME_BYTES_MAX


class HeaderLayout(NamedTuple):
    """What an egress negotiated with its listener."""

    payload_type: int
    ssrc: int
    level_extension: int
    mid_extension: int
    mid: bytes


class Stamp(NamedTuple):
    """What differs from packet to packet on an egress."""

    marker: bool
    sequence: int
    timestamp: int
    csrcs: tuple[int, ...]
    level_byte: int


def build_header(layout: HeaderLayout, stamp: Stamp, *, lean: bool) -> bytes:
    """The header of a forwarded packet: whose voices, level and MID in the listener's own ids."""
    csrcs = () if lean else stamp.csrcs
    block = b"" if lean else _extension_block(layout, stamp)
    first = 0x80 | len(csrcs) | (0x10 if block else 0)
    second = (0x80 if stamp.marker else 0) | layout.payload_type
    fixed = struct.pack(
        "!BBHII",
        first,
        second,
        stamp.sequence & 0xFFFF,
        stamp.timestamp & 0xFFFFFFFF,
        layout.ssrc,
    )
    return fixed + b"".join(struct.pack("!I", csrc) for csrc in csrcs) + block


def _extension_block(layout: HeaderLayout, stamp: Stamp) -> bytes:
    """Level, then MID; two-byte form when an id is above 14 (RFC 8285 4.3)."""
    elements = []
    if layout.level_extension:
        elements.append((layout.level_extension, bytes([stamp.level_byte])))
    if layout.mid_extension and layout.mid:
        elements.append((layout.mid_extension, layout.mid))
    if not elements:
        return b""
    two_byte = any(identifier > 14 for identifier, _ in elements)
    block = b""
    for identifier, value in elements:
        if two_byte:
            block += bytes([identifier, len(value)]) + value
        else:
            block += bytes([identifier << 4 | len(value) - 1]) + value
    block += bytes(-len(block) % 4)
    profile = TWO_BYTE_PROFILE if two_byte else ONE_BYTE_PROFILE
    return struct.pack("!HH", profile, len(block) // 4) + block
