"""What a line carries is the least that anybody who can tell says."""

from __future__ import annotations

import pytest

from sfu.listening.delay import Use
from sfu.listening.rates import (
    ARRIVALS_MAX,
    DECREASE,
    HEADROOM,
    Acknowledged,
    DelayLimit,
    LossLimit,
    Remb,
)


def test_the_acknowledged_rate_is_of_the_last_half_second_at_least() -> None:
    rate = Acknowledged()
    assert rate.bps is None
    for number in range(20):
        rate.take(number * 0.02, 500)
    assert rate.bps is None  # of 0.38 s
    for number in range(20, 50):
        rate.take(number * 0.02, 100)
    assert rate.bps == pytest.approx(100 * 8 / 0.02, rel=0.01)


def test_few_packets_are_measured_over_longer() -> None:
    rate = Acknowledged()
    for number in range(40):
        rate.take(number * 0.12, 190)
    assert rate.bps == pytest.approx(190 * 8 / 0.12, rel=0.01)


def test_since_a_queue_grows_four_packets_are_enough() -> None:
    rate = Acknowledged()
    for number in range(50):
        rate.take(number * 0.02, 100)
    for number in range(1, 4):
        rate.take(0.98 + number * 0.1, 100)
    assert rate.since_bps(0.98) is None
    rate.take(0.98 + 0.4, 100)
    assert rate.since_bps(0.98) == pytest.approx(8_000.0)


def test_whatever_times_a_receiver_claims_little_is_kept() -> None:
    rate = Acknowledged()
    for number in range(5_000):
        rate.take(1e6 if number % 2 else 1e6 - 1.0, 100)
    assert len(rate._arrivals) <= ARRIVALS_MAX
    rate.take(5.0, 100)
    assert rate.newest_at == 5.0


def test_a_queue_lowers_the_estimate_and_calm_raises_it_slowly_to_half_more_than_came() -> None:
    limit = DelayLimit()
    limit.observe(Use.NORMAL, 100_000.0, 1.0)
    assert limit.bps is None
    limit.observe(Use.OVER, 100_000.0, 2.0)
    assert limit.bps == pytest.approx(DECREASE * 100_000)
    limit.observe(Use.UNDER, 60_000.0, 3.0)
    assert limit.bps == pytest.approx(DECREASE * 100_000)
    limit.observe(Use.NORMAL, 60_000.0, 4.0)
    assert limit.bps == pytest.approx(min(1.08 * 85_000, HEADROOM * 60_000))
    for second in range(5, 60):
        limit.observe(Use.NORMAL, 70_000.0, float(second))
    assert limit.bps == pytest.approx(HEADROOM * 70_000)
    limit.observe(Use.NORMAL, 10_000.0, 60.0)
    assert limit.bps == pytest.approx(HEADROOM * 70_000)  # a pause lowers nothing


def test_a_probe_raises_what_is_limited_only() -> None:
    limit = DelayLimit()
    limit.learn(100_000.0)
    assert limit.bps is None
    limit.observe(Use.OVER, 50_000.0, 1.0)
    limit.learn(100_000.0)
    assert limit.bps == pytest.approx(100_000.0)


def test_loss_over_a_tenth_lowers_by_half_of_it_and_under_2_percent_lets_it_grow() -> None:
    limit = LossLimit()
    limit.observe(0.05, 100_000.0, 0.1, 0.0)
    assert limit.bps(0.0) is None
    limit.observe(0.2, 100_000.0, 0.1, 10.0)
    assert limit.bps(10.0) == pytest.approx(90_000.0)
    limit.observe(0.2, 100_000.0, 0.1, 10.3)
    assert limit.bps(10.3) == pytest.approx(90_000.0)  # 300 ms and a round trip apart
    limit.observe(0.05, 100_000.0, 0.1, 15.0)
    assert limit.bps(16.0) == pytest.approx(90_000.0)
    limit.observe(0.01, 100_000.0, 0.1, 20.0)
    assert limit.bps(21.0) == pytest.approx(90_000 * 1.08)
    assert limit.bps(22.0) == pytest.approx(90_000 * 1.08**2)
    assert limit.bps(60.0) == pytest.approx(90_000 * 1.08**6)  # no report, no growth


def test_a_limit_by_loss_that_has_grown_beyond_every_tier_is_none() -> None:
    limit = LossLimit()
    limit.observe(0.2, 500_000.0, 0.1, 0.0)
    for second in range(1, 20):
        limit.observe(0.0, 500_000.0, 0.1, float(second))
    assert limit.bps(20.0) is None


def test_a_receivers_own_limit_is_forgotten_after_10_s() -> None:
    remb = Remb()
    assert remb.bps(0.0) is None
    remb.observe(50_000.0, 5.0)
    assert remb.bps(14.9) == 50_000.0
    assert remb.bps(15.0) is None
