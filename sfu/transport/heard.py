"""What one participant reported: of the tracks it is sent, of its line, and when it said so.

Round trips come from report blocks that answer our sender reports, and from DLRR blocks (RFC 3611
4.5) that answer our reference times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sfu.transport.feedback import DELAYS_MAX
from sfu.transport.rtcp import (
    PACKETS_MAX,
    BandwidthEstimate,
    ExtendedReport,
    Nack,
    PacketTimes,
    ReceiverReport,
    ReferenceDelay,
    ReportBlock,
    RtcpPacket,
    SenderReport,
    middle_of,
    ntp_time,
    round_trip_of,
    round_trip_s,
)

CLOCK_RATE = 48_000
# What one compound holds; the owner takes them after each.
FEEDBACKS_MAX = PACKETS_MAX


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
class _HeardReport:
    """The last sender report of the source, for LSR and DLSR."""

    ssrc: int = 0
    lsr: int = 0
    at: float = 0.0


class Heard:
    """Reads the RTCP of one participant, decrypted.

    `ssrcs` are ours, one for each of `egresses` (forwarder ids), and `own_ssrc` what we sign with.
    `measures_round_trip`: reference times of the client are kept to be answered.
    """

    __slots__ = (
        "_egresses",
        "_heard_blocks",
        "_heard_references",
        "_heard_report",
        "_measures",
        "_own_ssrc",
        "_remb_bps",
        "_repeats",
        "_ssrcs",
        "_told",
        "_wall_at_zero",
        "has_feedback",
        "rtt_s",
    )

    def __init__(
        self,
        *,
        egresses: Sequence[int],
        ssrcs: Sequence[int],
        own_ssrc: int,
        wall_at_zero: float,
        measures_round_trip: bool,
    ) -> None:
        if len(egresses) != len(ssrcs):
            raise ValueError("one SSRC for each egress")
        self._egresses = tuple(egresses)
        self._ssrcs = tuple(ssrcs)
        self._own_ssrc = own_ssrc
        self._wall_at_zero = wall_at_zero
        self._measures = measures_round_trip
        self._heard_report = _HeardReport()
        # By our SSRC: when it came, the block, the round trip. Thousands come for one that is read.
        self._heard_blocks: dict[int, tuple[float, ReportBlock, float | None]] = {}
        # By the client's SSRC: the middle of its reference time, and when that came.
        self._heard_references: dict[int, tuple[int, float]] = {}
        self._repeats: dict[int, list[int]] = {}
        self._told: list[bytes] = []
        self._remb_bps: float | None = None
        self.rtt_s: float | None = None  # the newest that anything told
        # Whether the last compound told anything of our tracks: most of those of listeners do not.
        self.has_feedback = False

    def receive(self, packets: Sequence[RtcpPacket], now: float) -> None:
        """Take the packets of one compound."""
        self.has_feedback = False
        for packet in packets:
            if isinstance(packet, SenderReport):
                self._heard_report = _HeardReport(packet.ssrc, middle_of(packet.ntp), now)
            elif not isinstance(packet, ReceiverReport):
                self._take_feedback(packet, now)
                continue
            if packet.reports:
                self._take_blocks(packet.reports, now)

    def take_repeats(self) -> dict[int, list[int]]:
        """What the client asked for again: sequence numbers by egress."""
        repeats, self._repeats = self._repeats, {}
        return repeats

    def take_deliveries(self) -> list[bytes]:
        """What the client told of numbered packets, for `Forwarder.deliveries` to read."""
        told, self._told = self._told, []
        return told

    def take_remb(self) -> float | None:
        """How much the client thinks its line takes, bit/s; None when it said nothing since."""
        bitrate_bps, self._remb_bps = self._remb_bps, None
        return bitrate_bps

    @property
    def jitter_s(self) -> float | None:
        """The worst of the tracks that were reported on last, None before any report."""
        newest_at, ticks = 0.0, None
        for at, block, _ in self._heard_blocks.values():
            if ticks is None or at > newest_at:
                newest_at, ticks = at, block.jitter_ticks
            elif at == newest_at and block.jitter_ticks > ticks:
                ticks = block.jitter_ticks
        return None if ticks is None else ticks / CLOCK_RATE

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
            if rtt_s is not None:
                self.rtt_s = rtt_s
            elif (previous := self._heard_blocks.get(block.ssrc)) is not None:
                rtt_s = previous[2]
            self._heard_blocks[block.ssrc] = now, block, rtt_s
            self.has_feedback = True

    def _take_feedback(self, packet: RtcpPacket, now: float) -> None:
        """Take what is no report."""
        if isinstance(packet, Nack):
            if packet.ssrc in self._ssrcs:
                egress = self._egresses[self._ssrcs.index(packet.ssrc)]
                self._repeats.setdefault(egress, []).extend(packet.sequences)
                self.has_feedback = True
        elif isinstance(packet, PacketTimes):
            if len(self._told) < FEEDBACKS_MAX:
                self._told.append(packet.feedback)
                self.has_feedback = True
        elif isinstance(packet, BandwidthEstimate):
            if not packet.ssrcs or any(ssrc in self._ssrcs for ssrc in packet.ssrcs):
                self._remb_bps = float(packet.bitrate_bps)
                self.has_feedback = True
        elif isinstance(packet, ExtendedReport):
            self._take_round_trip(packet, now)

    def _take_round_trip(self, packet: ExtendedReport, now: float) -> None:
        """Take the reference time to be answered, and what answers ours."""
        if packet.reference is not None:
            self._take_reference(packet.ssrc, packet.reference, now)
        arrived_ntp = ntp_time(self._wall_at_zero + now)
        for one in packet.delays:
            if one.ssrc == self._own_ssrc:
                rtt_s = round_trip_of(one.last, one.delay, arrived_ntp)
                self.rtt_s = self.rtt_s if rtt_s is None else rtt_s

    def _take_reference(self, ssrc: int, reference: int, now: float) -> None:
        """Keep a reference time until the next report; of too many SSRCs the first."""
        if self._measures and (
            ssrc in self._heard_references or len(self._heard_references) < DELAYS_MAX
        ):
            self._heard_references[ssrc] = middle_of(reference), now

    def take_references(self, now: float) -> tuple[ReferenceDelay, ...]:
        """The answers to the reference times that came since the last call."""
        heard, self._heard_references = self._heard_references, {}
        return tuple(
            ReferenceDelay(ssrc, last, units(now - at)) for ssrc, (last, at) in heard.items()
        )

    def last_report(self, ssrc: int, now: float) -> tuple[int, int]:
        """LSR and DLSR for the source: both 0 before its first sender report (RFC 3550 6.4.1)."""
        heard = self._heard_report
        if heard.ssrc != ssrc:
            return 0, 0
        return heard.lsr, units(now - heard.at)


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


def units(seconds: float) -> int:
    """In 1/65536 s, as DLSR and DLRR count."""
    return min(round(seconds * 65_536), 0xFFFFFFFF)
