"""The answer to an offer, and what both sides agreed on (RFC 8829 5.3, RFC 8843, RFC 8839).

The answer is final for the life of the connection, so it declares everything at once: every track
that may ever be sent on, with its SSRC, and all candidates. The server is ICE-lite and DTLS
passive; it sends on the first `tracks` audio m-lines and receives on the first alone.

A client that lost its path may offer the same session once more with ICE credentials of its own
renewed (RFC 8839 4.4.1.1.1). `renegotiate` answers that with new ones of ours and nothing else new.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from control.types import Profile
from sfu.transport.candidates import Candidate
from sfu.transport.codecs import (
    OPUS_PARAMETERS,
    accepts_nack,
    accepts_remb,
    accepts_transport_cc,
    accepts_xr,
    opus_of,
    preferred,
    red_of,
)
from sfu.transport.extensions import (
    AUDIO_LEVEL_URI,
    MID_URI,
    TRANSPORT_CC_URI,
    agreed_extensions,
    without_lone_borrower,
)
from sfu.transport.ice import IceCredentials
from sfu.transport.negotiation import NegotiatedMedia, Negotiation
from sfu.transport.offer import Offer, OfferedMedia, OfferError

# Six slots and the mix. Further audio m-lines are answered, but nothing is ever sent on them.
TRACKS_MAX = 7
# A one-byte header extension holds 16 bytes (RFC 8285 4.2); a longer mid goes without the
# extension.
_MID_BYTES_MAX = 16
# What an offer of the same session says of an m-line as before. The SSRC that it announces for its
# track is not among it: another one takes over by itself.
_KEPT = {
    "index": "place",
    "mid": "a=mid",
    "sends": "direction",
    "receives": "direction",
    "payload_type": "payload type for Opus",
    "level_extension": "extension id for levels",
    "mid_extension": "extension id for the MID",
}
# What it must still offer if it was agreed on; if it was not, it may offer it in vain.
_STILL_OFFERED = {
    "red_payload_type": "payload type for RED",
    "nack": "a=rtcp-fb with nack",
    "transport_cc_extension": "extension id or a=rtcp-fb for transport-cc",
    "remb": "a=rtcp-fb with goog-remb",
    "xr": "a=rtcp-xr with rcvr-rtt",
}
_PROTOCOLS = ("UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "RTP/SAVPF", "RTP/SAVP")


class _Reach(NamedTuple):
    """How a server is reached, as each m-line of each answer says it."""

    port: int
    connection: str
    lines: tuple[str, ...]


class _Terms(NamedTuple):
    """What the answer writes beside the m-lines."""

    ice: IceCredentials
    fingerprint: str
    reach: _Reach
    cname: str
    session: tuple[int, int]
    profile: Profile
    allows_mixed_extensions: bool


def negotiate(
    offer: Offer,
    *,
    tracks: int,
    candidates: Sequence[Candidate],
    fingerprint: str,
    entropy: Callable[[int], bytes],
    profile: Profile = "voice",
) -> Negotiation:
    """Answer an offer; OfferError when this server cannot serve it.

    `tracks` (1 to TRACKS_MAX) is how many audio m-lines the server would send on; the offer
    decides how many of them there are. `fingerprint` is the SHA-256 of the server's certificate,
    `profile` says what the client is asked to send.
    """
    if not 1 <= tracks <= TRACKS_MAX:
        raise ValueError(f"tracks must be 1 to {TRACKS_MAX}, not {tracks}")
    accepted = _accepted(offer)
    remote_ice = _remote_ice(offer, accepted)
    fingerprints = _remote_fingerprints(offer, accepted)
    ice = IceCredentials(_token(entropy, 6), _token(entropy, 18), *remote_ice)
    ssrcs = _Ssrcs(entropy, {ssrc for media in offer.media for ssrc in media.ssrcs})
    media = without_lone_borrower(
        [
            _negotiated(position, entry, tracks, ssrcs.next())
            for position, entry in enumerate(accepted)
        ]
    )
    terms = _Terms(
        ice=ice,
        fingerprint=fingerprint,
        reach=_reach(tuple(candidates)),
        cname=_token(entropy, 12),
        session=(int.from_bytes(entropy(8), "big") >> 2, 1),  # RFC 8829 5.2.1: at most 62 bits
        profile=profile,
        allows_mixed_extensions=offer.allows_mixed_extensions,
    )
    return _concluded(offer, media, fingerprints, terms)


def renegotiate(
    offer: Offer,
    before: Negotiation,
    *,
    tracks: int,
    candidates: Sequence[Candidate],
    fingerprint: str,
    entropy: Callable[[int], bytes],
) -> Negotiation:
    """Answer an offer that restarts ICE in the session of `before`, and change nothing else.

    OfferError when it is of another session, or its ICE credentials are those of `before`. The
    other arguments are those of `negotiate`.
    """
    accepted = _accepted(offer)
    remote_ice = _remote_ice(offer, accepted)
    _check_same_session(offer, accepted, before, tracks)
    if remote_ice == (before.ice.remote_ufrag, before.ice.remote_pwd):
        raise OfferError("the offer has the ICE credentials of the last one: it restarts nothing")
    session_id, session_version = before.session
    terms = _Terms(
        ice=IceCredentials(_token(entropy, 6), _token(entropy, 18), *remote_ice),
        fingerprint=fingerprint,
        reach=_reach(tuple(candidates)),
        cname=before.cname,
        session=(session_id, session_version + 1),
        profile=before.profile,
        allows_mixed_extensions=offer.allows_mixed_extensions,
    )
    return _concluded(offer, before.media, before.remote_fingerprints, terms)


def _concluded(
    offer: Offer,
    media: tuple[NegotiatedMedia, ...],
    fingerprints: tuple[tuple[str, str], ...],
    terms: _Terms,
) -> Negotiation:
    """What is agreed on by an answer in these terms."""
    return Negotiation(
        answer=_answer(offer, media, terms),
        media=media,
        ice=terms.ice,
        remote_fingerprints=fingerprints,
        cname=terms.cname,
        lines=len(offer.media),
        session=terms.session,
        profile=terms.profile,
    )


def _check_same_session(
    offer: Offer, accepted: tuple[OfferedMedia, ...], before: Negotiation, tracks: int
) -> None:
    """OfferError when anything but ICE differs from what was agreed on before."""
    if len(offer.media) != before.lines or len(accepted) != len(before.media):
        raise OfferError("the offer has another number of m-lines than the session")
    if set(_remote_fingerprints(offer, accepted)) != set(before.remote_fingerprints):
        raise OfferError("the offer has another a=fingerprint than the session")
    for was, offered in zip(before.media, accepted, strict=True):
        now = _negotiated(was.position, offered, tracks, was.ssrc)
        for name, what in _KEPT.items():
            if getattr(now, name) != getattr(was, name):
                raise OfferError(f"m-line {offered.index} has another {what} than in the session")
        for name, what in _STILL_OFFERED.items():
            agreed = getattr(was, name)
            if name == "transport_cc_extension" and was.receives:
                continue  # borrowed: the last answer did not have it, so this offer need not
            if agreed and getattr(now, name) != agreed:
                raise OfferError(f"m-line {offered.index} lacks the {what} of the session")


@lru_cache(1)  # a server has the same candidates for all its life
def _reach(candidates: tuple[Candidate, ...]) -> _Reach:
    """The default destination and the candidates."""
    port, connection = 9, "IN IP4 0.0.0.0"  # RFC 8840 4.1.1: no default destination
    if candidates:
        best = candidates[0]
        port, connection = best.port, f"IN {'IP6' if best.is_ipv6 else 'IP4'} {best.host}"
    lines = [f"a={candidate.attribute()}" for candidate in candidates]
    return _Reach(port, connection, (*lines, "a=end-of-candidates"))


class _Ssrcs:
    """Draws SSRCs that are neither 0 nor in use on this connection."""

    def __init__(self, entropy: Callable[[int], bytes], taken: set[int]) -> None:
        self._entropy = entropy
        self._taken = taken | {0}

    def next(self) -> int:
        """Another one."""
        # 64 draws of 32 bits all colliding with under 3,000 numbers is entropy that is none.
        for _ in range(64):
            ssrc = int.from_bytes(self._entropy(4), "big")
            if ssrc not in self._taken:
                self._taken.add(ssrc)
                return ssrc
        raise ValueError("entropy repeats itself")


def _token(entropy: Callable[[int], bytes], size_bytes: int) -> str:
    """Random ice-chars: 4 for every 3 bytes."""
    return base64.b64encode(entropy(size_bytes)).decode()


def _accepted(offer: Offer) -> tuple[OfferedMedia, ...]:
    """The audio m-lines that share the one transport; OfferError when they cannot be served."""
    if offer.is_ice_lite:
        raise OfferError("the offer is ice-lite, and so is the server: nobody would send checks")
    audio = offer.audio
    if not audio:
        raise OfferError("the offer has no audio m-line")
    if offer.bundle:
        accepted = tuple(media for media in audio if media.mid and media.mid in offer.bundle)
    else:
        accepted = audio[:1]
    if not accepted or accepted[0] is not audio[0]:
        raise OfferError("the first audio m-line is not in the BUNDLE group")
    for media in accepted:
        if media.protocol not in _PROTOCOLS:
            raise OfferError(f"m-line {media.index} is {media.protocol}, not DTLS-SRTP")
        if not media.has_rtcp_mux:
            raise OfferError(f"m-line {media.index} has no a=rtcp-mux")
        if opus_of(media) is None:
            raise OfferError(f"m-line {media.index} has no opus/48000/2")
    return accepted


def _transports(offer: Offer, accepted: tuple[OfferedMedia, ...]) -> list[OfferedMedia]:
    """The m-lines that may hold the transport's attributes: ours first, then the offerer's tag."""
    tag = [media for media in offer.media if offer.bundle and media.mid == offer.bundle[0]]
    return [*accepted, *tag]


def _remote_ice(offer: Offer, accepted: tuple[OfferedMedia, ...]) -> tuple[str, str]:
    """The client's user fragment and password, from the first place that states them."""
    for facts in [*(media.transport for media in _transports(offer, accepted)), offer.transport]:
        if facts.ice_ufrag and facts.ice_pwd:
            return facts.ice_ufrag, facts.ice_pwd
    raise OfferError("the offer has no a=ice-ufrag and a=ice-pwd")


