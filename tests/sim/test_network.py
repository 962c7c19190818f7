"""The simulated network: repeatable by seed, and doing what its conditions say."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.sim.network import HEADER_BYTES, Bursts, Conditions, Link, narrow

PACKETS = 20_000


def flow(conditions: Conditions, seed: str = "seed") -> list[tuple[float, ...]]:
    """A steady flow of 100-byte datagrams, one each 20 ms."""
    link = Link(seed, conditions)
    return [link.transit(100, index * 0.020) for index in range(PACKETS)]


HARSH = Conditions(
    jitter_s=0.03,
    loss=0.05,
    bursts=Bursts(0.01, 0.3),
    reorder=0.05,
    duplicate=0.02,
    rate_bps=64_000,
)


def test_the_same_seed_gives_the_same_fate() -> None:
    assert flow(HARSH) == flow(HARSH)
    assert flow(HARSH) != flow(HARSH, seed="another")


def test_a_clean_link_only_delays() -> None:
    arrivals = flow(Conditions(latency_s=0.015))
    assert arrivals == [(index * 0.020 + 0.015,) for index in range(PACKETS)]


def test_random_loss_has_the_stated_rate() -> None:
    lost = sum(not fate for fate in flow(Conditions(loss=0.1)))
    assert lost / PACKETS == pytest.approx(0.1, abs=0.01)


def test_bursty_loss_has_the_stated_rate_and_burst_length() -> None:
    bursts = Bursts(enter=0.02, leave=0.25)
    fates = [bool(fate) for fate in flow(Conditions(bursts=bursts))]
    lost = fates.count(False)
    begun = sum(before and not after for before, after in pairwise(fates))
    assert lost / PACKETS == pytest.approx(bursts.mean_loss, rel=0.15)
    assert lost / begun == pytest.approx(1 / bursts.leave, rel=0.15)


def test_jitter_spreads_arrivals_and_keeps_order() -> None:
    arrivals = [fate[0] for fate in flow(Conditions(jitter_s=0.05))]
    delays = [arrival - index * 0.020 for index, arrival in enumerate(arrivals)]
    assert arrivals == sorted(arrivals)
    assert min(delays) == pytest.approx(0.020, abs=0.005)
    assert max(delays) == pytest.approx(0.070, abs=0.005)


def test_reordering_lets_some_be_overtaken() -> None:
    arrivals = [fate[0] for fate in flow(Conditions(reorder=0.1))]
    overtaken = sum(before > after for before, after in pairwise(arrivals))
    # Two thirds of the extra delays are longer than the 20 ms between datagrams.
    assert overtaken / PACKETS == pytest.approx(0.1 * 2 / 3, abs=0.015)


def test_duplicates_come_later_than_the_original() -> None:
    twice = [fate for fate in flow(Conditions(duplicate=0.05)) if len(fate) == 2]
    assert len(twice) / PACKETS == pytest.approx(0.05, abs=0.01)
    assert all(copy >= original for original, copy in twice)


def test_a_slow_link_queues_up_to_its_bound_and_then_drops() -> None:
    link = Link("seed", Conditions(latency_s=0.0, rate_bps=16_000, queue_bytes=1_000))
    fates = [link.transit(100, 0.0) for _ in range(20)]
    passed = [fate[0] for fate in fates if fate]
    assert len(passed) == 1_000 // (100 + HEADER_BYTES)
    assert link.counts.overflowed == 20 - len(passed)
    assert passed[-1] == pytest.approx(len(passed) * (100 + HEADER_BYTES) * 8 / 16_000)
    assert link.transit(100, 10.0)[0] == pytest.approx(10.0 + 0.064)


def test_what_waits_in_a_queue_is_late_by_what_is_before_it() -> None:
    link = Link("seed", Conditions(latency_s=0.02, rate_bps=16_000))
    delays = [link.transit(72, n * 0.02)[0] - n * 0.02 for n in range(10)]
    # 100 bytes are 50 ms, and one comes every 20 ms.
    assert delays == pytest.approx([0.07 + n * 0.03 for n in range(10)])


def test_a_bucket_passes_at_once_what_was_saved_and_no_more() -> None:
    """Of 1,000 bytes ten times 100; then as any other, and it fills at the line's rate."""
    link = Link("seed", Conditions(latency_s=0.0, rate_bps=8_000, bucket_bytes=1_000))
    waits = [link.transit(72, 10.0)[0] - 10.0 for _ in range(12)]
    assert waits == pytest.approx([0.0] * 10 + [0.1, 0.2])
    waits = [link.transit(72, 10.5)[0] - 10.5 for _ in range(4)]
    assert waits == pytest.approx([0.0] * 3 + [0.1])


def test_a_queue_counts_the_headers_that_it_is_told() -> None:
    link = Link("seed", Conditions(latency_s=0.0, rate_bps=8_000))
    assert link.transit(52, 0.0, 48)[0] == pytest.approx(0.1)


def test_a_line_that_opens_drops_nothing_for_what_waited_when_it_was_narrow() -> None:
    link = Link("seed", narrow(14_000))
    while link.transit(100, 0.0):
        pass
    assert link.counts.overflowed == 1 and link.counts.overflowed_at == 0.0
    link.conditions = narrow(400_000)
    arrivals = [link.transit(100, n * 0.02) for n in range(1, 100)]
    assert link.counts.overflowed == 1
    assert arrivals == sorted(arrivals)
    assert arrivals[-1][0] - 99 * 0.02 == pytest.approx(0.02 + 128 * 8 / 400_000)


def test_a_line_that_narrows_holds_no_more_bytes_than_it_may() -> None:
    link = Link("seed", narrow(400_000))
    for _ in range(100):
        link.transit(100, 0.0)
    link.conditions = narrow(20_000)
    assert link.transit(100, 0.0) == ()
    passed = [fate for n in range(1, 300) if (fate := link.transit(100, n * 0.02))]
    assert len(passed) == pytest.approx(6.0 * 20_000 / 8 / 128, abs=15)
    assert passed[-1][0] - 299 * 0.02 <= 0.02 + 1_628 * 8 / 20_000


def test_a_black_hole_swallows_everything_until_it_is_healed() -> None:
    link = Link("seed", Conditions(blackhole=True))
    assert link.transit(100, 0.0) == ()
    link.conditions = Conditions(latency_s=0.01)
    assert link.transit(100, 1.0) == (1.01,)
    assert link.counts.swallowed == link.counts.dropped == 1
