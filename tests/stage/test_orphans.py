"""What becomes of a room while nobody is connected who may change it."""

from __future__ import annotations

from itertools import repeat

import pytest

from control.commands import RoomUpdate
from control.events import ParticipantLeft, RoomClosed
from control.types import LeaveReason
from sfu.stage import RoomSettings
from tests.stage.harness import Stage

CLOSING = RoomSettings(orphan_policy="close", orphan_timeout_s=60)


def test_an_orphan_closes_with_everybody_in_it() -> None:
    stage = Stage(CLOSING)
    stage.join("a")
    assert stage.room.next_deadline() == 60.0
    assert stage.room.tick(59.99) == []
    stage.drain()
    leaving = stage.room.tick(60.0)
    assert [participant.id for participant in leaving] == ["a"]
    assert stage.drain() == [
        ParticipantLeft(participant="a", reason=LeaveReason.ROOM_CLOSED, generation=1),
        RoomClosed(reason="orphaned"),
    ]
    assert stage.room.is_closed and stage.room.tick(61.0) == []


def test_a_controller_keeps_it_and_time_counts_from_when_the_last_one_left() -> None:
    stage = Stage(CLOSING)
    stage.join("a")
    stage.room.set_controlled(True, 59.0)
    assert stage.room.next_deadline() is None
    stage.room.set_controlled(False, 500.0)
    stage.room.set_controlled(False, 540.0)  # still
    assert stage.room.next_deadline() == 560.0
    stage.room.set_controlled(True, 559.0)
    stage.room.tick(560.0)
    assert not stage.room.is_closed


def test_a_room_that_is_kept_outlives_its_controllers() -> None:
    stage = Stage(RoomSettings(orphan_policy="keep", orphan_timeout_s=0))
    stage.join("a")
    stage.room.set_controlled(False, 1.0)
    assert stage.room.next_deadline() is None
    stage.room.tick(1e6)
    assert not stage.room.is_closed


def test_the_policy_may_come_later_and_time_counts_from_the_loss() -> None:
    stage = Stage()
    stage.join("a")
    stage.room.set_controlled(True, 5.0)
    stage.room.set_controlled(False, 10.0)
    command = RoomUpdate(room="room", orphan_policy="close", orphan_timeout_s=7)
    stage.room.apply(command, 12.0)
    assert stage.room.next_deadline() == 17.0


def test_people_who_talk_do_not_keep_an_orphan() -> None:
    stage = Stage(RoomSettings(orphan_policy="close", orphan_timeout_s=2))
    stage.join("a", "speaker", voice=repeat(20))
    stage.run(1.9)
    assert not stage.room.is_closed
    stage.voices.clear()
    stage.run(0.3)
    assert stage.room.is_closed


@pytest.mark.parametrize(("empty_s", "orphan_s", "reason"), [(5, 9, "empty"), (9, 5, "orphaned")])
def test_an_empty_orphan_ends_for_whichever_comes_first(
    empty_s: int, orphan_s: int, reason: str
) -> None:
    stage = Stage(
        RoomSettings(empty_timeout_s=empty_s, orphan_policy="close", orphan_timeout_s=orphan_s)
    )
    assert stage.room.next_deadline() == 5.0
    stage.room.tick(100.0)
    assert stage.drain() == [RoomClosed(reason=reason)]
