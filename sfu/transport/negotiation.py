"""What offer and answer agree on."""

from __future__ import annotations

from dataclasses import dataclass, field

from control.types import Profile
from sfu.transport.ice import IceCredentials
from sfu.transport.offer import Direction


@dataclass(frozen=True, slots=True)
class NegotiatedMedia:
    """One accepted audio m-line, as the server sees it. An extension id of 0: not negotiated."""

    position: int  # among the accepted audio m-lines: 0 is the one that may carry the microphone
    index: int  # among all m-lines
    mid: str
    sends: bool
    receives: bool
    payload_type: int  # Opus, both ways
    red_payload_type: int  # RED around it, both ways; 0 without
    nack: bool  # lost packets may be asked for, both ways (RFC 4585 6.2.1)
    xr: bool  # whoever sends nothing learns the round trip too (RFC 3611 4.4, 4.5)
    transport_cc_extension: int  # what is sent may be numbered; borrowed where it also receives
    remb: bool  # the client tells how much its line takes
    level_extension: int
    mid_extension: int
    ssrc: int  # ours
    remote_ssrc: int  # what the client announced for its track, 0 if nothing

    @property
    def direction(self) -> Direction:
        """What the answer says."""
        return Direction.of(sends=self.sends, receives=self.receives)


@dataclass(frozen=True, slots=True)
class Negotiation:
    """What offer and answer agree on."""

    answer: str = field(repr=False)
    media: tuple[NegotiatedMedia, ...]
    ice: IceCredentials = field(repr=False)
    remote_fingerprints: tuple[tuple[str, str], ...]  # (algorithm, `AB:CD:...`)
    cname: str
    lines: int  # all m-lines of the offer, those for others included
    session: tuple[int, int]  # id and version, one more with each answer (RFC 3264 8)
    profile: Profile

    @property
    def source(self) -> NegotiatedMedia | None:
        """The m-line that the client may send its microphone on, None if it never will."""
        return next((media for media in self.media if media.receives), None)

    @property
    def egresses(self) -> tuple[NegotiatedMedia, ...]:
        """The m-lines that the server sends on, in order."""
        return tuple(media for media in self.media if media.sends)

    @property
    def takes_stamps(self) -> bool:
        """Whether the client tells what became of packets with transport-wide numbers."""
        return any(media.transport_cc_extension for media in self.egresses)

    @property
    def repeats(self) -> bool:
        """Whether the client may ask for anything again that it was sent."""
        return any(media.nack for media in self.egresses)
