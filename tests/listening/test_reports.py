"""Reports tell how long a round trip takes, and their absence that nobody is there."""

from __future__ import annotations

import pytest

from sfu.listening.reports import Reports


def test_silence_counts_from_the_first_packet_that_was_not_answered() -> None:
    reports = Reports()
    reports.observe(0.05, None, 0.0)
    for second in range(1, 10):
        reports.observe_sent(50 * second, float(second))
    assert reports.silent_s(9.0) == 8.0
    reports.hear(9.0)
    assert reports.silent_s(9.0) == 0.0


def test_a_few_packets_ask_for_no_answer() -> None:
    """As of comfort noise."""
    reports = Reports()
    reports.observe(0.05, None, 0.0)
    for second in range(1, 10):
        reports.observe_sent(2 * second, float(second))
    assert reports.silent_s(9.0) == 0.0


def test_a_pause_of_the_talk_begins_it_anew() -> None:
    reports = Reports()
    reports.observe(0.05, None, 0.0)
    reports.observe_sent(50, 1.0)
    for second in range(2, 60):
        reports.observe_sent(50, float(second))
    reports.observe_sent(52, 60.0)
    reports.observe_sent(102, 61.0)
    assert reports.silent_s(61.0) == 1.0
    assert reports.is_active(61.0)
    assert not reports.is_active(64.0)


def test_looking_seldom_is_no_pause() -> None:
    reports = Reports()
    reports.observe(0.05, None, 0.0)
    reports.observe_sent(50, 1.0)
    reports.observe_sent(300, 6.0)
    assert reports.silent_s(6.0) == 5.0


def test_who_never_reported_is_not_silent() -> None:
    reports = Reports()
    for second in range(1, 100):
        reports.observe_sent(50 * second, float(second))
    assert reports.silent_s(99.0) == 0.0


def test_a_count_that_begins_anew_is_counted_from_there() -> None:
    """Moved to another room, say."""
    reports = Reports()
    reports.observe(0.05, None, 0.0)
    reports.observe_sent(5_000, 1.0)
    reports.hear(1.0)
    assert reports.observe_sent(30, 1.5)
    assert reports.silent_s(3.0) == 1.5


def test_a_round_trip_is_compared_with_the_least_once_two_are_known() -> None:
    reports = Reports()
    assert reports.waiting_s is None
    reports.observe(0.25, None, 0.0)
    assert reports.waiting_s is None
    reports.observe(0.05, None, 5.0)
    assert reports.waiting_s == pytest.approx(0.0)
    reports.observe(0.25, None, 10.0)
    assert reports.waiting_s == pytest.approx(0.2)
    reports.observe(None, 0.5, 15.0)
    assert reports.waiting_s == pytest.approx(0.2)
    reports.rebase()
    assert reports.waiting_s == pytest.approx(0.0)


def test_jitter_tells_where_there_are_no_round_trips() -> None:
    reports = Reports()
    for second, jitter_s in ((0.0, 0.01), (5.0, 0.01), (10.0, 0.16)):
        reports.observe(None, jitter_s, second)
    assert reports.waiting_s == pytest.approx(0.15)
