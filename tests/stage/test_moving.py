"""From one room to another: what goes along, what stays behind, and who is not taken."""

from __future__ import annotations

import pytest

from control.commands import SubscriptionUpdate
from control.errors import ControlError, ErrorCode
from control.events import ParticipantJoined, ParticipantLeft
from control.types import LeaveReason, ParticipantStatus, Role
from sfu.stage import Admission, Participant, Room, RoomSettings
from tests.stage.harness import WALL_AT_ZERO, Stage, joining


def other(stage: Stage, settings: RoomSettings | None = None) -> Room:
    """A second room on the same forwarder."""
    room = Room(
        "other",
        settings or RoomSettings(),
        stage.forwarder.as_forwarder(),
        now=stage.now,
        wall_at_zero=WALL_AT_ZERO,
    )
    room.events()
    return room


def move(stage: Stage, room: Room, name: str, role: Role | None = None) -> Participant:
    """What a worker does for `participant.move`."""
    admission = room.admit_moved(name, stage.room, role, stage.now)
    gone = stage.room.remove(name, LeaveReason.MOVED, stage.now)
    return room.add(admission, source=gone.source, egresses=gone.egresses, now=stage.now)


def refusal(stage: Stage, room: Room, name: str, role: Role | None = None) -> ErrorCode:
    """Why the room does not take this one."""
    with pytest.raises(ControlError) as refused:
        room.admit_moved(name, stage.room, role, stage.now)
    return refused.value.code


def test_what_is_of_the_person_goes_along() -> None:
    stage = Stage()
    mover = stage.join("red", "speaker", echo_group="table")
    stage.room.moderation.set_muted("red", True, stage.now, lock=True)
    stage.room.set_status("red", ParticipantStatus.CONNECTED)
    mover.name, mover.metadata = "Red", {"seat": 4}
    room = other(stage)
    moved = move(stage, room, "red")
    state = room.participant_state("red")
    assert (state.name, state.metadata, state.role) == ("Red", {"seat": 4}, Role.SPEAKER)
    assert state.muted and state.mute_locked
    assert state.state is ParticipantStatus.CONNECTED
    assert (moved.source, moved.egresses) == (mover.source, mover.egresses)
    assert "red" not in stage.room.participants


def test_what_belongs_to_its_place_there_stays_behind() -> None:
    stage = Stage()
    stage.join("blue")
    stage.room.moderation.raise_hand("blue", stage.now)
    stage.room.moderation.invite("blue", stage.now, expires_s=60)
    stage.room.moderation.set_priority("blue", 6.0)
    asked = SubscriptionUpdate(room="room", participant="blue", paused=True, never=["red"])
    stage.room.subscriptions.update(asked, stage.now)
    room = other(stage)
    moved = move(stage, room, "blue")
    state = room.participant_state("blue")
    assert (state.hand, state.invited_until, moved.priority_db) == (None, None, None)
    assert room.hands == [] and stage.room.hands == []
    assert (state.slots, state.tier) == (3, "A1")
    assert room.subscriptions.state("blue").never == []


def test_both_rooms_are_told_and_number_and_generation_are_the_new_room_s() -> None:
    stage = Stage()
    room = other(stage)
    for _ in range(3):
        room.add(room.admit(joining("red"), stage.now), now=stage.now)
        room.remove("red", LeaveReason.CLIENT_LEFT, stage.now)
    room.events()
    stage.join("red")
    stage.drain()
    move(stage, room, "red", Role.MODERATOR)
    (left,) = stage.drain()
    assert left == ParticipantLeft(participant="red", reason=LeaveReason.MOVED, generation=1)
    (joined,) = [event.body for event in room.events()]
    assert isinstance(joined, ParticipantJoined)
    assert (joined.state.number, joined.state.generation) == (4, 4)
    assert joined.state.role is Role.MODERATOR


def test_echo_groups_go_by_name_and_numbers_are_each_room_s_own() -> None:
    stage = Stage()
    room = other(stage)
    seated = _add(room, room.admit(joining("blue", echo_group="table"), stage.now), stage)
    stage.join("white")
    stage.join("red", echo_group="table")
    moved = move(stage, room, "red")
    assert moved.echo_group == seated.echo_group
    stage.join("green")
    assert move(stage, room, "green").echo_group != seated.echo_group


def _add(room: Room, admission: Admission, stage: Stage) -> Participant:
    return room.add(admission, now=stage.now)


def test_a_holder_s_slot_is_free_at_once_and_its_voice_asks_anew() -> None:
    stage = Stage()
    stage.join("red", "speaker", voice=[20] * 100)
    stage.join("blue", "listener")
    stage.run(0.5)
    assert "red" in stage.room.holders
    room = other(stage)
    moved = move(stage, room, "red")
    assert "red" not in stage.room.holders
    assert stage.forwarder.sources[moved.source].audible
    assert room.holders == [None, None, None]
    assert stage.room.state().speakers == []


@pytest.mark.parametrize(("lines", "slots"), [(3, 1), (3, 5), (1, 3), (2, 3)])
def test_a_listener_gets_the_slots_that_fit_in_the_new_room(lines: int, slots: int) -> None:
    stage = Stage()
    stage.join("blue", lines=lines)
    room = other(stage, RoomSettings(slots=slots))
    old = set(stage.forwarder.subscriptions[e] for e in stage.room.participants["blue"].egresses)
    moved = move(stage, room, "blue")
    carried = [stage.forwarder.subscriptions[egress] for egress in moved.egresses]
    streams = [stream for stream in carried if stream != -1]
    assert len(streams) == len(set(streams)) == min(lines, slots)
    assert not set(streams) & old
    assert room.participant_state("blue").slots == min(lines, slots)


def test_a_room_that_takes_nobody_takes_no_mover() -> None:
    stage = Stage()
    stage.join("red", "speaker")
    stage.join("blue")
    locked = other(stage, RoomSettings(locked=True))
    assert refusal(stage, locked, "blue") is ErrorCode.FAILED_PRECONDITION
    full = other(stage, RoomSettings(max_participants=1, max_speakers=1))
    full.add(full.admit(joining("white", "speaker"), stage.now), now=stage.now)
    assert refusal(stage, full, "blue") is ErrorCode.RESOURCE_EXHAUSTED
    taken = other(stage, RoomSettings(max_speakers=1))
    taken.add(taken.admit(joining("white", "speaker"), stage.now), now=stage.now)
    assert refusal(stage, taken, "red") is ErrorCode.RESOURCE_EXHAUSTED
    assert refusal(stage, taken, "blue", Role.SPEAKER) is ErrorCode.RESOURCE_EXHAUSTED
    taken.admit_moved("red", stage.room, Role.LISTENER, stage.now)


def test_the_banned_and_those_who_are_there_are_not_taken() -> None:
    stage = Stage()
    stage.join("red")
    room = other(stage)
    room.add(room.admit(joining("red"), stage.now), now=stage.now)
    assert refusal(stage, room, "red") is ErrorCode.ALREADY_EXISTS
    room.remove("red", LeaveReason.REMOVED, stage.now, ban_s=60.0)
    assert refusal(stage, room, "red") is ErrorCode.PERMISSION_DENIED
    assert refusal(stage, room, "nobody") is ErrorCode.NOT_FOUND
