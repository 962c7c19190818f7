"""What each tier puts on which m-line, what follows what it carries no more, and who gets what."""

from __future__ import annotations

from itertools import repeat

import pytest

from control.commands import RoomCreate
from control.errors import ControlError, ErrorCode
from control.events import QualityChanged
from control.types import Role
from sfu.stage import RoomSettings
from sfu.stage.hush import CALM_S, CONGESTED_S
from tests.stage.harness import Stage


def talking(*, has_mix: bool = True, slots: int = 3) -> Stage:
    """p0 to p2 talk and hold the slots of their numbers."""
    stage = Stage(RoomSettings(slots=slots), has_mix=has_mix)
    for index in range(3):
        stage.join(f"p{index}", "speaker", voice=repeat(20), lines=0)
    stage.run(0.1)
    return stage


def told(stage: Stage) -> list[tuple[str, str, str]]:
    stage.drain()
    return [(body.previous, body.tier, body.cause) for body in stage.all_told(QualityChanged)]


@pytest.mark.parametrize(
    ("tier", "copies", "lines"),
    [
        ("A0", 1, ["0+1", "1+1", "2+1", "-"]),
        ("A0", 2, ["0+2", "1+2", "2+2", "-"]),
        ("A1", 0, ["0", "1", "2", "-"]),
        ("A2", 0, ["0x3", "1x3", "2x3", "-"]),
        ("A2", 1, ["0x3+1", "1x3+1", "2x3+1", "-"]),
        ("B2", 0, ["hush", "hush", "hush", "B2"]),
        ("B4", 1, ["hush", "hush", "hush", "B4+1"]),
        ("C", 0, ["hush", "hush", "hush", "-"]),
    ],
)
def test_a_tier_is_one_write_for_each_line_that_changes(
    tier: str, copies: int, lines: list[str]
) -> None:
    stage = talking()
    stage.join("listener", lines=4, red_lines=4)
    calls = len(stage.forwarder.subscribe_calls)
    assert stage.follow("listener", tier, "estimate", copies)
    assert stage.lines("listener") == lines
    changed = sum(line not in ("0", "1", "2", "-") for line in lines)
    assert len(stage.forwarder.subscribe_calls) == calls + changed
    assert stage.room.participant_state("listener").tier == tier
    assert told(stage) == ([] if tier == "A1" else [("A1", tier, "estimate")])


@pytest.mark.parametrize(("cause", "lasts_s"), [("estimate", CONGESTED_S), ("requested", CALM_S)])
def test_a_line_that_falls_silent_has_silence_for_a_while_and_then_nothing(
    cause: str, lasts_s: float
) -> None:
    stage = talking()
    stage.join("listener", lines=4)
    stage.follow("listener", "B3", cause)
    stage.run(lasts_s - 0.04)
    assert stage.lines("listener") == ["hush", "hush", "hush", "B3"]
    stage.run(0.08)
    assert stage.lines("listener") == ["-", "-", "-", "B3"]
    assert len(stage.forwarder.slots) == 4, "no row is kept for silence that nobody hears"
    stage.follow("listener", "A1", "recovered")
    assert stage.lines("listener") == ["0", "1", "2", "hush"]
    stage.run(1.0)
    assert stage.lines("listener") == ["0", "1", "2", "-"]


def test_silence_is_asked_for_frame_by_frame_and_ended_by_whatever_comes_back() -> None:
    stage = talking()
    stage.join("listener", lines=3)
    stage.follow("listener", "C", "silence")
    stage.run(0.02)
    assert stage.room.tails.take(stage.now) == stage.room._floor.hush.stream
    assert stage.room.tails.take(stage.now) is None
    stage.follow("listener", "A1", "recovered")
    assert stage.lines("listener") == ["0", "1", "2"]
    stage.run(0.02)
    assert stage.room.tails.take(stage.now) is None


def test_without_a_line_of_its_own_the_mix_takes_the_first() -> None:
    stage = talking()
    for name, lines in (("two", 2), ("three", 3)):
        stage.join(name, lines=lines)
        stage.follow(name, "B1")
    assert stage.lines("two") == ["B1", "hush"]
    assert stage.lines("three") == ["B1", "hush", "hush"]
    assert stage.room.participant_state("two").slots == 3, "a mix has everybody in it"
    stage.follow("two", "A1")
    assert stage.lines("two") == ["0", "1"]


def test_a_single_line_carries_the_mix_unless_forwarding_is_asked_for() -> None:
    stage = talking()
    stage.join("one", lines=1)
    assert stage.lines("one") == ["B1"]
    assert stage.room.subscriptions.offered("one", stage.now) == (
        *("B1", "B2", "B3", "B4", "B5"),
        "C",
    )
    stage.ask("one", mode="forward")
    assert stage.lines("one") == ["0"]
    assert stage.room.subscriptions.offered("one", stage.now) == ("A1", "A2", "C")
    stage.ask("one", mode="auto")
    assert stage.lines("one") == ["B1"]
    assert told(stage) == [("B1", "A1", "requested"), ("A1", "B1", "requested")]


