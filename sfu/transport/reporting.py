"""One participant's RTCP: what to report about its tracks, and what it reported about ours.

Reports go out every 5 s, varied by half so that thousands of listeners do not answer in step
(RFC 3550 6.3.1). A track that carried nothing since the last report is not reported on, so a silent
room costs nothing: an old sender report repeated would map time wrongly. After a silence the first
report comes within 5 s too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sfu.transport.rtcp import (
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    SenderReport,
    build_compounds,
    build_goodbye,
    build_receiver_report,
    middle_of,
    ntp_time,
    round_trip_s,
)

if TYPE_CHECKING:
    from sfu.fast.records import EgressStats, SourceLevel, SourceStats

CLOCK_RATE = 48_000
INTERVAL_S = 5.0
# The first report follows soon, because a client shows and synchronises nothing before it.
FIRST_INTERVAL_S = 0.5


class MediaStats(Protocol):
    """The part of the forwarder that reports are made from."""

    def source_stats(self, source: int, /) -> SourceStats:
        """Counters of what a participant publishes."""

    def egress_stats(self, egress: int, /) -> EgressStats:
        """Counters of one track sent to a participant."""

    def level(self, source: int, now: float, /) -> SourceLevel:
        """Among other things, when the last packet came."""


@dataclass(frozen=True, slots=True)
class EgressFeedback:
    """What the participant last reported about one track that it is sent."""

    at: float  # when the report came
    fraction_lost: float  # 0 to 1, since the report before it
    cumulative_lost: int
    highest_sequence: int
    jitter_s: float
    rtt_s: float | None  # None until a report answers a sender report


@dataclass(frozen=True, slots=True)
class _Received:
    """The counters of the source at the last report about it."""

    ssrc: int = 0
    expected: int = 0
    packets: int = 0


@dataclass(frozen=True, slots=True)
class _HeardReport:
    """The last sender report of the source, for LSR and DLSR."""

    ssrc: int = 0
    lsr: int = 0
    at: float = 0.0


class Reporter:
    """Makes and reads the RTCP of one participant, decrypted.

    `ssrcs` are ours, one for each of `egresses` (forwarder ids); `own_ssrc` signs receiver
    reports when nothing is sent.
    """

    __slots__ = (
        "_cname",
        "_egresses",
        "_entropy",
        "_heard_blocks",
        "_heard_report",
        "_own_ssrc",
        "_received",
        "_sent_packets",
        "_source",
        "_ssrcs",
        "_stats",
        "_wall_at_zero",
    )

    def __init__(
        self,
        stats: MediaStats,
        *,
        source: int | None,
        egresses: Sequence[int],
        ssrcs: Sequence[int],
        own_ssrc: int,
        cname: str,
        wall_at_zero: float,
        entropy: Callable[[int], bytes],
    ) -> None:
        if len(egresses) != len(ssrcs):
            raise ValueError("one SSRC for each egress")
        self._stats = stats
        self._source = source
        self._egresses = tuple(egresses)
        self._ssrcs = tuple(ssrcs)
        self._own_ssrc = own_ssrc
        self._cname = cname
        self._wall_at_zero = wall_at_zero
        self._entropy = entropy
        self._sent_packets = [0] * len(self._egresses)
        self._received = _Received()
        self._heard_report = _HeardReport()
        # By our SSRC: when it came, the block, the round trip. Thousands come for one that is read.
        self._heard_blocks: dict[int, tuple[float, ReportBlock, float | None]] = {}

    def interval_s(self, mean_s: float = INTERVAL_S) -> float:
        """Until the next reports: half to one and a half times the mean (RFC 3550 6.3.1)."""
        return mean_s * (0.5 + int.from_bytes(self._entropy(2), "big") / 65_536)

    def compounds(self, now: float) -> list[bytes]:
        """The reports that are worth making now; each fits a datagram with its SRTCP trailer."""
        senders = self._sender_reports(now)
        block = None if self._source is None else self._report_block(self._source, now)
        if block is None and not senders:
            return []
        receiver = None if block is None else ReceiverReport(self._own_ssrc, (block,))
        return build_compounds(senders, receiver, self._cname)

    def goodbye(self) -> bytes:
        """The end of every track that is sent; a compound begins with a report (RFC 3550 6.1)."""
        ssrcs = self._ssrcs or (self._own_ssrc,)
        return build_receiver_report(ReceiverReport(self._own_ssrc)) + build_goodbye(ssrcs)

    def receive(self, packets: Sequence[RtcpPacket], now: float) -> None:
        """Take the packets of one compound."""
        for packet in packets:
            if isinstance(packet, SenderReport):
                self._heard_report = _HeardReport(packet.ssrc, middle_of(packet.ntp), now)
            elif not isinstance(packet, ReceiverReport):
                continue
            if packet.reports:
                self._take_blocks(packet.reports, now)

    @property
    def feedback(self) -> dict[int, EgressFeedback]:
        """The newest of what was reported about each of our SSRCs."""
        return {ssrc: _feedback(*heard) for ssrc, heard in self._heard_blocks.items()}

    def reported(self, now: float) -> dict[int, ReportBlock]:
        """What came at `now` about the tracks of each egress."""
        heard = {
            egress: self._heard_blocks.get(ssrc)
            for egress, ssrc in zip(self._egresses, self._ssrcs, strict=True)
        }
        return {egress: one[1] for egress, one in heard.items() if one and one[0] == now}

    def _take_blocks(self, blocks: Sequence[ReportBlock], now: float) -> None:
        """Keep report blocks; a round trip once known stays until a newer one."""
        arrived_ntp = ntp_time(self._wall_at_zero + now)
        for block in blocks:
            if block.ssrc not in self._ssrcs:
                continue
            rtt_s = round_trip_s(block, arrived_ntp)
            if rtt_s is None and (previous := self._heard_blocks.get(block.ssrc)) is not None:
                rtt_s = previous[2]
            self._heard_blocks[block.ssrc] = now, block, rtt_s

    def _sender_reports(self, now: float) -> list[SenderReport]:
        """A report on each track that carried something since the last one."""
        sent_packets, egress_stats = self._sent_packets, self._stats.egress_stats
        reports = []
        for index, egress in enumerate(self._egresses):
            stats = egress_stats(egress)
            if stats.packets != sent_packets[index]:
                sent_packets[index] = stats.packets
                reports.append(self._sender_report(self._ssrcs[index], stats, now))
        return reports

    def _sender_report(self, ssrc: int, stats: EgressStats, now: float) -> SenderReport:
        # RTP time runs on after the last packet: the report is about this moment (RFC 3550 6.4.1).
        elapsed_ticks = round((now - stats.sent_at) * CLOCK_RATE)
        return SenderReport(
            ssrc=ssrc,
            ntp=ntp_time(self._wall_at_zero + now),
            rtp_time=stats.rtp_time + elapsed_ticks & 0xFFFFFFFF,
            packets=stats.packets,
            octets=stats.octets,
        )

    def _report_block(self, source: int, now: float) -> ReportBlock | None:
        """A report on the source, None if nothing came since the last one (RFC 3550 A.3)."""
        stats = self._stats.source_stats(source)
        last = self._received if self._received.ssrc == stats.ssrc else _Received()
        if stats.ssrc == 0 or stats.packets == last.packets:
            return None
        self._received = _Received(stats.ssrc, stats.expected, stats.packets)
        lsr, dlsr = self._last_report(stats.ssrc, now)
        return ReportBlock(
            ssrc=stats.ssrc,
            fraction_lost=_fraction_lost(
                stats.expected - last.expected, stats.packets - last.packets
            ),
            cumulative_lost=stats.expected - stats.packets,
            highest_sequence=stats.highest_sequence,
            jitter_ticks=stats.jitter_ticks,
            lsr=lsr,
            dlsr=dlsr,
        )

    def _last_report(self, ssrc: int, now: float) -> tuple[int, int]:
        """LSR and DLSR for the source: both 0 before its first sender report (RFC 3550 6.4.1)."""
        heard = self._heard_report
        if heard.ssrc != ssrc:
            return 0, 0
        return heard.lsr, min(round((now - heard.at) * 65_536), 0xFFFFFFFF)


def _feedback(at: float, block: ReportBlock, rtt_s: float | None) -> EgressFeedback:
    """What a report block says, in units of people."""
    return EgressFeedback(
        at=at,
        fraction_lost=block.fraction_lost / 256,
        cumulative_lost=block.cumulative_lost,
        highest_sequence=block.highest_sequence,
        jitter_s=block.jitter_ticks / CLOCK_RATE,
        rtt_s=rtt_s,
    )


def _fraction_lost(expected: int, received: int) -> int:
    """The share of packets lost in an interval, in 1/256 (RFC 3550 A.3)."""
    lost = expected - received
    if expected <= 0 or lost <= 0:
        return 0
    return min(255, (lost << 8) // expected)
