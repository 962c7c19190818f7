"""What is reported about tracks, when, and what is read from the client's reports."""

from __future__ import annotations

from typing import Any

import pytest

from sfu.fast.records import EgressStats, Gap, SourceLevel, SourceStats
from sfu.transport.feedback import FEEDBACK
from sfu.transport.reporting import REPORT_PACKETS_MIN, Reporter
from sfu.transport.rtcp import (
    EVERYTHING,
    ExtendedReport,
    Goodbye,
    Nack,
    ReceiverReport,
    ReferenceDelay,
    ReportBlock,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    middle_of,
    ntp_time,
    parse_compound,
)
from tests.transport.peer import seeded

WALL = 1_700_000_000.0
ALL = {**EVERYTHING, **FEEDBACK}


class Stats:
    """Counters that the test sets."""

    def __init__(self) -> None:
        self.source = SourceStats(0, 0, 0, 0, 0)
        self.egress = {10: EgressStats(0, 0, 0, 0.0, 0), 11: EgressStats(0, 0, 0, 0.0, 0)}

    def source_stats(self, source: int, /) -> SourceStats:
        """The source's."""
        assert source == 5
        return self.source

    def egress_stats(self, egress: int, /) -> EgressStats:
        """An egress's."""
        return self.egress[egress]

    def level(self, source: int, now: float, /) -> SourceLevel:
        """Not used in reports."""
        raise AssertionError

    def missing(self, source: int, ssrc: int, sequences: list[int], /) -> list[int]:
        """All of them."""
        assert source == 5
        return sequences


def make(stats: Stats, source: int | None = 5, **more: Any) -> Reporter:
    """A reporter for two tracks and perhaps a source."""
    return Reporter(
        stats,
        source=source,
        egresses=(10, 11),
        ssrcs=(100, 101),
        own_ssrc=100,
        cname="cname",
        wall_at_zero=WALL,
        entropy=seeded("reports"),
        **more,
    )


def packets(reporter: Reporter, now: float) -> list[RtcpPacket]:
    """Everything that is reported now."""
    return [packet for data in reporter.compounds(now) for packet in parse_compound(data, ALL)]


def test_a_silent_participant_costs_no_report() -> None:
    assert make(Stats()).compounds(5.0) == []
    assert make(Stats(), source=None).compounds(5.0) == []


def test_a_sender_report_maps_this_moment_to_rtp_time() -> None:
    stats = Stats()
    stats.egress[11] = EgressStats(50, 4_000, 0xFFFFFF00, 4.5, 50)
    report, description = packets(make(stats), 5.0)
    assert report == SenderReport(
        ssrc=101,
        ntp=ntp_time(WALL + 5.0),
        rtp_time=(0xFFFFFF00 + 24_000) & 0xFFFFFFFF,
        packets=50,
        octets=4_000,
    )
    assert description == SourceDescription(((101, "cname"),))


def test_a_track_that_carried_little_since_is_not_reported_again() -> None:
    stats = Stats()
    reporter = make(stats)
    stats.egress[10] = EgressStats(1, 1, 1, 1.0, 1)
    assert len(packets(reporter, 5.0)) == 2
    assert packets(reporter, 10.0) == []
    stats.egress[10] = EgressStats(REPORT_PACKETS_MIN, 2, 2, 11.0, 2)
    assert packets(reporter, 15.0) == []
    stats.egress[10] = EgressStats(REPORT_PACKETS_MIN + 1, 2, 2, 16.0, 2)
    assert len(packets(reporter, 20.0)) == 2


def test_of_a_source_that_said_little_since_nothing_is_reported_again() -> None:
    stats = Stats()
    reporter = make(stats)
    for packets_so_far, reports in ((1, 2), (20, 0), (REPORT_PACKETS_MIN + 1, 2)):
        stats.source = SourceStats(7, packets_so_far, packets_so_far, packets_so_far, 0)
        assert len(packets(reporter, 5.0)) == reports


def source_report(reporter: Reporter, now: float) -> ReportBlock:
    """The one block about the source."""
    (block,) = [
        block
        for packet in packets(reporter, now)
        if isinstance(packet, ReceiverReport)
        for block in packet.reports
    ]
    return block


def test_loss_is_of_the_interval_and_of_all_time() -> None:
    stats = Stats()
    reporter = make(stats)
    stats.source = SourceStats(7, packets=90, highest_sequence=100, expected=100, jitter_ticks=48)
    first = source_report(reporter, 5.0)
    assert (first.ssrc, first.fraction_lost, first.cumulative_lost) == (7, 25, 10)
    assert (first.highest_sequence, first.jitter_ticks) == (100, 48)
    stats.source = SourceStats(7, packets=190, highest_sequence=200, expected=200, jitter_ticks=48)
    second = source_report(reporter, 10.0)
    assert (second.fraction_lost, second.cumulative_lost) == (0, 10)
    stats.source = SourceStats(7, packets=240, highest_sequence=300, expected=300, jitter_ticks=48)
    assert source_report(reporter, 15.0).fraction_lost == 128


