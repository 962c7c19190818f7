"""Invitations to the stage: who gets one, and the ways in which it ends."""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat

import pytest

from control.errors import ControlError
from control.events import (
    HandLowered,
    RoleChanged,
    StageAccepted,
    StageDeclined,
    StageExpired,
    StageInvited,
    TrackMuted,
)
from control.types import Role
from sfu.stage import RoomSettings
from sfu.stage.invitations import Invitations
from tests.stage.harness import WALL_AT_ZERO, Stage

WALL_MS = round(WALL_AT_ZERO * 1000)


def invited(stage: Stage, name: str = "a", expires_s: float = 60.0) -> None:
    stage.room.moderation.invite(name, stage.now, expires_s=expires_s, actor="chair")


def with_listener(settings: RoomSettings | None = None) -> Stage:
    stage = Stage(settings)
    stage.join("a", voice=repeat(20))
    stage.drain()
    return stage


def test_an_invitation_is_told_with_its_end_and_stands_in_the_state() -> None:
    stage = with_listener()
    stage.now = 5.0
    invited(stage)
    assert stage.drain() == [
        StageInvited(participant="a", expires_at=WALL_MS + 65_000, actor="chair")
    ]
    assert stage.room.participant_state("a").invited_until == WALL_MS + 65_000


def test_whoever_accepts_is_a_speaker_muted_and_called_up_by_who_invited() -> None:
    stage = with_listener()
    stage.room.moderation.raise_hand("a", stage.now)
    invited(stage)
    stage.drain()
    stage.room.moderation.accept("a", stage.now)
    assert stage.drain() == [
        StageAccepted(participant="a"),
        TrackMuted(participant="a", by="stage", locked=False),
        RoleChanged(participant="a", role=Role.SPEAKER, previous=Role.LISTENER, actor="chair"),
        HandLowered(participant="a"),
    ]
    state = stage.room.participant_state("a")
    assert (state.role, state.muted, state.mute_locked) == (Role.SPEAKER, True, False)
    assert state.invited_until is None
    stage.run(0.1)
    assert stage.forwarded == []
    with pytest.raises(ControlError):
        stage.room.moderation.accept("a", stage.now)


def test_a_mute_lock_stays_on_stage_and_is_not_told_again() -> None:
    stage = with_listener()
    stage.room.moderation.set_muted("a", True, stage.now, lock=True)
    invited(stage)
    stage.drain()
    stage.room.moderation.accept("a", stage.now)
    assert [body.method for body in stage.drain()] == ["stage.accepted", "role.changed"]
    assert stage.room.participant_state("a").mute_locked


def test_a_full_stage_refuses_and_the_invitation_stays() -> None:
    stage = with_listener(RoomSettings(max_speakers=1))
    stage.join("b", "speaker")
    invited(stage)
    stage.drain()
    before = stage.room.participant_state("a")
    with pytest.raises(ControlError) as refusal:
        stage.room.moderation.accept("a", stage.now)
    assert refusal.value.detail == {"limit": "max_speakers"}
    assert stage.drain() == [] and stage.room.participant_state("a") == before
    stage.leave("b")
    stage.room.moderation.accept("a", stage.now)
    assert stage.room.participant_state("a").role is Role.SPEAKER


def test_declining_ends_it() -> None:
    stage = with_listener()
    invited(stage)
    stage.drain()
    stage.room.moderation.decline("a")
    assert stage.drain() == [StageDeclined(participant="a")]
    assert stage.room.participant_state("a").invited_until is None
    stage.room.set_controlled(True, stage.now)
    assert stage.room.next_deadline() is None


def test_it_expires_at_its_time() -> None:
    stage = with_listener()
    invited(stage, expires_s=10.0)
    stage.drain()
    assert stage.room.next_deadline() == 10.0
    stage.room.tick(9.99)
    assert stage.drain() == []
    stage.room.tick(10.0)
    assert stage.drain() == [StageExpired(participant="a")]
    assert stage.room.next_deadline() is None
    with pytest.raises(ControlError) as refusal:
        stage.room.moderation.accept("a", 10.0)
    assert refusal.value.code == "failed_precondition"


