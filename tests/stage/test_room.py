"""A room's commands, one by one: what they change, refuse and tell."""

from __future__ import annotations

from itertools import repeat
from typing import Any

import pytest

from control.commands import RoomCreate
from control.errors import ControlError
from control.events import (
    HandLowered,
    ParticipantConnected,
    ParticipantDisconnected,
    ParticipantJoined,
    ParticipantLeft,
    RoleChanged,
    RoomClosed,
    RoomUpdated,
    TrackMuted,
    TrackUnmuted,
)
from control.types import Counts, LeaveReason, ParticipantStatus, Role
from sfu.stage import RoomSettings
from tests.stage.harness import WALL_AT_ZERO, Stage

WALL_MS = round(WALL_AT_ZERO * 1000)


def change(stage: Stage, **fields: Any) -> None:
    stage.room.apply(RoomCreate(room="room", **fields), stage.now)


# Roles


def test_promotion_is_told_with_actor_and_heard_at_once() -> None:
    stage = Stage()
    stage.join("a", "listener", voice=repeat(20))
    stage.run(0.5)
    stage.drain()
    stage.room.moderation.set_role("a", Role.SPEAKER, stage.now, actor="chair")
    assert stage.drain() == [
        RoleChanged(participant="a", role=Role.SPEAKER, previous=Role.LISTENER, actor="chair")
    ]
    stage.step()
    assert stage.forwarded == [(stage.now, "a")]


def test_demotion_frees_the_slot_at_once() -> None:
    stage = Stage(RoomSettings(slots=1))
    stage.join("a", "speaker", voice=repeat(20))
    stage.join("b", "speaker", voice=repeat(40))
    stage.run(0.2)
    assert stage.room.holders == ["a"]
    stage.room.moderation.set_role("a", Role.LISTENER, stage.now)
    assert stage.room.holders == [None]
    stage.step()
    assert stage.room.holders == ["b"]


def test_same_role_is_no_event() -> None:
    stage = Stage()
    stage.join("a", "speaker")
    stage.drain()
    stage.room.moderation.set_role("a", Role.SPEAKER, stage.now)
    assert stage.drain() == []


def test_promotion_leaves_the_mute_state() -> None:
    stage = Stage()
    participant = stage.join("a", muted=True)
    stage.room.moderation.set_role("a", Role.SPEAKER, stage.now)
    assert participant.muted
    assert not stage.forwarder.sources[participant.source].audible


def test_moderator_who_becomes_speaker_stays_audible() -> None:
    stage = Stage()
    stage.join("a", "moderator", voice=repeat(20))
    stage.run(0.1)
    stage.room.moderation.set_role("a", Role.SPEAKER, stage.now)
    assert stage.room.holders[0] == "a"


def test_max_speakers_counts_moderators_too() -> None:
    stage = Stage(RoomSettings(max_speakers=2))
    stage.join("a", "moderator")
    stage.join("b", "speaker")
    stage.join("c", "listener")
    for attempt in (
        lambda: stage.join("d", "speaker"),
        lambda: stage.room.moderation.set_role("c", Role.SPEAKER, stage.now),
    ):
        with pytest.raises(ControlError) as refusal:
            attempt()
        assert refusal.value.code == "resource_exhausted"
        assert refusal.value.detail == {"limit": "max_speakers"}
    stage.room.moderation.set_role("a", Role.SPEAKER, stage.now)
    stage.leave("b")
    stage.room.moderation.set_role("c", Role.MODERATOR, stage.now)
    assert stage.room.state().counts == Counts(moderator=1, speaker=1)


def test_speaker_without_a_microphone_is_never_audible() -> None:
    stage = Stage()
    assert not stage.join("a", "speaker", has_microphone=False).is_audible
    assert stage.room.next_deadline() is None


# Mute


def test_mute_is_enforced_at_ingress_and_told_with_its_author() -> None:
    stage = Stage()
    participant = stage.join("a", "speaker", voice=repeat(20))
    stage.run(0.04)
    stage.drain()
    stage.room.moderation.set_muted("a", True, stage.now, actor="chair")
    assert stage.drain() == [TrackMuted(participant="a", by="chair", locked=False)]
    assert not stage.forwarder.sources[participant.source].audible
    assert stage.room.holders == [None, None, None]
    stage.room.moderation.set_muted("a", False, stage.now)
    assert stage.drain() == [TrackUnmuted(participant="a")]
    assert stage.forwarder.sources[participant.source].audible


