"""A control server over one simple table of rooms: the daemon as the club sees it."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from control.commands import (
    AnyCommand,
    Empty,
    HandLower,
    HandRaise,
    HandsResult,
    JoinResult,
    ParticipantGet,
    ParticipantJoin,
    ParticipantRemove,
    ParticipantRestartIce,
    ParticipantResult,
    ParticipantSetRole,
    ParticipantUpdate,
    RestartResult,
    RoomClose,
    RoomCreate,
    RoomList,
    RoomResult,
    RoomSnapshot,
    RoomsResult,
    RoomUpdate,
    SnapshotResult,
    StageAccept,
    StageDecline,
    StageInvite,
    SubscriptionGet,
    SubscriptionResult,
    TrackMute,
    TrackUnmute,
)
from control.errors import ControlError, ErrorCode, exhausted, invalid, not_found
from control.events import (
    EventBody,
    HandLowered,
    HandRaised,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantUpdated,
    RoleChanged,
    RoomClosed,
    RoomCreated,
    RoomUpdated,
    SpeakersChanged,
    StageAccepted,
    StageDeclined,
    StageInvited,
    TrackMuted,
    TrackUnmuted,
)
from control.server import Server
from control.types import (
    ActiveSpeaker,
    Hand,
    LeaveReason,
    ParticipantState,
    Role,
    RoomState,
    SubscriptionState,
)
from tests.club.states import participant_state, room_state

People = dict[str, ParticipantState]

INVITED_UNTIL = 60_000


class FakeDaemon:
    """Obeys the commands that the club uses, and publishes what the daemon would."""

    def __init__(self, epoch: str) -> None:
        self.rooms: dict[str, People] = {}
        self.states: dict[str, RoomState] = {}
        self.commands: list[AnyCommand] = []
        self.epoch = epoch
        self.now_ms = 1_700_000_000_000  # stands still until a test moves it
        self.server = Server(self, epoch=epoch, wall_ms=lambda: self.now_ms)
        self.stage_is_full = False
        self.refuses_joins = False
        self._generation = 0
        self._obeys: dict[type[AnyCommand], Callable[[Any], Any]] = {
            RoomCreate: self._create,
            RoomUpdate: self._update_room,
            RoomList: self._list,
            RoomSnapshot: lambda command: self._snapshot(command.room),
            RoomClose: self._close,
            ParticipantJoin: self._join,
            ParticipantGet: lambda command: ParticipantResult(
                participant=self._state(command.room, command.participant)
            ),
            ParticipantUpdate: self._update,
            ParticipantSetRole: self._set_role,
            ParticipantRemove: self._remove,
            ParticipantRestartIce: self._restart,
            HandRaise: self._hand,
            HandLower: self._hand,
            StageInvite: self._invite,
            StageAccept: self._accept,
            StageDecline: self._decline,
            SubscriptionGet: self._subscription,
            TrackMute: self._mute,
            TrackUnmute: self._mute,
        }

    async def submit(self, command: AnyCommand) -> Any:
        """What the server calls: run the command, return its result."""
        self.commands.append(command)
        obey = self._obeys.get(type(command))
        if obey is None:
            raise AssertionError(f"the club does not use {command.method}")
        return obey(command)

    def leave(
        self, room: str, participant: str, reason: LeaveReason, detail: str | None = None
    ) -> None:
        """The participant goes, as the daemon tells it."""
        generation = self._state(room, participant).generation
        del self.rooms[room][participant]
        self.publish(
            room,
            ParticipantLeft(
                participant=participant, reason=reason, generation=generation, detail=detail
            ),
        )

    def enter(self, room: str, state: ParticipantState) -> None:
        """Somebody comes who is nobody's page."""
        self.rooms[room][state.participant] = state
        self.publish(room, ParticipantJoined(participant=state.participant, state=state))

    def speak(self, room: str, *participants: str) -> None:
        """These speak now."""
        speakers = [ActiveSpeaker(participant=one, level=21, slot=0) for one in participants]
        self.states[room] = msgspec.structs.replace(self.states[room], speakers=speakers)
        self.publish(room, SpeakersChanged(revision=len(self.commands), speakers=speakers))

    def close(self, room: str, reason: str) -> None:
        """The room goes by itself."""
        for participant in list(self.rooms[room]):
            self.leave(room, participant, LeaveReason.ROOM_CLOSED)
        del self.rooms[room], self.states[room]
        self.publish(room, RoomClosed(reason=reason))

    def publish(self, room: str, body: EventBody) -> None:
        """Any event."""
        self.server.publish(room, body)

    def count(self, kind: type[AnyCommand]) -> int:
        """How many commands of a kind came."""
        return sum(isinstance(command, kind) for command in self.commands)

    # Rooms.

    def _create(self, command: RoomCreate) -> RoomResult:
        is_new = command.room not in self.rooms
        if is_new:
            self.rooms[command.room] = {}
            self.states[command.room] = room_state(command.room)
        state = self._set_fields(command)
        body = RoomCreated(state=state) if is_new else RoomUpdated(state=state)
        self.publish(command.room, body)
        return RoomResult(room=state)

    def _update_room(self, command: RoomUpdate) -> RoomResult:
        self._room(command.room)
        state = self._set_fields(command)
        self.publish(command.room, RoomUpdated(state=state))
        return RoomResult(room=state)

    def _set_fields(self, command: RoomCreate | RoomUpdate) -> RoomState:
        given = {
            name: value
            for name in ("hand_policy", "metadata", "empty_timeout_s", "orphan_policy")
            if (value := getattr(command, name)) not in (None, msgspec.UNSET)
        }
        state = msgspec.structs.replace(self.states[command.room], **given)
        self.states[command.room] = state
        return state

    def _list(self, command: RoomList) -> RoomsResult:
        return RoomsResult(rooms=list(self.states.values()))

    def _snapshot(self, room: str) -> SnapshotResult:
        people = self._room(room)
        return SnapshotResult(
            room=self.states[room],
            participants=list(people.values()),
            hands=[
                Hand(participant=one.participant, raised_at=one.hand)
                for one in people.values()
                if one.hand is not None
            ],
            epoch=self.epoch,
            seq=self.server.seq,
        )

    def _close(self, command: RoomClose) -> Empty:
        self._room(command.room)
        self.close(command.room, command.reason or "closed")
        return Empty()

    # Participants.

    def _join(self, command: ParticipantJoin) -> JoinResult:
        people = self._room(command.room)
        if self.refuses_joins:
            raise invalid("offer", "it is none")
        if self.stage_is_full and command.role.is_on_stage:
            raise exhausted("max_speakers", "the stage is full")
        if command.participant in people:
            self.leave(command.room, command.participant, LeaveReason.REPLACED)
        self._generation += 1
        state = participant_state(
            command.participant,
            command.role,
            muted=command.muted,
            name=command.name,
            generation=self._generation,
            joined_at=self._generation,
            metadata=command.metadata or {},
        )
        self.enter(command.room, state)
        return JoinResult(participant=state, answer="answer to " + command.offer)

    def _remove(self, command: ParticipantRemove) -> Empty:
        state = self._state(command.room, command.participant)
        if command.if_generation not in (None, state.generation):
            raise ControlError(ErrorCode.CONFLICT, "another generation")
        reason = LeaveReason.BANNED if command.ban_s else LeaveReason.REMOVED
        self.leave(command.room, command.participant, reason, command.reason)
        return Empty()

    def _restart(self, command: ParticipantRestartIce) -> RestartResult:
        self._state(command.room, command.participant)
        return RestartResult(answer="restarted " + command.offer)

    def _update(self, command: ParticipantUpdate) -> ParticipantResult:
        state = self._state(command.room, command.participant)
        changed = self._put(command.room, state, metadata=command.metadata)
        self.publish(command.room, ParticipantUpdated(participant=state.participant, state=changed))
        return ParticipantResult(participant=changed)

    def _set_role(self, command: ParticipantSetRole) -> ParticipantResult:
        state = self._state(command.room, command.participant)
        if self.stage_is_full and command.role.is_on_stage and not state.role.is_on_stage:
            raise exhausted("max_speakers", "the stage is full")
        lowers = {"hand": None, "invited_until": None} if command.role.is_on_stage else {}
        changed = self._put(command.room, state, role=command.role, **lowers)
        if changed.role is not state.role:
            self.publish(
                command.room,
                RoleChanged(
                    participant=state.participant,
                    role=command.role,
                    previous=state.role,
                    actor=command.actor,
                ),
            )
        if state.hand is not None and changed.hand is None:
            self.publish(command.room, HandLowered(participant=state.participant))
        return ParticipantResult(participant=changed)

    # The stage.

    def _hand(self, command: HandRaise | HandLower) -> HandsResult:
        state = self._state(command.room, command.participant)
        body: EventBody
        if isinstance(command, HandRaise):
            if self.states[command.room].hand_policy == "closed":
                raise ControlError(ErrorCode.FAILED_PRECONDITION, "the room takes no hands")
            self._put(command.room, state, hand=5)
            body = HandRaised(participant=state.participant, raised_at=5)
        else:
            self._put(command.room, state, hand=None)
            body = HandLowered(participant=state.participant)
        self.publish(command.room, body)
        return HandsResult(hands=[])

    def _invite(self, command: StageInvite) -> ParticipantResult:
        state = self._state(command.room, command.participant)
        changed = self._put(command.room, state, invited_until=INVITED_UNTIL)
        self.publish(
            command.room,
            StageInvited(
                participant=state.participant, expires_at=INVITED_UNTIL, actor=command.actor
            ),
        )
        return ParticipantResult(participant=changed)

    def _accept(self, command: StageAccept) -> ParticipantResult:
        state = self._invited(command.room, command.participant)
        self.publish(command.room, StageAccepted(participant=state.participant))
        return self._set_role(
            ParticipantSetRole(
                room=command.room, participant=command.participant, role=Role.SPEAKER
            )
        )

    def _decline(self, command: StageDecline) -> ParticipantResult:
        state = self._invited(command.room, command.participant)
        changed = self._put(command.room, state, invited_until=None)
        self.publish(command.room, StageDeclined(participant=state.participant))
        return ParticipantResult(participant=changed)

    def _mute(self, command: TrackMute | TrackUnmute) -> ParticipantResult:
        state = self._state(command.room, command.participant)
        is_muted = isinstance(command, TrackMute)
        changed = self._put(command.room, state, muted=is_muted)
        body: EventBody = TrackUnmuted(participant=state.participant)
        if is_muted:
            body = TrackMuted(participant=state.participant, by="club", locked=False)
        self.publish(command.room, body)
        return ParticipantResult(participant=changed)

    def _subscription(self, command: SubscriptionGet) -> SubscriptionResult:
        state = self._state(command.room, command.participant)
        return SubscriptionResult(
            subscription=SubscriptionState(
                participant=state.participant,
                tier=state.tier,
                slots=state.slots,
                paused=False,
                mode="auto",
                always=[],
                never=[],
                cause="join",
            )
        )

    def _invited(self, room: str, participant: str) -> ParticipantState:
        state = self._state(room, participant)
        if state.invited_until is None:
            raise ControlError(ErrorCode.FAILED_PRECONDITION, "nobody was invited")
        return state

    def _room(self, room: str) -> People:
        if room not in self.rooms:
            raise not_found("room", room)
        return self.rooms[room]

    def _state(self, room: str, participant: str) -> ParticipantState:
        people = self._room(room)
        if participant not in people:
            raise not_found("participant", participant)
        return people[participant]

    def _put(self, room: str, state: ParticipantState, **changes: Any) -> ParticipantState:
        changed = msgspec.structs.replace(state, **changes)
        self.rooms[room][state.participant] = changed
        return changed


@contextlib.asynccontextmanager
async def fake_daemon(
    *, at: str | None = None, epoch: str = "epoch-1"
) -> AsyncIterator[FakeDaemon]:
    """A fake that listens at `unix:...`, or somewhere; `address_of` tells where."""
    daemon = FakeDaemon(epoch)
    with tempfile.TemporaryDirectory() as folder:
        async with daemon.server:
            await daemon.server.start(at or f"unix:{folder}/control")
            yield daemon


def address_of(daemon: FakeDaemon) -> str:
    """Where it listens, for a `Client`."""
    return str(daemon.server.endpoints[0])


def someone(role: Role = Role.LISTENER) -> ParticipantState:
    """A participant that is not a visitor of the club."""
    return participant_state("guest", role, name="Guest")
