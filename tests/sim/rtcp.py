"""RTCP as a client writes and reads it (RFC 3550 6): compound packets of SR, RR, SDES and BYE."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct, pack, unpack_from

SENDER_REPORT, RECEIVER_REPORT, DESCRIPTION, GOODBYE = 200, 201, 202, 203
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
class Compound:
    """A parsed compound packet."""

    senders: tuple[SenderReport, ...] = ()
    blocks: tuple[ReportBlock, ...] = ()
    goodbyes: tuple[int, ...] = ()


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


def parse_compound(data: bytes) -> Compound:
    """Read a compound packet; ValueError when it is not well-formed."""
    senders: list[SenderReport] = []
    blocks: list[ReportBlock] = []
    goodbyes: list[int] = []
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
        offset = end
    return Compound(tuple(senders), tuple(blocks), tuple(goodbyes))


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
