"""Who comes and goes, a room's settings and its end: what they change, refuse and tell."""

from __future__ import annotations

from itertools import repeat
from typing import Any

import pytest

from control.commands import RoomCreate
from control.errors import ControlError
from control.events import (
    ParticipantConnected,
    ParticipantDisconnected,
    ParticipantJoined,
    ParticipantLeft,
    RoomClosed,
    RoomUpdated,
)
from control.types import LeaveReason, ParticipantStatus, Role
from sfu.stage import RoomSettings
from tests.stage.harness import WALL_AT_ZERO, Stage

WALL_MS = round(WALL_AT_ZERO * 1000)


def change(stage: Stage, **fields: Any) -> None:
    stage.room.apply(RoomCreate(room="room", **fields), stage.now)


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
