"""SRTP sessions made from exported keys."""

from __future__ import annotations

import pylibsrtp
import pytest

from sfu.transport.dtls import SrtpKeys, SrtpProfile
from sfu.transport.srtp import RECEIVE_WINDOW, SEND_WINDOW, receive_session, send_session


def keys(profile: SrtpProfile) -> tuple[SrtpKeys, SrtpKeys]:
    """The two sides of one association."""
    size = profile.key_bytes + profile.salt_bytes
    one, other = bytes(range(size)), bytes(range(100, 100 + size))
    return SrtpKeys(profile, receive=one, send=other), SrtpKeys(profile, receive=other, send=one)


def packet(sequence: int, ssrc: int = 7) -> bytes:
    """An RTP packet."""
    return b"\x80\x6f" + sequence.to_bytes(2, "big") + bytes(4) + ssrc.to_bytes(4, "big") + b"opus"


@pytest.mark.parametrize("profile", list(SrtpProfile))
def test_what_one_side_sends_the_other_reads(profile: SrtpProfile) -> None:
    ours, theirs = keys(profile)
    for ssrc in (1, 2, 3):
        protected = send_session(ours).protect(packet(5, ssrc))
        assert receive_session(theirs).unprotect(protected) == packet(5, ssrc)


@pytest.mark.parametrize("profile", list(SrtpProfile))
def test_a_packet_may_be_sent_again_but_not_received_twice(profile: SrtpProfile) -> None:
    ours, theirs = keys(profile)
    sender, receiver = send_session(ours, repeats=True), receive_session(theirs)
    for sequence in range(1, SEND_WINDOW + 1):
        sender.protect(packet(sequence))
    again = sender.protect(packet(1))
    assert receiver.unprotect(again) == packet(1)
    with pytest.raises(pylibsrtp.Error):
        receiver.unprotect(again)


@pytest.mark.parametrize("profile", list(SrtpProfile))
def test_nothing_is_sent_twice_to_who_asks_for_nothing_again(profile: SrtpProfile) -> None:
    """Then two texts under one number are noticed, which would betray both."""
    sender = send_session(keys(profile)[0])
    sender.protect(packet(1))
    with pytest.raises(pylibsrtp.Error, match="replay"):
        sender.protect(packet(1))


@pytest.mark.parametrize("profile", list(SrtpProfile))
def test_what_comes_within_the_receiving_window_is_taken(profile: SrtpProfile) -> None:
    """20 s late; the window is wider than what is ever sent again."""
    ours, theirs = keys(profile)
    sender, receiver = send_session(ours), receive_session(theirs)
    late = sender.protect(packet(1))
    for sequence in range(2, RECEIVE_WINDOW):
        receiver.unprotect(sender.protect(packet(sequence)))
    assert receiver.unprotect(late) == packet(1)


def test_keys_of_the_wrong_length_are_misuse() -> None:
    with pytest.raises(ValueError, match="takes 28 bytes"):
        send_session(SrtpKeys(SrtpProfile.AEAD_AES_128_GCM, b"r" * 28, b"s" * 30))
