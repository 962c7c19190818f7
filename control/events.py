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


class ServerDraining(EventBody, frozen=True, kw_only=True):
    method: ClassVar[str] = "server.draining"
    deadline_ms: int


class EventsGap(EventBody, frozen=True, kw_only=True):
    """Events `from_` to `to` (inclusive sequence numbers) are gone; ask for a snapshot."""

    method: ClassVar[str] = "events.gap"
    from_: int = msgspec.field(name="from")
    to: int


class SessionClosed(EventBody, frozen=True, kw_only=True):
    """The last thing said on a connection: why it is being closed."""

    method: ClassVar[str] = "session.closed"
    code: str
    message: str


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
        TrackMuted,
        TrackUnmuted,
        SpeakersChanged,
        ServerDraining,
        EventsGap,
        SessionClosed,
    )
}