def test_it_expires_while_people_talk() -> None:
    stage = with_listener()
    stage.join("b", "speaker", voice=repeat(20))
    invited(stage, expires_s=1.0)
    stage.run(1.1)
    assert [body.participant for body in stage.all_told(StageExpired)] == ["a"]


def test_a_newer_invitation_takes_the_place_of_the_older() -> None:
    stage = with_listener()
    invited(stage, expires_s=10.0)
    stage.now = 5.0
    stage.room.moderation.invite("a", stage.now, expires_s=2.0, actor=None)
    stage.room.tick(7.0)
    assert [body.method for body in stage.drain()][-1] == "stage.expired"
    stage.now = 20.0
    invited(stage, expires_s=10.0)
    stage.now = 21.0
    stage.room.moderation.invite("a", stage.now, expires_s=30.0, actor=None)
    stage.drain()
    stage.room.tick(30.0)
    assert stage.drain() == []
    assert stage.room.next_deadline() == 51.0
    stage.room.moderation.accept("a", 40.0)
    role_changed = stage.drain()[-1]
    assert isinstance(role_changed, RoleChanged) and role_changed.actor is None


def test_promotion_ends_it_silently() -> None:
    stage = with_listener()
    invited(stage)
    stage.drain()
    stage.room.moderation.set_role("a", Role.SPEAKER, stage.now)
    assert [body.method for body in stage.drain()] == ["role.changed"]
    stage.room.moderation.set_role("a", Role.LISTENER, stage.now)
    assert stage.room.participant_state("a").invited_until is None
    stage.run(61.0)
    assert stage.all_told(StageExpired) == []


@pytest.mark.parametrize("is_replaced", [True, False])
def test_leaving_ends_it_silently_also_for_who_comes_after(is_replaced: bool) -> None:
    stage = with_listener()
    invited(stage)
    if not is_replaced:
        stage.leave("a")
    stage.join("a")
    assert stage.room.participant_state("a").invited_until is None
    with pytest.raises(ControlError) as refusal:
        stage.room.moderation.accept("a", stage.now)
    assert refusal.value.code == "failed_precondition"
    stage.now += 61.0
    stage.tick()
    assert stage.all_told(StageExpired) == []


def test_a_closed_room_has_no_invitations() -> None:
    stage = with_listener()
    invited(stage)
    stage.room.close("over", stage.now)
    assert stage.room.next_deadline() is None


def test_only_listeners_are_invited_and_only_the_invited_answer() -> None:
    stage = with_listener()
    stage.join("b", "speaker")
    stage.drain()
    moderation = stage.room.moderation
    refused: list[Callable[[], None]] = [
        lambda: invited(stage, "b"),
        lambda: moderation.accept("a", stage.now),
        lambda: moderation.decline("a"),
        lambda: moderation.decline("b"),
    ]
    for attempt in refused:
        with pytest.raises(ControlError) as refusal:
            attempt()
        assert refusal.value.code == "failed_precondition"
    assert stage.drain() == []
    refused = [
        lambda: invited(stage, "x"),
        lambda: moderation.accept("x", stage.now),
        lambda: moderation.decline("x"),
    ]
    for attempt in refused:
        with pytest.raises(ControlError) as refusal:
            attempt()
        assert refusal.value.detail == {"what": "participant"}


def test_those_who_are_late_expire_in_the_order_of_their_time() -> None:
    stage = Stage()
    invitations = Invitations()
    for name, until in (("a", 30.0), ("b", 10.0), ("c", 20.0), ("d", 40.0)):
        invitations.invite(stage.join(name), until, round(until * 1000), None)
    assert invitations.next_deadline == 10.0
    assert [one.id for one in invitations.expire(30.0)] == ["b", "c", "a"]
    assert invitations.next_deadline == 40.0
    invitations.end(stage.room.participants["d"])
    assert invitations.next_deadline is None
