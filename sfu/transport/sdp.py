"""Negotiation: an offer's text in, an answer and its facts out. See `offer`, `codecs`, `answer`."""

from __future__ import annotations

from sfu.transport.answer import TRACKS_MAX, negotiate, renegotiate
from sfu.transport.extensions import AUDIO_LEVEL_URI, MID_URI, TRANSPORT_CC_URI
from sfu.transport.negotiation import NegotiatedMedia, Negotiation
from sfu.transport.offer import (
    OFFER_CHARS_MAX,
    Codec,
    Direction,
    Offer,
    OfferedMedia,
    OfferError,
    parse_offer,
)

__all__ = [
    "AUDIO_LEVEL_URI",
    "MID_URI",
    "OFFER_CHARS_MAX",
    "TRACKS_MAX",
    "TRANSPORT_CC_URI",
    "Codec",
    "Direction",
    "NegotiatedMedia",
    "Negotiation",
    "Offer",
    "OfferError",
    "OfferedMedia",
    "negotiate",
    "parse_offer",
    "renegotiate",
]