def test_repeated_mute_and_unmute_are_no_events() -> None:
    stage = Stage()
    stage.join("a", "speaker")
    stage.drain()
    stage.room.moderation.set_muted("a", False, stage.now)
    assert stage.drain() == []
    stage.room.moderation.set_muted("a", True, stage.now)
    stage.room.moderation.set_muted("a", True, stage.now)
    assert len(stage.drain()) == 1


def test_lock_is_undone_by_unlocking_alone() -> None:
    stage = Stage()
    participant = stage.join("a", "speaker")
    stage.drain()
    stage.room.moderation.set_muted("a", True, stage.now)
    stage.room.moderation.set_muted("a", True, stage.now, lock=True)
    stage.room.moderation.set_muted("a", True, stage.now)
    assert stage.drain() == [
        TrackMuted(participant="a", by="backend", locked=False),
        TrackMuted(participant="a", by="backend", locked=True),
    ]
    with pytest.raises(ControlError) as refusal:
        stage.room.moderation.set_muted("a", False, stage.now)
    assert refusal.value.code == "failed_precondition"
    assert participant.muted and participant.mute_locked
    stage.room.moderation.set_role("a", Role.LISTENER, stage.now)
    stage.room.moderation.set_role("a", Role.MODERATOR, stage.now)
    assert participant.mute_locked
    stage.room.moderation.set_muted("a", False, stage.now, lock=True)
    assert not participant.muted and not participant.mute_locked


def test_a_mute_lock_survives_a_rejoin_that_replaces_and_no_leaving() -> None:
    stage = Stage()
    stage.join("a", "speaker")
    stage.room.moderation.set_muted("a", True, stage.now, lock=True)
    stage.room.moderation.set_priority("a", 20.0)
    stage.drain()
    again = stage.join("a", "speaker", muted=False)
    assert (again.muted, again.mute_locked, again.priority_db) == (True, True, None)
    assert not stage.forwarder.sources[again.source].audible
    joined = stage.drain()[-1]
    assert isinstance(joined, ParticipantJoined)
    assert (joined.state.muted, joined.state.mute_locked) == (True, True)
    stage.leave("a")
    back = stage.join("a", "speaker")
    assert (back.muted, back.mute_locked) == (False, False)


def test_a_mute_without_a_lock_does_not_survive_a_rejoin() -> None:
    stage = Stage()
    stage.join("a", "speaker")
    stage.room.moderation.set_muted("a", True, stage.now)
    assert not stage.join("a", "speaker").muted


# Coming and going


def test_join_tells_the_whole_state() -> None:
    stage = Stage()
    stage.now = 12.5
    participant = stage.join("a", "speaker", lines=1)
    joined = stage.drain()[0]
    assert isinstance(joined, ParticipantJoined)
    assert joined.state == stage.room.participant_state("a")
    assert joined.state.joined_at == WALL_MS + 12_500
    assert (joined.state.number, joined.state.generation) == (participant.number, 1)
    assert (joined.state.state, joined.state.muted) == (ParticipantStatus.NEW, False)


def test_number_of_participants_is_limited() -> None:
    stage = Stage(RoomSettings(max_participants=1))
    stage.join("a")
    with pytest.raises(ControlError) as refusal:
        stage.join("b")
    assert refusal.value.detail == {"limit": "max_participants"}
    stage.join("a")
    stage.leave("a")
    stage.join("b")


def test_locked_room_takes_nobody_new() -> None:
    stage = Stage()
    stage.join("a")
    stage.room.set_locked(True, stage.now)
    with pytest.raises(ControlError) as refusal:
        stage.join("b")
    assert refusal.value.code == "failed_precondition"
    stage.join("a")
    stage.room.set_locked(False, stage.now)
    stage.join("b")


def test_duplicate_replaces_with_the_next_generation() -> None:
    stage = Stage(RoomSettings(max_speakers=1))
    old = stage.join("a", "speaker", voice=repeat(20))
    stage.run(0.1)
    stage.drain()
    new = stage.join("a", "speaker")
    left, *_, joined = stage.drain()
    assert left == ParticipantLeft(participant="a", reason=LeaveReason.REPLACED, generation=1)
    assert isinstance(joined, ParticipantJoined)
    assert joined.state.generation == 2
    assert new.number != old.number
    assert stage.room.holders == [None, None, None]


