"""How listeners' lines are at the moment, looked at when somebody asks.

Of ten thousand listeners not all are asked each time, for media waits meanwhile: the next thousand
are, and a share of those is as good a figure.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from sfu.worker.peers import Peer, Peers
from sfu.worker.tally import Tally

# Some microseconds each, so that asking is done in a few milliseconds.
SURVEYED_MAX = 1_000
LOSS_EDGES = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
JITTER_EDGES_S = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
RTT_EDGES_S = (0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)


class Survey:
    """Of one worker: `loss` (0 to 1), `jitter_s`, `rtt_s` of who has reported any."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers
        self._next = 0
        self._clear()

    def take(self) -> None:
        """Ask the next."""
        self._clear()
        for peer in self._turn():
            reporter = peer.transport.reporter
            for tally, value in (
                (self.loss, peer.line.loss_ratio),
                (self.jitter_s, reporter.jitter_s),
                (self.rtt_s, reporter.rtt_s),
            ):
                if value is not None:
                    tally.add(value)

    def _clear(self) -> None:
        self.loss = Tally(LOSS_EDGES)
        self.jitter_s = Tally(JITTER_EDGES_S)
        self.rtt_s = Tally(RTT_EDGES_S)

    def _turn(self) -> Iterator[Peer]:
        if self._next >= len(self._peers):
            self._next = 0
        start, self._next = self._next, self._next + SURVEYED_MAX
        return islice(self._peers, start, self._next)
