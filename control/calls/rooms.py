"""(client) Calls about rooms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict, Unpack

from control.calls.asker import Asker
from control.commands import (
    RoomClose,
    RoomCreate,
    RoomGet,
    RoomList,
    RoomLock,
    RoomMuteAll,
    RoomSnapshot,
    RoomsResult,
    RoomSync,
    RoomUnlock,
    RoomUnmuteAll,
    RoomUpdate,
    SnapshotResult,
    SyncedParticipant,
    SyncResult,
)
from control.types import HandPolicy, Metadata, OrphanPolicy, Role, RoomState


class RoomFields(TypedDict, total=False):
    """The settings of a room; those left out keep their value, or the daemon's default.

    `slots` (1 to 6) is how many are heard at once. After `empty_timeout_s` without anybody the room
    is closed. With `orphan_policy` "close" it is also closed after `orphan_timeout_s` without any
    connection that may change it.
    """

    max_participants: int
    max_speakers: int
    slots: int
    hand_policy: HandPolicy
    empty_timeout_s: int
    orphan_policy: OrphanPolicy
    orphan_timeout_s: int
    metadata: Metadata


class RoomCalls(Asker):
    """All may raise not_found (`room`), but for `room_create` and `room_list`."""

    async def room_create(self, *, room: str, **fields: Unpack[RoomFields]) -> RoomState:
        """Create a room, or change the given fields of the one that exists.

        Errors: resource_exhausted (`rooms`), unavailable (draining).
        """
        return (await self.call(RoomCreate(room=room, **fields))).room

    async def room_update(
        self, *, room: str, if_version: int | None = None, **fields: Unpack[RoomFields]
    ) -> RoomState:
        """Change the given fields; with `if_version` only if nobody has changed it since.

        Errors: conflict (another version: look at it again).
        """
        return (await self.call(RoomUpdate(room=room, if_version=if_version, **fields))).room

    async def room_get(self, *, room: str) -> RoomState:
        """The state of a room. Errors: not_found (`room`)."""
        return (await self.call(RoomGet(room=room))).room

    async def room_list(self, *, prefix: str = "", page: int = 0) -> RoomsResult:
        """One page of the rooms whose id begins with `prefix`; `next_page` is None on the last."""
        return await self.call(RoomList(prefix=prefix, page=page))

    async def room_snapshot(self, *, room: str) -> SnapshotResult:
        """Room, participants, hands, and the event position from which to follow them.

        Errors: not_found (`room`), resource_exhausted (`frame_bytes`: use participant_list).
        """
        return await self.call(RoomSnapshot(room=room))

    async def room_close(self, *, room: str, reason: str | None = None) -> None:
        """Send everybody away with `room_closed`. Errors: not_found (`room`)."""
        await self.call(RoomClose(room=room, reason=reason))

    async def room_lock(self, *, room: str) -> None:
        """Take nobody new; whoever is in may be replaced."""
        await self.call(RoomLock(room=room))

    async def room_unlock(self, *, room: str) -> None:
        """Take newcomers again."""
        await self.call(RoomUnlock(room=room))

    async def room_mute_all(
        self,
        *,
        room: str,
        except_roles: Sequence[Role | str] = (),
        lock: bool = False,
        actor: str | None = None,
    ) -> list[str]:
        """Silence everybody on stage but these roles; who on stage is muted now."""
        roles = [Role(role) for role in except_roles]
        command = RoomMuteAll(room=room, except_roles=roles, lock=lock, actor=actor)
        return (await self.call(command)).muted

    async def room_unmute_all(
        self,
        *,
        room: str,
        except_roles: Sequence[Role | str] = (),
        lock: bool = False,
        actor: str | None = None,
    ) -> list[str]:
        """Undo mutes on stage, locked ones only with `lock`; who on stage is still muted."""
        roles = [Role(role) for role in except_roles]
        command = RoomUnmuteAll(room=room, except_roles=roles, lock=lock, actor=actor)
        return (await self.call(command)).muted

    async def room_sync(
        self, *, room: str, participants: Sequence[SyncedParticipant]
    ) -> SyncResult:
        """Make the room agree with this list: roles, mutes; whoever is not on it is removed.

        Nobody is added: the result's `missing` are those that are not there. Errors, and nothing
        has changed then: invalid_argument (twice on the list), resource_exhausted
        (`max_speakers`, `speakers`), failed_precondition (`muted` false, but the mute is locked and
        `locked` does not undo it).
        """
        return await self.call(RoomSync(room=room, participants=list(participants)))
