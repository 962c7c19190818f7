"""Roles, mutes, hands and priorities, one by one: what they change, refuse and tell."""

from __future__ import annotations

from itertools import repeat
from typing import Any

import pytest

from control.commands import RoomCreate
from control.errors import ControlError
from control.events import (
    HandLowered,
    ParticipantJoined,
    RoleChanged,
    TrackMuted,
    TrackUnmuted,
)
from control.types import Counts, Role
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


# Priorities


def test_priority_decides_instead_of_the_role() -> None:
    stage = Stage()
    guest, chair = stage.join("guest", "speaker"), stage.join("chair", "moderator")
    stage.room.moderation.set_priority("guest", 20.0)
    assert (guest.bonus_db, chair.bonus_db) == (20.0, 12.0)
    stage.room.moderation.set_priority("chair", -3.0)
    stage.room.moderation.set_priority("guest", None)
    assert (guest.bonus_db, chair.bonus_db) == (0.0, -3.0)
