"""Datagrams that compiled code leaves to Python: connectivity checks, handshakes and reports.

Of checks and reports there are thousands a second, nearly all of them from whoever is known and
without news: those take the shortest way.
"""

from __future__ import annotations

from collections import deque

from sfu.fast import DTLS, STUN, Slow
from sfu.transport.ice import StunLimiter, username_of
from sfu.worker.backlog import Backlog
from sfu.worker.guard import Guard
from sfu.worker.peers import Peer
from sfu.worker.registry import Registry
from sfu.worker.resends import Resends


class Inbound:
    """Takes each such datagram; `answers` are what is to be sent at once, with their addresses.

    `waited_s` is how long those of the batch may have waited here before they were read: a machine
    that is late is not to be taken for lines that are slow.
    """

    def __init__(
        self, registry: Registry, guard: Guard, *, backlog: Backlog, resends: Resends
    ) -> None:
        self.answers: deque[tuple[bytes, bytes]] = deque()
        self.waited_s = 0.0
        self._registry = registry
        self._guard = guard
        self._backlog = backlog
        self._resends = resends
        self._stun_limiter = StunLimiter()

    def take(self, slow: Slow, now: float) -> None:
        """One datagram."""
        kind, row, address, data = slow
        peer = self._registry.peers.by_row(row)
        if kind == STUN:
            if peer is None or not self._is_renewed(peer, data, address, now):
                self._take_stun(slow, now)
        elif peer is None:
            # It left while this batch was being worked on.
            self._registry.counters["dropped_departed"] += 1
        elif kind == DTLS:
            if not self._backlog.add(peer, data, address):
                self._registry.counters["dropped_dtls_backlog"] += 1
        else:
            self._take_rtcp(peer, data, address, now)

    def _take_rtcp(self, peer: Peer, data: bytes, address: bytes, now: float) -> None:
        """A report is answered by nothing, and news only from somebody who had gone quiet."""
        came_at = now - self.waited_s
        try:
            peer.transport.receive_rtcp(data, address, came_at)
            if peer.transport.reporter.has_feedback:
                self._registry.lines.take(peer, came_at, now)
                self._resends.note(peer)
            if peer.transport.has_news:
                self._registry.settle(peer, now)
        except Exception as error:
            self._guard.note(peer, error, now)

    def _is_renewed(self, peer: Peer, data: bytes, address: bytes, now: float) -> bool:
        """Answer the check of a path in use."""
        try:
            reply = peer.transport.renew_consent(data, address, now)
        except Exception as error:
            self._guard.note(peer, error, now)
            return False
        if reply is None:
            return False
        self.answers.append((reply, address))
        return True

    def _take_stun(self, slow: Slow, now: float) -> None:
        """Find the participant by the user fragment; strangers are limited before any HMAC."""
        counters, peers = self._registry.counters, self._registry.peers
        ufrag = username_of(slow.data)
        peer = None if ufrag is None else peers.by_ufrag(ufrag)
        if peer is None:
            counters["dropped_stun_stranger"] += 1
            return
        is_known = slow.transport == peer.row
        if not is_known and peers.is_taken(slow.address, peer, now):
            counters["dropped_stun_taken"] += 1
            return
        if not is_known and not self._stun_limiter.take(slow.address, now):
            counters["dropped_stun_rate"] += 1
            return
        if self._is_authentic(peer, slow, now) and not is_known:
            self._stun_limiter.give_back(slow.address)

    def _is_authentic(self, peer: Peer, slow: Slow, now: float) -> bool:
        """Give a check to its participant; whether it had the right password."""
        try:
            result = peer.transport.receive_stun(slow.data, slow.address, now)
            self._registry.settle_sign_of_life(peer, now)
        except Exception as error:
            self._guard.note(peer, error, now)
            return False
        return bool(result)
