"""`speakers.changed`: complete, ordered, in time, and not too often."""

from __future__ import annotations

from itertools import chain, cycle, islice, repeat

import pytest

from control.events import SpeakersChanged
from control.types import LeaveReason, Role
from sfu.stage import RoomSettings
from sfu.stage.speakers import ACTIVE_MAX, Speakers
from sfu.stage.tails import TAIL_S
from tests.stage import speech
from tests.stage.harness import Stage

TONE = 20


def snapshots(stage: Stage) -> list[tuple[float, SpeakersChanged]]:
    return [(at, body) for at, body in stage.told if isinstance(body, SpeakersChanged)]


def talking(*names: str, seconds: float = 2.0) -> Stage:
    """A room where `names` talk steadily, the first the loudest."""
    stage = Stage()
    for index, name in enumerate(names):
        stage.join(name, "speaker", voice=repeat(TONE + 4 * index))
    stage.run(seconds)
    return stage


def test_active_within_200_ms_of_voice() -> None:
    for offset in range(5):
        stage = Stage()
        stage.join("a", "speaker", voice=chain(repeat(70, 50 + offset), repeat(TONE)))
        stage.run(3.0)
        at, body = snapshots(stage)[0]
        assert 0.1 <= at - (1.0 + 0.02 * offset) <= 0.22
        assert [speaker.participant for speaker in body.speakers] == ["a"]


def test_inactive_after_half_a_second_of_silence_and_the_last_snapshot_is_empty() -> None:
    stage = Stage()
    stage.join("a", "speaker", voice=chain(repeat(TONE, 50), repeat(70)))
    stage.run(3.0)
    at, body = snapshots(stage)[-1]
    assert body.speakers == []
    assert 0.5 <= at - 1.0 <= 0.62


def test_pause_between_words_does_not_flicker() -> None:
    stage = Stage()
    stage.join("a", "speaker", voice=cycle([TONE] * 20 + [70] * 15))
    stage.run(10.0)
    assert (
        len(
            {
                tuple(speaker.participant for speaker in body.speakers)
                for _, body in snapshots(stage)
            }
        )
        == 1
    )


def test_keyboard_alone_is_rarely_shown() -> None:
    stage = Stage()
    stage.join("a", "speaker", voice=speech.typing(3))
    stage.run(1.0)
    assert len(snapshots(stage)) <= 1


def test_revisions_grow_by_one() -> None:
    stage = talking("a", "b", "c")
    stage.room.moderation.set_muted("b", True, stage.now)
    stage.run(1.0)
    stage.room.moderation.set_muted("b", False, stage.now)
    stage.run(1.0)
    revisions = [body.revision for _, body in snapshots(stage)]
    assert revisions == list(range(1, len(revisions) + 1))
    assert len(revisions) >= 3


def test_each_names_the_slot_it_holds_and_the_fourth_none() -> None:
    stage = talking("a", "b", "c", "d", seconds=0.8)
    body = snapshots(stage)[-1][1]
    slots = {speaker.participant: speaker.slot for speaker in body.speakers}
    assert slots == {"a": 0, "b": 1, "c": 2, "d": None}


def test_dominant_first_then_by_level() -> None:
    """`quiet` spoke first and stays dominant; the others follow in order of level."""
    stage = Stage()
    stage.join("quiet", "speaker", voice=repeat(30))
    stage.run(2.0)
    stage.join("b", "speaker", voice=repeat(25))
    stage.join("c", "speaker", voice=repeat(15))
    stage.run(1.0)
    assert stage.active() == ["quiet", "c", "b"]


def test_level_is_minus_dbov() -> None:
    stage = talking("a", seconds=3.0)
    assert snapshots(stage)[-1][1].speakers[0].level == TONE


def test_steady_voices_are_told_once() -> None:
    stage = talking("a", "b")
    before = len(snapshots(stage))
    stage.run(20.0)
    assert len(snapshots(stage)) == before


def test_levels_alone_are_told_twice_a_second_at_most() -> None:
    stage = Stage()
    stage.join("a", "speaker", voice=cycle([10] * 10 + [40] * 10))
    stage.run(10.0)
    times = [at for at, _ in snapshots(stage)]
    assert len(times) > 5
    assert all(b - a >= 0.49 for a, b in zip(times, times[1:], strict=False))


@pytest.mark.parametrize("what", ["mute", "demote", "leave", "kick"])
def test_ending_a_voice_is_told_at_once(what: str) -> None:
    """In the very call, not on the next tick: well within 100 ms."""
    stage = talking("a", "b")
    stage.drain()
    match what:
        case "mute":
            stage.room.moderation.set_muted("a", True, stage.now)
        case "demote":
            stage.room.moderation.set_role("a", Role.LISTENER, stage.now)
        case "leave":
            stage.leave("a")
        case _:
            stage.leave("a", LeaveReason.REMOVED, ban_s=5)
    body = stage.drain()[-1]
    assert isinstance(body, SpeakersChanged)
    assert [speaker.participant for speaker in body.speakers] == ["b"]


def test_last_voice_muted_leaves_an_empty_snapshot_and_no_timer() -> None:
    stage = talking("a")
    stage.room.moderation.set_muted("a", True, stage.now)
    body = stage.drain()[-1]
    assert isinstance(body, SpeakersChanged)
    assert body.speakers == []
    stage.run(TAIL_S + 0.1)
    assert stage.room.next_deadline() is None


def test_room_state_carries_the_last_snapshot() -> None:
    stage = talking("a", "b")
    assert stage.room.state().speakers == snapshots(stage)[-1][1].speakers


def test_listener_that_sends_is_never_shown() -> None:
    stage = Stage()
    stage.join("a", "listener", voice=repeat(TONE))
    stage.run(2.0)
    assert snapshots(stage) == []
    assert stage.forwarded == []


def test_snapshots_are_bounded() -> None:
    stage = Stage(RoomSettings(max_speakers=100))
    for index in range(ACTIVE_MAX + 10):
        stage.join(f"p{index}", "speaker", voice=islice(repeat(TONE), 1000), lines=0)
    stage.run(1.0)
    assert len(snapshots(stage)[-1][1].speakers) == ACTIVE_MAX


def test_a_room_where_nobody_speaks_rests_and_wakes_with_the_first_voice() -> None:
    """An open microphone costs nothing while it is silent; its next word loses no packet."""
    stage = Stage()
    stage.join("a", "speaker", voice=chain(repeat(TONE, 50), repeat(127, 250), repeat(TONE)))
    stage.run(1.0)
    assert stage.room.holders[0] == "a"
    stage.run(4.5)
    assert stage.room.next_deadline() is None
    assert stage.room.holders == [None] * 3
    stage.run(0.75)
    assert stage.room.holders[0] == "a"
    assert [entry.participant for entry in stage.room.state().speakers] == ["a"]


def test_the_quick_look_hides_no_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    """With it and without it the same is told at the same time."""

    def told() -> list[tuple[float, SpeakersChanged]]:
        stage = Stage()
        stage.join("a", "speaker", voice=speech.talk(1))
        stage.join("b", "speaker", voice=speech.talk(2, loudness_db=-30.0))
        stage.join("c", "speaker", voice=chain(repeat(70, 400), speech.talk(3)))
        stage.run(20.0)
        return snapshots(stage)

    quick = told()
    assert len(quick) > 10
    monkeypatch.setattr(Speakers, "_is_as_told", lambda *_: False)
    assert told() == quick
