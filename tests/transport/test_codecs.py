"""What is agreed on beside Opus, m-line by m-line: RED, NACK, extended reports, voice or music."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from control.types import Profile
from sfu.transport.answer import negotiate, renegotiate
from sfu.transport.candidates import Endpoint, candidates_for
from sfu.transport.negotiation import Negotiation
from sfu.transport.offer import FEEDBACK_MAX, OfferError, parse_offer
from tests.transport.peer import FINGERPRINT, offer_text, seeded

SETTINGS: dict[str, Any] = {
    "tracks": 3,
    "candidates": candidates_for([Endpoint("192.0.2.1", 7800)]),
    "fingerprint": FINGERPRINT,
}
CHROMIUM = offer_text("chromium_4_audio")
NACKS = CHROMIUM.replace(
    "transport-cc\r\n",
    "transport-cc\r\na=rtcp-fb:111 nack\r\na=rtcp-fb:111 goog-remb\r\n",
)
RED_LINES = "a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n"
XR_LINE = "a=rtcp-xr:rcvr-rtt=all\r\n"


def answer(text: str, profile: Profile = "voice") -> Negotiation:
    """Negotiate with entropy that repeats from run to run."""
    return negotiate(parse_offer(text), entropy=seeded("answer"), profile=profile, **SETTINGS)


def sections(result: Negotiation) -> list[str]:
    """The m-lines of an answer."""
    return result.answer.split("m=")[1:]


def formats(section: str) -> str:
    """The payload types in an m-line."""
    return section.split("\r\n")[0].rpartition("SAVPF ")[2]


def in_line(number: int, change: Callable[[str], str], text: str = CHROMIUM) -> str:
    """An offer of which one m-line is changed."""
    parts = text.split("m=audio")
    parts[number + 1] = change(parts[number + 1])
    return "m=audio".join(parts)


def test_red_is_accepted_behind_opus_as_chromium_offers_it() -> None:
    result = answer(CHROMIUM)
    assert [media.red_payload_type for media in result.media] == [63] * 4
    for section in sections(result):
        assert formats(section) == "111 63"
        assert RED_LINES in section


@pytest.mark.parametrize("client", ["firefox_4_audio", "aiortc_4_audio"])
def test_what_a_client_does_not_offer_is_not_in_its_answer(client: str) -> None:
    result = answer(offer_text(client))
    assert not any(media.red_payload_type or media.nack or media.xr for media in result.media)
    for word in ("red/", "nack", "rtcp-xr"):
        assert word not in result.answer
    assert all(formats(part) == str(result.media[0].payload_type) for part in sections(result))


def test_a_client_that_prefers_red_is_answered_in_its_order() -> None:
    """Browsers send the first payload type of the answer."""
    result = answer(in_line(0, lambda line: line.replace("SAVPF 111 63", "SAVPF 63 111")))
    assert [formats(section) for section in sections(result)] == ["63 111"] + ["111 63"] * 3
    assert result.media[0].payload_type == 111


def test_each_m_line_has_red_only_where_it_was_offered() -> None:
    result = answer(in_line(1, lambda line: line.replace(RED_LINES, "")))
    assert [media.red_payload_type for media in result.media] == [63, 0, 63, 63]
    assert formats(sections(result)[1]) == "111" and "red/" not in sections(result)[1]


FMTP, FMTP_64 = (f"a=fmtp:{red} 111/111\r\n" for red in (63, 64))


@pytest.mark.parametrize(
    "fmtp",
    [
        "",
        *(f"a=fmtp:63 {bad}\r\n" for bad in ("111/9", "111", "9/9", "", "111/", "/", "0111/0111")),
    ],
)
def test_red_of_anything_but_the_agreed_opus_is_declined(fmtp: str) -> None:
    """What else may be within could not be forwarded to those who agreed on Opus alone."""
    result = answer(CHROMIUM.replace(FMTP, fmtp))
    assert result.media[0].red_payload_type == 0 and "red/" not in result.answer


@pytest.mark.parametrize("mapped", ["red/8000", "red/48000", "telephone-event/48000/2"])
def test_red_of_another_clock_is_declined(mapped: str) -> None:
    assert answer(CHROMIUM.replace("red/48000/2", mapped)).media[0].red_payload_type == 0


def test_red_may_offer_more_than_one_copy() -> None:
    result = answer(CHROMIUM.replace("a=fmtp:63 111/111", "a=fmtp:63 111/111/111"))
    assert result.media[0].red_payload_type == 63


@pytest.mark.parametrize("line", ["a=rtcp-fb:111 nack", "a=rtcp-fb:* nack", "a=rtcp-fb:111 nack "])
def test_nack_is_accepted_where_offered_for_opus(line: str) -> None:
    result = answer(in_line(2, lambda media: media + line + "\r\n"))
    assert [media.nack for media in result.media] == [False, False, True, False]
    assert ["a=rtcp-fb:111 nack\r\n" in part for part in sections(result)] == [
        False,
        False,
        True,
        False,
    ]
    assert result.repeats


@pytest.mark.parametrize("line", ["a=rtcp-fb:63 nack", "a=rtcp-fb:111 nack pli", "a=rtcp-fb:111"])
def test_other_feedback_is_no_nack(line: str) -> None:
    result = answer(CHROMIUM + line + "\r\n")
    assert not result.repeats and "nack" not in result.answer


EXTENSION = "a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
FEEDBACK = "a=rtcp-fb:111 transport-cc\r\n"


def test_packets_that_the_server_sends_may_be_numbered_where_that_was_offered() -> None:
    """Only those: the server tells nobody when packets came."""
    result = answer(in_line(1, lambda media: media.replace(FEEDBACK, "")))
    assert [media.transport_cc_extension for media in result.media] == [3, 0, 3, 3]
    assert [FEEDBACK in part for part in sections(result)] == [True, False, True, True]
    assert result.takes_stamps


def test_what_a_client_sends_is_not_to_be_numbered() -> None:
    """It would be told nothing of it. The m-line borrows the extension from the others."""
    result = answer(CHROMIUM)
    assert [EXTENSION in part for part in sections(result)] == [False, True, True, True]
    listening = answer(CHROMIUM.replace("a=sendrecv", "a=recvonly"))
    assert all(EXTENSION in part for part in sections(listening))


def test_an_m_line_that_goes_both_ways_borrows_nothing_that_no_other_has() -> None:
    alone = CHROMIUM[: CHROMIUM.index("m=audio", CHROMIUM.index("m=audio") + 1)]
    for text in (
        alone.replace("a=group:BUNDLE 0 1 2 3", "a=group:BUNDLE 0"),
        CHROMIUM.replace("a=recvonly", "a=inactive"),
        in_line(0, lambda media: media.replace(EXTENSION, EXTENSION.replace(":3", ":9"))),
    ):
        result = answer(text)
        assert result.media[0].sends and not result.media[0].transport_cc_extension
        assert FEEDBACK not in sections(result)[0]


@pytest.mark.parametrize(
    ("lost", "instead"),
    [
        (FEEDBACK, ""),
        (FEEDBACK, "a=rtcp-fb:63 transport-cc\r\n"),
        (EXTENSION, "a=x"),
        (EXTENSION, EXTENSION.replace(":3 ", ":3/sendonly ")),
    ],
)
def test_nothing_is_numbered_without_extension_and_feedback(lost: str, instead: str) -> None:
    result = answer(CHROMIUM.replace(lost, instead))
    assert not result.takes_stamps
    assert "transport-cc" not in result.answer and "transport-wide" not in result.answer


def test_feedback_for_every_codec_counts_for_opus() -> None:
    assert answer(CHROMIUM.replace(FEEDBACK, "a=rtcp-fb:* transport-cc\r\n")).takes_stamps


def test_who_is_sent_nothing_takes_no_numbers() -> None:
    text = CHROMIUM.replace("a=sendrecv", "a=sendonly").replace("a=recvonly", "a=inactive")
    assert not answer(text).takes_stamps


def test_estimates_of_the_receiver_are_accepted_where_offered() -> None:
    line = "a=rtcp-fb:111 goog-remb\r\n"
    result = answer(in_line(1, lambda media: media.replace(FEEDBACK, FEEDBACK + line)))
    assert [media.remb for media in result.media] == [False, True, False, False]
    assert [line in part for part in sections(result)] == [False, True, False, False]
    assert not any(media.remb for media in answer(CHROMIUM).media)


def test_who_is_sent_nothing_asks_for_nothing_again() -> None:
    text = NACKS.replace("a=sendrecv", "a=sendonly").replace("a=recvonly", "a=inactive")
    assert not answer(text).repeats


def test_endless_feedback_is_refused() -> None:
    with pytest.raises(OfferError, match="rtcp-fb"):
        parse_offer(CHROMIUM + "a=rtcp-fb:111 x\r\n" * (FEEDBACK_MAX + 1))


def test_receiver_reference_times_are_accepted_where_offered() -> None:
    result = answer(in_line(1, lambda media: media.replace(XR_LINE, "")))
    assert [media.xr for media in result.media] == [True, False, True, True]
    assert [XR_LINE in part for part in sections(result)] == [True, False, True, True]


@pytest.mark.parametrize(
    ("value", "accepted"),
    [
        ("rcvr-rtt=all:10000", True),
        ("stat-summary=loss,dup rcvr-rtt=all", True),
        ("rcvr-rtt=sender", False),
        ("rcvr-rtt=allow", False),
        ("stat-summary=loss", False),
    ],
)
def test_extended_reports_are_of_every_receiver_or_none(value: str, accepted: bool) -> None:
    result = answer(CHROMIUM.replace("rcvr-rtt=all", value))
    assert result.media[0].xr is accepted


def test_extended_reports_may_be_offered_for_the_whole_session() -> None:
    text = CHROMIUM.replace(XR_LINE, "").replace("t=0 0\r\n", "t=0 0\r\n" + XR_LINE)
    assert all(media.xr for media in answer(text).media)


@pytest.mark.parametrize("profile", ["voice", "music"])
def test_the_profile_is_the_same_on_every_m_line(profile: Profile) -> None:
    """In a BUNDLE group one payload type has one meaning."""
    result = answer(CHROMIUM, profile)
    lines = [line for line in result.answer.split("\r\n") if line.startswith("a=fmtp:111 ")]
    assert len(lines) == 4 and len(set(lines)) == 1
    assert result.profile == profile


def parameters(profile: Profile) -> dict[str, str]:
    """What an answer says of Opus."""
    line = answer(CHROMIUM, profile).answer.partition("a=fmtp:111 ")[2].partition("\r\n")[0]
    return dict(parameter.split("=") for parameter in line.split(";"))


def test_voice_is_mono_with_correction_and_pauses() -> None:
    voice = parameters("voice")
    assert "stereo" not in voice and "maxaveragebitrate" not in voice
    assert (voice["useinbandfec"], voice["usedtx"]) == ("1", "1")
    assert voice["sprop-stereo"] == "1", "others in the room may play music"


def test_music_is_stereo_at_a_high_rate_without_pauses() -> None:
    music = parameters("music")
    assert (music["stereo"], music["sprop-stereo"]) == ("1", "1")
    assert (music["usedtx"], music["useinbandfec"]) == ("0", "0")
    assert 128_000 <= int(music["maxaveragebitrate"]) <= 510_000


def restarted(text: str) -> str:
    """The same session offered once more, with other ICE credentials."""
    return text.replace("a=ice-ufrag:tqyu", "a=ice-ufrag:newU")


def again(text: str, before: Negotiation) -> Negotiation:
    """Answer a further offer of the session."""
    return renegotiate(parse_offer(text), before, entropy=seeded("again"), **SETTINGS)


@pytest.mark.parametrize("profile", ["voice", "music"])
def test_a_restart_keeps_all_of_it(profile: Profile) -> None:
    before = answer(NACKS, profile)
    after = again(restarted(NACKS), before)
    assert after.media == before.media and after.profile == profile
    kept = ("a=fmtp", "a=rtpmap", "a=rtcp-")
    assert [line for line in after.answer.split("\r\n") if line.startswith(kept)] == [
        line for line in before.answer.split("\r\n") if line.startswith(kept)
    ]


@pytest.mark.parametrize(
    ("lost", "says"),
    [
        (RED_LINES, "m-line 0 lacks the payload type for RED"),
        ("a=rtcp-fb:111 nack\r\n", "m-line 0 lacks the a=rtcp-fb with nack"),
        (XR_LINE, "m-line 0 lacks the a=rtcp-xr"),
        (FEEDBACK, "m-line 1 lacks the extension id or a=rtcp-fb for transport-cc"),
        (EXTENSION + "\r\n", "m-line 1 lacks the extension id or a=rtcp-fb for transport-cc"),
        ("a=rtcp-fb:111 goog-remb\r\n", "m-line 0 lacks the a=rtcp-fb with goog-remb"),
    ],
)
def test_a_restart_must_offer_what_was_agreed_on(lost: str, says: str) -> None:
    with pytest.raises(OfferError, match=says):
        again(restarted(NACKS).replace(lost, ""), answer(NACKS))


def test_a_restart_need_not_offer_the_numbers_that_were_borrowed() -> None:
    """An answer without them takes them out of all later offers of that m-line."""
    before = answer(CHROMIUM)
    later = in_line(0, lambda media: media.replace(EXTENSION + "\r\n", ""), restarted(CHROMIUM))
    assert again(later, before).media == before.media


CHROMIUM_64 = restarted(
    CHROMIUM.replace(" 111 63 ", " 111 64 ").replace(":63 red", ":64 red").replace(FMTP, FMTP_64)
)


def test_red_may_not_change_its_payload_type_in_a_restart() -> None:
    with pytest.raises(OfferError, match="RED"):
        again(CHROMIUM_64, answer(CHROMIUM))


@pytest.mark.parametrize("lost", [RED_LINES, "a=rtcp-fb:111 nack\r\n", XR_LINE, FEEDBACK])
def test_a_restart_that_offers_more_gets_what_it_had(lost: str) -> None:
    before = answer(NACKS.replace(lost, ""))
    after = again(restarted(NACKS), before)
    assert after.media == before.media
    assert lost not in after.answer