def _remote_fingerprints(
    offer: Offer, accepted: tuple[OfferedMedia, ...]
) -> tuple[tuple[str, str], ...]:
    """The client's certificate fingerprints; OfferError when it cannot be the DTLS client."""
    places = [*(media.transport for media in _transports(offer, accepted)), offer.transport]
    # RFC 4145 4.1: an offer without a=setup is active.
    setup = next((facts.setup for facts in places if facts.setup), "active")
    if setup not in ("actpass", "active"):
        raise OfferError(f"a=setup:{setup}: the server is passive, offer actpass or active")
    for facts in places:
        if facts.fingerprints:
            return facts.fingerprints
    raise OfferError("the offer has no a=fingerprint with sha-256, sha-384 or sha-512")


def _negotiated(position: int, media: OfferedMedia, tracks: int, ssrc: int) -> NegotiatedMedia:
    """What becomes of one audio m-line."""
    opus = opus_of(media)
    assert opus is not None, "_accepted refuses m-lines without Opus"
    short_mid = len(media.mid.encode()) <= _MID_BYTES_MAX
    has_transport_cc = accepts_transport_cc(media, opus)
    return NegotiatedMedia(
        position=position,
        index=media.index,
        mid=media.mid,
        sends=position < tracks and media.direction.receives,
        receives=position == 0 and media.direction.sends,
        payload_type=opus.payload_type,
        red_payload_type=red_of(media, opus),
        nack=accepts_nack(media, opus),
        xr=accepts_xr(media),
        transport_cc_extension=media.extension(TRANSPORT_CC_URI) if has_transport_cc else 0,
        remb=accepts_remb(media, opus),
        level_extension=media.extension(AUDIO_LEVEL_URI),
        mid_extension=media.extension(MID_URI) if short_mid else 0,
        ssrc=ssrc,
        remote_ssrc=media.ssrcs[0] if position == 0 and media.ssrcs else 0,
    )


