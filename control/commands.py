"""The commands of the control protocol, version 1: one immutable type each, with its result type.

A command is a value: it can be validated, logged, queued and sent to another process. `method` is
its name on the wire, `result` the type its answer converts to, `mutates` whether it may change
anything (and so needs a scope beyond `read`). Unknown fields are refused with their path.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

import msgspec
from msgspec import Meta

from control.types import (
    Hand,
    HandPolicy,
    Metadata,
    Name,
    ParticipantId,
    ParticipantState,
    Reason,
    Role,
    RoomId,
    RoomState,
    Sdp,
    Seconds,
    Slots,
    Value,
)

R = TypeVar("R")

Page = Annotated[int, Meta(ge=0, le=1_000_000)]


class Command(
    msgspec.Struct,
    Generic[R],
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
):
    """A request to the daemon; `R` is what it answers with."""

    method: ClassVar[str]
    result: ClassVar[Any]
    mutates: ClassVar[bool] = True


class Empty(Value, frozen=True, kw_only=True):
    """`{}`: done, nothing to tell."""


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


class ParticipantResult(Value, frozen=True, kw_only=True):
    participant: ParticipantState


class ParticipantsResult(Value, frozen=True, kw_only=True, omit_defaults=True):
    """One page of participants; `next_page` is None on the last."""

    participants: list[ParticipantState]
    next_page: int | None = None


class JoinResult(Value, frozen=True, kw_only=True):
    """`answer` is the SDP that the client applies; it is final for the life of the connection."""

    participant: ParticipantState
    answer: str


class HandsResult(Value, frozen=True, kw_only=True, omit_defaults=True):
    """One page of raised hands in the order raised; `next_page` is None on the last."""

    hands: list[Hand]
    next_page: int | None = None


class ServerInfoResult(Value, frozen=True, kw_only=True):
    """What this daemon is and how full it is; `limits` and `use` have the same keys."""

    version: str
    protocol_versions: list[int]
    node: str
    epoch: str
    started_at: int
    draining: bool
    load: float
    limits: dict[str, int]
    use: dict[str, int]


class ServerStatsResult(Value, frozen=True, kw_only=True):
    """Counters since start, by name."""

    counters: dict[str, int]


class Position(Value, frozen=True, kw_only=True):
    """A place in the stream of events: numbers are comparable within one `epoch` only."""

    epoch: str
    seq: Annotated[int, Meta(ge=0)]


class HelloResult(Value, frozen=True, kw_only=True):
    """Who answered; `challenge` (32 bytes) is what `auth` signs, `limits` are sizes and counts."""

    version: int
    server: str
    node: str
    epoch: str
    challenge: bytes
    auth_required: bool
    limits: dict[str, int]


class AuthResult(Value, frozen=True, kw_only=True):
    scopes: list[str]


class Hello(Command[HelloResult], frozen=True, kw_only=True, forbid_unknown_fields=False):
    """The first request of a session. Unknown fields are ignored, so that newer clients can ask."""

    method: ClassVar[str] = "hello"
    result: ClassVar[Any] = HelloResult
    mutates: ClassVar[bool] = False
    versions: Annotated[list[int], Meta(min_length=1, max_length=64)]
    client: Annotated[str, Meta(max_length=128)]
    key_id: Annotated[str, Meta(max_length=128)] | None = None


class Auth(Command[AuthResult], frozen=True, kw_only=True):
    method: ClassVar[str] = "auth"
    result: ClassVar[Any] = AuthResult
    mutates: ClassVar[bool] = False
    key_id: Annotated[str, Meta(max_length=128)]
    mac: bytes


class Ping(Command[Empty], frozen=True, kw_only=True):
    method: ClassVar[str] = "ping"
    result: ClassVar[Any] = Empty
    mutates: ClassVar[bool] = False


class EventsSubscribe(Command[Position], frozen=True, kw_only=True):
    """Sets what events this connection gets: `rooms` absent all, `[]` none. The last one counts."""

    method: ClassVar[str] = "events.subscribe"
    result: ClassVar[Any] = Position
    mutates: ClassVar[bool] = False
    # A connection that follows more single rooms than this is better off with all of them.
    rooms: Annotated[list[RoomId], Meta(max_length=10_000)] | None = None
    since: Position | None = None


class ServerInfo(Command[ServerInfoResult], frozen=True, kw_only=True):
    method: ClassVar[str] = "server.info"
    result: ClassVar[Any] = ServerInfoResult
    mutates: ClassVar[bool] = False


class ServerStats(Command[ServerStatsResult], frozen=True, kw_only=True):
    method: ClassVar[str] = "server.stats"
    result: ClassVar[Any] = ServerStatsResult
    mutates: ClassVar[bool] = False


class RoomCreate(Command[RoomResult], frozen=True, kw_only=True):
    """Create, or return the existing room with the given fields applied; absent ones stay."""

    method: ClassVar[str] = "room.create"
    result: ClassVar[Any] = RoomResult
    room: RoomId
    max_participants: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    max_speakers: Annotated[int, Meta(ge=1, le=1_000)] | None = None
    slots: Slots | None = None
    hand_policy: HandPolicy | None = None
    empty_timeout_s: Seconds | None = None
    metadata: Metadata | None = None


class RoomGet(Command[RoomResult], frozen=True, kw_only=True):
    method: ClassVar[str] = "room.get"
    result: ClassVar[Any] = RoomResult
    mutates: ClassVar[bool] = False
    room: RoomId


class RoomList(Command[RoomsResult], frozen=True, kw_only=True):
    method: ClassVar[str] = "room.list"
    result: ClassVar[Any] = RoomsResult
    mutates: ClassVar[bool] = False
    prefix: Annotated[str, Meta(max_length=128)] = ""
    page: Page = 0


class RoomSnapshot(Command[SnapshotResult], frozen=True, kw_only=True):
    method: ClassVar[str] = "room.snapshot"
    result: ClassVar[Any] = SnapshotResult
    mutates: ClassVar[bool] = False
    room: RoomId


class RoomClose(Command[Empty], frozen=True, kw_only=True):
    method: ClassVar[str] = "room.close"
    result: ClassVar[Any] = Empty
    room: RoomId
    reason: Reason | None = None


class ParticipantJoin(Command[JoinResult], frozen=True, kw_only=True):
    method: ClassVar[str] = "participant.join"
    result: ClassVar[Any] = JoinResult
    room: RoomId
    participant: ParticipantId
    role: Role
    offer: Sdp
    name: Name | None = None
    metadata: Metadata | None = None
    on_duplicate: Literal["replace", "reject"] = "replace"
    echo_group: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    muted: bool = False


class ParticipantGet(Command[ParticipantResult], frozen=True, kw_only=True):
    method: ClassVar[str] = "participant.get"
    result: ClassVar[Any] = ParticipantResult
    mutates: ClassVar[bool] = False
    room: RoomId
    participant: ParticipantId


class ParticipantList(Command[ParticipantsResult], frozen=True, kw_only=True):
    method: ClassVar[str] = "participant.list"
    result: ClassVar[Any] = ParticipantsResult
    mutates: ClassVar[bool] = False
    room: RoomId
    role: Role | None = None
    page: Page = 0


class ParticipantSetRole(Command[ParticipantResult], frozen=True, kw_only=True):
    method: ClassVar[str] = "participant.set_role"
    result: ClassVar[Any] = ParticipantResult
    room: RoomId
    participant: ParticipantId
    role: Role
    actor: Name | None = None


class ParticipantRemove(Command[Empty], frozen=True, kw_only=True):
    method: ClassVar[str] = "participant.remove"
    result: ClassVar[Any] = Empty
    room: RoomId
    participant: ParticipantId
    reason: Reason | None = None
    ban_s: Seconds = 0


class TrackMute(Command[ParticipantResult], frozen=True, kw_only=True):
    """`lock`: stays muted until `track.unmute` with `lock` set."""

    method: ClassVar[str] = "track.mute"
    result: ClassVar[Any] = ParticipantResult
    room: RoomId
    participant: ParticipantId
    lock: bool = False
    actor: Name | None = None


class TrackUnmute(Command[ParticipantResult], frozen=True, kw_only=True):
    method: ClassVar[str] = "track.unmute"
    result: ClassVar[Any] = ParticipantResult
    room: RoomId
    participant: ParticipantId
    lock: bool = False
    actor: Name | None = None


class HandRaise(Command[HandsResult], frozen=True, kw_only=True):
    method: ClassVar[str] = "hand.raise"
    result: ClassVar[Any] = HandsResult
    room: RoomId
    participant: ParticipantId


class HandLower(Command[HandsResult], frozen=True, kw_only=True):
    method: ClassVar[str] = "hand.lower"
    result: ClassVar[Any] = HandsResult
    room: RoomId
    participant: ParticipantId


class HandList(Command[HandsResult], frozen=True, kw_only=True):
    method: ClassVar[str] = "hand.list"
    result: ClassVar[Any] = HandsResult
    mutates: ClassVar[bool] = False
    room: RoomId
    page: Page = 0


AnyCommand = Command[Any]

COMMANDS: dict[str, type[AnyCommand]] = {
    command.method: command
    for command in (
        ServerInfo,
        ServerStats,
        RoomCreate,
        RoomGet,
        RoomList,
        RoomSnapshot,
        RoomClose,
        ParticipantJoin,
        ParticipantGet,
        ParticipantList,
        ParticipantSetRole,
        ParticipantRemove,
        TrackMute,
        TrackUnmute,
        HandRaise,
        HandLower,
        HandList,
    )
}

SESSION_COMMANDS: dict[str, type[AnyCommand]] = {
    command.method: command for command in (Hello, Auth, Ping, EventsSubscribe)
}
"""What a session answers by itself; no handler ever sees these."""
