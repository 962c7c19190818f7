"""What a listener asked for: always, never, slots, paused, and what is told of it."""

from __future__ import annotations

from itertools import repeat
from typing import Any

import pytest

from control.commands import RoomCreate
from control.errors import ControlError, ErrorCode
from control.events import QualityChanged
from control.types import LeaveReason
from sfu.stage import RoomSettings
from sfu.stage.ranking import reseat
from tests.stage.harness import Stage


def talking(voices: int = 3, slots: int = 3, *, level: int = 20) -> Stage:
    """p0, p1, ... hold the slots of their number and talk on."""
    stage = Stage(RoomSettings(slots=slots))
    for index in range(voices):
        stage.join(f"p{index}", "speaker", voice=repeat(level), lines=0)
    stage.run(0.1)
    assert stage.room.holders[:voices] == [f"p{index}" for index in range(min(voices, slots))]
    return stage


def told(stage: Stage) -> list[tuple[str, str, str, str]]:
    stage.drain()
    return [
        (body.participant, body.previous, body.tier, body.cause)
        for body in stage.all_told(QualityChanged)
    ]


def test_never_empties_the_line_of_that_holder_at_once() -> None:
    stage = talking()
    stage.join("listener")
    stage.ask("listener", never=["p1"])
    assert stage.carried("listener") == [0, None, 2]
    stage.ask("listener", never=[])
    assert stage.carried("listener") == [0, 1, 2]


def test_never_holds_for_somebody_who_comes_later() -> None:
    stage = talking(voices=1)
    stage.join("listener")
    stage.ask("listener", never=["later"])
    assert stage.carried("listener") == [0, 1, 2]
    stage.join("later", "speaker", voice=repeat(20), lines=0)
    stage.step()
    assert stage.room.holders == ["p0", "later", None]
    assert stage.carried("listener") == [0, None, 2]
    stage.leave("later")
    assert stage.carried("listener") == [0, 1, 2]


def test_never_holds_when_that_one_joins_again() -> None:
    stage = talking(voices=1)
    stage.join("listener")
    stage.ask("listener", never=["p0"])
    stage.join("p0", "speaker", voice=repeat(20), lines=0)
    stage.step()
    assert stage.room.holders[0] == "p0"
    assert stage.carried("listener") == [None, 1, 2]


def test_a_slot_is_left_before_its_new_holder_is_assigned_to_anybody_s_ears() -> None:
    """When the room says that a challenger may be heard, nobody who never wants it carries it."""
    stage = talking(voices=3)
    stage.join("listener")
    stage.ask("listener", never=["loud"])
    stage.join("loud", "moderator", lines=0)
    for _ in range(40):
        stage.now = round(stage.now + 0.02, 6)
        for name in ("p0", "p1", "p2"):
            stage.say(name, 40)
        stage.say("loud", 10)
        if "loud" in stage.room.holders:
            break
    index = stage.room.holders.index("loud")
    assert stage.carried("listener") == [None if i == index else i for i in range(3)]


def test_with_fewer_lines_another_slot_takes_the_place() -> None:
    stage = talking()
    stage.join("listener", lines=2)
    stage.ask("listener", never=["p0"])
    assert stage.carried("listener") == [2, 1]
    stage.ask("listener", never=["p0", "p1"])
    assert stage.carried("listener") == [2, None]


def test_a_single_line_with_a_choice_hears_whoever_is_left() -> None:
    stage = talking()
    stage.join("listener", lines=1)
    stage.ask("listener", never=["p0"])
    assert stage.carried("listener") in ([1], [2])
    stage.ask("listener", never=[])
    assert stage.carried("listener") == [0]


def test_always_comes_before_louder_ones_even_in_a_pause() -> None:
    stage = talking(voices=2)
    stage.join("interpreter", "speaker", voice=repeat(45, 5), lines=0)
    stage.run(0.2)
    stage.join("listener", lines=2)
    stage.run(1.0)
    assert stage.room.holders[2] == "interpreter"
    assert stage.carried("listener") == [0, 1]
    stage.ask("listener", always=["interpreter"])
    assert 2 in stage.carried("listener")
    stage.run(1.0)
    assert 2 in stage.carried("listener")
    stage.ask("listener", always=[])
    stage.run(0.2)
    assert stage.carried("listener") in ([0, 1], [1, 0])


