"""The RTP header extensions (RFC 8285) that the server understands or writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sfu.transport.negotiation import NegotiatedMedia

AUDIO_LEVEL_URI = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
MID_URI = "urn:ietf:params:rtp-hdrext:sdes:mid"
TRANSPORT_CC_URI = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"


def agreed_extensions(media: NegotiatedMedia) -> list[str]:
    """The values of an answer's `a=extmap` for one m-line.

    Transport-wide numbers are for what the server sends: it tells nobody when packets came. Where
    an m-line goes both ways they are not agreed on, because browsers then number what they send,
    even if the answer says `sendonly` (RFC 8285 6). Told nothing of it, Chromium keeps its rate,
    but with `adaptivePtime` it takes its encoder down to 6 kbit/s within seconds. What is sent on
    such an m-line borrows the extension from the others: a BUNDLE group is one RTP session (RFC
    8843 9.1), in which an id means one thing, and Chromium reads it on every m-line.
    """
    agreed = (
        (media.level_extension, AUDIO_LEVEL_URI),
        (media.mid_extension, MID_URI),
        (0 if media.receives else media.transport_cc_extension, TRANSPORT_CC_URI),
    )
    return [f"{number} {uri}" for number, uri in agreed if number]


def without_lone_borrower(media: Sequence[NegotiatedMedia]) -> tuple[NegotiatedMedia, ...]:
    """The m-lines of a transport; one that goes both ways borrows only what another has."""
    lent = {one.transport_cc_extension for one in media if one.sends and not one.receives}
    return tuple(
        replace(one, transport_cc_extension=0)
        if one.receives and one.transport_cc_extension not in lent
        else one
        for one in media
    )
