"""Commands about rooms."""

from __future__ import annotations

from control.commands import (
    Empty,
    RoomClose,
    RoomCreate,
    RoomGet,
    RoomList,
    RoomResult,
    RoomSnapshot,
    RoomsResult,
    SnapshotResult,
)
from control.types import LeaveReason
from sfu.stage import REASON_CLOSED, RoomSettings
from sfu.worker.commands.methods import Methods
from sfu.worker.commands.pages import page_of
from sfu.worker.registry import Registry


class RoomCommands:
    """`epoch` is this life of the daemon's state."""

    def __init__(self, registry: Registry, *, epoch: str) -> None:
        self._registry = registry
        self._epoch = epoch

    def methods(self) -> Methods:
        """By command."""
        return {
            RoomCreate: self._create,
            RoomGet: self._get,
            RoomList: self._list,
            RoomSnapshot: self._snapshot,
            RoomClose: self._close,
        }

    def _create(self, command: RoomCreate, now: float) -> RoomResult:
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

    def _get(self, command: RoomGet, now: float) -> RoomResult:
        return RoomResult(room=self._registry.room(command.room).state())

    def _list(self, command: RoomList, now: float) -> RoomsResult:
        rooms = [
            room for name, room in self._registry.rooms.items() if name.startswith(command.prefix)
        ]
        shown, next_page = page_of(rooms, command.page)
        return RoomsResult(rooms=[room.state() for room in shown], next_page=next_page)

    def _snapshot(self, command: RoomSnapshot, now: float) -> SnapshotResult:
        room = self._registry.room(command.room)
        return SnapshotResult(
            room=room.state(),
            participants=[room.participant_state(name) for name in room.participants],
            hands=room.hands,
            epoch=self._epoch,
            seq=0,  # whoever numbers the events states the position
        )

    def _close(self, command: RoomClose, now: float) -> Empty:
        room = self._registry.room(command.room)
        self._registry.close_room(
            room, command.reason or REASON_CLOSED, now, leave_reason=LeaveReason.ROOM_CLOSED
        )
        return Empty()