def test_duplicates_are_no_negative_loss_in_the_fraction() -> None:
    stats = Stats()
    stats.source = SourceStats(7, packets=110, highest_sequence=100, expected=100, jitter_ticks=0)
    block = source_report(make(stats), 5.0)
    assert (block.fraction_lost, block.cumulative_lost) == (0, -10)


def test_losing_everything_still_fits_its_byte() -> None:
    stats = Stats()
    reporter = make(stats)
    stats.source = SourceStats(7, packets=1, highest_sequence=5_000, expected=5_000, jitter_ticks=0)
    assert source_report(reporter, 5.0).fraction_lost == 255


def test_a_new_ssrc_starts_over() -> None:
    stats = Stats()
    reporter = make(stats)
    stats.source = SourceStats(7, packets=500, highest_sequence=500, expected=500, jitter_ticks=0)
    source_report(reporter, 5.0)
    stats.source = SourceStats(8, packets=10, highest_sequence=10, expected=10, jitter_ticks=0)
    block = source_report(reporter, 10.0)
    assert (block.ssrc, block.fraction_lost, block.cumulative_lost) == (8, 0, 0)


def test_the_last_sender_report_of_the_source_is_echoed() -> None:
    stats = Stats()
    stats.source = SourceStats(7, packets=10, highest_sequence=10, expected=10, jitter_ticks=0)
    reporter = make(stats)
    ntp = ntp_time(WALL + 1.0)
    reporter.receive([SenderReport(7, ntp, 0, 0, 0)], 3.0)
    block = source_report(reporter, 5.0)
    assert (block.lsr, block.dlsr) == (middle_of(ntp), 2 * 65_536)


def test_before_its_first_sender_report_nothing_is_echoed() -> None:
    stats = Stats()
    stats.source = SourceStats(7, packets=10, highest_sequence=10, expected=10, jitter_ticks=0)
    reporter = make(stats)
    reporter.receive([SenderReport(9, 1 << 40, 0, 0, 0)], 3.0)
    block = source_report(reporter, 5.0)
    assert (block.lsr, block.dlsr) == (0, 0)


def feedback_block(ssrc: int, lsr: int = 0) -> ReportBlock:
    """What a client would say: a quarter lost, 10 ms of jitter."""
    return ReportBlock(ssrc, 64, 12, 70_000, 480, lsr, 65_536)


def test_feedback_is_kept_by_track_with_its_round_trip() -> None:
    reporter = make(Stats())
    lsr = middle_of(ntp_time(WALL + 5.0))
    reporter.receive([ReceiverReport(1, (feedback_block(100, lsr), feedback_block(555)))], 6.25)
    assert list(reporter.feedback) == [100]
    feedback = reporter.feedback[100]
    assert (feedback.at, feedback.fraction_lost, feedback.cumulative_lost) == (6.25, 0.25, 12)
    assert (feedback.highest_sequence, feedback.jitter_s) == (70_000, 0.01)
    assert feedback.rtt_s == pytest.approx(0.25, abs=1e-3)
    reporter.receive([SenderReport(1, 1, 0, 0, 0, (feedback_block(100),))], 11.0)
    assert reporter.feedback[100].at == 11.0
    assert reporter.feedback[100].rtt_s == feedback.rtt_s, "known until a newer one"


def speaking() -> Stats:
    """Of somebody who publishes and hears nobody."""
    stats = Stats()
    stats.source = SourceStats(7, packets=90, highest_sequence=100, expected=100, jitter_ticks=0)
    return stats


def test_who_publishes_is_sent_a_reference_time_and_its_answer_tells_the_round_trip() -> None:
    reporter = make(speaking(), measures_round_trip=True)
    *_, extended = packets(reporter, 5.0)
    assert extended == ExtendedReport(100, ntp_time(WALL + 5.0))
    assert reporter.rtt_s is None
    last = middle_of(ntp_time(WALL + 5.0))
    held, of_another = ReferenceDelay(100, last, 2 * 65_536), ReferenceDelay(3, last, 65_536)
    reporter.receive([ExtendedReport(1, None, (held, of_another))], 7.08)
    assert reporter.rtt_s == pytest.approx(0.08, abs=1e-3)


