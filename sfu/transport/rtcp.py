"""RTCP on the wire (RFC 3550 6.4 to 6.6): compounds in and out, and the arithmetic of reports.

The server ends RTCP: it never passes a client's reports on, because it numbers and times the
packets of each listener itself. Unknown packet types are skipped by their length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from struct import Struct
from typing import NamedTuple

VERSION = 2
SENDER_REPORT = 200
RECEIVER_REPORT = 201
SOURCE_DESCRIPTION = 202
GOODBYE = 203
TRANSPORT_FEEDBACK = 205
# Packet type and format of transport-wide feedback, which browsers pad by one to three bytes, in
# the middle of a compound too.
PACKET_TIMES = TRANSPORT_FEEDBACK, 15
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
_SENDER_INFO = Struct("!IQIII")  # a body's beginning
_SENDER = Struct("!BBHIQIII")  # a whole sender report without blocks
_REPORT = Struct("!IB3sIIII")
_REPORT_READ = Struct("!IIIIII")  # fraction and cumulative loss in one
_REPORT_BYTES = 24


class RtcpError(ValueError):
    """A compound that is not well-formed RTCP."""


class ReportBlock(NamedTuple):
    """What a receiver says of one SSRC: `fraction_lost` in 1/256, `lsr` and `dlsr` in 1/65536 s."""

    ssrc: int
    fraction_lost: int
    cumulative_lost: int
    highest_sequence: int
    jitter_ticks: int
    lsr: int
    dlsr: int


class SenderReport(NamedTuple):
    """A sender report; `ntp` is a 64-bit NTP timestamp."""

    ssrc: int
    ntp: int
    rtp_time: int
    packets: int
    octets: int
    reports: tuple[ReportBlock, ...] = ()


class ReceiverReport(NamedTuple):
    """A receiver report."""

    ssrc: int
    reports: tuple[ReportBlock, ...] = ()


class SourceDescription(NamedTuple):
    """The (SSRC, CNAME) pairs of an SDES packet."""

    cnames: tuple[tuple[int, str], ...]


class Goodbye(NamedTuple):
    """The SSRCs that end."""

    ssrcs: tuple[int, ...]


class Nack(NamedTuple):
    """Packets of `ssrc` that are asked for again, by their 16-bit sequence numbers."""

    sender: int
    ssrc: int
    sequences: tuple[int, ...]


class ReferenceDelay(NamedTuple):
    """What answers a reference time: who sent it, its middle 32 bits, how long ago in 1/65536 s."""

    ssrc: int
    last: int
    delay: int


class ExtendedReport(NamedTuple):
    """The blocks that measure round trips: `reference` is a 64-bit NTP timestamp."""

    ssrc: int
    reference: int | None = None
    delays: tuple[ReferenceDelay, ...] = ()


class PacketTimes(NamedTuple):
    """Transport-wide feedback as it came, from after its two SSRCs on: compiled code reads it."""

    feedback: bytes


class BandwidthEstimate(NamedTuple):
    """How much a receiver thinks its line takes (REMB), for streams of these SSRCs together."""

    bitrate_bps: int
    ssrcs: tuple[int, ...]


RtcpPacket = (
    SenderReport
    | ReceiverReport
    | SourceDescription
    | Goodbye
    | Nack
    | ExtendedReport
    | PacketTimes
    | BandwidthEstimate
)


# Makes a packet of (datagram, where its body begins, where it ends, the five-bit count of its
# header); None when it is well-formed but of no interest, RtcpError when it is malformed. Both ends
# are within the datagram.
Reader = Callable[[bytes, int, int, int], RtcpPacket | None]


def _end_of_content(data: bytes, begin: int, end: int, *, is_odd: bool) -> int:
    """Where a body's padding begins, which only the last packet may have (RFC 3550 6.4.1).

    `is_odd`: it is of any size and anywhere.
    """
    size = data[end - 1] if end > begin else 0
    is_right = is_odd or (end == len(data) and size % 4 == 0)
    if not is_right or size == 0 or size > end - begin:
        raise RtcpError("padding")
    return end - size


def _read_sender_report(data: bytes, begin: int, end: int, count: int) -> SenderReport:
    if end - begin < 24:
        raise RtcpError("sender report")
    ssrc, ntp, rtp_time, packets, octets = _SENDER_INFO.unpack_from(data, begin)
    blocks = _read_blocks(data, begin + 24, end, count) if count else ()
    return SenderReport(ssrc, ntp, rtp_time, packets, octets, blocks)


def _read_receiver_report(data: bytes, begin: int, end: int, count: int) -> ReceiverReport:
    if end - begin < 4:
        raise RtcpError("receiver report")
    blocks = _read_blocks(data, begin + 4, end, count) if count else ()
    return ReceiverReport(_u32(data, begin), blocks)


def _read_source_description(data: bytes, begin: int, end: int, count: int) -> SourceDescription:
    return SourceDescription(tuple(_chunks(data[begin:end], count)))


def _read_goodbye(data: bytes, begin: int, end: int, count: int) -> Goodbye:
    if end - begin < 4 * count:
        raise RtcpError("goodbye")
    return Goodbye(tuple(_u32(data, begin + 4 * index) for index in range(count)))


# What reads which packet type, by what a reader wants of a compound.
REPORTS: Mapping[int, Reader] = {
    SENDER_REPORT: _read_sender_report,
    RECEIVER_REPORT: _read_receiver_report,
}
EVERYTHING: Mapping[int, Reader] = {
    **REPORTS,
    SOURCE_DESCRIPTION: _read_source_description,
    GOODBYE: _read_goodbye,
}


def parse_compound(
    data: bytes, readers: Mapping[int, Reader] = EVERYTHING
) -> tuple[RtcpPacket, ...]:
    """The packets in one decrypted datagram of the types that `readers` has, others being skipped.

    RtcpError when any of what is read is malformed, or the lengths do not add up.
    """
    packets: list[RtcpPacket] = []
    position, size = 0, len(data)
    for _ in range(PACKETS_MAX):
        if position == size:
            return tuple(packets)
        if position + 4 > size:
            raise RtcpError("header")
        first, kind, words = _HEADER.unpack_from(data, position)
        begin, end = position + 4, position + 4 + 4 * words
        if first >> 6 != VERSION or end > size:
            raise RtcpError("version or length")
        reader = readers.get(kind)
        if reader is not None:
            content_end, form = end, first & 0x1F
            if first & 0x20:
                is_odd = (kind, form) == PACKET_TIMES
                content_end = _end_of_content(data, begin, end, is_odd=is_odd)
            packet = reader(data, begin, content_end, form)
            if packet is not None:
                packets.append(packet)
        position = end
    raise RtcpError("too many packets")


def _u32(data: bytes, position: int) -> int:
    """Four bytes, which the caller has checked to be there."""
    return int.from_bytes(data[position : position + 4], "big")


def _read_blocks(data: bytes, begin: int, end: int, count: int) -> tuple[ReportBlock, ...]:
    """The report blocks from `begin` on; what follows them is a profile's and skipped."""
    if end < begin + _REPORT_BYTES * count:
        raise RtcpError("report blocks")
    return tuple([_read_block(data, begin + _REPORT_BYTES * index) for index in range(count)])


