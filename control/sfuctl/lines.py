"""Events, one line each. No IO."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import msgspec

from control.events import (
    Event,
    EventBody,
    EventsGap,
    HandLowered,
    HandRaised,
    ParticipantConnected,
    ParticipantDisconnected,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantUpdated,
    QualityChanged,
    RoleChanged,
    RoomClosed,
    RoomCreated,
    RoomUpdated,
    ServerDraining,
    ServerOverloaded,
    ServerRecovered,
    ServerUndrained,
    SessionClosed,
    SpeakersChanged,
    StageAccepted,
    StageDeclined,
    StageExpired,
    StageInvited,
    TrackMuted,
    TrackUnmuted,
    UnknownEvent,
)
from control.sfuctl.qualities import cause
from control.sfuctl.tables import clock, printable
from control.types import ActiveSpeaker, RoomState


def event_line(one: Event) -> str:
    """Time, number, room and a sentence."""
    words = [clock(one.at), f"#{one.seq}", *([] if one.room is None else [f"{one.room}:"])]
    return printable(" ".join([*words, sentence(one.body)]))


def event_json(one: Event) -> str:
    """One line of JSON, in the shape of the wire."""
    body = one.body
    is_known = not isinstance(body, UnknownEvent)
    name = body.name if isinstance(body, UnknownEvent) else body.method
    fields = msgspec.to_builtins(body) if is_known else one.body.fields  # type: ignore[attr-defined]
    envelope = {"epoch": one.epoch, "seq": one.seq, "at": one.at, "m": name, "room": one.room}
    return msgspec.json.encode({**envelope, "p": fields}).decode()


def sentence(body: EventBody) -> str:
    """What happened."""
    return _SENTENCES[type(body)](body)


def _by(actor: str | None) -> str:
    return "" if actor is None else f" by {actor}"


def _settings(state: RoomState) -> str:
    door = "locked" if state.locked else "unlocked"
    return (
        f"at most {state.max_participants} people and {state.max_speakers} on stage, "
        f"{state.slots} slots, {door}, hands {state.hand_policy}, version {state.version}"
    )


def _joined(body: ParticipantJoined) -> str:
    state = body.state
    named = "" if state.name is None else f" ({state.name})"
    muted = ", muted" if state.muted else ""
    return f"{body.participant}{named} joined as {state.role.value}{muted}"


def _left(body: ParticipantLeft) -> str:
    detail = "" if body.detail is None else f": {body.detail}"
    return f"{body.participant} left ({body.reason.value}{detail})"


def _role(body: RoleChanged) -> str:
    return (
        f"{body.participant} is a {body.role.value} now, no longer a {body.previous.value}"
        f"{_by(body.actor)}"
    )


def _updated(body: ParticipantUpdated) -> str:
    named = "no name" if body.state.name is None else body.state.name
    metadata = msgspec.json.encode(body.state.metadata).decode()
    return f"{body.participant} changed: {named}, metadata {metadata}"


def _muted(body: TrackMuted) -> str:
    locked = ", locked" if body.locked else ""
    return f"{body.participant} was muted by {body.by}{locked}"


def _speaker(one: ActiveSpeaker) -> str:
    slot = "no slot" if one.slot is None else f"slot {one.slot}"
    return f"{one.participant} ({slot}, -{one.level} dB)"


def _speakers(body: SpeakersChanged) -> str:
    return "speaking: " + (", ".join(map(_speaker, body.speakers)) or "nobody")


def _quality(body: QualityChanged) -> str:
    changed = f"{body.participant} is sent {body.tier} now, {body.previous} before"
    return f"{changed}: {cause(body.cause)}"


def _draining(body: ServerDraining) -> str:
    if body.migrate_by is not None:
        return f"the daemon asks this room to move by {clock(body.migrate_by)}"
    seconds = body.deadline_ms / 1_000
    return f"the daemon takes nobody new; everybody has to leave in {seconds:g} s"


def _gap(body: EventsGap) -> str:
    return f"events {body.from_} to {body.to} are missing here"


def _unknown(body: UnknownEvent) -> str:
    fields = [f"{name}={_word(value)}" for name, value in body.fields.items()]
    return " ".join([body.name, *fields])


def _word(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


_SENTENCES: Final[dict[type[EventBody], Callable[[Any], str]]] = {
    RoomCreated: lambda body: f"created: {_settings(body.state)}",
    RoomUpdated: lambda body: f"changed: {_settings(body.state)}",
    RoomClosed: lambda body: f"closed ({body.reason})",
    ParticipantJoined: _joined,
    ParticipantConnected: lambda body: f"{body.participant} is connected",
    ParticipantDisconnected: lambda body: f"{body.participant} went silent and may come back",
    ParticipantUpdated: _updated,
    ParticipantLeft: _left,
    RoleChanged: _role,
    HandRaised: lambda body: f"{body.participant} raised a hand",
    HandLowered: lambda body: f"{body.participant}'s hand is down",
    StageInvited: lambda body: (
        f"{body.participant} was invited to the stage{_by(body.actor)} until "
        f"{clock(body.expires_at)}"
    ),
    StageAccepted: lambda body: f"{body.participant} accepted the invitation",
    StageDeclined: lambda body: f"{body.participant} declined the invitation",
    StageExpired: lambda body: f"{body.participant}'s invitation ran out",
    TrackMuted: _muted,
    TrackUnmuted: lambda body: f"{body.participant} was unmuted",
    SpeakersChanged: _speakers,
    QualityChanged: _quality,
    ServerDraining: _draining,
    ServerUndrained: lambda body: "the daemon takes newcomers again",
    ServerOverloaded: lambda body: f"the daemon is full: {body.limit}",
    ServerRecovered: lambda body: f"the daemon has room again: {body.limit}",
    EventsGap: _gap,
    SessionClosed: lambda body: f"the daemon closed the session ({body.code}: {body.message})",
    UnknownEvent: _unknown,
}
