"""What a client's RTCP tells of its line, in the terms of `sfu.listening`."""

from __future__ import annotations

from sfu.fast import Forwarder
from sfu.listening import Counted, count
from sfu.worker.peers import Peer


def observe(peer: Peer, forwarder: Forwarder, now: float) -> bool:
    """Hand on what came at `now`: reports, arrivals of stamped packets, the client's own limit.

    That was before it was read, if the machine is late. Whether there was more than arrivals, of
    which very much comes.
    """
    reporter, line = peer.transport.reporter, peer.line
    counted = _counted(peer, forwarder, now)
    for told in reporter.take_deliveries():
        line.observe_deliveries(forwarder.deliveries(peer.row, told, now), now)
    limit_bps = reporter.take_remb()
    if limit_bps is not None:
        line.observe_remb(limit_bps, now)
    if counted:
        line.observe_reports(counted, rtt_s=reporter.rtt_s, jitter_s=reporter.jitter_s, now=now)
    return bool(counted) or limit_bps is not None


def packets_sent(peer: Peer, forwarder: Forwarder) -> int:
    """To a listener in all, since it is connected."""
    return sum(forwarder.egress_stats(egress).packets for egress in peer.egresses)


def _counted(peer: Peer, forwarder: Forwarder, now: float) -> dict[int, Counted]:
    """The reports of `now`, beside what had been sent on each track."""
    counted = {}
    for egress, block in peer.transport.reporter.reported(now).items():
        stats = forwarder.egress_stats(egress)
        counted[egress] = count(
            highest=block.highest_sequence,
            lost=block.cumulative_lost,
            last_sequence=stats.last_sequence,
            packets=stats.packets,
        )
    return counted
