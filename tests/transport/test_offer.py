"""Reading offers: recorded ones of each client, and what is refused."""

from __future__ import annotations

import pytest

from sfu.transport.offer import (
    LINE_CHARS_MAX,
    LINES_MAX,
    MEDIA_MAX,
    OFFER_CHARS_MAX,
    Codec,
    Direction,
    OfferError,
    parse_offer,
)
from tests.transport.peer import offer_text

LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
MINIMAL = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"


def test_chromium() -> None:
    offer = parse_offer(offer_text("chromium_4_audio"))
    assert offer.bundle == ("0", "1", "2", "3")
    assert offer.allows_mixed_extensions and not offer.is_ice_lite
    first, second = offer.audio[:2]
    assert (first.mid, first.direction, second.direction) == (
        "0",
        Direction.SENDRECV,
        Direction.RECVONLY,
    )
    assert first.codecs[0] == Codec(111, "opus", 48_000, 2, "minptime=10;useinbandfec=1")
    assert first.codecs[1] == Codec(63, "red", 48_000, 2, "111/111")
    assert first.ssrcs == (864553907,) and second.ssrcs == ()
    assert first.extension(LEVEL) == 1 and first.has_rtcp_mux
    assert first.transport.ice_ufrag == "tqyu" and first.transport.setup == "actpass"
    assert first.transport.fingerprints[0][0] == "sha-256"


def test_firefox_keeps_its_fingerprint_at_session_level_and_bundles_with_port_0() -> None:
    offer = parse_offer(offer_text("firefox_4_audio"))
    assert offer.transport.fingerprints and not offer.media[0].transport.fingerprints
    assert [media.port for media in offer.media] == [9, 0, 0, 0]
    assert len(offer.audio) == 4
    assert offer.media[0].codecs[0].payload_type == 109
    assert not offer.allows_mixed_extensions


def test_aiortc_promises_three_fingerprints() -> None:
    offer = parse_offer(offer_text("aiortc_4_audio"))
    algorithms = [name for name, _ in offer.audio[0].transport.fingerprints]
    assert algorithms == ["sha-256", "sha-384", "sha-512"]
    assert offer.audio[0].codecs[0].payload_type == 96


def test_other_media_are_not_audio() -> None:
    offer = parse_offer(offer_text("chromium_video_first"))
    assert [media.kind for media in offer.media] == ["video", "audio", "audio", "application"]
    assert [media.index for media in offer.audio] == [1, 2]


def test_a_disabled_audio_line_is_not_usable() -> None:
    offer = parse_offer(MINIMAL.replace(" 9 ", " 0 "))
    assert offer.audio == ()


def test_only_ids_that_fit_a_packet_count_and_one_way_extensions_do_not() -> None:
    extmaps = [f"0 {LEVEL}", f"15 {LEVEL}", f"256 {LEVEL}", f"3/recvonly {LEVEL}"]
    lines = "".join(f"a=extmap:{entry}\r\n" for entry in extmaps)
    assert parse_offer(MINIMAL + lines).media[0].extensions == ()
    two_byte = parse_offer(MINIMAL + f"a=extmap:200/sendrecv {LEVEL} vad=on\r\n")
    assert two_byte.media[0].extension(LEVEL) == 200


def test_the_session_states_the_default_direction() -> None:
    text = "v=0\r\na=recvonly\r\nm=audio 9 x 0\r\nm=audio 9 x 0\r\na=sendonly\r\n"
    first, second = parse_offer(text).media
    assert (first.direction, second.direction) == (Direction.RECVONLY, Direction.SENDONLY)


