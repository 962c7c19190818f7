"""What is made of a daemon's words about its mixing."""

from __future__ import annotations

import math
import os
import threading
import time

import pytest

from bench.targets.mixing_metrics import MixTotals, mix_figures, read_mix_totals

METRICS = """\
# TYPE rostrum_mix_late_ticks_total counter
rostrum_mix_late_ticks_total 12.0
rostrum_mix_skipped_ticks_total 3.0
rostrum_mix_tick_seconds_bucket{le="0.001"} 900.0
rostrum_mix_tick_seconds_bucket{le="0.002"} 990.0
rostrum_mix_tick_seconds_bucket{le="+Inf"} 1000.0
rostrum_mix_tick_seconds_count 1000.0
"""


def test_counters_and_buckets_are_read_from_the_metrics() -> None:
    totals = read_mix_totals(METRICS, [])
    assert (totals.late, totals.skipped, totals.cpu_s) == (12, 3, 0)
    assert totals.ticks == ((0.001, 900), (0.002, 990), (math.inf, 1_000))
    assert read_mix_totals("", []) == MixTotals(0.0, 0, 0, ())


def test_only_the_side_threads_of_a_process_count_as_mixing() -> None:
    """Not the first one, where packets are forwarded."""
    done = threading.Event()
    worked = threading.Event()

    def work() -> None:
        until = time.thread_time() + 0.05
        while time.thread_time() < until:
            sum(range(1_000))
        worked.set()
        done.wait()

    before = read_mix_totals("", [os.getpid()]).cpu_s
    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert worked.wait(10)
        spent_s = read_mix_totals("", [os.getpid()]).cpu_s - before
    finally:
        done.set()
        thread.join()
    assert spent_s == pytest.approx(0.05, abs=0.03)


def test_a_window_is_the_difference_of_its_ends() -> None:
    begun = MixTotals(1.0, 10, 1, ((0.001, 100), (0.002, 100), (math.inf, 100)))
    ended = MixTotals(1.5, 12, 1, ((0.001, 250), (0.002, 298), (math.inf, 300)))
    assert mix_figures(begun, ended, 10.0) == pytest.approx(
        {
            "mixing_cpu_percent": 5.0,
            "mix_skipped_ticks": 0.0,
            "mix_late_ticks_ratio": 0.01,
            "mix_tick_p99_ms": 2.0,
        }
    )
    assert set(mix_figures(begun, begun, 1.0)) == {"mixing_cpu_percent", "mix_skipped_ticks"}
