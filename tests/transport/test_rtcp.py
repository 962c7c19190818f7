"""RTCP on the wire, held against aiortc.rtp as the independent reading of the same RFC."""

from __future__ import annotations

import pytest
from aiortc import rtp as oracle
from hypothesis import given
from hypothesis import strategies as st

from sfu.transport.rtcp import (
    COMPOUND_BYTES_MAX,
    PACKETS_MAX,
    REPORTS,
    Goodbye,
    ReceiverReport,
    ReportBlock,
    RtcpError,
    SenderReport,
    SourceDescription,
    build_compounds,
    build_goodbye,
    build_receiver_report,
    build_sender_report,
    build_source_description,
    middle_of,
    ntp_time,
    parse_compound,
    round_trip_s,
)

u32 = st.integers(0, 0xFFFFFFFF)
blocks = st.builds(
    ReportBlock,
    ssrc=u32,
    fraction_lost=st.integers(0, 255),
    cumulative_lost=st.integers(-0x800000, 0x7FFFFF),
    highest_sequence=u32,
    jitter_ticks=u32,
    lsr=u32,
    dlsr=u32,
)
block_tuples = st.lists(blocks, max_size=4).map(tuple)
senders = st.builds(
    SenderReport,
    ssrc=u32,
    ntp=st.integers(0, 0xFFFFFFFFFFFFFFFF),
    rtp_time=u32,
    packets=u32,
    octets=u32,
    reports=block_tuples,
)
receivers = st.builds(ReceiverReport, ssrc=u32, reports=block_tuples)

BLOCK = ReportBlock(7, 64, -3, 0x10005, 480, 0x12345678, 0x00010000)


@given(sender=senders, receiver=receivers, names=st.text(max_size=60))
def test_what_is_built_is_read_back(
    sender: SenderReport, receiver: ReceiverReport, names: str
) -> None:
    data = (
        build_sender_report(sender)
        + build_receiver_report(receiver)
        + build_source_description((sender.ssrc, receiver.ssrc), names)
        + build_goodbye((1, 2))
    )
    assert parse_compound(data) == (
        sender,
        receiver,
        SourceDescription(((sender.ssrc, names), (receiver.ssrc, names))),
        Goodbye((1, 2)),
    )


def test_the_oracle_reads_our_reports() -> None:
    data = build_sender_report(SenderReport(5, 1 << 40, 9, 10, 11, (BLOCK,)))
    data += build_receiver_report(ReceiverReport(6)) + build_source_description((5,), "name")
    data += build_goodbye((5,))
    sender, receiver, description, goodbye = oracle.RtcpPacket.parse(data)
    assert isinstance(sender, oracle.RtcpSrPacket)
    assert (sender.ssrc, sender.sender_info.ntp_timestamp) == (5, 1 << 40)
    assert (sender.sender_info.rtp_timestamp, sender.sender_info.packet_count) == (9, 10)
    (block,) = sender.reports
    assert (block.fraction_lost, block.packets_lost, block.jitter) == (64, -3, 480)
    assert (block.highest_sequence, block.lsr, block.dlsr) == (0x10005, 0x12345678, 0x10000)
    assert isinstance(receiver, oracle.RtcpRrPacket) and receiver.ssrc == 6
    assert isinstance(description, oracle.RtcpSdesPacket)
    assert description.chunks[0].items == [(1, b"name")]
    assert isinstance(goodbye, oracle.RtcpByePacket) and goodbye.sources == [5]


def test_unknown_types_are_skipped_by_their_length() -> None:
    feedback = bytes((0x8F, 205, 0, 4)) + bytes(16)
    extended = bytes((0x80, 207, 0, 1)) + bytes(4)
    data = feedback + build_receiver_report(ReceiverReport(6)) + extended
    assert parse_compound(data) == (ReceiverReport(6),)


def test_padding_of_the_last_packet_is_taken_off() -> None:
    padded = bytearray(build_goodbye((5,)) + b"\x00\x00\x00\x04")
    padded[0] |= 0x20
    padded[3] += 1
    report = build_receiver_report(ReceiverReport(6))
    assert parse_compound(report + bytes(padded)) == (ReceiverReport(6), Goodbye((5,)))
    with pytest.raises(RtcpError):
        parse_compound(bytes(padded) + report)


def test_a_goodbye_may_give_a_reason() -> None:
    data = bytes((0x81, 203, 0, 3)) + bytes((0, 0, 0, 5)) + b"\x04left" + bytes(3)
    assert parse_compound(data) == (Goodbye((5,)),)


