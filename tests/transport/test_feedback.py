"""Generic NACKs and extended reports on the wire, the NACK held against aiortc.rtp as oracle."""

from __future__ import annotations

import pytest
from aiortc import rtp as oracle
from hypothesis import given
from hypothesis import strategies as st

from sfu.transport.feedback import (
    DELAYS_MAX,
    FEEDBACK,
    NACK_PAIRS_MAX,
    build_extended_report,
    build_nack,
)
from sfu.transport.rtcp import (
    ExtendedReport,
    Nack,
    ReceiverReport,
    ReferenceDelay,
    RtcpError,
    build_receiver_report,
    middle_of,
    ntp_time,
    parse_compound,
    round_trip_of,
)

u32 = st.integers(0, 0xFFFFFFFF)
sequences = st.tuples(
    st.integers(0, 0xFFFF), st.lists(st.integers(0, 200), min_size=1, max_size=60, unique=True)
).map(lambda drawn: tuple(drawn[0] + ahead & 0xFFFF for ahead in sorted(drawn[1])))
delays = st.lists(st.builds(ReferenceDelay, ssrc=u32, last=u32, delay=u32), max_size=DELAYS_MAX)


@given(st.builds(Nack, sender=u32, ssrc=u32, sequences=sequences))
def test_a_nack_is_read_as_it_was_built(nack: Nack) -> None:
    """Numbers may wrap."""
    data = build_nack(nack)
    assert parse_compound(data, FEEDBACK) == (nack,)
    (packet,) = oracle.RtcpPacket.parse(data)
    assert isinstance(packet, oracle.RtcpRtpfbPacket)
    assert (packet.fmt, packet.ssrc, packet.media_ssrc) == (1, nack.sender, nack.ssrc)
    assert [number & 0xFFFF for number in packet.lost] == list(nack.sequences), "it does not wrap"


def test_the_nack_of_the_oracle_is_read() -> None:
    lost = [0, 17, 18, 400, 65_535]
    data = bytes(oracle.RtcpRtpfbPacket(fmt=1, ssrc=1, media_ssrc=2, lost=lost))
    assert parse_compound(data, FEEDBACK) == (Nack(1, 2, tuple(lost)),)


@given(ssrc=u32, reference=st.none() | st.integers(0, 2**64 - 1), answers=delays)
def test_an_extended_report_is_read_as_it_was_built(
    ssrc: int, reference: int | None, answers: list[ReferenceDelay]
) -> None:
    report = ExtendedReport(ssrc, reference, tuple(answers))
    read = parse_compound(build_extended_report(report), FEEDBACK)
    assert read == (() if reference is None and not answers else (report,))


def test_other_formats_and_blocks_are_skipped_by_their_length() -> None:
    pause = bytes((0x85, 205, 0, 4)) + bytes(16)
    blocks = bytes((6, 0, 0, 1)) + bytes(4) + bytes((4, 0, 0, 2)) + bytes(7) + b"\x09"
    extended = bytes((0x80, 207, 0, 6)) + bytes(3) + b"\x05" + blocks[: 8 + 12]
    data = build_receiver_report(ReceiverReport(6)) + pause + extended
    assert parse_compound(data, FEEDBACK) == (ReceiverReport(6), ExtendedReport(5, 9))


def test_of_very_many_delays_the_first_are_read() -> None:
    body = b"".join(number.to_bytes(12, "big") for number in range(40))
    block = bytes((5, 0)) + (120).to_bytes(2, "big") + body
    data = bytes((0x80, 207)) + (1 + 121).to_bytes(2, "big") + bytes(4) + block
    (report,) = parse_compound(data, FEEDBACK)
    assert isinstance(report, ExtendedReport)
    assert [one.delay for one in report.delays] == list(range(DELAYS_MAX))


@pytest.mark.parametrize(
    "data",
    [
        bytes((0x81, 205, 0, 1)) + bytes(4),
        bytes((0x81, 205, 0, 2)) + bytes(8),
        bytes((0x8F, 205, 0, 1)) + bytes(4),
        bytes((0x81, 205, 0, 2 + NACK_PAIRS_MAX + 1)) + bytes(4 * (2 + NACK_PAIRS_MAX + 1)),
        bytes((0x80, 207, 0, 0)),
        bytes((0x80, 207, 0, 2)) + bytes(4) + bytes((4, 0, 0, 2)),
        bytes((0x80, 207, 0, 3)) + bytes(4) + bytes((4, 0, 0, 1)) + bytes(4),
        bytes((0x80, 207, 0, 4)) + bytes(4) + bytes((5, 0, 0, 2)) + bytes(8),
        bytes((0x80, 207, 0, 2)) + bytes(4) + bytes((9, 0, 0, 1)),
    ],
)
def test_malformed_ones_are_an_rtcp_error(data: bytes) -> None:
    with pytest.raises(RtcpError):
        parse_compound(data, FEEDBACK)


def test_the_longest_nack_fits() -> None:
    nack = Nack(1, 2, tuple(range(0, 17 * NACK_PAIRS_MAX, 17)))
    assert parse_compound(build_nack(nack), FEEDBACK) == (nack,)


@pytest.mark.parametrize("rtt_s", [0.0, 0.08, 2.0])
def test_the_answer_to_a_reference_time_tells_the_round_trip(rtt_s: float) -> None:
    last = middle_of(ntp_time(1_000.0))
    told = round_trip_of(last, 3 * 65_536, ntp_time(1_003.0 + rtt_s))
    assert told == pytest.approx(rtt_s, abs=1e-4)
    assert round_trip_of(0, 3 * 65_536, ntp_time(1_003.0)) is None
