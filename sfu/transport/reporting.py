"""One participant's RTCP: what to report about its tracks, and what it reported about ours.

Reports go out every 5 s, varied by half so that thousands of listeners do not answer in step
(RFC 3550 6.3.1). A track that carried nothing since the last report is not reported on, so a silent
room costs nothing: an old sender report repeated would map time wrongly. After a silence the first
report comes within 5 s too. A track that carried little waits for its next report until that is
less than a twentieth of what it carried, which RFC 3550 6.2 grants to RTCP.

Round trips come from report blocks that answer our sender reports, and from DLRR blocks (RFC 3611
4.5) that answer our reference times: those go to a client that publishes, who may hear nobody and
so have nothing to report on. They also go to one that agreed on NACK alone, which needs them, since
clients answer them or skip them unread. Those of the client are answered with the next report.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sfu.transport.feedback import build_extended_report, build_nack
from sfu.transport.heard import CLOCK_RATE, Heard
from sfu.transport.negotiation import Negotiation
from sfu.transport.repair import Repair
from sfu.transport.rtcp import (
    ExtendedReport,
    Nack,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    build_compounds,
    build_goodbye,
    build_receiver_report,
    ntp_time,
)

if TYPE_CHECKING:
    from sfu.fast.records import EgressStats, Gap, SourceLevel, SourceStats

INTERVAL_S = 5.0
# The first report follows soon, because a client shows and synchronises nothing before it.
FIRST_INTERVAL_S = 0.5
# A report with all that goes along is at most 130 bytes on the wire, a packet of DTX at least 68:
# twenty times the one is 40 of the other.
REPORT_PACKETS_MIN = 40


class MediaStats(Protocol):
    """The part of the forwarder that reports are made from."""

    def source_stats(self, source: int, /) -> SourceStats:
        """Counters of what a participant publishes."""

    def egress_stats(self, egress: int, /) -> EgressStats:
        """Counters of one track sent to a participant."""

    def level(self, source: int, now: float, /) -> SourceLevel:
        """Among other things, when the last packet came."""

    def missing(self, source: int, ssrc: int, sequences: list[int], /) -> list[int]:
        """What of these is worth asking the participant for again."""


@dataclass(frozen=True, slots=True)
class _Received:
    """The counters of the source at the last report about it."""

    ssrc: int = 0
    expected: int = 0
    packets: int = 0


class Reporter(Heard):
    """Makes and reads the RTCP of one participant, decrypted.

    `ssrcs` are ours, one for each of `egresses` (forwarder ids); `own_ssrc` signs receiver
    reports when nothing is sent. `measures_round_trip`: extended reports are of use.
    `listener_loss` is asked what those who hear the client lose, 0 to 1: if that is more than its
    own line loses, it is told so.
    """

    __slots__ = (
        "_cname",
        "_entropy",
        "_listener_loss",
        "_received",
        "_repair",
        "_sent_packets",
        "_source",
        "_stats",
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
        measures_round_trip: bool = False,
        listener_loss: Callable[[], float | None] | None = None,
    ) -> None:
        super().__init__(
            egresses=egresses,
            ssrcs=ssrcs,
            own_ssrc=own_ssrc,
            wall_at_zero=wall_at_zero,
            measures_round_trip=measures_round_trip,
        )
        self._stats = stats
        self._source = source
        self._cname = cname
        self._entropy = entropy
        self._sent_packets = [0] * len(self._egresses)
        self._received = _Received()
        self._listener_loss = listener_loss
        self._repair = Repair(stats, source)

    @classmethod
    def of(
        cls,
        negotiation: Negotiation,
        stats: MediaStats,
        rows: tuple[int | None, Sequence[int]],
        wall_at_zero: float,
        entropy: Callable[[int], bytes],
        listener_loss: Callable[[], float | None] | None,
    ) -> Reporter:
        """Of what was negotiated; `rows` are the forwarder's ids of source and egresses."""
        return cls(
            stats,
            source=rows[0],
            egresses=rows[1],
            ssrcs=[media.ssrc for media in negotiation.egresses],
            own_ssrc=negotiation.media[0].ssrc,
            cname=negotiation.cname,
            wall_at_zero=wall_at_zero,
            entropy=entropy,
            measures_round_trip=any(media.xr or media.nack for media in negotiation.media),
            listener_loss=listener_loss,
        )

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
        return build_compounds(
            senders,
            receiver,
            self._cname,
            self._extended_report(now, is_receiver=block is not None),
        )

    def note_gap(self, gap: Gap, now: float) -> float | None:
        """Packets of the source are missing; when to `ask`, None for never."""
        self._repair.note(gap, self.rtt_s, now)
        return self._repair.next_deadline()

    def ask(self, now: float) -> tuple[int, bytes, float | None]:
        """How many packets of the source to ask for again, in which compound, when to ask next."""
        sequences = self._repair.ask(self.rtt_s, now)
        compound = self._nack(sequences) if sequences else b""
        return len(sequences), compound, self._repair.next_deadline()

    def _nack(self, sequences: Sequence[int]) -> bytes:
        """A compound begins with a report."""
        asked = tuple(sequence & 0xFFFF for sequence in sequences)
        report = build_receiver_report(ReceiverReport(self._own_ssrc))
        return report + build_nack(Nack(self._own_ssrc, self._repair.ssrc, asked))

    def goodbye(self) -> bytes:
        """The end of every track that is sent; a compound begins with a report (RFC 3550 6.1)."""
        ssrcs = self._ssrcs or (self._own_ssrc,)
        return build_receiver_report(ReceiverReport(self._own_ssrc)) + build_goodbye(ssrcs)

    def _extended_report(self, now: float, *, is_receiver: bool) -> bytes:
        """What goes with the first report to measure round trips; empty without anything."""
        if not self._measures:
            return b""
        reference = ntp_time(self._wall_at_zero + now) if is_receiver else None
        delays = self.take_references(now)
        if reference is None and not delays:
            return b""
        return build_extended_report(ExtendedReport(self._own_ssrc, reference, delays))

    def _sender_reports(self, now: float) -> list[SenderReport]:
        """A report on each track that carried enough since the last one, or anything at all."""
        sent_packets, egress_stats = self._sent_packets, self._stats.egress_stats
        reports = []
        for index, egress in enumerate(self._egresses):
            stats = egress_stats(egress)
            if _is_worth_a_report(stats.packets, sent_packets[index]):
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
        if stats.ssrc == 0 or not _is_worth_a_report(stats.packets, last.packets):
            return None
        self._received = _Received(stats.ssrc, stats.expected, stats.packets)
        lsr, dlsr = self.last_report(stats.ssrc, now)
        fraction_lost = _fraction_lost(stats.expected - last.expected, stats.packets - last.packets)
        if self._listener_loss is not None:
            listener_loss = self._listener_loss() or 0.0
            fraction_lost = max(fraction_lost, min(255, round(listener_loss * 256)))
        return ReportBlock(
            ssrc=stats.ssrc,
            fraction_lost=fraction_lost,
            cumulative_lost=stats.expected - stats.packets,
            highest_sequence=stats.highest_sequence,
            jitter_ticks=stats.jitter_ticks,
            lsr=lsr,
            dlsr=dlsr,
        )


def _is_worth_a_report(packets: int, reported: int) -> bool:
    """Whether a track carried enough since the last report, or is reported on for the first time.

    Fewer than at the last report are those of another SSRC.
    """
    return packets > 0 and (reported == 0 or not 0 <= packets - reported < REPORT_PACKETS_MIN)


def _fraction_lost(expected: int, received: int) -> int:
    """The share of packets lost in an interval, in 1/256 (RFC 3550 A.3)."""
    lost = expected - received
    if expected <= 0 or lost <= 0:
        return 0
    return min(255, (lost << 8) // expected)
