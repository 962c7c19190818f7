"""Commands about participants."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from control.commands.command import Command, Empty, Page
from control.types import (
    Metadata,
    Name,
    ParticipantId,
    ParticipantState,
    Profile,
    Reason,
    Role,
    RoomId,
    Sdp,
    Seconds,
    Value,
)


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


class RestartResult(Value, frozen=True, kw_only=True):
    """The SDP that the client applies: new ICE credentials, everything else as it was."""

    answer: str


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
    profile: Profile = "voice"


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
    is_bulky: ClassVar[bool] = True
    room: RoomId
    role: Role | None = None
    page: Page = 0


class ParticipantUpdate(Command[ParticipantResult], frozen=True, kw_only=True):
    """Change name or metadata (an empty name is none); with `if_generation`, only of that one."""

    method: ClassVar[str] = "participant.update"
    result: ClassVar[Any] = ParticipantResult
    room: RoomId
    participant: ParticipantId
    name: Name | None = None
    metadata: Metadata | None = None
    if_generation: Annotated[int, Meta(ge=1)] | None = None


class ParticipantSetRole(Command[ParticipantResult], frozen=True, kw_only=True):
    method: ClassVar[str] = "participant.set_role"
    result: ClassVar[Any] = ParticipantResult
    room: RoomId
    participant: ParticipantId
    role: Role
    actor: Name | None = None


class ParticipantRemove(Command[Empty], frozen=True, kw_only=True):
    """Send away; with `if_generation`, only that one: a late goodbye of its last connection."""

    method: ClassVar[str] = "participant.remove"
    result: ClassVar[Any] = Empty
    room: RoomId
    participant: ParticipantId
    reason: Reason | None = None
    ban_s: Seconds = 0
    if_generation: Annotated[int, Meta(ge=1)] | None = None


class ParticipantMove(Command[ParticipantResult], frozen=True, kw_only=True):
    """Change rooms on the same media connection: no new offer, ICE, DTLS or SRTP keys.

    Mute, mute lock, name, metadata and profile go along; `role` absent keeps the role.
    """

    method: ClassVar[str] = "participant.move"
    result: ClassVar[Any] = ParticipantResult
    room: RoomId
    participant: ParticipantId
    to_room: RoomId
    role: Role | None = None


class ParticipantRestartIce(Command[RestartResult], frozen=True, kw_only=True):
    """Answer an offer with new ICE credentials for a connection that lost its path.

    DTLS, SRTP, sequence numbers and slots are kept. The offer must be of the same session.
    """

    method: ClassVar[str] = "participant.restart_ice"
    result: ClassVar[Any] = RestartResult
    room: RoomId
    participant: ParticipantId
    offer: Sdp
