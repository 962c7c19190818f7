"""RTCP as a client writes and reads it: compound packets of SR, RR, SDES and BYE (RFC 3550 6),
generic NACK (RFC 4585 6.2.1), receiver reference time and its answer (RFC 3611 4.4, 4.5), the most
a receiver says it can take (draft-alvestrand-rmcat-remb-03)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct, iter_unpack, pack, unpack_from

SENDER_REPORT, RECEIVER_REPORT, DESCRIPTION, GOODBYE = 200, 201, 202, 203
TRANSPORT_FEEDBACK, PAYLOAD_FEEDBACK, EXTENDED_REPORT = 205, 206, 207
GENERIC_NACK = 1
APPLICATION = 15
REFERENCE_TIME, DELAY_SINCE_LAST = 4, 5
# Seconds from 1900, where NTP begins, to 1970.
NTP_EPOCH = 2_208_988_800

_HEADER = Struct("!BBHI")
_SENDER = Struct("!QIII")
_BLOCK = Struct("!IIIIII")


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """What one receiver says of one stream; `lost` is cumulative and may be negative."""

    ssrc: int
    fraction: int
    lost: int
    highest_sequence: int
    jitter: int
    last_report: int = 0
    delay: int = 0


@dataclass(frozen=True, slots=True)
class SenderReport:
    """What a sender says of its own stream; `ntp` is 64 bits."""

    ssrc: int
    ntp: int
    rtp_time: int
    packets: int
    octets: int

    @property
    def wall(self) -> float:
        """The report's moment in unix seconds."""
        return self.ntp / 2**32 - NTP_EPOCH


@dataclass(frozen=True, slots=True)
class Nack:
    """A request to send packets of `ssrc` again."""

    ssrc: int
    sequences: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DelaySince:
    """The answer to a reference time: its middle 32 bits, and for how long it lay, in 1/65536 s."""

    ssrc: int
    last_reference: int
    delay: int


@dataclass(frozen=True, slots=True)
class Compound:
    """A parsed compound packet."""

    senders: tuple[SenderReport, ...] = ()
    blocks: tuple[ReportBlock, ...] = ()
    goodbyes: tuple[int, ...] = ()
    nacks: tuple[Nack, ...] = ()
    delays: tuple[DelaySince, ...] = ()
    # Who sent a reference time, and its middle 32 bits.
    references: tuple[tuple[int, int], ...] = ()


def build_block(block: ReportBlock) -> bytes:
    """The 24 bytes of a report block."""
    lost = max(-(2**23), min(2**23 - 1, block.lost)) & 0xFFFFFF
    return _BLOCK.pack(
        block.ssrc,
        block.fraction << 24 | lost,
        block.highest_sequence & 0xFFFFFFFF,
        block.jitter,
        block.last_report,
        block.delay,
    )


