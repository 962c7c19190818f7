"""Commands about rooms."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from msgspec import Meta

from control.commands.command import Command, Empty, Page
from control.types import (
    Hand,
    HandPolicy,
    Metadata,
    Name,
    OrphanPolicy,
    ParticipantId,
    ParticipantState,
    Reason,
    Role,
    RoomId,
    RoomState,
    Seconds,
    Slots,
    Value,
)

# The largest room, and what a frame holds of short identifiers.
SYNC_PARTICIPANTS_MAX = 10_000


class RoomResult(Value, frozen=True, kw_only=True):
    room: RoomState


class RoomsResult(Value, frozen=True, kw_only=True, omit_defaults=True):
    """One page of rooms; `next_page` is None on the last."""

    rooms: list[RoomState]
    next_page: int | None = None


class SnapshotResult(Value, frozen=True, kw_only=True):
    """Everything about a room, and the event position it is true at.

    The control server writes `epoch` and `seq`, since it is what numbers events: events after that
    position apply to this state (some may already be in it; applying them again changes nothing).
    """

    room: RoomState
    participants: list[ParticipantState]
    hands: list[Hand]
    epoch: str
    seq: int


class MutedResult(Value, frozen=True, kw_only=True):
    """Who on stage is muted now, in the order they joined."""

    muted: list[str]


class SyncResult(Value, frozen=True, kw_only=True):
    """What `room.sync` did: how many left and were changed, and who of the list is not there."""

    removed: int
    changed: int
    missing: list[str]


class SyncedParticipant(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of `room.sync`: what a participant should be; absent fields stay as they are."""

    participant: ParticipantId
    role: Role
    muted: bool | None = None
    locked: bool | None = None


class RoomSettingsCommand(Command[RoomResult], frozen=True, kw_only=True):
    """The settings that may be given to a new room and to one that exists; absent ones stay."""

    room: RoomId
    max_participants: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    max_speakers: Annotated[int, Meta(ge=1, le=1_000)] | None = None
    slots: Slots | None = None
    hand_policy: HandPolicy | None = None
    empty_timeout_s: Seconds | None = None
    orphan_policy: OrphanPolicy | None = None
    orphan_timeout_s: Seconds | None = None
    metadata: Metadata | None = None


class RoomCreate(RoomSettingsCommand, frozen=True, kw_only=True):
    """Create, or return the existing room with the given fields applied."""

    method: ClassVar[str] = "room.create"
    result: ClassVar[Any] = RoomResult


class RoomGet(Command[RoomResult], frozen=True, kw_only=True):
    method: ClassVar[str] = "room.get"
    result: ClassVar[Any] = RoomResult
    mutates: ClassVar[bool] = False
    room: RoomId


class RoomList(Command[RoomsResult], frozen=True, kw_only=True):
    method: ClassVar[str] = "room.list"
    result: ClassVar[Any] = RoomsResult
    mutates: ClassVar[bool] = False
    is_bulky: ClassVar[bool] = True
    prefix: Annotated[str, Meta(max_length=128)] = ""
    page: Page = 0


class RoomListWithin(RoomList, frozen=True, kw_only=True):
    """What a session makes of `room.list` when only rooms that begin with one of `within` exist
    for it. Never on the wire."""

    within: tuple[str, ...]


class RoomSnapshot(Command[SnapshotResult], frozen=True, kw_only=True):
    method: ClassVar[str] = "room.snapshot"
    result: ClassVar[Any] = SnapshotResult
    mutates: ClassVar[bool] = False
    is_bulky: ClassVar[bool] = True
    room: RoomId


class RoomUpdate(RoomSettingsCommand, frozen=True, kw_only=True):
    """Change a room; with `if_version`, only if it is still that version (else `conflict`)."""

    method: ClassVar[str] = "room.update"
    result: ClassVar[Any] = RoomResult
    if_version: Annotated[int, Meta(ge=1)] | None = None


class RoomClose(Command[Empty], frozen=True, kw_only=True):
    method: ClassVar[str] = "room.close"
    result: ClassVar[Any] = Empty
    room: RoomId
    reason: Reason | None = None


class RoomLock(Command[Empty], frozen=True, kw_only=True):
    """Take nobody new; who is in may be replaced."""

    method: ClassVar[str] = "room.lock"
    result: ClassVar[Any] = Empty
    room: RoomId


class RoomUnlock(Command[Empty], frozen=True, kw_only=True):
    method: ClassVar[str] = "room.unlock"
    result: ClassVar[Any] = Empty
    room: RoomId


class RoomMuteAll(Command[MutedResult], frozen=True, kw_only=True):
    """Mute everybody on stage but those of `except_roles`; `lock` as of `track.mute`."""

    method: ClassVar[str] = "room.mute_all"
    result: ClassVar[Any] = MutedResult
    room: RoomId
    except_roles: Annotated[list[Role], Meta(max_length=3)] = []
    lock: bool = False
    actor: Name | None = None


class RoomUnmuteAll(Command[MutedResult], frozen=True, kw_only=True):
    """Undo mutes of everybody on stage but `except_roles`; locked ones only with `lock`."""

    method: ClassVar[str] = "room.unmute_all"
    result: ClassVar[Any] = MutedResult
    room: RoomId
    except_roles: Annotated[list[Role], Meta(max_length=3)] = []
    lock: bool = False
    actor: Name | None = None


class RoomSync(Command[SyncResult], frozen=True, kw_only=True):
    """Make the room agree with a list: roles and mutes, and whoever is not on it is removed.

    Nobody is added: a participant comes with an offer. All or nothing: a list with more people on
    stage than `max_speakers`, with a participant twice, or that unmutes under a lock, changes
    nothing.
    """

    method: ClassVar[str] = "room.sync"
    result: ClassVar[Any] = SyncResult
    room: RoomId
    participants: Annotated[list[SyncedParticipant], Meta(max_length=SYNC_PARTICIPANTS_MAX)]
