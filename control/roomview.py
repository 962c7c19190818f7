"""A copy of one room, kept true by its events. No IO.

Subscribe, take a snapshot, make a `RoomView` of it, and apply every event that comes: those that
the snapshot already holds change nothing. When `is_stale` is set something was missed, and a new
snapshot has to take its place. Only a participant's `slots` and its way from `new` to `connecting`
are as old as the snapshot: no event tells of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from control.commands import SnapshotResult
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
    SpeakersChanged,
    StageAccepted,
    StageDeclined,
    StageExpired,
    StageInvited,
    TrackMuted,
    TrackUnmuted,
)
from control.types import (
    ActiveSpeaker,
    Counts,
    Hand,
    ParticipantState,
    ParticipantStatus,
    Role,
    RoomState,
)


class RoomView:
    """`participants` are in the order they joined, `hands` in the order raised.

    `closed` is the reason once the room is closed. `is_stale`: events are missing.
    """

    def __init__(self, snapshot: SnapshotResult) -> None:
        self.room: RoomState = snapshot.room
        self.participants = {one.participant: one for one in snapshot.participants}
        self.hands: dict[str, Hand] = {hand.participant: hand for hand in snapshot.hands}
        self.epoch = snapshot.epoch
        self.seq = snapshot.seq
        self.closed: str | None = None
        self.is_stale = False

    @property
    def counts(self) -> Counts:
        """How many hold each role now."""
        roles = Counter(one.role for one in self.participants.values())
        return Counts(
            moderator=roles[Role.MODERATOR],
            speaker=roles[Role.SPEAKER],
            listener=roles[Role.LISTENER],
        )

    @property
    def on_stage(self) -> list[ParticipantState]:
        """Whoever may be heard, moderators first."""
        stage = [one for one in self.participants.values() if one.role.is_on_stage]
        return sorted(stage, key=lambda one: one.role is not Role.MODERATOR)

    @property
    def audience(self) -> list[ParticipantState]:
        """The listeners."""
        return [one for one in self.participants.values() if not one.role.is_on_stage]

    @property
    def invited(self) -> list[ParticipantState]:
        """Whoever is asked onto the stage, the invitation that ends first before others."""
        asked = [one for one in self.participants.values() if one.invited_until is not None]
        return sorted(asked, key=lambda one: one.invited_until or 0)

    @property
    def speakers(self) -> dict[str, ActiveSpeaker]:
        """Whoever is active, the dominant first."""
        return {one.participant: one for one in self.room.speakers}

    def snapshot(self) -> SnapshotResult:
        """What is known now, as a snapshot of it would be."""
        return SnapshotResult(
            room=replace(self.room, counts=self.counts),
            participants=list(self.participants.values()),
            hands=list(self.hands.values()),
            epoch=self.epoch,
            seq=self.seq,
        )

    def apply(self, event: Event) -> bool:
        """Take one event. Returns whether it was news for this room."""
        if isinstance(event.body, EventsGap) or event.epoch != self.epoch:
            self.is_stale = True
            return True
        if event.room != self.room.room or event.seq <= self.seq:
            return False
        self.seq = event.seq
        step = _STEPS.get(type(event.body))
        if step is not None:
            step(self, event.body)
        return step is not None

    def change(self, participant: str, **fields: Any) -> None:
        """Replace fields of somebody who is there; others are none of this view's business."""
        old = self.participants.get(participant)
        if old is not None:
            self.participants[participant] = replace(old, **fields)

    def lower(self, participant: str) -> None:
        """A hand is down, if it was up."""
        if self.hands.pop(participant, None) is not None:
            self.change(participant, hand=None)

    def is_of_now(self, participant: str, generation: int) -> bool:
        """Whether news of this generation is news of whoever is there now."""
        here = self.participants.get(participant)
        return here is None or here.generation <= generation


def _room_created(view: RoomView, body: RoomCreated) -> None:
    if view.closed is not None:
        view.participants.clear()
        view.hands.clear()
        view.closed = None
    view.room = body.state


