"""A probe tells what came through, and ends where a queue begins."""

from __future__ import annotations

import pytest

from sfu.listening.probing import BUCKET_BYTES, STAGE_MAX_S, Finding, Probe
from sfu.listening.rates import HEADROOM
from tests.listening.line_model import Sent


def probe_of(enough_bps: float = 1e9, loss_ratio: float = 0.0) -> Probe:
    return Probe(needs=[enough_bps], waits_s=0.0, loss_ratio=loss_ratio, now=0.0)


def run(
    probe: Probe, seconds: float, *, start: float = 0.0, size: int = 200, waits_s: float = 0.0
) -> Finding:
    """50 packets a second, told ten times a second."""
    finding = Finding.OPEN
    for tenth in range(round(seconds * 10)):
        at = start + tenth / 10
        told = [Sent(at + n / 50, at + n / 50 + 7.0, size) for n in range(5)]
        finding = probe.observe(told, waits_s, at + 0.1)
        if finding is Finding.DONE:
            break
    return finding


def proven(size: int, seconds: float) -> float:
    """Of 50 packets a second, in bits/s, less what a bucket lets through."""
    return size * 8 * 50 - BUCKET_BYTES * 8 / seconds


def test_what_came_through_is_believed_half_as_much_again_but_for_a_bucket_of_it() -> None:
    probe = probe_of(HEADROOM * 117_000.0)
    assert run(probe, 0.7) is Finding.OPEN
    assert probe.copies == 2
    assert probe.carried_bps == pytest.approx(HEADROOM * proven(200, 0.68))
    assert run(probe, 5.0, start=0.7, size=300) is Finding.DONE
    assert probe.carried_bps == pytest.approx(HEADROOM * proven(300, 4.0), rel=0.03)
    assert not probe.is_full


@pytest.mark.parametrize("rate_bps", [30_000.0, 60_000.0, 100_000.0])
def test_no_line_is_taken_for_more_than_it_carries_whatever_its_bucket_lets_through(
    rate_bps: float,
) -> None:
    """What is sent beyond its rate empties the bucket first, and nothing of it waits."""
    probe, bucket, at = probe_of(), float(BUCKET_BYTES), 0.0
    finding = Finding.OPEN
    while finding is Finding.OPEN and bucket > 0.0:
        told = []
        for _ in range(5):
            size = 100 * (1 + probe.copies)
            bucket = min(BUCKET_BYTES, bucket + rate_bps / 8 / 50) - size
            told.append(Sent(at, at + 7.0, size))
            at += 0.02
        if bucket > 0.0:
            finding = probe.observe(told, 0.0, at)
    assert (probe.carried_bps or 0.0) <= HEADROOM * rate_bps


def test_it_lasts_until_the_best_that_it_could_prove_is_proven() -> None:
    """Of 120 kbit/s 110 are proven in 1.3 s; 200 cannot be."""
    aim = HEADROOM * 110_000.0
    probe = Probe(needs=[HEADROOM * 200_000.0, aim], waits_s=0.0, loss_ratio=0.0, now=0.0)
    run(probe, 0.7, size=220)
    assert run(probe, 1.1, start=0.7, size=300) is Finding.OPEN
    assert run(probe, 0.5, start=1.8, size=300) is Finding.DONE
    assert (probe.carried_bps or 0.0) >= aim


def test_the_second_copy_waits_for_a_queue_that_begins_to_be_gone() -> None:
    probe = probe_of()
    run(probe, 0.9, waits_s=0.05)
    assert probe.copies == 1
    assert run(probe, 0.1, start=0.9, waits_s=0.02) is Finding.OPEN
    assert probe.copies == 2


def test_one_copy_is_enough_if_no_more_need_be_known() -> None:
    probe = probe_of(enough_bps=90_000.0)
    assert run(probe, 0.8) is Finding.DONE
    assert probe.copies == 1


def test_it_ends_when_two_feedbacks_say_that_packets_wait() -> None:
    probe = probe_of()
    assert run(probe, 0.1, waits_s=0.07) is Finding.OPEN
    assert run(probe, 0.1, start=0.1, waits_s=0.07) is Finding.DONE
    assert probe.is_full
    assert probe.carried_bps is None


def test_it_ends_at_once_when_they_wait_for_long() -> None:
    assert run(probe_of(), 0.1, waits_s=0.2) is Finding.DONE


def test_where_the_second_copy_makes_a_queue_the_first_came_through_and_no_more_is_known() -> None:
    probe = probe_of()
    run(probe, 0.8)
    assert run(probe, 0.3, start=0.8, waits_s=0.2) is Finding.DONE
    assert probe.is_full
    assert probe.carried_bps == pytest.approx(proven(200, 0.68))


@pytest.mark.parametrize(("loss_ratio", "finding"), [(0.0, Finding.DONE), (0.3, Finding.OPEN)])
def test_it_ends_when_more_is_lost_than_usual(loss_ratio: float, finding: Finding) -> None:
    probe = probe_of(loss_ratio=loss_ratio)
    told = [Sent(n / 50, 7.0 + n / 50 if n % 2 else None, 200) for n in range(10)]
    assert probe.observe(told, 0.0, 0.3) is finding


def test_a_pause_of_the_talk_is_waited_for_and_not_taken_for_a_slow_line() -> None:
    probe = probe_of(HEADROOM * 115_000.0)
    assert run(probe, 0.4) is Finding.OPEN
    assert probe.check_time(2.0) is Finding.OPEN
    assert run(probe, 0.4, start=2.4) is Finding.OPEN
    assert probe.copies == 2
    run(probe, 1.0, start=2.8, size=300)
    assert probe.check_time(5.0) is Finding.OPEN
    assert run(probe, 5.0, start=5.0, size=300) is Finding.DONE
    assert probe.carried_bps == pytest.approx(HEADROOM * proven(300, 3.0), rel=0.02)


def test_without_any_answer_it_ends() -> None:
    probe = probe_of()
    assert probe.check_time(STAGE_MAX_S + 0.1) is Finding.DONE
    assert probe.carried_bps is None


def test_what_was_sent_before_says_nothing() -> None:
    probe = probe_of()
    probe.observe([Sent(-1.0 + n / 50, 7.0, 200) for n in range(45)], 0.0, 0.1)
    assert probe.carried_bps is None
    assert probe.copies == 1
