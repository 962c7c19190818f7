"""One worker: datagrams, commands and time in; datagrams and events out. Pure.

One input (`receive`, `handle_timer`, `execute`, ...), then all outputs: call
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
from sfu.fast import Batch, Challenge, Forwarder
from sfu.stage import SILENCE, Room, RoomEvent
from sfu.transport.candidates import Candidate
from sfu.transport.dtls import DtlsFactory
from sfu.worker.backlog import Backlog
from sfu.worker.commands import Commands
from sfu.worker.draining import begin_draining, continue_draining
from sfu.worker.guard import Guard
from sfu.worker.inbound import Inbound
from sfu.worker.invariant import Breach, Invariant
from sfu.worker.mix_port import MixPort
from sfu.worker.registry import Registry
from sfu.worker.repairs import Repairs
from sfu.worker.resends import Resends
from sfu.worker.settings import WorkerSettings
from sfu.worker.survey import Survey
from sfu.worker.tally import Tally

# What one turn does, each a few tenths of a millisecond: steps of handshakes, participants' timers,
# rooms. Media that came meanwhile waits no longer than the three together.
HANDSHAKE_STEPS = 4
PEERS_PER_TURN = 64
ROOMS_PER_TURN = 64


class Worker:
    """The media side of one process.

    `wall_at_zero` is unix seconds at `now == 0.0`, `started_at` the time of its start. `entropy`
    gives as many unpredictable bytes as asked for. `on_bug` is told of an exception that one
    participant's input caused: that participant is removed and the rest goes on; without it the
    exception is raised. `on_breach` is told of each listener who was not sent what it should be.
    `mixing` makes the rooms' mixes; without it there are none.
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
        mixing: MixPort | None = None,
    ) -> None:
        self._registry = Registry(
            settings,
            dtls=dtls,
            candidates=candidates,
            entropy=entropy,
            wall_at_zero=wall_at_zero,
            mixing=mixing,
        )
        self._mixes = self._registry.mixes
        self._commands = Commands(
            self._registry,
            epoch=epoch,
            started_at_ms=round((wall_at_zero + started_at) * 1_000),
            counters=self.counters,
        )
        self._guard = Guard(self._registry, on_bug)
        self._backlog = Backlog()
        tables = self._registry.forwarder, self._registry.peers, self._registry.counters
        self._repairs = Repairs(*tables)
        self._resends = Resends(*tables)
        self._inbound = Inbound(
            self._registry, self._guard, backlog=self._backlog, resends=self._resends
        )
        self._invariant = Invariant(
            self._registry.forwarder,
            self._registry.peers,
            counters=self._registry.counters,
            tell=on_breach,
        )
        self._survey = Survey(self._registry.peers)
        self._now = 0.0
        self._received = 0
        self._heard_media_at = -math.inf
        self._challenges: deque[Challenge] = deque()
        self._silencing: deque[Room] = deque()

    @property
    def forwarder(self) -> Forwarder:
        """The compiled core, with this worker's tables."""
        return self._registry.forwarder

    # Inputs

    def receive(self, inbox: Batch, now: float) -> None:
        """Take a batch; it must stay as it is until `drain` has returned False."""
        self._now = now
        self._received = len(inbox)
        self._inbound.waited_s = inbox.waited_s
        self._challenges.clear()  # a bug may have left some; their packets are gone
        self._resends.clear()
        self.forwarder.receive(inbox, now)

    def handle_timer(self, now: float) -> None:
        """Do what is due, or some of it."""
        self._now = now
        registry = self._registry
        for peer, data, address in self._backlog.take(HANDSHAKE_STEPS):
            if registry.peers.is_here(peer):
                self._guard.give(peer, now, peer.transport.receive_dtls, data, address, now)
        for peer in islice(registry.peer_timers.due(now), PEERS_PER_TURN):
            self._guard.give(peer, now, peer.transport.handle_timer, now)
        for peer in self._repairs.due(now):
            self._guard.give(peer, now, self._repairs.ask, peer, now)
        try:
            self._look_around(now)
        finally:
            self.forwarder.flush(now)  # a bug in what is looked at holds no packet back

    def _look_around(self, now: float) -> None:
        """Rooms, lines and mixes whose time has come."""
        registry = self._registry
        for room in islice(registry.room_timers.due(now), ROOMS_PER_TURN):
            registry.tick_room(room, now)
            if room.tails.has_due:
                self._silencing.append(room)
        continue_draining(registry, now)
        registry.lines.look(now)
        registry.funnel.look(now)
        self._mixes.handle_timer(now)
        self._invariant.look(now)

    def receive_mixed(self, now: float) -> None:
        """The mixing port has something."""
        self._now = now
        self._mixes.receive(now)

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

    def begin_leaving(self, deadline_s: float, now: float) -> None:
        """The process ends when everybody has left, and in `deadline_s` at the latest."""
        self._now = now
        begin_draining(self._registry, deadline_s, now, is_final=True)

    def drain_participants(self, now: float) -> None:
        """The server is going away: take nobody new, close every room, some in each turn."""
        self._now = now
        self._registry.intake.drain.begin(now, now, is_final=True)
        continue_draining(self._registry, now)

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
            self._registry.intake.drain.next_deadline(self._now),
            self._repairs.next_deadline(),
            self._registry.lines.deadline,
            self._registry.funnel.deadline,
            self._invariant.deadline,
            self._mixes.next_deadline(),
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

    @property
    def is_empty(self) -> bool:
        """Whether nobody is here; there may still be rooms."""
        return not len(self._registry.peers)

    @property
    def people(self) -> int:
        """How many are here."""
        return len(self._registry.peers)

    @property
    def has_rooms(self) -> bool:
        """Whether there are any."""
        return bool(self._registry.rooms)

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
            sizes[f"protected_{copies}"] = listeners
        parts = (registry.lines, registry.census, self._mixes, self.forwarder)
        for part in parts:
            sizes |= part.sizes()
        return sizes

    def joins(self) -> dict[str, Tally]:
        """How long the steps of joins took, in seconds, by name."""
        return {stage.value: tally for stage, tally in self._registry.funnel.tallies.items()}

    @property
    def room_people(self) -> Tally:
        """How many people there are in each room that has any."""
        return self._registry.census.room_people

    @property
    def survey(self) -> Survey:
        """How listeners' lines are, once its steps are taken."""
        return self._survey

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
                self._inbound.take(slow, self._now)
            self._challenges.extend(self.forwarder.challenges())
        while self._challenges:
            if self._is_accepted(self._challenges.popleft()):
                return True
        if self._mixes.push_next(self._now):
            return True
        if self._resends.send_next(self._now) or self._silence():
            return True
        self._mixes.collect(self._now)
        return False

    def _silence(self) -> bool:
        """Let a frame of silence follow the next voice that was cut off; False for none."""
        while self._silencing:
            stream = self._silencing[0].tails.take(self._now)
            if stream is None:
                self._silencing.popleft()
            elif self.forwarder.push(stream, SILENCE, self._now, yields=True):
                return True
        return False

    def _is_accepted(self, challenge: Challenge) -> bool:
        """Let the room decide whether this voice gets a slot."""
        peer = self._registry.peers.by_source(challenge.source)
        if peer is None or not peer.room.challenge(challenge, self._now):
            return False
        self.forwarder.accept(challenge.handle)
        self._registry.settle_room(peer.room)
        return True

    def _flush(self, outbox: Batch) -> bool:
        """Append what transports send; False when `outbox` has no room for all of it."""
        outgoing = self._inbound.answers
        outgoing.extend(self._registry.datagrams_to_send())
        while outgoing:
            if not outbox.append(*outgoing[0]):
                return False
            outgoing.popleft()
        return True
