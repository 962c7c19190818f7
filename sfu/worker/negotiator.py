"""Offers answered: what every answer of a worker has in common, and why an offer is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from control.errors import ControlError, invalid
from control.types import Profile
from sfu.transport.candidates import Candidate
from sfu.transport.sdp import (
    TRACKS_MAX,
    Negotiation,
    OfferError,
    negotiate,
    parse_offer,
    renegotiate,
)


class Negotiator:
    """Answers offers in the name of one server; counts `offers_refused`.

    `fingerprint` is the SHA-256 of its certificate.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate],
        fingerprint: str,
        entropy: Callable[[int], bytes],
        counters: Counter[str],
    ) -> None:
        self._candidates = tuple(candidates)
        self._fingerprint = fingerprint
        self._entropy = entropy
        self._counters = counters

    def first(self, offer: str, profile: Profile) -> Negotiation:
        """A new session. Raises ControlError `invalid_argument` (`offer`)."""
        try:
            return negotiate(
                parse_offer(offer),
                tracks=TRACKS_MAX,
                candidates=self._candidates,
                fingerprint=self._fingerprint,
                entropy=self._entropy,
                profile=profile,
            )
        except OfferError as error:
            raise self._refusal(error) from None

    def restart(self, offer: str, before: Negotiation) -> Negotiation:
        """The session of `before` with new ICE credentials. Raises ControlError likewise."""
        try:
            return renegotiate(
                parse_offer(offer),
                before,
                tracks=TRACKS_MAX,
                candidates=self._candidates,
                fingerprint=self._fingerprint,
                entropy=self._entropy,
            )
        except OfferError as error:
            raise self._refusal(error) from None

    def _refusal(self, error: OfferError) -> ControlError:
        self._counters["offers_refused"] += 1
        return invalid("offer", str(error))
