"""Which slot each m-line carries, with more, as many, fewer and one m-line."""

from __future__ import annotations

import math
from itertools import repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.commands import RoomCreate
from sfu.stage import RoomSettings
from sfu.stage.ranking import NOTHING, SlotView, Terms, reseat
from tests.stage.harness import Stage

VOICED, PAUSED = 0.0, 0.5
NONE = Terms()


def view(*slots: tuple[float, float, float]) -> list[SlotView]:
    """(level, bonus, voiced age) of each slot, all of different echo groups."""
    return [
        SlotView(echo_group=index + 1, bonus_db=bonus, level_db=level, voiced_age_s=age)
        for index, (level, bonus, age) in enumerate(slots)
    ]


def test_voiced_seats_stay_whatever_is_louder() -> None:
    slots = view((-30, 0, VOICED), (-30, 0, VOICED), (-10, 0, VOICED))
    assert reseat((0, 1), NONE, slots) == (0, 1)


def test_unvoiced_seat_is_given_to_a_voiced_slot() -> None:
    slots = view((-30, 0, VOICED), (-60, 0, PAUSED), (-40, 0, VOICED))
    assert reseat((0, 1), NONE, slots) == (0, 2)


def test_longest_silent_seat_goes_and_the_loudest_comes() -> None:
    slots = view((-60, 0, 0.4), (-60, 0, 0.9), (-40, 0, VOICED), (-20, 0, VOICED))
    assert reseat((0, 1), NONE, slots) == (2, 3)
    only_one = view((-60, 0, VOICED), (-60, 0, 0.9), (-40, 0, VOICED), (-20, 0, VOICED))
    assert reseat((0, 1), NONE, only_one) == (0, 3)


def test_nothing_moves_in_silence() -> None:
    slots = view((-60, 0, PAUSED), (-60, 0, math.inf), (-60, 12, PAUSED))
    assert reseat((0, 1), NONE, slots) == (0, 1)


def test_higher_priority_takes_the_weakest_voiced_seat() -> None:
    slots = view((-20, 0, VOICED), (-30, 0, VOICED), (-35, 12, VOICED))
    assert reseat((0, 1), NONE, slots) == (0, 2)
    assert reseat((0, 2), NONE, slots) == (0, 2)


def test_own_slot_is_no_seat_even_in_silence() -> None:
    slots = view((-20, 0, VOICED), (-60, 0, PAUSED), (-60, 0, math.inf))
    assert reseat((0, 1), Terms(own=(0,)), slots) == (2, 1)


def test_own_slot_is_not_chosen() -> None:
    slots = view((-60, 0, PAUSED), (-60, 0, PAUSED), (-10, 12, VOICED))
    assert reseat((0, 1), Terms(own=(2,)), slots) == (0, 1)


def test_never_leaves_a_line_empty_only_for_want_of_others() -> None:
    slots = view((-20, 0, VOICED), (-30, 0, VOICED), (-60, 0, PAUSED))
    assert reseat((0, 1), Terms(never=(0,)), slots) == (2, 1)
    assert reseat((0, 1), Terms(never=(0, 2)), slots) == (NOTHING, 1)


def test_always_takes_the_weakest_seat_however_quiet_it_is() -> None:
    slots = view((-20, 12, VOICED), (-30, 0, VOICED), (-60, 0, math.inf))
    assert reseat((0, 1), Terms(always=(2,)), slots) == (0, 2)
    assert reseat((0, 2), Terms(always=(2,)), slots) == (0, 2)


def test_always_comes_first_and_so_costs_nobody_a_seat_that_is_free() -> None:
    slots = view((-60, 0, PAUSED), (-30, 0, VOICED), (-20, 0, VOICED))
    assert reseat((1, NOTHING), Terms(always=(0,)), slots) == (1, 0)


