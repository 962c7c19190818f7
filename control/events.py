"""The events of the control protocol, version 1: one immutable type each.

An event body is what stands in `p`; the envelope (`epoch`, `seq`, `at`, `room`) is `Event`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from control.types import ActiveSpeaker, LeaveReason, ParticipantState, Role, RoomState


class EventBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What happened; `method` is the name on the wire."""

    method: ClassVar[str]


class RoomCreated(EventBody, frozen=True, kw_only=True):
    method: ClassVar[str] = "room.created"
    state: RoomState


class RoomUpdated(EventBody, frozen=True, kw_only=True):
    method: ClassVar[str] = "room.updated"
    state: RoomState


class RoomClosed(EventBody, frozen=True, kw_only=True):
    method: ClassVar[str] = "room.closed"
    reason: str


class ParticipantJoined(EventBody, frozen=True, kw_only=True):
    method: ClassVar[str] = "participant.joined"
    participant: str
    state: ParticipantState


class ParticipantConnected(EventBody, frozen=True, kw_only=True):
    method: ClassVar[str] = "participant.connected"
    participant: str
    generation: int


class ParticipantDisconnected(EventBody, frozen=True, kw_only=True):
    """The media path went quiet; the participant is `suspect` and may yet come back."""

    method: ClassVar[str] = "participant.disconnected"
    participant: str
    generation: int


class ParticipantUpdated(EventBody, frozen=True, kw_only=True):
    method: ClassVar[str] = "participant.updated"
    participant: str
    state: ParticipantState


class ParticipantLeft(EventBody, frozen=True, kw_only=True):
    """`detail` is the free text a backend gave with `participant.remove`."""

    method: ClassVar[str] = "participant.left"
    participant: str
    reason: LeaveReason
    generation: int
    detail: str | None = None


class RoleChanged(EventBody, frozen=True, kw_only=True):
    method: ClassVar[str] = "role.changed"
    participant: str
    role: Role
    previous: Role
    actor: str | None = None


class HandRaised(EventBody, frozen=True, kw_only=True):
    method: ClassVar[str] = "hand.raised"
    participant: str
    raised_at: int


class HandLowered(EventBody, frozen=True, kw_only=True):
    method: ClassVar[str] = "hand.lowered"
    participant: str


class StageInvited(EventBody, frozen=True, kw_only=True):
    """`expires_at` is unix milliseconds."""

    method: ClassVar[str] = "stage.invited"
    participant: str
    expires_at: int
    actor: str | None = None


class StageAccepted(EventBody, frozen=True, kw_only=True):
    """The change of role is told by `role.changed`, after this."""

    method: ClassVar[str] = "stage.accepted"
    participant: str


class StageDeclined(EventBody, frozen=True, kw_only=True):
    method: ClassVar[str] = "stage.declined"
    participant: str


class StageExpired(EventBody, frozen=True, kw_only=True):
    method: ClassVar[str] = "stage.expired"
    participant: str


class TrackMuted(EventBody, frozen=True, kw_only=True):
    method: ClassVar[str] = "track.muted"
    participant: str
    by: str
    locked: bool


class TrackUnmuted(EventBody, frozen=True, kw_only=True):
    method: ClassVar[str] = "track.unmuted"
    participant: str


class SpeakersChanged(EventBody, frozen=True, kw_only=True):
    """A full snapshot, the dominant speaker first; `revision` only grows within a room."""

    method: ClassVar[str] = "speakers.changed"
    revision: int
    speakers: list[ActiveSpeaker]


class QualityChanged(EventBody, frozen=True, kw_only=True):
    """What a participant is sent changed in kind; `cause` says why, as in its subscription."""

    method: ClassVar[str] = "quality.changed"
    participant: str
    tier: str
    previous: str
    cause: str


class ServerDraining(EventBody, frozen=True, kw_only=True):
    """Nobody new is taken; whoever is still here in `deadline_ms` has to leave.

    Told once without a room, and then to each room where somebody is: with `migrate_by`, the unix
    milliseconds by which it should have moved, so that not all rooms come to others at once.
    """

    method: ClassVar[str] = "server.draining"
    deadline_ms: int
    migrate_by: int | None = None


class ServerUndrained(EventBody, frozen=True, kw_only=True):
    """Newcomers are taken again."""

    method: ClassVar[str] = "server.undrained"


class ServerOverloaded(EventBody, frozen=True, kw_only=True):
    """A limit of the daemon is reached, by the name that refusals carry in `detail.limit`."""

    method: ClassVar[str] = "server.overloaded"
    limit: str


class ServerRecovered(EventBody, frozen=True, kw_only=True):
    """There is room again below this limit."""

    method: ClassVar[str] = "server.recovered"
    limit: str


class EventsGap(EventBody, frozen=True, kw_only=True):
    """Events `from_` to `to` (inclusive sequence numbers) are gone; ask for a snapshot."""

    method: ClassVar[str] = "events.gap"
    from_: int = msgspec.field(name="from")
    to: int


class SessionClosed(EventBody, frozen=True, kw_only=True):
    """The last thing said on a connection: why it is being closed, and when to come again."""

    method: ClassVar[str] = "session.closed"
    code: str
    message: str
    retry_after_ms: int | None = None


class UnknownEvent(EventBody, frozen=True, kw_only=True):
    """(client) an event that this SDK has no type for."""

    method: ClassVar[str] = ""
    name: str
    fields: dict[str, Any]


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """An event as numbered: position (`epoch`, `seq`), time (`at`, unix ms), room and body."""

    epoch: str
    seq: int
    at: int
    room: str | None
    body: EventBody


EVENTS: dict[str, type[EventBody]] = {
    body.method: body
    for body in (
        RoomCreated,
        RoomUpdated,
        RoomClosed,
        ParticipantJoined,
        ParticipantConnected,
        ParticipantDisconnected,
        ParticipantUpdated,
        ParticipantLeft,
        RoleChanged,
        HandRaised,
        HandLowered,
        StageInvited,
        StageAccepted,
        StageDeclined,
        StageExpired,
        TrackMuted,
        TrackUnmuted,
        SpeakersChanged,
        QualityChanged,
        ServerDraining,
        ServerUndrained,
        ServerOverloaded,
        ServerRecovered,
        EventsGap,
        SessionClosed,
    )
}
