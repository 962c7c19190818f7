"""Commands about rooms."""

from __future__ import annotations

from functools import partial

from control.commands import (
    Empty,
    MutedResult,
    RoomClose,
    RoomCreate,
    RoomGet,
    RoomList,
    RoomListWithin,
    RoomLock,
    RoomMuteAll,
    RoomResult,
    RoomSnapshot,
    RoomsResult,
    RoomSync,
    RoomUnlock,
    RoomUnmuteAll,
    RoomUpdate,
    SnapshotResult,
    SyncResult,
)
from control.types import LeaveReason
from sfu.stage import REASON_CLOSED, RoomSettings
from sfu.stage.sync import plan_sync
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
            RoomListWithin: self._list,
            RoomSnapshot: self._snapshot,
            RoomUpdate: self._update,
            RoomClose: self._close,
            RoomLock: partial(self._set_locked, locked=True),
            RoomUnlock: partial(self._set_locked, locked=False),
            RoomMuteAll: partial(self._mute_all, muted=True),
            RoomUnmuteAll: partial(self._mute_all, muted=False),
            RoomSync: self._sync,
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
        within = command.within if isinstance(command, RoomListWithin) else ("",)
        rooms = [
            room
            for name, room in self._registry.rooms.items()
            if name.startswith(command.prefix) and name.startswith(within)
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

    def _update(self, command: RoomUpdate, now: float) -> RoomResult:
        room = self._registry.room(command.room)
        limit = self._registry.settings.max_participants_per_room
        room.apply(command, now, max_participants_limit=limit, if_version=command.if_version)
        self._registry.settle_room(room)
        return RoomResult(room=room.state())

    def _set_locked(self, command: RoomLock | RoomUnlock, now: float, *, locked: bool) -> Empty:
        room = self._registry.room(command.room)
        room.set_locked(locked, now)
        self._registry.settle_room(room)
        return Empty()

    def _mute_all(
        self, command: RoomMuteAll | RoomUnmuteAll, now: float, *, muted: bool
    ) -> MutedResult:
        room = self._registry.room(command.room)
        names = room.moderation.set_all_muted(
            muted, now, lock=command.lock, except_roles=command.except_roles, actor=command.actor
        )
        self._registry.settle_room(room)
        return MutedResult(muted=names)

    def _sync(self, command: RoomSync, now: float) -> SyncResult:
        room = self._registry.room(command.room)
        plan = plan_sync(command.participants, room.participants, room.settings)
        self._registry.intake.check_stage(now, plan.on_stage - room.on_stage)
        for name in plan.leaving:
            self._registry.depart(self._registry.peer(room, name), LeaveReason.REMOVED, now)
        changed = plan.apply(room.moderation, now)
        self._registry.settle_room(room)
        return SyncResult(removed=len(plan.leaving), changed=changed, missing=plan.missing)

    def _close(self, command: RoomClose, now: float) -> Empty:
        room = self._registry.room(command.room)
        self._registry.close_room(
            room, command.reason or REASON_CLOSED, now, leave_reason=LeaveReason.ROOM_CLOSED
        )
        return Empty()
