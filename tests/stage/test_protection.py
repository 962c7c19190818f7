"""A listener whose line loses packets: the same slots, in RED, whatever else changes."""

from __future__ import annotations

from itertools import repeat

import pytest

from control.commands import RoomCreate
from control.errors import ControlError, ErrorCode
from control.types import LeaveReason
from sfu.stage import Quality, RoomSettings
from tests.stage.harness import Stage, joining


def talking(*, slots: int = 3) -> Stage:
    """p0 to p2 hold the slots of their numbers; a listener that takes RED on each m-line."""
    stage = Stage(RoomSettings(slots=slots))
    for index in range(3):
        stage.join(f"p{index}", "speaker", voice=repeat(20), lines=0)
    stage.run(0.1)
    stage.join("listener", red_lines=3)
    return stage


def test_each_slot_is_carried_in_red_by_one_write_and_plain_again() -> None:
    stage = talking()
    for copies in (1, 2, 1, 0):
        before = len(stage.forwarder.subscribe_calls)
        stage.protect("listener", copies)
        assert stage.forms("listener") == [(0, copies), (1, copies), (2, copies)]
        assert stage.room.subscriptions.state("listener").protection == copies
        assert len(stage.forwarder.subscribe_calls) == before + 3
    stage.protect("listener", 0)
    assert len(stage.forwarder.subscribe_calls) == before + 3, "nothing changed"


def test_lines_that_take_no_red_stay_plain() -> None:
    stage = talking()
    stage.join("mixed", red_lines=1)
    stage.protect("mixed", 2)
    assert stage.forms("mixed") == [(0, 2), (1, 0), (2, 0)]


def test_others_are_not_touched() -> None:
    stage = talking()
    stage.join("other", red_lines=3)
    stage.protect("listener", 1)
    assert stage.forms("other") == [(0, 0), (1, 0), (2, 0)]


def test_protection_follows_choices_and_pauses() -> None:
    stage = talking()
    stage.protect("listener", 1)
    stage.ask("listener", never=["p1"])
    assert stage.forms("listener") == [(0, 1), None, (2, 1)]
    stage.ask("listener", never=[], paused=True)
    assert stage.forms("listener") == [None, None, None]
    stage.protect("listener", 2)
    stage.ask("listener", paused=False)
    assert stage.forms("listener") == [(0, 2), (1, 2), (2, 2)]


def test_protection_follows_the_number_of_slots() -> None:
    stage = talking()
    stage.protect("listener", 1)
    for slots in (1, 3):
        stage.room.apply(RoomCreate(room="room", slots=slots), stage.now)
        assert stage.forms("listener")[:slots] == [(index, 1) for index in range(slots)]


def test_protection_follows_a_seat_that_changes() -> None:
    stage = Stage()
    stage.join("listener", lines=2, red_lines=2)
    stage.protect("listener", 2)
    for index in range(3):
        stage.join(f"p{index}", "speaker", voice=repeat(20), lines=0)
    stage.run(0.1)
    stage.voices["p1"] = repeat(127)
    stage.run(1.0)
    assert stage.forms("listener") == [(0, 2), (2, 2)]


def test_whoever_moves_stays_protected_and_whoever_is_replaced_begins_anew() -> None:
    stage = talking()
    stage.protect("listener", 2)
    left = stage.room.remove("listener", LeaveReason.MOVED, stage.now)
    assert (left.quality.copies, len(left.red_egresses)) == (2, 3)
    stage.forwarder.remove_transport(left.source, left.egresses)
    stage.join("listener", red_lines=3)
    assert stage.forms("listener") == [(0, 0), (1, 0), (2, 0)]
    assert stage.room.subscriptions.state("listener").protection == 0


def test_who_is_added_protected_is_so_from_the_first_packet() -> None:
    stage = talking()
    left = stage.room.remove("listener", LeaveReason.MOVED, stage.now)
    admission = stage.room.admit(joining("listener"), stage.now)
    stage.room.add(
        admission,
        source=left.source,
        egresses=left.egresses,
        red_egresses=left.red_egresses,
        quality=Quality("A0", 1),
        now=stage.now,
    )
    assert stage.forms("listener") == [(0, 1), (1, 1), (2, 1)]


def test_protected_and_other_listeners_share_their_block() -> None:
    """A decision is made once for both."""
    stage = Stage()
    for name in ("one", "two"):
        stage.join(name, lines=2, red_lines=2)
    stage.protect("two", 1)
    assert len(stage.room.subscriptions._seating._blocks) == 1


def test_nobody_is_protected_who_is_not_there() -> None:
    with pytest.raises(ControlError) as refused:
        talking().protect("nobody", 1)
    assert refused.value.code is ErrorCode.NOT_FOUND
