"""Whether everybody is sent what it should be: looked at every second, told and mended if not.

What should be carried follows from few writes to the forwarder's tables, each made when something
changes. One that was forgotten, or undone, would leave a listener without a voice until somebody
reloads a page, and nobody would know why. So two things are looked at:

- what seating expects on each egress, and what the forwarder says it carries: EGRESSES_PER_LOOK of
  them in turn, so that no look takes longer than a millisecond;
- egresses that miss what their stream carries (`Forwarder.behind`): all of them at once.

What is wrong at STRIKES looks in a row is a breach: counted, told once with all that is known, and
mended by subscribing anew. A look or two may be wrong by themselves, as when a table is looked at
while a connection comes or goes. Whoever is still wrong after that is mended again and again, but
told once, until it has been found right.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from sfu.fast import Forwarder
from sfu.stage import Seat
from sfu.worker.peers import Peer, Peers

EVERY_S = 1.0
EGRESSES_PER_LOOK = 1_000
STRIKES = 3
# When everything is wrong, it is enough to follow so many at once.
SUSPECTS_MAX = 1_000

Fault = Literal["seat", "behind"]


class Breach(NamedTuple):
    """A listener's m-line that is not sent what it should be, and what may have led to it.

    Ages are seconds, infinite for never. `fault` `seat`: it carries another stream than expected;
    `behind`: that stream's packets do not reach it.
    """

    fault: Fault
    room: str
    participant: str
    egress: int
    line: int  # of its m-lines, from 0
    slot: int | None
    holder: str | None
    expected_stream: int
    carried_stream: int
    packets: int
    sent_age_s: float
    holder_packet_age_s: float


class _Suspect(NamedTuple):
    peer: Peer
    fault: Fault
    strikes: int


class Invariant:
    """Of one worker. `tell` gets each breach once; counts `invariant_breaches`, and those egresses
    that are nobody's as `egresses_stray`.
    """

    def __init__(
        self,
        forwarder: Forwarder,
        peers: Peers,
        *,
        counters: Counter[str],
        tell: Callable[[Breach], None],
    ) -> None:
        self._forwarder = forwarder
        self._peers = peers
        self._counters = counters
        self._tell = tell
        self._next_at = 0.0
        self._round: deque[Peer] = deque()
        self._suspects: dict[int, _Suspect] = {}  # by egress

    @property
    def deadline(self) -> float | None:
        """When `look` has something to do, None while nobody is here."""
        return self._next_at if len(self._peers) else None

    def look(self, now: float) -> None:
        """Compare what is with what should be, if it is time."""
        if now < self._next_at or not len(self._peers):
            return
        self._next_at = now + EVERY_S
        before, self._suspects = self._suspects, {}
        for egress, peer, fault in self._faults(before, now):
            known = before.get(egress)
            strikes = known.strikes + 1 if known is not None and known.peer is peer else 1
            if egress not in self._suspects and len(self._suspects) < SUSPECTS_MAX:
                self._suspects[egress] = _Suspect(peer, fault, strikes)
        for egress, suspect in self._suspects.items():
            if suspect.strikes == STRIKES:
                self._counters["invariant_breaches"] += 1
                self._tell(self._describe(egress, suspect, now))
            if suspect.strikes % STRIKES == 0:
                suspect.peer.room.subscriptions.subscribe_anew(suspect.peer.participant)

    def _faults(self, before: dict[int, _Suspect], now: float) -> Iterator[tuple[int, Peer, Fault]]:
        """What is wrong now; what was wrong before is looked at whosever turn it is."""
        again = {id(suspect.peer): suspect.peer for suspect in before.values()}
        for peer in (*again.values(), *self._take_turns()):
            if not self._peers.is_here(peer):
                continue
            for seat in _seats(peer):
                if self._forwarder.egress_stream(seat.egress) != seat.stream:
                    yield seat.egress, peer, "seat"
        behind = self._forwarder.behind(now)
        if behind:
            owners = {seat.egress: peer for peer in self._peers for seat in _seats(peer)}
            for egress in behind:
                owner = owners.get(egress)
                if owner is None:
                    self._silence_stray(egress)
                else:
                    yield egress, owner, "behind"

    def _silence_stray(self, egress: int) -> None:
        """An m-line that no participant has, so that nobody can be told of it: a row left over."""
        self._counters["egresses_stray"] += 1
        self._forwarder.subscribe(egress, -1)

    def _take_turns(self) -> list[Peer]:
        """Whose turn it is: each once in a round, up to EGRESSES_PER_LOOK egresses."""
        if not self._round:
            self._round.extend(self._peers)
        taken, egresses = [], 0
        while self._round and egresses < EGRESSES_PER_LOOK:
            peer = self._round.popleft()
            taken.append(peer)
            egresses += peer.egress_count
        return taken

    def _describe(self, egress: int, suspect: _Suspect, now: float) -> Breach:
        peer, room = suspect.peer, suspect.peer.room
        line, seat = next(
            (line, seat) for line, seat in enumerate(_seats(peer)) if seat.egress == egress
        )
        holder = None if seat.slot is None else room.holders[seat.slot]
        heard_age_s = float("inf")
        if holder is not None:
            source = room.participants[holder].source
            heard_age_s = self._forwarder.level(source, now).packet_age
        stats = self._forwarder.egress_stats(egress)
        return Breach(
            fault=suspect.fault,
            room=room.id,
            participant=peer.participant,
            egress=egress,
            line=line,
            slot=seat.slot,
            holder=holder,
            expected_stream=seat.stream,
            carried_stream=self._forwarder.egress_stream(egress),
            packets=stats.packets,
            sent_age_s=now - stats.sent_at,
            holder_packet_age_s=heard_age_s,
        )


def _seats(peer: Peer) -> list[Seat]:
    return peer.room.subscriptions.seats(peer.participant)
