"""RTCP beside reports: packets asked for again, and round trips of those who send nothing.

    205, format 1   generic NACK (RFC 4585 6.2.1)
    207             extended reports (RFC 3611), of which two blocks are read: receiver reference
                    time (4.4) and what answers it, DLRR (4.5)

Other formats and blocks are skipped by their length, which must add up all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from struct import Struct

from sfu.transport.rtcp import (
    REPORTS,
    ExtendedReport,
    Nack,
    Reader,
    ReferenceDelay,
    RtcpError,
    build_packet,
)

TRANSPORT_FEEDBACK = 205
EXTENDED_REPORT = 207
GENERIC_NACK = 1
# Nobody keeps packets for longer than 64 of them, each pair asks for 17, and pairs may be sparse.
NACK_PAIRS_MAX = 64
# A client has few SSRCs; a DLRR answers each of ours at most once.
DELAYS_MAX = 16

_REFERENCE_TIME = 4
_DELAYS = 5
_WORD = Struct("!I")
_PAIR = Struct("!HH")
_BLOCK = Struct("!BxH")
_DELAY = Struct("!III")


def _read_transport_feedback(data: bytes, begin: int, end: int, count: int) -> Nack | None:
    size = end - begin
    if size < 8:
        raise RtcpError("feedback")
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