def _answer(offer: Offer, media: tuple[NegotiatedMedia, ...], terms: _Terms) -> str:
    """The answer's text: one m-line for each of the offer's, in order."""
    by_index = {entry.index: entry for entry in media}
    lines = [
        "v=0",
        f"o=- {terms.session[0]} {terms.session[1]} IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=ice-lite",
    ]
    if offer.bundle:
        lines.append("a=group:BUNDLE " + " ".join(entry.mid for entry in media))
    if terms.allows_mixed_extensions:
        lines.append("a=extmap-allow-mixed")
    lines.append("a=msid-semantic: WMS *")
    for entry in offer.media:
        accepted = by_index.get(entry.index)
        lines += _rejected(entry) if accepted is None else _audio(entry, accepted, terms)
    return "\r\n".join(lines) + "\r\n"


def _rejected(media: OfferedMedia) -> list[str]:
    """An m-line that is not for this server (RFC 8829 5.3.1: port 0, outside the BUNDLE group)."""
    lines = [f"m={media.kind} 0 {media.protocol} {' '.join(media.formats)}", "c=IN IP4 0.0.0.0"]
    if media.mid:
        lines.append(f"a=mid:{media.mid}")
    lines.append("a=inactive")
    return lines


def _audio(offered: OfferedMedia, media: NegotiatedMedia, terms: _Terms) -> list[str]:
    """An accepted audio m-line."""
    formats = " ".join(map(str, preferred(offered, media)))
    lines = [
        f"m=audio {terms.reach.port} {offered.protocol} {formats}",
        f"c={terms.reach.connection}",
        f"a=ice-ufrag:{terms.ice.local_ufrag}",
        f"a=ice-pwd:{terms.ice.local_pwd}",
        f"a=fingerprint:sha-256 {terms.fingerprint}",
        "a=setup:passive",
    ]
    if media.mid:
        lines.append(f"a=mid:{media.mid}")
    lines += [f"a=extmap:{agreed}" for agreed in agreed_extensions(media)]
    lines += [f"a={media.direction}", "a=rtcp-mux", *_codecs(media, terms.profile)]
    if media.sends:
        lines += _track(media, terms.cname)
    # One m-line's would do for a BUNDLE group, but clients differ in which: aiortc takes the last.
    lines += terms.reach.lines
    return lines


