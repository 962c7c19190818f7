"""Silence after a voice that was cut off: when, how much of it, and what ends it."""

from __future__ import annotations

import math

import pytest

from sfu.fast import SourceLevel
from sfu.stage.tails import LOST_AFTER_S, TAIL_S, Tails, is_lost

FRAME_S = 0.02


def same(slot: int, now: float) -> int:
    """In place of streams."""
    return slot


def frames(tails: Tails, now: float, seconds: float) -> list[tuple[float, int]]:
    """What a room that is asked every 20 ms gets."""
    got = []
    for step in range(1, round(seconds / FRAME_S) + 1):
        at = now + step * FRAME_S
        if tails.deadline is not None and at >= tails.deadline:
            tails.tick(at)
        while (slot := tails.take(at)) is not None:
            got.append((round(at - now, 6), slot))
    return got


def test_a_voice_that_was_cut_off_is_followed_by_half_a_second_of_frames() -> None:
    tails = Tails(same)
    tails.begin(1, 10.0)
    got = frames(tails, 10.0, 2.0)
    assert {slot for _, slot in got} == {1}
    times = [at for at, _ in got]
    assert times == [round(step * FRAME_S, 6) for step in range(1, 25)]
    assert times[-1] < TAIL_S
    assert tails.deadline is None, "a room without tails is not woken for them"


def test_frames_that_are_asked_for_late_do_not_come_in_a_burst() -> None:
    tails = Tails(same)
    tails.begin(0, 0.0)
    tails.tick(0.1)
    assert [tails.take(0.1), tails.take(0.1)] == [0, None]
    tails.tick(0.1)
    assert tails.take(0.1) is None, "a repeated call does nothing"
    assert tails.deadline is not None and tails.deadline > 0.1


def test_a_voice_ends_it_even_between_tick_and_frame() -> None:
    tails = Tails(same)
    tails.begin(0, 0.0)
    tails.begin(2, 0.0)
    tails.tick(0.02)
    tails.end(0)
    assert [tails.take(0.1), tails.take(0.1)] == [2, None]
    tails.end(2)
    assert tails.deadline is None
    tails.end(2)
    assert frames(tails, 0.02, 1.0) == []


def test_a_slot_on_which_somebody_speaks_again_is_left_alone() -> None:
    tails = Tails(lambda slot, now: slot if now < 0.1 else None)
    tails.begin(4, 0.0)
    assert len(frames(tails, 0.0, 1.0)) == 4
    assert tails.deadline is None


def test_a_second_cut_begins_anew() -> None:
    tails = Tails(same)
    tails.begin(0, 0.0)
    assert len(frames(tails, 0.0, 0.4)) == 20
    tails.begin(0, 0.4)
    assert len(frames(tails, 0.4, 1.0)) == 24


@pytest.mark.parametrize(
    ("age_s", "pausing", "lost"),
    [
        (0.02, False, False),
        (LOST_AFTER_S - 0.01, False, False),
        (LOST_AFTER_S, False, True),
        (LOST_AFTER_S + 0.1, False, True),
        (LOST_AFTER_S + 0.1, True, False),
        (LOST_AFTER_S + TAIL_S, False, False),
        (math.inf, False, False),
    ],
)
def test_a_publisher_is_lost_when_nothing_follows_what_announced_no_pause(
    age_s: float, pausing: bool, lost: bool
) -> None:
    """Once: after its tail it is an old story."""
    level = SourceLevel(-30.0, True, age_s, age_s, 30, 20, True, pausing)
    assert is_lost(level) is lost