def test_duplicate_is_rejected_when_asked() -> None:
    stage = Stage()
    present = stage.join("a")
    with pytest.raises(ControlError) as refusal:
        stage.join("a", on_duplicate="reject")
    assert refusal.value.code == "already_exists"
    assert stage.room.participants["a"] is present


def test_generation_grows_over_leaving() -> None:
    stage = Stage()
    generations = []
    for _ in range(3):
        generations.append(stage.join("a").generation)
        stage.leave("a")
    assert generations == [1, 2, 3]


def test_ban_runs_its_time() -> None:
    stage = Stage()
    stage.join("a")
    stage.drain()
    stage.leave("a", LeaveReason.REMOVED, ban_s=60)
    assert stage.drain() == [
        ParticipantLeft(participant="a", reason=LeaveReason.BANNED, generation=1)
    ]
    stage.now += 59.0
    with pytest.raises(ControlError) as refusal:
        stage.join("a")
    assert refusal.value.code == "permission_denied"
    assert refusal.value.retry_after_ms == 1000
    stage.now += 1.0
    assert stage.join("a").generation == 2


def test_removal_carries_the_backends_words() -> None:
    stage = Stage()
    stage.join("a")
    stage.drain()
    stage.room.remove("a", LeaveReason.REMOVED, stage.now, detail="spam")
    assert stage.drain() == [
        ParticipantLeft(participant="a", reason=LeaveReason.REMOVED, generation=1, detail="spam")
    ]


def test_somebody_unknown_is_not_found() -> None:
    stage = Stage()
    for attempt in (
        lambda: stage.room.remove("x", LeaveReason.REMOVED, 0.0),
        lambda: stage.room.moderation.set_role("x", Role.SPEAKER, 0.0),
        lambda: stage.room.moderation.set_muted("x", True, 0.0),
        lambda: stage.room.moderation.raise_hand("x", 0.0),
        lambda: stage.room.moderation.lower_hand("x"),
        lambda: stage.room.moderation.set_priority("x", 3.0),
        lambda: stage.room.set_status("x", ParticipantStatus.CONNECTED),
        lambda: stage.room.participant_state("x"),
    ):
        with pytest.raises(ControlError) as refusal:
            attempt()
        assert refusal.value.code == "not_found"
        assert refusal.value.detail == {"what": "participant"}


def test_connection_status_is_told() -> None:
    stage = Stage()
    stage.join("a")
    stage.drain()
    for status in ("connecting", "connected", "connected", "suspect", "connected"):
        stage.room.set_status("a", ParticipantStatus(status))
    assert stage.drain() == [
        ParticipantConnected(participant="a", generation=1),
        ParticipantDisconnected(participant="a", generation=1),
        ParticipantConnected(participant="a", generation=1),
    ]
    assert stage.room.participant_state("a").state is ParticipantStatus.CONNECTED


# Settings


def test_applying_settings_changes_the_version_only_when_something_differs() -> None:
    stage = Stage()
    change(stage, slots=3, hand_policy="open")
    assert stage.drain() == []
    change(stage, max_speakers=7, metadata={"topic": "jazz"})
    assert stage.drain() == [RoomUpdated(state=stage.room.state())]
    state = stage.room.state()
    assert (state.version, state.max_speakers, state.metadata) == (2, 7, {"topic": "jazz"})
    assert state.max_participants == 10_000


def test_bad_settings_change_nothing() -> None:
    stage = Stage()
    bad: dict[str, dict[str, Any]] = {
        "metadata": {"slots": 5, "metadata": {"x": "y" * 20_000}},
        "max_participants": {"slots": 5, "max_participants": 10_001},
    }
    for field, fields in bad.items():
        with pytest.raises(ControlError) as refusal:
            change(stage, **fields)
        assert (refusal.value.code, refusal.value.detail) == ("invalid_argument", {"field": field})
    assert stage.room.state().version == 1
    assert len(stage.forwarder.slots) == 3


def test_fewer_slots_take_the_slot_from_the_last_holders() -> None:
    stage = Stage()
    for name in ("a", "b", "c"):
        stage.join(name, "speaker", voice=repeat(20))
    stage.run(0.2)
    change(stage, slots=2)
    assert stage.room.holders == ["a", "b"]
    stage.leave("a")
    stage.step()
    assert stage.room.holders == ["c", "b"]


def test_lower_limits_send_nobody_away() -> None:
    stage = Stage()
    stage.join("a", "speaker")
    stage.join("b", "speaker")
    change(stage, max_participants=1, max_speakers=1)
    assert len(stage.room.participants) == 2


