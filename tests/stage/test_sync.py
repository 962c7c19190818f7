"""Making a room agree with a list: all of it or nothing."""

from __future__ import annotations

from typing import Any

import pytest

from control.commands import SyncedParticipant
from control.errors import ControlError
from control.events import RoleChanged, TrackMuted, TrackUnmuted
from control.types import LeaveReason, Role
from sfu.stage import RoomSettings
from sfu.stage.sync import SyncPlan, plan_sync
from tests.stage.harness import Stage


def line(participant: str, role: str = "listener", **fields: Any) -> SyncedParticipant:
    return SyncedParticipant(participant=participant, role=Role(role), **fields)


def planned(stage: Stage, *lines: SyncedParticipant) -> SyncPlan:
    return plan_sync(lines, stage.room.participants, stage.room.settings)


def sync(stage: Stage, *lines: SyncedParticipant) -> int:
    """What a worker does for `room.sync`; how many were changed."""
    plan = planned(stage, *lines)
    for name in plan.leaving:
        stage.leave(name, LeaveReason.REMOVED)
    return plan.apply(stage.room.moderation, stage.now)


def test_whoever_is_not_on_the_list_leaves_and_nobody_is_added() -> None:
    stage = Stage()
    for name in ("red", "blue", "green"):
        stage.join(name)
    plan = planned(stage, line("white"), line("blue"), line("black", "speaker"))
    assert plan.leaving == ["red", "green"]
    assert plan.missing == ["white", "black"]
    assert plan.apply(stage.room.moderation, stage.now) == 0


def test_roles_change_whatever_the_order_of_the_list() -> None:
    stage = Stage(RoomSettings(max_speakers=2))
    stage.join("red", "speaker")
    stage.join("blue", "moderator")
    stage.join("guest", "listener")
    stage.drain()
    changed = sync(
        stage, line("guest", "speaker"), line("red", "moderator"), line("blue", "listener")
    )
    assert changed == 3
    assert stage.drain() == [
        RoleChanged(participant="blue", role=Role.LISTENER, previous=Role.MODERATOR),
        RoleChanged(participant="guest", role=Role.SPEAKER, previous=Role.LISTENER),
        RoleChanged(participant="red", role=Role.MODERATOR, previous=Role.SPEAKER),
    ]


def test_promotion_comes_after_the_mute_and_ends_hand_and_invitation() -> None:
    stage = Stage()
    stage.join("guest")
    stage.room.moderation.raise_hand("guest", stage.now)
    stage.room.moderation.invite("guest", stage.now, expires_s=60)
    stage.drain()
    assert sync(stage, line("guest", "speaker", muted=True)) == 1
    assert [body.method for body in stage.drain()] == [
        "track.muted",
        "role.changed",
        "hand.lowered",
    ]
    assert stage.room.participant_state("guest").invited_until is None


@pytest.mark.parametrize(
    ("before", "wanted", "after", "told"),
    [
        # (muted, locked), what the list says, (muted, locked), what is told
        ((False, False), {}, (False, False), None),
        ((True, True), {}, (True, True), None),
        ((False, False), {"muted": True}, (True, False), TrackMuted),
        ((True, False), {"muted": False}, (False, False), TrackUnmuted),
        ((False, False), {"locked": True}, (True, True), TrackMuted),
        ((False, False), {"muted": False, "locked": True}, (True, True), TrackMuted),
        ((True, False), {"locked": True}, (True, True), TrackMuted),
        ((True, True), {"locked": False}, (True, False), TrackMuted),
        ((True, True), {"muted": False, "locked": False}, (False, False), TrackUnmuted),
        ((True, True), {"muted": True}, (True, True), None),
        ((False, False), {"locked": False}, (False, False), None),
    ],
)
def test_mutes_and_locks_become_what_the_list_says(
    before: tuple[bool, bool], wanted: dict[str, bool], after: tuple[bool, bool], told: Any
) -> None:
    stage = Stage()
    participant = stage.join("red", "speaker", muted=before[0])
    participant.mute_locked = before[1]
    stage.drain()
    changed = sync(stage, line("red", "speaker", **wanted))
    assert (participant.muted, participant.mute_locked) == after
    assert participant.is_audible is not after[0]
    assert stage.forwarder.sources[participant.source].audible is not after[0]
    events = stage.drain()
    assert [type(body) for body in events] == ([] if told is None else [told])
    assert changed == len(events)
    for body in events:
        if isinstance(body, TrackMuted):
            assert (body.by, body.locked) == ("backend", after[1])


def test_a_list_names_nobody_twice() -> None:
    stage = Stage()
    stage.join("red")
    with pytest.raises(ControlError) as refusal:
        planned(stage, line("red"), line("blue"), line("blue", "speaker"))
    assert refusal.value.code == "invalid_argument"
    assert refusal.value.detail == {"field": "participants[2].participant"}


def test_more_on_stage_than_the_room_takes_are_refused() -> None:
    stage = Stage(RoomSettings(max_speakers=1))
    stage.join("red", "speaker")
    stage.join("blue")
    with pytest.raises(ControlError) as refusal:
        planned(stage, line("red", "moderator"), line("blue", "speaker"))
    assert refusal.value.detail == {"limit": "max_speakers"}
    # Whoever is not there takes no place.
    planned(stage, line("red", "speaker"), line("white", "speaker"))


def test_a_lock_is_undone_by_naming_it_only() -> None:
    stage = Stage()
    stage.join("white")
    stage.join("red", "speaker")
    stage.room.moderation.set_muted("red", True, stage.now, lock=True)
    with pytest.raises(ControlError) as refusal:
        planned(stage, line("white"), line("red", "speaker", muted=False))
    assert refusal.value.code == "failed_precondition"
    assert refusal.value.detail == {"field": "participants[1].muted"}