def test_bare_line_feeds_and_a_missing_last_one_are_fine() -> None:
    text = offer_text("firefox_4_audio")
    assert parse_offer(text.replace("\r\n", "\n").rstrip()) == parse_offer(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "v=0"),
        ("hello", "v=0"),
        ("v=0\r\n", "no m-line"),
        ("v=0\r\nnonsense\r\n", "line 2"),
        ("v=0\r\n\r\nm=audio 9 x 0\r\n", "line 2"),
        ("v=0\r\nm=audio 9 x\r\n", "m-line 0"),
        ("v=0\r\nm=audio  9 x 0\r\n", "m-line 0"),
        ("v=0\r\nm=audio -1 x 0\r\n", "port"),
        ("v=0\r\nm=audio 65536 x 0\r\n", "port"),
        ("v=0\r\nm=audio \N{ARABIC-INDIC DIGIT ONE} x 0\r\n", "port"),
        (MINIMAL + "a=rtpmap:128 opus/48000/2\r\n", "rtpmap"),
        (MINIMAL + "a=rtpmap:111 opus\r\n", "clock rate"),
        (MINIMAL + "a=rtpmap:111 opus/48000/two\r\n", "channels"),
        (MINIMAL + "a=fmtp:x a=b\r\n", "fmtp"),
        (MINIMAL + "a=extmap:x uri\r\n", "extmap"),
        (MINIMAL + "a=ssrc:4294967296 cname:x\r\n", "ssrc"),
        (MINIMAL + "a=fingerprint:sha-256 AB:CD\r\n", "fingerprint"),
        (MINIMAL + "a=fingerprint:sha-256 " + "XY" * 32 + "\r\n", "fingerprint"),
        (MINIMAL + "a=fingerprint:sha-256 AB " + "AB" * 31 + "\r\n", "fingerprint"),
        (MINIMAL + "a=ice-ufrag:abc\r\n", "ice-ufrag"),
        (MINIMAL + "a=ice-ufrag:ab cd\r\n", "ice-ufrag"),
        (MINIMAL + "a=ice-pwd:short\r\n", "ice-pwd"),
        (MINIMAL + "a=mid:0\r\nm=audio 9 x 0\r\na=mid:0\r\n", "same a=mid"),
        (MINIMAL + "a=mid:" + "x" * 65 + "\r\n", "a=mid"),
        (MINIMAL + "a=mid:0\x00\r\n", "line 3"),
        (MINIMAL + "a=x:" + "y" * LINE_CHARS_MAX + "\r\n", "line 3"),
        (MINIMAL + "a=x\r\n" * LINES_MAX, "lines"),
        (MINIMAL + "m=audio 9 x 0\r\n" * MEDIA_MAX, "m-line"),
        (MINIMAL + "a=extmap:1 x\r\n" * 65, "extmap"),
        (MINIMAL + "".join(f"a=ssrc:{n} x\r\n" for n in range(65)), "ssrc"),
        (MINIMAL + ("a=fingerprint:sha-256 " + "AB" * 32 + "\r\n") * 9, "fingerprint"),
        ("v=0\r\n" + "a" * OFFER_CHARS_MAX, "longer"),
    ],
)
def test_a_malformed_offer_says_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(OfferError, match=says):
        parse_offer(text)


def test_a_malformed_line_is_refused_each_time_it_comes() -> None:
    for _ in range(2):
        with pytest.raises(OfferError, match="fmtp"):
            parse_offer(MINIMAL + "a=fmtp:x a=b\r\n")


def test_what_one_offer_says_of_a_payload_type_does_not_reach_the_next() -> None:
    codecs = [
        parse_offer(MINIMAL + f"a=rtpmap:111 opus/{rate}\r\na=fmtp:111 {rate}\r\n").media[0].codecs
        for rate in (48_000, 24_000, 48_000)
    ]
    assert [(one.clock_rate, one.parameters) for (one,) in codecs] == [
        (48_000, "48000"),
        (24_000, "24000"),
        (48_000, "48000"),
    ]


def test_a_fingerprint_of_another_kind_is_left_out() -> None:
    assert parse_offer(MINIMAL + "a=fingerprint:sha-1 AB:CD\r\n").media[0].transport == (
        parse_offer(MINIMAL).media[0].transport
    )


@pytest.mark.parametrize("direction", list(Direction))
def test_directions_are_what_they_send_and_receive(direction: Direction) -> None:
    assert Direction.of(sends=direction.sends, receives=direction.receives) is direction