def test_a_single_line_is_enough_for_a_single_slot() -> None:
    stage = talking(slots=1)
    stage.join("one", lines=1)
    assert stage.lines("one") == ["0"]
    stage.room.apply(RoomCreate(room="room", slots=3), stage.now)
    assert stage.lines("one") == ["B1"]
    assert told(stage) == [("A1", "B1", "slots")]


def test_mode_mix_carries_the_mix_at_once_and_mode_forward_never_does() -> None:
    stage = talking()
    stage.join("listener", lines=4)
    stage.ask("listener", mode="mix")
    assert stage.lines("listener")[3] == "B1"
    stage.follow("listener", "B4")
    stage.ask("listener", mode="forward")
    assert stage.lines("listener") == ["0x3", "1x3", "2x3", "hush"]


def test_whoever_never_wants_somebody_is_not_given_a_mix_with_that_voice() -> None:
    stage = talking()
    stage.join("listener", lines=4)
    stage.follow("listener", "B2")
    stage.ask("listener", never=["p1"])
    assert stage.lines("listener") == ["0x3", "hush", "2x3", "hush"]
    with pytest.raises(ControlError) as refused:
        stage.ask("listener", mode="mix")
    assert refused.value.code is ErrorCode.FAILED_PRECONDITION
    assert refused.value.detail == {"field": "never"}


def test_a_tier_that_is_not_offered_is_not_taken() -> None:
    """Whoever decided it did not know yet what the listener has asked for since."""
    stage = talking()
    stage.join("listener", lines=4)
    stage.ask("listener", never=["p1"])
    carried = stage.lines("listener")
    assert not stage.follow("listener", "B3", "delay")
    assert told(stage) == []
    assert stage.lines("listener") == carried


def test_other_slots_move_the_line_of_the_mix() -> None:
    stage = talking()
    stage.join("listener", lines=4)
    stage.follow("listener", "B2")
    stage.room.apply(RoomCreate(room="room", slots=2), stage.now)
    assert stage.lines("listener")[2:] == ["B2", "hush"]
    stage.room.apply(RoomCreate(room="room", slots=4), stage.now)
    assert stage.lines("listener")[0] == "B2"


# Until the mix flows


def test_slots_go_on_until_the_mix_flows() -> None:
    stage = talking()
    stage.join("listener", lines=4)
    stage.mixes.flowing = False
    stage.follow("listener", "B2")
    stage.run(0.1)
    assert stage.lines("listener") == ["0", "1", "2", "-"]
    assert stage.room.participant_state("listener").tier == "B2"
    expected = [seat.stream for seat in stage.room.subscriptions.seats("listener")]
    egresses = stage.room.participants["listener"].egresses
    assert expected == [stage.forwarder.subscriptions[egress] for egress in egresses]
    stage.mixes.waiting.clear()
    stage.run(0.04)
    assert stage.lines("listener") == ["hush", "hush", "hush", "B2"]


def test_a_mix_that_does_not_begin_holds_nobody_up_for_long() -> None:
    stage = talking()
    stage.join("listener", lines=4)
    stage.mixes.flowing = False
    stage.follow("listener", "B2")
    stage.run(0.24)
    assert stage.lines("listener")[3] == "B2"
    assert stage.room.next_deadline() is not None


def test_a_decision_while_waiting_replaces_the_one_before() -> None:
    stage = talking()
    stage.join("listener", lines=4)
    stage.mixes.flowing = False
    stage.follow("listener", "B2")
    stage.follow("listener", "A2")
    stage.mixes.waiting.clear()
    stage.run(0.3)
    assert stage.lines("listener") == ["0x3", "1x3", "2x3", "-"]


def test_whoever_pauses_or_leaves_while_waiting_carries_nothing() -> None:
    stage = talking()
    stage.mixes.flowing = False
    for name in ("paused", "gone"):
        stage.join(name, lines=4)
        stage.follow(name, "B2")
    stage.ask("paused", paused=True)
    stage.leave("gone")
    stage.mixes.waiting.clear()
    stage.run(1.0)
    assert stage.lines("paused") == ["-", "-", "-", "-"]
    stage.ask("paused", paused=False)
    assert stage.lines("paused") == ["-", "-", "-", "B2"]


# Nobody hears itself


def test_who_goes_on_stage_gets_a_mix_without_itself_in_the_same_call() -> None:
    stage = talking()
    stage.join("guest", lines=4)
    stage.follow("guest", "B3")
    stage.mixes.flowing = False
    stage.room.moderation.set_role("guest", Role.SPEAKER, stage.now)
    assert stage.lines("guest")[3] == "B3-guest", "even before it flows"


def test_who_leaves_the_stage_keeps_it_until_its_voice_is_out_of_the_mixer() -> None:
    stage = talking()
    stage.join("guest", "speaker", lines=4)
    stage.follow("guest", "B3")
    stage.run(0.1)
    assert stage.lines("guest")[3] == "B3-guest"
    stage.room.moderation.set_muted("guest", True, stage.now)
    stage.run(0.4)
    assert stage.lines("guest")[3] == "B3-guest"
    stage.run(0.3)
    assert stage.lines("guest")[3] == "B3"


