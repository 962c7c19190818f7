"""What follows from a listener's reports about what it is sent."""

from __future__ import annotations

from sfu.fast import Forwarder
from sfu.listening import count
from sfu.worker.peers import Peer


def follow_line(peer: Peer, forwarder: Forwarder, now: float) -> None:
    """Of what was reported at `now`: how much its own line loses, and so how it is protected."""
    counted = {}
    for egress, block in peer.transport.reporter.reported(now).items():
        stats = forwarder.egress_stats(egress)
        counted[egress] = count(
            highest=block.highest_sequence,
            lost=block.cumulative_lost,
            last_sequence=stats.last_sequence,
            packets=stats.packets,
        )
    if counted and peer.line.observe(counted, now):
        tier, cause = ("A0", "loss") if peer.line.copies else ("A1", "recovered")
        peer.room.subscriptions.follow(peer.participant, tier, peer.line.copies, cause, now)