def _codecs(media: NegotiatedMedia, profile: Profile) -> list[str]:
    """Opus, RED around it, and what RTCP adds."""
    opus, red = media.payload_type, media.red_payload_type
    lines = [f"a=rtpmap:{opus} opus/48000/2", f"a=fmtp:{opus} {OPUS_PARAMETERS[profile]}"]
    told = {
        "nack": media.nack,
        "transport-cc": media.transport_cc_extension,
        "goog-remb": media.remb,
    }
    lines += [f"a=rtcp-fb:{opus} {feedback}" for feedback, agreed in told.items() if agreed]
    if red:
        lines += [f"a=rtpmap:{red} red/48000/2", f"a=fmtp:{red} {opus}/{opus}"]
    if media.xr:
        lines.append("a=rtcp-xr:rcvr-rtt=all")
    return lines


def _track(media: NegotiatedMedia, cname: str) -> list[str]:
    """The track that the server sends on an m-line.

    Each is in a stream of its own: browsers play all tracks of a stream together, and hold tracks
    of one stream in step with each other, which unrelated speakers must not wait for.
    """
    msid = f"stream{media.position} track{media.position}"
    return [
        f"a=msid:{msid}",
        f"a=ssrc:{media.ssrc} cname:{cname}",
        f"a=ssrc:{media.ssrc} msid:{msid}",
    ]
