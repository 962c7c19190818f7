"""How far those who join come, and how long it takes them: checks, handshake, the first packets.

The first two steps are told by the connection. Packets pass without any Python, so whether there
were any is looked up, and that at the edges of the distribution only: a handful of looks at each
newcomer, and every count is exact.
"""

from __future__ import annotations

import math
from collections import deque
from enum import StrEnum
from typing import NamedTuple

from sfu.fast import Forwarder
from sfu.transport.events import Checked, Connected, TransportEvent
from sfu.worker.observation import packets_sent
from sfu.worker.peers import Peer, Peers
from sfu.worker.tally import Tally

# A good join is done in a tenth; nobody waits for longer than ten seconds.
EDGES_S = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
# Looks are at the multiples of this, at which a worker wakes anyway.
GRAIN_S = 0.02


class Stage(StrEnum):
    """Steps of a join. The first two are timed from the join, the packets from `DTLS_OK`."""

    STUN_OK = "stun_ok"
    DTLS_OK = "dtls_ok"
    FIRST_RTP_IN = "first_rtp_in"
    FIRST_RTP_OUT = "first_rtp_out"


class _Awaited(NamedTuple):
    peer: Peer
    since: float
    is_heard: bool  # FIRST_RTP_IN is noted, or never to come
    is_served: bool  # the same of FIRST_RTP_OUT


class Funnel:
    """Of one worker. `deadline` is when `look` has something to do, None for never."""

    def __init__(self, forwarder: Forwarder, peers: Peers) -> None:
        self.tallies = {stage: Tally(EDGES_S) for stage in Stage}
        self.deadline: float | None = None
        self._forwarder = forwarder
        self._peers = peers
        # By how often each was looked at. All wait for the same time, so each is in order.
        self._awaited: tuple[deque[_Awaited], ...] = tuple(deque() for _ in EDGES_S)

    def note(self, event: TransportEvent, peer: Peer, now: float) -> None:
        """Something happened to a connection."""
        if isinstance(event, Checked):
            self.tallies[Stage.STUN_OK].add(now - peer.joined_at)
        elif isinstance(event, Connected):
            self.tallies[Stage.DTLS_OK].add(now - peer.joined_at)
            one = _Awaited(peer, now, peer.source < 0, not peer.egress_count)
            self._await(one, 0)
            self._set_deadline()

    def look(self, now: float) -> None:
        """See whose first packets have come or gone. Early calls do nothing."""
        if self.deadline is None or now < self.deadline:
            return
        for number, (edge, waiting) in enumerate(zip(EDGES_S, self._awaited, strict=True)):
            while waiting and waiting[0].since + edge <= now:
                one = waiting.popleft()
                if self._peers.is_here(one.peer):
                    self._await(self._looked_at(one, edge), number + 1)
        self._set_deadline()

    def _looked_at(self, one: _Awaited, edge: float) -> _Awaited:
        """What is known of it now; what came is of the bucket that ends here."""
        is_heard, is_served = one.is_heard, one.is_served
        if not is_heard and self._forwarder.source_stats(one.peer.source).packets:
            self.tallies[Stage.FIRST_RTP_IN].add(edge)
            is_heard = True
        if not is_served and packets_sent(one.peer, self._forwarder):
            self.tallies[Stage.FIRST_RTP_OUT].add(edge)
            is_served = True
        return one._replace(is_heard=is_heard, is_served=is_served)

    def _await(self, one: _Awaited, number: int) -> None:
        if number < len(EDGES_S) and not (one.is_heard and one.is_served):
            self._awaited[number].append(one)

    def _set_deadline(self) -> None:
        dues = [
            waiting[0].since + edge
            for edge, waiting in zip(EDGES_S, self._awaited, strict=True)
            if waiting
        ]
        # Rounded up, and never short of what it stands for.
        self.deadline = (math.floor(min(dues) / GRAIN_S) + 1) * GRAIN_S if dues else None