def test_always_is_seated_from_the_first_packet() -> None:
    stage = talking(voices=2)
    stage.join("listener", lines=2)
    stage.ask("listener", always=["interpreter"])
    stage.join("interpreter", "speaker", lines=0)
    stage.now = round(stage.now + 0.02, 6)
    stage.say("interpreter", 45)
    assert stage.room.holders[2] == "interpreter"
    assert 2 in stage.carried("listener")


def test_more_always_than_lines_share_them_as_others_do() -> None:
    stage = talking(voices=4, slots=4)
    stage.join("listener", lines=2)
    stage.ask("listener", always=["p1", "p2", "p3"])
    seated = set(stage.carried("listener"))
    assert seated < {1, 2, 3} and len(seated) == 2


def test_never_wins_over_always() -> None:
    stage = talking()
    stage.join("listener", lines=2)
    stage.ask("listener", always=["p0"], never=["p0"])
    assert stage.carried("listener") == [2, 1]


def test_own_voice_in_always_changes_nothing() -> None:
    stage = Stage()
    for index in range(3):
        stage.join(f"p{index}", "speaker", voice=repeat(20), lines=2)
    stage.run(0.5)
    before = stage.carried("p0")
    stage.ask("p0", always=["p0"])
    assert stage.carried("p0") == before and set(before) == {1, 2}
    assert stage.room.subscriptions.state("p0").always == ["p0"]


def test_slots_leaves_the_first_lines_and_fills_them_with_who_talks() -> None:
    stage = Stage(RoomSettings(slots=3))
    stage.join("p0", "speaker", voice=repeat(20, 5), lines=0)
    stage.join("p1", "speaker", voice=repeat(20), lines=0)
    listener = stage.join("listener")
    stage.run(1.0)
    stage.ask("listener", slots=1)
    assert stage.carried("listener") == [1, None, None]
    state = stage.room.participant_state("listener")
    assert (state.tier, state.slots) == ("A1", 1)
    stage.ask("listener", slots=6)
    assert stage.carried("listener") == [0, 1, 2]
    assert stage.room.participant_state(listener.id).slots == 3


def test_slots_beyond_the_lines_changes_nothing() -> None:
    stage = talking()
    stage.join("one", lines=1)
    stage.ask("one", slots=4)
    assert stage.carried("one") == [0]
    assert stage.room.participant_state("one").tier == "A1"
    assert told(stage) == []


def test_paused_carries_nothing_and_is_told_with_its_cause() -> None:
    stage = talking()
    stage.join("listener")
    stage.ask("listener", paused=True)
    assert stage.carried("listener") == [None, None, None]
    state = stage.room.participant_state("listener")
    assert (state.tier, state.slots) == ("paused", 0)
    stage.ask("listener", paused=True)
    stage.ask("listener", paused=False)
    assert stage.carried("listener") == [0, 1, 2]
    assert told(stage) == [
        ("listener", "A1", "paused", "requested"),
        ("listener", "paused", "A1", "requested"),
    ]
    assert stage.room.subscriptions.state("listener").cause == "requested"


def test_what_is_asked_for_while_paused_holds_afterwards() -> None:
    stage = talking()
    stage.join("listener")
    stage.ask("listener", paused=True)
    stage.ask("listener", never=["p0"], slots=2)
    assert stage.carried("listener") == [None, None, None]
    stage.ask("listener", paused=False)
    carried = stage.carried("listener")
    assert carried[2] is None and set(carried[:2]) == {1, 2}


