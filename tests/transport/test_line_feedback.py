"""What clients tell of their line: transport-wide feedback and REMB, on the wire and handed on."""

from __future__ import annotations

import pytest
from aiortc import rtp as oracle
from hypothesis import given
from hypothesis import strategies as st

from sfu.transport.feedback import (
    FEEDBACK,
    REMB_BPS_MAX,
    build_bandwidth_estimate,
    build_nack,
    build_packet_times,
)
from sfu.transport.heard import FEEDBACKS_MAX
from sfu.transport.rtcp import (
    BandwidthEstimate,
    Nack,
    PacketTimes,
    ReceiverReport,
    ReportBlock,
    RtcpError,
    build_receiver_report,
    parse_compound,
)
from tests.transport.test_reporting import Stats, make

u32 = st.integers(0, 0xFFFFFFFF)


@given(feedback=st.binary(min_size=8, max_size=60), following=st.booleans())
def test_transport_wide_feedback_is_handed_on_without_its_padding(
    feedback: bytes, following: bool
) -> None:
    """Padded to whole words, in the middle of a compound too, which RFC 3550 forbids."""
    data = build_packet_times(1, 2, PacketTimes(feedback))
    nack = Nack(1, 2, (7,))
    read = parse_compound(data + (build_nack(nack) if following else b""), FEEDBACK)
    assert read == (PacketTimes(feedback), *([nack] if following else []))


@pytest.mark.parametrize("padding", [0, 5, 13, 255])
def test_padding_beyond_the_feedback_is_malformed(padding: int) -> None:
    data = bytes((0xAF, 205, 0, 3)) + bytes(11) + bytes((padding,))
    with pytest.raises(RtcpError):
        parse_compound(data, FEEDBACK)


def test_other_packets_are_padded_as_rfc_3550_says() -> None:
    for data in (bytes((0xA5, 205, 0, 3)) + bytes(11) + b"\x01", bytes((0xA5, 205, 0, 3)) * 2):
        with pytest.raises(RtcpError):
            parse_compound(data, FEEDBACK)


def test_feedback_without_its_ssrcs_is_malformed() -> None:
    for kind in (205, 206):
        with pytest.raises(RtcpError):
            parse_compound(bytes((0x8F, kind, 0, 1)) + bytes(4), FEEDBACK)


@given(st.integers(0, REMB_BPS_MAX), st.lists(u32, max_size=8))
def test_an_estimate_is_read_as_it_was_built_and_as_aiortc_reads_it(
    bitrate_bps: int, ssrcs: list[int]
) -> None:
    data = build_bandwidth_estimate(5, BandwidthEstimate(bitrate_bps, tuple(ssrcs)))
    (packet,) = oracle.RtcpPacket.parse(data)
    assert isinstance(packet, oracle.RtcpPsfbPacket)
    assert (packet.fmt, packet.ssrc, packet.media_ssrc) == (15, 5, 0)
    read = oracle.unpack_remb_fci(packet.fci)
    assert parse_compound(data, FEEDBACK) == (BandwidthEstimate(read[0], tuple(read[1])),)
    assert bitrate_bps * (1 - 2**-17) <= read[0] <= bitrate_bps


def remb(*words: int) -> bytes:
    """An estimate of these words."""
    body = bytes(8) + b"REMB" + b"".join(word.to_bytes(4, "big") for word in words)
    return bytes((0x8F, 206, 0, len(body) // 4)) + body


def test_an_estimate_beyond_all_lines_is_cut() -> None:
    assert parse_compound(remb(0x00FFFFFF), FEEDBACK) == (BandwidthEstimate(REMB_BPS_MAX, ()),)


@pytest.mark.parametrize("words", [(), (0x02000001, 1), (0x00000001, 1)])
def test_an_estimate_with_another_number_of_streams_than_it_says_is_malformed(
    words: tuple[int, ...],
) -> None:
    with pytest.raises(RtcpError):
        parse_compound(remb(*words), FEEDBACK)


def test_other_feedback_about_payloads_is_skipped() -> None:
    other = bytes((0x8F, 206, 0, 3)) + bytes(8) + b"ABCD"
    picture = bytes((0x81, 206, 0, 2)) + bytes(8)
    empty = bytes((0x8F, 206, 0, 2)) + bytes(8)
    assert parse_compound(picture + other + empty, FEEDBACK) == ()
    # What stands behind an empty one is not its name.
    assert parse_compound(empty + b"\x80\xc9\x00\x01" + bytes(4), FEEDBACK) == (ReceiverReport(0),)


def test_feedback_is_taken_once_in_its_order() -> None:
    reporter = make(Stats())
    reporter.receive((PacketTimes(b"one"), PacketTimes(b"two")), 5.0)
    assert reporter.has_feedback
    assert reporter.take_deliveries() == [b"one", b"two"]
    assert reporter.take_deliveries() == []
    reporter.receive((ReceiverReport(7),), 6.0)
    assert not reporter.has_feedback


def test_feedback_that_nobody_takes_does_not_pile_up() -> None:
    reporter = make(Stats())
    for _ in range(3):
        reporter.receive((PacketTimes(b"one"),) * FEEDBACKS_MAX, 5.0)
    assert len(reporter.take_deliveries()) == FEEDBACKS_MAX


def test_the_newest_estimate_is_taken_once() -> None:
    reporter = make(Stats())
    assert reporter.take_remb() is None
    reporter.receive((BandwidthEstimate(90_000, (100,)), BandwidthEstimate(64_000, ())), 5.0)
    assert reporter.has_feedback
    assert reporter.take_remb() == 64_000.0
    assert reporter.take_remb() is None


def test_an_estimate_for_others_streams_is_none_of_ours() -> None:
    reporter = make(Stats())
    reporter.receive((BandwidthEstimate(90_000, (77, 78)),), 5.0)
    assert not reporter.has_feedback and reporter.take_remb() is None
    reporter.receive((BandwidthEstimate(90_000, (77, 101)),), 5.0)
    assert reporter.take_remb() == 90_000.0


def test_the_jitter_is_the_worst_of_the_newest_reports() -> None:
    reporter = make(Stats())
    assert reporter.jitter_s is None

    def block(ssrc: int, jitter_ticks: int) -> ReportBlock:
        return ReportBlock(ssrc, 0, 0, 0, jitter_ticks, 0, 0)

    reporter.receive((ReceiverReport(7, (block(100, 4_800), block(101, 480))),), 5.0)
    assert reporter.jitter_s == 0.1
    reporter.receive((ReceiverReport(7, (block(101, 960),)),), 6.0)
    assert reporter.jitter_s == 0.02
    reporter.receive(parse_compound(build_receiver_report(ReceiverReport(7)), FEEDBACK), 7.0)
    assert reporter.jitter_s == 0.02
