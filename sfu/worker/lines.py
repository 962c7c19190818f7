"""Listeners' lines at work: what is observed goes in, and what is sent follows.

A line (`sfu.listening`) decides; here stands when it is asked and what becomes of its answers:

- whenever its client has told something (`take`), and after a command that concerns it (`follow`);
- once a second while there is anything to wait for, as when silence itself would say something, and
  of every listener now and then, because its room may have changed (`look`).

The round of `look` goes only to rooms in which somebody speaks. Nothing is sent in the others, so
nothing is learnt there, and thousands who wait for somebody to begin cost nothing. It is spread
over the second, so that no listener's packet waits for it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from math import ceil

from control.events import QualityChanged
from sfu.fast import Forwarder
from sfu.listening import Cause, Demand, Line, Terms, Tier
from sfu.stage import Participant, Room, RoomEvent
from sfu.transport.negotiation import Negotiation
from sfu.worker.demands import Demands, demand_of
from sfu.worker.observation import observe, packets_sent
from sfu.worker.peers import Peer, Peers
from sfu.worker.stamps import Stamps

ROUND_S = 1.0
# A round is done in parts, at the multiples of this: those at which a worker wakes anyway.
GRAIN_S = 0.02
PARTS = 50
# Whoever has nothing to wait for is looked at in every so many rounds.
SETTLED_ROUNDS = 5
# Of arrivals clients tell every 50 to 250 ms; overuse is judged over 300 ms.
ARRIVALS_EVERY_S = 0.1
# An IPv4 address as the forwarder writes it (RFC 4291 2.5.5.2).
_V4_MAPPED = bytes(10) + b"\xff\xff"


class Lines:
    """Of one worker. `settle` is told of each room in which something has changed.

    Counts `line_decisions`, how often lines were asked; `tier_changes_<cause>` are those of
    `count_changes`.
    """

    def __init__(
        self,
        forwarder: Forwarder,
        peers: Peers,
        counters: Counter[str],
        *,
        rooms: Mapping[str, Room],
        settle: Callable[[Room], None],
    ) -> None:
        self._forwarder = forwarder
        self._rooms = rooms
        self._peers = peers
        self._counters = counters
        self._settle = settle
        # Listeners of all rooms by tier, which the rooms count.
        self.tiers = Counter(dict.fromkeys((tier.value for tier in Tier), 0))
        self._demands = Demands(forwarder)
        self._stamps = Stamps(forwarder, counters)
        self._turns: deque[Peer] = deque()
        self._part = 1
        self._round = 0
        self._round_at = 0.0
        self._next_at = 0.0
        self._has_mix: bool | None = None  # whether there were mixes in the last round
        counters["line_decisions"] = 0
        counters.update({f"tier_changes_{cause}": 0 for cause in Cause if cause != Cause.JOIN})

    @property
    def deadline(self) -> float | None:
        """When `look` has something to do, None while nobody is here."""
        return self._next_at if len(self._peers) else None

    def sizes(self) -> dict[str, int]:
        """How many listeners there are on each tier, as `listeners_<tier>`."""
        return {f"listeners_{tier}": listeners for tier, listeners in self.tiers.items()}

    def begin(self, negotiation: Negotiation, now: float) -> Line:
        """The line of a newcomer, of which nothing is known."""
        takes_red = any(media.red_payload_type for media in negotiation.egresses)
        return Line(
            takes_red=takes_red,
            takes_feedback=negotiation.takes_stamps,
            takes_repeats=negotiation.repeats,
            now=now,
        )

    def take(self, peer: Peer, came_at: float, now: float) -> None:
        """Its client has told something of its tracks, which came at `came_at`."""
        peer.told_at = now
        is_report = observe(peer, self._forwarder, came_at)
        if is_report or now - peer.asked_at >= ARRIVALS_EVERY_S:
            self.follow(peer, now)

    def look(self, now: float) -> None:
        """Ask the next lines, if it is time. Early and repeated calls do nothing."""
        if now < self._next_at or not len(self._peers):
            return
        if not self._turns and now >= self._round_at:
            self._begin_round(now)
        for _ in range(min(self._part, len(self._turns))):
            peer = self._turns.popleft()
            if self._peers.is_here(peer):
                self._visit(peer, now)
        self._next_at = _in_step(now if self._turns else max(now, self._round_at - GRAIN_S))

    def follow(self, peer: Peer, now: float) -> None:
        """Ask its line, and send what it says from now on."""
        room = peer.room
        participant = room.participants[peer.participant]
        if not participant.egresses:
            return
        if participant.wishes.paused:
            self._stamps.end(peer)
            return
        peer.asked_at = now
        line, subscriptions = peer.line, room.subscriptions
        line.observe_sent(packets_sent(peer, self._forwarder), now)
        before = participant.quality.tier, participant.quality.copies
        # A mix that there cannot be is no longer offered when the line is asked again.
        for why in (Cause.REQUESTED, Cause.UNAVAILABLE):
            demand, terms = self._situation(peer, participant, why, now)
            line.decide(demand, terms, now)
            self._counters["line_decisions"] += 1
            tier, cause = line.tier.value, line.cause.value
            if subscriptions.follow(peer.participant, tier, line.copies_sent, cause, now):
                break
        self._stamps.follow(peer, now)
        if (participant.quality.tier, participant.quality.copies) != before:
            self._settle(room)

    def _begin_round(self, now: float) -> None:
        """Whose turn it is in this second: those in rooms where somebody speaks."""
        self._round += 1
        following = self._round_at + ROUND_S
        self._round_at = following if following > now else now + ROUND_S
        self._demands.forget_closed()
        before = self._has_mix
        for room in self._rooms.values():
            if room.is_flowing:
                self._turns.extend(self._peers.within(room))
                self._has_mix = room.subscriptions.has_mix
        if before not in (None, self._has_mix):
            # Mixes end or begin for all rooms at once: nobody is to wait for its turn.
            for peer in self._peers:
                peer.heard_of = None
        self._part = ceil(len(self._turns) / PARTS)
        self._stamps.recount(self._turns, now)

    def _visit(self, peer: Peer, now: float) -> None:
        """Ask it, unless there is nothing to ask."""
        demand = self._demands.of(peer.room, now)
        self._demands.use(peer, now)
        is_turn = (peer.row + self._round) % SETTLED_ROUNDS == 0
        if is_turn or not peer.line.is_settled or peer.heard_of is not demand:
            peer.heard_of = demand
            self.follow(peer, now)

    def _situation(
        self, peer: Peer, participant: Participant, why: Cause, now: float
    ) -> tuple[Demand, Terms]:
        """What its room would send it, and what it may get: no more than that, for this cause."""
        subscriptions = peer.room.subscriptions
        address = peer.transport.ice.current
        demand = demand_of(
            self._demands.of(peer.room, now),
            subscriptions.forwardable(participant),
            is_ipv6=address is not None and not address.startswith(_V4_MAPPED),
        )
        offered = subscriptions.offered(peer.participant, now)
        return demand, _terms(offered, participant.wishes.max_kbps, why)


def _in_step(now: float) -> float:
    """The next multiple of GRAIN_S that is clearly later than `now`."""
    return ((now + GRAIN_S / 2) // GRAIN_S + 1.0) * GRAIN_S


def count_changes(events: Iterable[RoomEvent], counters: Counter[str]) -> None:
    """Tiers that changed, by cause."""
    for event in events:
        if isinstance(event.body, QualityChanged):
            counters[f"tier_changes_{event.body.cause}"] += 1


@lru_cache(maxsize=256)
def _terms(offered: tuple[str, ...], max_kbps: int | None, why: Cause) -> Terms:
    """The same object for the same terms: thousands of listeners have but a few."""
    tiers = tuple(Tier(tier) for tier in offered)
    return Terms(tiers, None if max_kbps is None else max_kbps * 1_000.0, why)
