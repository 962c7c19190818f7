"""Whatever arrives as RTCP: nothing but RtcpError is raised, and every packet read was there."""

from __future__ import annotations

import pytest

from sfu.fast.records import EgressStats, SourceLevel, SourceStats
from sfu.transport.feedback import (
    FEEDBACK,
    REMB_BPS_MAX,
    build_bandwidth_estimate,
    build_extended_report,
    build_nack,
    build_packet_times,
)
from sfu.transport.reporting import Reporter
from sfu.transport.rtcp import (
    EVERYTHING,
    PACKETS_MAX,
    BandwidthEstimate,
    ExtendedReport,
    Nack,
    PacketTimes,
    ReceiverReport,
    ReferenceDelay,
    ReportBlock,
    RtcpError,
    SenderReport,
    build_goodbye,
    build_receiver_report,
    build_sender_report,
    build_source_description,
    parse_compound,
)
from tests.fuzz.mutations import mutations, truncations

BLOCK = ReportBlock(100, 64, -3, 0x10005, 480, 0x12345678, 0x00010000)
DESCRIPTION = build_source_description((5,), "WOtQY3U0pEE2zuJL")
CONGESTION = bytes((0x8F, 205, 0, 5)) + bytes(range(20))
NACK = build_nack(Nack(6, 100, (1, 2, 17, 40, 65_535)))
EXTENDED = build_extended_report(
    ExtendedReport(6, 1 << 40, (ReferenceDelay(100, 0x12345678, 1), ReferenceDelay(7, 1, 1)))
)
TIMES = build_packet_times(6, 100, PacketTimes(bytes(range(18))))
REMB = build_bandwidth_estimate(6, BandwidthEstimate(64_000, (7, 100)))
READERS = {**EVERYTHING, **FEEDBACK}
REAL = [
    build_sender_report(SenderReport(5, 1 << 40, 9, 10, 11, (BLOCK,))) + DESCRIPTION,
    build_receiver_report(ReceiverReport(6, (BLOCK, BLOCK))) + DESCRIPTION + EXTENDED,
    build_receiver_report(ReceiverReport(6)) + DESCRIPTION + CONGESTION + build_goodbye((5, 6)),
    build_receiver_report(ReceiverReport(6)) + NACK + EXTENDED,
    TIMES + REMB + TIMES,
]


class NoStats:
    """A forwarder that nothing was sent through."""

    def source_stats(self, source: int, /) -> SourceStats:
        """Nothing."""
        return SourceStats(0, 0, 0, 0, 0)

    def egress_stats(self, egress: int, /) -> EgressStats:
        """Nothing."""
        return EgressStats(0, 0, 0, 0.0, 0)

    def level(self, source: int, now: float, /) -> SourceLevel:
        """Never asked for."""
        raise AssertionError

    def missing(self, source: int, ssrc: int, sequences: list[int], /) -> list[int]:
        """Nor this."""
        raise AssertionError


def test_damaged_compounds_are_an_rtcp_error_or_packets_that_can_be_taken() -> None:
    reporter = Reporter(
        NoStats(),
        source=1,
        egresses=(1,),
        ssrcs=(100,),
        own_ssrc=100,
        cname="c",
        wall_at_zero=1e9,
        entropy=bytes,
        measures_round_trip=True,
    )
    read = 0
    for data in [*truncations(REAL), *mutations(REAL, seed="rtcp")]:
        try:
            packets = parse_compound(data, READERS)
        except RtcpError:
            continue
        read += 1
        assert len(packets) <= PACKETS_MAX
        reporter.receive(packets, 5.0)
        for egress, sequences in reporter.take_repeats().items():
            assert egress == 1 and all(0 <= one <= 0xFFFF for one in sequences)
        assert all(len(told) < 1_500 for told in reporter.take_deliveries())
        assert 0.0 <= (reporter.take_remb() or 0.0) <= REMB_BPS_MAX
        assert reporter.rtt_s is None or 0.0 <= reporter.rtt_s <= 30.0
        assert len(reporter.compounds(5.0)) == 0
        assert reporter.feedback.keys() <= {100}
        for feedback in reporter.feedback.values():
            assert 0.0 <= feedback.fraction_lost < 1.0
            assert feedback.rtt_s is None or 0.0 <= feedback.rtt_s <= 30.0
    assert read > 100, "damage that never passes the parser tests nothing behind it"


@pytest.mark.parametrize("real", REAL)
def test_undamaged_ones_are_read(real: bytes) -> None:
    assert parse_compound(real, READERS)
