"""RTCP beside reports: packets asked for again, what a line takes, and round trips of those who
send nothing.

    205, format 1   generic NACK (RFC 4585 6.2.1)
    205, format 15  transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 3.1)
    206, format 15  application layer feedback (RFC 4585 6.4), of which REMB is read
                    (draft-alvestrand-rmcat-remb-03 2.2)
    207             extended reports (RFC 3611), of which two blocks are read: receiver reference
                    time (4.4) and what answers it, DLRR (4.5)

Other formats and blocks are skipped by their length, which must add up all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from struct import Struct

from sfu.transport.rtcp import (
    PACKET_TIMES,
    REPORTS,
    TRANSPORT_FEEDBACK,
    BandwidthEstimate,
    ExtendedReport,
    Nack,
    PacketTimes,
    Reader,
    ReferenceDelay,
    RtcpError,
    build_packet,
)

PAYLOAD_FEEDBACK = 206
EXTENDED_REPORT = 207
GENERIC_NACK = 1
APPLICATION_LAYER = 15
# Nobody keeps packets for longer than 64 of them, each pair asks for 17, and pairs may be sparse.
NACK_PAIRS_MAX = 64
# A client has few SSRCs; a DLRR answers each of ours at most once.
DELAYS_MAX = 16

_REFERENCE_TIME = 4
_DELAYS = 5
_REMB = b"REMB"
_WORD = Struct("!I")
_PAIR = Struct("!HH")
_BLOCK = Struct("!BxH")
_DELAY = Struct("!III")


# More says nothing of a line that carries voices.
REMB_BPS_MAX = 10**9


def _read_transport_feedback(
    data: bytes, begin: int, end: int, count: int
) -> Nack | PacketTimes | None:
    size = end - begin
    if size < 8:
        raise RtcpError("feedback")
    if (TRANSPORT_FEEDBACK, count) == PACKET_TIMES:
        return PacketTimes(data[begin + 8 : end])
    if count != GENERIC_NACK:
        return None
    pairs = (size - 8) // 4
    if size % 4 or not 1 <= pairs <= NACK_PAIRS_MAX:
        raise RtcpError("nack")
    (sender,), (ssrc,) = _WORD.unpack_from(data, begin), _WORD.unpack_from(data, begin + 4)
    sequences: list[int] = []
    for first, following in _PAIR.iter_unpack(data[begin + 8 : end]):
        sequences.append(first)
        if following:
            sequences += [first + bit + 1 & 0xFFFF for bit in range(16) if following >> bit & 1]
    return Nack(sender, ssrc, tuple(sequences))


def _read_payload_feedback(
    data: bytes, begin: int, end: int, count: int
) -> BandwidthEstimate | None:
    if end - begin < 8:
        raise RtcpError("feedback")
    if count != APPLICATION_LAYER or data[begin + 8 : end][:4] != _REMB:
        return None
    words = [word for (word,) in _WORD.iter_unpack(data[begin + 12 : end])]
    # How many SSRCs, then an exponent of 6 bits and a mantissa of 18.
    if not words or words[0] >> 24 != len(words) - 1:
        raise RtcpError("bandwidth estimate")
    bitrate_bps = (words[0] & 0x3FFFF) << (words[0] >> 18 & 0x3F)
    return BandwidthEstimate(min(bitrate_bps, REMB_BPS_MAX), tuple(words[1:]))


def _read_extended_report(data: bytes, begin: int, end: int, count: int) -> ExtendedReport | None:
    if end - begin < 4:
        raise RtcpError("extended report")
    reference: int | None = None
    delays: tuple[ReferenceDelay, ...] = ()
    for kind, body in _blocks(data, begin + 4, end):
        if kind == _REFERENCE_TIME:
            if len(body) != 8:
                raise RtcpError("reference time")
            reference = int.from_bytes(body, "big")
        elif kind == _DELAYS:
            if len(body) % _DELAY.size:
                raise RtcpError("delays since reference times")
            # Those beyond are not about us: clients put their peers in order of appearance.
            delays = tuple(
                ReferenceDelay(*one) for one in islice(_DELAY.iter_unpack(body), DELAYS_MAX)
            )
    if reference is None and not delays:
        return None
    return ExtendedReport(_WORD.unpack_from(data, begin)[0], reference, delays)


def _blocks(data: bytes, position: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Type and content of each block of an extended report."""
    while position < end:
        if position + 4 > end:
            raise RtcpError("block header")
        kind, words = _BLOCK.unpack_from(data, position)
        position += 4 + 4 * words
        if position > end:
            raise RtcpError("block length")
        yield kind, data[position - 4 * words : position]


# Everything that the server acts upon.
FEEDBACK: Mapping[int, Reader] = {
    **REPORTS,
    TRANSPORT_FEEDBACK: _read_transport_feedback,
    PAYLOAD_FEEDBACK: _read_payload_feedback,
    EXTENDED_REPORT: _read_extended_report,
}


def build_nack(nack: Nack) -> bytes:
    """A generic NACK for sequence numbers in ascending order modulo 2**16."""
    pairs: list[tuple[int, int]] = []
    for sequence in nack.sequences:
        ahead = sequence - pairs[-1][0] & 0xFFFF if pairs else 0
        if 1 <= ahead <= 16:
            pairs[-1] = pairs[-1][0], pairs[-1][1] | 1 << ahead - 1
        else:
            pairs.append((sequence & 0xFFFF, 0))
    assert 1 <= len(pairs) <= NACK_PAIRS_MAX
    body = _WORD.pack(nack.sender) + _WORD.pack(nack.ssrc)
    body += b"".join(_PAIR.pack(*pair) for pair in pairs)
    return build_packet(TRANSPORT_FEEDBACK, GENERIC_NACK, body)


def build_packet_times(sender: int, ssrc: int, times: PacketTimes) -> bytes:
    """Transport-wide feedback, padded to whole words as browsers do."""
    body = _WORD.pack(sender) + _WORD.pack(ssrc) + times.feedback
    padding = -len(body) % 4
    if padding == 0:
        return build_packet(*PACKET_TIMES, body)
    packet = build_packet(*PACKET_TIMES, body + bytes(padding - 1) + bytes((padding,)))
    return bytes((packet[0] | 0x20,)) + packet[1:]


def build_bandwidth_estimate(sender: int, estimate: BandwidthEstimate) -> bytes:
    """REMB, rounded down to what 18 bits hold."""
    exponent = max(0, estimate.bitrate_bps.bit_length() - 18)
    head = len(estimate.ssrcs) << 24 | exponent << 18 | estimate.bitrate_bps >> exponent
    words = (head, *estimate.ssrcs)
    body = _WORD.pack(sender) + bytes(4) + _REMB + b"".join(map(_WORD.pack, words))
    return build_packet(PAYLOAD_FEEDBACK, APPLICATION_LAYER, body)


def build_extended_report(report: ExtendedReport) -> bytes:
    """An extended report of a reference time, delays, or both."""
    body = _WORD.pack(report.ssrc)
    if report.reference is not None:
        body += _BLOCK.pack(_REFERENCE_TIME, 2) + report.reference.to_bytes(8, "big")
    if report.delays:
        body += _build_delays(report.delays)
    return build_packet(EXTENDED_REPORT, 0, body)


def _build_delays(delays: Sequence[ReferenceDelay]) -> bytes:
    assert len(delays) <= DELAYS_MAX
    return _BLOCK.pack(_DELAYS, 3 * len(delays)) + b"".join(_DELAY.pack(*one) for one in delays)
