"""The mixer in a thread of its own, so that an encoder never holds up a packet.

libopus and numpy let go of the interpreter while they work, so mixing runs beside the loop on
another core. Orders and packets wait in a queue until the next tick; ticks are at absolute times,
20 ms apart, so that lateness never adds up. Frames go back in one call to the loop for each tick.

What goes wrong here costs the mix alone. An exception, a thread that has ended and one that stands
still are the same: the port is not running from then on, what was ordered is forgotten, and after a
while, longer each time, it starts anew. A thread that stands still cannot be ended; it is left to
itself and told to end if it ever wakes.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from sfu.mixing import EDGES_US
from sfu.shell.metrics import Distribution, Metrics
from sfu.worker.mix_port import Mixed, Taken

if TYPE_CHECKING:
    from sfu.mixing import Frame, Mixer, Order, Stats

# Packets that waited for longer are of no use to anybody's jitter buffer.
LAG_MAX_S = 0.2
# A tick takes a few milliseconds. Whoever has not looked for this long will not look again.
STALL_S = 2.0
# The loop takes frames within milliseconds; what is a second old nobody would hear in time.
OUTBOX_TICKS_MAX = 50
# The first wait before it starts anew, and the longest. What breaks at once would break again.
BACKOFF_S, BACKOFF_MAX_S = 1.0, 60.0
# After this long without a failure the next is a first one.
STEADY_S = 60.0
TICK_S = 0.02
# Each tick counts this much: fifty say nearly all, and one that was interrupted, for however long,
# says little.
LOAD_SMOOTHING = 0.05
# What it tells of itself is put together this often.
STATS_EVERY_S = 1.0
# How long one thread keeps the interpreter while the other waits for it; by default that is 5 ms.
# A tick asks for it some twenty times, the loop once for each wake: with a loop that is half busy,
# ticks were late ten times as often by default, and the loop woke 10 ms late at p99, not 2.5.
SWITCH_S = 0.000_5
# For the thread to end by itself when the daemon goes: some ticks.
JOIN_S = 0.2

# What it counts itself, and what of the mixer's own counts is told.
OWN_COUNTERS = ("dropped_frames", "dropped_lagging", "failures")
MIXER_COUNTERS = (
    "bad_packets",
    "concealed_frames",
    "decoded_frames",
    "dropped_packets",
    "duplicate_packets",
    "encoded_frames",
    "late_packets",
    "late_ticks",
    "recovered_frames",
    "skipped_ticks",
    "stray_packets",
)


EDGES_S = tuple(edge / 1e6 for edge in EDGES_US)
SIZES = ("rooms", "encoders", "sources", "voices")


class _Waiting(NamedTuple):
    """What was sent at once, and when."""

    at: float
    orders: Sequence[Order]
    taken: Sequence[Taken]


class _Run:
    """One life of the thread. `told` and `ended` are called on it."""

    def __init__(
        self,
        mixer: Mixer,
        clock: Callable[[], float],
        *,
        told: Callable[[_Run], None],
        ended: Callable[[_Run, BaseException | None], None],
    ) -> None:
        self.began_at = clock()
        self.inbox: deque[_Waiting] = deque()
        self.outbox: deque[Mixed] = deque(maxlen=OUTBOX_TICKS_MAX)
        # The loop is to come; it says that it has before it takes, so that whatever is put out
        # after that is told anew, even if it took nothing.
        self.has_told = False
        self.dropped_frames = 0
        self.load = 0.0
        self.stats: Stats = mixer.stats()
        self._told_stats_at = self.began_at
        self._mixer = mixer
        self._clock = clock
        self._told = told
        self._ended = ended
        self._has_news = threading.Event()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._live, name="mixing", daemon=True)

    def start(self) -> None:
        """Wait for orders from now on."""
        self._thread.start()

    def send(self, waiting: _Waiting) -> None:
        """For the next tick."""
        self.inbox.append(waiting)
        self._has_news.set()

    def lag_s(self, now: float) -> float:
        """For how long the first that waits has been waiting."""
        try:
            return now - self.inbox[0].at
        except IndexError:
            return 0.0

    def abandon(self) -> None:
        """End as soon as it is noticed."""
        self._is_over.set()
        self._has_news.set()

    def join(self) -> None:
        """Wait for its end, for JOIN_S at most."""
        self._thread.join(JOIN_S)

    # On the thread

    def _live(self) -> None:
        error: BaseException | None = None
        try:
            while not self._is_over.is_set():
                self._step()
        except BaseException as caught:  # whatever it is, the loop has to know
            error = caught
        self._ended(self, error)

    def _step(self) -> None:
        """Wait for the next tick, or for the first order, and do what is due."""
        mixer = self._mixer
        if mixer.is_idle:
            self._has_news.wait()
            self._has_news.clear()
        elif self._is_over.wait(max(0.0, mixer.next_deadline() - self._clock())):
            return
        # What comes while this is done is for the next tick.
        for _ in range(len(self.inbox)):
            for order in self.inbox[0].orders:
                mixer.apply(order)
            for room, slot, packets in self.inbox[0].taken:
                mixer.take(room, slot, packets)
            self.inbox.popleft()
        now = self._clock()
        if mixer.is_idle:
            self.load = 0.0
        elif mixer.next_deadline() <= now:
            self._put(mixer.tick(now), mixer.measured(), now)
            share = min(1.0, (self._clock() - now) / TICK_S)
            self.load += LOAD_SMOOTHING * (share - self.load)

    def _put(
        self, frames: Sequence[Frame], measured: Sequence[tuple[int, int | None]], now: float
    ) -> None:
        if now - self._told_stats_at >= STATS_EVERY_S:
            self._told_stats_at = now
            self.stats = self._mixer.stats()
        if not frames and not measured:
            return
        if len(self.outbox) == OUTBOX_TICKS_MAX:
            self.dropped_frames += 1
        self.outbox.append(Mixed(frames, measured))
        if not self.has_told:
            self.has_told = True
            self._told(self)


class MixingThread:
    """A `MixPort`; everything but the mixing itself is done on the loop's thread.

    `make` gives a new mixer, on the loop's thread; `report` is told of each failure.
    """

    def __init__(
        self,
        make: Callable[[], Mixer],
        *,
        clock: Callable[[], float],
        report: Callable[[BaseException], None],
    ) -> None:
        self.starts = 0
        self._make = make
        self._clock = clock
        self._report = report
        self._counts = Counter(dict.fromkeys(OWN_COUNTERS + MIXER_COUNTERS, 0))
        self._past = Distribution((0,) * (len(EDGES_S) + 1), 0.0)  # of lives that have ended
        self._run: _Run | None = None
        self._backoff_s = BACKOFF_S
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake: Callable[[], None] = lambda: None

    def start(self, loop: asyncio.AbstractEventLoop, wake: Callable[[], None]) -> None:
        """Mix from now on; `wake` is called on `loop` when there is something to `take`.

        Sets the interpreter's switch interval, for the whole process.
        """
        self._loop, self._wake = loop, wake
        sys.setswitchinterval(SWITCH_S)
        self._begin()

    def stop(self) -> None:
        """No frame follows; idempotent."""
        run, self._run = self._run, None
        if self._timer is not None:
            self._timer.cancel()
        if run is not None:
            run.abandon()
            run.join()
        self._loop = None

    def counters(self) -> dict[str, int]:
        """Counts since the start, by name."""
        counts = self._counts.copy()
        if self._run is not None:
            self._add_to(counts, self._run)
        return dict(counts)

    def sizes(self) -> dict[str, int]:
        """How many there are now, by name, and the share of its time that it works, in percent."""
        run = self._run
        sizes = {name: 0 if run is None else getattr(run.stats, name) for name in SIZES}
        return {**sizes, "load_percent": round(100 * self.load)}

    def tick_times(self) -> Distribution:
        """Seconds that ticks took since the start, by EDGES_S."""
        return self._past if self._run is None else _plus(self._past, self._run.stats)

    def add_to(self, metrics: Metrics) -> None:
        """Expose all of that."""
        metrics.add_counters("mix", self.counters)
        metrics.add_gauges("mix", self.sizes)
        text = "How long the mixer worked for one tick of 20 ms."
        metrics.add_distribution("mix_tick_seconds", text, EDGES_S, self.tick_times)

    # MixPort

    @property
    def is_running(self) -> bool:
        """As `MixPort`."""
        return self._run is not None

    @property
    def load(self) -> float:
        """As `MixPort`."""
        return 0.0 if self._run is None else self._run.load

    def send(self, orders: Sequence[Order], taken: Sequence[Taken], now: float) -> None:
        """As `MixPort`. Packets are dropped while the thread is late; orders never are."""
        run = self._run
        if run is None:
            return  # all of it is ordered anew when it starts
        lag_s = run.lag_s(now)
        if lag_s >= STALL_S:
            error = TimeoutError(f"the mixing thread has stood still for {lag_s:.1f} s")
            self._fail(run, error)
            return
        if lag_s >= LAG_MAX_S:
            self._counts["dropped_lagging"] += sum(len(packets) for _, _, packets in taken)
            taken = ()
        if orders or taken:
            run.send(_Waiting(now, orders, taken))

    def take(self) -> Mixed:
        """As `MixPort`."""
        frames: list[Frame] = []
        measured: list[tuple[int, int | None]] = []
        while self._run is not None and self._run.outbox:
            tick = self._run.outbox.popleft()
            frames += tick.frames
            measured += tick.measured
        return Mixed(frames, measured)

    def handle_timer(self, now: float) -> bool:
        """As `MixPort`: nothing is done in line."""
        return False

    def next_deadline(self) -> float | None:
        """As `MixPort`."""
        return None

    # Inside

    def _begin(self) -> None:
        assert self._loop is not None, "start it first"
        try:
            mixer = self._make()
        except Exception as error:
            self._wait_after(error)
            return
        self._run = _Run(mixer, self._clock, told=self._tell, ended=self._on_end)
        self.starts += 1
        self._run.start()
        self._loop.call_soon(self._wake)

    def _tell(self, run: _Run) -> None:
        """On the thread: have the loop take what is finished."""
        self._call(self._come, run)

    def _come(self, run: _Run) -> None:
        run.has_told = False
        self._wake()

    def _on_end(self, run: _Run, error: BaseException | None) -> None:
        """On the thread, its last act."""
        self._call(self._fail, run, error or SystemExit("the mixing thread has ended"))

    def _call(self, *call: object) -> None:
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(*call)  # type: ignore[arg-type]

    def _fail(self, run: _Run, error: BaseException) -> None:
        if run is not self._run or self._loop is None:
            return  # an earlier life, or it was told to end
        self._run = None
        run.abandon()
        self._add_to(self._counts, run)
        self._past = _plus(self._past, run.stats)
        if self._clock() - run.began_at >= STEADY_S:
            self._backoff_s = BACKOFF_S
        self._loop.call_soon(self._wake)
        self._wait_after(error)

    def _add_to(self, counts: Counter[str], run: _Run) -> None:
        told = run.stats.counts
        counts.update({name: getattr(told, name) for name in MIXER_COUNTERS})
        counts["dropped_frames"] += run.dropped_frames

    def _wait_after(self, error: BaseException) -> None:
        assert self._loop is not None, "it was started"
        self._counts["failures"] += 1
        self._report(error)
        self._timer = self._loop.call_later(self._backoff_s, self._begin)
        self._backoff_s = min(2 * self._backoff_s, BACKOFF_MAX_S)


def _plus(past: Distribution, stats: Stats) -> Distribution:
    counts = tuple(map(sum, zip(past.counts, stats.tick_us, strict=True)))
    return Distribution(counts, past.total + stats.tick_us_sum / 1e6)
