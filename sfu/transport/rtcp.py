"""RTCP on the wire (RFC 3550 6.4 to 6.6): compounds in and out, and the arithmetic of reports.

The server ends RTCP: it never passes a client's reports on, because it numbers and times the
packets of each listener itself. Unknown packet types are skipped by their length.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from struct import Struct

VERSION = 2
SENDER_REPORT = 200
RECEIVER_REPORT = 201
SOURCE_DESCRIPTION = 202
GOODBYE = 203
# Packet types by what a reader wants of a compound.
REPORTS = frozenset((SENDER_REPORT, RECEIVER_REPORT))
EVERYTHING = REPORTS | {SOURCE_DESCRIPTION, GOODBYE}
_CNAME = 1
# A compound fits a datagram; far more packets in one than any client sends means nonsense.
PACKETS_MAX = 64
REPORTS_MAX = 31  # five bits
# The whole datagram stays within 1,200 bytes, of which SRTCP takes 4 for its index and 16 for the
# tag.
COMPOUND_BYTES_MAX = 1_200 - 20
# Seconds from the NTP epoch (1900) to the Unix one.
_NTP_EPOCH_S = 2_208_988_800
# More than this is no round trip but a report about another connection, or a lie.
RTT_S_MAX = 30.0

_HEADER = Struct("!BBH")
_SENDER_INFO = Struct("!QIII")
_SENDER = Struct("!BBHIQIII")  # a whole sender report without blocks
_REPORT = Struct("!IB3sIIII")


class RtcpError(ValueError):
    """A compound that is not well-formed RTCP."""


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """What a receiver says of one SSRC: `fraction_lost` in 1/256, `lsr` and `dlsr` in 1/65536 s."""

    ssrc: int
    fraction_lost: int
    cumulative_lost: int
    highest_sequence: int
    jitter_ticks: int
    lsr: int
    dlsr: int


@dataclass(frozen=True, slots=True)
class SenderReport:
    """A sender report; `ntp` is a 64-bit NTP timestamp."""

    ssrc: int
    ntp: int
    rtp_time: int
    packets: int
    octets: int
    reports: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    """A receiver report."""

    ssrc: int
    reports: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """The (SSRC, CNAME) pairs of an SDES packet."""

    cnames: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The SSRCs that end."""

    ssrcs: tuple[int, ...]


RtcpPacket = SenderReport | ReceiverReport | SourceDescription | Goodbye


def parse_compound(data: bytes, wanted: frozenset[int] = EVERYTHING) -> tuple[RtcpPacket, ...]:
    """The packets of the `wanted` types in one decrypted datagram, the others being skipped.

    RtcpError when any of what is read is malformed, or the lengths do not add up.
    """
    packets: list[RtcpPacket] = []
    position = 0
    for _ in range(PACKETS_MAX):
        if position == len(data):
            return tuple(packets)
        if position + 4 > len(data):
            raise RtcpError("header")
        first, kind, words = _HEADER.unpack_from(data, position)
        end = position + 4 + 4 * words
        if first >> 6 != VERSION or end > len(data):
            raise RtcpError("version or length")
        if kind in wanted:
            body = data[position + 4 : end]
            if first & 0x20:
                body = _without_padding(body, is_last=end == len(data))
            packets.append(_parse_packet(kind, first & 0x1F, body))
        position = end
    raise RtcpError("too many packets")


def _without_padding(body: bytes, *, is_last: bool) -> bytes:
    """The body less its padding, which only the last packet may have (RFC 3550 6.4.1)."""
    size = body[-1] if body else 0
    if not is_last or size == 0 or size % 4 or size > len(body):
        raise RtcpError("padding")
    return body[:-size]


def _parse_packet(kind: int, count: int, body: bytes) -> RtcpPacket:
    """One packet's value."""
    if kind == SENDER_REPORT:
        if len(body) < 24:
            raise RtcpError("sender report")
        ntp, rtp_time, packets, octets = _SENDER_INFO.unpack_from(body, 4)
        blocks = _blocks(body, 24, count)
        return SenderReport(_u32(body, 0), ntp, rtp_time, packets, octets, blocks)
    if kind == RECEIVER_REPORT:
        if len(body) < 4:
            raise RtcpError("receiver report")
        return ReceiverReport(_u32(body, 0), _blocks(body, 4, count))
    if kind == SOURCE_DESCRIPTION:
        return SourceDescription(tuple(_chunks(body, count)))
    if len(body) < 4 * count:
        raise RtcpError("goodbye")
    return Goodbye(tuple(_u32(body, 4 * index) for index in range(count)))


def _u32(data: bytes, position: int) -> int:
    """Four bytes, which the caller has checked to be there."""
    return int.from_bytes(data[position : position + 4], "big")


def _blocks(body: bytes, position: int, count: int) -> tuple[ReportBlock, ...]:
    """The report blocks from `position` on; what follows them is a profile's and skipped."""
    if len(body) < position + 24 * count:
        raise RtcpError("report blocks")
    return tuple(_block(body, position + 24 * index) for index in range(count))


def _block(body: bytes, position: int) -> ReportBlock:
    """One report block; the cumulative loss is 24 bits with a sign."""
    ssrc, fraction, lost, highest, jitter, lsr, dlsr = _REPORT.unpack_from(body, position)
    cumulative = int.from_bytes(lost, "big", signed=True)
    return ReportBlock(ssrc, fraction, cumulative, highest, jitter, lsr, dlsr)