def test_items_other_than_the_name_are_passed_over() -> None:
    chunk = (9).to_bytes(4, "big") + b"\x06\x03app" + b"\x01\x02me" + bytes(3)
    data = bytes((0x81, 202, 0, len(chunk) // 4)) + chunk
    assert parse_compound(data) == (SourceDescription(((9, "me"),)),)


@pytest.mark.parametrize(
    "data",
    [
        b"\x80",
        b"\x40" + build_goodbye((5,))[1:],
        build_goodbye((5,))[:-1],
        build_goodbye((5,)) + b"\x80",
        bytes((0x82, 203, 0, 1)) + bytes(4),
        bytes((0x80, 200, 0, 5)) + bytes(20),
        bytes((0x81, 200, 0, 6)) + bytes(24),
        bytes((0x80, 201, 0, 0)),
        bytes((0x81, 201, 0, 1)) + bytes(4),
        bytes((0x81, 202, 0, 0)),
        bytes((0x81, 202, 0, 1)) + bytes(4),
        bytes((0x81, 202, 0, 2)) + bytes(4) + b"\x01\xff\x00\x00",
        bytes((0x81, 202, 0, 2)) + bytes(4) + b"\x01\x01a\x01",
        bytes((0xA0, 203, 0, 0)),
        bytes((0xA0, 203, 0, 1)) + bytes(4),
        bytes((0xA0, 203, 0, 1)) + bytes((0, 0, 0, 3)),
        bytes((0x80, 203, 0, 0)) * (PACKETS_MAX + 1),
    ],
)
def test_malformed_compounds_are_an_rtcp_error(data: bytes) -> None:
    with pytest.raises(RtcpError):
        parse_compound(data)


def test_compounds_fit_a_datagram_and_begin_with_a_report() -> None:
    many = [SenderReport(ssrc, 1, 2, 3, 4) for ssrc in range(1, 40)]
    compounds = build_compounds(many, ReceiverReport(99, (BLOCK,)), "c" * 16)
    assert len(compounds) > 1
    assert all(len(compound) <= COMPOUND_BYTES_MAX for compound in compounds)
    assert all(compound[1] in (200, 201) for compound in compounds)
    packets = [packet for compound in compounds for packet in parse_compound(compound)]
    assert [p for p in packets if isinstance(p, SenderReport)] == many
    named = [cname for p in packets if isinstance(p, SourceDescription) for cname in p.cnames]
    assert named == [(ssrc, "c" * 16) for ssrc in [99, *range(1, 40)]]


def test_nothing_to_report_is_nothing() -> None:
    assert build_compounds([], None, "cname") == []


def test_losses_beyond_24_bits_are_clamped() -> None:
    block = ReportBlock(7, 0, 1 << 30, 0, 0, 0, 0)
    (report,) = parse_compound(build_receiver_report(ReceiverReport(1, (block,))))
    assert isinstance(report, ReceiverReport)
    assert report.reports[0].cumulative_lost == 0x7FFFFF


def test_ntp_time_is_64_bits_since_1900() -> None:
    assert ntp_time(0.0) >> 32 == 2_208_988_800
    assert ntp_time(1.5) - ntp_time(0.0) == 3 << 31


def echo(rtt_s: float, held_s: float = 2.0, lsr: int | None = None) -> float | None:
    """The round trip read from a report that answers a sender report made at 1,000 s."""
    sent = ntp_time(1_000.0)
    block = ReportBlock(
        7, 0, 0, 0, 0, middle_of(sent) if lsr is None else lsr, round(held_s * 65_536)
    )
    return round_trip_s(block, ntp_time(1_000.0 + held_s + rtt_s))


@pytest.mark.parametrize("rtt_s", [0.0, 0.001, 0.25, 3.0])
def test_a_round_trip_is_what_remains(rtt_s: float) -> None:
    assert echo(rtt_s) == pytest.approx(rtt_s, abs=1e-4)


def test_a_trip_that_rounds_below_zero_is_zero() -> None:
    assert echo(-0.001) == 0.0


def test_no_report_to_answer_or_an_absurd_trip_is_none() -> None:
    assert echo(0.1, lsr=0) is None
    assert echo(-5.0) is None
    assert echo(100.0) is None


def test_types_that_are_not_wanted_are_skipped_unread() -> None:
    data = build_source_description((1,), "name") + build_receiver_report(ReceiverReport(6))
    broken = bytearray(data)
    broken[8] = 200  # an item of a type and length that make no sense
    broken[9] = 200
    assert parse_compound(bytes(broken), REPORTS) == (ReceiverReport(6),)
    with pytest.raises(RtcpError):
        parse_compound(bytes(broken))
    with pytest.raises(RtcpError):
        parse_compound(data[:-1], REPORTS)