def test_who_is_muted_and_speaks_again_keeps_its_own_mix() -> None:
    stage = talking()
    stage.join("guest", "speaker", lines=4)
    stage.follow("guest", "B3")
    stage.room.moderation.set_muted("guest", True, stage.now)
    stage.run(0.2)
    stage.room.moderation.set_muted("guest", False, stage.now)
    for _ in range(50):
        stage.run(0.02)
        assert stage.lines("guest")[3] == "B3-guest"


def test_those_in_one_place_share_a_mix_without_any_of_them() -> None:
    stage = talking()
    stage.join("desk", "listener", lines=4, echo_group="table")
    stage.join("laptop", "speaker", lines=4, echo_group="table", muted=True)
    stage.follow("desk", "B2")
    assert stage.lines("desk")[3] == "B2"
    stage.room.moderation.set_muted("laptop", False, stage.now)
    assert stage.lines("desk")[3] == "B2-desk+laptop"
    stage.leave("laptop")
    assert stage.lines("desk")[3] == "B2-desk"
    stage.run(0.7)
    assert stage.lines("desk")[3] == "B2"


def test_a_single_line_on_stage_has_its_own_mix_from_the_first_packet() -> None:
    stage = talking()
    stage.join("guest", "speaker", lines=1)
    assert stage.lines("guest") == ["B1-guest"]
    assert ("B1", None) not in stage.mixes.slots, "no mix is begun that nobody may hear"


# When there is no mix to be had


def test_one_own_mix_too_many_is_refused_and_not_offered_for_a_while() -> None:
    stage = talking()
    stage.mixes.own_max = 0
    stage.join("guest", "speaker", lines=4)
    assert not stage.follow("guest", "B2")
    assert stage.lines("guest") == ["0", "1", "2", "-"]
    assert stage.room.subscriptions.offered("guest", stage.now) == ("A1", "A2", "C")
    assert "B2" in stage.room.subscriptions.offered("guest", stage.now + 10.0)


def test_who_cannot_have_an_own_mix_gets_slots_when_it_goes_on_stage() -> None:
    stage = talking()
    stage.mixes.own_max = 0
    for name, lines in (("guest", 4), ("single", 1)):
        stage.join(name, lines=lines)
    stage.follow("guest", "B3")
    for name in ("guest", "single"):
        stage.room.moderation.set_role(name, Role.SPEAKER, stage.now)
    assert stage.lines("guest")[:3] == ["0x3", "1x3", "2x3"]
    assert stage.lines("single") == ["0"]
    assert told(stage)[-2:] == [("B3", "A2", "unavailable"), ("B1", "A1", "unavailable")]


def test_when_mixing_ends_everybody_gets_what_remains() -> None:
    stage = talking()
    stage.join("listener", lines=4)
    stage.follow("listener", "B4")
    stage.mixes.is_available = False
    stage.room.subscriptions.mixes_changed(stage.now)
    assert stage.lines("listener") == ["0x3", "1x3", "2x3", "hush"]
    assert told(stage)[-1] == ("B4", "A2", "unavailable")


def test_without_a_mixer_no_mix_is_offered() -> None:
    stage = talking(has_mix=False)
    stage.join("listener", lines=4, red_lines=4)
    assert stage.room.subscriptions.offered("listener", stage.now) == ("A0", "A1", "A2", "C")


def test_a_full_forwarder_packs_nothing_and_lets_lines_fall_silent_without_silence() -> None:
    stage = talking(has_mix=False)
    stage.join("listener", lines=3, red_lines=3)
    stage.forwarder.is_full = True
    stage.follow("listener", "A2", copies=1)
    assert stage.forms("listener") == [(0, 1), (1, 1), (2, 1)]
    stage.follow("listener", "C")
    assert set(stage.forwarder.subscriptions.values()) == {-1}


# What is told


def test_the_history_says_when_what_and_why_and_has_an_end() -> None:
    stage = talking()
    stage.join("listener", lines=4)
    stage.run(1.0)
    stage.follow("listener", "A2", "loss")
    stage.ask("listener", paused=True)
    state = stage.room.subscriptions.state("listener")
    assert [(step.tier, step.cause) for step in state.history] == [
        ("A1", "join"),
        ("A2", "loss"),
        ("paused", "requested"),
    ]
    assert 1_000 <= state.history[1].at - state.history[0].at <= 1_040
    assert state.cause == "requested"
    for index in range(40):
        stage.follow("listener", f"B{1 + index % 5}")
        stage.ask("listener", paused=False)
    assert len(stage.room.subscriptions.state("listener").history) == 16


def test_a_tier_that_changes_during_a_pause_holds_afterwards() -> None:
    stage = talking()
    stage.join("listener", lines=4)
    stage.ask("listener", paused=True)
    stage.follow("listener", "B5", "estimate")
    assert stage.lines("listener")[3] == "-" and stage.mixes.slots == {}
    stage.ask("listener", paused=False)
    assert stage.lines("listener")[3] == "B5"
    assert told(stage)[-1] == ("paused", "B5", "requested")
