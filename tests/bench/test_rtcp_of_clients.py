"""The reports of virtual clients, against another RTCP implementation."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from aiortc.rtp import RtcpPacket, RtcpRrPacket, RtcpSdesPacket, RtcpSrPacket

from bench import rtcp
from bench.clients import Client
from sfu.fast import RTCP
from sfu.fast.measured import Aside, TrackStats

NOW_NS = 1_700_000_000_500_000_000


def track(**changes: int) -> TrackStats:
    """A track with 90 packets received of 100."""
    values = dict.fromkeys(TrackStats._fields, 0) | {
        "ssrc": 77,
        "packets": 90,
        "lost": 10,
        "highest_sequence": 65_636,
        "last_timestamp": 48_000,
        "last_arrival_ns": NOW_NS,
    }
    return TrackStats(**(values | changes))


def test_a_receiver_report_tells_loss_and_the_highest_sequence() -> None:
    """The fraction is of the time since the report before."""
    reception = rtcp.Reception()
    blocks = reception.blocks([track()], NOW_NS)
    report, description = RtcpPacket.parse(rtcp.report(5, "name", blocks, None, NOW_NS))
    assert isinstance(report, RtcpRrPacket) and isinstance(description, RtcpSdesPacket)
    (block,) = report.reports
    assert (report.ssrc, block.ssrc, block.packets_lost) == (5, 77, 10)
    assert block.fraction_lost == 25  # of 256
    assert block.highest_sequence == 65_636
    assert (block.lsr, block.dlsr) == (0, 0)
    assert description.chunks[0].items == [(1, b"name")]

    later = reception.blocks([track(packets=190)], NOW_NS)
    (again,) = RtcpPacket.parse(rtcp.report(5, "name", later, None, NOW_NS))[0].reports  # type: ignore[union-attr]
    assert again.fraction_lost == 0 and again.packets_lost == 10


def test_a_report_answers_the_last_sender_report() -> None:
    """Middle bits of its NTP time, and how long ago it came."""
    theirs = rtcp.report(77, "server", b"", rtcp.Sent(1_000, 5, 600), NOW_NS)
    reception = rtcp.Reception()
    reception.take(theirs, NOW_NS)
    blocks = reception.blocks([track()], NOW_NS + 1_500_000_000)
    (block,) = RtcpPacket.parse(rtcp.report(5, "n", blocks, None, NOW_NS))[0].reports  # type: ignore[union-attr]
    assert block.lsr == rtcp.ntp_time(NOW_NS) >> 16 & 0xFFFFFFFF
    assert block.dlsr == 98_304  # 1.5 s of 1/65536


def test_a_sender_report_tells_what_was_sent() -> None:
    """With the wall clock of then."""
    plain = rtcp.report(5, "n", b"", rtcp.Sent(2**32 + 7, 12, 900), NOW_NS)
    report = RtcpPacket.parse(plain)[0]
    assert isinstance(report, RtcpSrPacket)
    told = report.sender_info
    assert (told.rtp_timestamp, told.packet_count, told.octet_count) == (7, 12, 900)
    assert told.ntp_timestamp >> 32 == 1_700_000_000 + rtcp.NTP_EPOCH_S
    assert abs((told.ntp_timestamp & 0xFFFFFFFF) / 2**32 - 0.5) < 1e-6


def test_jitter_grows_with_unsteady_arrivals_alone() -> None:
    """Steady ones keep it at nothing."""
    reception = rtcp.Reception()
    for seconds, late_ns in ((0, 0), (1, 0), (2, 0), (3, 20_000_000)):
        one = track(
            last_timestamp=48_000 * seconds,
            last_arrival_ns=NOW_NS + seconds * 10**9 + late_ns,
        )
        blocks = reception.blocks([one], NOW_NS)
        (block,) = RtcpPacket.parse(rtcp.report(5, "n", blocks, None, NOW_NS))[0].reports  # type: ignore[union-attr]
        assert block.jitter == (60 if late_ns else 0)  # 960 / 16


def test_truncated_reports_are_survived() -> None:
    """Nothing of what a server sends ends a load."""
    theirs = rtcp.report(77, "server", b"", rtcp.Sent(1_000, 5, 600), NOW_NS)
    for length in range(len(theirs)):
        rtcp.Reception().take(theirs[:length], NOW_NS)


def test_a_sender_report_counts_from_when_the_kernel_had_it() -> None:
    """Sockets are read every so often: what waited in one took no longer on its way."""
    taken: list[tuple[bytes, int]] = []
    keys = SimpleNamespace(unprotect_rtcp=lambda data: data[1:])
    reception = SimpleNamespace(take=lambda data, at_ns: taken.append((data, at_ns)))
    client = cast(Any, SimpleNamespace(_receive=keys, _reception=reception))
    Client.take(client, Aside(0, RTCP, b"xreport", NOW_NS - 40_000_000), NOW_NS)
    assert taken == [(b"report", NOW_NS - 40_000_000)]