def test_the_newest_of_all_round_trips_counts() -> None:
    reporter = make(Stats(), measures_round_trip=True)
    lsr = middle_of(ntp_time(WALL + 5.0))
    reporter.receive([ReceiverReport(1, (feedback_block(100, lsr),))], 6.25)
    assert reporter.rtt_s == pytest.approx(0.25, abs=1e-3)
    reporter.receive([ExtendedReport(1, None, (ReferenceDelay(100, lsr, 65_536),))], 6.5)
    assert reporter.rtt_s == pytest.approx(0.5, abs=1e-3)
    reporter.receive([ReceiverReport(1, (feedback_block(100),))], 7.0)
    assert reporter.rtt_s == pytest.approx(0.5, abs=1e-3), "a report without LSR tells nothing"


def test_reference_times_are_answered_with_the_next_report() -> None:
    stats = Stats()
    reporter = make(stats, measures_round_trip=True)
    ntp = ntp_time(WALL + 1.0)
    reporter.receive([ExtendedReport(31, 1 << 40), ExtendedReport(30, ntp)], 3.0)
    reporter.receive([ExtendedReport(31, ntp)], 4.0)
    assert reporter.compounds(4.5) == [], "they alone are worth no datagram"
    stats.egress[10] = EgressStats(50, 4_000, 1, 4.5, 50)
    assert packets(reporter, 5.0)[-1] == ExtendedReport(
        100,
        None,
        (
            ReferenceDelay(31, middle_of(ntp), 65_536),
            ReferenceDelay(30, middle_of(ntp), 2 * 65_536),
        ),
    )
    stats.egress[10] = EgressStats(500, 4_000, 1, 9.5, 500)
    assert len(packets(reporter, 10.0)) == 2, "once"


def test_without_agreement_there_are_no_extended_reports() -> None:
    reporter = make(speaking())
    reporter.receive([ExtendedReport(31, 1 << 40)], 3.0)
    assert len(packets(reporter, 5.0)) == 2


def test_of_reference_times_under_ever_new_numbers_the_first_are_answered() -> None:
    reporter = make(speaking(), measures_round_trip=True)
    for ssrc in range(1_000):
        reporter.receive([ExtendedReport(ssrc, 1 << 40)], 3.0)
    *_, extended = packets(reporter, 5.0)
    assert isinstance(extended, ExtendedReport) and len(extended.delays) == 16


def test_what_the_client_asks_for_again_is_taken_by_egress() -> None:
    reporter = make(Stats())
    reporter.receive([ReceiverReport(1)], 2.0)
    assert not reporter.has_feedback
    reporter.receive([Nack(1, 101, (5, 6)), Nack(1, 999, (7,)), Nack(2, 101, (65_535,))], 3.0)
    assert reporter.has_feedback
    assert reporter.take_repeats() == {11: [5, 6, 65_535]}
    assert reporter.take_repeats() == {}


def test_asking_again_is_a_compound_of_an_empty_report_and_a_nack() -> None:
    stats = Stats()
    reporter = make(stats, measures_round_trip=True)
    gap = Gap(5, 7, 4.9, [65_535, 65_536, 65_540])
    assert reporter.note_gap(gap, 5.0) is None, "the round trip is not known yet"
    lsr = middle_of(ntp_time(WALL + 4.0))
    reporter.receive([ExtendedReport(1, None, (ReferenceDelay(100, lsr, 60_000),))], 5.0)
    due_at = reporter.note_gap(gap, 5.0)
    assert due_at is not None
    count, data, next_at = reporter.ask(due_at)
    assert count == 3 and next_at is not None
    assert parse_compound(data, ALL) == (ReceiverReport(100), Nack(100, 7, (65_535, 0, 4)))
    assert reporter.ask(next_at + 1.0) == (0, b"", None)


@pytest.mark.parametrize(("of_listeners", "told"), [(None, 25), (0.05, 25), (0.25, 64), (1.0, 255)])
def test_what_listeners_lose_is_told_where_it_is_more_than_the_uplink_loses(
    of_listeners: float | None, told: int
) -> None:
    reporter = make(speaking(), listener_loss=lambda: of_listeners)
    block = source_report(reporter, 5.0)
    assert (block.fraction_lost, block.cumulative_lost) == (told, 10)


def test_goodbye_ends_every_track_in_a_compound() -> None:
    assert parse_compound(make(Stats()).goodbye()) == (ReceiverReport(100), Goodbye((100, 101)))


def test_intervals_vary_by_half_around_five_seconds() -> None:
    reporter = make(Stats())
    intervals = [reporter.interval_s() for _ in range(500)]
    assert 2.5 <= min(intervals) < 2.7 and 7.3 < max(intervals) <= 7.5
    assert sum(intervals) / 500 == pytest.approx(5.0, abs=0.3)


def test_each_egress_needs_its_ssrc() -> None:
    with pytest.raises(ValueError, match="SSRC"):
        Reporter(
            Stats(),
            source=None,
            egresses=(1, 2),
            ssrcs=(1,),
            own_ssrc=1,
            cname="c",
            wall_at_zero=0.0,
            entropy=bytes,
        )