def test_line_i_carries_slot_i_and_further_lines_nothing() -> None:
    stage = Stage()
    stage.join("equal", lines=3)
    stage.join("more", lines=5)
    assert stage.carried("equal") == [0, 1, 2]
    assert stage.carried("more") == [0, 1, 2, None, None]
    states = [stage.room.participant_state(name) for name in ("equal", "more")]
    assert [(state.tier, state.slots) for state in states] == [("A1", 3), ("A1", 3)]


def test_single_line_carries_slot_0_and_says_so() -> None:
    stage = Stage()
    stage.join("one", lines=1)
    state = stage.room.participant_state("one")
    assert (stage.carried("one"), state.tier, state.slots) == ([0], "A1", 1)


def test_single_line_of_a_room_with_one_slot_is_complete() -> None:
    stage = Stage(RoomSettings(slots=1))
    stage.join("one", lines=1)
    assert stage.room.participant_state("one").tier == "A1"


def test_no_line_at_all() -> None:
    stage = Stage()
    stage.join("mute", lines=0)
    assert stage.room.participant_state("mute").slots == 0


def test_slot_change_needs_no_subscription_with_enough_lines() -> None:
    stage = Stage()
    stage.join("listener", lines=3)
    calls = list(stage.forwarder.subscribe_calls)
    for index in range(3):
        stage.join(f"p{index}", "speaker", voice=repeat(20), lines=0)
    stage.run(2.0)
    assert stage.room.holders == ["p0", "p1", "p2"]
    assert stage.forwarder.subscribe_calls == calls


def test_two_lines_hear_whoever_talks_from_the_first_packet() -> None:
    """Slot 2 is carried before its first packet goes out, since slots 0 and 1 pause by then."""
    stage = Stage()
    for name in ("listener", "late-listener"):
        stage.join(name, lines=2)
    for index in range(2):
        stage.join(f"p{index}", "speaker", voice=repeat(20, 50), lines=0)
    stage.run(1.5)
    stage.join("p2", "speaker", lines=0)
    stage.say("p2", 20)
    assert stage.room.holders == ["p0", "p1", "p2"]
    assert 2 in stage.carried("listener")
    assert stage.carried("listener") == stage.carried("late-listener")


def test_two_lines_hear_the_third_talker_when_another_leaves() -> None:
    """At once, not on the next tick."""
    stage = Stage()
    stage.join("listener", lines=2)
    for index in range(3):
        stage.join(f"p{index}", "speaker", voice=repeat(20), lines=0)
    stage.run(1.0)
    assert stage.carried("listener") == [0, 1]
    stage.leave("p0")
    assert stage.carried("listener") == [2, 1]


def test_speaker_with_two_lines_hears_the_two_others() -> None:
    stage = Stage()
    for index in range(3):
        stage.join(f"p{index}", "speaker", voice=repeat(20), lines=2)
    stage.run(1.0)
    assert stage.room.holders == ["p0", "p1", "p2"]
    assert [set(stage.carried(f"p{index}")) for index in range(3)] == [{1, 2}, {0, 2}, {0, 1}]


def test_echo_group_hears_nobody_of_itself() -> None:
    """Two people at one table: neither's slot takes one of the other's two lines."""
    stage = Stage(RoomSettings(slots=4))
    stage.join("left", "speaker", voice=repeat(20), lines=2, echo_group="table")
    right = stage.join("right", "speaker", voice=repeat(20), lines=2, echo_group="table")
    stage.join("far", "speaker", voice=repeat(30), lines=0)
    stage.join("farther", "speaker", voice=repeat(30), lines=0)
    stage.run(1.0)
    assert right.echo_group == stage.room.participants["left"].echo_group
    assert stage.room.participants["far"].echo_group != right.echo_group
    assert set(stage.carried("left")) == set(stage.carried("right")) == {2, 3}


