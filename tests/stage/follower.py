"""What a backend knows of a room that only reads its events, and what is true of it."""

from __future__ import annotations

from functools import singledispatchmethod
from typing import Any

import msgspec

from control.events import (
    EventBody,
    HandLowered,
    HandRaised,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantUpdated,
    RoleChanged,
    RoomCreated,
    RoomUpdated,
    StageAccepted,
    StageDeclined,
    StageExpired,
    StageInvited,
    TrackMuted,
    TrackUnmuted,
)
from control.types import ParticipantState, ParticipantStatus, RoomState
from tests.stage.harness import Stage


class Follower:
    """Takes events in order; `participants` and `room` are then as the daemon would tell them.

    Left out is what other events or none tell: speakers, counts, tiers and the connection's state.
    """

    def __init__(self) -> None:
        self.room: RoomState | None = None
        self.participants: dict[str, ParticipantState] = {}

    @singledispatchmethod
    def take(self, body: EventBody) -> None:
        """Most events are of no concern here."""

    @take.register
    def _(self, body: RoomCreated | RoomUpdated) -> None:
        self.room = body.state

    @take.register
    def _(self, body: ParticipantJoined) -> None:
        assert body.participant not in self.participants, "joined twice"
        self.participants[body.participant] = body.state

    @take.register
    def _(self, body: ParticipantUpdated) -> None:
        assert body.participant in self.participants
        self.participants[body.participant] = body.state

    @take.register
    def _(self, body: ParticipantLeft) -> None:
        assert self.participants[body.participant].generation == body.generation
        del self.participants[body.participant]

    @take.register
    def _(self, body: RoleChanged) -> None:
        present = self.participants[body.participant]
        assert present.role is body.previous is not body.role
        self._change(body.participant, role=body.role)
        if body.role.is_on_stage:
            self._change(body.participant, invited_until=None)

    @take.register
    def _(self, body: TrackMuted) -> None:
        present = self.participants[body.participant]
        assert (present.muted, present.mute_locked) != (True, body.locked), "told for nothing"
        self._change(body.participant, muted=True, mute_locked=body.locked)

    @take.register
    def _(self, body: TrackUnmuted) -> None:
        assert self.participants[body.participant].muted, "told for nothing"
        self._change(body.participant, muted=False, mute_locked=False)

    @take.register
    def _(self, body: HandRaised) -> None:
        self._change(body.participant, hand=body.raised_at)

    @take.register
    def _(self, body: HandLowered) -> None:
        self._change(body.participant, hand=None)

    @take.register
    def _(self, body: StageInvited) -> None:
        self._change(body.participant, invited_until=body.expires_at)

    @take.register
    def _(self, body: StageAccepted | StageDeclined | StageExpired) -> None:
        assert self.participants[body.participant].invited_until is not None
        self._change(body.participant, invited_until=None)

    def _change(self, participant: str, **fields: Any) -> None:
        present = self.participants[participant]
        self.participants[participant] = msgspec.structs.replace(present, **fields)


def comparable(state: ParticipantState) -> ParticipantState:
    """Without what no event of a participant's tells: its connection, and what it is sent."""
    return msgspec.structs.replace(state, state=ParticipantStatus.NEW, tier="", slots=0)


def everything(stage: Stage) -> tuple[Any, ...]:
    """All that anybody could see of a room, and what stands in the forwarder for it."""
    room, forwarder = stage.room, stage.forwarder
    return (
        room.state(),
        {name: room.participant_state(name) for name in room.participants},
        {name: room.subscriptions.state(name) for name in room.participants},
        room.hands,
        room.next_deadline(),
        dict(forwarder.slots),
        dict(forwarder.subscriptions),
        {source for source, row in forwarder.sources.items() if row.audible},
    )
