"""One worker: datagrams, commands and time in; datagrams and events out. Pure.

One input (`receive`, `handle_timer`, `execute`, `drain_participants`), then all outputs: call
`drain` until it returns False, take `events`, look at `next_deadline`; then the next input. The
shell does so with sockets and a clock, the simulator with neither.

No input takes long: of handshakes, and of what is due, a turn does a limited share. While
something is left, `next_deadline` is not later than `now`; the owner reads its sockets and then
calls `handle_timer` again.

A packet of a speaker who holds a slot passes through `receive` and `drain` without any Python of
this package. What comes up here is what changes something: connectivity checks, handshakes,
reports, and packets of those who would like a slot.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from control.commands import AnyCommand
from control.types import LeaveReason
from sfu.fast import DTLS, STUN, Batch, Challenge, Forwarder, Slow
from sfu.stage import SILENCE, Room, RoomEvent
from sfu.transport.candidates import Candidate
from sfu.transport.dtls import DtlsFactory
from sfu.transport.ice import StunLimiter, username_of
from sfu.worker.backlog import Backlog
from sfu.worker.commands import Commands
from sfu.worker.invariant import Breach, Invariant
from sfu.worker.lines import follow_line
from sfu.worker.peers import Peer
from sfu.worker.registry import Registry
from sfu.worker.repairs import Repairs
from sfu.worker.settings import WorkerSettings

# What one turn does, each a few tenths of a millisecond: steps of handshakes, participants' timers,
# rooms. Media that came meanwhile waits no longer than the three together.
HANDSHAKE_STEPS = 4
PEERS_PER_TURN = 64
ROOMS_PER_TURN = 64
# Closing a room costs some 0.1 ms, and as much again for each participant in it.
DRAINED_PER_TURN = 8
# A listener's round trip until its reports tell it.
ROUND_TRIP_S = 0.1


class Worker:
    """The media side of one process.

    `wall_at_zero` is unix seconds at `now == 0.0`, `started_at` the time of its start. `entropy`
    gives as many unpredictable bytes as asked for. `on_bug` is told of an exception that one
    participant's input caused: that participant is removed and the rest goes on; without it the
    exception is raised. `on_breach` is told of each listener who was not sent what it should be.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        *,
        dtls: DtlsFactory,
        candidates: Sequence[Candidate],
        entropy: Callable[[int], bytes],
        epoch: str,
        wall_at_zero: float,
        started_at: float = 0.0,
        on_bug: Callable[[Exception], None] | None = None,
        on_breach: Callable[[Breach], None] = lambda breach: None,
    ) -> None:
        self._registry = Registry(
            settings,
            dtls=dtls,
            candidates=candidates,
            entropy=entropy,
            wall_at_zero=wall_at_zero,
        )
        self._commands = Commands(
            self._registry,
            epoch=epoch,
            started_at_ms=round((wall_at_zero + started_at) * 1_000),
            counters=self.counters,
        )
        self._repairs = Repairs(self.forwarder, self._registry.peers, self._registry.counters)
        self._invariant = Invariant(
            self._registry.forwarder,
            self._registry.peers,
            counters=self._registry.counters,
            tell=on_breach,
        )
        self._stun_limiter = StunLimiter()
        self._on_bug = on_bug
        self._now = 0.0
        self._received = 0
        self._heard_media_at = -math.inf
        self._backlog = Backlog()
        self._challenges: deque[Challenge] = deque()
        self._repeats: deque[tuple[Peer, int, list[int]]] = deque()
        self._silencing: deque[Room] = deque()
        self._outgoing: deque[tuple[bytes, bytes]] = deque()

    @property
    def forwarder(self) -> Forwarder:
        """The compiled core, with this worker's tables."""
        return self._registry.forwarder

    # Inputs

    def receive(self, inbox: Batch, now: float) -> None:
        """Take a batch; it must stay as it is until `drain` has returned False."""
        self._now = now
        self._received = len(inbox)
        self._challenges.clear()  # a bug may have left some; their packets are gone
        self._repeats.clear()
        self.forwarder.receive(inbox, now)

    def handle_timer(self, now: float) -> None:
        """Do what is due, or some of it."""
        self._now = now
        registry = self._registry
        for peer, data, address in self._backlog.take(HANDSHAKE_STEPS):
            if registry.peers.is_here(peer):
                self._guarded(peer, peer.transport.receive_dtls, data, address, now)
        for peer in islice(registry.peer_timers.due(now), PEERS_PER_TURN):
            self._guarded(peer, peer.transport.handle_timer, now)
        for peer in self._repairs.due(now):
            self._guarded(peer, self._repairs.ask, peer, now)
        for room in islice(registry.room_timers.due(now), ROOMS_PER_TURN):
            registry.tick_room(room, now)
            if room.tails.has_due:
                self._silencing.append(room)
        if registry.intake.drain.is_due(now):
            registry.empty(now, rooms_max=DRAINED_PER_TURN)
        self._invariant.look(now)
        self.forwarder.flush(now)

    def observe_load(self, load: float, now: float) -> None:
        """The share of a core that this process used lately, 0 to 1."""
        self._now = now
        self._registry.observe_load(load, now)

    def observe_controllers(self, controls: Callable[[str], bool], now: float) -> None:
        """`controls` says of a room's id whether anybody is connected who may change that room."""
        self._now = now
        self._registry.observe_controllers(controls, now)

    def execute(self, command: AnyCommand, now: float) -> Any:
        """The command's result; raises ControlError when it is refused."""
        self._now = now
        return self._commands.execute(command, now)

    def drain_participants(self, now: float) -> None:
        """The server is going away: take nobody new, close every room."""
        self._now = now
        self._registry.intake.drain.begin(None)
        self._registry.empty(now)

    # Outputs

    def drain(self, outbox: Batch) -> bool:
        """Append what is to be sent. True: `outbox` is full; send it, clear it, call again."""
        while True:
            if self.forwarder.drain(outbox):
                return True
            if not self._digest():
                return not self._flush(outbox)

    def events(self) -> list[RoomEvent]:
        """Take what happened, in order."""
        return self._registry.events()

    def next_deadline(self) -> float | None:
        """When `handle_timer` wants to be called, None for never."""
        if self._backlog:
            return self._now
        deadlines = (
            self._registry.peer_timers.next_deadline(),
            self._registry.room_timers.next_deadline(),
            self._registry.intake.drain.deadline,
            self._repairs.next_deadline(),
            self._invariant.deadline,
            self.forwarder.next_flush(),
        )
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    @property
    def heard_media_at(self) -> float:
        """When the last datagram came that was neither STUN nor DTLS nor RTCP."""
        return self._heard_media_at

    @property
    def is_draining(self) -> bool:
        """Whether nobody new is taken because somebody asked for it."""
        return self._registry.intake.drain.is_on

    def counters(self) -> dict[str, int]:
        """Counts since the start, by name."""
        counters = Counter(self.forwarder.counters())
        counters.update(self._registry.counters)
        return dict(counters)

    def sizes(self) -> dict[str, int]:
        """How many there are now, by name."""
        registry = self._registry
        sizes = {
            "rooms": len(registry.rooms),
            "rooms_segmented": len(registry.rooms) if registry.segmentation.is_on else 0,
            "dtls_waiting": len(self._backlog),
            "timers": len(registry.peer_timers) + len(registry.room_timers),
        }
        for copies, listeners in registry.peers.protected().items():
            sizes[f"listeners_{copies}"] = listeners
        return sizes | registry.census.sizes() | self.forwarder.sizes()

    # What compiled code leaves to Python

    def _digest(self) -> bool:
        """Handle what the batch brought up; True when the forwarder has work again."""
        if self._received:
            slow_ones = self.forwarder.slow()
            if len(slow_ones) < self._received:
                self._heard_media_at = self._now
                self._repairs.note(self._now)
            self._received = 0
            for slow in slow_ones:
                self._take_slow(slow)
            self._challenges.extend(self.forwarder.challenges())
        while self._challenges:
            if self._is_accepted(self._challenges.popleft()):
                return True
        while self._repeats:
            if self._is_repeated(*self._repeats.popleft()):
                return True
        return bool(self._silencing) and self._silence()

    def _silence(self) -> bool:
        """Let a frame of silence follow the next voice that was cut off; False for none."""
        while self._silencing:
            stream = self._silencing[0].tails.take(self._now)
            if stream is None:
                self._silencing.popleft()
            elif self.forwarder.push(stream, SILENCE, self._now, yields=True):
                return True
        return False

    def _is_repeated(self, peer: Peer, egress: int, sequences: list[int]) -> bool:
        """Send again what a listener asked for; not twice within its round trip."""
        if not self._registry.peers.is_here(peer):
            return False
        rtt_s = peer.transport.reporter.rtt_s
        spacing_s = ROUND_TRIP_S if rtt_s is None else rtt_s
        return self.forwarder.resend(egress, sequences, self._now, spacing_s) > 0

    def _is_accepted(self, challenge: Challenge) -> bool:
        """Let the room decide whether this voice gets a slot."""
        peer = self._registry.peers.by_source(challenge.source)
        if peer is None or not peer.room.challenge(challenge, self._now):
            return False
        self.forwarder.accept(challenge.handle)
        self._registry.settle_room(peer.room)
        return True

    def _take_slow(self, slow: Slow) -> None:
        kind, row, address, data = slow
        peer = self._registry.peers.by_row(row)
        if kind == STUN:
            if peer is None or not self._is_renewed(peer, data, address):
                self._take_stun(slow)
        elif peer is None:
            # It left while this batch was being worked on.
            self._registry.counters["dropped_departed"] += 1
        elif kind == DTLS:
            if not self._backlog.add(peer, data, address):
                self._registry.counters["dropped_dtls_backlog"] += 1
        else:
            self._take_rtcp(peer, data, address)

    def _take_rtcp(self, peer: Peer, data: bytes, address: bytes) -> None:
        """A report is answered by nothing, and news only from somebody who had gone quiet."""
        try:
            peer.transport.receive_rtcp(data, address, self._now)
            if peer.transport.reporter.has_feedback:
                self._take_feedback(peer)
            if peer.transport.has_news:
                self._registry.settle(peer, self._now)
        except Exception as error:
            self._on_peer_bug(peer, error)

    def _take_feedback(self, peer: Peer) -> None:
        """Follow its reports, and note what it asks for: that is sent when the batch is drained."""
        follow_line(peer, self.forwarder, self._now)
        for egress, sequences in peer.transport.reporter.take_repeats().items():
            self._registry.counters["nacks_received"] += 1
            self._repeats.append((peer, egress, sequences))

    def _is_renewed(self, peer: Peer, data: bytes, address: bytes) -> bool:
        """Answer the check of a path in use, of which there are thousands a second."""
        try:
            reply = peer.transport.renew_consent(data, address, self._now)
        except Exception as error:
            self._on_peer_bug(peer, error)
            return False
        if reply is None:
            return False
        self._outgoing.append((reply, address))
        return True

    def _take_stun(self, slow: Slow) -> None:
        """Find the participant by the user fragment; strangers are limited before any HMAC."""
        counters = self._registry.counters
        ufrag = username_of(slow.data)
        peer = None if ufrag is None else self._registry.peers.by_ufrag(ufrag)
        if peer is None:
            counters["dropped_stun_stranger"] += 1
            return
        is_known = slow.transport == peer.row
        if not is_known and self._registry.peers.is_taken(slow.address, peer, self._now):
            counters["dropped_stun_taken"] += 1
            return
        if not is_known and not self._stun_limiter.take(slow.address, self._now):
            counters["dropped_stun_rate"] += 1
            return
        is_authentic = self._noted(peer, peer.transport.receive_stun, slow)
        if is_authentic and not is_known:
            self._stun_limiter.give_back(slow.address)

    def _guarded(self, peer: Peer, take: Callable[..., Any], *arguments: Any) -> None:
        """Give something to a peer's transport; a bug costs this participant and nobody else."""
        try:
            take(*arguments)
            self._registry.settle(peer, self._now)
        except Exception as error:
            self._on_peer_bug(peer, error)

    def _noted(self, peer: Peer, take: Callable[[bytes, bytes, float], Any], slow: Slow) -> Any:
        """The same for a sign of life, of which there are thousands a second; what `take` said."""
        try:
            result = take(slow.data, slow.address, self._now)
            self._registry.settle_sign_of_life(peer, self._now)
        except Exception as error:
            self._on_peer_bug(peer, error)
            return None
        return result

    def _on_peer_bug(self, peer: Peer, error: Exception) -> None:
        self._registry.counters["bugs"] += 1
        if self._on_bug is None:
            raise error
        self._on_bug(error)
        if self._registry.peers.is_here(peer):
            self._registry.depart(peer, LeaveReason.WORKER_LOST, self._now)

    def _flush(self, outbox: Batch) -> bool:
        """Append what transports send; False when `outbox` has no room for all of it."""
        self._outgoing.extend(self._registry.datagrams_to_send())
        while self._outgoing:
            if not outbox.append(*self._outgoing[0]):
                return False
            self._outgoing.popleft()
        return True
