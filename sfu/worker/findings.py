"""What a connection found out, entered where it belongs: forwarder, peers and room."""

from __future__ import annotations

from control.types import ParticipantStatus
from sfu.fast import Forwarder
from sfu.transport.events import (
    Checked,
    Connected,
    Keys,
    Recovered,
    Retired,
    Revoked,
    Routed,
    Suspected,
    TransportEvent,
    Validated,
)
from sfu.worker.peers import Peer, Peers

_STATUS = {
    Checked: ParticipantStatus.CONNECTING,
    Connected: ParticipantStatus.CONNECTED,
    Recovered: ParticipantStatus.CONNECTED,
    Suspected: ParticipantStatus.SUSPECT,
}


def enter(event: TransportEvent, peer: Peer, peers: Peers, forwarder: Forwarder) -> None:
    """Anything but the end of the connection."""
    match event:
        case Validated(address):
            peers.take_address(peer, address)
            forwarder.allow(peer.row, address)
        case Revoked(address):
            peers.drop_address(peer, address)
            forwarder.revoke(address)
        case Routed(address):
            forwarder.route(peer.row, address)
        case Keys(_, receive, send):
            forwarder.set_keys(peer.row, receive, send)
        case Retired(ufrag):
            peers.drop_ufrag(peer, ufrag)
        case _:
            peer.room.set_status(peer.participant, _STATUS[type(event)])
