"""Commands about who may be heard: hands, invitations, mutes, priorities."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from msgspec import Meta

from control.commands.command import Command, Page
from control.commands.participant import ParticipantResult
from control.types import Hand, Name, ParticipantId, PriorityDb, RoomId, Value

# Long enough to find the phone, short enough that the stage is not blocked by somebody asleep.
INVITATION_S = 60


class HandsResult(Value, frozen=True, kw_only=True, omit_defaults=True):
    """One page of raised hands in the order raised; `next_page` is None on the last."""

    hands: list[Hand]
    next_page: int | None = None


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
    is_bulky: ClassVar[bool] = True
    room: RoomId
    page: Page = 0


class StageInvite(Command[ParticipantResult], frozen=True, kw_only=True):
    """Ask a listener onto the stage; again, the newer `expires_s` counts."""

    method: ClassVar[str] = "stage.invite"
    result: ClassVar[Any] = ParticipantResult
    room: RoomId
    participant: ParticipantId
    expires_s: Annotated[int, Meta(ge=1, le=86_400)] = INVITATION_S
    actor: Name | None = None


class StageAccept(Command[ParticipantResult], frozen=True, kw_only=True):
    """The invited listener becomes a speaker, muted."""

    method: ClassVar[str] = "stage.accept"
    result: ClassVar[Any] = ParticipantResult
    room: RoomId
    participant: ParticipantId


class StageDecline(Command[ParticipantResult], frozen=True, kw_only=True):
    """The invited listener stays one. Also how a backend takes an invitation back."""

    method: ClassVar[str] = "stage.decline"
    result: ClassVar[Any] = ParticipantResult
    room: RoomId
    participant: ParticipantId


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


class TrackSetPriority(Command[ParticipantResult], frozen=True, kw_only=True):
    """Compete for slots with this bonus in dB, in place of the one of the role; None: with that."""

    method: ClassVar[str] = "track.set_priority"
    result: ClassVar[Any] = ParticipantResult
    room: RoomId
    participant: ParticipantId
    priority_db: PriorityDb | None