def test_priority_decides_instead_of_the_role() -> None:
    stage = Stage()
    guest, chair = stage.join("guest", "speaker"), stage.join("chair", "moderator")
    stage.room.moderation.set_priority("guest", 20.0)
    assert (guest.bonus_db, chair.bonus_db) == (20.0, 12.0)
    stage.room.moderation.set_priority("chair", -3.0)
    stage.room.moderation.set_priority("guest", None)
    assert (guest.bonus_db, chair.bonus_db) == (0.0, -3.0)


# The end


def test_close_says_goodbye_to_everybody_first() -> None:
    stage = Stage()
    for name in ("a", "b"):
        stage.join(name, "speaker", voice=repeat(20), lines=2)
    stage.run(1.0)
    stage.drain()
    gone = stage.room.close("over", stage.now)
    assert [participant.id for participant in gone] == ["a", "b"]
    assert stage.drain() == [
        ParticipantLeft(participant="a", reason=LeaveReason.ROOM_CLOSED, generation=1),
        ParticipantLeft(participant="b", reason=LeaveReason.ROOM_CLOSED, generation=1),
        RoomClosed(reason="over"),
    ]
    for participant in gone:
        stage.forwarder.remove_transport(participant.source, participant.egresses)
    assert stage.forwarder.slots == {}
    assert stage.room.close("again", stage.now) == []
    assert (stage.room.next_deadline(), stage.drain()) == (None, [])


@pytest.mark.parametrize("timeout_s", [1, 300])
def test_empty_room_expires(timeout_s: int) -> None:
    stage = Stage(RoomSettings(empty_timeout_s=timeout_s))
    assert stage.room.next_deadline() == timeout_s
    stage.join("a")
    assert stage.room.next_deadline() is None
    stage.now = 1000.0
    stage.leave("a")
    assert stage.room.next_deadline() == 1000.0 + timeout_s
    stage.room.tick(1000.0 + timeout_s - 0.01)
    assert not stage.room.is_closed
    stage.room.tick(1000.0 + timeout_s)
    assert stage.room.is_closed
    assert stage.drain()[-1] == RoomClosed(reason="empty")


def test_timeout_of_0_waits_for_the_first_and_not_after_the_last() -> None:
    stage = Stage(RoomSettings(empty_timeout_s=0))
    stage.room.tick(30.0)
    assert not stage.room.is_closed
    stage.join("a")
    stage.leave("a")
    stage.tick()
    assert stage.room.is_closed


# Hands


def test_hands_in_order_raised_and_raising_again_keeps_the_place() -> None:
    stage = Stage()
    for name in ("a", "b", "c"):
        stage.join(name)
    for name in ("b", "a", "b", "c"):
        stage.now += 1.0
        stage.room.moderation.raise_hand(name, stage.now)
    raised = [(hand.participant, hand.raised_at - WALL_MS) for hand in stage.room.hands]
    assert raised == [("b", 1000), ("a", 2000), ("c", 4000)]
    assert len([b for b in stage.drain() if b.method == "hand.raised"]) == 3
    assert stage.room.participant_state("a").hand == WALL_MS + 2000
    stage.room.moderation.lower_hand("a")
    stage.room.moderation.lower_hand("a")
    assert stage.drain() == [HandLowered(participant="a")]
    stage.leave("b")
    assert [hand.participant for hand in stage.room.hands] == ["c"]


def test_only_listeners_raise_hands_and_promotion_lowers_them() -> None:
    stage = Stage()
    stage.join("a", "speaker")
    with pytest.raises(ControlError) as refusal:
        stage.room.moderation.raise_hand("a", stage.now)
    assert refusal.value.code == "failed_precondition"
    stage.join("b")
    stage.room.moderation.raise_hand("b", stage.now)
    stage.drain()
    stage.room.moderation.set_role("b", Role.SPEAKER, stage.now)
    assert [body.method for body in stage.drain()] == ["role.changed", "hand.lowered"]
    assert stage.room.hands == []
    assert stage.room.participant_state("b").hand is None


def test_closed_hand_policy_refuses() -> None:
    stage = Stage(RoomSettings(hand_policy="closed"))
    stage.join("a")
    with pytest.raises(ControlError) as refusal:
        stage.room.moderation.raise_hand("a", stage.now)
    assert refusal.value.code == "failed_precondition"
