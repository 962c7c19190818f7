"""How the process itself is: how late its loop runs, how busy it is, how long it collects garbage.

One timer asks ten times a second, another once a second. What they find goes to whoever is given:
metrics, the worker that takes nobody new when its core is busy, the service manager's watchdog.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Callable

import structlog

LAG_INTERVAL_S = 0.1
# Long enough to mean something, short enough to answer a rush.
LOAD_INTERVAL_S = 1.0
# From here on listeners hear it.
LAG_WARNING_S = 0.1
# Objects made in bursts (a join makes hundreds) must not start a collection each time.
GC_THRESHOLDS = (50_000, 20, 50)

_log = structlog.get_logger()


class Vitals:
    """Lives on one event loop, between `start` and `stop`. All durations are seconds."""

    def __init__(
        self,
        *,
        on_lag: Callable[[float], None],
        on_load: Callable[[float], None],
        on_gc_pause: Callable[[float], None],
        on_beat: Callable[[float], None],
    ) -> None:
        """`on_load` gets the share of a core used lately, `on_beat` the time at each look."""
        self._on_lag = on_lag
        self._on_load = on_load
        self._on_gc_pause = on_gc_pause
        self._on_beat = on_beat
        self._loop = asyncio.get_running_loop()
        self._gc_started = 0.0
        self._lag_timer: asyncio.TimerHandle | None = None
        self._load_timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Measure from now on; what was made so far is taken to live as long as the process."""
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        gc.callbacks.append(self._on_gc)
        self._measure_lag(time.monotonic())
        self._measure_load()

    def stop(self) -> None:
        """Measure no more; idempotent."""
        for timer in (self._lag_timer, self._load_timer):
            if timer is not None:
                timer.cancel()
        if self._on_gc in gc.callbacks:
            gc.callbacks.remove(self._on_gc)

    def _measure_load(self, last: tuple[float, float, float] | None = None) -> None:
        """Which share of its core the loop used since `last`.

        Of clock, loop and process: where cores are few, what mixing uses is the loop's loss.
        """
        now = time.monotonic(), time.thread_time(), time.process_time()
        if last is not None:
            passed, loop, process = (one - other for one, other in zip(now, last, strict=True))
            cores = len(os.sched_getaffinity(0))
            self._on_load(min(1.0, max(loop, process / cores) / passed))
        self._load_timer = self._loop.call_later(LOAD_INTERVAL_S, self._measure_load, now)

    def _measure_lag(self, due: float) -> None:
        now = time.monotonic()
        lag = max(0.0, now - due)
        self._on_lag(lag)
        if lag > LAG_WARNING_S:
            _log.warning("event_loop_late", lag_ms=round(lag * 1_000))
        self._on_beat(now)
        self._lag_timer = self._loop.call_later(
            LAG_INTERVAL_S, self._measure_lag, now + LAG_INTERVAL_S
        )

    def _on_gc(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self._gc_started = time.perf_counter()
        else:
            self._on_gc_pause(time.perf_counter() - self._gc_started)
