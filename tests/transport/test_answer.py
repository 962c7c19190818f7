"""Answers: what is agreed on, how it reads, and which offers are refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from aiortc import sdp as oracle

from sfu.transport.answer import TRACKS_MAX, negotiate, renegotiate
from sfu.transport.candidates import Endpoint, candidates_for
from sfu.transport.extensions import AUDIO_LEVEL_URI, MID_URI, TRANSPORT_CC_URI
from sfu.transport.negotiation import Negotiation
from sfu.transport.offer import Direction, OfferError, parse_offer
from tests.transport.peer import FINGERPRINT, offer_text, seeded

CANDIDATES = candidates_for([Endpoint("192.0.2.1", 7800), Endpoint("2001:db8::1", 7800)])
CLIENTS = ["chromium_4_audio", "firefox_4_audio", "aiortc_4_audio"]


def answer(text: str, tracks: int = 3) -> Negotiation:
    """Negotiate with entropy that repeats from run to run."""
    return negotiate(
        parse_offer(text),
        tracks=tracks,
        candidates=CANDIDATES,
        fingerprint=FINGERPRINT,
        entropy=seeded("answer"),
    )


@pytest.mark.parametrize("client", CLIENTS)
def test_every_client_gets_three_tracks_and_may_send_one(client: str) -> None:
    result = answer(offer_text(client))
    assert [media.direction for media in result.media] == [
        Direction.SENDRECV,
        Direction.SENDONLY,
        Direction.SENDONLY,
        Direction.INACTIVE,
    ]
    assert [media.mid for media in result.egresses] == ["0", "1", "2"]
    assert result.source is result.media[0]
    assert result.remote_fingerprints and result.ice.remote_pwd


@pytest.mark.parametrize("client", [*CLIENTS, "chromium_video_first"])
def test_the_answer_reads_as_meant_by_another_parser(client: str) -> None:
    result = answer(offer_text(client))
    read = oracle.SessionDescription.parse(result.answer)
    offered = parse_offer(offer_text(client))
    assert len(read.media) == len(offered.media)
    assert [entry.kind for entry in read.media] == [media.kind for media in offered.media]
    assert read.group[0].items == [media.mid for media in result.media]
    assert all(media.rtp.muxId == offered.media[i].mid for i, media in enumerate(read.media))
    for ours in result.media:
        entry = read.media[ours.index]
        assert entry.direction == ours.direction.value
        assert entry.rtcp_mux and entry.port == 7800
        assert entry.ice is not None and entry.ice.iceLite
        assert entry.ice.usernameFragment == result.ice.local_ufrag
        assert entry.ice.password == result.ice.local_pwd
        assert entry.dtls is not None and entry.dtls.role == "server"
        assert [(f.algorithm, f.value) for f in entry.dtls.fingerprints] == [
            ("sha-256", FINGERPRINT)
        ]
        codecs = {codec.mimeType: codec.payloadType for codec in entry.rtp.codecs}
        assert codecs.pop("audio/opus") == ours.payload_type
        assert codecs == ({"audio/red": ours.red_payload_type} if ours.red_payload_type else {})
        extensions = {extension.uri: extension.id for extension in entry.rtp.headerExtensions}
        wanted = {
            AUDIO_LEVEL_URI: ours.level_extension,
            MID_URI: ours.mid_extension,
            TRANSPORT_CC_URI: 0 if ours.receives else ours.transport_cc_extension,
        }
        assert extensions == {uri: number for uri, number in wanted.items() if number}
        assert [(ssrc.ssrc, ssrc.cname) for ssrc in entry.ssrc] == (
            [(ours.ssrc, result.cname)] if ours.sends else []
        )
        assert [(c.ip, c.port, c.type) for c in entry.ice_candidates] == [
            (candidate.host, candidate.port, "host") for candidate in CANDIDATES
        ]
        assert entry.ice_candidates_complete


def test_extension_ids_and_payload_types_are_the_clients() -> None:
    chromium = answer(offer_text("chromium_4_audio")).media[0]
    firefox = answer(offer_text("firefox_4_audio")).media[0]
    aiortc = answer(offer_text("aiortc_4_audio")).media[0]
    assert (chromium.payload_type, chromium.level_extension, chromium.mid_extension) == (111, 1, 4)
    assert (firefox.payload_type, firefox.level_extension, firefox.mid_extension) == (109, 1, 3)
    assert (aiortc.payload_type, aiortc.level_extension, aiortc.mid_extension) == (96, 2, 1)


def test_mixed_extension_headers_are_allowed_only_where_offered() -> None:
    assert "\r\na=extmap-allow-mixed\r\n" in answer(offer_text("chromium_4_audio")).answer
    assert "extmap-allow-mixed" not in answer(offer_text("firefox_4_audio")).answer
    mixed = answer(offer_text("chromium_4_audio")).answer
    assert mixed.index("extmap-allow-mixed") < mixed.index("m=audio"), "at session level"


def test_ids_above_14_are_kept() -> None:
    text = offer_text("chromium_4_audio").replace("a=extmap:1 ", "a=extmap:20 ")
    assert answer(text).media[0].level_extension == 20


def test_what_was_not_offered_is_not_answered() -> None:
    text = "".join(
        line
        for line in offer_text("chromium_4_audio").splitlines(keepends=True)
        if not line.startswith("a=extmap:")
    )
    result = answer(text)
    assert "a=extmap:" not in result.answer
    assert result.media[0].level_extension == result.media[0].mid_extension == 0
    assert not result.takes_stamps and "transport-wide" not in result.answer


def test_the_client_that_never_speaks_has_no_source() -> None:
    result = answer(offer_text("chromium_video_first"))
    assert result.source is None
    assert [media.index for media in result.egresses] == [1, 2]
    lines = result.answer.split("\r\n")
    assert "a=group:BUNDLE 1 2" in lines
    assert [line.split(" ")[1] for line in lines if line.startswith("m=")] == [
        "0",
        "7800",
        "7800",
        "0",
    ]


@pytest.mark.parametrize(
    ("offered", "sends", "receives"),
    [("sendrecv", True, True), ("recvonly", True, False), ("sendonly", False, True)],
)
def test_directions_of_the_first_line_are_mirrored(
    offered: str, sends: bool, receives: bool
) -> None:
    text = offer_text("chromium_4_audio").replace("a=sendrecv", f"a={offered}")
    first = answer(text).media[0]
    assert (first.sends, first.receives) == (sends, receives)


def test_an_inactive_first_line_stays_inactive() -> None:
    text = offer_text("chromium_4_audio").replace("a=sendrecv", "a=inactive")
    result = answer(text)
    assert result.media[0].direction is Direction.INACTIVE
    assert result.source is None and len(result.egresses) == 2


def test_only_the_first_line_may_send() -> None:
    text = offer_text("chromium_4_audio").replace("a=recvonly", "a=sendrecv")
    assert [media.receives for media in answer(text).media] == [True, False, False, False]


def lines_of(count: int) -> str:
    """A Chromium offer with this many audio m-lines."""
    head, _, rest = offer_text("chromium_4_audio").partition("m=audio")
    last = "m=audio" + rest.split("m=audio")[-1]
    mids = " ".join(str(number) for number in range(count))
    head = head.replace("BUNDLE 0 1 2 3", f"BUNDLE {mids}")
    return head + "".join(last.replace("a=mid:3", f"a=mid:{n}") for n in range(count))


def test_audio_lines_beyond_the_limit_are_answered_inactive() -> None:
    result = answer(lines_of(10), tracks=TRACKS_MAX)
    assert len(result.media) == 10 and len(result.egresses) == TRACKS_MAX
    assert all(media.direction is Direction.INACTIVE for media in result.media[TRACKS_MAX:])


def test_ssrcs_are_unique_and_new_and_never_zero() -> None:
    offered = offer_text("chromium_4_audio")
    drawn = iter([0, 0x12345678, 0x12345678, 864553907, 2, 3, 4])

    def entropy(size_bytes: int) -> bytes:
        return next(drawn).to_bytes(4, "big") if size_bytes == 4 else b"x" * size_bytes

    result = negotiate(
        parse_offer(offered),
        tracks=3,
        candidates=CANDIDATES,
        fingerprint=FINGERPRINT,
        entropy=entropy,
    )
    assert [media.ssrc for media in result.media] == [0x12345678, 2, 3, 4]
    assert result.media[0].remote_ssrc == 864553907


def test_entropy_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="entropy"):
        negotiate(
            parse_offer(offer_text("chromium_4_audio")),
            tracks=3,
            candidates=CANDIDATES,
            fingerprint=FINGERPRINT,
            entropy=bytes,
        )


def test_credentials_are_long_enough_and_differ_each_time() -> None:
    entropy = seeded("credentials")
    offer = parse_offer(offer_text("chromium_4_audio"))
    seen = set()
    for _ in range(20):
        result = negotiate(
            offer, tracks=3, candidates=CANDIDATES, fingerprint=FINGERPRINT, entropy=entropy
        )
        assert len(result.ice.local_ufrag) >= 4 and len(result.ice.local_pwd) >= 22
        assert "=" not in result.ice.local_ufrag + result.ice.local_pwd + result.cname
        seen.add((result.ice.local_ufrag, result.ice.local_pwd, result.cname))
    assert len(seen) == 20


def test_secrets_stay_out_of_logs() -> None:
    result = answer(offer_text("chromium_4_audio"))
    assert result.ice.local_pwd not in repr(result)


def test_tracks_share_no_stream() -> None:
    text = answer(offer_text("chromium_4_audio")).answer
    streams = [line for line in text.split("\r\n") if line.startswith("a=msid:")]
    assert len(set(streams)) == 3


def test_one_audio_line_without_a_group_is_served() -> None:
    text = lines_of(1).replace("a=group:BUNDLE 0\r\n", "")
    result = answer(text)
    assert len(result.media) == 1 and "BUNDLE" not in result.answer


def test_audio_outside_the_group_is_rejected() -> None:
    text = offer_text("chromium_4_audio").replace("BUNDLE 0 1 2 3", "BUNDLE 0 1 2")
    result = answer(text)
    assert [media.mid for media in result.media] == ["0", "1", "2"]
    assert result.answer.count("m=audio 0 ") == 1


def test_a_mid_too_long_for_its_extension_goes_without() -> None:
    text = offer_text("chromium_4_audio").replace("0 1 2 3", f"{'x' * 17} 1 2 3", 1)
    text = text.replace("a=mid:0\r\n", f"a=mid:{'x' * 17}\r\n")
    result = answer(text)
    assert result.media[0].mid_extension == 0 and result.media[1].mid_extension == 4


def without(prefix: str) -> Callable[[str], str]:
    """Leave out the lines that begin so."""
    return lambda text: "".join(
        line for line in text.splitlines(keepends=True) if not line.startswith(prefix)
    )


def instead(old: str, new: str) -> Callable[[str], str]:
    """Replace."""
    return lambda text: text.replace(old, new)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (without("a=fingerprint"), "a=fingerprint"),
        (without("a=ice-ufrag"), "ice-ufrag"),
        (without("a=ice-pwd"), "ice-pwd"),
        (without("a=rtcp-mux"), "rtcp-mux"),
        (without("a=rtpmap:111"), "opus"),
        (instead("opus/48000/2", "opus/48000/1"), "opus"),
        (instead("a=setup:actpass", "a=setup:passive"), "passive"),
        (instead("a=setup:actpass", "a=setup:holdconn"), "holdconn"),
        (instead("m=audio 9", "m=video 9"), "no audio"),
        (instead("m=audio 9", "m=audio 0"), "no audio"),
        (instead("UDP/TLS/RTP/SAVPF", "RTP/AVP"), "DTLS-SRTP"),
        (instead("BUNDLE 0 ", "BUNDLE "), "BUNDLE"),
        (instead("t=0 0\r\n", "t=0 0\r\na=ice-lite\r\n"), "ice-lite"),
    ],
)
def test_an_offer_that_cannot_be_served_says_why(change: Callable[[str], str], says: str) -> None:
    text = change(offer_text("chromium_4_audio"))
    with pytest.raises(OfferError, match=says):
        answer(text)


def test_an_active_client_is_as_good() -> None:
    text = offer_text("chromium_4_audio").replace("actpass", "active")
    assert answer(text).media


def test_tracks_out_of_range_are_misuse() -> None:
    for tracks in (0, TRACKS_MAX + 1):
        with pytest.raises(ValueError, match="tracks"):
            answer(offer_text("chromium_4_audio"), tracks=tracks)


def restarted(text: str) -> str:
    """The same session offered once more, with other ICE credentials."""
    renewed = {"a=ice-ufrag": "newU", "a=ice-pwd": "newxpassword/of+24chars"}
    lines = [
        f"{name}:{renewed[name]}" if (name := line.partition(":")[0]) in renewed else line
        for line in text.split("\r\n")
    ]
    return "\r\n".join(lines)


def again(text: str, before: Negotiation, tracks: int = 3) -> Negotiation:
    """Answer a further offer of the session."""
    return renegotiate(
        parse_offer(text),
        before,
        tracks=tracks,
        candidates=CANDIDATES,
        fingerprint=FINGERPRINT,
        entropy=seeded("again"),
    )


@pytest.mark.parametrize("client", [*CLIENTS, "chromium_video_first"])
def test_a_restart_changes_ice_credentials_and_the_version_and_nothing_else(client: str) -> None:
    text = offer_text(client)
    before = answer(text)
    after = again(restarted(text), before)
    assert (after.ice.remote_ufrag, after.ice.remote_pwd) == ("newU", "newxpassword/of+24chars")
    assert after.ice.local_ufrag != before.ice.local_ufrag
    assert after.ice.local_pwd != before.ice.local_pwd
    assert after.media == before.media and after.cname == before.cname
    assert after.remote_fingerprints == before.remote_fingerprints
    same = (
        after.answer.replace(after.ice.local_ufrag, before.ice.local_ufrag)
        .replace(after.ice.local_pwd, before.ice.local_pwd)
        .replace(" 2 IN IP4 127.0.0.1", " 1 IN IP4 127.0.0.1", 1)
    )
    assert same == before.answer
    third = again(text, after)
    assert third.session == (before.session[0], 3)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text[: text.rindex("m=audio")], "number of m-lines"),
        (lambda text: text.replace("a=group:BUNDLE 0 1 2 3", "a=group:BUNDLE 0 1 2"), "number of"),
        (
            lambda text: text.replace("a=mid:2", "a=mid:7").replace("BUNDLE 0 1 2", "BUNDLE 0 1 7"),
            "m-line 2 has another a=mid",
        ),
        (lambda text: text.replace("111", "96"), "m-line 0 has another payload type"),
        (lambda text: text.replace("a=sendrecv", "a=recvonly"), "m-line 0 has another direction"),
        (lambda text: text.replace("a=recvonly", "a=inactive"), "m-line 1 has another direction"),
        (lambda text: text.replace("extmap:1 ", "extmap:13 "), "extension id for levels"),
        (lambda text: text.replace("a=ice-", "a=x-ice-"), "no a=ice-ufrag"),
        (lambda text: text.replace("a=setup:actpass", "a=setup:passive"), "a=setup:passive"),
    ],
)
def test_an_offer_of_another_session_is_refused(change: Callable[[str], str], reason: str) -> None:
    text = offer_text("chromium_4_audio")
    with pytest.raises(OfferError, match=reason):
        again(change(restarted(text)), answer(text))


def test_another_certificate_is_another_session() -> None:
    text = offer_text("chromium_4_audio")
    before = answer(text)
    digest = before.remote_fingerprints[0][1]
    with pytest.raises(OfferError, match="another a=fingerprint"):
        again(restarted(text).replace(digest, FINGERPRINT), before)


def test_an_offer_without_new_credentials_restarts_nothing() -> None:
    text = offer_text("chromium_4_audio")
    with pytest.raises(OfferError, match="restarts nothing"):
        again(text, answer(text))


def test_a_client_may_announce_another_ssrc_when_it_restarts() -> None:
    text = offer_text("chromium_4_audio")
    before = answer(text)
    ssrc = str(before.media[0].remote_ssrc)
    assert again(restarted(text).replace(ssrc, "12345"), before).media == before.media