def build_report(ssrc: int, sender: SenderReport | None, blocks: list[ReportBlock]) -> bytes:
    """An SR (with `sender`) or RR, followed by the SDES that every compound must carry."""
    body = b"".join(map(build_block, blocks))
    kind = RECEIVER_REPORT
    if sender is not None:
        kind = SENDER_REPORT
        body = _SENDER.pack(sender.ntp, sender.rtp_time, sender.packets, sender.octets) + body
    report = _HEADER.pack(0x80 | len(blocks), kind, 1 + len(body) // 4, ssrc) + body
    name = b"client"
    item = pack("!IBB", ssrc, 1, len(name)) + name
    item += bytes(4 - len(item) % 4)
    return report + pack("!BBH", 0x81, DESCRIPTION, len(item) // 4) + item


def build_nack(ssrc: int, media_ssrc: int, sequences: list[int]) -> bytes:
    """Ask for these packets again, in as few items as they fit."""
    items: list[tuple[int, int]] = []
    for sequence in sequences:
        ahead = (sequence - items[-1][0]) & 0xFFFF if items else 0
        if 1 <= ahead <= 16:
            first, mask = items[-1]
            items[-1] = first, mask | 1 << (ahead - 1)
        else:
            items.append((sequence & 0xFFFF, 0))
    head = pack("!BBHII", 0x80 | GENERIC_NACK, TRANSPORT_FEEDBACK, 2 + len(items), ssrc, media_ssrc)
    return head + b"".join(pack("!HH", *item) for item in items)


def build_remb(ssrc: int, bitrate_bps: int, ssrcs: list[int]) -> bytes:
    """The most that may be sent on these SSRCs together; rounded down to 18 bits."""
    exponent = max(0, bitrate_bps.bit_length() - 18)
    body = pack("!II4s", ssrc, 0, b"REMB")
    body += (len(ssrcs) << 24 | exponent << 18 | bitrate_bps >> exponent).to_bytes(4, "big")
    body += b"".join(pack("!I", one) for one in ssrcs)
    return pack("!BBH", 0x80 | APPLICATION, PAYLOAD_FEEDBACK, len(body) // 4) + body


def build_reference_time(ssrc: int, ntp: int) -> bytes:
    """The receiver's own clock, for whoever does not send."""
    return pack("!BBHIBBHQ", 0x80, EXTENDED_REPORT, 4, ssrc, REFERENCE_TIME, 0, 2, ntp)


def build_delay_since(ssrc: int, delay: DelaySince) -> bytes:
    """The answer to a reference time."""
    block = pack("!BBHIII", DELAY_SINCE_LAST, 0, 3, delay.ssrc, delay.last_reference, delay.delay)
    return pack("!BBHI", 0x80, EXTENDED_REPORT, 5, ssrc) + block


def parse_compound(data: bytes) -> Compound:
    """Read a compound packet; ValueError when it is not well-formed."""
    senders: list[SenderReport] = []
    blocks: list[ReportBlock] = []
    goodbyes: list[int] = []
    nacks: list[Nack] = []
    delays: list[DelaySince] = []
    references: list[tuple[int, int]] = []
    offset = 0
    while offset < len(data):
        if len(data) - offset < 4:
            raise ValueError("a fragment at the end")
        first, kind, words = unpack_from("!BBH", data, offset)
        end = offset + 4 + words * 4
        if first >> 6 != 2 or end > len(data):
            raise ValueError("a broken RTCP header")
        body, count = data[offset + 4 : end], first & 31
        if kind == SENDER_REPORT:
            senders.append(SenderReport(*unpack_from("!IQIII", body)))
            blocks += _parse_blocks(body[24:], count)
        elif kind == RECEIVER_REPORT:
            blocks += _parse_blocks(body[4:], count)
        elif kind == GOODBYE:
            goodbyes += unpack_from(f"!{count}I", body)
        elif kind == TRANSPORT_FEEDBACK and count == GENERIC_NACK:
            nacks.append(_parse_nack(body))
        elif kind == EXTENDED_REPORT:
            delays += _parse_delays(body)
            references += _parse_references(body)
        offset = end
    return Compound(
        tuple(senders),
        tuple(blocks),
        tuple(goodbyes),
        tuple(nacks),
        tuple(delays),
        tuple(references),
    )


def _parse_nack(body: bytes) -> Nack:
    if len(body) < 12:
        raise ValueError("a NACK that asks for nothing")
    sequences: list[int] = []
    for offset in range(8, len(body), 4):
        first, mask = unpack_from("!HH", body, offset)
        sequences.append(first)
        sequences += [first + 1 + bit & 0xFFFF for bit in range(16) if mask >> bit & 1]
    return Nack(unpack_from("!I", body, 4)[0], tuple(sequences))


def _extended_blocks(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and content of each block of an extended report (RFC 3611 3)."""
    offset = 4
    while offset < len(body):
        if len(body) - offset < 4:
            raise ValueError("an XR block is cut short")
        kind, _, words = unpack_from("!BBH", body, offset)
        end = offset + 4 + words * 4
        if end > len(body):
            raise ValueError("an XR block does not fit")
        yield kind, body[offset + 4 : end]
        offset = end


def _parse_delays(body: bytes) -> list[DelaySince]:
    delays = []
    for kind, content in _extended_blocks(body):
        if kind == DELAY_SINCE_LAST:
            delays += [DelaySince(*item) for item in iter_unpack("!III", content)]
    return delays


def _parse_references(body: bytes) -> list[tuple[int, int]]:
    ssrc = int.from_bytes(body[:4], "big")
    return [
        (ssrc, int.from_bytes(content[2:6], "big"))
        for kind, content in _extended_blocks(body)
        if kind == REFERENCE_TIME
    ]


def _parse_blocks(body: bytes, count: int) -> list[ReportBlock]:
    if len(body) < count * _BLOCK.size:
        raise ValueError("report blocks are cut short")
    blocks = []
    for index in range(count):
        ssrc, loss, highest, jitter, last, delay = _BLOCK.unpack_from(body, index * _BLOCK.size)
        lost = loss & 0xFFFFFF
        if lost >= 2**23:
            lost -= 2**24
        blocks.append(ReportBlock(ssrc, loss >> 24, lost, highest, jitter, last, delay))
    return blocks