def _read_block(data: bytes, position: int) -> ReportBlock:
    """One report block; the cumulative loss is 24 bits with a sign."""
    ssrc, loss, highest, jitter, lsr, dlsr = _REPORT_READ.unpack_from(data, position)
    cumulative = ((loss & 0xFFFFFF) ^ 0x800000) - 0x800000
    return ReportBlock(ssrc, loss >> 24, cumulative, highest, jitter, lsr, dlsr)


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
    return build_packet(RECEIVER_REPORT, len(report.reports), body)


def build_source_description(ssrcs: Sequence[int], cname: str) -> bytes:
    """An SDES packet that gives all these SSRCs (at most 31) the same CNAME."""
    name = cname.encode()
    assert len(name) <= 255 and len(ssrcs) <= REPORTS_MAX
    item = bytes((_CNAME, len(name))) + name
    item += bytes(4 - (4 + len(item)) % 4)  # one to four zeros end the list of items
    body = b"".join(ssrc.to_bytes(4, "big") + item for ssrc in ssrcs)
    return build_packet(SOURCE_DESCRIPTION, len(ssrcs), body)


def build_goodbye(ssrcs: Sequence[int]) -> bytes:
    """A BYE for these SSRCs (at most 31)."""
    return build_packet(GOODBYE, len(ssrcs), b"".join(ssrc.to_bytes(4, "big") for ssrc in ssrcs))


def build_compounds(
    senders: Sequence[SenderReport],
    receiver: ReceiverReport | None,
    cname: str,
    extension: bytes = b"",
) -> list[bytes]:
    """Compounds of reports with a CNAME for each SSRC, each within a datagram (RFC 3550 6.1).

    Each sender report goes with its own description, so that a compound can be cut between any two.
    `extension` is a packet that goes with the first report.
    """
    if receiver is None and not senders:
        return []
    parts: list[bytes] = []
    if receiver is not None:
        description = build_source_description((receiver.ssrc,), cname)
        parts.append(build_receiver_report(receiver) + description)
    for report in senders:
        parts.append(build_sender_report(report) + build_source_description((report.ssrc,), cname))
    parts[0] += extension
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


def build_packet(kind: int, count: int, body: bytes) -> bytes:
    """A packet with its header; the body is a multiple of four bytes."""
    return _HEADER.pack(VERSION << 6 | count, kind, len(body) // 4) + body


def ntp_time(unix_s: float) -> int:
    """A 64-bit NTP timestamp of seconds since 1970 (RFC 3550 4)."""
    return round((unix_s + _NTP_EPOCH_S) * 0x100000000) & 0xFFFFFFFFFFFFFFFF


def middle_of(ntp: int) -> int:
    """The middle 32 bits of an NTP timestamp: 1/65536 s, what LSR carries."""
    return ntp >> 16 & 0xFFFFFFFF


def round_trip_s(block: ReportBlock, arrived_ntp: int) -> float | None:
    """The round trip that a report block tells (RFC 3550 6.4.1), None when it tells none."""
    return round_trip_of(block.lsr, block.dlsr, arrived_ntp)


def round_trip_of(last: int, delay: int, arrived_ntp: int) -> float | None:
    """The same of any echoed time: LSR and DLSR, or LRR and DLRR (RFC 3611 4.5)."""
    if last == 0:
        return None
    units = middle_of(arrived_ntp) - last - delay & 0xFFFFFFFF
    # Clocks that tick in other steps make a tiny trip negative.
    if units >= 0x80000000:
        units = 0 if units > 0xFFFFFFFF - 655 else 0xFFFFFFFF
    rtt_s = units / 65_536
    return rtt_s if rtt_s <= RTT_S_MAX else None