def _room_updated(view: RoomView, body: RoomUpdated) -> None:
    view.room = body.state


def _room_closed(view: RoomView, body: RoomClosed) -> None:
    view.closed = body.reason
    view.participants.clear()
    view.hands.clear()
    view.room = replace(view.room, speakers=[])


def _joined(view: RoomView, body: ParticipantJoined) -> None:
    if view.is_of_now(body.participant, body.state.generation):
        _put(view, body.state)


def _updated(view: RoomView, body: ParticipantUpdated) -> None:
    if body.participant in view.participants:
        _joined(view, ParticipantJoined(participant=body.participant, state=body.state))


def _put(view: RoomView, state: ParticipantState) -> None:
    view.participants[state.participant] = state
    if state.hand is None:
        view.hands.pop(state.participant, None)
    elif state.participant not in view.hands:
        hand = Hand(participant=state.participant, raised_at=state.hand)
        view.hands[state.participant] = hand


def _left(view: RoomView, body: ParticipantLeft) -> None:
    if view.is_of_now(body.participant, body.generation):
        view.participants.pop(body.participant, None)
        view.hands.pop(body.participant, None)


def _connected(view: RoomView, body: ParticipantConnected) -> None:
    if view.is_of_now(body.participant, body.generation):
        view.change(body.participant, state=ParticipantStatus.CONNECTED)


def _disconnected(view: RoomView, body: ParticipantDisconnected) -> None:
    if view.is_of_now(body.participant, body.generation):
        view.change(body.participant, state=ParticipantStatus.SUSPECT)


def _role_changed(view: RoomView, body: RoleChanged) -> None:
    # A place on stage ends an invitation to it.
    ended = {"invited_until": None} if body.role.is_on_stage else {}
    view.change(body.participant, role=body.role, **ended)


def _hand_raised(view: RoomView, body: HandRaised) -> None:
    if body.participant in view.participants and body.participant not in view.hands:
        hand = Hand(participant=body.participant, raised_at=body.raised_at)
        view.hands[body.participant] = hand
        view.change(body.participant, hand=body.raised_at)


def _hand_lowered(view: RoomView, body: HandLowered) -> None:
    view.lower(body.participant)


def _invited(view: RoomView, body: StageInvited) -> None:
    view.change(body.participant, invited_until=body.expires_at)


def _no_longer_invited(view: RoomView, body: StageAccepted | StageDeclined | StageExpired) -> None:
    view.change(body.participant, invited_until=None)


def _muted(view: RoomView, body: TrackMuted) -> None:
    view.change(body.participant, muted=True, mute_locked=body.locked)


def _unmuted(view: RoomView, body: TrackUnmuted) -> None:
    view.change(body.participant, muted=False, mute_locked=False)


def _speakers_changed(view: RoomView, body: SpeakersChanged) -> None:
    view.room = replace(view.room, speakers=body.speakers)


def _quality_changed(view: RoomView, body: QualityChanged) -> None:
    view.change(body.participant, tier=body.tier)


_STEPS: Final[dict[type[EventBody], Callable[[RoomView, Any], None]]] = {
    RoomCreated: _room_created,
    RoomUpdated: _room_updated,
    RoomClosed: _room_closed,
    ParticipantJoined: _joined,
    ParticipantUpdated: _updated,
    ParticipantLeft: _left,
    ParticipantConnected: _connected,
    ParticipantDisconnected: _disconnected,
    RoleChanged: _role_changed,
    HandRaised: _hand_raised,
    HandLowered: _hand_lowered,
    StageInvited: _invited,
    StageAccepted: _no_longer_invited,
    StageDeclined: _no_longer_invited,
    StageExpired: _no_longer_invited,
    TrackMuted: _muted,
    TrackUnmuted: _unmuted,
    SpeakersChanged: _speakers_changed,
    QualityChanged: _quality_changed,
}
