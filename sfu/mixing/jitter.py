"""How long a source's packets should wait: adaptive to how irregularly they come.

A packet's transit is when it came less where it stands on the timeline. Transits of a line without
jitter are all alike; the least of the last two seconds is what the line can do, and whatever is
above it is jitter. Waiting for the 95 % quantile of that means that one packet in twenty comes too
late, which concealment bridges; two seconds forget a storm, so that a delay that a storm has raised
is no longer wanted soon after it.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque

START_S = 0.040  # until a few packets have shown what the line does: two usual packets
TARGET_S_MIN = 0.020  # one usual packet: the tick that fetches them is as long
TARGET_S_MAX = 0.120  # beyond, people begin to interrupt each other
MARGIN_S = 0.005  # between arrival and mixer: a batch of the event loop, a thread that wakes up
QUANTILE = 0.95
WINDOW_S = 2.0
# Fewer say nothing about a 95 % quantile.
PACKETS_MIN = 10
# The window at 2.5 ms a packet: the shortest that Opus knows.
PACKETS_MAX = 800
# With loss a packet's successor should be there when it is due: it may carry a copy.
LOSS_HEADROOM_S = 0.020


class Arrivals:
    """Transits of one source on one slot, and the wait that follows from them."""

    __slots__ = ("_frame_s", "_held_s", "_lost_at", "_sorted", "_window", "base_s", "target_s")

    def __init__(self) -> None:
        self.target_s = START_S
        self.base_s = 0.0  # the least transit; meaningful from the first packet on
        self._held_s = START_S
        self._frame_s = 0.020
        self._lost_at = float("-inf")
        self._window: deque[tuple[float, float]] = deque()
        self._sorted: list[float] = []

    def restart(self) -> None:
        """The timeline begins anew: transits from before mean nothing, the jitter still does."""
        self._held_s = self.target_s
        self._window.clear()
        self._sorted.clear()

    def lose(self, at: float) -> None:
        """A packet did not come in time or not at all."""
        self._lost_at = at

    def observe(self, time_s: float, at: float, frame_s: float) -> None:
        """A packet for `time_s` on the timeline came at `at`."""
        transit = at - time_s
        self._frame_s = frame_s
        self._window.append((at, transit))
        insort(self._sorted, transit)
        while len(self._window) > PACKETS_MAX or (
            self._window[0][0] < at - WINDOW_S and len(self._window) > PACKETS_MIN
        ):
            _, oldest = self._window.popleft()
            del self._sorted[bisect_left(self._sorted, oldest)]
        self.base_s = self._sorted[0]
        self.target_s = self._target_s(at)

    def _target_s(self, at: float) -> float:
        count = len(self._sorted)
        spread = self._sorted[min(count - 1, int(QUANTILE * count))] - self._sorted[0]
        wanted = spread + MARGIN_S
        if at - self._lost_at < WINDOW_S:
            wanted = max(wanted, self._frame_s + LOSS_HEADROOM_S)
        if count < PACKETS_MIN:
            wanted = max(wanted, self._held_s)
        return min(TARGET_S_MAX, max(TARGET_S_MIN, wanted))
