"""Orders, deadlines and the straight way from packets to frames."""

from __future__ import annotations

import pytest

from sfu.mixing import CloseRoom, Mixer, OpenRoom, SetSource, StartOutput, StopOutput
from sfu.mixing.mixer import ROOMS_MAX, SLOTS_MAX
from sfu.mixing.room import OUTPUTS_MAX

from .talking import BEGIN_S, ROOM, TICK_S, Stage, Talker, magnitude_db, sine

# A codec for speech takes tones for something else, the more the fewer bits it has.
TOLERANCE_DB = {"B1": 1.0, "B2": 2.5, "B3": 2.5, "B4": 2.5, "B5": 8.0}
FRAME_MS = {"B1": 20, "B2": 40, "B3": 60, "B4": 60, "B5": 120}


@pytest.mark.parametrize("tier", FRAME_MS)
def test_every_tier_carries_everybody_in_frames_that_join(tier: str) -> None:
    stage = Stage()
    listener = stage.listen(tier=tier)
    for source, hertz in ((1, 440.0), (2, 1_000.0), (3, 1_500.0)):
        stage.know(source)
        stage.talk(Talker(source, sine(hertz, 0.1), slot=source - 1), 3)
    stage.run(3)
    ticks = FRAME_MS[tier] * 48
    spoken = [frame for frame in listener.frames if frame.csrcs]
    assert {frame.ticks for frame in spoken} == {ticks}
    for before, after in zip(spoken, spoken[1:], strict=False):
        assert after.at - before.at == pytest.approx(FRAME_MS[tier] / 1_000, abs=1e-6)
    heard = listener.hear()[48_000:96_000]
    for hertz in (440, 1_000, 1_500):
        assert magnitude_db(heard, hertz) == pytest.approx(-20, abs=TOLERANCE_DB[tier])
    assert sorted(spoken[10].csrcs) == [101, 102, 103]


def test_a_frame_tells_how_loud_it_is() -> None:
    stage = Stage()
    listener = stage.listen()
    stage.talk(Talker(1, sine(440, 0.1)), 2)
    stage.run(2)
    assert listener.frames[60].level == 23  # a sine's mean power is 3 dB below its peak


def test_rooms_hear_nothing_of_each_other() -> None:
    stage = Stage()
    stage.mixer.apply(OpenRoom(ROOM + 1, 3))
    stage.mixer.apply(StartOutput(ROOM + 1, 9, "B1"))
    stage.listeners[9] = other = stage.listen(1)
    stage.listeners[1] = here = type(other)()
    stage.talk(Talker(1, sine(440, 0.1)), 1)
    stage.run(1)
    assert any(frame.csrcs for frame in here.frames)
    assert not any(frame.csrcs for frame in other.frames)


def test_what_cannot_be_is_refused() -> None:
    mixer = Mixer(BEGIN_S)
    mixer.apply(OpenRoom(1, 3))
    mixer.apply(StartOutput(1, 5, "B1"))
    for order in (
        OpenRoom(1, 3),
        OpenRoom(2, 0),
        OpenRoom(2, SLOTS_MAX + 1),
        CloseRoom(2),
        StartOutput(2, 1, "B1"),
        StartOutput(1, 5, "B2"),
        StartOutput(1, 6, "A1"),
        StopOutput(1, 6),
        SetSource(2, 1, 1, 1),
    ):
        with pytest.raises(ValueError, match=r"\w"):
            mixer.apply(order)


def test_rooms_and_outputs_are_limited() -> None:
    mixer = Mixer(BEGIN_S)
    mixer.apply(OpenRoom(0, 1))
    for output in range(OUTPUTS_MAX):
        mixer.apply(StartOutput(0, output, "B5"))
    with pytest.raises(ValueError, match="outputs"):
        mixer.apply(StartOutput(0, OUTPUTS_MAX, "B5"))
    for room in range(1, ROOMS_MAX):
        mixer.apply(OpenRoom(room, 1))
    with pytest.raises(ValueError, match="rooms"):
        mixer.apply(OpenRoom(ROOMS_MAX, 1))
    mixer.apply(CloseRoom(5))
    mixer.apply(OpenRoom(ROOMS_MAX, 1))


