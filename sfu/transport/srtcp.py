"""RTCP into and out of its encryption, for one participant (RFC 3711 3.4). Faults are counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pylibsrtp import Error as SrtpError
from pylibsrtp import Session

from sfu.transport.feedback import FEEDBACK
from sfu.transport.limits import TokenBucket
from sfu.transport.rtcp import RtcpError, RtcpPacket, parse_compound

# A client reports on all its tracks every few seconds, and sooner when it joins.
DATAGRAMS_PER_S = 50.0
DATAGRAMS_BURST = 100.0
# libsrtp keeps a context for each SSRC that ever sent RTCP and looks them up one after the other,
# so
# a participant that drew a new one for each packet would slow everybody down. Browsers use one for
# their own track and at most one for each m-line that only receives.
SENDERS_MAX = 16


class Srtcp:
    """The sessions of a connection, as far as RTCP goes; `count` is told the name of each drop."""

    __slots__ = ("_count", "_rate", "_receive", "_send", "_senders")

    def __init__(
        self, receive: Session, send: Session, now: float, count: Callable[[str], None]
    ) -> None:
        self._receive = receive
        self._send = send
        self._rate = TokenBucket(DATAGRAMS_PER_S, DATAGRAMS_BURST, now)
        self._senders: set[bytes] = set()
        self._count = count

    def open(self, data: bytes, now: float) -> Sequence[RtcpPacket] | None:
        """What to act upon in an encrypted compound; None when it was dropped."""
        sender = data[4:8]  # in the clear
        if sender not in self._senders and len(self._senders) >= SENDERS_MAX:
            self._count("rtcp_sender")
            return None
        if not self._rate.take(now):
            self._count("rtcp_rate")
            return None
        try:
            plain = self._receive.unprotect_rtcp(data)
        except (SrtpError, ValueError):  # ValueError: longer than libsrtp's buffer
            self._count("rtcp_unprotect")
            return None
        self._senders.add(sender)
        try:
            return parse_compound(plain, FEEDBACK)
        except RtcpError:
            self._count("rtcp_malformed")
            return ()

    def seal(self, compounds: Sequence[bytes]) -> list[bytes]:
        """Encrypt compounds."""
        return [self._send.protect_rtcp(compound) for compound in compounds]
