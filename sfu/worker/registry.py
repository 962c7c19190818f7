"""What a worker holds: rooms, peers, their timers, and what is to go out.

Lifetimes. The registry owns rooms and peers. A participant leaves by `depart` and in no other way:
its room lets it go, its transport says goodbye, its rows in the forwarder are removed. Whoever
changes rooms by `move` leaves the one and joins the other, but keeps transport and rows. A room
ends by `close_room`, or by itself in `tick_room`; both are noticed in `settle_room`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from control.commands import ParticipantJoin, ParticipantMove, ParticipantRestartIce
from control.errors import invalid, not_found
from control.events import EventBody
from control.types import LeaveReason, Role
from sfu.fast import Forwarder
from sfu.stage import NO_SOURCE, Admission, Participant, Room, RoomEvent, RoomSettings
from sfu.transport.candidates import Candidate
from sfu.transport.dtls import DtlsFactory
from sfu.transport.events import Closed, TransportEvent
from sfu.transport.sdp import Negotiation
from sfu.transport.settings import TransportSettings
from sfu.transport.transport import Transport
from sfu.worker.census import Census
from sfu.worker.findings import enter
from sfu.worker.funnel import Funnel
from sfu.worker.intake import Intake
from sfu.worker.lines import Lines, count_changes
from sfu.worker.listener_loss import question_for
from sfu.worker.mix_port import MixPort
from sfu.worker.mixes import Mixes
from sfu.worker.negotiator import Negotiator
from sfu.worker.peers import Peer, Peers
from sfu.worker.rows import add_egresses, add_source, red_of
from sfu.worker.segmentation import Segmentation
from sfu.worker.settings import WorkerSettings
from sfu.worker.timers import Timers

# No deadline of a connection needs to be met closer: reports vary by seconds, the shortest
# retransmission is a second. So thousands of participants wake the worker fifty times a second.
PEER_GRAIN_S = 0.02
# A room looks around ten times a second; nobody sees that it is late by this. The same as that of
# connections, so that a thousand rooms cause no wakes of their own.
ROOM_GRAIN_S = PEER_GRAIN_S

# Those that exist from the start, so that a dashboard sees a zero and not a gap.
_COUNTERS = (
    "bugs",
    "egresses_stray",
    "ice_restarts",
    "invariant_breaches",
    "joins",
    "nacks_received",
    "nacks_sent",
    "offers_refused",
    "packets_asked",
    *(f"left_{reason}" for reason in LeaveReason),
    "dropped_departed",
    "dropped_dtls_backlog",
    "dropped_stun_rate",
    "dropped_stun_stranger",
    "dropped_stun_taken",
)


class Registry:
    """Rooms and peers of one worker, and the only writer of both."""

    def __init__(
        self,
        settings: WorkerSettings,
        *,
        dtls: DtlsFactory,
        candidates: Sequence[Candidate],
        entropy: Callable[[int], bytes],
        wall_at_zero: float,
        mixing: MixPort | None = None,
    ) -> None:
        self.settings = settings
        self.forwarder = Forwarder()
        self.rooms: dict[str, Room] = {}
        self.peers = Peers()
        self.peer_timers: Timers[Peer] = Timers(PEER_GRAIN_S)
        self.room_timers: Timers[Room] = Timers(ROOM_GRAIN_S)
        self.counters: Counter[str] = Counter(dict.fromkeys(_COUNTERS, 0))
        self.lines = Lines(
            self.forwarder, self.peers, self.counters, rooms=self.rooms, settle=self.settle_room
        )
        self.mixes = Mixes(
            self.forwarder,
            self.peers,
            port=mixing,
            counters=self.counters,
            on_change=self._follow_mixes,
        )
        self.segmentation = Segmentation(settings.segmentation)
        self.intake = Intake(
            settings, rooms=self.rooms, peers=self.peers, counters=self.counters, tell=self.tell
        )
        self.census = Census()
        self.funnel = Funnel(self.forwarder, self.peers)
        # Of all rooms that are closed: a late goodbye for one must not find its number again in the
        # next room of that name.
        self._generation_floor = 0
        self._controls: Callable[[str], bool] = lambda room_id: False
        self._dtls = dtls
        self._negotiator = Negotiator(candidates, dtls.fingerprint, entropy, self.counters)
        self._entropy = entropy
        self.wall_at_zero = wall_at_zero
        self._transport_settings = TransportSettings(
            join_timeout_s=settings.join_timeout_s,
            suspect_after_s=settings.suspect_after_s,
            gone_after_s=settings.gone_after_s,
        )
        self._datagrams: list[tuple[bytes, bytes]] = []
        self._events: list[RoomEvent] = []

    # Outputs

    def datagrams_to_send(self) -> list[tuple[bytes, bytes]]:
        """Take what is to be sent, in order."""
        taken, self._datagrams = self._datagrams, []
        return taken

    def events(self) -> list[RoomEvent]:
        """Take what happened, in order."""
        taken, self._events = self._events, []
        count_changes(taken, self.counters)
        return taken

    # Rooms

    def room(self, room_id: str) -> Room:
        """Raises ControlError `not_found`."""
        try:
            return self.rooms[room_id]
        except KeyError:
            raise not_found("room", room_id) from None

    def open_room(self, room_id: str, settings: RoomSettings, now: float) -> Room:
        """Raises ControlError `resource_exhausted` (`rooms`) and `unavailable` while draining."""
        self.intake.check_room(now)
        mixes = self.mixes.open()
        room = self.rooms[room_id] = Room(
            room_id,
            settings,
            self.forwarder,
            now=now,
            wall_at_zero=self.wall_at_zero,
            generation_floor=self._generation_floor,
            mixes=mixes,
            tiers=self.lines.tiers,
        )
        if mixes is not None:
            mixes.room = room
        room.set_segmented(self.segmentation.is_on)
        room.set_controlled(self._controls(room_id), now)
        self.settle_room(room)
        return room

    def close_room(self, room: Room, reason: str, now: float, *, leave_reason: LeaveReason) -> None:
        """Everybody leaves and the room is gone."""
        self._let_go(room, room.close(reason, now, leave_reason=leave_reason), leave_reason)

    def tick_room(self, room: Room, now: float) -> None:
        """Let a room do what is due, which may be its end."""
        gone = room.tick(now)
        if gone:
            self._let_go(room, gone, LeaveReason.ROOM_CLOSED)
        else:
            self.settle_room(room)

    def _let_go(self, room: Room, gone: Sequence[Participant], reason: LeaveReason) -> None:
        """A room has sent these away: their connections end too."""
        self.counters[f"left_{reason}"] += len(gone)
        for participant in gone:
            self._close(self.peer(room, participant.id))
        self.settle_room(room)

    def settle_room(self, room: Room) -> None:
        """After anything was done to a room: take its events, keep its timer, notice its end."""
        if self.rooms.get(room.id) is not room:
            return  # it ended before, and its name may be another's
        self._events += room.events()
        self.census.note(room)
        self.mixes.follow(room)
        self.intake.on_stage = self.census.on_stage
        if room.is_closed:
            self._generation_floor = max(self._generation_floor, room.highest_generation)
            del self.rooms[room.id]
            self.room_timers.forget(room)
        else:
            self.room_timers.watch(room)

    def _follow_mixes(self, room: Room, now: float) -> None:
        """There are no mixes any more, or there are again."""
        room.subscriptions.mixes_changed(now)
        self.settle_room(room)

    def tell(self, body: EventBody, room_id: str | None = None) -> None:
        """Something happened to the server itself, or because of that to a room."""
        self._events.append(RoomEvent(room_id, body))

    def observe_controllers(self, controls: Callable[[str], bool], now: float) -> None:
        """Which rooms are controlled has changed: some rooms begin or cease to be orphans."""
        self._controls = controls
        for room_id, room in self.rooms.items():
            room.set_controlled(controls(room_id), now)
            if room.settings.orphan_policy == "close":
                self.room_timers.watch(room)

    def observe_load(self, load: float, now: float) -> None:
        """A busy worker sends each listener's packets together, a full one takes nobody new."""
        self.intake.observe_load(load, now)
        if self.segmentation.observe(load, now):
            for room in self.rooms.values():
                room.set_segmented(self.segmentation.is_on)

    # Participants

    def join(self, command: ParticipantJoin, now: float) -> Negotiation:
        """Let somebody in: nothing has changed when this raises ControlError."""
        room = self.room(command.room)
        present = room.participants.get(command.participant)
        self.intake.check_join(
            now,
            is_newcomer=present is None,
            takes_stage=_goes_up(present, command.role),
        )
        admission = room.admit(command, now)
        negotiation = self._negotiator.first(command.offer, command.profile)
        if admission.replaces:
            self.depart(self.peer(room, command.participant), LeaveReason.REPLACED, now)
        self._connect(room, admission, negotiation, now)
        self.intake.note_join(now)
        return negotiation

    def move(self, command: ParticipantMove, now: float) -> Room:
        """Somebody goes to another room on the same connection; returns that room.

        Nothing has changed when this raises ControlError.
        """
        room, target = self.room(command.room), self.room(command.to_room)
        name, role = command.participant, command.role
        if target is room:
            raise invalid("to_room", "the participant is in this room already")
        if role is not None:
            self.check_promotion(room, name, role, now)
        admission = target.admit_moved(name, room, role, now)
        peer = self.peer(room, name)
        left = room.remove(name, LeaveReason.MOVED, now)
        self.counters[f"left_{LeaveReason.MOVED}"] += 1
        self.forwarder.reidentify(peer.row, csrc=admission.number, echo_group=admission.echo_group)
        self.mixes.leave(room, peer.source)
        self.peers.move(peer, target)
        target.add(
            admission,
            source=left.source,
            egresses=left.egresses,
            red_egresses=left.red_egresses,
            quality=left.quality,
            now=now,
        )
        self.lines.follow(peer, now)
        self.settle_room(room)
        self.settle_room(target)
        return target

    def restart_ice(self, command: ParticipantRestartIce, now: float) -> Negotiation:
        """New ICE credentials for a connection; nothing has changed when this raises."""
        room = self.room(command.room)
        room.participant_state(command.participant)  # not_found before anything happens
        peer = self.peer(room, command.participant)
        negotiation = self._negotiator.restart(command.offer, peer.transport.negotiation)
        peer.transport.restart_ice(negotiation, now)
        self.peers.add_ufrag(peer, negotiation.ice.local_ufrag)
        self.counters["ice_restarts"] += 1
        self.settle(peer, now)
        return negotiation

    def check_promotion(self, room: Room, participant: str, role: Role, now: float) -> None:
        """Raises ControlError when the role is one more on stage than the server takes."""
        present = room.participants.get(participant)
        if present is not None and _goes_up(present, role):
            self.intake.check_stage(now)

    def depart(
        self,
        peer: Peer,
        reason: LeaveReason,
        now: float,
        *,
        detail: str | None = None,
        ban_s: float = 0.0,
    ) -> None:
        """Somebody leaves for this reason."""
        assert self.peers.is_here(peer), "it has left already, and its name may be another's"
        peer.room.remove(peer.participant, reason, now, detail=detail, ban_s=ban_s)
        self.counters[f"left_{reason}"] += 1
        self._close(peer)
        self.settle_room(peer.room)

    def settle(self, peer: Peer, now: float) -> None:
        """After anything was given to a peer's transport: do what it tells, send what it sends."""
        transport = peer.transport
        if transport.has_news:
            for event in transport.events():
                # Once it has left, somebody else may be here under its name and on its address.
                if self.peers.is_here(peer):
                    self._apply(peer, event, now)
            self.settle_room(peer.room)
        self._datagrams += transport.datagrams_to_send()
        if self.peers.is_here(peer):
            self.peer_timers.watch(peer)

    def settle_sign_of_life(self, peer: Peer, now: float) -> None:
        """The same after a check or a report: without news it only moved deadlines later."""
        if peer.transport.has_news:
            self.settle(peer, now)
        else:
            self._datagrams += peer.transport.datagrams_to_send()

    def peer(self, room: Room, participant: str) -> Peer:
        """The connection of somebody who is in the room."""
        peer = self.peers.of(room.id, participant)
        assert peer is not None, "every participant of a room has a peer"
        return peer

    def _connect(
        self, room: Room, admission: Admission, negotiation: Negotiation, now: float
    ) -> None:
        """Make the rows, the transport and the place in the room."""
        row = self.forwarder.add_transport()
        source = add_source(self.forwarder, row, admission, negotiation)
        egresses = add_egresses(self.forwarder, row, admission, negotiation, self._entropy)
        transport = Transport(
            negotiation,
            self._dtls.accept(negotiation.remote_fingerprints),
            now,
            stats=self.forwarder,
            source=None if source == NO_SOURCE else source,
            egresses=egresses,
            entropy=self._entropy,
            wall_at_zero=self.wall_at_zero,
            settings=self._transport_settings,
            count=self._count_drop,
            listener_loss=question_for(self.peers, row, self.settings),
        )
        red_egresses = red_of(egresses, negotiation)
        line = self.lines.begin(negotiation, now)
        peer = Peer(room, admission.participant, transport, row, source, line, now)
        self.peers.add(peer)
        room.add(admission, source=source, egresses=egresses, red_egresses=red_egresses, now=now)
        self.lines.follow(peer, now)
        self.counters["joins"] += 1
        self.settle(peer, now)
        self.settle_room(room)

    def _count_drop(self, name: str) -> None:
        self.counters[f"dropped_{name}"] += 1

    def _apply(self, peer: Peer, event: TransportEvent, now: float) -> None:
        """Write what a transport found out into the forwarder and the room."""
        if isinstance(event, Closed):
            self.depart(peer, event.reason, now)
        else:
            enter(event, peer, self.peers, self.forwarder)
            self.funnel.note(event, peer, now)

    def _close(self, peer: Peer) -> None:
        """The connection of somebody who is in no room any more ends."""
        peer.transport.close()
        self._datagrams += peer.transport.datagrams_to_send()
        self.mixes.leave(peer.room, peer.source)
        self.peers.remove(peer)
        self.peer_timers.forget(peer)
        self.forwarder.remove_transport(peer.row)


def _goes_up(present: Participant | None, role: Role) -> bool:
    """Whether this role is one more person on stage; None: somebody new."""
    was_listening = present is None or present.role is Role.LISTENER
    return was_listening and role is not Role.LISTENER
