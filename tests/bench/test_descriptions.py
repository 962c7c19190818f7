"""Offers and answers of virtual clients, against the parsers of two other stacks."""

from __future__ import annotations

import pytest
from aiortc.sdp import SessionDescription

from bench.descriptions import (
    LEVEL_EXTENSION,
    MID_EXTENSION,
    OPUS_PAYLOAD_TYPE,
    RED_PAYLOAD_TYPE,
    TRANSPORT_CC_EXTENSION,
    TRANSPORT_CC_URI,
    Local,
    build_answer,
    build_offer,
    parse,
)
from sfu.transport import sdp

FINGERPRINT = ":".join(["AB"] * 32)
LOCAL = Local("ufragufrag", "p" * 24, FINGERPRINT, 1234, 99)
ANSWER = "\r\n".join(
    (
        "v=0",
        "o=- 1 1 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        "a=ice-lite",
        "a=group:BUNDLE 0 1",
        "m=audio 7800 UDP/TLS/RTP/SAVPF 96",
        "a=ice-ufrag:theirs",
        "a=ice-pwd:secret",
        f"a=fingerprint:SHA-256 {FINGERPRINT.lower()}",
        "a=candidate:1 1 udp 2130706431 ::1 7801 typ host",
        "a=candidate:2 1 UDP 2130706430 127.0.0.1 7800 typ host",
        "a=candidate:3 1 tcp 1 127.0.0.1 7802 typ host",
        "a=mid:0",
        "a=sendrecv",
        "a=rtpmap:96 opus/48000/2",
        "a=extmap:3 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
        "a=ssrc:11 cname:x",
        "a=ssrc:11 msid:a b",
        "m=audio 7800 UDP/TLS/RTP/SAVPF 0 97",
        "a=mid:1",
        "a=sendonly",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:97 OPUS/48000/2",
        "a=extmap:5/sendonly urn:ietf:params:rtp-hdrext:sdes:mid",
        "",
    )
)


@pytest.mark.parametrize(
    ("sends", "receives", "count", "directions"),
    [
        (True, 3, 3, ["sendrecv", "recvonly", "recvonly"]),
        (False, 3, 3, ["recvonly"] * 3),
        (True, 0, 1, ["sendonly"]),
    ],
)
def test_an_offer_says_what_a_client_wants(
    sends: bool, receives: int, count: int, directions: list[str]
) -> None:
    """Read by another WebRTC stack."""
    text = build_offer(LOCAL, sends=sends, receives=receives, count=count)
    description = SessionDescription.parse(text)
    assert [one.direction for one in description.media] == directions
    assert [one.rtp.muxId for one in description.media] == [str(n) for n in range(count)]
    first = description.media[0]
    assert first.rtp.codecs[0].payloadType == OPUS_PAYLOAD_TYPE
    assert first.ice is not None
    assert first.ice.usernameFragment == LOCAL.ufrag and first.ice.password == LOCAL.pwd
    assert first.dtls is not None and first.dtls.fingerprints[0].value == FINGERPRINT
    assert first.rtcp_mux
    ids = {one.uri.rpartition(":")[2]: one.id for one in first.rtp.headerExtensions}
    assert ids == {"ssrc-audio-level": LEVEL_EXTENSION, "mid": MID_EXTENSION}
    assert [one.ssrc for one in first.ssrc] == ([LOCAL.ssrc] if sends else [])


def test_a_client_that_adapts_offers_red_and_feedback() -> None:
    """Numbered like a browser's; the others stay where they are."""
    text = build_offer(LOCAL, sends=False, receives=2, count=2, adapts=True)
    for media in SessionDescription.parse(text).media:
        opus, red = media.rtp.codecs[:2]
        assert (opus.payloadType, red.payloadType) == (OPUS_PAYLOAD_TYPE, RED_PAYLOAD_TYPE)
        assert red.name == "red"
        assert [(one.type, one.parameter) for one in opus.rtcpFeedback] == [("transport-cc", None)]
        ids = {one.uri: one.id for one in media.rtp.headerExtensions}
        assert ids[TRANSPORT_CC_URI] == TRANSPORT_CC_EXTENSION
    assert len(sdp.parse_offer(text).media) == 2


def test_the_daemon_takes_the_offer() -> None:
    """With Opus on every m-line."""
    text = build_offer(LOCAL, sends=True, receives=3, count=3)
    offer = sdp.parse_offer(text)
    assert len(offer.media) == 3


def test_an_answer_is_read() -> None:
    """Numbers are theirs, each line's own; the address is of the family asked for."""
    remote = parse(ANSWER)
    assert (remote.ufrag, remote.pwd) == ("theirs", "secret")
    assert (remote.fingerprint_algorithm, remote.fingerprint) == ("sha-256", FINGERPRINT)
    assert remote.address(is_ipv6=False) == ("127.0.0.1", 7800)
    assert remote.address(is_ipv6=True) == ("::1", 7801)
    assert [line.payload_type for line in remote.lines] == [96, 97]
    assert [line.level_extension for line in remote.lines] == [3, 0]
    assert [line.mid_extension for line in remote.lines] == [0, 5]
    assert [line.ssrcs for line in remote.lines] == [[11], []]


def test_an_answer_to_their_offer_turns_the_directions_round() -> None:
    """And keeps their numbers; this side is the DTLS client."""
    description = SessionDescription.parse(build_answer(LOCAL, parse(ANSWER)))
    assert [one.direction for one in description.media] == ["sendrecv", "recvonly"]
    assert [one.rtp.codecs[0].payloadType for one in description.media] == [96, 97]
    assert {one.dtls.role for one in description.media if one.dtls} == {"client"}
    assert [[ext.id for ext in one.rtp.headerExtensions] for one in description.media] == [[3], [5]]


@pytest.mark.parametrize("missing", ["a=ice-ufrag", "a=ice-pwd", "a=fingerprint", "a=candidate"])
def test_a_description_that_lacks_something_is_refused(missing: str) -> None:
    """A client could not connect with it."""
    lines = [line for line in ANSWER.split("\r\n") if not line.startswith(missing)]
    with pytest.raises(ValueError, match="needs"):
        parse("\r\n".join(lines))


def test_a_line_without_opus_is_refused() -> None:
    """There would be nothing to measure on it."""
    with pytest.raises(ValueError, match="Opus"):
        parse(ANSWER.replace("OPUS/48000/2", "G722/8000"))


def test_no_address_of_the_family_is_an_error() -> None:
    """Instead of a client that waits for an answer from nowhere."""
    lines = [line for line in ANSWER.split("\r\n") if "::1" not in line]
    with pytest.raises(ValueError, match="IPv6"):
        parse("\r\n".join(lines)).address(is_ipv6=True)
