"""The worker's connections: which transport belongs to which participant, found by every key."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from sfu.listening import COPIES_MAX, Demand, Line
from sfu.stage import Room
from sfu.transport.transport import Transport

# Browsers check the path they use every 2.5 s; whoever was silent for longer may have lost it.
ADDRESS_KEPT_S = 3.0


@dataclass(slots=True, eq=False)
class Peer:
    """A participant's connection: relations only, the behaviour is in its parts.

    `row` and `source` are the forwarder's ids (`source` -1 without a microphone m-line); `line` is
    what its network does to what it is sent; `waiting_dtls` is how many of its datagrams are in the
    backlog.
    """

    room: Room
    participant: str
    transport: Transport
    row: int
    source: int
    line: Line
    joined_at: float = 0.0
    waiting_dtls: int = 0
    ufrags: tuple[str, ...] = ()  # by which checks find it; kept by `Peers`
    is_stamped: bool = False  # its packets carry transport-wide numbers
    told_at: float = -math.inf  # when its client told something of its tracks
    asked_at: float = -math.inf  # when its line was asked last
    heard_of: Demand | None = None  # what its room would send, when its line was asked last

    @property
    def egresses(self) -> tuple[int, ...]:
        """The tracks it is sent, by the forwarder's ids."""
        return self.room.participants[self.participant].egresses

    @property
    def egress_count(self) -> int:
        """How many tracks it is sent."""
        return len(self.transport.negotiation.egresses)

    def next_deadline(self) -> float | None:
        """When its transport wants to be woken."""
        return self.transport.next_deadline()


class Peers:
    """All peers of a worker. An address belongs to the peer that validated it last."""

    def __init__(self) -> None:
        self._by_participant: dict[tuple[str, str], Peer] = {}
        self._by_ufrag: dict[str, Peer] = {}
        self._by_row: dict[int, Peer] = {}
        self._by_source: dict[int, Peer] = {}
        self._by_address: dict[bytes, Peer] = {}

    def __len__(self) -> int:
        return len(self._by_row)

    def protected(self) -> dict[int, int]:
        """How many there are by how many earlier packets each is sent along with a packet."""
        counts = Counter(peer.line.copies for peer in self._by_row.values())
        return {copies: counts[copies] for copies in range(COPIES_MAX + 1)}

    def __iter__(self) -> Iterator[Peer]:
        return iter(self._by_row.values())

    def rows(self) -> list[int]:
        """The forwarder's transport ids of all."""
        return list(self._by_row)

    def add(self, peer: Peer) -> None:
        """Nobody else may have its participant, row or user fragment."""
        key = (peer.room.id, peer.participant)
        assert key not in self._by_participant, "the replaced one was not removed"
        self._by_participant[key] = peer
        self.add_ufrag(peer, peer.transport.ufrag)
        self._by_row[peer.row] = peer
        if peer.source >= 0:
            self._by_source[peer.source] = peer

    def remove(self, peer: Peer) -> None:
        """Forget it and its addresses."""
        del self._by_participant[peer.room.id, peer.participant]
        for ufrag in peer.ufrags:
            del self._by_ufrag[ufrag]
        del self._by_row[peer.row]
        self._by_source.pop(peer.source, None)
        for address in peer.transport.ice.addresses:
            if self._by_address.get(address) is peer:
                del self._by_address[address]

    def move(self, peer: Peer, room: Room) -> None:
        """It is in another room from now on, under the same name."""
        key = (room.id, peer.participant)
        assert key not in self._by_participant, "somebody of this name is there"
        del self._by_participant[peer.room.id, peer.participant]
        peer.room = room
        self._by_participant[key] = peer

    def add_ufrag(self, peer: Peer, ufrag: str) -> None:
        """Checks that name this find it as well."""
        assert ufrag not in self._by_ufrag, "two transports of one user fragment"
        self._by_ufrag[ufrag] = peer
        peer.ufrags = (*peer.ufrags, ufrag)

    def drop_ufrag(self, peer: Peer, ufrag: str) -> None:
        """A restart has replaced it."""
        del self._by_ufrag[ufrag]
        peer.ufrags = tuple(other for other in peer.ufrags if other != ufrag)

    def is_taken(self, address: bytes, by_other_than: Peer, now: float) -> bool:
        """Whether somebody else was heard from `address` lately, and so keeps it.

        Otherwise one datagram with a forged source would take a participant's path away.
        """
        owner = self._by_address.get(address)
        if owner is None or owner is by_other_than:
            return False
        heard_at = owner.transport.ice.heard_at(address)
        return heard_at is not None and now - heard_at < ADDRESS_KEPT_S

    def take_address(self, peer: Peer, address: bytes) -> None:
        """`peer` validated `address`; whoever had it loses it (a NAT gave it to somebody else)."""
        owner = self._by_address.get(address)
        if owner is not None and owner is not peer:
            owner.transport.forget_address(address)
        self._by_address[address] = peer

    def drop_address(self, peer: Peer, address: bytes) -> None:
        """`peer` no longer uses `address`."""
        if self._by_address.get(address) is peer:
            del self._by_address[address]

    def within(self, room: Room) -> Iterator[Peer]:
        """Everybody in a room, in the order they joined."""
        for name in room.participants:
            peer = self._by_participant.get((room.id, name))
            if peer is not None:
                yield peer

    def of(self, room: str, participant: str) -> Peer | None:
        """By identity."""
        return self._by_participant.get((room, participant))

    def by_ufrag(self, ufrag: str) -> Peer | None:
        """By the local user fragment of a connectivity check."""
        return self._by_ufrag.get(ufrag)

    def is_here(self, peer: Peer) -> bool:
        """Whether it has not left meanwhile; what comes late of one that has is void."""
        return self._by_row.get(peer.row) is peer

    def by_row(self, row: int) -> Peer | None:
        """By the forwarder's transport id."""
        return self._by_row.get(row)

    def by_source(self, source: int) -> Peer | None:
        """By the forwarder's source id."""
        return self._by_source.get(source)