def test_absent_fields_stay() -> None:
    stage = talking()
    stage.join("listener")
    stage.ask("listener", never=["p0", "p1", "p0"], always=["p2"], mode="forward")
    stage.ask("listener", slots=2)
    state = stage.room.subscriptions.state("listener")
    assert state.never == ["p0", "p1"]
    assert (state.always, state.mode, state.slots_max) == (["p2"], "forward", 2)
    assert (state.slots, state.tier, state.paused, state.cause) == (2, "A1", False, "join")


def test_a_mix_is_refused_where_there_is_none_and_changes_nothing() -> None:
    stage = talking()
    stage.join("listener")
    with pytest.raises(ControlError) as refused:
        stage.ask("listener", paused=True, mode="mix")
    assert refused.value.code is ErrorCode.FAILED_PRECONDITION
    assert refused.value.detail == {"field": "mode"}
    assert stage.carried("listener") == [0, 1, 2]
    assert told(stage) == []


def test_max_kbps_is_remembered_for_the_ladder_until_it_is_taken_back() -> None:
    stage = talking()
    stage.join("listener")
    stage.ask("listener", max_kbps=64)
    stage.ask("listener", slots=2)
    assert stage.room.subscriptions.state("listener").max_kbps == 64
    stage.ask("listener", max_kbps=None)
    assert stage.room.subscriptions.state("listener").max_kbps is None


def test_nothing_of_it_survives_a_rejoin() -> None:
    stage = talking()
    stage.join("listener")
    stage.ask("listener", never=["p0"], paused=True)
    stage.join("listener")
    assert stage.carried("listener") == [0, 1, 2]
    state = stage.room.subscriptions.state("listener")
    assert (state.never, state.paused, state.cause) == ([], False, "join")


def test_unknown_participant() -> None:
    stage = Stage()
    for call in (lambda: stage.ask("nobody"), lambda: stage.room.subscriptions.state("nobody")):
        with pytest.raises(ControlError) as refused:
            call()
        assert refused.value.code is ErrorCode.NOT_FOUND


def test_never_holds_while_slots_come_and_go() -> None:
    stage = talking()
    stage.join("listener", lines=6)
    stage.ask("listener", never=["p0"])
    for slots in (1, 5, 2, 6, 3):
        stage.room.apply(RoomCreate(room="room", slots=slots), stage.now)
        expected = [i if 0 < i < slots else None for i in range(6)]
        assert stage.carried("listener") == expected


def test_whoever_leaves_leaves_nothing_behind() -> None:
    stage = talking()
    gone = stage.join("listener", lines=2)
    stage.ask("listener", never=["p0", "x"], always=["p1", "x"])
    assert stage.room.subscriptions._seating.has_choices
    stage.leave("listener", LeaveReason.CLIENT_LEFT)
    assert not set(gone.egresses) & set(stage.forwarder.subscriptions)
    seating = stage.room.subscriptions._seating
    assert not seating.has_choices and not seating._by_key and not seating._terms


def test_listeners_who_asked_for_nothing_are_not_looked_at_when_slots_change() -> None:
    stage = talking(voices=3)
    for index in range(50):
        stage.join(f"plain-{index}")
    stage.join("chooser")
    stage.ask("chooser", never=["p0", "newcomer"])
    calls = len(stage.forwarder.subscribe_calls)
    stage.leave("p1")
    stage.join("newcomer", "speaker", voice=repeat(20), lines=0)
    stage.step()
    assert stage.room.holders == ["p0", "newcomer", "p2"]
    assert stage.carried("chooser") == [None, None, 2]
    assert len(stage.forwarder.subscribe_calls) == calls + 1


def test_different_lists_that_name_no_holder_are_decided_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = talking(voices=2)
    for index in range(300):
        stage.join(f"listener-{index}")
        stage.ask(f"listener-{index}", never=[f"stranger-{index}"])
    decisions = 0

    def counted(*arguments: Any) -> tuple[int, ...]:
        nonlocal decisions
        decisions += 1
        return reseat(*arguments)

    monkeypatch.setattr("sfu.stage.seating.reseat", counted)
    stage.run(1.0)
    assert 1 <= decisions <= 12
