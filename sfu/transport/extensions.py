"""The RTP header extensions (RFC 8285) that the server understands or writes."""

from __future__ import annotations

from sfu.transport.negotiation import NegotiatedMedia

AUDIO_LEVEL_URI = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
MID_URI = "urn:ietf:params:rtp-hdrext:sdes:mid"
TRANSPORT_CC_URI = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"


def agreed_extensions(media: NegotiatedMedia) -> list[str]:
    """The values of an answer's `a=extmap` for one m-line.

    Transport-wide numbers are for what the server sends and for nothing else (RFC 8285 6): it tells
    nobody when packets came. Browsers number what they send all the same, at 4 bytes a packet. That
    nobody answers costs them nothing: Opus has a fixed rate that no estimate of theirs changes.
    """
    agreed = [
        f"{number} {uri}"
        for number, uri in (
            (media.level_extension, AUDIO_LEVEL_URI),
            (media.mid_extension, MID_URI),
        )
        if number
    ]
    if media.transport_cc_extension:
        agreed.append(f"{media.transport_cc_extension}/sendonly {TRANSPORT_CC_URI}")
    return agreed
