"""What publishers' lines lost, asked for again at its time.

The forwarder tells of gaps, each publisher's `Repair` knows when to ask; here stands who is to be
looked at when. Few are at any time: only those that lost something in the last 300 ms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from sfu.fast import Forwarder
from sfu.worker.peers import Peer, Peers

# Publishers that are due within this of each other are looked at in one wake.
GRAIN_S = 0.002


class Repairs:
    """Publishers with missing packets; `counters` gets `nacks_sent` and `packets_asked`."""

    def __init__(self, forwarder: Forwarder, peers: Peers, counters: Counter[str]) -> None:
        self._forwarder = forwarder
        self._peers = peers
        self._counters = counters
        self._waiting: dict[Peer, float] = {}
        self._next_at: float | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def note(self, now: float) -> None:
        """After a batch: take what the forwarder found to be missing."""
        for gap in self._forwarder.gaps():
            peer = self._peers.by_source(gap.source)
            if peer is not None:
                self._watch(peer, peer.transport.reporter.note_gap(gap, now))

    def due(self, now: float) -> Iterator[Peer]:
        """Take those who are to be asked; `ask` each."""
        if self._next_at is None or self._next_at > now:
            return
        due = [peer for peer, at in self._waiting.items() if at <= now + GRAIN_S]
        for peer in due:
            del self._waiting[peer]
        self._next_at = min(self._waiting.values(), default=None)
        yield from (peer for peer in due if self._peers.is_here(peer))

    def ask(self, peer: Peer, now: float) -> None:
        """Ask for what is due, and stand by for what will be."""
        asked, next_at = peer.transport.ask_again(now + GRAIN_S)
        if asked:
            self._counters["nacks_sent"] += 1
            self._counters["packets_asked"] += asked
        self._watch(peer, next_at)

    def next_deadline(self) -> float | None:
        """When somebody is `due`, None for never."""
        return self._next_at

    def _watch(self, peer: Peer, at: float | None) -> None:
        if at is None:
            return
        self._waiting[peer] = at
        if self._next_at is None or at < self._next_at:
            self._next_at = at