def _chunks(body: bytes, count: int) -> Iterable[tuple[int, str]]:
    """The CNAMEs of an SDES packet (RFC 3550 6.5)."""
    position = 0
    for _ in range(count):
        if position + 4 > len(body):
            raise RtcpError("description")
        ssrc, position = _u32(body, position), position + 4
        while position < len(body) and body[position] != 0:
            length = body[position + 1] if position + 1 < len(body) else 0xFFFF
            item, end = body[position], position + 2 + length
            if end > len(body):
                raise RtcpError("description item")
            if item == _CNAME:
                yield ssrc, body[position + 2 : end].decode(errors="replace")
            position = end
        if position >= len(body):
            raise RtcpError("description end")
        position = (position & ~3) + 4


def build_sender_report(report: SenderReport) -> bytes:
    """A sender report, with its blocks."""
    blocks = _build_blocks(report.reports) if report.reports else b""
    packet = _SENDER.pack(
        VERSION << 6 | len(report.reports),
        SENDER_REPORT,
        6 + len(blocks) // 4,
        report.ssrc,
        report.ntp,
        report.rtp_time & 0xFFFFFFFF,
        report.packets & 0xFFFFFFFF,
        report.octets & 0xFFFFFFFF,
    )
    return packet + blocks


def build_receiver_report(report: ReceiverReport) -> bytes:
    """A receiver report, with its blocks."""
    body = report.ssrc.to_bytes(4, "big") + _build_blocks(report.reports)
    return _build(RECEIVER_REPORT, len(report.reports), body)


def build_source_description(ssrcs: Sequence[int], cname: str) -> bytes:
    """An SDES packet that gives all these SSRCs (at most 31) the same CNAME."""
    name = cname.encode()
    assert len(name) <= 255 and len(ssrcs) <= REPORTS_MAX
    item = bytes((_CNAME, len(name))) + name
    item += bytes(4 - (4 + len(item)) % 4)  # one to four zeros end the list of items
    body = b"".join(ssrc.to_bytes(4, "big") + item for ssrc in ssrcs)
    return _build(SOURCE_DESCRIPTION, len(ssrcs), body)


def build_goodbye(ssrcs: Sequence[int]) -> bytes:
    """A BYE for these SSRCs (at most 31)."""
    return _build(GOODBYE, len(ssrcs), b"".join(ssrc.to_bytes(4, "big") for ssrc in ssrcs))


def build_compounds(
    senders: Sequence[SenderReport], receiver: ReceiverReport | None, cname: str
) -> list[bytes]:
    """Compounds of reports with a CNAME for each SSRC, each within a datagram (RFC 3550 6.1).

    Each sender report goes with its own description, so that a compound can be cut between any two.
    """
    if receiver is None and not senders:
        return []
    parts: list[bytes] = []
    if receiver is not None:
        description = build_source_description((receiver.ssrc,), cname)
        parts.append(build_receiver_report(receiver) + description)
    for report in senders:
        parts.append(build_sender_report(report) + build_source_description((report.ssrc,), cname))
    compounds: list[bytes] = []
    for part in parts:
        if compounds and len(compounds[-1]) + len(part) <= COMPOUND_BYTES_MAX:
            compounds[-1] += part
        else:
            compounds.append(part)
    return compounds


def _build_blocks(blocks: Sequence[ReportBlock]) -> bytes:
    """Report blocks, their losses clamped to what 24 bits hold."""
    assert len(blocks) <= REPORTS_MAX
    return b"".join(
        _REPORT.pack(
            block.ssrc,
            block.fraction_lost,
            max(-0x800000, min(0x7FFFFF, block.cumulative_lost)).to_bytes(3, "big", signed=True),
            block.highest_sequence & 0xFFFFFFFF,
            block.jitter_ticks & 0xFFFFFFFF,
            block.lsr,
            block.dlsr,
        )
        for block in blocks
    )


def _build(kind: int, count: int, body: bytes) -> bytes:
    """A packet with its header."""
    return _HEADER.pack(VERSION << 6 | count, kind, len(body) // 4) + body


def ntp_time(unix_s: float) -> int:
    """A 64-bit NTP timestamp of seconds since 1970 (RFC 3550 4)."""
    return round((unix_s + _NTP_EPOCH_S) * 0x100000000) & 0xFFFFFFFFFFFFFFFF


def middle_of(ntp: int) -> int:
    """The middle 32 bits of an NTP timestamp: 1/65536 s, what LSR carries."""
    return ntp >> 16 & 0xFFFFFFFF


def round_trip_s(block: ReportBlock, arrived_ntp: int) -> float | None:
    """The round trip that a report block tells (RFC 3550 6.4.1), None when it tells none."""
    if block.lsr == 0:
        return None
    units = middle_of(arrived_ntp) - block.lsr - block.dlsr & 0xFFFFFFFF
    # Clocks that tick in other steps make a tiny trip negative.
    if units >= 0x80000000:
        units = 0 if units > 0xFFFFFFFF - 655 else 0xFFFFFFFF
    rtt_s = units / 65_536
    return rtt_s if rtt_s <= RTT_S_MAX else None
