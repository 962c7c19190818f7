"""What the club knows of one room: a snapshot from the daemon, kept true by its events.

The daemon numbers events; a snapshot says the number it is true at. Events that arrive while the
snapshot is asked for are kept and applied after it, so nothing is missed between the two. When too
many had to be kept, or events were lost, the roster says so and the owner asks for a snapshot
again.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from control.commands import SnapshotResult
from control.events import (
    Event,
    EventBody,
    HandLowered,
    HandRaised,
    ParticipantConnected,
    ParticipantDisconnected,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantUpdated,
    RoleChanged,
    SpeakersChanged,
    TrackMuted,
    TrackUnmuted,
)
from control.types import (
    ActiveSpeaker,
    LeaveReason,
    ParticipantState,
    ParticipantStatus,
    Role,
)

# A snapshot of a full room takes well under a second; more events than this in that time
# means that asking again is cheaper than keeping on.
PENDING_MAX = 2_000
# Names in the audience that a page is told; the rest is a number.
AUDIENCE_SHOWN = 60


class Roster:
    """Participants and speakers of one room. Out of step until the first `reset`."""

    def __init__(self, room: str) -> None:
        self.room = room
        self.participants: dict[str, ParticipantState] = {}
        self.speakers: list[ActiveSpeaker] = []
        self._position: tuple[str, int] | None = None
        self._pending: list[Event] | None = []
        self._view: str | None = None

    def reset(self, snapshot: SnapshotResult) -> bool:
        """Take the snapshot and the events kept meanwhile. False: too many came, ask again."""
        pending, self._pending = self._pending, None
        self.participants = {state.participant: state for state in snapshot.participants}
        self.speakers = list(snapshot.room.speakers)
        self._position = (snapshot.epoch, snapshot.seq)
        self._view = None
        if pending is not None and len(pending) >= PENDING_MAX:
            self._pending = []
            return False
        for event in pending or []:
            self.apply(event)
        return True

    def clear(self) -> None:
        """The room is empty, or not there."""
        self.participants = {}
        self.speakers = []
        self._position = None
        self._pending = None
        self._view = None

    def lose_step(self) -> None:
        """Events were lost: keep what comes until the next `reset`."""
        if self._pending is None:
            self._pending = []

    def apply(self, event: Event) -> bool:
        """Follow one event of this room; True when the view (not the speakers) changed."""
        if self._pending is not None:
            if len(self._pending) < PENDING_MAX:
                self._pending.append(event)
            return False
        if self._position is not None:
            epoch, seq = self._position
            if event.epoch == epoch and event.seq <= seq:
                return False
            self._position = (event.epoch, event.seq)
        if isinstance(event.body, SpeakersChanged):
            self.speakers = event.body.speakers
            return False
        changed = self._follow(event.body, event.at)
        if changed:
            self._view = None
        return changed

    def view(self) -> str:
        """The room as pages see it, JSON; the same for everybody."""
        if self._view is None:
            self._view = json.dumps(self._render())
        return self._view

    def speakers_view(self) -> str:
        """Who is speaking now, loudest claim first, JSON."""
        speaking = [{"id": item.participant, "level": item.level} for item in self.speakers]
        return json.dumps({"type": "speakers", "speakers": speaking})

    def you_view(self, participant: str, *, moderator: bool) -> str:
        """What a page must know of its own visitor, JSON; all off when it is not in the room."""
        state = self.participants.get(participant)
        return json.dumps(
            {
                "type": "you",
                "id": participant,
                "moderator": moderator,
                "present": state is not None,
                "role": state.role if state else Role.LISTENER,
                "muted": state.muted if state else True,
                "mute_locked": state.mute_locked if state else False,
                "hand": bool(state and state.hand is not None),
            }
        )

    def _follow(self, body: EventBody, at: int) -> bool:
        match body:
            case ParticipantJoined() | ParticipantUpdated():
                self.participants[body.participant] = body.state
            case ParticipantLeft():
                return self._remove(body)
            case ParticipantConnected():
                return self._change(body.participant, state=ParticipantStatus.CONNECTED)
            case ParticipantDisconnected():
                return self._change(body.participant, state=ParticipantStatus.SUSPECT)
            case RoleChanged():
                return self._change(body.participant, role=body.role)
            case HandRaised():
                return self._change(body.participant, hand=body.raised_at)
            case HandLowered():
                return self._change(body.participant, hand=None)
            case TrackMuted():
                return self._change(body.participant, muted=True, mute_locked=body.locked)
            case TrackUnmuted():
                return self._change(body.participant, muted=False, mute_locked=False)
            case _:
                return False
        return True

    def _change(self, participant: str, **changes: Any) -> bool:
        state = self.participants.get(participant)
        if state is None:
            return False
        self.participants[participant] = msgspec.structs.replace(state, **changes)
        return True

    def _remove(self, body: ParticipantLeft) -> bool:
        state = self.participants.get(body.participant)
        # The farewell of a connection that a newer one of the same participant replaced.
        if state is None or body.reason is LeaveReason.REPLACED:
            return False
        if body.generation < state.generation:
            return False
        del self.participants[body.participant]
        return True

    def _render(self) -> dict[str, Any]:
        everybody = sorted(self.participants.values(), key=lambda state: state.joined_at)
        stage = [state for state in everybody if state.role.is_on_stage]
        audience = [state for state in everybody if not state.role.is_on_stage]
        hands = sorted(
            (state for state in everybody if state.hand is not None),
            key=lambda state: state.hand or 0,
        )
        return {
            "type": "room",
            "room": self.room,
            "stage": [_on_stage(state) for state in stage],
            "hands": [_seated(state) for state in hands],
            "audience": [_seated(state) for state in audience[:AUDIENCE_SHOWN]],
            "audience_count": len(audience),
        }


def _seated(state: ParticipantState) -> dict[str, Any]:
    return {
        "id": state.participant,
        "name": state.name or state.participant,
        "hand": state.hand is not None,
    }


def _on_stage(state: ParticipantState) -> dict[str, Any]:
    return {
        "id": state.participant,
        "name": state.name or state.participant,
        "role": state.role,
        "muted": state.muted,
        "away": state.state is not ParticipantStatus.CONNECTED,
    }
