"""Short ways to make the daemon's state values in tests."""

from __future__ import annotations

from control.commands import SnapshotResult
from control.events import Event, EventBody
from control.types import (
    Counts,
    Metadata,
    ParticipantState,
    ParticipantStatus,
    Role,
    RoomState,
)

EPOCH = "epoch-1"


def room_state(room: str) -> RoomState:
    """An empty room with the daemon's defaults."""
    return RoomState(
        room=room,
        created_at=1,
        max_participants=10_000,
        max_speakers=20,
        slots=3,
        locked=False,
        hand_policy="open",
        empty_timeout_s=300,
        metadata={},
        version=1,
        counts=Counts(),
        speakers=[],
    )


def participant_state(
    participant: str,
    role: Role = Role.LISTENER,
    *,
    muted: bool = True,
    hand: int | None = None,
    generation: int = 1,
    name: str | None = None,
    joined_at: int = 1,
    metadata: Metadata | None = None,
) -> ParticipantState:
    """A connected participant."""
    return ParticipantState(
        participant=participant,
        number=1,
        role=role,
        state=ParticipantStatus.CONNECTED,
        muted=muted,
        mute_locked=False,
        hand=hand,
        tier="A1",
        slots=3,
        joined_at=joined_at,
        metadata=metadata or {},
        generation=generation,
        name=name,
    )


def snapshot(room: str, *participants: ParticipantState, seq: int = 10) -> SnapshotResult:
    """`participants` in `room`, true at event `seq`."""
    return SnapshotResult(
        room=room_state(room), participants=list(participants), hands=[], epoch=EPOCH, seq=seq
    )


def event(body: EventBody, seq: int, *, room: str = "lobby", epoch: str = EPOCH) -> Event:
    """`body` as the daemon numbered it."""
    return Event(epoch=epoch, seq=seq, at=seq, room=room, body=body)
