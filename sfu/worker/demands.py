"""What each room would send to a listener: how many talk at once, and at which rate.

A ladder decides by what its tiers would cost now, with everybody talking who talked lately. That is
of the room, so it is found out once for all its listeners. The rate of a voice is measured where it
leaves anyway: on the tracks of somebody who gets the slots as they come, the one that carried most.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache

from sfu.fast import Forwarder
from sfu.listening import Demand, Tier
from sfu.stage import Room
from sfu.worker.peers import Peer

# A conversation goes to and fro: who talked within this will talk again.
LATELY_S = 10.0
# Until it is measured: what browsers make of speech.
PAYLOAD_BPS = 32_000.0
# No Opus voice is below the one, none above the other (RFC 7587 7.1).
PAYLOAD_MIN_BPS, PAYLOAD_MAX_BPS = 6_000.0, 510_000.0
# It follows upwards at once, and downwards by so much in each second that it is measured: a pause
# is no lower rate, and what nobody is sent is not known to be lower.
DECAY = 0.97
# Steps of the rate that are worth telling: smaller ones would have every listener decide anew.
STEP_RATIO = 1.1
MEASURED_EVERY_S = 1.0


@dataclass(slots=True)
class _Measured:
    """Of one room: when it was looked at, and on whose tracks octets are counted since when."""

    at: float
    demand: Demand
    rate_bps: float = PAYLOAD_BPS
    peer: Peer | None = None
    since: float = 0.0
    octets: dict[int, int] = field(default_factory=dict)  # by track


class Demands:
    """Of all rooms of one worker."""

    def __init__(self, forwarder: Forwarder) -> None:
        self._forwarder = forwarder
        self._measured: dict[Room, _Measured] = {}

    def of(self, room: Room, now: float) -> Demand:
        """As of now or a moment ago; the same object for as long as nothing has changed."""
        measured = self._measured.get(room)
        if measured is None:
            demand = self._look(room, PAYLOAD_BPS, now)
            measured = self._measured[room] = _Measured(now, demand)
        elif now - measured.at >= MEASURED_EVERY_S:
            self._measure(room, measured, now)
        return measured.demand

    def use(self, peer: Peer, now: float) -> None:
        """`peer` may be the one whose tracks are looked at next, if it gets its slots alone."""
        measured = self._measured.get(peer.room)
        if measured is not None and measured.peer is None and _shows_slots(peer):
            measured.peer, measured.since, measured.octets = peer, now, self._octets(peer)

    def forget_closed(self) -> None:
        """Rooms that are gone are not kept."""
        for room in [room for room in self._measured if room.is_closed]:
            del self._measured[room]

    def _measure(self, room: Room, measured: _Measured, now: float) -> None:
        measured.at = now
        peer, elapsed_s = measured.peer, now - measured.since
        if peer is not None and elapsed_s >= MEASURED_EVERY_S:
            measured.peer = None
            was_talk = room.talk(elapsed_s, now).talkers > 0
            if was_talk and _is_in(peer, room) and _shows_slots(peer):
                # Whoever came back under this name has other tracks, and says nothing of these.
                octets, before = self._octets(peer), measured.octets
                common = octets.keys() & before.keys()
                most = max((octets[track] - before[track] for track in common), default=0)
                decayed_bps = measured.rate_bps * DECAY**elapsed_s
                measured.rate_bps = max(decayed_bps, most * 8 / elapsed_s)
        rate_bps = measured.demand.slot_payload_bps
        found = min(PAYLOAD_MAX_BPS, max(PAYLOAD_MIN_BPS, measured.rate_bps))
        if not 1 / STEP_RATIO < found / rate_bps < STEP_RATIO:
            rate_bps = found
        demand = self._look(room, rate_bps, now)
        if demand != measured.demand:
            measured.demand = demand

    def _look(self, room: Room, rate_bps: float, now: float) -> Demand:
        talk = room.talk(LATELY_S, now)
        return Demand(
            talkers=max(1, talk.talkers), slot_payload_bps=rate_bps, frame_ms=float(talk.frame_ms)
        )

    def _octets(self, peer: Peer) -> dict[int, int]:
        stats = self._forwarder.egress_stats
        return {egress: stats(egress).octets for egress in peer.egresses}


def _is_in(peer: Peer, room: Room) -> bool:
    """Whether it has not left meanwhile."""
    return peer.room is room and peer.participant in room.participants


def _shows_slots(peer: Peer) -> bool:
    """Whether what it is sent are slots, without copies: what is packed has hardly more octets."""
    return peer.line.tier in (Tier.A1, Tier.A2) and not peer.line.copies_sent


@lru_cache(maxsize=256)
def demand_of(room_demand: Demand, slots: int, *, is_ipv6: bool) -> Demand:
    """The same for a listener who gets so many slots at once."""
    talkers = min(room_demand.talkers, max(1, slots))
    if talkers == room_demand.talkers and is_ipv6 == room_demand.is_ipv6:
        return room_demand
    return replace(room_demand, talkers=talkers, is_ipv6=is_ipv6)
