"""What each command of the control protocol does. Each is one method; the answer is its result.

Refusals are ControlErrors; a refused command has changed nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from control.commands import (
    AnyCommand,
    Empty,
    HandList,
    HandLower,
    HandRaise,
    HandsResult,
    JoinResult,
    ParticipantGet,
    ParticipantJoin,
    ParticipantList,
    ParticipantRemove,
    ParticipantResult,
    ParticipantSetRole,
    ParticipantsResult,
    RoomClose,
    RoomCreate,
    RoomGet,
    RoomList,
    RoomResult,
    RoomSnapshot,
    RoomsResult,
    ServerInfo,
    ServerInfoResult,
    ServerStats,
    ServerStatsResult,
    SnapshotResult,
    TrackMute,
    TrackUnmute,
)
from control.errors import ControlError, ErrorCode
from control.types import LeaveReason
from sfu.stage import REASON_CLOSED, Room, RoomSettings
from sfu.worker.registry import Registry

T = TypeVar("T")

# Fifty states with the largest metadata (16 KiB) still fit a frame of 1 MiB.
PAGE_SIZE = 50
# A raised hand is small. Whoever raises one is told the first page, not ten thousand others.
HANDS_PAGE_SIZE = 200
PROTOCOL_VERSIONS = [1]


def page_of(items: Sequence[T], page: int, size: int = PAGE_SIZE) -> tuple[Sequence[T], int | None]:
    """One page and the number of the next, None on the last."""
    first = page * size
    is_last = first + size >= len(items)
    return items[first : first + size], None if is_last else page + 1


class Commands:
    """Executes command values against the registry."""

    def __init__(
        self,
        registry: Registry,
        *,
        epoch: str,
        wall_at_zero: float,
        counters: Callable[[], dict[str, int]],
    ) -> None:
        self._registry = registry
        self._epoch = epoch
        self._started_at_ms = round(wall_at_zero * 1000)
        self._counters = counters
        self._methods: dict[type[AnyCommand], Callable[[Any, float], Any]] = {
            ServerInfo: self._server_info,
            ServerStats: self._server_stats,
            RoomCreate: self._room_create,
            RoomGet: self._room_get,
            RoomList: self._room_list,
            RoomSnapshot: self._room_snapshot,
            RoomClose: self._room_close,
            ParticipantJoin: self._participant_join,
            ParticipantGet: self._participant_get,
            ParticipantList: self._participant_list,
            ParticipantSetRole: self._participant_set_role,
            ParticipantRemove: self._participant_remove,
            TrackMute: self._track_mute,
            TrackUnmute: self._track_unmute,
            HandRaise: self._hand_raise,
            HandLower: self._hand_lower,
            HandList: self._hand_list,
        }

    def execute(self, command: AnyCommand, now: float) -> Any:
        """The command's result; raises ControlError when it is refused."""
        method = self._methods.get(type(command))
        if method is None:
            raise ControlError(ErrorCode.UNIMPLEMENTED, f"no command {command.method} here")
        return method(command, now)

    # Server

    def _server_info(self, command: ServerInfo, now: float) -> ServerInfoResult:
        settings = self._registry.settings
        limits = {"rooms": settings.max_rooms, "participants": settings.max_participants}
        use = {"rooms": len(self._registry.rooms), "participants": len(self._registry.peers)}
        return ServerInfoResult(
            version=settings.version,
            protocol_versions=PROTOCOL_VERSIONS,
            node=settings.node,
            epoch=self._epoch,
            started_at=self._started_at_ms,
            draining=self._registry.is_draining,
            load=max(self._registry.load, *(use[name] / limit for name, limit in limits.items())),
            limits=limits,
            use=use,
        )

    def _server_stats(self, command: ServerStats, now: float) -> ServerStatsResult:
        return ServerStatsResult(counters=self._counters())

    # Rooms

    def _room_create(self, command: RoomCreate, now: float) -> RoomResult:
        limit = self._registry.settings.max_participants_per_room
        room = self._registry.rooms.get(command.room)
        if room is not None:
            room.apply(command, now, max_participants_limit=limit)
            self._registry.settle_room(room)
        else:
            settings = self._default_settings().changed_by(command, max_participants_limit=limit)
            room = self._registry.open_room(command.room, settings, now)
        return RoomResult(room=room.state())

    def _default_settings(self) -> RoomSettings:
        settings = self._registry.settings
        return RoomSettings(
            max_participants=settings.max_participants_per_room,
            max_speakers=settings.max_speakers_per_room,
            slots=settings.default_slots,
            empty_timeout_s=settings.default_empty_timeout_s,
        )

    def _room_get(self, command: RoomGet, now: float) -> RoomResult:
        return RoomResult(room=self._registry.room(command.room).state())

    def _room_list(self, command: RoomList, now: float) -> RoomsResult:
        rooms = [
            room for name, room in self._registry.rooms.items() if name.startswith(command.prefix)
        ]
        shown, next_page = page_of(rooms, command.page)
        return RoomsResult(rooms=[room.state() for room in shown], next_page=next_page)

    def _room_snapshot(self, command: RoomSnapshot, now: float) -> SnapshotResult:
        room = self._registry.room(command.room)
        return SnapshotResult(
            room=room.state(),
            participants=[room.participant_state(name) for name in room.participants],
            hands=room.hands,
            epoch=self._epoch,
            seq=0,  # whoever numbers the events states the position
        )

    def _room_close(self, command: RoomClose, now: float) -> Empty:
        room = self._registry.room(command.room)
        self._registry.close_room(
            room, command.reason or REASON_CLOSED, now, leave_reason=LeaveReason.ROOM_CLOSED
        )
        return Empty()

    # Participants

    def _participant_join(self, command: ParticipantJoin, now: float) -> JoinResult:
        negotiation = self._registry.join(command, now)
        room = self._registry.room(command.room)
        return JoinResult(
            participant=room.participant_state(command.participant), answer=negotiation.answer
        )

    def _participant_get(self, command: ParticipantGet, now: float) -> ParticipantResult:
        room = self._registry.room(command.room)
        return ParticipantResult(participant=room.participant_state(command.participant))

    def _participant_list(self, command: ParticipantList, now: float) -> ParticipantsResult:
        room = self._registry.room(command.room)
        names = [
            name
            for name, participant in room.participants.items()
            if command.role is None or participant.role is command.role
        ]
        shown, next_page = page_of(names, command.page)
        return ParticipantsResult(
            participants=[room.participant_state(name) for name in shown], next_page=next_page
        )

    def _participant_set_role(self, command: ParticipantSetRole, now: float) -> ParticipantResult:
        room = self._registry.room(command.room)
        room.set_role(command.participant, command.role, now, actor=command.actor)
        return self._changed(room, command.participant)

    def _participant_remove(self, command: ParticipantRemove, now: float) -> Empty:
        room = self._registry.room(command.room)
        room.participant_state(command.participant)  # not_found before anything happens
        peer = self._registry.peers.of(room.id, command.participant)
        assert peer is not None, "every participant of a room has a peer"
        self._registry.depart(
            peer, LeaveReason.REMOVED, now, detail=command.reason, ban_s=command.ban_s
        )
        return Empty()

    def _track_mute(self, command: TrackMute, now: float) -> ParticipantResult:
        room = self._registry.room(command.room)
        room.set_muted(command.participant, True, now, lock=command.lock, actor=command.actor)
        return self._changed(room, command.participant)

    def _track_unmute(self, command: TrackUnmute, now: float) -> ParticipantResult:
        room = self._registry.room(command.room)
        room.set_muted(command.participant, False, now, lock=command.lock, actor=command.actor)
        return self._changed(room, command.participant)

    def _changed(self, room: Room, participant: str) -> ParticipantResult:
        self._registry.settle_room(room)
        return ParticipantResult(participant=room.participant_state(participant))

    # Hands

    def _hand_raise(self, command: HandRaise, now: float) -> HandsResult:
        room = self._registry.room(command.room)
        room.raise_hand(command.participant, now)
        self._registry.settle_room(room)
        return self._hands(room, 0)

    def _hand_lower(self, command: HandLower, now: float) -> HandsResult:
        room = self._registry.room(command.room)
        room.lower_hand(command.participant)
        self._registry.settle_room(room)
        return self._hands(room, 0)

    def _hand_list(self, command: HandList, now: float) -> HandsResult:
        return self._hands(self._registry.room(command.room), command.page)

    def _hands(self, room: Room, page: int) -> HandsResult:
        hands, next_page = page_of(room.hands, page, HANDS_PAGE_SIZE)
        return HandsResult(hands=list(hands), next_page=next_page)
