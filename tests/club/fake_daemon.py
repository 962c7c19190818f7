"""A control server over one simple table of rooms: the daemon as the club sees it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from control.commands import (
    AnyCommand,
    Empty,
    HandLower,
    HandRaise,
    HandsResult,
    JoinResult,
    ParticipantJoin,
    ParticipantRemove,
    ParticipantResult,
    ParticipantSetRole,
    RoomCreate,
    RoomResult,
    RoomSnapshot,
    SnapshotResult,
    TrackMute,
    TrackUnmute,
)
from control.endpoint import TcpEndpoint
from control.errors import exhausted, not_found
from control.events import (
    EventBody,
    HandLowered,
    HandRaised,
    ParticipantJoined,
    ParticipantLeft,
    RoleChanged,
    TrackMuted,
    TrackUnmuted,
)
from control.server import Server
from control.types import LeaveReason, ParticipantState, Role
from tests.club.states import participant_state, room_state

Room = dict[str, ParticipantState]


class FakeDaemon:
    """Obeys the commands that the club uses, and publishes what the daemon would."""

    def __init__(self, epoch: str) -> None:
        self.rooms: dict[str, Room] = {}
        self.commands: list[AnyCommand] = []
        self.epoch = epoch
        self.server = Server(self, epoch=epoch)
        self.stage_is_full = False
        self._generation = 0

    async def submit(self, command: AnyCommand) -> Any:
        """What the server calls: run the command, return its result."""
        self.commands.append(command)
        match command:
            case RoomCreate(room=room):
                self.rooms.setdefault(room, {})
                return RoomResult(room=room_state(room))
            case RoomSnapshot(room=room):
                return self._snapshot(room)
            case ParticipantJoin():
                return self._join(command)
            case ParticipantRemove(room=room, participant=participant, reason=reason):
                self.leave(room, participant, LeaveReason.REMOVED, reason)
                return Empty()
            case HandRaise() | HandLower():
                return self._hand(command)
            case ParticipantSetRole() | TrackMute() | TrackUnmute():
                return self._change(command)
        raise AssertionError(f"the club does not use {command.method}")

    def leave(
        self, room: str, participant: str, reason: LeaveReason, detail: str | None = None
    ) -> None:
        """The participant goes, as the daemon tells it."""
        generation = self._state(room, participant).generation
        del self.rooms[room][participant]
        self._tell(
            room,
            ParticipantLeft(
                participant=participant, reason=reason, generation=generation, detail=detail
            ),
        )

    def publish(self, room: str, body: EventBody) -> None:
        """Any event."""
        self._tell(room, body)

    def count(self, kind: type[AnyCommand]) -> int:
        """How many commands of a kind came."""
        return sum(isinstance(command, kind) for command in self.commands)

    def _snapshot(self, room: str) -> SnapshotResult:
        if room not in self.rooms:
            raise not_found("room", room)
        return SnapshotResult(
            room=room_state(room),
            participants=list(self.rooms[room].values()),
            hands=[],
            epoch=self.epoch,
            seq=self.server.seq,
        )

    def _join(self, command: ParticipantJoin) -> JoinResult:
        if self.stage_is_full and command.role.is_on_stage:
            raise exhausted("max_speakers", "the stage is full")
        self._generation += 1
        state = participant_state(
            command.participant,
            command.role,
            muted=command.muted,
            name=command.name,
            generation=self._generation,
            joined_at=self._generation,
        )
        self.rooms[command.room][command.participant] = state
        self._tell(command.room, ParticipantJoined(participant=state.participant, state=state))
        return JoinResult(participant=state, answer="answer to " + command.offer)

    def _hand(self, command: HandRaise | HandLower) -> HandsResult:
        state = self._state(command.room, command.participant)
        body: EventBody
        if isinstance(command, HandRaise):
            self._put(command.room, state, hand=5)
            body = HandRaised(participant=state.participant, raised_at=5)
        else:
            self._put(command.room, state, hand=None)
            body = HandLowered(participant=state.participant)
        self._tell(command.room, body)
        return HandsResult(hands=[])

    def _change(self, command: ParticipantSetRole | TrackMute | TrackUnmute) -> ParticipantResult:
        state = self._state(command.room, command.participant)
        body: EventBody
        match command:
            case ParticipantSetRole(role=role, actor=actor):
                changed = self._put(command.room, state, role=role)
                body = RoleChanged(
                    participant=state.participant, role=role, previous=state.role, actor=actor
                )
            case TrackMute():
                changed = self._put(command.room, state, muted=True)
                body = TrackMuted(participant=state.participant, by="club", locked=False)
            case TrackUnmute():
                changed = self._put(command.room, state, muted=False)
                body = TrackUnmuted(participant=state.participant)
        self._tell(command.room, body)
        return ParticipantResult(participant=changed)

    def _state(self, room: str, participant: str) -> ParticipantState:
        if room not in self.rooms:
            raise not_found("room", room)
        if participant not in self.rooms[room]:
            raise not_found("participant", participant)
        return self.rooms[room][participant]

    def _put(self, room: str, state: ParticipantState, **changes: Any) -> ParticipantState:
        changed = msgspec.structs.replace(state, **changes)
        self.rooms[room][state.participant] = changed
        return changed

    def _tell(self, room: str, body: EventBody) -> None:
        self.server.publish(room, body)


@contextlib.asynccontextmanager
async def fake_daemon(*, port: int = 0, epoch: str = "epoch-1") -> AsyncIterator[FakeDaemon]:
    """A listening fake; its port is in `server.endpoints`."""
    daemon = FakeDaemon(epoch)
    async with daemon.server:
        await daemon.server.start(f"127.0.0.1:{port}")
        yield daemon


def port_of(daemon: FakeDaemon) -> int:
    """Where it listens."""
    endpoint = daemon.server.endpoints[0]
    assert isinstance(endpoint, TcpEndpoint)
    return endpoint.port


def someone(role: Role = Role.LISTENER) -> ParticipantState:
    """A participant that is not a visitor of the club."""
    return participant_state("guest", role, name="Guest")