@pytest.mark.parametrize("lines", [1, 2, 3, 4])
def test_slots_change_live(lines: int) -> None:
    """Growing and shrinking keeps slot i on line i, and nobody carries a slot that is gone."""
    stage = Stage()
    stage.join("listener", lines=lines)
    for slots in (5, 1, 2, 6, 3):
        apply_slots(stage, slots)
        assert len(stage.room.slot_ids) == slots
        carried = stage.carried("listener")
        seated = [slot for slot in carried if slot is not None]
        assert len(seated) == len(set(seated)) == min(lines, slots)
        if lines == 1 or lines >= slots:
            assert carried == [i if i < slots else None for i in range(lines)]


def apply_slots(stage: Stage, slots: int) -> None:
    stage.room.apply(RoomCreate(room="room", slots=slots), stage.now)


def test_leaving_unsubscribes() -> None:
    stage = Stage()
    gone = stage.join("listener", lines=2)
    stage.leave("listener")
    assert not set(gone.egresses) & set(stage.forwarder.subscriptions)


def test_decisions_are_made_once_for_equal_listeners(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tick costs the same for 500 listeners as for one, as long as nothing changes."""
    stage = Stage()
    for index in range(500):
        stage.join(f"listener-{index}", lines=2)
    stage.join("p0", "speaker", voice=repeat(20), lines=0)
    stage.run(1.0)
    decisions = 0

    def counted(*arguments: object) -> tuple[int, ...]:
        nonlocal decisions
        decisions += 1
        return reseat(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("sfu.stage.seating.reseat", counted)
    stage.run(1.0)
    assert 1 <= decisions <= 12


@st.composite
def situations(draw: st.DrawFn) -> tuple[tuple[int, ...], Terms, list[SlotView]]:
    """Seats of a listener, its terms and the slots, as any history may have left them."""
    slots = draw(st.integers(1, 6))
    indexes = st.lists(st.integers(0, slots - 1), unique=True).map(tuple)
    levels = st.tuples(
        st.sampled_from([-60.0, -40.0, -20.0]),
        st.sampled_from([0.0, 12.0]),
        st.sampled_from([VOICED, PAUSED, math.inf]),
    )
    slots_seen = view(*draw(st.lists(levels, min_size=slots, max_size=slots)))
    lines = draw(st.integers(1, slots))
    seats = draw(st.permutations([*range(slots), NOTHING, NOTHING]))[:lines]
    return tuple(seats), Terms(draw(indexes), draw(indexes), draw(indexes)), slots_seen


@given(situations())
def test_whatever_came_before_seats_follow_the_terms(
    situation: tuple[tuple[int, ...], Terms, list[SlotView]],
) -> None:
    seats, terms, slots = situation
    after = reseat(seats, terms, slots)
    seated = [slot for slot in after if slot != NOTHING]
    audible = set(range(len(slots))) - set(terms.own) - set(terms.never)
    assert len(after) == len(seats) and len(set(seated)) == len(seated)
    assert not set(seated) & set(terms.never)
    assert len(audible & set(seated)) == min(len(seats), len(audible)), "no line stays empty"
    first = audible & set(terms.always)
    assert len(first & set(seated)) == min(len(seats), len(first)), "always comes first"


@given(situations())
def test_seats_rest_until_something_changes(
    situation: tuple[tuple[int, ...], Terms, list[SlotView]],
) -> None:
    seats, terms, slots = situation
    after = reseat(seats, terms, slots)
    assert reseat(after, terms, slots) == after


@given(situations())
def test_with_as_many_lines_as_slots_every_slot_stays_on_its_line(
    situation: tuple[tuple[int, ...], Terms, list[SlotView]],
) -> None:
    _, terms, slots = situation
    at_home = tuple(range(len(slots)))
    emptied = reseat(at_home, terms, slots)
    assert all(slot in (index, NOTHING) for index, slot in enumerate(emptied))
    assert reseat(emptied, Terms(own=terms.own), slots) == tuple(
        NOTHING if index in terms.own and index in terms.never else index for index in at_home
    )
