"""What listeners ask for again, sent when the batch that brought the questions is drained."""

from __future__ import annotations

from collections import Counter, deque

from sfu.fast import Forwarder
from sfu.worker.peers import Peer, Peers

# A listener's round trip until its reports tell it.
ROUND_TRIP_S = 0.1


class Resends:
    """Of one worker; `counters` gets `nacks_received`."""

    def __init__(self, forwarder: Forwarder, peers: Peers, counters: Counter[str]) -> None:
        self._forwarder = forwarder
        self._peers = peers
        self._counters = counters
        self._asked: deque[tuple[Peer, int, list[int]]] = deque()

    def clear(self) -> None:
        """Forget what was not sent."""
        self._asked.clear()

    def note(self, peer: Peer) -> None:
        """Take what a listener's reports ask for."""
        for egress, sequences in peer.transport.reporter.take_repeats().items():
            self._counters["nacks_received"] += 1
            self._asked.append((peer, egress, sequences))

    def send_next(self, now: float) -> bool:
        """Send what one question asked for; drain the forwarder and ask again. False: nothing.

        Nothing is sent twice within a listener's round trip.
        """
        while self._asked:
            peer, egress, sequences = self._asked.popleft()
            if not self._peers.is_here(peer):
                continue
            rtt_s = peer.transport.reporter.rtt_s
            spacing_s = ROUND_TRIP_S if rtt_s is None else rtt_s
            if self._forwarder.resend(egress, sequences, now, spacing_s) > 0:
                return True
        return False
