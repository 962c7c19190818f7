"""The client's own SDP and RTCP: what it writes can be read, and it refuses what browsers do."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from aiortc import sdp

from tests.sim import rtcp
from tests.sim.offer import OfferShape, build_offer, faults_of, parse_answer, random_shape

ANSWER = """v=0
a=ice-lite
a=group:BUNDLE 0 1
m=audio 9 UDP/TLS/RTP/SAVPF {payload_type}
a=mid:0
a=sendrecv
a=setup:passive
a=ice-ufrag:abcd
a=ice-pwd:abcdefghijklmnopqrstuvwx
a=fingerprint:sha-256 AA:BB
a=candidate:1 1 udp 2130706431 192.0.2.1 7800 typ host
a=extmap:{level} urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=ssrc:1 cname:x
m=audio 9 UDP/TLS/RTP/SAVPF {payload_type}
a=mid:1
a=sendonly
a=ssrc:2 cname:x
"""


def shape(seed: int = 1, lines: int = 2) -> OfferShape:
    """A client's offer in data."""
    return random_shape(random.Random(seed), "AA:BB", lines=lines, sends=True, tells_level=True)


@pytest.mark.parametrize("seed", range(20))
def test_offers_are_read_by_another_implementation(seed: int) -> None:
    offer = shape(seed, lines=3)
    parsed = sdp.SessionDescription.parse(build_offer(offer))
    assert [media.kind for media in parsed.media] == ["audio"] * 3
    assert [media.direction for media in parsed.media] == ["sendrecv", "recvonly", "recvonly"]
    ice = parsed.media[0].ice
    assert ice is not None and ice.usernameFragment == offer.ufrag
    codecs = [codec.mimeType for codec in parsed.media[0].rtp.codecs]
    assert "audio/opus" in codecs
    assert {h.id for h in parsed.media[0].rtp.headerExtensions} == {
        offer.level_extension,
        offer.mid_extension,
        offer.other_extension,
    }


def test_a_good_answer_has_no_faults_and_a_bad_one_has() -> None:
    offer = replace(shape(), firefox=False)
    text = ANSWER.format(payload_type=offer.payload_type, level=offer.level_extension)
    assert faults_of(offer, parse_answer(text)) == []
    for part, other, fault in (
        ("a=mid:1", "a=mid:7", "mid 7"),
        ("a=setup:passive", "a=setup:active", "instead of passive"),
        ("a=sendonly", "a=sendrecv", "direction"),
        ("a=ssrc:2", "a=ssrc:1", "two m-lines"),
        ("a=ice-lite", "a=ice-more", "not ICE-lite"),
        (f"a=extmap:{offer.level_extension} ", "a=extmap:15 ", "not offered"),
        (f"SAVPF {offer.payload_type}", "SAVPF 77", "payload types"),
    ):
        assert part in text
        assert any(
            fault in found for found in faults_of(offer, parse_answer(text.replace(part, other)))
        )


BLOCK = rtcp.ReportBlock(5, 51, -3, 70_000, 12, 0x11223344, 65_536)
SENDER = rtcp.SenderReport(9, 2**63, 2**32 - 1, 10, 1_000)


def test_reports_come_back_as_they_were() -> None:
    compound = rtcp.parse_compound(rtcp.build_report(9, SENDER, [BLOCK, replace(BLOCK, lost=7)]))
    assert compound.senders == (SENDER,)
    assert compound.blocks == (BLOCK, replace(BLOCK, lost=7))
    assert rtcp.parse_compound(rtcp.build_report(9, None, [])) == rtcp.Compound()


def test_a_compound_that_is_cut_short_is_refused() -> None:
    whole = rtcp.build_report(9, SENDER, [BLOCK])
    first = 4 * (1 + int.from_bytes(whole[2:4], "big"))
    for length in range(1, len(whole)):
        if length != first:
            with pytest.raises(ValueError):
                rtcp.parse_compound(whole[:length])
