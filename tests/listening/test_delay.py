"""A queue is seen by when packets come: whether it grows, and how long it is."""

from __future__ import annotations

import random

import pytest

from sfu.listening.delay import LEAST_S, WINDOW_GROUPS, Delay, Least, Use


def play(
    delay: Delay,
    seconds: float,
    *,
    start: float = 0.0,
    interval_s: float = 0.02,
    grows: float = 0.0,
    wait_s: float = 0.0,
    jitter_s: float = 0.0,
) -> float:
    """Packets, judged ten times a second; `grows` is how much longer each second takes."""
    chance = random.Random(1)
    packets = round(seconds / interval_s)
    judged = start
    for number in range(packets):
        sent_at = start + number * interval_s
        way_s = 0.05 + wait_s + (sent_at - start) * grows + jitter_s * chance.random()
        delay.take(sent_at, sent_at + way_s + 500.0)
        if sent_at - judged >= 0.1:
            delay.judge()
            judged = sent_at
    delay.judge()
    return start + packets * interval_s


@pytest.mark.parametrize("interval_s", [1 / 150, 0.02, 0.06, 0.12])
def test_a_queue_that_grows_by_a_fifth_is_seen_within_two_seconds(interval_s: float) -> None:
    delay = Delay()
    at = play(delay, 5.0, interval_s=interval_s)
    uses = [delay.trend.use]
    play(delay, 2.0, start=at, interval_s=interval_s, grows=0.2)
    assert [*uses, delay.trend.use] == [Use.NORMAL, Use.OVER]
    assert delay.trend.over_since is not None
    assert at - 0.1 <= delay.trend.over_since <= at + 2.0


def test_a_queue_that_empties_is_seen_too_and_then_nothing() -> None:
    delay = Delay()
    at = play(delay, 2.0, grows=0.2)
    at = play(delay, 1.5, start=at, wait_s=0.4, grows=-0.25)
    assert (delay.trend.use, delay.trend.over_since) == (Use.UNDER, None)
    play(delay, 4.0, start=at)
    assert delay.trend.use is Use.NORMAL


def test_the_jitter_of_a_radio_link_is_no_queue() -> None:
    delay = Delay()
    at = play(delay, 20.0, jitter_s=0.03)
    uses = set()
    for _ in range(300):
        at = play(delay, 0.1, start=at, jitter_s=0.03)
        uses.add(delay.trend.use)
    assert Use.OVER not in uses


def test_packets_that_leave_together_are_one_group() -> None:
    delay = Delay()
    for burst in range(WINDOW_GROUPS):
        for packet in range(3):
            at = burst * 0.02 + packet * 0.001
            delay.take(at, at + 0.05 + packet * 0.01 + burst * 0.004)
    delay.judge()
    assert delay.trend.use is Use.NORMAL  # one group less than the slope needs is complete


def test_how_long_packets_stand_is_the_least_of_a_second_above_that_of_half_a_minute() -> None:
    delay = Delay()
    assert delay.standing_s is None
    at = play(delay, 3.0)
    assert delay.standing_s == pytest.approx(0.0)
    at = play(delay, 1.5, start=at, wait_s=0.3, jitter_s=0.05)
    assert delay.standing_s == pytest.approx(0.3, abs=0.01)
    assert 0.3 <= delay.newest_s <= 0.35
    delay.rebase()
    play(delay, 0.5, start=at, wait_s=0.3, jitter_s=0.05)
    assert delay.standing_s == pytest.approx(0.0, abs=0.01)


def test_one_late_packet_does_not_stand() -> None:
    delay = Delay()
    at = play(delay, 3.0)
    delay.take(at, at + 500.6)
    delay.judge()
    assert delay.newest_s == pytest.approx(0.55)
    assert delay.standing_s == pytest.approx(0.0)


def test_after_a_pause_the_slope_begins_anew() -> None:
    delay = Delay()
    at = play(delay, 2.0, grows=0.3)
    uses = [delay.trend.use]
    play(delay, 0.2, start=at + 10.0, wait_s=0.6)
    assert [*uses, delay.trend.use] == [Use.OVER, Use.NORMAL]


def test_packets_that_overtook_each_other_change_nothing() -> None:
    delay = Delay()
    for number in range(400):
        at = number * 0.02
        delay.take(at, at + 0.05 + (0.06 if number % 7 == 0 else 0.0))
        if number % 5 == 0:
            delay.judge()
        assert delay.trend.use is not Use.OVER


def test_the_least_is_forgotten_after_a_while() -> None:
    least = Least(LEAST_S)
    assert least.value is None
    least.take(1.0, 0.0)
    for second in range(1, 29):
        least.take(3.0, float(second))
        assert least.value == 1.0
    for second in range(29, 62):
        least.take(3.0, float(second))
    assert least.value == 3.0
    least.take(2.0, 1_000.0)
    assert least.value == 2.0


@pytest.mark.parametrize("interval_s", [1 / 150, 0.02, 0.06])
def test_what_comes_later_at_once_is_told_from_a_queue_that_grows(interval_s: float) -> None:
    """A route or a clock does the one, a full line the other."""
    sudden, growing = Delay(), Delay()
    for delay in (sudden, growing):
        at = play(delay, 4.0, interval_s=interval_s)
    play(sudden, 0.3, start=at, interval_s=interval_s, wait_s=0.2)
    assert sudden.jump_s == pytest.approx(sudden.newest_s, abs=0.001)
    play(growing, 0.6, start=at, interval_s=interval_s, grows=0.4)
    assert growing.jump_s <= 0.3 * growing.newest_s
    play(sudden, 3.0, start=at + 0.3, interval_s=interval_s, wait_s=0.2)
    assert sudden.jump_s == pytest.approx(0.0, abs=0.001)
