"""Muting and unmuting everybody on stage at once."""

from __future__ import annotations

from control.events import TrackMuted, TrackUnmuted
from control.types import Role
from tests.stage.harness import Stage


def full_stage() -> Stage:
    stage = Stage()
    stage.join("chair", "moderator")
    stage.join("red", "speaker")
    stage.join("blue", "speaker", muted=True)
    stage.join("guest", "listener")
    stage.drain()
    return stage


def test_muting_all_tells_each_change_and_leaves_listeners_alone() -> None:
    stage = full_stage()
    muted = stage.room.moderation.set_all_muted(True, stage.now, actor="host")
    assert muted == ["chair", "red", "blue"]
    assert stage.drain() == [
        TrackMuted(participant="chair", by="host", locked=False),
        TrackMuted(participant="red", by="host", locked=False),
    ]
    assert not stage.room.participants["guest"].muted
    assert not any(source.audible for source in stage.forwarder.sources.values())


def test_excepted_roles_are_left_alone_but_named_if_muted() -> None:
    stage = full_stage()
    moderation = stage.room.moderation
    assert moderation.set_all_muted(True, stage.now, except_roles=[Role.MODERATOR]) == [
        "red",
        "blue",
    ]
    assert [body.method for body in stage.drain()] == ["track.muted"]
    assert moderation.set_all_muted(False, stage.now, except_roles=[Role.SPEAKER]) == [
        "red",
        "blue",
    ]
    assert stage.drain() == []


def test_unmuting_all_undoes_locks_only_if_asked_to() -> None:
    stage = full_stage()
    moderation = stage.room.moderation
    moderation.set_muted("red", True, stage.now, lock=True)
    stage.drain()
    assert moderation.set_all_muted(False, stage.now) == ["red"]
    assert stage.drain() == [TrackUnmuted(participant="blue")]
    assert moderation.set_all_muted(False, stage.now, lock=True) == []
    assert stage.drain() == [TrackUnmuted(participant="red")]


def test_locking_all_is_told_of_those_who_were_muted_too() -> None:
    stage = full_stage()
    stage.room.moderation.set_all_muted(True, stage.now, lock=True)
    assert stage.drain() == [
        TrackMuted(participant=name, by="backend", locked=True) for name in ("chair", "red", "blue")
    ]
    stage.room.moderation.set_all_muted(True, stage.now)
    assert stage.drain() == []
