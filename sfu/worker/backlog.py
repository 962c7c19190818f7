"""DTLS datagrams that wait for their turn, so that handshakes never hold up media.

A step of a handshake takes some 0.1 ms of public-key arithmetic, a hundred times a voice packet,
and after a network comes back a thousand clients shake hands at once. So a datagram of DTLS is only
put here when it comes; a few are worked on in each turn, and media is read in between. A client
whose datagram found no room sends it again (RFC 6347 4.2.4).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from sfu.worker.peers import Peer

# About 500 joins at once; whoever comes later is served by its first retransmission. At most 8 MiB.
DATAGRAMS_MAX = 4_096
# A client's largest flight, in fragments of a hello with a post-quantum key, sent twice.
DATAGRAMS_OF_PEER_MAX = 32


class Backlog:
    """First come, first served, with a limit for each peer and for all together."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Peer, bytes, bytes]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, peer: Peer, data: bytes, address: bytes) -> bool:
        """Let a datagram wait; False when there is no room."""
        if len(self._waiting) >= DATAGRAMS_MAX or peer.waiting_dtls >= DATAGRAMS_OF_PEER_MAX:
            return False
        peer.waiting_dtls += 1
        self._waiting.append((peer, data, address))
        return True

    def take(self, count: int) -> Iterator[tuple[Peer, bytes, bytes]]:
        """The next ones, at most `count`: (peer, datagram, address)."""
        for _ in range(min(count, len(self._waiting))):
            peer, data, address = self._waiting.popleft()
            peer.waiting_dtls -= 1
            yield peer, data, address
