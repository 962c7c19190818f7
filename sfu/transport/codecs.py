"""What is accepted of an m-line's codecs: Opus, RED around it, and what RTCP adds to them."""

from __future__ import annotations

from typing import Final

from control.types import Profile
from sfu.transport.negotiation import NegotiatedMedia
from sfu.transport.offer import Codec, OfferedMedia

# What a client is asked to send, and told of what it gets (RFC 7587 6.1). All m-lines of an answer
# say the same, because in a BUNDLE group a payload type means one thing (RFC 8843 9.1).
#
# Anybody in the room may play music, so `sprop-stereo` is true for everybody. 128 kbit/s is the
# upper end of what RFC 7587 3.1.1 gives for full-band stereo music, and packets of that size leave
# room for two copies in RED. In-band FEC makes encoders leave their music mode as loss grows.
OPUS_PARAMETERS: Final[dict[Profile, str]] = {
    "voice": "minptime=10;useinbandfec=1;usedtx=1;sprop-stereo=1",
    "music": (
        "minptime=10;useinbandfec=0;usedtx=0;stereo=1;sprop-stereo=1;maxaveragebitrate=128000"
    ),
}


def opus_of(media: OfferedMedia) -> Codec | None:
    """The preferred Opus of an m-line (RFC 7587 7: always 48000/2)."""
    for codec in media.codecs:
        if (codec.name, codec.clock_rate, codec.channels) == ("opus", 48_000, 2):
            return codec
    return None


def red_of(media: OfferedMedia, opus: Codec) -> int:
    """The payload type of RED that carries `opus` and nothing else (RFC 2198 5), 0 without one."""
    for codec in media.codecs:
        if (codec.name, codec.clock_rate, codec.channels) != ("red", 48_000, 2):
            continue
        within = codec.parameters.split("/")
        if len(within) > 1 and set(within) == {str(opus.payload_type)}:
            return codec.payload_type
    return 0


def accepts_nack(media: OfferedMedia, opus: Codec) -> bool:
    """Whether lost packets of `opus` may be asked for: generic NACKs (RFC 4585 4.2)."""
    return _accepts(media, opus, "nack")


def accepts_transport_cc(media: OfferedMedia, opus: Codec) -> bool:
    """Whether the client would tell when each numbered packet of the transport came."""
    return _accepts(media, opus, "transport-cc")


def accepts_remb(media: OfferedMedia, opus: Codec) -> bool:
    """Whether the client would tell how much it thinks its line takes."""
    return _accepts(media, opus, "goog-remb")


def _accepts(media: OfferedMedia, opus: Codec, feedback: str) -> bool:
    """Whether this kind of feedback is offered for `opus`, or for every codec."""
    return bool({f"{opus.payload_type} {feedback}", f"* {feedback}"} & set(media.feedback))


def accepts_xr(media: OfferedMedia) -> bool:
    """Whether both sides measure round trips by extended reports (RFC 3611 5.1)."""
    return any(report.partition(":")[0] == "rcvr-rtt=all" for report in media.extended_reports)


def preferred(offered: OfferedMedia, media: NegotiatedMedia) -> list[int]:
    """The payload types of Opus and RED in the client's order of preference (RFC 3264 6.1).

    Browsers send the first of them: who puts RED first in its offer protects its own voice.
    """
    accepted = {media.payload_type, media.red_payload_type or media.payload_type}
    return [codec.payload_type for codec in offered.codecs if codec.payload_type in accepted]