def test_an_output_that_was_stopped_sends_nothing_and_may_begin_again() -> None:
    stage = Stage()
    listener = stage.listen()
    stage.talk(Talker(1, sine(440, 0.1)), 2)
    stage.run(1)
    stage.mixer.apply(StopOutput(ROOM, 0))
    before = len(listener.frames)
    stage.run(0.5)
    assert len(listener.frames) == before
    assert stage.mixer.stats().encoders == 0
    stage.listen()
    stage.run(0.5)
    assert len(listener.frames) > before + 20


def test_packets_of_closed_rooms_are_counted() -> None:
    stage = Stage()
    stage.mixer.apply(CloseRoom(ROOM))
    stage.talk(Talker(1, sine(440, 0.1)), 0.2)
    stage.run(0.4)
    assert stage.mixer.stats().counts.stray_packets == 10


def test_an_hour_of_ticks_does_not_drift() -> None:
    mixer = Mixer(BEGIN_S)
    for number in range(1, 3_600 * 50 + 1):
        deadline = mixer.next_deadline()
        assert abs(deadline - (BEGIN_S + number * TICK_S)) < 1e-6
        mixer.tick(deadline + 0.001)
    assert mixer.stats().counts.skipped_ticks == mixer.stats().counts.late_ticks == 0


def test_before_its_deadline_a_tick_does_nothing() -> None:
    stage = Stage()
    stage.listen()
    deadline = stage.mixer.next_deadline()
    assert stage.mixer.tick(deadline - 0.001) == []
    assert stage.mixer.next_deadline() == deadline
    assert stage.mixer.tick(deadline)


def test_nothing_is_due_without_a_room_and_the_first_tick_of_the_next_one_is_not_late() -> None:
    mixer = Mixer(BEGIN_S)
    assert mixer.is_idle
    for begin_s in (BEGIN_S + 5, BEGIN_S + 60):
        mixer.apply(OpenRoom(ROOM, 1))
        mixer.apply(StartOutput(ROOM, 1, "B1"))
        assert not mixer.is_idle and mixer.next_deadline() <= begin_s
        (frame,) = mixer.tick(begin_s)
        assert frame.at == pytest.approx(begin_s - TICK_S)
        assert mixer.next_deadline() == pytest.approx(begin_s + TICK_S)
        mixer.apply(CloseRoom(ROOM))
        assert mixer.is_idle
    assert mixer.stats().counts.skipped_ticks == mixer.stats().counts.late_ticks == 0


def test_after_a_rest_a_room_that_closes_before_the_first_tick_changes_nothing() -> None:
    mixer = Mixer(BEGIN_S)
    for room in (1, 2):
        mixer.apply(OpenRoom(room, 3))
    mixer.apply(CloseRoom(2))
    mixer.tick(BEGIN_S + 3_600)
    assert mixer.stats().counts.skipped_ticks == mixer.stats().counts.late_ticks == 0


def test_late_ticks_are_counted_and_made_and_later_ones_are_skipped() -> None:
    stage = Stage()
    listener = stage.listen()
    stage.talk(Talker(1, sine(440, 0.1)), 2)
    stage.run(1)
    mixer, last = stage.mixer, listener.frames[-1].at
    frames = mixer.tick(stage.now + 0.049)  # two are due, the first 29 ms ago
    assert [round(frame.at - last, 6) for frame in frames] == [0.02, 0.04]
    assert (mixer.stats().counts.late_ticks, mixer.stats().counts.skipped_ticks) == (1, 0)
    last = frames[-1].at
    frames = mixer.tick(stage.now + 0.2)  # eight are due
    assert [round(frame.at - last, 6) for frame in frames] == [0.14, 0.16]
    assert mixer.stats().counts.skipped_ticks == 6
    assert mixer.next_deadline() == pytest.approx(stage.now + 0.22)


def test_ticks_are_measured_by_the_stopwatch_that_is_given() -> None:
    times = iter((5.0, 5.0015, 6.0, 6.0301, 7.0, 7.0601))
    mixer = Mixer(BEGIN_S, stopwatch=lambda: next(times))
    mixer.tick(mixer.next_deadline())
    mixer.tick(mixer.next_deadline())
    mixer.tick(mixer.next_deadline())
    stats = mixer.stats()
    assert stats.tick_us == (0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 1)
    assert stats.tick_us_sum == 91_700
